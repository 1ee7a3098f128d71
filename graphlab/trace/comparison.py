"""Holds the results of `graphlab compare` as dataclasses, and writes them as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "graphlab.comparison/1"


@dataclass(frozen=True, slots=True)
class VectorDifference:
    """How a vector a differs from its reference r: ``|a - r| / |r|``, and the cosine of the two."""

    relative_error: float | None
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one iteration did to one network; `update` and `gradient` are None without a step."""

    steps: int
    changed: bool
    update: VectorDifference | None
    gradient: VectorDifference | None


@dataclass(frozen=True, slots=True)
class Iteration:
    """What one iteration did to each network; `completed` is whether it ran to its end."""

    completed: bool
    D: Turn
    G: Turn


@dataclass(frozen=True, slots=True)
class FindingSummary:
    """What a comparison keeps of a finding."""

    code: str
    severity: str
    summary: str
    iteration: int | None


@dataclass(frozen=True, slots=True)
class Loop:
    """One training loop. The costs are None if the loop raised.

    forwards, backwards: mean calls per iteration, of each network and of backward() or grad().
    saved_bytes: the most that autograd held at one time for backward. cuda_peak_bytes: the most
    that PyTorch had allocated on the GPU. seconds: per iteration, without observation.
    time_ratio: `seconds` divided by those of the fastest loop.
    """

    name: str
    lesson: str
    outcome: str
    exception: str | None
    findings: tuple[FindingSummary, ...]
    iterations: tuple[Iteration, ...]
    forwards: dict[str, float] | None = None
    backwards: float | None = None
    saved_bytes: int | None = None
    cuda_peak_bytes: int | None = None
    seconds: float | None = None
    time_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """Statistics of `samples` images with values from -1 to 1.

    mean, spread: mean and standard deviation of all pixels. nearest: root mean square difference
    to the nearest real image. distinct: how many different real images are nearest to a sample.
    """

    samples: int
    mean: float
    spread: float
    nearest: float
    distinct: int


@dataclass(frozen=True, slots=True)
class Losses:
    """The mean losses over a fixed set of images, after so many iterations."""

    iterations: int
    D_loss_: float
    G_loss_: float


@dataclass(frozen=True, slots=True)
class AppliedGradient:
    """A sampled step of G's optimizer: the share in the applied gradient of losses that are not
    G's own, and the cosine of the applied gradient with that of G's own loss."""

    iteration: int
    foreign_share: float
    cosine_to_own: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one loop; `iterations` counts the completed ones."""

    seed: int
    exception: str | None
    iterations: int
    judged: ImageStatistics
    losses: tuple[Losses, ...]
    applied: tuple[AppliedGradient, ...]


Image = list[list[list[float]]]


@dataclass(frozen=True, slots=True)
class LoopTraining:
    """One loop's trainings, one a seed; `images` are the first seed's, [C, H, W] in [-1, 1]."""

    name: str
    runs: tuple[Run, ...]
    images: list[Image]


@dataclass(frozen=True, slots=True)
class KnownLoss:
    """Loss values known from theory, drawn as a line across the measured curves."""

    label: str
    D_loss_: float
    G_loss_: float


@dataclass(frozen=True, slots=True)
class Training:
    """`real` is the baseline: `real_images` measured against all other real images."""

    epochs: int
    iterations_per_epoch: int
    seeds: tuple[int, ...]
    loops: tuple[LoopTraining, ...]
    real: ImageStatistics
    real_images: list[Image]
    guides: tuple[KnownLoss, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Loops that ran from one seed on the same batches. `arguments` went to the scenarios."""

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
    """What each iteration of `loop` did to `network`, "D" or "G"."""
    return [getattr(each, network) for each in loop.iterations]


def known(values: Sequence[float | None]) -> list[float]:
    """The values that are not None."""
    return [value for value in values if value is not None]


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are not None; None without any."""
    there = known(values)
    return statistics.fmean(there) if there else None
