"""Backward was called on a loss that is not a single real number."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import refused_backwards
from graphlab.rules.repair.calls import one_real_number
from graphlab.rules.repair.given.unfit import made_fit
from graphlab.rules.repair.refused_call import reduce_to_scalar
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.functions.sightings import GivenUnfit
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "non-scalar",
        "errors.gl007.summary",
        "errors.gl007.help",
        reduce_to_scalar,
        others=one_real_number,
    )
    yield from refused_backwards(
        RULE,
        trace,
        "complex-loss",
        "errors.gl007.complex",
        "errors.gl007.complex_help",
        others=one_real_number,
    )
    yield from refused_backwards(
        RULE,
        trace,
        "gradient-shape",
        "errors.gl007.gradient",
        "errors.gl007.gradient_help",
        others=one_real_number,
    )
    for each in trace.sightings:
        if isinstance(each, GivenUnfit) and each.why not in ("saved", "asked"):
            yield _unfit(trace, each)


def _unfit(trace: Trace, each: GivenUnfit) -> Finding:
    wanted, given = (str(list(shape)) for shape in each.shapes)
    words = {"call": each.call, "name": each.name, "wanted": wanted, "given": given}
    return Finding(
        *RULE.label,
        summary=message(f"errors.gl007.given_{each.why}", **words),
        failed=Place(each.at, each.call),
        cause=Place(each.within, f"{each.name}()") if each.within is not None else None,
        help=(Help(message(f"errors.gl007.given_{each.why}_help", **words)),),
        others=tuple(made_fit(trace, each)),
    )


RULE = Rule("GL007", "non-scalar-loss", "error", check)
