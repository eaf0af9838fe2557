"""The command line as a person meets it: help, one-line errors, exit codes, nothing half-written."""

import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import zoo
from apps import run_folder
from apps.cli import main
from apps.tasks import TASKS
from apps.trigger_word.config import TASK, Config
from apps.verbs import VERBS
from tests.apps.test_recordings import folder_of, word
from tflite.runtime import Detector
from zoo.layers.audio import MelFrontEnd, speech_embedding_front_end

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "--steps",
    "4",
    "--steps-per-epoch",
    "2",
    "--checkpoint-steps",
    "2",
    "--units",
    "8",
    "--dimensions",
    "4",
    "--batch-size",
    "8",
]
EVERY_VERB = [(task, verb) for task in TASKS for verb in (*VERBS, *(v.name for v in TASKS[task].verbs))]


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "apps", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, **options
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run folder of a tiny language model, made by the command."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["language-model", "train", "--output", str(folder), *TINY]) == 0
    return folder


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in (ROOT / "saved_models").glob("*/config.json")), ids=lambda p: p.name
)
def test_every_presets_settings_are_still_known(folder):
    values = json.loads((folder / "config.json").read_text())
    assert run_folder.read_config(folder, TASKS[values["task"]])


@pytest.mark.parametrize(("task", "verb"), EVERY_VERB)
def test_every_verb_has_help(task, verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([task, verb, "--help"])
    out = capsys.readouterr().out
    assert stopped.value.code == 0 and f"python -m apps {task} {verb}" in out
    if verb in ("train", "tune"):
        assert "--learning-rate" in out and "(default: " in out


def test_help_lists_tasks_and_verbs(capsys):
    assert main([]) == main(["--help"]) == 0
    assert "trigger-word" in capsys.readouterr().out
    assert main(["trigger-word"]) == 0
    assert "listen" in capsys.readouterr().out


def test_help_does_not_load_tensorflow():
    code = "import sys; sys.argv = ['apps', 'trigger-word', 'train', '--help']\ntry:\n import runpy; runpy.run_module('apps', run_name='__main__')\nexcept SystemExit: pass\nprint('LOADED', 'tensorflow' in sys.modules)"
    assert "LOADED False" in subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trigger-wird"], "'trigger-wird' is no task; expected trigger-word"),
        (["trigger-word", "trian"], "'trian' is no verb of trigger-word; expected train"),
        (["trigger-word", "train", "--output", "{tmp}/run", "--steps", "0"], "`steps` is 0; expected 1 to"),
        (
            ["trigger-word", "train", "--output", "{tmp}/run", "--recordings", "{tmp}/nowhere"],
            "nowhere is no folder; expected a folder of recordings",
        ),
        (
            ["trigger-word", "train", "--output", "{tmp}/run", "--recordings", "{tmp}/one"],
            "has 1 recording of 'computer'; expected at least 6",
        ),
        (
            ["trigger-word", "listen", "--run", "{tmp}/nowhere", "--files", "x.wav"],
            "nowhere/config.json does not exist; expected a run folder",
        ),
        (
            ["trigger-word", "train", "--output", "{tmp}/run", "--blocks", "3"],
            "`blocks` is 3 with the size standard, which has none to choose; leave it out, or give --size scratch",
        ),
        (
            ["trigger-word", "train", "--output", "{tmp}/run", "--personal"],
            "`personal` is given without `recordings`; expected a folder of one person's",
        ),
        (
            ["trigger-word", "collect", "--word", " ", "--output", "{tmp}/takes"],
            "`word` is ' '; expected a name of at most 60 letters",
        ),
        (["trigger-word", "collect", "--word", "hey", "--output", "{tmp}/takes", "--takes", "0"], "`takes` is 0; expected 1 to"),
        (
            ["trigger-word", "train", "--output", "{tmp}/run", "--size", "micro", "--base", "names", "--rendered-hours", "0"],
            "`base` is 'names', a preset of gru_language_model; expected one of micro_speech_embedding, or 'none'",
        ),
        (["trigger-word", "evaluate", "--run", "{run}"], "holds a run of the task 'language-model'; expected 'trigger-word'"),
        (
            ["language-model", "train", "--output", "{tmp}/run", "--text", "{tmp}/nowhere.txt"],
            "nowhere.txt does not exist; expected a text file",
        ),
        (
            ["language-model", "train", "--output", "{tmp}/run", "--text", "{tmp}/short.txt"],
            "has 2 distinct lines; expected at least 30",
        ),
        (["language-model", "train", "--output", "{tmp}"], "has files in it but no config.json; expected a new folder or a run"),
        (["language-model", "train", "--output", "{tmp}/short.txt"], "short.txt is a file; expected a folder"),
        (["language-model", "train", "--output", "{run}", "--units", "9"], "holds a run with"),
        (["language-model", "sample", "--run", "{run}", "--temperature", "0"], "`temperature` is 0.0; expected a number above 0"),
        (["language-model", "sample", "--run", "{run}", "--prefix", "7"], "`prefix` has '7', which the model has never seen"),
        (
            ["language-model", "tune", "--output", "{tmp}/t", "--worker", "a", "--oracle", "nonsense"],
            "`oracle` is 'nonsense'; expected HOST:PORT",
        ),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(finished, tmp_path, capsys, arguments, words):
    folder_of(tmp_path / "one", 1)
    (tmp_path / "short.txt").write_text("one\ntwo\n")
    arguments = [a.replace("{tmp}", str(tmp_path)).replace("{run}", str(finished)) for a in arguments]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.strip().count("\n") == 0 and "Traceback" not in error
    assert not (tmp_path / "run").exists()  # so that the same command, mended, goes through


def test_a_run_whose_data_are_gone_loses_nothing(tmp_path, capsys):
    folder_of(tmp_path / "hello", 6)
    options = ["trigger-word", "train", "--recordings", tmp_path / "hello", "--words", "hello", "--output", tmp_path / "run"]
    (tmp_path / "run").mkdir()
    assert main([*map(str, options), "--negatives", str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "run").exists()  # nobody had begun it
    run_folder.start(
        tmp_path / "run", TASK, Config(recordings=tmp_path / "gone", words=("hello",))
    )  # begun by an earlier release, which kept no data.json
    assert main(["trigger-word", "train", "--recordings", str(tmp_path / "gone"), *map(str, options[4:])]) == 2
    assert (tmp_path / "run" / "config.json").is_file() and "gone is no folder" in capsys.readouterr().err


def test_a_run_of_before_a_setting_came_goes_on(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in config.items() if name != "patience"}))
    assert main(["language-model", "train", "--output", str(tmp_path / "run"), *TINY]) == 0
    assert main(["language-model", "train", "--output", str(tmp_path / "run"), *TINY, "--patience", "7"]) == 2


