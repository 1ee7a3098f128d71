"""Values were loaded by load_state_dict() into the memory that they lie in already."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.copies import clone_taken, copy_object
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.module_sightings import Restored


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, Restored):
            yield _finding(trace, each)


def _finding(trace: Trace, each: Restored) -> Finding:
    name = each.receiver if each.one_object else each.given or each.taken_by
    return Finding(
        *RULE.label,
        summary=_summary(each),
        tensor=Versions(TensorInfo(name or None, "parameter", (), ""), None, None),
        failed=Place(each.at, each.call),
        cause=Place(each.taken, each.taken_by) if each.taken is not None else None,
        help=(_help(trace, each),),
    )


def _summary(each: Restored) -> str:
    if each.one_object:
        return (
            f"{each.receiver} has the very parameters of {each.given}: {each.call} copies them "
            "onto themselves"
        )
    return (
        f"{each.call} restores nothing: {each.taken_by} gave references, and training has gone on "
        "in that memory since"
    )


def _help(trace: Trace, each: Restored) -> Help:
    edit = None
    if each.taken is not None:
        edit = (copy_object if each.one_object else clone_taken)(trace, each.taken)
    if edit is not None:
        return edit
    if each.one_object:
        return Help(f"Make {each.receiver} a copy of its own: copy.deepcopy({each.given}).")
    return Help("Keep copies of the values: copy.deepcopy(…state_dict()), or a clone() of each.")


RULE = Rule("GL113", "restored-onto-itself", "warning", check)
