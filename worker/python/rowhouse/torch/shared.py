"""shared.py - the process's own client, the names of its tables, and what its workers do together."""
from __future__ import annotations

import itertools
import os
import weakref
from typing import Callable, Dict, Iterator, Optional, Tuple

from .. import client as clients
from ..client import Client
from ..errors import InvalidError

_default: Optional[Tuple[int, Client]] = None
_counters: "weakref.WeakKeyDictionary[Client, Dict[str, Iterator[int]]]" = weakref.WeakKeyDictionary()


def default_client() -> Client:
    """The client of modules that are given none: rowhouse.connect(), which asks the environment, at
    the first use. So RH_SERVERS decides, `rowhouse run` sets it, and without it tables are inside
    this process. A forked child gets one of its own."""
    global _default
    if _default is None or _default[0] != os.getpid() or _default[1].closed:
        _default = os.getpid(), clients.connect()
    return _default[1]


def name_of(client: Client, name: Optional[str], kind: str) -> str:
    """The name that was given. Without one: "embedding-0", "embedding-1" and so on, but only where
    no other process could mean another table by it."""
    if name is not None:
        return name
    if not client.is_local:
        raise InvalidError(f"{kind}: it needs a name: the workers of a job find the same table by it. "
                           "(Only with \"local:\", which nobody shares, it may be left out.)")
    counter = _counters.setdefault(client, {}).setdefault(kind, itertools.count())
    return f"{kind.lower()}-{next(counter)}"


def together(client: Client, do: Callable[[], None]) -> None:
    """All workers call it; rank 0 does it; afterwards all see it. Under bsp it ends a clock."""
    alone = client.world == 1
    if client.mode == "bsp":
        if client.rank == 0:
            do()
        client.tick()  # what is done happens when the clock closes, which the next pull waits for
        return
    if not alone:
        client.barrier()  # nobody has still to open the table, or is in a step with it
    if client.rank == 0:
        do()
    if not alone:
        client.barrier()
