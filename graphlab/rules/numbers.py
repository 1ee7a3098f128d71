"""What the rules about numbers that are not finite have in common: their words."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import Message, key_of, message
from graphlab.language.lists import listing
from graphlab.rules.repair.finite.repairs import finite
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import loss_word, several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.sightings import NonFinite


def sighted(trace: Trace) -> Iterator[NonFinite]:
    """What was seen of such numbers."""
    for each in trace.sightings:
        if isinstance(each, NonFinite):
            yield each


def spelt(operation: str) -> str:
    """``sqrt`` for `SqrtBackward0`: what the user wrote, not what torch calls its derivative."""
    name = operation.split("Backward")[0]
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def called(each: NonFinite) -> str:
    """What made it, as its line has it: the last part of a cross entropy is that."""
    name = spelt(each.operation)
    if name.startswith("nll_loss") and each.at is not None and "cross_entropy" in each.at.code:
        return "cross_entropy"
    return name


def finding(rule: Rule, trace: Trace, each: NonFinite, made: str, help: str) -> Finding:
    """The finding on a number; `made` says what made it."""
    code, name, severity = rule.label
    index = next(iter(each.tensors), None)
    measured = {"count": float(each.count), "of": float(each.whole)} if each.whole else {}
    cause = None
    if each.given_at is not None and each.phase == "data":
        cause = Place(each.given_at, message("numbers.place.made", operand=each.operand))
    elif each.at is not None:
        cause = Place(each.at, _place(each), each.module)
    failed = None
    if each.call and (each.phase == "backward" or not each.step):
        failed = Place(each.call_at, each.call)
    elif each.step:
        failed = Place(each.step_at, each.step)
    return Finding(
        code,
        name,
        severity,
        summary=message(
            "numbers.summary",
            what=message(f"numbers.{each.kind}"),
            when=_when(each.iteration),
            made=made,
            reach=_reach(trace, each),
        ),
        iteration=each.iteration if each.iteration is not None else each.reached,
        tensor=unversioned(trace, index) if index is not None else None,
        cause=cause,
        failed=failed,
        help=(Help(_help(each, help)),),
        others=tuple(finite(trace, each, spelt(each.operation))),
        notes=tuple(_notes(trace, each)),
        measured=measured,
    )


def _place(each: NonFinite) -> str:
    """What made it, and of what."""
    by = called(each) or message("numbers.place.data")
    if each.phase == "data" and each.operation:
        return message("numbers.place.met", operand=each.operand or message("words.a_tensor"))
    if each.operand and each.operation:
        by = message("numbers.place.operation_of", operation=by, operand=each.operand)
    elif each.operand:
        by = message("numbers.place.data_named", operand=each.operand)
    if each.critical:
        by = message("numbers.place.given", by=by, critical=each.critical)
    return by


def _when(iteration: int | None) -> str:
    return message("numbers.when", iteration=iteration) if iteration is not None else ""


def _reach(trace: Trace, each: NonFinite) -> str:
    parts = [loss_word(each.loss)] if each.in_loss and each.loss else []
    # Else they are what it was found in.
    if each.tensors and each.phase != "kept" and (each.operand or each.phase != "before"):
        names = several_parameters(trace, each.tensors)
        applied = each.step and each.phase not in ("before", "step")
        if applied or (each.phase == "backward" and each.iteration is not None):
            names = message("numbers.gradients", names=names)
        parts.append(names)
    if parts:
        key = "reached_applied" if each.step else "reached"
        words = {"when": _when(each.reached), "parts": listing(parts), "step": each.step}
        return message(f"numbers.{key}", **words)
    return message("numbers.ran", step=each.step) if each.step else ""


def _help(each: NonFinite, help: str) -> str:
    known = "numbers.help_known" if each.operation else "numbers.help"
    return message("numbers.diverged") if each.grown else help or message(known)


def _notes(trace: Trace, each: NonFinite) -> Iterator[str]:
    if (grown := each.grown) is not None:
        key, name = "grown", loss_word(grown.name)
        if each.grown_tensor is not None:
            key, name = "grown_tensor", several_parameters(trace, [each.grown_tensor])
        yield message(
            f"numbers.{key}", name=name, before=f"{grown.before:.3g}", first=grown.first,
            after=f"{grown.after:.3g}", last=grown.last,
        )  # fmt: skip
    if each.given_at is not None and each.phase != "data":
        by, line = each.given_at.code.removeprefix("return "), each.given_at.line
        yield message("numbers.given_by", by=by, line=line, operation=called(each))
    if each.look_from is not None:
        known = each.at is not None and each.operation and each.phase != "data"
        key = "look_from_operand" if known else "look_from"
        yield message(f"numbers.{key}", iteration=each.look_from)


def reached_at(each: NonFinite) -> Location | None:
    """The line of the loop in which it took effect."""
    return each.step_at or each.call_at


def given(each: NonFinite) -> str:
    """What is wrong with the values of its operand."""
    return message("numbers.operand.given", critical=each.critical) if each.critical else ""


def operand(each: NonFinite) -> str:
    """Which operand, and what is wrong with its values: ``3 of 64 values of p are 0``."""
    if not each.critical:
        return message("numbers.operand.named", operand=each.operand) if each.operand else ""
    if not each.operand and key_of(each.critical) == "observed.values.no_label":
        return given(each)
    name = each.operand or message("numbers.operand.its")
    if isinstance(each.critical, Message) and each.critical.key == "observed.values.some":
        return message("numbers.operand.values_of", operand=name, **each.critical.arguments)
    return message("numbers.operand.named_given", operand=name, critical=each.critical)
