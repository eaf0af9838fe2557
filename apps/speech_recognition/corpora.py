"""What a recogniser learns from and is tested on: clips with transcripts, split by speaker wherever speakers are known."""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from apps.data.audio import find_recordings, speech_span
from apps.data.recordings import SPLITS, how_split, read_metadata, read_take, split_anew, split_clips
from apps.data.sound import RATE
from apps.data.sources import fetch, find
from apps.data.speech import Clip, kept, one_in, read_set, to_int16
from apps.data.splits import shuffled
from apps.data.synthesis import VARIANTS, some_manner, speak, split_of
from apps.data.text import read_set_texts
from tflite.runtime.randomness import Stream
from zoo.errors import InputError

DIGITS = "zero one two three four five six seven eight nine".split()
LONGEST = 7  # digits of a string
GAP_S = 0.2  # between two digits at most
CROWD = "many people"
HELD_TAKES = 10  # every so many-th take of a digit validates
COMMANDS = "yes no up down left right on off stop go".split()
STRINGS = {"val": 200, "test": 200}
SPOKEN = {"train": 800, "val": 60, "test": 100}  # takes that those are made from
WORDS = re.compile(r"[a-z]+(?:'[a-z]+)*")
SENTENCE = re.compile(r"(?<=[.!?])\s+")
TESTED_BOOKS = ("jane-austen_emma", "arthur-conan-doyle_the-adventures-of-sherlock-holmes", "bram-stoker_dracula")


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A clip and what is said in it. text: words of lower-case letters, '' where nothing is. spans: (start, end) of each word in seconds, where
    they are known."""

    clip: Clip
    text: str
    spans: tuple = ()


@dataclasses.dataclass(frozen=True)
class Corpus:
    """parts: {split: [Utterance]}; those but train and val are tested on. name: of the data. sources: (name, text) each, for the report."""

    parts: dict
    name: str
    sources: tuple

    @property
    def tested(self):
        """The parts to test on."""
        return [split for split in self.parts if split not in ("train", "val")]

    @property
    def fingerprint(self):
        """A sum over what is trained on: it tells whether two runs had the same."""
        key = hashlib.sha256()
        for said in self.parts["train"]:
            key.update(said.text.encode())
            key.update(np.ascontiguousarray(said.clip.samples[::97]))
        return key.hexdigest()[:24]


def normalised(text):
    """Words of lower-case letters and apostrophes, a space between them."""
    return " ".join(WORDS.findall(text.lower().replace("\u2019", "'")))


def read_corpus(config):
    """The corpus of a configuration."""
    readers = {"rendered": _rendered_digits, "digits": _digits, "commands": _commands, "english": _english}
    corpus = _own(config) if config.recordings is not None else readers[config.dataset](config)
    if config.all_speakers:
        corpus.parts["train"] += corpus.parts["val"]
    return corpus


def _own(config):
    """Recordings of a folder, with the texts of its metadata.csv."""
    folder = Path(config.recordings)
    paths = find_recordings(folder)
    notes = read_metadata(folder, paths, text=True)
    said = []
    for path in tqdm(paths, desc="reading", leave=False):
        note = notes[path.relative_to(folder).as_posix()]
        text = normalised(note["text"])
        if note["text"].strip() and not text:
            raise InputError(f"{folder / 'metadata.csv'} has the text {note['text']!r}; expected words of the letters a to z.")
        said.append(read_take(path, folder, text, note))
    parts = {split: [Utterance(clip, clip.text) for clip in clips] for split, clips in split_clips(said, config.seed).items()}
    return Corpus(parts, folder.name, (("recordings", f"{folder.name}: {len(said)} recordings, {how_split(said)}"),))


def _rendered_digits(config):
    """Strings of digits by rendered voices, each voice in one split."""

    def say():
        for number, (split, count) in enumerate(SPOKEN.items()):
            draw, voices = Stream(7300, number), [voice for voice in VARIANTS if split_of(voice) == split]
            for take in tqdm(range(count), desc=f"rendering {split} digits", leave=False):
                voice, digit = voices[take // len(DIGITS) % len(voices)], DIGITS[take % len(DIGITS)]
                samples = speak(digit, voice, some_manner(draw))
                start, end = speech_span(samples)
                yield Clip(to_int16(0.7 * samples[start:end]), "", "rendered", voice, digit, split)

    takes = kept("digits_v1", say)
    parts = {}
    for split, count in {"train": config.strings, **STRINGS}.items():
        parts[split] = _strings([take for take in takes if take.split == split], count, config.seed, split)
    voices = {split: len({take.speaker for take in takes if take.split == split}) for split in SPLITS}
    text = f"digits by espeak-ng, split by voice: {', '.join(f'{count} {split}' for split, count in voices.items())}"
    return Corpus(parts, "rendered digits", (("speech", text),))


def _digits(config):
    """Strings of the Free Spoken Digits, one person held out; to train, all other digits that people say, and rendered ones."""
    takes = read_set("fsdd")
    takes = [dataclasses.replace(take, text=take.text.lower()) for take in takes]
    parts = {"train": [], "val": [], "test": [take for take in takes if take.speaker == config.held_out]}
    for take in takes:
        if take.speaker != config.held_out:
            parts["val" if int(Path(take.name).stem.rsplit("_", 1)[1]) % HELD_TAKES == 0 else "train"].append(take)
    strings = {
        "train": _strings(parts["train"], config.strings, config.seed, "train"),
        "val": _strings(parts["val"], STRINGS["val"], config.seed, "val"),
        "test": _strings(parts["test"], None, config.seed, "test"),
    }
    others = read_set("speechocean762_train", lambda row: set(row["text"].lower().split()) <= set(DIGITS))
    strings["train"] += [Utterance(clip, clip.text.lower()) for clip in others]
    # many voices, of each a word or two: they take turns in a string
    crowd = [_trimmed(clip, CROWD) for clip in _decoded("speech_commands_test_v0.02") if clip.text in DIGITS]
    strings["train"] += _strings(crowd, config.strings // 3, config.seed, "train")
    strings["train"] += _rendered_digits(config).parts["train"][: config.strings // 3]
    sources = (
        ("test", f"Free Spoken Digits by {config.held_out}, whom no training heard; CC BY-SA 4.0"),
        ("training", "Free Spoken Digits by the five others (every tenth take of each digit validates); CC BY-SA 4.0"),
        ("training", f"speechocean762, {len(others)} strings of digits; CC BY 4.0"),
        ("training", f"Speech Commands v0.02, {len(crowd)} digits among its test set's other words; CC BY 4.0"),
        ("training", "digits by espeak-ng"),
    )
    return Corpus(strings, f"spoken digits, {config.held_out} held out", sources)


def _trimmed(clip, speaker):
    """A clip of one word without what is before and after it, under another name of its speaker."""
    start, end = speech_span(clip.samples)
    return dataclasses.replace(clip, samples=clip.samples[start:end], speaker=speaker)


def _strings(takes, count, seed, split):
    """Strings of 1 to LONGEST digits, each of one speaker's takes. count None: until every take was used once."""
    if not takes:
        return []
    draw = Stream(seed + 11, SPLITS.index(split))
    speakers = {}
    for take in sorted(takes, key=lambda take: shuffled(seed, f"{take.name} {take.speaker} {take.text}")):
        speakers.setdefault(take.speaker, []).append(take)
    names, said, places, turn = sorted(speakers), [], dict.fromkeys(speakers, 0), 0
    while len(said) < count if count else any(places[name] < len(speakers[name]) for name in names):
        name, length = names[turn % len(names)], 1 + turn // len(names) % LONGEST
        own, first, turn = speakers[name], places[name], turn + 1
        chosen = [own[place % len(own)] for place in range(first, first + length)] if count else own[first : first + length]
        places[name] += length
        if chosen:
            said.append(_joined(chosen, draw, name, split))
    return said


