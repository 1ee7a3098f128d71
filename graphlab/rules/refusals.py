"""Findings of what torch refused outright: a write, another operation, a backward before it ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Backward, Refused, Trace


def refused_writes(
    rule: Rule,
    trace: Trace,
    kind: str,
    summary: str,
    help: tuple[str, str],
    repair: Callable[[Trace, Refused], Help | None],
    others: Callable[[Trace, Refused], Iterable[Help]] = lambda trace, event: (),
) -> Iterator[Finding]:
    """One finding for each line that wrote to a tensor of `kind`.

    `help` is two ways to fix it; an edit that `repair` finds replaces the first. `{name}` and
    `{by}` in the texts stand for the tensor and the write.
    """
    told = set()
    for event in trace.events:
        if not isinstance(event, Refused) or event.kind != kind or event.at in told or not event.by:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.tensor]
        edit = repair(trace, event)
        first, second = (each.format(name=tensor.name or "x") for each in help)
        called = tensor.name or f"a tensor of shape {list(tensor.shape)}"
        yield Finding(
            *rule.label,
            summary=summary.format(name=called, by=event.by),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None),
            mutated=Place(event.at, event.by),
            failed=Place(event.at, event.by),
            cause=_cause(event, "the view is made"),
            help=(edit or Help(first), Help(second)),
            others=tuple(others(trace, event)),
        )


def refused_operations(
    rule: Rule,
    trace: Trace,
    kind: str,
    summary: Callable[[Refused, str], str],
    help: Callable[[Trace, Refused, str], Iterator[Help]],
    written: bool = False,
    others: Callable[[Trace, Refused], Iterable[Help]] = lambda trace, event: (),
) -> Iterator[Finding]:
    """One finding for each line whose operation was refused for `kind`. `summary` and `help` are
    also given the tensor's name; `written` says that each of them is an in-place write."""
    told = set()
    for event in trace.events:
        if not isinstance(event, Refused) or event.kind != kind or event.at in told:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.tensor]
        called = tensor.name or f"a tensor of shape {list(tensor.shape)}"
        yield Finding(
            *rule.label,
            summary=summary(event, called),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None),
            mutated=Place(event.at, event.by) if written else None,
            failed=Place(event.at, event.by),
            cause=_cause(event, "made here"),
            help=tuple(help(trace, event, tensor.name or "it")),
            others=tuple(others(trace, event)),
        )


def made_by(event: Refused) -> str:
    """What made the tensor so, and in which line; "" if that is not known."""
    return f"{event.made_by} in line {event.made.line}" if event.made is not None else ""


def _cause(event: Refused, otherwise: str) -> Place | None:
    return Place(event.made, event.made_by or otherwise) if event.made is not None else None


def refused_backwards(
    rule: Rule,
    trace: Trace,
    trouble: str,
    summary: str,
    help: str,
    repair: Callable[[Trace, Backward], Help | None] = lambda trace, event: None,
    cut: str = "",
    others: Callable[[Trace, Backward], Iterable[Help]] = lambda trace, event: (),
) -> Iterator[Finding]:
    """One finding for each line whose backward was refused for `trouble`.

    `cut` is appended to the summary if the line that detached the loss is known; `help` is used if
    `repair` finds nothing. `{name}`, `{call}`, `{loss}`, `{shape}`, `{why}` and `{cut}` are filled
    in.
    """
    told = set()
    for event in trace.events:
        if not isinstance(event, Backward) or event.trouble != trouble or event.at in told:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.subject] if event.subject is not None else None
        called = tensor.name if tensor is not None and tensor.name else event.loss
        words = {
            "name": called,
            "call": event.call,
            "loss": event.loss,
            "shape": list(tensor.shape) if tensor is not None else "",
            "why": event.node.why if event.node is not None else "",
            "cut": f"{event.cut_by} in line {event.cut.line}" if event.cut else "",
        }
        said = summary if event.cut is None else summary + cut
        yield Finding(
            *rule.label,
            summary=said.format(**words),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None) if tensor is not None else None,
            failed=Place(event.at, event.call),
            cause=Place(event.cut, event.cut_by) if event.cut is not None else None,
            help=(repair(trace, event) or Help(help.format(**words)),),
            others=tuple(others(trace, event)),
        )
