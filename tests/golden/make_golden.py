#!/usr/bin/env python3
"""make_golden.py - draws 100 steps of sparse gradients, lets torch.optim do them, and writes what
went in and what came out to sgd.txt and sparse_adam.txt beside this file.

Needs python3-torch (the committed files were made with 1.13.0); the tests need only the files.
Numbers that go in are small integers times powers of two, so that they are short and exact:

    case SGD|SparseAdam DIM NUM_EMBEDDINGS ROWS [BETA1 BETA2 EPS]
    row ID INTEGER*DIM                       its first value, in 256ths          (ROWS times)
    step LR N                                one optimizer step of N gradients; ids may repeat
    grad ID EXPONENT INTEGER*DIM             integer * 2^exponent                (N times)
    want STEPS                               torch's rows after so many steps
    is ID FLOAT*DIM                                                              (ROWS times)
    end
"""
import os
import random

import torch

STEPS = 100
LOOK_AFTER = (1, 2, 10, 50, 100)
ROWS = 12
NUM_EMBEDDINGS = 50000
DIMS = (1, 5, 16, 33)


def present(rng, step):
    """Which rows a step names: a window that wanders and returns, with repeats; now and then none."""
    if step % 23 == 22:
        return []
    start = step // 8
    window = [(start + i) % ROWS for i in range(5)]
    return [rng.choice(window) for _ in range(rng.randint(1, 6))]


def count_step(optimizer):
    """A step that names no row. torch 1.13's SparseAdam fails on such a gradient; its T would grow."""
    for state in optimizer.state.values():
        if "step" in state:
            state["step"] += 1


def draw_case(rng, out, name, dim, args, make_optimizer):
    ids = sorted(rng.sample(range(NUM_EMBEDDINGS), ROWS))
    weight = torch.nn.Parameter(torch.zeros(NUM_EMBEDDINGS, dim))
    print("case", name, dim, NUM_EMBEDDINGS, ROWS, *args, file=out)
    for i in ids:
        first = [rng.randint(-512, 512) for _ in range(dim)]
        weight.data[i] = torch.tensor(first, dtype=torch.float32) / 256
        print("row", i, *first, file=out)

    optimizer = make_optimizer(weight)
    for step in range(1, STEPS + 1):
        lr = 0.05 * (1 - (step - 1) / 150)
        optimizer.param_groups[0]["lr"] = lr
        named = [ids[r] for r in present(rng, step)]
        print("step", repr(lr), len(named), file=out)
        values = torch.zeros(len(named), dim)
        for k, i in enumerate(named):
            # -42: so small that Adam's eps decides
            exponent = rng.choice((-12, -9, -7, -6, -5, -4, -42))
            ints = [rng.randint(-99, 99) for _ in range(dim)]
            values[k] = torch.tensor(ints, dtype=torch.float32) * 2.0**exponent
            print("grad", i, exponent, *ints, file=out)
        indices = torch.tensor([named], dtype=torch.int64)
        weight.grad = torch.sparse_coo_tensor(indices, values, weight.shape)
        if named:
            optimizer.step()
        else:
            count_step(optimizer)
        if step in LOOK_AFTER:
            print("want", step, file=out)
            for i in ids:
                print("is", i, *("%.9g" % v for v in weight.data[i].tolist()), file=out)
    print("end", file=out)


def write(name, file, args, make_optimizer):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file)
    with open(path, "w") as out:
        for dim in DIMS:
            rng = random.Random("%s %d" % (name, dim))
            draw_case(rng, out, name, dim, args, make_optimizer)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write("SGD", "sgd.txt", (), lambda w: torch.optim.SGD([w], lr=1))
    write("SparseAdam", "sparse_adam.txt", (0.9, 0.999, 1e-8),
          lambda w: torch.optim.SparseAdam([w], lr=1, betas=(0.9, 0.999), eps=1e-8))
