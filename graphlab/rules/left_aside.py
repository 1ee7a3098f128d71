"""Finds the loss, in no backward, that alone would have reached what an optimizer holds in vain."""

from __future__ import annotations

from graphlab.trace.model import OptimizerInfo, Trace
from graphlab.trace.sightings import LossUnused

# A parameter may belong to a branch that is rarely taken: GL110 tells after this many steps, and
# after so many where none of the optimizer's had a gradient.
PATIENCE, OF_NONE = 6, 3


def patience(optimizer: OptimizerInfo) -> int:
    some = len(optimizer.never_reached) < len(optimizer.owns)
    return PATIENCE if some or optimizer.fed else OF_NONE


def left_aside(trace: Trace, optimizer: OptimizerInfo) -> LossUnused | None:
    """Only where nothing that cuts a graph is known."""
    if optimizer.steps < patience(optimizer) or optimizer.strangers or not optimizer.never_reached:
        return None
    if optimizer.cut is not None or optimizer.leaf_loss is not None:
        return None
    found = [
        each
        for each in trace.sightings
        if isinstance(each, LossUnused) and {*optimizer.never_reached} <= {*each.leads}
    ]
    return found[0] if len(found) == 1 else None
