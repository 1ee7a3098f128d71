"""A custom Function's backward returned the wrong gradients, or there is none."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.failures import failed_backwards
from graphlab.rules.repair.asked.functions import applied_instead, named_backward
from graphlab.rules.repair.asked.returned import complete_return
from graphlab.rules.repair.given.unfit import made_fit
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.functions.sightings import FunctionUnfit, GivenUnfit
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
    for each in trace.sightings:
        if isinstance(each, FunctionUnfit):
            yield Finding(
                *RULE.label,
                summary=message(
                    f"errors.gl010.no_{each.lacks}", function=each.name, call=each.call
                ),
                cause=Place(each.at, f"class {each.name}") if each.at is not None else None,
                failed=Place(each.call_at, each.call),
                help=(
                    applied_instead(trace, each)
                    or Help(message(f"errors.gl010.define_{each.lacks}", function=each.name)),
                ),
            )
        elif isinstance(each, GivenUnfit) and each.why == "saved":
            words = {"call": each.call, "name": each.name, "kind": each.kind}
            yield Finding(
                *RULE.label,
                summary=message("errors.gl010.saved", **words),
                cause=Place(each.within, "save_for_backward()"),
                failed=Place(each.at, each.call),
                help=(Help(message("errors.gl010.saved_help", **words)),),
                others=tuple(made_fit(trace, each)),
            )


def _renamed(trace: Trace, event: Backward) -> Iterator[Help]:
    node = event.node
    return named_backward(trace, node.at, node.operation) if node is not None else iter(())


RULE = Rule("GL010", "function-contract", "error", check)
