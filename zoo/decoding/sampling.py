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


def uniforms(seed, streams, counter):
    """One float32 in [0, 1) a stream. seed, counter: scalars. streams: (n,) int32. Returns (n,)."""
    seed, streams, counter = (tf.cast(tf.cast(x, tf.int32), tf.uint32) for x in (seed, streams, counter))
    counters = tf.stack([tf.fill(tf.shape(streams), counter), tf.zeros_like(streams)], axis=-1)
    bits = threefry2x32((seed, streams), counters)[..., 0]
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def sample_token(logits, uniform, temperature=1.0, top_k=0, top_p=1.0, skipped=(PADDING,)):
    """Draws a token a row by the inverse of the cumulative distribution, likeliest first.

    logits: (batch, vocabulary) float32. uniform: (batch,) in [0, 1). skipped: never drawn. Returns (batch,) int32.
    temperature > 0, top_k >= 0 (0: all), 0 < top_p <= 1 are the caller's to check.
    """
    vocabulary = tf.shape(logits)[-1]
    logits = logits / temperature
    banned = tf.reduce_any(tf.range(vocabulary)[:, None] == tf.constant(skipped), axis=-1)
    logits = tf.where(banned, -float("inf"), logits)
    order = tf.argsort(-logits, axis=-1, stable=True)
    ordered = tf.gather(logits, order, batch_dims=1)
    weights = tf.exp(ordered - ordered[:, :1])
    kept = tf.where(top_k > 0, top_k, vocabulary)
    weights = tf.where(tf.range(vocabulary) < kept, weights, 0.0)
    before = tf.cumsum(weights, axis=-1) - weights
    weights = tf.where(before < top_p * tf.reduce_sum(weights, axis=-1, keepdims=True), weights, 0.0)
    total = tf.cumsum(weights, axis=-1)
    passed = tf.reduce_sum(tf.cast(total <= uniform[:, None] * total[:, -1:], tf.int32), axis=-1)
    last = tf.reduce_sum(tf.cast(weights > 0, tf.int32), axis=-1) - 1
    return tf.gather(order, tf.minimum(passed, last), batch_dims=1)
