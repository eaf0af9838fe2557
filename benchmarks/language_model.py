"""The rows of docs/language-model.md: python -m benchmarks.language_model --output run_language [--rows shakespeare names ...]

Each row is one training by the app, with the settings below, measured through its exported files on text that it never saw
(names-repeated: names that may be among those it saw, as makemore splits them), beside n-grams. What is done is not done again. All but names-bundled need ZOO_DATA_MIRROR, or the network.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from apps.language_model.config import Config
from apps.run_folder import environment, write_json

SHAKESPEARE = "--dataset shakespeare --model lstm_language_model --dimensions 64 --precision mixed_bfloat16 --steps-per-epoch 200 --checkpoint-steps 1000"
NAMES = (
    "--dataset names --held-out 1000 --model gru_language_model --units 256 --dimensions 48 --dropout 0.4 --weight-decay 0.1 "
    "--batch-size 128 --learning-rate 0.003 --steps 5000 --steps-per-epoch 250 --checkpoint-steps 2500 --patience 100"
)
ROWS = {
    "names-bundled": "",
    "names": NAMES,
    "names-repeated": f"{NAMES} --repeated kept",
    "shakespeare-five-minutes": f"{SHAKESPEARE} --units 512 --steps 1800 --learning-rate 0.004 --dropout 0.1",
    "shakespeare-windows": f"{SHAKESPEARE} --units 512 --steps 1800 --learning-rate 0.004 --dropout 0.3 --patience 100 --no-carry",
    "shakespeare-preset": f"{SHAKESPEARE} --units 320 --steps 2600 --learning-rate 0.004 --dropout 0.2 --patience 100",
    "shakespeare-longer": f"{SHAKESPEARE} --units 512 --depth 2 --steps 3600 --learning-rate 0.003 --dropout 0.5 --weight-decay 0.1 --patience 100",
    "books": "--dataset books --tokens words --lower --model lstm_language_model --units 512 --dimensions 256 --tied --window 64 --steps 4800 "
    "--steps-per-epoch 400 --checkpoint-steps 800 --learning-rate 0.003 --dropout 0.1 --clip global_norm --patience 100 "
    "--precision mixed_bfloat16",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the runs and a JSON file for each row")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="which to run (default: all)")
    options = parser.parse_args()
    for row in options.rows:
        folder = options.output / row
        if not (folder / "report.html").is_file():
            command = [sys.executable, "-m", "apps", "language-model", "train", "--output", str(folder), *ROWS[row].split()]
            subprocess.run(command, check=True)
        metrics = json.loads((folder / "metrics.json").read_text("utf8"))
        timing = json.loads((folder / "timing.json").read_text("utf8"))
        print(f"\n{row}: {metrics['data']['split']}\ntrained {timing['seconds'] / 60:.1f} min\n")
        print(f"| | nats a {metrics['token']} (95%) | perplexity |\n|---|---|---|")
        for name, rate in metrics["table"].items():
            low, high = rate["interval"]
            print(f"| {name} | {rate['nats']:.3f} ({low:.3f} to {high:.3f}) | {rate['perplexity']:.2f} |")
        kept = {"table": metrics["table"], "training": timing, "settings": ROWS[row], "environment": environment(Config())}
        write_json(options.output / f"{row}.json", kept)


if __name__ == "__main__":
    main()
