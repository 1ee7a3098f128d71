"""Notices settings of an optimizer that spoil its step: a learning rate that is not finite, an eps
that is 0, or is so in float16."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from graphlab.language import Message, key_of, message
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.numbers.finite import counts
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.tensors import count_of
from graphlab.source.objects import attributes, is_a, item, items
from graphlab.trace.sightings import NonFinite


class OddRate(NamedTuple):
    """The first step that an optimizer took at a rate that is not finite, `said` in words; record:
    the backward before it."""

    record: RawBackward
    spot: Spot | None
    said: str


class Rates:
    def __init__(self) -> None:
        self._odd: dict[int, OddRate] = {}

    def stepping(self, state: OptimizerState, last: RawBackward, spot: Spot | None) -> None:
        """A step is about to begin."""
        groups = attributes(state.ref()).get("param_groups")
        for group in groups if type(groups) is list else ():
            if type(group) is not dict:
                continue
            # Compared, as a call for every step costs more.
            if type(rate := group.get("lr")) is float and not -math.inf < rate < math.inf:
                self._odd.setdefault(state.at, OddRate(last, spot, _said("lr", rate)))

    def of(self, at: int, since: RawBackward | None) -> OddRate | None:
        """That of the optimizer at place `at`, where it was not before the backward `since`."""
        found = self._odd.get(at)
        before = since is not None and found is not None and found.record.seq < since.seq
        return None if before else found


def with_setting(seen: NonFinite, optimizer: Any, ill: list[Any]) -> NonFinite:
    """With the setting that made an operation inside of a step make the parameters `ill` not
    finite."""
    if seen.phase != "step" or not seen.operation:
        return seen
    for group in _groups(optimizer):
        rate, eps = group.get("lr"), group.get("eps")
        if type(rate) is float and not math.isfinite(rate):
            return replace(seen, critical=_said("lr", rate))
        zero = isinstance(seen.critical, Message) and "observed.values.zero" in map(
            key_of, seen.critical.arguments.values()
        )
        if zero and ill and _vanishes(eps, ill[0].dtype):
            return replace(seen, critical=_with_eps(seen.critical, eps, ill[0].dtype))
    return seen


# Of torch's optimizers that divide by a root and an eps, what they keep of which it is the root.
_SQUARES = {
    "Adam": "exp_avg_sq", "AdamW": "exp_avg_sq", "RMSprop": "square_avg", "Adagrad": "sum",
}  # fmt: skip


def by_eps(optimizer: Any, ill: list[Any]) -> str | None:
    """In words, that a step divided by 0 wherever parameters are not finite now, for want of an
    eps; None if that is not so. It need not have been the last step."""
    kind = type(optimizer)
    slot = _SQUARES.get(kind.__name__) if kind.__module__.startswith("torch.optim.") else None
    states: Any = attributes(optimizer).get("state")
    if slot is None or not ill or not is_a(states, dict):
        return None
    own: list[tuple[Any, Any]] = []
    for group in _groups(optimizer):
        held = [one for one in ill if any(one is each for each in _listed(group.get("params")))]
        if held and (group.get("amsgrad") or group.get("centered")):
            return None
        for each in held:
            state = dict.get(states, each)
            squares, eps = item(state, slot), group.get("eps")
            if not counts(squares) or squares.shape != each.shape or not _vanishes(eps, each.dtype):
                return None
            spoilt = ~torch.isfinite(each.detach())
            if not bool((squares[spoilt] == 0).all()):
                return None
            own.append((squares, eps))
    if len(own) != len(ill):
        return None
    squares, eps = own[0]
    many = int((squares == 0).sum())
    zero = message("observed.values.kept_zero", many=many, whole=count_of(squares), name=slot)
    return _with_eps(zero, eps, ill[0].dtype)


def _vanishes(eps: Any, dtype: Any) -> bool:
    """Whether nothing is left of an eps in a tensor of this type."""
    return type(eps) in (int, float) and float(torch.tensor(eps, dtype=dtype)) == 0


def _with_eps(some: str, eps: Any, dtype: Any) -> str:
    words = {"some": some, "name": "eps", "value": f"{eps:g}"}
    if eps == 0:
        return message("observed.values.and_setting", **words)
    kind = str(dtype).removeprefix("torch.")
    return message("observed.values.and_rounded", type=kind, **words)


def _listed(params: Any) -> list[Any]:
    return params if type(params) is list else []


def _said(name: str, value: float) -> str:
    return message("observed.values.setting", name=name, value=f"{value:g}")


def _groups(optimizer: Any) -> Iterator[dict[str, Any]]:
    for _, group in items(attributes(optimizer).get("param_groups")):
        if type(group) is dict:
            yield group
