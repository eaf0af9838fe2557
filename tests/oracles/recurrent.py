"""The notes' recurrent cells in plain NumPy, equation by equation.

x: (batch, time, inputs). Weights are named as in the notes: W from [a, x] split into W?a (units, units) and W?x (units, inputs).
Each function returns the hidden states of all steps, (batch, time, units).
"""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def rnn(x, Waa, Wax, ba):
    """a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)."""
    a, states = np.zeros((len(x), len(ba))), []
    for t in range(x.shape[1]):
        a = np.tanh(a @ Waa.T + x[:, t] @ Wax.T + ba)
        states.append(a)
    return np.stack(states, axis=1)


def gru(x, Wua, Wux, bu, Wra, Wrx, br, Wca, Wcx, bc):
    """The full GRU, the reset gate before the product, as the notes write it; c<t> = a<t>.

    Gu = sigmoid(Wu [c, x] + bu); Gr = sigmoid(Wr [c, x] + br); c~ = tanh(Wc [Gr * c, x] + bc); c = Gu * c~ + (1 - Gu) * c.
    """
    c, states = np.zeros((len(x), len(bu))), []
    for t in range(x.shape[1]):
        update = sigmoid(c @ Wua.T + x[:, t] @ Wux.T + bu)
        reset = sigmoid(c @ Wra.T + x[:, t] @ Wrx.T + br)
        candidate = np.tanh((reset * c) @ Wca.T + x[:, t] @ Wcx.T + bc)
        c = update * candidate + (1.0 - update) * c
        states.append(c)
    return np.stack(states, axis=1)


def lstm(x, Wua, Wux, bu, Wfa, Wfx, bf, Woa, Wox, bo, Wca, Wcx, bc):
    """c~ = tanh(Wc [a, x] + bc); c = Gu * c~ + Gf * c; a = Go * tanh(c), gates from [a, x]."""
    a = c = np.zeros((len(x), len(bu)))
    states = []
    for t in range(x.shape[1]):
        update = sigmoid(a @ Wua.T + x[:, t] @ Wux.T + bu)
        forget = sigmoid(a @ Wfa.T + x[:, t] @ Wfx.T + bf)
        out = sigmoid(a @ Woa.T + x[:, t] @ Wox.T + bo)
        candidate = np.tanh(a @ Wca.T + x[:, t] @ Wcx.T + bc)
        c = update * candidate + forget * c
        a = out * np.tanh(c)
        states.append(a)
    return np.stack(states, axis=1)
