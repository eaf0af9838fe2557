"""The language model task's functions: data, model, export, evaluation, report, sample."""

import itertools
import json
import sys

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import zoo
from apps.data.text import read_lines
from apps.fit import WarmupCosine
from apps.language_model.config import TASK
from apps.language_model.corpus import NEWLINE, batches_a_pass, inputs_and_targets, line_batches, read_corpus, window_batches
from apps.language_model.generation import TextSampler
from apps.language_model.gradients import WHAT, gradient_norms
from apps.report import COLOURS, Section, figure, history_figure, svg, write_report
from apps.run_folder import read_config
from apps.task import Data
from apps.train import open_run
from tflite.export import convert, write_device_folder
from tflite.parity import compare, compare_files, record_steps
from tflite.runtime import Generator
from tflite.runtime.sampling import check_sampling
from tflite.streaming import to_step_model
from zoo.decoding.ngram import NGramModel
from zoo.errors import InputError
from zoo.folders import new_folder
from zoo.metrics.language import Perplexity
from zoo.truncated_bptt import CarriedState, windows

SAMPLES, SAMPLED = 200, 500  # texts of lines; characters of a sampled running text
ORDERS = {"lines": (2, 3, 5), "running": (3, 5, 7)}
SPLITS = ("train", "val", "test")


def data(config):
    """The corpus of a configuration, in batches."""
    corpus = read_corpus(config)
    summary = {"source": corpus.source, "split": corpus.summary}
    if config.running:
        train, validation = corpus.tokens("train"), corpus.tokens("val")
        x, y = windows(validation, batch_size=config.batch_size, length=config.window)
        callbacks = (CarriedState(batches_a_pass(train, config)),)
        looked_at = tf.data.Dataset.from_tensor_slices((x, {"logits": y})).batch(config.batch_size)
        return Data(lambda step: window_batches(train, config, step), looked_at, corpus, summary, callbacks=callbacks)
    length = max(len(line) for lines in corpus.parts.values() for line in lines) + 2
    train, validation = (corpus.tokens(corpus.parts[split], length) for split in ("train", "val"))
    looked_at = tf.data.Dataset.from_tensor_slices(inputs_and_targets(validation)).batch(256).cache()
    return Data(lambda step: line_batches(train, config, step), looked_at, corpus, summary)


def builder_arguments(config, data):
    """What `zoo.build` makes the configuration's model from."""
    shared = {
        "vocabulary": len(data.content.vocabulary),
        "dimensions": config.dimensions,
        "dropout": config.dropout,
        "mask_padding": not config.running,
        "seed": config.seed,
    }
    if config.model == "neural_probabilistic_language_model":
        return {**shared, "units": config.units, "context": config.context}
    if config.model == "transformer_language_model":
        return {**shared, "depth": config.depth, "heads": config.heads, "window": config.window, "tied": config.tied}
    options = ("units", "depth", "tied", "layer_norm", "residual", "locked_dropout", "embedding_dropout")
    return {**shared, **{name: getattr(config, name) for name in options}}


