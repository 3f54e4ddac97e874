#!/usr/bin/python3
"""prompt_tuning.py - a soft prompt for a transformer that stays as it is.

    PYTHONPATH=worker/python /usr/bin/python3 worker/python/examples/prompt_tuning.py
    PYTHONPATH=worker/python RH_MODE=bsp rowhouse run -s 2 -w 2 -- /usr/bin/python3 worker/python/examples/prompt_tuning.py

A word has a colour and a size. The transformer was trained to tell which colour, or which size, most
words of a text have, by the instruction before it: ASK_COLOUR or ASK_SIZE. Its vocabulary is a table
that is frozen on the servers. Before every text of this program stand the PROMPT rows of another table,
which are all that learns. They begin as copies of vocabulary rows (table.copy), the first as
ASK_COLOUR; what is wanted is the size.

Of several workers each takes its part of every batch. All that learns is on the servers, which under bsp
take the mean of the workers' gradients (reduce="mean") as one step: that of the whole batch. Worker 0
begins the prompt, and prints the losses of its part.

With --plain it is torch.nn.Embedding and torch.optim.Adam. The losses are the same: all within 1e-4
of each other, relatively, with the mean over the workers for several of them (tests/python/examples.py
holds them to it)."""
import os
import sys
from typing import Any, Iterator, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KINDS, DIM, LENGTH, PROMPT = 4, 32, 8, 3
WORDS = 4 * KINDS * KINDS  # word w has the colour w % KINDS and the size w // KINDS % KINDS
ASK_COLOUR, ASK_SIZE, VOCABULARY = WORDS, WORDS + 1, WORDS + 2
PRETRAINING, STEPS, BATCH = 60, 40, 16


def texts(steps: int, draw: torch.Generator) -> Iterator[Tuple[Tensor, Tensor, Tensor]]:
    """Texts (BATCH, LENGTH), their colours and their sizes (BATCH)."""
    for _ in range(steps):
        colour, size = torch.randint(KINDS, (2, BATCH, 1), generator=draw)
        other = torch.randint(WORDS, (3, BATCH, LENGTH), generator=draw)
        on = torch.rand(2, BATCH, LENGTH, generator=draw) < 0.6
        colours = torch.where(on[0], colour, other[0] % KINDS)
        sizes = torch.where(on[1], size, other[1] % KINDS)
        words = (other[2] // KINDS**2 * KINDS + sizes) * KINDS + colours
        yield words, colour.squeeze(1), size.squeeze(1)


class Reader(nn.Module):
    """Rows (n, length, DIM) -> scores (n, KINDS)."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(DIM, 4, 2 * DIM, dropout=0, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(DIM, KINDS)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.body(rows)[:, 0])


def pretrained(draw: torch.Generator) -> Tuple[Reader, Tensor]:
    """The transformer and its vocabulary's rows, as some plain torch program would have left them."""
    reader, words = Reader(), nn.Embedding(VOCABULARY, DIM)
    optimizer = torch.optim.Adam([*reader.parameters(), *words.parameters()], lr=0.01)
    for text, colour, size in texts(PRETRAINING, draw):
        asked = torch.cat([F.pad(text, (1, 0), value=ask) for ask in (ASK_COLOUR, ASK_SIZE)])
        loss = F.cross_entropy(reader(words(asked)), torch.cat([colour, size]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return reader.requires_grad_(False), words.weight.detach()


def embeddings(plain: bool, rows: Tensor) -> Tuple[Any, Any, Any, slice]:
    """The vocabulary, the prompt, what optimizes it, and which texts of a batch are ours: all that differs."""
    start = torch.tensor([ASK_COLOUR, 0, 1])
    if plain:
        prompt = nn.Embedding(PROMPT, DIM)
        prompt.weight.data.copy_(rows[start])
        optimizer = torch.optim.Adam(prompt.parameters(), lr=0.05)
        return nn.Embedding.from_pretrained(rows), prompt, optimizer, slice(None)
    import rowhouse
    import rowhouse.torch as rt
    words = rt.Embedding.from_pretrained(rows, name="vocabulary")  # frozen, as in torch
    own = rt.Embedding(PROMPT, DIM, name="prompt", optimizer=rowhouse.Adam(lr=0.05), reduce="mean")
    client = rt.default_client()
    if client.rank == 0:
        own.table.copy(torch.arange(PROMPT), words.table, start)
    client.tick()  # under bsp the copy is there when the clock is over
    client.barrier()  # async: or when worker 0 has been here
    return words, own, rt.Optimizer(own), slice(client.rank, None, client.world)


def train(plain: bool = False) -> List[float]:
    """The loss of each step, over this worker's part of the batch."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)
    reader, rows = pretrained(draw)
    words, prompt, optimizer, ours = embeddings(plain, rows)
    losses = []
    for text, _, size in texts(STEPS, draw):
        asked = prompt(torch.arange(PROMPT)).expand(len(text[ours]), -1, -1)
        loss = F.cross_entropy(reader(torch.cat([asked, words(text[ours])], 1)), size[ours])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    for i, loss in enumerate(train(plain="--plain" in sys.argv[1:])):
        if i % 10 == 9 and os.environ.get("RH_RANK", "0") == "0":
            print(f"step {i + 1}: loss {loss:.6f}")
