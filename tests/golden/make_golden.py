#!/usr/bin/env python3
"""make_golden.py - draws 100 steps of gradients, lets torch.optim do them, and writes what went in
and what came out, a file per optimizer, beside this file; and 50 steps of torch.nn.Embedding itself,
with padding_idx, max_norm and scale_grad_by_freq.

Needs python3-torch (the committed files were made with 1.13.0); the tests need only the files.
Three judges, by what torch has for an optimizer:

    sparse   torch's own sparse gradients
    dense    one parameter whose rows are all in every step
    by row   every row is a parameter of its own, without a gradient where a step does not name it;
             torch leaves it alone then, and that is what lazy means here. Where the step count is
             the table's, it is put into torch's state before each step.

and for row-wise Adagrad, which torch has not, a few lines in double.

Numbers that go in are small integers times powers of two, so that they are short and exact:

    case NAME FLAGS DIM NUM_EMBEDDINGS ROWS ARGUMENT*6    as in PROTOCOL.md, section 4
    row ID INTEGER*DIM                       its first value, in 256ths          (ROWS times)
    step LR N                                one optimizer step of N gradients; ids may repeat
    grad ID EXPONENT INTEGER*DIM             integer * 2^exponent                (N times)
    want STEPS                               the judge's rows after so many steps
    is ID FLOAT*DIM                                                              (ROWS times)
    end

row_rules.txt, of torch.nn.Embedding: what differs is

    case OPTIMIZER NORM_TYPE MAX_NORM PADDING_IDX SCALE_GRAD_BY_FREQ DIM ROWS
    seen ID FLOAT*DIM                        what a lookup would give            (ROWS times)
    stored ID FLOAT*DIM                      the weight, of rows that the last step changed
"""
import os
import random

import torch

STEPS = 100
LOOK_AFTER = (1, 2, 10, 50, 100)
ROWS = 12
NUM_EMBEDDINGS = 50000
NESTEROV, CENTERED, STEPS_PER_ROW = 1, 2, 4


def present(rng, step):
    """Which rows a step names: a window that wanders and returns, with repeats; now and then none."""
    if step % 23 == 22:
        return []
    start = step // 8
    window = [(start + i) % ROWS for i in range(5)]
    return [rng.choice(window) for _ in range(rng.randint(1, 6))]


# ---- the judges: rows() is (ROWS, DIM); step() takes the places of the named rows and (N, DIM) ----


class Sparse:
    def __init__(self, first, ids, make):
        self.ids = ids
        self.weight = torch.nn.Parameter(torch.zeros(NUM_EMBEDDINGS, first.shape[1]))
        self.weight.data[ids] = first
        self.optimizer = make([self.weight])

    def step(self, lr, count, named, values):
        self.optimizer.param_groups[0]["lr"] = lr
        indices = torch.tensor([[self.ids[r] for r in named]], dtype=torch.int64)
        self.weight.grad = torch.sparse_coo_tensor(indices, values, self.weight.shape)
        if named:
            self.optimizer.step()
            return
        # torch 1.13 fails on such a gradient in SparseAdam; its count would grow.
        for state in self.optimizer.state.values():
            if "step" in state:
                state["step"] += 1

    def rows(self):
        return self.weight.data[self.ids]


class Dense:
    every_row = True

    def __init__(self, first, ids, make):
        self.weight = torch.nn.Parameter(first.clone())
        self.optimizer = make([self.weight])

    def step(self, lr, count, named, values):
        self.optimizer.param_groups[0]["lr"] = lr
        self.weight.grad = torch.zeros_like(self.weight).index_add_(0, torch.tensor(named), values)
        self.optimizer.step()

    def rows(self):
        return self.weight.data


class ByRow:
    count_of_table = True

    def __init__(self, first, ids, make):
        self.params = [torch.nn.Parameter(row.clone()) for row in first]
        self.optimizer = make(self.params)

    def set_count(self, param, before):
        state = self.optimizer.state[param]
        if not state:
            state["exp_avg"] = torch.zeros_like(param)
            state["exp_avg_sq"] = torch.zeros_like(param)
        state["step"] = torch.tensor(float(before))

    def step(self, lr, count, named, values):
        self.optimizer.param_groups[0]["lr"] = lr
        for place, param in enumerate(self.params):
            param.grad = None
            if place in named:
                param.grad = sum(v for r, v in zip(named, values) if r == place)
                if self.count_of_table:
                    self.set_count(param, count - 1)
        self.optimizer.step()

    def rows(self):
        return torch.stack([param.data for param in self.params])


class ByRowOwnCount(ByRow):
    count_of_table = False


class SparseByRow(ByRowOwnCount):
    """torch's SparseAdam wants sparse gradients: of a table of one row."""

    def __init__(self, first, ids, make):
        super().__init__(first.unsqueeze(1), ids, make)

    def step(self, lr, count, named, values):
        self.optimizer.param_groups[0]["lr"] = lr
        for place, param in enumerate(self.params):
            param.grad = None
            if place in named:
                g = sum(v for r, v in zip(named, values) if r == place)
                param.grad = torch.sparse_coo_tensor(torch.tensor([[0]]), g.unsqueeze(0), param.shape)
        self.optimizer.step()

    def rows(self):
        return super().rows().squeeze(1)


