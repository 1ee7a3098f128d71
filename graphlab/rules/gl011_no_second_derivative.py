"""A gradient was differentiated again that has no second derivative."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.failures import failed_backwards
from graphlab.rules.repair.calls import by_math_attention
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from failed_backwards(
        RULE,
        trace,
        "no-second-derivative",
        "{call} goes through the gradient of {function}, which cannot be differentiated again",
        "Compute that part with operations that have a second derivative, or leave it out of what "
        "create_graph=True differentiates.",
        _help,
        by_math_attention,
    )


def _help(trace: Trace, event: Backward) -> Help | None:
    node = event.node
    if node is None:
        return None
    if "once_differentiable" in event.cut_by:
        return Help(
            f"Write {node.function}.backward in operations of torch that autograd can follow, "
            "and take the decorator off. Taking it off alone gives a wrong gradient wherever "
            "backward uses values that autograd does not see."
        )
    if "ScaledDotProduct" in node.operation:
        return Help(
            "Only the math backend can be differentiated twice: run the forward under "
            "`with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):`."
        )
    if "Cudnn" in node.operation:
        return Help(
            "The cuDNN kernel has no second derivative: run the forward under "
            "`with torch.backends.cudnn.flags(enabled=False):`."
        )
    return None


RULE = Rule("GL011", "no-second-derivative", "error", check)
