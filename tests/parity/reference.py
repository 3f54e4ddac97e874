"""reference.py - what rowhouse promises, written down a second time: plain float64 numpy, one row
after the other where that is the clearer way. It knows all that a case can have, lazy rows too, which
torch often has not; where torch has them, torch.py holds both to it."""
import numpy as np


class Sgd:
    def __init__(self, a, w):
        self.a, self.buf, self.seen = a, np.zeros_like(w), np.zeros(len(w), bool)

    def step(self, w, r, g, lr, steps):
        a = self.a
        d = g + a["weight_decay"] * w[r]
        if a["momentum"]:
            old = a["momentum"] * self.buf[r] + (1 - a.get("dampening", 0)) * d
            self.buf[r] = np.where(self.seen[r, None], old, d)
            self.seen[r] = True
            d = d + a["momentum"] * self.buf[r] if a.get("nesterov") else self.buf[r]
        w[r] -= lr * d


class Adagrad:
    def __init__(self, a, w):
        self.a, self.sum = a, np.full(w.shape, float(a["initial_accumulator_value"]))

    def add(self, r, d):
        self.sum[r] += d * d

    def step(self, w, r, g, lr, steps):
        d = g + self.a["weight_decay"] * w[r]
        self.add(r, d)
        rate = lr / (1 + (steps - 1) * self.a["lr_decay"])
        w[r] -= rate * d / (np.sqrt(self.sum[r]) + self.a["eps"])


class RowWiseAdagrad(Adagrad):
    def add(self, r, d):
        self.sum[r] += (d * d).mean(axis=1, keepdims=True)


class Adam:
    decoupled = False

    def __init__(self, a, w):
        self.a, self.m, self.v, self.count = a, np.zeros_like(w), np.zeros_like(w), np.zeros(len(w))

    def moments(self, r, g):
        beta1, beta2 = self.a["betas"]
        self.m[r] = beta1 * self.m[r] + (1 - beta1) * g
        self.v[r] = beta2 * self.v[r] + (1 - beta2) * g * g

    def step(self, w, r, g, lr, steps):
        beta1, beta2 = self.a["betas"]
        if self.decoupled:
            w[r] *= 1 - lr * self.a["weight_decay"]
        else:
            g = g + self.a["weight_decay"] * w[r]
        self.moments(r, g)
        root = np.sqrt(self.v[r] / (1 - beta2**steps))
        w[r] -= lr / (1 - beta1**steps) * self.m[r] / (root + self.a["eps"])


class AdamW(Adam):
    decoupled = True


class SparseAdam(Adam):
    """eps outside the corrected root; the steps are the table's, or the row's."""

    def step(self, w, r, g, lr, steps):
        beta1, beta2 = self.a["betas"]
        self.count[r] += 1
        self.moments(r, g)
        t = self.count[r, None] if self.a["steps_per_row"] else steps
        size = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        w[r] -= size * self.m[r] / (np.sqrt(self.v[r]) + self.a["eps"])


class RMSprop:
    def __init__(self, a, w):
        self.a, self.v, self.m, self.buf = a, np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)

    def step(self, w, r, g, lr, steps):
        a, alpha = self.a, self.a["alpha"]
        d = g + a["weight_decay"] * w[r]
        self.v[r] = alpha * self.v[r] + (1 - alpha) * d * d
        square = self.v[r]
        if a["centered"]:
            self.m[r] = alpha * self.m[r] + (1 - alpha) * d
            square = square - self.m[r] ** 2
        self.buf[r] = a["momentum"] * self.buf[r] + d / (np.sqrt(square) + a["eps"])
        w[r] -= lr * self.buf[r]


OPTIMIZERS = {"SGD": Sgd, "Adagrad": Adagrad, "RowWiseAdagrad": RowWiseAdagrad, "Adam": Adam,
              "AdamW": AdamW, "SparseAdam": SparseAdam, "RMSprop": RMSprop}


