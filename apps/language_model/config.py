"""The language model task: its configuration, search space and verbs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from apps.config import Bounds, TrainingConfig, check_bounds
from apps.task import Choice, Range, Task, Verb


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Trains a character language model on lines of text."""

    text: Path | None = None
    """UTF-8 text file with one item a line; none: the bundled names"""
    dataset: Literal["bundled", "names"] = "bundled"
    """names that come with the project, or the larger public list of names"""
    model: Literal["rnn_language_model", "gru_language_model", "lstm_language_model"] = "gru_language_model"
    """builder of the zoo"""
    dimensions: Annotated[int, Bounds(1, 4096)] = 32
    """of the character embeddings"""
    units: Annotated[int, Bounds(1, 8192)] = 128
    """width of the recurrent layers"""
    depth: Annotated[int, Bounds(1, 16)] = 1
    """number of recurrent layers"""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.2
    """share of activations dropped in training"""
    max_length: Annotated[int, Bounds(2, 10_000)] = 64
    """longer lines are refused"""
    batch_size: Annotated[int, Bounds(1, 65536)] = 64
    """lines in a step"""
    learning_rate: Annotated[float, Bounds(1e-7, 10.0)] = 0.004
    """the highest learning rate of the schedule (linear warm-up, then cosine to a hundredth)"""
    steps: Annotated[int, Bounds(1, 10_000_000)] = 600
    """training steps in all"""
    patience: Annotated[int, Bounds(1, 100_000)] = 5
    """stop early after so many looks without a better validation result"""

    @property
    def builder(self):
        """The zoo's builder of the whole model."""
        return self.model


@dataclasses.dataclass(frozen=True)
class Sample:
    """Writes texts with a trained model, character by character as they are made."""

    run: Path
    """run folder"""
    count: Annotated[int, Bounds(1, 1_000_000)] = 10
    """how many"""
    temperature: float = 1.0
    """below 1: likelier texts; above: stranger ones"""
    top_k: int = 0
    """draw from the k likeliest characters only; 0: all"""
    top_p: float = 1.0
    """draw from the fewest characters that hold this probability"""
    prefix: str = ""
    """how every text begins"""
    seed: Annotated[int, Bounds(0, 2**31 - 1)] = 0
    """text i of a seed is always the same"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""

    def __post_init__(self):
        check_bounds(self)


SEARCH = {
    "learning_rate": Range(5e-4, 2e-2, log=True),
    "units": Choice((64, 128, 192)),
    "dimensions": Choice((16, 32, 64)),
    "dropout": Range(0.0, 0.5),
    "model": Choice(("rnn_language_model", "gru_language_model", "lstm_language_model")),
}

TASK = Task(
    name="language-model",
    summary="learn what text looks like, character by character, and write more of it",
    config=Config,
    search=SEARCH,
    objective=("val_loss", "min"),
    package="apps.language_model",
    verbs=(Verb("sample", Sample, "sample"),),
)
