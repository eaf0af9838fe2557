"""The table of wake words: python -m benchmarks.wake_words --output run_words [--rows computer-200 ...] [--sizes standard ...]

Recordings and other speech (LibriSpeech, speechocean762, AMI, Debian's telephone prompts where `python -m apps.data.prompts` fetched them)
stand in 5 folds. The recordings of "computer" name no speakers: clips are drawn, so its rows are optimistic; the other speech is disjoint by
speaker (AMI's meetings name none: by 30 s cut). What the sizes standard and micro start from heard the other speech of folds 0 to 2, so folds
3 and 4 test, and each chooses the other's threshold: every detector is tested on speech and words that it was neither trained nor tuned on.
The row command-words is one detector of ten words, the row personal three digits of six people, a detector each.
Scored by the exported file through the shipped Detector; events pooled. Needs ZOO_DATA_MIRROR. What is done is not done again.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import re
from pathlib import Path

import keras
import numpy as np
import soxr
from tqdm import tqdm

from apps import run_folder
from apps.config import to_json
from apps.data import dialogue, prompts
from apps.data.pronunciation import homophones
from apps.data.speech import one_in, read_set, to_int16
from apps.fit import fit, prepare
from apps.intervals import percent
from apps.trigger_word import evaluation, functions
from apps.trigger_word.config import STEPS_SPELLED, TASK, Config
from apps.trigger_word.distillation import HEARD_FOLDS
from apps.trigger_word.recordings import (
    FOLDS,
    PUBLIC,
    SPLITS,
    Recordings,
    fold_of,
    hours,
    in_the_same_codecs,
    near_words,
    says,
    spelled,
)
from tflite.runtime import Detector

WORD = "computer"
COMMAND_SET = "speech_commands_test_v0.02"
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PERSONAL_DIGITS, TAKES = 3, (7, 3)
# recordings to train on and to choose the threshold by; None: rendered ones
COMPUTER = {"computer-200": (160, 40), "computer-30": (24, 6), "computer-spelled": None}
ROWS = (*COMPUTER, "command-words", "personal")
RATES = {"command-words": 5.0, "personal": 2.0}  # false accepts an hour at which the row is read; else 0.5
SCRATCH = {"size": "scratch", "steps": 5000, "steps_per_epoch": 500, "batch_size": 16}
SETTINGS = {
    "standard": {"size": "standard"},
    "standard-published": {"size": "standard", "encoder": "published"},
    "micro": {"size": "micro"},
    "micro-random": {"size": "micro", "base": "none"},
    "scratch": SCRATCH,
    "course": {**SCRATCH, "model": "course_trigger_word"},
}
READ = (0.5, 1.0, 2.0, 5.0)  # false accepts an hour at which the rows of folds are read
UNHEARD = tuple(fold for fold in range(FOLDS) if fold not in HEARD_FOLDS)  # by what the sizes standard and micro start from


def by_hash(things, key=str):
    return sorted(things, key=lambda thing: hashlib.sha256(key(thing).encode()).digest())


@functools.lru_cache(2)
def other_speech(unwanted):
    """(continuous speech that does not say what is unwanted by fold, isolated words to train on)."""
    folds = [[] for _ in range(FOLDS)]
    isolated = read_set(COMMAND_SET, lambda row: row["label"] != "_silence_" and row["text"] not in unwanted)
    for clip in (clip for name in PUBLIC for clip in read_set(name)):
        if says(clip.text, unwanted):
            continue
        if clip.source == "negatives_small" and "ami_meetings" not in clip.name:
            isolated.append(clip)
        else:
            folds[fold_of(clip)].append(clip)
    for clip in prompts.read_prompts() if prompts.fetched() else ():
        if not says(clip.text, unwanted):
            folds[fold_of(clip)].append(clip)
    return folds, isolated


def held_by(fold):
    """The fold that chooses the threshold when `fold` tests."""
    return sum(UNHEARD) - fold


def computer(row, folds):
    """The row's detectors: a name, and a function that gives (recordings, None), each."""

    def recordings(fold):
        words = by_hash(read_set("wake_words_computer"), lambda clip: clip.name)
        words = [words[f::FOLDS] for f in range(FOLDS)]
        speech, isolated = other_speech((WORD,))
        held = held_by(fold)
        rest = [f for f in range(FOLDS) if f not in (fold, held)]
        if COMPUTER[row] is None:
            said = spelled(WORD)
            train, val = said["train"], said["val"]
        else:
            # in turn from each fold
            train = [clip for clips in zip(*(words[f] for f in rest)) for clip in clips][: COMPUTER[row][0]]
            val = words[held][: COMPUTER[row][1]]
        return Recordings(
            {WORD: {"train": train, "val": val, "test": words[fold]}},
            {
                "train": [c for f in rest for c in speech[f]] + isolated + played((WORD,), "train"),
                "val": speech[held] + played((WORD,), "val"),
                "test": speech[fold],
            },
            (
                ("words", "5-fold cross-validation over clips, speakers unknown: optimistic"),
                ("negatives", "folds disjoint by speaker; AMI's meetings, 7 minutes, by cut"),
            ),
            near=tuple(near_words((WORD,))),
        )

    return [(f"fold_{fold}", lambda fold=fold: (recordings(fold), None)) for fold in folds]


