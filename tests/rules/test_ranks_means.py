"""Losses that ranks divide by counts of their own, and buffers of their own, on traces by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphlab.ranks.compare import compared
from graphlab.rules.registry import find
from graphlab.trace import store
from graphlab.trace.finding import Finding
from graphlab.trace.ranks.joint import Joint, merged
from graphlab.trace.ranks.sightings import (
    BufferWrite,
    DividedLoss,
    Divisor,
    LossTerm,
    NormOverPart,
    OwnBuffer,
    RankSighting,
)
from tests.rules.test_korean import is_korean, korean
from tests.rules.test_ranks import BACKWARD, LOOP

__all__ = ["korean"]
LOSS, CLIP, STEP = (
    LOOP.at(each) for each in ("loss = model(x).mean()", "clip(model)", "optimizer.step()")
)


def told(*ranks: tuple[RankSighting, ...]) -> list[Finding]:
    traces = {rank: LOOP.trace(sightings=seen) for rank, seen in enumerate(ranks)}
    traces = {rank: store.loads(store.dumps(trace)) for rank, trace in traces.items()}
    joint = compared(Joint(traces, len(traces)))
    return merged({rank: find(trace) for rank, trace in joint.traces.items()})


def losses(*counts: int, factor: float = 1.0) -> tuple[DividedLoss, ...]:
    return tuple(
        DividedLoss(
            BACKWARD, "loss.backward()", "loss", at, (LossTerm((Divisor(LOSS, n),), factor),)
        )
        for at, n in enumerate(counts)
    )


def test_a_loss_that_the_ranks_divide_by_other_counts() -> None:
    (finding,) = told(losses(4, 6, 5), losses(12, 10, 15))
    assert (finding.code, finding.ranks) == ("GL308", (0, 1))
    assert finding.cause is not None and finding.cause.at == LOSS
    assert finding.failed is not None and finding.failed.at == BACKWARD
    assert "rank 0: 4, rank 1: 12" in finding.summary and " 3 times" in finding.summary


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(losses(8, 8, 8), losses(8, 8, 3), id="the last batch is smaller"),
        pytest.param(losses(20, 24, 22), losses(22, 21, 25), id="about as many"),
        pytest.param(losses(4, 4), losses(12, 12, factor=3.0), id="evened out by a factor"),
        pytest.param(losses(4, 4), losses(12), id="seen once"),
    ],
)
def test_counts_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


def buffer(name: str, *values: str, **fields: Any) -> OwnBuffer:
    """`values`: when the module was wrapped, and at each step."""
    same: dict[str, Any] = {"used": None, "writes": (), "grows": True, **fields}
    return OwnBuffer(LOSS, name, 0, "weight", tuple(enumerate(values)), **same)


DATA = BufferWrite(STEP, "self.mean.lerp_()", (), True)
FROM_MEAN = BufferWrite(CLIP, "self.code.copy_()", ("mean",), False)


def test_a_buffer_of_each_ranks_own() -> None:
    mean = [buffer("mean", "a", each, used=BACKWARD, writes=(DATA,)) for each in "xy"]
    (finding,) = told((mean[0],), (mean[1],))
    assert (finding.code, finding.ranks) == ("GL309", (0, 1))
    assert finding.tensor is not None and finding.tensor.tensor.name == "model.mean"
    assert finding.cause is not None and finding.cause.at == STEP
    assert finding.failed is not None and finding.failed.at == BACKWARD


def test_a_wrapper_that_cannot_broadcast_before_each_forward() -> None:
    mean = [buffer("mean", "a", each, used=BACKWARD, writes=(DATA,), several=True) for each in "xy"]
    (finding,) = told((mean[0],), (mean[1],))
    assert (finding.code, finding.severity) == ("GL309", "info")


def test_a_statistic_that_no_wrapper_has() -> None:
    fields: dict[str, Any] = {"used": BACKWARD, "writes": (DATA,)}
    mean = [replace(buffer("rms.mean", "a", each, **fields), beside=None) for each in "xy"]
    (finding,) = told((mean[0],), (mean[1],))
    assert finding.tensor is not None and finding.tensor.tensor.name == "rms.mean"
    assert (finding.code, finding.severity) == ("GL309", "warning")
    assert "DistributedDataParallel" not in finding.summary
    assert told((mean[0],), (mean[0],)) == []


def test_the_write_that_is_not_of_what_all_ranks_have() -> None:
    code = [buffer("code", "a", each, used=BACKWARD, writes=(FROM_MEAN, DATA)) for each in "xy"]
    mean = buffer("mean", "a", "b")
    (finding,) = told((code[0], mean), (code[1], mean))
    assert finding.cause is not None and finding.cause.at == STEP
    code = [replace(each, grows=False) for each in code]
    (finding,) = told((code[0], mean), (code[1], buffer("mean", "a", "c")))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "1 other buffer" in finding.summary


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"used": None}, id="nothing computes with it"),
        pytest.param({"grows": False}, id="overwritten as a whole"),
    ],
)
def test_a_buffer_that_may_differ(fields: dict[str, Any]) -> None:
    one = replace(buffer("mean", "a", "x", used=BACKWARD, writes=(DATA,)), **fields)
    other = replace(one, values=((0, "a"), (1, "y")))
    assert told((one,), (other,)) == []
    began = replace(one, used=BACKWARD, grows=True)
    assert told((began,), (replace(began, values=((0, "b"), (1, "y"))),)) == []


def test_batch_norms_over_a_part() -> None:
    norms = (NormOverPart(LOSS, "model.bn1", 2, STEP), NormOverPart(CLIP, "model.bn2", 2, STEP))
    (finding,) = told(norms, norms)
    assert (finding.code, finding.severity, finding.ranks) == ("GL310", "info", (0, 1))
    assert finding.cause is not None and finding.cause.at == LOSS
    assert "model.bn1 (and 1 other batch norm)" in finding.summary


@pytest.mark.usefixtures("korean")
def test_all_are_told_in_korean() -> None:
    mean = [buffer("mean", "a", each, used=BACKWARD, writes=(DATA,)) for each in "xy"]
    norm = NormOverPart(LOSS, "model.bn1", 2, STEP)
    found = told((mean[0], norm, *losses(4, 6)), (mean[1], norm, *losses(12, 10)))
    assert [each.code for each in found] == ["GL308", "GL309", "GL310"]
    for each in found:
        is_korean(each)
