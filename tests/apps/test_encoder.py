"""The pretrained encoder: found, checked, equal to the published file, and the same when it streams."""

import numpy as np
import pytest

from apps.data.encoder import encoder_file, speech_embedding
from tests.zoo.streams import assert_streams_as_a_whole
from tflite.runtime.interpreter import find_interpreter
from zoo.errors import InputError


@pytest.fixture(scope="module")
def encoder():
    return speech_embedding()


def frames(count):
    """Log-mel frames of about the encoder's range."""
    return np.random.default_rng(0).normal(7.0, 2.0, (1, count, 32)).astype("float32")


def test_it_equals_the_published_file_at_every_step(encoder):
    run = find_interpreter()(model_content=encoder_file().read_bytes())
    run.allocate_tensors()
    into, out = run.get_input_details()[0]["index"], run.get_output_details()[0]["index"]
    x = frames(160)
    found = np.asarray(encoder(x)["embedding"])[0]
    for k in range(9, 20):
        run.set_tensor(into, x[:, 8 * (k + 1) - 76 : 8 * (k + 1), :, None])
        run.invoke()
        np.testing.assert_allclose(found[k], run.get_tensor(out).ravel(), atol=1e-4, rtol=1e-5)


def test_it_streams(encoder):
    assert_streams_as_a_whole(encoder, frames(96), [8, 16, 32], tolerance=1e-4)


def test_it_is_float32_and_frozen_whatever_the_policy():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = speech_embedding()
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(layer.compute_dtype == "float32" for layer in model.layers) and not model.trainable_variables


def test_a_wrong_or_missing_encoder_ends_in_words(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="which is no file; expected pyopen-wakeword"):
        speech_embedding(tmp_path / "none.tflite")
    (tmp_path / "other.tflite").write_bytes(b"1234TFL3")
    with pytest.raises(InputError, match="has the checksum .* another file than"):
        speech_embedding(tmp_path / "other.tflite")
    with pytest.raises(InputError, match="`encoder` is 'micro-speech', a preset of micro_speech_embedding; expected one of"):
        speech_embedding("micro-speech")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="is not installed; run `pip install pyopen-wakeword"):
        speech_embedding()
