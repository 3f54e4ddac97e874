"""rowhouse - embedding tables that outgrow one machine, as torch.nn.Embedding would have them.

    import rowhouse

    with rowhouse.connect("local:") as client:
        words = client.table("words", 1000000, 64, optimizer=rowhouse.SparseAdam(lr=0.001))
        for ids in batches:                      # integers of any shape
            rows = words.pull(ids)               # float32, (*ids.shape, 64)
            ... grads of the same shape ...
            words.push(ids, grads)
            client.tick()

connect() without an address takes it from the environment that `rowhouse run` sets. Errors are
subclasses of rowhouse.Error, and of Python's own where there is one: IndexError for an id that is out
of range, TimeoutError, LookupError, ValueError.

The library is found by RH_LIBRARY, then in the build tree that this package lies in, then where the
system looks. Needs numpy."""
from . import init
from ._lib import lib as _library
from .batch import Batch
from .checkpoint import Checkpoint
from .client import Client, connect
from .errors import (CorruptError, Error, FailedIOError, FencedError, InvalidError, LimitError,
                     MismatchError, NoMemoryError, NotFoundError, ProtocolError, RangeError,
                     RollbackError, Status, TimedOutError, UnreachableError, VersionError)
from .files import FileInfo, LoadReport
from .files import about as file_about
from .optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, RowWiseAdagrad, SparseAdam
from .param import Param
from .table import Table, TableInfo

__version__: str = _library.rh_version().decode()

__all__ = [
    "connect", "Client", "Batch", "Checkpoint", "Param", "Table", "TableInfo", "LoadReport", "FileInfo", "file_about", "init",
    "Optimizer", "SGD", "Adagrad", "RowWiseAdagrad", "SparseAdam", "Adam", "AdamW", "RMSprop",
    "Error", "Status", "InvalidError", "RangeError", "MismatchError", "NotFoundError",
    "TimedOutError", "UnreachableError", "FencedError", "RollbackError", "ProtocolError",
    "VersionError", "CorruptError", "LimitError", "NoMemoryError", "FailedIOError",
]
