"""An optimizer stepped without a backward since its last step."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.stepping import step_with_backward, without_step
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_per_optimizer, never_stepped, unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import IdleClosure


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, IdleClosure):
            name = trace.optimizers[each.optimizer].name
            yield Finding(
                *RULE.label,
                summary=message("training.gl109.closure", name=name),
                failed=Place(each.at, f"{name}.step()"),
                help=(Help(message("training.gl109.compute", name=name)),),
            )
    # GL111 tells of a step in another optimizer's place.
    wrong = {each.instead.at for each in never_stepped(trace) if each.instead is not None}
    for step in first_per_optimizer(trace, lambda step: step.nothing_new and not step.shared):
        if step.at in wrong:
            continue
        wrong.add(step.at)
        optimizer = trace.optimizers[step.optimizer]
        if optimizer.strangers or set(optimizer.owns) <= set(optimizer.never_reached):
            # Parameters out of use or not reached get no gradients: GL104 and GL110 say so.
            continue
        # It is torch that steps there, for a rank that has no more batches.
        joined = step.at is not None and step.at.code.startswith("with Join(")
        help = f"training.gl109.{'joined_' if joined else ''}help"
        # What it does there is as its documentation has it.
        severity = "info" if joined else RULE.severity
        yield Finding(
            RULE.code,
            RULE.name,
            severity,
            summary=message("training.gl109.summary", name=optimizer.name),
            iteration=step.iteration,
            tensor=unversioned(trace, optimizer.owns[0]) if optimizer.owns else None,
            failed=Place(step.at, f"{optimizer.name}.step()"),
            help=(Help(message(help, name=optimizer.name)),),
            others=()
            if joined
            else (*step_with_backward(trace, step.at), *without_step(trace, step.at)),
        )


RULE = Rule("GL109", "step-without-new-gradients", "warning", check)
