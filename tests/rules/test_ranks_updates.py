"""Clips before the average, rates of each rank's own, groups, and labels, on traces by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphlab.rules.registry import find
from graphlab.trace.ranks.inputs import OthersLabels
from graphlab.trace.ranks.models import RefusedModule
from graphlab.trace.ranks.sightings import GradientWrite, Scheduled, Source
from graphlab.trace.ranks.updates import ClippedPart, Rated
from tests.rules.build import Script
from tests.rules.test_korean import is_korean, korean
from tests.rules.test_ranks import BACKWARD, STEP, rank_step
from tests.rules.test_ranks_means import CLIP, LOSS, told

__all__ = ["korean"]


def clipped(*factors: float) -> tuple[ClippedPart, ...]:
    return tuple(
        ClippedPart(STEP, 0, at, at, factor, CLIP, "clip()", BACKWARD, "dist.all_reduce()")
        for at, factor in enumerate(factors)
    )


def test_clips_of_each_ranks_own_before_the_average() -> None:
    (finding,) = told(clipped(0.5, 0.2), clipped(1.0, 0.9))
    assert (finding.code, finding.severity, finding.ranks) == ("GL314", "warning", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert finding.failed is not None and finding.failed.at == BACKWARD
    assert "rank 0: 0.5; rank 1: 1" in finding.summary


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(clipped(0.5, 1.0, 1.0), clipped(1.0, 1.0, 1.0), id="one large gradient"),
        pytest.param(clipped(0.5, 0.2), clipped(0.5, 0.20001), id="the same but for rounding"),
        pytest.param(clipped(0.5, 0.2), (), id="one rank clips, and GL303 tells"),
    ],
)
def test_clips_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


def shrunk(*factors: float) -> tuple[ClippedPart, ...]:
    return tuple(replace(each, factors=factors) for each in clipped(0.5, 0.5))


def test_elements_that_each_rank_clamps_for_itself() -> None:
    (finding,) = told(shrunk(1.0, 0.4, 1.0), shrunk(1.0, 1.0, 0.7))
    assert (finding.code, finding.ranks) == ("GL314", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(shrunk(0.4, 0.4), shrunk(0.6, 0.6), id="a weight of each rank's batch"),
        pytest.param(shrunk(0.4, 0.7), shrunk(0.4, 0.7), id="the same mask"),
        pytest.param(shrunk(0.4, 0.7), shrunk(-1.0, 0.7), id="a gradient of zero"),
        pytest.param(shrunk(0.0, 1.0), shrunk(1.0, 0.0), id="the largest alone are sent"),
    ],
)
def test_elements_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


def rated(*rates: tuple[int, str]) -> Rated:
    return Rated(CLIP, 0, rates)


def drifted(rank: int, *more: Any) -> tuple[Any, ...]:
    first = rank_step(shared=(True, True))
    values = (f"{rank}", "b")
    return first, rank_step(step=8, iteration=8, shared=(True, True), values=values), *more


def test_a_rate_that_was_apart_for_a_while() -> None:
    one, other = rated((2, "0.1"), (6, "0.01")), rated((2, "0.1"), (4, "0.01"))
    (finding,) = told(drifted(0, one), drifted(1, other))
    assert (finding.code, finding.ranks) == ("GL303", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "rank 0: 0.1; rank 1: 0.01" in finding.summary
    later = [rated((2, "0.1"), (9, "0.01")), rated((2, "0.1"), (12, "0.01"))]
    (finding,) = told(drifted(0, later[0]), drifted(1, later[1]))
    assert finding.cause is None or finding.cause.at != CLIP


def test_a_rate_that_is_apart_after_the_last_step_that_was_compared() -> None:
    steps = [rank_step(step=at, iteration=at, shared=(True, True)) for at in (0, 2)]
    one, other = (rated((2, "0.1"), (at, "0.01")) for at in (5, 7))
    (finding,) = told((*steps, one), (*steps, other))
    assert (finding.code, finding.ranks) == ("GL303", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "rank 0: 0.01; rank 1: 0.1" in finding.summary
    # No step was made by it any more, or it is a model of each rank's own.
    one, other = (rated((2, "0.1"), (at, "0.01")) for at in (8, 9))
    assert told((*steps, one), (*steps, other)) == []
    own = [rank_step(step=at, iteration=at, shared=(False, False)) for at in (0, 2)]
    one, other = (rated((2, "0.1"), (at, "0.01")) for at in (5, 7))
    assert told((*own, one), (*own, other)) == []


def test_a_rate_that_the_program_assigns_itself() -> None:
    """It is known of each step, and a scheduler's line says more where there is one."""
    steps = [rank_step(step=at, iteration=at, shared=(True, True)) for at in (0, 2)]
    one, other = (Rated(None, 0, ((0, "0.1"), (at, "0.01"))) for at in (5, 7))
    (finding,) = told((*steps, one), (*steps, other))
    assert (finding.code, finding.ranks) == ("GL303", (0, 1))
    assert "rank 0: 0.01; rank 1: 0.1" in finding.summary
    lines = (rated((2, "0.1"), (at, "0.01")) for at in (5, 7))
    (finding,) = told((*steps, one, next(lines)), (*steps, other, next(lines)))
    assert finding.cause is not None and finding.cause.at == CLIP


