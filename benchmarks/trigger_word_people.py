"""The people's table: python -m benchmarks.trigger_word_people --output run_people

Cross-validation in 5 folds over the recordings of "computer" (speakers unknown: clips are drawn, so optimistic), against the
continuous speech at hand, in folds that are disjoint by speaker (AMI's meetings name none: by 30 s cut): each fold's detector is tested on speech and words that it
was neither trained nor tuned on. Scored by the exported file through the shipped Detector; events pooled over the folds.
Needs ZOO_DATA_MIRROR. A fold that is done is not done again.
"""

import argparse
import hashlib
import json
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from apps import run_folder
from apps.config import to_json
from apps.data.audio import through_opus
from apps.data.speech import Clip, read_set, to_int16
from apps.fit import fit, prepare
from apps.trigger_word import bundle, evaluation, functions
from apps.trigger_word.config import TASK, Config
from apps.trigger_word.recordings import SPLITS, Recordings, hours

FOLDS = 5
CONTINUOUS = ("librispeech_sample", "speechocean762_train", "negatives_small")
WORD = "computer"


def fold_of(text):
    """A fold by a hash, the same on every machine."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % FOLDS


def people():
    """(clips of the word by fold, continuous speech by fold, isolated words, noises by split)."""
    clips = sorted(read_set("wake_words_computer"), key=lambda clip: hashlib.sha256(clip.name.encode()).digest())
    # the other speech went through Opus; the detector shall not learn the codec
    coded = [
        Clip(to_int16(through_opus(clip.samples / 32768, bundle.QUALITY)), clip.name, clip.source, text=WORD) for clip in clips
    ]
    words = [([], []) for _ in range(FOLDS)]
    for index, pair in enumerate(zip(clips, coded)):
        for kept, clip in zip(words[index % FOLDS], pair):
            kept.append(clip)
    speech, isolated = [[] for _ in range(FOLDS)], read_set("speech_commands_test_v0.02", lambda row: row["label"] != "_silence_")
    for name in CONTINUOUS:
        for clip in read_set(name):
            if clip.source == "negatives_small" and "ami_meetings" not in clip.name:
                isolated.append(clip)
            else:
                speech[fold_of(f"{name} {clip.speaker or clip.name}")].append(clip)
    sounds = read_set("noise_music_ir", lambda row: row["kind"] != "impulse_response")
    noises = {split: [] for split in SPLITS}
    for index, clip in enumerate(sorted(sounds, key=lambda clip: clip.name)):
        samples = clip.samples.astype(np.float32) / 32768
        noises[("train", "train", "val", "test", "test")[index % 5]].append(samples / (np.abs(samples).max() + 1e-6))
    return words, speech, isolated, noises


def recordings_of(fold, words, speech, isolated):
    """What a fold trains on, chooses its threshold on, and is tested on (as recorded, without the codec)."""
    held = (fold + 1) % FOLDS
    rest = [f for f in range(FOLDS) if f not in (fold, held)]
    return Recordings(
        {WORD: {"train": [c for f in rest for c in words[f][1]], "val": words[held][0], "test": words[fold][0]}},
        {"train": [c for f in rest for c in speech[f]] + isolated, "val": speech[held], "test": speech[fold]},
        (
            ("words", "5-fold cross-validation over clips, speakers unknown: optimistic"),
            ("negatives", "folds disjoint by speaker"),
        ),
    )


def run_fold(fold, config, gathered, folder):
    """Trains and scores one fold; its result is kept in result.json."""
    words, speech, isolated, noises = gathered
    recordings = recordings_of(fold, words, speech, isolated)
    keras.backend.clear_session()
    prepare(config)
    data = functions.data_from(recordings, config, noises)
    model = functions.model(config, data)
    fit(model, data, config, TASK.objective, folder)
    functions.finish(model, folder, config, data)
    parity = functions.export(model, folder, config, data)
    metrics = functions.evaluate(folder, config, data)
    clips = {
        split: {"words": len(recordings.words[WORD][split]), "hours": hours(recordings.negatives[split])} for split in SPLITS
    }
    run_folder.write_json(folder / "result.json", {"metrics": metrics, "parity": parity, "clips": clips})


def pool(results):
    """Events of all folds together: the curve at each threshold, and at each fold's own shipped threshold."""
    curve = []
    for points in zip(*(result["metrics"]["curve"] for result in results)):
        curve.append({"threshold": points[0]["threshold"], **add(points)})
    shipped = []
    for result in results:
        test = result["metrics"]["shipped"]["test"]
        shipped.append(
            {
                "misses": {n: m["misses"] for n, m in test["missed"].items()},
                "words": {n: m["words"] for n, m in test["missed"].items()},
                "others": test["other_firings_in_word_streams"],
                "false_accepts": test["false_accepts"]["count"],
                "false_accepts_by_condition": test["false_accepts"]["by_condition"],
                "hours": test["false_accepts"]["hours"],
            }
        )
    return curve, add(shipped)


def add(points):
    """Counts of several folds' points, summed."""
    total = {key: sum(point[key] for point in points) for key in ("others", "false_accepts", "hours")}
    for key in ("misses", "words", "false_accepts_by_condition"):
        total[key] = {name: sum(point[key][name] for point in points) for name in points[0][key]}
    return total


def table(curve, shipped):
    """The table as Markdown lines."""
    lines = ["| | clean | 10 dB | 5 dB | false accepts an hour |", "|---|---|---|---|---|"]

    def row(name, point):
        summary = evaluation.summarise(point)
        cells = [
            f"{100 * m['rate']:.1f}% ({100 * m['interval'][0]:.1f} to {100 * m['interval'][1]:.1f})"
            for m in summary["missed"].values()
        ]
        accepts = summary["false_accepts"]
        rate = f"{accepts['per_hour']:.2f} ({accepts['interval'][0]:.2f} to {accepts['interval'][1]:.2f}; {accepts['count']} in {accepts['hours']:.1f} h)"
        lines.append(f"| {name} | {' | '.join(cells)} | {rate} |")

    row("shipped threshold (from validation)", shipped)
    for rate in (0.5, 1.0, 2.0, 5.0, 10.0):
        point = evaluation.at_rate(curve, rate)
        if point:
            row(f"at most {rate:g} an hour", point)
        else:
            lines.append(f"| at most {rate:g} an hour | not reached | | | |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the folds' runs and people.json")
    parser.add_argument("--steps", type=int, default=5000, help="training steps of each fold (default: 5000)")
    parser.add_argument("--model", default="tcn_trigger_word", help="builder (default: tcn_trigger_word)")
    options = parser.parse_args()
    config = Config(
        steps=options.steps, steps_per_epoch=500, model=options.model, target_false_accepts_per_hour=0.5, rendered_hours=0.0
    )
    gathered, results = None, []
    for fold in range(FOLDS):
        folder = options.output / f"fold_{fold}"
        run_folder.start(folder, TASK, config)  # a fold of other settings is refused
        if not (folder / "result.json").is_file():
            gathered = gathered or people()
            tqdm.write(f"fold {fold + 1} of {FOLDS}")
            run_fold(fold, config, gathered, folder)
        results.append(json.loads((folder / "result.json").read_text("utf8")))
    curve, shipped = pool(results)
    lines = table(curve, shipped)
    run_folder.write_json(
        options.output / "people.json",
        {
            "table": lines,
            "curve": curve,
            "shipped": evaluation.summarise(shipped),
            "config": to_json(config),
            "clips": [r["clips"] for r in results],
            "int8": [r["metrics"]["int8_against_float"] for r in results],
            "environment": run_folder.environment(config),
        },
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
