"""Text files, read once and strictly."""

import csv
from pathlib import Path

from apps.data.audio import Archive
from apps.data.sources import fetch
from zoo.errors import InputError


def read_lines(path):
    """The lines of a UTF-8 text file, without those that are blank."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a text file with one item a line.")
    return _lines(path.read_bytes(), path)


def read_set_lines(name, member):
    """The lines of a file in a text data set."""
    path, form = fetch(name)
    content = path.read_bytes() if form.layout == "text" else Archive(path).open(member).read()
    return _lines(content, path)


def read_table(path):
    """The rows of a CSV file as dictionaries."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no UTF-8 table ({error}); save it as CSV in UTF-8.") from None


def _lines(content, path):
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.start}); convert it, for example with `iconv -t utf8`."
        ) from None
    lines = [line for line in lines if line]
    if not lines:
        raise InputError(f"{path} has no text; expected one item a line.")
    return lines
