"""The trigger word task: its configuration, search space and verbs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from apps.config import Bounds, TrainingConfig, check_bounds
from apps.task import Choice, Range, Task, Verb
from zoo.errors import InputError

STEPS, STEPS_SPELLED = 5000, 1500


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Trains a detector of spoken words."""

    recordings: Path | None = None
    """folder of recordings of the word, one a file; for several words a folder each inside; none: the bundled ones, or rendered ones"""
    phrase: str | None = None
    """the word's spelling, to be said by rendered voices: alone, or beside --recordings to train on"""
    personal: bool = False
    """the recordings are of one person, whom alone the detector needs to hear and the figures are about; ten takes do"""
    negatives: tuple[Path, ...] = ()
    """folders of speech without the word; none: the public sets within reach, or else rendered speech"""
    false_accepts: tuple[Path, ...] = ()
    """folders of recordings at which an earlier detector fired falsely; trained on as often as near words"""
    misses: tuple[Path, ...] = ()
    """folders of recordings of the word that an earlier detector missed; trained on beside the others"""
    words: tuple[str, ...] = ()
    """the words to detect; none: the phrase, or else computer"""
    near_words: bool = True
    """render words that sound like the word, for the detector to tell them apart (needs espeakng-loader)"""
    download: bool = False
    """fetch public sets that are not here yet (sizes are shown first)"""
    rendered_hours: Annotated[float, Bounds(0.0, 1000.0)] = 1.0
    """hours of rendered speech for each of training, validation and test, where rendered speech is used"""
    size: Literal["standard", "micro", "scratch"] = "standard"
    """standard: a speech encoder that was pretrained on people and a small head, 1.4 MB, 0.4 MB in int8; micro: a network of less than 60 KB in int8 that learned from that encoder; scratch: `model`, from random weights"""
    base: str = "micro-speech"
    """what the size micro starts from: a preset of `micro_speech_embedding`, or 'none' for random weights"""
    encoder: str | None = "speech-in-noise"
    """the pretrained encoder of the size standard: a preset of `speech_embedding`, 'published' for Google's weights as they are (needs pyopen-wakeword), or that package's models/embedding_model.tflite"""
    model: Literal["tcn_trigger_word", "conv_gru_trigger_word", "course_trigger_word"] = "tcn_trigger_word"
    """builder of the zoo, for the size scratch"""
    channels: Annotated[int, Bounds(1, 4096)] = 64
    """width of the network, or of the head of the size standard; the size micro is as wide as its base, or as its builder's default"""
    blocks: Annotated[int, Bounds(1, 64)] = 8
    """depth, for the size scratch: residual blocks of the TCN, or recurrent layers of the GRU"""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.2
    """share of activations dropped in training"""
    compression: Literal["pcen", "log"] = "pcen"
    """of the mel energies, for the size scratch"""
    scenes: Annotated[int, Bounds(16, 1_000_000)] = 8000
    """scenes with the words that are made once and trained on many times, for the sizes standard and micro"""
    scene_s: Annotated[float, Bounds(2.0, 120.0)] = 6.0
    """length of a training scene, seconds"""
    positive_share: Annotated[float, Bounds(0.01, 0.9)] = 0.35
    """how often a scene has the word next, rather than other speech"""
    near_share: Annotated[float, Bounds(0.0, 0.9)] = 0.12
    """how often it has something that sounds like the word next"""
    clean_share: Annotated[float, Bounds(0.0, 1.0)] = 0.15
    """share of scenes without room, noise and codec"""
    masks: Annotated[int, Bounds(0, 20)] = 3
    """stretches of time, and of bands, that are hidden in each scene, for the size micro"""
    target_false_accepts_per_hour: Annotated[float, Bounds(0.0, 1000.0)] = 0.5
    """the threshold keeps to this on the validation streams"""
    frames_per_step: Annotated[int, Bounds(4, 400)] = 8
    """feature frames (10 ms each) that the exported model takes at a time; a multiple of 8, of 4 for the size scratch"""
    batch_size: Annotated[int, Bounds(1, 65536)] = 64
    """scenes in a step"""
    steps: Annotated[int | None, Bounds(1, 10_000_000)] = None
    """training steps in all; none: 5000, or 1500 from the spelling alone, since longer training is more particular about rendered voices"""

    @property
    def spellings(self):
        """How each word is spelled, whatever it is called."""
        return (self.phrase,) if self.phrase is not None else tuple(word.replace("_", " ") for word in self.words)

    @property
    def builder(self):
        """The zoo's builder of the whole detector."""
        return {"standard": "speech_embedding_trigger_word", "micro": "micro_trigger_word"}.get(self.size, self.model)

    def __post_init__(self):
        super().__post_init__()
        if not self.words:
            object.__setattr__(self, "words", (self.phrase or "computer",))
        if self.steps is None:
            spelling_alone = self.phrase is not None and self.recordings is None
            object.__setattr__(self, "steps", STEPS_SPELLED if spelling_alone else STEPS)
        if self.size != "scratch":
            defaults = {field.name: field.default for field in dataclasses.fields(self)}
            for name in ("model", "blocks", "compression"):
                if getattr(self, name) != defaults[name]:
                    raise InputError(
                        f"`{name}` is {getattr(self, name)!r} with the size {self.size}, which has none to choose; leave it out, or give --size scratch."
                    )
        if self.personal and self.recordings is None:
            raise InputError(
                "`personal` is given without `recordings`; expected a folder of one person's recordings of the word."
            )
        if self.phrase is not None and (len(self.words) > 1 or not self.phrase.strip()):
            raise InputError(f"`phrase` is {self.phrase!r} for {len(self.words)} words; expected the spelling of one word.")
        stride = 4 if self.size == "scratch" else 8
        if self.frames_per_step % stride:
            raise InputError(
                f"`frames_per_step` is {self.frames_per_step}; expected a multiple of {stride}, the stride of the size {self.size}."
            )
        spelt = all(isinstance(word, str) and word for word in self.words)
        if not spelt or len(set(self.words)) < len(self.words):
            raise InputError(f"`words` are {' '.join(map(str, self.words))}; expected one word or several different ones.")
        for word in self.words:
            if word != word.strip() or not word.isprintable() or set(word) & set("/\\") or not word.strip("."):
                raise InputError(
                    f"`words` hold {word!r}; expected a word, without slashes, control characters or blanks around it."
                )