class RowWiseAdagrad:
    def __init__(self, first, ids, args):
        self.lr_decay, self.weight_decay, initial, self.eps = args
        self.weight = first.double()
        self.sums = [initial] * len(ids)

    def step(self, lr, count, named, values):
        clr = lr / (1 + (count - 1) * self.lr_decay)
        for r in set(named):
            g = sum(v for k, v in zip(named, values) if k == r).double()
            g = g + self.weight_decay * self.weight[r]
            self.sums[r] += float((g * g).mean())
            self.weight[r] -= clr * g / (self.sums[r] ** 0.5 + self.eps)

    def rows(self):
        return self.weight.float()


# ---- writing ----


def draw_case(rng, out, name, flags, dim, args, judge, make):
    every_row = getattr(judge, "every_row", False)
    ids = list(range(ROWS)) if every_row else sorted(rng.sample(range(NUM_EMBEDDINGS), ROWS))
    six = list(args) + [0] * (6 - len(args))
    print("case", name, flags, dim, ROWS if every_row else NUM_EMBEDDINGS, ROWS, *six, file=out)
    first = torch.zeros(ROWS, dim)
    for r, i in enumerate(ids):
        ints = [rng.randint(-512, 512) for _ in range(dim)]
        first[r] = torch.tensor(ints, dtype=torch.float32) / 256
        print("row", i, *ints, file=out)

    table = judge(first, ids, make)
    for step in range(1, STEPS + 1):
        lr = 0.05 * (1 - (step - 1) / 150)
        named = list(range(ROWS)) if every_row else present(rng, step)
        print("step", repr(lr), len(named), file=out)
        values = torch.zeros(len(named), dim)
        for k, r in enumerate(named):
            # -42: so small that an eps decides
            exponent = rng.choice((-12, -9, -7, -6, -5, -4, -42))
            ints = [rng.randint(-99, 99) for _ in range(dim)]
            values[k] = torch.tensor(ints, dtype=torch.float32) * 2.0**exponent
            print("grad", ids[r], exponent, *ints, file=out)
        table.step(lr, step, named, values)
        if step in LOOK_AFTER:
            print("want", step, file=out)
            for i, row in zip(ids, table.rows().tolist()):
                print("is", i, *("%.9g" % v for v in row), file=out)
    print("end", file=out)


