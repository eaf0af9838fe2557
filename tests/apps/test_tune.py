"""The search for better settings: resumable, and shared by several processes through keras-tuner's chief and workers."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from apps.cli import main

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--steps", "3", "--steps-per-epoch", "3", "--batch-size", "8", "--method", "random"]


def test_a_search_finds_the_best_of_its_trials_and_goes_on_where_it_was(tmp_path):
    command = ["language-model", "tune", "--output", str(tmp_path / "search"), *TINY]
    assert main([*command, "--trials", "2"]) == 0
    assert len(json.loads((tmp_path / "search" / "trials.json").read_text())) == 2
    assert main([*command, "--trials", "3"]) == 0
    table = json.loads((tmp_path / "search" / "trials.json").read_text())
    best = json.loads((tmp_path / "search" / "best.json").read_text())
    assert len(table) == 3
    assert table[0]["val_loss"] == min(row["val_loss"] for row in table) and best["units"] == table[0]["units"]
    from apps.language_model.config import SEARCH

    assert set(SEARCH) < set(table[0])


def test_two_workers_share_one_chief(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "apps",
        "language-model",
        "tune",
        "--output",
        str(tmp_path / "search"),
        "--trials",
        "4",
        "--oracle",
        f"127.0.0.1:{port}",
        *TINY,
    ]
    chief = subprocess.Popen(
        [*command, "--worker", "chief"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    workers = [
        subprocess.Popen(
            [*command, "--worker", f"worker_{i}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for i in (1, 2)
    ]
    try:
        outputs = [worker.communicate(timeout=240)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], outputs
        chief.communicate(timeout=120)
    finally:
        for process in (chief, *workers):
            process.kill()
    assert chief.returncode == 0
    assert len(json.loads((tmp_path / "search" / "trials.json").read_text())) == 4
