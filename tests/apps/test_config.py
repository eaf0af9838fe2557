"""Configurations: bounds, JSON, unknown keys."""

from pathlib import Path

import pytest

from apps.config import from_json, read_json, to_json
from apps.tasks import TASKS
from apps.trigger_word.config import Config
from zoo.errors import InputError


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_configurations_survive_json(task):
    config = task.config()
    assert from_json(task.config, to_json(config), "x") == config


def test_paths_and_tuples_survive_json():
    config = Config(recordings=Path("a"), negatives=(Path("b"), Path("c")), words=("x", "y"))
    assert from_json(Config, to_json(config), "x") == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"step": 3}, "unknown key 'step'; expected fields such as steps"),
        ({"steps": 0}, "`steps` is 0; expected 1 to"),
        ({"steps": "many"}, "`steps` is 'many'; expected a value of type int"),
        ({"steps": True}, "`steps` is True; expected a value of type int"),
        ({"learning_rate": float("nan")}, "`learning_rate` is nan; expected"),
        ({"model": "transformer"}, "`model` is 'transformer'; expected one of 'tcn_trigger_word'"),
        ({"frames_per_step": 6}, "`frames_per_step` is 6; expected a multiple of 8"),
        ({"words": ["a", "b"], "phrase": "a"}, "`phrase` is 'a' for 2 words; expected the spelling of one"),
        ({"phrase": " "}, "`phrase` is ' ' for 1 words; expected the spelling of one"),
        ({"words": ["a", "a"]}, "`words` are a a; expected one word or several different ones"),
        ([], "holds list; expected an object"),
    ],
)
def test_wrong_values_are_refused_in_words(values, words):
    with pytest.raises(InputError, match=words):
        from_json(Config, values, "config.json")


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_searched_field_exists(task):
    assert set(task.search) <= set(to_json(task.config()))


def test_missing_and_broken_json_is_explained(tmp_path):
    with pytest.raises(InputError, match="does not exist; expected a run folder"):
        read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text('{"a":')
    with pytest.raises(InputError, match="is no JSON"):
        read_json(tmp_path / "config.json")


def test_a_spelling_alone_is_trained_on_for_fewer_steps(tmp_path):
    assert Config().steps == Config(recordings=tmp_path, words=("x",), phrase="x").steps > Config(phrase="x").steps
    assert Config(phrase="x", steps=7).steps == 7
