"""From text to text on the device: NumPy searches as the graph does, files say what Keras says, and a broken folder is refused."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.zoo.test_beam import texts, toy
from tests.zoo.translators import TRANSLATORS
from tflite.encoder_decoder import write_translator
from tflite.runtime import InputError, Translator
from tflite.runtime.__main__ import main
from tflite.runtime.beam import beam_search, greedy_search
from tflite.runtime.text import Tokenizer
from zoo.decoding import beam

LIMIT = 7
SOURCE = Tokenizer(("<padding>", "<boundary>", "<unknown>", *"abcdefgh"))
TARGET = Tokenizer(("<padding>", "<boundary>", "<unknown>", *"nopqrstuv"))
WIDER = {"encoder_decoder": {"units": 40}}  # small weights stay float in an int8 file
WORDS = ["a", "bad", "hedge", "facade", "h\u00e9", "cab", "gag", "deaf"]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([1, 2, 3, 5]),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    vocabulary=st.sampled_from([4, 7]),
)
def test_numpy_finds_the_texts_that_the_graph_finds(seed, width, alpha, vocabulary):
    step, state, table, _ = toy(seed, vocabulary)
    constraints = beam.Constraints(6, banned=(2,))
    wanted = beam.beam_search(step, state, 2, width, width, constraints, alpha)
    likeliest = beam.greedy_search(step, state, 2, constraints)

    def one_step(token, past):
        return table[(*past, token)], (past[0], past[1] + 1, token)

    for source in range(2):
        first = one_step(1, (source, 0, 1))
        options = {"limit": 6, "unwritten": (0, 2)}
        found = beam_search(one_step, *first, width=width, length_penalty=alpha, **options)
        there = np.asarray(wanted["score"][source]) > -1e29
        assert [(*tokens, 1) for tokens, _, _ in found] == texts(wanted["tokens"][source])[: there.sum()]
        np.testing.assert_allclose([score for *_, score in found], wanted["score"][source][: len(found)], rtol=1e-4)
        np.testing.assert_allclose([rate for _, rate, _ in found], wanted["log_probability"][source][: len(found)], rtol=1e-4)
        tokens, rate = greedy_search(one_step, *first, **options)
        assert [(*tokens, 1)] == texts(likeliest["tokens"][source : source + 1])
        assert rate == pytest.approx(float(likeliest["log_probability"][source]), rel=1e-4)


@pytest.fixture(
    scope="module", params=["attention_encoder_decoder1", "convolutional_encoder_decoder0", "encoder_decoder1", "transformer1"]
)
def translator(request, tmp_path_factory):
    builder, arguments = TRANSLATORS[request.param]
    model = zoo.build(builder, **{**arguments, "seed": 5, **WIDER.get(builder, {})})
    folder = tmp_path_factory.mktemp("device")
    write_translator(folder / "device", model, SOURCE, TARGET, max_length=LIMIT, width=3, notices={"NOTICE.md": "none\n"})
    return model, folder / "device"


def test_the_files_say_what_keras_says(translator):
    model, folder = translator
    device, encoder, decoder = Translator(folder), model.get_layer("encoder"), model.get_layer("decoder")
    source = np.zeros((len(WORDS), LIMIT), np.int32)
    for row, word in zip(source, WORDS):
        row[: len(word) + 1] = [*SOURCE.encode(word), 1]
    constraints = beam.Constraints(LIMIT, banned=(2,))

    def begin():
        return decoder.step, decoder.initial_state(encoder(source)), len(WORDS)

    wanted = beam.beam_search(*begin(), width=4, best=2, constraints=constraints, length_penalty=0.7)
    likeliest = beam.greedy_search(*begin(), constraints)
    for place, word in enumerate(WORDS):
        found = device.translate(word, n_best=2, width=4, length_penalty=0.7)
        assert len(found) == 2
        for rank, (text, score) in enumerate(found):
            assert text == TARGET.decode(texts(wanted["tokens"][place])[rank][:-1])
            assert score == pytest.approx(float(wanted["score"][place, rank]), abs=1e-4)
        text, rate = device.greedy(word)
        assert text == TARGET.decode(texts(likeliest["tokens"][place : place + 1])[0][:-1])
        assert rate == pytest.approx(float(likeliest["log_probability"][place]), abs=1e-4)
    rounded = Translator(folder, "int8")
    assert all(abs(rounded.greedy(word)[1] - device.greedy(word)[1]) < 0.5 for word in WORDS)
    if model.name in WIDER:
        sizes = [device.manifest["files"][precision]["bytes"] for precision in ("int8", "float")]
        assert sizes[0] < 0.5 * sizes[1] and rounded.greedy("bad")[1] != device.greedy("bad")[1]


def test_the_files_hold_no_loop_and_no_custom_operation(translator):
    manifest = json.loads((translator[1] / "manifest.json").read_text())
    for part in (manifest, manifest["encoder"]):
        for entry in part["files"].values():
            assert entry["operations"] and not any(name.startswith(("WHILE", "CUSTOM", "IF")) for name in entry["operations"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("abcdefgh", "8 characters; expected at most 6"),
        ("xyz", "has no characters that the model knows"),
        ("a\x00b", "control character"),
        ("a" * 10_001, "10,001 characters"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_texts_that_cannot_be_translated_are_refused(translator, text, words):
    with pytest.raises(InputError, match=f"the text cannot be translated: .*{words}"):
        Translator(translator[1]).translate(text)


def test_lines_are_translated_at_the_command_line(translator, tmp_path, capsys):
    path, device = tmp_path / "lines.txt", Translator(translator[1])
    path.write_bytes(b"bad\n\xff\ncab\n")
    assert main([str(translator[1]), str(path)]) == 2
    out, err = capsys.readouterr()
    assert out.split("\n") == [device.translate("bad")[0][0], "", device.translate("cab")[0][0], ""]
    assert "line 2: not UTF-8" in err and "error: 1 line could not be translated" in err
    path.write_text("bad\n")
    assert main([str(translator[1]), str(path), "--n-best", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in found["translations"]] == [text for text, _ in device.translate("bad", 2)]
    for arguments, words in ((["--n-best", "9"], "--n-best is 9"), (["--threshold", "0.5"], "which reads text"), ([], "nowhere")):
        assert main([str(translator[1]), str(path) if arguments else "nowhere.txt", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_standard_input_that_is_closed_or_given_twice(translator, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert main([str(translator[1]), "-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"bad\n")))
    assert main([str(translator[1]), "-", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_models_that_no_file_can_hold_are_refused(tmp_path):
    characters = Tokenizer(("<padding>", "<boundary>", *"abc"))
    model = zoo.build("encoder_decoder", source_vocabulary=5, vocabulary=12, dimensions=4, units=4)
    with pytest.raises(zoo.errors.InputError, match="no token for what it does not know"):
        write_translator(tmp_path / "device", model, characters, TARGET, max_length=5, notices={})
    assert not (tmp_path / "device").exists()


def test_a_source_with_more_tokens_than_the_model_has_is_one_line(translator, tmp_path):
    manifest = json.loads((translator[1] / "manifest.json").read_text())
    manifest["source"]["vocabulary"] += ["q"] * 9
    for file in translator[1].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="the interpreter stopped"):
        Translator(tmp_path).greedy("aq")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_without_numbers_is_refused(translator, monkeypatch):
    device = Translator(translator[1])
    broken = np.full(len(TARGET.vocabulary), np.nan)
    monkeypatch.setattr(device, "begin", lambda text: (lambda token, state: (broken, state), broken, None))
    for search in (device.greedy, device.translate):
        with pytest.raises(InputError, match="no finite numbers"):
            search("bad")


def test_a_text_may_be_cut_at_its_last_token_without_another_step():
    steps = []

    def step(token, state):
        steps.append(token)
        return np.array([0.0, -9.0, 1.0, 2.0]), state

    first = np.array([0.0, -9.0, 1.0, 2.0])
    found = beam_search(step, first, None, limit=1, width=2, cut=True)
    assert [tokens for tokens, *_ in found] == [(3,), (2,)] and not steps
    assert beam_search(step, first, None, limit=0, width=2, cut=True) == [((), 0.0, 0.0)]


def test_wrong_options_are_refused(translator):
    device = Translator(translator[1])
    for options in (
        {"n_best": 4},
        {"n_best": 0},
        {"width": 0},
        {"length_penalty": -1},
        {"length_penalty": 11},
        {"length_penalty": float("nan")},
    ):
        with pytest.raises(InputError, match=f"`{next(iter(options)).replace('width', 'n_best')}` is"):
            device.translate("a", **options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("encoder"), "lacks encoder, which a translator needs"),
        (lambda m: m["source"].update(max_length=9), "inputs are not `source` of shape"),
        (lambda m: m["encoder"]["outputs"].popitem(), "the encoder gives .* of shape None"),
        (lambda m: m["vocabulary"].pop(), "no `logits` of shape"),
        (lambda m: m["source"]["vocabulary"].pop(2), "its source is not '<unknown>'"),
        (lambda m: m["encoder"]["files"]["float"].update(sha256="0" * 64), "checksum"),
        (lambda m: m.update(kind="generator"), "describes a generator; expected a translator"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(translator, change, words, tmp_path):
    manifest = json.loads((translator[1] / "manifest.json").read_text())
    change(manifest)
    for file in translator[1].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=words):
        Translator(tmp_path)


def test_a_state_without_a_beginning_is_refused_where_no_encoder_gives_it(tmp_path, translator):
    from tflite.runtime.manifest import read_manifest

    manifest = json.loads((translator[1] / "manifest.json").read_text())
    manifest["kind"] = "generator"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="lacks 'initial'"):
        read_manifest(tmp_path, "generator")
