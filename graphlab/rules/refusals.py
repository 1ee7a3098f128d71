"""Findings of what torch refused outright: a write, another operation, a backward before it ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.words import by_in_line, loss_word, tensor_word
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

    `summary` is the key of a text, and `help` those of two ways to fix it; an edit that `repair`
    finds replaces the first. `{name}` and `{by}` in the texts stand for the tensor and the write.
    """
    told = set()
    for event in trace.events:
        if not isinstance(event, Refused) or event.kind != kind or event.at in told or not event.by:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.tensor]
        edit = repair(trace, event)
        first, second = (message(each, name=tensor.name or "x") for each in help)
        yield Finding(
            *rule.label,
            summary=message(summary, name=tensor_word(tensor), by=event.by),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None),
            mutated=Place(event.at, event.by),
            failed=Place(event.at, event.by),
            cause=_cause(event, message("errors.refused.view_made")),
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
        yield Finding(
            *rule.label,
            summary=summary(event, tensor_word(tensor)),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None),
            mutated=Place(event.at, event.by) if written else None,
            failed=Place(event.at, event.by),
            cause=_cause(event, message("errors.refused.made_here")),
            help=tuple(help(trace, event, tensor.name or message("words.it"))),
            others=tuple(others(trace, event)),
        )


def made_by(event: Refused) -> str:
    """What made the tensor so, and in which line; "" if that is not known."""
    return by_in_line(event.made_by, event.made) if event.made is not None else ""


def _cause(event: Refused, otherwise: str) -> Place | None:
    return Place(event.made, event.made_by or otherwise) if event.made is not None else None


def refused_backwards(
    rule: Rule,
    trace: Trace,
    trouble: str,
    summary: str,
    help: str,
    repair: Callable[[Trace, Backward], Help | None] = lambda trace, event: None,
    cut: Callable[[Backward], str] | None = None,
    others: Callable[[Trace, Backward], Iterable[Help]] = lambda trace, event: (),
) -> Iterator[Finding]:
    """One finding for each line whose backward was refused for `trouble`.

    `summary` and `help` are keys of texts, and `cut` gives one that stands in for the summary if
    the line that detached the loss is known; `help` is used if `repair` finds nothing. `{name}`,
    `{call}`, `{loss}`, `{shape}`, `{why}`, `{by}` and `{cut}` are filled in.
    """
    told = set()
    for event in trace.events:
        if not isinstance(event, Backward) or event.trouble != trouble or event.at in told:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.subject] if event.subject is not None else None
        loss = loss_word(event.loss)
        words = {
            "name": tensor.name if tensor is not None and tensor.name else loss,
            "call": event.call,
            "loss": loss,
            "shape": str(list(tensor.shape)) if tensor is not None else "",
            "why": event.node.why if event.node is not None else "",
            "by": event.cut_by,
            "cut": by_in_line(event.cut_by, event.cut) if event.cut else "",
        }
        said = cut(event) if cut is not None and event.cut is not None else summary
        yield Finding(
            *rule.label,
            summary=message(said, **words),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None) if tensor is not None else None,
            failed=Place(event.at, event.call),
            cause=Place(event.cut, event.cut_by) if event.cut is not None else None,
            help=(repair(trace, event) or Help(message(help, **words)),),
            others=tuple(others(trace, event)),
        )
