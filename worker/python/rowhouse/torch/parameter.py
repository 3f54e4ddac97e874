"""parameter.py - Parameter: a dense tensor whose truth is on the servers."""
from __future__ import annotations

import weakref
from typing import Any, Dict, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from ..client import Client
from ..init import Initializer
from ..optim import Optimizer
from ..param import Param
from . import steps
from .shared import default_client, name_of, together


class _Dense(steps.Learner):
    """A parameter of the servers, and the tensor of this process that shows it."""

    def __init__(self, client: Client, param: Param, tensor: Parameter) -> None:
        super().__init__(client, param.table.lr)
        self.param, self.name, self._tensor = param, param.name, weakref.ref(tensor)
        self._values = torch.empty(param.shape)

    def push(self, batch: Any) -> bool:
        tensor = self._tensor()
        if tensor is None or tensor.grad is None:
            return False
        grad, tensor.grad = tensor.grad.detach().to_dense(), None
        batch.push_param(self.param, grad.to("cpu", torch.float32))
        return True

    def pull(self, batch: Any) -> None:
        batch.pull_param(self.param, self._values)

    def pulled(self) -> None:
        tensor = self._tensor()
        if tensor is not None:
            tensor.data.copy_(self._values)

    def refresh(self) -> None:
        self.param.pull(self._values)
        self.pulled()

    def set_lr(self, lr: float) -> None:
        self.param.table.set_lr(lr)

    def zero_grad(self) -> None:
        tensor = self._tensor()
        if tensor is not None:
            tensor.grad = None


class Parameter(nn.Parameter):
    """torch.nn.Parameter, kept and trained on the servers, the same for all workers: a position
    embedding, a class token, a bias. Each step ends with its gradient pushed and its value pulled, in
    one round trip each with all others; between steps it is a tensor like any other.

    data: a tensor, what it begins as (rank 0's); or a shape, which begins by init (None: zeros) and
    seed. requires_grad: False: this worker pushes no gradient. client, name, optimizer, reduce,
    nonfinite: as for rowhouse.torch.Embedding; the gradient of each step counts, so Adam and AdamW are
    torch's here. param.table: freezing and info.

    torch.nn.init.*_ (but eye_), fill_, zero_, copy_, p[i] = v and load_state_dict reach the servers;
    all workers call them, rank 0's values hold. What is written to .data does not, and is gone after the next step; so
    is what an optimizer of torch does to it, which may have it among model.parameters(). But its
    zero_grad() must come after rowhouse.torch.step(), or before backward."""

    _source: _Dense

    def __new__(cls, data: Union[Tensor, Sequence[int]], requires_grad: bool = True, *,
                client: Optional[Client] = None, name: Optional[str] = None,
                optimizer: Optional[Optimizer] = None, init: Optional[Initializer] = None,
                seed: int = 0, reduce: str = "sum", nonfinite: str = "refuse") -> Parameter:
        given = data.detach().clone() if isinstance(data, Tensor) else None
        tensor = torch.empty(tuple(data)) if given is None else given
        client = default_client() if client is None else client
        param = client.parameter(name_of(client, name, "Parameter"), tensor.shape, optimizer=optimizer,
                                 init=init, seed=seed, reduce=reduce, nonfinite=nonfinite)
        self: Parameter = torch.Tensor._make_subclass(cls, tensor, requires_grad)  # type: ignore
        self._source = _Dense(client, param, self)
        if given is not None:
            values = given.to("cpu", torch.float32)
            together(client, lambda: param.write(values))
        self._source.refresh()
        steps.enroll(self._source)
        return self

    @property
    def param(self) -> Param:
        return self._source.param

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"rowhouse parameter {self._source.name} containing:\n{Tensor.__repr__(self.detach())}"

    def __deepcopy__(self, memo: Dict[int, Any]) -> Parameter:
        return self  # as a table: a copy of a model has the same

    def _write_through(self) -> Parameter:
        values = self.detach().to("cpu", torch.float32)
        together(self._source.client, lambda: self._source.param.write(values))
        self._source.refresh()
        return self

    # What torch.nn.init and load_state_dict end with; torch's optimizers use none of them.

    def uniform_(self, *args: Any, **kwargs: Any) -> Parameter:
        super().uniform_(*args, **kwargs)
        return self._write_through()

    def normal_(self, *args: Any, **kwargs: Any) -> Parameter:
        super().normal_(*args, **kwargs)
        return self._write_through()

    def fill_(self, *args: Any, **kwargs: Any) -> Parameter:
        super().fill_(*args, **kwargs)
        return self._write_through()

    def zero_(self) -> Parameter:
        super().zero_()
        return self._write_through()

    def copy_(self, *args: Any, **kwargs: Any) -> Parameter:
        super().copy_(*args, **kwargs)
        return self._write_through()

    def clamp_(self, *args: Any, **kwargs: Any) -> Parameter:
        super().clamp_(*args, **kwargs)
        return self._write_through()

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        self._write_through()

    def mul_(self, *args: Any, **kwargs: Any) -> Parameter:
        """orthogonal_ ends with it. So does the weight decay of torch's optimizers; but they leave
        alone what has no gradient."""
        super().mul_(*args, **kwargs)
        return self._write_through() if self.grad is None else self
