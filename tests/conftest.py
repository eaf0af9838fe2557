"""Shared fixtures: device folders of tiny models, and the mirror of real recordings where there is one."""

import os

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["ZOO_CACHE"] = os.environ.get("ZOO_TEST_CACHE", os.path.join(os.path.dirname(__file__), "..", "build", "cache"))


@pytest.fixture(scope="session")
def mirror():
    """The folder of real data sets."""
    folder = os.environ.get("ZOO_DATA_MIRROR")
    if not folder:
        pytest.skip("ZOO_DATA_MIRROR names no mirror of real recordings")
    return folder


@pytest.fixture(scope="session")
def tone_detector(tmp_path_factory):
    """A device folder of a small network with fixed weights that hears a low and a high tone, float and int8."""
    folder = tmp_path_factory.mktemp("tone") / "device"
    make_tone_detector(folder)
    return folder


def make_tone_detector(folder):
    """Writes that device folder."""
    import keras

    import zoo
    from tflite.export import convert, write_device_folder
    from tflite.parity import record_steps
    from tflite.streaming import to_step_model
    from zoo.layers.audio import MelFrontEnd

    layer = MelFrontEnd(bands=8, compression="log")
    model = zoo.build("tcn_trigger_word", num_mels=8, channels=4, blocks=1, kernel_size=3, dropout=0.0, words=2)
    weights = {
        "stem": np.zeros((5, 8, 4)),
        "block_1_time": np.zeros((3, 4, 1)),
        "block_1_mix": np.zeros((4, 4)),
        "score": np.zeros((4, 2)),
    }
    weights["stem"][4, 0, 0] = weights["stem"][4, 7, 1] = 1.0  # the lowest and the highest band, of the newest frame
    weights["score"][0, 0] = weights["score"][1, 1] = 3.0
    for name, kernel in weights.items():
        bias = [np.full(2, -9.0)] if name == "score" else []
        model.get_layer(name).set_weights([kernel.astype("float32"), *bias])
    for layer_ in model.layers:
        if isinstance(layer_, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer_.get_weights()
            layer_.set_weights([gamma, beta, mean, np.full_like(variance, 1 - layer_.epsilon)])
    step, states = to_step_model(model, 4)
    frames = np.asarray(layer(tones()[None]))[0]
    ((recorded, _),) = record_steps(step, states, [frames], "score")
    word = {"threshold": 0.5, "smoothing": 1, "refractory_s": 0.5, "rearm_below": 0.25, "rearm_s": 0.1}
    description = {
        "kind": "detector",
        "name": "tones",
        "sample_rate": 16000,
        "front_end": layer.manifest(),
        "frames_per_step": 4,
        "scores_per_step": 2,
        "words": [{"word": "low", **word}, {"word": "high", **word}],
    }
    write_device_folder(
        folder,
        step,
        states,
        float_file=convert(step),
        int8_file=convert(step, recorded),
        description=description,
        readme="tones\n",
        notices={},
    )


def tones():
    """Three seconds: a low tone from 0.5 to 0.8, a high one from 1.5 to 1.8, in faint noise. (48000,) float32."""
    time = np.arange(48000) / 16000
    samples = 0.001 * np.random.default_rng(0).normal(size=48000)
    for start, frequency in ((0.5, 150.0), (1.5, 6500.0)):
        here = (time >= start) & (time < start + 0.3)
        samples[here] += 0.9 * np.sin(2 * np.pi * frequency * time[here])
    return samples.astype("float32")
