"""The speech recognition task: its configuration, search space and verbs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from apps.config import Bounds, TrainingConfig, check_bounds
from apps.task import Choice, Range, Task, Verb
from zoo.errors import InputError

EMBEDDED = "embedding_recognizer"
STREAMING = ("separable_recognizer", "streaming_deep_speech", EMBEDDED)
TIMES = (".json", ".vtt", ".TextGrid")  # what words with their times are written as
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Trains a recogniser of speech: rendered strings of digits by default, public recordings, or your own."""

    recordings: Path | None = None
    """folder of recordings with a metadata.csv (columns path, text, and speaker where known); none: --dataset"""
    dataset: Literal["rendered", "digits", "commands", "english"] = "rendered"
    """rendered: strings of digits by rendered voices; digits: the same by people; commands: ten words, one a clip; english: read sentences"""
    held_out: str = "yweweler"
    """the person whose digits test, and who is never trained on: george, jackson, lucas, nicolas, theo or yweweler"""
    tokens: Literal["auto", "words", "characters", "subwords", "phonemes"] = "auto"
    """what a symbol stands for; auto: a word of digits and commands, else a character; phonemes: CMUdict's, without stress"""
    vocabulary_size: Annotated[int, Bounds(30, 30_000)] = 256
    """subwords"""
    model: Literal[
        "embedding_recognizer", "separable_recognizer", "streaming_deep_speech", "deep_speech", "tdnn_recognizer", "conformer"
    ] = "embedding_recognizer"
    """builder of the zoo; the first three stream, and run on devices; embedding_recognizer is a head on a pretrained encoder, the others are
    trained from scratch"""
    encoder: str = "speech-in-noise"
    """pretrained encoder that embedding_recognizer hears by: a preset, or published"""
    channels: Annotated[int, Bounds(1, 4096)] = 96
    """width of convolutions, and of the Conformer"""
    units: Annotated[int, Bounds(1, 8192)] = 192
    """width of recurrent layers"""
    depth: Annotated[int, Bounds(1, 64)] = 6
    """blocks, or recurrent layers"""
    kernel_size: Annotated[int, Bounds(1, 101)] = 9
    """frames that a convolution of a block sees (separable_recognizer, conformer; embeddings: embedding_recognizer)"""
    stride: Annotated[int, Bounds(1, 8)] = 4
    """frames of 10 ms for each that the network gives (embedding_recognizer: 8, or 4, 2, 1: several for each embedding)"""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.1
    """share of activations dropped in training"""
    masks: Annotated[int, Bounds(0, 20)] = 1
    """stretches of time, and of bands, that SpecAugment hides in each clip"""
    criterion: Literal["ctc", "align", "classify"] = "ctc"
    """ctc: all ways to say the labels; align: the notes' align and retrain, each batch along its likeliest path; classify: one word a clip, the
    notes' divergence weighted over the last frames"""
    copies: Annotated[int, Bounds(1, 1000)] = 2
    """so many changed copies of each training clip: tempo, room, noise, codec"""
    strings: Annotated[int, Bounds(100, 1_000_000)] = 3000
    """strings of digits to train on"""
    rendered_hours: Annotated[float, Bounds(0.0, 1000.0)] = 0.0
    """hours of sentences of the books, said by rendered voices, to train on beside recordings (english)"""
    all_speakers: bool = False
    """train on the clips to validate, too, once nothing is left to choose: what is measured on them means little then"""
    clean_share: Annotated[float, Bounds(0.0, 1.0)] = 0.5
    """share of copies without room, noise and codec"""
    decoding: Literal["greedy", "beam"] = "greedy"
    """how it is decoded where nothing else is asked for"""
    width: Annotated[int, Bounds(1, 10_000)] = 32
    """prefixes that beam search keeps"""
    frames_per_step: Annotated[int, Bounds(4, 400)] = 8
    """feature frames (10 ms each) that the exported model takes at a time; a multiple of the stride"""
    weight_decay: Annotated[float, Bounds(0.0, 1.0)] = 0.01
    """of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)"""
    averaged: Annotated[float, Bounds(0.0, 0.99999)] = 0.0
    """the model's weights are a running average of the trained ones that keeps this share at each step (0.999, say); 0: no average"""
    learning_rate: Annotated[float, Bounds(1e-7, 10.0)] = 0.004
    """the highest learning rate of the schedule (linear warm-up, then cosine to a hundredth)"""
    steps: Annotated[int, Bounds(1, 10_000_000)] = 1500
    """training steps in all"""

    def __post_init__(self):
        super().__post_init__()
        if self.recordings is None and self.dataset == "digits" and self.held_out not in SPEAKERS:
            raise InputError(f"`held_out` is {self.held_out!r}; expected one of {', '.join(SPEAKERS)}.")
        if self.frames_per_step % self.stride:
            raise InputError(f"`frames_per_step` is {self.frames_per_step}; expected a multiple of the stride, {self.stride}.")
        if self.embedded and (self.stride not in (1, 2, 4, 8) or self.frames_per_step % 8):
            raise InputError(
                f"`stride`, `frames_per_step` are {self.stride}, {self.frames_per_step}; embedding_recognizer takes 1, 2, 4 or 8 and a multiple of 8."
            )
        if self.model == "conformer" and (self.channels % 8 or self.stride % 2):
            raise InputError(
                f"`channels`, `stride` are {self.channels}, {self.stride}; the conformer takes a multiple of 8 and an even number."
            )
        if self.criterion == "classify" and self.symbols != "words":
            raise InputError(
                f"`criterion` is 'classify' with {self.symbols}; expected words, of which each clip has one at most."
            )

    @property
    def embedded(self):
        """Whether the network hears by a pretrained encoder."""
        return self.model == EMBEDDED

    @property
    def builder(self):
        """The zoo's builder of the model that is saved."""
        return "speech_embedding_recognizer" if self.embedded else self.model

    @property
    def streams(self):
        """Whether the model writes while it hears, and so runs on devices."""
        return self.model in STREAMING

    @property
    def exact_file(self):
        """The exported file that is nearest to the model, as `hearing` takes it."""
        return "float" if self.streams else "saved_model"

    @property
    def symbols(self):
        """What a symbol stands for."""
        if self.tokens != "auto":
            return self.tokens
        return "characters" if self.recordings is not None or self.dataset == "english" else "words"


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measures a run on its test data again, through the exported files, with a language model if wanted; writes metrics.json."""

    run: Path
    """run folder, as `train` makes it"""
    language_model: Path | None = None
    """ARPA file of words that beam search is also measured with; `ngram` makes one"""
    weight: Annotated[float | None, Bounds(0.0, 10.0)] = None
    """how much the language model counts; none: what gets the fewest words of the clips to validate wrong"""
    word_bonus: Annotated[float | None, Bounds(-20.0, 20.0)] = None
    """added for each word where there is a language model, which likes few; none: chosen, too"""

    def __post_init__(self):
        check_bounds(self)
        for name in ("weight", "word_bonus"):
            if getattr(self, name) is not None and self.language_model is None:
                raise InputError(f"`{name}` is given; expected it with --language-model.")


@dataclasses.dataclass(frozen=True)
class Ngram:
    """Makes a language model of words for beam search: an ARPA file of n-grams (modified Kneser-Ney, entropy pruning)."""

    output: Path
    """ARPA file to write; compressed where the name ends in .gz"""
    text: tuple[Path, ...] = ()
    """text files, English; none: books"""
    order: Annotated[int, Bounds(1, 5)] = 3
    """words of the longest n-grams"""
    vocabulary_size: Annotated[int, Bounds(1, 1_000_000)] = 20_000
    """words that are known, the most frequent ones"""
    prune: Annotated[float, Bounds(0.0, 1.0)] = 3e-7
    """n-grams whose loss raises the perplexity by less than this share are left out; 0: none"""

    def __post_init__(self):
        check_bounds(self)


@dataclasses.dataclass(frozen=True)
class Transcribe:
    """Writes down what is said: a line for each utterance, as it is said where the model streams."""

    run: Path
    """run folder, or a preset"""
    files: tuple[Path, ...] = ()
    """recordings of any common format, rate and channel count"""
    microphone: bool = False
    """listen to the microphone (needs the package sounddevice)"""
    words: Path | None = None
    """file for the words with their times: .json, .vtt or .TextGrid (Praat); of one recording"""
    method: Literal["greedy", "beam"] | None = None
    """how it is decoded; none: as it was trained to be"""
    width: Annotated[int, Bounds(1, 10_000)] = 32
    """prefixes that beam search keeps"""
    language_model: Path | None = None
    """ARPA file of words, for beam search; `ngram` makes one"""
    weight: float = 0.5
    """how much the language model counts"""
    word_bonus: float = 1.0
    """added for each word where there is a language model"""
    hot_words: tuple[str, ...] = ()
    """words to listen for, for beam search"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""

    def __post_init__(self):
        check_bounds(self)
        if bool(self.files) == self.microphone:
            raise InputError("expected --files or --microphone, one of them.")
        if self.words is not None and (len(self.files) != 1 or self.words.suffix not in TIMES):
            raise InputError(
                f"`words` is {self.words}; expected a name that ends in .json, .vtt or .TextGrid, and one recording."
            )
        beam = {"language_model": self.language_model, "hot_words": self.hot_words}
        for name, value in beam.items():
            if value and self.method == "greedy":
                raise InputError(f"`{name}` is given; expected it with --method beam.")
        if any(beam.values()):
            object.__setattr__(self, "method", "beam")


