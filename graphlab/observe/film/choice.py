"""Chooses the iteration of a run that the player shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from graphlab.observe.film.recorder import FilmedIteration
from graphlab.observe.film.snapshots import Snapshot, Snapshots
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


class Filmed(Protocol):
    """An observation that has kept films of its iterations."""

    snapshots: Snapshots

    def build_film(self, snapshot: Snapshot | None, filmed: FilmedIteration) -> Film: ...


def film_of(session: Filmed, trace: Trace, findings: Sequence[Finding]) -> Film | None:
    """The iteration of `session` that explains most; None where no line of the user's ran, or
    where nothing was filmed."""
    films = session.snapshots.films()
    if not films:
        return None
    taken = [snapshot for snapshot, _ in films if snapshot is not None]
    counted = [each for each in findings if each.severity != "info"]
    if trace.exception is not None and not counted:
        # No rule explains the error, so its own iteration is shown.
        snapshot, take = films[-1]
    else:
        best, _ = moment_of(taken, counted)
        snapshot, take = next(each for each in films if each[0] is best or best is None)
    film = session.build_film(snapshot, take)
    return film if film.moments else None


def moment_of(
    taken: Sequence[Snapshot], findings: Sequence[Finding]
) -> tuple[Snapshot | None, Finding | None]:
    """The snapshot that shows the first finding, and that finding; without one, the snapshot of the
    first iteration that has every loss of the loop."""
    if not taken:
        return None, None
    first = findings[0] if findings else None
    if first is not None:
        call = first.failed.what if first.failed is not None else None
        for each in taken:
            if each.failed and first.severity == "error" and call in each.calls:
                return each, first
        for each in taken:
            if first.iteration in each.iterations:
                return each, first
    most = max(len(each.calls) for each in taken)
    return next(each for each in taken if len(each.calls) == most), first