class Freezer:
    """Which rows are frozen, and until which clock of the case: what was said last about a row.

    And when the table is wholly frozen, so that a push is no step: when ranges cover every id, the
    unused ones too, and every list since the last range of all ids freezes as well."""

    def __init__(self, case):
        ranges = [f for clock in case.clocks for f in clock.freezes if f.places is None]
        self.rows, self.ids = case.rows, case.ids
        self.starts = np.array(sorted({0} | {e for f in ranges for e in (f.first, f.first + f.count)}
                                      - {case.rows}), np.uint64)
        self.ranges = np.full(len(self.starts), np.inf if case.options.get("frozen") else 0.0)
        self.lists = np.full(len(case.ids), np.nan)
        self.lists_least = np.inf

    def take(self, clock):
        for f in clock.freezes:
            if f.places is not None:
                self.lists[f.places] = f.until
                self.lists_least = min(self.lists_least, f.until)
                continue
            end = f.first + f.count
            self.ranges[(self.starts >= f.first) & (self.starts < end)] = f.until
            self.lists[(self.ids >= f.first) & (self.ids < end)] = np.nan
            if f.count == self.rows:
                self.lists_least = np.inf

    def frozen(self, number):
        by_range = self.ranges[np.searchsorted(self.starts, self.ids, "right") - 1]
        return np.where(np.isnan(self.lists), by_range, self.lists) > number

    def whole(self, number):
        return min(self.ranges.min(), self.lists_least) > number


def steps_of(case, clock):
    """The pushes of a clock by the optimizer steps that they make, each with its lr: async, one each;
    bsp, all in one, at the lr of the lowest rank that pushed."""
    if case.mode == "async":
        return [([push], clock.lrs[push.worker]) for push in clock.pushes]
    if not clock.pushes:
        return []
    return [(clock.pushes, clock.lrs[min(push.worker for push in clock.pushes)])]


def renorm(case, w):
    """The rows (n, dim), scaled to max_norm as torch's lookup scales them."""
    limit, p = case.options.get("max_norm"), case.options.get("norm_type")
    if limit is None:
        return w
    norms = np.linalg.norm(w, ord=p, axis=1, keepdims=True)
    return np.where(norms > limit, w * (limit / (norms + 1e-7)), w)


class Reference:
    name = "the reference"

    def __init__(self, case, first):
        self.case, self.w, self.steps = case, first.astype(np.float64), 0
        self.optimizer = OPTIMIZERS[case.optimizer](case.arguments, self.w)
        self.freezer = Freezer(case)

    def clock(self, number, clock):
        self.freezer.take(clock)
        if clock.write is not None:
            flat = clock.write.places.reshape(-1)
            for place, row in zip(flat, clock.write.grads.reshape(len(flat), self.case.dim)):
                self.w[place] = row
        frozen = self.freezer.frozen(number)
        for pushes, lr in steps_of(self.case, clock):
            if not self.freezer.whole(number):
                self.steps += 1
                self.step(pushes, lr, frozen)

    def step(self, pushes, lr, frozen):
        grads, named = np.zeros_like(self.w), np.zeros(len(self.w), bool)
        for push in pushes:
            places, pushed = self.spread(push)
            if self.case.options.get("scale_grad_by_freq"):
                pushed /= np.bincount(places, minlength=len(self.w))[places, None]
            with np.errstate(invalid="ignore"):  # inf - inf
                np.add.at(grads, places, pushed)
            named[places] = True
        if self.case.padding is not None:
            named[self.case.padding] = False
        if self.case.options.get("reduce") == "mean":
            grads /= self.case.world
        r = np.flatnonzero(named & ~frozen & np.isfinite(grads).all(axis=1))
        self.w[r] = renorm(self.case, self.w[r])
        self.optimizer.step(self.w, r, grads[r], lr, self.steps)

    def spread(self, push):
        """(n) places and (n, dim) gradients, of bags too."""
        places, grads = push.places.reshape(-1), push.grads.astype(np.float64)
        if push.bag is None:
            return places, grads.reshape(len(places), self.case.dim)
        of, bags = push.bag.bags(len(places))
        grads = grads[of]
        if push.bag.weights is not None:
            grads = grads * push.bag.weights[:, None]
        if push.bag.mode == "mean":
            counts = np.bincount(of, weights=places != self.case.padding, minlength=bags)
            grads = grads / np.maximum(counts, 1)[of, None]
        return places, grads

    def pooled(self, push):
        of, bags = push.bag.bags(len(push.places))
        out, rows = np.zeros((bags, self.case.dim)), self.rows()[push.places]
        if push.bag.weights is not None:
            rows = rows * push.bag.weights[:, None]
        for bag in range(bags):
            own = rows[(of == bag) & (push.places != self.case.padding)]
            if len(own):
                out[bag] = getattr(own, push.bag.mode)(axis=0)
        return out

    def rows(self):
        return renorm(self.case, self.w)
