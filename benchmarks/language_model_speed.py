"""How fast a language model trains and writes, beside PyTorch: python -m benchmarks.language_model_speed --output speed.json

The same LSTM (66 characters, 64 dimensions, 512 units) in both: training with carried state on batches of 64 windows of 64, writing one
text (ours: the TFLite file from NumPy) and 64 at a time (ours: the graph that is in the SavedModel). Every figure is the best of several
rounds in turn, each in a process of its own; PyTorch's environment is made in build/peers on first use. Then: what a character costs late
in a long text against early, and `import zoo`.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from apps.run_folder import write_json
from benchmarks.peers import peer
from benchmarks.timing import ROOT, ROUNDS, SECONDS, best, parse, run

TORCH = "torch==2.13.0"
SIZES = {"vocabulary": 66, "dimensions": 64, "units": 512, "batch": 64, "window": 64}
VOCABULARY = ["<padding>", "\n", *(chr(33 + i) for i in range(SIZES["vocabulary"] - 2))]
WHAT = {
    "train float32": "training, float32",
    "train bfloat16": "training, bfloat16",
    "sample 1": "writing one text",
    "sample 64": "writing 64 texts at a time",
}
IMPORT = (
    "import time; a = time.perf_counter(); import zoo; b = time.perf_counter(); import sys; "
    "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules; print(b - a)"
)


def train(precision):
    """Characters a second of training by the app's own step."""
    import keras
    import numpy as np

    from apps.language_model.config import Config
    from apps.language_model.corpus import Running
    from apps.language_model.functions import model
    from apps.task import Data
    from tflite.runtime.text import Tokenizer

    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    config = Config(
        dataset="shakespeare",
        model="lstm_language_model",
        dimensions=SIZES["dimensions"],
        units=SIZES["units"],
        dropout=0.0,
        clip="global_norm",
        batch_size=SIZES["batch"],
        window=SIZES["window"],
    )
    corpus = Running(Tokenizer(VOCABULARY), None, {}, {}, "")
    network = model(config, Data(None, None, corpus, {}))
    tokens = np.random.default_rng(0).integers(1, SIZES["vocabulary"], (SIZES["batch"], SIZES["window"] + 1))
    network.train_on_batch(tokens[:, :-1], {"logits": tokens[:, 1:]})

    def five():
        for _ in range(5):
            network.train_on_batch(tokens[:, :-1], {"logits": tokens[:, 1:]})
        return 5 * SIZES["batch"] * SIZES["window"]

    return best(five)


def network():
    """The model, untrained."""
    import zoo

    sizes = {name: SIZES[name] for name in ("vocabulary", "dimensions", "units")}
    return zoo.build("lstm_language_model", **sizes, mask_padding=False)


def generator(folder, length):
    """A Generator of the model's float file."""
    from tflite.export import convert, write_device_folder
    from tflite.runtime import Generator
    from tflite.streaming import to_step_model

    step, states = to_step_model(network())
    content = convert(step)
    description = {"kind": "generator", "name": "speed", "vocabulary": VOCABULARY, "max_length": length, "boundary": "line"}
    write_device_folder(
        folder, step, states, float_file=content, int8_file=content, description=description, readme="", notices={}
    )
    return Generator(folder)


def sample(batch, length=500):
    """Characters a second of writing."""
    if batch == 1:
        with tempfile.TemporaryDirectory() as folder:
            writer = generator(Path(folder) / "device", length)
        return best(lambda: len(writer.sample(seed=1)))
    from apps.language_model.generation import TextSampler, texts
    from tflite.runtime.text import Tokenizer

    sampler = TextSampler(network(), Tokenizer(VOCABULARY), length, ends=False)
    texts(sampler.sample, count=batch)
    return best(lambda: sum(map(len, texts(sampler.sample, seed=1, count=batch))))


def growth(characters=20_000, part=1_000):
    """What the last characters of a long text cost, as a multiple of what the first cost."""
    with tempfile.TemporaryDirectory() as folder:
        writer = generator(Path(folder) / "device", characters)
    marks = [time.perf_counter()]
    for number, _ in enumerate(writer.stream(seed=1), 1):
        if number % part == 0:
            marks.append(time.perf_counter())
    spent = [later - earlier for earlier, later in zip(marks, marks[1:])]
    return sorted(spent[-5:])[2] / sorted(spent[:5])[2]


def main():
    options = parse(__doc__)
    if options.measure:
        kind, option = options.measure.split()
        print(growth() if kind == "growth" else train(option) if kind == "train" else sample(int(option)))
        return
    imported = min(run([sys.executable, "-c", IMPORT]) for _ in range(5))
    python, sizes = peer(TORCH, "numpy"), json.dumps({**SIZES, "cores": os.cpu_count()})
    found = {what: {"ours": [], "torch": []} for what in WHAT}
    for _ in range(ROUNDS):
        for what, rows in found.items():
            rows["ours"].append(run([sys.executable, "-m", "benchmarks.language_model_speed", "--measure", what]))
            rows["torch"].append(run([python, ROOT / "benchmarks" / "lstm_torch.py", what, sizes, str(SECONDS)]))
    ratios = {what: max(rows["ours"]) / max(rows["torch"]) for what, rows in found.items()}
    late = run([sys.executable, "-m", "benchmarks.language_model_speed", "--measure", "growth of"])
    print(f"| | ours, times {TORCH.replace('==', ' ')} |", "|---|---|", sep="\n")
    for what, ratio in ratios.items():
        print(f"| {WHAT[what]} | {ratio:.2f} |")
    print(f"\nthe last of 20,000 characters cost {late:.2f} times the first; `import zoo` takes {imported:.2f} s")
    write_json(
        options.output,
        {"characters_a_second": found, "ratios": ratios, "late_to_early": late, "import_s": imported, "cores": os.cpu_count()},
    )


if __name__ == "__main__":
    main()
