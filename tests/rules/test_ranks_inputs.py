"""What ranks train with beside the model: batches, their order, frozen networks; by hand."""

from __future__ import annotations

from typing import Any

import pytest

from graphlab.rules.registry import find
from graphlab.trace.ranks.inputs import (
    Forwards,
    Frozen,
    Modes,
    OrdersApart,
    SameOrder,
    Shuffled,
)
from graphlab.trace.ranks.sightings import Carried
from tests.rules.build import Script
from tests.rules.test_korean import is_korean, korean
from tests.rules.test_ranks import BACKWARD
from tests.rules.test_ranks_means import CLIP, LOSS, told

__all__ = ["korean"]
NOTHING_BETWEEN = Carried(None, 1, False, False)


def forwards(*given: str, **fields: Any) -> Forwards:
    same: dict[str, Any] = {"at": LOSS, "name": "model", "loader": CLIP, **fields}
    return Forwards(given=tuple(enumerate(given)), **same)


def test_the_same_batches_on_every_rank() -> None:
    (finding,) = told((forwards(*"abcd"),), (forwards(*"abcd"),))
    assert (finding.code, finding.severity, finding.ranks) == ("GL312", "info", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    (finding,) = told(*2 * ((forwards(*"abcd", loader=None),),))
    assert finding.cause is not None and finding.cause.at == LOSS


def noise(*states: str) -> Forwards:
    return forwards(*"efgh", at=BACKWARD, name="G", random=states)


def test_noise_that_all_ranks_draw_alike() -> None:
    one, other = (forwards(*"abcd"), noise(*"stuv")), (forwards(*"ijkl"), noise(*"stuv"))
    (finding,) = told(one, other)
    assert (finding.code, finding.severity) == ("GL312", "info")
    assert finding.cause is not None and finding.cause.at == BACKWARD
    assert "draw the same random numbers: G" in finding.summary


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(noise(*"stuv"), noise(*"wxyz"), id="each rank draws its own"),
        pytest.param(noise(*"ssss"), noise(*"ssss"), id="nothing is drawn"),
    ],
)
def test_inputs_in_common_that_are_not_drawn(one: Forwards, other: Forwards) -> None:
    assert told((forwards(*"abcd"), one), (forwards(*"ijkl"), other)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param((forwards(*"abcd"),), (forwards(*"abce"),), id="one differs"),
        pytest.param(*2 * ((forwards(*"abc"),),), id="seen too seldom"),
        pytest.param(*2 * ((forwards(*"aaaa"),),), id="one batch over and over"),
        pytest.param(
            (forwards(*"abcd"), forwards(*"efgh", at=BACKWARD)),
            (forwards(*"abcd"), forwards(*"ijkl", at=BACKWARD)),
            id="the same noise for images of each rank",
        ),
    ],
)
def test_batches_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


def frozen(*values: str) -> tuple[Any, ...]:
    return Frozen(LOSS, "teacher", values), NOTHING_BETWEEN


def test_a_frozen_network_of_each_ranks_own() -> None:
    (finding,) = told(frozen("a", "b"), frozen("c", "d"))
    assert (finding.code, finding.severity, finding.ranks) == ("GL313", "warning", (0, 1))
    assert finding.failed is not None and finding.failed.at == LOSS
    (finding,) = told(frozen("a", "a"), frozen("c", "c"))
    assert (finding.code, finding.severity) == ("GL313", "info")


def test_a_frozen_network_that_all_have_in_common() -> None:
    assert told(frozen("a", "b"), frozen("a", "b")) == []
    # Written to at other times on each.
    assert told(frozen("a", "b"), frozen("a", "c")) == []
    in_graph = Carried(None, 1, False, True)
    parts = [(frozen(each)[0], in_graph) for each in "ab"]
    assert told(*parts) == []


def written(*values: str, **fields: Any) -> tuple[Any, ...]:
    return Frozen(LOSS, "teacher", values, tuple(range(len(values))), **fields), NOTHING_BETWEEN


def test_a_frozen_network_that_one_rank_alone_writes_to() -> None:
    wrote = written(*"abcd", written=CLIP, written_by="p.mul_()")
    (finding,) = told(wrote, written(*"aaaa"))
    assert (finding.code, finding.severity, finding.ranks) == ("GL313", "warning", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "only rank 0 wrote to it" in finding.summary
    (finding,) = told(written(*"abcd"), written(*"aefg"))
    assert "no longer is" in finding.summary


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(written(*"aabc"), written(*"aaaa"), id="seen too seldom"),
        pytest.param(written(*"abcd"), written(*"aaad"), id="sent to the others in the end"),
        pytest.param(written(*"abcde"), written(*"abcde"), id="written to alike"),
    ],
)
def test_frozen_networks_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


def test_a_look_that_one_rank_missed() -> None:
    late = Frozen(LOSS, "teacher", ("b", "c", "d"), (1, 2, 3)), NOTHING_BETWEEN
    assert told(written(*"abcd"), late) == []


def modes(*seen: str, **fields: Any) -> Modes:
    same: dict[str, Any] = {"put": None, "put_by": "", **fields}
    return Modes(LOSS, "model", ("norm", "drop"), tuple(enumerate(seen)), **same)


