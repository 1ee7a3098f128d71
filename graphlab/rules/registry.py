"""All codes, and the rules that exist for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphlab.trace.finding import Finding, Severity
from graphlab.trace.model import Trace

Rule = Callable[[Trace], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    name: str
    severity: Severity


# Codes are never reused or renumbered.
CODES = tuple(
    Code(code, name, "error" if code < "GL100" else "info" if code == "GL108" else "warning")
    for code, name in (
        ("GL001", "stale-saved-tensor"),
        ("GL002", "graph-already-freed"),
        ("GL003", "leaf-modified-in-place"),
        ("GL004", "view-modified-in-place"),
        ("GL005", "no-graph"),
        ("GL006", "unused-input"),
        ("GL007", "non-scalar-loss"),
        ("GL101", "mixed-gradients"),
        ("GL102", "leftover-gradients"),
        ("GL103", "parameter-without-optimizer"),
        ("GL104", "optimizer-holds-strangers"),
        ("GL105", "version-counter-bypassed"),
        ("GL106", "graph-grows"),
        ("GL107", "parameter-in-two-optimizers"),
        ("GL108", "wasted-gradients"),
        ("GL109", "step-without-new-gradients"),
        ("GL110", "parameter-never-reached"),
    )
)


def find(trace: Trace) -> list[Finding]:
    """Every finding of every rule, errors first, each code in its order."""
    from graphlab.rules import (
        gl001_stale_saved_tensor,
        gl002_graph_already_freed,
        gl101_mixed_gradients,
        gl105_version_counter_bypassed,
    )

    rules: tuple[Rule, ...] = (
        gl001_stale_saved_tensor.check,
        gl002_graph_already_freed.check,
        gl101_mixed_gradients.check,
        gl105_version_counter_bypassed.check,
    )
    return [finding for rule in rules for finding in rule(trace)]
