"""The language model task's functions: data, model, export, evaluation, report; its own verbs come from writing.py."""

import json
import math

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import zoo
from apps.fit import WarmupCosine, average
from apps.language_model.config import TASK
from apps.language_model.corpus import (
    TESTED,
    VALIDATED,
    batches_a_pass,
    inputs_and_targets,
    line_batches,
    read_corpus,
    window_batches,
)
from apps.language_model.generation import TextSampler, texts
from apps.language_model.gradients import reach_section
from apps.language_model.long_range import tasks_section
from apps.language_model.writing import complete as complete  # the commands look for the verbs here
from apps.language_model.writing import quiet_generator
from apps.language_model.writing import sample as sample
from apps.language_model.writing import score as score
from apps.report import Section, history_figure, write_report
from apps.run_folder import read_config
from apps.task import Data
from apps.train import open_run
from tflite.export import convert, write_device_folder
from tflite.parity import compare, compare_files, record_steps, run_whole
from tflite.runtime.text import NEWLINE
from tflite.streaming import to_step_model
from zoo.decoding.ngram import NGramModel
from zoo.errors import InputError
from zoo.folders import new_folder
from zoo.metrics.language import Perplexity
from zoo.truncated_bptt import CarriedState, windows

SAMPLES, SAMPLED = 200, 500  # texts of lines; tokens of a sampled running text
ORDERS = {"lines": (2, 3, 5), "running": (3, 5, 7), "words": (3, 5)}
COUNTED = 10_000_000  # tokens at most that n-grams are counted in
WEIGHED = 20_000  # tokens or lines at most that choose how much a model weighs in a mixture
SPLITS = ("train", "val", "test")


def data(config):
    """The corpus of a configuration, in batches."""
    corpus = read_corpus(config)
    summary = {"source": corpus.source, "split": corpus.summary}
    if config.running:
        train, validation = corpus.tokens("train"), corpus.tokens("val", VALIDATED)
        x, y = windows(validation, batch_size=config.batch_size, length=config.window)
        callbacks = (CarriedState(batches_a_pass(train, config)),) if config.carry else ()
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
    if config.model == "awd_lstm_language_model":
        options = ("units", "depth", "embedding_dropout", "weight_drop")
        return {**shared, **{name: getattr(config, name) for name in options}}
    options = ("units", "depth", "tied", "layer_norm", "residual", "locked_dropout", "embedding_dropout")
    return {**shared, **{name: getattr(config, name) for name in options}}


CLIPPING = {"none": None, "value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def model(config, data):
    """The configuration's model, compiled: mean nats a token over what is not padding. On running text it may carry its states."""
    carried = {"stateful_batch": config.batch_size} if config.running and config.recurrent and config.carry else {}
    network = zoo.build(config.model, **builder_arguments(config, data), **carried)
    clip = {CLIPPING[config.clip]: config.clip_at} if CLIPPING[config.clip] else {}
    schedule = WarmupCosine(config.learning_rate, config.steps)
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, **clip, **average(config)),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        # of running text, which has no padding, the loss says as much, and for a large vocabulary another softmax is dear
        metrics=None if config.running else {"logits": [Perplexity()]},
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
    sampler = TextSampler(network, corpus.tokenizer, length, corpus.ends)
    with new_folder(folder / "saved_model") as new:
        tf.saved_model.save(sampler, str(new), {"serving_default": sampler.sample})
    step, states = to_step_model(network)
    few = min(10_000, max(100, 10_000_000 // len(corpus.vocabulary)))  # tokens: each has a logit for the whole vocabulary
    recordings = corpus.sequences("train", most=few) if config.running else corpus.sequences("train")[:200]
    sequences = [row[:-1] for row in recordings]
    recorded = record_steps(step, states, sequences, "logits")
    # the rounding of carried states adds up over a long text: they stay float32
    float_file, int8_file = convert(step), convert(step, int8_weights=True)
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
            "vocabulary": corpus.vocabulary,
            "tokens": corpus.tokenizer.kind,
            "lower": corpus.tokenizer.lower,
            "max_length": length,
            "boundary": "text" if corpus.ends else "line",
        },
        readme="# A language model\n\n`tflite.runtime.Generator(FOLDER).sample(seed=0, index=0)` writes a text.\n",
    )
    expected = np.concatenate([logits for _, logits in recorded])
    offline = np.concatenate(run_whole(network, sequences, "logits"))
    figures = {"one-step Keras against the whole line (logits)": compare(expected, offline, 1e-4)}
    manifest = json.loads((folder / "device" / "manifest.json").read_text("utf8"))
    files = (("float TFLite against Keras (logits)", float_file, 1e-3), ("int8 TFLite against Keras (logits)", int8_file, 0.5))
    figures.update(compare_files(manifest, files, sequences, "logits", expected))
    count = 10 if config.running else SAMPLES
    live = texts(sampler.sample, seed=config.seed, count=count)
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    saved = texts(loaded, seed=config.seed, count=count)
    generator = quiet_generator(folder / "device", "float")
    same_saved = np.array([a == b for a, b in zip(live, saved)], float)
    same_file = np.array([a == generator.sample(config.seed, i) for i, a in enumerate(live)], float)
    figures[f"{count} sampled texts: SavedModel against Keras"] = compare(same_saved, np.ones(count), 0)
    figures[f"{count} sampled texts: float TFLite against Keras"] = compare(same_file, np.ones(count), 0)
    return figures


