"""batch.py - pushes to and pulls from several tables in one round trip."""
from __future__ import annotations

import ctypes as C
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

import numpy as np

from . import arrays
from ._lib import call, lib
from .errors import RangeError

if TYPE_CHECKING:
    from .client import Client
    from .table import Table


class Batch:
    """Made by client.batch(). Filled by one thread at a time.

        batch = client.batch()
        user_rows, item_rows = batch.pull(users, [1, 2]), batch.pull(items, [7])
        batch.run()                                     # the rows are there from here on
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._items: List[Tuple[Any, str, Table, np.ndarray, np.ndarray]] = []

    def pull(self, table: Table, ids: Any, out: Optional[Any] = None) -> Any:
        """As table.pull, but the rows are there only after run. A table's pushes in the batch come
        first."""
        ids = arrays.ids_of(ids, "pull")
        rows = arrays.out_of(out, (*ids.shape, table.embedding_dim), "pull")
        self._items.append((lib.rh_batch_pull, "pull", table, ids, rows))
        return rows if out is None else out

    def push(self, table: Table, ids: Any, grads: Any) -> None:
        """As table.push, once run is called. Arrays of the right type are read only then."""
        ids = arrays.ids_of(ids, "push")
        grads = arrays.floats_of(grads, (*ids.shape, table.embedding_dim), "push", "grads")
        self._items.append((lib.rh_batch_push, "push", table, ids, grads))

    def run(self) -> None:
        """Does all of it, and empties the batch, also where it fails. What one table's call would be
        refused for refuses all of it: then nothing was changed anywhere."""
        items, self._items = self._items, []
        handle = C.c_void_p()
        call(lib.rh_batch_new, self._client._handle, C.byref(handle))
        try:
            for function, _, table, ids, rows in items:
                call(function, handle, table._handle, arrays.address(ids), ids.size,
                     arrays.address(rows))
            call(lib.rh_batch_run, handle)
        except RangeError:
            for _, what, table, ids, _ in items:
                arrays.check_ids(ids, table.num_embeddings, what, table.name)
            raise
        finally:
            lib.rh_batch_free(C.byref(handle))
