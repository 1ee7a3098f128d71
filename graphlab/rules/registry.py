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
        gl003_leaf_modified_in_place,
        gl004_view_modified_in_place,
        gl005_no_graph,
        gl006_unused_input,
        gl007_non_scalar_loss,
        gl101_mixed_gradients,
        gl102_leftover_gradients,
        gl103_parameter_without_optimizer,
        gl104_optimizer_holds_strangers,
        gl105_version_counter_bypassed,
        gl106_graph_grows,
        gl107_parameter_in_two_optimizers,
        gl108_wasted_gradients,
        gl109_step_without_new_gradients,
        gl110_parameter_never_reached,
    )

    rules: tuple[Rule, ...] = (
        gl001_stale_saved_tensor.check,
        gl002_graph_already_freed.check,
        gl003_leaf_modified_in_place.check,
        gl004_view_modified_in_place.check,
        gl005_no_graph.check,
        gl006_unused_input.check,
        gl007_non_scalar_loss.check,
        gl101_mixed_gradients.check,
        gl102_leftover_gradients.check,
        gl103_parameter_without_optimizer.check,
        gl104_optimizer_holds_strangers.check,
        gl105_version_counter_bypassed.check,
        gl106_graph_grows.check,
        gl107_parameter_in_two_optimizers.check,
        gl108_wasted_gradients.check,
        gl109_step_without_new_gradients.check,
        gl110_parameter_never_reached.check,
    )
    return [finding for rule in rules for finding in rule(trace)]
