"""The language model task's functions: data, model, export, evaluation, report, sample."""

import collections
import itertools
import json
import sys

import keras
import numpy as np
import tensorflow as tf

import zoo
from apps.fit import WarmupCosine
from apps.language_model.config import TASK
from apps.language_model.corpus import batches, inputs_and_targets, read_corpus
from apps.language_model.generation import TextSampler
from apps.report import Section, history_figure
from apps.run_folder import read_config
from apps.task import Data
from tflite.export import convert, write_device_folder
from tflite.parity import compare, compare_files, record_steps
from tflite.runtime import Generator
from tflite.runtime.sampling import check_sampling
from tflite.streaming import to_step_model
from zoo.folders import new_folder
from zoo.metrics.language import Perplexity

SAMPLES = 200


def data(config):
    """The corpus of a configuration, in batches."""
    corpus = read_corpus(config)
    length = max(len(line) for lines in corpus.lines.values() for line in lines) + 2
    tokens = {split: corpus.tokens(lines, length) for split, lines in corpus.lines.items()}
    validation = tf.data.Dataset.from_tensor_slices(inputs_and_targets(tokens["val"])).batch(256).cache()
    summary = {
        "source": corpus.source,
        "lines": {split: len(lines) for split, lines in corpus.lines.items()},
        "duplicates_dropped": corpus.duplicates,
        "vocabulary": len(corpus.vocabulary),
    }
    return Data(lambda first_step: batches(tokens["train"], config, first_step), validation, corpus, summary)


def builder_arguments(config, data):
    """What `zoo.build` makes the configuration's model from."""
    return {
        "vocabulary": len(data.content.vocabulary),
        "dimensions": config.dimensions,
        "units": config.units,
        "depth": config.depth,
        "dropout": config.dropout,
        "seed": config.seed,
    }


def model(config, data):
    """The configuration's model, compiled: mean nats a character over what is not padding."""
    network = zoo.build(config.model, **builder_arguments(config, data))
    optimizer = keras.optimizers.AdamW(WarmupCosine(config.learning_rate, config.steps), weight_decay=0.01, clipnorm=1.0)
    network.compile(
        optimizer,
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        metrics={"logits": [Perplexity()]},
    )
    return network


def finish(network, folder, config, data):
    """A language model is saved as it was trained."""
    return network


def assets(data):
    """The vocabulary, a JSON list."""
    return {"vocabulary.json": json.dumps(data.content.vocabulary, ensure_ascii=False) + "\n"}


def export(network, folder, config, data):
    """Writes saved_model/ (samples inside) and device/; returns how far each is from Keras."""
    corpus = data.content
    sampler = TextSampler(network, list(corpus.vocabulary), config.max_length)
    with new_folder(folder / "saved_model") as new:
        tf.saved_model.save(sampler, str(new), {"serving_default": sampler.sample})
    step, states = to_step_model(network)
    lines = corpus.tokens(corpus.lines["train"][:200], config.max_length + 2)
    sequences = [row[: np.flatnonzero(row)[-1]] for row in lines]
    recorded = [record_steps(step, states, row, "logits") for row in sequences]
    float_file, int8_file = convert(step), convert(step, [given for inputs, _ in recorded for given in inputs])
    write_device_folder(
        folder / "device",
        step,
        states,
        float_file=float_file,
        int8_file=int8_file,
        notices={"NOTICE.md": f"# Notices\n\nTrained with Sequence Zoo, under the Apache License 2.0, on {corpus.source}.\n"},
        description={
            "kind": "generator",
            "name": corpus.source,
            "vocabulary": list(corpus.vocabulary),
            "max_length": config.max_length,
        },
        readme="# A character language model\n\n`tflite.runtime.Generator(FOLDER).sample(seed=0, index=0)` writes a text.\n",
    )
    expected = np.concatenate([logits for _, logits in recorded])
    offline = np.concatenate([np.asarray(network(row[None], training=False)["logits"])[0] for row in sequences])
    figures = {"one-step Keras against the whole line (logits)": compare(expected, offline, 1e-4)}
    manifest = json.loads((folder / "device" / "manifest.json").read_text("utf8"))
    files = (("float TFLite against Keras (logits)", float_file, 1e-3), ("int8 TFLite against Keras (logits)", int8_file, 0.5))
    figures.update(compare_files(manifest, files, sequences, "logits", expected))
    texts = sampler.texts(seed=config.seed, count=SAMPLES)
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    saved = loaded(
        seed=tf.constant(config.seed),
        first=tf.constant(0),
        count=tf.constant(SAMPLES),
        temperature=tf.constant(1.0),
        top_k=tf.constant(0),
        top_p=tf.constant(1.0),
    )["text"].numpy()
    generator = Generator(folder / "device")
    same_saved = np.array([a == b.decode() for a, b in zip(texts, saved)], float)
    same_file = np.array([a == generator.sample(config.seed, i) for i, a in enumerate(texts)], float)
    figures[f"{SAMPLES} sampled texts: SavedModel against Keras"] = compare(same_saved, np.ones(SAMPLES), 0)
    figures[f"{SAMPLES} sampled texts: float TFLite against Keras"] = compare(same_file, np.ones(SAMPLES), 0)
    return figures


