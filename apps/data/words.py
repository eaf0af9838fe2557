"""Recordings of words in a public set, as folders to train on.

python -m apps.data.words speech_commands_test_v0.02 --words yes no --output words
"""

import argparse
import collections
import sys
from pathlib import Path

from apps.data.speech import open_set
from apps.run_folder import write_table
from zoo.errors import InputError
from zoo.folders import new_folder


def write_words(name, words, folder, most=None):
    """Copies the files of some words, a folder each where there are several, with what is known of speakers and splits; returns how many of each.

    words: as the set labels them. most: of each word and split, the first by name.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} is there already; expected a new folder. Give another --output.")
    if most is not None and most < 1:
        raise InputError(f"`most` is {most}; expected at least 1.")
    archive, rows = open_set(name)
    counts = {}
    with new_folder(folder) as new:
        for word in dict.fromkeys(words):
            chosen = _first(sorted((row for row in rows if row["text"] == word), key=lambda row: row["path"]), most)
            if not chosen or set(word) & set("/\\"):
                labels = ", ".join(sorted({row["text"] for row in rows})[:12])
                raise InputError(f"{name} has no recordings of the word {word!r}; it has {labels}, ...")
            inner = new / word if len(set(words)) > 1 else new
            inner.mkdir(exist_ok=True)
            for row in chosen:
                (inner / Path(row["path"]).name).write_bytes(archive.open(row["path"]).read())
            known = [key for key in ("speaker", "split") if all(row.get(key) for row in chosen)]
            # one split only says nothing
            known = [key for key in known if key != "split" or len({row["split"] for row in chosen}) > 1]
            if known:
                table = [{"path": Path(row["path"]).name, **{key: row[key] for key in known}} for row in chosen]
                write_table(inner / "metadata.csv", table)
            counts[word] = len(chosen)
    return counts


def _first(rows, most):
    """The first `most` rows of each split."""
    taken, found = collections.Counter(), []
    for row in rows:
        taken[row.get("split")] += 1
        if most is None or taken[row.get("split")] <= most:
            found.append(row)
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m apps.data.words", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", help="name of the data set; a wrong one gets the names")
    parser.add_argument("--words", nargs="+", required=True, help="which words")
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
