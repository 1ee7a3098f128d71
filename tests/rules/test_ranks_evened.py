"""Repairs of what the ranks give to a collective, and of what each divides its loss by."""

from __future__ import annotations

import pytest

from graphlab.rules.repair.ranks.evened import (
    as_many_turns,
    gradients_for_all,
    in_one_order,
    in_order_of_names,
)
from graphlab.rules.repair.ranks.together import averaged_first, decided_together
from graphlab.rules.repair.ranks.weighed import by_all_ranks
from tests.rules.build import Script
from tests.rules.test_ranks_repairs import lines

HAND = Script("""\
import torch
import torch.distributed as dist

names = {name for name, _ in model.named_parameters()}
for p in model.parameters():
    if p.grad is None:
        continue
    dist.all_reduce(p.grad)
for name in names:
    dist.all_reduce(grads[name])
for x in batches:
    step(x)
for i, x in enumerate(loader):
    step(i, x)
for at in range(steps + 1):
    step(at)
for x in zip(one, other):
    step(x)
""")


def test_what_a_rank_did_not_use_has_a_gradient_of_zeros() -> None:
    found = gradients_for_all(HAND.trace(), HAND.at("dist.all_reduce(p.grad)"))
    assert lines(found)[:2] == [
        "    if p.requires_grad and p.grad is None:",
        "        p.grad = torch.zeros_like(p)",
    ]
    assert gradients_for_all(HAND.trace(), HAND.at("dist.all_reduce(grads[name])")) is None


def test_a_set_is_gone_through_in_one_order() -> None:
    found = in_one_order(HAND.trace(), HAND.at("dist.all_reduce(grads[name])"))
    assert lines(found) == ["for name in sorted(names):"]
    assert in_one_order(HAND.trace(), HAND.at("dist.all_reduce(p.grad)")) is None


@pytest.mark.parametrize(
    ("loop", "count", "after"),
    [
        ("for x in batches:", "len(batches)", "for x in itertools.islice(batches, int(turns)):"),
        (
            "for i, x in enumerate(loader):", "len(loader)",
            "for i, x in itertools.islice(enumerate(loader), int(turns)):",
        ),
        ("for at in range(steps + 1):", "steps + 1", "for at in range(int(turns)):"),
    ],
)  # fmt: skip
def test_the_ranks_have_as_many_turns(loop: str, count: str, after: str) -> None:
    rows = lines(as_many_turns(HAND.trace(), HAND.at(loop)))
    assert rows[-3:] == [
        f"turns = torch.tensor({count})",
        "dist.all_reduce(turns, op=dist.ReduceOp.MIN)",
        after,
    ]
    assert (rows[0] == "import itertools") == ("islice" in after)


def test_a_loop_whose_length_is_not_known_stays() -> None:
    assert as_many_turns(HAND.trace(), HAND.at("for x in zip(one, other):")) is None


@pytest.mark.parametrize(
    ("line", "count", "after"),
    [
        ("loss = total / n", "n", "loss = total / (count / dist.get_world_size())"),
        (
            "loss = F.cross_entropy(out, y, ignore_index=0)", "(y != 0).sum()",
            "loss = F.cross_entropy(out, y, ignore_index=0) * float((y != 0).sum())"
            " / (count / dist.get_world_size())",
        ),
        (
            "loss = criterion(out, y)", "(y != criterion.ignore_index).sum()",
            "loss = criterion(out, y) * float((y != criterion.ignore_index).sum())"
            " / (count / dist.get_world_size())",
        ),
        (
            "loss = errors[mask].mean()", "errors[mask].numel()",
            "loss = errors[mask].mean() * float(errors[mask].numel())"
            " / (count / dist.get_world_size())",
        ),
    ],
)  # fmt: skip
def test_a_loss_is_divided_by_what_all_ranks_have(line: str, count: str, after: str) -> None:
    head = "import torch\nimport torch.distributed as dist\ncriterion = nn.CrossEntropyLoss()\n"
    script = Script(f"{head}{line}\n")
    assert lines(by_all_ranks(script.trace(), script.at(line))) == [
        f"count = torch.tensor(float({count}))",
        "dist.all_reduce(count)",
        after,
    ]


def test_a_loss_that_is_divided_twice_stays() -> None:
    script = Script("import torch\nimport torch.distributed as dist\nloss = a / n + b / m\n")
    assert by_all_ranks(script.trace(), script.at("loss = a / n + b / m")) is None


NCCL = """\
import torch
import torch.distributed as dist

dist.init_process_group("nccl")


def train(model, loader, local_rank):
    {given}
    for x in loader:
        if torch.isnan(x):
            continue
        scheduler.step(value)
"""


@pytest.mark.parametrize(
    ("given", "device"),
    [
        ("model = DDP(model.to(0), device_ids=[local_rank])", "local_rank"),
        ("model = DDP(model.to(device))", "device"),
        ("model = DDP(model.cuda().to(torch.bfloat16))", '"cuda"'),
    ],
)
def test_numbers_are_where_the_backend_takes_them(given: str, device: str) -> None:
    script = Script(NCCL.replace("{given}", given))
    trace = script.trace()
    for found, value in (
        (as_many_turns(trace, script.at("for x in loader:")), "len(loader)"),
        (decided_together(trace, script.at("if torch.isnan(x):")), "float(torch.isnan(x))"),
        (averaged_first(trace, script.at("scheduler.step(value)")), "float(value)"),
    ):
        assert f"torch.tensor({value}, device={device})" in "\n".join(lines(found))
    for backend in ('"gloo"', '"cpu:gloo,cuda:nccl"', ""):
        free = Script(NCCL.replace("{given}", given).replace('"nccl"', backend))
        found = as_many_turns(free.trace(), free.at("for x in loader:"))
        assert "device=" not in "".join(lines(found)[:2])


def test_parameters_are_exchanged_in_the_order_of_their_names() -> None:
    script = Script("""\
import torch.distributed as dist

for p in net.model.parameters():
    dist.broadcast(p.data, 0)
for p in net.parameters():
    print(p)
for p in model.parameters():
    dist.all_reduce(p.grad)
""")
    found = in_order_of_names(script.trace(), script.at("dist.all_reduce(p.grad)"))
    assert lines(found) == [
        "for p in dict(sorted(net.model.named_parameters())).values():",
        "    dist.broadcast(p.data, 0)",
        "for p in net.parameters():",
        "    print(p)",
        "for p in dict(sorted(model.named_parameters())).values():",
    ]
    assert in_order_of_names(script.trace(), script.at("print(p)")) is None
