"""Choosing the next token inside a graph; tflite/runtime/sampling.py is the same in NumPy.

TensorFlow only: the generator needs unsigned 32-bit arithmetic.
"""

import tensorflow as tf

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PADDING, BOUNDARY = 0, 1


def threefry2x32(key, counter):
    """Salmon et al. 2011. key: two scalars uint32. counter: (..., 2) uint32. Returns (..., 2) uint32."""
    x0, x1 = counter[..., 0], counter[..., 1]
    schedule = [key[0], key[1]]
    schedule.append(tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(tf.constant(0x1BD11BDA, tf.uint32), key[0]), key[1]))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x0 = x0 + x1
            left = tf.bitwise.left_shift(x1, tf.constant(rotation, tf.uint32))
            right = tf.bitwise.right_shift(x1, tf.constant(32 - rotation, tf.uint32))
            x1 = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_or(left, right), x0)
        x0 = x0 + schedule[(block + 1) % 3]
        x1 = x1 + schedule[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return tf.stack([x0, x1], axis=-1)


def exponentials(seed, streams, positions, size):
    """Exponential waiting times. seed: a scalar. streams: (n,) int32. positions: (m,) int32. Returns (m, n, size) float64."""
    seed, streams, positions = (tf.cast(tf.cast(x, tf.int32), tf.uint32) for x in (seed, streams, positions))
    shape = [tf.size(positions), tf.size(streams), size]
    tokens = tf.cast(tf.range(size), tf.uint32)
    counter = tf.stack([tf.broadcast_to(positions[:, None, None], shape), tf.broadcast_to(tokens, shape)], axis=-1)
    bits = threefry2x32((seed, streams[:, None]), counter)[..., 0]
    return -tf.math.log1p(-(tf.cast(bits, tf.float64) + 0.5) * 2.0**-32)


def sample_token(logits, waits, temperature=1.0, top_k=0, top_p=1.0, skipped=(PADDING,)):
    """Draws a token a row: every token waits exponentially, the likelier the shorter, and the first one comes.

    logits: (batch, vocabulary) float32. waits: (batch, vocabulary) float64, exponential. skipped: never drawn.
    Returns (batch,) int32. temperature > 0, top_k >= 0 (0: all), 0 < top_p <= 1 are the caller's to check.
    """
    vocabulary = tf.shape(logits)[-1]
    logits = logits / temperature
    banned = tf.reduce_any(tf.range(vocabulary)[:, None] == tf.constant(skipped), axis=-1)
    logits = tf.where(banned, -float("inf"), logits)
    limited = tf.cond((top_k > 0) | (top_p < 1.0), lambda: _limited(logits, top_k, top_p), lambda: logits)
    return tf.argmax(tf.cast(limited, tf.float64) - tf.math.log(waits), axis=-1, output_type=tf.int32)


def _limited(logits, top_k, top_p):
    """The logits with -inf for what top-k or top-p leave out."""
    vocabulary = tf.shape(logits)[-1]
    order = tf.argsort(-logits, axis=-1, stable=True)
    ordered = tf.gather(logits, order, batch_dims=1)
    weights = tf.exp(ordered - ordered[:, :1])
    weights = tf.where(tf.range(vocabulary) < tf.where(top_k > 0, top_k, vocabulary), weights, 0.0)
    before = tf.cumsum(weights, axis=-1) - weights
    kept = (weights > 0) & (before < top_p * tf.reduce_sum(weights, axis=-1, keepdims=True))
    places = tf.argsort(order, axis=-1)  # where each token stands in the order
    return tf.where(tf.gather(kept, places, batch_dims=1), logits, -float("inf"))
