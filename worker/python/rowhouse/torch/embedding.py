"""embedding.py - Embedding, and what it shares with EmbeddingBag: opening the table, emb.weight,
state_dict."""
from __future__ import annotations

import logging
import os
from typing import Any, Dict, List, Optional, Type, TypeVar, Union

import torch
from torch import Tensor, nn

from ..client import Client
from ..errors import RangeError
from ..arrays import check_ids
from ..init import Initializer
from ..optim import Optimizer
from .. import files
from . import state
from .shared import default_client, name_of, together
from .tables import Source, ids_of
from .weight import Weight

log = logging.getLogger("rowhouse")
M = TypeVar("M", bound="TableModule")


class TableModule(nn.Module):
    """A module whose weight is a table."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: Optional[int]
    max_norm: Optional[float]
    norm_type: float
    scale_grad_by_freq: bool
    sparse: bool
    _padding_name = "Padding_idx"  # as torch writes it in its error

    def _open(self, _weight: Optional[Tensor], device: Any, dtype: Optional[torch.dtype],
              client: Optional[Client], name: Optional[str], **given: Any) -> None:
        """What the constructors have in common once they have set the attributes above."""
        n, dim, pad = self.num_embeddings, self.embedding_dim, self.padding_idx
        if pad is not None:
            if not -n <= pad < n:
                raise AssertionError(f"{self._padding_name} must be within num_embeddings: it is {pad} of {n}")
            self.padding_idx = pad = pad % n
        if _weight is not None and list(_weight.shape) != [n, dim]:
            raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim: it is "
                                 f"{list(_weight.shape)}, not {[n, dim]}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"rows are handed out as floats, not {dtype}")
        client = default_client() if client is None else client
        # scale_grad_by_freq is the module's: torch counts within a forward, and a step may have many.
        source = Source.open(client, name_of(client, name, type(self).__name__), n, dim,
                             padding_idx=pad, max_norm=self.max_norm, norm_type=self.norm_type, **given)
        where = None if device is None else torch.device(device)
        self._handle = Weight(source, dtype or torch.get_default_dtype(), where)
        if _weight is not None:
            self._handle.copy_(_weight)

    # ---- weight ----

    @property
    def table(self) -> Any:
        """The rowhouse.Table: freezing of rows, files, info."""
        return self._handle._source.table

    def __getattr__(self, name: str) -> Any:
        if name == "weight" and "_handle" in self.__dict__:  # no property: nn.Module would not see what is assigned to it
            return self.__dict__["_handle"]
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "weight":
            super().__setattr__(name, value)
        elif not isinstance(value, Weight):
            raise TypeError(f"weight is a table on servers: weight.data.copy_(t) writes a tensor to it, "
                            f"and another module's weight shares its table; this is {type(value)}")
        elif value.shape != self.weight.shape:
            raise ValueError(f"weight has the shape {tuple(value.shape)}, not {tuple(self.weight.shape)}")
        else:
            self._handle = value

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        self.weight.requires_grad = requires_grad
        return super().requires_grad_(requires_grad)

    def reset_parameters(self) -> None:
        """All rows anew from the normal law (0, 1), for every worker; padding_idx is zeros."""
        self.weight.normal_()

    def _apply(self: M, fn: Any, *more: Any) -> M:
        """to(), double(), cuda() and so on: rows are handed out accordingly. The table is as it was."""
        probe = fn(torch.empty(0, dtype=self.weight.dtype, device=self.weight.device))
        device = self.weight._device if probe.device == self.weight.device else probe.device
        self._handle = Weight(self.weight._source, probe.dtype, device)
        return super()._apply(fn, *more)

    def _look_up(self, input: Tensor, flat: Tensor) -> Tensor:
        """(n, dim), of ids (n), which came as input."""
        device = input.device if isinstance(input, Tensor) else torch.device("cpu")
        try:
            return self.weight.lookup(flat, device, self.scale_grad_by_freq)
        except RangeError:
            # As torch: "index out of range in self"; but with the id and its place in the input.
            check_ids(flat.reshape(torch.as_tensor(input).shape).numpy(), self.num_embeddings,
                      "index out of range in self", self.table.name)
            raise

    # ---- state_dict: the table's name and shape, and the servers' newest checkpoint; not its rows ----

    def get_extra_state(self) -> Dict[str, Any]:
        return state.of(self._handle._source)

    def set_extra_state(self, saved: Dict[str, Any]) -> None:
        own = self.get_extra_state()
        wrong = state.other_table(own, saved) or state.other_rows(own, saved)
        if wrong is not None:
            raise RuntimeError(wrong)

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, local_metadata: Any,
                              strict: bool, missing_keys: List[str], unexpected_keys: List[str],
                              error_msgs: List[str]) -> None:
        """Of ours: name, shape and checkpoint must agree. Of an nn.Embedding: its rows are written."""
        key, extra = prefix + "weight", prefix + "_extra_state"
        if isinstance(state_dict.get(key), Tensor):
            rows = state_dict[key]
            if rows.shape == self.weight.shape:
                self.weight.copy_(rows)
            else:
                error_msgs.append(f"size mismatch for {key}: copying a param with shape {rows.shape} from "
                                  f"checkpoint, the shape in current model is {self.weight.shape}.")
        elif extra in state_dict:
            own, saved = self.get_extra_state(), state_dict[extra]
            of_table = state.other_table(own, saved)
            of_rows = None if of_table else state.other_rows(own, saved)
            if of_table:
                error_msgs.append(f"{prefix[:-1] or type(self).__name__}: {of_table}")
            elif of_rows and of_rows not in error_msgs:  # which all tables say
                error_msgs.append(of_rows)
        elif strict:
            missing_keys.append(extra)
        if strict:
            unexpected_keys += [k for k in state_dict if k.startswith(prefix) and k not in (key, extra)]

    # ---- from_pretrained ----

    @classmethod
    def _pretrained(cls: Type[M], embeddings: Union[Tensor, str, "os.PathLike[str]"], freeze: bool,
                    load: Optional[Dict[str, Any]], sizes: Dict[str, Optional[int]],
                    **arguments: Any) -> M:
        if isinstance(embeddings, (str, bytes, os.PathLike)):
            rows, dim = sizes["num_embeddings"], sizes["embedding_dim"]
            if rows is None or dim is None:
                about = files.about(embeddings, **(load or {}))
                rows, dim = rows or about.rows, dim or about.embedding_dim
            module = cls(rows, dim, **arguments)  # type: ignore[call-arg]
            table = module.table
            together(module.weight._source.client,
                     lambda: table.load(embeddings, freeze=freeze, **(load or {})) and None)
            module.weight._source.trainable = not freeze
        else:
            if embeddings.dim() != 2:
                raise AssertionError("Embeddings parameter is expected to be 2-dimensional: its shape is "
                                     f"{tuple(embeddings.shape)}")
            module = cls(*embeddings.shape, _weight=embeddings, **arguments)  # type: ignore[call-arg]
            if freeze:
                module.weight.requires_grad = False
        if freeze:
            log.info("table %s is frozen, which is from_pretrained's default; freeze=False leaves it "
                     "trainable", module.table.name)
        return module


class Embedding(TableModule):
    """torch.nn.Embedding, with its rows on servers.

    num_embeddings: rows, to 2^48: they cost memory, on the servers, only once learned or written.
    embedding_dim: floats in a row, to 4096. padding_idx: this row begins as zeros and does not learn;
    negative ones count from the end. max_norm, norm_type: rows are seen scaled down to this norm.
    Unlike torch's, a forward never writes: rows are scaled for good when they learn.
    scale_grad_by_freq: gradients are divided by how often their id is in the forward's input.
    sparse: taken for torch's sake; gradients always are. _weight: (num_embeddings, embedding_dim),
    what the rows begin as. device, dtype: of the rows that a forward gives; None: the input's device,
    and torch's default. Tables are float32.

    client: None is default_client(). Over an observer's the table must be there, and does not learn
    here: for inference. name: of the table, 1 to 64 of [A-Za-z0-9_.-], the same in every
    worker; it may be left out over "local:". Modules of one name share one table. optimizer: what the
    servers do with gradients; None is rowhouse.SGD(0.01). init: rows begin as that; None is the normal
    law (0, 1). seed: of init; torch.manual_seed has no say in it. reduce, nonfinite: see client.table.

    AssertionError as torch: padding_idx, or the shape of _weight. MismatchError: the table exists
    with another spec, and the text names the field."""

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: Optional[int] = None,
                 max_norm: Optional[float] = None, norm_type: float = 2.,
                 scale_grad_by_freq: bool = False, sparse: bool = False,
                 _weight: Optional[Tensor] = None, device: Any = None,
                 dtype: Optional[torch.dtype] = None, *, client: Optional[Client] = None,
                 name: Optional[str] = None, optimizer: Optional[Optimizer] = None,
                 init: Optional[Initializer] = None, seed: int = 0, reduce: str = "sum",
                 nonfinite: str = "refuse") -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = padding_idx, max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self._open(_weight, device, dtype, client, name, optimizer=optimizer, init=init, seed=seed,
                   reduce=reduce, nonfinite=nonfinite)

    def forward(self, input: Tensor) -> Tensor:
        """input: IntTensor or LongTensor of any shape (...), also () and empty. Returns
        (..., embedding_dim). IndexError: an id out of range, with its place."""
        flat = ids_of(input, "embedding")
        rows = self._look_up(input, flat)
        return rows if flat is input else rows.reshape(*torch.as_tensor(input).shape, self.embedding_dim)

    def extra_repr(self) -> str:
        return f"{nn.Embedding.extra_repr(self)}, table={self.table.name}"  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(cls, embeddings: Union[Tensor, str, "os.PathLike[str]"], freeze: bool = True,
                        padding_idx: Optional[int] = None, max_norm: Optional[float] = None,
                        norm_type: float = 2., scale_grad_by_freq: bool = False, sparse: bool = False, *,
                        client: Optional[Client] = None, name: Optional[str] = None,
                        optimizer: Optional[Optimizer] = None, load: Optional[Dict[str, Any]] = None,
                        num_embeddings: Optional[int] = None, embedding_dim: Optional[int] = None,
                        **table: Any) -> Embedding:
        """embeddings: a tensor (num_embeddings, embedding_dim), or the path of a file of vectors (npy,
        safetensors, word2vec, GloVe, fastText), whose shape is the table's unless num_embeddings and
        embedding_dim say else; load: more arguments for table.load, such as {"vocab": path}.

        freeze: True, as in torch, freezes the table for every worker. padding_idx does not zero the
        row, as in torch. table: init, seed, reduce, nonfinite, device, dtype as for Embedding. All
        workers call it; rank 0 writes."""
        return cls._pretrained(
            embeddings, freeze, load, dict(num_embeddings=num_embeddings, embedding_dim=embedding_dim),
            padding_idx=padding_idx, max_norm=max_norm, norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq, sparse=sparse, client=client, name=name,
            optimizer=optimizer, **table)
