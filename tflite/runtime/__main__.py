"""python -m tflite.runtime: listens to files, standard input or a microphone, writes down what is said there; translates lines."""

import argparse
import contextlib
import io
import json
import os
import sys
import time
import wave
from pathlib import Path

import numpy as np

from .detector import Detector
from .errors import InputError
from .manifest import read_manifest
from .quiet import quiet_stderr
from .recognizer import Recognizer
from .translator import Translator, checked

CHUNK_S = 0.08
EVENT_S = 3.0


def read_wav(path, sample_rate):
    """Yields the samples of a 16-bit mono WAV file, chunk by chunk, int16 (n,)."""
    advice = f"Expected a 16-bit mono WAV at {sample_rate} Hz; `sox IN -r {sample_rate} -c 1 -b 16 OUT.wav` makes one."
    try:
        file = wave.open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (wave.Error, EOFError, OSError) as error:
        raise InputError(f"{path} cannot be read as WAV ({str(error) or 'it is cut short'}). {advice}") from None
    with file:
        found = f"{8 * file.getsampwidth()} bit, {file.getnchannels()} channels, {file.getframerate()} Hz"
        if (file.getsampwidth(), file.getnchannels(), file.getframerate()) != (2, 1, sample_rate):
            raise InputError(f"{path} has {found}. {advice}")
        if not file.getnframes():
            raise InputError(f"{path} is empty. {advice}")
        left = file.getnframes()
        while left:
            content = file.readframes(int(sample_rate * CHUNK_S))
            left -= len(content) // 2
            if not content:
                raise InputError(f"{path} is cut short: {left} of {file.getnframes()} samples are missing. Copy it again.")
            yield np.frombuffer(content[: len(content) // 2 * 2], "<i2")


def read_standard_input(sample_rate):
    """Yields raw little-endian 16-bit samples from standard input."""
    if sys.stdin is None:
        raise InputError("standard input is closed; expected raw 16-bit samples on it.")
    rest = b""
    while content := sys.stdin.buffer.read1(2 * int(sample_rate * CHUNK_S)):
        content = rest + content
        whole = len(content) // 2 * 2
        rest = content[whole:]
        yield np.frombuffer(content[:whole], "<i2")


def read_microphone(sample_rate):
    """Yields samples from the default microphone until interrupted."""
    try:
        import sounddevice
    except ImportError:
        raise InputError("the microphone needs the package sounddevice; run `pip install sounddevice`.") from None
    except OSError:
        raise InputError("the microphone needs the PortAudio library; on Debian run `apt install libportaudio2`.") from None
    size = int(sample_rate * CHUNK_S)
    try:
        with sounddevice.InputStream(samplerate=sample_rate, channels=1, dtype="int16", blocksize=size) as stream:
            while True:
                yield stream.read(size)[0][:, 0]
    except sounddevice.PortAudioError as error:
        raise InputError(
            f"the microphone cannot be used ({error}); is one connected, and does it give {sample_rate} Hz?"
        ) from None


class Events:
    """Keeps what was heard up to each detection as WAV files that only their owner may read."""

    def __init__(self, folder, sample_rate):
        self._folder, self._rate = Path(folder), sample_rate
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.reset()

    def reset(self):
        """Forgets everything heard."""
        self._heard = np.zeros(0, np.int16)

    def push(self, chunk):
        self._heard = np.concatenate([self._heard, chunk])[-int(EVENT_S * self._rate) :]

    def keep(self, found):
        """Writes the last EVENT_S seconds whole or not at all; a full disk does not stop the listening."""
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setparams((1, 2, self._rate, 0, "NONE", ""))
            file.writeframes(self._heard.astype("<i2").tobytes())
        word = "".join(c if c.isalnum() else "_" for c in found.word)
        name = f"{word}_{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 10**9:09d}_{found.score:.3f}.wav"
        temporary = self._folder / f".{name}.part"
        try:
            with open(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
                file.write(content.getbuffer())
            temporary.replace(self._folder / name)
        except OSError as error:
            print(f"warning: an event was not kept: {error}", file=sys.stderr)
            temporary.unlink(missing_ok=True)


def listen(detector, chunks, source, as_json, events=None):
    """Prints each detection as it happens; events keeps what was heard."""
    detector.reset()
    if events:
        events.reset()
    for chunk in chunks:
        if events:
            events.push(chunk)
        for found in detector.push(chunk):
            if events:
                events.keep(found)
            if as_json:
                line = json.dumps(
                    {"source": source, "word": found.word, "time_s": round(found.time_s, 3), "score": round(found.score, 4)}
                )
            else:
                line = f"{source}\t{found.time_s:9.2f} s\t{found.word}\t{found.score:.3f}"
            print(line, flush=True)


def translate(translator, file, n_best, as_json):
    """Prints translations of a file's lines (-: standard input); a line that cannot be translated is named, and comes out empty.

    Returns how many could not be.
    """
    if file == "-" and sys.stdin is None:
        raise InputError("standard input is closed; expected lines of text on it.")
    bad = 0
    with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            text, reason = checked(line, translator.source, translator.manifest["source"]["max_length"])
            found = [] if reason else translator.translate(text, n_best)
            if reason:
                bad += 1
                print(f"line {number}: {reason}", file=sys.stderr)
            if as_json:
                rows = [{"text": written, "score": round(score, 4)} for written, score in found]
                print(json.dumps({"source": text or "", "translations": rows}, ensure_ascii=False), flush=True)
            for written, score in [] if as_json else found or [("", 0.0)]:
                print(f"{score:.3f}\t{written}" if found and n_best > 1 else written, flush=True)
    return bad


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m tflite.runtime",
        description="Listens for words and prints a line for each one that it hears; with a translator's folder, translates lines.",
        epilog="Examples: python -m tflite.runtime run/device recording.wav --json; "
        "echo 3 May 1979 | python -m tflite.runtime saved_models/dates/device -",
    )
    parser.add_argument("folder", help="the device folder, with manifest.json in it")
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="16-bit mono WAV files, or - for raw 16-bit samples on standard input; for a translator text files, or -",
    )
    parser.add_argument("--microphone", action="store_true", help="listen to the microphone (needs the package sounddevice)")
    parser.add_argument("--n-best", type=int, default=1, help="translations of each line, with their scores (default: 1)")
    parser.add_argument("--precision", choices=("float", "int8"), default="float", help="the model file to run (default: float)")
    parser.add_argument("--threshold", type=float, help="fire at this score, in place of the manifest's thresholds")
    parser.add_argument(
        "--save-events",
        metavar="DIR",
        help=f"keep the {EVENT_S:g} s up to each detection as a WAV file in DIR. This stores what people say near the "
        "microphone: tell them, and delete what you don't need (default: nothing is stored)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args(arguments)
    if bool(options.files) == options.microphone:
        parser.error("give FILEs, - or --microphone")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        parser.error(f"--threshold is {options.threshold}; expected 0 to 1")
    return options


def _recognize(options):
    if options.threshold is not None or options.save_events or options.n_best != 1:
        raise InputError(f"{options.folder} holds a recognizer; leave --threshold, --save-events and --n-best out.")
    with quiet_stderr():
        recognizer = Recognizer(options.folder, options.precision)
    sys.stdout.reconfigure(encoding="utf-8")
    for source, chunks in _sources(options, recognizer.sample_rate):
        try:
            for chunk in chunks:
                write_down(recognizer.push(chunk), source, options.json)
        except KeyboardInterrupt:
            if not options.microphone:
                raise
        write_down(recognizer.finish(), source, options.json)
    return 0


def write_down(utterances, source, as_json):
    """Prints utterances, a line each."""
    for found in utterances:
        line = f"{source}\t{found.tokens[0].start_s:9.2f} s\t{found.text}"
        if as_json:
            words = [word.rounded() for word in found.words]
            line = json.dumps({"source": source, "text": found.text, "words": words}, ensure_ascii=False)
        print(line, flush=True)


def _sources(options, sample_rate):
    """(name, chunks of samples) of what is to be listened to."""
    if options.microphone:
        yield "microphone", read_microphone(sample_rate)
    for file in options.files:
        standard_input = file == "-"
        chunks = read_standard_input(sample_rate) if standard_input else read_wav(file, sample_rate)
        yield "stdin" if standard_input else file, chunks


def _detector(options):
    if options.n_best != 1:
        raise InputError(f"{options.folder} holds no translator; leave --n-best out.")
    with quiet_stderr():  # the interpreter notes which delegate it takes
        detector = Detector(options.folder, options.precision)
        if options.threshold is not None:
            detector = Detector(options.folder, options.precision, dict.fromkeys(detector.words, options.threshold))
    return detector


def _translate(options):
    if options.microphone or options.threshold is not None or options.save_events:
        raise InputError(
            f"{options.folder} holds a translator, which reads text; leave --microphone, --threshold and --save-events out."
        )
    with quiet_stderr():
        translator = Translator(options.folder, options.precision)
    if not 1 <= options.n_best <= translator.manifest["width"]:
        raise InputError(
            f"--n-best is {options.n_best}; expected 1 to {translator.manifest['width']}, the texts that beam search keeps."
        )
    sys.stdout.reconfigure(encoding="utf-8")  # as the input is read
    bad = sum(translate(translator, file, options.n_best, options.json) for file in options.files)
    if bad:
        raise InputError(f"{bad} line{'s' * (bad > 1)} could not be translated; the reasons stand above.")
    return 0


def main(arguments=None):
    """Exit code 0 when everything was heard or translated to its end, 2 for bad input, 130 when interrupted."""
    options = parse(arguments)
    try:
        others = {"translator": _translate, "recognizer": _recognize}
        kind = read_manifest(options.folder)["kind"]
        if kind in others:
            return others[kind](options)
        detector = _detector(options)
        events = Events(options.save_events, detector.sample_rate) if options.save_events else None
        for source, chunks in _sources(options, detector.sample_rate):
            listen(detector, chunks, source, options.json, events)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"error: {error}; check that it is there and may be read or written", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
