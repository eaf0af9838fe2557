"""Translation: pairs are split honestly, a small model learns and its SavedModel says the same anywhere; bad lines are named."""

import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from apps.cli import main
from apps.train import open_run, train
from apps.translation import dates, functions, pairs, reading
from apps.translation.config import TASK, Config
from apps.translation.pictures import alignment, alignment_figure
from apps.translation.translator import Translator, saved_searches, searched
from tflite.runtime.text import Tokenizer
from zoo.errors import InputError

NUMBERS = "zero one two three four five six seven eight nine".split()


def number_pairs(count=400):
    """Digits and their words: '4 0 7' and 'four zero seven'."""
    random = np.random.default_rng(0)
    rows = {tuple(random.integers(10, size=random.integers(2, 5))) for _ in range(count)}
    return sorted((" ".join(map(str, row)), " ".join(NUMBERS[digit] for digit in row)) for row in rows)


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """A run that reads digits out."""
    folder = tmp_path_factory.mktemp("numbers")
    path = folder / "pairs.tsv"
    path.write_text("\n".join("\t".join(pair) for pair in number_pairs()), "utf8")
    config = Config(
        pairs=path,
        tokens="words",
        units=32,
        dimensions=16,
        steps=150,
        steps_per_epoch=50,
        batch_size=32,
        max_tokens=8,
        learning_rate=0.01,
    )
    train(TASK, config, folder / "run")
    return folder / "run", config


def test_no_date_is_ambiguous_and_none_is_both_trained_and_tested_on():
    chosen = dates.days(0)[:400]
    read = {}
    for form in (*dates.TRAINED, *dates.UNSEEN):
        for day, (text, iso) in zip(chosen, dates.write(chosen, [form], 0)):
            assert iso == day.isoformat() and read.setdefault(text, iso) == iso
    assert len(set(dates.days(3))) == dates.DAYS and len(dates.TRAINED) == 20
    parts = pairs.read_pairs(Config()).parts
    days = {split: {iso for _, iso in found} for split, found in parts.items()}
    assert not days["train"] & (days["test"] | days["unseen formats"] | days["val"])


def test_no_source_is_both_trained_and_tested_on(tmp_path):
    path = tmp_path / "pairs.tsv"
    lines = [f"{i % 150} x\t{i} y\tfrom somewhere" for i in range(600)]
    path.write_text("\n".join([*lines, lines[0]]), "utf8")
    found = pairs.read_pairs(Config(pairs=path, tokens="words", batch_size=8))
    sources = {split: {source for source, _ in part} for split, part in found.parts.items()}
    assert (
        not sources["train"] & sources["test"] and not sources["train"] & sources["val"] and not sources["val"] & sources["test"]
    )
    assert len(found.parts["test"]) == len(sources["test"]) == 15
    assert all(len(found.known[source]) == 4 for source in sources["test"])
    # the other way around as well
    back = pairs.read_pairs(Config(pairs=path, tokens="words", batch_size=8, reverse=True))
    assert not {a for a, _ in back.parts["train"]} & {a for a, _ in back.parts["test"]}


def test_words_are_cut_into_letters_and_phonemes_and_every_pronunciation_is_known(monkeypatch):
    letters = "abcdefghijklmnopqrst"
    lines = [f"{(a + b).upper()} 1 {a.upper()}H0 {b.upper()}" for a in letters for b in letters]
    lines += ["AB 2 EY1 B", "3D 1 TH R IY1 D IY1", "A.B. 1 EY1 B IY1", "' 1 Q"]
    monkeypatch.setattr(pairs, "read_set_rows", lambda name, member: list(enumerate(lines, 1)))
    found = pairs.read_pairs(Config(dataset="pronounce", batch_size=8))
    assert (found.source.kind, found.target.kind) == ("characters", "words")
    assert found.source.encode("Ab") == found.source.encode("ab") and len(found.parts["test"]) == 40
    every = {pair for part in found.parts.values() for pair in part}
    assert ("ab", "AH B") in every and not {"3d", "a.b.", "'"} & {source for source, _ in every}
    assert {word for source, _ in found.parts["test"] for word in found.known[source]} <= {"EY B", *(text for _, text in every)}
    back = pairs.read_pairs(Config(dataset="pronounce", batch_size=8, reverse=True))
    assert (back.source.kind, back.target.kind) == ("words", "characters") and back.source.encode("EY B")


