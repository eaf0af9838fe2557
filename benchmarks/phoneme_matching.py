"""A word from its spelling without any training on it: python -m benchmarks.phoneme_matching --output phonemes.json

A head on the pretrained encoder learns phonemes from transcribed speech (CTC: Graves et al. 2006), people's and rendered, that never says the
word; a word fires where the best path through its phonemes, against the best path of all, is likely enough. Heard on the same streams of folds
3 and 4 as the row computer-spelled of benchmarks/wake_words.py, and counted alike. Needs ZOO_DATA_MIRROR and espeakng-loader.
"""

import argparse
import re
from pathlib import Path

import keras
import numpy as np
import soxr
from keras import layers

from apps import run_folder
from apps.data import prompts
from apps.data.pronunciation import phonemes
from apps.data.sound import RATE, recorded
from apps.data.speech import read_set
from apps.trigger_word import evaluation, functions
from apps.trigger_word.config import Config
from apps.trigger_word.distillation import HEARD_FOLDS
from apps.trigger_word.features import features
from apps.trigger_word.recordings import fold_of, hours, rendered, usable
from benchmarks.wake_words import COMMAND_SET, HEADER, UNHEARD, WORD, computer, played, readings
from tflite.runtime import WordRule

# symbols of espeak-ng that the transcripts do not tell apart, or that are rare
SAME = {"ææ": "æ", "ɐɐ": "ə", "ɐ": "ə", "n̩": "n", "r": "ɹ", "ᵻ": "ɪ", "ɔ": "ɔː", "i": "iː", "ʔ": "t", "ɾ": "t"}
PER_EMBEDDING = 4  # steps of the phonemes' posteriors in an embedding's 80 ms
WIDTH, STEPS, BATCH_FRAMES = 192, 4000, 1800
VARIANTS = 4  # of each clip: as it is, faster or slower, and twice in noise
BEFORE_S, AFTER_S = 0.15, 0.45
FLOOR = 3.0  # the most that one step can speak against a phoneme, nats


def said(text):
    """The phonemes of a text, as they are told apart here."""
    return [SAME.get(symbol, symbol) for symbol in phonemes(re.sub(r"[^a-z' ]+", " ", text.lower()))]


def transcribed():
    """English clips with transcripts, of folds 0 to 2 and the dialogue, that do not say the word."""
    sets = [
        clip for name in ("librispeech_sample", "speechocean762_train") for clip in read_set(name) if fold_of(clip) in HEARD_FOLDS
    ]
    sets += [clip for clip in read_set("negatives_small") if "/en/" in clip.name]
    sets += read_set(COMMAND_SET, lambda row: row["label"] != "_silence_" and row["split"] == "train")
    sets += [clip for clip in (prompts.read_prompts() if prompts.fetched() else ()) if "sounds-en" in clip.name]
    return [clip for clip in sets + played((WORD,), "train") if clip.text and usable(clip, (WORD,))]


def embedded(clips, heard, noises, seed):
    """(embeddings (time, 96), phonemes) of each clip; seed 0: as they are."""
    draw, pieces = np.random.default_rng(seed), []
    for clip in clips:
        samples = clip.samples.astype(np.float32) / 32768
        if seed:
            samples = soxr.resample(samples, RATE, RATE * draw.uniform(0.85, 1.18))
        level = np.sqrt(np.mean(samples**2)) + 1e-6
        if seed > 1:
            noise = np.resize(np.asarray(noises[draw.integers(len(noises))], np.float32), len(samples))
            samples = samples + noise * level / (np.sqrt(np.mean(noise**2)) + 1e-6) / 10 ** (draw.uniform(3, 25) / 20)
        samples = np.clip(samples * 10 ** (draw.uniform(-40, -14) / 20) / level, -1, 1)
        pieces.append(np.pad(samples, (int(BEFORE_S * RATE), int(AFTER_S * RATE))))
    stream = np.concatenate(pieces)
    stream += draw.normal(0, 1e-4, len(stream)).astype(np.float32)
    ends = np.cumsum([len(piece) for piece in pieces]) / RATE / heard.score_s
    parts = np.split(heard.of_stream(stream), ends[:-1].astype(int))
    return [(part.astype(np.float32), said(clip.text)) for part, clip in zip(parts, clips)]