def write(file, *cases):
    """A case is (NAME, FLAGS, DIM, ARGUMENTS, judge, what makes torch's optimizer of parameters)."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file)
    with open(path, "w") as out:
        for name, flags, dim, args, judge, make in cases:
            draw_case(random.Random("%s %d" % (name, dim)), out, name, flags, dim, args, judge, make)


def sgd(dim, judge, momentum, dampening, decay, nesterov=False):
    return ("SGD", NESTEROV * nesterov, dim, (momentum, dampening, decay), judge,
            lambda p: torch.optim.SGD(p, lr=1, momentum=momentum, dampening=dampening,
                                      weight_decay=decay, nesterov=nesterov))


def sparse_adam(dim, judge, beta1, beta2, eps):
    return ("SparseAdam", STEPS_PER_ROW * (judge is SparseByRow), dim, (beta1, beta2, eps), judge,
            lambda p: torch.optim.SparseAdam(p, lr=1, betas=(beta1, beta2), eps=eps))


def adagrad(dim, judge, lr_decay, decay, initial, eps, name="Adagrad"):
    return (name, 0, dim, (lr_decay, decay, initial, eps), judge,
            lambda p: torch.optim.Adagrad(p, lr=1, lr_decay=lr_decay, weight_decay=decay,
                                          initial_accumulator_value=initial, eps=eps))


def rowwise_adagrad(dim, *args):
    return ("RowWiseAdagrad", 0, dim, args, lambda first, ids, _: RowWiseAdagrad(first, ids, args), None)


def adam(dim, judge, beta1, beta2, eps, decay, name="Adam"):
    return (name, 0, dim, (beta1, beta2, eps, decay), judge,
            lambda p: getattr(torch.optim, name)(p, lr=1, betas=(beta1, beta2), eps=eps,
                                                 weight_decay=decay))


def rmsprop(dim, judge, alpha, eps, decay, momentum, centered=False):
    return ("RMSprop", CENTERED * centered, dim, (alpha, eps, decay, momentum), judge,
            lambda p: torch.optim.RMSprop(p, lr=1, alpha=alpha, eps=eps, weight_decay=decay,
                                          momentum=momentum, centered=centered))


# ---- torch.nn.Embedding ----


def draw_rules(rng, out, name, p, max_norm, padding, scale, dim):
    print("case", name, p, max_norm, padding, int(scale), dim, ROWS, file=out)
    sparse = name == "SparseAdam"
    table = torch.nn.Embedding(ROWS, dim, padding_idx=padding, max_norm=max_norm or None, norm_type=p,
                               scale_grad_by_freq=scale, sparse=sparse)
    for i in range(ROWS):  # the padding row is set too
        ints = [rng.randint(-512, 512) for _ in range(dim)]
        table.weight.data[i] = torch.tensor(ints, dtype=torch.float32) / 256
        print("row", i, *ints, file=out)
    optimizer = getattr(torch.optim, name)([table.weight], lr=1)
    for step in range(1, 51):
        lr = 0.2 * (1 - (step - 1) / 100)
        named = present(rng, step)
        if sparse and set(named) <= {table.padding_idx}:
            named.append((table.padding_idx + 1) % ROWS)  # torch 1.13's SparseAdam fails without
        print("step", repr(lr), len(named), file=out)
        values = torch.zeros(len(named), dim)
        for k, i in enumerate(named):
            exponent = rng.choice((-7, -6, -5, -4))
            ints = [rng.randint(-99, 99) for _ in range(dim)]
            values[k] = torch.tensor(ints, dtype=torch.float32) * 2.0**exponent
            print("grad", i, exponent, *ints, file=out)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        table(torch.tensor(named, dtype=torch.int64)).backward(values)
        optimizer.step()
        if step not in LOOK_AFTER:
            continue
        print("want", step, file=out)
        stored = table.weight.detach()
        seen = torch.nn.functional.embedding(torch.arange(ROWS), stored.clone(),
                                             max_norm=max_norm or None, norm_type=p)
        for i in range(ROWS):
            print("seen", i, *("%.9g" % v for v in seen[i]), file=out)
        for i in sorted(set(named) - {table.padding_idx}):
            print("stored", i, *("%.9g" % v for v in stored[i]), file=out)
    print("end", file=out)


def write_rules(file, *cases):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file)
    with open(path, "w") as out:
        for case in cases:
            draw_rules(random.Random(repr(case)), out, *case)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_rules("row_rules.txt",
                ("SGD", 1.0, 2.5, 3, False, 5),
                ("SGD", 2.0, 1.5, -1, True, 17),
                ("SGD", 3.0, 1.25, -12, False, 4),
                ("SGD", float("inf"), 0.75, 11, True, 5),
                ("SGD", 2.0, 0, 7, True, 3),
                ("SparseAdam", 2.0, 1.5, 5, False, 5))
    write("sgd.txt", *(sgd(dim, Sparse, 0, 0, 0) for dim in (1, 5, 16, 33)))
    write("sgd_momentum.txt",
          sgd(17, ByRowOwnCount, 0.9, 0, 0),
          sgd(5, ByRowOwnCount, 0.9, 0.25, 0.01),
          sgd(4, ByRowOwnCount, 0.9, 0, 0.01, nesterov=True),
          sgd(3, ByRowOwnCount, 0, 0, 0.01),
          sgd(2, Dense, 0.5, 0.25, 0.01))
    write("sparse_adam.txt", *(sparse_adam(dim, Sparse, 0.9, 0.999, 1e-8) for dim in (1, 5, 16, 33)))
    write("sparse_adam_per_row.txt",
          sparse_adam(17, SparseByRow, 0.9, 0.999, 1e-8),
          sparse_adam(5, SparseByRow, 0.5, 0.9, 1e-4))
    write("adagrad.txt",
          adagrad(16, Sparse, 0, 0, 0, 1e-10),
          adagrad(5, Sparse, 0.01, 0, 0.1, 1e-8),
          adagrad(4, ByRow, 0.01, 0.01, 0.1, 1e-10),
          adagrad(2, Dense, 0, 0.01, 0, 1e-10))
    write("rowwise_adagrad.txt",
          rowwise_adagrad(33, 0, 0, 0, 1e-8),
          rowwise_adagrad(5, 0.01, 0.01, 0.1, 1e-10),
          adagrad(1, Sparse, 0.01, 0, 0.1, 1e-8, name="RowWiseAdagrad"))
    for name, file in (("Adam", "adam.txt"), ("AdamW", "adamw.txt")):
        write(file,
              adam(17, ByRow, 0.9, 0.999, 1e-8, 0.01 if name == "AdamW" else 0, name),
              adam(5, ByRow, 0.5, 0.9, 1e-4, 0.1, name),
              adam(2, Dense, 0.9, 0.999, 1e-8, 0.1, name))
    write("rmsprop.txt",
          rmsprop(17, ByRowOwnCount, 0.99, 1e-8, 0, 0),
          rmsprop(5, ByRowOwnCount, 0.9, 1e-6, 0.01, 0.9),
          rmsprop(4, ByRowOwnCount, 0.9, 1e-6, 0, 0, centered=True),
          rmsprop(3, ByRowOwnCount, 0.99, 1e-8, 0.01, 0.5, centered=True),
          rmsprop(2, Dense, 0.99, 1e-8, 0.01, 0.5, centered=True))
