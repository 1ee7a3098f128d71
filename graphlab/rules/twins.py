"""Finds the optimizer that was built from one copy of a network where another is trained."""

from __future__ import annotations

from collections.abc import Sequence

from graphlab.rules.steps import name_parts
from graphlab.trace.model import Forgotten, OptimizerInfo, Trace

# One name alone, a bias, is found in any network.
_FEWEST = 2


def twin(trace: Trace, those: Sequence[Forgotten]) -> OptimizerInfo | None:
    """The one optimizer that no backward has reached any parameter of, and whose parameters have
    the same names within their network as those that were forgotten."""
    if any(each.made is not None or each.since or each.meant for each in those):
        return None
    found = [each for each in trace.optimizers if _same_names(trace, each, those)]
    return found[0] if len(found) == 1 else None


def twins(trace: Trace) -> list[OptimizerInfo]:
    """The optimizers that are the `twin` of all that was forgotten for the same reason."""
    plain = [each for each in trace.forgotten if each.made is None and not each.since]
    found = twin(trace, plain)
    return [found] if found is not None else []


def pasted(trace: Trace, those: Sequence[Forgotten]) -> OptimizerInfo | None:
    """Of optimizers that hold the same parameters, the one that is called like the network that was
    forgotten."""
    owns = [frozenset(each.owns) for each in trace.optimizers]
    same = [each for at, each in enumerate(trace.optimizers) if owns.count(owns[at]) > 1]
    parts = name_parts(trace.tensors[those[0].tensor].owner or "")
    named = [each for each in same if name_parts(each.name) & parts]
    return named[0] if len(named) == 1 else None


def _same_names(trace: Trace, optimizer: OptimizerInfo, those: Sequence[Forgotten]) -> bool:
    owns = optimizer.owns
    if optimizer.strangers or {*optimizer.never_reached} != {*owns} or len(owns) < _FEWEST:
        return False
    names = [trace.tensors[each.tensor].name or "" for each in those]
    wanted = [_inside(trace, each) for each in owns]
    return len(names) == len(wanted) and all(
        end and sum(name.endswith(f".{end}") for name in names) == 1 for end in wanted
    )


def _inside(trace: Trace, index: int) -> str:
    """The name of a parameter within its network."""
    info = trace.tensors[index]
    return (info.name or "").removeprefix(f"{info.owner}.") if info.owner else ""
