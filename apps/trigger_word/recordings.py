"""Which recordings a training uses, and how they are split: by speaker wherever speakers are known."""

import csv
import dataclasses
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from apps.data import dialogue, prompts
from apps.data.audio import SILENCE, find_recordings, read_audio, speech_span, through_opus
from apps.data.pronunciation import VOCABULARY, homophones, near, phonemes, vocabulary
from apps.data.recordings import SHORTEST_S, SPLITS, how_split, read_metadata, read_take, split_anew, split_clips
from apps.data.sentences import sentence
from apps.data.sources import available, find
from apps.data.speech import Clip, kept, one_in, read_set, to_int16
from apps.data.synthesis import RECORDED, VARIANTS, espeak_installed, recorded_voices, some_manner, speak, split_of
from apps.trigger_word import bundle
from tflite.runtime.randomness import Stream
from zoo.errors import InputError

FOLDS = 5
LEAST = 6
NEAR_TEXTS, NEAR_VOICES = 240, 3
ENOUGH_SPEAKERS = 20
COMMON = 1500  # the most frequent words
TAKES = {"train": 1600, "val": 120, "test": 160}  # of a phrase
PUBLIC = ("librispeech_sample", "speechocean762_train", "negatives_small")


@dataclasses.dataclass(frozen=True)
class Recordings:
    """words: {word: {split: [Clip]}}. negatives: {split: [Clip]}. sources: what the report says of them, (name, text) each.

    false_accepts: clips that an earlier detector took for a word. near: clips of what sounds like one. Both are trained on only.
    """

    words: dict
    negatives: dict
    sources: tuple
    false_accepts: tuple = ()
    near: tuple = ()

    def fingerprint(self, split):
        """A sum over what is heard in a split: it tells whether two runs had the same."""
        return fingerprint((*(clip for splits in self.words.values() for clip in splits[split]), *self.negatives[split]))


def fingerprint(clips):
    """A sum over the samples of clips."""
    total = hashlib.sha256()
    for clip in clips:
        total.update(f"{len(clip.samples)} ".encode())
        total.update(np.ascontiguousarray(clip.samples))
    return total.hexdigest()[:16]


def gather(config):
    """The recordings that a configuration asks for."""
    words, sources = {}, []
    if config.recordings is not None:
        for word in config.words:
            words[word], text = read_words(config.recordings, word, len(config.words) > 1, config.seed, config.personal)
            sources.append(("words", text))
    elif config.phrase is None:
        if config.words != (bundle.WORD,):
            raise InputError(
                f"`recordings` and `phrase` are not given and `words` are {' '.join(config.words)}; the bundled recordings are of "
                f"{bundle.WORD!r} only. Give --recordings DIR, or --phrase TEXT."
            )
        words = {bundle.WORD: bundled(bundle.WORD)}
        sources = [("words", f"{bundle.WORD!r}: bundled, rendered voices, split by voice")]
    if config.phrase is not None:
        if len(recorded_voices()) < ENOUGH_SPEAKERS and config.recordings is None:
            tqdm.write(
                f"note: {len(recorded_voices())} recorded speakers are installed to say {config.phrase!r}; with {len(RECORDED)} a detector "
                "misses far less. docs/wake-words.md, Voices, has the command that installs them."
            )
        if config.size == "micro" and config.recordings is None:
            tqdm.write(
                "note: from the spelling alone, the size micro misses at least twice as many people as the size standard; docs/wake-words.md has the table."
            )
        (word,), said = config.words, spelled(config.phrase)
        text = f"{config.phrase!r}: rendered, {len({clip.speaker for clip in said['train']})} voices to train"
        if word in words:
            words[word]["train"] = words[word]["train"] + said["train"]
        else:
            words[word] = said
            text += ", others to choose the threshold and to test: says little about people"
        sources.append(("words", text))
    negatives, more = gather_negatives(config)
    for kind, splits in (*words.items(), ("other speech", negatives)):
        empty = [split for split in SPLITS if not splits[split]]
        if empty:
            raise InputError(
                f"no recordings of {kind} are left for {' and '.join(empty)}; give more (--recordings, --negatives, "
                "--rendered-hours), or mend the split in metadata.csv."
            )
    false = []
    for folder in config.false_accepts:
        clips = [_negative(path) for path in find_recordings(folder)]
        false += clips
        sources.append(("words", f"{folder}: {len(clips)} false accepts of an earlier detector, to train on"))
    for folder in config.misses:
        for word in config.words:
            if len(config.words) == 1 or (Path(folder) / word).is_dir():
                inner, paths = _find(folder, word, len(config.words) > 1)
                words[word]["train"] = words[word]["train"] + [read_take(path, inner, word, {}) for path in paths]
                sources.append(
                    ("words", f"{folder}: {len(paths)} recordings of {word!r} that an earlier detector missed, to train on")
                )
    alike = near_words(config.spellings) if config.near_words else []
    return in_the_same_codecs(Recordings(words, negatives, (*sources, *more), tuple(false), tuple(alike)))


