"""The translation task's functions: data, model, export, evaluation, report; its own verbs come from reading.py."""

import json
import sys
import time

import keras
import numpy as np
import sacrebleu
import tensorflow as tf
from tqdm import tqdm

import zoo
from apps.config import read_json
from apps.fit import WarmupCosine
from apps.intervals import wilson
from apps.report import Section, history_figure
from apps.run_folder import write_json
from apps.task import Data
from apps.translation.pairs import batch, batches, padding_share, read_pairs
from apps.translation.pictures import alignment, alignment_figure
from apps.translation.reading import errors as errors  # the commands look for the verbs here
from apps.translation.reading import translate as translate
from apps.translation.translator import TOGETHER, Translator, signatures, translated
from tflite.parity import compare
from zoo.folders import new_folder
from zoo.losses.sequence import TokenCrossentropy

PARITY, PICTURED, SHOWN = 500, 3, 20  # sources that SavedModel and Keras both translate; attention pictures; examples
RESAMPLED = 1000  # bootstrap samples of an interval
RECURRENT = ("encoder_decoder", "attention_encoder_decoder")


def data(config):
    """The pairs of a configuration, in batches."""
    pairs = read_pairs(config)
    train, validation = (pairs.encoded(pairs.parts[split]) for split in ("train", "val"))
    cut = [batch(validation[start : start + config.batch_size]) for start in range(0, len(validation), config.batch_size)]
    tokens = tf.TensorSpec([None, None], tf.int32)
    signature = ({"source": tokens, "target": tokens}, {"logits": tokens})
    looked_at = tf.data.Dataset.from_generator(lambda: iter(cut), output_signature=signature)
    looked_at = looked_at.apply(tf.data.experimental.assert_cardinality(len(cut))).cache()
    padding = padding_share(train, config)
    tqdm.write(f"padding: {100 * padding:.1f}% of a batch's tokens", file=sys.stderr)
    summary = {"source": pairs.name, "split": pairs.summary(padding), "padding": padding, "fingerprint": pairs.fingerprint}
    return Data(lambda step: batches(train, config, step), looked_at, pairs, summary)


def builder_arguments(config, data):
    """What `zoo.build` makes the configuration's model from."""
    names = ("dimensions", "depth", "dropout", "tied", "scheduled_sampling", "seed")
    if config.model in RECURRENT:
        names += ("units", "cell")
    if config.model == "attention_encoder_decoder":
        names += ("score", "feeding")
    if config.model == "transformer":
        names += ("heads",)
    sizes = {"source_vocabulary": len(data.content.source.vocabulary), "vocabulary": len(data.content.target.vocabulary)}
    return {**sizes, **{name: getattr(config, name) for name in names}}


def model(config, data):
    """The configuration's model, compiled: mean cross-entropy a target token."""
    network = zoo.build(config.model, **builder_arguments(config, data))
    network.compile(
        keras.optimizers.AdamW(WarmupCosine(config.learning_rate, config.steps), weight_decay=config.weight_decay, clipnorm=1.0),
        loss={"logits": TokenCrossentropy(config.smoothing)},
    )
    return network


def finish(network, folder, config, data):
    """The model as it was trained."""
    return network


def assets(data):
    """Both vocabularies, JSON lists."""
    sides = {"source": data.content.source, "target": data.content.target}
    return {f"{side}.json": json.dumps(tokenizer.vocabulary, ensure_ascii=False) + "\n" for side, tokenizer in sides.items()}


def export(network, folder, config, data):
    """Writes saved_model/ (searches inside, text in and text out) and the matrices of some alignments; returns how far it is from Keras."""
    pairs = data.content
    translator = Translator(network, pairs.source, pairs.target, config.max_tokens, config.width)
    with new_folder(folder / "saved_model") as new:
        tf.saved_model.save(translator, str(new), signatures(translator))
    saved = tf.saved_model.load(str(folder / "saved_model")).signatures
    sources = [source for source, _ in pairs.parts["test"][:PARITY]]
    figures = {}
    for search, live in (("beam", translator.beam), ("greedy", translator.greedy)):
        ours = translated(live, sources, config.length_penalty if search == "beam" else None)
        theirs = translated(
            saved["serving_default" if search == "beam" else search], sources, config.length_penalty if search == "beam" else None
        )
        same = np.array([a == b for a, b in zip(ours, theirs)], float)
        figures[f"{len(sources)} texts, {search} search: SavedModel against Keras"] = compare(same, np.ones(len(same)), 0)
    pictured = [pair for pair in pairs.parts["test"] if len(pair[0]) > 3][:PICTURED]
    write_json(folder / "attention.json", [alignment(network, pairs.source, pairs.target, *pair) for pair in pictured])
    return figures


