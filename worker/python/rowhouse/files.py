"""files.py - files of vectors: what they hold, and what loading one has done."""
from __future__ import annotations

import ctypes as C
import os
from dataclasses import dataclass
from typing import Any, Optional

from . import _lib
from ._lib import Format, call, lib


@dataclass(frozen=True)
class LoadReport:
    """What table.load did. The firsts are the first few, "the, of, and, ...": words, or rows in
    figures where there are none."""

    matched: int  # rows written
    missed: int  # rows of the table (with a vocabulary: its words) that the file has no line for
    duplicated: int  # with a vocabulary: rows whose word had come before; the first counts
    unused: int  # with a vocabulary: rows whose word it does not have
    format: str  # what the file was: "npy", "w2v", ...
    about: str  # in words: "x.txt: GloVe text, 400000 x 300, no header"
    first_matched: str
    first_missed: str
    first_duplicated: str


@dataclass(frozen=True)
class FileInfo:
    """How large a table a file wants."""

    rows: int  # the file's, or with a vocabulary one more than the largest row it names
    embedding_dim: int
    format: str  # "npy", "w2v", ...
    about: str  # as in LoadReport


def path_of(path: Optional[Any]) -> Optional[bytes]:
    return None if path is None else os.fsencode(path)


def text_of(value: Optional[str]) -> Optional[bytes]:
    return None if value is None else value.encode()


def load_options(format: Any, vocab: Any, tensor: Optional[str], source: Optional[str]) -> Any:
    options = _lib.new(_lib.LoadOptions)
    options.size = C.sizeof(options)
    options.format = _lib.choose(Format, "auto" if format is None else format, "format")
    options.vocab, options.tensor = path_of(vocab), text_of(tensor)
    options.source = _lib.choose(_lib.Source, "auto" if source is None else source, "source")
    return options


def about(path: Any, *, format: Any = None, vocab: Any = None, tensor: Optional[str] = None,
          source: Optional[str] = None) -> FileInfo:
    """What a file of vectors holds, by its header, or, where it has none, by its lines; before there
    is a client or a table. Arguments and errors as those of table.load. A file of the servers
    (source "shard") cannot be seen from here."""
    options, got = load_options(format, vocab, tensor, source), _lib.new(_lib.FileInfo)
    call(lib.rh_file_about, path_of(path), C.byref(options), C.byref(got))
    return FileInfo(got.rows, got.embedding_dim, Format(got.format).name.lower(),
                    got.about.decode(errors="replace"))
