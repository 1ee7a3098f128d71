"""What autograd refuses before a single node runs: losses without a graph, losses of several
numbers, inputs that no graph reaches. Read from the arguments of the refused call."""

from __future__ import annotations

from types import FrameType
from typing import Any, NamedTuple

from graphlab.observe.cut import Cut, find_cut
from graphlab.observe.deep import hold
from graphlab.observe.graph import grad_edge, listed, needed, walk
from graphlab.observe.names import Names, kind_of
from graphlab.observe.source import UserFiles, asked_for
from graphlab.trace.model import Location, TensorInfo, Trouble


class Outright(NamedTuple):
    """Why a call was refused, which tensor it is about, and where that lost its graph."""

    trouble: Trouble
    subject: Any
    cut: Cut | None = None
    # Which of the inputs it is.
    place: int = 0

    def info(self, names: Names, loss: str, at: Location | None) -> TensorInfo:
        """The subject, under its own name or as the call at `at` was written."""
        tensor = self.subject
        asked = asked_for(at, self.place) if self.trouble == "unused-input" else None
        if asked is not None and "[" in asked and id(tensor) not in names.tensors:
            # A view that was made for this call: its base has the name, and is another tensor.
            return TensorInfo(
                asked,
                kind_of(tensor),
                tuple(tensor.shape),
                str(tensor.dtype).removeprefix("torch."),
                None,
                bool(tensor.requires_grad),
            )
        known = names.of_tensor(tensor) if hasattr(tensor, "untyped_storage") else None
        fallback = loss if self.trouble != "unused-input" else None
        return TensorInfo(
            name=known[1].name if known is not None else fallback,
            kind=known[1].kind if known is not None else kind_of(tensor),
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            owner=known[1].owner if known is not None else None,
            requires_grad=bool(tensor.requires_grad),
        )


def refused_outright(
    values: dict[str, Any],
    is_grad: bool,
    loss: str,
    caller: FrameType | None,
    files: UserFiles,
    line: int | None = None,
) -> Outright | None:
    """`values` are the arguments of backward or grad by name, `loss` how `caller` wrote it, in
    `line` where `caller` has gone on since."""
    roots = listed(values.get("outputs" if is_grad else "tensors"))
    given = listed(values.get("grad_outputs" if is_grad else "grad_tensors"))
    for at, root in enumerate(roots):
        if not hasattr(root, "requires_grad"):
            continue
        if not root.requires_grad:
            return Outright("no-graph", root, find_cut(caller, loss, files, line))
        if root.numel() != 1 and (at >= len(given) or given[at] is None):
            return Outright("non-scalar", root)
    if is_grad and not values.get("allow_unused"):
        nodes = walk(grad_edge(root) for root in roots)
        hold(nodes, roots)
        reached = set(nodes)
        for at, each in enumerate(listed(values.get("inputs"))):
            edge = grad_edge(each)
            if edge not in reached and (edge is not None or not each.requires_grad):
                return Outright("unused-input", each, place=at)
    return None


def nodes_behind(values: dict[str, Any], is_grad: bool, limit: int | None = None) -> list[Any]:
    """The nodes that the call runs, or would have run; `limit` of its graph's at most."""
    roots = listed(values.get("outputs" if is_grad else "tensors"))
    nodes = walk((grad_edge(root) for root in roots), limit)
    hold(nodes, roots)
    inputs = values.get("inputs")
    if inputs is None:
        return nodes
    goals = [edge for each in listed(inputs) if (edge := grad_edge(each)) is not None]
    return needed(nodes, goals) if goals else nodes
