"""init.py - the first values of a table's rows: torch.nn.init's laws, arguments and defaults.

    client.table("words", 1000000, 64, init=rowhouse.init.xavier_uniform())

A row's first value depends on the table's seed, its name and the id alone: it is the same on any
number of servers, and takes no memory until the row is pushed or written. torch's numbers for a seed
are others. Fans are as torch counts them for the weight of an nn.Embedding: fan_in is embedding_dim,
fan_out is num_embeddings; those of a parameter (out, in, k...) are in * k... and out * k... ."""
from __future__ import annotations

import ctypes as C
from typing import Any, Callable, Optional, Union

from . import _lib
from ._lib import Fan, Nonlinearity, lib


class Initializer:
    """What the functions below return, and client.table takes as init."""

    def __init__(self, text: str, make: Callable[[Any], _lib.Init]) -> None:
        self._text, self._make = text, make

    def _struct(self, spec: Union[_lib.TableSpec, _lib.ParamSpec]) -> _lib.Init:
        return self._make(spec)

    def __repr__(self) -> str:
        return f"rowhouse.init.{self._text}"


def _by_shape(name: str, *arguments: Any) -> Callable[[Any], _lib.Init]:
    """The library's function for the fans of a table, or of a parameter."""
    def make(spec: Any) -> _lib.Init:
        prefix = "rh_param_" if isinstance(spec, _lib.ParamSpec) else "rh_"
        return getattr(lib, prefix + name)(C.byref(spec), *arguments)
    return make


def zeros() -> Initializer:
    """All 0."""
    return Initializer("zeros()", lambda _: lib.rh_zeros())


def ones() -> Initializer:
    """All 1."""
    return Initializer("ones()", lambda _: lib.rh_ones())


def constant(val: float) -> Initializer:
    """All val."""
    return Initializer(f"constant({val!r})", lambda _: lib.rh_constant(val))


def uniform(a: float = 0.0, b: float = 1.0) -> Initializer:
    """Uniform in [a, b)."""
    return Initializer(f"uniform({a!r}, {b!r})", lambda _: lib.rh_uniform(a, b))


def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """Normal. normal(0, 1) is the default of a table, as of nn.Embedding."""
    return Initializer(f"normal({mean!r}, {std!r})", lambda _: lib.rh_normal(mean, std))


def trunc_normal(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Initializer:
    """Normal between a and b, which are values, not multiples of std."""
    return Initializer(f"trunc_normal({mean!r}, {std!r}, {a!r}, {b!r})",
                       lambda _: lib.rh_trunc_normal(mean, std, a, b))


def orthogonal(gain: float = 1) -> Initializer:
    """Refused when a table is made: a row would depend on all others."""
    return Initializer(f"orthogonal({gain!r})", lambda _: lib.rh_orthogonal())


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform within sqrt(3) * std, where std = gain * sqrt(2 / (fan_in + fan_out))."""
    return Initializer(f"xavier_uniform({gain!r})", _by_shape("xavier_uniform", gain))


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Normal of std = gain * sqrt(2 / (fan_in + fan_out))."""
    return Initializer(f"xavier_normal({gain!r})", _by_shape("xavier_normal", gain))


_CONVOLUTIONS = tuple(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))


def _nonlinearity(name: str) -> Nonlinearity:
    if name in _CONVOLUTIONS:  # torch counts them among the nonlinearities; the gain is linear's
        return Nonlinearity.LINEAR
    return _lib.choose(Nonlinearity, name, "nonlinearity")


def kaiming_uniform(a: float = 0, mode: str = "fan_in",
                    nonlinearity: str = "leaky_relu") -> Initializer:
    """Uniform within sqrt(3) * std, where std = calculate_gain(nonlinearity, a) / sqrt(fan)."""
    fan, of = _lib.choose(Fan, mode, "mode"), _nonlinearity(nonlinearity)
    return Initializer(f"kaiming_uniform({a!r}, {mode!r}, {nonlinearity!r})",
                       _by_shape("kaiming_uniform", a, fan, of))


def kaiming_normal(a: float = 0, mode: str = "fan_in",
                   nonlinearity: str = "leaky_relu") -> Initializer:
    """Normal of std = calculate_gain(nonlinearity, a) / sqrt(fan)."""
    fan, of = _lib.choose(Fan, mode, "mode"), _nonlinearity(nonlinearity)
    return Initializer(f"kaiming_normal({a!r}, {mode!r}, {nonlinearity!r})",
                       _by_shape("kaiming_normal", a, fan, of))


def calculate_gain(nonlinearity: str, param: Optional[float] = None) -> float:
    """torch.nn.init.calculate_gain. param: the negative slope of "leaky_relu", by default 0.01."""
    return lib.rh_gain(_nonlinearity(nonlinearity), 0.01 if param is None else param)
