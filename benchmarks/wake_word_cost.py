"""What a detector costs, beside its peers: python -m benchmarks.wake_word_cost --preset computer --output cost.json

CPU seconds of one thread for an hour of audio, front end included, bytes of model files and peak memory of the process. Each detector streams
the same ten minutes in a process of its own, several times in turn; the table gives each one's least. The peers run in environments of their
own, which are made in build/peers on first use (pymicro-wakeword 2.5.0 and pyopen-wakeword 1.1.0; their models are for other words).
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import zoo
from apps.data.audio import write_audio
from apps.run_folder import write_json
from apps.trigger_word.recordings import bundled
from benchmarks.peers import peer
from tflite.export import convert, write_device_folder
from tflite.streaming import to_step_model
from zoo.presets import SHIPPED

ROOT = Path(__file__).resolve().parent.parent
SECONDS, ROUNDS = 600, 3
REFERENCE = "pymicro-wakeword 2.5.0, alexa, 80 ms"
MEASURE = """
import json, sys, time, wave
import numpy as np
with wave.open(sys.argv[1]) as file:
    samples = file.readframes(file.getnframes())
chunk = int(sys.argv[2]) * 2
{setup}
chunks = [samples[i : i + chunk] for i in range(0, len(samples), chunk)]
for piece in chunks[:50]:
    push(piece)
began = time.process_time()
for piece in chunks:
    push(piece)
cpu_s = time.process_time() - began
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps({{"cpu_s": cpu_s, "memory_kb": int(peak.split()[1])}}))
"""
OURS = """
sys.path.insert(0, {root!r})
from tflite.runtime import Detector
detector = Detector({folder!r}, {precision!r})
push = lambda piece: detector.push(np.frombuffer(piece, np.int16))
"""
PYMICRO = """
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model
features, word = MicroWakeWordFeatures(), MicroWakeWord.from_builtin(Model.ALEXA)
def push(piece):
    for found in features.process_streaming(piece):
        word.process_streaming(found)
"""
PYOPEN = """
from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures
features, word = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model.ALEXA)
def push(piece):
    for found in features.process_streaming(piece):
        list(word.process_streaming(found))
"""


def model_bytes(python, package, names):
    """The size of a peer's model files."""
    code = f"import {package}, os; print(os.path.dirname({package}.__file__))"
    folder = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()) / "models"
    return sum((folder / name).stat().st_size for name in names)


def speech(path):
    """Ten minutes of the bundled other speech, as a WAV file."""
    samples = np.concatenate([clip.samples for clips in bundled("other").values() for clip in clips])
    write_audio(path, np.resize(samples, SECONDS * 16000))


def larger_steps(preset, folder, frames):
    """The preset's device folder with more frames a step."""
    manifest = json.loads((SHIPPED / preset / "device" / "manifest.json").read_text("utf8"))
    step, states = to_step_model(zoo.load(preset), frames)
    scores = manifest["scores_per_step"] * frames // manifest["frames_per_step"]
    kept = {key: manifest[key] for key in ("kind", "name", "sample_rate", "front_end", "words")}
    content = convert(step)
    write_device_folder(
        folder,
        step,
        states,
        float_file=content,
        int8_file=content,
        description={**kept, "frames_per_step": frames, "scores_per_step": scores},
        readme="",
        notices={},
    )


def measure(python, setup, stream, chunk):
    code = MEASURE.format(setup=setup)
    done = subprocess.run(
        [python, "-c", code, str(stream), str(chunk)], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        sys.exit(f"error: a detector stopped: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def detectors(preset, work):
    """What is measured, by name: (interpreter, how it is set up, samples of a chunk, bytes of its model files)."""
    device = SHIPPED / preset / "device"
    larger_steps(preset, work / "device_64", 64)

    def ours(folder, precision, chunk):
        file = folder / json.loads((folder / "manifest.json").read_text("utf8"))["files"][precision]["name"]
        setup = OURS.format(root=str(ROOT), folder=str(folder), precision=precision)
        return sys.executable, setup, chunk, file.stat().st_size

    def theirs(package, setup, models):
        python = peer(package)
        return python, setup, 1280, model_bytes(python, package.split("==")[0].replace("-", "_"), models)

    return {
        f"{preset}, float, 80 ms": ours(device, "float", 1280),
        f"{preset}, int8, 80 ms": ours(device, "int8", 1280),
        f"{preset}, float, 0.64 s": ours(work / "device_64", "float", 10240),
        REFERENCE: theirs("pymicro-wakeword==2.5.0", PYMICRO, ["alexa.tflite"]),
        "pyopen-wakeword 1.1.0, alexa, 80 ms": theirs(
            "pyopen-wakeword==1.1.0", PYOPEN, ["alexa.tflite", "embedding_model.tflite", "melspectrogram.tflite"]
        ),
    }


def table(rows):
    """The rows as Markdown lines."""
    reference = rows[REFERENCE]["cpu_s_per_hour"]
    lines = ["| | CPU, times pymicro-wakeword's | CPU s an hour | model files | peak memory |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        cpu_s, size, memory = row["cpu_s_per_hour"], row["model_bytes"] / 1e6, row["peak_memory_mb"]
        lines.append(f"| {name} | {cpu_s / reference:.2f} | {cpu_s:.1f} | {size:.2f} MB | {memory:.0f} MB |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="computer", help="a shipped detector of ours (default: computer)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the figures")
    options = parser.parse_args()
    work = ROOT / "build" / "cost"
    work.mkdir(parents=True, exist_ok=True)
    speech(work / "speech.wav")
    measured = detectors(options.preset, work)
    found = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, (python, setup, chunk, _) in measured.items():
            found[name].append(measure(python, setup, work / "speech.wav", chunk))
    rows = {
        name: {
            "cpu_s_per_hour": min(f["cpu_s"] for f in figures) * 3600 / SECONDS,
            "model_bytes": measured[name][3],
            "peak_memory_mb": min(f["memory_kb"] for f in figures) / 1024,
        }
        for name, figures in found.items()
    }
    write_json(options.output, {"cpu": os.cpu_count(), "detectors": rows})
    print(*table(rows), sep="\n")


if __name__ == "__main__":
    main()