def sounds_like(word):
    """The word and what is spelled otherwise and said the same, of all that is transcribed."""
    return tuple(sorted({word, *homophones(word, transcribed())}))


@functools.cache
def transcribed():
    """All words of the transcripts."""
    clips = [*(clip for name in PUBLIC for clip in read_set(name)), *dialogue_clips()]
    return {text for clip in clips for text in re.findall(r"[\w']+", clip.text.lower())}


@functools.lru_cache(1)
def dialogue_clips():
    """The game's dialogue, which no row tests on."""
    return dialogue.read_dialogue() if dialogue.fetched() else []


def played(unwanted, split):
    """Dialogue of a split that does not say what is unwanted."""
    return [clip for clip in dialogue_clips() if clip.split == split and not says(clip.text, unwanted)]


def split_speech(unwanted):
    """Other speech by split where one detector is tested on all that what it starts from did not hear. Only what is transcribed, for common words."""
    folds, isolated = other_speech(unwanted)
    train = [clip for fold in HEARD_FOLDS for clip in folds[fold] if clip.text]
    held = {name for name in {clip.speaker or clip.name for clip in train} if one_in(6, name)}
    return {
        "train": [clip for clip in train if (clip.speaker or clip.name) not in held] + isolated + played(unwanted, "train"),
        "val": [clip for clip in train if (clip.speaker or clip.name) in held] + played(unwanted, "val"),
        "test": [clip for fold in UNHEARD for clip in folds[fold] if clip.text],
    }


def commands(*_):
    """One detector of ten words, 100 recordings of each by the speakers of train and val, tested on those of test.

    Trained and calibrated on transcribed speech that says none of the words; tested on all transcribed speech, where a word's firings within what
    says it (or what is said the same) count neither way.
    """

    def gathered():
        alike = {word: sounds_like(word) for word in COMMANDS}
        every = tuple(sorted({text for texts in alike.values() for text in texts}))
        clips = read_set(COMMAND_SET, lambda row: row["label"] in COMMANDS)
        clips = by_hash(clips, lambda clip: clip.name)
        words = {}
        for word in COMMANDS:
            said = {split: [clip for clip in clips if clip.text == word and clip.split == split] for split in SPLITS}
            words[word] = {"train": said["train"][:80], "val": said["val"][:20], "test": said["test"]}
        speech = split_speech(every)
        speech["train"] = [clip for clip in speech["train"] if clip.source != COMMAND_SET or clip.split == "train"]
        found = Recordings(
            words,
            speech,
            (("words", "split by speaker"), ("negatives", "folds disjoint by speaker")),
            near=tuple(near_words(COMMANDS)),
        )
        tests = split_speech(())["test"]
        return found, (tests, [[says(clip.text, alike[word]) for clip in tests] for word in COMMANDS])

    return [("run", gathered)]


def personal(*_):
    """A detector of each of three digits of each of six people: 10 takes to train and choose by, the other 40 to test.

    All other speech ends at 4 kHz, as the digits do.
    """
    digits = by_hash(DIGITS)[:PERSONAL_DIGITS]
    clips = [dataclasses.replace(clip, text=clip.text.lower()) for clip in by_hash(read_set("fsdd"), lambda clip: clip.name)]

    @functools.lru_cache(1)
    def speech(digit):
        parts = split_speech(sounds_like(digit))
        return {split: [narrow(clip) for clip in part] for split, part in parts.items()}

    def gathered(person, digit):
        said = [clip for clip in clips if clip.speaker == person and clip.text == digit]
        takes = {"train": said[: TAKES[0]], "val": said[TAKES[0] : sum(TAKES)], "test": said[sum(TAKES) :]}
        found = Recordings(
            {digit: takes},
            speech(digit),
            (("words", "one person"), ("negatives", "folds disjoint by speaker, 4 kHz")),
            near=tuple(map(narrow, near_words((digit,)))),
        )
        others = {
            "the person's other digits": [c for c in clips if c.speaker == person and c.text != digit][:100],
            "others' same digit": [c for c in clips if c.speaker != person and c.text == digit][:100],
        }
        return found, others

    people = sorted({clip.speaker for clip in clips})
    return [(f"{person}_{digit}", lambda p=person, d=digit: gathered(p, d)) for digit in digits for person in people]


