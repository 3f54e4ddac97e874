"""checkpoint.py - what the servers say of their checkpoints. client.py has the calls."""
from __future__ import annotations

import ctypes as C
from dataclasses import dataclass
from typing import Optional

from . import _lib
from ._lib import call, lib
from .errors import NotFoundError


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a whole job, on the servers' disks."""

    name: str
    generation: int  # the job's checkpoints have rising ones, also where they replace one of their name
    clock: int  # under bsp the clock it stands at; async: 0


def newest(handle: int) -> Optional[Checkpoint]:
    """Of the client with this handle."""
    got = _lib.new(_lib.CheckpointInfo)
    got.size = C.sizeof(got)
    try:
        call(lib.rh_last_checkpoint, handle, C.byref(got))
    except NotFoundError:
        return None
    return Checkpoint(got.name.decode(), got.generation, got.clock)


def cursor(handle: int, rank: int) -> Optional[bytes]:
    room, size = C.create_string_buffer(_lib.CURSOR_MAX), C.c_size_t(_lib.CURSOR_MAX)
    try:
        call(lib.rh_cursor, handle, rank, room, C.byref(size))
    except NotFoundError:
        return None
    return room.raw[:size.value]
