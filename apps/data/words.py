"""Recordings of single words in a public set, as folders to train on: `python -m apps.data.words speech_commands_test_v0.02 --words yes no --output words`."""

import argparse
import csv
import sys
from pathlib import Path

from apps.data.audio import Archive
from apps.data.sources import fetch
from apps.data.speech import rows_of
from zoo.errors import InputError
from zoo.folders import new_folder


def write_words(name, words, folder, most=None):
    """Copies the files of some words into a folder each, with a metadata.csv; returns how many of each.

    words: as the set labels them; none: all. most: of each word and split, the first by name.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already; expected a new folder. Give another --output.")
    path, _ = fetch(name)
    archive, rows = Archive(path), rows_of(name)
    wanted = words or sorted({row["text"] for row in rows})
    counts = {}
    with new_folder(folder) as new:
        for word in wanted:
            chosen = sorted((row for row in rows if row["text"] == word), key=lambda row: row["path"])
            if not chosen:
                labels = ", ".join(sorted({row["text"] for row in rows})[:12])
                raise InputError(f"{name} has no recordings of {word!r}; its words are {labels}, ...")
            taken, inner = {}, new / word if len(wanted) > 1 else new
            inner.mkdir(exist_ok=True)
            with open(inner / "metadata.csv", "w", newline="", encoding="utf8") as file:
                writer = csv.DictWriter(file, _columns(chosen), extrasaction="ignore", lineterminator="\n")
                if writer.fieldnames != ["path"]:
                    writer.writeheader()
                for row in chosen:
                    split = row.get("split") or ""
                    taken[split] = taken.get(split, 0) + 1
                    if most is None or taken[split] <= most:
                        copy = inner / Path(row["path"]).name
                        copy.write_bytes(archive.open(row["path"]).read())
                        writer.writerow({**row, "path": copy.name})
                        counts[word] = counts.get(word, 0) + 1
            if writer.fieldnames == ["path"]:
                (inner / "metadata.csv").unlink()  # nothing is known of them
    return counts


def _columns(rows):
    """The columns that every row has something in."""
    return ["path", *(key for key in ("speaker", "split") if all(row.get(key) for row in rows))]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m apps.data.words", description=__doc__)
    parser.add_argument("set", help="name of the data set, as docs/data.md lists it")
    parser.add_argument("--words", nargs="+", default=[], help="which words (default: all)")
    parser.add_argument("--most", type=int, help="recordings of each word and split (default: all)")
    parser.add_argument("--output", type=Path, required=True, help="new folder")
    options = parser.parse_args(arguments)
    try:
        for word, count in write_words(options.set, options.words, options.output, options.most).items():
            print(f"{word}: {count} recordings")
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