def in_the_same_codecs(recordings):
    """The recordings, as many of all that is trained on through a codec as of the other speech: else the codec tells the label.

    What chooses the threshold and what tests stays as it was recorded.
    """
    train = recordings.negatives["train"]
    share = sum(clip.seconds for clip in train if clip.coded) / sum(clip.seconds for clip in train)

    def through(clips, number):
        chances = Stream(7300, number).array(len(clips))
        chosen = [index for index, clip in enumerate(clips) if not clip.coded and chances[index] < share]
        clips = list(clips)
        # libsndfile's encoder leaves Python's lock alone
        with ThreadPoolExecutor(2) as threads:
            coded = threads.map(lambda index: to_int16(through_opus(clips[index].samples / 32768, bundle.QUALITY)), chosen)
            for index, samples in zip(chosen, tqdm(coded, desc="coding recordings", total=len(chosen), leave=False)):
                clips[index] = dataclasses.replace(clips[index], samples=samples)
        return clips

    words = {
        word: {**splits, "train": through(splits["train"], number)}
        for number, (word, splits) in enumerate(recordings.words.items())
    }
    false, near = through(recordings.false_accepts, 998), through(recordings.near, 999)
    return dataclasses.replace(recordings, words=words, false_accepts=tuple(false), near=tuple(near))


def bundled(kind):
    """The bundled recordings of a kind, 'computer' or 'other', by split."""
    with open(bundle.FOLDER / "metadata.csv", newline="", encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].split("/")[1] == kind]
    return {
        split: [
            Clip(to_int16(read_audio(bundle.FOLDER / row["path"])), row["path"], "bundled", row["voice"], row["text"], split)
            for row in rows
            if row["split"] == split
        ]
        for split in SPLITS
    }


def read_words(folder, word, several, seed, personal=False):
    """The recordings of a word in a folder of the user's, by split, and a line that says how they were split.

    A metadata.csv (path, and speaker or split) in the folder decides; else clips are drawn, and speakers are unknown.
    personal: they are of one person, so that clips are drawn whatever speaker is named.
    """
    folder, paths = _find(folder, word, several)
    if len(paths) < LEAST:
        raise InputError(
            f"{folder} has {len(paths)} recording{'s' * (len(paths) != 1)} of {word!r}; expected at least {LEAST}, better 100 by many "
            "people: some to train, some to choose the threshold, some to test. Record more."
        )
    notes = read_metadata(folder, paths)
    clips = [
        read_take(path, folder, word, notes.get(path.relative_to(folder).as_posix(), {}))
        for path in tqdm(paths, desc=f"reading {word}", leave=False)
    ]
    if personal:
        clips = [dataclasses.replace(clip, speaker="") for clip in clips]
    how = "of one person, whom alone the figures are about" if personal else how_split(clips)
    return split_clips(clips, seed), f"{word!r}: {len(clips)} recordings, {how}"


def read_recordings(folder):
    """All recordings of a folder, of one word."""
    return [read_take(path, Path(folder), "", {}) for path in tqdm(find_recordings(folder), desc="reading", leave=False)]


def _find(folder, word, several):
    """(folder, recordings in it) of a word, whose folder may stand in the one that is named."""
    folder = Path(folder)
    inner = folder / word
    if several and not inner.is_dir():
        raise InputError(f"{folder} has no folder {word!r}; expected one for each of the words.")
    folder = inner if inner.is_dir() else folder
    return folder, find_recordings(folder)


