"""The detector that ships: any chunking, exact times, bad input in words, and a stranger's runtime from the manifest alone."""

import hashlib
import json
import shutil
import subprocess
import sys
import wave

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import tones
from tflite.runtime import Detector, InputError
from tflite.runtime import __main__ as command
from tflite.runtime.interpreter import find_interpreter
from tflite.runtime.manifest import SCHEMA

_detectors = {}


def detector_of(folder, precision="float"):
    key = (str(folder), precision)
    if key not in _detectors:
        _detectors[key] = Detector(folder, precision)
    _detectors[key].reset()
    return _detectors[key]


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_each_tone_is_heard_once_at_its_time(tone_detector, precision):
    found = detector_of(tone_detector, precision).push(tones())
    assert [d.word for d in found] == ["low", "high"]
    assert 0.5 < found[0].time_s < 0.8 and 1.5 < found[1].time_s < 1.8


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=8))
def test_any_chunking_gives_the_same_detections(tone_detector, sizes):
    detector, samples, position, found = detector_of(tone_detector), tones(), 0, []
    for size in [*sizes, len(samples)]:
        found += detector.push(samples[position : position + size])
        position += size
    assert found == detector_of(tone_detector).push(samples)


def test_scores_start_fresh_and_leave_the_stream_alone(tone_detector):
    detector, samples = detector_of(tone_detector), tones()
    first = detector.push(samples[:20000])
    times, scores = detector.scores(samples)
    assert scores.shape == (len(times), 2) and times[0] == pytest.approx(0.02)
    np.testing.assert_allclose(np.diff(times), 0.02)
    np.testing.assert_array_equal(scores, detector.scores(samples)[1])
    assert first + detector.push(samples[20000:]) == detector_of(tone_detector).push(samples)


def test_int16_and_float_samples_are_the_same(tone_detector):
    samples = np.round(tones() * 32767).astype(np.int16)
    detector = detector_of(tone_detector)
    np.testing.assert_array_equal(detector.scores(samples)[1], detector.scores(samples / 32768)[1])


def test_reset_means_the_same_as_a_new_detector(tone_detector):
    detector = Detector(tone_detector)
    first = detector.push(tones())
    detector.reset()
    assert detector.push(tones()) == first


def test_a_higher_threshold_can_be_asked_for(tone_detector):
    assert [d.word for d in Detector(tone_detector, thresholds={"low": 1.0}).push(tones())] == ["high"]
    for wrong, words in (
        ({"low": 2}, "the threshold of 'low' is 2"),
        ({"low": float("nan")}, "is nan"),
        (0.5, "expected a dictionary"),
    ):
        with pytest.raises(InputError, match=words):
            Detector(tone_detector, thresholds=wrong)
    with pytest.raises(InputError, match="`thresholds` names 'middle'; this detector's words are low, high"):
        Detector(tone_detector, thresholds={"middle": 0.5})


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.array([0.0, np.nan]), "samples hold NaN or infinity"),
        (np.array([0.0, np.inf]), "samples hold NaN or infinity"),
        (np.array([0.0, 12000.0]), "float samples reach 12000; expected"),
        (np.zeros((5, 2)), r"samples have the shape \(5, 2\); expected \(n,\)"),
        (np.zeros(5, np.int32), "samples are int32; expected int16, or float"),
    ],
)
def test_wrong_samples_are_refused_and_the_stream_goes_on(tone_detector, samples, words):
    detector = detector_of(tone_detector)
    before = detector.push(tones()[:20000])
    with pytest.raises(InputError, match=words):
        detector.push(samples)
    assert before + detector.push(tones()[20000:]) == detector_of(tone_detector).push(tones())


def test_empty_and_silent_samples_are_no_words(tone_detector):
    detector = detector_of(tone_detector)
    assert detector.push(np.zeros(0, np.int16)) == [] and detector.push(np.zeros(32000, np.float32)) == []


# --- the folder ---


def copy(folder, tmp_path, change=None):
    new = tmp_path / "device"
    shutil.copytree(folder, new)
    if change:
        manifest = json.loads((new / "manifest.json").read_text())
        change(manifest)
        (new / "manifest.json").write_text(json.dumps(manifest))
    return new


