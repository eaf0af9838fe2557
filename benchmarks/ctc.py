"""CTC's loss and beam search beside their peers: python -m benchmarks.ctc --output ctc.json. Needs ZOO_DATA_MIRROR.

The loss with its gradient (16 clips of 500 frames, 60 labels, 32 symbols) beside TensorFlow's operation of sparse labels, Keras's and PyTorch's; prefix
beam search (width 64) beside pyctcdecode with kenlm, the same pruning, with and without the same word 3-gram of the books that train. The
symbols' probabilities are made from 200 sentences of the books that test: each character for two to four frames, a blank between, in noise
that makes about a seventh of the words wrong by greedy decoding. Each figure is the best of several rounds in turn, in processes of their own.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from apps.run_folder import write_json
from benchmarks.peers import peer
from benchmarks.timing import ROOT, ROUNDS, SECONDS, best, parse, run

TORCH, PYCTCDECODE = "torch==2.13.0", "pyctcdecode==0.5.0"
LOSS = {"batch": 16, "time": 500, "labels": 60, "symbols": 32}
SEARCH = {"width": 64, "least": -5.0, "margin": 10.0, "weight": 0.5, "unknown": -23.0, "word_bonus": 1.5}
SYMBOLS = ["", " ", "'", *"abcdefghijklmnopqrstuvwxyz"]
SENTENCES, HEARD, NOISE = 200, 9.0, 1.9
TRAINED, KNOWN = 200_000, 20_000  # sentences of the books that the 3-gram counts; words that it knows


def loss(which):
    """Clips a second of loss and gradient, on TensorFlow."""
    import tensorflow as tf
    from keras import ops

    from zoo.losses.ctc import ctc_loss

    random = np.random.default_rng(0)
    batch, time, count, symbols = LOSS.values()
    logits = tf.constant(random.normal(size=(batch, time, symbols)).astype("float32"))
    labels = random.integers(1, symbols, (batch, count)).astype("int32")
    frames, lengths = np.full(batch, time, "int32"), np.full(batch, count, "int32")
    places = np.argwhere(labels)
    # its blank is the last symbol
    sparse = tf.SparseTensor(places, labels[places[:, 0], places[:, 1]] - 1, labels.shape)
    turned = tf.transpose(tf.roll(logits, -1, axis=2), (1, 0, 2))

    def ours(x):
        return ctc_loss(labels, x, lengths, frames)

    def tensorflow(x):
        return tf.nn.ctc_loss(sparse, x, None, frames, blank_index=symbols - 1)

    def keras(x):
        return ops.ctc_loss(labels, x, lengths, frames)

    function, x = {"ours": (ours, logits), "tensorflow": (tensorflow, turned), "keras": (keras, logits)}[which]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            losses = function(x)
        return losses, tape.gradient(losses, x)

    step()

    def once():
        step()[1].numpy()
        return batch

    return best(once)


def sentences():
    """(sentences of the books that train, of those that test): lists of words of letters."""
    import re

    from apps.data.text import read_set_texts
    from apps.language_model.corpus import BOOKS

    parts = {"train": [], "test": []}
    for name, chunks in sorted(read_set_texts("books", "books/*.txt")):
        split = next((split for split, names in BOOKS.items() if name in names), "train")
        if split in parts:
            text = re.sub(r"\s+", " ", "".join(chunks).lower().replace("\u2019", "'"))
            parts[split] += [re.findall(r"[a-z']+", sentence) for sentence in re.split(r"(?<=[.!?;:])\s", text)]
    return [[words for words in part if 4 <= len(words) <= 20] for part in parts.values()]


def made_up(words, random):
    """Log probabilities (frames, symbols) that say words: characters are mistaken for others as a whole, and frames differ a little."""
    frames = []
    for character in " ".join(words):
        for symbol, count in ((SYMBOLS.index(character), random.integers(2, 5)), (0, random.integers(1, 3))):
            heard = random.normal(size=len(SYMBOLS)) * NOISE
            heard[symbol] += HEARD
            frames += [heard + random.normal(size=len(SYMBOLS)) * 0.5 for _ in range(count)]
    logits = np.array(frames)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def search(folder, kind):
    """Words a second of the search; what it writes goes to a file of the folder."""
    from tflite.runtime.ctc import GreedySearch, PrefixBeamSearch
    from zoo.decoding.ngram import NGramModel

    with np.load(folder / "clips.npz") as stored:
        clips = [stored[name] for name in stored.files]
    if kind == "greedy":
        decoder = GreedySearch(SYMBOLS)
    else:
        model = NGramModel.read_arpa(folder / "words.arpa") if kind == "model" else None
        options = SEARCH if model else {**SEARCH, "word_bonus": 0.0}
        decoder = PrefixBeamSearch(SYMBOLS, language_model=model, **options)
    texts = []

    def once():
        texts.clear()
        for clip in clips:
            decoder.reset()
            decoder.push(clip)
            texts.append(decoder.best()[0].text)
        return sum(len(text.split()) for text in texts)

    found = best(once, SECONDS)
    write_json(folder / f"ours {kind}.json", texts)
    return found


def word_errors(texts, wanted):
    """The share of words that are wrong, missing or too many."""
    from rapidfuzz.distance import Levenshtein

    return sum(Levenshtein.distance(text.split(), words) for text, words in zip(texts, wanted)) / sum(map(len, wanted))


def main():
    options = parse(__doc__)
    if options.measure:
        kind, option, *folder = options.measure.split("|")
        print(loss(option) if kind == "loss" else search(Path(folder[0]), option))
        return
    from zoo.decoding.ngram import NGramModel

    torch, python = peer(TORCH, "numpy"), peer(PYCTCDECODE, "numpy<2", "kenlm==0.3.0")
    with tempfile.TemporaryDirectory() as folder:
        folder, random = Path(folder), np.random.default_rng(0)
        train, test = sentences()
        chosen = [test[i] for i in random.permutation(len(test))[:SENTENCES]]
        np.savez(folder / "clips.npz", **{f"{i:04d}": made_up(words, random) for i, words in enumerate(chosen)})
        counts = {}
        for word in (word for words in train for word in words):
            counts[word] = counts.get(word, 0) + 1
        known = sorted(counts, key=lambda word: (-counts[word], word))[:KNOWN]
        NGramModel.estimate(train[:TRAINED], 3, known).write_arpa(folder / "words.arpa")
        write_json(folder / "setting.json", {"symbols": SYMBOLS, "seconds": SECONDS, "words": known, **SEARCH})
        ours = [sys.executable, "-m", "benchmarks.ctc", "--measure"]
        rows = {
            "loss": {
                "ours": [*ours, "loss|ours"],
                "TensorFlow, sparse": [*ours, "loss|tensorflow"],
                "Keras": [*ours, "loss|keras"],
                TORCH: [
                    torch,
                    ROOT / "benchmarks" / "ctc_torch.py",
                    json.dumps({**LOSS, "seconds": SECONDS, "cores": os.cpu_count()}),
                ],
            },
            "greedy": {"ours": [*ours, f"search|greedy|{folder}"]},
        }
        for kind, name in (("alone", "beam"), ("model", "beam with a 3-gram")):
            theirs = [python, ROOT / "benchmarks" / "ctc_pyctcdecode.py", folder, kind]
            rows[name] = {"ours": [*ours, f"search|{kind}|{folder}"], PYCTCDECODE: theirs}
        speeds = {row: {who: [] for who in commands} for row, commands in rows.items()}
        for _ in range(ROUNDS):
            for row, commands in rows.items():
                for who, command in commands.items():
                    speeds[row][who].append(run(command))
        errors = {path.stem: word_errors(json.loads(path.read_text("utf8")), chosen) for path in sorted(folder.glob("* *.json"))}
    ratios = {
        f"{row}: ours, times {who}": max(found["ours"]) / max(figures)
        for row, found in speeds.items()
        for who, figures in found.items()
        if who != "ours"
    }
    print("| | |", "|---|---|", *(f"| {name} | {ratio:.2f} |" for name, ratio in ratios.items()), sep="\n")
    print("\nword errors:", ", ".join(f"{name} {100 * rate:.1f}%" for name, rate in errors.items()))
    write_json(options.output, {"a_second": speeds, "ratios": ratios, "word_errors": errors, "cores": os.cpu_count()})


if __name__ == "__main__":
    main()
