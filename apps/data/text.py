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
    return _lines(*_set_content(name, member))


def read_text(path):
    """The whole of a UTF-8 text file, its line ends as \\n."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a text file.")
    return _text(path.read_bytes(), path)


def read_set_text(name, member):
    """The whole of a file in a text data set."""
    return _text(*_set_content(name, member))


def _set_content(name, member):
    path, form = fetch(name)
    return (path.read_bytes() if form.layout == "text" else Archive(path).open(member).read()), path


def read_table(path):
    """The rows of a CSV file as dictionaries."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no UTF-8 table ({error}); save it as CSV in UTF-8.") from None


def _lines(content, path):
    lines = [line.strip() for line in _text(content, path).splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise InputError(f"{path} has no text; expected one item a line.")
    return lines


def _text(content, path):
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.start}); convert it, for example with `iconv -t utf8`."
        ) from None
    if "\0" in text:
        raise InputError(f"{path} holds zero bytes, as binary files do; expected UTF-8 text.")
    return text.replace("\r\n", "\n").replace("\r", "\n")
