"""The detector's device folder: export, calibration, parity, threshold."""

import json

import numpy as np
import tensorflow as tf

from apps.config import read_json
from apps.run_folder import write_json
from apps.trigger_word import evaluation
from tflite.export import convert, write_device_folder, write_saved_model
from tflite.parity import compare, compare_files, record_steps, run_whole
from tflite.runtime import Detector
from tflite.streaming import to_step_model

SAME_S = 0.2
README = """# A detector of {words}

`python -m tflite.runtime FOLDER FILE.wav` listens to a recording, `--microphone` to a microphone, `-` to raw samples.
manifest.json has all that another runtime needs: docs/devices.md of Sequence Zoo explains each field.
model.tflite is float32, model_int8.tflite has int8 weights and activations; both take and give float32.
"""

NOTICE = """# Notices

The model files were trained with Sequence Zoo, under the Apache License 2.0, on:

{sources}

The licences of recordings bind those who pass the recordings on; the model files hold none of them. The bundled and rendered
recordings were spoken by espeak-ng, flite and festival; no part of those programs is in this folder.
"""


def calibration_streams(recordings, ingredients, config, seconds=40.0):
    """Streams that show the network all it will meet: words and other speech, clean and in noise; float32 arrays."""
    words = [(w, clip.samples) for w, word in enumerate(config.words) for clip in recordings.words[word]["train"][:20]]
    spoken = evaluation.word_stream(words, 1)
    other = evaluation.speech_stream([clip.samples for clip in recordings.negatives["train"][:40]], 2)
    cut = int(seconds * 16000)
    noises = ingredients["train"].noises
    return [
        evaluation.in_noise(spoken, noises, 10.0, 3).samples[:cut],
        spoken.samples[:cut],
        other.samples[:cut],
        evaluation.in_noise(other, noises, 5.0, 4).samples[:cut],
        np.zeros(5 * 16000, np.float32),
    ]


def export(network, folder, config, layer, streams, sources, notices):
    """Writes folder/saved_model and folder/device; returns how far each is from Keras, over the calibration streams."""
    step, states = to_step_model(network, config.frames_per_step)
    frames = [np.asarray(layer(stream[None]))[0] for stream in streams]
    recorded = record_steps(step, states, frames, "score")
    float_file = convert(step)
    int8_file = convert(step, [given for inputs, _ in recorded for given in inputs])
    scores_per_step = step.output["score"].shape[1]
    # exported again after an evaluation, a run keeps its threshold
    measured = folder / "metrics.json"
    threshold = read_json(measured)["threshold"] if measured.is_file() else 0.5
    description = {
        "kind": "detector",
        "name": " ".join(config.words),
        "sample_rate": layer.options["sample_rate"],
        "front_end": layer.manifest(),
        "frames_per_step": config.frames_per_step,
        "scores_per_step": scores_per_step,
        "words": [
            {
                "word": word,
                "threshold": threshold,
                "smoothing": 1,
                "refractory_s": 1.0,
                "rearm_below": threshold / 2,
                "rearm_s": 0.2,
            }
            for word in config.words
        ],
    }
    write_device_folder(
        folder / "device",
        step,
        states,
        float_file=float_file,
        int8_file=int8_file,
        description=description,
        readme=README.format(words=", ".join(map(repr, config.words))),
        notices={"NOTICE.md": NOTICE.format(sources="\n".join(f"- {text}" for _, text in sources)), **notices},
    )
    write_saved_model(folder / "saved_model", network, layer, "score")
    return _parity(network, layer, folder, frames, recorded, float_file, int8_file)


def _parity(network, layer, folder, frames, recorded, float_file, int8_file):
    manifest = json.loads((folder / "device" / "manifest.json").read_text("utf8"))
    figures = {}
    offline = run_whole(network, frames, "score")
    streamed = np.concatenate([scores for _, scores in recorded])
    expected = np.concatenate([o[: len(s)] for o, (_, s) in zip(offline, recorded)])
    figures["one-step Keras against the whole clip"] = compare(streamed, expected, 1e-5)
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    saved = np.concatenate(
        [
            loaded.signatures["serving_default"](frames=tf.constant(f[None]))["score"].numpy()[0][: len(s)]
            for f, (_, s) in zip(frames, recorded)
        ]
    )
    figures["SavedModel against Keras"] = compare(saved, expected, 1e-4)
    files = (("float TFLite against Keras", float_file, 1e-4), ("int8 TFLite against Keras", int8_file, 0.05))
    return {**figures, **compare_files(manifest, files, frames, "score", expected)}


def set_threshold(folder, threshold):
    """Writes the threshold into the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf8"))
    for word in manifest["words"]:
        word.update(threshold=threshold, rearm_below=threshold / 2)
    write_json(path, manifest)


def compare_precisions(folder, samples):
    """How the int8 file differs from the float one over a stream.

    Detections are the same where the words are, in their order, and the times within SAME_S: a slowly rising score reaches the
    threshold a few frames sooner or later.
    """
    scores, fired = {}, {}
    for precision in ("float", "int8"):
        detector = Detector(folder, precision)
        scores[precision], fired[precision] = detector.scores(samples)[1], detector.push(samples)
    same = [d.word for d in fired["float"]] == [d.word for d in fired["int8"]]
    apart = max((abs(a.time_s - b.time_s) for a, b in zip(fired["float"], fired["int8"])), default=0.0)
    return {
        "seconds": len(samples) / 16000,
        "scores": compare(scores["int8"], scores["float"], 0.05),
        "detections": len(fired["float"]),
        "largest_time_difference_s": round(apart, 3),
        "same_detections": same and apart <= SAME_S,
    }
