"""The verbs that listen with a trained model: transcribe, align."""

import sys
import time
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from apps.config import read_json
from apps.data.audio import audio_blocks, read_audio
from apps.report import Section, write_report
from apps.run_folder import read_config, write_text
from apps.speech_recognition import features
from apps.speech_recognition.alignment import frame_s, grouped, placed, symbol_spans
from apps.speech_recognition.config import TASK
from apps.speech_recognition.corpora import normalised
from apps.speech_recognition.pictures import trellis, trellis_figure
from apps.speech_recognition.subtitles import written
from apps.speech_recognition.text import Symbols
from tflite.runtime import Recognizer
from tflite.runtime.__main__ import read_microphone
from tflite.runtime.quiet import quiet_stderr
from tflite.runtime.recognizer import Utterances, log_softmax
from zoo import presets
from zoo.decoding.ngram import NGramModel
from zoo.errors import InputError

RATE = features.RATE
CHUNK_S = 0.2
ENDPOINT_S = 0.8  # a pause that ends an utterance
LONGEST_S = 60.0  # of a clip for a model that reads both ways
ALIGNED_S = 600.0


def hearing(folder, file):
    """log_probabilities(samples) -> (frames, symbols) of a run's file: 'float', 'int8' or 'saved_model'."""
    if file != "saved_model":
        with quiet_stderr():  # the interpreter notes which delegate it takes
            return Recognizer(folder / "device", file, method="greedy").log_probabilities
    saved = tf.saved_model.load(str(folder / "saved_model")).signatures["samples"]

    def hear(samples):
        return log_softmax(saved(samples=tf.constant(features.with_tail(samples)[None]))["logits"].numpy()[0])

    return hear


def decoding(symbols, config):
    """What a device folder's manifest says of how log probabilities become utterances."""
    return {
        "symbols": symbols.names,
        "word_boundary": symbols.boundary,
        "decoding": {"method": "last" if config.criterion == "classify" else config.decoding, "width": config.width},
        "endpoint_s": ENDPOINT_S,
        "tail_s": features.TAIL_S,
    }


def utterances(folder, config, method=None, **options):
    """What turns log probabilities into utterances, as the device's runtime does it."""
    return Utterances(decoding(read_symbols(folder, config), config), frame_s(config), method, **options)


def read_symbols(folder, config):
    """The symbols of a run or preset."""
    return Symbols(read_json(folder / "assets" / "symbols.json"), config.symbols)


def spoken(rates, decoder):
    """The text of a whole clip's log probabilities. decoder: Utterances."""
    return " ".join(found.text for found in [*decoder.push(rates), *decoder.finish()])


def timed(function, *arguments, **options):
    """(what a function gives, CPU seconds)."""
    began = time.process_time()
    found = function(*arguments, **options)
    return found, time.process_time() - began


def _opened(options):
    """(folder, configuration) of a run or preset."""
    config = read_config(options.run, TASK)
    if (options.run / "preset.json").is_file():
        presets.read(options.run)  # its checksums
    if not ((options.run / "device").is_dir() or (options.run / "saved_model").is_dir()):
        raise InputError(f"{options.run} has no device or saved_model folder: its training was not finished. Run it again.")
    return options.run, config


def transcribe(options):
    """Prints what is said, a line for each utterance; on a terminal what was said so far, too."""
    folder, config = _opened(options)
    search = {}
    if options.method == "beam":
        search = {"width": options.width, "hot_words": options.hot_words}
        if options.language_model:
            model = NGramModel.read_arpa(options.language_model)
            search.update(language_model=model, weight=options.weight, word_bonus=options.word_bonus)
    recogniser = _recogniser(folder, config, options, search)
    many = len(options.files) > 1
    bad = 0
    for path in options.files or (None,):
        try:
            found = _listen(recogniser, path, options, many)
        except InputError as error:
            if not many:
                raise
            bad += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        if options.words:
            write_text(options.words, written([word for one in found for word in one.words], options.words.suffix, path.name))
    if bad:
        raise InputError(f"{bad} of {len(options.files)} recordings could not be read; the reasons stand above.")


