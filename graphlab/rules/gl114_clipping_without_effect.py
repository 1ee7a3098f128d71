"""Gradients were clipped while still scaled, after the step that used them, or too early."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.held.clipping import clip_before_step, unscale_before
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
            said = (
                f"{each.call} clips gradients that the GradScaler has not unscaled yet: their norm "
                "is thousands of times the true one, so that every step is cut down alike"
            )
            help = f"Call the scaler's unscale_({name}) first."
            edit = unscale_before(trace, each, name)
        elif each.why == "spent":
            said = (
                f"{each.call} clips gradients that {name}.step() has applied already: no step is "
                "any smaller for it"
            )
            help = f"Clip between the backward and {name}.step()."
            edit = clip_before_step(trace, each)
        else:
            said = f"{each.call} finds no gradient to clip: the backward comes after it"
            help = f"Clip between the backward and {name}.step()."
        yield Finding(
            *RULE.label,
            summary=said,
            failed=failed,
            cause=Place(each.at, each.call),
            help=(edit or Help(help),),
            others=tuple(clip_after_backward(trace, each.at, each.backward)),
        )


RULE = Rule("GL114", "clipping-without-effect", "warning", check)
