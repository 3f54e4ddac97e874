#!/usr/bin/python3
"""text_classifier.py - a classifier on pretrained word vectors that are frozen at first and learn later.

    PYTHONPATH=worker/python /usr/bin/python3 worker/python/examples/text_classifier.py
    PYTHONPATH=worker/python rowhouse run -s 2 -w 1 -- /usr/bin/python3 worker/python/examples/text_classifier.py

The vectors come from a word2vec file into a table on the servers. For UNFREEZE batches only the layers
above them learn, which torch holds; then `words.weight.requires_grad = False` becomes True, for
everyone who works with the table, and the servers apply SparseAdam to the rows of each batch.

With --plain it is torch.nn.EmbeddingBag and torch.optim.SparseAdam. The loop is the same, and so are
the losses: all within 1e-4 of each other, relatively (tests/python/examples.py holds them to it).

One worker: of several each would have layers of its own."""
import sys
import tempfile
from typing import Any, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS, DIM, TOPICS, LENGTH = 500, 16, 4, 12
BATCHES, BATCH, UNFREEZE = 60, 32, 20


def made_up() -> Tuple[Tensor, List[Tuple[Tensor, Tensor]]]:
    """Vectors (WORDS, DIM), and batches of texts (BATCH, LENGTH) with their topics (BATCH). Words
    0, 4, 8, ... are of topic 0, and so on; the vectors know it, but not well."""
    draw = torch.Generator().manual_seed(1)
    vectors = torch.randn(WORDS, DIM, generator=draw)
    vectors[:, :TOPICS] += F.one_hot(torch.arange(WORDS) % TOPICS, TOPICS)
    batches = []
    for _ in range(BATCHES):
        topics = torch.randint(TOPICS, (BATCH,), generator=draw)
        texts = torch.randint(WORDS, (BATCH, LENGTH), generator=draw)
        on_topic = torch.rand(BATCH, LENGTH, generator=draw) < 0.4
        of_topic = texts - texts % TOPICS + topics.unsqueeze(1)
        batches.append((torch.where(on_topic, of_topic, texts), topics))
    return vectors, batches


def write_word2vec(path: str, vectors: Tensor) -> None:
    with open(path, "w") as file:
        print(*vectors.shape, file=file)
        for i, row in enumerate(vectors.tolist()):
            print(f"word{i}", *row, file=file)


def embedding(plain: bool, vectors: Tensor) -> Tuple[Any, Any]:
    """The words, (n, LENGTH) -> (n, DIM), and what optimizes them: all that differs."""
    if plain:
        words = nn.EmbeddingBag.from_pretrained(vectors, freeze=True, sparse=True)
        return words, torch.optim.SparseAdam(words.parameters(), lr=0.02)
    import rowhouse
    import rowhouse.torch as rt
    with tempfile.TemporaryDirectory() as folder:
        write_word2vec(f"{folder}/words.vec", vectors)
        table = rt.EmbeddingBag.from_pretrained(f"{folder}/words.vec", freeze=True, name="words",
                                                optimizer=rowhouse.SparseAdam(lr=0.02))
    return table, rt.Optimizer(table)


def train(plain: bool = False) -> List[float]:
    """The loss of each batch."""
    torch.manual_seed(0)
    vectors, batches = made_up()
    words, tables = embedding(plain, vectors)
    head = nn.Sequential(nn.Linear(DIM, 32), nn.ReLU(), nn.Linear(32, TOPICS))
    layers = torch.optim.Adam(head.parameters(), lr=0.01)
    losses = []
    for i, (texts, topics) in enumerate(batches):
        if i == UNFREEZE:
            words.weight.requires_grad = True
        loss = F.cross_entropy(head(words(texts)), topics)
        layers.zero_grad()
        tables.zero_grad()
        loss.backward()
        layers.step()
        tables.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    for i, loss in enumerate(train(plain="--plain" in sys.argv[1:])):
        if i % 10 == 9:
            print(f"batch {i + 1}: loss {loss:.6f}", "(frozen)" if i < UNFREEZE else "")