def narrow(clip):
    """The clip without what is above 4 kHz."""
    samples = soxr.resample(soxr.resample(clip.samples.astype(np.float32) / 32768, 16000, 8000), 8000, 16000)
    return dataclasses.replace(clip, samples=to_int16(samples[: len(clip.samples)]))


def run(recordings, config, folder):
    """Trains, exports and evaluates one detector; returns what its result.json holds."""
    keras.backend.clear_session()
    prepare(config)
    recordings = in_the_same_codecs(recordings)
    data = functions.data_from(recordings, config)
    run_folder.same_data(folder, data.summary["fingerprint"], begins=True)
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
        split: {
            "words": sum(len(splits[split]) for splits in recordings.words.values()),
            "hours": hours(recordings.negatives[split]),
        }
        for split in SPLITS
    }
    commit = run_folder.environment(config)["git_commit"]
    return {"metrics": metrics, "parity": parity, "clips": clips, "git_commit": commit}, data


def word_curves(folder, config, data, clips, said):
    """Each word's curve on its own recordings and on transcribed clips, without its firings in those that say it."""
    detector, content = Detector(folder / "device"), data.content
    noises, seed = content.ingredients["test"].noises, functions.STREAM_SEEDS["test"]
    words, _ = functions.streams(content.recordings, content.ingredients["test"], config, "test", seed)
    speech = evaluation.speech_stream([clip.samples for clip in clips], seed + 1)
    spans = [(start, end + evaluation.LATE_S) for start, end in speech.clips]
    speech = evaluation.conditions(speech, noises, seed + 20)
    spoken = evaluation.score_streams(detector, words, "scoring words")
    heard = evaluation.score_streams(detector, speech, "scoring transcribed speech")
    curves = {}
    for index, word in enumerate(config.words):
        own = [span for span, says_it in zip(spans, said[index]) if says_it]
        removed, recorded = sum(end - start for start, end in own) / 3600, evaluation.of_word(spoken, index)
        points = []
        for threshold in evaluation.THRESHOLDS:
            rule = evaluation.at_threshold([detector.rules[index]], threshold)
            point = evaluation.count_at(rule, detector.score_s, recorded, {})
            accepts = {
                name: sum(
                    not any(start <= time <= end for start, end in own)
                    for _, time in evaluation.fire(rule, x[:, [index]], detector.score_s)
                )
                for name, (_, x) in heard.items()
            }
            point.update(
                threshold=threshold,
                false_accepts=sum(accepts.values()),
                false_accepts_by_condition=accepts,
                hours=sum(stream.hours - removed for stream, _ in heard.values()),
            )
            points.append(point)
        curves[word] = points
    return curves


def share_fired(folder, threshold, clips):
    """How many of some clips a detector fires at, said 2 s apart in quiet."""
    detector = Detector(folder / "device")
    stream = evaluation.word_stream([(0, clip.samples) for clip in clips], 7)
    rules = evaluation.at_threshold(detector.rules, threshold)
    hits, _ = evaluation.count_events(evaluation.fire(rules, detector.scores(stream.samples)[1], detector.score_s), stream.words)
    return len(hits)


def add(points):
    """Counts of several points, summed."""
    total = {key: sum(point[key] for point in points) for key in ("others", "false_accepts", "hours")}
    for key in ("misses", "words", "false_accepts_by_condition"):
        total[key] = {name: sum(point[key][name] for point in points) for name in points[0][key]}
    return total


def mean(points):
    """Several detectors' points as one: their counts summed; they heard the same speech, which widens the interval."""
    total = add(list(points.values()))
    total["false_accepts_by_condition"] = {
        f"{name}, {condition}": count
        for name, point in points.items()
        for condition, count in point["false_accepts_by_condition"].items()
    }
    return total


def shipped_counts(results, part="test"):
    """Events of all folds together, each at its own shipped threshold; part 'int8': through the int8 files."""
    shipped = []
    for result in results:
        test = result["metrics"]["shipped"][part]
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
    return add(shipped)


HEADER = ["| | clean | 10 dB | 5 dB | false accepts an hour |", "|---|---|---|---|---|"]


def line(name, point):
    if not point:
        return f"| {name} | not reached | | | |"
    summary = evaluation.summarise(point)
    cells = (percent(missed["rate"], missed["interval"]) for missed in summary["missed"].values())
    accepts = summary["false_accepts"]
    rate = f"{accepts['per_hour']:.2f} ({accepts['interval'][0]:.2f} to {accepts['interval'][1]:.2f}; {accepts['count']} in {accepts['hours']:.1f} h)"
    return f"| {name} | {' | '.join(cells)} | {rate} |"


