"""The verbs that read and write text with a trained model: sample, complete, score."""

import dataclasses
import math
import sys

import numpy as np

from apps.data.text import read_lines
from apps.language_model.config import TASK
from apps.run_folder import read_config
from tflite.runtime import Generator
from tflite.runtime.errors import InputError as RuntimeInputError
from tflite.runtime.quiet import quiet_stderr
from tflite.runtime.sampling import Sampling
from tflite.runtime.text import BOUNDARY, NEWLINE, pretokens


def quiet_generator(folder, precision):
    """A Generator without the interpreter's note of its delegate."""
    with quiet_stderr():
        return Generator(folder, precision)


def sample(options):
    """Prints texts, token by token."""
    read_config(options.run, TASK)
    chosen = {field.name: getattr(options, field.name) for field in dataclasses.fields(Sampling)}
    generator = quiet_generator(options.run / "device", options.precision)
    length = None if generator.ends else options.length
    for index in range(options.count):
        for text in generator.stream(options.seed, index, options.prefix, length, **chosen):
            sys.stdout.write(text)
            sys.stdout.flush()
        sys.stdout.write("\n")


def complete(options):
    """Prints the likeliest continuations of a text, or asks for one text after another."""
    read_config(options.run, TASK)
    generator = quiet_generator(options.run / "device", options.precision)
    if options.prefix is not None:
        _offer(generator, generator.tokenizer.trimmed(options.prefix), options)
        return
    print("Type a text, or a number to go on from what was offered; an empty line ends.")
    text, found = "", []
    while answer := _ask():
        number = int(answer) - 1 if answer.strip().isdecimal() else None
        chosen = number is not None and 0 <= number < len(found)
        wanted = text + found[number] if chosen else generator.tokenizer.trimmed(answer)
        try:
            text, found = wanted, _offer(generator, wanted, options)
        except RuntimeInputError as error:
            print(f"error: {error}")


def _ask():
    try:
        return input("> ")
    except EOFError:
        return ""


def _offer(generator, text, options):
    """Prints and returns continuations."""
    length = len(generator.tokenizer.encode(text)) + options.length
    until = "" if options.whole else " \n"
    found = generator.beam(text, max(options.width, options.count), length, options.length_penalty, until)[: options.count]
    for number, (continuation, score) in enumerate(found, 1):
        print(f"{number}  {100 * math.exp(score):5.1f}%  {text}[{continuation}]".replace(NEWLINE, "\u23ce"))
    return [continuation for continuation, _ in found]


def score(options):
    """Prints a line for each line of a file: nats in all, perplexity a token, the text with its surprises in brackets.

    Characters that the model has never seen have no probability: they are counted, shown as ?, and make their line infinite; what
    follows one is read as if a line began there. Words that it does not know are counted as its unknown token.
    """
    read_config(options.run, TASK)
    lines = read_lines(options.text)
    generator = quiet_generator(options.run / "device", options.precision)
    tokenizer = generator.tokenizer
    print("nats\tperplexity\tline")
    total, tokens, unknown = 0.0, 0, 0
    for line in lines:
        found, shown = tokenizer.encode(line), pretokens(line, tokenizer.kind, tokenizer.lower)
        if tokenizer.kind == "subwords":
            shown = [tokenizer.visible(token, BOUNDARY if i == 0 else found[i - 1]) for i, token in enumerate(found)]
        known = np.array([token not in (None, tokenizer.unknown) for token in found], bool)
        nats = generator.score(np.array([BOUNDARY, *(BOUNDARY if token is None else token for token in found), BOUNDARY]))
        if tokenizer.unknown is None:
            nats[:-1][~known] = np.inf
        unknown += int((~known).sum())
        total, tokens = total + nats[np.isfinite(nats)].sum(), tokens + int(np.isfinite(nats).sum())
        worst = set(np.argsort(-nats[:-1], kind="stable")[: options.surprises])
        marked = [
            f"[{text if seen else '?' if tokenizer.unknown is None else text + '?'}]" if i in worst or not seen else text
            for i, (text, seen) in enumerate(zip(shown, known))
        ]
        print(f"{nats.sum():.2f}\t{np.exp(np.mean(nats)):.2f}\t{(' ' if tokenizer.kind == 'words' else '').join(marked)}")
    if not unknown:
        note = ""
    elif tokenizer.unknown is None:
        note = f"; {unknown} characters that the model has never seen are left out of this line"
    else:
        note = f"; {unknown} words that the model does not know are counted as its unknown token"
    print(f"{total:.2f}\t{np.exp(total / tokens):.2f}\tall {len(lines)} lines, {tokens} {tokenizer.kind} and ends{note}")