def test_errors_are_counted_against_the_nearest_reference():
    known = {"a": ["x y z", "x y"], "b": ["x"], "c": ["x y z z"]}
    content = SimpleNamespace(known=known, target=Tokenizer(("<padding>", "<boundary>", "<unknown>", *"xyz"), "words"))
    found = functions._token_errors(content, ["a", "b", "c"], ["x y", "y x", "x z z"])
    assert found["score"] == pytest.approx((0 + 1 + 1) / (2 + 1 + 4))
    assert found["interval"][0] <= found["score"] <= found["interval"][1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("one side only\n", "line 1 is 'one side only'; expected two texts with a tab between them"),
        ("a\t\n", "expected two texts"),
        ("a\tb\n" * 300, "1 distinct sources; expected at least 100"),
        ("\n \n", "has no text"),
        ("\0a\tb", "zero bytes"),
    ],
)
def test_files_that_are_no_pairs_are_refused(tmp_path, content, words):
    path = tmp_path / "pairs.tsv"
    path.write_text(content, "utf8")
    with pytest.raises(InputError, match=words):
        pairs.read_pairs(Config(pairs=path))


def test_batches_hold_a_pair_once_an_epoch_leave_none_out_for_good_and_go_on_anywhere():
    random = np.random.default_rng(0)
    encoded = [
        (random.integers(3, 9, random.integers(2, 40)), random.integers(3, 9, random.integers(2, 40))) for _ in range(2007)
    ]
    encoded = [(np.append(a, index), b) for index, (a, b) in enumerate(encoded, 100)]
    config = SimpleNamespace(batch_size=20, seed=0)
    stream = pairs.batches(encoded, config, 0)
    seen = [next(stream) for _ in range(300)]
    epochs = [
        Counter(int(row[row > 0][-1]) for inputs, _ in seen[start : start + 100] for row in inputs["source"])
        for start in (0, 100, 200)
    ]
    assert all(len(epoch) == 2000 and set(epoch.values()) == {1} for epoch in epochs)
    assert set().union(*epochs) == set(range(100, 2107))
    for a, b in zip(pairs.batches(encoded, config, 120), seen[120:]):
        np.testing.assert_array_equal(a[0]["source"], b[0]["source"])
        np.testing.assert_array_equal(a[1]["logits"], b[1]["logits"])
    assert pairs.padding_share(encoded, config) < 0.25 < 1 - sum(len(b) for _, b in encoded) / (len(encoded) * 40)


def test_lower_case_is_measured_in_lower_case_and_every_translation_counts(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(f"{word} {i}\tHola {i}" for i in range(200) for word in ("Hello", "Hi")), "utf8")
    found = pairs.read_pairs(Config(pairs=path, tokens="words", batch_size=8, lower=True, reverse=True))
    assert found.parts["test"]
    for source, _ in found.parts["test"]:
        number = source.split()[1]
        assert sorted(found.known[source]) == [f"hello {number}", f"hi {number}"]


