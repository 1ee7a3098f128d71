"""The watchers of the examples that a loss is trained by."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.observe.sightings.examples.batch_first import BatchesRead
from graphlab.observe.sightings.examples.last_only import LastOnes
from graphlab.observe.sightings.examples.never_back import NeverBacks
from graphlab.observe.sightings.watched import Watched, Watcher


def watchers_of_examples(watched: Watched) -> Iterator[Watcher]:
    """One for each kind of mistake."""
    yield BatchesRead(watched)
    yield LastOnes(watched)
    yield NeverBacks(watched)
