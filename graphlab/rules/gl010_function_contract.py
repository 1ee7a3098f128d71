"""A custom Function's backward returned the wrong gradients, or there is none."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.failures import failed_backwards
from graphlab.rules.repair.asked.functions import named_backward
from graphlab.rules.repair.asked.returned import complete_return
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from failed_backwards(
        RULE,
        trace,
        "contract",
        "errors.gl010.summary",
        "errors.gl010.help",
        complete_return,
    )
    yield from failed_backwards(
        RULE,
        trace,
        "no-backward",
        "errors.gl010.missing",
        "errors.gl010.define",
        lambda trace, event: None,
        _renamed,
    )


def _renamed(trace: Trace, event: Backward) -> Iterator[Help]:
    node = event.node
    return named_backward(trace, node.at, node.operation) if node is not None else iter(())


RULE = Rule("GL010", "function-contract", "error", check)
