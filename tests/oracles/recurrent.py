"""The notes' recurrent cells in plain NumPy, equation by equation, forwards and back through time.

x: (batch, time, inputs). w: a dictionary of weights named as in the notes: W from [a, x] is split into W?a (units, units) and
W?x (units, inputs), with the bias b?. A cell is two functions: NAME(x, w) returns the hidden states of all steps, (batch, time,
units); NAME_bptt(x, w, da) takes the loss's gradient with respect to each of them and returns (dx, dw), the gradients with
respect to the inputs and to every weight. Every line of a backward pass is the derivative of the line of the forward pass that
is repeated above it; `*_next` is what the step after this one (done before it) handed back.
"""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0.0)


def _zeros(w):
    return {name: np.zeros_like(value) for name, value in w.items()}


def _affine(w, gate, a, x):
    """W?a a + W?x x + b?"""
    return a @ w[f"W{gate}a"].T + x @ w[f"W{gate}x"].T + w[f"b{gate}"]


def _affine_back(w, dw, gate, a, x, dz):
    """Adds to dw what dz, the gradient of that sum, says of the gate's weights; returns (da, dx)."""
    dw[f"W{gate}a"] += dz.T @ a
    dw[f"W{gate}x"] += dz.T @ x
    dw[f"b{gate}"] += dz.sum(axis=0)
    return dz @ w[f"W{gate}a"], dz @ w[f"W{gate}x"]


def _start(x, w, bias):
    return np.zeros((len(x), len(w[bias])))


# The vanilla network: a<t> = g(Waa a<t-1> + Wax x<t> + ba), g = tanh (or ReLU, from the identity: Le et al. 2015)


def rnn(x, w, g=np.tanh):
    a, states = _start(x, w, "ba"), []
    for t in range(x.shape[1]):
        a = g(_affine(w, "a", a, x[:, t]))
        states.append(a)
    return np.stack(states, axis=1)


def rnn_bptt(x, w, da, g=np.tanh):
    states = rnn(x, w, g)
    dx, dw, da_next = np.zeros_like(x), _zeros(w), 0.0
    for t in reversed(range(x.shape[1])):
        before = states[:, t - 1] if t else _start(x, w, "ba")
        da_t = da[:, t] + da_next
        dz = da_t * ((1.0 - states[:, t] ** 2) if g is np.tanh else states[:, t] > 0)
        da_next, dx[:, t] = _affine_back(w, dw, "a", before, x[:, t], dz)
    return dx, dw


# The simplified GRU, one gate: Gu = sigmoid(Wu [c, x] + bu); c~ = tanh(Wc [c, x] + bc); c = Gu * c~ + (1 - Gu) * c


def simplified_gru(x, w):
    c, states = _start(x, w, "bu"), []
    for t in range(x.shape[1]):
        update = sigmoid(_affine(w, "u", c, x[:, t]))
        candidate = np.tanh(_affine(w, "c", c, x[:, t]))
        c = update * candidate + (1.0 - update) * c
        states.append(c)
    return np.stack(states, axis=1)


def simplified_gru_bptt(x, w, da):
    states = simplified_gru(x, w)
    dx, dw, dc_next = np.zeros_like(x), _zeros(w), 0.0
    for t in reversed(range(x.shape[1])):
        c, x_t = states[:, t - 1] if t else _start(x, w, "bu"), x[:, t]
        update = sigmoid(_affine(w, "u", c, x_t))
        candidate = np.tanh(_affine(w, "c", c, x_t))
        dc = da[:, t] + dc_next
        from_update = _affine_back(w, dw, "u", c, x_t, dc * (candidate - c) * update * (1.0 - update))
        from_candidate = _affine_back(w, dw, "c", c, x_t, dc * update * (1.0 - candidate**2))
        dc_next = dc * (1.0 - update) + from_update[0] + from_candidate[0]
        dx[:, t] = from_update[1] + from_candidate[1]
    return dx, dw


# The full GRU, the reset gate before the product, as the notes write it; a<t> = c<t>:
# Gu = sigmoid(Wu [c, x] + bu); Gr = sigmoid(Wr [c, x] + br); c~ = tanh(Wc [Gr * c, x] + bc); c = Gu * c~ + (1 - Gu) * c


def gru(x, w):
    c, states = _start(x, w, "bu"), []
    for t in range(x.shape[1]):
        update = sigmoid(_affine(w, "u", c, x[:, t]))
        reset = sigmoid(_affine(w, "r", c, x[:, t]))
        candidate = np.tanh(_affine(w, "c", reset * c, x[:, t]))
        c = update * candidate + (1.0 - update) * c
        states.append(c)
    return np.stack(states, axis=1)


