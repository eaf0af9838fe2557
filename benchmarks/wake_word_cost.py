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
import venv
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "peers"
SECONDS, ROUNDS = 600, 3
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


def peer(package):
    """The interpreter of an environment that has a peer, made where it is missing."""
    folder = PEERS / package.replace("==", "-")
    if not (folder / "done").is_file():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", package], check=True)
        (folder / "done").touch()
    return folder / "bin" / "python"


def model_bytes(python, package, names):
    """The size of a peer's model files."""
    code = f"import {package}, os; print(os.path.dirname({package}.__file__))"
    folder = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()) / "models"
    return sum((folder / name).stat().st_size for name in names)


def speech(path):
    """Ten minutes of the bundled other speech, as a WAV file."""
    import numpy as np

    from apps.trigger_word.recordings import bundled

    samples = np.concatenate([clip.samples for clips in bundled("other").values() for clip in clips])
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.resize(samples, SECONDS * 16000).tobytes())


def larger_steps(preset, folder, frames):
    """The preset's device folder with more frames a step."""
    import zoo
    from tflite.export import convert, write_device_folder
    from tflite.streaming import to_step_model

    manifest = json.loads((zoo.presets.SHIPPED / preset / "device" / "manifest.json").read_text("utf8"))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="computer", help="a shipped detector of ours (default: computer)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the figures")
    options = parser.parse_args()
    import zoo

    work = ROOT / "build" / "cost"
    work.mkdir(parents=True, exist_ok=True)
    stream, device = work / "speech.wav", zoo.presets.SHIPPED / options.preset / "device"
    speech(stream)
    larger_steps(options.preset, work / "device_64", 64)
    micro, open_ = peer("pymicro-wakeword==2.5.0"), peer("pyopen-wakeword==1.1.0")

    def ours(folder, precision):
        return OURS.format(root=str(ROOT), folder=str(folder), precision=precision)

    detectors = {
        f"{options.preset}, float, 80 ms": (
            sys.executable,
            ours(device, "float"),
            1280,
            (device / "model.tflite").stat().st_size,
        ),
        f"{options.preset}, int8, 80 ms": (
            sys.executable,
            ours(device, "int8"),
            1280,
            (device / "model_int8.tflite").stat().st_size,
        ),
        f"{options.preset}, float, 0.64 s": (
            sys.executable,
            ours(work / "device_64", "float"),
            10240,
            (work / "device_64" / "model.tflite").stat().st_size,
        ),
        "pymicro-wakeword 2.5.0, alexa, 80 ms": (micro, PYMICRO, 1280, model_bytes(micro, "pymicro_wakeword", ["alexa.tflite"])),
        "pyopen-wakeword 1.1.0, alexa, 80 ms": (
            open_,
            PYOPEN,
            1280,
            model_bytes(open_, "pyopen_wakeword", ["alexa.tflite", "embedding_model.tflite", "melspectrogram.tflite"]),
        ),
    }
    found = {name: [] for name in detectors}
    for _ in range(ROUNDS):
        for name, (python, setup, chunk, _) in detectors.items():
            found[name].append(measure(python, setup, stream, chunk))
    rows = {
        name: {
            "cpu_s_per_hour": min(f["cpu_s"] for f in figures) * 3600 / SECONDS,
            "model_bytes": detectors[name][3],
            "peak_memory_mb": min(f["memory_kb"] for f in figures) / 1024,
        }
        for name, figures in found.items()
    }
    reference = rows["pymicro-wakeword 2.5.0, alexa, 80 ms"]["cpu_s_per_hour"]
    print("| | CPU, times pymicro-wakeword's | CPU s an hour | model files | peak memory |\n|---|---|---|---|---|")
    for name, row in rows.items():
        print(
            f"| {name} | {row['cpu_s_per_hour'] / reference:.2f} | {row['cpu_s_per_hour']:.1f} | {row['model_bytes'] / 1e6:.2f} MB | "
            f"{row['peak_memory_mb']:.0f} MB |"
        )
    options.output.write_text(json.dumps({"cpu": os.cpu_count(), "detectors": rows}, indent=1) + "\n", "utf8")


if __name__ == "__main__":
    main()
