"""The verbs that translate with a trained model: translate, attention, errors."""

import sys

import keras
import numpy as np
import tensorflow as tf

import zoo
from apps.config import read_json
from apps.data.epochs import padded
from apps.report import Section, write_report
from apps.run_folder import read_config
from apps.train import open_run
from apps.translation.config import TASK, Translate
from apps.translation.pictures import alignment, alignment_figure
from apps.translation.translator import TOGETHER, device_searches, saved_searches
from tflite.runtime.text import UNKNOWN, Tokenizer
from tflite.runtime.translator import checked
from zoo import presets
from zoo.errors import InputError
from zoo.models import seq2seq  # noqa: F401  a saved model has its layers

PICTURED = 20  # pictures at most


def translate(options):
    """Prints a translation for each line; a line that cannot be translated is named, comes out empty, and the others go on."""
    config = read_config(options.run, TASK)
    if options.n_best > config.width:
        raise InputError(f"`n_best` is {options.n_best}; expected at most {config.width}, the texts that its beam search keeps.")
    if options.greedy and options.n_best > 1:
        raise InputError("`n_best` needs beam search; leave --greedy out.")
    alpha = config.length_penalty if options.length_penalty is None else options.length_penalty
    if not 0 <= alpha <= 10:
        raise InputError(f"`length_penalty` is {alpha}; expected 0 to 10.")
    if options.attention and config.model == "encoder_decoder":
        raise InputError(
            f"{options.run} holds an encoder_decoder, which has no attention to show; `translate` it without a picture."
        )
    if (options.run / "preset.json").is_file():
        presets.read(options.run)  # its checksums
    search = (
        saved_searches(options.run)
        if (options.run / "saved_model").is_dir()
        else device_searches(options.run, best=options.n_best)
    )
    source, target = (
        Tokenizer(read_json(options.run / "assets" / f"{side}.json"), *cutting)
        for side, cutting in zip(("source", "target"), config.cutting)
    )
    bad, waiting, translations = 0, [], []
    sys.stdout.reconfigure(encoding="utf-8")  # as the input is read

    def write():
        found = iter(search([text for text in waiting if text is not None], None if options.greedy else alpha))
        for text in waiting:
            if text is None:
                print()
                continue
            best = next(found)
            for score, written in best[: options.n_best]:
                print(f"{score:.3f}\t{written}" if options.n_best > 1 else written)
            translations.append((text, best[0][1]))
        sys.stdout.flush()
        waiting.clear()

    for number, line in enumerate(_lines(options.text), 1):
        text, reason = checked(line, source, config.max_tokens)
        if reason:
            bad += 1
            print(f"line {number}: {reason}", file=sys.stderr)
        waiting.append(None if reason else text)
        if len(waiting) == TOGETHER or options.text is None and sys.stdin.isatty():
            write()
    write()
    if options.attention:
        _write_pictures(options, source, target, translations)
    if bad:
        raise InputError(
            f"{bad} line{'s' * (bad > 1)} could not be translated; the reasons stand above, and their places in the output are empty."
        )


def attention(options):
    """What `translate` does, and a picture for each of the first lines."""
    translate(Translate(options.run, options.text, attention=options.output))


def _lines(path):
    """The lines of a file or of standard input, as bytes."""
    if path is None and sys.stdin is None:
        raise InputError("standard input is closed; expected lines of text on it, or --text FILE.")
    if path is None:
        yield from sys.stdin.buffer
        return
    if not path.is_file():
        raise InputError(f"{path} is no file; expected a text file with a line for each text.")
    with open(path, "rb") as file:
        yield from file


def _write_pictures(options, source, target, translations):
    network = (
        zoo.load(options.run.resolve())  # a path, whatever presets ship
        if (options.run / "preset.json").is_file()
        else keras.saving.load_model(options.run / "model.keras", compile=False, safe_mode=True)
    )
    shown = [(text, written) for text, written in translations if written][:PICTURED]
    figures = tuple((alignment_figure(alignment(network, source, target, text, written)), text) for text, written in shown)
    write_report(options.attention, "What each token looked at", [Section("Alignments", figures=figures)])


def errors(options):
    """Writes the notes' error analysis: for each wrong translation, is the search or the model to blame?

    Where the model finds the reference likelier than what beam search wrote (both by the score that the search orders by), the search
    missed it; else, or where the reference has unknown tokens or too many, the model is wrong, and no better search helps.
    """
    config, data, network = open_run(TASK, options.run)
    pairs = data.content
    tested = pairs.parts["test"][: options.most]
    search = saved_searches(options.run)
    rows, blamed = [], {"search": 0, "model": 0}
    for start in range(0, len(tested), TOGETHER):
        part = tested[start : start + TOGETHER]
        found = search([source for source, _ in part], config.length_penalty)
        references = reference_scores(network, pairs.encoded(part), config.length_penalty)
        for (source, reference), best, wanted in zip(part, found, references):
            score, written = best[0]
            if written in pairs.known[source]:
                continue
            guilty = blame(score, wanted, pairs.target.encode(reference), config.max_tokens)
            blamed[guilty] += 1
            rows.append((score - wanted, source, written, reference, f"{score:.3f}", f"{wanted:.3f}", guilty))
    wrong = sum(blamed.values())
    text = f"{wrong} of {len(tested)} translations are none of the references. " + (
        f"The search is to blame for {blamed['search']} ({100 * blamed['search'] / wrong:.0f}%), the model for {blamed['model']}."
        if wrong
        else ""
    )
    head = ("source", "translation", "reference", "its score", "the reference's", "to blame")
    table = [head, *(row[1:] for row in sorted(rows)[:200])]
    note = "Scores are log probabilities over length ** alpha. First what the search missed by most."
    write_report(options.output, "Search or model", [Section("Errors", text, rows=table if wrong else (), note=note)])
    print(text)


def blame(score, wanted, reference, most):
    """'search' where it wrote a text of a lower score than the reference has, though it may write that; else 'model'.

    What no search writes, none could have found: unknown tokens, and more than `most` tokens with the end.
    """
    return "search" if wanted > score and UNKNOWN not in reference and len(reference) < most else "model"


def reference_scores(network, encoded, alpha):
    """The score of each target as the search has it."""
    source, target = padded([a for a, _ in encoded]), padded([b for _, b in encoded])
    logits = network({"source": source, "target": target[:, :-1]}, training=False)["logits"]
    rates = np.asarray(tf.nn.log_softmax(logits))
    wanted = target[:, 1:]
    total = (np.take_along_axis(rates, wanted[..., None], axis=-1)[..., 0] * (wanted > 0)).sum(axis=1)
    return total / (wanted > 0).sum(axis=1) ** alpha
