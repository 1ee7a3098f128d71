"""Repairs of an operation that has no second derivative: by others, which have one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

# Far below what a distance is rounded to; the root has a second derivative there, and none at 0.
_ABOVE = "1e-12"
_PLAIN = ast.Name | ast.Attribute | ast.Call | ast.Subscript


def by_math_attention(trace: Trace, event: Backward) -> Iterator[Help]:
    """Run the attention by the backend that has a second derivative."""
    node = event.node
    file = Rewriting.of(trace, node.at if node is not None else None)
    if file is None or node is None or node.at is None or "ScaledDotProduct" not in node.operation:
        return
    statement = file.statement(node.at.line)
    if statement is None or hasattr(statement, "body"):
        return
    header = "with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)"
    edits = [file.under(header, statement, statement)]
    if "import torch.nn.attention" not in file.source:
        first = next((each for each in file.tree.body if isinstance(each, ast.Import)), None)
        if first is None:
            return
        place = file.whole(first)[1]
        edits.append((place, place, "import torch.nn.attention\n"))
    found = file.help(message("repairs.tried.attention"), *edits)
    if found is not None:
        yield found


def by_differences(trace: Trace, event: Backward) -> Iterator[Help]:
    """The root of the sum of squares for ``torch.cdist(a, b)``."""
    at = event.node.at if event.node is not None else None
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    for node in ast.walk(statement) if file is not None and statement is not None else ():
        if (
            file is None
            or not isinstance(node, ast.Call)
            or ast.unparse(node.func) not in ("torch.cdist", "cdist")
            or len(node.args) != 2
            or node.keywords
        ):
            continue
        one, other = (
            file.text(each) if isinstance(each, _PLAIN) else f"({file.text(each)})"
            for each in node.args
        )
        apart = f"({one}.unsqueeze(-2) - {other}.unsqueeze(-3))"
        new = f"({apart}.square().sum(-1) + {_ABOVE}).sqrt()"
        found = file.help(message("repairs.asked.differences"), (*file.span(node), new))
        if found is not None:
            yield found
