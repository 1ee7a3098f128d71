"""Backward ran a second time through a graph that an earlier backward had freed."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.anew.closures import computed_in_closure
from graphlab.rules.repair.anew.handed_on import detached_as_stored, detached_by_text
from graphlab.rules.repair.anew.kept_values import values_written
from graphlab.rules.repair.anew.summed import begun_in_method
from graphlab.rules.repair.anew.totals import begun_again
from graphlab.rules.repair.anew.used_up import detached_after
from graphlab.rules.repair.carried import detach_carried, if_cut_is_meant, kept_inside
from graphlab.rules.repair.graph.emptied import emptied, filled_detached
from graphlab.rules.repair.graph.growing import summed_apart
from graphlab.rules.repair.graph.joined import each_for_its_own, joined, kept_for_the_next
from graphlab.rules.repair.graph.kept_apart import (
    detach_given,
    detached_in_method,
    graph_once_more,
    loss_per_backward,
)
from graphlab.rules.repair.graph.once import (
    cached,
    cached_each_turn,
    made_before_loop,
    made_elsewhere,
    made_once_in_init,
)
from graphlab.rules.repair.graph.twice import adds_up, backward_once, if_twice_is_meant
from graphlab.rules.repair.loops import (
    detach_and_recompute,
    recompute,
    run_only_one_backward,
    saving_lines,
)
from graphlab.rules.repair.refused_call import add_create_graph
from graphlab.rules.rule import Rule
from graphlab.rules.words import inferred
from graphlab.source.blocks import bound_names
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Carrier, Saved, Trace


def check(trace: Trace) -> Iterator[Finding]:
    told = set()
    for event in trace.events:
        if not isinstance(event, Backward):
            continue
        problems = [each for each in event.problems if each.state == "freed"]
        if not problems or event.at in told:
            continue
        told.add(event.at)
        first = problems[0]
        known = trace.events[first.freed_by] if first.freed_by is not None else None
        freeing = known if isinstance(known, Backward) else None
        where = message("errors.gl002.earlier_forward")
        if first.at is not None:
            where = message("words.line", line=first.at.line)
        again = freeing is not None and freeing.at == event.at
        by = freeing.call if freeing is not None else message("errors.gl002.earlier_backward")
        if freeing is not None and freeing.inferred:
            by = message("words.by_inferred", by=by)
        yield Finding(
            *RULE.label,
            summary=message(
                f"errors.gl002.{'again' if again else 'summary'}",
                by=by,
                where=where,
                call=event.call,
            ),
            iteration=event.iteration,
            saved=Place(first.at, first.operation, first.module) if first.operation else None,
            freed=_freed(freeing, by),
            failed=Place(event.at, event.call),
            help=tuple(_help(trace, event, freeing, problems)),
            others=tuple(_others(trace, event, freeing)),
            notes=_notes(freeing),
        )


def _freed(freeing: Backward | None, by: str) -> Place | None:
    if freeing is None:
        return None
    # When an inferred backward ran is not known.
    return Place(freeing.at, by, iteration=None if freeing.inferred else freeing.iteration)


def _others(trace: Trace, event: Backward, freeing: Backward | None) -> Iterator[Help]:
    freed = [each for each in event.problems if each.state == "freed"]
    yield from backward_once(trace, freeing, event)
    if not adds_up(trace, event):
        yield from joined(trace)
    yield from detached_in_method(trace, freeing, event)
    yield from if_twice_is_meant(trace, event, graph_once_more(trace, freeing, event))
    if freeing is not None and freeing.at == event.at:
        yield from summed_apart(trace, event.at, event.loss)
        yield from if_twice_is_meant(trace, event, kept_for_the_next(trace, freeing, event))
        yield from loss_per_backward(trace, event)
        found = detach_carried(trace, event, ends=True)
        if found is not None and found.after:
            yield if_cut_is_meant(trace, freeing, event, found)
        yield from each_for_its_own(trace, event)
        yield from detach_given(trace, event)
        yield from made_before_loop(trace, event)
        yield from made_once_in_init(trace, event)
        yield from made_elsewhere(trace, freed, event)
        for each in filled_detached(trace, event):
            yield if_cut_is_meant(trace, freeing, event, each)
        yield from emptied(trace, event)
        yield from cached(trace, event)
        yield from cached_each_turn(trace, event)
        yield from computed_in_closure(trace, event)
        yield from begun_again(trace, event)
        yield from begun_in_method(trace, event)
        for each in (*values_written(trace, event), *detached_as_stored(trace, event)):
            yield each if each.choice else if_cut_is_meant(trace, freeing, event, each)
        if all(each.inside or each.name == event.loss for each in _carried_on(trace, event)):
            for each in detached_by_text(trace, event):
                yield if_cut_is_meant(trace, freeing, event, each)
    yield from detached_after(trace, freeing, event)


def _carried_on(trace: Trace, event: Backward) -> Iterator[Carrier]:
    """The carriers that the loop of the backward does not make anew before it reads them."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at is not None else None
    before = (
        [each for each in file.body(going) if each.lineno < going.lineno]
        if file is not None and going is not None
        else []
    )
    bound = {name for each in before for name in bound_names(each)}
    for each in event.carriers:
        if each.name not in bound:
            yield each


def _notes(freeing: Backward | None) -> tuple[str, ...]:
    if freeing is None:
        return (message("errors.gl002.not_seen"),)
    return (inferred(freeing.inferred),) if freeing.inferred else ()


def _help(
    trace: Trace, event: Backward, freeing: Backward | None, problems: list[Saved]
) -> Iterator[Help]:
    found = add_create_graph(trace, freeing, event.call) if freeing is not None else None
    loops = freeing is not None and not freeing.handed_over and not event.handed_over
    if found is None and event.at and loops and freeing is not None and freeing.at is not None:
        lines = saving_lines(problems, event)
        if event.loss == freeing.loss:
            found = run_only_one_backward(trace, freeing.at, event.at, event.loss)
        found = (
            found
            or detach_and_recompute(trace, lines, freeing.at, event.at, freeing.call)
            or recompute(trace, lines, freeing.at, event.at, freeing.call)
        )
    if found is not None:
        yield found
        return
    if freeing is not None and freeing.at == event.at:
        carried = detach_carried(trace, event) or kept_inside(trace, event)
        if carried is not None:
            carried = if_cut_is_meant(trace, freeing, event, carried)
        # A function that is called for each of several losses goes back twice in one iteration.
        once = not freeing.inferred and freeing.iteration == event.iteration
        yield carried or Help(message(f"errors.gl002.{'shared' if once else 'carried'}"))
    else:
        yield Help(message("errors.gl002.shared"))


RULE = Rule("GL002", "graph-already-freed", "error", check)
