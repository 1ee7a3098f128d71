"""A parameter of an optimizer never received a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.language.lists import first_of
from graphlab.rules.left_aside import OF_NONE, PATIENCE, left_aside, patience
from graphlab.rules.repair.asked.handed_over import handed_over
from graphlab.rules.repair.asked.requiring import made_requiring, required_before
from graphlab.rules.repair.calls import not_reentrant_at_all
from graphlab.rules.repair.examples.missing_backward import with_backward
from graphlab.rules.repair.given.handed_back import given_with_graph
from graphlab.rules.repair.given.other_network import copy_instead, trained_instead
from graphlab.rules.repair.graph.cuts import argument_cut, graph_kept
from graphlab.rules.repair.graph.in_torch import in_torch
from graphlab.rules.repair.ranks.replicas import only_call
from graphlab.rules.repair.ranks.syncing import SET_SYNC, paused_but_the_last
from graphlab.rules.repair.trained.leaf_losses import not_told_either
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_per_optimizer, unversioned
from graphlab.rules.stored import store_read
from graphlab.rules.twins import twins
from graphlab.rules.uncalled import not_called
from graphlab.rules.words import by_in_line, parameter_word
from graphlab.trace.examples.sightings import NeverBack
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, OptimizerInfo, Refused, Trace
from graphlab.trace.module_sightings import HeldPlain, LeftInEval
from graphlab.trace.ranks.sightings import FULLY_SHARD
from graphlab.trace.sightings import TermCut

# What makes a copy with a graph of its own.
COPIERS = ("deepcopy", "innerloop_ctx", "monkeypatch")


def _places(optimizer: OptimizerInfo) -> tuple[Place | None, Place | None]:
    """(what it began with, what holds the parameters for nothing)."""
    built = leaf = None
    if optimizer.at is not None:
        built = Place(optimizer.at, message("words.built", name=optimizer.name))
    if optimizer.leaf_loss is not None:
        told = message("training.gl110.told", name=optimizer.leaf_name)
        leaf = Place(optimizer.leaf_loss, told)
    if optimizer.cut is not None:
        return Place(optimizer.cut, optimizer.cut_by), leaf
    if leaf is not None:
        return leaf, None
    if optimizer.unused is not None:
        return Place(optimizer.unused, message("training.gl110.unused")), built
    return built, None


def check(trace: Trace) -> Iterator[Finding]:
    # GL118 tells of a summand of the loss that was cut off there.
    told = {each.at for each in trace.sightings if isinstance(each, TermCut)}
    empty = [each for each in trace.sightings if isinstance(each, TermCut) and each.constant]
    # What works otherwise in eval mode may lead past a parameter: GL122 tells of that.
    in_eval = any(isinstance(each, LeftInEval) and each.first for each in trace.sightings)
    # GL103 tells of an optimizer that was built from another copy of what is trained.
    others = twins(trace)
    for event in trace.events:
        if isinstance(event, Refused) and event.kind == "no-gradient":
            yield _needed(trace, event)
            return
    for each in trace.sightings:
        if isinstance(each, HeldPlain):
            yield _plain(trace, each)
    # A backward that comes after the steps is GL112's.
    forgotten = {
        each.optimizer: each
        for each in trace.sightings
        if isinstance(each, NeverBack) and trace.optimizers[each.optimizer].leaf_loss is None
    }
    if not_called(trace, "backward") is not None:
        forgotten = {}
    yield from _no_backward(trace, [e for e in forgotten.values() if e.after is None])
    for index, optimizer in enumerate(trace.optimizers):
        if index in forgotten:
            continue
        if optimizer.frozen_steps >= PATIENCE and optimizer.owns:
            yield _frozen(trace, optimizer)
        if optimizer.toggled and optimizer.steps >= OF_NONE and optimizer.owns:
            yield _toggled(trace, optimizer)
        never = optimizer.never_reached
        if not never or optimizer.steps < patience(optimizer) or optimizer.strangers:
            continue
        if (optimizer.cut is not None and optimizer.cut in told) or optimizer in others:
            continue
        names = [parameter_word(trace, each) for each in never]
        cause, failed = _places(optimizer)
        built = cause
        loss = optimizer.leaf_name if optimizer.leaf_loss is not None else ""
        help = "loss_help" if loss else "help"
        if cause is not None and cause.at == optimizer.unused:
            help = "use_it"
        elif not loss and optimizer.cut_by.split("(")[0].rpartition(".")[2] == "checkpoint":
            help = "reentrant"
        elif not loss and optimizer.cut_by.split("(")[0].rpartition(".")[2] in COPIERS:
            help = "copied"
        repair, aside = Help(message(f"training.gl110.{help}")), ""
        unknown = cause is None or cause.at == optimizer.at
        named = not_called(trace, "backward")
        if unknown and named is None and in_eval:
            continue
        if unknown and named is not None:
            cause, repair = named
        asked = store_read(trace, optimizer.at, names[0]) if unknown and optimizer.at else None
        if asked is not None and named is None:
            # Its optimizer is built in the call that trains, which says nothing.
            cause = asked
        elif unknown and named is None and (unused := left_aside(trace, optimizer)) is not None:
            cause, failed, aside = Place(unused.at, unused.name), built, unused.name
            repair = Help(message("training.gl110.add_loss", name=unused.name))
        elif unknown and named is None and len(empty) == 1 and empty[0].at is not None:
            cause, failed = Place(empty[0].at, empty[0].by), built
        unsynced = _never_synced(trace, optimizer) if unknown and named is None else None
        if unsynced is not None:
            cause, failed = unsynced, built
            repair = _synced(trace, optimizer, unsynced) or repair
        # A line that did it alone, where that is all there is to say.
        cut = optimizer.cut if help == "help" and cause and cause.at == optimizer.cut else None
        by = optimizer.cut_by
        if unsynced is not None:
            cut, by = unsynced.at, unsynced.what
        what = "leaf_loss" if loss else "aside" if aside else "cut" if cut else "summary"
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl110.{what}",
                name=optimizer.name,
                names=first_of(names),
                loss=loss or aside,
                cut=by_in_line(by, cut) if cut else "",
            ),
            tensor=unversioned(trace, never[0]),
            cause=cause,
            failed=failed,
            help=(repair,),
            notes=(message("training.gl110.all", names=names),) if len(names) > 1 else (),
            others=(
                *([named[1]] if named is not None and not unknown else []),
                *_kept(trace, optimizer),
                *in_torch(trace, optimizer.leaf_loss),
                *not_reentrant_at_all(trace, optimizer.at),
                *handed_over(trace, optimizer.at, never),
                *trained_instead(trace, optimizer),
                *copy_instead(trace, optimizer),
                *given_with_graph(trace, optimizer),
            ),
        )


def _no_backward(trace: Trace, forgotten: list[NeverBack]) -> Iterator[Finding]:
    """A loss with a graph to what is stepped, and no backward at all; told once for all optimizers
    that step behind it."""
    told: set[tuple[str, Location | None]] = set()
    for each in forgotten:
        if (each.loss, each.made) in told:
            continue
        told.add((each.loss, each.made))
        optimizer = trace.optimizers[each.optimizer]
        words = {"name": optimizer.name, "loss": each.loss}
        edit = with_backward(trace, each)
        yield Finding(
            *RULE.label,
            summary=message("training.gl110.no_backward", **words, count=each.steps),
            tensor=unversioned(trace, optimizer.owns[0]) if optimizer.owns else None,
            cause=Place(each.made, message("training.gl110.computed", loss=each.loss))
            if each.made is not None
            else None,
            failed=Place(each.at, f"{optimizer.name}.step()"),
            help=(edit or Help(message("training.gl110.call_it", **words)),),
        )


def _never_synced(trace: Trace, optimizer: OptimizerInfo) -> Place | None:
    """The one call that tells fully_shard whether a backward hands out gradients, where none ever
    did."""
    sharded = any(FULLY_SHARD in source for source in trace.sources.values())
    at = only_call(trace, SET_SYNC)
    if not sharded or at is None or {*optimizer.never_reached} != {*optimizer.owns}:
        return None
    return Place(at, f"{SET_SYNC}()")


def _synced(trace: Trace, optimizer: OptimizerInfo, at: Place) -> Help | None:
    place = trace.optimizers.index(optimizer)
    step = next(first_per_optimizer(trace, lambda step: step.optimizer == place, times=1), None)
    return paused_but_the_last(trace, at.at, step.at) if step is not None else None


def _kept(trace: Trace, optimizer: OptimizerInfo) -> Iterator[Help]:
    # Where others of its parameters are reached, another argument may have been meant.
    some = len(optimizer.never_reached) < len(optimizer.owns)
    name = argument_cut(trace, optimizer.cut) if some else ""
    choice = message("fix.meant.argument", name=name) if name else ""
    kept = graph_kept(trace, optimizer.cut, optimizer.cut_by)
    for each in not_told_either(trace, optimizer.leaf_loss, kept):
        yield replace(each, choice=choice or each.choice)


def _needed(trace: Trace, event: Refused) -> Finding:
    """The program ended, as it was to use a gradient that is not there."""
    code, name, _ = RULE.label
    if trace.tensors[event.tensor].kind != "parameter":
        return _not_required(trace, event)
    cause = None
    if event.made is not None:
        cause = Place(event.made, event.made_by or message("training.gl110.unused"))
    return Finding(
        code,
        name,
        "error",
        summary=message(
            f"training.gl110.{'none' if event.by.endswith('.grad') else 'needed'}",
            name=parameter_word(trace, event.tensor),
            by=event.by,
        ),
        iteration=event.iteration,
        tensor=unversioned(trace, event.tensor),
        cause=cause,
        failed=Place(event.at, event.by),
        help=(Help(message("training.gl110.needed_help")),),
    )


def _not_required(trace: Trace, event: Refused) -> Finding:
    """A leaf whose gradient is read, and that was never told to require grad."""
    code, name, _ = RULE.label
    words = {"tensor": trace.tensors[event.tensor].name or "", "by": event.by}
    asked = next(made_requiring(trace, event.made), None)
    asked = asked or next(required_before(trace, event.at, words["tensor"]), None)
    return Finding(
        code,
        name,
        "error",
        summary=message("training.gl110.not_required", **words),
        iteration=event.iteration,
        tensor=unversioned(trace, event.tensor),
        cause=Place(event.made, message("training.gl110.came")) if event.made else None,
        failed=Place(event.at, event.by),
        help=(asked or Help(message("training.gl110.require_it", **words)),),
    )


def _plain(trace: Trace, each: HeldPlain) -> Finding:
    """No parameter that was frozen: a tensor that nobody told to require grad."""
    optimizer = trace.optimizers[each.optimizer]
    cause = Place(each.at, message("training.gl110.made")) if each.at is not None else None
    if cause is None and optimizer.at is not None:
        cause = Place(optimizer.at, message("words.built", name=optimizer.name))
    name = parameter_word(trace, each.tensor)
    return Finding(
        *RULE.label,
        summary=message("training.gl110.plain", name=optimizer.name, tensor=name),
        tensor=unversioned(trace, each.tensor),
        cause=cause,
        help=(Help(message("training.gl110.plain_help", tensor=name)),),
        others=tuple(made_requiring(trace, each.at)),
    )


def _frozen(trace: Trace, optimizer: OptimizerInfo) -> Finding:
    """Not known to be wrong: a loop may step all optimizers, with some at rest."""
    code, name, _ = RULE.label
    first = parameter_word(trace, optimizer.owns[0])
    return Finding(
        code,
        name,
        "info",
        summary=message("training.gl110.frozen", name=optimizer.name, count=optimizer.frozen_steps),
        tensor=unversioned(trace, optimizer.owns[0]),
        cause=Place(optimizer.frozen, optimizer.frozen_by) if optimizer.frozen else None,
        help=(Help(message("training.gl110.set_back", name=first)),),
    )


def _toggled(trace: Trace, optimizer: OptimizerInfo) -> Finding:
    """Frozen as it steps and free again after: what was to be frozen is another network."""
    place = trace.optimizers.index(optimizer)
    step = next(first_per_optimizer(trace, lambda step: step.optimizer == place, times=1), None)
    first = parameter_word(trace, optimizer.owns[0])
    return Finding(
        *RULE.label,
        summary=message("training.gl110.toggled", name=optimizer.name, names=first),
        tensor=unversioned(trace, optimizer.owns[0]),
        cause=Place(optimizer.frozen, optimizer.frozen_by) if optimizer.frozen else None,
        failed=Place(step.at, f"{optimizer.name}.step()") if step is not None else None,
        help=(Help(message("training.gl110.freeze_others", name=optimizer.name)),),
    )


RULE = Rule("GL110", "parameter-never-reached", "warning", check)
