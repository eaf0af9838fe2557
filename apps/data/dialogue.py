"""Dialogue of an adventure game that Debian distributes, 4.4 h of English by many actors: `python -m apps.data.prompts` fetches it.

Flight of the Amazon Queen (John Passfield and Steven Stamatiadis 1995), the package flight-of-the-amazon-queen. It has no transcripts
and no speakers, so that it is trained on only.
"""

import io
import re
import struct

import soundfile
import soxr
from tqdm import tqdm

from apps.data import prompts
from apps.data.speech import Clip, to_int16
from zoo.errors import InputError

PACKAGE = "flight-of-the-amazon-queen"
FILE = "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
LICENCE = "Flight-of-the-Amazon-Queen-License: free to pass on with its notices"
HEADER, ENTRY = struct.Struct(">4s8sBH"), struct.Struct(">12sBII")  # of the game's archive, as ScummVM's resource.cpp reads it
MP3 = 1
LINE = re.compile(r"(?!.*SSSS)(\d|C\d|JOE).*\.SB")  # names of spoken lines; other sounds are noises of the game
LEAST_S = 0.3


def fetched():
    """Whether the package is in the cache."""
    return prompts.package_file(PACKAGE) is not None


def read_dialogue():
    """The spoken lines as clips at 16 kHz, all to train on."""
    try:
        content = prompts.open_package(PACKAGE).extractfile(f"./{FILE}").read()
        return list(_lines(content))
    except (KeyError, struct.error, soundfile.SoundFileError):
        raise InputError(
            f"{FILE} in the package {PACKAGE} is not the archive that is known; remove the package from the cache."
        ) from None


def _lines(content):
    """The spoken lines in the game's archive."""
    mark, _, form, count = HEADER.unpack_from(content)
    if mark != b"QTBL" or form != MP3:
        raise KeyError(form)
    for index in tqdm(range(count), desc="reading dialogue", leave=False):
        name, _, start, size = ENTRY.unpack_from(content, HEADER.size + index * ENTRY.size)
        name = name.split(b"\0")[0].decode("latin1")
        if LINE.fullmatch(name):
            # not by way of read_audio: an MP3 of no index promises a length that it does not hold
            samples, rate = soundfile.read(io.BytesIO(content[start : start + size]), dtype="float32")
            samples = soxr.resample(samples, rate, 16000)
            if len(samples) >= LEAST_S * 16000:
                yield Clip(to_int16(samples), f"{PACKAGE}/{name}.mp3", "debian_dialogue", split="train")
