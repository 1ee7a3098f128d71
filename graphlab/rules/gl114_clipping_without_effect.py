"""Gradients were clipped while still scaled, after their step, too early, or of others."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.clipping import (
    clip_before_step,
    clip_beside_step,
    clip_those_stepped,
    unscale_before,
)
from graphlab.rules.repair.held.stepping import clip_after_backward
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import Clipped


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Clipped):
            continue
        name = trace.optimizers[each.optimizer].name
        failed = Place(each.step, f"{name}.step()") if each.step is not None else None
        edit: Help | None = None
        if each.why == "scaled":
            said, help = "scaled", "unscale"
            edit = unscale_before(trace, each, name)
        elif each.why == "spent":
            said, help = "spent", "between"
            edit = clip_before_step(trace, each)
        elif each.why == "none":
            said, help = "none_yet", "between"
        elif each.why == "others":
            said, help = "others", "those_stepped"
            edit = clip_those_stepped(trace, each)
        else:
            said, help = "used_up", "list"
        yield Finding(
            *RULE.label,
            summary=message(f"training.gl114.{said}", call=each.call, name=name),
            failed=failed,
            cause=Place(each.at, each.call),
            help=(edit or Help(message(f"training.gl114.{help}", name=name)),),
            others=()
            if each.why == "others"
            else (
                *clip_after_backward(trace, each.at, each.backward),
                *clip_beside_step(trace, each),
            ),
        )


RULE = Rule("GL114", "clipping-without-effect", "warning", check)