def test_a_bad_line_is_named_by_its_place_and_only_line_ends_cut(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("a\tb\n\n\nbad line\n", "utf8")
    with pytest.raises(InputError, match="line 4 is 'bad line'"):
        pairs.read_pairs(Config(pairs=path))
    path.write_bytes("\r\n".join(f"{i} x\u2028y\t{i}" for i in range(200)).encode())
    assert pairs.read_pairs(Config(pairs=path, tokens="words", batch_size=8)).parts["train"][0][0].endswith(" x y")


def test_it_learns_and_is_measured(numbers):
    folder, _ = numbers
    metrics = json.loads((folder / "metrics.json").read_text())
    for name in ("test, greedy", "test, beam 5, alpha 0", "test, beam 5, alpha 1"):
        row = metrics["table"][name]
        assert row["exact"] > 0.9 and row["interval"][0] < row["exact"] <= row["interval"][1]
        assert row["bleu"]["score"] > 80 and "version:" in row["bleu"]["signature"]
    report = (folder / "report.html").read_text()
    assert "Attention" in report and "Worst first" in report and report.count("<svg") >= 3


def test_the_saved_model_says_the_same_in_a_process_without_this_project(numbers, tmp_path):
    folder, config = numbers
    _, data, network = open_run(TASK, folder)
    sources = [source for source, _ in number_pairs()][:200]
    live = Translator(network, data.content.source, data.content.target, config.max_tokens, config.width)
    code = (
        "import sys, json, tensorflow as tf; found = tf.saved_model.load(sys.argv[1]).signatures\n"
        "texts = tf.constant(json.load(sys.stdin))\n"
        "beam = found['serving_default'](text=texts, length_penalty=tf.constant(1.0))\n"
        "print(json.dumps([[t.decode() for t in beam['text'].numpy()[:, 0]], [t.decode() for t in found['greedy'](text=texts)['text'].numpy()]]))\n"
        "assert not {'zoo', 'apps', 'tflite'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "saved_model"],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    beam, greedy = json.loads(done.stdout)
    for found, search, alpha in ((beam, live.beam, 1.0), (greedy, live.greedy, None)):
        assert found == [best[0][1] for best in searched(search, sources, alpha)]


def test_the_device_folder_says_the_same_with_numpy_alone(numbers, tmp_path):
    folder, config = numbers
    sources = [source for source, _ in number_pairs()][:200]
    search = saved_searches(folder)
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[2]); from tflite.runtime import Translator\n"
        "found = Translator(sys.argv[1]); texts = json.load(sys.stdin)\n"
        "print(json.dumps([[found.translate(t, 5), found.greedy(t)] for t in texts]))\n"
        "assert not {'zoo', 'apps', 'tensorflow', 'keras', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "device", Path(__file__).parents[2]],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    for (beam, greedy), best, likeliest in zip(found, search(sources, config.length_penalty), search(sources, None)):
        assert beam[0][0] == best[0][1] and greedy[0] == likeliest[0][1]
        np.testing.assert_allclose([score for _, score in beam], [score for score, _ in best], atol=2e-3)
        assert abs(greedy[1] - likeliest[0][0]) < 1e-3
    table = json.loads((folder / "metrics.json").read_text())["table"]
    floats, int8 = (
        table[name]["bleu"]["score"]
        for name in ("test, beam 5, alpha 1", "32 of test, beam 5, alpha 1, int8 TFLite, one at a time")
    )
    assert abs(floats - int8) <= 0.01 * floats


def test_lines_are_translated_and_bad_ones_are_named(numbers, tmp_path, capsys):
    folder, _ = numbers
    path = tmp_path / "lines.txt"
    lines = [b"4 0 7", b"", b"\xff\xfe", b"1 2", b"a\x07b", b"x" * 10_001, "\u4e2d\u6587".encode(), b"1 " * 9, b"9 9 9"]
    path.write_bytes(b"\n".join(lines))
    assert main(["translation", "translate", "--run", str(folder), "--text", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out.split("\n") == ["four zero seven", "", "", "one two", "", "", "", "", "nine nine nine", ""]
    for number, reason in {
        2: "empty",
        3: "not UTF-8 (byte 0)",
        5: "control character",
        6: "10,001 characters",
        7: "has no words that the model knows",
        8: "9 words; expected at most 7",
    }.items():
        assert f"line {number}: " in err and reason in err
    assert "error: 6 lines could not be translated" in err


def test_standard_input_n_best_and_pictures(numbers, tmp_path, capsys, monkeypatch):
    folder, _ = numbers
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"4 0 7\n5 5\n"), isatty=lambda: False))
    picture = tmp_path / "attention.html"
    arguments = ["translation", "translate", "--run", str(folder), "--n-best", "3", "--attention", str(picture)]
    assert main(arguments) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 6 and rows[0][1] == "four zero seven" and rows[3][1] == "five five"
    scores = [float(score) for score, _ in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True)
    assert picture.read_text().count("<svg") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n-best", "9"], "`n_best` is 9; expected at most 5"),
        (["--n-best", "2", "--greedy"], "needs beam search"),
        (["--length-penalty", "-1"], "`length_penalty` is -1"),
        (["--text", "nowhere.txt"], "nowhere.txt is no file"),
    ],
)
def test_wrong_options_are_refused(numbers, arguments, words, capsys):
    assert main(["translation", "translate", "--run", str(numbers[0]), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_attention_goes_along_the_digits(numbers):
    _, data, network = open_run(TASK, numbers[0])
    found = alignment(network, data.content.source, data.content.target, "4 0 7", "four zero seven")
    assert found["source"] == ["4", "0", "7", "\u220e"] and found["target"] == ["four", "zero", "seven", "\u220e"]
    weights = np.array(found["weights"])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=0.01)
    assert weights.shape == (4, 4) and "zero" in alignment_figure(found)


def test_a_reference_is_scored_as_the_search_scores_what_it_writes(numbers):
    _, data, network = open_run(TASK, numbers[0])
    sources = [source for source, _ in number_pairs()][:20]
    found = tf.saved_model.load(str(numbers[0] / "saved_model")).signatures["serving_default"](
        text=tf.constant(sources), length_penalty=tf.constant(0.7)
    )
    written = [text.decode() for text in found["text"].numpy()[:, 1]]
    scores = reading.reference_scores(network, data.content.encoded(list(zip(sources, written))), 0.7)
    np.testing.assert_allclose(scores, found["score"][:, 1], rtol=1e-3)


@pytest.mark.parametrize(
    ("score", "wanted", "tokens", "guilty"),
    [
        (-1.0, -0.5, [3, 4], "search"),
        (-0.5, -1.0, [3, 4], "model"),
        (-1.0, -0.5, [3, 2], "model"),
        (-1.0, -0.5, [3] * 8, "model"),
    ],
)
def test_the_search_is_to_blame_where_it_missed_a_likelier_reference_that_it_could_write(score, wanted, tokens, guilty):
    assert reading.blame(score, wanted, tokens, 8) == guilty


def test_errors_are_counted_and_shown(numbers, tmp_path, capsys):
    folder, config = numbers
    output = tmp_path / "errors.html"
    assert main(["translation", "errors", "--run", str(folder), "--output", str(output)]) == 0
    text = capsys.readouterr().out
    tested = len(functions.data(config).content.parts["test"])
    assert f"of {tested} translations are none of the references" in text and "Search or model" in output.read_text()


def test_a_preset_translates_and_shows_its_attention_and_has_no_test_pairs(numbers, tmp_path, capsys, monkeypatch):
    preset, picture = tmp_path / "preset", tmp_path / "attention.html"
    assert main(["translation", "preset", "--run", str(numbers[0]), "--output", str(preset)]) == 0
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"4 0 7\n"), isatty=lambda: False))
    capsys.readouterr()
    assert main(["translation", "attention", "--run", str(preset), "--output", str(picture)]) == 0
    assert capsys.readouterr().out == "four zero seven\n" and "<svg" in picture.read_text()
    assert main(["translation", "errors", "--run", str(preset), "--output", str(tmp_path / "errors.html")]) == 2
    assert "is a preset; expected a run folder" in capsys.readouterr().err
    (preset / "device" / "model.tflite").write_bytes(b"changed")
    assert main(["translation", "translate", "--run", str(preset)]) == 2
    assert "has the checksum" in capsys.readouterr().err


