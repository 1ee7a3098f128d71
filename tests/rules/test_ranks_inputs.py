"""What ranks train with beside the model: batches, their order, frozen networks; by hand."""

from __future__ import annotations

from typing import Any

import pytest

from graphlab.trace.ranks.inputs import Forwards, Frozen, SameOrder
from graphlab.trace.ranks.sightings import Carried
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


def test_an_order_that_no_epoch_changes() -> None:
    (finding,) = told(*2 * ((SameOrder(CLIP, LOSS, 3, 0),),))
    assert (finding.code, finding.severity, finding.ranks) == ("GL311", "info", (0, 1))
    assert finding.cause is not None and finding.cause.at == CLIP
    assert finding.summary.startswith("3 passes")


@pytest.mark.usefixtures("korean")
def test_all_are_told_in_korean() -> None:
    seen = (SameOrder(CLIP, LOSS, 3, 0), forwards(*"abcd"))
    found = [
        *told((*seen, *frozen("a", "b")), (*seen, *frozen("c", "d"))),
        *told(frozen("a"), frozen("c")),
        *told(*2 * ((forwards(*"abcd", loader=None),),)),
    ]
    assert [each.code for each in found] == ["GL311", "GL312", "GL313", "GL313", "GL312"]
    for each in found:
        is_korean(each)
