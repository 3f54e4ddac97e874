"""_lib.py - librowhouse.so through ctypes: where it is found, and its structs, enums and functions as
rowhouse.h has them. tests/python holds every number in here against the header. Calls release the
GIL; nothing is compiled."""
from __future__ import annotations

import ctypes as C
import os
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any, Type, TypeVar

from . import errors, signals
from .signals import caught

ABI = "0.1"  # the major and minor version of the header that this file follows


# ---- enums, by the names of rowhouse.h without their prefix ----


class Mode(IntEnum):
    DEFAULT = 0
    ASYNC = 1
    SSP = 2
    BSP = 3


class OptimizerFlag(IntFlag):
    NESTEROV = 1
    CENTERED = 2
    STEPS_PER_ROW = 4
    AMSGRAD = 8
    MAXIMIZE = 16


class Reduce(IntEnum):
    SUM = 0
    MEAN = 1


class Nonfinite(IntEnum):
    REFUSE = 0
    SKIP = 1


class Fan(IntEnum):
    FAN_IN = 0
    FAN_OUT = 1


class Nonlinearity(IntEnum):
    LINEAR = 0
    SIGMOID = 1
    TANH = 2
    RELU = 3
    LEAKY_RELU = 4
    SELU = 5


class BagMode(IntEnum):
    SUM = 0
    MEAN = 1
    MAX = 2


NO_PADDING = -(2**63)


class Format(IntEnum):
    AUTO = 0
    NPY = 1
    W2V = 2
    SAFETENSORS = 3
    W2V_BIN = 4
    GLOVE = 5
    FASTTEXT = 6


class Source(IntEnum):
    AUTO = 0
    CLIENT = 1
    SHARD = 2


# ---- structs ----


class Config(C.Structure):
    _fields_ = [("size", C.c_uint32), ("rank", C.c_uint32), ("world", C.c_uint32),
                ("mode", C.c_int), ("staleness", C.c_uint32), ("op_timeout_ms", C.c_int),
                ("connect_timeout_ms", C.c_int), ("local_shards", C.c_uint32),
                ("succeeds", C.c_uint32), ("observer", C.c_int), ("servers", C.c_char_p), ("job", C.c_char_p),
                ("checkpoint_dir", C.c_char_p), ("interrupted", C.c_void_p), ("interrupted_arg", C.c_void_p)]


class Optimizer(C.Structure):
    _fields_ = [("kind", C.c_uint32), ("flags", C.c_uint32), ("lr", C.c_double),
                ("arg", C.c_double * 6)]


class Init(C.Structure):
    _fields_ = [("kind", C.c_uint32), ("reserved", C.c_uint32), ("arg", C.c_double * 4)]


class TableSpec(C.Structure):
    _fields_ = [("size", C.c_uint32), ("embedding_dim", C.c_uint32),
                ("num_embeddings", C.c_uint64), ("seed", C.c_uint64), ("init", Init),
                ("optimizer", Optimizer), ("reduce", C.c_int), ("frozen", C.c_uint32),
                ("nonfinite", C.c_int), ("scale_grad_by_freq", C.c_uint32),
                ("padding_idx", C.c_int64), ("max_norm", C.c_double), ("norm_type", C.c_double)]


PARAM_DIMS_MAX = 8


class ParamSpec(C.Structure):
    _fields_ = [("size", C.c_uint32), ("ndim", C.c_uint32), ("shape", C.c_uint64 * PARAM_DIMS_MAX),
                ("seed", C.c_uint64), ("init", Init), ("optimizer", Optimizer), ("reduce", C.c_int),
                ("frozen", C.c_uint32), ("nonfinite", C.c_int)]


class TableInfo(C.Structure):
    _fields_ = [("num_embeddings", C.c_uint64), ("touched", C.c_uint64), ("frozen", C.c_uint64),
                ("trainable", C.c_uint64), ("steps", C.c_uint64), ("skipped", C.c_uint64),
                ("memory_bytes", C.c_uint64), ("pulls_by_age", C.c_uint64 * 8),
                ("embedding_dim", C.c_uint32),
                ("name", C.c_char * 65), ("optimizer", C.c_char * 24)]


class LoadOptions(C.Structure):
    _fields_ = [("size", C.c_uint32), ("format", C.c_int), ("vocab", C.c_char_p),
                ("tensor", C.c_char_p), ("source", C.c_int), ("freeze", C.c_uint32),
                ("progress", C.c_void_p), ("progress_arg", C.c_void_p)]


class LoadReport(C.Structure):
    _fields_ = [("matched", C.c_uint64), ("missed", C.c_uint64), ("format", C.c_int),
                ("duplicated", C.c_uint64), ("unused", C.c_uint64), ("about", C.c_char * 256),
                ("first_matched", C.c_char * 128), ("first_missed", C.c_char * 128),
                ("first_duplicated", C.c_char * 128)]


class FileInfo(C.Structure):
    _fields_ = [("rows", C.c_uint64), ("embedding_dim", C.c_uint32), ("format", C.c_int),
                ("about", C.c_char * 256)]


