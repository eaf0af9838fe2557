"""The registry and presets."""

import json

import numpy as np
import pytest

import zoo
from zoo import presets
from zoo.registry import register


def test_the_table_shows_both_tasks():
    text = str(zoo.list_models())
    assert "tcn_trigger_word" in text and "lstm_language_model" in text and "arXiv" in text
    assert [entry.task for entry in zoo.list_models("language_model")] == ["language_model"] * 6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: zoo.build("tcn_triger_word"),
            "`name` is 'tcn_triger_word'; expected a registered model, such as tcn_trigger_word",
        ),
        (lambda: zoo.build("tcn_trigger_word", widht=3), "has no argument `widht`; expected num_mels"),
        (lambda: zoo.build("tcn_trigger_word", channels=0), "`channels` is 0; expected an integer of at least 1"),
        (lambda: zoo.build("course_trigger_word", padding="same"), "`padding` is 'same'; expected 'valid'"),
        (lambda: zoo.build("gru_language_model", units=0), "`units` is 0; expected an integer of at least 1"),
        (
            lambda: zoo.list_models("dancing"),
            "`task` is 'dancing'; expected one of language_model, sequence_labelling, speech_encoder, speech_recognition, translation, trigger_word",
        ),
        (lambda: zoo.load("nothing_there"), "expected a shipped preset or a preset folder"),
    ],
)
def test_mistakes_end_in_words(call, words):
    with pytest.raises(zoo.InputError, match=words):
        call()


def test_a_builder_with_positional_arguments_is_refused():
    with pytest.raises(ValueError, match="keyword-only"):
        register("bad", task="t", source="s", streams=False, example={})(lambda units: None)


def test_the_course_model_is_the_course_model():
    model = zoo.build("course_trigger_word")
    assert model.count_params() == 522_561
    assert model(np.zeros((1, 5511, 101), "float32"))["score"].shape == (1, 1375, 1)


def save_example(folder):
    arguments = {"vocabulary": 7, "dimensions": 3, "units": 4}
    model = zoo.build("gru_language_model", **arguments)
    presets.save(
        folder,
        model,
        builder="gru_language_model",
        arguments=arguments,
        task="language-model",
        metrics={"x": 1},
        card="# A card\n",
        versions={"keras": "3"},
    )
    return model


def test_a_preset_gives_the_model_back(tmp_path):
    model, x = save_example(tmp_path / "preset"), np.array([[1, 2, 3]])
    np.testing.assert_array_equal(zoo.load(tmp_path / "preset")(x)["logits"], model(x)["logits"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["preset"]


def test_a_preset_replaces_an_old_one_whole(tmp_path):
    save_example(tmp_path / "preset")
    (tmp_path / "preset" / "stray").write_text("x")
    save_example(tmp_path / "preset")
    assert not (tmp_path / "preset" / "stray").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "model.weights.h5").write_bytes(b"x" * 50), "model.weights.h5 has the checksum"),
        (lambda f: (f / "card.md").unlink(), "card.md is missing"),
        (lambda f: (f / "preset.json").write_text("{"), "is no JSON"),
        (lambda f: (f / "preset.json").write_text("[]"), "is no preset"),
        (lambda f: (f / "preset.json").unlink(), "has no preset.json"),
        (lambda f: edit(f, files={}), "has no checksum of model.weights.h5"),
        (lambda f: edit(f, builder=None), "lacks `builder`"),
        (lambda f: edit(f, version=9), "is of version 9; this release reads version 1"),
        (
            lambda f: edit(f, files={"model.weights.h5": presets.sha256(f / "model.weights.h5"), "../../outside": "0" * 64}),
            "is missing from the preset",
        ),
    ],
)
def test_a_spoilt_preset_is_refused_in_words(tmp_path, spoil, words):
    save_example(tmp_path / "preset")
    spoil(tmp_path / "preset")
    with pytest.raises(zoo.InputError, match=words):
        zoo.load(tmp_path / "preset")


def edit(folder, **changes):
    preset = json.loads((folder / "preset.json").read_text())
    (folder / "preset.json").write_text(json.dumps({**preset, **changes}))


@pytest.mark.parametrize("name", [path.parent.name for path in presets.SHIPPED.glob("*/preset.json")])
def test_every_shipped_preset_loads(name):
    assert zoo.load(name).count_params() > 0
