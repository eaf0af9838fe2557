"""The pretrained speech encoder: as it was published, or as a preset that was trained further.

speech_embedding/1 by Google (Lin et al. 2020, arXiv:2002.01322; Apache-2.0) comes as a TFLite file inside the package
pyopen-wakeword; nothing of that package is run. Its weights are found, checked and put into the zoo's model.
"""

import hashlib
import importlib.util
from pathlib import Path

import keras

import zoo
from tflite.weights import convolutions
from zoo import presets
from zoo.errors import InputError
from zoo.layers.temporal import CausalConv2D

SHA256 = "c0aea21eb84a4ce90a08c870da41b7a7173b45269e6a3207c71d67c40f3a59d8"
PUBLISHED, BUILDER = "published", "speech_embedding"
NOTICE = f"""# The speech encoder

The first layers of this model are speech_embedding/1, Copyright Google LLC, licensed under the Apache License 2.0
(https://www.apache.org/licenses/LICENSE-2.0): J. Lin, K. Kilgour, D. Roblek, M. Sharifi, "Training Keyword Spotters with Limited and
Synthesized Speech Data", 2020, arXiv:2002.01322. Its weights are as published; they were read from the TFLite file that the package
pyopen-wakeword 1.1.0 (Apache License 2.0) distributes, with the sha256 {SHA256}.
"""


def encoder_file(path=PUBLISHED):
    """The published encoder's TFLite file: `path`, or the installed package's. Raises InputError where there is none."""
    if path not in (None, PUBLISHED):
        if not Path(path).is_file():
            raise InputError(f"`encoder` is {path}, which is no file; expected pyopen-wakeword's models/embedding_model.tflite.")
        return Path(path)
    package = importlib.util.find_spec("pyopen_wakeword")
    file = Path(package.origin).parent / "models" / "embedding_model.tflite" if package else None
    if file is None or not file.is_file():
        raise InputError(
            "the published encoder is not installed; run `pip install pyopen-wakeword==1.1.0`, or give --encoder FILE "
            "(that package's models/embedding_model.tflite)."
        )
    return file


def speech_embedding(name=PUBLISHED):
    """`zoo.build("speech_embedding")` with pretrained weights, frozen, in float32.

    name: 'published' (or None) for Google's out of the installed package, that package's file, or a preset of this builder.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # whatever the head is trained in
    try:
        if _as_published(name):
            model = zoo.build(BUILDER)
            put(model, _published(name))
        else:
            model = pretrained("encoder", name, BUILDER, "'published'")
    finally:
        keras.config.set_dtype_policy(policy)
    model.trainable = False
    return model


def pretrained(setting, name, builder, otherwise):
    """The model of a preset that a setting names; an InputError that names the setting where it is no preset of the builder."""
    try:
        model = zoo.load(name)
    except InputError as error:
        raise InputError(f"`{setting}`: {error}") from None
    if model.name != builder:
        raise InputError(f"`{setting}` is {str(name)!r}, a preset of {model.name}; expected one of {builder}, or {otherwise}.")
    return model


def notice(name):
    """Where an encoder comes from and under which licence, Markdown. name: as of `speech_embedding`."""
    if _as_published(name):
        return NOTICE
    folder = presets.folder_of(name)
    own = folder / "NOTICE.md"
    return (own if own.is_file() else folder / "card.md").read_text("utf8")


def _as_published(name):
    return name in (None, PUBLISHED) or Path(name).suffix == ".tflite"


def _published(path):
    """The (kernel, bias) pairs of the published file, its checksum compared."""
    file = encoder_file(path)
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise InputError(
            f"{file} has the checksum {found[:12]}..., expected {SHA256[:12]}...: it is another file than pyopen-wakeword 1.1.0's "
            "models/embedding_model.tflite."
        )
    return convolutions(content)


def put(model, weights):
    """Puts (kernel, bias) pairs into the convolutions of a model that holds the encoder, in order."""
    layers = [layer for layer in model.layers if isinstance(layer, CausalConv2D)]
    for layer, pair in zip(layers, weights, strict=True):
        layer.set_weights(list(pair))


def put_layers(network, parts, but=()):
    """Gives each of a network's layers, but some, the weights of the parts' layer of the same name."""
    given = {layer.name: layer for part in parts for layer in part.layers}
    for layer in network.layers:
        if layer.weights and layer.name not in but:
            layer.set_weights(given[layer.name].get_weights())
