"""Backward raised an error that no other rule explains."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.failures import refused_by_wrapper
from graphlab.rules.repair.asked.functions import saved_for_backward
from graphlab.rules.repair.asked.hooks import fitting_return
from graphlab.rules.repair.held.later import written_later
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, FailedNode, Refused, Step, TensorInfo, Trace, ZeroGrad
from graphlab.trace.module_sightings import LeftInEval
from graphlab.trace.sightings import NonFinite

# What torch's anomaly detection raises.
_RETURNED_NAN = re.compile(r"Function '(\w+)' returned nan values")


def check(trace: Trace) -> Iterator[Finding]:
    event = _last(trace)
    if event is None:
        return
    node = event.node or FailedNode("", None)
    nan = _RETURNED_NAN.search(trace.exception.message) if trace.exception is not None else None
    if nan is not None and node.operation != nan[1]:
        # What the message names is exact: torch's own check ran behind that very node.
        node = FailedNode(nan[1], None)
    where = _where(node) if nan is None else _returned(node)
    cause = None
    if node.raised_at is not None:
        cause = Place(node.raised_at, message("errors.gl000.raised", error=event.raised))
    if event.cut is not None:
        cause = Place(event.cut, event.cut_by)
    before = _uncleared(trace, event, node) if node.package else None
    if before is not None and before.at is not None:
        cause = Place(before.at, before.call) if before.at != event.at else None
        cause = cause or _stepped(trace, before, event)
    yield Finding(
        *RULE.label,
        summary=message("errors.gl000.summary", call=event.call, error=event.raised, where=where),
        iteration=event.iteration,
        saved=Place(node.at, node.operation, node.module) if node.at is not None else None,
        failed=Place(event.at, event.call),
        cause=cause,
        help=(
            Help(message("errors.gl000.nan") if nan is not None else _help(event, node, before)),
        ),
        notes=(*_notes(node), *_in_eval_mode(trace)),
        others=tuple(_others(trace, event, node)),
    )


def _others(trace: Trace, event: Backward, node: FailedNode) -> Iterator[Help]:
    yield from saved_for_backward(trace, node.raised_at)
    if node.why:
        yield from fitting_return(trace, event)
    if event.subject is not None:
        yield from written_later(trace, event.cut, event)


def _where(node: FailedNode) -> str:
    if node.why:
        return message("errors.gl000.function", function=node.function, why=node.why)
    if node.operation or node.package:
        at, inside = node.at, node.module
        line = message("errors.gl000.backward_of", line=at.line) if at is not None else ""
        module = message("errors.gl000.module", module=inside) if inside else ""
        if node.package:
            return message("errors.gl000.package", package=node.package, line=line, module=module)
        operation = node.operation
        return message("errors.gl000.operation", operation=operation, line=line, module=module)
    if node.raised_at is not None:
        return message("errors.gl000.own_line", line=node.raised_at.line)
    return ""


def _returned(node: FailedNode) -> str:
    """Where anomaly detection found a NaN."""
    line = ""
    if node.at is not None:
        line = message("errors.gl000.backward_of", line=node.at.line)
    return message("errors.gl000.returned_nan", operation=node.operation, line=line)


def _last(trace: Trace) -> Backward | None:
    """The backward that ended the program: one that was caught was survived."""
    ran = [each for each in trace.events if isinstance(each, Backward)]
    failed = next((each for each in reversed(ran) if each.trouble == "failed"), None)
    if failed is None or trace.outcome != "raised" or refused_by_wrapper(trace, failed):
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
        operands = listing([_told(each) for each in node.operands])
        yield message("errors.gl000.operands", operands=operands)
    if not (node.operation or node.raised_at or node.why or node.package):
        yield message("errors.gl000.unknown")


def _in_eval_mode(trace: Trace) -> Iterator[str]:
    for each in trace.sightings:
        if isinstance(each, LeftInEval) and each.raised and each.at is not None:
            yield message("errors.gl000.eval_mode", name=each.name, line=each.at.line)


def _told(tensor: TensorInfo) -> str:
    shape = f"{list(tensor.shape)} {tensor.dtype}"
    return f"{tensor.name} {shape}" if tensor.name else shape


def _uncleared(trace: Trace, event: Backward, node: FailedNode) -> Backward | None:
    """The backward before that gave the module of the failed node its gradients, where nothing has
    cleared them since."""
    before = [each for each in trace.events if each.seq < event.seq]
    for each in reversed(before):
        if isinstance(each, ZeroGrad):
            return None
        if isinstance(each, Backward) and each.raised is None and node.module:
            names = [trace.tensors[place].name or "" for place in each.reached]
            if any(name.startswith(f"{node.module}.") for name in names):
                return each
    return None


def _stepped(trace: Trace, before: Backward, event: Backward) -> Place | None:
    """The first step between two backwards: that is where a zero_grad() is missing."""
    events = [*trace.events]
    for each in events[events.index(before) + 1 : events.index(event)]:
        if isinstance(each, Step) and each.at is not None:
            return Place(each.at, f"{trace.optimizers[each.optimizer].name}.step()")
    return None


def _help(event: Backward, node: FailedNode, before: Backward | None) -> str:
    if "OutOfMemory" in (event.raised or ""):
        return message("errors.gl000.memory")
    if event.subject is not None:
        return message("errors.gl000.data_replaced")
    if node.why:
        return message("errors.gl000.hook")
    if before is not None and before.at is not None:
        return message(
            "errors.gl000.uncleared",
            call=before.call,
            line=before.at.line,
            module=node.module,
            package=node.package,
        )
    if node.package:
        return message("errors.gl000.package_help", package=node.package)
    if node.raised_at is not None:
        return message("errors.gl000.your_line", line=node.raised_at.line)
    if node.at is not None:
        return message("errors.gl000.shapes", line=node.at.line)
    return message("errors.gl000.anomaly")


RULE = Rule("GL000", "backward-failed", "error", check)
