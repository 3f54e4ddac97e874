"""optim.py - what the servers do with the gradients that are pushed to a table: torch.optim's names,
arguments, defaults and formulas.

All are lazy: a step changes the rows that it names, with their optimizer state, and nothing else (no
decay, no momentum for absent rows). Where every step names every row, all are torch to rounding;
where not, SparseAdam, Adagrad and SGD still are, the latter two without weight_decay and momentum.

Arguments are checked when a table is made: amsgrad and maximize are refused there, by name."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from ._lib import Optimizer as Struct
from ._lib import OptimizerFlag as Flag
from ._lib import lib


def _flags(**given: bool) -> int:
    return sum(int(Flag[name.upper()]) for name, value in given.items() if value)


class Optimizer:
    """What all of them are. lr is that of the first step: table.set_lr sets those that follow."""

    lr: float

    def _struct(self) -> Struct:
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """w -= lr * d, where d = g + weight_decay * w. With momentum: buf = momentum * buf
    + (1 - dampening) * d, at the row's first step buf = d, and w -= lr * buf, or with nesterov
    lr * (d + momentum * buf)."""

    lr: float
    momentum: float = 0
    dampening: float = 0
    weight_decay: float = 0
    nesterov: bool = False
    maximize: bool = False

    def _struct(self) -> Struct:
        return lib.rh_sgd_with(self.lr, self.momentum, self.dampening, self.weight_decay,
                               _flags(nesterov=self.nesterov, maximize=self.maximize))


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """torch.optim.Adagrad: the lr of step T is lr / (1 + (T - 1) * lr_decay)."""

    lr: float = 1e-2
    lr_decay: float = 0
    weight_decay: float = 0
    initial_accumulator_value: float = 0
    eps: float = 1e-10
    maximize: bool = False

    def _struct(self) -> Struct:
        return lib.rh_adagrad_with(self.lr, self.lr_decay, self.weight_decay,
                                   self.initial_accumulator_value, self.eps,
                                   _flags(maximize=self.maximize))


@dataclass(frozen=True)
class RowWiseAdagrad(Optimizer):
    """Adagrad with one float of state per row: the sum of the means of g^2 over it, as in FBGEMM."""

    lr: float = 1e-2
    lr_decay: float = 0
    weight_decay: float = 0
    initial_accumulator_value: float = 0
    eps: float = 1e-8

    def _struct(self) -> Struct:
        return lib.rh_rowwise_adagrad_with(self.lr, self.lr_decay, self.weight_decay,
                                           self.initial_accumulator_value, self.eps, 0)


@dataclass(frozen=True)
class SparseAdam(Optimizer):
    """torch.optim.SparseAdam: the steps T are the table's, so a row that first comes late begins
    with a step of about 3 lr. steps_per_row counts them by row instead."""

    lr: float = 1e-3
    betas: Tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    steps_per_row: bool = False
    maximize: bool = False

    def _struct(self) -> Struct:
        return lib.rh_sparse_adam_with(
            self.lr, *self.betas, self.eps,
            _flags(steps_per_row=self.steps_per_row, maximize=self.maximize))


@dataclass(frozen=True)
class Adam(Optimizer):
    """torch.optim.Adam, for tables whose rows are all in every batch; for sparse ones: SparseAdam."""

    lr: float = 1e-3
    betas: Tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0
    amsgrad: bool = False
    maximize: bool = False

    def _struct(self) -> Struct:
        return lib.rh_adam_with(self.lr, *self.betas, self.eps, self.weight_decay,
                                _flags(amsgrad=self.amsgrad, maximize=self.maximize))


@dataclass(frozen=True)
class AdamW(Optimizer):
    """torch.optim.AdamW: Adam, but the decay is w *= 1 - lr * weight_decay."""

    lr: float = 1e-3
    betas: Tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2
    amsgrad: bool = False
    maximize: bool = False

    def _struct(self) -> Struct:
        return lib.rh_adamw_with(self.lr, *self.betas, self.eps, self.weight_decay,
                                 _flags(amsgrad=self.amsgrad, maximize=self.maximize))


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """torch.optim.RMSprop."""

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0
    momentum: float = 0
    centered: bool = False
    maximize: bool = False

    def _struct(self) -> Struct:
        return lib.rh_rmsprop_with(self.lr, self.alpha, self.eps, self.weight_decay, self.momentum,
                                   _flags(centered=self.centered, maximize=self.maximize))
