"""The table of wake words: python -m benchmarks.wake_words --output run_words [--rows computer-200 ...] [--sizes standard ...]

Each row is a cross-validation in 5 folds. The recordings of "computer" name no speakers: clips are drawn, so these rows are optimistic.
The other speech (LibriSpeech, speechocean762, AMI, Debian's telephone prompts where `python -m apps.data.prompts` fetched them) stands in
folds that are disjoint by speaker (AMI's meetings name none: by 30 s cut): each fold's detector is tested on speech and words that it was
neither trained nor tuned on. Scored by the exported file through the shipped Detector; events pooled over the folds.
Needs ZOO_DATA_MIRROR. A fold that is done is not done again.
"""

import argparse
import hashlib
import json
from pathlib import Path

import keras
from tqdm import tqdm

from apps import run_folder
from apps.config import to_json
from apps.data import prompts
from apps.data.speech import read_set
from apps.fit import fit, prepare
from apps.trigger_word import evaluation, functions
from apps.trigger_word.config import TASK, Config
from apps.trigger_word.recordings import SPLITS, Recordings, hours, in_the_same_codecs, near_words, says, spelled

FOLDS = 5
CONTINUOUS = ("librispeech_sample", "speechocean762_train", "negatives_small")
WORD = "computer"
# recordings to train on and to choose the threshold by; None: rendered ones
ROWS = {"computer-200": (160, 40), "computer-30": (24, 6), "computer-spelled": None}
SETTINGS = {
    "standard": {"size": "standard"},
    "scratch": {"size": "scratch", "steps": 5000, "steps_per_epoch": 500, "batch_size": 16},
}


def fold_of(text):
    """A fold by a hash, the same on every machine."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % FOLDS


def words():
    """The recordings of the word by fold."""
    clips = sorted(read_set("wake_words_computer"), key=lambda clip: hashlib.sha256(clip.name.encode()).digest())
    return [clips[fold::FOLDS] for fold in range(FOLDS)]


def other_speech(word):
    """(continuous speech without the word by fold, isolated words to train on)."""
    folds = [[] for _ in range(FOLDS)]
    isolated = read_set("speech_commands_test_v0.02", lambda row: row["label"] not in ("_silence_", word))
    for name in CONTINUOUS:
        for clip in read_set(name):
            if says(clip.text, (word,)):
                continue
            if clip.source == "negatives_small" and "ami_meetings" not in clip.name:
                isolated.append(clip)
            else:
                folds[fold_of(f"{name} {clip.speaker or clip.name}")].append(clip)
    if prompts.fetched():
        speakers = sorted({speaker for _, speaker, *_ in prompts.PACKAGES})
        for clip in prompts.read_prompts():
            if not says(clip.text, (word,)):
                folds[speakers.index(clip.speaker) % FOLDS].append(clip)
    return folds, isolated


def recordings_of(fold, counts, words, speech, isolated):
    """What a fold trains on, chooses its threshold on, and is tested on (as recorded, without the codec)."""
    held = (fold + 1) % FOLDS
    rest = [f for f in range(FOLDS) if f not in (fold, held)]
    if counts is None:
        said = spelled(WORD)
        train, val = said["train"], said["val"]
    else:
        # in turn from each fold
        train = [clip for clips in zip(*(words[f] for f in rest)) for clip in clips][: counts[0]]
        val = words[held][: counts[1]]
    recordings = Recordings(
        {WORD: {"train": train, "val": val, "test": words[fold]}},
        {"train": [c for f in rest for c in speech[f]] + isolated, "val": speech[held], "test": speech[fold]},
        (
            ("words", "5-fold cross-validation over clips, speakers unknown: optimistic"),
            ("negatives", "folds disjoint by speaker; AMI's meetings, 7 minutes, by cut"),
        ),
        near=tuple(near_words((WORD,))),
    )
    return in_the_same_codecs(recordings)


def run_fold(recordings, config, folder):
    """Trains and scores one fold; its result is kept in result.json."""
    keras.backend.clear_session()
    prepare(config)
    data = functions.data_from(recordings, config)
    model, _ = fit(
        functions.model(config, data),
        data,
        config,
        TASK.objective,
        folder,
        finish=lambda m: functions.finish(m, folder, config, data),
    )
    parity = functions.export(model, folder, config, data)
    metrics = functions.evaluate(folder, config, data)
    clips = {
        split: {"words": len(recordings.words[WORD][split]), "hours": hours(recordings.negatives[split])} for split in SPLITS
    }
    commit = run_folder.environment(config)["git_commit"]
    run_folder.write_json(folder / "result.json", {"metrics": metrics, "parity": parity, "clips": clips, "git_commit": commit})


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
        cells = map(evaluation.percent, summary["missed"].values())
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
    parser.add_argument("--output", type=Path, required=True, help="folder for the folds' runs and a JSON file for each row")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="what is trained on (default: all)")
    parser.add_argument("--sizes", nargs="+", choices=SETTINGS, default=["standard"], help="of the detectors (default: standard)")
    options = parser.parse_args()
    gathered = None
    for row in options.rows:
        for size in options.sizes:
            config, results = Config(**SETTINGS[size], rendered_hours=0.0), []
            for fold in range(FOLDS):
                folder = options.output / row / size / f"fold_{fold}"
                run_folder.start(folder, TASK, config)  # a fold of other settings is refused
                if not (folder / "result.json").is_file():
                    gathered = gathered or (words(), *other_speech(WORD))
                    tqdm.write(f"{row}, {size}: fold {fold + 1} of {FOLDS}")
                    run_fold(recordings_of(fold, ROWS[row], *gathered), config, folder)
                results.append(json.loads((folder / "result.json").read_text("utf8")))
            curve, shipped = pool(results)
            lines = table(curve, shipped)
            run_folder.write_json(
                options.output / f"{row}_{size}.json",
                {
                    "table": lines,
                    "curve": curve,
                    "shipped": evaluation.summarise(shipped),
                    "config": to_json(config),
                    "clips": [r["clips"] for r in results],
                    "int8": [r["metrics"]["int8_against_float"] for r in results],
                    "git_commits": [r["git_commit"] for r in results],
                    "environment": run_folder.environment(config),
                },
            )
            print(f"\n{row}, {size}\n", *lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
