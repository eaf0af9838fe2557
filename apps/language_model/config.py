"""The language model task: its configuration, search space and verbs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from apps.config import Bounds, TrainingConfig, check_bounds
from apps.task import Choice, Range, Task, Verb
from tflite.runtime.sampling import Sampling
from zoo.errors import InputError

RECURRENT = ("rnn_language_model", "gru_language_model", "lstm_language_model", "awd_lstm_language_model")


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Trains a language model on lines of text, or on running text."""

    text: Path | None = None
    """UTF-8 text file, or for running text a folder of *.txt; none: the bundled names"""
    layout: Literal["lines", "running"] = "lines"
    """of --text: one item a line, each a text by itself, or running text, whose last tenth tests"""
    dataset: Literal["bundled", "names", "shakespeare", "books"] = "bundled"
    """names that come with the project, the larger public list of names, or tiny Shakespeare or 24 books, which are running text"""
    repeated: Literal["dropped", "kept"] = "dropped"
    """lines that come twice: each once and in one split only, or all, split at random"""
    held_out: Annotated[int, Bounds(0, 1_000_000)] = 0
    """lines to validate with, and as many to test; 0: a tenth each"""
    tokens: Literal["characters", "words", "subwords"] = "characters"
    """what a token of running text is"""
    vocabulary_size: Annotated[int, Bounds(10, 900_000)] = 20_000
    """words or subwords that are known; others are counted as the unknown token"""
    lower: bool = False
    """read the text in lower case"""
    model: Literal[
        "rnn_language_model",
        "gru_language_model",
        "lstm_language_model",
        "awd_lstm_language_model",
        "neural_probabilistic_language_model",
        "transformer_language_model",
    ] = "gru_language_model"
    """builder of the zoo"""
    dimensions: Annotated[int, Bounds(1, 4096)] = 32
    """of the tokens' embeddings"""
    units: Annotated[int, Bounds(1, 8192)] = 128
    """width of the recurrent layers, or of the neural probabilistic model's hidden one"""
    depth: Annotated[int, Bounds(1, 16)] = 1
    """number of recurrent layers, or of the Transformer's blocks"""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.2
    """share of activations dropped in training"""
    weight_decay: Annotated[float, Bounds(0.0, 1.0)] = 0.01
    """of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)"""
    averaged: Annotated[float, Bounds(0.0, 0.99999)] = 0.0
    """the model's weights are a running average of the trained ones that keeps this share at each step (0.999, say); 0: no average"""
    tied: bool = False
    """logits from the embedding's own matrix (recurrent models and the Transformer)"""
    layer_norm: bool = False
    """normalise after each recurrent layer"""
    residual: bool = False
    """add a recurrent layer's input to its output where their widths are the same"""
    locked_dropout: bool = False
    """drop the same units at every step of a text (recurrent models)"""
    embedding_dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.0
    """share of the vocabulary dropped in a training step (recurrent models)"""
    weight_drop: Annotated[float, Bounds(0.0, 0.95)] = 0.5
    """share of an AWD-LSTM's recurrent weights dropped in a training step"""
    context: Annotated[int, Bounds(1, 4096)] = 8
    """tokens that the neural probabilistic model sees; the Transformer's layers see as many as --window"""
    heads: Annotated[int, Bounds(1, 64)] = 4
    """of the Transformer's attention"""
    max_length: Annotated[int, Bounds(2, 10_000)] = 64
    """longer lines are refused"""
    window: Annotated[int, Bounds(2, 10_000)] = 64
    """tokens of running text in a row of a batch; and how many the Transformer's layers see"""
    carry: bool = True
    """carry recurrent states on to the next window of running text (gradients never are); without, each begins from nothing"""
    clip: Literal["none", "value", "norm", "global_norm"] = "norm"
    """clip each number of the gradients, each weight array's norm, or the norm of all together"""
    clip_at: Annotated[float, Bounds(1e-6, 1e6)] = 1.0
    """where to clip"""
    batch_size: Annotated[int, Bounds(1, 65536)] = 64
    """lines, or rows of running text, in a step"""
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

    @property
    def running(self):
        """Whether the text is one long text rather than lines."""
        return self.layout == "running" if self.text is not None else self.dataset in ("shakespeare", "books")

    @property
    def recurrent(self):
        """Whether the model is one of the recurrent ones."""
        return self.model in RECURRENT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample(Sampling):
    """Writes texts with a trained model, token by token as they are made."""

    run: Path
    """run folder"""
    count: Annotated[int, Bounds(1, 1_000_000)] = 10
    """how many"""
    prefix: str = ""
    """how every text begins"""
    length: Annotated[int, Bounds(1, 1_000_000)] = 500
    """tokens of running text, the prefix included; lines end by themselves"""
    seed: Annotated[int, Bounds(0, 2**31 - 1)] = 0
    """text i of a seed is always the same"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self)


@dataclasses.dataclass(frozen=True)
class Complete:
    """Offers the likeliest continuations of a text, by beam search; without --prefix it asks for texts until an empty line."""

    run: Path
    """run folder"""
    prefix: str | None = None
    """the text to continue; none: ask"""
    count: Annotated[int, Bounds(1, 100)] = 5
    """how many continuations"""
    width: Annotated[int, Bounds(1, 1000)] = 8
    """texts that the search keeps at each step"""
    length: Annotated[int, Bounds(1, 1000)] = 12
    """tokens of a continuation at most"""
    whole: bool = False
    """go on to the full length; else a continuation ends with its word or line"""
    length_penalty: Annotated[float, Bounds(0.0, 10.0)] = 0.0
    """order by log probability / tokens ** this; 0: by probability alone"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""

    def __post_init__(self):
        check_bounds(self)


