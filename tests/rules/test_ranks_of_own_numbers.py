"""Repairs of ranks that go by numbers of their own: a norm of shards, a loss that decides, a call
that was not waited for."""

from __future__ import annotations

import pytest

from graphlab.rules.registry import find
from graphlab.rules.repair.ranks.averages import norm_of_all_shards
from graphlab.rules.repair.ranks.options import waited_for
from graphlab.rules.repair.ranks.replicas import sent_where_written
from graphlab.rules.repair.ranks.together import decided_by_the_mean
from graphlab.rules.repair.wrapped import through_the_wrapper
from graphlab.trace.finding import Help
from graphlab.trace.ranks.sightings import StepsApart
from tests.rules.build import Script, optimizer, parameter

CLIP = """\
import torch
import torch.distributed as dist


def clip(model, most):
    {norm}
    scale = most / (total{root} + 1e-6)
    if scale < 1:
        for p in model.parameters():
            p.grad.to_local().mul_(scale)
"""
SUMMED = """total = torch.zeros(())
    for p in model.parameters():
        total += p.grad.to_local().pow(2).sum()"""
ROOTED = "total = torch.norm(torch.stack([p.grad.to_local().norm() for p in model.parameters()]))"


def added(help: Help | None) -> list[str]:
    assert help is not None and help.before is not None and help.after is not None
    before = help.before.splitlines()
    return [line.strip() for line in help.after.splitlines() if line not in before]


@pytest.mark.parametrize(
    ("norm", "root", "lines"),
    [
        (SUMMED, ".sqrt()", ["dist.all_reduce(total)"]),
        (ROOTED, "", ["total = total ** 2", "dist.all_reduce(total)", "total = total ** 0.5"]),
    ],
)
def test_a_norm_is_that_of_all_shards(norm: str, root: str, lines: list[str]) -> None:
    script = Script(CLIP.format(norm=norm, root=root))
    found = norm_of_all_shards(script.trace(), script.at("p.grad.to_local().mul_(scale)"))
    assert added(found) == lines


def test_a_scale_without_a_norm_is_left() -> None:
    script = Script(CLIP.format(norm="total = most", root=""))
    at = script.at("p.grad.to_local().mul_(scale)")
    assert norm_of_all_shards(script.trace(), at) is None


@pytest.mark.parametrize(
    ("test", "mean"),
    [
        ("loss < best", "loss = on_all_ranks.item() / dist.get_world_size()"),
        ("loss.item() < best", "loss = on_all_ranks / dist.get_world_size()"),
    ],
)
def test_all_restore_by_one_number(test: str, mean: str) -> None:
    script = Script(f"""\
import torch
import torch.distributed as dist

best = 9.0
for x in batches:
    loss = evaluate(x)
    report(x)
    log(x)
    if {test}:
        best, kept = loss, state(model)
    model.load_state_dict(kept)
""")
    found = decided_by_the_mean(script.trace(), script.at("model.load_state_dict(kept)"))
    assert added(found) == [
        "on_all_ranks = torch.tensor(float(loss))", "dist.all_reduce(on_all_ranks)", mean,
    ]  # fmt: skip


def test_each_call_that_has_a_name_is_waited_for() -> None:
    script = Script("""\
for p in parameters:
    work = dist.all_reduce(p.grad, async_op=True)
work.wait()
""")
    found = waited_for(script.trace(), script.at("work = dist.all_reduce(p.grad, async_op=True)"))
    assert added(found) == ["work.wait()"]


def test_items_that_each_rank_writes_are_sent_behind_the_condition() -> None:
    script = Script("""\
import torch.distributed as dist

for z in batches:
    dead = idle > 2
    if dead.any():
        codes[dead] = z[:2]
""")
    found = sent_where_written(script.trace(), script.at("codes[dead] = z[:2]"))
    assert added(found) == ["dist.broadcast(codes.data, 0)"]


def test_a_scheduler_goes_by_what_all_ranks_were_given() -> None:
    script = Script(
        """\
import torch
import torch.distributed as dist

optimizer = SGD(model.parameters())
for epoch in range(9):
    dist.reduce(total, dst=0)
    optimizer.step()
    scheduler.step(total)
""",
        tensors=(parameter("model.weight"),),
        optimizers=(optimizer(owns=(0,)),),
    )
    at = script.at("scheduler.step(total)")
    apart = StepsApart(
        script.at("optimizer.step()"),
        0,
        1,
        (0,),
        "rate",
        at,
        "scheduler.step()",
        (0, 1),
        ("rank 0: 0.1", "rank 1: 0.2"),
    )
    (finding,) = find(script.trace(sightings=(apart,)))
    assert finding.code == "GL303"
    assert finding.help[0].after == "    dist.all_reduce(total)\n"


@pytest.mark.parametrize(
    "made",
    ["model = DDP(net)", "model, opt = fabric.setup(net, opt)", "net = accel.unwrap_model(model)"],
)
def test_the_wrapper_is_called_by_its_name(made: str) -> None:
    script = Script(f"{made}\nloss = net(x).sum()\n")
    found = through_the_wrapper(script.trace(), script.at("loss = net(x).sum()"))
    assert added(found) == ["loss = model(x).sum()"]


def test_a_module_without_a_wrapper_is_left() -> None:
    script = Script("model = build(net)\nloss = net(x).sum()\n")
    assert through_the_wrapper(script.trace(), script.at("loss = net(x).sum()")) is None
