"""What detectors start from: networks that learned to say, of noisy speech, what the published encoder says of it undisturbed.

Trained once, on speech without labels (knowledge distillation: Hinton et al. 2015, arXiv:1503.02531), and shipped: speech-in-noise, the
encoder itself, from its own weights (the size standard), and micro-speech, a small network (the size micro). Their speech is of folds that
benchmarks/wake_words.py does not test on.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import zoo
from apps import run_folder
from apps.config import to_json
from apps.data import dialogue, encoder, prompts
from apps.data.sound import backgrounds, recorded, room
from apps.data.sources import available
from apps.data.speech import read_set
from apps.fit import WarmupCosine, fit, prepare
from apps.task import Data
from apps.trigger_word.bank import Bank, batches
from apps.trigger_word.config import TASK, Config
from apps.trigger_word.features import features
from apps.trigger_word.recordings import PUBLIC, fingerprint, fold_of, hours, rendered, with_test_speakers
from apps.trigger_word.scenes import Ingredients, Scenes
from tflite.runtime.randomness import Stream
from zoo import presets
from zoo.errors import InputError

HEARD_FOLDS = (0, 1, 2)  # the others are for tests
VALIDATION_SCENES = 256
SCENE_S = 6.0
RENDERED_HOURS = 1.0
SOURCE = f"""Copyright Google LLC, Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0): J. Lin, K. Kilgour, D. Roblek, M. Sharifi,
"Training Keyword Spotters with Limited and Synthesized Speech Data", 2020, arXiv:2002.01322; the file has the sha256 {encoder.SHA256}"""
RECORDINGS = "The licences of recordings bind those who pass the recordings on; the weights hold none of them.\n"


@dataclasses.dataclass(frozen=True)
class Student:
    """What a size starts from. last: the layer that gives the numbers. what, notice: of its card and its NOTICE.md."""

    preset: str
    builder: str
    last: str
    what: str
    notice: str


STUDENTS = {
    "standard": Student(
        "speech-in-noise",
        encoder.BUILDER,
        "last",
        """Google's speech_embedding (Lin et al. 2020, arXiv:2002.01322), trained further: from mel frames of noisy speech, the 96 numbers that it gave for
the same speech undisturbed, every 80 ms. `--size standard` puts each detector's head on it.""",
        f"""# The speech encoder

The encoder's weights were changed: Sequence Zoo trained them further, on speech in noise. They began as those of speech_embedding/1,
{SOURCE},
as the package pyopen-wakeword 1.1.0 (Apache License 2.0) distributes it. {RECORDINGS}""",
    ),
    "micro": Student(
        "micro-speech",
        "micro_speech_embedding",
        "embedding",
        """A speech encoder for microcontrollers: from mel frames of noisy speech, the 96 numbers that Google's speech_embedding (Lin et al. 2020,
arXiv:2002.01322) gives for the same speech undisturbed, every 80 ms. `--size micro` starts each detector from it.""",
        f"""# Notices

This network was trained from scratch on what speech_embedding/1 says of speech; it holds none of its weights. That encoder is
{SOURCE}.
{RECORDINGS}""",
    ),
}
CARD = """# {name}

{what}

- Model: `zoo.load("{name}")`, the builder {builder}, {weights:,} weights
- Made by: `python -m apps trigger-word distil --size {size}` with the settings in metrics.json; versions in preset.json
- Speech: {hours:.1f} h, of people and rendered, {speakers} voices known by name, train splits and folds {folds} of 5; no transcript or label was used
- Teacher: see NOTICE.md. Licence: Apache-2.0, weights included

## Figures

On noisy scenes of voices that were not trained on, it explains {explained:.1f}% of the variance of the teacher's numbers of the undisturbed speech{before}.

## Limits

It was trained on English for the greater part. Alone it detects nothing: it is a start to train from.
"""