def _joined(takes, draw, speaker, split):
    """An utterance of takes one after another."""
    pieces, spans, position = [], [], 0
    for take in takes:
        gap = round(draw.uniform(0.0, GAP_S) * RATE) if pieces else 0
        pieces += [np.zeros(gap, np.int16), take.samples]
        spans.append(((position + gap) / RATE, (position + gap + len(take.samples)) / RATE))
        position += gap + len(take.samples)
    text = " ".join(take.text for take in takes)
    return Utterance(Clip(np.concatenate(pieces), takes[0].name, takes[0].source, speaker, text, split), text, tuple(spans))


def _commands(config):
    """Ten words, one a clip, by the column `split`; other words and silence are taught as nothing."""
    parts = {split: [] for split in (*SPLITS, "other words and silence")}
    clips = _decoded("speech_commands_test_v0.02")
    if not any(clip.split == "train" for clip in clips):  # the canonical archive has no such column
        dealt = split_anew(clips, config.seed)
        clips = [dataclasses.replace(clip, split=split) for split, some in dealt.items() for clip in some]
    for clip in clips:
        split = clip.split or ("test" if one_in(4, clip.name) else "train")  # silence has no speaker
        known = clip.text in COMMANDS
        parts[split if known or split != "test" else "other words and silence"].append(Utterance(clip, clip.text * known))
    licence = find("speech_commands_test_v0.02").licence
    source = f"Speech Commands v0.02, its test set alone, split by speaker, which is not the official protocol; {licence}"
    return Corpus(parts, "voice commands", (("recordings", source),))


