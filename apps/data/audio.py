"""Audio of any common format, rate and channel count, read in one place."""

import csv
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import lfilter

from zoo.errors import InputError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")
SILENCE = 10 ** (-80 / 20)  # peak below which a recording counts as silent
CLIPPED = 0.01  # share of samples at full scale above which a recording counts as clipped


def read_audio(source, sample_rate=16000, name=None):
    """Mono samples at `sample_rate`, (n,) float32, of a path or of an open binary file.

    Channels are averaged; soxr resamples. Raises InputError for what is no audio, is cut short, empty, or not finite.
    """
    name = name or str(source)
    if isinstance(source, (str, Path)):
        if not Path(source).is_file():
            what = "is a folder" if Path(source).is_dir() else "does not exist"
            raise InputError(f"{name} {what}; expected an audio file ({', '.join(SUFFIXES)}).")
        if not Path(source).stat().st_size:
            raise InputError(f"{name} is an empty file; record or copy it again.")
    try:
        with soundfile.SoundFile(source) as file:
            promised, rate = file.frames, file.samplerate
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise _unreadable(name, error) from None
    if not len(samples):
        raise InputError(f"{name} holds no samples; record or copy it again.")
    if len(samples) < promised or _promises_more(source):
        raise InputError(
            f"{name} is cut short: its header promises more than the {len(samples)} samples it holds. Copy it again."
        )
    if not np.isfinite(samples).all():
        raise InputError(f"{name} holds NaN or infinite samples; convert it again.")
    mono = samples.mean(axis=1)
    return mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate).astype(np.float32)


def audio_blocks(path, sample_rate=16000, seconds=1.0):
    """Yields mono samples at `sample_rate` of a file of any length, block by block, (n,) float32; it never stands whole in memory.

    The same files are refused as by `read_audio`, what is cut short where its end is missed.
    """
    if not Path(path).is_file() or not Path(path).stat().st_size:
        read_audio(path)  # which says what is wrong
    try:
        with soundfile.SoundFile(path) as file:
            promised, count = file.frames, 0
            resample = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
            while len(block := file.read(round(seconds * file.samplerate), dtype="float32", always_2d=True)):
                if not np.isfinite(block).all():
                    raise InputError(f"{path} holds NaN or infinite samples; convert it again.")
                count += len(block)
                yield resample.resample_chunk(block.mean(axis=1))
            yield resample.resample_chunk(np.zeros(0, np.float32), last=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise _unreadable(path, error) from None
    if not count:
        raise InputError(f"{path} holds no samples; record or copy it again.")
    if count < promised or _promises_more(path):
        raise InputError(f"{path} is cut short: its header promises more than the {count} samples it holds. Copy it again.")


def _unreadable(name, error):
    reason = str(error).rsplit(": ", 1)[-1].strip(" .")
    return InputError(
        f"{name} cannot be read as audio ({reason}); expected one of {', '.join(SUFFIXES)} that its name and content agree on."
    )


def _promises_more(source):
    """Whether the data chunk of a WAV or AIFF is longer than the file; soundfile silently reads what is there."""
    if isinstance(source, (str, Path)):
        with open(source, "rb") as file:
            return _promises_more(file)
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    head = source.read(12)
    kinds = {b"RIFFWAVE": ("little", b"data"), b"FORMAIFF": ("big", b"SSND"), b"FORMAIFC": ("big", b"SSND")}
    order, data = kinds.get(head[:4] + head[8:], (None, None))
    while order and len(head := source.read(8)) == 8:
        length = int.from_bytes(head[4:], order)
        if head[:4] == data:
            # 0 and 0xFFFFFFFF: a stream whose length was not known
            return 0 < length < 0xFFFFFF00 and source.tell() + length > size
        source.seek(length + length % 2, io.SEEK_CUR)
    return False


def write_audio(path, samples, sample_rate=16000):
    """Writes 16-bit audio (by the path's suffix) to a temporary name, then renames it."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        soundfile.write(temporary, samples, sample_rate, subtype="PCM_16")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def through_opus(samples, quality, sample_rate=16000):
    """The samples after Ogg Opus. quality: 0 (about 250 kbit/s) to 1 (about 5); 0.93 gives about 20 kbit/s."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="OGG", subtype="OPUS", compression_level=quality)
    buffer.seek(0)
    return soundfile.read(buffer, dtype="float32")[0]


def clipped(samples):
    """The share of samples at full scale. samples: (n,) float in [-1, 1]."""
    return float(np.mean(np.abs(samples) > 0.999))


def active_speech_level(samples, sample_rate=16000):
    """(level in dBov, activity factor) by ITU-T P.56 method B; (-inf, 0) for silence.

    samples: (n,) float in [-1, 1]. The level is the mean power over the time that speech is active.
    """
    samples = np.asarray(samples, np.float64)
    energy = float(np.sum(samples**2))
    if energy <= len(samples) * 1e-12:
        return -np.inf, 0.0
    g = np.exp(-1.0 / (sample_rate * 0.03))
    envelope = lfilter([1 - g], [1, -g], lfilter([1 - g], [1, -g], np.abs(samples)))
    hangover = int(round(0.2 * sample_rate))
    index = np.arange(len(samples))
    previous, level, active = None, -np.inf, 0
    for exponent in range(1, 17):
        threshold = 2.0**-exponent
        last = np.maximum.accumulate(np.where(envelope >= threshold, index, -hangover - 1))
        active = int(np.sum(index - last <= hangover))
        if not active:
            continue
        level = 10 * np.log10(energy / active)
        margin = level - 20 * np.log10(threshold)
        if margin >= 15.9:
            if previous is None or margin == previous[1]:
                return level, active / len(samples)
            share = (15.9 - previous[1]) / (margin - previous[1])
            level = previous[0] + share * (level - previous[0])
            return level, energy / len(samples) / 10 ** (level / 10)
        previous = (level, margin)
    return (level, active / len(samples)) if previous else (-np.inf, 0.0)


def speech_span(samples, sample_rate=16000, below_db=30.0, pause_s=0.25):
    """(start, end) in samples of the speech in a recording of one word.

    It is the stretch around the loudest 10 ms that stays within `below_db` of it and clear (9 dB) of the recording's noise, pauses up to
    `pause_s` included. A span shorter than 50 ms is widened to it.
    """
    size = sample_rate // 100
    count = max(1, len(samples) // size)
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    power = np.mean(padded[: count * size].reshape(count, size).astype(np.float64) ** 2, axis=1)
    power = np.convolve(power, np.ones(3) / 3, mode="same")
    peak = power.max()
    floor = min(np.percentile(power, 15) * 10**0.9, peak / 10)
    loud = np.flatnonzero(power >= max(peak * 10 ** (-below_db / 10), floor))
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > pause_s * 100) + 1)
    run = next(run for run in runs if run[0] <= power.argmax() <= run[-1])
    start, end = run[0] * size, (run[-1] + 1) * size
    return start, min(max(end, start + 5 * size), len(samples))


