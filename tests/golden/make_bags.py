#!/usr/bin/env python3
"""make_bags.py - bags of rows through torch.nn.functional.embedding_bag and one of torch's optimizers,
two steps each; writes what went in and what came out to bags.txt beside this file. Needs python3-torch
(the committed file was made with 1.13.0); the tests need only the file.

    case MODE DIM ROWS N BAGS OFFSETS PADDING WEIGHTED OPTIMIZER LR
                            OFFSETS: begin, last (include_last_offset) or none (two dimensions);
                            PADDING: a row or -1; OPTIMIZER: SGD or SparseAdam
    row INTEGER*DIM         the table's first values, in 256ths                  (ROWS times)
    ids ID*N
    offsets OFFSET*         BAGS of them, one more where last; none where none
    weights INTEGER*N       in 64ths; all 64 where not WEIGHTED
  then twice:
    grad INTEGER*DIM        the loss's gradient by a bag, in 64ths               (BAGS times)
    out FLOAT*DIM           a bag, from the rows before this step                (BAGS times)
    by_weight FLOAT*N       the loss's gradient by the weights; zeros where not WEIGHTED
    by_row FLOAT*DIM        the loss's gradient by a row                         (ROWS times)
    after FLOAT*DIM         a row after the optimizer's step                     (ROWS times)
"""
import os
import random

import torch
from torch.nn.functional import embedding_bag

ROWS = 9


def line(out, name, values):
    print(name, *("%.9g" % v if isinstance(v, float) else v for v in values), file=out)


def draw_bags(rng, kind):
    """Sizes of bags: some empty, but for rows of one size; ids repeat within and across bags."""
    sizes = [3] * 4 if kind == "none" else [rng.choice((0, 0, 1, 2, 3, 5)) for _ in range(6)]
    ids = [rng.choice((1, 1, 2, 3, 5, 8)) for _ in range(sum(sizes))]
    offsets = [sum(sizes[:i]) for i in range(len(sizes))]
    return sizes, ids, offsets + [len(ids)] if kind == "last" else offsets


def draw_case(rng, out, mode, dim, kind, padding=None, weighted=False, optimizer="SGD", lr=0.5):
    sizes, ids, offsets = draw_bags(rng, kind)
    n = len(ids)
    if padding is not None and kind != "none" and sizes[-1] > 0:
        ids[n - sizes[-1]:] = [padding] * sizes[-1]  # a bag of nothing else
    print("case", mode, dim, ROWS, n, len(sizes), kind, -1 if padding is None else padding,
          int(weighted), optimizer, lr, file=out)
    ints = [[rng.randint(-8, 8) * 32 for _ in range(dim)] for _ in range(ROWS)]  # so that max has ties
    for row in ints:
        line(out, "row", row)
    line(out, "ids", ids)
    line(out, "offsets", [] if kind == "none" else offsets)
    by = [rng.randint(-99, 99) if weighted else 64 for _ in range(n)]
    line(out, "weights", by)

    sparse = optimizer == "SparseAdam"
    table = torch.nn.Parameter(torch.tensor(ints, dtype=torch.float32) / 256)
    step = getattr(torch.optim, optimizer)([table], lr=lr)
    shape = (len(sizes), 3) if kind == "none" else (n,)
    for _ in range(2):
        weights = (torch.tensor(by, dtype=torch.float32) / 64).requires_grad_() if weighted else None
        pooled = embedding_bag(
            torch.tensor(ids).reshape(shape), table,
            None if kind == "none" else torch.tensor(offsets), mode=mode, sparse=sparse,
            per_sample_weights=None if weights is None else weights.reshape(shape),
            include_last_offset=kind == "last", padding_idx=padding)
        grads = [[rng.randint(-99, 99) for _ in range(dim)] for _ in sizes]
        step.zero_grad()
        pooled.backward(torch.tensor(grads, dtype=torch.float32) / 64)
        by_row = table.grad.to_dense() if sparse else table.grad
        by_row = by_row.tolist()
        step.step()
        for name, values in (("grad", grads), ("out", pooled.tolist())):
            for v in values:
                line(out, name, v)
        line(out, "by_weight", weights.grad.tolist() if weighted else [0.0] * n)
        for name, values in (("by_row", by_row), ("after", table.tolist())):
            for v in values:
                line(out, name, v)


if __name__ == "__main__":
    torch.set_num_threads(1)
    rng = random.Random("bags")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "bags.txt"), "w") as file:
        for mode in ("sum", "mean", "max"):
            for dim, kind in ((1, "begin"), (5, "last"), (33, "none"), (70, "begin")):
                draw_case(rng, file, mode, dim, kind)
            for kind in ("begin", "last", "none"):
                draw_case(rng, file, mode, 5, kind, padding=1)
        for kind in ("begin", "last", "none"):
            draw_case(rng, file, "sum", 5, kind, weighted=True)
            draw_case(rng, file, "sum", 3, kind, padding=8, weighted=True)
        for mode in ("sum", "mean"):
            draw_case(rng, file, mode, 4, "begin", optimizer="SparseAdam", lr=0.05)
            draw_case(rng, file, mode, 4, "last", padding=1, optimizer="SparseAdam", lr=0.05)
        draw_case(rng, file, "sum", 4, "begin", weighted=True, optimizer="SparseAdam", lr=0.05)