def test_a_rate_that_one_rank_alone_has_loaded() -> None:
    one, other = (rank_step(rates=(rate,), shared=(True, True)) for rate in ("0.03", "0.1"))
    restored = Scheduled(CLIP, 1, "load_state_dict")
    (finding,) = told((one, restored), (other,))
    assert (finding.code, finding.ranks) == ("GL303", (0,))
    assert finding.cause is not None and finding.cause.at == CLIP
    # All have loaded it: it is the rate that was in there.
    (finding,) = told((one, restored), (other, restored))
    assert finding.cause is None or finding.cause.at != CLIP


def grouped(rank: int, value: str, gradient: str, *groups: tuple[int, ...]) -> tuple[Any, ...]:
    mean = Source(BACKWARD, "loss.backward()", "", LOSS, "dist.all_reduce()")
    step = rank_step(
        values=(value, "b"), fresh=(f"{rank}", "d"), gradients=(gradient, "d"),
        shared=(True, True), sources=(mean,), groups=groups,
    )  # fmt: skip
    return (step,)


PAIRS = ((0, 1), (0, 1), (2, 3), (2, 3))


def test_ranks_are_compared_within_their_groups() -> None:
    ranks = [grouped(at, f"v{at // 2}", f"g{at // 2}", pair, ()) for at, pair in enumerate(PAIRS)]
    assert told(*ranks) == []
    # A gradient that differs inside of a group was not averaged.
    ranks[1] = grouped(1, "v0", "g", PAIRS[1], ())
    assert [each.code for each in told(*ranks)] == ["GL301"]


def test_a_group_whose_parameters_are_not_the_same() -> None:
    ranks = [grouped(at, f"v{at}", f"g{at // 2}", pair, ()) for at, pair in enumerate(PAIRS)]
    (finding,) = told(*ranks)
    assert (finding.code, finding.ranks) == ("GL303", (0, 1))
    assert finding.cause is not None and finding.cause.at == LOSS
    assert "ranks 0 and 1" in finding.summary


CONTRAST = Script(
    """\
def loss_of(images, texts):
    labels = torch.arange(len(images))
    scores = images @ gather(texts).T
    return cross_entropy(scores, labels)
"""
)


def test_labels_of_another_ranks_rows() -> None:
    at = CONTRAST.at("return cross_entropy(scores, labels)")
    seen = OthersLabels(at, "cross_entropy()", 16, 1, "loss.backward()", BACKWARD)
    (finding,) = find(CONTRAST.trace(sightings=(seen,)))
    assert (finding.code, finding.severity) == ("GL315", "warning")
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "labels = torch.arange(len(images))"
    assert "labels are 0 to 15" in finding.summary and "column 16" in finding.summary


def refused(*shapes: tuple[str, tuple[int, ...]], frozen: tuple[str, ...] = ()) -> tuple[Any, ...]:
    froze = (CLIP, "p.requires_grad = False") if frozen else (None, "")
    return (RefusedModule(LOSS, "DDP()", shapes, frozen, *froze),)


WEIGHT, HEAD = ("model.weight", (4, 2)), ("model.head", (2,))


def test_modules_that_differ() -> None:
    (finding,) = told(refused(HEAD, frozen=("model.weight",)), refused(WEIGHT, HEAD))
    assert (finding.code, finding.severity, finding.ranks) == ("GL316", "error", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "(rank 0: frozen; rank 1: trained, of shape [4, 2])" in finding.summary
    (finding,) = told(refused(WEIGHT), refused(("model.weight", (3, 2))))
    assert finding.cause is None and finding.failed is not None and finding.failed.at == LOSS
    assert told(refused(WEIGHT), refused(WEIGHT)) == told(refused(WEIGHT), ()) == []


def test_what_the_ranks_do_is_told_in_korean(korean: None) -> None:
    first, second = clipped(0.5, 0.2), clipped(1.0, 0.9)
    ranks = [grouped(at, f"v{at}", f"g{at // 2}", pair, ()) for at, pair in enumerate(PAIRS)]
    modules = told(refused(HEAD, frozen=("model.weight",)), refused(WEIGHT, HEAD))
    for finding in (*told(first, second), *told(*ranks), *modules):
        is_korean(finding)


def rewritten(value: str, *writes: GradientWrite) -> tuple[Any, ...]:
    return (rank_step(values=(value, "b"), rewritten=tuple((0, each) for each in writes)),)


def test_a_write_of_every_rank_after_its_wrapper_was_built() -> None:
    write = GradientWrite(CLIP, "nn.init.normal_()")
    (finding,) = told(rewritten("a", write), rewritten("x", write))
    assert (finding.code, finding.ranks) == ("GL303", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "model.weight was then written on each rank with values of its own" in finding.summary
    assert told(rewritten("a", write), rewritten("a", write)) == []
    # Of a write by one rank alone, or by none, it is not known to be that.
    for other in (), (GradientWrite(LOSS, "fill_()"),):
        (finding,) = told(rewritten("a", write), rewritten("x", *other))
        assert finding.cause is None or finding.cause.at != CLIP
