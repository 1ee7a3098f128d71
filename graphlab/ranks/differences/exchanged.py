"""Tells what the ranks may have exchanged by themselves, by what their collectives carried."""

from __future__ import annotations

import math
from collections.abc import Iterable

from graphlab.ranks.differences.columns import apart_in_groups
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import Carried, RankStep

# As many elements are no gradient of a model's.
LITTLE = 64
# What exchanges tensors by other ways than torch.distributed's own functions.
_ELSEWHERE = ("c10d_functional", "distribute_", "parallelize_module", "rpc", "horovod",
              "deepspeed", "pipelining")  # fmt: skip


def alone_with(joint: Joint, compared: Iterable[dict[int, RankStep]]) -> set[str]:
    """The optimizers that began with the same parameters on all ranks, and had others at each step
    of those `compared` from one of the next on, where the ranks have exchanged nothing that could
    have averaged them: small numbers alone, such as a loss, and none with a graph."""
    traces = [*joint.traces.values()]
    most = max((each.elements for each in _carried(traces)), default=0)
    if exchanged_by_hand(joint):
        return set()
    apart: dict[str, list[bool]] = {}
    for steps in compared:
        rows = [*steps.values()]
        largest = max(math.prod(traces[0].tensors[at].shape) for at in rows[0].tensors)
        if most >= largest or most > LITTLE:
            continue
        differ = apart_in_groups(rows, lambda step: step.values)
        apart.setdefault(traces[0].optimizers[rows[0].optimizer].name, []).append(bool(differ))
    # Adam's first step is as large for any gradient.
    return {
        name
        for name, each in apart.items()
        if each[-1] and each == sorted(each) != [True] * len(each)
    }


def _carried(traces: list[Trace]) -> list[Carried]:
    return [each for trace in traces for each in trace.sightings if isinstance(each, Carried)]


def exchanged_by_hand(joint: Joint) -> bool:
    """Whether the ranks exchanged something with a graph, or one with one other, or may have done
    so by ways that are not followed."""
    traces = [*joint.traces.values()]
    carried = _carried(traces)
    sources = "".join(text for trace in traces for text in trace.sources.values())
    return (
        len(carried) < len(traces)
        or any(each.pairwise or each.in_graph for each in carried)
        or any(word in sources for word in _ELSEWHERE)
    )
