"""batch.py - pushes to and pulls from several tables and parameters in one round trip."""
from __future__ import annotations

import ctypes as C
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple

import numpy as np

from . import arrays
from ._lib import call, lib
from .errors import RangeError

if TYPE_CHECKING:
    from .client import Client
    from .param import Param
    from .table import Table


class Batch:
    """Made by client.batch(). Filled by one thread at a time.

        batch = client.batch()
        user_rows, item_rows = batch.pull(users, [1, 2]), batch.pull(items, [7])
        batch.run()                                     # the rows are there from here on
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._items: List[Callable[[C.c_void_p], None]] = []  # each holds the arrays that it is about
        self._ids: List[Tuple[str, Table, np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._items)

    def _add(self, function: Any, what: str, table: Table, ids: np.ndarray, rows: np.ndarray) -> None:
        self._ids.append((what, table, ids))
        self._items.append(lambda handle: call(function, handle, table._handle, arrays.address(ids),
                                               ids.size, arrays.address(rows)))

    def pull(self, table: Table, ids: Any, out: Optional[Any] = None) -> Any:
        """As table.pull, but the rows are there only after run. The pushes of the batch come first."""
        ids = arrays.ids_of(ids, "pull")
        rows = arrays.out_of(out, (*ids.shape, table.embedding_dim), "pull")
        self._add(lib.rh_batch_pull, "pull", table, ids, rows)
        return rows if out is None else out

    def push(self, table: Table, ids: Any, grads: Any) -> None:
        """As table.push, once run is called. Arrays of the right type are read only then."""
        ids = arrays.ids_of(ids, "push")
        grads = arrays.floats_of(grads, (*ids.shape, table.embedding_dim), "push", "grads")
        self._add(lib.rh_batch_push, "push", table, ids, grads)

    def pull_param(self, param: Param, out: Optional[Any] = None) -> Any:
        """As param.pull, but it is there only after run."""
        values = arrays.out_of(out, param.shape, "pull")
        self._items.append(lambda handle: call(lib.rh_batch_pull_param, handle, param._handle,
                                               arrays.address(values)))
        return values if out is None else out

    def push_param(self, param: Param, grads: Any) -> None:
        """As param.push, once run is called."""
        values = param.floats(grads, "push")
        self._items.append(lambda handle: call(lib.rh_batch_push_param, handle, param._handle,
                                               arrays.address(values)))

    def run(self) -> None:
        """Does all of it, and empties the batch, also where it fails. What one table's call would be
        refused for refuses all of it: then nothing was changed anywhere."""
        items, ids_of, self._items, self._ids = self._items, self._ids, [], []
        handle = C.c_void_p()
        call(lib.rh_batch_new, self._client._handle, C.byref(handle))
        try:
            for add in items:
                add(handle)
            call(lib.rh_batch_run, handle)
        except RangeError:
            for what, table, ids in ids_of:
                arrays.check_ids(ids, table.num_embeddings, what, table.name)
            raise
        finally:
            lib.rh_batch_free(C.byref(handle))
