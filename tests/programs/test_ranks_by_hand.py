"""Programs of two ranks that average by hand, that forget to, and that part ways in gloo."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report
from tests.programs.test_ranks_wrappers import HEAD, LAUNCH, grave

TRAIN = """\
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(24):
    x = torch.randn(8, 6)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SHOWN = """\
    shown = loss.detach().clone()
    dist.all_reduce(shown)
"""
END = "dist.destroy_process_group()\n"
# One rank steps; HANDED_ON gives what it made to the other one.
ONE_STEPS = (
    TRAIN.replace(
        "    optimizer.step()\n",
        "    if rank == 0:\n        optimizer.step()\n        print(step)\n",
    )
    .replace("model = nn", "model = DDP(nn")
    .replace("16, 1))", "16, 1)))")
)
HANDED_ON = """\
    for p in model.parameters():
        dist.broadcast(p.data, 0)
"""
CLONES = """\
    grads = [p.grad.clone() for p in model.parameters()]
    for g in grads:
        dist.all_reduce(g)
        g /= 2
"""
AFTER_THE_STEP = """\
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
"""
AVERAGED_LATER = """\
    if step % 20 == 19:
        with torch.no_grad():
            for p in model.parameters():
                dist.all_reduce(p)
                p /= 2
"""
# The last all_reduce of rank 0 meets the backward of rank 1, which sends more, so that gloo aborts.
MISMATCHED = """\
model = DDP(nn.Linear(6, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
for epoch in range(2):
    for part in torch.ones(3 - rank, 6):
        total = part.sum()
        dist.all_reduce(total)
    model(torch.ones(2, 6)).mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""
# Step 6 is none of the first ones.
AVERAGE_PUT_BACK = """\
model = DDP(nn.Linear(6, 1))
average = model.module.weight.detach().clone()
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(12):
    loss = model(torch.randn(8, 6)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    average.lerp_(model.module.weight.detach(), 0.5)
    if rank == 0 and step == 6:
        with torch.no_grad():
            model.module.weight.copy_(average)
"""
CLIPPED_SHARDS = """\
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
for layer in (model[0], model[2], model):
    fully_shard(layer)
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(3):
    loss = model(torch.randn(8, 6)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    grads = [p.grad.to_local() for p in model.parameters()]
    square = sum(grad.square().sum() for grad in grads)
    # together
    for grad in grads:
        grad.mul_(0.1 / square.sqrt())
    optimizer.step()
"""
BESIDE = """\
model, centers = nn.Linear(4, 64), nn.Linear(64, 8)
optimizer = torch.optim.SGD(model.parameters(), 0.05)
optimizer_center = torch.optim.SGD(centers.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(6):
    optimizer.zero_grad()
    optimizer_center.zero_grad()
    centers(model(torch.randn(8, 4))).square().mean().backward()
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
    optimizer.step()
    optimizer_center.step()
    # values
"""
SENDING = """\
from datetime import timedelta
import torch
import torch.distributed as dist

dist.init_process_group("gloo", timeout=timedelta(seconds=12))
rank = dist.get_rank()
x, y = torch.ones(4), torch.ones(4)
dist.send(x, 1 - rank)
dist.recv(y, 1 - rank)
"""
# The last group of each rank is of this rank alone.
ALONE_IN_A_GROUP = """\
groups = [dist.new_group([each]) for each in range(2)]
x = torch.ones(3)
for step in range(3 + rank):
    dist.all_reduce(x, group=groups[rank])
    dist.all_reduce(x, group=groups[1 - rank])
for step in range(4):
    if rank == 0 and step == 2:
        continue
    dist.all_reduce(x)
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(TRAIN + AVERAGED_LATER, id="parameters averaged now and then"),
        pytest.param("torch.manual_seed(rank)\n" + TRAIN + SHOWN, id="a model each"),
        pytest.param(ONE_STEPS + HANDED_ON, id="one rank steps for all"),
    ],
)
def test_nothing_is_said_of_what_is_meant(script: str, tmp_path: Path) -> None:
    code, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])