def evaluate(folder, config, data):
    """Greedy and beam search through the SavedModel, with and without length normalisation, on texts that training never saw."""
    pairs = data.content
    saved = tf.saved_model.load(str(folder / "saved_model")).signatures
    searches = {
        "greedy": (saved["greedy"], None),
        f"beam {config.width}": (saved["serving_default"], 0.0),
        f"beam {config.width}, alpha {config.length_penalty:g}": (saved["serving_default"], config.length_penalty),
    }
    table, worst = {}, []
    for split in pairs.tested:
        sources = [source for source, _ in pairs.parts[split]]
        references = [target for _, target in pairs.parts[split]]
        for name, (search, alpha) in searches.items():
            translated(search, sources[:TOGETHER], alpha)  # traced before it is timed
            began = time.perf_counter()
            found = translated(search, sources, alpha)
            taken = time.perf_counter() - began
            right = [text in pairs.known[source] for source, text in zip(sources, found)]
            table[f"{split}, {name}"] = {
                "exact": sum(right) / len(right),
                "interval": [1 - bound for bound in reversed(wilson(len(right) - sum(right), len(right)))],
                **_corpus_scores(found, references),
                "texts": len(found),
                "tokens_a_second": sum(len(pairs.target.encode(text)) + 1 for text in found) / taken,
            }
        if split == "test":
            rows = [
                (sacrebleu.sentence_chrf(text, [target]).score, source, text, target)
                for source, text, target in zip(sources, found, references)
            ]
            worst = [list(row) for row in sorted(rows)[:SHOWN]]
            samples = [[source, text, target] for _, source, text, target in rows[:SHOWN]]
    return {"table": table, "worst": worst, "samples": samples, "data": data.summary, "kind": config.kind}


def _corpus_scores(found, references):
    """BLEU and chrF with 95% intervals by bootstrap, and their signatures."""
    scores = {}
    for name, metric in (("bleu", sacrebleu.BLEU()), ("chrf", sacrebleu.CHRF())):
        score = metric.corpus_score(found, [references], n_bootstrap=RESAMPLED)
        scores[name] = {"score": float(score.score), "margin": float(score._ci), "signature": str(metric.get_signature())}
    return scores


def headline(metrics):
    """The result in a few lines."""
    return [f"{name}: {_line(row, metrics['kind'])}" for name, row in metrics["table"].items()]


def _line(row, kind):
    exact = f"{100 * row['exact']:.1f}% exact ({100 * row['interval'][0]:.1f} to {100 * row['interval'][1]:.1f})"
    if kind == "characters":
        return exact
    return f"BLEU {row['bleu']['score']:.1f} (+-{row['bleu']['margin']:.1f}), chrF {row['chrf']['score']:.1f}, {exact}"


def examples(metrics):
    """Some translations."""
    return [f"{source}  ->  {text}" for source, text, _ in metrics["samples"][:5]]


def card(metrics):
    """The limits that a preset's card states."""
    return "It translates what looks like its training pairs, and writes something for any other text, too.\n"


def report(folder, config, data, metrics):
    """The sections of the HTML report."""
    metric_names = {"chrf": "chrF"} if metrics["kind"] == "characters" else {"bleu": "BLEU", "chrf": "chrF"}  # BLEU is of words
    rows = [("searched", "exact (95%)", *metric_names.values(), "tokens a second")]
    for name, row in metrics["table"].items():
        exact = f"{100 * row['exact']:.1f}% ({100 * row['interval'][0]:.1f} to {100 * row['interval'][1]:.1f})"
        scores = [f"{row[metric]['score']:.1f} ± {row[metric]['margin']:.1f}" for metric in metric_names]
        rows.append((name, exact, *scores, f"{row['tokens_a_second']:.0f}"))
    signature = "; ".join(next(iter(metrics["table"].values()))[metric]["signature"] for metric in metric_names)
    found = [picture for picture in read_json(folder / "attention.json") if picture]
    figures = tuple(
        (alignment_figure(picture), "Each row is a written token; the stronger a colour, the more it looked at that place.")
        for picture in found
    )
    head = ("source", "translation", "reference")
    return [
        Section("Data", metrics["data"]["split"]),
        Section(
            "Training",
            figures=(
                (
                    history_figure(folder, ("loss", "val_loss")),
                    "Mean cross-entropy a token, label smoothing included, by training step.",
                ),
            ),
        ),
        Section(
            "Test",
            f"Exact: one of the reference translations. {' and '.join(metric_names.values())} by sacrebleu, intervals by bootstrap.",
            rows=rows,
            note=signature,
        ),
        *([Section("Attention", figures=figures)] if figures else []),
        Section("Examples", rows=[head, *metrics["samples"]]),
        Section("Worst first", "By chrF.", rows=[head, *(row[1:] for row in metrics["worst"])]),
    ]


def next_commands(folder, config):
    """What a person would type next."""
    return [
        f"python -m apps translation translate --run {folder} --n-best 3",
        f"python -m apps translation errors --run {folder} --output errors.html",
        "python -m apps translation train --pairs MY_PAIRS.tsv --output run_mine",
    ]