def _decoded(name):
    """The clips of a data set; decoding them takes longer than reading them again."""
    _, form = fetch(name)
    return kept(f"{Path(form.file).stem}_{(form.sha256 or 'unpublished')[:12]}_v2", lambda: read_set(name))


def _english(config):
    """Read sentences: non-native speakers to train, some of them to validate; other speakers, native and not, to test."""
    parts = {"train": [], "val": [], "test": [], "native readers": []}
    for clip in _decoded("speechocean762_train"):
        split = "test" if clip.split == "val" else "val" if one_in(16, clip.speaker) else "train"
        parts[split].append(Utterance(clip, normalised(clip.text)))
    for clip in read_set("librispeech_sample", lambda row: row["split"] == "test"):
        parts["native readers"].append(Utterance(clip, normalised(clip.text)))
    parts["train"] += [Utterance(clip, clip.text) for clip in _read_aloud(config.rendered_hours)]
    sources = [
        ("training", f"speechocean762, {find('speechocean762_train').licence}; its speakers marked val are the test"),
        ("native readers", f"LibriSpeech test-other, 100 sentences of 10 speakers, {find('librispeech_sample').licence}"),
    ]
    if config.rendered_hours:
        sources.append(("training", f"{config.rendered_hours:g} h of sentences of the books, by espeak-ng"))
    return Corpus(parts, "read English", tuple(sources))


def _read_aloud(hours):
    """Hours of sentences of the books that no language model is tested on, by rendered voices; cached."""

    def say():
        draw, texts = Stream(7400, 0), book_sentences()
        voices, length = [voice for voice in VARIANTS if split_of(voice) == "train"], 0
        with tqdm(total=round(hours * 60), unit="min", desc="rendering sentences", leave=False) as bar:
            while length < hours * 3600 * RATE:
                text = draw.choice(texts)
                if not 4 <= len(text.split()) <= 20:
                    continue
                samples = to_int16(0.7 * speak(text, draw.choice(voices), some_manner(draw)))
                yield Clip(samples, "", "rendered", "", text, "train")
                length += len(samples)
                bar.update(round(length / RATE / 60) - bar.n)

    return kept(f"books_{hours:g}h_v1", say) if hours else []


def book_sentences():
    """The sentences of the books to train on, normalised."""
    found = []
    for name, chunks in read_set_texts("books", "*.txt"):
        if Path(name).stem not in TESTED_BOOKS:
            found += [sentence for chunk in chunks for sentence in split_sentences(chunk)]
    return found


def split_sentences(text):
    """The sentences of a text, normalised."""
    found = (normalised(sentence) for sentence in SENTENCE.split(" ".join(text.split())))
    return [sentence for sentence in found if sentence]
