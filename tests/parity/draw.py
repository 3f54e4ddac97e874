"""draw.py - a case of the parity suite: what table, and what is done to it in each clock, all from
(seed, number). Nothing here knows torch or rowhouse.

Rows are named by their place in Case.ids, the ids that the case uses: all of the table's when it is
small. Gradients are small integers times one power of two per clock, so that sums over repeats and
workers are exact in float32, and nobody depends on the order in which another one adds. They and the
learning rates are such that weights stay about 1: what is compared to 1e-6 has been no larger."""
import random
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

SHARDS = (1, 2, 5)
FOREVER = float("inf")


@dataclass
class Bag:
    """How the places of a push are pooled, which are (n) then."""

    mode: str
    offsets: np.ndarray  # int64, (bags); with last also n behind them
    last: bool
    weights: Optional[np.ndarray]  # float32, (n)

    def bags(self, n):
        """(n): the bag of each place. And how many bags."""
        ends = self.offsets[1:] if self.last else np.append(self.offsets[1:], n)
        return np.repeat(np.arange(len(ends)), ends - self.offsets[:len(ends)]), len(ends)

    def named(self):
        """As pull_bags and push_bags take them."""
        return {"mode": self.mode, "per_sample_weights": self.weights, "include_last_offset": self.last}


@dataclass
class Push:
    worker: int
    places: np.ndarray  # int64, any shape
    grads: np.ndarray  # float32, (*places.shape, dim), or (bags, dim)
    bag: Optional[Bag] = None


@dataclass
class Freeze:
    """Of a range of ids, or of a list of places: until this clock of the case; 0 thaws."""

    first: int
    count: int
    places: Optional[np.ndarray]
    until: float


@dataclass
class Clock:
    """One clock, in the order in which it happens."""

    lrs: List[float]  # of each worker
    freezes: List[Freeze]
    pool: Optional[Push]  # bags that are only looked at, before all else
    write: Optional[Push]
    pushes: List[Push]
    look: bool  # compare every row afterwards


@dataclass
class Case:
    number: int
    name: str
    rows: int  # num_embeddings
    dim: int
    ids: np.ndarray  # uint64, (n)
    optimizer: str
    arguments: Dict[str, Any]
    mode: str
    world: int
    shards: Tuple[int, int]  # of the first and of the second player
    init: Tuple[str, tuple]
    options: Dict[str, Any]
    first: Optional[np.ndarray]  # written before the first clock, or the initializer's
    every_row: bool  # each push names every row
    clocks: List[Clock] = field(default_factory=list)
    freezing: bool = False
    bags: bool = False  # EmbeddingBag, now and then

    @property
    def padding(self):
        """The place of the padding row, or None."""
        idx = self.options.get("padding_idx")
        return None if idx is None else int(np.searchsorted(self.ids, idx % self.rows))

    def __str__(self):
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return (f"{self.optimizer}({arguments}), {self.rows} x {self.dim}, {self.mode}, {self.world} "
                f"workers, {self.shards[0]} and {self.shards[1]} shards{options}{', bags' if self.bags else ''}")


def draw_optimizer(rng):
    name = rng.choice(("SGD", "SGD", "Adagrad", "Adagrad", "RowWiseAdagrad", "SparseAdam", "SparseAdam",
                       "Adam", "AdamW", "RMSprop"))
    a = {"lr": rng.choice((0.1, 0.05, 0.01, 0.001))}
    decay = rng.choice((0, 0, 0.01, 0.1))
    if name == "SGD":
        a.update(momentum=rng.choice((0, 0, 0.5, 0.9)), weight_decay=decay)
        if a["momentum"]:
            a["dampening"] = rng.choice((0, 0, 0.25))
            a["nesterov"] = a["dampening"] == 0 and rng.random() < 0.4
    elif name in ("Adagrad", "RowWiseAdagrad"):
        a.update(lr_decay=rng.choice((0, 0, 0.01, 0.5)), weight_decay=decay,
                 initial_accumulator_value=rng.choice((0, 0, 0.1, 1)),
                 eps=rng.choice((1e-10, 1e-8, 1e-3)))
    elif name == "RMSprop":
        a["lr"] = min(a["lr"], 0.01)  # a first step is up to 30 lr
        a.update(alpha=rng.choice((0.9, 0.99, 0.999)), eps=rng.choice((1e-8, 1e-4)), weight_decay=decay,
                 momentum=rng.choice((0, 0, 0.5, 0.9)), centered=rng.random() < 0.4)
    else:
        a.update(betas=rng.choice(((0.9, 0.999), (0.9, 0.999), (0.5, 0.9), (0, 0.99))),
                 eps=rng.choice((1e-8, 1e-8, 1e-4)))
        if name == "SparseAdam":
            a["steps_per_row"] = rng.random() < 0.25
        else:
            a["weight_decay"] = decay
    return name, a


