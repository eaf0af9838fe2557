"""The translation task's functions: data, model, export, evaluation, report; its own verbs come from reading.py."""

import json
import sys
import time

import keras
import numpy as np
import sacrebleu
import tensorflow as tf
from rapidfuzz.distance import Levenshtein
from tqdm import tqdm

import zoo
from apps.config import read_json
from apps.data.splits import shuffled
from apps.fit import WarmupCosine
from apps.intervals import bootstrap_rate, percent, wilson
from apps.report import Section, history_figure
from apps.run_folder import write_json
from apps.task import Data
from apps.translation.pairs import batch, batches, padding_share, read_pairs
from apps.translation.pictures import alignment, alignment_figure
from apps.translation.reading import attention as attention  # the commands look for the verbs here
from apps.translation.reading import errors as errors
from apps.translation.reading import translate as translate
from apps.translation.translator import TOGETHER, Translator, device_searches, saved_searches, searched, signatures
from tflite.encoder_decoder import write_translator
from tflite.parity import compare
from tflite.runtime.text import pretokens
from tflite.runtime.translator import checked
from zoo.errors import InputError
from zoo.folders import new_folder
from zoo.losses.sequence import TokenCrossentropy

# texts that Keras and the SavedModel both translate, and a device's float files; texts that its int8 files are measured on
PARITY, ON_DEVICE, COMPARED = 500, 200, 2000
TIE = 1e-4  # a difference of scores
PICTURED, SHOWN = 3, 20  # attention pictures; examples
RESAMPLED = 1000  # bootstrap samples of an interval
RECURRENT = ("encoder_decoder", "attention_encoder_decoder")


def data(config):
    """The pairs of a configuration, in batches."""
    pairs = read_pairs(config)
    train, validation = pairs.tokens["train"], pairs.tokens["val"]
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
    """Writes saved_model/ (searches inside, text in and text out), device/ and the matrices of some alignments; returns how far both are
    from Keras.
    """
    pairs = data.content
    translator = Translator(network, pairs.source, pairs.target, config.max_tokens, config.width)
    with new_folder(folder / "saved_model") as new:
        tf.saved_model.save(translator, str(new), signatures(translator))
    write_translator(
        folder / "device",
        network,
        pairs.source,
        pairs.target,
        max_length=config.max_tokens,
        width=config.width,
        length_penalty=config.length_penalty,
        name=pairs.name,
        readme="# From text to text\n\n`tflite.runtime.Translator(FOLDER).translate(TEXT)` gives `[(translation, score)]`.\n",
        notices={"NOTICE.md": f"# Notices\n\nTrained with Sequence Zoo, under the Apache License 2.0, on: {pairs.name}.\n"},
    )
    drawn = _drawn(pairs, config)
    sources = [source for source, _ in drawn][:PARITY]
    loaded, device = saved_searches(folder), device_searches(folder, "float")
    figures = {}
    for search, live, alpha in (("beam", translator.beam, config.length_penalty), ("greedy", translator.greedy, None)):
        keras_says = searched(live, sources, alpha)
        for name, count, other in (("SavedModel", PARITY, loaded), ("float TFLite", ON_DEVICE, device)):
            found = zip(keras_says[:count], other(sources[:count], alpha))
            # of two texts that score alike to rounding either may come first
            same = np.array([a[0][1] == b[0][1] or abs(a[0][0] - b[0][0]) < TIE for a, b in found], float)
            figures[f"{len(same)} texts, {search} search: {name} against Keras"] = compare(same, np.ones(len(same)), 0)
    pictured = [pair for pair in drawn if len(pair[0]) > 3][:PICTURED]
    write_json(folder / "attention.json", [alignment(network, pairs.source, pairs.target, *pair) for pair in pictured])
    return figures


def evaluate(folder, config, data):
    """Greedy and beam search through the SavedModel, with and without length normalisation, on texts that training never saw; beam search
    through the device's int8 files on some of them.
    """
    pairs = data.content
    saved, beam = saved_searches(folder), f"beam {config.width}, alpha {config.length_penalty:g}"
    searches = {"greedy": None, f"beam {config.width}, alpha 0": 0.0, beam: config.length_penalty}
    table = {}
    for split in pairs.tested:
        known = pairs.parts[split]
        for name, alpha in searches.items():
            saved([source for source, _ in known[:TOGETHER]], alpha)  # traced before it is timed
            row, found = _measured(pairs, known, saved, alpha)
            table[f"{split}, {name}"] = row
        if split == "test":
            written = dict(zip((source for source, _ in known), found))
    drawn = _drawn(pairs, config)
    some, alpha = drawn[:COMPARED], config.length_penalty
    if len(some) < len(pairs.parts["test"]):
        row = _scored(pairs, some, [written[source] for source, _ in some])
        table[f"{len(some)} of test, {beam}"] = {**row, "tokens_a_second": table[f"test, {beam}"]["tokens_a_second"]}
    name = f"{len(some)} of test, {beam}, int8 TFLite, one at a time"
    table[name] = _measured(pairs, some, device_searches(folder, "int8"), alpha)[0]
    rows = [[source, written[source], target] for source, target in drawn]
    return {
        "table": table,
        "worst": sorted(rows, key=lambda row: sacrebleu.sentence_chrf(row[1], [row[2]]).score)[:SHOWN],
        "samples": rows[:SHOWN],
        "data": data.summary,
        "scores": _shown(config),
    }


