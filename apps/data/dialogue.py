"""Dialogue of an adventure game that Debian distributes, 4.5 h of English by many actors: `python -m apps.data.prompts` fetches it.

Flight of the Amazon Queen (John Passfield and Steven Stamatiadis 1995), the package flight-of-the-amazon-queen. The game shows what is
said, so that the lines have transcripts. Who says them is known in conversations, not in the scenes between: some people's conversations
are for choosing thresholds, the rest is to train on (where scenes may have the same voices), nothing to test on.
"""

import io
import re
import struct

import soundfile
import soxr
from tqdm import tqdm

from apps.data import prompts
from apps.data.speech import Clip, one_in, to_int16
from zoo.errors import InputError

PACKAGE = "flight-of-the-amazon-queen"
FILE = "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
LICENCE = "Flight-of-the-Amazon-Queen-License: free to pass on with its notices"
# of the game's archive, its conversations and scenes, as ScummVM's resource.cpp, talk.cpp and cutaway.cpp read them
HEADER, ENTRY, BANK = struct.Struct(">4s8sBH"), struct.Struct(">12sBII"), 20
TALK, LEVEL, SCENE = struct.Struct(">5h12x3H"), 96, struct.Struct(">2x1h4x1H2x")
HERO, TEXTS, VERBS, RESPONSES = "JOE", "QUEEN2.JAS", "\r\nopen\r\nclose\r\nmove\r\n", 40
MP3 = 1
LEAST_S = 0.3


def fetched():
    """Whether the package is in the cache."""
    return prompts.package_file(PACKAGE) is not None


def read_dialogue():
    """The spoken lines as clips at 16 kHz; texts known, most speakers, too."""
    try:
        content = prompts.open_package(PACKAGE).extractfile(f"./{FILE}").read()
        return list(_lines(content))
    except (KeyError, IndexError, struct.error, soundfile.SoundFileError):
        raise InputError(
            f"{FILE} in the package {PACKAGE} is not the archive that is known; remove the package from the cache."
        ) from None


def _lines(content):
    """The spoken lines in the game's archive."""
    mark, _, form, count = HEADER.unpack_from(content)
    if mark != b"QTBL" or form != MP3:
        raise KeyError(form)
    files = {}
    for index in range(count):
        name, _, start, size = ENTRY.unpack_from(content, HEADER.size + index * ENTRY.size)
        files[name.split(b"\0")[0].decode("latin1")] = content[start : start + size]
    spoken = {f"{name}.SB": said for name, said in _texts(files) if said[0]}  # other recordings are noises of the game
    for name in tqdm([name for name in files if name in spoken], desc="reading dialogue", leave=False):
        # not by way of read_audio: an MP3 of no index promises a length that it does not hold
        samples, rate = soundfile.read(io.BytesIO(files[name]), dtype="float32")
        samples = soxr.resample(samples, rate, 16000)
        text, speaker = spoken[name]
        if len(samples) >= LEAST_S * 16000:
            yield Clip(to_int16(samples), f"{PACKAGE}/{name}.mp3", "debian_dialogue", speaker, text, split_of(speaker))


def split_of(speaker):
    """The split of a speaker's lines: half of the people whom the hero talks to choose thresholds."""
    held = speaker not in ("", HERO) and one_in(2, speaker)
    return "val" if held else "train"


def _texts(files):
    """(the name of a recording, (what is said in it, by whom)) of everything that is said."""
    for name, data in files.items():
        stem, _, kind = name.rpartition(".")
        said = {"DOG": _conversation, "CUT": _scene}.get(kind)
        for key, text, speaker in said(data[BANK:], stem) if said else ():
            yield from _parts(key, text, speaker)
    descriptions, found, rest = files[TEXTS].decode("latin1").partition(VERBS)
    if not found:
        raise KeyError(VERBS)
    responses = rest.splitlines()[9:][:RESPONSES]  # after nine more verbs
    for number, text in enumerate(responses + descriptions.splitlines(), 1):
        yield from _parts(f"{HERO}{number:04d}", text, HERO)


def _parts(key, sentence, speaker):
    """A sentence is spoken in parts, a recording each, between commands such as *24 and *XY00(120,110)."""
    for number, text in enumerate(re.split(r"\*(?:XY\d\d\(\d+,\d+\)|..)", sentence), 1):
        yield f"{key}{number:X}".replace(" ", "0"), (" ".join(text.split()), speaker)


def _conversation(data, name):
    """(key, sentence, speaker) of the hero and of the person whom he talks to."""
    levels, _, talk, hero, person, *offsets = TALK.unpack_from(data)
    tree = TALK.size + 4 + abs(levels) * LEVEL
    person_name = name.rstrip("0123456789")
    for letter, speaker, count, offset in (("P", person_name, person, offsets[0]), ("J", HERO, hero, tree)):
        for _ in range(count):
            (number,) = struct.unpack_from(">2xH", data, offset)
            sentence, offset = _string(data, offset + 4, 4)
            yield f"{talk:2d}{number:4X}{letter}", sentence, speaker
    again, offset = _string(data, offsets[2])
    yield f"{talk:2d}XXXXP", again, person_name
    yield f"{talk:2d}XXXXJ", _string(data, offset)[0], HERO


def _scene(data, name):
    """(key, sentence, "") of a scene's steps."""
    steps, offset = SCENE.unpack_from(data)
    _, offset = _string(data, offset)
    for step in range(1, abs(steps) + 1):
        sentence, offset = _string(data, offset)
        yield f"{name:_<5}{step:02d}", sentence, ""


def _string(data, offset, align=2):
    """(a string after its length, the offset of what follows)."""
    length = data[offset]
    offset += 1
    end = (offset + length + align - 1) // align * align if length else offset
    return data[offset : offset + length].decode("latin1"), end
