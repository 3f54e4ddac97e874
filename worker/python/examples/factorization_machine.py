#!/usr/bin/python3
"""factorization_machine.py - clicks predicted from 26 categorical fields, in one round trip per step.

    PYTHONPATH=worker/python /usr/bin/python3 worker/python/examples/factorization_machine.py
    PYTHONPATH=worker/python rowhouse run -s 2 -w 1 -- /usr/bin/python3 worker/python/examples/factorization_machine.py

The data have the layout of Criteo's: lines of a label, 13 counts and 26 categories in hexadecimal,
between tabs, any of them missing but the label; they are made up here from a seed. Every category has
a table of its own, whose rows are a weight and DIM factors; a layer of torch's has the counts.

A step of the 26 tables is one rowhouse.Batch: the gradients of this step go out, and the rows of the
next come back. Pushes of a batch come before its pulls, so these rows have learned. The mode is async,
the default: nobody waits for a clock. Rows arrive in, and gradients leave from, the memory of tensors.

With --plain it is 26 torch.nn.Embedding and torch.optim.Adagrad, which begin as the rows that servers
draw: these depend on the table's name and seed alone, so that "local:" gives them, too. The losses are
the same: all within 1e-4 of each other, relatively (tests/python/examples.py holds them to it).

One worker: of several each would have a layer of its own, and read the same lines."""
import sys
from typing import Iterator, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import rowhouse

COUNTS, FIELDS, DIM = 13, 26, 8
ROWS = [50 * 3 ** (f % 6) for f in range(FIELDS)]  # of each table, row 0 for what is missing
STEPS, BATCH, LR = 60, 64, 0.05


def made_up(lines: int) -> Iterator[str]:
    """Lines; some values of a category are common, and all make a click more or less likely."""
    draw = torch.Generator().manual_seed(1)
    values = [(torch.rand(lines, generator=draw) ** 4 * rows).long() for rows in ROWS]
    likely = torch.stack([torch.randn(rows, generator=draw)[v] for rows, v in zip(ROWS, values)]).sum(0)
    counts = (3 * torch.randn(lines, COUNTS, generator=draw)).exp().long()
    clicks = torch.rand(lines, generator=draw) < torch.sigmoid(likely * 0.7 - 1)
    for i in range(lines):
        yield "\t".join([str(int(clicks[i])), *(str(n) if n else "" for n in counts[i].tolist()),
                         *(f"{int(v[i]) * 2654435761 % 2**32:08x}" if v[i] else "" for v in values)])


def parse(lines: List[str]) -> Tuple[Tensor, Tensor, Tensor]:
    """ids (FIELDS, n), logarithms of counts (n, COUNTS), labels (n)."""
    split = [line.split("\t") for line in lines]
    ids = [[1 + int(s[1 + COUNTS + f], 16) % (ROWS[f] - 1) if s[1 + COUNTS + f] else 0 for s in split]
           for f in range(FIELDS)]
    counts = [[float(n or 0) for n in s[1:1 + COUNTS]] for s in split]
    return torch.tensor(ids), torch.tensor(counts).log1p(), torch.tensor([float(s[0]) for s in split])


def open_tables(client: rowhouse.Client) -> List[rowhouse.Table]:
    return [client.table(f"C{f + 1}", rows, 1 + DIM, optimizer=rowhouse.Adagrad(LR),
                         init=rowhouse.init.normal(0, 0.05)) for f, rows in enumerate(ROWS)]


class Served:
    """The rows of all fields, on servers."""

    def __init__(self) -> None:
        self.client = rowhouse.connect()
        self.tables = open_tables(self.client)
        self.memory, self.ids = torch.empty(FIELDS, BATCH, 1 + DIM), torch.empty(FIELDS, 0)
        self.rows = self.memory.detach()

    def exchange(self, ids: Optional[Tensor]) -> Tensor:
        """Hands in the gradients of the rows that it gave last, and gives those of ids (FIELDS, BATCH)
        as (FIELDS, BATCH, 1 + DIM); in one round trip."""
        batch = self.client.batch()
        for f, table in enumerate(self.tables):
            if self.rows.grad is not None:
                batch.push(table, self.ids[f], self.rows.grad[f])
            if ids is not None:
                batch.pull(table, ids[f], out=self.memory[f])
        batch.run()
        self.rows = self.memory.detach().requires_grad_()
        self.ids = self.ids if ids is None else ids
        return self.rows


class Plain:
    """The same in torch."""

    def __init__(self) -> None:
        with rowhouse.connect("local:") as client:
            begin = [torch.from_numpy(t.pull(range(t.num_embeddings))) for t in open_tables(client)]
        self.tables = nn.ModuleList(nn.Embedding.from_pretrained(b, freeze=False, sparse=True) for b in begin)
        self.optimizer = torch.optim.Adagrad(self.tables.parameters(), LR)

    def exchange(self, ids: Optional[Tensor]) -> Tensor:
        self.optimizer.step()
        self.optimizer.zero_grad()
        return torch.empty(0) if ids is None else torch.stack([t(i) for t, i in zip(self.tables, ids)])


def score(rows: Tensor, counts: Tensor, layer: nn.Linear) -> Tensor:
    """(n): the weights, and the products of all pairs of factors."""
    weights, factors = rows[..., 0], rows[..., 1:]
    pairs = (factors.sum(0).square() - factors.square().sum(0)).sum(-1) / 2
    return layer(counts).squeeze(-1) + weights.sum(0) + pairs


def train(plain: bool = False) -> List[float]:
    """The loss of each step."""
    torch.manual_seed(0)
    lines = list(made_up(STEPS * BATCH))
    batches = [parse(lines[i:i + BATCH]) for i in range(0, len(lines), BATCH)]
    fields: Union[Plain, Served] = Plain() if plain else Served()
    layer = nn.Linear(COUNTS, 1)
    optimizer = torch.optim.Adagrad(layer.parameters(), LR)
    losses, rows = [], fields.exchange(batches[0][0])
    for i, (_, counts, labels) in enumerate(batches):
        loss = F.binary_cross_entropy_with_logits(score(rows, counts, layer), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rows = fields.exchange(batches[i + 1][0] if i + 1 < STEPS else None)
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    for i, loss in enumerate(train(plain="--plain" in sys.argv[1:])):
        if i % 10 == 9:
            print(f"step {i + 1}: loss {loss:.6f}")