def test_a_wrapper_that_was_forgotten(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + TRAIN + SHOWN + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL301", [0, 1])
    assert finding["cause"]["code"].startswith("model = nn.Sequential(")
    assert finding["help"][0]["after"].startswith("model = DDP(nn.Sequential(")


def test_averages_that_are_never_written_back(tmp_path: Path) -> None:
    script = TRAIN.replace("    optimizer.step()\n", CLONES + "    optimizer.step()\n")
    _, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == ("GL301", "dist.all_reduce(g)")
    assert "[p.grad for p in model.parameters()]" in finding["help"][0]["after"]


def test_gradients_that_are_averaged_after_the_step(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + TRAIN + AFTER_THE_STEP + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == ("GL301", "dist.all_reduce(p.grad)")
    (repair,) = finding["help"]
    assert repair["before"] == "    optimizer.step()\n" + AFTER_THE_STEP
    assert repair["after"] == AFTER_THE_STEP + "    optimizer.step()\n"


@pytest.mark.parametrize("values", [False, True])
def test_an_optimizer_beside_one_whose_gradients_are_averaged(values: bool, tmp_path: Path) -> None:
    # What is exchanged besides may be an average of the values.
    exchanged = (
        "for p in centers.parameters():\n        dist.all_reduce(p.data)\n        p.data /= 2"
    )
    script = BESIDE.replace("# values", exchanged if values else "")
    _, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    found = [(each["code"], each["tensor"]["name"]) for each in grave(document)]
    assert found == ([] if values else [("GL301", "centers.weight")])


def test_a_step_that_one_rank_alone_ever_makes(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + ONE_STEPS + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL303", [0])
    assert finding["cause"]["code"].startswith("if rank == 0:")
    before = "    if rank == 0:\n        optimizer.step()\n"
    (repair,) = finding["help"]
    assert (repair["before"], repair["after"]) == (
        before, "    optimizer.step()\n    if rank == 0:\n"
    )  # fmt: skip


def test_a_rank_that_gloo_aborts_is_in_the_report(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + MISMATCHED + END, tmp_path, *LAUNCH)
    assert code == 1
    assert [each["environment"]["rank"] for each in document["ranks"]] == [0, 1]
    (finding,) = grave(document)
    loop = "for part in torch.ones(3 - rank, 6):"
    assert (finding["code"], finding["cause"]["code"]) == ("GL304", loop)


def test_an_average_that_one_rank_puts_back_late(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + AVERAGE_PUT_BACK + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL303", [0])
    assert finding["cause"]["code"] == "model.module.weight.copy_(average)"


@pytest.mark.parametrize("norm", ["the rank's own", "that of all"])
def test_shards_that_are_clipped_by_a_norm(norm: str, tmp_path: Path) -> None:
    together = "    dist.all_reduce(square)\n" if norm == "that of all" else ""
    script = HEAD + CLIPPED_SHARDS.replace("    # together\n", together) + END
    code, document, out = report(script, tmp_path, *LAUNCH)
    found = [(each["code"], each["cause"]["code"]) for each in grave(document)]
    assert found == ([] if together else [("GL303", "grad.mul_(0.1 / square.sqrt())")])
    assert code == 0, out


def test_two_ranks_that_send_to_each_other_first(tmp_path: Path) -> None:
    code, document, _ = report(SENDING, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (code, finding["code"], finding["ranks"]) == (1, "GL304", [0, 1])
    assert finding["cause"]["code"] == "dist.send(x, 1 - rank)"


def test_a_group_of_one_rank_waits_for_nobody(tmp_path: Path) -> None:
    script = HEAD.replace('"gloo"', '"gloo", timeout=timedelta(seconds=8)')
    script = f"from datetime import timedelta\n{script}{ALONE_IN_A_GROUP}{END}"
    _, document, _ = report(script, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == (
        "GL304", "if rank == 0 and step == 2:",
    )  # fmt: skip


@pytest.mark.skip(reason="torch's SyncBatchNorm trains on GPUs alone, and raises on a CPU")
def test_nothing_is_said_of_batch_norm_over_all_ranks() -> None:
    """In tests/cuda/test_ranks.py."""


def test_the_report_begins_a_line_of_its_own(tmp_path: Path) -> None:
    bar = TRAIN + "    print(end=f'\\r{step}')\n"
    _, _, out = report(HEAD + bar + END, tmp_path, *LAUNCH)
    assert "\n✓ train.py completed" in out
