"""How fast translation trains and searches, beside PyTorch and JoeyNMT: python -m benchmarks.translation --output speed.json

The same network everywhere (4,000 tokens a side, 128 dimensions, a GRU of 256 units that reads both ways, one that writes, general
attention), untrained; sources of 12 tokens and translations of exactly 12, so that every search takes as many steps. Training: batches of
64 beside plain PyTorch. Greedy search and a beam of 5, at one source and at 64: ours the graph that is in the SavedModel, for one source
also the TFLite files from NumPy; beside JoeyNMT. Every figure is the best of several rounds in turn, each in a process of its own; the
peers' environment is made in build/peers on first use.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from apps.run_folder import write_json
from benchmarks.peers import peer
from benchmarks.timing import ROOT, ROUNDS, SECONDS, best, parse, run

JOEY = ("joeynmt==2.3.0", "torch==2.13.0", "setuptools<81", "numpy<2", "importlib_metadata")
SIZES = {"vocabulary": 4000, "dimensions": 128, "units": 256, "batch": 64, "source": 12, "target": 12}
SEARCHES = [f"search {width} {batch}" for batch in (1, 64) for width in (1, 5)]
NAMES = {"1": "greedy", "5": "beam of 5"}


def network():
    """The model, untrained."""
    import zoo

    sizes = {"source_vocabulary": SIZES["vocabulary"], **{name: SIZES[name] for name in ("vocabulary", "dimensions", "units")}}
    return zoo.build("attention_encoder_decoder", **sizes)


def train():
    """Target tokens a second of training by the app's own step."""
    import numpy as np

    from apps.task import Data
    from apps.translation.config import Config
    from apps.translation.functions import model
    from apps.translation.pairs import Pairs
    from tflite.runtime.text import Tokenizer

    tokenizer = Tokenizer(list(map(str, range(SIZES["vocabulary"]))))
    pairs = Pairs(tokenizer, tokenizer, {}, {}, {}, 0, "")
    config = Config(dimensions=SIZES["dimensions"], units=SIZES["units"], dropout=0.0)
    compiled = model(config, Data(None, None, pairs, {}))
    random = np.random.default_rng(0)
    source = random.integers(3, SIZES["vocabulary"], (SIZES["batch"], SIZES["source"]), np.int32)
    target = random.integers(3, SIZES["vocabulary"], (SIZES["batch"], SIZES["target"] + 1), np.int32)

    def five():
        for _ in range(5):
            compiled.train_on_batch({"source": source, "target": target[:, :-1]}, {"logits": target[:, 1:]})
        return 5 * SIZES["batch"] * SIZES["target"]

    five()
    return best(five)


def search(width, batch):
    """Sentences a second of the graph."""
    import numpy as np
    import tensorflow as tf

    from zoo.decoding.beam import Constraints, beam_search, greedy_search

    model = network()
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    limits = Constraints(SIZES["target"], SIZES["target"], banned=(2,))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def searched(source):
        state, count = decoder.initial_state(encoder(source)), tf.shape(source)[0]
        if width == 1:
            return greedy_search(decoder.step, state, count, limits)["tokens"]
        return beam_search(decoder.step, state, count, width, 1, limits, 1.0)["tokens"]

    source = np.random.default_rng(0).integers(3, SIZES["vocabulary"], (batch, SIZES["source"]), np.int32)
    tokens = searched(source).numpy().reshape(batch, -1)
    assert (tokens > 0).all()

    def one():
        searched(source).numpy()
        return batch

    return best(one)


def on_device(width):
    """Sentences a second of the TFLite files and NumPy, one source at a time."""
    import numpy as np

    from tflite.encoder_decoder import write_translator
    from tflite.runtime import Translator
    from tflite.runtime.beam import beam_search, greedy_search
    from tflite.runtime.text import Tokenizer

    marks = [chr(0x4E00 + i) for i in range(SIZES["vocabulary"] - 3)]
    tokenizer = Tokenizer(["<padding>", "<boundary>", "<unknown>", *marks])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / "device"
        write_translator(folder, network(), tokenizer, tokenizer, max_length=SIZES["source"] + 1, notices={})
        translator = Translator(folder)
    text, never = "".join(marks[: SIZES["source"]]), np.zeros(SIZES["vocabulary"])
    never[1] = 1e9  # the end, before the last place

    def one():
        step, logits, state = translator.begin(text)

        def goes_on(token, state):
            logits, state = step(token, state)
            return logits - never, state

        options = {"limit": SIZES["target"], "unwritten": (0, 2)}
        if width == 1:
            greedy_search(goes_on, logits - never, state, **options)
        else:
            beam_search(goes_on, logits - never, state, width=width, best=1, **options)
        return 1

    one()
    return best(one)


def main():
    options = parse(__doc__)
    if options.measure:
        kind, *numbers = options.measure.split()
        print({"train": train, "search": search, "device": on_device}[kind](*map(int, numbers)))
        return
    python, sizes = peer(*JOEY), json.dumps({**SIZES, "cores": os.cpu_count()})
    ours, theirs = {}, {}
    for _ in range(ROUNDS):
        for what in ("train", *SEARCHES, "device 1", "device 5"):
            ours.setdefault(what, []).append(run([sys.executable, "-m", "benchmarks.translation", "--measure", what]))
            if not what.startswith("device"):
                command = [python, ROOT / "benchmarks" / "attention_torch.py", what, sizes, str(SECONDS)]
                theirs.setdefault(what, []).append(run(command))
    ours, theirs = ({what: max(found) for what, found in side.items()} for side in (ours, theirs))
    print("| | ours, times theirs |", "|---|---|", f"| training (PyTorch) | {ours['train'] / theirs['train']:.2f} |", sep="\n")
    for what in SEARCHES:
        _, width, batch = what.split()
        print(f"| {NAMES[width]}, {batch} at a time (JoeyNMT) | {ours[what] / theirs[what]:.2f} |")
        if batch == "1":
            print(f"| the same from the TFLite files and NumPy | {ours[f'device {width}'] / theirs[what]:.2f} |")
    costs = {
        name: side[f"search 1 {b}"] / side[f"search 5 {b}"]
        for b in (1, 64)
        for name, side in ((f"{b}", ours), (f"{b}, JoeyNMT", theirs))
    }
    print("\na beam of 5 costs, times greedy search: " + "; ".join(f"{cost:.2f} (batch {name})" for name, cost in costs.items()))
    write_json(options.output, {"ours": ours, "theirs": theirs, "beam_to_greedy": costs, "cores": os.cpu_count()})


if __name__ == "__main__":
    main()
