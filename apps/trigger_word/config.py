"""The trigger word task: its configuration, search space and verbs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from apps.config import Bounds, TrainingConfig
from apps.task import Choice, Range, Task, Verb
from zoo.errors import InputError


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Trains a detector of spoken words."""

    recordings: Path | None = None
    """folder of recordings of the word, one a file; for several words a folder each inside; none: the bundled ones"""
    negatives: tuple[Path, ...] = ()
    """folders of speech without the word; none: the public sets within reach, or else rendered speech"""
    words: tuple[str, ...] = ("computer",)
    """the words to detect"""
    download: bool = False
    """fetch public sets that are not here yet (sizes are shown first)"""
    rendered_hours: Annotated[float, Bounds(0.0, 1000.0)] = 1.0
    """hours of rendered speech for each of training, validation and test, where rendered speech is used"""
    model: Literal["tcn_trigger_word", "conv_gru_trigger_word"] = "tcn_trigger_word"
    """builder of the zoo"""
    channels: Annotated[int, Bounds(1, 4096)] = 64
    """width of the network"""
    blocks: Annotated[int, Bounds(1, 64)] = 8
    """depth: residual blocks of the TCN, or recurrent layers of the GRU"""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.1
    """share of activations dropped in training"""
    compression: Literal["pcen", "log"] = "pcen"
    """of the mel energies"""
    scene_s: Annotated[float, Bounds(2.0, 120.0)] = 6.0
    """length of a training scene, seconds"""
    positive_share: Annotated[float, Bounds(0.01, 0.9)] = 0.35
    """how often a scene has the word next, rather than other speech"""
    target_false_accepts_per_hour: Annotated[float, Bounds(0.0, 1000.0)] = 0.5
    """the threshold keeps to this on the validation streams"""
    frames_per_step: Annotated[int, Bounds(4, 400)] = 8
    """feature frames (10 ms each) that the exported model takes at a time; a multiple of 4"""
    batch_size: Annotated[int, Bounds(1, 65536)] = 16
    """scenes in a step"""
    steps: Annotated[int, Bounds(1, 10_000_000)] = 2000
    """training steps in all"""

    def __post_init__(self):
        super().__post_init__()
        if self.frames_per_step % 4:
            raise InputError(f"`frames_per_step` is {self.frames_per_step}; expected a multiple of 4, the models' strides.")
        spelt = all(isinstance(word, str) and word for word in self.words)
        if not self.words or not spelt or len(set(self.words)) < len(self.words):
            raise InputError(
                f"`words` are {' '.join(map(str, self.words)) or 'none'}; expected one word or several different ones."
            )
        for word in self.words:
            if word != word.strip() or not word.isprintable() or set(word) & set("/\\") or not word.strip("."):
                raise InputError(
                    f"`words` hold {word!r}; expected a word, without slashes, control characters or blanks around it."
                )


@dataclasses.dataclass(frozen=True)
class Listen:
    """Streams recordings through a trained detector and prints each detection."""

    run: Path
    """run folder"""
    files: tuple[Path, ...]
    """recordings of any common format, rate and channel count"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""


SEARCH = {
    "learning_rate": Range(3e-4, 6e-3, log=True),
    "channels": Choice((32, 48, 64)),
    "blocks": Range(4, 10, step=1),
    "dropout": Range(0.0, 0.4),
    "compression": Choice(("pcen", "log")),
}

TASK = Task(
    name="trigger-word",
    summary="detect a spoken word in continuous audio",
    config=Config,
    search=SEARCH,
    objective=("val_loss", "min"),
    package="apps.trigger_word",
    verbs=(Verb("listen", Listen, "listen"),),
)
