"""The peers of benchmarks/translation.py: JoeyNMT's searches, and the same network in PyTorch in training; runs in an environment of its own."""

import json
import sys
from types import SimpleNamespace

import torch
from timing import best
from torch import nn


class Attending(nn.Module):
    """A GRU that reads both ways, a GRU that writes, Luong's general attention."""

    def __init__(self, sizes):
        super().__init__()
        vocabulary, dimensions, units = sizes["vocabulary"], sizes["dimensions"], sizes["units"]
        self.source, self.target = (nn.Embedding(vocabulary, dimensions) for _ in range(2))
        self.reads = nn.GRU(dimensions, units, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * units, units)
        self.writes = nn.GRU(dimensions, units, batch_first=True)
        self.keys = nn.Linear(2 * units, units, bias=False)
        self.combine = nn.Linear(3 * units, units)
        self.logits = nn.Linear(units, vocabulary)

    def forward(self, source, target):
        memory, last = self.reads(self.source(source))
        state = torch.tanh(self.bridge(torch.cat([last[0], last[1]], dim=-1)))
        outputs, _ = self.writes(self.target(target), state[None])
        scores = outputs @ self.keys(memory).transpose(1, 2)
        weights = torch.softmax(scores.masked_fill((source == 0)[:, None], -1e9), dim=-1)
        return self.logits(torch.tanh(self.combine(torch.cat([outputs, weights @ memory], dim=-1))))


def train(sizes, seconds):
    """Target tokens a second of training."""
    model = Attending(sizes)
    optimizer = torch.optim.AdamW(model.parameters(), 0.001, weight_decay=0.01)
    source = torch.randint(3, sizes["vocabulary"], (sizes["batch"], sizes["source"]))
    target = torch.randint(3, sizes["vocabulary"], (sizes["batch"], sizes["target"] + 1))

    def five():
        for _ in range(5):
            optimizer.zero_grad()
            logits = model(source, target[:, :-1])
            nn.functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return 5 * sizes["batch"] * sizes["target"]

    return best(five, seconds)


def search(sizes, seconds, beam, batch):
    """Sentences a second of JoeyNMT's search."""
    from joeynmt.batch import Batch
    from joeynmt.model import build_model
    from joeynmt.search import search as joey_search
    from joeynmt.vocabulary import Vocabulary

    special = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None,
        unk_id=0, pad_id=1, bos_id=2, eos_id=3, sep_id=None, lang_tags=[],
    )  # fmt: skip
    vocabulary = Vocabulary([f"w{i}" for i in range(sizes["vocabulary"] - 4)], special)
    part = {
        "type": "recurrent", "rnn_type": "gru", "hidden_size": sizes["units"], "num_layers": 1, "dropout": 0.0,
        "embeddings": {"embedding_dim": sizes["dimensions"]},
    }  # fmt: skip
    decoder = {**part, "attention": "luong", "init_hidden": "bridge", "input_feeding": False}
    model = build_model({"encoder": {**part, "bidirectional": True}, "decoder": decoder}, vocabulary, vocabulary).eval()
    source = torch.randint(4, sizes["vocabulary"], (batch, sizes["source"]))
    given = Batch(
        src=source,
        src_length=torch.full((batch,), sizes["source"]),
        src_prompt_mask=None,
        trg=None,
        trg_prompt_mask=None,
        indices=torch.arange(batch),
        device=torch.device("cpu"),
        pad_index=1,
        eos_index=3,
        is_train=False,
    )

    def one():
        joey_search(model, given, sizes["target"], beam, 1.0, min_output_length=sizes["target"], generate_unk=False)
        return batch

    with torch.inference_mode():
        one()
        return best(one, seconds)


if __name__ == "__main__":
    what, sizes, seconds = sys.argv[1].split(), json.loads(sys.argv[2]), float(sys.argv[3])
    torch.manual_seed(0)
    torch.set_num_threads(sizes["cores"])
    print(train(sizes, seconds) if what[0] == "train" else search(sizes, seconds, int(what[1]), int(what[2])))
