"""bag.py - EmbeddingBag: torch's own pooling, over rows that were pulled."""
from __future__ import annotations

import os
from typing import Any, Dict, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..client import Client
from ..init import Initializer
from ..optim import Optimizer
from .embedding import TableModule
from .tables import ids_of


class EmbeddingBag(TableModule):
    """torch.nn.EmbeddingBag, with its rows on servers. mode: "sum", "mean" or "max". The arguments
    before client as in torch, those after it, and what they mean here, as for Embedding.

    (torch 1.13 scales by another id's count where scale_grad_by_freq meets repeated ids; here it is
    the id's own.)"""

    _padding_name = "padding_idx"

    def __init__(self, num_embeddings: int, embedding_dim: int, max_norm: Optional[float] = None,
                 norm_type: float = 2., scale_grad_by_freq: bool = False, mode: str = "mean",
                 sparse: bool = False, _weight: Optional[Tensor] = None,
                 include_last_offset: bool = False, padding_idx: Optional[int] = None,
                 device: Any = None, dtype: Optional[torch.dtype] = None, *,
                 client: Optional[Client] = None, name: Optional[str] = None,
                 optimizer: Optional[Optimizer] = None, init: Optional[Initializer] = None,
                 seed: int = 0, reduce: str = "sum", nonfinite: str = "refuse") -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.mode, self.sparse = scale_grad_by_freq, mode, sparse
        self.include_last_offset, self.padding_idx = include_last_offset, padding_idx
        self._open(_weight, device, dtype, client, name, optimizer=optimizer, init=init, seed=seed,
                   reduce=reduce, nonfinite=nonfinite)

    def forward(self, input: Tensor, offsets: Optional[Tensor] = None,
                per_sample_weights: Optional[Tensor] = None) -> Tensor:
        """input: IntTensor or LongTensor, (bags, each), or (n) with offsets (bags): where each begins
        (with include_last_offset (bags + 1), the last is n). per_sample_weights: of input's shape, for
        "sum"; they may require a gradient. Returns (bags, embedding_dim); an empty bag is zeros.
        IndexError: an id out of range, with its place. ValueError: as torch."""
        flat = ids_of(input, "embedding_bag")
        rows = self._look_up(input, flat)
        n = flat.numel()
        if n == 0:  # torch wants a row, even for none
            rows = torch.cat([rows, rows.new_zeros((1, self.embedding_dim))])
        # Each place has its row, so that what torch does to rows 0 .. n - 1 is done to the places. But
        # padding is one row to torch.
        places, padding = torch.arange(n, device=rows.device), None
        if self.padding_idx is not None:
            padded = (flat == self.padding_idx).nonzero().squeeze(1).to(rows.device)
            if padded.numel() > 0:
                padding = int(padded[0])
                places[padded] = padding
        return F.embedding_bag(places.reshape(torch.as_tensor(input).shape), rows, offsets, None,
                               self.norm_type, self.scale_grad_by_freq and self.mode == "max", self.mode,
                               False, per_sample_weights, self.include_last_offset, padding)

    def extra_repr(self) -> str:
        return f"{nn.EmbeddingBag.extra_repr(self)}, table={self.table.name}"  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(cls, embeddings: Union[Tensor, str, "os.PathLike[str]"], freeze: bool = True,
                        max_norm: Optional[float] = None, norm_type: float = 2.,
                        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                        include_last_offset: bool = False, padding_idx: Optional[int] = None, *,
                        client: Optional[Client] = None, name: Optional[str] = None,
                        optimizer: Optional[Optimizer] = None, load: Optional[Dict[str, Any]] = None,
                        num_embeddings: Optional[int] = None, embedding_dim: Optional[int] = None,
                        **table: Any) -> EmbeddingBag:
        """As Embedding.from_pretrained."""
        return cls._pretrained(
            embeddings, freeze, load, dict(num_embeddings=num_embeddings, embedding_dim=embedding_dim),
            max_norm=max_norm, norm_type=norm_type, scale_grad_by_freq=scale_grad_by_freq, mode=mode,
            sparse=sparse, include_last_offset=include_last_offset, padding_idx=padding_idx,
            client=client, name=name, optimizer=optimizer, **table)
