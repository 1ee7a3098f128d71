"""Findings of GL001 and GL105: a saved tensor, the write that came after it, and the repair."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import Message, key_of, message
from graphlab.rules.repair.anew.listed import list_made_anew
from graphlab.rules.repair.carried import detach_carried
from graphlab.rules.repair.graph.joined import for_its_step
from graphlab.rules.repair.graph.kept_apart import copied_where_saved
from graphlab.rules.repair.graph.once import cached, made_before_loop
from graphlab.rules.repair.held.later import saved_after, written_later
from graphlab.rules.repair.held.ordered import computed_again, stepped_behind_loop, stepped_later
from graphlab.rules.repair.loops import (
    detach_others,
    lines_using,
    move_step,
    recompute,
    saving_lines,
)
from graphlab.rules.repair.reordered import copy_before_write, saved_later
from graphlab.rules.repair.wrapped import detach_and_recompute, used_up_by, wrapped
from graphlab.rules.repair.writes import save_a_copy, update_under_no_grad, write_out_of_place
from graphlab.rules.rule import Rule
from graphlab.rules.words import inferred, line_in_brackets, tensor_word
from graphlab.trace.finding import Finding, Help, Place, Related, Versions
from graphlab.trace.model import Backward, Saved, TensorInfo, Trace, Write
from graphlab.trace.ranks.sightings import BROADCAST, DDP, FSDP, FULLY_SHARD

# At most this many possible writers are named.
SUSPECTS_NAMED = 5
UNKNOWN_TENSOR = TensorInfo(None, "activation", (), "")


def versions(trace: Trace, saved: Saved) -> Versions:
    """The saved tensor with its versions, when saved and when backward needed it."""
    tensor = trace.tensors[saved.tensor] if saved.tensor >= 0 else UNKNOWN_TENSOR
    return Versions(tensor, saved.saved_version, saved.current_version)


def saved_place(saved: Saved) -> Place:
    """Where the tensor was saved, and by which operation."""
    return Place(saved.at, saved.operation, saved.module)


def mutated_place(trace: Trace, saved: Saved) -> Place | None:
    """Where the tensor was written, and by what; None if the write is not known."""
    event = _write(trace, saved)
    if event is None:
        return None
    by = message("words.by_inferred", by=event.by) if event.inferred else event.by
    return Place(event.at, by)


def _write(trace: Trace, saved: Saved) -> Write | None:
    event = trace.events[saved.write] if saved.write is not None else None
    return event if isinstance(event, Write) else None


def tensor_label(tensor: TensorInfo) -> str:
    """How a sentence names a tensor: its name, or its kind and shape."""
    return tensor_word(tensor) if tensor.name or tensor.shape else message("words.a_tensor")


def distinct(problems: tuple[Saved, ...]) -> list[Saved]:
    """The first problem of each tensor and line, in the order in which backward meets them."""
    seen = set()
    found = []
    for each in problems:
        key = (each.tensor, each.at.line if each.at else None, each.at.file if each.at else None)
        if key not in seen:
            seen.add(key)
            found.append(each)
    return found


def findings(
    rule: Rule, trace: Trace, state: str, summary: str, raised: str = ""
) -> Iterator[Finding]:
    """One finding for each backward call and write whose saved tensors were in `state`.

    `summary` is the key of its text; `raised`, if given, is that where the backward raised, and the
    finding is an error.
    """
    told = set()
    for event in trace.events:
        if not isinstance(event, Backward):
            continue
        problems = distinct(tuple(each for each in event.problems if each.state == state))
        if not problems:
            continue
        first = problems[0]
        mutated = mutated_place(trace, first)
        key = (event.at, mutated.at if mutated else None)
        if key in told:
            continue
        told.add(key)
        tensor = versions(trace, first)
        by = mutated.what if mutated is not None else message("errors.stale.unseen_writer")
        notes = () if mutated is not None else (_unseen(first, event),)
        failed = bool(raised) and event.raised is not None
        yield Finding(
            rule.code,
            rule.name,
            "error" if failed else rule.severity,
            summary=message(
                raised if failed else summary,
                name=tensor_label(tensor.tensor),
                by=by,
                call=event.call,
            ),
            iteration=event.iteration,
            tensor=tensor,
            saved=saved_place(first),
            mutated=mutated,
            failed=Place(event.at, event.call),
            cause=_cause(tensor.tensor, first, mutated),
            related=tuple(
                Related(versions(trace, each), saved_place(each), mutated_place(trace, each))
                for each in problems[1:]
            ),
            help=tuple(_help(trace, event, problems, mutated)),
            others=tuple(_others(trace, event, problems)),
            notes=(*notes, *_harm(event), *_inferred(trace, problems)),
            measured=_measured(event),
        )


def _measured(event: Backward) -> dict[str, float]:
    found = {"cosine": event.cosine, "relative_error": event.relative_error}
    return {name: value for name, value in found.items() if value is not None}


def _harm(event: Backward) -> Iterator[str]:
    if event.cosine is not None and event.relative_error is not None:
        yield message("errors.stale.harm", error=event.relative_error, cosine=event.cosine)


def _cause(tensor: TensorInfo, saved: Saved, mutated: Place | None) -> Place | None:
    """The write, where it is the write itself that should not be: one that no version counter
    shows, and a buffer's update that autograd records."""
    if mutated is None or mutated.at is None:
        return None
    recorded = tensor.kind == "buffer" and saved.recorded
    return mutated if recorded or saved.state == "bypassed" else None


