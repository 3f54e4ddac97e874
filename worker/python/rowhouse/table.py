"""table.py - a table of a client: rows in and out, freezing, files."""
from __future__ import annotations

import ctypes as C
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, Optional, Sequence, Tuple

import numpy as np

from . import _lib
from ._lib import Format, call, check, lib
from .arrays import address, check_ids, floats_of, ids_of, out_of
from .bags import Bags
from .errors import InvalidError, NotFoundError, RangeError
from .files import LoadReport, load_options, path_of, text_of
from .signals import caught

if TYPE_CHECKING:
    from .client import Client
    from .init import Initializer

log = logging.getLogger("rowhouse")


@dataclass(frozen=True)
class TableInfo:
    """A table as its servers see it, added up over all shards."""

    name: str
    optimizer: str
    num_embeddings: int
    embedding_dim: int
    touched: int  # rows that were pushed or written
    frozen: int  # rows that a push does not change now
    trainable: int  # parameters (not rows) that a push may change now
    steps: int  # optimizer steps of the table
    skipped: int  # rows of pushes left out because they were not finite (nonfinite="skip")
    memory_bytes: int  # of touched rows and their optimizer state
    # Pulls that were answered (async, ssp), by how many clocks old what they saw may have been: 0, 1,
    # 2, 3, 4, 5 to 8, 9 to 16, more. One that went to several shards is counted by each.
    pulls_by_age: Tuple[int, ...]