def head(symbols, mean, spread):
    """(time, 96) embeddings to (4 * time, blank and symbols) logits, causal."""
    x = inputs = keras.Input((None, len(mean)))
    x = layers.Normalization(mean=mean, variance=spread**2)(x)
    for number, size in enumerate((3, 3, 3, 1)):
        y = layers.Conv1D(WIDTH, size, padding="causal", use_bias=False)(x)
        y = layers.Dropout(0.15)(layers.ReLU()(layers.BatchNormalization()(y)))
        x = y if number in (0, 3) else x + y
    x = layers.Dense(PER_EMBEDDING * (1 + len(symbols)))(x)
    return keras.Model(inputs, layers.Reshape((-1, 1 + len(symbols)))(x))


def batches(examples, symbols):
    """Batches of examples of about one length, for ever: embeddings, and phonemes from 1, 0 where there is none."""
    number = {symbol: i for i, symbol in enumerate(symbols, 1)}
    fit = [(x, [number[s] for s in y]) for x, y in examples if y and 2 * len(y) < PER_EMBEDDING * len(x)]
    fit.sort(key=lambda example: len(example[0]))
    groups, group = [], []
    for example in fit:
        group.append(example)
        if len(group) * len(example[0]) >= BATCH_FRAMES:
            groups.append(group)
            group = []
    draw = np.random.default_rng(0)
    while True:
        xs, ys = zip(*groups[draw.integers(len(groups))])
        x = np.stack([np.pad(one, ((0, len(xs[-1]) - len(one)), (0, 0))) for one in xs])
        y = np.stack([np.pad(one, (0, max(map(len, ys)) - len(one))) for one in ys])
        yield x, y


def match(logits, word):
    """How well a word's phonemes end at each step: (time,) of at most 0, nats that the best path through them is behind the best of all.

    logits: (time, symbols). word: their indices. Viterbi over the word's phonemes with blanks between them; it may start at any step.
    """
    behind = np.maximum(logits - logits.max(axis=1, keepdims=True), -FLOOR)
    path = [symbol for phoneme in word for symbol in (0, phoneme)][1:]
    skips = np.array([i >= 2 and path[i] and path[i] != path[i - 2] for i in range(len(path))])
    score, found = np.full(len(path), -np.inf), np.empty(len(logits))
    for step, cost in enumerate(behind[:, path]):
        one, two = (np.append(before, score)[: len(path)] for before in (0.0, [-np.inf] * 2))
        score = np.maximum(np.maximum(score, one), np.where(skips, two, -np.inf)) + cost
        found[step] = score[-1]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the figures")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    config = Config(rendered_hours=0.0, scenes=64)
    heard, noises, clips = features(config), recorded()[0]["train"], transcribed()
    spoken = [clip for clip in rendered("train", 1.0, 0) if usable(clip, (WORD,))]
    examples = [example for seed in range(VARIANTS) for example in embedded(clips, heard, noises, seed)]
    examples += embedded(spoken, heard, noises, 2)
    symbols = sorted({symbol for _, word in examples for symbol in word})
    every = np.concatenate([x for x, _ in examples])
    network = head(symbols, every.mean(axis=0), every.std(axis=0))
    schedule = keras.optimizers.schedules.CosineDecay(1e-4, STEPS - 300, warmup_target=3e-3, warmup_steps=300)
    network.compile(keras.optimizers.AdamW(schedule, weight_decay=0.01, clipnorm=1.0), loss=keras.losses.CTC())
    network.fit(batches(examples, symbols), steps_per_epoch=STEPS)

    word = [1 + symbols.index(symbol) for symbol in said(WORD)]
    rules, curves = [WordRule(WORD, 0.5, rearm_below=0.25)], []
    for _, gather in computer("computer-200", UNHEARD):
        content = functions.data_from(gather()[0], config).content
        scored = []
        for streams in functions.streams(
            content.recordings, content.ingredients["test"], config, "test", functions.STREAM_SEEDS["test"]
        ):
            scored.append({})
            for name, stream in streams.items():
                logits = np.asarray(network.predict(heard.of_stream(stream.samples)[None].astype(np.float32), verbose=0))[0]
                best = match(logits, word).reshape(-1, PER_EMBEDDING).max(axis=1)
                scored[-1][name] = (stream, 1 / (1 + np.exp(-(best / 2 + 6.9)))[:, None])  # in the range of evaluation.THRESHOLDS
        curves.append(evaluation.sweep(rules, heard.score_s, *scored))
    lines = [*HEADER, *readings(curves)]
    print(*lines, sep="\n")
    run_folder.write_json(
        options.output,
        {"table": lines, "hours": hours(clips), "symbols": symbols, "environment": run_folder.environment(config)},
    )


if __name__ == "__main__":
    main()