CLIPPING = {"none": None, "value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def model(config, data):
    """The configuration's model, compiled: mean nats a character over what is not padding. On running text it carries its states."""
    carried = {"stateful_batch": config.batch_size} if config.running and config.recurrent else {}
    network = zoo.build(config.model, **builder_arguments(config, data), **carried)
    clip = {CLIPPING[config.clip]: config.clip_at} if CLIPPING[config.clip] else {}
    network.compile(
        keras.optimizers.AdamW(WarmupCosine(config.learning_rate, config.steps), weight_decay=0.01, **clip),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        metrics={"logits": [Perplexity()]},
    )
    return network


def finish(network, folder, config, data):
    """The model without states of its own, which the caller carries from now on."""
    whole = zoo.build(config.model, **builder_arguments(config, data))
    whole.set_weights(network.get_weights())
    return whole


def assets(data):
    """The vocabulary, a JSON list."""
    return {"vocabulary.json": json.dumps(data.content.vocabulary, ensure_ascii=False) + "\n"}


def export(network, folder, config, data):
    """Writes saved_model/ (samples inside) and device/; returns how far each is from Keras."""
    corpus = data.content
    length = SAMPLED if config.running else config.max_length
    sampler = TextSampler(network, list(corpus.vocabulary), length, corpus.ends)
    with new_folder(folder / "saved_model") as new:
        tf.saved_model.save(sampler, str(new), {"serving_default": sampler.sample})
    step, states = to_step_model(network)
    sequences = [row[:-1] for row in corpus.sequences("train")[: 10 if config.running else 200]]
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
            "max_length": length,
            "boundary": "text" if corpus.ends else "line",
        },
        readme="# A character language model\n\n`tflite.runtime.Generator(FOLDER).sample(seed=0, index=0)` writes a text.\n",
    )
    expected = np.concatenate([logits for _, logits in recorded])
    offline = np.concatenate([np.asarray(network(row[None], training=False)["logits"])[0] for row in sequences])
    figures = {"one-step Keras against the whole line (logits)": compare(expected, offline, 1e-4)}
    manifest = json.loads((folder / "device" / "manifest.json").read_text("utf8"))
    files = (("float TFLite against Keras (logits)", float_file, 1e-3), ("int8 TFLite against Keras (logits)", int8_file, 0.5))
    figures.update(compare_files(manifest, files, sequences, "logits", expected))
    count = 10 if config.running else SAMPLES
    texts = sampler.texts(seed=config.seed, count=count)
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    saved = loaded(
        seed=tf.constant(config.seed),
        first=tf.constant(0),
        count=tf.constant(count),
        temperature=tf.constant(1.0),
        top_k=tf.constant(0),
        top_p=tf.constant(1.0),
    )["text"].numpy()
    generator = Generator(folder / "device")
    same_saved = np.array([a == b.decode() for a, b in zip(texts, saved)], float)
    same_file = np.array([a == generator.sample(config.seed, i) for i, a in enumerate(texts)], float)
    figures[f"{count} sampled texts: SavedModel against Keras"] = compare(same_saved, np.ones(count), 0)
    figures[f"{count} sampled texts: float TFLite against Keras"] = compare(same_file, np.ones(count), 0)
    return figures


def evaluate(folder, config, data):
    """Nats a character and perplexity on the test text, through the exported files, beside n-grams (modified Kneser-Ney)."""
    corpus = data.content
    test = corpus.sequences("test")
    table = {}
    for precision in ("float", "int8"):
        generator = Generator(folder / "device", precision)
        if config.running:
            pieces = corpus.sequences("test", config.window)
            table[f"{config.model}, {precision} file, state carried"] = rate(_carried(generator, test))
            table[f"{config.model}, {precision} file, in windows of {config.window}"] = rate(map(generator.score, pieces))
        else:
            table[f"{config.model}, {precision} file"] = rate(map(generator.score, test))
    for order in ORDERS["running" if config.running else "lines"]:
        table[f"{order}-grams, modified Kneser-Ney"] = rate(ngram_nats(corpus, order))
    generator = Generator(folder / "device")
    texts = [generator.sample(config.seed, index) for index in range(5 if config.running else SAMPLES)]
    known = "\n".join(corpus.parts[split] for split in SPLITS) if config.running else {x for s in SPLITS for x in corpus.parts[s]}
    return {
        "test": f"{len(test)} lines" if corpus.ends else f"{len(corpus.parts['test']):,} characters",
        "table": table,
        "vocabulary": len(corpus.vocabulary),
        "data": data.summary,
        "samples": texts[:40],
        "share_new": sum(text not in known for text in texts) / len(texts),
        "share_distinct": len(set(texts)) / len(texts),
    }


def _carried(generator, pieces):
    """The nats of each piece of a text, read in one go."""
    nats = generator.score(np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])]))
    return _cut(nats, [len(piece) - 1 for piece in pieces])


