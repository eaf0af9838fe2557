"""Layers against the notes' equations, a second implementation, and their own streams."""

import keras
import numpy as np
import pytest
from matplotlib import mlab

from tests.oracles import audio
from tests.zoo.streams import assert_streams_as_a_whole
from tflite.runtime import FrontEnd
from zoo.errors import InputError
from zoo.layers.audio import MelFrontEnd, Spectrogram, speech_embedding_front_end
from zoo.layers.augmentation import SpecAugment
from zoo.layers.temporal import CausalConv2D, CausalDepthwiseConv1D, FramePadding, FrameStack, TimeConv1D

RANDOM = np.random.default_rng(7)


def speech_like(count=9000):
    random = np.random.default_rng(1)
    return (random.normal(size=count) * 0.1 * (np.sin(np.arange(count) / 900) ** 2 + 1e-3)).astype("float32")


def test_the_encoders_front_end_is_its_definition_and_the_device_computes_the_same():
    layer, samples = speech_embedding_front_end(), speech_like()
    definition = layer.manifest()
    edges = np.array(definition["edges_hz"])
    energies = audio.mel_power(samples, 400, 160, 512, edges, 16000)
    gains = 2.0**30 * 2.0 / (edges[2:] - edges[:-2])
    expected = np.log10(gains * energies + 0.4) + 2.0
    found = np.asarray(layer(samples[None]))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(FrontEnd(definition, 16000).push(samples), found, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(edges[[0, 1, -1]], [60.0, 127.7125, 3800.0], rtol=1e-5)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (3, 1), (1, 1), (2, 2)])
def test_the_causal_convolution_over_time_and_bands_is_its_definition_and_streams(kernel):
    inputs = np.random.default_rng(0).normal(size=(1, 20, 5, 2)).astype("float32")
    layer = CausalConv2D(3, kernel)
    frames = keras.Input((None, 5, 2), name="frames")
    model = keras.Model(frames, {"score": layer(frames)})
    time, bands = kernel
    padded = np.pad(inputs[0], ((time - 1, 0), ((bands - 1) // 2, bands - 1 - (bands - 1) // 2), (0, 0)))
    weights, bias = layer.get_weights()
    expected = [[np.tensordot(padded[t : t + time, b : b + bands], weights, 3) + bias for b in range(5)] for t in range(20)]
    np.testing.assert_allclose(np.asarray(layer(inputs))[0], expected, atol=1e-5)
    assert_streams_as_a_whole(model, inputs, [1, 2, 5])


@pytest.mark.parametrize("options", [{"strides": 2}, {"dilation_rate": 2}, {"data_format": "channels_first"}])
def test_a_causal_convolution_with_strides_or_other_axes_is_refused(options):
    with pytest.raises(InputError, match="`strides`, `dilation_rate`, `data_format` are"):
        CausalConv2D(3, (3, 3), **options)


@pytest.mark.parametrize("compression", ["log", "pcen"])
def test_the_front_end_is_its_definition_and_the_device_computes_the_same(compression):
    layer, samples = MelFrontEnd(compression=compression, bands=12), speech_like()
    definition = layer.manifest()
    energies = audio.mel_power(samples, 400, 160, 512, np.array(definition["edges_hz"]), 16000)
    expected = (
        np.log(energies + definition["log"]["floor"]) if compression == "log" else audio.pcen(energies, **definition["pcen"])
    )
    found = np.asarray(layer(samples[None]))[0]
    assert found.shape == expected.shape == (len(samples) // 160, 12)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(FrontEnd(definition, 16000).push(samples), found, rtol=1e-4, atol=1e-4)


def test_the_pcen_average_is_exact_over_thousands_of_frames():
    layer = MelFrontEnd(bands=4)
    energies = np.random.default_rng(2).gamma(0.5, size=(1, 3001, 4)).astype("float32")
    averages = np.asarray(layer._smooth(energies, np.full((1, 4), 0.5, "float32")))[0]
    average = np.full(4, 0.5)
    for t in range(3001):
        average = 0.975 * average + 0.025 * energies[0, t]
        if t in (0, 63, 64, 1000, 3000):
            np.testing.assert_allclose(averages[t], average, rtol=1e-5)


def test_the_course_spectrogram_is_matplotlibs():
    samples = speech_like(4000)
    expected, _, _ = mlab.specgram(samples, NFFT=200, Fs=8000, noverlap=120)
    np.testing.assert_allclose(np.asarray(Spectrogram()(samples[None]))[0], expected.T, rtol=2e-3, atol=1e-12)
    assert Spectrogram()(np.zeros((1, 441000), "float32")).shape == (1, 5511, 101)


def test_a_causal_depthwise_convolution_is_its_definition():
    layer, x = CausalDepthwiseConv1D(3, use_bias=False), RANDOM.normal(size=(2, 9, 4)).astype("float32")
    found = np.asarray(layer(x))
    kernel, padded = np.asarray(layer.kernel)[:, :, 0], np.pad(x, ((0, 0), (2, 0), (0, 0)))
    expected = sum(padded[:, k : k + 9] * kernel[k] for k in range(3))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert keras.layers.deserialize(keras.layers.serialize(layer)).get_config() == layer.get_config()


@pytest.mark.parametrize("compression", ["log", "pcen"])
def test_front_end_and_network_stream_together_from_samples(compression):
    samples = keras.Input((None,), name="samples")
    frames = MelFrontEnd(bands=6, compression=compression)(samples)
    score = keras.layers.Dense(1, "sigmoid")(CausalDepthwiseConv1D(3)(frames))
    model = keras.Model(samples, {"score": score})
    assert_streams_as_a_whole(model, speech_like(160 * 24)[None], [160, 320, 480])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"compression": "root"}, "`compression` is 'root'; expected 'log', 'log10' or 'pcen'"),
        ({"window": 600}, "`shift`, `window`, `fft` are 160, 600, 512"),
        ({"high_hz": 9000}, "`low_hz`, `high_hz` are 60.0, 9000"),
    ],
)
def test_a_wrong_front_end_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        MelFrontEnd(**arguments)