def test_the_manifest_fits_its_schema(tone_detector):
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((tone_detector / "manifest.json").read_text()), schema)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(version=2), "is of version 2; this runtime reads version 1"),
        (lambda m: m.update(format="x"), "is no manifest of a device folder"),
        (lambda m: m.update(kind="generator"), "describes a generator; expected a detector"),
        (lambda m: m.update(surprise=1), "has the unknown key 'surprise'"),
        (lambda m: m.pop("words"), "lacks words"),
        (lambda m: m["front_end"].pop("log"), "lacks the constants of its compression 'log'"),
        (lambda m: m["front_end"].update(edges_hz=[3, 2, 1]), "edges_hz does not rise"),
        (lambda m: m["front_end"].update(fft=256), "fft is 256, less than the window"),
        (lambda m: m["front_end"].update(window=100), "window is 100, less than the shift"),
        (lambda m: m.update(frames_per_step=3), "the tensor frames has the shape"),
        (lambda m: m.update(sample_rate="16k"), "sample_rate is of type str; expected integer"),
        (lambda m: m.update(sample_rate=float("nan")), "sample_rate is of type float; expected integer"),
        (lambda m: m["words"][0].update(threshold=1.5), r"words\[0\].threshold is 1.5; expected 0 to 1"),
        (lambda m: m["words"][0].update(threshold=float("nan")), "threshold is nan"),
        (lambda m: m["words"].clear(), "words has 0 items"),
        (lambda m: m["words"].pop(), "the tensor score has the shape"),
        (lambda m: m["states"].pop(), "manifest and model file differ in the input"),
        (lambda m: m["files"]["float"].update(name="../model.tflite"), "name is .*; expected .+tflite"),
    ],
)
def test_a_wrong_manifest_is_refused_in_words(tone_detector, tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        Detector(copy(tone_detector, tmp_path, change)).push(tones())


def test_tampered_missing_and_unknown_files_are_refused(tone_detector, tmp_path):
    folder = copy(tone_detector, tmp_path)
    content = bytearray((folder / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.tflite").write_bytes(content)
    with pytest.raises(InputError, match="model.tflite has the checksum .* changed or cut short"):
        Detector(folder)
    (folder / "model.tflite").unlink()
    with pytest.raises(InputError, match="model.tflite is missing"):
        Detector(folder)
    with pytest.raises(InputError, match="`precision` is 'int4'; this folder has float, int8"):
        Detector(folder, "int4")
    with pytest.raises(InputError, match="is no folder"):
        Detector(tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no manifest.json"):
        Detector(tmp_path)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        Detector(folder)


def test_a_file_that_is_no_model_is_refused_by_the_interpreter_in_words(tone_detector, tmp_path):
    def change(manifest):
        manifest["files"]["float"]["sha256"] = hashlib.sha256(b"no model").hexdigest()

    folder = copy(tone_detector, tmp_path, change)
    (folder / "model.tflite").write_bytes(b"no model")
    with pytest.raises(InputError, match="the interpreter refuses the model file"):
        Detector(folder)


# --- a stranger's runtime, from the manifest alone ---


def strangers_detections(folder, samples):
    m = json.loads((folder / "manifest.json").read_text())
    fe, word_rules = m["front_end"], m["words"]
    interpreter = find_interpreter()(str(folder / m["files"]["float"]["name"]))
    run = interpreter.get_signature_runner()
    edges, bins = np.array(fe["edges_hz"]), np.arange(fe["fft"] // 2 + 1) * m["sample_rate"] / fe["fft"]
    bank = np.stack([np.interp(bins, edges[b : b + 3], [0, 1, 0]) for b in range(len(edges) - 2)], 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fe["window"]) / fe["window"])
    padded = np.concatenate([np.zeros(fe["window"] - fe["shift"]), samples])
    frames, average = [], None
    for start in range(0, len(samples) - fe["shift"] + 1, fe["shift"]):
        energy = np.abs(np.fft.rfft(padded[start : start + fe["window"]] * hann, fe["fft"])) ** 2 @ bank
        if fe["compression"] == "log":
            frames.append(np.log(energy + fe["log"]["floor"]))
        else:
            c = fe["pcen"]
            average = np.full(len(energy), c["initial"]) if average is None else average
            average = (1 - c["smoothing"]) * average + c["smoothing"] * energy
            frames.append((energy * (c["floor"] + average) ** -c["gain"] + c["bias"]) ** c["power"] - c["bias"] ** c["power"])
    state = {s["input"]: np.full(s["shape"], s["initial"], np.float32) for s in m["states"]}
    size, scores = m["frames_per_step"], []
    for start in range(0, len(frames) - size + 1, size):
        out = run(frames=np.array(frames[start : start + size], np.float32)[None], **state)
        state = {s["input"]: out[s["output"]] for s in m["states"]}
        scores += list(out["score"][0])
    score_s = size / m["scores_per_step"] * fe["shift"] / m["sample_rate"]
    found, quiet, armed, below = [], 0, [True] * len(word_rules), [0] * len(word_rules)
    for t in range(len(scores)):
        ready = []
        for w, rule in enumerate(word_rules):
            window = [s[w] for s in scores[max(0, t + 1 - rule["smoothing"]) : t + 1]]
            score = sum(window) / rule["smoothing"]
            below[w] = below[w] + 1 if score < rule["rearm_below"] else 0
            armed[w] = armed[w] or below[w] >= max(1, round(rule["rearm_s"] / score_s))
            if armed[w] and t >= quiet and score >= rule["threshold"]:
                ready.append((score - rule["threshold"], w))
        if ready:
            w = max(ready)[1]
            found.append((word_rules[w]["word"], round((t + 1) * score_s, 3)))
            armed[w], below[w], quiet = False, 0, t + round(word_rules[w]["refractory_s"] / score_s) + 1
    return found


def test_anyone_can_write_a_runtime_from_the_manifest_alone(tone_detector):
    ours = [(d.word, round(d.time_s, 3)) for d in detector_of(tone_detector).push(tones())]
    assert strangers_detections(tone_detector, tones()) == ours != []


# --- the command ---


def write_wav(path, samples, rate=16000, channels=1):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels), file.setsampwidth(2), file.setframerate(rate)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def test_the_command_hears_files_and_standard_input(tone_detector, tmp_path, capsys):
    path = write_wav(tmp_path / "tones.wav", tones())
    assert command.main([str(tone_detector), str(path), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["word"] for line in lines] == ["low", "high"]
    raw = np.round(tones() * 32767).astype("<i2").tobytes()
    result = subprocess.run([sys.executable, "-m", "tflite.runtime", str(tone_detector), "-"], input=raw, capture_output=True)
    assert result.returncode == 0 and [line.split(b"\t")[2] for line in result.stdout.splitlines()] == [b"low", b"high"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: write_wav(p, tones(), rate=8000), "has 16 bit, 1 channels, 8000 Hz. Expected a 16-bit mono WAV at 16000 Hz"),
        (lambda p: write_wav(p, np.zeros(0)), "is empty"),
        (lambda p: p.write_bytes(b"ID3 this is no wave file"), "cannot be read as WAV"),
        (lambda p: p.write_bytes(b""), "cannot be read as WAV (it is cut short)"),
        (lambda p: p.write_bytes(write_wav(p, tones()).read_bytes()[:30000]), "is cut short: 33022 of 48000 samples are missing"),
        (lambda p: None, "does not exist"),
    ],
)
def test_the_command_refuses_bad_files_in_one_line(tone_detector, tmp_path, capsys, make, words):
    make(tmp_path / "x.wav")
    assert command.main([str(tone_detector), str(tmp_path / "x.wav")]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and "Traceback" not in error


def test_the_command_explains_wrong_options(tone_detector, capsys):
    for arguments in (
        [str(tone_detector)],
        [str(tone_detector), "x.wav", "--microphone"],
        [str(tone_detector), "x.wav", "--threshold", "7"],
    ):
        with pytest.raises(SystemExit) as stopped:
            command.main(arguments)
        assert stopped.value.code == 2
    assert "--threshold is 7.0; expected 0 to 1" in capsys.readouterr().err


def test_a_microphone_without_its_package_is_explained(tone_detector, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert command.main([str(tone_detector), "--microphone"]) == 2
    assert "needs the package sounddevice; run `pip install sounddevice`" in capsys.readouterr().err


def test_events_are_kept_only_where_they_are_asked_for(tone_detector, tmp_path, capsys):
    path = write_wav(tmp_path / "tones.wav", tones())
    assert command.main([str(tone_detector), str(path)]) == 0
    assert list(tmp_path.iterdir()) == [path]
    assert command.main([str(tone_detector), str(path), "--save-events", str(tmp_path / "events")]) == 0
    capsys.readouterr()
    kept = sorted((tmp_path / "events").iterdir())
    assert [name.name.split("_")[0] for name in kept] == ["high", "low"]
    assert (tmp_path / "events").stat().st_mode & 0o077 == 0
    for name, end in zip(kept, (1.8, 0.8)):
        with wave.open(str(name)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        # what was heard up to the firing, at most 0.3 s after the tone began and a chunk more
        assert end - 0.31 < len(samples) / 16000 < end + 0.1
        detector = Detector(tone_detector)
        assert [d.word for d in detector.push(samples)][-1] == name.name.split("_")[0]


def test_kept_events_hold_their_own_file_only_and_are_private(tone_detector, tmp_path, capsys):
    first = write_wav(tmp_path / "first.wav", 0.001 * np.sin(np.arange(48000) / 2))
    second = write_wav(tmp_path / "second.wav", tones())
    (tmp_path / "events").mkdir(mode=0o755)
    assert command.main([str(tone_detector), str(first), str(second), "--save-events", str(tmp_path / "events")]) == 0
    kept = [path for path in (tmp_path / "events").iterdir() if path.name.startswith("low")]
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o077 == 0
    with wave.open(str(kept[0])) as file:
        assert file.getnframes() < 0.9 * 16000  # from the second file's start on


def test_an_event_that_cannot_be_kept_is_said_and_the_listening_goes_on(tone_detector, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.open", full)
    assert (
        command.main([str(tone_detector), str(write_wav(tmp_path / "a.wav", tones())), "--save-events", str(tmp_path / "e")]) == 0
    )
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and err.count("an event was not kept") == 2 and not list((tmp_path / "e").iterdir())
