"""The house rules: imports run down, names say something, every verb is documented."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [path for top in ("zoo", "apps", "tflite") for path in sorted((ROOT / top).rglob("*.py"))]
MAY = {"zoo": {"zoo"}, "tflite": {"tflite", "zoo"}, "apps": {"apps", "tflite", "zoo"}}
HEAVY = {"tensorflow", "keras", "scipy", "soundfile", "zoo", "apps"}


def imported(path):
    """The top-level packages a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_down_only(path):
    top = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imported(path)} & set(MAY)
    assert ours <= MAY[top], f"{path} imports {ours - MAY[top]}"


def test_the_runtime_imports_numpy_and_an_interpreter_alone():
    allowed = {"numpy", "ai_edge_litert", "tflite_runtime", "tensorflow", "sounddevice"} | set(sys.stdlib_module_names)
    for path in (ROOT / "tflite" / "runtime").glob("*.py"):
        found = {name.split(".")[0] for name in imported(path)}
        assert found <= allowed, f"{path.name} imports {found - allowed}"


def test_importing_the_runtime_loads_nothing_heavy():
    code = "import sys, tflite.runtime; print(sorted({m.split('.')[0] for m in sys.modules} & " + repr(HEAVY) + "))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("code", ["import zoo", "import apps.cli"])
def test_importing_the_zoo_and_the_command_line_does_not_load_tensorflow(code):
    code += "; import sys; print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "False"


def test_names_say_something():
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "common", "misc")]


def test_every_verb_is_in_the_docs_of_its_task():
    from apps.tasks import TASKS
    from apps.verbs import VERBS

    for name, task in TASKS.items():
        text = (ROOT / "docs" / f"{name}.md").read_text("utf8")
        for verb in (*VERBS, *(verb.name for verb in task.verbs)):
            assert f"{name} {verb}" in text, f"docs/{name}.md does not show `python -m apps {name} {verb}`"