def test_pairs_that_changed_are_noticed(numbers, tmp_path, capsys):
    folder, config = numbers
    before = config.pairs.read_text("utf8")
    try:
        config.pairs.write_text(before.replace("zero", "nought"), "utf8")
        assert main(["translation", "export", "--run", str(folder)]) == 2
        assert "was begun with other data" in capsys.readouterr().err
    finally:
        config.pairs.write_text(before, "utf8")


@pytest.mark.parametrize("kind", ["characters", "words", "subwords"])
def test_a_script_that_the_model_never_saw_is_named(kind):
    known = {"characters": "ab ", "words": ["a", "b"], "subwords": ["\u2581a", "\u2581", "a", "b"]}[kind]
    tokenizer = Tokenizer(("<padding>", "<boundary>", "<unknown>", *known), kind)
    assert "that the model knows" in reading.checked("\u4e2d\u6587 \u4e2d".encode(), tokenizer, 20)[1]
    # joiners of letters are text
    assert reading.checked("a \u0645\u06cc\u200c\u0631".encode(), tokenizer, 20)[1] is None


def test_tokens_with_dollar_signs_are_drawn():
    found = {"source": ["$$", "a_"], "target": ["$\\frac$"], "weights": [[0.5, 0.5]]}
    assert "$$" in alignment_figure(found)


def test_heads_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, capsys):
    output = tmp_path / "run"
    arguments = ["translation", "train", "--model", "transformer", "--dimensions", "64", "--heads", "5", "--output", str(output)]
    assert main(arguments) == 2
    assert "`heads` is 5 for 64 dimensions" in capsys.readouterr().err and not output.exists()
