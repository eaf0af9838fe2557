"""What detectors start from: made by its command, in the published encoder's own units, and what starts from it."""

import json

import numpy as np
import pytest

import zoo
from apps.cli import main
from apps.data import encoder
from apps.data.sound import RATE
from apps.trigger_word import distillation
from apps.trigger_word.config import Config
from apps.trigger_word.features import features
from apps.trigger_word.functions import builder_arguments, model
from apps.trigger_word.recordings import bundled
from zoo.errors import InputError


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    """A function of options that gives the preset."""
    folder = tmp_path_factory.mktemp("distilled")
    common = "--scenes 64 --steps-per-epoch 15 --batch-size 8".split()

    def distil(name, *options):
        assert main(["trigger-word", "distil", *common, *options, "--output", str(folder / name)]) == 0
        return next(folder.glob(f"{name}/*/preset.json")).parent

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(folder / "cache"))
        patch.setattr(distillation, "speech", lambda split: bundled("other")[split][:6])
        patch.setattr(distillation, "rendered", lambda *_: [])
        patch.setattr(distillation, "VALIDATION_SCENES", 8)
        yield distil


@pytest.fixture(scope="module")
def base(distilled):
    first = zoo.load(distilled("micro", "--steps", "30")).get_weights()
    preset = distilled("micro", "--steps", "30")  # goes on where it was: at the end
    for one, other in zip(first, zoo.load(preset).get_weights()):
        np.testing.assert_array_equal(one, other)
    return preset


@pytest.fixture(scope="module")
def samples():
    found = np.concatenate([clip.samples for clip in bundled("other")["val"][:20]])[: 30 * RATE].astype(np.float32) / 32768
    return found[: len(found) // 1280 * 1280][None]


def test_it_speaks_in_the_encoders_numbers(base, samples):
    said = np.asarray(features(Config(encoder=encoder.PUBLISHED)).of_batch(samples))[0]
    repeated = np.asarray(zoo.load(base)(features(Config(size="micro")).of_batch(samples))["embedding"])[0]
    assert repeated.shape == said.shape
    # a short training knows the mean and the scale of each number
    assert np.mean((repeated - said) ** 2) < np.mean((said - np.roll(said, 1, axis=1)) ** 2) / 2
    assert "trained from scratch" in (base / "NOTICE.md").read_text() and "no transcript" in (base / "card.md").read_text()


def test_the_encoder_itself_is_trained_further_from_where_it_is(distilled, samples):
    preset = distilled("standard", "--size", "standard", "--steps", "15", "--learning-rate", "0.0005")
    figures = json.loads((preset / "metrics.json").read_text())
    assert figures["variance_explained"] > figures["before_training"] > 0
    published, trained = (
        np.asarray(features(Config(encoder=name)).of_batch(samples))[0] for name in (encoder.PUBLISHED, str(preset))
    )
    assert 0 < np.mean((trained - published) ** 2) < 0.5 * np.var(published)
    assert "weights were changed" in encoder.notice(str(preset)) and "as published" in encoder.notice(None)
    assert preset.name == "speech-in-noise"  # what a detector starts from, unless told otherwise
    assert Config().encoder == preset.name and zoo.load(Config().encoder).count_params() == 328_224


def test_a_detector_starts_from_it_and_is_as_wide(base):
    config = Config(size="micro", base=str(base))
    network, start = model(config, None), zoo.load(base)
    shared = {layer.name for layer in start.layers if layer.weights} - {"embedding"}
    assert shared == {layer.name for layer in network.layers if layer.weights} - {"score"}
    for name in shared:
        for one, other in zip(network.get_layer(name).get_weights(), start.get_layer(name).get_weights()):
            np.testing.assert_array_equal(one, other)
    assert builder_arguments(config, None)["channels"] == 56
    with pytest.raises(InputError, match="expected a shipped preset or a preset folder"):
        model(Config(size="micro", base="nothing"), None)
