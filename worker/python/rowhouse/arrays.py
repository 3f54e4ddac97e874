"""arrays.py - what a caller hands in, as the memory that the library reads and writes. Nothing is
copied where the layout allows: ids that are C-contiguous int64 or uint64, rows that are C-contiguous
float32. torch's CPU tensors are such arrays too; torch is not imported for that."""
from __future__ import annotations

from ctypes import addressof, c_char
from typing import Any, Tuple

import numpy as np

from .errors import InvalidError, RangeError

FLOAT32 = np.dtype(np.float32)
ID_TYPES = np.dtype(np.int64), np.dtype(np.uint64)

# What stands in the way of every pull and push has few steps: it runs when the processor's caches are
# full of rows, and every step is memory that has to come back first.
_from_buffer: Any = c_char.from_buffer


def as_array(given: Any) -> np.ndarray:
    """An array of a list, a number, an array, or a tensor of any device that may need a gradient."""
    if hasattr(given, "detach") and hasattr(given, "cpu"):
        plain = given.device.type == "cpu" and not given.requires_grad
        return given.numpy() if plain else given.detach().cpu().numpy()
    return np.asarray(given)


def ids_of(given: Any, what: str) -> np.ndarray:
    """ids of any shape, as C-contiguous int64 or uint64. To the library a negative one is a huge
    one, which it refuses: so looking for them costs no pass here, and check_ids says what it was."""
    ids = given if type(given) is np.ndarray else as_array(given)
    if ids.dtype in ID_TYPES:
        return ids if ids.flags.c_contiguous else ids.copy()
    if ids.dtype.kind in "iu":
        return ids.astype(np.uint64 if ids.dtype.kind == "u" else np.int64, order="C")
    if ids.size == 0:
        return np.empty(ids.shape, np.uint64)  # of no type that tells: [] is an array of floats
    if isinstance(given, (list, tuple, int)) and ids.dtype.kind in "Of":
        # Python ints that no 64 bits hold, or that no one type does.
        for value in np.array(given, dtype=object).reshape(-1):
            if isinstance(value, int) and not 0 <= value < 2**63:
                raise RangeError(f"{what}: id {value} is out of range")
    raise TypeError(f"{what}: ids must be integers, not {ids.dtype}")


def check_ids(ids: np.ndarray, num_embeddings: int, what: str, table: str) -> None:
    """Raises for the first id that is out of range."""
    bad = np.argwhere((ids < 0) | (ids >= num_embeddings))
    if len(bad) == 0:
        return
    place = tuple(int(i) for i in bad[0])
    where = f" at position {place[0] if len(place) == 1 else place}" if place else ""
    value = int(ids[place])
    why = "is negative" if value < 0 else "is out of range"
    raise RangeError(f"{what}: id {value}{where} {why}: table {table} has ids 0 to "
                     f"{num_embeddings - 1}")


def floats_of(given: Any, shape: Tuple[int, ...], what: str, name: str,
              of: str = "these ids") -> np.ndarray:
    """Numbers of this shape as C-contiguous float32; those of other types are converted."""
    values = given if type(given) is np.ndarray else as_array(given)
    if values.dtype is FLOAT32 and values.shape == shape and values.flags.c_contiguous:
        return values
    if values.dtype.kind not in "fiu":
        raise TypeError(f"{what}: {name} must be floats, not {values.dtype}")
    if values.shape != shape:
        raise InvalidError(f"{what}: {name} has the shape {values.shape}, but {of} want {shape}")
    return np.ascontiguousarray(values, FLOAT32).reshape(shape)


def out_of(given: Any, shape: Tuple[int, ...], what: str) -> np.ndarray:
    """Where rows are to be put: the caller's own array or CPU tensor, as it is, or a new one."""
    if given is None:
        return np.empty(shape, FLOAT32)
    out = given if isinstance(given, np.ndarray) else given.numpy()
    if out.dtype is FLOAT32 and out.shape == shape and out.flags.carray:
        return out
    if out.shape != shape:
        raise InvalidError(f"{what}: out has the shape {out.shape}, but these ids want {shape}")
    if out.dtype != FLOAT32 or not out.flags.c_contiguous or not out.flags.writeable:
        raise InvalidError(f"{what}: out must be C-contiguous, writeable float32; it is {out.dtype}, "
                           f"strides {out.strides}")
    return out


def address(array: np.ndarray) -> int:
    """Of its first element."""
    try:
        return addressof(_from_buffer(array))  # a third of what the dict below costs
    except (TypeError, ValueError):  # read-only, or empty
        return array.__array_interface__["data"][0]
