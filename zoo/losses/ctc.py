"""Connectionist temporal classification: labels that come in order, at times that nobody wrote down.

Source: Graves et al. 2006; the notes, asynchronous output without time alignment. Every path through a clip's frames that gives its labels
once repeats are merged and blanks dropped counts, by the forward-backward algorithm. Speed beside others: benchmarks/ctc.py.
"""

import functools

import keras
import numpy as np
from keras import ops

from zoo.errors import InputError, check_sizes

IMPOSSIBLE = -1e30  # the logarithm of no probability at all, which can still be added to
INFEASIBLE = ("error", "mask")


def frames_needed(labels, label_lengths):
    """How many frames each sequence of labels needs: one a label, and a blank between two that are the same. (batch,) int32.

    labels: (batch, labels) integers. label_lengths: (batch,) integers.
    """
    labels, label_lengths = ops.cast(labels, "int32"), ops.cast(label_lengths, "int32")
    counts = ops.arange(1, ops.shape(labels)[1])[None] < label_lengths[:, None]
    repeats = ops.logical_and(ops.equal(labels[:, 1:], labels[:, :-1]), counts)
    return label_lengths + ops.sum(ops.cast(repeats, "int32"), axis=1)


def check_feasible(labels, label_lengths, frame_lengths):
    """Raises InputError that names the clips whose labels do not fit into their frames. Arrays as `ctc_loss` takes them."""
    needed, there = np.asarray(frames_needed(labels, label_lengths)), np.asarray(frame_lengths)
    bad = np.flatnonzero(needed > there)
    if len(bad):
        found = ", ".join(f"{i} ({there[i]} frames for labels that need {needed[i]})" for i in bad[:3])
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise InputError(
            f"the labels do not fit into the frames of clip {found}{more}; expected a frame a label and one between two that are the "
            "same. Leave such clips out, shorten the stride, or pass infeasible='mask'."
        )


@keras.saving.register_keras_serializable("zoo")
class CTC(keras.losses.Loss):
    """Minus the logarithm of the probability of each clip's labels, whatever frames they fall on.

    y_true: (batch, labels) integers, padded with -1 (or a RaggedTensor). y_pred: (batch, time, symbols) logits, blank among them; its Keras
    mask, where it has one, tells a clip's frames from padding after them. blank: the symbol between labels.
    infeasible: what becomes of labels that do not fit into their frames: 'error', or 'mask', where they count nowhere. (A compiled step on
    another backend than TensorFlow cannot raise: there 'error' makes the loss infinite.)
    """

    def __init__(self, blank=0, infeasible="error", name="ctc", **kwargs):
        super().__init__(name=name, **kwargs)
        check_sizes(least=0, blank=blank)
        if infeasible not in INFEASIBLE:
            raise InputError(f"`infeasible` is {infeasible!r}; expected one of {', '.join(map(repr, INFEASIBLE))}.")
        self.blank, self.infeasible = blank, infeasible
        self._frames = _FrameLengths()

    def get_config(self):
        return {**super().get_config(), "blank": self.blank, "infeasible": self.infeasible}

    def __call__(self, y_true, y_pred, sample_weight=None):
        # the mask is of frames, the losses of clips: Keras would multiply one by the other
        if hasattr(y_true, "to_tensor"):
            y_true = y_true.to_tensor(-1)
        labels = ops.cast(y_true, "int32")
        label_lengths = ops.sum(ops.cast(labels >= 0, "int32"), axis=1)
        losses, real = self.of_clips(labels, y_pred, label_lengths, self._frames(y_pred))
        weights = real if sample_weight is None else real * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        if self.reduction in (None, "none"):
            return losses * weights
        total = ops.sum(losses * weights)
        if self.reduction == "sum":
            return total
        count = ops.sum(weights if self.reduction == "mean_with_sample_weight" else real)
        return total / ops.maximum(count, 1e-9)

    def of_clips(self, labels, logits, label_lengths, frame_lengths):
        """(losses, 1 where a clip counts): (batch,) float32 each. Arguments as `ctc_loss` takes them."""
        needed = frames_needed(labels, label_lengths)
        if self.infeasible == "error":
            _refuse(labels, label_lengths, frame_lengths, needed)
            return ctc_loss(labels, logits, label_lengths, frame_lengths, self.blank), ops.ones_like(needed, "float32")
        fits = needed <= ops.cast(frame_lengths, "int32")
        # nothing to say where they do not fit, so that no infinity is multiplied by zero
        labels_there = ops.where(fits, ops.cast(label_lengths, "int32"), 0)
        return ctc_loss(labels, logits, labels_there, frame_lengths, self.blank), ops.cast(fits, "float32")


class _FrameLengths(keras.layers.Layer):
    """How many frames of each clip are real. A layer, since Keras gives a tensor's mask to layers only."""

    def call(self, inputs, mask=None):
        batch, time = ops.shape(inputs)[:2]
        return ops.full((batch,), time, "int32") if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1)

    def compute_mask(self, inputs, previous_mask):
        return None


