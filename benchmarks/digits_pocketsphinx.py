"""pocketsphinx with a grammar of digits for benchmarks/digits.py; it runs in an environment of its own: what it writes of each recording in a
folder, and its CPU seconds."""

import json
import sys
import time
import wave
from pathlib import Path

from pocketsphinx import Decoder

folder, words = Path(sys.argv[1]), sys.argv[2].split()
decoder = Decoder(samprate=16000, loglevel="FATAL")
decoder.add_jsgf_string("digits", f"#JSGF V1.0; grammar digits; public <digits> = ({' | '.join(words)})+;")
decoder.activate_search("digits")
texts, cpu_s = {}, 0.0
for path in sorted(folder.glob("*.wav")):
    with wave.open(str(path), "rb") as file:
        samples = file.readframes(file.getnframes())
    began = time.process_time()
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    cpu_s += time.process_time() - began
    texts[path.stem] = found.hypstr if found else ""
print(json.dumps({"texts": texts, "cpu_s": cpu_s}))
