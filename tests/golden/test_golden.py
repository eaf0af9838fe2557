"""Old files load and give the numbers they gave."""

import json

import numpy as np
import pytest

import zoo
from tests.conftest import tones
from tests.golden.make import HERE, TOKENS, front_ends, samples
from tflite.runtime import Detector, FrontEnd

OUTPUTS = json.loads((HERE / "outputs.json").read_text())
FRONT_END = json.loads((HERE / "front_end.json").read_text())


@pytest.mark.parametrize("compression", ["log", "log10", "pcen"])
def test_the_front_end_gives_its_golden_features_in_training_and_on_the_device(compression):
    heard = samples().astype(np.float32) / 32768
    golden = np.array(FRONT_END["features"][compression])
    layer = front_ends()[compression]
    found, kept = layer.manifest(), dict(FRONT_END["definitions"][compression])
    np.testing.assert_allclose(found.pop("edges_hz"), kept.pop("edges_hz"), rtol=1e-12)
    if compression == "log10":  # sums and quotients of the edges, which differ in their last digit between versions of NumPy
        np.testing.assert_allclose(found["log10"]["gains"], kept["log10"]["gains"], rtol=1e-12)
        kept["log10"] = {**kept["log10"], "gains": found["log10"]["gains"]}
    assert found == kept
    np.testing.assert_allclose(np.asarray(layer(heard[None]))[0], golden, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(FrontEnd(FRONT_END["definitions"][compression], 16000).push(heard), golden, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_a_device_folder_of_version_1_gives_its_golden_scores(precision):
    _, scores = Detector(HERE / "device_v1", precision).scores(tones())
    # another interpreter may round an int8 sum to the neighbouring step
    np.testing.assert_allclose(scores, OUTPUTS["device_v1"][precision], atol=1e-4 if precision == "float" else 0.03)


def test_a_preset_of_version_1_gives_its_golden_logits():
    np.testing.assert_allclose(zoo.load(HERE / "preset_v1")(TOKENS)["logits"], OUTPUTS["preset_v1"], atol=1e-5)