def gather_negatives(config):
    """Speech without the words by split, and lines that say what it is."""
    if config.negatives:
        paths = sorted({path.resolve() for folder in config.negatives for path in find_recordings(folder)})
        if len(paths) < 3:
            raise InputError(
                f"`negatives` hold {len(paths)} recording{'s' * (len(paths) != 1)}; expected at least 3, better hours. Give more."
            )
        clips = [_negative(path) for path in tqdm(paths, desc="reading negatives", leave=False)]
        text = f"{', '.join(map(str, config.negatives))}: {hours(clips):.2f} h, speakers unknown; nobody checked that the words are not in it"
        return split_clips(clips, config.seed), [("negatives", text)]
    if config.recordings is not None or config.phrase is not None:
        sets = [name for name in PUBLIC if available(name) or (config.download and find(name).canonical)]
        if sets:
            return _public(sets, _said_alike(config.spellings))
    return _rendered(config)


def _negative(path):
    samples = read_audio(path)
    if len(samples) < SHORTEST_S * 16000 or np.abs(samples).max() < SILENCE:
        raise InputError(f"{path} is silent or shorter than {SHORTEST_S} s; remove it.")
    return Clip(to_int16(samples), str(path), str(path.parent))


def says(text, words):
    """Whether a transcript holds one of the words, or phrases of several words."""
    spoken, *wanted = (" " + " ".join(re.findall(r"[\w']+", part.lower())) + " " for part in (text, *words))
    return any(phrase in spoken for phrase in wanted)


def _said_alike(words):
    """The words, and those that are spelled otherwise and said the same."""
    alike = [other for word in words for other in homophones(word, vocabulary())] if espeak_installed() else []
    return tuple(dict.fromkeys((*words, *alike)))


def usable(clip, words):
    """Whether a clip is speech without the words: by its transcript; without one, where none of the words is common."""
    return not says(clip.text, words) if clip.text else not common(words)


def common(words):
    """Whether people say one of the words every few minutes."""
    return not set(words).isdisjoint(vocabulary()[:COMMON])


def _public(sets, words):
    clips, lines = [], []
    say = "may say" if common(words) else "say"
    for name in sets:
        if available(name) is None:
            canonical = find(name).canonical
            tqdm.write(
                f"downloading {canonical.url}" + (f", {canonical.size / 1e6:.0f} MB" if canonical.size else ", of unknown size")
            )
        found = read_set(name)
        kept = with_test_speakers([clip for clip in found if usable(clip, words)])
        clips += kept
        left_out = f", {len(found) - len(kept)} clips that {say} a word left out" if len(kept) < len(found) else ""
        lines.append(("negatives", f"{name} ({find(name).licence}): {hours(kept):.2f} h of people{left_out}"))
    if prompts.fetched():
        found = [clip for clip in prompts.read_prompts() if usable(clip, words)]
        clips += found
        lines.append(
            ("negatives", f"Debian's telephone prompts ({prompts.LICENCE}): {hours(found):.2f} h of people in five languages")
        )
    negatives = {split: [clip for clip in clips if (clip.split or "train") == split] for split in SPLITS}
    if not all(negatives.values()):
        # canonical archives are one official split each: split by speaker instead
        negatives = split_anew(clips, 0)
    if dialogue.fetched():
        found = [clip for clip in dialogue.read_dialogue() if usable(clip, words)]
        for split in ("train", "val"):
            negatives[split] = negatives[split] + [clip for clip in found if clip.split == split]
        lines.append(
            ("negatives", f"dialogue of a game ({dialogue.LICENCE}): {hours(found):.2f} h of people, none of it to test on")
        )
    return negatives, lines


def with_test_speakers(clips):
    """Clips of a set that was split without a test part: a sixth of its training speakers becomes one."""
    if not any(clip.split for clip in clips) or any(clip.split == "test" for clip in clips):
        return clips

    def held(clip):
        return clip.split == "train" and clip.speaker and one_in(6, clip.speaker)

    return [dataclasses.replace(clip, split="test") if held(clip) else clip for clip in clips]


def _rendered(config):
    every = bundled("other")
    negatives = {split: [clip for clip in clips if not says(clip.text, config.spellings)] for split, clips in every.items()}
    left_out = sum(map(len, every.values())) - sum(map(len, negatives.values()))
    lines = [
        (
            "negatives",
            f"bundled rendered words and sentences: {sum(hours(clips) for clips in negatives.values()):.2f} h, split by voice"
            + (f"; {left_out} recordings that say a word were left out" if left_out else ""),
        )
    ]
    if not espeak_installed():
        return negatives, [*lines, ("negatives", "no further speech was rendered: the package espeakng-loader is not installed")]
    if config.rendered_hours:
        for number, split in enumerate(SPLITS):
            spoken = rendered(split, config.rendered_hours, number)
            negatives[split] = negatives[split] + [clip for clip in spoken if not says(clip.text, config.spellings)]
        lines.append(
            (
                "negatives",
                f"rendered by espeak-ng: {config.rendered_hours:g} h of distinct sentences each for train, validation and test, by the voices of each",
            )
        )
    return negatives, lines