def evaluate(folder, config, data):
    """Nats a character and perplexity on the test lines, through the exported files, beside n-gram counts."""
    corpus = data.content
    test = [row[: np.flatnonzero(row)[-1] + 1] for row in corpus.tokens(corpus.lines["test"], config.max_length + 2)]
    rows = {}
    for precision in ("float", "int8"):
        generator = Generator(folder / "device", precision)
        rows[f"{config.model}, {precision} file"] = [generator.score(row) for row in test]
    train = [row[: np.flatnonzero(row)[-1] + 1] for row in corpus.tokens(corpus.lines["train"], config.max_length + 2)]
    for order in (1, 2, 3):
        rows[f"{order}-gram counts, add 0.1"] = ngram_nats(train, test, order, len(corpus.vocabulary))
    table = {name: _rate(nats) for name, nats in rows.items()}
    generator, known = Generator(folder / "device"), {line for lines in corpus.lines.values() for line in lines}
    texts = [generator.sample(config.seed, index) for index in range(SAMPLES)]
    novel = [text for text in texts if text not in known]
    return {
        "test_lines": len(test),
        "table": table,
        "vocabulary": len(corpus.vocabulary),
        "data": data.summary,
        "samples": texts[:40],
        "share_new": len(novel) / SAMPLES,
        "share_distinct": len(set(texts)) / SAMPLES,
    }


def _rate(lines):
    """Mean nats a character with its 95% interval. lines: the nats of each line's characters, which are not independent."""
    totals, counts = np.array([np.sum(line) for line in lines]), np.array([len(line) for line in lines])
    mean = float(totals.sum() / counts.sum())
    error = float(1.96 * np.sqrt(np.sum((totals - mean * counts) ** 2)) / counts.sum())
    return {
        "nats_per_character": mean,
        "interval": [mean - error, mean + error],
        "perplexity": float(np.exp(mean)),
        "characters": int(counts.sum()),
    }


def ngram_nats(train, test, order, vocabulary, added=0.1):
    """Nats of each character of each test line under counts of n-grams with a constant added; the plainest baseline.

    train, test: lists of token arrays that start and end with the boundary. vocabulary: its size, padding included.
    """
    pairs, contexts = collections.Counter(), collections.Counter()
    for context, token in itertools.chain.from_iterable(_windows(row, order) for row in train):
        pairs[context, token] += 1
        contexts[context] += 1
    choices = added * (vocabulary - 1)  # padding is never predicted
    return [
        np.array([-np.log((pairs[c, token] + added) / (contexts[c] + choices)) for c, token in _windows(row, order)])
        for row in test
    ]


def _windows(row, order):
    """(the tokens before, the token) of each character of a line."""
    padded = [0] * max(0, order - 2) + [int(token) for token in row]
    first = len(padded) - len(row) + 1
    return [(tuple(padded[i - order + 1 : i]), padded[i]) for i in range(first, len(padded))]


def headline(metrics):
    """The result in a few lines."""
    return [
        f"{name}: {row['nats_per_character']:.3f} nats a character ({row['interval'][0]:.3f} to {row['interval'][1]:.3f}), perplexity {row['perplexity']:.2f}"
        for name, row in metrics["table"].items()
    ]


def examples(metrics):
    """Some texts that the model wrote."""
    return [f"samples: {', '.join(metrics['samples'][:8])}"]


def card(metrics):
    """The limits that a preset's card states."""
    return "It writes what looks like its training lines; nothing keeps it from writing a real name or an unpleasant one.\n"


def report(folder, config, data, metrics):
    """The sections of the HTML report."""
    summary = metrics["data"]
    rows = [("model", "nats a character", "95% interval", "perplexity")]
    rows += [
        (name, f"{r['nats_per_character']:.3f}", f"{r['interval'][0]:.3f} to {r['interval'][1]:.3f}", f"{r['perplexity']:.2f}")
        for name, r in metrics["table"].items()
    ]
    split = summary["lines"]
    return [
        Section(
            "Data",
            f"{summary['source']}: {split['train']} lines to train, {split['val']} to validate, {split['test']} to test; "
            f"{summary['duplicates_dropped']} duplicates dropped before the split; {summary['vocabulary']} tokens, padding and boundary among them.",
        ),
        Section("Training", figures=((history_figure(folder, ("loss", "val_loss")), "Mean nats a character by training step."),)),
        Section(
            "Test",
            f"{metrics['test_lines']} lines that training never saw, the end of each line counted as a character.",
            rows=rows,
        ),
        Section(
            "Samples",
            f"{100 * metrics['share_new']:.0f}% of {SAMPLES} samples are in no split, {100 * metrics['share_distinct']:.0f}% are distinct.",
            code="  ".join(metrics["samples"]),
        ),
    ]


def next_commands(folder, config):
    """What a person would type next."""
    return [
        f"python -m apps language-model sample --run {folder} --count 20 --temperature 0.8",
        f"python -m apps language-model sample --run {folder} --prefix mar",
        "python -m apps language-model train --text MY_LINES.txt --output run_mine",
    ]


def sample(options):
    """Prints texts, character by character."""
    read_config(options.run, TASK)
    check_sampling(options.temperature, options.top_k, options.top_p)
    generator = Generator(options.run / "device", options.precision)
    for index in range(options.count):
        for character in generator.stream(options.seed, index, options.prefix, options.temperature, options.top_k, options.top_p):
            sys.stdout.write(character)
            sys.stdout.flush()
        sys.stdout.write("\n")
