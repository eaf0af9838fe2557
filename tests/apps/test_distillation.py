"""The base of the size micro: made by its command, in the encoder's own units, and what starts from it."""

import numpy as np
import pytest

import zoo
from apps.cli import main
from apps.trigger_word import distillation
from apps.trigger_word.config import Config
from apps.trigger_word.features import features
from apps.trigger_word.functions import builder_arguments, model
from apps.trigger_word.recordings import bundled
from apps.trigger_word.sound import RATE
from zoo.errors import InputError


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(folder / "cache"))
        patch.setattr(distillation, "speech", lambda split: bundled("other")[split][:6])
        patch.setattr(distillation, "rendered", lambda *_: [])
        patch.setattr(distillation, "VALIDATION_SCENES", 8)
        options = [
            "--scenes",
            "64",
            "--steps",
            "30",
            "--steps-per-epoch",
            "15",
            "--batch-size",
            "8",
            "--output",
            str(folder / "run"),
        ]
        assert main(["trigger-word", "distil", *options]) == 0
        first = zoo.load(folder / "run" / "micro-speech").get_weights()
        assert main(["trigger-word", "distil", *options]) == 0  # goes on where it was: at the end
    for one, other in zip(first, zoo.load(folder / "run" / "micro-speech").get_weights()):
        np.testing.assert_array_equal(one, other)
    return folder / "run" / "micro-speech"


def test_it_speaks_in_the_encoders_numbers(base):
    samples = np.concatenate([clip.samples for clip in bundled("other")["val"][:20]])[: 30 * RATE].astype(np.float32) / 32768
    samples = samples[: len(samples) // 1280 * 1280][None]
    said = np.asarray(features(Config()).of_batch(samples))[0]
    repeated = np.asarray(zoo.load(base)(features(Config(size="micro")).of_batch(samples))["embedding"])[0]
    assert repeated.shape == said.shape
    # a short training knows the mean and the scale of each number
    assert np.mean((repeated - said) ** 2) < np.mean((said - np.roll(said, 1, axis=1)) ** 2) / 2
    assert "trained from scratch" in (base / "NOTICE.md").read_text() and "no transcript" in (base / "card.md").read_text()


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
