"""errors.py - one exception for each status of rowhouse.h. All are rowhouse.Error; where Python or
numpy has an exception of the same meaning, they are that too. The text is rh_errmsg(): who, where,
how many."""
from __future__ import annotations

from enum import IntEnum
from typing import Dict, Type


class Status(IntEnum):
    """rh_status, without its RH_. The numbers never change."""

    OK = 0
    EINVAL = 1
    ERANGE = 2
    EMISMATCH = 3
    ENOTFOUND = 4
    ETIMEDOUT = 5
    EUNREACHABLE = 6
    EFENCED = 7
    EROLLBACK = 8
    EPROTO = 9
    EVERSION = 10
    ECORRUPT = 11
    ELIMIT = 12
    ENOMEM = 13
    EIO = 14


class Error(Exception):
    """What a call of rowhouse failed with."""

    status: Status


class InvalidError(Error, ValueError):
    """An argument makes no sense, or is not built yet; the text says which, and what is."""

    status = Status.EINVAL


class RangeError(Error, IndexError):
    """An id is not below num_embeddings, or is negative. Nothing was changed anywhere."""

    status = Status.ERANGE


class MismatchError(Error, ValueError):
    """This table, mode or world exists with other settings; the text names the field."""

    status = Status.EMISMATCH


class NotFoundError(Error, LookupError):
    """No such table, file, word or checkpoint."""

    status = Status.ENOTFOUND


class TimedOutError(Error, TimeoutError):
    """The deadline passed; the text says who was waited for. A push is still owed, and applied once."""

    status = Status.ETIMEDOUT


class UnreachableError(Error, ConnectionError):
    """Nobody answers at an address."""

    status = Status.EUNREACHABLE


class FencedError(Error):
    """Another job, or a newer client of this rank, took over."""

    status = Status.EFENCED


class RollbackError(Error):
    """The job went back to a checkpoint, because a server has died or somebody has restored one. Every call is
    this until client.cursor() was called, which brings the client back; then open your tables again, and
    train on from the cursor:

        while True:
            try:
                at = client.cursor()            # None: from the beginning
                table = client.table("words", ...)
                for step in range(int(at or 0), steps):
                    train(table, step)
                    client.set_cursor(b"%d" % (step + 1))
                    client.tick()
                break
            except rowhouse.RollbackError:
                pass

    A worker that rowhouse run starts again where it has died (RH_SUCCEEDS) begins with the same loop:
    connect has taken the job back by then, and its cursor says where it was.
    """

    status = Status.EROLLBACK


class ProtocolError(Error):
    """The other side breaks the protocol."""

    status = Status.EPROTO


class VersionError(Error):
    """The other side speaks another version of the protocol."""

    status = Status.EVERSION


class CorruptError(Error, ValueError):
    """A file is damaged; the text has the line or the byte. Nothing was changed."""

    status = Status.ECORRUPT


class LimitError(Error):
    """A limit of the configuration was reached."""

    status = Status.ELIMIT


class NoMemoryError(Error, MemoryError):
    """Out of memory, here or on a server."""

    status = Status.ENOMEM


class FailedIOError(Error, OSError):
    """A file or socket failed; the text says how."""

    status = Status.EIO


_classes: Dict[int, Type[Error]] = {c.status: c for c in Error.__subclasses__()}


def of(status: int, text: str) -> Error:
    """The exception for a status that is not OK."""
    return _classes.get(status, Error)(text)
