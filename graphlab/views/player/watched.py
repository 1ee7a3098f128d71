"""Chooses the tensor that the page follows, and says what each operation that saved it is for.

It is the one that the first finding is about; in a run without findings, a saved parameter that is
written while the film runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphlab.trace.finding import Finding
from graphlab.trace.graph import NONE, Graph
from graphlab.views.figure.grouping import failed_backward
from graphlab.views.player.formulas import computed, formula
from graphlab.views.player.texts.words import tally_of

if TYPE_CHECKING:
    from graphlab.views.player.timeline import Timeline

# What lies behind a node is looked up as long as the walks that it takes go over no more nodes.
WALKED = 2_000_000


def explained(graph: Graph, saved: list[dict[str, Any]]) -> None:
    """Adds to each saved tensor with a name the `formula` that will need it, its `symbol` in that,
    and whose gradients come through it (`beyond`)."""
    named = [each for each in saved if each["row"] is not None]
    for count, each in enumerate(named):
        known = formula(graph, each["node"], each["slot"])
        each["formula"], each["symbol"] = known or ("", "")
        each["beyond"] = ""
        if count * len(graph) < WALKED:
            each["beyond"] = _beyond(graph, each["node"], each["tensor"], each["formula"])


def _beyond(graph: Graph, node: int, name: str, text: str) -> str:
    """The parameters behind a node, as far as what its formula computes goes on to them: of other
    owners than the tensor's own, if there are any."""
    ways = computed(graph, node, text) if text else (node,)
    reached = {at for way in ways if way != NONE for at in graph.reached_by(way)}
    behind = reached & graph.leaves.keys()
    leaves = [leaf for at in sorted(behind) if (leaf := graph.leaves[at]).name != name]
    mine = {leaf.owner for leaf in graph.leaves.values() if leaf.name == name}
    named = [leaf for leaf in leaves if leaf.name and leaf.optimizers]
    others = [leaf for leaf in named if leaf.owner not in mine]
    return tally_of((leaf.owner, leaf.name or "") for leaf in others or named)


def watched(
    timeline: Timeline,
    findings: Sequence[Finding],
    tensors: list[dict[str, Any]],
    saved: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """The row of the tensor to follow, its name, and the saved tensor at which the backward fails
    (`failing`, or None); None where no saved tensor has a name."""
    rows = {each["row"] for each in saved if each["row"] is not None}
    first = next((each.tensor.tensor.name for each in findings if each.tensor is not None), None)
    found = next((row for row in rows if tensors[row]["name"] == first), None)
    if found is None:
        # The most often written comes first, and of those what backward would meet first.
        order = [each["row"] for each in saved if each["row"] is not None]
        found = max(
            dict.fromkeys(order),
            key=lambda row: len({state[1] for state in tensors[row]["history"]}),
            default=None,
        )
    if found is None:
        return None
    return {
        "row": found,
        "name": tensors[found]["name"],
        "failing": _failing(timeline, found, saved),
    }


def _failing(timeline: Timeline, row: int, saved: list[dict[str, Any]]) -> dict[str, Any] | None:
    graph = timeline.film.graph
    failed = failed_backward(graph) if graph is not None else None
    bad = [each for each in saved if each["row"] == row and each["stale"] is not None]
    if failed is not None:
        bad.sort(key=lambda each: each["node"] != failed.node)
    return bad[0] if bad else None
