"""A checkpoint's second forward did not repeat the first."""

from __future__ import annotations

from collections.abc import Iterator

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
        "{call} came to the checkpoint of {function}, which {why}",
        "A checkpointed function must do the same both times: keep caches, counters and random "
        "choices outside it, and pass in what they give.",
        _help,
        without_checkpoint,
    )


def _help(trace: Trace, event: Backward) -> Help | None:
    if event.cut is None:
        return None
    if event.cut_by == "use_reentrant=True":
        return not_reentrant(trace, event)
    why = event.node.why if event.node is not None else ""
    if "draws" in why:
        return Help(
            f"Draw it before the checkpoint and pass it in: line {event.cut.line} runs again in "
            "the backward, and a checkpoint restores torch's random state alone."
        )
    if "in between" in why:
        return Help(
            f"Call {event.call} before line {event.cut.line}: until then the checkpointed part is "
            "still to be run again as it was."
        )
    return Help(
        f"Move line {event.cut.line} out of the checkpointed function, or leave it out while "
        "training: it runs once in the forward and once more in the backward."
    )


RULE = Rule("GL008", "checkpoint-mismatch", "error", check)