def _is_broadcast(by: str) -> bool:
    return isinstance(by, Message) and BROADCAST in (by.key, key_of(by.arguments.get("by", "")))


def _unseen(saved: Saved, event: Backward) -> str:
    start, end = message("errors.stale.its_forward"), message("errors.stale.backward")
    if saved.at is not None:
        start = message("words.line", line=saved.at.line)
    if event.at is not None:
        end = message("words.line", line=event.at.line)
    return message("errors.stale.writer_not_seen", start=start, end=end)


def _inferred(trace: Trace, problems: list[Saved]) -> Iterator[str]:
    """Notes on writes that were inferred and not observed, without repetitions."""
    told = set()
    for each in problems:
        write = _write(trace, each)
        if write is not None and write.inferred and write.inferred not in told:
            told.add(write.inferred)
            yield inferred(write.inferred)
        elif each.suspects and each.suspects not in told:
            told.add(each.suspects)
            name = tensor_label(versions(trace, each).tensor)
            who: list[str] = list(each.suspects)
            more = len(who) - SUSPECTS_NAMED
            if more > 0:
                who[SUSPECTS_NAMED:] = [message("errors.stale.others", count=more)]
            yield inferred(message("errors.stale.suspects", name=name, who=who))


def _others(trace: Trace, event: Backward, problems: list[Saved]) -> Iterator[Help]:
    yield from saved_later(trace, problems, event)
    yield from copied_where_saved(trace, problems)
    mutated = mutated_place(trace, problems[0])
    held = versions(trace, problems[0]).tensor.kind in ("parameter", "buffer")
    if mutated is not None and not held:
        yield from copy_before_write(trace, mutated.at)
    elif mutated is not None and not mutated.what.endswith(".step()"):
        yield from written_later(trace, mutated.at, event)
        yield from saved_after(trace, problems[0].at, mutated.at)
    elif mutated is not None and not wrapped(trace, DDP, FSDP, FULLY_SHARD):
        yield from computed_again(trace, problems, mutated.at, event)
        yield from stepped_later(trace, mutated.at, event)
        yield from stepped_behind_loop(trace, mutated.at, event)
    elif mutated is not None:
        # Where the wrappers run again with it, they average once more; the ranks tell.
        yield from _wrappers_again(trace, event, problems, mutated)
    carried = detach_carried(trace, event)
    if carried is not None:
        yield carried
    yield from for_its_step(trace, event)
    yield from made_before_loop(trace, event)
    yield from cached(trace, event)