def evaluate(folder, config, data):
    """Nats a token and perplexity on the test text, through the exported files, beside n-grams (modified Kneser-Ney)."""
    corpus = data.content
    generators = {precision: quiet_generator(folder / "device", precision) for precision in ("float", "int8")}
    table = _table(generators, config, corpus)
    generator = generators["float"]
    written = [generator.sample(config.seed, index) for index in range(5 if config.running else SAMPLES)]
    metrics = {
        "test": f"{min(len(corpus.parts['test']), TESTED)} lines"
        if corpus.ends
        else f"{len(corpus.tokens('test', TESTED)) - 1:,} {config.tokens}",
        "token": config.tokens.removesuffix("s"),
        "table": table,
        "vocabulary": len(corpus.vocabulary),
        "data": data.summary,
        "samples": written[:40],
        "share_distinct": len(set(written)) / len(written),
    }
    if corpus.ends:
        known = {line for split in SPLITS for line in corpus.parts[split]}
        metrics["share_new"] = sum(text not in known for text in written) / len(written)
    return metrics


def _table(generators, config, corpus):
    """Every row reads the same tokens. What the interpolation weighs is chosen on the validation text."""
    lengths = [len(piece) - 1 for piece in pieces(corpus, "test", TESTED)]
    carried = ", state carried" if config.running else ""
    table, nats = {}, {}
    for name, generator in generators.items():
        nats[name] = _nats(generator, corpus, "test", TESTED, f"testing the {name} file")
        table[f"{config.model}, {name} file{carried}"] = rate(_cut(nats[name], lengths))
        if config.running and config.tokens == "characters":
            cut = corpus.sequences("test", config.window, TESTED)
            table[f"{config.model}, {name} file, in windows of {config.window}"] = rate(map(generator.score, cut))
    counted = corpus.parts["train"] if corpus.ends else [_words(corpus, corpus.tokens("train", COUNTED)[1:])]
    for order in ORDERS["lines" if corpus.ends else "words" if config.tokens == "words" else "running"]:
        ngrams = NGramModel.estimate(counted, order)
        of_ngrams = {part: ngram_nats(ngrams, corpus, part, most) for part, most in (("val", WEIGHED), ("test", TESTED))}
        table[f"{order}-grams, modified Kneser-Ney"] = rate(_cut(of_ngrams["test"], lengths))
    share = best_share(_nats(generators["float"], corpus, "val", WEIGHED, "weighing"), of_ngrams["val"])
    mixed = -np.logaddexp(np.log(share) - nats["float"], np.log(1 - share) - of_ngrams["test"])
    table[f"float file and {order}-grams, interpolated {share:.2f} to {1 - share:.2f}"] = rate(_cut(mixed, lengths))
    return table


