"""A leaf that requires grad was written in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.refusals import refused_writes
from graphlab.rules.repair.anew.listed import differentiated_list, list_made_anew
from graphlab.rules.repair.asked.guarded import guarded_and_given_back, guarded_and_imported
from graphlab.rules.repair.asked.leaves import made_plain
from graphlab.rules.repair.inplace_modules import built_not_in_place
from graphlab.rules.repair.reordered import copy_in_call
from graphlab.rules.repair.trained.latent import another_tensor, computed_from_latent
from graphlab.rules.repair.writes import under_no_grad
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_writes(
        RULE,
        trace,
        "leaf",
        "errors.gl003.summary",
        ("errors.gl003.under_no_grad", "errors.gl003.into_a_copy"),
        _repair,
        lambda trace, event: (
            *_as_values(trace, event),
            *_imported(trace, event),
            *copy_in_call(trace, event.at, trace.tensors[event.tensor].name),
            *built_not_in_place(trace, event.at),
            *list_made_anew(trace, event.at),
        ),
    )


def _repair(trace: Trace, event: Refused) -> Help | None:
    found = made_plain(trace, event) or computed_from_latent(trace, event)
    found = found or differentiated_list(trace, event.at) or another_tensor(trace, event)
    return found or _guarded(trace, event)


def _imported(trace: Trace, event: Refused) -> Iterator[Help]:
    # Under no_grad, the signs of a weight would take its place for good.
    if computed_from_latent(trace, event) is None:
        yield from guarded_and_imported(trace, event.at)
        yield from guarded_and_given_back(trace, event.at)


def _guarded(trace: Trace, event: Refused) -> Help | None:
    return under_no_grad(trace, event.at) if event.at is not None else None


def _as_values(trace: Trace, event: Refused) -> Iterator[Help]:
    """To assign elements without their graph, where that need not be meant."""
    guarded = _guarded(trace, event)
    if guarded is not None and made_plain(trace, event) is not None:
        name = trace.tensors[event.tensor].name
        yield replace(guarded, choice=message("fix.meant.values", name=name))


RULE = Rule("GL003", "leaf-modified-in-place", "error", check)
