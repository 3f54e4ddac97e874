"""steps.py - the end of a training step: everything that learns pushes once, and the clocks end."""
from __future__ import annotations

import itertools
import os
import weakref
from typing import Any, Iterable, List, Optional

from ..client import Client

_numbers = itertools.count()
_live: "weakref.WeakSet[Learner]" = weakref.WeakSet()


class Learner:
    """What gathers gradients between two steps."""

    def __init__(self, client: Client, lr: Optional[float]) -> None:
        self.client, self.lr = client, lr or 0.0  # None: of an observer, which never learns
        self.number, self._pid = next(_numbers), os.getpid()

    @property
    def is_alive(self) -> bool:
        """Not closed, not of an observer, not a forked child's view of its parent's."""
        client = self.client
        return not client.closed and not client.is_observer and self._pid == os.getpid()

    def push(self, batch: Any) -> bool:
        """Puts what was gathered into the batch and forgets it; False if there was nothing."""
        raise NotImplementedError

    def set_lr(self, lr: float) -> None:
        """Of the pushes that follow."""
        raise NotImplementedError

    def use_lr(self, lr: float) -> None:
        if lr != self.lr:
            self.set_lr(lr)
            self.lr = lr

    def zero_grad(self) -> None:
        raise NotImplementedError

    def pull(self, batch: Any) -> None:
        """The clock has ended: puts into the batch what must be there before the next forward."""

    def pulled(self) -> None:
        """That batch is back."""


def enroll(learner: Learner) -> None:
    _live.add(learner)


def end(learners: Iterable[Learner]) -> None:
    """One push of each, those of a client in one round trip; then its clock ends."""
    every: List[Learner] = sorted(learners, key=lambda learner: learner.number)
    batches = {learner.client: learner.client.batch() for learner in every}
    pushing = [learner.client for learner in every if learner.push(batches[learner.client])]
    for client, batch in batches.items():
        if client in pushing:
            batch.run()
        client.tick()
    for learner in every:
        learner.pull(batches[learner.client])  # which are empty again
    for batch in batches.values():
        if len(batch) > 0:
            batch.run()
    for learner in every:
        learner.pulled()


def step() -> None:
    """Ends the training step of this process: pushes what every live module has gathered since the
    last one, once per table and in one round trip, and ends the clock of every client that has such
    a module.

    The gradients are gone afterwards, also where it raises: zero_grad is not needed, but it drops
    those of a step that shall not count. A table without gradients makes no step. ValueError:
    a gradient has NaN or infinity (unless the table skips them); then nothing was changed by any.
    TimeoutError: pushes are still owed, and applied once."""
    end([learner for learner in _live if learner.is_alive])