@pytest.mark.parametrize("layer", [MelFrontEnd(bands=6, compression="log"), Spectrogram(100, 40), CausalDepthwiseConv1D(3)])
def test_a_model_with_the_layer_saves_and_loads(layer, tmp_path):
    shape = (None, 4) if isinstance(layer, CausalDepthwiseConv1D) else (None,)
    inputs = keras.Input(shape, name="inputs")
    model = keras.Model(inputs, {"out": layer(inputs)})
    model.save(tmp_path / "model.keras")
    x = RANDOM.normal(size=(1, 800, *shape[1:])).astype("float32")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(x)["out"], model(x)["out"], atol=1e-6)


def test_a_strided_or_dilated_causal_depthwise_convolution_is_refused():
    with pytest.raises(InputError, match="`strides`, `dilation_rate` are .* expected 1 and 1"):
        CausalDepthwiseConv1D(3, dilation_rate=2)


def test_stacked_frames_stand_side_by_side_with_those_before():
    x = np.arange(1, 9, dtype="float32").reshape(1, 4, 2)
    expected = [[0, 0, 0, 0, 1, 2], [0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6], [3, 4, 5, 6, 7, 8]]
    np.testing.assert_array_equal(FrameStack(3)(x)[0], expected)
    with pytest.raises(InputError, match="`count` is 0"):
        FrameStack(0)


def test_spec_augment_hides_whole_frames_and_bands_in_training_alone():
    layer = SpecAugment(time_masks=2, time_width=10, band_masks=1, band_width=3, time_share=0.2, seed=0)
    frames = np.ones((64, 30, 8), "float32")
    np.testing.assert_array_equal(layer(frames), frames)
    found = np.asarray(layer(frames, training=True))
    hidden = found == 0
    times, bands = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, times[:, :, None] | bands[:, None])
    assert times.sum(axis=1).max() <= 2 * 6 and times.any() and bands.sum(axis=1).max() == 3
    assert len({row.tobytes() for row in times}) > 10  # each clip has its own
    short = np.asarray(layer(frames, mask=np.arange(30)[None] < np.full((64, 1), 5), training=True))
    assert (short[:, 6:] == 0).all(axis=2).sum() == 0  # what is hidden is a share of the clip, and in it
    with pytest.raises(InputError, match="`time_share` is 2; expected 0 to 1"):
        SpecAugment(time_share=2)


def test_padding_is_what_follows_a_clip_and_silence_inside_it_is_none():
    frames = np.ones((3, 6, 2), "float32")
    frames[0, 4:] = 0
    frames[1, 2:4] = 0
    frames[2] = 0
    mask = FramePadding().compute_mask(frames)
    assert np.asarray(mask).tolist() == [[True] * 4 + [False] * 2, [True] * 6, [False] * 6]


@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_over_time_shortens_its_mask_and_hears_no_padding(size, stride):
    random = np.random.default_rng(0)
    frames = random.normal(size=(2, 11, 3)).astype("float32")
    layer = TimeConv1D(4, size, strides=stride, causal=False)
    whole = np.asarray(layer(frames))
    if stride == 1 and size % 2:
        same = keras.layers.Conv1D(4, size, padding="same")
        same.build(frames.shape)
        same.set_weights(layer.get_weights())
        np.testing.assert_allclose(whole, same(frames), atol=1e-6)
    padded = np.concatenate([frames, random.normal(size=(2, 5, 3))], axis=1).astype("float32")
    mask = np.broadcast_to(np.arange(16) < 11, (2, 16))
    found = np.asarray(layer(padded, mask=mask))
    shorter = np.asarray(layer.compute_mask(padded, mask))
    assert found.shape[1] == shorter.shape[1] == -(-16 // stride) and shorter.sum(axis=1).tolist() == [whole.shape[1]] * 2
    np.testing.assert_allclose(found[:, : whole.shape[1]], whole, atol=1e-6)