def gru_bptt(x, w, da):
    states = gru(x, w)
    dx, dw, dc_next = np.zeros_like(x), _zeros(w), 0.0
    for t in reversed(range(x.shape[1])):
        c, x_t = states[:, t - 1] if t else _start(x, w, "bu"), x[:, t]
        update = sigmoid(_affine(w, "u", c, x_t))
        reset = sigmoid(_affine(w, "r", c, x_t))
        candidate = np.tanh(_affine(w, "c", reset * c, x_t))
        dc = da[:, t] + dc_next
        from_update = _affine_back(w, dw, "u", c, x_t, dc * (candidate - c) * update * (1.0 - update))
        from_candidate = _affine_back(w, dw, "c", reset * c, x_t, dc * update * (1.0 - candidate**2))
        from_reset = _affine_back(w, dw, "r", c, x_t, from_candidate[0] * c * reset * (1.0 - reset))
        dc_next = dc * (1.0 - update) + from_update[0] + from_candidate[0] * reset + from_reset[0]
        dx[:, t] = from_update[1] + from_candidate[1] + from_reset[1]
    return dx, dw


# The other reset form, the gate after the product (Keras's and cuDNN's default): c~ = tanh(Gr * (Wca c + bh) + Wcx x + bc)


def gru_reset_after(x, w):
    c, states = _start(x, w, "bu"), []
    for t in range(x.shape[1]):
        update = sigmoid(_affine(w, "u", c, x[:, t]))
        reset = sigmoid(_affine(w, "r", c, x[:, t]))
        candidate = np.tanh(reset * (c @ w["Wca"].T + w["bh"]) + x[:, t] @ w["Wcx"].T + w["bc"])
        c = update * candidate + (1.0 - update) * c
        states.append(c)
    return np.stack(states, axis=1)


def gru_reset_after_bptt(x, w, da):
    states = gru_reset_after(x, w)
    dx, dw, dc_next = np.zeros_like(x), _zeros(w), 0.0
    for t in reversed(range(x.shape[1])):
        c, x_t = states[:, t - 1] if t else _start(x, w, "bu"), x[:, t]
        update = sigmoid(_affine(w, "u", c, x_t))
        reset = sigmoid(_affine(w, "r", c, x_t))
        product = c @ w["Wca"].T + w["bh"]
        candidate = np.tanh(reset * product + x_t @ w["Wcx"].T + w["bc"])
        dc = da[:, t] + dc_next
        from_update = _affine_back(w, dw, "u", c, x_t, dc * (candidate - c) * update * (1.0 - update))
        dz = dc * update * (1.0 - candidate**2)
        from_reset = _affine_back(w, dw, "r", c, x_t, dz * product * reset * (1.0 - reset))
        dw["Wca"] += (dz * reset).T @ c
        dw["bh"] += (dz * reset).sum(axis=0)
        dw["Wcx"] += dz.T @ x_t
        dw["bc"] += dz.sum(axis=0)
        dc_next = dc * (1.0 - update) + from_update[0] + (dz * reset) @ w["Wca"] + from_reset[0]
        dx[:, t] = from_update[1] + dz @ w["Wcx"] + from_reset[1]
    return dx, dw


# The minimal gated unit (Zhou et al. 2016): Gf = sigmoid(Wf [c, x] + bf); c~ = tanh(Wc [Gf * c, x] + bc); c = Gf * c~ + (1 - Gf) * c


def minimal_gated(x, w):
    return gru(x, _as_gru(w))


def minimal_gated_bptt(x, w, da):
    dx, dw = gru_bptt(x, _as_gru(w), da)
    shared = {f"{kind}f{part}": dw[f"{kind}u{part}"] + dw[f"{kind}r{part}"] for kind, part in (("W", "a"), ("W", "x"), ("b", ""))}
    return dx, {**shared, **{name: dw[name] for name in ("Wca", "Wcx", "bc")}}


def _as_gru(w):
    """It is the full GRU whose two gates share their weights."""
    gates = {f"{name[0]}{gate}{name[2:]}": w[name] for gate in "ur" for name in ("Wfa", "Wfx", "bf")}
    return {**gates, **{name: w[name] for name in ("Wca", "Wcx", "bc")}}


# The LSTM: c~ = tanh(Wc [a, x] + bc); c = Gu * c~ + Gf * c; a = Go * tanh(c), gates from [a, x].
# Its peepholes (Gers & Schmidhuber 2000) add pu * c<t-1>, pf * c<t-1> and po * c<t> to the gates' sums.
# The coupled form has one gate for both: Gu = 1 - Gf, that is c = (1 - Gf) * c~ + Gf * c.


def _lstm_step(x_t, a, c, w):
    peephole, coupled = "pf" in w, "bu" not in w
    forget = sigmoid(_affine(w, "f", a, x_t) + (w["pf"] * c if peephole else 0.0))
    update = 1.0 - forget if coupled else sigmoid(_affine(w, "u", a, x_t) + (w["pu"] * c if peephole else 0.0))
    candidate = np.tanh(_affine(w, "c", a, x_t))
    c_t = update * candidate + forget * c
    out = sigmoid(_affine(w, "o", a, x_t) + (w["po"] * c_t if peephole else 0.0))
    return out * np.tanh(c_t), c_t, (update, forget, candidate, out)


