"""An optimizer of torch's, or a GradScaler, refused what it was given or when."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import first_of
from graphlab.rules.repair.given.parameters import (
    flattened,
    found_by_parameters,
    kept_in_a_list,
    unpacked,
)
from graphlab.rules.repair.held.scaling import unscaled_once, updated
from graphlab.rules.repair.held.scheduled import one_cycle_built, planned_for_loader
from graphlab.rules.repair.trained.groups import groups_apart
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.sightings import OptimizerRefused

# What is not told of single parameters: an optimizer was given none, a GradScaler called out of
# turn, a rate or a closure that is not one.
_SETUP = (
    "listed", "plain", "used", "frozen", "unscaled", "not_updated", "half", "rates", "no_closure",
    "no_loss", "grouped",
)  # fmt: skip


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, OptimizerRefused):
            continue
        failed = Place(each.at, each.call)
        if each.why == "sizes":
            own, saved, what = each.told
            cause = message("errors.gl016.built")
            summary = message(f"errors.gl016.{what}", call=each.call, own=own, saved=saved)
            tensor = None
        elif each.why == "over":
            yield from _over(trace, each)
            continue
        elif each.why == "nested":
            yield _nested(trace, each)
            continue
        elif each.why in ("strangers", "replaced"):
            optimizer, model = each.told
            cause = message("words.built", name=optimizer)
            if each.why == "replaced":
                cause = message("errors.gl016.cause_replaced", model=model)
            summary = message(
                "errors.gl016.strangers", call=each.call, optimizer=optimizer, model=model
            )
            tensor = None
        elif each.why in _SETUP:
            names = list(each.told[:1] if each.why == "grouped" else each.told)
            cause = message(f"errors.gl016.cause_{each.why}") if each.cause is not None else ""
            summary = message(
                f"errors.gl016.{each.why}", call=each.call, names=names, count=len(names)
            )
            tensor = None
        else:
            names = list(each.told)
            cause = message(f"errors.gl016.{'built' if each.why == 'decays' else 'told_sparse'}")
            summary = message(f"errors.gl016.{each.why}", names=first_of(names), count=len(names))
            tensor = Versions(TensorInfo(names[0], "parameter", (), ""), None, None)
        yield Finding(
            *RULE.label,
            summary=summary,
            tensor=tensor,
            failed=failed,
            cause=Place(each.cause, cause) if each.cause is not None else None,
            help=(Help(message(f"errors.gl016.help_{each.why}")),),
            others=tuple(_others(trace, each)),
        )


def _others(trace: Trace, each: OptimizerRefused) -> Iterator[Help]:
    if each.why == "unscaled":
        yield from unscaled_once(trace, each)
    elif each.why == "not_updated":
        yield from updated(trace, each)
    elif each.why in ("listed", "plain"):
        yield from found_by_parameters(trace, each)
    elif each.why == "used":
        yield from kept_in_a_list(trace, each)
    elif each.why == "grouped":
        yield from flattened(trace, each)
    elif each.why == "repeated":
        yield from groups_apart(trace, each.at)


def _nested(trace: Trace, each: OptimizerRefused) -> Finding:
    written, kind = each.told
    words = {"call": each.call, "names": written, "kind": kind}
    return Finding(
        *RULE.label,
        summary=message("errors.gl016.nested", **words),
        failed=Place(each.at, each.call),
        help=(unpacked(trace, each) or Help(message("errors.gl016.help_nested", **words)),),
    )


def _over(trace: Trace, each: OptimizerRefused) -> Iterator[Finding]:
    """The schedule is at its end: it was planned for fewer steps than the loop takes."""
    built = one_cycle_built(trace, each)
    edit = planned_for_loader(trace, each)
    yield Finding(
        *RULE.label,
        summary=message("errors.gl016.over", call=each.call, steps=each.told[0]),
        failed=Place(each.at, each.call),
        cause=Place(built, message("errors.gl016.cause_over")) if built is not None else None,
        help=(edit or Help(message("errors.gl016.help_over")),),
    )


RULE = Rule("GL016", "optimizer-refused", "error", check)