def _recogniser(folder, config, options, search):
    """push(samples), partial(), finish() of the device's runtime, or the same of a model that needs the whole clip."""
    if config.streams:
        with quiet_stderr():
            return Recognizer(folder / "device", options.precision, options.method, **search)
    if options.microphone:
        raise InputError(
            f"{options.run} holds a {config.model}, which needs the whole clip; expected --files, or a model that streams."
        )
    return _Whole(folder, config, options.method, search)


class _Whole:
    """Listens as a Recognizer does, with a model that reads both ways: nothing is said before the end."""

    def __init__(self, folder, config, method, search):
        self._hear, self._decoder, self._heard = hearing(folder, "saved_model"), utterances(folder, config, method, **search), []

    def push(self, samples):
        self._heard.append(samples)
        if sum(map(len, self._heard)) > LONGEST_S * RATE:
            self._heard.clear()
            raise InputError(
                f"the recording is longer than {LONGEST_S:.0f} s, and this model needs all of it at once; cut it, or train a model that streams."
            )
        return []

    def partial(self):
        return SimpleNamespace(text="")

    def finish(self):
        rates = self._hear(np.concatenate(self._heard))
        self._heard.clear()
        return [*self._decoder.push(rates), *self._decoder.finish()]


def _listen(recogniser, path, options, many):
    """Prints and returns the utterances of a recording, or of the microphone until it is interrupted."""
    found, shown = [], sys.stderr.isatty()
    prefix = f"{path}\t" if many else ""

    def write(ended):
        for utterance in ended:
            if shown:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            print(f"{prefix}{utterance.text}", flush=True)
            found.append(utterance)

    chunks = read_microphone(RATE) if path is None else audio_blocks(path, RATE, CHUNK_S)
    try:
        for chunk in chunks:
            write(recogniser.push(chunk))
            if shown:
                print(f"\r\x1b[K{recogniser.partial().text[-100:]}", end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        if path is not None:
            raise
    write(recogniser.finish())
    if not found and path is not None:
        tqdm.write(f"{path}: nothing was heard", file=sys.stderr)
    return found


def align(options):
    """Prints or writes the times of each word of a known text, and of its characters."""
    folder, config = _opened(options)
    symbols, text = read_symbols(folder, config), normalised(options.text)
    if not text:
        raise InputError(f"`text` is {options.text!r}; expected the words that are said.")
    if config.criterion == "classify":
        raise InputError(
            f"{folder} was trained to classify whole clips, and cannot say when; expected one trained by ctc or align."
        )
    labels, samples = symbols.encode(text), read_audio(options.file)
    if len(samples) > ALIGNED_S * RATE:
        raise InputError(f"{options.file} has {len(samples) / RATE:.0f} s; expected at most {ALIGNED_S:.0f}. Cut it.")
    rates = hearing(folder, config.exact_file)(samples)
    spans = symbol_spans(rates, labels, symbols, config)
    if spans is None:
        raise InputError(
            f"{options.file} has {len(samples) / RATE:.2f} s, too short for {len(labels)} {config.symbols}: expected {frame_s(config):g} s "
            "for each, and as much between two that are the same."
        )
    words = placed(grouped(spans, symbols), read_json(folder / "assets" / "lateness.json"))
    if options.output:
        write_text(options.output, written(words, options.output.suffix, options.file.name, spans))
    else:
        for word in words:
            print(f"{word.start_s:8.2f} {word.end_s:8.2f}  {word.confidence:.2f}  {word.text}")
    if options.picture:
        figure = trellis_figure(trellis(samples, rates, symbols, labels, spans, config))
        write_report(options.picture, text, [Section("Alignment", figures=((figure, f"{options.file.name}: {text}"),))])
