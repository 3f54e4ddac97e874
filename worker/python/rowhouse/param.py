"""param.py - dense parameters: named tensors of any shape, pulled and pushed whole."""
from __future__ import annotations

import ctypes as C
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np

from . import arrays
from ._lib import call, lib
from .errors import InvalidError
from .table import Table

if TYPE_CHECKING:
    from .client import Client


class Param:
    """Made by client.parameter. table: the table that keeps it, for freezing, set_lr, info and files;
    its rows are pieces of the tensor."""

    def __init__(self, client: Client, handle: int, name: str) -> None:
        self._client, self._pointer, self.name = client, handle, name
        ndim = C.c_uint32()
        shape = lib.rh_param_shape(handle, C.byref(ndim))
        self.shape: Tuple[int, ...] = tuple(shape[i] for i in range(ndim.value))
        hidden = "x".join(map(str, self.shape)) or "scalar"
        self.table = Table(client, lib.rh_param_table(handle), f"{name}-{hidden}")

    def __repr__(self) -> str:
        return f"rowhouse.Param({self.name!r}, {self.shape})"

    @property
    def _handle(self) -> int:
        if self._client.closed:
            raise InvalidError(f"parameter {self.name}: its client is closed")
        return self._pointer

    def floats(self, given: Any, what: str) -> np.ndarray:
        values = arrays.as_array(given)
        if values.shape != self.shape:
            raise InvalidError(f"{what}: the shape is {values.shape}, but parameter {self.name} has "
                               f"{self.shape}")
        return np.ascontiguousarray(values, np.float32)

    def pull(self, out: Optional[Any] = None) -> Any:
        """The tensor: a new float32 array, or out, C-contiguous float32 of its shape, which is filled."""
        values = arrays.out_of(out, self.shape, "pull")
        call(lib.rh_param_pull, self._handle, arrays.address(values))
        return values if out is None else out

    def push(self, grads: Any) -> None:
        """Hands in the gradient of the whole tensor: one step (async), or a share of it (bsp)."""
        grads = self.floats(grads, "push")
        call(lib.rh_param_push, self._handle, arrays.address(grads))

    def write(self, values: Any) -> None:
        """Overwrites it. Under bsp when the clock closes."""
        values = self.floats(values, "write")
        call(lib.rh_param_write, self._handle, arrays.address(values))
