"""Finds where a loss was cut off from parameters that no backward has reached."""

from __future__ import annotations

from types import FrameType

from graphlab.observe.graph.walk import listed
from graphlab.observe.lineage.cut import cut_before
from graphlab.observe.names import Names, parameters_of
from graphlab.observe.notes import Log, RawBackward
from graphlab.observe.optimizers.never_called import never_called
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.observe.refusals.asked import maker
from graphlab.observe.tensors import is_leaf, is_parameter
from graphlab.source.files import UserFiles

# For how many losses the source is read to see why they do not reach a parameter.
READ = 6
# At which of these the modules are asked as well.
ASK = 2


def look_for_cuts(
    record: RawBackward, frame: FrameType, registry: OptimizerRegistry, log: Log, files: UserFiles
) -> None:
    """Find where the loss of a backward, called in `frame`, was cut off from the parameters that
    never had a gradient."""
    for state, optimizer in registry.followed():
        if not state.never_reached or state.cut is not None or state.read >= READ:
            continue
        state.read += 1
        missing = {
            id(p)
            for p in parameters_of(optimizer)
            if registry.place_of(p, None) in state.never_reached
        }
        state.cut = cut_before(frame.f_back, record.loss, files, missing)
        roots = listed(frame.f_locals.get("tensors"))
        if roots and all(is_leaf(each) and not is_parameter(each) for each in roots):
            state.leaf_loss = maker(roots[0], frame.f_back, files, None)
            state.leaf_name = record.loss
        if state.cut is None and state.read == ASK:
            names = Names(files).gather(frame)
            state.unused = never_called(missing, names, log, files)
