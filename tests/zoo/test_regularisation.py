"""What is dropped, for how long, and that nothing is when it is not training."""

import keras
import numpy as np

from zoo.layers.regularisation import TiedEmbedding, WeightDropLSTMCell, WeightDropRNN


def test_a_word_is_dropped_wherever_it_stands_in_a_batch():
    layer, tokens = TiedEmbedding(20, 6, dropout=0.5, seed=0), np.random.default_rng(0).integers(0, 20, (4, 50))
    plain = np.asarray(layer(tokens))
    found = np.asarray(layer(tokens, training=True))
    gone = {int(t) for t in tokens[np.all(found == 0, axis=-1)]}
    kept = {int(t) for t in tokens[np.any(found != 0, axis=-1)]}
    assert gone and kept and not gone & kept
    np.testing.assert_allclose(found[np.isin(tokens, list(kept))], 2.0 * plain[np.isin(tokens, list(kept))], rtol=1e-6)


def test_logits_come_from_the_embeddings_own_matrix():
    layer = TiedEmbedding(5, 3, mask_zero=True)
    matrix = np.asarray(layer(np.arange(5)[None]))[0]
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    np.testing.assert_allclose(layer(x, reverse=True), x @ matrix.T, atol=1e-6)
    assert len(layer.trainable_weights) == 1


def test_without_weight_drop_the_cell_is_kerass_lstm():
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    ours, keras_own = (
        WeightDropRNN(WeightDropLSTMCell(4, weight_drop=0.5), return_sequences=True),
        keras.layers.LSTM(4, return_sequences=True),
    )
    ours(x), keras_own(x)
    keras_own.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(x), keras_own(x), atol=1e-6)


def test_weights_are_dropped_once_for_a_training_step():
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    x[1] = x[0]
    layer = WeightDropRNN(WeightDropLSTMCell(4, weight_drop=0.5, seed=1), return_sequences=True)
    plain, first, second = np.asarray(layer(x)), np.asarray(layer(x, training=True)), np.asarray(layer(x, training=True))
    np.testing.assert_allclose(first[0], first[1], atol=1e-6)  # the same for every sequence
    np.testing.assert_allclose(first[:, 0], plain[:, 0], atol=1e-6)  # the first step has nothing recurrent
    assert np.abs(first - plain).max() > 1e-3 and np.abs(first - second).max() > 1e-3
    np.testing.assert_allclose(layer(x), plain, atol=1e-6)
