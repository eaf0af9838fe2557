"""The LSTM language model of benchmarks/language_model_speed.py in PyTorch; it runs in an environment of its own."""

import json
import sys

import torch
from timing import best
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, dimensions, units):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dimensions)
        self.recurrent = nn.LSTM(dimensions, units, batch_first=True)
        self.logits = nn.Linear(units, vocabulary)

    def forward(self, tokens, state=None):
        outputs, state = self.recurrent(self.embedding(tokens), state)
        return self.logits(outputs), state


def train(model, sizes, seconds, precision):
    """Characters a second of training, the state carried from window to window."""
    optimizer = torch.optim.AdamW(model.parameters(), 0.001, weight_decay=0.01)
    tokens = torch.randint(1, sizes["vocabulary"], (sizes["batch"], sizes["window"] + 1))
    state = None

    def five():
        nonlocal state
        for _ in range(5):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                logits, state = model(tokens[:, :-1], state)
            loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            state = [part.detach() for part in state]
        return 5 * sizes["batch"] * sizes["window"]

    return best(five, seconds)


@torch.inference_mode()
def sample(model, batch, seconds, length=500):
    """Characters a second of writing, each drawn from the whole distribution."""

    def write():
        tokens, state = torch.ones((batch, 1), dtype=torch.long), None
        for _ in range(length):
            logits, state = model(tokens, state)
            tokens = torch.multinomial(torch.softmax(logits[:, -1], dim=-1), 1)
        return batch * length

    return best(write, seconds)


if __name__ == "__main__":
    what, sizes, seconds = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
    torch.manual_seed(0)
    torch.set_num_threads(sizes["cores"])
    model = Model(sizes["vocabulary"], sizes["dimensions"], sizes["units"])
    kind, option = what.split()
    print(train(model, sizes, seconds, option) if kind == "train" else sample(model, int(option), seconds))