def draw_ids(rng):
    """num_embeddings, and the ids that are used: all of them, or some of a large table's."""
    rows = rng.choice((1, 2, 3, 7, 16, 16, 40, 40, 100, 300, 50000, 2**28))
    if rows <= 300:
        return rows, np.arange(rows, dtype=np.uint64)
    some = {rng.randrange(rows) for _ in range(30)} | {0, rows - 1}
    return rows, np.array(sorted(some), np.uint64)


def draw_init(rng):
    return rng.choice((("zeros", ()), ("ones", ()), ("constant", (-0.75,)), ("uniform", (-0.5, 0.5)),
                       ("normal", (0, 1)), ("normal", (0, 1)), ("trunc_normal", (0, 1, -1, 2)),
                       ("xavier_uniform", ()), ("kaiming_normal", ())))


def draw_places(rng, case):
    """Which rows a push names, in any order and shape."""
    n = len(case.ids)
    if case.every_row:
        places = list(range(n)) + [rng.randrange(n) for _ in range(rng.randrange(1 + n // 2))]
        rng.shuffle(places)
    else:
        few = rng.choice((n, n, min(n, 4), 1))  # repeats are rare, or the rule
        among = rng.sample(range(n), few)
        count = min(rng.choice((0, 1, 1, 2, 5, n // 2, n, 2 * n)), few * 8)
        places = [rng.choice(among) for _ in range(count)]
    places = np.array(places, np.int64)
    if len(places) % 2 == 0 and rng.random() < 0.4:
        places = places.reshape(2, -1)
    elif len(places) == 1 and rng.random() < 0.3:
        places = places.reshape(())
    return places


def draw_grads(rng, case, shape, exponent, divided):
    numbers = np.random.default_rng(rng.getrandbits(64))
    integers = numbers.integers(-99, 100, (*shape, case.dim))
    if divided:
        # Quotients are rounded: a sum of them that should be 0 would not be, and Adam makes 1 of it.
        integers = np.abs(integers)
    grads = integers.astype(np.float32) * np.float32(2.0**exponent)
    if case.options.get("nonfinite") == "skip" and grads.size and rng.random() < 0.3:
        grads.reshape(-1)[rng.randrange(grads.size)] = rng.choice((np.nan, np.inf, -np.inf))
    return grads


def draw_bag(rng, n, modes):
    """Any number of bags, empty ones too. max is only looked at: where two rows are as large to the
    last bit, each of us could give its gradient to another one."""
    mode = rng.choice(modes)
    begins = [0] + sorted(rng.randrange(n + 1) for _ in range(rng.randrange(max(2, n))))
    last = rng.random() < 0.3
    weights = None
    if mode == "sum" and rng.random() < 0.5:
        weights = np.array([rng.randint(-8, 8) / 8 for _ in range(n)], np.float32)
    return Bag(mode, np.array(begins + [n] * last, np.int64), last, weights)


def draw_push(rng, case, worker, exponent):
    places = draw_places(rng, case)
    scaled = bool(case.options.get("scale_grad_by_freq"))
    if case.bags and rng.random() < 0.7:
        places = places.reshape(-1)
        bag = draw_bag(rng, len(places), ("sum", "sum", "mean"))
        shape = (bag.bags(len(places))[1],)
        return Push(worker, places, draw_grads(rng, case, shape, exponent, bag.mode == "mean"), bag)
    grads = draw_grads(rng, case, places.shape, exponent, scaled)
    if case.padding is not None and rng.random() < 0.3:
        grads[places == case.padding] = np.nan  # as of a loss that masks its padding
    return Push(worker, places, grads)


def draw_pool(rng, case):
    if not case.bags or rng.random() < 0.5:
        return None
    places = draw_places(rng, case).reshape(-1)
    bag = draw_bag(rng, len(places), ("sum", "mean", "max"))
    return Push(rng.randrange(case.world), places, None, bag)


def draw_freeze(rng, case, clock):
    until = rng.choice((FOREVER, FOREVER, clock + 1, clock + 3, 0, 0))
    kind = rng.choice(("all", "range", "list", "list"))
    if kind == "all":
        return Freeze(0, case.rows, None, until)
    if kind == "range":
        # Around ids that the case uses, so that there is something in it.
        ends = sorted(int(case.ids[rng.randrange(len(case.ids))]) for _ in range(2))
        return Freeze(ends[0], ends[1] - ends[0] + 1, None, until)
    some = rng.sample(range(len(case.ids)), rng.randint(1, len(case.ids)))
    return Freeze(0, 0, np.array(some + some[:1], np.int64), until)


def draw_freezes(rng, case, clock):
    """Often none, now and then several in a clock, of which the last holds."""
    return [draw_freeze(rng, case, clock) for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 2)))]


def draw_clock(rng, case, number, schedule):
    lrs = [schedule(number)] * case.world
    if case.world == 2 and rng.random() < 0.2:
        lrs[1] = lrs[0] / 2
    write = None
    if rng.random() < 0.1:
        places = draw_places(rng, case)
        rows = np.random.default_rng(rng.getrandbits(64)).normal(size=(*places.shape, case.dim))
        write = Push(rng.randrange(case.world), places, rows.astype(np.float32))
    exponent = rng.choice((-6, -6, -7, -8, -12, -42))  # -42: so small that an eps decides
    pushes = [draw_push(rng, case, worker, exponent) for worker in range(case.world)
              for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 1, 2)))]
    freezes = draw_freezes(rng, case, number) if case.freezing else []
    return Clock(lrs, freezes, draw_pool(rng, case), write, pushes, rng.random() < 0.4)


