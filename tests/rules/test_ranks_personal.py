"""Parameters that each rank trains for itself beside those that all average."""

from __future__ import annotations

import pytest

from graphlab.ranks.differences.personal import personal
from graphlab.trace.ranks.joint import Joint
from tests.rules.build import Script, parameter
from tests.rules.test_ranks import rank_step

SAVES = 'torch.save(client.head.state_dict(), f"{folder}/head-{rank}.pt")\n'


def kept(source: str, head: str) -> set[int]:
    script = Script(source, tensors=(parameter("client.body.weight"), parameter(head)))
    joint = Joint({0: script.trace(), 1: script.trace()}, 2)
    return personal(joint, rank_step(), [1])


@pytest.mark.parametrize(
    ("source", "head"),
    [
        pytest.param(SAVES, "client.head.weight", id="saved by the rank's number"),
        pytest.param("pass\n", "client.local_head.weight", id="called so"),
    ],
)
def test_what_each_rank_means_to_keep(source: str, head: str) -> None:
    assert kept(source, head) == {1}


@pytest.mark.parametrize(
    ("source", "head"),
    [
        pytest.param("pass\n", "client.head.weight", id="nothing tells so"),
        pytest.param("pass\n", "local_model.weight", id="the variable alone is called so"),
        pytest.param(
            SAVES.replace("client.head.", "client."), "client.head.weight", id="saved as a whole"
        ),
        pytest.param(
            "if rank == 0:\n    " + SAVES, "client.head.weight", id="saved by one rank alone"
        ),
    ],
)
def test_what_is_told_as_ever(source: str, head: str) -> None:
    assert kept(source, head) == set()
