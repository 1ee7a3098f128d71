"""The watchers of how torch's calls and settings are used."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.observe.sightings.usage.closures import Closures
from graphlab.observe.sightings.usage.evaluation.dropouts import Dropouts
from graphlab.observe.sightings.usage.evaluation.training_mode import TrainingModeEvaluations
from graphlab.observe.sightings.usage.hook_results import HookResults
from graphlab.observe.sightings.usage.hooks import HooksAdded
from graphlab.observe.sightings.usage.hyperparameters import Hyperparameters
from graphlab.observe.sightings.usage.labels import Labels
from graphlab.observe.sightings.usage.loading import EmptyLoads
from graphlab.observe.sightings.usage.plateaus import Plateaus
from graphlab.observe.sightings.usage.rates import Schedules
from graphlab.observe.sightings.usage.remade import RemadeOptimizers
from graphlab.observe.sightings.usage.scaled_steps import ScaledSteps
from graphlab.observe.sightings.usage.views import ScoresViewed
from graphlab.observe.sightings.watched import Watched, Watcher


def watchers_of_usage(watched: Watched) -> Iterator[Watcher]:
    """One for each kind of mistake."""
    yield Hyperparameters(watched)
    yield EmptyLoads(watched)
    yield HooksAdded(watched)
    yield ScoresViewed(watched)
    yield Labels(watched)
    yield Schedules(watched)
    yield Plateaus(watched)
    yield ScaledSteps(watched)
    yield Closures(watched)
    yield HookResults(watched)
    yield RemadeOptimizers(watched)
    yield Dropouts(watched)
    yield TrainingModeEvaluations(watched)