def _wrappers_again(
    trace: Trace, event: Backward, problems: list[Saved], mutated: Place
) -> Iterator[Help]:
    lines = saving_lines(problems, event)
    if mutated.at is not None and event.at is not None and not event.handed_over:
        again = recompute(trace, lines, mutated.at, event.at, mutated.what)
        if again is not None:
            yield again
    yield from computed_again(trace, problems, mutated.at, event)


def _broadcast(trace: Trace, saved: Saved, tensor: TensorInfo) -> Help:
    name = tensor_label(tensor)
    copied = save_a_copy(trace, saved, message("errors.stale.next_forward", by=message(BROADCAST)))
    return copied or Help(message("errors.stale.broadcast", name=name, wrapper=DDP))


def _help(
    trace: Trace, event: Backward, problems: list[Saved], mutated: Place | None
) -> Iterator[Help]:
    change = mutated.at if mutated is not None else None
    write = _write(trace, problems[0])
    lines = saving_lines(problems, event)
    tensor = versions(trace, problems[0]).tensor
    held = tensor.kind in ("parameter", "buffer")
    if change is not None and write is not None and not write.silent and not held:
        why = message("errors.stale.needs_old_values")
        if tensor.name:
            why = message("errors.stale.needs_old", name=tensor.name)
        element = bool(tensor.name) and tensor.name.endswith("]")
        apart = write_out_of_place(trace, change, write.by, why, element)
        apart = apart or next(list_made_anew(trace, change), None)
        if apart is not None:
            yield apart
            return
    if tensor.kind == "buffer" and write is not None and change is not None:
        alone = all(each.alone for each in problems if each.tensor == problems[0].tensor)
        under = None
        if problems[0].recorded:
            under = update_under_no_grad(trace, problems[0], change, alone)
        if under is not None:
            yield under
            return
    if tensor.kind == "buffer" and write is not None:
        why = message("errors.stale.writes_before", by=write.by, call=event.call)
        copied = save_a_copy(trace, problems[0], why)
        if copied is not None:
            yield copied
            return
    at = event.at if not event.handed_over else None
    if write is not None and _is_broadcast(write.by):
        yield _broadcast(trace, problems[0], tensor)
        return
    if change is not None and at is not None and write is not None:
        first = used_up_by(trace, event, change)
        if first is not None:
            yield detach_and_recompute(trace, lines, first, change, at, write.by)
            return
    if mutated is not None and change is not None and at is not None and write is not None:
        if write.inferred and not lines:
            owners = {owner for each in problems if (owner := versions(trace, each).tensor.owner)}
            lines = lines_using(trace, owners, change, at)
        apart = detach_others(trace, lines, change, at)
        if apart is not None:
            yield apart
        again = recompute(trace, lines, change, at, write.by)
        if again is not None:
            yield _of_new_values(again, tensor, write)
        if mutated.what.endswith(".step()") and not wrapped(trace, DDP, FSDP, FULLY_SHARD):
            later = move_step(trace, change, at, mutated.what, again is not None)
            if later is not None:
                yield later
        if again is not None or apart is not None:
            return
    if change is not None and at is not None and change.line > at.line:
        # A write further down in the loop: it happened in an earlier iteration.
        carried = detach_carried(trace, event)
        if carried is not None:
            yield carried
            return
    key = {"parameter": "forward_again", "buffer": "buffer"}.get(tensor.kind, "new_tensor")
    text = message(
        f"errors.stale.{key}",
        name=tensor_label(tensor),
        by=write.by if write is not None else message("errors.stale.the_write"),
        line=line_in_brackets(change),
        call=event.call,
    )
    yield Help(text)


def _of_new_values(help: Help, tensor: TensorInfo, write: Write) -> Help:
    """The same repair, which computes something again. Unless what was written is made anew as
    well, that is computed of other values than it was."""
    if tensor.kind != "activation" or not tensor.name or _makes(help, tensor.name):
        return help
    return replace(help, choice=message("fix.meant.new_values", name=tensor.name, by=write.by))


def _makes(help: Help, name: str) -> bool:
    """Whether a repair binds the variable once more."""
    binds = re.compile(rf"^\s*{re.escape(name)}\s*[,=]", re.M)
    return len(binds.findall(help.after)) > len(binds.findall(help.before))