def _drawn(pairs, config):
    """The test pairs that a device can translate, too, in random order."""
    able = [pair for pair in pairs.parts["test"] if not checked(pair[0], pairs.source, config.max_tokens)[1]]
    if not able:
        raise InputError(f"no source to test has fewer than {config.max_tokens} tokens; raise --max-tokens.")
    return sorted(able, key=lambda pair: shuffled(config.seed, pair[0]))


def _measured(pairs, known, search, alpha):
    """(a row of the table, translations) of (source, reference) pairs. search(sources, alpha) -> [[(score, translation), ...]]."""
    began = time.perf_counter()
    found = [best[0][1] for best in search([source for source, _ in known], alpha)]
    taken = time.perf_counter() - began
    written = sum(len(pairs.target.encode(text)) + 1 for text in found)
    return {**_scored(pairs, known, found), "tokens_a_second": written / taken}, found


def _scored(pairs, known, found):
    """What a row of the table says of the translations of (source, reference) pairs, but how fast they came."""
    sources, references = ([pair[side] for pair in known] for side in (0, 1))
    right = [text in pairs.known[source] for source, text in zip(sources, found)]
    return {
        "exact": sum(right) / len(right),
        "interval": wilson(sum(right), len(right)),
        **_corpus_scores(found, references),
        "token_errors": _token_errors(pairs, sources, found),
        "texts": len(found),
    }


def _shown(config):
    """What of a table's row is shown: of sentences BLEU and chrF, of others the errors a token."""
    if "characters" not in (kind for kind, _ in config.cutting):
        return {"bleu": "BLEU", "bleu_lower": "BLEU, lower case", "chrf": "chrF"}
    phonemes = config.pairs is None and config.dataset == "pronounce" and not config.reverse
    return {"token_errors": "phoneme error rate" if phonemes else f"{config.cutting[1][0].removesuffix('s')} error rate"}


def _token_errors(pairs, sources, found):
    """Tokens that are wrong, missing or too many, over the tokens of the references, each the nearest of its source's: with 95% bounds."""
    counted = []
    for source, text in zip(sources, found):
        written = pretokens(text, pairs.target.kind, pairs.target.lower)
        wanted = [pretokens(known, pairs.target.kind, pairs.target.lower) for known in pairs.known[source]]
        counted.append(min((Levenshtein.distance(written, one), len(one)) for one in wanted))
    misses, sizes = zip(*counted)
    return {"score": sum(misses) / sum(sizes), "interval": bootstrap_rate(misses, sizes, RESAMPLED)}


def _corpus_scores(found, references):
    """BLEU (cased, and in lower case) and chrF with 95% intervals by bootstrap, and their signatures."""
    scores = {}
    for name, metric in (("bleu", sacrebleu.BLEU()), ("bleu_lower", sacrebleu.BLEU(lowercase=True)), ("chrf", sacrebleu.CHRF())):
        score = metric.corpus_score(found, [references], n_bootstrap=RESAMPLED)
        scores[name] = {"score": float(score.score), "margin": float(score._ci), "signature": str(metric.get_signature())}
    return scores


def headline(metrics):
    """The result in a few lines."""
    lines = []
    for name, row in metrics["table"].items():
        scores = (f"{title} {_score(row, score)}" for score, title in metrics["scores"].items())
        lines.append(f"{name}: {percent(row['exact'], row['interval'])} exact, {', '.join(scores)}")
    return lines


def _score(row, score):
    found = row[score]
    if "interval" in found:
        return percent(found["score"], found["interval"])
    return f"{found['score']:.1f} ± {found['margin']:.1f}"


def examples(metrics):
    """Some translations."""
    return [f"{source}  ->  {text}" for source, text, _ in metrics["samples"][:5]]


def card(metrics):
    """The limits that a preset's card states."""
    return "It translates what looks like its training pairs, and writes something for any other text, too.\n"


def report(folder, config, data, metrics):
    """The sections of the HTML report."""
    shown = metrics["scores"]
    rows = [("searched", "exact (95%)", *shown.values(), "tokens a second")]
    for name, row in metrics["table"].items():
        rows.append(
            (
                name,
                percent(row["exact"], row["interval"]),
                *(_score(row, score) for score in shown),
                f"{row['tokens_a_second']:.0f}",
            )
        )
    first = next(iter(metrics["table"].values()))
    signature = "; ".join(first[score]["signature"] for score in shown if "signature" in first[score])
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
            "Exact: one of the reference translations. Errors are counted against the nearest one. BLEU and chrF by sacrebleu against the "
            "first one. Intervals by bootstrap, of exact ones after Wilson.",
            rows=rows,
            note=signature,
        ),
        *([Section("Attention", figures=figures)] if figures else []),
        Section("Examples", rows=[head, *metrics["samples"]]),
        Section("Worst first", "By chrF.", rows=[head, *metrics["worst"]]),
    ]


def next_commands(folder, config):
    """What a person would type next."""
    return [
        f"python -m apps translation translate --run {folder} --n-best 3",
        f"python -m apps translation errors --run {folder} --output errors.html",
        "python -m apps translation train --pairs MY_PAIRS.tsv --output run_mine",
    ]
