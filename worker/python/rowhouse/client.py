"""client.py - joining a job, its tables and its clocks."""
from __future__ import annotations

import ctypes as C
import os
import weakref
from typing import Any, List, Optional, Sequence, Union

from . import _lib, checkpoint, signals
from ._lib import Mode, Nonfinite, Reduce, call, choose, lib
from .batch import Batch
from .checkpoint import Checkpoint
from .errors import InvalidError
from .init import Initializer
from .optim import Optimizer
from .param import Param
from .table import Table


def _ms(seconds: float, what: str) -> int:
    """Never 0, which the library has for no time at all."""
    if not 0 < seconds <= 2e6:
        raise InvalidError(f"{what} is {seconds!r}: seconds, above 0 and at most 2000000")
    return max(1, round(seconds * 1000))


def connect(servers: Union[str, Sequence[str], None] = None, *, rank: Optional[int] = None,
            world: Optional[int] = None, mode: Optional[str] = None,
            timeout: Optional[float] = None, connect_timeout: Optional[float] = None,
            local_shards: Optional[int] = None, job: Optional[str] = None,
            checkpoint_dir: Union[str, "os.PathLike[str]", None] = None,
            observer: bool = False) -> Client:
    """Joins a job, and waits until every shard has let this worker in.

    servers: "local:" (shards inside this process; "local:4" for 4 of them), or addresses in the
    order of the shards, as a list or with commas: "tcp://host:7700,tcp://host:7701". What is None
    is taken from the environment that `rowhouse run` sets (RH_SERVERS, RH_RANK, RH_WORLD, RH_MODE,
    RH_JOB, RH_OP_TIMEOUT_MS, RH_CHECKPOINT_DIR, RH_SUCCEEDS), else: "local:" ("mpi:" under mpirun), rank 0 of 1,
    "async", no job's name, 60 seconds, no checkpoints. timeout: seconds, the deadline of every call
    that names none. connect_timeout: seconds, of this one, 60. local_shards: of "local:", 1 to 64.
    checkpoint_dir: of "local:", the folder of its checkpoints; servers have a --checkpoint-dir of
    their own. mode: "async", "ssp:3" (async, but no pull misses more than the last 3 clocks of a
    worker that is here), or "bsp". observer: only looks, is counted in no clock, and refused every change.

    ConnectionError names the addresses that nobody answers at; MismatchError says what differs."""
    cfg = _lib.new(_lib.Config)
    lib.rh_config_init(C.byref(cfg))
    _lib.check_size(cfg, "rh_config")
    if servers is not None:
        cfg.servers = (servers if isinstance(servers, str) else ",".join(servers)).encode()
    if job is not None:
        cfg.job = job.encode()
    if mode is not None:
        call(lib.rh_config_set_mode, C.byref(cfg), mode.encode())
    if checkpoint_dir is not None:
        cfg.checkpoint_dir = os.fsencode(checkpoint_dir)
    for name, number in (("rank", rank), ("world", world), ("local_shards", local_shards)):
        if number is not None:
            if not 0 <= number < 2**32:
                raise InvalidError(f"{name} is {number}: it must not be negative")
            setattr(cfg, name, number)
    if timeout is not None:
        cfg.op_timeout_ms = _ms(timeout, "timeout")
    if connect_timeout is not None:
        cfg.connect_timeout_ms = _ms(connect_timeout, "connect_timeout")
    cfg.observer = bool(observer)
    hook = signals.hook()
    cfg.interrupted = C.cast(hook, C.c_void_p) if hook is not None else None
    handle = C.c_void_p()
    try:
        call(lib.rh_connect, C.byref(cfg), C.byref(handle))
    except BaseException:
        lib.rh_close(handle)  # Ctrl-C just as it succeeded; else it is NULL
        raise
    assert handle.value is not None
    client = Client(handle.value, hook)
    client.mode = {Mode.SSP: f"ssp:{cfg.staleness}", Mode.BSP: "bsp"}.get(cfg.mode, "async")
    client.is_local, client.is_observer = cfg.servers.startswith(b"local:"), bool(observer)
    return client


def _close(handles: List[int], hook: Any) -> None:
    """hook: what the library may call until it is closed, held until then."""
    lib.rh_close(handles.pop())
    if signals.caught:
        signals.raise_caught()