@dataclasses.dataclass(frozen=True)
class Collect:
    """Records takes of a word from the microphone, with a count-down; asks again for what is silent, clipped or cut off."""

    word: str
    """what to say"""
    output: Path
    """folder for the takes and their metadata.csv; more takes, of other people too, are added to what is there"""
    speaker: str = "me"
    """who speaks: nobody stands on both sides of the split"""
    takes: Annotated[int, Bounds(1, 10_000)] = 10
    """how many takes"""
    seconds: Annotated[float, Bounds(1.0, 10.0)] = 2.5
    """length of a take"""

    def __post_init__(self):
        check_bounds(self)
        for name in ("word", "speaker"):
            text = getattr(self, name)
            if not text.strip() or not text.isprintable() or len(text) > 60:
                raise InputError(f"`{name}` is {text!r}; expected a name of at most 60 letters, without control characters.")


@dataclasses.dataclass(frozen=True)
class DistilConfig(TrainingConfig):
    """Trains what a size starts from: a network that learns, of noisy speech, the published encoder's embeddings of it undisturbed."""

    size: Literal["micro", "standard"] = "micro"
    """micro: a small network, from random weights; standard: the encoder itself, from its published weights, for which --scenes 12000 --steps 1500 --learning-rate 0.001 do"""
    scenes: Annotated[int, Bounds(64, 1_000_000)] = 24000
    """scenes of speech that are made once and learned from many times"""
    encoder: Path | None = None
    """the published encoder's file, where the package pyopen-wakeword is not installed"""
    batch_size: Annotated[int, Bounds(1, 65536)] = 64
    """scenes in a step"""
    learning_rate: Annotated[float, Bounds(1e-7, 10.0)] = 0.004
    """the highest learning rate of the schedule (linear warm-up, then cosine to a hundredth)"""
    steps_per_epoch: Annotated[int, Bounds(1, 10_000_000)] = 500
    """steps between two looks at the validation data"""
    steps: Annotated[int, Bounds(1, 10_000_000)] = 12000
    """training steps in all"""


@dataclasses.dataclass(frozen=True)
class Distil:
    config: DistilConfig
    output: Path
    """folder to write the run and the preset (micro-speech or speech-in-noise) to; a run that was interrupted there goes on"""


Distil.__doc__ = f"{DistilConfig.__doc__} Needs recorded speech; a detector starts from what is shipped, not from this."


@dataclasses.dataclass(frozen=True)
class Listen:
    """Streams recordings through a trained detector and prints each detection."""

    run: Path
    """run folder"""
    files: tuple[Path, ...]
    """recordings of any common format, rate and channel count"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""


@dataclasses.dataclass(frozen=True)
class Check:
    """Looks recordings of a word over: what would be cut, and which to listen to before training on them."""

    recordings: Path
    """folder of recordings of one word, one a file"""
    cut: Path | None = None
    """new folder to write the cut words to, as they would be trained on"""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measures a run on its test data again, or on a recording of yours with labelled times."""

    run: Path
    """run folder, as `train` makes it"""
    stream: Path | None = None
    """a recording of any length, in place of the test data"""
    labels: Path | None = None
    """CSV with the columns word, start, end (seconds): a row for each time that a word is said in it"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run on the recording"""
    output: Path | None = None
    """JSON file for the recording's figures"""

    def __post_init__(self):
        if (self.stream is None) != (self.labels is None):
            raise InputError("`stream` and `labels` go together; expected both, or neither for the run's own test data.")


@dataclasses.dataclass(frozen=True)
class Improve:
    """Trains a run's detector again with what it got wrong on a device, and shows what that bought."""

    run: Path
    """run folder of the detector that was in use"""
    output: Path
    """folder for the new run"""
    false_accepts: Path | None = None
    """folder of recordings at which it fired falsely, as the runtime's --save-events keeps them"""
    misses: Path | None = None
    """folder of recordings of the word that it missed; for several words a folder each inside"""

    def __post_init__(self):
        if self.false_accepts is None and self.misses is None:
            raise InputError("neither `false_accepts` nor `misses` is given; expected a folder of recordings.")


SEARCH = {
    "learning_rate": Range(3e-4, 6e-3, log=True),
    "channels": Choice((32, 48, 64, 96)),
    "dropout": Range(0.0, 0.5),
    "positive_share": Range(0.2, 0.6),
    "near_share": Range(0.0, 0.3),
    "clean_share": Range(0.0, 0.4),
    "masks": Choice((0, 1, 2, 3, 4)),
}

TASK = Task(
    name="trigger-word",
    summary="detect a spoken word in continuous audio",
    config=Config,
    search=SEARCH,
    objective=("val_missed", "min"),
    package="apps.trigger_word",
    verbs=(
        Verb("listen", Listen, "listen"),
        Verb("collect", Collect, "collect"),
        Verb("check", Check, "check"),
        Verb("evaluate", Evaluate, "evaluate_run"),
        Verb("improve", Improve, "improve"),
        Verb("distil", Distil, "distil"),
    ),
)