def table(results):
    """The table of a row of folds as Markdown lines: the shipped thresholds, then the readings of the curves."""
    shipped = [
        line("shipped thresholds (from validation)", shipped_counts(results)),
        line("the same, through the int8 files", shipped_counts(results, "int8")),
    ]
    return [*HEADER, *shipped, *readings([result["metrics"]["curve"] for result in results])]


def readings(curves):
    """Lines of a table: each fold's detector read off its own curve, then one threshold for all of them."""
    lines = []
    for rate in READ:
        own = [evaluation.at_rate(curve, rate) for curve in curves]
        lines.append(line(f"at most {rate:g} an hour, each fold's own threshold", add(own) if all(own) else None))
    pooled = [{"threshold": points[0]["threshold"], **add(points)} for points in zip(*curves)]
    for rate in READ:
        lines.append(line(f"at most {rate:g} an hour, one threshold for all folds", evaluation.at_rate(pooled, rate)))
    return lines


def table_of_words(results, rate):
    """The table of a row of several words or people: each at its own threshold for the rate, and their mean."""
    curves = {name: curve for result in results for name, curve in result["curves"].items()}
    points = {name: evaluation.at_rate(curve, rate) for name, curve in curves.items()}
    reached = {name: point for name, point in points.items() if point}
    if not reached:
        return [*HEADER, f"| none of {len(points)} reaches {rate:g} an hour | | | | |"]
    name = f"mean of {len(reached)} of {len(points)}, each at most {rate:g} an hour"
    lines = [*HEADER, line(name, mean(reached))]
    lines += [line(name, point) for name, point in points.items()]
    elsewhere = sum(point["others"] for point in reached.values())
    lines.append(f"\nFired at another word's recordings, or between: {elsewhere} times, in the three conditions together.")
    for kind in results[0].get("fired", {}):
        fired, of = (sum(result["fired"][kind][i] for result in results) for i in (0, 1))
        lines.append(f"\nFired at {kind}, in quiet, at that threshold: {fired} of {of}.")
    return lines


def run_row(row, size, folds, output):
    """All detectors of a row; the tables' lines."""
    settings = {**SETTINGS[size], "rendered_hours": 0.0}
    make = {"command-words": commands, "personal": personal}.get(row, computer)
    if row == "command-words":
        settings.update(words=COMMANDS, target_false_accepts_per_hour=5.0 * len(COMMANDS), scenes=16000, steps=8000)
    if row == "computer-spelled":
        settings.update(steps=STEPS_SPELLED)
    if row == "personal":
        settings.update(scenes=1500, steps=1500, target_false_accepts_per_hour=2.0)
    results, names, config = [], [], None
    for name, gather in make(row, folds):
        folder = output / row / size / name
        if row == "personal":
            settings["words"] = (name.rsplit("_", 1)[1],)
        config = Config(**settings)
        run_folder.start(folder, TASK, config)  # a run of other settings is refused
        if not (folder / "result.json").is_file():
            tqdm.write(f"{row}, {size}: {name}")
            recordings, more = gather()
            result, data = run(recordings, config, folder)
            if row == "command-words":
                result["curves"] = word_curves(folder, config, data, *more)
            if row == "personal":
                result["curves"] = {name: result["metrics"]["curve"]}
                point = evaluation.at_rate(result["metrics"]["curve"], RATES[row])
                result["fired"] = {
                    kind: (share_fired(folder, point["threshold"], clips), len(clips)) if point else (0, 0)
                    for kind, clips in more.items()
                }
            run_folder.write_json(folder / "result.json", result)
        names.append(name)
        results.append(json.loads((folder / "result.json").read_text("utf8")))
    lines = table_of_words(results, RATES[row]) if row in RATES else table(results)
    run_folder.write_json(
        output / f"{row}_{size}.json",
        {
            "table": lines,
            "runs": names,
            "config": to_json(config),
            "clips": [r["clips"] for r in results],
            "shipped": [r["metrics"]["shipped"] for r in results],
            "missed_at_false_accepts_per_hour": [r["metrics"]["missed_at_false_accepts_per_hour"] for r in results],
            "int8": [r["metrics"]["int8_against_float"] for r in results],
            "git_commits": [r["git_commit"] for r in results],
            "environment": run_folder.environment(config),
        },
    )
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the runs and a JSON file for each row")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="what is trained on (default: all)")
    parser.add_argument("--sizes", nargs="+", choices=SETTINGS, default=["standard"], help="of the detectors (default: standard)")
    parser.add_argument(
        "--folds",
        nargs="+",
        type=int,
        choices=UNHEARD,
        default=list(UNHEARD),
        help="of the rows of computer (default: all)",
    )
    options = parser.parse_args()
    for row in options.rows:
        for size in options.sizes:
            print(f"\n{row}, {size}\n", *run_row(row, size, options.folds, options.output), sep="\n", flush=True)


if __name__ == "__main__":
    main()
