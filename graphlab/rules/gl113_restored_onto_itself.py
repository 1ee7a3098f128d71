"""Values were loaded or copied into the memory that they lie in already."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.copies import clone_kept, clone_taken, copy_object, load_original
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.module_sightings import Restored


def check(trace: Trace) -> Iterator[Finding]:
    restored = [each for each in trace.sightings if isinstance(each, Restored)]
    averages = {_around(each) for each in restored if each.mixed}
    for each in restored:
        # What swaps an average in and out that is the weights themselves follows from that.
        if each.mixed or not each.copied or _around(each) not in averages:
            yield _finding(trace, each)


def _around(each: Restored) -> tuple[str, str] | None:
    """The file and the class that it is in."""
    at = each.at
    return (at.file, at.function.rpartition(".")[0]) if at is not None else None


def _finding(trace: Trace, each: Restored) -> Finding:
    name = each.receiver if each.one_object or each.itself else each.given or each.taken_by
    return Finding(
        *RULE.label,
        summary=_summary(each),
        tensor=Versions(TensorInfo(name or None, "parameter", (), ""), None, None),
        failed=Place(each.at, each.call),
        cause=Place(each.taken, each.taken_by) if each.taken is not None else None,
        help=(_help(trace, each),),
    )


def _summary(each: Restored) -> str:
    if each.itself:
        return message("training.gl113.itself", receiver=each.receiver, call=each.call)
    if each.one_object:
        words = {"receiver": each.receiver, "given": each.given, "call": each.call}
        return message("training.gl113.one_object", **words)
    if each.mixed:
        return message("training.gl113.mixed", call=each.call, taken=each.taken_by)
    if each.copied:
        return message("training.gl113.copied", call=each.call, taken=each.taken_by)
    how = "loaded" if each.loaded else "references"
    return message(f"training.gl113.{how}", call=each.call, taken=each.taken_by)


def _help(trace: Trace, each: Restored) -> Help:
    if each.itself:
        edit = load_original(trace, each.at, each.receiver)
        return edit or Help(message("training.gl113.another", receiver=each.receiver))
    edit = None
    if each.mixed and each.taken_by.endswith(".state_dict()"):
        return Help(message("training.gl113.copies"))
    if each.copied and each.taken is not None:
        edit = clone_kept(trace, each.taken, each.taken_by)
    elif each.taken is not None:
        edit = (copy_object if each.one_object else clone_taken)(trace, each.taken)
    if edit is not None:
        return edit
    if each.one_object:
        words = {"receiver": each.receiver, "given": each.given}
        return Help(message("training.gl113.deep_copy", **words))
    return Help(message("training.gl113.copies"))


RULE = Rule("GL113", "restored-onto-itself", "warning", check)
