"""An optimizer stepped on gradients that were not averaged over the ranks."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.averages import (
    averaged_before,
    averaged_by_hand,
    of_every_parameter,
    summed_once,
    written_back,
)
from graphlab.rules.repair.ranks.evened import in_order_of_names
from graphlab.rules.repair.ranks.options import (
    given_to_all,
    sharded_whole,
    waited_for,
    without_reentrance,
)
from graphlab.rules.repair.ranks.replicas import (
    built_at,
    gradients_themselves,
    only_call,
    wrapped_again,
    wrapped_there,
)
from graphlab.rules.repair.ranks.syncing import paused_but_the_last, synced_with_the_step
from graphlab.rules.repair.wrapped import forward_again, outside_no_sync, through_the_wrapper
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import in_line, parameter_word
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import DDP, FULLY_SHARD, NotAveraged, Wrapped

# Why the gradients were not averaged, where that is known.
_KNOWN = {"around", "used-up", "no-sync", "unknown", "twice", "by-hand", "copied", "never", "grad"}
_KNOWN |= {"hook", "moved", "group", "unsharded", "in-flight", "late", "reduced", "beside"}
_KNOWN |= {"order", "again"}
# Where an average before the step would be one of other ranks, or of what is not there yet.
_OTHERWISE = ("group", "in-flight", "order", "again")


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, NotAveraged):
            continue
        name = trace.optimizers[each.optimizer].name
        source = each.source
        why = source.why if source.why in _KNOWN else "differ"
        words = {"by": source.cause_by, "call": source.call, "name": name, "ddp": DDP}
        others = len(each.tensors) - 1
        yield Finding(
            *RULE.label,
            summary=message(
                "ranks.gl301.again" if why == "again" else "ranks.gl301.summary",
                tensor=parameter_word(trace, each.tensors[0]),
                more=message("ranks.gl301.more", count=others) if others else "",
                call=source.call or message("ranks.gl301.the_backward"),
                line=in_line(source.at),
                why=message(f"ranks.gl301.why.{why}", **words) if why != "again" else "",
                by=source.cause_by,
                name=name,
            ),
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]),
            cause=_cause(trace, each),
            failed=Place(each.at, f"{name}.step()"),
            help=tuple(_repairs(trace, each))
            or (Help(message(f"ranks.gl301.help.{why}", **words)),),
            ranks=each.ranks,
        )


def _cause(trace: Trace, each: NotAveraged) -> Place:
    source = each.source
    beside = source.why in ("never", "beside")
    if beside and (built := built_at(trace, each.tensors[0])) is not None:
        return Place(built, message("ranks.gl301.built"))
    if source.why == "unsharded" and (call := only_call(trace, FULLY_SHARD)) is not None:
        return Place(call, FULLY_SHARD)
    return Place(source.cause or source.at, source.cause_by or source.call)


def _repairs(trace: Trace, each: NotAveraged) -> Iterator[Help]:
    """What is wrong there put right; or else the gradients averaged before the step, which changes
    none that were averaged already."""
    found = _repair(trace, each)
    if found is not None:
        yield found
    owner = trace.tensors[each.tensors[0]].owner or ""
    # What comes too late would come twice.
    if each.source.why not in _OTHERWISE and not (found is not None and each.source.why == "late"):
        unsharded = each.source.why == "unsharded"
        last = averaged_by_hand(trace, each.at, owner, _names(trace, each), unsharded)
        if last is not None:
            yield last


def _names(trace: Trace, each: NotAveraged) -> list[str]:
    return [trace.tensors[at].name or "" for at in each.tensors]


def _repair(trace: Trace, each: NotAveraged) -> Help | None:
    source = each.source
    if source.why in ("never", "beside"):
        built = built_at(trace, each.tensors[0])
        alone = "." not in (trace.tensors[each.tensors[0]].name or "")
        return wrapped_there(trace, built) if built is not None and not alone else None
    if source.why == "twice" and source.cause is not None:
        return without_reentrance(trace, source.cause)
    if source.why == "unknown":
        return wrapped_again(trace, _wrapper(trace, each), source.cause)
    if source.why == "copied":
        return gradients_themselves(trace) or written_back(trace, source.cause)
    if source.why == "again":
        return summed_once(trace, source.cause, each.at)
    if source.why == "late":
        return averaged_before(trace, source.cause, each.at)
    if source.why == "by-hand" and (owner := trace.tensors[each.tensors[0]].owner):
        return next(of_every_parameter(trace, source.cause, owner), None)
    if source.why == "order":
        return in_order_of_names(trace, source.cause)
    if source.why == "reduced":
        return given_to_all(trace, source.cause)
    if source.why == "in-flight":
        return waited_for(trace, source.cause)
    if source.why == "unsharded":
        return sharded_whole(trace, trace.tensors[each.tensors[0]].owner or "")
    if source.why == "around" and source.cause is not None:
        return through_the_wrapper(trace, source.cause)
    if source.why == "no-sync" and source.at is not None and each.at is not None:
        repair = synced_with_the_step(trace, source.cause, source.at, each.at)
        repair = repair or paused_but_the_last(trace, source.cause, each.at)
        return repair or outside_no_sync(trace, source.at, each.at)
    if source.why == "used-up" and source.at is not None and source.before is not None:
        owner = trace.tensors[each.tensors[0]].owner
        done = message("ranks.gl301.backward_of", line=source.before.line)
        return forward_again(trace, owner, source.before, source.at, done) if owner else None
    return None


def _wrapper(trace: Trace, each: NotAveraged) -> Location | None:
    """Where the wrapper of a parameter's network was built, which has others of it."""
    owners = {trace.tensors[at].owner for at in each.tensors}
    built = [
        one.at
        for one in trace.sightings
        if isinstance(one, Wrapped)
        and one.kind == DDP
        and any(trace.tensors[at].owner in owners for at in one.tensors)
    ]
    return built[0] if len(built) == 1 else None


RULE = Rule("GL301", "gradients-not-averaged", "warning", check)
