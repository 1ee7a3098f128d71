"""A gradient was differentiated again that has no second derivative."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.failures import failed_backwards
from graphlab.rules.repair.asked.functions import differentiable_twice
from graphlab.rules.repair.asked.twice import by_differences, by_math_attention
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from failed_backwards(
        RULE,
        trace,
        "no-second-derivative",
        "errors.gl011.summary",
        "errors.gl011.help",
        _help,
        _others,
    )


def _help(trace: Trace, event: Backward) -> Help | None:
    node = event.node
    if node is None:
        return None
    if "once_differentiable" in event.cut_by:
        return Help(message("errors.gl011.decorator", function=node.function))
    if "ScaledDotProduct" in node.operation:
        return Help(message("errors.gl011.attention"))
    if node.operation == "CompiledFunctionBackward":
        return Help(message("errors.gl011.compiled"))
    if "Cudnn" in node.operation:
        return Help(message("errors.gl011.cudnn"))
    return None


def _others(trace: Trace, event: Backward) -> Iterator[Help]:
    yield from by_math_attention(trace, event)
    yield from by_differences(trace, event)
    yield from differentiable_twice(trace, event.cut)


RULE = Rule("GL011", "no-second-derivative", "error", check)
