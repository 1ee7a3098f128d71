"""Ranks without a wrapper: what is averaged by hand, what is forgotten, and what is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphlab.ranks.compare import compared
from graphlab.rules.registry import find
from graphlab.trace import store
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint, merged
from graphlab.trace.ranks.sightings import (
    Carried,
    Parted,
    RankStep,
    Source,
    StepsApart,
    WithoutGradient,
)
from tests.rules.build import Script, optimizer, parameter
from tests.rules.test_ranks import rank_step

TRAIN = Script(
    """\
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

model = nn.Linear(4, 1)
optimizer = SGD(model.parameters())
for x in batches:
    loss = model(x).mean()
    if loss > 9:
        continue
    optimizer.zero_grad()
    loss.backward()
    dist.all_reduce(copy)
    if rank == 0:
        clip(model)
    optimizer.step()
""",
    tensors=(parameter("model.weight"), parameter("model.bias")),
    optimizers=(optimizer(owns=(0, 1)),),
)
LOSS, AVERAGE = TRAIN.at("loss.backward()"), TRAIN.at("dist.all_reduce(copy)")
NEVER = Source(LOSS, "loss.backward()", "never")
COPIED = Source(LOSS, "loss.backward()", "copied", AVERAGE, "dist.all_reduce()")
LITTLE = Carried(None, 1, False, False)


def steps(rank: int, source: Source, later: str = "", **fields: Any) -> list[RankStep]:
    """Two steps of a rank, of gradients of its own; before the second it holds `later`."""
    own = {"fresh": (f"{rank}", "d"), "gradients": (f"{rank}", "d"), "sources": (source,),
           "shared": (False, False), "at": TRAIN.at("optimizer.step()")}  # fmt: skip
    return [
        rank_step(**{**own, **fields}),
        rank_step(**own, step=1, iteration=1, values=(later or f"{rank}", "b")),
    ]


def told(*ranks: list[Any]) -> list[Finding]:
    traces = {at: TRAIN.trace(sightings=tuple(each)) for at, each in enumerate(ranks)}
    traces = {at: store.loads(store.dumps(trace)) for at, trace in traces.items()}
    joint = compared(Joint(traces, 2))
    return merged({rank: find(trace) for rank, trace in joint.traces.items()})


def test_a_wrapper_that_was_forgotten() -> None:
    (finding,) = told(*([*steps(rank, NEVER), LITTLE] for rank in (0, 1)))
    assert (finding.code, finding.ranks) == ("GL301", (0, 1))
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "model = nn.Linear(4, 1)"
    assert finding.help[0].after == "model = DDP(nn.Linear(4, 1))\n"


def beside(rank: int, *values: str) -> list[Any]:
    """Steps of a wrapped parameter, and of one beside it with gradients of the rank's own."""
    own = {"fresh": ("a", f"{rank}"), "gradients": ("a", f"{rank}"), "source_of": (0, 1),
           "sources": (Source(LOSS, "loss.backward()"), Source(LOSS, "loss.backward()", "beside")),
           "shared": (True, False), "at": TRAIN.at("optimizer.step()")}  # fmt: skip
    return [
        *(rank_step(**own, step=at, iteration=at, values=("v", e)) for at, e in enumerate(values)),
        LITTLE,
    ]


def test_a_parameter_beside_a_wrapped_model() -> None:
    # The first step of Adam is as large for any gradient.
    (finding,) = told(*(beside(rank, "w", "w", f"{rank}") for rank in (0, 1)))
    assert (finding.code, finding.ranks) == ("GL301", (0, 1))
    assert finding.tensor is not None and finding.tensor.tensor.name == "model.bias"
    assert "no wrapper has it" in finding.summary


@pytest.mark.parametrize("values", [("{}", "{}"), ("w", "w"), ("w", "{}", "w")])
def test_a_parameter_of_each_ranks_own_beside_a_wrapped_model(values: tuple[str, ...]) -> None:
    assert told(*(beside(rank, *(e.format(rank) for e in values)) for rank in (0, 1))) == []


@pytest.mark.parametrize(
    "ranks",
    [
        pytest.param([[*steps(r, NEVER, values=(f"{r}", "b")), LITTLE] for r in (0, 1)], id="own"),
        pytest.param([[*steps(r, NEVER, later="same"), LITTLE] for r in (0, 1)], id="met again"),
        pytest.param([steps(r, NEVER) for r in (0, 1)], id="exchange unknown"),
        pytest.param([[*steps(r, NEVER)[:1], LITTLE] for r in (0, 1)], id="one step"),
        *(
            pytest.param([[*steps(r, NEVER), each] for r in (0, 1)], id=name)
            for name, each in {
                "much": Carried(None, 96, False, False),
                "pairwise": Carried(None, 1, True, False),
                "in a graph": Carried(None, 1, False, True),
            }.items()
        ),
    ],
)
def test_models_of_each_ranks_own_are_nothing(ranks: list[list[Any]]) -> None:
    assert told(*ranks) == []


def test_copies_of_gradients_that_are_averaged() -> None:
    (finding,) = told(*(steps(rank, COPIED) for rank in (0, 1)))
    assert finding.code == "GL301"
    assert finding.cause is not None and finding.cause.at == AVERAGE
    assert "a copy of it" in finding.summary
    # Of parameters that each rank has for itself no copy need come back.
    assert told(*(steps(rank, COPIED, values=(f"{rank}", "b")) for rank in (0, 1))) == []


def test_gradients_averaged_by_hand_of_parameters_that_began_apart() -> None:
    ranks = [[rank_step(fresh=(f"{r}", "d"), values=(f"{r}", "b"))] for r in (0, 1)]
    (finding,) = told(*ranks)
    assert finding.code == "GL303"
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "model = nn.Linear(4, 1)"