def test_options_that_do_not_exist_are_explained(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["trigger-word", "train", "--output", "x", "--stepps", "3"])
    assert stopped.value.code == 2
    assert "--stepps" in capsys.readouterr().err


def test_an_unknown_key_in_a_runs_config_is_named(finished, tmp_path, capsys):
    config = json.loads((finished / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "unit": 3}))
    assert main(["language-model", "sample", "--run", str(tmp_path)]) == 2
    assert "config.json has the unknown key 'unit'; expected fields such as units" in capsys.readouterr().err


def test_an_unfinished_run_says_so(finished, tmp_path, capsys):
    (tmp_path / "config.json").write_text((finished / "config.json").read_text())
    assert main(["language-model", "export", "--run", str(tmp_path)]) == 2
    assert "has no model.keras: its training was not finished" in capsys.readouterr().err


def test_the_run_folder_holds_what_it_should(finished):
    for name in (
        "config.json",
        "history.csv",
        "metrics.json",
        "report.html",
        "model.keras",
        "environment.json",
        "assets/vocabulary.json",
        "device/manifest.json",
        "device/model.tflite",
        "device/model_int8.tflite",
        "saved_model/saved_model.pb",
        "logs",
        "checkpoints",
    ):
        assert (finished / name).exists(), name
    report = (finished / "report.html").read_text()
    assert (
        "Content-Security-Policy" in report
        and "<svg" in report
        and "http://"
        not in report.replace("http://www.w3.org", "").replace("http://purl.org", "").replace("http://creativecommons.org", "")
    )
    assert not list(finished.rglob(".*"))


