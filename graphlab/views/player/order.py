"""The order in which backwards and optimizer steps ran, as marks for the overview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphlab.trace.model import Backward, Event, Step
from graphlab.views.figure.words import placed

MARKS = "①②③④⑤⑥⑦⑧⑨"


def marks(events: Iterable[Event], optimizers: Sequence[str]) -> dict[str, list[str]]:
    """By loss and by optimizer, what ran and when: ``{"D_loss_": ["① backward(), line 37"]}``.

    `events` are those of one iteration. Empty if there are more than there are marks for."""
    ran = [each for each in events if isinstance(each, Backward | Step)]
    found: dict[str, list[str]] = {}
    for mark, each in zip(MARKS, ran, strict=False):
        if isinstance(each, Backward):
            name, call = each.loss, each.call.rpartition(".")[2]
        else:
            name, call = optimizers[each.optimizer], "step()"
        found.setdefault(name, []).append(placed(f"{mark} {call}", each.at))
    return found if len(ran) <= len(MARKS) else {}
