"""The translation task: its configuration, search space and verbs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from apps.config import Bounds, TrainingConfig, check_bounds
from apps.task import Choice, Range, Task, Verb
from zoo.errors import InputError


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Trains a model from text to text: dates to ISO dates by default, a public set of sentences or words, or anyone's pairs."""

    pairs: Path | None = None
    """UTF-8 file of pairs, one a line: source, tab, target; none: --dataset"""
    dataset: Literal["dates", "tatoeba-spanish", "tatoeba-german", "multi30k", "pronounce"] = "dates"
    """dates as people write them; English to Spanish or German; German to English image captions (for measuring only); English words to
    phonemes"""
    reverse: bool = False
    """from the target's language to the source's"""
    tokens: Literal["auto", "characters", "words", "subwords"] = "auto"
    """what a token is; auto: characters of dates and of words to pronounce (a phoneme is a word), else subwords"""
    vocabulary_size: Annotated[int, Bounds(10, 900_000)] = 6000
    """words or subwords of each side that are known"""
    lower: bool = False
    """read the text in lower case"""
    max_tokens: Annotated[int, Bounds(4, 2000)] = 60
    """of a source or a target at most, its end counted; longer pairs are left out of training, longer sources refused;
    recurrent encoders are unrolled for so many on devices, which takes the export its time"""
    model: Literal["encoder_decoder", "attention_encoder_decoder", "convolutional_encoder_decoder", "transformer"] = (
        "attention_encoder_decoder"
    )
    """builder of the zoo"""
    dimensions: Annotated[int, Bounds(2, 4096)] = 64
    """of the tokens' embeddings, and the width of convolutions and the Transformer"""
    units: Annotated[int, Bounds(1, 8192)] = 128
    """width of recurrent layers"""
    depth: Annotated[int, Bounds(1, 16)] = 1
    """layers of the encoder, and as many of the decoder"""
    cell: Literal["gru", "lstm"] = "gru"
    """of recurrent layers"""
    score: Literal["additive", "general"] = "general"
    """of attention (attention_encoder_decoder)"""
    feeding: bool = False
    """feed what was made of output and context into the next step (attention_encoder_decoder; trains more slowly)"""
    heads: Annotated[int, Bounds(1, 64)] = 4
    """of the Transformer's attention"""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.1
    """share of activations dropped in training"""
    tied: bool = False
    """logits from the target embedding's own matrix"""
    smoothing: Annotated[float, Bounds(0.0, 0.9)] = 0.0
    """share of the truth that the loss spreads over the vocabulary"""
    scheduled_sampling: Annotated[float, Bounds(0.0, 0.95)] = 0.0
    """share of target tokens that training replaces by the model's own"""
    weight_decay: Annotated[float, Bounds(0.0, 1.0)] = 0.01
    """of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)"""
    width: Annotated[int, Bounds(2, 100)] = 5
    """texts that beam search keeps"""
    length_penalty: Annotated[float, Bounds(0.0, 10.0)] = 1.0
    """beam search orders by log probability / tokens ** this, the notes' alpha"""
    batch_size: Annotated[int, Bounds(1, 65536)] = 128
    """pairs in a step"""
    learning_rate: Annotated[float, Bounds(1e-7, 10.0)] = 0.004
    """the highest learning rate of the schedule (linear warm-up, then cosine to a hundredth)"""
    steps: Annotated[int, Bounds(1, 10_000_000)] = 1200
    """training steps in all"""

    def __post_init__(self):
        super().__post_init__()
        if self.model == "transformer" and self.dimensions % (2 * self.heads):
            raise InputError(
                f"`heads` is {self.heads} for {self.dimensions} dimensions; expected a number that divides half of them."
            )

    @property
    def builder(self):
        """The zoo's builder of the whole model."""
        return self.model

    @property
    def cutting(self):
        """How text is cut into tokens, (what a token is, whether the text is read in lower case), of the source and of the target."""
        if self.tokens != "auto":
            return ((self.tokens, self.lower),) * 2
        if self.pairs is None and self.dataset == "pronounce":
            sides = (("characters", True), ("words", False))
            return sides[::-1] if self.reverse else sides
        return (("characters" if self.pairs is None and self.dataset == "dates" else "subwords", self.lower),) * 2


@dataclasses.dataclass(frozen=True)
class Translate:
    """Translates lines: a line out for each line in, or as many as --n-best."""

    run: Path
    """run folder"""
    text: Path | None = None
    """UTF-8 text file; none: standard input"""
    n_best: Annotated[int, Bounds(1, 100)] = 1
    """so many translations of each line with their scores, the best first"""
    greedy: bool = False
    """take the likeliest token at each step, in place of beam search"""
    length_penalty: float | None = None
    """the notes' alpha; none: the one it was trained with"""
    attention: Path | None = None
    """HTML file to write, with a picture of what each token looked at"""

    def __post_init__(self):
        check_bounds(self)


@dataclasses.dataclass(frozen=True)
class Attention:
    """Translates lines, and draws what each token of a translation looked at."""

    run: Path
    """run folder"""
    output: Path
    """HTML file"""
    text: Path | None = None
    """UTF-8 text file; none: standard input"""


@dataclasses.dataclass(frozen=True)
class Errors:
    """Tells for each wrong translation of the test pairs whether search or model is to blame."""

    run: Path
    """run folder"""
    output: Path
    """HTML file"""
    most: Annotated[int, Bounds(1, 1_000_000)] = 1000
    """pairs at most"""

    def __post_init__(self):
        check_bounds(self)


SEARCH = {
    "learning_rate": Range(5e-4, 1e-2, log=True),
    "units": Choice((64, 128, 256)),
    "dimensions": Choice((32, 64, 128)),
    "dropout": Range(0.0, 0.5),
    "score": Choice(("additive", "general")),
}

TASK = Task(
    name="translation",
    summary="learn to turn one text into another",
    config=Config,
    search=SEARCH,
    objective=("val_loss", "min"),
    package="apps.translation",
    verbs=(
        Verb("translate", Translate, "translate"),
        Verb("attention", Attention, "attention"),
        Verb("errors", Errors, "errors"),
    ),
)
