"""PyTorch's CTC loss for benchmarks/ctc.py; it runs in an environment of its own: clips a second."""

import json
import sys

import torch
from timing import best

setting = json.loads(sys.argv[1])
torch.set_num_threads(setting["cores"])
batch, time, count, symbols = (setting[name] for name in ("batch", "time", "labels", "symbols"))
logits = torch.randn(time, batch, symbols, requires_grad=True)
labels = torch.randint(1, symbols, (batch, count))
frames, lengths = torch.full((batch,), time), torch.full((batch,), count)


def once():
    logits.grad = None
    rates = torch.nn.functional.log_softmax(logits, dim=2)
    torch.nn.functional.ctc_loss(rates, labels, frames, lengths, reduction="sum").backward()
    return batch


print(best(once, setting["seconds"]))
