"""A checkpoint's second forward did not repeat the first."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import Message, key_of, message
from graphlab.rules.failures import failed_backwards
from graphlab.rules.repair.calls import without_checkpoint
from graphlab.rules.repair.refused_call import not_reentrant
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from failed_backwards(
        RULE,
        trace,
        "checkpoint",
        "errors.gl008.summary",
        "errors.gl008.help",
        _help,
        without_checkpoint,
    )


def _help(trace: Trace, event: Backward) -> Help | None:
    if event.cut is None:
        return None
    if event.cut_by == "use_reentrant=True":
        return not_reentrant(trace, event)
    why = _key_of_blame(event)
    if why == "observed.checkpoint.random":
        return Help(message("errors.gl008.draw_before", line=event.cut.line))
    if why == "observed.checkpoint.between":
        line = event.cut.line
        return Help(message("errors.gl008.backward_before", call=event.call, line=line))
    return Help(message("errors.gl008.move_out", line=event.cut.line))


def _key_of_blame(event: Backward) -> str:
    """The key of what the line to blame did."""
    why = event.node.why if event.node is not None else ""
    blamed = why.arguments.get("why", "") if isinstance(why, Message) else ""
    return key_of(blamed)


RULE = Rule("GL008", "checkpoint-mismatch", "error", check)
