#!/usr/bin/python3
"""vision_transformer.py - a small ViT whose class token and position embedding live on the servers.

    PYTHONPATH=worker/python /usr/bin/python3 worker/python/examples/vision_transformer.py
    PYTHONPATH=worker/python rowhouse run -s 2 -w 1 -- /usr/bin/python3 worker/python/examples/vision_transformer.py

Both are dense tensors, (1, 1, DIM) and (1, PATCHES + 1, DIM): rowhouse.torch.Parameter, which a module
holds and uses as it does an nn.Parameter. At the end of a step their gradients are pushed and their
new values pulled, together. The rest of the model is torch's own, and so is its optimizer.

A picture has one bright patch, and its class is the row that it is in: without positions nobody could
tell.

With --plain they are torch.nn.Parameter under torch.optim.AdamW. The losses are the same: all within
1e-4 of each other, relatively (tests/python/examples.py holds them to it).

One worker: of several each would have layers of its own."""
import sys
from typing import Any, Iterator, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, PATCH, DIM = 12, 4, 32
ROWS = SIZE // PATCH  # and columns, of patches
PATCHES = ROWS * ROWS
STEPS, BATCH = 60, 32


def pictures() -> Iterator[Tuple[Tensor, Tensor]]:
    """(BATCH, 1, SIZE, SIZE), and the row of the bright patch (BATCH)."""
    draw = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        place = torch.randint(PATCHES, (BATCH,), generator=draw)
        light = F.one_hot(place, PATCHES).float().reshape(BATCH, 1, ROWS, ROWS)
        picture = light.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)
        yield picture + 0.2 * torch.randn(picture.shape, generator=draw), place // ROWS


class ViT(nn.Module):
    """Pictures (n, 1, SIZE, SIZE) -> scores (n, ROWS)."""

    def __init__(self, token: nn.Parameter, positions: nn.Parameter) -> None:
        super().__init__()
        self.token, self.positions = token, positions
        self.patches = nn.Conv2d(1, DIM, PATCH, PATCH)
        self.body = nn.TransformerEncoderLayer(DIM, 4, 2 * DIM, dropout=0, batch_first=True)
        self.head = nn.Linear(DIM, ROWS)

    def forward(self, pictures: Tensor) -> Tensor:
        patches = self.patches(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(patches), -1, -1), patches], 1) + self.positions
        return self.head(self.body(tokens)[:, 0])


def parameters(plain: bool, token: Tensor, positions: Tensor) -> Tuple[Any, Any, Any]:
    """Of these values, and what optimizes them: all that differs."""
    if plain:
        both = nn.Parameter(token), nn.Parameter(positions)
        return *both, torch.optim.AdamW(both, lr=0.01)
    import rowhouse
    import rowhouse.torch as rt
    adamw = rowhouse.AdamW(lr=0.01)
    both = (rt.Parameter(token, name="class-token", optimizer=adamw),
            rt.Parameter(positions, name="positions", optimizer=adamw))
    return *both, rt.Optimizer(both)


def train(plain: bool = False) -> List[float]:
    """The loss of each step."""
    torch.manual_seed(0)
    token, positions, served = parameters(plain, torch.randn(1, 1, DIM),
                                          torch.randn(1, PATCHES + 1, DIM))
    model = ViT(token, positions)
    layers = torch.optim.AdamW([p for p in model.parameters() if p is not token and p is not positions],
                               lr=0.003)
    losses = []
    for picture, row in pictures():
        loss = F.cross_entropy(model(picture), row)
        layers.zero_grad()
        served.zero_grad()
        loss.backward()
        layers.step()
        served.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    for i, loss in enumerate(train(plain="--plain" in sys.argv[1:])):
        if i % 10 == 9:
            print(f"step {i + 1}: loss {loss:.6f}")
