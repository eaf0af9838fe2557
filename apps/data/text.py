"""Text files, read once and strictly."""

import csv
import fnmatch
import io
from pathlib import Path

from apps.data.audio import Archive
from apps.data.sources import fetch
from zoo.errors import InputError

CHUNK = 1 << 20  # characters
CONVERT = "convert it, for example with `iconv -t utf8`."


def read_lines(path):
    """The lines of a UTF-8 text file, without those that are blank."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a text file with one item a line.")
    return _lines(path.read_bytes(), path)


def read_set_lines(name, member):
    """The lines of a file in a text data set."""
    return _lines(*_set_content(name, member))


def read_rows(path):
    """[(line number, line)] of a UTF-8 text file, without lines that are blank; only a line end cuts, no other separator."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is no file; expected a text file.")
    return _rows(path.read_bytes(), path)


def read_set_rows(name, member):
    """The same of a file in a text data set."""
    return _rows(*_set_content(name, member))


def _rows(content, path):
    rows = [(number, line) for number, line in enumerate(_text(content, path).split("\n"), 1) if line.strip()]
    if not rows:
        raise InputError(f"{path} has no text; expected one item a line.")
    return rows


def text_chunks(path):
    """Yields a UTF-8 text file's text piece by piece, whole lines where they are not endless, its line ends as \\n."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a text file.")
    with open(path, "rb") as file:
        yield from _chunks(file, path)


def read_set_texts(name, pattern):
    """[(file name, its text chunk by chunk)] of the files in a text data set that match a pattern."""
    path, form = fetch(name)
    if form.layout == "text":
        return [(path.name, text_chunks(path))]
    archive = Archive(path)

    def chunks(member):
        yield from _chunks(archive.open(member), f"{path}: {member}")

    return [(Path(member).name, chunks(member)) for member in archive.members if fnmatch.fnmatch(member, pattern)]


def _chunks(file, name):
    """The text of an open binary file."""
    text = io.TextIOWrapper(file, "utf-8-sig", newline=None)
    try:
        while chunk := text.read(CHUNK) + text.readline(CHUNK):
            _check_text(chunk, name)
            yield chunk
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text (near byte {file.tell()}); {CONVERT}") from None


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
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); {CONVERT}") from None
    _check_text(text, path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_text(text, name):
    if "\0" in text:
        raise InputError(f"{name} holds zero bytes, as binary files do; expected UTF-8 text.")