def rate(pieces):
    """Mean nats a character with its 95% interval. pieces: arrays of the nats of characters that depend on each other."""
    pieces = list(pieces)
    totals, counts = np.array([np.sum(piece) for piece in pieces]), np.array([len(piece) for piece in pieces])
    mean = float(totals.sum() / counts.sum())
    error = float(1.96 * np.sqrt(np.sum((totals - mean * counts) ** 2)) / counts.sum())
    return {
        "nats_per_character": mean,
        "interval": [mean - error, mean + error],
        "perplexity": float(np.exp(mean)),
        "characters": int(counts.sum()),
    }


def ngram_nats(corpus, order):
    """Nats of each character of each piece of the test text under n-grams of the training text; the end of a line counts as one."""
    if corpus.ends:
        ngrams = NGramModel.estimate(corpus.parts["train"], order)
        return [-nats for nats in ngrams.score(corpus.parts["test"])]
    ngrams = NGramModel.estimate([corpus.parts["train"]], order)
    (logs,) = ngrams.score([NEWLINE + corpus.parts["test"]], end=False)
    return _cut(-logs[1:], [len(piece) - 1 for piece in corpus.sequences("test")])


def _cut(values, lengths):
    return np.split(values, np.cumsum(lengths)[:-1])


def headline(metrics):
    """The result in a few lines."""
    return [
        f"{name}: {row['nats_per_character']:.3f} nats a character ({row['interval'][0]:.3f} to {row['interval'][1]:.3f}), perplexity {row['perplexity']:.2f}"
        for name, row in metrics["table"].items()
    ]


def examples(metrics):
    """Some texts that the model wrote."""
    return [f"samples: {', '.join(text[:60].replace(NEWLINE, ' / ') for text in metrics['samples'][:8])}"]


def card(metrics):
    """The limits that a preset's card states."""
    return "It writes what looks like its training text; nothing keeps it from writing a real name or an unpleasant word.\n"


def report(folder, config, data, metrics):
    """The sections of the HTML report."""
    summary = metrics["data"]
    rows = [("model", "nats a character", "95% interval", "perplexity")]
    rows += [
        (name, f"{r['nats_per_character']:.3f}", f"{r['interval'][0]:.3f} to {r['interval'][1]:.3f}", f"{r['perplexity']:.2f}")
        for name, r in metrics["table"].items()
    ]
    return [
        Section("Data", summary["split"]),
        Section("Training", figures=((history_figure(folder, ("loss", "val_loss")), "Mean nats a character by training step."),)),
        Section(
            "Test",
            f"{metrics['test']} that training never saw, the end of each line counted as a character.",
            rows=rows,
        ),
        Section(
            "Samples",
            f"{100 * metrics['share_new']:.0f}% of the samples are in no split, {100 * metrics['share_distinct']:.0f}% are distinct.",
            code=("\n\n" + 40 * "-" + "\n\n" if config.running else "  ").join(metrics["samples"]),
        ),
    ]


def next_commands(folder, config):
    """What a person would type next."""
    if config.running:
        return [
            f"python -m apps language-model sample --run {folder} --count 1 --temperature 0.8",
            f"python -m apps language-model score --run {folder} --text MY_LINES.txt",
            "python -m apps language-model train --text MY_BOOK.txt --layout running --output run_mine",
        ]
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
    length = options.length if generator.manifest.get("boundary") == "line" else None
    for index in range(options.count):
        for character in generator.stream(
            options.seed, index, options.prefix, options.temperature, options.top_k, options.top_p, length
        ):
            sys.stdout.write(character)
            sys.stdout.flush()
        sys.stdout.write("\n")


