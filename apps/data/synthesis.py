"""Rendered speech: text-to-speech engines that are ordinary packages.

espeak-ng runs in this process through the package espeakng-loader (its library is GPL-3.0-or-later; what it speaks is not).
Voices of recorded speakers come as Debian packages and are used where they are installed: flite, festival, RHVoice, Pico, and
MBROLA's by way of Debian's espeak-ng.
"""

import ctypes
import dataclasses
import functools
import glob
import re
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
MBROLA = "us1 us2 us3 en1".split()
# these say English with the sounds of their own languages
MBROLA_ACCENTED = "af1 de1 de2 de3 de4 de5 de6 fr1 fr4 gr2 hu1 nl2 pl1 ro1 sw1 sw2".split()
# recorded speakers: engine, the engine's own name; slt speaks in flite and festival, too
RECORDED = {
    "kal": ("flite", "kal16"),
    "awb": ("flite", "awb"),
    "rms": ("flite", "rms"),
    "slt": ("flite", "slt"),
    "ked": ("festival", "ked_diphone"),
    "alan": ("rhvoice", "alan"),
    "bdl": ("rhvoice", "bdl"),
    "clb": ("rhvoice", "clb"),
    "pico-us": ("pico", "en-US"),
    "pico-gb": ("pico", "en-GB"),
    **{f"mbrola-{name}": ("mbrola", f"mb-{name}") for name in MBROLA},
    **{f"mbrola-{name}": ("mbrola", f"mb-{name}-en") for name in MBROLA_ACCENTED},
}

# no training hears these
HELD_OUT = {
    "test": ["Andy", "AnxiousAndy", "Nguyen", "belinda", "edward", "iven", "shelby", "slt", "ked", "mbrola-hu1"],
    "val": ["Alicia", "Reed", "boris", "grandma", "steph", "rms", "mbrola-sw2"],
}


@dataclasses.dataclass(frozen=True)
class Manner:
    """How something is said. rate: words a minute. pitch, range: 0 to 99. accent: of espeak-ng; a recorded speaker has one."""

    accent: str = "en-us"
    rate: int = 160
    pitch: int = 50
    range: int = 50


def some_manner(draw):
    """A way to say something."""
    return Manner(draw.choice(ACCENTS), 120 + draw.integer(110), 20 + draw.integer(60), 20 + draw.integer(75))


def split_of(voice):
    """The split a voice belongs to: train unless it is held out."""
    return next((split for split, voices in HELD_OUT.items() if voice in voices), "train")


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


@functools.cache
def recorded_voices():
    """The recorded speakers whose engine and voice are installed."""
    return [voice for voice, (engine, name) in RECORDED.items() if _installed(engine, name)]


def _installed(engine, name):
    file = ENGINES[engine].file.format(name, name.removeprefix("mb-").removesuffix("-en"))
    return all(map(shutil.which, ENGINES[engine].programs)) and bool(glob.glob(file))


def _speak_recorded(text, engine, name, manner):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command, spoken = ENGINES[engine].command(name, manner, str(path), text)
        done = subprocess.run(command, input=spoken.encode(), capture_output=True)
        if done.returncode or not path.is_file():
            reason = " ".join(done.stderr.decode(errors="replace").split())[-160:]
            raise InputError(
                f"{command[0]} does not say {text!r} in the voice {name!r} ({reason}); reinstall or remove its package."
            )
        return read_audio(path)


def _flite(name, manner, path, text):
    return ["flite", "-voice", name, "--setf", f"duration_stretch={160 / manner.rate:.3f}", "-t", text, "-o", path], ""


def _festival(name, manner, path, text):
    setup = f"(begin (voice_{name}) (Parameter.set 'Duration_Stretch {160 / manner.rate:.3f}))"
    return ["text2wave", "-eval", setup, "-o", path], text


def _rhvoice(name, manner, path, text):
    return ["RHVoice-test", "-p", name, "-r", f"{manner.rate / 1.6:.0f}", "-t", f"{_percent(manner):.0f}", "-o", path], text


def _pico(name, manner, path, text):
    text = re.sub("[<>&]", " ", text)  # it knows tags, but no other way to write these
    marked = f'<speed level="{manner.rate / 1.6:.0f}"><pitch level="{_percent(manner):.0f}">{text}</pitch></speed>'
    return ["pico2wave", "-l", name, "-w", path, marked], ""


def _mbrola(name, manner, path, text):
    # half the amplitude: some voices clip
    return ["espeak-ng", "-v", name, "-s", str(manner.rate), "-p", str(manner.pitch), "-a", "50", "-w", path, "--stdin"], text


def _percent(manner):
    """Pitch as 65 to 140% of the speaker's own."""
    return 65 + 0.75 * manner.pitch


@dataclasses.dataclass(frozen=True)
class Engine:
    """Says texts by recorded speakers. command: a function of (name, manner, path, text) that gives a command and what it reads.

    file: where Debian puts a voice that is a package of its own; {0} is the engine's name of it, {1} MBROLA's.
    """

    command: object
    programs: tuple
    file: str = "/"


ENGINES = {
    "flite": Engine(_flite, ("flite",)),
    "festival": Engine(_festival, ("text2wave",), "/usr/share/festival/voices/*/{0}"),
    "rhvoice": Engine(_rhvoice, ("RHVoice-test",), "/usr/share/RHVoice/voices/{0}"),
    "pico": Engine(_pico, ("pico2wave",), "/usr/share/pico/lang/{0}_ta.bin"),
    "mbrola": Engine(_mbrola, ("mbrola", "espeak-ng"), "/usr/share/mbrola/{1}"),
}