class ExportOptions(C.Structure):
    _fields_ = [("size", C.c_uint32), ("format", C.c_int), ("n", C.c_uint64), ("ids", C.c_void_p),
                ("words", C.POINTER(C.c_char_p)), ("vocab", C.c_char_p), ("tensor", C.c_char_p),
                ("progress", C.c_void_p), ("progress_arg", C.c_void_p)]


class Bags(C.Structure):
    _fields_ = [("size", C.c_uint32), ("mode", C.c_int), ("ids", C.c_void_p), ("n", C.c_size_t),
                ("offsets", C.c_void_p), ("n_bags", C.c_size_t), ("include_last_offset", C.c_int),
                ("per_sample_weights", C.c_void_p)]


CURSOR_MAX = 65536


class CheckpointInfo(C.Structure):
    _fields_ = [("size", C.c_uint32), ("reserved", C.c_uint32), ("generation", C.c_uint64),
                ("clock", C.c_uint64), ("name", C.c_char * 65)]


# ---- functions: what they return, then what they take ----

_out = C.POINTER(C.c_void_p)
_rows = (C.c_int, C.c_void_p, C.c_void_p, C.c_size_t, C.c_void_p)
_f64, _u32, _u64, _ptr, _str = C.c_double, C.c_uint32, C.c_uint64, C.c_void_p, C.c_char_p
_spec, _param = C.POINTER(TableSpec), C.POINTER(ParamSpec)

FUNCTIONS = {
    "rh_strstatus": (_str, C.c_int),
    "rh_errmsg": (_str,),
    "rh_version": (_str,),
    "rh_config_init": (None, C.POINTER(Config)),
    "rh_config_set_mode": (C.c_int, C.POINTER(Config), C.c_char_p),
    "rh_connect": (C.c_int, C.POINTER(Config), _out),
    "rh_close": (None, _ptr),
    "rh_sgd_with": (Optimizer, _f64, _f64, _f64, _f64, _u32),
    "rh_sparse_adam_with": (Optimizer, _f64, _f64, _f64, _f64, _u32),
    "rh_adagrad_with": (Optimizer, _f64, _f64, _f64, _f64, _f64, _u32),
    "rh_rowwise_adagrad_with": (Optimizer, _f64, _f64, _f64, _f64, _f64, _u32),
    "rh_adam_with": (Optimizer, _f64, _f64, _f64, _f64, _f64, _u32),
    "rh_adamw_with": (Optimizer, _f64, _f64, _f64, _f64, _f64, _u32),
    "rh_rmsprop_with": (Optimizer, _f64, _f64, _f64, _f64, _f64, _u32),
    "rh_zeros": (Init,),
    "rh_ones": (Init,),
    "rh_constant": (Init, _f64),
    "rh_uniform": (Init, _f64, _f64),
    "rh_normal": (Init, _f64, _f64),
    "rh_trunc_normal": (Init, _f64, _f64, _f64, _f64),
    "rh_orthogonal": (Init,),
    "rh_table_spec_init": (None, _spec, _u64, _u32),
    "rh_gain": (_f64, C.c_int, _f64),
    "rh_xavier_uniform": (Init, _spec, _f64),
    "rh_xavier_normal": (Init, _spec, _f64),
    "rh_kaiming_uniform": (Init, _spec, _f64, C.c_int, C.c_int),
    "rh_kaiming_normal": (Init, _spec, _f64, C.c_int, C.c_int),
    "rh_table_open": (C.c_int, _ptr, _str, _spec, _out),
    "rh_table_find": (C.c_int, _ptr, _str, _out),
    "rh_table_reset": (C.c_int, _ptr),
    "rh_table_init": (C.c_int, _ptr, Init, _u64, C.c_int),
    "rh_table_drop": (C.c_int, _out),
    "rh_table_num_embeddings": (_u64, _ptr),
    "rh_table_embedding_dim": (_u32, _ptr),
    "rh_pull": _rows,
    "rh_push": _rows,
    "rh_write": _rows,
    "rh_read": _rows,
    "rh_copy": (C.c_int, _ptr, _ptr, _ptr, _ptr, C.c_size_t),
    "rh_batch_new": (C.c_int, _ptr, _out),
    "rh_batch_pull": (C.c_int, _ptr, *_rows[1:]),
    "rh_batch_push": (C.c_int, _ptr, *_rows[1:]),
    "rh_batch_push_param": (C.c_int, _ptr, _ptr, _ptr),
    "rh_batch_pull_param": (C.c_int, _ptr, _ptr, _ptr),
    "rh_batch_run": (C.c_int, _ptr),
    "rh_batch_free": (None, _out),
    "rh_tick": (C.c_int, _ptr),
    "rh_clock": (_u64, _ptr),
    "rh_barrier": (C.c_int, _ptr, C.c_int),
    "rh_rank": (_u32, _ptr),
    "rh_world": (_u32, _ptr),
    "rh_shards": (_u32, _ptr),
    "rh_freeze": (C.c_int, _ptr, _u64, _u64, _u64),
    "rh_unfreeze": (C.c_int, _ptr, _u64, _u64),
    "rh_freeze_ids": (C.c_int, _ptr, _ptr, C.c_size_t, _u64),
    "rh_unfreeze_ids": (C.c_int, _ptr, _ptr, C.c_size_t),
    "rh_set_lr": (C.c_int, _ptr, _f64),
    "rh_table_info": (C.c_int, _ptr, C.POINTER(TableInfo)),
    "rh_load": (C.c_int, _ptr, _str, C.POINTER(LoadOptions), C.POINTER(LoadReport)),
    "rh_file_about": (C.c_int, _str, C.POINTER(LoadOptions), C.POINTER(FileInfo)),
    "rh_export": (C.c_int, _ptr, _str, C.POINTER(ExportOptions)),
    "rh_bags_init": (None, C.POINTER(Bags), _ptr, C.c_size_t, _ptr, C.c_size_t),
    "rh_param_spec_init": (None, _param, C.POINTER(C.c_uint64), _u32),
    "rh_param_xavier_uniform": (Init, _param, _f64),
    "rh_param_xavier_normal": (Init, _param, _f64),
    "rh_param_kaiming_uniform": (Init, _param, _f64, C.c_int, C.c_int),
    "rh_param_kaiming_normal": (Init, _param, _f64, C.c_int, C.c_int),
    "rh_param_open": (C.c_int, _ptr, _str, _param, _out),
    "rh_param_find": (C.c_int, _ptr, _str, _out),
    "rh_param_shape": (C.POINTER(C.c_uint64), _ptr, C.POINTER(C.c_uint32)),
    "rh_param_table": (_ptr, _ptr),
    "rh_param_pull": (C.c_int, _ptr, _ptr),
    "rh_param_push": (C.c_int, _ptr, _ptr),
    "rh_param_write": (C.c_int, _ptr, _ptr),
    "rh_pull_bags": (C.c_int, _ptr, C.POINTER(Bags), _ptr, _ptr),
    "rh_push_bags": (C.c_int, _ptr, C.POINTER(Bags), _ptr, _ptr, _ptr),
    "rh_set_cursor": (C.c_int, _ptr, _ptr, C.c_size_t),
    "rh_cursor": (C.c_int, _ptr, _u32, _ptr, C.POINTER(C.c_size_t)),
    "rh_save": (C.c_int, _ptr, _str),
    "rh_restore": (C.c_int, _ptr, _str),
    "rh_last_checkpoint": (C.c_int, _ptr, C.POINTER(CheckpointInfo)),
}


