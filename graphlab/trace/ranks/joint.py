"""The traces of one program's ranks, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphlab.language import message
from graphlab.trace.finding import Finding, Place
from graphlab.trace.model import Trace


@dataclass(frozen=True, slots=True)
class Joint:
    """The traces of those of `world` ranks that have left one, by rank."""

    traces: dict[int, Trace]
    world: int

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(rank for rank in range(self.world) if rank not in self.traces)

    def lead(self) -> Trace:
        """One Trace for all: that of the lowest rank, with the gravest outcome of any."""
        first = next(iter(self.traces.values()))
        order = ("raised", "interrupted", "completed")
        worst = min(self.traces.values(), key=lambda trace: order.index(trace.outcome))
        sources: dict[str, str] = {}
        for trace in self.traces.values():
            sources = {**trace.sources, **sources}
        unseen = list(first.unseen)
        for rank, trace in self.traces.items():
            unseen += [
                message("ranks.of_rank", rank=rank, text=each)
                for each in trace.unseen
                if each not in first.unseen
            ]
        if self.missing:
            unseen.append(message("ranks.left_no_trace", ranks=ranks_in_words(self.missing)))
        return replace(
            first, outcome=worst.outcome, exception=worst.exception, sources=sources,
            iterations=max(trace.iterations for trace in self.traces.values()),
            unseen=tuple(unseen),
        )  # fmt: skip

    def where(self, ranks: Sequence[int]) -> str:
        """Which of all ranks these are, in words: "on both ranks", "rank 1 only"."""
        if len(ranks) == self.world:
            return message("ranks.both" if self.world == 2 else "ranks.all", count=self.world)
        if self.missing and len(ranks) == len(self.traces):
            return ranks_in_words(ranks)
        return message("ranks.only", ranks=ranks_in_words(ranks))


def ranks_in_words(ranks: Sequence[int]) -> str:
    """Such as "rank 1" or "ranks 0, 2 and 3"."""
    if len(ranks) == 1:
        return message("ranks.one", rank=ranks[0])
    return message("ranks.several", ranks=[str(each) for each in ranks])


def merged(found: dict[int, list[Finding]]) -> list[Finding]:
    """The findings of each rank told once: the same code about the same tensor and lines is the
    same finding. Those that name their ranks already are about several."""
    first: dict[object, Finding] = {}
    ranks: dict[object, set[int]] = {}
    for rank, findings in found.items():
        for each in findings:
            key = _key(each)
            first.setdefault(key, each)
            ranks.setdefault(key, set()).update(each.ranks or (rank,))
    merged = [replace(each, ranks=tuple(sorted(ranks[key]))) for key, each in first.items()]
    return sorted(merged, key=lambda each: each.code)


def _key(finding: Finding) -> object:
    name = finding.tensor.tensor.name if finding.tensor is not None else None
    places = (finding.saved, finding.mutated, finding.freed, finding.failed, finding.cause)
    return (finding.code, finding.severity, name, *map(_line, places))


def _line(place: Place | None) -> tuple[str, int] | None:
    return (place.at.file, place.at.line) if place is not None and place.at is not None else None