def test_modules_in_evaluation_on_one_rank() -> None:
    stays = modes("tt", "tt", "ee", "ee", put=CLIP, put_by="model.eval()")
    (finding,) = told((stays,), (modes("tt", "tt", "tt", "tt"),))
    assert (finding.code, finding.severity, finding.ranks) == ("GL317", "warning", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "model.norm and 1 other module" in finding.summary and "forward 2" in finding.summary
    (finding,) = told((modes("te", "te"),), (modes("tt", "tt"),))
    assert "model.drop computed in evaluation mode on rank 0" in finding.summary


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param((modes("tt", "te", "tt"),), (modes("tt", "tt", "tt"),), id="once"),
        pytest.param((modes("te", "te"),), (modes("te", "te"),), id="frozen everywhere"),
        pytest.param((modes("ee", "ee"),), (), id="a model of one rank"),
    ],
)
def test_modes_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


def test_an_order_that_no_epoch_changes() -> None:
    (finding,) = told(*2 * ((SameOrder(CLIP, LOSS, 3, 0),),))
    assert (finding.code, finding.severity, finding.ranks) == ("GL311", "info", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert finding.summary.startswith("3 passes")


def shuffled(part: int, seed: int, *epochs: int, **fields: Any) -> tuple[Shuffled, ...]:
    same: dict[str, Any] = {"at": CLIP, "loop": LOSS, "samples": 32, "parts": 2, **fields}
    return (Shuffled(part=part, seed=seed, epochs=epochs, **same),)


def test_samplers_that_shuffle_by_other_numbers() -> None:
    (finding,) = told(shuffled(0, 7, 0), shuffled(1, 8, 0))
    assert (finding.code, finding.severity, finding.ranks) == ("GL318", "warning", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert "a seed of its own (rank 0: 7; rank 1: 8)" in finding.summary
    (finding,) = told(shuffled(0, 7, 0, 1), shuffled(1, 7, 1, 2))
    assert "told another epoch (rank 0: 0; rank 1: 1)" in finding.summary


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(shuffled(0, 7, 0, 1), shuffled(1, 7, 0, 1), id="the same order"),
        pytest.param(shuffled(0, 7, 0), shuffled(0, 8, 0), id="the same part of two models"),
        pytest.param(
            shuffled(0, 7, 0, parts=1), shuffled(0, 8, 0, parts=1), id="each rank has the whole"
        ),
        pytest.param(shuffled(0, 7, 0), shuffled(1, 8, 0, samples=30), id="data of its own"),
        pytest.param(shuffled(0, 7, 0, 1), shuffled(1, 7, 1), id="one pass alone"),
        pytest.param(shuffled(0, 7, 0, 1), shuffled(1, 7, 0, 2), id="a later pass alone"),
        pytest.param(shuffled(0, 7, 1), shuffled(1, 8, 0), id="the sum is the same"),
        pytest.param(shuffled(0, 7, 0), (), id="on one rank alone"),
    ],
)
def test_samplers_of_which_nothing_is_said(one: Any, other: Any) -> None:
    assert told(one, other) == []


@pytest.mark.parametrize(
    ("made", "told_epoch", "by", "after"),
    [
        ("DistributedSampler(data, seed=seed + rank)", "epoch", "seed", "seed=seed)"),
        ("DistributedSampler(data, seed=rank * cfg.seed)", "epoch", "seed", "seed=cfg.seed)"),
        ("DistributedSampler(data, seed=own)", "epoch", "seed", "DistributedSampler(data)"),
        ("DistributedSampler(data)", "own", "epoch", ""),
        ("DistributedSampler(data)", "epoch + dist.get_rank()", "epoch", "set_epoch(epoch)"),
    ],
)
def test_the_number_without_the_rank(made: str, told_epoch: str, by: Any, after: str) -> None:
    script = Script(f"sampler = {made}\nsampler.set_epoch({told_epoch})\n")
    apart = OrdersApart(script.at(f"sampler = {made}"), None, by, ("7", "8"), (0, 1))
    (finding,) = find(script.trace(sightings=(apart,)))
    (help,) = finding.help
    assert (help.after or "").strip().endswith(after)
    assert bool(help.before) is bool(after)


@pytest.mark.usefixtures("korean")
def test_all_are_told_in_korean() -> None:
    seen = (SameOrder(CLIP, LOSS, 3, 0), forwards(*"abcd"))
    found = [
        *told((*seen, *frozen("a", "b")), (*seen, *frozen("c", "d"))),
        *told(frozen("a"), frozen("c")),
        *told(*2 * ((forwards(*"abcd", loader=None),),)),
        *told(written(*"abcd", written=CLIP, written_by="p.mul_()"), written(*"aaaa")),
        *told(written(*"abcd"), written(*"aefg")),
        *told((forwards(*"abcd"), noise(*"stuv")), (forwards(*"ijkl"), noise(*"stuv"))),
        *told((modes("ee", "ee", put=CLIP, put_by="model.eval()"),), (modes("tt", "tt"),)),
        *told((modes("te", "te"),), (modes("tt", "tt"),)),
        *told(shuffled(0, 7, 0), shuffled(1, 8, 0)),
        *told(shuffled(0, 7, 0, 1), shuffled(1, 7, 1, 2)),
    ]
    codes = "GL311 GL312 GL313 GL313 GL312 GL313 GL313 GL312 GL317 GL317 GL318 GL318"
    assert [each.code for each in found] == codes.split()
    for each in found:
        is_korean(each)
