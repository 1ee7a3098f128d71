"""A module takes the sequence first, and its result is read as if it took the batch first."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.examples.batch_first import told_batch_first
from graphlab.rules.rule import Rule
from graphlab.trace.examples.sightings import BatchReadAsTime
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, BatchReadAsTime):
            continue
        length, batch, _ = each.shape
        words = {"name": each.name, "length": length, "batch": batch}
        yield Finding(
            *RULE.label,
            summary=message(f"training.gl143.{each.taken}", **words),
            failed=Place(each.at, message(f"training.gl143.here_{each.taken}")),
            cause=Place(each.built, message("training.gl143.built")) if each.built else None,
            help=(
                told_batch_first(trace, each)
                or Help(message("training.gl143.help", kind=each.kind)),
            ),
            others=(Help(message("training.gl143.transposed")),),
        )


RULE = Rule("GL143", "batch-read-as-time", "warning", check)
