"""Writes the golden files of this release: python -m tests.golden.make. Run it once for a new format, never to make a test pass."""

import json
import shutil
from pathlib import Path

import numpy as np

import zoo
from tests.conftest import make_tone_detector, tones
from tests.zoo.test_registry import save_example
from tflite.runtime import Detector
from zoo.layers.audio import MelFrontEnd, speech_embedding_front_end

HERE = Path(__file__).parent
TOKENS = np.array([[1, 2, 3, 4, 5, 6]])


def samples():
    """A second of 16-bit samples that arithmetic alone defines: a chirp with pauses. (16000,) int16."""
    n = np.arange(16000, dtype=np.int64)
    return np.where(n // 2000 % 4 == 3, 0, (n * n // 97) % 20011 - 10005).astype(np.int16)


def front_ends():
    """A front end of each compression."""
    return {"log": MelFrontEnd(compression="log"), "pcen": MelFrontEnd(), "log10": speech_embedding_front_end()}


def main():
    heard = samples().astype(np.float32) / 32768
    layers = front_ends()
    features = {c: np.asarray(layer(heard[None]))[0].round(5).tolist() for c, layer in layers.items()}
    definitions = {c: layer.manifest() for c, layer in layers.items()}
    (HERE / "front_end.json").write_text(json.dumps({"definitions": definitions, "features": features}) + "\n")
    for name in ("device_v1", "preset_v1"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    make_tone_detector(HERE / "device_v1")
    scores = {
        precision: Detector(HERE / "device_v1", precision).scores(tones())[1].round(5).tolist() for precision in ("float", "int8")
    }
    save_example(HERE / "preset_v1")
    logits = np.asarray(zoo.load(HERE / "preset_v1")(TOKENS)["logits"]).round(6).tolist()
    (HERE / "outputs.json").write_text(json.dumps({"device_v1": scores, "preset_v1": logits}) + "\n")


if __name__ == "__main__":
    main()