def score(options):
    """Prints a line for each line of a file: nats in all, perplexity a character, the text with its surprises in brackets.

    Characters that the model has never seen have no probability: they are counted, shown as ?, and make their line infinite; what
    follows one is read as if a line began there.
    """
    read_config(options.run, TASK)
    lines = read_lines(options.text)
    generator = Generator(options.run / "device", options.precision)
    index = {character: i for i, character in enumerate(generator.vocabulary)}
    print("nats\tperplexity\tline")
    total, characters, unknown = 0.0, 0, 0
    for line in lines:
        known = [character in index for character in line]
        tokens = np.array([1, *(index.get(character, 1) for character in line), 1])
        nats = generator.score(tokens)
        nats[: len(line)][~np.array(known, bool)] = np.inf
        unknown += known.count(False)
        total, characters = total + nats[np.isfinite(nats)].sum(), characters + np.isfinite(nats).sum()
        worst = set(np.argsort(-nats[:-1], kind="stable")[: options.surprises])
        shown = "".join(
            f"[{character if seen else '?'}]" if i in worst or not seen else character
            for i, (character, seen) in enumerate(zip(line, known))
        )
        print(f"{nats.sum():.2f}\t{np.exp(np.mean(nats)):.2f}\t{shown}")
    note = f"; {unknown} characters that the model has never seen are left out of this line" if unknown else ""
    print(f"{total:.2f}\t{np.exp(total / characters):.2f}\tall {len(lines)} lines, {characters} characters and ends{note}")


def gradients(options):
    """Writes the notes' picture of vanishing gradients for some runs."""
    curves, rows = {}, [("run", "model", "", *WHAT)]
    for folder in options.runs:
        config = read_config(folder, TASK)
        if not config.running:
            raise InputError(
                f"{folder} holds a model of lines; expected running text, which has {options.steps} steps to look back on."
            )
        if not config.recurrent:
            raise InputError(f"{folder} holds a {config.model}; expected a recurrent one.")
        _, data, trained = open_run(TASK, folder)
        text = data.content.tokens("test")
        starts = np.linspace(0, len(text) - options.steps - 1, options.texts).astype(int)
        if starts[-1] < 0:
            raise InputError(
                f"{folder} has {len(text)} characters to test; expected more than {options.steps}. Give fewer --steps."
            )
        tokens = np.stack([text[start : start + options.steps + 1] for start in starts])
        fresh = zoo.build(config.model, **builder_arguments(config, data))
        for when, network in (("before training", fresh), ("after training", trained)):
            norms = gradient_norms(network, tokens)
            curves[f"{folder.name} ({config.model}), {when}"] = norms
            rows.append((folder.name, config.model, when, *(f"{norms[what][0] / norms[what][-1]:.1e}" for what in WHAT)))
    sections = [
        Section(
            "How far back the gradient reaches",
            "The loss is that of the last step. At each step before it: the norm of the loss's gradient with respect to what that step added to "
            f"the input matrix's gradient, to its input, and to its hidden state (an LSTM's cell included); the mean over {options.texts} windows of the test text.\n"
            f"The table has the norm {options.steps - 1} steps back as a share of the norm at the last step.",
            rows=rows,
            figures=[
                (reach_figure(curves, what), f"Gradient of the {what} by steps back; dashed before training, whole after.")
                for what in WHAT
            ],
        )
    ]
    write_report(options.output, "Vanishing gradients", sections)
    tqdm.write(f"report: {options.output}")


def reach_figure(curves, what):
    """Norms by steps back, logarithmic. curves: {'model, before training': {what: norms}}."""
    drawing, axes = figure(height=2.8)
    colours = dict(zip(dict.fromkeys(name.split(",")[0] for name in curves), itertools.cycle(COLOURS)))
    for name, norms in curves.items():
        back = np.arange(len(norms[what]))[::-1]
        dashes = {"linestyle": "--"} if "before" in name else {}
        axes.plot(back, norms[what], color=colours[name.split(",")[0]], label=name, **dashes)
    axes.set_yscale("log")
    axes.set_xlabel("steps back")
    axes.set_ylabel("norm")
    axes.legend(fontsize=8)
    return svg(drawing)
