"""Truncated backpropagation through time: the state is carried from window to window, the gradient is not.

```python
import keras
import zoo
from zoo.truncated_bptt import CarriedState, windows

model = zoo.build("lstm_language_model", vocabulary=67, stateful_batch=32, mask_padding=False)
model.compile("adam", loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
x, y = windows(tokens, batch_size=32, length=64)
model.fit(x, {"logits": y}, batch_size=32, shuffle=False, callbacks=[CarriedState()])
```

Source: Williams & Peng 1990; the notes, truncated backpropagation through time.
"""

import keras
import numpy as np

from zoo.errors import InputError


def windows(tokens, *, batch_size, length):
    """One long text as the batches of a stateful model: row r of a batch goes on where row r of the batch before ended.

    tokens: (count,) int. Returns (x, y), each (batches x batch_size, length): y is what follows each token of x. The text is cut into
    `batch_size` streams; what is left at the end, less than a window a stream, is dropped.
    """
    tokens = np.asarray(tokens)
    streams = (len(tokens) - 1) // batch_size
    batches = streams // length
    if tokens.ndim != 1 or batches < 1:
        raise InputError(
            f"`tokens` has the shape {tokens.shape}; expected (count,) with a count of at least {batch_size * length + 1} for "
            f"`batch_size` {batch_size} and `length` {length}. Give more text, or less of those."
        )

    def cut(first):
        rows = tokens[first : first + streams * batch_size].reshape(batch_size, streams)[:, : batches * length]
        return rows.reshape(batch_size, batches, length).swapaxes(0, 1).reshape(-1, length)

    return cut(0), cut(1)


def stateful_layers(model):
    """The layers of a model that carry their states from batch to batch."""
    return [layer for layer in model._flatten_layers() if getattr(layer, "stateful", False) and hasattr(layer, "reset_state")]


def carried_states(model):
    """The variables in which those layers keep their states."""
    return [state for layer in stateful_layers(model) for state in keras.tree.flatten(layer.states)]


def reset(model):
    """Sets the states of every stateful layer to zeros."""
    for layer in stateful_layers(model):
        layer.reset_state()


class CarriedState(keras.callbacks.Callback):
    """Starts every pass over the text and every validation from zero states, and gives training its states back afterwards.

    batches: the length of a pass; None: an epoch of `model.fit` is one.
    """

    def __init__(self, batches=None):
        super().__init__()
        self.batches, self.seen = batches, 0

    def on_epoch_begin(self, epoch, logs=None):
        if self.batches is None:
            reset(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        if self.batches and self.seen % self.batches == 0:
            reset(self.model)
        self.seen += 1

    def on_test_begin(self, logs=None):
        self._kept = [(state, np.array(state)) for state in carried_states(self.model)]
        reset(self.model)

    def on_test_end(self, logs=None):
        for state, value in self._kept:
            state.assign(value)
        del self._kept
