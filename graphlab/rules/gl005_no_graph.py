"""Backward was called on a tensor without a graph, or a hook was to be registered on one."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import Message, key_of, message
from graphlab.rules.refusals import made_by, refused_backwards, refused_operations
from graphlab.rules.repair.asked.requiring import hook_where_grad
from graphlab.rules.repair.calls import not_reentrant_at_all
from graphlab.rules.repair.copies import copy_frozen, copy_object
from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.repair.graph.guards import called_with_gradients
from graphlab.rules.repair.graph.kept_apart import gradients_with_graph
from graphlab.rules.repair.operations import written_in_place
from graphlab.rules.repair.ranks.collectives import gathered_in_the_graph
from graphlab.rules.repair.refused_call import keep_graph, kept_as_tensor, restore_graph
from graphlab.rules.repair.trained.frozen import trains_what_it_holds
from graphlab.rules.rule import Rule
from graphlab.rules.words import by_in_line, loss_word
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Refused, Trace
from graphlab.trace.module_sightings import OneNetwork

# How what was made without a graph is told of.
_UNASKED = "observed.by.unasked"
# A library calls the user's function with gradients off.
_OFF = {"observed.by.gradients_off": "turn_on", "observed.by.inference": "turn_on_inference"}


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "no-graph",
        "errors.gl005.summary",
        "errors.gl005.help",
        _repaired,
        cut=_cut,
        others=_others,
    )
    yield from refused_operations(RULE, trace, "hook", _summary, _help, others=hook_where_grad)
    yield from refused_operations(RULE, trace, "number", _of_number, _keep_tensor, others=_kept)
    yield from refused_operations(RULE, trace, "integer", _of_integers, _no_whole_numbers)


def _cut(event: Backward) -> str:
    return f"errors.gl005.{'off' if key_of(event.cut_by) in _OFF else 'cut'}"


def _repaired(trace: Trace, event: Backward) -> Help | None:
    if isinstance(event.cut_by, Message) and event.cut_by.key in _OFF:
        words = {"loss": loss_word(event.loss), **event.cut_by.arguments}
        return Help(message(f"errors.gl005.{_OFF[event.cut_by.key]}", **words))
    return written_in_place(trace, event.cut) or restore_graph(trace, event)


def _others(trace: Trace, event: Backward) -> Iterator[Help]:
    yield from called_with_gradients(trace, event)
    yield from graph_kept(trace, event.cut, event.cut_by, event.at)
    yield from not_reentrant_at_all(trace, event.at)
    yield from gradients_with_graph(trace, event)
    yield from gathered_in_the_graph(trace, event.cut)
    yield from kept_as_tensor(trace, event.cut, event.cut_by)
    if "requires_grad" in event.cut_by:
        yield from _copied(trace)
        yield from copy_frozen(trace, event.cut)
    yield from trains_what_it_holds(trace)


def _copied(trace: Trace) -> Iterator[Help]:
    """A copy under the second of two names of one network: who froze the one meant two."""
    for each in trace.sightings:
        if isinstance(each, OneNetwork) and each.at is not None and not each.were_two:
            found = copy_object(trace, each.at)
            if found is not None:
                yield found


def _kept(trace: Trace, event: Refused) -> Iterator[Help]:
    return kept_as_tensor(trace, event.made, event.made_by)


def _summary(event: Refused, name: str) -> str:
    if isinstance(event.made_by, Message) and event.made_by.key == _UNASKED:
        maker = event.made_by.arguments["by"]
        return message("errors.gl005.hook_unasked", name=name, by=event.by, maker=maker)
    if event.made is not None:
        return message("errors.gl005.hook_cut", name=name, by=event.by, cut=made_by(event))
    return message("errors.gl005.hook", name=name, by=event.by)


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    if event.made is None:
        yield Help(message("errors.gl005.hook_elsewhere", name=name))
    elif key_of(event.made_by) == _UNASKED:
        yield Help(message("errors.gl005.require_grad", line=event.made.line, by=event.by))
    elif "grad" in event.made_by and "requires_grad" not in event.made_by:
        yield Help(message("errors.gl005.outside", name=name, cut=made_by(event)))
    elif "requires_grad" in event.made_by:
        yield Help(message("errors.gl005.hook_frozen", name=name, cut=made_by(event)))
    else:
        yield Help(message("errors.gl005.before", cut=made_by(event)))


def _of_number(event: Refused, name: str) -> str:
    cut = made_by(event)
    return message(f"errors.gl005.number{'_cut' if cut else ''}", name=name, cut=cut)


def _keep_tensor(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    yield keep_graph(trace, event.made, event.made_by, name)


def _of_integers(event: Refused, name: str) -> str:
    cut = made_by(event)
    if isinstance(event.made_by, Message) and event.made_by.key == _UNASKED and event.made:
        cut = by_in_line(str(event.made_by.arguments["by"]), event.made)
    return message(f"errors.gl005.integer{'_cut' if cut else ''}", name=name, cut=cut)


def _no_whole_numbers(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    yield Help(message("errors.gl005.integer_help", name=name))


RULE = Rule("GL005", "no-graph", "error", check)
