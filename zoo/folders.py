"""Folders that are written whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path


def put_in_place(new, folder, old):
    """Renames a finished folder to its place; what was there goes to `old`, and comes back if the second step fails."""
    if not folder.exists():
        os.rename(new, folder)
        return
    os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise


class new_folder:
    """A context that gives a temporary folder and puts it in the place of `folder` when it ends without an error."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __enter__(self):
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=self.folder.parent))
        (self._temporary / "new").mkdir(mode=0o755)
        return self._temporary / "new"

    def __exit__(self, error, *_):
        if error is None:
            put_in_place(self._temporary / "new", self.folder, self._temporary / "old")
        shutil.rmtree(self._temporary, ignore_errors=True)
