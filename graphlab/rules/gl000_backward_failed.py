"""Backward raised an error that no other rule explains."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.text import listing
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, FailedNode, Refused, TensorInfo, Trace
from graphlab.trace.sightings import NonFinite

_SEND = (
    "no rule knows this error: the report of `graphlab run --json FILE` and the traceback are what "
    "to send with a question about it"
)

# What torch's anomaly detection raises.
_RETURNED_NAN = re.compile(r"Function '(\w+)' returned nan values")
_NAN = (
    "graphlab run with --nan-from 0 follows every number and names the line, the operand and its "
    "values. The check that raised looks at gradients and for NaN alone: an infinite number, or "
    "one made in the forward, may have been there before."
)


def check(trace: Trace) -> Iterator[Finding]:
    event = _last(trace)
    if event is None:
        return
    node = event.node or FailedNode("", None)
    where = ""
    if node.operation:
        where = f" at {node.operation}"
        if node.at is not None:
            where += f", the backward of line {node.at.line}"
        if node.module:
            where += f" in {node.module}"
    elif node.raised_at is not None:
        where = f" in your own line {node.raised_at.line}"
    if node.why:
        where = f": {node.function} {node.why}"
    nan = _RETURNED_NAN.search(trace.exception.message) if trace.exception is not None else None
    if nan is not None:
        # What the message names is exact: torch's own check ran behind that very node.
        where = f": {nan[1]} returned NaN"
        if node.operation != nan[1]:
            node = FailedNode(nan[1], None)
        elif node.at is not None:
            where += f", the backward of line {node.at.line}"
    cause = Place(node.raised_at, f"{event.raised} was raised") if node.raised_at else None
    if event.cut is not None:
        cause = Place(event.cut, event.cut_by)
    yield Finding(
        *RULE.label,
        summary=f"{event.call} raised {event.raised}{where}",
        iteration=event.iteration,
        saved=Place(node.at, node.operation, node.module) if node.at is not None else None,
        failed=Place(event.at, event.call),
        cause=cause,
        help=(Help(_NAN if nan is not None else _help(event, node)),),
        notes=tuple(_notes(node)),
    )


def _last(trace: Trace) -> Backward | None:
    """The backward that ended the program: one that was caught was survived."""
    ran = [each for each in trace.events if isinstance(each, Backward)]
    failed = next((each for each in reversed(ran) if each.trouble == "failed"), None)
    if failed is None or trace.outcome != "raised":
        return None
    if any(isinstance(each, NonFinite) and each.call == failed.call for each in trace.sightings):
        # torch's own check for NaN, which GL202 explains.
        return None
    error = trace.exception
    if error is not None and error.type != failed.raised:
        return None
    raised_at = failed.node.raised_at if failed.node is not None else None
    if raised_at is not None and any(
        isinstance(each, Refused) and each.at is not None
        and (each.at.file, each.at.line) == (raised_at.file, raised_at.line)
        for each in trace.events
    ):  # fmt: skip
        # A write in a hook, which has a story of its own.
        return None
    # Any that completed later shows that the program went on.
    later = ran[ran.index(failed) + 1 :]
    return failed if all(each.raised is not None for each in later) else None


def _notes(node: FailedNode) -> Iterator[str]:
    if node.operands:
        yield f"its operands: {listing([_told(each) for each in node.operands])}"
    if not node.operation and node.raised_at is None and not node.why:
        yield _SEND


def _told(tensor: TensorInfo) -> str:
    shape = f"{list(tensor.shape)} {tensor.dtype}"
    return f"{tensor.name} {shape}" if tensor.name else shape


def _help(event: Backward, node: FailedNode) -> str:
    if "OutOfMemory" in (event.raised or ""):
        return (
            "The backward needs the activations and their gradients at once: a smaller batch, "
            "torch.utils.checkpoint around the largest part, or autocast make it need less."
        )
    if event.subject is not None:
        return "Replace .data before the forward or after the backward, not in between."
    if node.why:
        return (
            "Let the hook return None where the gradient is to stay as it is, or else one of the "
            "same shape and type: a module's hook, a tuple with one for each input."
        )
    if node.raised_at is not None:
        return (
            f"Line {node.raised_at.line} is your own, called by autograd: what it was given is in "
            "the traceback's last frame, and a print or breakpoint there runs."
        )
    if node.at is not None:
        return (
            f"Look at the shapes, dtypes and devices that line {node.at.line} was given: its "
            "gradient is computed from them."
        )
    return (
        "Run once more under torch.autograd.set_detect_anomaly(True): torch then prints where in "
        "the forward the failing operation was called."
    )


RULE = Rule("GL000", "backward-failed", "error", check)
