"""Renders the bundled recordings: `python -m apps.trigger_word.bundle`.

Needs espeakng-loader, and Debian's flite, festival, festvox-kdlpc16k for the recorded speakers. Every voice is in one split
only. The word is said in several manners by each voice; other words and sentences by the same voices are the negatives.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from apps.data.audio import speech_span
from apps.data.sentences import sentence
from apps.data.synthesis import ACCENTS, VARIANTS, Manner, recorded_voices, speak, split_of
from tflite.runtime.randomness import Stream

FOLDER = Path(__file__).with_name("recordings")
WORD = "computer"
TAKES = {"train": 17, "val": 12, "test": 20}
QUALITY = 0.94  # of the other speech: Ogg Opus at about 18 kbit/s
# near in sound first, then anything
WORDS = (
    "commuter compete tutor pewter composer compass competition scooter computation pumpkin future shooter yes no "
    "stop go left right up down on off hello thank you music weather window water seven eleven kitchen lights "
    "question number letter doctor summer dinner better butter never later peter peculiar "
).split()
RECORDED = ("kal", "awb", "rms", "slt", "ked")  # those that are bundled


def voices():
    """(voice, split) of the bundled voices, espeak-ng's variants first."""
    return [(voice, split_of(voice)) for voice in (*VARIANTS, *RECORDED)]


def render():
    """Writes recordings/SPLIT/computer/*.flac, recordings/SPLIT/other/*.ogg and recordings/metadata.csv.

    The word is kept lossless, as the speech that is rendered later is: a detector must not learn a codec for the word.
    """
    missing = set(RECORDED) - set(recorded_voices())
    if missing:
        sys.exit(
            f"error: the engines of {', '.join(sorted(missing))} are missing; install Debian's flite, festival and festvox-kdlpc16k."
        )
    rows = []
    for number, (voice, split) in enumerate(tqdm(voices(), desc="voices")):
        draw = Stream(2026, number)
        for take in range(TAKES[split] if voice in VARIANTS else 4):
            manner = _manner(draw, voice, take)
            samples = _trim(speak(WORD + draw.choice((".", ".", "!", "?", ",")), voice, manner), 0.1)
            rows.append(_write(f"{split}/{WORD}/{voice}_{take:02d}.flac", samples, voice, split, WORD, manner))
        manner = _manner(draw, voice, number)
        texts = [*WORDS, *(sentence(draw) for _ in range(8))]
        spoken = [np.concatenate([_trim(speak(text, voice, manner), 0.05), np.zeros(2400, np.float32)]) for text in texts]
        rows.append(_write(f"{split}/other/{voice}.ogg", np.concatenate(spoken), voice, split, "; ".join(texts), manner))
    with open(FOLDER / "metadata.csv", "w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _manner(draw, voice, take):
    rate = 120 + draw.integer(90)
    if voice in RECORDED:
        return Manner("recorded", rate, 50, 50)
    return Manner(ACCENTS[take % len(ACCENTS)], rate, 25 + draw.integer(50), 20 + draw.integer(70))


def _trim(samples, margin_s):
    start, end = speech_span(samples, pause_s=1.0)  # a sentence has pauses
    margin = int(16000 * margin_s)
    return samples[max(0, start - margin) : end + margin]


def _write(name, samples, voice, split, text, manner):
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = samples * (0.5 / np.abs(samples).max())
    if path.suffix == ".flac":
        soundfile.write(path, samples, 16000)
    else:
        soundfile.write(path, samples, 16000, format="OGG", subtype="OPUS", compression_level=QUALITY)
    return {
        "path": name,
        "split": split,
        "voice": voice,
        "accent": manner.accent,
        "rate": manner.rate,
        "pitch": manner.pitch,
        "range": manner.range,
        "seconds": f"{len(samples) / 16000:.2f}",
        "text": text,
    }


if __name__ == "__main__":
    render()
