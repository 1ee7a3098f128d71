"""The watchers of the state of modules."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import Names
from graphlab.observe.notes import Spot
from graphlab.observe.sightings.state.averages import Averages, WrongWay
from graphlab.observe.sightings.state.drift import Drift
from graphlab.observe.sightings.state.fixed import FixedNetworks
from graphlab.observe.sightings.state.flags import Flags
from graphlab.observe.sightings.state.given.equal_units import EqualUnitsWatch
from graphlab.observe.sightings.state.given.eval_mode import GivenInEval
from graphlab.observe.sightings.state.given.fresh import FreshLayers
from graphlab.observe.sightings.state.given.redrawn import Redraws
from graphlab.observe.sightings.state.kept_values import KeptValues
from graphlab.observe.sightings.state.loads import Loads
from graphlab.observe.sightings.state.modes import Modes
from graphlab.observe.sightings.state.repeated import RepeatedModules
from graphlab.observe.sightings.state.replaced import Replacements
from graphlab.observe.sightings.state.sharing.shared_elements import SharedElements
from graphlab.observe.sightings.state.sharing.stored_items import StoredItems
from graphlab.observe.sightings.state.sharing.ties import Ties
from graphlab.observe.sightings.state.sharing.two_names import TwoNames
from graphlab.observe.sightings.state.targets import TrainedTargets
from graphlab.observe.sightings.state.undone import UndoneEvals
from graphlab.observe.sightings.watched import Watched, Watcher
from graphlab.observe.tensors import Unnoticed

# A program may build an optimizer for each of its tasks: only the first ones are looked around at.
CONSTRUCTORS = 8


def watchers_of_state(watched: Watched) -> Iterator[Watcher]:
    """One for each kind of mistake."""
    ties, replacements = Ties(watched), Replacements(watched)

    def loading(module: Any, spot: Spot | None, assign: bool, after: bool) -> None:
        ties.loading(module, spot, assign, after)
        replacements.loading(module, spot, assign, after)

    left = CONSTRUCTORS

    def constructed(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal left
        if event == "return" and left > 0:
            left -= 1
            with Unnoticed():
                names = Names(watched.files).gather(frame.f_back)
                ties.look(names)
                replacements.built(names)

    # After the ledger's own handler, which was registered before.
    watched.tracer.handle(torch.optim.Optimizer.__init__, constructed)
    watched.tracer.handle(torch.nn.Module.register_parameter, ties.registered)
    yield Loads(watched, loading)
    yield Flags(watched)
    yield Drift(watched)
    yield Modes(watched)
    yield GivenInEval(watched)
    yield FreshLayers(watched)
    yield Redraws(watched)
    yield EqualUnitsWatch(watched)
    yield UndoneEvals(watched)
    yield FixedNetworks(watched)
    yield Averages(watched)
    yield WrongWay(watched)
    yield ties
    yield SharedElements(watched)
    yield RepeatedModules(watched)
    yield TwoNames(watched)
    yield replacements
    yield KeptValues(watched)
    yield TrainedTargets(watched)
    yield StoredItems(watched)
