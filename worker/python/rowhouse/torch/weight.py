"""weight.py - emb.weight: a table that is on servers, with the habits of the tensor that
nn.Embedding has there."""
from __future__ import annotations

import difflib
import math
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
from torch import Tensor

from .. import init
from .shared import together
from .tables import Source

READ_FLOATS = 1 << 30  # the most that a subscript brings here at once: 4 GiB
WRITE_FLOATS = 1 << 20  # what copy_ sends at once: 4 MiB


class Weight:
    """A handle, not a tensor: (num_embeddings, embedding_dim) floats that stay where they are.

    w[i], w[2:5], w[tensor]    the stored rows, read from the servers; autograd knows them
    w[i] = v                   writes rows, whoever does it, also frozen ones
    w.requires_grad = False    freezes the table for every worker; True unfreezes it
    w.data                     the same without autograd; w.data.copy_(t) streams a whole table
    torch.nn.init.xavier_uniform_(w)    and the others (not orthogonal_, eye_): one
                               call to the servers, which draw the values row by row; the seed is
                               drawn from torch's generator

    copy_ and the initializers are for all workers at once: see rowhouse.torch. An initializer gives
    zeros to the padding row. What a row was optimized with so far (momentum, ...) stays.

    grad: what waits for the step, as a sparse tensor; w.grad = w.grad * c makes it less. (As with
    every sparse gradient torch's clip_grad_norm_ counts it, but leaves it as it is.) shape, size, dim, numel, dtype, device as a
    tensor's; rows are handed out as that dtype on that device, or the ids'."""

    def __init__(self, source: Source, dtype: torch.dtype, device: Optional[torch.device],
                 tracked: bool = True) -> None:
        put = object.__setattr__
        put(self, "_source", source)
        put(self, "_dtype", dtype)
        put(self, "_device", device)
        put(self, "_tracked", tracked)  # False: .data, whose reads autograd does not know
        put(self, "_chain", [])  # the last in-place calls, see trunc_normal_ below

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(self._no_such(name))
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(self._no_such(name))

    def _no_such(self, name: str) -> str:
        known = [k for k in dir(type(self)) if not k.startswith("_")]
        plain = {k.replace("_", ""): k for k in reversed(known)}  # requires_grad, not requires_grad_
        near = difflib.get_close_matches(name.replace("_", "").lower(), plain, 1, 0.7)
        hint = f": did you mean {plain[near[0]]}?" if near else \
            ": it is no tensor, but rows of it are: weight[ids]"
        return f"the weight of table {self._source.name} has no attribute {name!r}{hint}"

    def __repr__(self) -> str:
        state = "" if self.requires_grad else ", requires_grad=False"
        return f"<rowhouse weight of table {self._source.name}: {tuple(self.shape)}{state}>"

    def __deepcopy__(self, memo: Dict[int, Any]) -> Weight:
        return Weight(self._source, self._dtype, self._device, self._tracked)

    # ---- what it is ----

    shape = property(lambda self: torch.Size((self._source.num_embeddings,
                                              self._source.embedding_dim)))
    ndim = property(lambda self: 2)
    dtype = property(lambda self: self._dtype)
    device = property(lambda self: self._device or torch.device("cpu"))
    is_leaf = property(lambda self: True)

    def size(self, dim: Optional[int] = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return 2

    ndimension = dim

    def numel(self) -> int:
        return self._source.num_embeddings * self._source.embedding_dim

    nelement = numel

    def __len__(self) -> int:
        return self._source.num_embeddings

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # ---- autograd ----

    @property
    def requires_grad(self) -> bool:
        """As this process has set it. Setting it freezes or unfreezes the table for every worker
        (under bsp when the clock closes); what others have set, table.info() knows."""
        return self._source.trainable and self._tracked

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        table = self._source.table
        table.unfreeze() if on else table.freeze()
        self._source.trainable = bool(on)

    def requires_grad_(self, requires_grad: bool = True) -> Weight:
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Optional[Tensor]:
        return self._source.grad

    @grad.setter
    def grad(self, value: Optional[Tensor]) -> None:
        if value is not None and not (value.is_sparse and value.shape == self.shape):
            raise TypeError(f"weight.grad is None, or a sparse tensor of the shape {tuple(self.shape)}")
        self._source.zero_grad()
        if value is not None:
            value = value.detach().to("cpu", torch.float32).coalesce()
            self._source.add(value.indices()[0], value.values().clone())

    @property
    def data(self) -> Weight:
        return Weight(self._source, self._dtype, self._device, tracked=False)

    @data.setter
    def data(self, value: Any) -> None:
        self.copy_(value)

    def detach(self) -> Weight:
        return self.data

    # ---- rows ----

    def lookup(self, ids: Tensor, device: torch.device, by_freq: bool = False) -> Tensor:
        """What a forward sees of ids, (n) int64 on the CPU: (n, dim)."""
        rows = self._source.lookup(ids, by_freq=by_freq)
        return rows.to(self._device or device, self._dtype)

    def __getitem__(self, index: Any) -> Tensor:
        ids, rest = self._ids(index)
        if ids.numel() * self._source.embedding_dim > READ_FLOATS:
            raise MemoryError(f"table {self._source.name}: {ids.numel()} rows would be "
                              f"{ids.numel() * self._source.embedding_dim * 4 / 2**30:.1f} GiB here: read "
                              "fewer at once")
        flat = ids.reshape(-1)
        get = self._source.lookup if self._tracked else self._source.rows
        rows = get(flat, stored=True)
        rows = rows.reshape(*ids.shape, self._source.embedding_dim).to(self.device, self._dtype)
        return rows[(slice(None),) * ids.dim() + rest] if rest else rows

    def __setitem__(self, index: Any, value: Any) -> None:
        ids, rest = self._ids(index)
        flat = ids.reshape(-1)
        value = torch.as_tensor(value).detach().to("cpu", torch.float32)
        if rest:  # columns: the rest of the rows stays
            rows = self._source.rows(flat, True).reshape(*ids.shape, self._source.embedding_dim)
            rows[(slice(None),) * ids.dim() + rest] = value
        else:
            rows = value.expand(*ids.shape, self._source.embedding_dim)
        self._source.table.write(flat, rows.reshape(flat.numel(), self._source.embedding_dim))

    def _ids(self, index: Any) -> Tuple[Tensor, Tuple[Any, ...]]:
        """The ids of a subscript, and what it says of columns."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        if len(rest) > 1 or not all(isinstance(i, (int, slice)) for i in rest):
            raise IndexError("a weight takes one index for its rows, and for columns a number or slice")
        n = len(self)
        if first is Ellipsis:
            first = slice(None)
        if isinstance(first, slice):
            start, stop, step = first.indices(n)
            if step < 0:
                raise ValueError("step must be greater than zero")
            if len(range(start, stop, step)) * self._source.embedding_dim > READ_FLOATS:
                raise MemoryError(f"table {self._source.name}: {len(range(start, stop, step))} rows are "
                                  "too many at once: a slice of fewer, or data.copy_ to write all")
            return torch.arange(start, max(start, stop), step), tuple(rest)
        ids = torch.as_tensor(first)
        if ids.dtype == torch.bool and tuple(ids.shape) == (n,):
            ids = ids.nonzero().squeeze(1)
        if ids.numel() == 0:
            ids = ids.long()
        if ids.dtype.is_floating_point or ids.dtype in (torch.bool, torch.complex64):
            raise IndexError(f"rows are named by integers, not {ids.dtype}")
        ids = ids.detach().to("cpu", torch.int64)
        bad = (ids < -n) | (ids >= n)
        if bad.any():
            raise IndexError(f"index {int(ids[bad].reshape(-1)[0])} is out of bounds for dimension 0 "
                             f"with size {n}")
        return torch.where(ids < 0, ids + n, ids), tuple(rest)

    def copy_(self, source: Any, non_blocking: bool = False) -> Weight:
        """Writes a whole table: (num_embeddings, embedding_dim), or what broadcasts to it."""
        rows = torch.as_tensor(source).detach().expand(self.shape)
        at_once = max(1, WRITE_FLOATS // self._source.embedding_dim)

        def stream() -> None:
            for first in range(0, len(self), at_once):
                part = rows[first:first + at_once].to("cpu", torch.float32)
                self._source.table.write(torch.arange(first, first + len(part)), part)
        together(self._source.client, stream)
        return self

    # ---- torch.nn.init: each in-place call is one to the servers ----

    def initialize(self, law: init.Initializer, seeded: bool = True) -> Weight:
        """Every row becomes the initializer's value for a seed from torch's generator."""
        seed = int(torch.randint(2**63 - 1, ())) if seeded else 0
        self._chain.clear()
        together(self._source.client, lambda: self._source.table.init(law, seed, force=True))
        return self

    def uniform_(self, a: float = 0.0, b: float = 1.0) -> Weight:
        self.initialize(init.uniform(a, b))
        self._chain.append("uniform_")
        return self

    def normal_(self, mean: float = 0.0, std: float = 1.0) -> Weight:
        return self.initialize(init.normal(mean, std))

    def fill_(self, value: float) -> Weight:
        return self.initialize(init.constant(float(value)), seeded=False)

    def zero_(self) -> Weight:
        return self.fill_(0)

    # trunc_normal_ is these five on one tensor, uniform_ first. The last knows all that there is to
    # know; in another order, or alone, none is anything that a server could do.

    def erfinv_(self) -> Weight:
        return self._link("erfinv_", "uniform_")

    def mul_(self, other: float) -> Weight:
        return self._link("mul_", "erfinv_", other)

    def add_(self, other: float) -> Weight:
        return self._link("add_", "mul_", other)

    def clamp_(self, min: float, max: float) -> Weight:
        self._link("clamp_", "add_")
        times, plus = self._chain[-3:-1]
        return self.initialize(init.trunc_normal(plus[1], times[1] / math.sqrt(2), min, max))

    def _link(self, name: str, after: str, *value: float) -> Weight:
        chain: List[Any] = self._chain
        last = chain[-1] if chain else None
        if (last[0] if isinstance(last, tuple) else last) != after:
            raise TypeError(f"{name}: the servers do not do that to the weight of table "
                            f"{self._source.name}; rows can be read and written: weight[ids]")
        chain.append((name, *value))
        return self

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        if getattr(func, "__module__", None) == "torch.nn.init":
            weight = kwargs.pop("tensor")
            if name == "constant_":
                return weight.fill_(**{"value": kwargs["val"]})
            if name == "kaiming_uniform_":
                return weight.initialize(init.kaiming_uniform(**kwargs))
            return getattr(weight, name)(**kwargs)
        raise TypeError(f"{name}: a rowhouse weight is no tensor: its rows are on servers. weight[ids] "
                        "brings some here")