def test_a_parameter_that_only_some_ranks_use() -> None:
    by_hand = Source(None, "", "by-hand", AVERAGE, "dist.all_reduce()")
    one = rank_step(fresh=("x", "d"), gradients=("x", "d"))
    other = rank_step(sources=(by_hand,), fresh=("-", "d"), gradients=("-", "d"))
    (finding,) = told([one], [other])
    assert finding.code == "GL301"
    assert finding.cause is not None and finding.cause.at == AVERAGE


def only(trace: Trace) -> Finding:
    (finding,) = find(trace)
    return finding


def test_what_one_rank_does_alone_is_done_by_all() -> None:
    apart = StepsApart(
        TRAIN.at("optimizer.step()"), 0, 0, (0,), "written", TRAIN.at("clip(model)"), "clip()", (0,)
    )
    (help,) = only(TRAIN.trace(sightings=(apart,))).help
    assert (help.before, help.after) == (
        "    if rank == 0:\n        clip(model)\n", "    clip(model)\n",
    )  # fmt: skip


def test_ranks_part_where_one_leaves_the_body_of_the_loop() -> None:
    parted = Parted(LOSS, "call", "backward", LOSS, (1,), ("rank 0: 4", "rank 1: 5"))
    finding = only(TRAIN.trace(sightings=(parted,)))
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "if loss > 9:"
    assert "line 11" in finding.summary


def test_a_collective_is_put_into_the_graph() -> None:
    script = Script(
        "dist.all_reduce(total)\ndist.all_gather(parts, own, group=half)\n"
        "dist.all_reduce(most, op=dist.ReduceOp.MAX)\n"
    )

    def mended(line: str, operation: str, torch: str = "2.13.0") -> str:
        at = script.at(line)
        brought = WithoutGradient(at, line, operation, "total", True, at, "loss.backward()", at)
        trace = script.trace(sightings=(brought,))
        environment = replace(trace.environment, torch=torch)
        (help,) = only(replace(trace, environment=environment)).help
        return help.after or help.text

    private = "from torch.distributed._functional_collectives import"
    reduce, gather = "dist.all_reduce(total)", "dist.all_gather(parts, own, group=half)"
    assert mended(reduce, "all_reduce") == (
        f'{private} all_reduce\ntotal = all_reduce(total, "sum", dist.group.WORLD)\n'
    )
    assert mended(gather, "all_gather") == (
        f"{private} all_gather_single\n"
        "parts = list(all_gather_single(own, 0, half).chunk(dist.get_world_size(half)))\n"
    )
    assert "torch.distributed.functional_collectives " in mended(reduce, "all_reduce", "2.15.1")
    assert "torch.distributed.nn.functional.all_reduce" in mended(reduce, "all_reduce", "2.12.0")
    largest = mended("dist.all_reduce(most, op=dist.ReduceOp.MAX)", "all_reduce")
    assert largest.startswith("Use torch.distributed._functional_collectives.all_reduce")


def test_a_step_without_a_wrapper_says_nothing_of_rates() -> None:
    ranks = [[*steps(r, NEVER, values=(f"{r}", "b"), rates=(f"{r}",)), LITTLE] for r in (0, 1)]
    assert told(*ranks) == []


@pytest.mark.parametrize("averaged", [True, False])
def test_a_gradient_that_is_averaged_no_more(averaged: bool) -> None:
    """Of one that never was, each rank may have the parameter for itself."""
    by_hand = Source(LOSS, "loss.backward()", "by-hand", AVERAGE, "dist.all_reduce()")
    ranks = []
    for rank in (0, 1):
        first = rank_step(shared=(averaged, True))
        later = rank_step(
            step=8, iteration=8, values=(f"{rank}", "b"), fresh=(f"{rank}", "d"),
            gradients=(f"{rank}", "d"), sources=(by_hand,), shared=(False, True),
        )  # fmt: skip
        ranks.append([first, later])
    found = told(*ranks)
    assert [each.code for each in found] == (["GL301"] if averaged else [])


STOP = Script("""\
def average(net):
    for p in net.parameters():
        dist.all_reduce(p.grad)


for i in range(20):
    kl = loss_of(net)
    if kl > 1.5:
        break
    average(net)
for i in range(20):
    other(net)
""")


def test_what_all_ranks_have_as_many_of_is_not_why_they_part() -> None:
    loop = Parted(
        STOP.at("for p in net.parameters():"), "loop", "", STOP.at("dist.all_reduce(p.grad)"),
        (0,), ("rank 0: 9", "rank 1: 8"),
    )  # fmt: skip
    finding = only(STOP.trace(sightings=(loop,)))
    assert finding.code == "GL304"
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "if kl > 1.5:"


def test_steps_of_ranks_that_join_the_others_are_not_compared() -> None:
    text = "with model.join():\n    optimizer.step()\n"
    step = Script(text).at("    optimizer.step()".strip())
    found: list[list[Finding]] = []
    for source, counts in ((text, (8, 6)), (text, (8, 8)), ("optimizer.step()\n", (8, 6))):
        traces = {
            rank: Script(
                source, tensors=TRAIN.tensors,
                optimizers=(optimizer(owns=(0, 1), steps=counts[rank]),),
            ).trace(
                sightings=(
                    rank_step(at=step, fresh=(f"{rank}", "d"), gradients=(f"{rank}", "d")),
                )
            )
            for rank in (0, 1)
        }  # fmt: skip
        joint = compared(Joint(traces, 2))
        found.append(merged({rank: find(trace) for rank, trace in joint.traces.items()}))
    assert [len(each) for each in found] == [0, 1, 1]
