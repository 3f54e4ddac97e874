"""state.py - what a state_dict has of a table instead of its rows: its name and shape, and the newest
checkpoint of its servers; and whether that goes with the servers beside which it is loaded."""
from __future__ import annotations

import warnings
from typing import Any, Dict, Optional

from .tables import Source

State = Dict[str, Any]


def of(source: Source) -> State:
    newest = source.client.last_checkpoint()
    return {"table": source.name, "num_embeddings": source.num_embeddings,
            "embedding_dim": source.embedding_dim,
            "checkpoint": newest and {"name": newest.name, "generation": newest.generation}}


def other_table(own: State, saved: State) -> Optional[str]:
    """What is wrong, in words."""
    differ = [f"{key} is {own[key]!r} here and {saved.get(key)!r} there"
              for key in own if key != "checkpoint" and own[key] != saved.get(key)]
    return "it was saved with another table: " + "; ".join(differ) if differ else None


def other_rows(own: State, saved: State) -> Optional[str]:
    """Likewise, where the servers' newest checkpoint is another one; a warning where that cannot be told.
    What was learned since that checkpoint nobody sees here."""
    here, there = own["checkpoint"], saved.get("checkpoint")
    if here == there:
        return None
    if there is None:
        warnings.warn("this state_dict was made before the servers had a checkpoint, so nothing tells "
                      f"whether it goes with the rows of {_text(here)}: call client.save first, "
                      "then model.state_dict()")
        return None
    have = "the servers have none" if here is None else f"the newest that the servers know is {_text(here)}"
    return (f"this state_dict goes with {_text(there)}, but {have}: client.restore({there['name']!r}), or "
            f"start them with --restore {there['name']}; or, to go on with other rows, load it with "
            "strict=False and without its _extra_state")


def _text(checkpoint: Dict[str, Any]) -> str:
    return f"checkpoint {checkpoint['name']!r} (generation {checkpoint['generation']})"