def draw_schedule(rng, lr, clocks):
    kind = rng.choice(("constant", "linear", "warmup", "steps"))
    return {"constant": lambda k: lr, "linear": lambda k: lr * (1 - k / clocks),
            "warmup": lambda k: lr * min(1, (k + 1) / 5), "steps": lambda k: lr * 0.5 ** (k // 4)}[kind]


def draw(seed, number):
    rng = random.Random(f"{seed} {number}")
    name, arguments = draw_optimizer(rng)
    rows, ids = draw_ids(rng)
    dim = rng.choice((1, 2, 3, 4, 5, 8, 15, 16, 17, 32, 33, 64))
    mode = rng.choice(("async", "async", "bsp"))
    world = rng.choice((1, 2)) if mode == "bsp" else 1
    options = {}
    if mode == "bsp" and rng.random() < 0.3:
        options["reduce"] = "mean"
    if rng.random() < 0.1:
        options["nonfinite"] = "skip"
    if rng.random() < 0.1:
        options["frozen"] = True
    draw_rules(rng, options, rows, ids)
    first = None
    if rng.random() < 0.5:
        first = np.random.default_rng(rng.getrandbits(64)).normal(size=(len(ids), dim)).astype(np.float32)
    case = Case(number, f"s{seed}.c{number}", rows, dim, ids, name, arguments, mode, world,
                tuple(rng.sample(SHARDS, 2)), draw_init(rng), options, first, rng.random() < 0.4)
    case.bags = rng.random() < 0.25 and not options.keys() & {"nonfinite", "scale_grad_by_freq"}
    case.freezing = options.get("frozen") or rng.random() < 0.4
    clocks = rng.randint(4, 16)
    schedule = draw_schedule(rng, arguments["lr"], clocks)
    case.clocks = [draw_clock(rng, case, k, schedule) for k in range(clocks)]
    case.clocks[-1].look = True
    return case


def draw_rules(rng, options, rows, ids):
    """nn.Embedding's arguments."""
    if rng.random() < 0.25:
        place = rng.randrange(len(ids))
        options["padding_idx"] = int(ids[place]) - (rows if rng.random() < 0.5 else 0)
    if rng.random() < 0.25:
        options["max_norm"] = rng.choice((0.5, 1.0, 3.0))
        options["norm_type"] = rng.choice((2.0, 2.0, 1.0, 3.5, float("inf")))
    if rng.random() < 0.2:
        options["scale_grad_by_freq"] = True
