"""Strings of spoken digits by people who were never heard: python -m benchmarks.digits --runs DIR --output digits.json. Needs ZOO_DATA_MIRROR.

Six recognisers, each trained without one of the six speakers of the Free Spoken Digits (a run in DIR that is there goes on, or is taken as it
is), on the strings of that speaker; beside pocketsphinx 5.1.1 with a grammar of digits on the same audio, whose environment is made in
build/peers on first use. Word error rates with intervals, CPU seconds for each second of audio, and errors of word boundaries.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apps.data.audio import write_audio
from apps.run_folder import read_config, write_json
from apps.speech_recognition.config import SPEAKERS, TASK
from apps.speech_recognition.corpora import DIGITS, read_corpus
from apps.speech_recognition.scoring import scored
from benchmarks.peers import peer
from tflite.runtime import Recognizer

ROOT = Path(__file__).resolve().parent.parent
POCKETSPHINX = "pocketsphinx==5.1.1"
TRAINING = "--model embedding_recognizer --channels 96 --depth 4 --kernel-size 5 --stride 4 --copies 2 --batch-size 32 --steps 1500 --steps-per-epoch 250".split()
OURS = {"greedy": ("float", "greedy"), "beam": ("float", "beam"), "int8, beam": ("int8", "beam")}
THEIRS = "pocketsphinx"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder with a run for each speaker, or to train them in")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the figures")
    options = parser.parse_args()
    python, rows = peer(POCKETSPHINX), {}
    for speaker in SPEAKERS:
        run = options.runs / speaker
        if not (run / "metrics.json").is_file():
            train = [sys.executable, "-m", "apps", TASK.name, "train", "--dataset", "digits", "--held-out", speaker]
            subprocess.run([*train, *TRAINING, "--output", str(run)], cwd=ROOT, check=True)
        said = read_corpus(read_config(run, TASK)).parts["test"]
        rows[speaker] = {name: ours(run, said, *way) for name, way in OURS.items()} | {THEIRS: theirs(python, said)}
        boundaries = json.loads((run / "metrics.json").read_text("utf8"))["boundaries"]
        rows[speaker]["boundaries"] = boundaries["test, float file"]
        print(speaker, *(f"{who} {100 * rows[speaker][who]['words']:.2f}%" for who in (*OURS, THEIRS)), flush=True)
    whole = {
        who: {key: sum(row[who][key] for row in rows.values()) / len(rows) for key in ("words", "cpu_share")}
        for who in (*OURS, THEIRS)
    }
    print(f"\n| speaker | {' | '.join(whole)} | boundaries off, median |", "|---|" + "---|" * (len(whole) + 1), sep="\n")
    for speaker, row in rows.items():
        figures = (f"{100 * row[who]['words']:.1f}%" for who in whole)
        print(f"| {speaker} | {' | '.join(figures)} | {1000 * row['boundaries']['median_s']:.0f} ms |")
    median = sum(row["boundaries"]["median_s"] for row in rows.values()) / len(rows)
    print("| mean |", *(f"{100 * row['words']:.1f}% |" for row in whole.values()), f"{1000 * median:.0f} ms |")
    print("| share of real time |", *(f"{row['cpu_share']:.3f} |" for row in whole.values()), "|")
    write_json(options.output, {"speakers": rows, "mean": whole, "training": TRAINING})


def ours(run, said, precision, method):
    """Our figures on utterances, through the device's runtime."""
    recognizer, texts, began = Recognizer(run / "device", precision, method), [], time.process_time()
    for utterance in said:
        found = [*recognizer.push(utterance.clip.samples), *recognizer.finish()]
        texts.append(" ".join(one.text for one in found))
    return _figures(said, texts, time.process_time() - began)


def theirs(python, said):
    """pocketsphinx's."""
    with tempfile.TemporaryDirectory() as folder:
        for number, utterance in enumerate(said):
            write_audio(Path(folder) / f"{number:04d}.wav", utterance.clip.samples)
        command = [python, ROOT / "benchmarks" / "digits_pocketsphinx.py", folder, " ".join(DIGITS)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return _figures(said, [found["texts"][f"{number:04d}"] for number in range(len(said))], found["cpu_s"])


def _figures(said, texts, cpu_s):
    rates = scored([utterance.text for utterance in said], texts)
    seconds = sum(utterance.clip.seconds for utterance in said)
    return {
        "words": rates["words"]["score"],
        "interval": rates["words"]["interval"],
        "exact": rates["exact"],
        "cpu_share": cpu_s / seconds,
    }


if __name__ == "__main__":
    main()
