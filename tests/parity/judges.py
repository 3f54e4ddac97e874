"""judges.py - torch.nn.Embedding and torch.optim, where they have what a case has: with sparse
gradients, or with every row in every batch."""
import numpy as np
import torch

from reference import Freezer, renorm, steps_of


def judge_of(case):
    """The judge that torch has for a case, or None: then the reference judges alone."""
    a = case.arguments
    if case.optimizer == "RowWiseAdagrad" or a.get("steps_per_row"):
        return None
    if case.options.get("nonfinite") == "skip":
        return None
    if case.optimizer == "SparseAdam" or not (case.optimizer in ("Adam", "AdamW", "RMSprop")
                                              or a.get("momentum") or a["weight_decay"]):
        return Sparse
    # Lazy rows are torch's only where a step names every row: a clock of bsp with no push is no step,
    # and a clock with one names all of them. A frozen row is not named.
    whole = all(f.count == case.rows for clock in case.clocks for f in clock.freezes)
    return Dense if case.every_row and whole else None


class Torch:
    sparse = False
    name = "torch"

    def __init__(self, case, first):
        self.case, self.freezer = case, Freezer(case)
        options = {name: case.options[name] for name in ("max_norm", "norm_type", "scale_grad_by_freq")
                   if name in case.options}
        # Its gradients are sparse, but for scale_grad_by_freq, which torch has for dense ones alone.
        sparse = self.sparse and "scale_grad_by_freq" not in options
        self.embedding = torch.nn.Embedding(*first.shape, padding_idx=case.padding, sparse=sparse, **options)
        self.weight = self.embedding.weight
        self.weight.data.copy_(torch.from_numpy(first))
        self.optimizer = getattr(torch.optim, case.optimizer)([self.weight], **{
            name: value for name, value in case.arguments.items() if name != "steps_per_row"})

    def clock(self, number, clock):
        self.freezer.take(clock)
        if clock.write is not None:
            flat = clock.write.places.reshape(-1)
            for place, row in zip(flat, clock.write.grads.reshape(len(flat), self.case.dim)):
                self.weight.data[place] = torch.from_numpy(row)
        frozen = self.freezer.frozen(number)
        for pushes, lr in steps_of(self.case, clock):
            if not self.freezer.whole(number):
                self.backward(pushes)
                self.optimizer.param_groups[0]["lr"] = lr
                self.step(frozen)

    def backward(self, pushes):
        """Leaves in weight.grad what a model would whose loss has these gradients."""
        self.weight.grad = None
        self.named = np.setdiff1d(np.concatenate([push.places.reshape(-1) for push in pushes]),
                                  [] if self.case.padding is None else self.case.padding).astype(np.int64)
        share = 1 / self.case.world if self.case.options.get("reduce") == "mean" else 1
        for push in pushes:
            if push.bag is not None:
                rows, shape = self.bags(push), (-1,)
            else:
                # torch 1.13 fails on a single id with sparse gradients and a padding row: a list of one.
                shape = push.places.shape or (1,)
                rows = self.embedding(torch.from_numpy(push.places.reshape(shape)))
            grads = torch.from_numpy(push.grads.reshape(*shape, self.case.dim))
            ((rows * grads).sum() * share).backward()

    def bags(self, push):
        own, bag = self.embedding, push.bag
        return torch.nn.functional.embedding_bag(
            torch.from_numpy(push.places), self.weight, torch.from_numpy(bag.offsets), own.max_norm,
            own.norm_type, mode=bag.mode, sparse=own.sparse and bag.mode != "max",
            per_sample_weights=None if bag.weights is None else torch.from_numpy(bag.weights),
            include_last_offset=bag.last, padding_idx=self.case.padding)

    def pooled(self, push):
        with torch.no_grad():
            return self.bags(push).numpy()

    def rows(self):
        """As a lookup of all gives them, without one: that would write."""
        return renorm(self.case, self.weight.detach().numpy())


class Dense(Torch):
    def step(self, frozen):
        padding = self.case.padding
        if padding is not None:
            before = self.weight.data[padding].clone()
        self.optimizer.step()
        if padding is not None:
            self.weight.data[padding] = before  # weight decay would move it


class Sparse(Torch):
    sparse = True

    def step(self, frozen):
        grad = self.weight.grad
        if not grad.is_sparse:
            named = torch.from_numpy(self.named)
            grad = torch.sparse_coo_tensor(named[None], grad[named], grad.shape)
        grad = grad.coalesce()
        keep = torch.from_numpy(~frozen)[grad.indices()[0]]
        self.weight.grad = torch.sparse_coo_tensor(grad.indices()[:, keep], grad.values()[keep], grad.shape)
        if keep.any():
            self.optimizer.step()
            return
        # torch 1.13 fails on a gradient without rows in SparseAdam; it would count the step.
        state = self.optimizer.state[self.weight]
        if not state and self.case.optimizer == "SparseAdam":
            state.update(step=0, exp_avg=torch.zeros_like(self.weight.data),
                         exp_avg_sq=torch.zeros_like(self.weight.data))
        if "step" in state:
            state["step"] += 1