def find_recordings(folder):
    """The audio files below a folder, sorted by path; an InputError where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected a folder of recordings ({', '.join(SUFFIXES)}).")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not found:
        raise InputError(f"{folder} has no recordings; expected files that end in {', '.join(SUFFIXES)}.")
    return found


class Archive:
    """A tar or zip archive, read without unpacking.

    members: the names of the files inside. `open(name)` gives a binary file.
    """

    def __init__(self, path):
        try:
            if zipfile.is_zipfile(path):
                self._file = zipfile.ZipFile(path)
                self._members = {info.filename: info for info in self._file.infolist() if not info.is_dir()}
            else:
                self._file = tarfile.open(path)
                self._members = {info.name: info for info in self._file if info.isfile()}
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise InputError(f"{path} cannot be read as an archive ({error}); fetch it again.") from None
        self.members = list(self._members)

    def open(self, name):
        if name not in self._members:
            raise InputError(f"{getattr(self._file, 'filename', None) or self._file.name} has no {name}; fetch it again.")
        read = self._file.open if isinstance(self._file, zipfile.ZipFile) else self._file.extractfile
        return io.BytesIO(read(self._members[name]).read())

    def rows(self, name):
        """The rows of a CSV file inside, as dictionaries."""
        return list(csv.DictReader(io.TextIOWrapper(self.open(name), "utf8")))


def audio_graph(contents, suffix):
    """The samples of an encoded mono file as a pure TensorFlow graph, for tf.data: (n,) float32 at the file's rate.

    contents: a scalar string tensor. suffix: .wav, .flac or .ogg (Vorbis). Needs tensorflow-io's compiled operations, which load with
    TensorFlow 2.16 and 2.17 only (requirements-tf217.txt).
    """
    try:
        import tensorflow as tf
        import tensorflow_io as tfio

        decode, kind = {
            ".wav": (tfio.audio.decode_wav, tf.int16),
            ".flac": (tfio.audio.decode_flac, tf.int16),
            ".ogg": (tfio.audio.decode_vorbis, None),
        }[suffix]
        samples = decode(contents) if kind is None else tf.cast(decode(contents, dtype=kind), tf.float32) / 32768.0
    except (ImportError, NotImplementedError) as error:
        raise InputError(
            f"tensorflow-io's operations do not load here ({str(error).splitlines()[0]}); install requirements-tf217.txt, "
            "or read files with `read_audio`."
        ) from None
    except KeyError:
        raise InputError(f"`suffix` is {suffix!r}; expected .wav, .flac or .ogg.") from None
    return samples[:, 0]