class Table:
    """Made by client.table and client.find. May be used by many threads at once."""

    def __init__(self, client: Client, handle: int, name: str) -> None:
        self._client, self.name = client, name
        self._pointer: Optional[int] = handle
        self.lr: Optional[float] = None  # that client.table was given, or the default
        self.num_embeddings: int = lib.rh_table_num_embeddings(handle)
        self.embedding_dim: int = lib.rh_table_embedding_dim(handle)

    def __repr__(self) -> str:
        return f"rowhouse.Table({self.name!r}, {self.num_embeddings}, {self.embedding_dim})"

    @property
    def _handle(self) -> int:
        if not self._client._handles:
            raise InvalidError(f"table {self.name}: its client is closed")
        if self._pointer is None:
            raise NotFoundError(f"table {self.name} was dropped")
        return self._pointer

    def _move(self, function: Any, what: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """ids: (...), rows: (..., dim)."""
        status = function(self._handle, address(ids), ids.size, address(rows))
        if status != 0 or caught:
            with self._naming(ids, what):
                check(status)

    @contextmanager
    def _naming(self, ids: np.ndarray, what: str) -> Iterator[None]:
        """An id that the library refuses is named as the caller wrote it, at its place in ids."""
        try:
            yield
        except RangeError:
            check_ids(ids, self.num_embeddings, what, self.name)
            raise

    # ---- rows ----

    def pull(self, ids: Any, out: Optional[Any] = None) -> Any:
        """The rows of ids.

        ids: integers of any shape, as a list, array or tensor; repeats allowed. Returns float32 of
        shape (*ids.shape, embedding_dim): a new array, or out, which is filled then (a C-contiguous
        float32 array or CPU tensor of that shape). Under bsp waits until every earlier clock is
        closed. IndexError for an id out of range; TimeoutError."""
        ids = ids_of(ids, "pull")
        rows = out_of(out, (*ids.shape, self.embedding_dim), "pull")
        self._move(lib.rh_pull, "pull", ids, rows)
        return rows if out is None else out

    def read(self, ids: Any, out: Optional[Any] = None) -> Any:
        """The stored bits of the rows, as write or the optimizer left them. Else as pull."""
        ids = ids_of(ids, "read")
        rows = out_of(out, (*ids.shape, self.embedding_dim), "read")
        self._move(lib.rh_read, "read", ids, rows)
        return rows if out is None else out

    def push(self, ids: Any, grads: Any) -> None:
        """Hands in gradients: one step of the table's optimizer (async), or this worker's share of
        the clock's (bsp).

        ids: integers of any shape, grads: (*ids.shape, embedding_dim), the gradient of the loss by
        the row of each id; those of equal ids are added first. No ids are a step, too. What a
        frozen row gets is dropped. IndexError for an id out of range, ValueError for another shape
        and for NaN or infinity (unless the table skips them): then nothing was changed anywhere.
        After a TimeoutError the push is still owed, and applied once."""
        ids = ids_of(ids, "push")
        grads = floats_of(grads, (*ids.shape, self.embedding_dim), "push", "grads")
        self._move(lib.rh_push, "push", ids, grads)

    def write(self, ids: Any, rows: Any) -> None:
        """Overwrites rows, frozen ones too; of equal ids the last wins. Their optimizer state stays.

        ids: integers of any shape, rows: (*ids.shape, embedding_dim), finite. Under bsp it happens
        when the clock closes, before the pushes. IndexError, ValueError, TimeoutError as push."""
        ids = ids_of(ids, "write")
        rows = floats_of(rows, (*ids.shape, self.embedding_dim), "write", "rows")
        self._move(lib.rh_write, "write", ids, rows)

    def copy(self, ids: Any, source: Table, source_ids: Any) -> None:
        """Row ids[i] becomes row source_ids[i] of source, a table of the same client and dim, or
        this one. Of equal ids the last wins. Under bsp as write. MismatchError: another dim."""
        ids, source_ids = ids_of(ids, "copy"), ids_of(source_ids, "copy")
        if ids.size != source_ids.size:
            raise InvalidError(f"copy: {ids.size} ids from {source_ids.size}")
        if source._client is not self._client:
            raise InvalidError(f"copy: table {source.name} is of another client")
        with self._naming(ids, "copy"), source._naming(source_ids, "copy"):
            call(lib.rh_copy, self._handle, address(ids), source._handle,
                 address(source_ids), ids.size)

    # ---- bags ----

    def pull_bags(self, ids: Any, offsets: Optional[Any] = None, *, mode: str = "mean",
                  per_sample_weights: Optional[Any] = None, include_last_offset: bool = False,
                  return_rows: bool = False) -> Any:
        """As torch.nn.EmbeddingBag: the rows of each bag, pooled. An empty bag is zeros, and the
        padding row takes no part.

        ids: (n), with offsets the place where each bag begins (and where the last ends, with
        include_last_offset); or (bags, each) without offsets. mode: "sum", "mean" or "max".
        per_sample_weights: of the shape of ids, for "sum". Returns float32 (bags, embedding_dim);
        with return_rows also the rows, (*ids.shape, embedding_dim), for push_bags."""
        bags = Bags("pull_bags", ids, offsets, mode, per_sample_weights, include_last_offset)
        out = np.empty((bags.count, self.embedding_dim), np.float32)
        rows = np.empty((*bags.ids.shape, self.embedding_dim), np.float32) if return_rows else None
        with self._naming(bags.ids, "pull_bags"):
            call(lib.rh_pull_bags, self._handle, C.byref(bags.struct), address(out),
                 None if rows is None else address(rows))
        return out if rows is None else (out, rows)

    def push_bags(self, ids: Any, offsets: Optional[Any], grads: Any, *, mode: str = "mean",
                  per_sample_weights: Optional[Any] = None, include_last_offset: bool = False,
                  rows: Optional[Any] = None) -> Optional[np.ndarray]:
        """One push of the gradients of bags, spread over their rows. ids to include_last_offset:
        as for pull_bags. grads: (bags, embedding_dim). rows: as pull_bags gave them; "max" needs
        them. Returns the gradient by per_sample_weights, where they and rows are given."""
        dim = self.embedding_dim
        bags = Bags("push_bags", ids, offsets, mode, per_sample_weights, include_last_offset)
        grads = floats_of(grads, (bags.count, dim), "push_bags", "grads", f"{bags.count} bags")
        held, where = bags.rows(rows, dim, "push_bags")
        d_weights = None
        if held is not None and bags.weights is not None:
            d_weights = np.empty(bags.ids.shape, np.float32)
        with self._naming(bags.ids, "push_bags"):
            call(lib.rh_push_bags, self._handle, C.byref(bags.struct), address(grads), where,
                 None if d_weights is None else address(d_weights))
        return d_weights

    # ---- the table as a whole ----

    def init(self, init: Initializer, seed: int = 0, *, force: bool = False) -> None:
        """As torch.nn.init.*_(emb.weight), for all workers: every row becomes the initializer's
        value for the seed; optimizer state and freezing stay. The padding row becomes zeros. A
        table that has touched rows or steps wants force. Under bsp when the clock closes."""
        if not 0 <= seed < 2**64:
            raise InvalidError(f"init: table {self.name}: seed {seed} must be 0 to 2^64 - 1")
        spec = _lib.new(_lib.TableSpec)
        lib.rh_table_spec_init(C.byref(spec), self.num_embeddings, self.embedding_dim)
        call(lib.rh_table_init, self._handle, init._struct(spec), seed, bool(force))

    def reset(self) -> None:
        """Every row is as if it had never been touched; no optimizer state; no steps; frozen only
        if the table was made so. For all workers; under bsp when the clock closes."""
        call(lib.rh_table_reset, self._handle)

    def drop(self) -> None:
        """Removes the table from every shard; its name is free at once (bsp: when the clock
        closes). Its later calls, and those of other workers, are LookupErrors."""
        handle = C.c_void_p(self._handle)
        try:
            call(lib.rh_table_drop, C.byref(handle))
        finally:
            self._pointer = handle.value

    # ---- freezing, learning rate ----

    def freeze(self, first: int = 0, count: Optional[int] = None, until_clock: int = 0) -> None:
        """From now on drops what is pushed to rows first .. first + count - 1 (by default all from
        first on), whoever pushes: for ever (until_clock 0), or in clocks below until_clock. What
        was said last about a row holds. Under bsp when the clock closes, before its pushes."""
        call(lib.rh_freeze, self._handle, *self._range(first, count, "freeze"), until_clock)

    def unfreeze(self, first: int = 0, count: Optional[int] = None) -> None:
        """Undoes it for these rows, whether freeze or freeze_ids did it."""
        call(lib.rh_unfreeze, self._handle, *self._range(first, count, "unfreeze"))

    def freeze_ids(self, ids: Any, until_clock: int = 0) -> None:
        """As freeze, for the rows of a list. IndexError for an id out of range."""
        ids = ids_of(ids, "freeze_ids")
        with self._naming(ids, "freeze_ids"):
            call(lib.rh_freeze_ids, self._handle, address(ids), ids.size, until_clock)

    def unfreeze_ids(self, ids: Any) -> None:
        """As unfreeze, for the rows of a list. IndexError for an id out of range."""
        ids = ids_of(ids, "unfreeze_ids")
        with self._naming(ids, "unfreeze_ids"):
            call(lib.rh_unfreeze_ids, self._handle, address(ids), ids.size)

    def _range(self, first: int, count: Optional[int], what: str) -> "tuple[int, int]":
        rows = self.num_embeddings
        if not 0 <= first < rows or (count is not None and not 0 <= count <= rows - first):
            raise RangeError(f"{what}: {'rows' if count is None else f'{count} rows'} from {first} on: "
                             f"table {self.name} has rows 0 to {rows - 1}")
        return first, rows - first if count is None else count

    def set_lr(self, lr: float) -> None:
        """The learning rate of this worker's next pushes (async), or of its clock (bsp: the lowest
        rank that pushed decides). Finite, not negative."""
        call(lib.rh_set_lr, self._handle, lr)

    # ---- what is there, files ----

    def info(self) -> TableInfo:
        """Asks all shards."""
        got = _lib.new(_lib.TableInfo)
        call(lib.rh_table_info, self._handle, C.byref(got))
        values = {name: getattr(got, name) for name, _ in got._fields_}
        values["pulls_by_age"] = tuple(got.pulls_by_age)
        return TableInfo(**{k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()})

    def load(self, path: Any, *, freeze: bool = True, format: Any = None, vocab: Any = None,
             tensor: Optional[str] = None, source: Optional[str] = None) -> LoadReport:
        """Fills rows from a file, and freezes the table, as nn.Embedding.from_pretrained does,
        unless freeze is False.

        format: "npy", "w2v", "safetensors", "w2v_bin", "glove", "fasttext"; None: told by the
        file's content. Without vocab the file's row i becomes row i, and it may not have more rows
        than the table; with it (a file with a word a line, or word<TAB>row) it is the row of the
        word. tensor: which one of a safetensors file; None: the only one of two dimensions.
        source: who reads it. None, "client": this process, at any path of its own. "shard": every
        server by itself, beneath its --data-dir, and keeps its own rows; vocab is such a file, too.
        Over "local:" that is any path of this process. Bits and report are the same.

        The file is checked whole first: a bad one changes nothing. LookupError: no such file;
        CorruptError: damaged, with the line or byte; MismatchError: of another dim, or too long."""
        options, report = load_options(format, vocab, tensor, source), _lib.new(_lib.LoadReport)
        options.freeze = bool(freeze)
        call(lib.rh_load, self._handle, path_of(path), C.byref(options), C.byref(report))
        if freeze:
            log.info("table %s is frozen: load(..., freeze=False) leaves it trainable", self.name)
        values = {name: getattr(report, name) for name in LoadReport.__annotations__}
        values["format"] = Format(report.format).name.lower()
        return LoadReport(**{k: v.decode(errors="replace") if isinstance(v, bytes) else v
                             for k, v in values.items()})

    def export(self, path: Any, *, ids: Optional[Any] = None, format: Any = None,
               words: Optional[Sequence[str]] = None, vocab: Any = None,
               tensor: Optional[str] = None) -> None:
        """Saves rows to a file that appears whole or not at all.

        ids: which rows, in this order; None: all. format: as for load; None: by the path (.npy,
        .safetensors, .bin for word2vec binary, else word2vec text). words: a name for each of them,
        for formats with words; None: those of vocab, a file as for load, or the ids in figures.
        tensor: the name in a safetensors file; None: the table's. OSError names what failed."""
        options = _lib.new(_lib.ExportOptions)
        options.size = C.sizeof(options)
        options.format = _lib.choose(Format, "auto" if format is None else format, "format")
        options.vocab, options.tensor = path_of(vocab), text_of(tensor)
        rows = self.num_embeddings
        if ids is not None:
            chosen = ids_of(ids, "export").reshape(-1)
            check_ids(chosen, rows, "export", self.name)
            options.n, options.ids, rows = chosen.size, address(chosen), chosen.size
        if words is not None:
            if len(words) != rows:
                raise InvalidError(f"export: {len(words)} words for {rows} rows")
            options.n = rows
            options.words = (C.c_char_p * rows)(*(word.encode() for word in words))
        call(lib.rh_export, self._handle, path_of(path), C.byref(options))
