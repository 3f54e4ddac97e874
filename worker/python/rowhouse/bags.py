"""bags.py - torch.nn.EmbeddingBag's arguments as the rh_bags that the library takes."""
from __future__ import annotations

import ctypes as C
from typing import Any, Optional, Tuple

import numpy as np

from . import _lib, arrays
from .errors import InvalidError


class Bags:
    """ids and offsets of one call, with the arrays that the struct points to.

    ids: (n) with offsets, the places in ids where the bags begin; or (bags, each) without."""

    def __init__(self, what: str, ids: Any, offsets: Optional[Any], mode: str,
                 per_sample_weights: Optional[Any], include_last_offset: bool) -> None:
        self.ids = arrays.ids_of(ids, what)
        if self.ids.ndim != (2 if offsets is None else 1):
            raise InvalidError(f"{what}: ids have the shape {self.ids.shape}: without offsets they "
                               "want two dimensions, with them one")
        self.offsets = None if offsets is None else arrays.ids_of(offsets, f"{what}: offsets")
        if self.offsets is not None and self.offsets.ndim != 1:
            raise InvalidError(f"{what}: offsets have the shape {self.offsets.shape}: they want one "
                               "dimension")
        self.weights = None if per_sample_weights is None else arrays.floats_of(
            per_sample_weights, self.ids.shape, what, "per_sample_weights")
        self.count = self._count(what, include_last_offset)
        self.struct = _lib.new(_lib.Bags)
        _lib.lib.rh_bags_init(C.byref(self.struct), arrays.address(self.ids), self.ids.size,
                              None if self.offsets is None else arrays.address(self.offsets), self.count)
        _lib.check_size(self.struct, "rh_bags")
        self.struct.mode = _lib.choose(_lib.BagMode, mode, "mode")
        self.struct.include_last_offset = bool(include_last_offset)
        if self.weights is not None:
            self.struct.per_sample_weights = arrays.address(self.weights)

    def _count(self, what: str, include_last_offset: bool) -> int:
        if self.offsets is None:
            return self.ids.shape[0]
        if include_last_offset and self.offsets.size == 0:
            raise InvalidError(f"{what}: include_last_offset wants at least one offset")
        return self.offsets.size - bool(include_last_offset)

    def rows(self, given: Optional[Any], dim: int, what: str) -> Tuple[Optional[np.ndarray], Optional[int]]:
        """(*ids.shape, dim) as pull_bags gave them, and their address; or None twice."""
        if given is None:
            return None, None
        rows = arrays.floats_of(given, (*self.ids.shape, dim), what, "rows")
        return rows, arrays.address(rows)