def pieces(corpus, split, most):
    """Arrays of tokens, each with the token before it, that a table's interval takes as independent: lines, or up to 1,000 tokens."""
    if corpus.ends:
        return corpus.sequences(split)[:most]
    count = len(corpus.tokens(split, most)) - 1
    return corpus.sequences(split, max(1, min(1000, count // 30)), most)  # thirty at least, for the interval


def _nats(generator, corpus, split, most, what):
    """Nats of each token of a split: lines from their beginnings, running text in one go."""
    texts = pieces(corpus, split, most) if corpus.ends else [corpus.tokens(split, most)]
    read = (nats for text in texts for nats in generator.nats(text))
    return np.fromiter(tqdm(read, what, sum(len(text) - 1 for text in texts), unit="token"), np.float64)


def ngram_nats(ngrams, corpus, split, most):
    """The same under n-grams, which count a line's end as a token; of running text the token before it is read as context."""
    if corpus.ends:
        return -np.concatenate(ngrams.score(corpus.parts[split][:most]))
    (logs,) = ngrams.score([_words(corpus, corpus.tokens(split, most))], end=False)
    return -logs[1:]


def _words(corpus, tokens):
    return [corpus.vocabulary[token] for token in tokens]


def best_share(first, second):
    """The weight of the first of two models, 0.01 to 0.99, at which their mixture is likeliest. Both: nats of each token."""
    shares = np.linspace(0.01, 0.99, 99)
    likely = [np.logaddexp(np.log(share) - first, np.log(1 - share) - second).sum() for share in shares]
    return float(shares[int(np.argmax(likely))])


def rate(pieces):
    """Mean nats a token with its 95% interval. pieces: arrays of the nats of tokens that depend on each other."""
    pieces = list(pieces)
    totals, counts = np.array([np.sum(piece) for piece in pieces]), np.array([len(piece) for piece in pieces])
    mean = float(totals.sum() / counts.sum())
    error = float(1.96 * np.sqrt(np.sum((totals - mean * counts) ** 2)) / counts.sum())
    return {
        "nats": mean,
        "interval": [mean - error, mean + error],
        "bits": mean / math.log(2),
        "perplexity": float(np.exp(mean)),
        "tokens": int(counts.sum()),
    }


def _cut(values, lengths):
    return np.split(values, np.cumsum(lengths)[:-1])


def headline(metrics):
    """The result in a few lines."""
    return [
        f"{name}: {row['nats']:.3f} nats a {metrics['token']} ({row['interval'][0]:.3f} to {row['interval'][1]:.3f}), perplexity {row['perplexity']:.2f}"
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
    token = metrics["token"]
    rows = [("model", f"nats a {token}", "95% interval", f"bits a {token}", "perplexity")]
    rows += [
        (
            name,
            f"{r['nats']:.3f}",
            f"{r['interval'][0]:.3f} to {r['interval'][1]:.3f}",
            f"{r['bits']:.3f}",
            f"{r['perplexity']:.2f}",
        )
        for name, r in metrics["table"].items()
    ]
    seen = "that training may have seen too" if config.repeated == "kept" and not config.running else "that training never saw"
    share_new = f"{100 * metrics['share_new']:.0f}% of the samples are in no split, " if "share_new" in metrics else ""
    return [
        Section("Data", summary["split"]),
        Section("Training", figures=((history_figure(folder, ("loss", "val_loss")), f"Mean nats a {token} by training step."),)),
        Section(
            "Test",
            f"{metrics['test']} {seen}, the end of each line counted as a {token}; {metrics['vocabulary']} tokens.",
            rows=rows,
        ),
        Section(
            "Samples",
            f"{share_new}{100 * metrics['share_distinct']:.0f}% of the samples are distinct.",
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


def gradients(options):
    """Writes the notes' picture of vanishing gradients for some runs, and the table of the tasks that need a long memory."""
    if not options.runs and not options.tasks:
        raise InputError("`runs` and `tasks` are both empty; expected run folders of running text, or --tasks adding copy.")
    networks = [network for folder in options.runs for network in _before_and_after(folder, options)]
    sections = [reach_section(networks, options)] if networks else []
    if options.tasks:
        sections.append(tasks_section(options))
    write_report(options.output, "Vanishing gradients", sections)
    tqdm.write(f"report: {options.output}")


def _before_and_after(folder, options):
    """[(run, model, 'before training' or 'after training', network, tokens to look at)] of a run of running text."""
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
            f"{folder} has {len(text)} {config.tokens} to test; expected more than {options.steps}. Give fewer --steps."
        )
    tokens = np.stack([text[start : start + options.steps + 1] for start in starts])
    fresh = zoo.build(config.model, **builder_arguments(config, data))
    both = (("before training", fresh), ("after training", trained))
    return [(folder.name, config.model, when, network, tokens) for when, network in both]