class Client:
    """A worker of a job, made by connect. May be used by many threads at once, but not while one of
    them closes it. After a fork the child's calls are ValueErrors; it may connect itself. Closed by
    close, by the end of a with block, when nobody holds it or a table of it any more, and when
    Python ends."""

    mode: str  # "async", "ssp:3" (of staleness 3) or "bsp"
    is_local: bool  # its shards are private, inside this process
    is_observer: bool

    def __init__(self, handle: int, hook: Any) -> None:
        self._handles = [handle]  # empty: closed
        self._close = weakref.finalize(self, _close, self._handles, hook)
        self._newest: Optional[Checkpoint] = None
        self.rank: int = lib.rh_rank(handle)
        self.world: int = lib.rh_world(handle)
        self.shards: int = lib.rh_shards(handle)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"rank {self.rank} of {self.world}, {self.shards} shards"
        return f"<rowhouse.Client: {state}>"

    @property
    def closed(self) -> bool:
        return not self._handles

    @property
    def _handle(self) -> int:
        if not self._handles:
            raise InvalidError("this client is closed")
        return self._handles[0]

    def close(self) -> None:
        """Says goodbye: waits (up to the timeout) for what is still owed to the servers, ends the
        clock, and lets go of the tables. A second time it does nothing."""
        self._close()

    # ---- tables ----

    def table(self, name: str, num_embeddings: int, embedding_dim: int, *,
              optimizer: Optional[Optimizer] = None, init: Optional[Initializer] = None,
              seed: int = 0, padding_idx: Optional[int] = None, max_norm: Optional[float] = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, reduce: str = "sum",
              frozen: bool = False, nonfinite: str = "refuse") -> Table:
        """Opens the table of this name on every shard, and makes it where it does not exist.

        name: 1 to 64 of [A-Za-z0-9_.-]. num_embeddings: rows, 1 to 2^48, which cost memory only
        once pushed or written. embedding_dim: floats in a row, 1 to 4096. optimizer: by default
        SGD(0.01). init: by default rowhouse.init.normal(0, 1), as nn.Embedding; seed: its seed.

        padding_idx, max_norm, norm_type, scale_grad_by_freq are nn.Embedding's. The padding row
        (-1: the last) begins as zeros and learns from nobody; write and load set it. max_norm: a
        pull gives rows scaled down to it, and a push steps from there, but a pull never writes;
        norm_type is above 0, math.inf for the largest |x|. scale_grad_by_freq: gradients are
        divided by how often their id stands in the push, which is the mini-batch.

        reduce: under bsp the workers' gradients of a clock are added ("sum"), or divided by their
        number too ("mean"). frozen: the table starts frozen. nonfinite: a push with NaN or infinity
        is an error ("refuse"), or its bad rows are left out and counted ("skip").

        MismatchError: it exists with another spec, and the text names the field (another lr is no
        mismatch: it travels with the pushes). ValueError: what makes no sense, by name."""
        spec = _lib.new(_lib.TableSpec)
        if not 0 <= num_embeddings < 2**64 or not 0 <= embedding_dim < 2**32 or not 0 <= seed < 2**64:
            raise InvalidError(f"table {name}: num_embeddings {num_embeddings}, embedding_dim "
                               f"{embedding_dim}, seed {seed}: none may be negative, or so large")
        lib.rh_table_spec_init(C.byref(spec), num_embeddings, embedding_dim)
        _lib.check_size(spec, "rh_table_spec")
        spec.seed, spec.frozen = seed, bool(frozen)
        spec.reduce = choose(Reduce, reduce, "reduce")
        spec.nonfinite = choose(Nonfinite, nonfinite, "nonfinite")
        spec.scale_grad_by_freq = bool(scale_grad_by_freq)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise InvalidError(f"table {name}: padding_idx {padding_idx} must be within "
                                   f"num_embeddings, {-num_embeddings} to {num_embeddings - 1}")
            spec.padding_idx = padding_idx
        if max_norm is not None:
            if not max_norm > 0:
                raise InvalidError(f"table {name}: max_norm {max_norm!r} must be above 0, or None")
            spec.max_norm, spec.norm_type = max_norm, norm_type
        if optimizer is not None:
            spec.optimizer = optimizer._struct()
        if init is not None:
            spec.init = init._struct(spec)
        handle = C.c_void_p()
        call(lib.rh_table_open, self._handle, name.encode(), C.byref(spec), C.byref(handle))
        assert handle.value is not None
        table = Table(self, handle.value, name)
        table.lr = spec.optimizer.lr
        return table

    def find(self, name: str) -> Table:
        """Opens a table that exists already, with the spec it has. LookupError if there is none."""
        handle = C.c_void_p()
        call(lib.rh_table_find, self._handle, name.encode(), C.byref(handle))
        assert handle.value is not None
        return Table(self, handle.value, name)

    def parameter(self, name: str, shape: Sequence[int], *, optimizer: Optional[Optimizer] = None,
                  init: Optional[Initializer] = None, seed: int = 0, reduce: str = "sum",
                  frozen: bool = False, nonfinite: str = "refuse") -> Param:
        """Opens the dense parameter of this name, and makes it where it does not exist: a tensor of
        any shape (up to 8 dimensions, 2^32 floats), pulled and pushed whole.

        init: by default zeros. The rest as for table. MismatchError: it exists with another shape, or
        spec. name: with the shape behind it at most 64 characters."""
        if len(shape) > _lib.PARAM_DIMS_MAX or not all(0 < n < 2**64 for n in shape):
            raise InvalidError(f"parameter {name}: the shape is {tuple(shape)}: at most "
                               f"{_lib.PARAM_DIMS_MAX} numbers, each at least 1")
        spec = _lib.new(_lib.ParamSpec)
        lib.rh_param_spec_init(C.byref(spec), (C.c_uint64 * max(1, len(shape)))(*shape), len(shape))
        _lib.check_size(spec, "rh_param_spec")
        spec.seed, spec.frozen = seed, bool(frozen)
        spec.reduce = choose(Reduce, reduce, "reduce")
        spec.nonfinite = choose(Nonfinite, nonfinite, "nonfinite")
        if optimizer is not None:
            spec.optimizer = optimizer._struct()
        if init is not None:
            spec.init = init._struct(spec)
        handle = C.c_void_p()
        call(lib.rh_param_open, self._handle, name.encode(), C.byref(spec), C.byref(handle))
        assert handle.value is not None
        param = Param(self, handle.value, name)
        param.table.lr = spec.optimizer.lr
        return param

    def find_parameter(self, name: str) -> Param:
        """Opens one that exists already, with the shape and spec it has. LookupError if there is none."""
        handle = C.c_void_p()
        call(lib.rh_param_find, self._handle, name.encode(), C.byref(handle))
        assert handle.value is not None
        return Param(self, handle.value, name)

    def batch(self) -> Batch:
        """For several tables and parameters in one round trip."""
        return Batch(self)

    # ---- clocks ----

    @property
    def clock(self) -> int:
        """How many clocks this worker has ended."""
        return lib.rh_clock(self._handle)

    def tick(self) -> None:
        """Ends this worker's step: waits until every shard has all that was pushed in it. Under bsp
        the clock closes when every worker has called it. After a TimeoutError call it again."""
        call(lib.rh_tick, self._handle)

    def barrier(self, timeout: Optional[float] = None) -> None:
        """Waits, up to timeout seconds (None: the client's), until every worker of the job is here.
        TimeoutError names a rank that is not; calling again keeps the place."""
        call(lib.rh_barrier, self._handle, -1 if timeout is None else _ms(timeout, "timeout"))

    # ---- checkpoints: one moment of the whole job, written by the servers while training goes on ----

    def save(self, name: str) -> Checkpoint:
        """Saves the job, in place of an older checkpoint of this name, and returns when it is on the
        servers' disks: rows, optimizers' state, what is frozen, clocks, and everyone's cursor.

        It has this worker as it stands now, with all it has pushed; the others at the end of a clock
        of theirs, or in their own save. Under bsp every worker calls it, after the same tick; under
        async any may, and observers too. The timeout is for progress, not for the whole. What is
        returned is the servers' newest one: this, unless somebody has saved another since.

        name: 1 to 64 of [A-Za-z0-9._-], not beginning with a dot. ValueError: it is none, or the
        servers have no folder for checkpoints; TimeoutError names the worker that was waited for;
        OSError the step that failed. Training may go on after any of them, and what was under the
        name is still there."""
        call(lib.rh_save, self._handle, name.encode())
        saved = self.last_checkpoint()
        assert saved is not None
        return saved

    def restore(self, name: str) -> Checkpoint:
        """Puts a checkpoint in the place of everything the servers have, once all of it was read and
        found good. Calls of all other clients are RollbackErrors from then on, until they have asked for
        their cursor. This one is the worker that it was in the
        checkpoint: tables that it has open stay so if the checkpoint has them, with the same spec;
        calls of the others are LookupErrors. Then cursor says where to go on.

        LookupError: no such checkpoint; CorruptError names the file that is damaged; ValueError,
        OSError as save. Nothing has changed after any of them."""
        call(lib.rh_restore, self._handle, name.encode())
        restored = self.last_checkpoint()
        assert restored is not None
        return restored

    def last_checkpoint(self) -> Optional[Checkpoint]:
        """The newest that these servers have saved or were restored from; None: there is none. Of a
        closed client, what it has heard of last."""
        if not self.closed:
            self._newest = checkpoint.newest(self._handle)
        return self._newest

    def set_cursor(self, cursor: bytes) -> None:
        """Where this worker stands in its data, in bytes of its own (at most 65536): json, a pickle,
        the state of a random number generator. It is kept in the next checkpoint and those after it,
        until it is set again. A checkpoint may take a worker at any end of a clock: so say before
        each tick (or rowhouse.torch.step) where you will stand after it. Sends nothing.

        LimitError: it is longer; ValueError: an observer has none."""
        held = bytes(memoryview(cursor))  # to the library a str would be memory, too
        call(lib.rh_set_cursor, self._handle, held, len(held))

    def cursor(self, rank: Optional[int] = None) -> Optional[bytes]:
        """Where a worker (None: this one) stood in last_checkpoint(). None: there is none, or the
        worker had set no cursor. After a RollbackError this call brings the client back into the job;
        clock says where it then is, and tables that it has open stay so if the checkpoint has them.
        UnreachableError, TimedOutError: it could not come back; the text says for which shard, and it
        may be called again."""
        return checkpoint.cursor(self._handle, self.rank if rank is None else rank)