@dataclasses.dataclass(frozen=True)
class Score:
    """Prints how likely a trained model finds each line of a file, and which tokens surprised it most."""

    run: Path
    """run folder"""
    text: Path
    """UTF-8 text file"""
    surprises: Annotated[int, Bounds(0, 100)] = 3
    """so many of a line's least expected tokens are shown, in brackets"""
    precision: Literal["float", "int8"] = "float"
    """the model file to run"""

    def __post_init__(self):
        check_bounds(self)


@dataclasses.dataclass(frozen=True)
class Gradients:
    """Draws how far back the gradients of recurrent models reach, before and after training, and what they learn to remember."""

    output: Path
    """HTML file"""
    runs: tuple[Path, ...] = ()
    """run folders of running text, to be compared"""
    steps: Annotated[int, Bounds(2, 2000)] = 128
    """steps back"""
    texts: Annotated[int, Bounds(1, 10_000)] = 64
    """windows of the test text over which the norms are averaged"""
    tasks: tuple[Literal["adding", "copy"], ...] = ()
    """train networks to add two marked numbers, to copy symbols after a pause; what is done is kept beside the output, and not redone"""
    task_steps: tuple[int, ...] = (50, 100, 200, 500)
    """how long the sequences of the tasks are"""
    updates: Annotated[int, Bounds(1, 1_000_000)] = 4000
    """of training at most, for each network and task"""

    def __post_init__(self):
        check_bounds(self)
        wrong = [steps for steps in self.task_steps if not 2 <= steps <= 10_000]
        if wrong:
            raise InputError(f"`task_steps` has {wrong[0]}; expected numbers from 2 to 10000.")


SEARCH = {
    "learning_rate": Range(5e-4, 2e-2, log=True),
    "units": Choice((64, 128, 192)),
    "dimensions": Choice((16, 32, 64)),
    "dropout": Range(0.0, 0.5),
    "model": Choice(("rnn_language_model", "gru_language_model", "lstm_language_model")),
}

TASK = Task(
    name="language-model",
    summary="learn what text looks like, by characters, subwords or words, and write more of it",
    config=Config,
    search=SEARCH,
    objective=("val_loss", "min"),
    package="apps.language_model",
    verbs=(
        Verb("sample", Sample, "sample"),
        Verb("complete", Complete, "complete"),
        Verb("score", Score, "score"),
        Verb("gradients", Gradients, "gradients"),
    ),
)
