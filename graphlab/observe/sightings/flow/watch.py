"""The watchers of where gradients, and what an optimizer makes of them, go."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.observe.sightings.flow.asked_gradients import AskedGradients
from graphlab.observe.sightings.flow.cut_states import CutStates
from graphlab.observe.sightings.flow.drawn import DrawnValues
from graphlab.observe.sightings.flow.held_plain import HeldPlains
from graphlab.observe.sightings.flow.lost_writes import LostWrites
from graphlab.observe.sightings.flow.raised_critics import RaisedCritics
from graphlab.observe.sightings.flow.scheduled_twice import ScheduledTwices
from graphlab.observe.sightings.flow.stepped_past import SteppedPasts
from graphlab.observe.sightings.flow.straight_through import StraightThrough
from graphlab.observe.sightings.flow.swapped_in import LeftIn
from graphlab.observe.sightings.flow.undone_steps import UndoneSteps
from graphlab.observe.sightings.watched import Watched, Watcher


def watchers_of_flow(watched: Watched) -> Iterator[Watcher]:
    """One for each kind of mistake."""
    yield StraightThrough(watched)
    yield CutStates(watched)
    yield UndoneSteps(watched)
    yield RaisedCritics(watched)
    yield LostWrites(watched)
    yield DrawnValues(watched)
    yield HeldPlains(watched)
    yield ScheduledTwices(watched)
    yield LeftIn(watched)
    yield SteppedPasts(watched)
    yield AskedGradients(watched)
