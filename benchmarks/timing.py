"""What the speed benchmarks share; the standard library alone, since the peers' environments import it, too."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, SECONDS = 2, 6


def best(action, seconds=SECONDS):
    """The most units a second of an action that returns how many it did."""
    found, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        found = max(found, action() / (time.perf_counter() - start))
    return found


def run(command):
    """The last number that a command prints, run in a process of its own."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command[:4]))} stopped: {(done.stderr.strip() or 'killed').splitlines()[-1]}")
    return float(done.stdout.splitlines()[-1])


def parse(description):
    """The options of a benchmark: --output, or --measure, one figure in this process."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.output or options.measure):
        parser.error("--output is missing; expected a JSON file for the figures")
    return options