# ---- the library ----


def _find() -> str:
    """RH_LIBRARY; the build tree that this file is in; else what the system's loader knows."""
    named = os.environ.get("RH_LIBRARY")
    if named:
        return named
    built = Path(__file__).resolve().parents[3] / "build" / "lib" / "librowhouse.so"
    return str(built) if built.exists() else "librowhouse.so.0"


def _load() -> C.CDLL:
    path = _find()
    try:
        library = C.CDLL(path)
    except OSError as error:
        raise ImportError(f"rowhouse: cannot load its library: {error}. Build it (make), install it "
                          "(make install), or set RH_LIBRARY to its path") from None
    for name, (result, *arguments) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"rowhouse: {path} has no {name}: it is older than this module") from None
        function.restype, function.argtypes = result, arguments
    version = library.rh_version().decode()
    if version.rsplit(".", 1)[0] != ABI:
        raise ImportError(f"rowhouse: {path} is version {version}, this module is for {ABI}")
    return library


lib = _load()

S = TypeVar("S", bound=C.Structure)
E = TypeVar("E", bound=IntEnum)


def new(kind: Type[S]) -> S:
    """A struct of zeros, with room behind it: a library whose struct has grown must not write over
    what is not ours before anybody can compare sizes."""
    return kind.from_buffer(bytearray(C.sizeof(kind) + 1024))


def check_size(struct: Any, name: str) -> None:
    """After the library has filled in struct.size: does it mean the struct that we know?"""
    if struct.size != C.sizeof(struct):
        raise ImportError(f"rowhouse: {name} has {struct.size} bytes in the library and "
                          f"{C.sizeof(struct)} in this module: they are not of the same build")


def call(function: Any, *arguments: Any) -> None:
    """Calls a function that returns a status; raises the exception for it, or what the handler of a
    signal has raised meanwhile."""
    status = function(*arguments)
    if status != 0 or caught:
        check(status)


def check(status: int) -> None:
    """What call does once it is back."""
    if caught:
        signals.raise_caught()
    if status != 0:
        raise errors.of(status, lib.rh_errmsg().decode(errors="replace"))


def choose(kind: Type[E], value: Any, what: str) -> E:
    """A member of an enum, by itself or by its name in lower case: choose(Mode, "bsp", "mode")."""
    if isinstance(value, str) and value.upper() in kind.__members__:
        return kind[value.upper()]
    if isinstance(value, kind):
        return value
    names = ", ".join(repr(name.lower()) for name in kind.__members__)
    raise errors.InvalidError(f"{what} is {value!r}: use one of {names}")
