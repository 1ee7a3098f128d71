"""Programs of several ranks: groups that average by themselves, shards used before the optimizer,
rates that follow a rank's own loss, gathered rows and their labels, and what torch refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report
from tests.programs.test_ranks_wrappers import HEAD, LAUNCH, grave

FOUR = (*LAUNCH[:4], "4", *LAUNCH[5:])
END = "dist.destroy_process_group()\n"
EXPERTS = """\
pairs = [dist.new_group([0, 1]), dist.new_group([2, 3])]
crossed = [dist.new_group([0, 2]), dist.new_group([1, 3])]
trunk = nn.Linear(4, 4)
torch.manual_seed(rank // 2)
expert = nn.Linear(4, 4)
optimizer = torch.optim.SGD([*trunk.parameters(), *expert.parameters()], 0.05)
torch.manual_seed(100 + rank)
for step in range(6):
    loss = expert(trunk(torch.randn(8, 4))).square().mean()
    optimizer.zero_grad()
    loss.backward()
    for p in trunk.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 4
    for p in expert.parameters():
        dist.all_reduce(p.grad, group=pairs[rank // 2])
        p.grad /= 2
    optimizer.step()
"""
USED_FIRST = """\
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
fully_shard(model[2])
fully_shard(model)
with torch.no_grad():
    model(torch.randn(4, 4))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
for step in range(6):
    model(torch.randn(4, 4)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""
PLATEAU = """\
model = DDP(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
torch.manual_seed(100 + rank)
for step in range(24):
    loss = model(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 4:
        worst = torch.tensor([1.0, 2.0, 1.5][rank:])
        # together
        for value in worst[:2]:
            scheduler.step(value)
    if step == 6:
        for group in optimizer.param_groups:
            group["lr"] = 0.001
"""
HEADS = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.box = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.body(x), self.box(x)


model = DDP(Net(), static_graph=True)
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(4):
    scores, _ = model(torch.randn(8, 4))
    optimizer.zero_grad()
    scores.square().mean().backward()
    optimizer.step()
"""
PARALLEL = """\
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

mesh = init_device_mesh("cpu", (2,))
plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
net = parallelize_module(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)), mesh, plan)
head = nn.Linear(4, 1)
head(net(torch.randn(8, 4))).square().mean().backward()
nn.utils.clip_grad_norm_([*head.parameters(), *net.parameters()], 1.0)
"""
SAMPLED = """\
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

parts = [TensorDataset(torch.randn(16, 4)) for _ in range(2)]
train, held_out = (DataLoader(part, 4, sampler=DistributedSampler(part)) for part in parts)
model = DDP(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
for epoch in range(3):
    train.sampler.set_epoch(epoch)
    for (x,) in train:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        shown = sum(model.module(x).sum().item() for (x,) in held_out)
"""
CONTRASTED = """\
model = DDP(nn.Linear(4, 8))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(4):
    images, texts = model(torch.randn(2, 6, 4)).unbind()
    rows = [torch.empty_like(texts) for _ in range(2)]
    dist.all_gather(rows, texts.detach().contiguous())
    rows = torch.cat([texts] + rows[:rank] + rows[rank + 1 :])
    loss = nn.functional.cross_entropy(images @ rows.T, torch.arange(6))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
GATHERED = """\
@torch.no_grad()
def of_all(tensor):
    parts = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(parts, tensor)
    return torch.cat(parts)


model = DDP(nn.Linear(4, 8))
momentum = nn.Linear(4, 8)
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(4):
    images, texts = model(torch.randn(2, 6, 4)).unbind()
    rows = of_all(texts)
    logits = images @ rows.T
    loss = nn.functional.cross_entropy(logits, torch.arange(6) + 6 * rank)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
ENDS_ALONE = """\
model = DDP(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
for step in range(6):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
    if rank == 0 and step == 2:
        raise RuntimeError("this rank's own")
"""


def test_a_group_that_averages_by_itself(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + EXPERTS + END, tmp_path, *FOUR)
    assert (code, grave(document)) == (0, [])


def test_a_group_of_ranks_with_other_parameters(tmp_path: Path) -> None:
    script = EXPERTS.replace("pairs[rank // 2])", "crossed[rank % 2])")
    _, document, _ = report(HEAD + script + END, tmp_path, *FOUR)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL303", [0, 2])
    assert finding["cause"]["code"].startswith("dist.all_reduce(p.grad, group=crossed")
    assert finding["tensor"]["name"] == "expert.weight"


def test_a_sharded_model_that_was_used_before_the_optimizer_was_built(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + USED_FIRST + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (code, finding["code"]) == (0, "GL104")
    assert finding["cause"]["code"].startswith("optimizer = torch.optim.AdamW(")


@pytest.mark.parametrize("value", ["of each rank's own", "that all have"])
def test_a_rate_that_follows_a_loss(value: str, tmp_path: Path) -> None:
    together = "        dist.broadcast(worst := worst[:2].clone(), src=0)\n"
    same = together if value == "that all have" else ""
    script = HEAD + PLATEAU.replace("        # together\n", same) + END
    _, document, _ = report(script, tmp_path, *LAUNCH)
    found = [(each["code"], each["cause"]["code"]) for each in grave(document)]
    assert found == ([] if same else [("GL303", "scheduler.step(value)")])


def test_an_output_that_no_loss_uses_in_a_static_graph(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + HEADS + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["tensor"]["name"]) == ("GL305", "model.box.weight")
    assert "the first backward did" not in finding["summary"]
    assert "find_unused_parameters=True" in finding["help"][-1]["after"]


def test_a_tensor_parallel_plan_is_nothing_that_gathers(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + PARALLEL + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["tensor"]["name"]) == ("GL307", "net.0.weight")
    assert "plain tensors" in finding["summary"] and "fully_shard" not in finding["summary"]


def test_passes_over_what_is_only_evaluated(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + SAMPLED + END, tmp_path, *LAUNCH)
    assert (code, document["findings"]) == (0, [])
    script = SAMPLED.replace("    train.sampler.set_epoch(epoch)\n", "")
    _, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    (finding,) = document["findings"]
    assert (finding["code"], finding["failed"]["code"]) == ("GL311", "for (x,) in train:")


def test_labels_of_rows_that_come_first(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + CONTRASTED + END, tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])


def test_a_backward_that_lost_the_other_rank_failed_at_nothing(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + ENDS_ALONE + END, tmp_path, *LAUNCH)
    assert (code, document["findings"]) == (1, [])


def test_rows_that_are_gathered_without_a_graph(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + GATHERED + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == (
        "GL302",
        "dist.all_gather(parts, tensor)",
    )
    after = finding["help"][0]["after"]
    assert "no_grad" not in after and "parts = list(all_gather_single(tensor, 0, " in after


@pytest.mark.parametrize(
    ("was", "now"),
    [
        # Keys of another network, or what has left the graph.
        ("of_all(texts)", "of_all(momentum(torch.randn(6, 4)).detach())"),
        # A rank's own rows have their graph.
        ("    logits =", "    rows[6 * rank : 6 * rank + 6] = texts\n    logits ="),
        # Labels and centers are made of them.
        ("of_all(texts)", "of_all(texts).mul(2).softmax(1)"),
        ("images @ rows.T", "images @ texts.repeat(2, 1).T + 0 * rows.norm()"),
    ],
)
def test_rows_that_are_meant_to_have_no_graph(was: str, now: str, tmp_path: Path) -> None:
    script = GATHERED.replace(was, now)
    assert script != GATHERED
    code, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    assert (code, [each for each in grave(document) if each["code"] == "GL302"]) == (0, [])
