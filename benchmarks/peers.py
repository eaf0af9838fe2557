"""Environments of their own for the packages that benchmarks compare with."""

import subprocess
import venv
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent / "build" / "peers"


def peer(*packages):
    """The interpreter of an environment that has the packages, made where it is missing."""
    folder = PEERS / packages[0].replace("==", "-")
    if not (folder / "done").is_file():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "done").touch()
    return folder / "bin" / "python"
