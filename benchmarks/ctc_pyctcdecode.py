"""pyctcdecode's beam search for benchmarks/ctc.py; it runs in an environment of its own: words a second, and a file of what it writes."""

import json
import logging
import math
import sys
from pathlib import Path

import numpy as np
from pyctcdecode import build_ctcdecoder
from timing import best

logging.disable(logging.WARNING)
folder, kind = Path(sys.argv[1]), sys.argv[2]
setting = json.loads((folder / "setting.json").read_text("utf8"))
model = {}
if kind == "model":
    model = {
        "kenlm_model_path": str(folder / "words.arpa"),
        "unigrams": setting["words"],
        "unk_score_offset": setting["unknown"] / math.log(10),
    }
decoder = build_ctcdecoder(setting["symbols"], alpha=setting["weight"], beta=setting["word_bonus"], **model)
with np.load(folder / "clips.npz") as stored:
    clips = [stored[name] for name in stored.files]
texts = []


def once():
    texts.clear()
    for clip in clips:
        texts.append(decoder.decode(clip, setting["width"], -setting["margin"], setting["least"]))
    return sum(len(text.split()) for text in texts)


found = best(once, setting["seconds"])
(folder / f"pyctcdecode {kind}.json").write_text(json.dumps(texts), "utf8")
print(found)
