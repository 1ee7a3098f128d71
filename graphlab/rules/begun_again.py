"""A training that each epoch begins again: GL135 tells of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.steps import unversioned
from graphlab.rules.words import parameter_word
from graphlab.source.effects.idle.begun_again import begun_again
from graphlab.trace.finding import Finding, Help, Place, Severity
from graphlab.trace.model import OptimizerInfo, Step, Trace
from graphlab.trace.module_sightings import DrawnAnew

# So many optimizers of one line and of parameters with one name tell that each epoch made its own.
ENOUGH = 3


def trainings_begun_again(trace: Trace, label: tuple[str, str, Severity]) -> Iterator[Finding]:
    counts = Counter(_key(trace, each) for each in trace.optimizers if each.steps and each.owns)
    told: set[tuple[str, int]] = set()
    for event in trace.events:
        if not isinstance(event, Step) or event.at is None:
            continue
        optimizer = trace.optimizers[event.optimizer]
        line = (event.at.file, event.at.line)
        if line in told or not optimizer.owns or counts[_key(trace, optimizer)] < ENOUGH:
            continue
        told.add(line)
        source = trace.sources.get(event.at.file, "")
        fits = optimizer.at == event.at
        if fits and not _of_their_own(trace, optimizer):
            continue
        found = begun_again(event.at.file, source, event.at.line, fits)
        if found is None or (not fits and (found.at.file, found.at.line) in told):
            continue
        told.add((found.at.file, found.at.line))
        first = optimizer.owns[0]
        how = "fits" if found.fits else "cleared" if found.store else "again"
        yield Finding(
            *label,
            summary=message(
                f"training.gl135.{how}", name=found.name, first=parameter_word(trace, first)
            ),
            tensor=unversioned(trace, first),
            cause=Place(found.at, found.name),
            failed=Place(found.loop, message("training.gl135.loop")),
            help=(Help(message(f"training.gl135.help_{how}", name=found.name)),),
        )


def weights_drawn_anew(trace: Trace, label: tuple[str, str, Severity]) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, DrawnAnew):
            first = parameter_word(trace, each.tensor)
            yield Finding(
                *label,
                summary=message("training.gl135.cleared", name=each.call, first=first),
                tensor=unversioned(trace, each.tensor),
                cause=Place(each.at, each.call),
                failed=Place(each.loop, message("training.gl135.loop")),
                help=(Help(message("training.gl135.help_cleared", name=each.call)),),
            )


def _of_their_own(trace: Trace, one: OptimizerInfo) -> bool:
    """Whether the optimizers of a line have no parameter in common."""
    key = _key(trace, one)
    owned = [at for each in trace.optimizers if _key(trace, each) == key for at in each.owns]
    return len(owned) == len({*owned})


def _key(trace: Trace, optimizer: OptimizerInfo) -> tuple[object, str | None]:
    name = trace.tensors[optimizer.owns[0]].name if optimizer.owns else None
    return optimizer.at, name
