"""What the rules find in the traces of several ranks, each finding told once."""

from __future__ import annotations

from dataclasses import replace

from graphlab.ranks.parting import cut_off
from graphlab.rules.registry import find
from graphlab.trace.finding import Finding
from graphlab.trace.ranks.joint import Joint, merged


def find_in(joint: Joint) -> list[Finding]:
    """The findings of all ranks, and on which each was seen."""
    found = merged({rank: find(trace) for rank, trace in joint.traces.items()})
    # A backward that was cut off failed at nothing of its own: others were not there any more.
    cut = {rank for rank, trace in joint.traces.items() if cut_off(trace)}
    alone = not any(
        trace.outcome == "raised" and rank not in cut for rank, trace in joint.traces.items()
    )
    if alone and not any(each.code == "GL304" for each in found):
        cut = set()
    found = [each for each in found if each.code != "GL000" or not {*each.ranks} <= cut]
    return [replace(each, where=joint.where(each.ranks)) for each in found]