def lstm(x, w):
    a = c = _start(x, w, "bf")
    states = []
    for t in range(x.shape[1]):
        a, c, _ = _lstm_step(x[:, t], a, c, w)
        states.append(a)
    return np.stack(states, axis=1)


def lstm_bptt(x, w, da):
    peephole, coupled = "pf" in w, "bu" not in w
    a = c = _start(x, w, "bf")
    tape = []
    for t in range(x.shape[1]):
        a_t, c_t, gates = _lstm_step(x[:, t], a, c, w)
        tape.append((a, c, c_t, gates))
        a, c = a_t, c_t
    dx, dw = np.zeros_like(x), _zeros(w)
    da_next = dc_next = 0.0
    for t in reversed(range(x.shape[1])):
        x_t, (a, c, c_t, (update, forget, candidate, out)) = x[:, t], tape[t]
        da_t = da[:, t] + da_next
        dz_out = da_t * np.tanh(c_t) * out * (1.0 - out)
        dc_t = dc_next + da_t * out * (1.0 - np.tanh(c_t) ** 2) + (dz_out * w["po"] if peephole else 0.0)
        dz_candidate = dc_t * update * (1.0 - candidate**2)
        dz_forget = dc_t * ((c - candidate) if coupled else c) * forget * (1.0 - forget)
        dz_update = dc_t * candidate * update * (1.0 - update)
        parts = [("o", dz_out), ("c", dz_candidate), ("f", dz_forget)] + ([] if coupled else [("u", dz_update)])
        handed = [_affine_back(w, dw, gate, a, x_t, dz) for gate, dz in parts]
        da_next, dx[:, t] = sum(pair[0] for pair in handed), sum(pair[1] for pair in handed)
        dc_next = dc_t * forget
        if peephole:
            dw["po"] += (dz_out * c_t).sum(axis=0)
            dw["pf"] += (dz_forget * c).sum(axis=0)
            dw["pu"] += (dz_update * c).sum(axis=0)
            dc_next = dc_next + dz_forget * w["pf"] + dz_update * w["pu"]
    return dx, dw


# The Jordan network (1986): the output goes back, not the hidden state:
# h<t> = tanh(Whx x<t> + Why y<t-1> + bh); y<t> = tanh(Wyh h<t> + by)


def jordan(x, w):
    y, outputs = _start(x, w, "by"), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ w["Whx"].T + y @ w["Why"].T + w["bh"])
        y = np.tanh(h @ w["Wyh"].T + w["by"])
        outputs.append(y)
    return np.stack(outputs, axis=1)


def jordan_bptt(x, w, dy):
    outputs = jordan(x, w)
    dx, dw, dy_next = np.zeros_like(x), _zeros(w), 0.0
    for t in reversed(range(x.shape[1])):
        y = outputs[:, t - 1] if t else _start(x, w, "by")
        h = np.tanh(x[:, t] @ w["Whx"].T + y @ w["Why"].T + w["bh"])
        dz_y = (dy[:, t] + dy_next) * (1.0 - outputs[:, t] ** 2)
        dz_h = (dz_y @ w["Wyh"]) * (1.0 - h**2)
        dw["Wyh"] += dz_y.T @ h
        dw["by"] += dz_y.sum(axis=0)
        dw["Whx"] += dz_h.T @ x[:, t]
        dw["Why"] += dz_h.T @ y
        dw["bh"] += dz_h.sum(axis=0)
        dx[:, t], dy_next = dz_h @ w["Whx"], dz_h @ w["Why"]
    return dx, dw


# What the notes put on top: y^<t> = softmax(Wya a<t> + by), the loss -log y^<t>[y<t>], and its derivative p - y


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(a, w, y):
    """The mean over batch and time of -log y^<t>[y<t>]. a: (batch, time, units). y: (batch, time) int."""
    p = softmax(a @ w["Wya"].T + w["by"])
    return -np.mean(np.log(np.take_along_axis(p, y[..., None], axis=-1)))


def cross_entropy_back(a, w, y):
    """(da, dw): dL/dz = p - y, one-hot, for each of the `y.size` predictions."""
    dz = softmax(a @ w["Wya"].T + w["by"])
    np.put_along_axis(dz, y[..., None], np.take_along_axis(dz, y[..., None], axis=-1) - 1.0, axis=-1)
    dz /= y.size
    return dz @ w["Wya"], {"Wya": np.einsum("btv,btu->vu", dz, a), "by": dz.sum(axis=(0, 1))}


# Clipping (Pascanu et al. 2013): each number, each array by its own norm, or all by the norm of them all


def clip_by_value(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def clip_by_norm(gradients, limit):
    return [g * min(1.0, limit / np.linalg.norm(g)) for g in gradients]


def clip_by_global_norm(gradients, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * min(1.0, limit / norm) for g in gradients]
