"""What `graphlab compare` measured, as frozen data, and its JSON: schema graphlab.comparison/1."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "graphlab.comparison/1"


@dataclass(frozen=True, slots=True)
class Beside:
    """A vector beside its reference: ``|a - r| / |r|``, and the cosine between the two."""

    relative_error: float | None
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one iteration did to one network; `update` and `gradient` only where it stepped."""

    steps: int
    changed: bool
    update: Beside | None
    gradient: Beside | None


@dataclass(frozen=True, slots=True)
class Iteration:
    completed: bool
    D: Turn
    G: Turn


@dataclass(frozen=True, slots=True)
class Found:
    code: str
    severity: str
    summary: str
    iteration: int | None


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop. What an iteration costs is None where the loop raised before its end.

    forwards: calls of each network in an iteration, and backwards: calls of backward() or
    grad(), both means. saved_bytes: the most that autograd kept at once for its backwards.
    cuda_peak_bytes: the most that PyTorch held on the GPU. seconds: per iteration, unwatched;
    time_ratio: to the cheapest loop of the comparison.
    """

    name: str
    lesson: str
    outcome: str
    exception: str | None
    findings: tuple[Found, ...]
    iterations: tuple[Iteration, ...]
    forwards: dict[str, float] | None = None
    backwards: float | None = None
    saved_bytes: int | None = None
    cuda_peak_bytes: int | None = None
    seconds: float | None = None
    time_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """Of `samples` images with values from -1 to 1: mean and standard deviation of all pixels,
    root mean square difference to the nearest real image, and how many different real images
    are the nearest to some sample."""

    samples: int
    mean: float
    spread: float
    nearest: float
    distinct: int


@dataclass(frozen=True, slots=True)
class Losses:
    iterations: int
    D_loss_: float
    G_loss_: float


@dataclass(frozen=True, slots=True)
class Applied:
    """A sampled step of G's optimizer: the share in the applied gradient of losses that are not
    G's own, and the cosine of the applied gradient with that of G's own loss."""

    iteration: int
    foreign_share: float
    cosine_to_own: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one loop. `iterations` is how many ended."""

    seed: int
    exception: str | None
    iterations: int
    judged: Judged
    losses: tuple[Losses, ...]
    applied: tuple[Applied, ...]


Image = list[list[list[float]]]


@dataclass(frozen=True, slots=True)
class Trained:
    """One loop's trainings; `images` are the first seed's, each [C, H, W] in [-1, 1]."""

    name: str
    runs: tuple[Run, ...]
    images: list[Image]


@dataclass(frozen=True, slots=True)
class Guide:
    """A value that a loss is known to take, by reasoning and not by measurement."""

    label: str
    D_loss_: float
    G_loss_: float


@dataclass(frozen=True, slots=True)
class Training:
    """`real` and `real_images` are the yardstick: real images judged against the other ones."""

    epochs: int
    iterations_per_epoch: int
    seeds: tuple[int, ...]
    loops: tuple[Trained, ...]
    real: Judged
    real_images: list[Image]
    guides: tuple[Guide, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Loops that ran from one seed over the same batches. `arguments` are the scenarios' own."""

    loops: tuple[Loop, ...]
    steps: int
    seed: int
    device: str
    torch: str
    arguments: tuple[str, ...] = ()
    training: Training | None = None


def document(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison without its images, ready for `json.dumps`."""
    found = {"schema": SCHEMA, **asdict(comparison)}
    training = found["training"]
    if training is not None:
        del training["real_images"]
        for loop in training["loops"]:
            del loop["images"]
    return found


def turns(loop: Loop, network: str) -> list[Turn]:
    """The turns of one network, "D" or "G"."""
    return [getattr(each, network) for each in loop.iterations]


def known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def mean(values: Sequence[float | None]) -> float | None:
    """Of the values that are there; None where there is none."""
    there = known(values)
    return statistics.fmean(there) if there else None