@dataclasses.dataclass(frozen=True)
class Align:
    """Tells when each word and character of a known text is said in a recording."""

    run: Path
    """run folder, or a preset"""
    file: Path
    """a recording of any common format, rate and channel count"""
    text: str
    """what is said in it"""
    output: Path | None = None
    """file for the times: .json, .vtt or .TextGrid (Praat); none: they are printed"""
    picture: Path | None = None
    """HTML file to write, with the path through the trellis"""

    def __post_init__(self):
        if self.output is not None and self.output.suffix not in TIMES:
            raise InputError(f"`output` is {self.output}; expected a name that ends in .json, .vtt or .TextGrid.")


SEARCH = {
    "learning_rate": Range(5e-4, 1e-2, log=True),
    "channels": Choice((64, 96, 128)),
    "depth": Choice((6, 8, 10)),
    "dropout": Range(0.0, 0.4),
    "masks": Choice((0, 1, 2, 4)),
}

TASK = Task(
    name="speech-recognition",
    summary="write down what is said",
    config=Config,
    search=SEARCH,
    objective=("val_error_rate", "min"),
    package="apps.speech_recognition",
    verbs=(
        Verb("transcribe", Transcribe, "transcribe"),
        Verb("align", Align, "align"),
        Verb("evaluate", Evaluate, "evaluate_run"),
        Verb("ngram", Ngram, "ngram"),
    ),
    retired=("language_model", "weight", "word_bonus"),
)
