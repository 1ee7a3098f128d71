"""What the rules about numbers that are not finite have in common: their words."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite

_HELP = "Find the operation first, then keep what goes into it where it has a finite slope."
_DIVERGED = (
    "The training had diverged before: lower the learning rate, or clip the gradients before the "
    "step."
)
_KINDS = {"nan": "NaN", "inf": "infinite number"}


def sighted(trace: Trace) -> Iterator[NonFinite]:
    """What was seen of such numbers."""
    for each in trace.sightings:
        if isinstance(each, NonFinite):
            yield each


def spelt(operation: str) -> str:
    """``sqrt`` for `SqrtBackward0`: what the user wrote, not what torch calls its derivative."""
    name = operation.split("Backward")[0]
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def finding(rule: Rule, trace: Trace, each: NonFinite, made: str, help: str) -> Finding:
    """The finding on a number; `made` says what made it."""
    code, name, severity = rule.label
    index = next(iter(each.tensors), None)
    what = _KINDS[each.kind]
    when = f" in iteration {each.iteration}" if each.iteration is not None else ""
    measured = {"count": float(each.count), "of": float(each.whole)} if each.whole else {}
    failed = None
    if each.step:
        failed = Place(each.step_at, each.step)
    elif each.call:
        failed = Place(each.call_at, each.call)
    by = spelt(each.operation) or "data"
    if each.operand:
        by += f" of {each.operand}" if each.operation else f": {each.operand}"
    if each.critical:
        by += f" ({each.critical})"
    return Finding(
        code,
        name,
        severity,
        summary=f"the first {what}{when}: {made}{_reach(trace, each)}",
        iteration=each.iteration,
        tensor=unversioned(trace, index) if index is not None else None,
        cause=Place(each.at, by, each.module) if each.at is not None else None,
        failed=failed,
        help=(Help(_DIVERGED if each.grown is not None else help or _HELP),),
        notes=_notes(trace, each),
        measured=measured,
    )


def _reach(trace: Trace, each: NonFinite) -> str:
    names = [trace.tensors[at].name or "a parameter" for at in each.tensors]
    parts = [each.loss] if each.in_loss and each.loss else []
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        what = "" if each.phase in ("before", "step") else "the gradients of "
        parts.append(f"{what if each.step else ''}{names[0]}{more}")
    reached = f"; it reached {' and '.join(parts)}" if parts else ""
    if each.step:
        reached += f", which {each.step} applied" if parts else f"; {each.step} ran all the same"
    return reached


def _notes(trace: Trace, each: NonFinite) -> tuple[str, ...]:
    notes: list[str] = []
    if (grown := each.grown) is not None:
        name, most = grown.name, ""
        if each.grown_tensor is not None:
            name, most = trace.tensors[each.grown_tensor].name or "a parameter", " at most"
        notes.append(
            f"{name} was {grown.before:.3g}{most} in iteration {grown.first}, and "
            f"{grown.after:.3g} in iteration {grown.last}."
        )
    if each.look_from is None:
        return tuple(notes)
    return (
        *notes,
        "Which operation made it can be told by a second run that looks at every operation from "
        f"iteration {each.look_from} on: --nan-from {each.look_from}.",
    )


def operand(each: NonFinite, otherwise: str = "its operand") -> str:
    """Which operand, and what is wrong with its values: ``3 of 64 values of p are 0``."""
    if not each.critical:
        return f" of {each.operand}" if each.operand else ""
    name = each.operand or otherwise
    said = each.critical
    if " values " in said and not said.startswith("values"):
        return f": {said.replace(' values ', f' values of {name} ', 1)}"
    return f" of {name}: {said}"