def distil(options):
    """Trains the network and writes its preset."""
    config, folder, student = options.config, options.output, STUDENTS[options.config.size]
    run_folder.start(folder, dataclasses.replace(TASK, name="trigger-word distil"), config)
    prepare(config)
    train, val = (speech(split) + rendered(split, RENDERED_HOURS, number) for number, split in enumerate(("train", "val")))
    run_folder.same_data(folder, fingerprint((*train, *val)), begins=True)
    banks = {
        "train": _bank(train, config, "train", config.scenes, "scenes to learn from"),
        "val": _bank(val, config, "val", VALIDATION_SCENES, "scenes to check by"),
    }
    for bank in banks.values():
        bank.make()
    _, targets = banks["train"].rows(np.arange(min(config.scenes, 2000)))
    mean, spread = (f(targets, axis=(0, 1)).astype(np.float32) for f in (np.mean, np.std))

    def batch(step):
        x, y = banks["train"].drawn(Stream(config.seed + 4, int(step)), config.batch_size)
        return x, (y - mean) / spread

    x, y = banks["val"].rows(np.arange(VALIDATION_SCENES))
    y = (y - mean) / spread
    validation = tf.data.Dataset.from_tensor_slices((x, {"embedding": y})).batch(config.batch_size)
    network = zoo.build(student.builder, seed=config.seed)
    if config.size == "standard":
        network.set_weights(encoder.speech_embedding(config.encoder).get_weights())
        _rescale(network.get_layer(student.last), 1 / spread, -mean / spread)
    network.compile(
        keras.optimizers.AdamW(WarmupCosine(config.learning_rate, config.steps), weight_decay=0.001, clipnorm=1.0),
        loss={"embedding": "mse"},
    )
    variance = float(np.var(y))
    before = 1 - float(network.evaluate(validation, verbose=0)) / variance
    network, history = fit(
        network, Data(functools.partial(batches, batch, "embedding"), validation, None, {}), config, ("val_loss", "min"), folder
    )
    keras.config.set_dtype_policy("float32")
    shipped = zoo.build(student.builder, seed=config.seed)  # without the optimizer's variables
    shipped.set_weights(network.get_weights())
    _rescale(shipped.get_layer(student.last), spread, mean)  # it learned them standardised
    explained = 1 - min(row["val_loss"] for row in history) / variance
    _save(shipped, folder, config, train, explained, before)
    tqdm.write(f"preset: {folder / student.preset}; {100 * explained:.1f}% of the teacher's variance explained on other voices")


def _rescale(layer, factor, shift):
    """Changes a layer so that it gives its numbers times a factor, and a shift added."""
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * factor, bias * factor + shift])


def speech(split):
    """People's speech of the base's folds and of a split, clips."""
    clips = []
    for name in PUBLIC:
        if available(name):
            clips += with_test_speakers(read_set(name))
    if available("speech_commands_test_v0.02"):
        clips += [clip for clip in read_set("speech_commands_test_v0.02") if clip.text != "_silence_" and clip.split]
    if prompts.fetched():
        clips += prompts.read_prompts()
    clips = [clip for clip in clips if (clip.split or "train") == split and fold_of(clip) in HEARD_FOLDS]
    if split == "train" and dialogue.fetched():
        clips += dialogue.read_dialogue()  # which no benchmark tests on
    if not clips:
        raise InputError(
            "no recorded speech is within reach; distil needs some: set ZOO_DATA_MIRROR, or run `python -m apps.data.prompts`."
        )
    return clips


def _bank(clips, config, split, count, label):
    draw = Stream(config.seed, 2_000_000 + (split == "val"))
    noises, rooms = recorded()
    samples = [clip.samples for clip in clips]
    ingredients = Ingredients(
        [[]],
        samples,
        backgrounds(draw, samples, 60) + 2 * noises[split],
        [room(draw) for _ in range(96)] + rooms[split],
    )
    teacher = features(Config(size="standard", encoder=config.encoder))
    student = dataclasses.replace(teacher, encoder=None) if config.size == "standard" else features(Config(size="micro"))
    scenes = Scenes(ingredients, config.seed + (split == "val"), SCENE_S, student.score_s, 0.0, part_share=0.0)
    return Bank(scenes, count, student, label, teacher)


def _save(network, folder, config, clips, explained, before):
    student, notice = STUDENTS[config.size], folder / "NOTICE.md"
    run_folder.write_text(notice, student.notice)
    metrics = {"variance_explained": explained, "before_training": before, "hours": hours(clips), "settings": to_json(config)}
    card = CARD.format(
        name=student.preset,
        what=student.what,
        builder=student.builder,
        size=config.size,
        weights=network.count_params(),
        hours=hours(clips),
        speakers=len({clip.speaker for clip in clips} - {""}),
        folds=", ".join(map(str, HEARD_FOLDS)),
        explained=100 * explained,
        before=f"; as published, {100 * before:.1f}%" if config.size == "standard" else "",
    )
    presets.save(
        folder / student.preset,
        network,
        builder=student.builder,
        arguments={"seed": config.seed},
        task="speech_encoder",
        metrics=metrics,
        card=card,
        versions=run_folder.versions(),
        extra=[("NOTICE.md", notice)],
    )
