"""Rendered speech: text-to-speech engines that are ordinary packages.

espeak-ng runs in this process through the package espeakng-loader (its library is GPL-3.0-or-later; what it speaks is not).
flite and festival are Debian packages, used where they are installed.
"""

import ctypes
import dataclasses
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soxr

from apps.data.audio import read_audio
from zoo.errors import InputError

# espeak-ng's variants that are farther from each other than from themselves (twice the within-voice distance), without the effects
VARIANTS = (
    "Alex Alicia Andrea Andy AnxiousAndy Diogo Gene2 Jacky Lee Marco Michael Nguyen Reed anika aunty belinda boris "
    "caleb edward f5 grandma ian iven kaukovalta klatt sandro shelby steph travis zac"
).split()
ACCENTS = "en-us en en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc".split()
# recorded speakers, by the engine's own name for each; slt speaks in both
RECORDED = {
    "kal": ("flite", "kal16"),
    "awb": ("flite", "awb"),
    "rms": ("flite", "rms"),
    "slt": ("flite", "slt"),
    "ked": ("festival", "ked_diphone"),
}


@dataclasses.dataclass(frozen=True)
class Manner:
    """How something is said. rate: words a minute. pitch, range: 0 to 99. accent: of espeak-ng; a recorded speaker has one."""

    accent: str = "en-us"
    rate: int = 160
    pitch: int = 50
    range: int = 50


def espeak_installed():
    """Whether speech can be rendered in this process."""
    try:
        import espeakng_loader  # noqa: F401
    except ImportError:
        return False
    return True


@functools.cache
def espeak():
    """The library of espeak-ng, started, with what keeps its callback alive: (library, callback, pieces, rate)."""
    try:
        import espeakng_loader
    except ImportError:
        raise InputError("rendering speech needs the package espeakng-loader; run `pip install espeakng-loader`.") from None
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = Path(espeakng_loader.get_data_path())
    for folder in (data, data.parent):
        rate = library.espeak_Initialize(2, 0, str(folder).encode(), 0)
        if rate > 0:
            break
    else:
        raise InputError("espeak-ng does not start; reinstall the package espeakng-loader.")
    pieces = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def collect(samples, count, _events):
        if samples and count:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(collect)
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    return library, collect, pieces, rate


def speak(text, voice, manner=Manner()):
    """Says a text: (n,) float32 at 16 kHz. voice: one of VARIANTS or RECORDED."""
    if voice in RECORDED:
        return _speak_recorded(text, *RECORDED[voice], manner)
    library, _, pieces, rate = espeak()
    name = f"{manner.accent}+{voice}"
    if library.espeak_SetVoiceByName(name.encode()):
        raise InputError(
            f"espeak-ng has no voice {name!r}; expected an accent such as {', '.join(ACCENTS[:3])} and a variant such as Alex."
        )
    for parameter, value in ((1, manner.rate), (3, manner.pitch), (4, manner.range)):
        library.espeak_SetParameter(parameter, value, 0)
    pieces.clear()
    encoded = text.encode("utf8")
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    if not pieces:
        raise InputError(f"espeak-ng says nothing for {text!r}; expected words.")
    samples = np.concatenate(pieces).astype(np.float32) / 32768
    return soxr.resample(samples, rate, 16000).astype(np.float32)


def recorded_voices():
    """The recorded speakers whose engine is installed."""
    return [voice for voice, (engine, _) in RECORDED.items() if shutil.which("text2wave" if engine == "festival" else engine)]


def _speak_recorded(text, engine, name, manner):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if engine == "flite":
            command = [
                "flite",
                "-voice",
                name,
                "--setf",
                f"duration_stretch={160 / manner.rate:.3f}",
                "-t",
                text,
                "-o",
                str(path),
            ]
            subprocess.run(command, check=True, capture_output=True)
        else:
            command = [
                "text2wave",
                "-eval",
                f"(begin (voice_{name}) (Parameter.set 'Duration_Stretch {160 / manner.rate:.3f}))",
                "-o",
                str(path),
            ]
            subprocess.run(command, input=text.encode(), check=True, capture_output=True)
        return read_audio(path)
