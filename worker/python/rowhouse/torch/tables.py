"""tables.py - a table as modules of this process share it, with the gradients of the step, and the
lookup that autograd knows."""
from __future__ import annotations

import threading
import weakref
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from ..client import Client
from ..errors import MismatchError
from ..table import Table
from . import steps

COMPACT_FLOATS = 1 << 24  # of gradients that wait; then equal ids are added up, to save memory


class Source(steps.Learner):
    """A table and what modules have gathered for it. Modules that name the same table of the same
    client have the same one."""

    _live: "weakref.WeakValueDictionary[Tuple[Client, str], Source]" = weakref.WeakValueDictionary()

    def __init__(self, client: Client, table: Table, given: Dict[str, Any]) -> None:
        super().__init__(client, table.lr)
        self.table, self.given = table, given
        self.name = table.name
        self.num_embeddings, self.embedding_dim = table.num_embeddings, table.embedding_dim
        self.trainable = not client.is_observer  # as this process has said; what servers drop is theirs to know
        self.anchor = torch.empty(0, requires_grad=True)  # a lookup has no other input to learn
        self._waiting: List[Tuple[Tensor, Tensor]] = []
        self._lock = threading.Lock()

    @classmethod
    def open(cls, client: Client, name: str, num_embeddings: int, embedding_dim: int,
             **given: Any) -> Source:
        given.update(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        known = cls._live.get((client, name))
        if known is not None:
            if repr(sorted(given.items())) == repr(sorted(known.given.items())):
                return known
            # What does not go together the servers say below; another lr does.
        table = client.table(name, **given) if not client.is_observer else client.find(name)
        if (table.num_embeddings, table.embedding_dim) != (num_embeddings, embedding_dim):
            raise MismatchError(f"table {name} is ({table.num_embeddings}, {table.embedding_dim}), not "
                                f"({num_embeddings}, {embedding_dim})")
        if known is None:
            known = cls._live[client, name] = cls(client, table, given)
            steps.enroll(known)
        return known

    def __deepcopy__(self, memo: Dict[int, Any]) -> Source:
        return self  # a copy of a model is another view of the same table

    def __reduce__(self) -> Any:
        raise TypeError(f"table {self.name} is on servers and cannot be pickled: save "
                        "model.state_dict(), which names it, and the rows by table.export or the job's "
                        "checkpoints")

    # ---- rows ----

    def rows(self, ids: Tensor, stored: bool) -> Tensor:
        """ids: (n) int64 on the CPU. float32 (n, dim): as a forward sees them, or the stored bits."""
        # In numpy's memory: what torch.empty aligns malloc asks the system for anew each time, and 2 MiB are 330
        # page faults, as long as the pull itself.
        return torch.from_numpy((self.table.read if stored else self.table.pull)(ids.numpy()))

    def lookup(self, ids: Tensor, stored: bool = False, by_freq: bool = False) -> Tensor:
        """As rows, and a backward adds to the gradients of the step."""
        if not (self.trainable and torch.is_grad_enabled()):
            return self.rows(ids, stored)
        return _Lookup.apply(self.anchor, ids, self, stored, by_freq)

    # ---- the gradients of the step ----

    def add(self, ids: Tensor, grads: Tensor) -> None:
        with self._lock:
            self._waiting.append((ids, grads))
            if len(self._waiting) > 1 and sum(g.numel() for _, g in self._waiting) > COMPACT_FLOATS:
                self._waiting = [_added_up(self._waiting)]

    def take(self) -> Optional[Tuple[Tensor, Tensor]]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        return torch.cat([ids for ids, _ in waiting]), torch.cat([grads for _, grads in waiting])

    def push(self, batch: Any) -> bool:
        taken = self.take()
        if taken is None or not self.trainable:
            return False
        batch.push(self.table, taken[0].numpy(), taken[1].numpy())
        return True

    def set_lr(self, lr: float) -> None:
        self.table.set_lr(lr)

    def zero_grad(self) -> None:
        self.take()

    @property
    def grad(self) -> Optional[Tensor]:
        """What waits for the step, as a coalesced sparse tensor."""
        with self._lock:
            if not self._waiting:
                return None
            ids, grads = _added_up(self._waiting)
            self._waiting = [(ids, grads)]
        if self.given["padding_idx"] is not None:
            grads[ids == self.given["padding_idx"]] = 0  # as the servers have it
        shape = (self.num_embeddings, self.embedding_dim)
        return torch.sparse_coo_tensor(ids.unsqueeze(0), grads.clone(), shape).coalesce()


def _added_up(waiting: List[Tuple[Tensor, Tensor]]) -> Tuple[Tensor, Tensor]:
    """Each id once, in ascending order; of equal ones the gradients are added in order."""
    ids, places = torch.unique(torch.cat([ids for ids, _ in waiting]), return_inverse=True)
    grads = torch.zeros((ids.numel(), waiting[0][1].shape[1]))
    return ids, grads.index_add_(0, places, torch.cat([grads for _, grads in waiting]))


class _Lookup(torch.autograd.Function):
    """ids (n) -> rows (n, dim). Backward hands the gradients to the source, and nothing on."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, ids: Tensor, source: Source,  # type: ignore[override]
                stored: bool, by_freq: bool) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.source, ctx.by_freq = source, by_freq
        return source.rows(ids, stored)

    @staticmethod
    def backward(ctx: Any, grads: Tensor) -> Any:  # type: ignore[override]
        ids, = ctx.saved_tensors
        # A copy: what comes here may be part of a tensor that others have, and change.
        grads = torch.empty(grads.shape).copy_(grads.detach())
        if ctx.by_freq and ids.numel() > 0:
            # torch counts within the lookup; so this is the only place that knows how to scale.
            _, places, counts = torch.unique(ids, return_inverse=True, return_counts=True)
            grads.mul_((1 / counts.double()).float()[places].unsqueeze(1))
        ctx.source.add(ids.clone(), grads)
        return None, None, None, None, None


def ids_of(input: Tensor, what: str) -> Tensor:
    """(n) int64 on the CPU of an IntTensor or LongTensor of any shape."""
    if not isinstance(input, Tensor):
        input = torch.as_tensor(input)
        if input.numel() == 0:
            input = input.long()  # [] is of floats
    if input.dtype not in (torch.int64, torch.int32):
        raise RuntimeError(f"Expected tensor for argument #1 'indices' to have one of the following "
                           f"scalar types: Long, Int; but got {input.type()} instead (while checking "
                           f"arguments for {what})")
    if input.dtype is not torch.int64 or input.device.type != "cpu":
        input = input.detach().to("cpu", torch.int64)
    return input if input.dim() == 1 and input.is_contiguous() else input.reshape(-1).contiguous()