def _refuse(labels, label_lengths, frame_lengths, needed):
    """Raises for labels that do not fit: at once where the numbers are there, else when the graph runs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            text = "labels do not fit into their frames, a frame each and one between two that are the same: needed, there"
            fits = tf.reduce_all(needed <= tf.cast(frame_lengths, needed.dtype))
            # without it the loss is infinite; where the graph is compiled by XLA it is left out
            tf.debugging.Assert(fits, [text, needed, frame_lengths], summarize=64)
        else:
            check_feasible(labels, label_lengths, frame_lengths)


def ctc_loss(labels, logits, label_lengths, frame_lengths, blank=0):
    """Minus the logarithm of the probability of each clip's labels: (batch,) float32; infinite where they cannot fit.

    labels: (batch, labels) integers, those from a clip's length on are ignored. logits: (batch, time, symbols), blank among them.
    label_lengths, frame_lengths: (batch,) integers. The gradient is softmax minus the expected symbols, computed along with the loss; it is
    zero for what cannot fit, and for frames after a clip's end.
    """
    labels, label_lengths = ops.cast(labels, "int32"), ops.cast(label_lengths, "int32")
    frame_lengths = ops.cast(frame_lengths, "int32")
    logits = ops.cast(logits, "float32")
    loss, gradient = _compiled()(labels, ops.stop_gradient(logits), label_lengths, frame_lengths, blank)
    loss, gradient = ops.stop_gradient(loss), ops.stop_gradient(gradient)
    # a sum whose value is the loss and whose derivative is that gradient, on every backend
    return loss + ops.sum(gradient * (logits - ops.stop_gradient(logits)), axis=(1, 2))


@functools.cache
def _compiled():
    """The function below; on JAX compiled as a whole, since called op by op it would compile each."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(_loss_and_gradient, static_argnums=4)
    return _loss_and_gradient


def _loss_and_gradient(labels, logits, label_lengths, frame_lengths, blank):
    """Forwards from the first state and backwards from the last are one recursion, with the order of the states and of time turned.

    Arrays of states are (time, states, 2 * batch): what is shifted lies together.
    """
    batch, time, symbols = ops.shape(logits)
    states = 2 * ops.shape(labels)[1] + 1
    # the path with blanks between: blank, first, blank, second, ..., blank
    path = ops.reshape(ops.stack([ops.full_like(labels, blank), labels], axis=2), (batch, states - 1))
    path = ops.concatenate([path, ops.full((batch, 1), blank, "int32")], axis=1)
    path = ops.clip(path, 0, symbols - 1)  # what pads labels may be anything
    rates = ops.maximum(ops.log_softmax(logits, axis=-1), IMPOSSIBLE)
    by_symbol = ops.reshape(ops.transpose(rates, (0, 2, 1)), (batch * symbols, time))
    emitted = ops.transpose(ops.take(by_symbol, path + symbols * ops.arange(batch)[:, None], axis=0), (2, 1, 0))
    # two labels may follow each other without a blank where they differ
    differ = ops.logical_and(ops.not_equal(path[:, 2:], blank), ops.not_equal(path[:, 2:], path[:, :-2]))
    skips = ops.transpose(ops.where(differ, 0.0, IMPOSSIBLE))
    none = ops.full((2, batch), IMPOSSIBLE)
    skips = ops.concatenate([ops.concatenate([none, way], axis=0) for way in (skips, ops.flip(skips, axis=0))], axis=1)
    place, last = ops.arange(states)[:, None], 2 * label_lengths[None]
    starts = (ops.broadcast_to(place <= 0, (states, batch)), ops.flip(ops.equal(place, last), axis=0))
    starts = ops.where(ops.concatenate(starts, axis=1), 0.0, IMPOSSIBLE)
    ended = ops.flip(ops.arange(time))[:, None] >= frame_lengths[None] - 1  # backwards, a clip begins at its last frame
    waits = ops.concatenate([ops.zeros((time, batch), "bool"), ended], axis=1)[:, None]
    both = ops.concatenate([emitted, ops.flip(emitted, axis=(0, 1))], axis=2)

    def step(carried, now):
        (before, _), (emission, wait) = carried, now
        before = ops.where(wait, starts, before)
        shifted = ops.concatenate([none_before, before], axis=0)
        one, two = shifted[1:-1], shifted[:-2] + skips
        most = ops.maximum(ops.maximum(before, one), two)
        after = emission + most + ops.log(ops.exp(before - most) + ops.exp(one - most) + ops.exp(two - most))
        # near zero, where float32 tells the likeliest paths apart; what was taken off is added up apart
        scale = ops.max(after, axis=0)
        return after - scale, scale

    none_before = ops.full((2, 2 * batch), IMPOSSIBLE)
    found, scales = _scan(step, (starts, ops.zeros((2 * batch,))), (both, waits))
    backwards = ops.flip(found[:, :, batch:], axis=(0, 1))
    through = found[:, :, :batch] + backwards - emitted
    real = ops.arange(time)[None] < frame_lengths[:, None]
    total = ops.logsumexp(through[0], axis=0) + scales[0, :batch]
    total = total + ops.sum(ops.where(real, ops.transpose(ops.flip(scales[:, batch:], axis=0)), 0.0), axis=1)
    feasible = total > IMPOSSIBLE / 2
    expected = ops.einsum("tsb,bsv->btv", ops.softmax(through, axis=1), ops.one_hot(path, symbols))
    counts = ops.logical_and(real, feasible[:, None])
    gradient = ops.where(counts[..., None], ops.exp(rates) - expected, 0.0)
    return ops.where(feasible, -total, float("inf")), gradient


def _scan(step, first, inputs):
    """Every state of carried = step(carried, input) from `first` on, stacked. Keras's own scan wants a known length on TensorFlow."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        length = ops.shape(inputs[0])[0]
        kept = [tf.TensorArray(state.dtype, length, element_shape=state.shape) for state in first]

        def body(time, carried, kept):
            carried = step(carried, [array[time] for array in inputs])
            return time + 1, carried, [array.write(time, state) for array, state in zip(kept, carried)]

        loop = tf.while_loop(lambda time, *_: time < length, body, (0, first, kept), parallel_iterations=1)
        return [array.stack() for array in loop[2]]

    def both(carried, now):
        carried = step(carried, now)
        return carried, carried

    return ops.scan(both, first, inputs)[1]