def test_samples_are_written_and_repeatable(finished, capsys):
    outputs = []
    for _ in range(2):
        assert main(["language-model", "sample", "--run", str(finished), "--count", "3", "--seed", "5", "--prefix", "an"]) == 0
        outputs.append(capsys.readouterr().out)
    lines = outputs[0].splitlines()
    assert outputs[0] == outputs[1] and len(lines) == 3 and all(line.startswith("an") for line in lines)


def test_the_same_command_again_changes_nothing_and_report_and_preset_follow(finished, tmp_path, capsys):
    before = (finished / "history.csv").read_bytes()
    assert main(["language-model", "train", "--output", str(finished), *TINY]) == 0
    assert (finished / "history.csv").read_bytes() == before
    (finished / "report.html").unlink()
    assert main(["language-model", "report", "--run", str(finished)]) == 0 and (finished / "report.html").is_file()
    assert main(["language-model", "evaluate", "--run", str(finished)]) == 0
    assert main(["language-model", "preset", "--run", str(finished), "--output", str(tmp_path / "tiny")]) == 0
    assert zoo.load(tmp_path / "tiny").count_params() > 0
    card = (tmp_path / "tiny" / "card.md").read_text()
    assert "nats a character" in card and "## Limits" in card


def test_a_full_disk_ends_in_one_line_and_keeps_the_good_files(finished, tmp_path):
    """RLIMIT_FSIZE stands for a full disk: no file may grow beyond it."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    good = {path: path.read_bytes() for path in (folder / "device").iterdir()}

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    result = run(
        "language-model",
        "export",
        "--run",
        folder,
        preexec_fn=small_files,
        env={**__import__("os").environ, "TMPDIR": "/dev/shm"},
    )
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in (folder / "device").iterdir()} == good
    assert not list(folder.glob(".*"))


def test_a_full_disk_while_training_keeps_the_last_checkpoint(tmp_path):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = run("language-model", "train", "--output", tmp_path / "run", *TINY, "--units", "64", preexec_fn=small_files)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    left = list((tmp_path / "run").rglob("*.npz")) + list((tmp_path / "run").rglob("*.keras"))
    assert not left and not list((tmp_path / "run" / "checkpoints").glob(".new*"))


def test_debug_shows_where_it_happened():
    result = run("trigger-word", "train", "--output", "/dev/null/x", "--debug")
    assert result.returncode == 2 and "Traceback" in result.stderr


def test_an_interrupt_says_how_to_go_on(tmp_path):
    import signal

    process = subprocess.Popen(
        [sys.executable, "-m", "apps", "language-model", "train", "--output", str(tmp_path / "run"), "--steps", "100000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on from the last checkpoint" in error and "Traceback" not in error
    assert list((tmp_path / "run" / "checkpoints").glob("step_*"))


@pytest.fixture(scope="session", params=["standard", "micro", "scratch"])
def heard(request, tmp_path_factory):
    """A run folder of a tiny detector of each size, made by the command from a folder of recordings and one of other speech."""
    folder = tmp_path_factory.mktemp("heard")
    folder_of(folder / "hello", 8)
    folder_of(folder / "speech", 8, names="other_{:03d}")
    options = [
        "--recordings",
        folder / "hello",
        "--negatives",
        folder / "speech",
        "--words",
        "hello",
        "--steps",
        "2",
        "--channels",
        "8",
        "--no-near-words",
    ]
    options += [
        "--size",
        request.param,
        "--scenes",
        "16",
        *(["--blocks", "1"] if request.param == "scratch" else []),
        "--batch-size",
        "2",
        "--scene-s",
        "2",
        "--output",
        folder / "run",
    ]
    assert main(["trigger-word", "train", *map(str, options)]) == 0
    return folder


def test_a_word_is_trained_from_a_folder_end_to_end(heard, capsys):
    assert "speakers unknown" in (heard / "run" / "report.html").read_text()
    detector = Detector(heard / "run" / "device")
    assert detector.words == ["hello"] and detector.scores(word())[1].shape[1] == 1
    capsys.readouterr()
    assert main(["trigger-word", "listen", "--run", str(heard / "run"), "--files", str(heard / "hello" / "take_000.wav")]) == 0
    assert "take_000.wav" in capsys.readouterr().out


def test_several_words_are_told_apart_in_one_detector(tmp_path, capsys):
    for word_said in ("on", "off"):
        folder_of(tmp_path / "words" / word_said, 6)
    folder_of(tmp_path / "speech", 6, names="other_{:03d}")
    options = ["--words", "on", "off", "--negatives", tmp_path / "speech", "--size", "micro", "--steps", "2", "--batch-size", "2"]
    options += ["--scenes", "16", "--scene-s", "2", "--no-near-words", "--output", tmp_path / "run"]
    assert main(["trigger-word", "train", "--recordings", *map(str, (tmp_path / "words", *options))]) == 0
    detector = Detector(tmp_path / "run" / "device")
    assert detector.words == ["on", "off"] and detector.scores(word())[1].shape[1] == 2
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    together = metrics["shipped"]["test"]
    assert list(metrics["each_word"]) == ["on", "off"]
    for name, figures in together["missed"].items():
        assert sum(figures_of["missed"][name]["words"] for figures_of in metrics["each_word"].values()) == figures["words"]
    assert "Each word" in (tmp_path / "run" / "report.html").read_text()
    assert "% missed (clean / 10 dB / 5 dB)" in next(line for line in capsys.readouterr().out.splitlines() if "off: " in line)
    for per_hour, said in ((0.5, False), (54.0, True)):
        together["false_accepts"]["per_hour"] = per_hour
        assert ("after a wake word" in TASK.functions.card(metrics)) is said
    of_all = TASK.functions.headline(metrics)
    del metrics["each_word"]  # as a run of an earlier release has it
    assert TASK.functions.headline(metrics) == of_all[:-2]


def test_a_detector_is_measured_on_a_labelled_recording(heard, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("word,start,end\nhello,0.1,0.5\n")
    stream, labels = heard / "hello" / "take_000.wav", tmp_path / "labels.csv"
    options = ["trigger-word", "evaluate", "--run", str(heard / "run"), "--stream", str(stream), "--labels", str(labels)]
    capsys.readouterr()
    assert main([*options, "--output", str(tmp_path / "found.json")]) == 0
    assert "1 words said; at the shipped threshold" in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["words"] == 1
    assert main(options[:-2]) == 2
    assert "`stream` and `labels` go together" in capsys.readouterr().err


def test_what_a_detector_got_wrong_is_trained_on_and_compared(heard, tmp_path, capsys):
    folder_of(tmp_path / "false", 3, names="false_{:03d}")
    options = ["trigger-word", "improve", "--run", str(heard / "run"), "--false-accepts", str(tmp_path / "false")]
    assert main([*options, "--misses", str(tmp_path / "false"), "--output", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "before" in out and "shipped: false accepts an hour" in out and "<= 1 an hour: missed, 5 dB" in out
    sources = str(json.loads((tmp_path / "run" / "metrics.json").read_text())["data"]["sources"])
    assert (
        "3 false accepts of an earlier detector" in sources
        and "3 recordings of 'hello' that an earlier detector missed" in sources
    )
    assert main([*options, "--output", str(heard / "run")]) == 2
    assert "the run itself" in capsys.readouterr().err
    assert main(["trigger-word", "improve", "--run", str(heard / "run"), "--output", str(tmp_path / "other")]) == 2
    assert "neither `false_accepts` nor `misses` is given" in capsys.readouterr().err


def test_a_run_is_not_measured_on_other_data_than_it_began_with(heard, tmp_path, capsys):
    shutil.copytree(heard / "run", tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text('{"train": "0", "val": "0", "test": "0"}')
    assert main(["trigger-word", "evaluate", "--run", str(tmp_path / "run")]) == 2
    assert "was begun with other data than are within reach now" in capsys.readouterr().err


def test_a_run_that_is_exported_again_keeps_its_threshold_and_its_scores(heard):
    device = heard / "run" / "device"
    before, scores = json.loads((device / "manifest.json").read_text()), Detector(device).scores(word())[1]
    assert before["words"][0]["threshold"] == json.loads((heard / "run" / "metrics.json").read_text())["threshold"]
    assert main(["trigger-word", "export", "--run", str(heard / "run")]) == 0
    assert json.loads((device / "manifest.json").read_text())["words"] == before["words"]
    np.testing.assert_allclose(Detector(device).scores(word())[1], scores, atol=1e-6)


def test_a_preset_scores_as_its_device_folder_does(heard, tmp_path):
    assert main(["trigger-word", "preset", "--run", str(heard / "run"), "--output", str(tmp_path / "hello")]) == 0
    _, scores = Detector(tmp_path / "hello" / "device").scores(word())
    layer = speech_embedding_front_end() if (heard / "run" / "device" / "ENCODER.md").is_file() else MelFrontEnd()
    frames = layer(word()[None])
    np.testing.assert_allclose(np.asarray(zoo.load(tmp_path / "hello")(frames)["score"])[0][: len(scores)], scores, atol=1e-4)


def test_a_model_trained_in_mixed_precision_is_exported_in_float32(tmp_path):
    import keras

    try:
        assert main(["language-model", "train", "--output", str(tmp_path / "run"), *TINY, "--precision", "mixed_bfloat16"]) == 0
    finally:
        keras.config.set_dtype_policy("float32")
    parity = json.loads((tmp_path / "run" / "parity.json").read_text())
    assert parity["float TFLite against Keras (logits)"]["largest"] < 1e-4


def test_what_a_kill_left_half_written_is_in_nobodys_way(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.abc.json").write_text("{")
    assert main(["language-model", "train", "--output", str(tmp_path / "run"), *TINY]) == 0


def copy_of(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["variables.npz", "state.json", "best.npz"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(finished, tmp_path, name, capsys):
    folder = copy_of(finished, tmp_path)
    newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
    (newest / name).write_bytes((newest / name).read_bytes()[:60])
    assert main(["language-model", "train", "--output", str(folder), *TINY]) == 0
    assert "is damaged" in capsys.readouterr().out
    for path in (folder / "checkpoints").glob("step_*"):
        (path / "state.json").write_text("{}")
    assert main(["language-model", "train", "--output", str(folder), *TINY]) == 2
    assert "every checkpoint in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "verb", "words"),
    [
        ("model.keras", b"PK no archive", "export", "model.keras cannot be read as this run's model"),
        ("metrics.json", b"{}", "report", "that was changed or cut short"),
        ("history.csv", b"a,b\nx\n", "report", "that was changed or cut short"),
        ("environment.json", b"[]", "report", "that was changed or cut short"),
        ("config.json", b"[]", "train", "config.json holds list; expected the settings of a run"),
    ],
)
def test_tampered_run_files_end_in_one_line(finished, tmp_path, capsys, name, content, verb, words):
    folder = copy_of(finished, tmp_path)
    (folder / name).write_bytes(content)
    arguments = ["--output", str(folder), *TINY] if verb == "train" else ["--run", str(folder)]
    report = (folder / "report.html").read_bytes()
    assert main(["language-model", verb, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
    assert (folder / "report.html").read_bytes() == report


def test_a_preset_does_not_replace_what_is_no_preset(finished, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for output in (tmp_path / "mine", tmp_path / "file", finished):
        assert main(["language-model", "preset", "--run", str(finished), "--output", str(output)]) == 2
        assert "is there already and is no preset" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work" and (finished / "checkpoints").is_dir()