def near_words(words):
    """What sounds like the words without being one of them: clips; cached. words: as they are spelled.

    Said by the bundled training voices, however many others say the word: near words by all of them make a detector that was trained from
    the spelling particular about how people say it (docs/wake-words.md).
    """
    if not espeak_installed():
        return []
    for word in words:
        _check_said(word)

    speakers = [voice for voice in recorded_voices() if voice in bundle.RECORDED]

    def speak_them():
        draw, voices = Stream(7100, 0), voices_of("train", speakers)
        texts = [text for word in words for text, _ in near(word, max(1, NEAR_TEXTS // len(words))) if not says(text, words)]
        for text in tqdm(texts, desc="rendering near words", leave=False):
            for _ in range(NEAR_VOICES):
                yield _say(text, draw.choice(voices), some_manner(draw), "train")

    depends = [*words, NEAR_TEXTS, NEAR_VOICES, speakers, VOCABULARY.read_text("utf8")]
    return kept(f"near_{hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]}_v2", speak_them)


def spelled(phrase):
    """A phrase said by rendered voices, by split, each voice in one of them; cached."""
    _check_said(phrase)

    def speak_it():
        for number, split in enumerate(SPLITS):
            draw, voices = Stream(7200, number), voices_of(split, recorded_voices())
            for take in tqdm(range(TAKES[split]), desc=f"rendering {phrase!r}, {split}", leave=False):
                text = phrase + draw.choice(("", ".", ",", "!", "?"))
                yield _say(text, voices[take % len(voices)], some_manner(draw), split)

    name = hashlib.sha256(phrase.encode()).hexdigest()[:16]
    clips = kept(f"spelled_{name}_{len(recorded_voices())}_v2", speak_it)
    return {split: [clip for clip in clips if clip.split == split] for split in SPLITS}


def _check_said(text):
    if not phonemes(text):
        raise InputError(f"{text!r} is no word that espeak-ng says; spell it with --phrase, or train with --no-near-words.")


def voices_of(split, speakers):
    """The voices of a split, of espeak-ng's and of recorded speakers; each of these as often as five of formant synthesis."""
    return [voice for voice in (*VARIANTS, *5 * speakers) if split_of(voice) == split]


def _say(text, voice, manner, split):
    samples = speak(text, voice, manner)
    start, end = speech_span(samples, pause_s=1.0)
    return Clip(to_int16(0.7 * samples[start:end]), f"{voice}_{text}", "rendered", voice, text, split)


def rendered(split, hours_wanted, seed):
    """Hours of distinct sentences by espeak-ng's voices of a split; cached."""

    def speak_hours():
        voices = [voice for voice in VARIANTS if split_of(voice) == split]
        draw, length = Stream(7000 + seed, 0), 0
        with tqdm(total=round(hours_wanted * 60), unit="min", desc=f"rendering {split} speech", leave=False) as bar:
            while length < hours_wanted * 3600 * 16000:
                manner = some_manner(draw)
                voice, text = draw.choice(voices), sentence(draw)
                samples = to_int16(0.7 * speak(text, voice, manner))
                yield Clip(samples, "", "rendered", voice, text, split)
                length += len(samples)
                bar.update(round(length / 16000 / 60) - bar.n)

    return kept(f"{split}_{hours_wanted:g}h_{seed}_v3", speak_hours)


def fold_of(clip):
    """The fold of a clip's speaker, 0 to 4, the same on every machine; of the clip where its speaker is not known."""
    prompters = sorted({speaker for _, speaker, *_ in prompts.PACKAGES})
    if clip.speaker in prompters:
        return prompters.index(clip.speaker) % FOLDS
    return int(hashlib.sha256(f"{clip.source} {clip.speaker or clip.name}".encode()).hexdigest(), 16) % FOLDS


def hours(clips):
    """Hours of audio in clips."""
    return sum(clip.seconds for clip in clips) / 3600
