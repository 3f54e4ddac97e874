"""optim.py - the tables' side of a training step as a torch.optim.Optimizer."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Union

import torch
from torch import nn

from . import steps
from .embedding import TableModule
from .parameter import Parameter
from .weight import Weight

Learns = Union[Weight, Parameter]
Given = Union[nn.Module, Learns, Iterable[Any]]


def _weights(given: Given) -> List[Learns]:
    """The weights of tables and our parameters in modules, or what is listed; each table once."""
    once: Dict[int, Learns] = {}
    for one in [given] if isinstance(given, (nn.Module, Weight, Parameter)) else given:
        found: List[Learns]
        if isinstance(one, nn.Module):
            found = [m.weight for m in one.modules() if isinstance(m, TableModule)]
            found += [p for p in one.parameters() if isinstance(p, Parameter)]
        elif isinstance(one, (Weight, Parameter)):
            found = [one]
        else:
            raise TypeError("rowhouse.torch.Optimizer takes modules and weights of tables, but one of them "
                            f"is {torch.typename(one)}: that is for an optimizer of torch.optim")
        once.update((id(w._source), w) for w in found)
    return list(once.values())


class Optimizer(torch.optim.Optimizer):
    """What rowhouse.torch.step() does, for chosen tables and with param_groups, so that
    torch.optim.lr_scheduler takes it. The formula is that of the tables, Embedding(optimizer=...), and
    applied by the servers.

        tables = rt.Optimizer(model)                     # every table in it; or modules, weights,
        schedule = torch.optim.lr_scheduler.StepLR(tables, 10)    # rt.Parameters; {"params": ..., "lr": ...}
        ...
        tables.step(); schedule.step()

    lr: of groups that name none; None: each table's own, a group for each lr. A group's lr goes to the
    servers with the pushes. step() ends the clock of the tables' clients: let a worker have one
    Optimizer, or rowhouse.torch.step(), per training step. Gradients are gone after step().

    TypeError: something that is no table; ValueError: no table at all, or one twice."""

    def __init__(self, params: Union[Given, List[Dict[str, Any]]], lr: Optional[float] = None) -> None:
        groups: List[Any] = [params] if isinstance(params, (nn.Module, Weight, Parameter)) else list(params)
        if groups and isinstance(groups[0], dict):
            super().__init__(groups, dict(lr=lr))
        else:
            super().__init__([{"params": groups}], dict(lr=lr))

    def add_param_group(self, param_group: Dict[str, Any]) -> None:
        weights = _weights(param_group["params"])
        if not weights:
            raise ValueError("rowhouse.torch.Optimizer got no table")
        known = {id(w._source) for group in self.param_groups for w in group["params"]}
        if known & {id(w._source) for w in weights}:
            raise ValueError("some parameters appear in more than one parameter group")
        lr = param_group.get("lr", self.defaults["lr"])
        by_lr: Dict[float, List[Learns]] = {}
        for w in weights:
            by_lr.setdefault(w._source.lr if lr is None else lr, []).append(w)
        for each, of_lr in by_lr.items():
            self.param_groups.append({**param_group, "params": of_lr, "lr": each})

    def _sources(self) -> List[Any]:
        return [w._source for group in self.param_groups for w in group["params"]]

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Drops the gradients since the last step."""
        for source in self._sources():
            source.zero_grad()

    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:  # type: ignore[override]
        """As rowhouse.torch.step(), for these tables and their clients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in group["params"]:
                w._source.use_lr(float(group["lr"]))
        steps.end(self._sources())
        return loss
