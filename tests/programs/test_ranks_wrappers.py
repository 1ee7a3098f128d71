"""Programs of two ranks under DistributedDataParallel and fully_shard: what these write unseen, the
repairs that are right there, and right programs, of which nothing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report

LAUNCH = ("-m", "graphlab", "run", "--nproc", "2", "--force")
HEAD = """\
import contextlib
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP, fully_shard
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.checkpoint import checkpoint

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
"""
NETWORKS = """\
G = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6))
D = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
"""
NAIVE = """\
optimizer_G = torch.optim.SGD(G.parameters(), 0.1)
optimizer_D = torch.optim.SGD(D.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(3):
    gene_img = G(torch.randn(8, 4))
    gene_logit = D(gene_img)
    D_loss_ = gene_logit.mean() - D(torch.randn(8, 6)).mean()
    G_loss_ = -gene_logit.square().mean()
    optimizer_D.zero_grad()
    D_loss_.backward(retain_graph=True)
    optimizer_D.step()
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
dist.destroy_process_group()
"""
SHARD = """\
for net in (G, D):
    fully_shard(net[0])
    fully_shard(net[2])
    fully_shard(net)
"""
BUFFER = """\
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x):
        with torch.no_grad():
            self.scale = 0.5 * self.scale + 0.5 * x.abs().mean() * torch.ones(4)
        return self.layer(x) * self.scale


model = DDP(Scaled())
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(2):
    first = model(torch.randn(8, 6) * (1 + rank))
    second = model(torch.randn(8, 6))
    loss = (first.mean() - second.mean()).square()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""
RIGHT = {
    "buffers that hold a rank's own data": """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)
        self.register_buffer("queue", torch.randn(32, 4))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("scale", torch.ones(4), persistent=False)
        self.register_buffer("center", torch.zeros(4))

    def forward(self, x):
        out = self.layer(x) - self.center
        if self.training:
            self.scale.lerp_(out.detach().abs().mean(0), 0.1)
            mean = out.detach().mean(0)
            dist.all_reduce(mean)
            self.center.lerp_(mean / 2, 0.1)
        loss = (out / self.scale.clone() @ self.queue.t().clone()).square().mean()
        self.queue[:8] = out.detach()
        self.seen.mul_(0.9).add_(loss.detach())
        return loss, self.seen


model = DDP(Net(), broadcast_buffers=False)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
torch.manual_seed(100 + rank)
for step in range(6):
    loss, _ = model(torch.randn(8, 6))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
""",
    "means over parts, evened out": """\
model = DDP(nn.Linear(6, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(6):
    x = torch.randn(4 + 8 * rank, 6)
    count = torch.tensor(float(len(x)))
    dist.all_reduce(count)
    weight = torch.full((len(x), 1), 2 * len(x) / count.item())
    loss = (weight * model(x).square()).mean() + model(x).abs().mean() * (2 * len(x) / count)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
""",
    "accumulation, and metrics of all ranks": """\
model = DDP(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
torch.manual_seed(100 + rank)
for step in range(6):
    last = step % 3 == 2
    with contextlib.nullcontext() if last else model.no_sync():
        loss = model(torch.randn(8, 6)).square().mean() / 3
        loss.backward()
    if last:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        seen = loss.detach().clone()
        dist.all_reduce(seen)
        if rank == 0:
            print(seen.item(), model.module(torch.randn(2, 6)).mean().item())
dist.destroy_process_group()
""",
    "experts by turns, and a static graph with reentrant checkpoints": """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.block = nn.Linear(8, 8)
        self.heads = nn.ModuleList([nn.Linear(8, 1) for _ in range(3)])

    def forward(self, x, at):
        x = self.stem(x)
        if at is None:
            x = checkpoint(self.block, x, use_reentrant=True)
            return checkpoint(self.block, torch.relu(x), use_reentrant=True)
        return self.heads[at](torch.relu(x))


experts = DDP(Net(), find_unused_parameters=True)
static = DDP(Net(), static_graph=True)
optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in (experts, static)]
torch.manual_seed(100 + rank)
for step in range(4):
    for net, optimizer, at in zip((experts, static), optimizers, ((step + rank) % 3, None)):
        optimizer.zero_grad()
        loss = net(torch.randn(8, 6), at).square().mean()
        loss.backward()
        optimizer.step()
dist.destroy_process_group()
""",
    "a GAN in shards": NETWORKS
    + SHARD
    + NAIVE.replace("D(gene_img)\n", "D(gene_img.detach())\n").replace(
        "    optimizer_G.zero_grad()\n",
        "    G_loss_ = -D(gene_img).square().mean()\n    optimizer_G.zero_grad()\n",
    ),
    "two forwards through FSDP's first wrapper": """\
D = FSDP(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)), device_id=torch.device("cpu"))
optimizer = torch.optim.SGD(D.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(3):
    loss = D(torch.randn(8, 6)).mean() - D(torch.randn(8, 6)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
""",
    "sharded layer by layer in a function": """\
def main():
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    for layer in (model[0], model[2]):
        fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(100 + rank)
    for step in range(3):
        loss = nn.functional.cross_entropy(model(torch.randn(8, 6)), torch.randint(3, (8,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

main()
dist.destroy_process_group()
""",
    "averaged by hand, in one piece": """\
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(3):
    loss = model(torch.randn(8, 6)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
    optimizer.step()
dist.destroy_process_group()
""",
}


def grave(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in document["findings"] if each["severity"] != "info"]


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_said_of_a_right_program(name: str, tmp_path: Path) -> None:
    code, document, _ = report(HEAD + RIGHT[name], tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])


def test_weights_that_are_gathered_anew_after_a_step(tmp_path: Path) -> None:
    script = HEAD + NETWORKS + SHARD + NAIVE
    _, document, _ = report(script, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL105", [0, 1])
    assert finding["tensor"]["name"] == "D.2.weight"
    assert finding["saved"]["code"] == "gene_logit = D(gene_img)"
    assert finding["mutated"]["code"] == "optimizer_D.step()"
    repaired(script, finding, tmp_path)


def test_a_step_that_writes_the_flat_parameters_of_the_first_wrapper(tmp_path: Path) -> None:
    shard = 'G, D = (FSDP(net, device_id=torch.device("cpu")) for net in (G, D))\n'
    _, document, _ = report(HEAD + NETWORKS + shard + NAIVE, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL001", [0, 1])
    assert finding["mutated"]["code"] == "optimizer_D.step()"


def test_a_buffer_that_the_next_forward_broadcasts_over(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + BUFFER, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL105", [1])
    assert finding["saved"]["code"] == "return self.layer(x) * self.scale"
    assert finding["mutated"]["code"] == "second = model(torch.randn(8, 6))"
    repaired(HEAD + BUFFER, finding, tmp_path)


def test_the_repair_of_the_naive_loop_leaves_no_ranks_apart(tmp_path: Path) -> None:
    script = HEAD + NETWORKS + "G, D = DDP(G), DDP(D)\n" + NAIVE
    code, document, _ = report(script, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (code, finding["code"], finding["ranks"]) == (1, "GL001", [0, 1])
    assert "D(gene_img.detach())" in finding["help"][0]["after"]
    repaired(script, finding, tmp_path)


BESIDE = """\
model, scale = DDP(nn.Linear(6, 4)), nn.Parameter(torch.tensor(2.0))
optimizer = torch.optim.Adam([*model.parameters(), scale], 0.1)
dist.broadcast(torch.get_rng_state(), 0)
torch.manual_seed(100 + rank)
for step in range(6):
    loss = (scale.exp() * model(torch.randn(8, 6))).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""


def test_a_parameter_beside_the_wrapped_model(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + BESIDE, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL301", [0, 1])
    assert finding["tensor"]["name"] == "scale"
    repaired(HEAD + BESIDE, finding, tmp_path)


def repaired(script: str, finding: dict[str, Any], folder: Path) -> None:
    """With the repair that is offered, nothing is found."""
    help = finding["help"][0]
    assert script.count(help["before"]) == 1
    code, document, _ = report(script.replace(help["before"], help["after"]), folder, *LAUNCH)
    assert (code, grave(document)) == (0, [])


INITIALIZED = """\
def initialize(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.1)
        nn.init.zeros_(module.bias)


torch.manual_seed(SEED)
model = DDP(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)))
model.apply(initialize)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(3):
    loss = model(torch.randn(8, 6)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""


def test_weights_drawn_after_the_wrapper_was_built(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + INITIALIZED.replace("SEED", "rank"), tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert finding["code"] == "GL303"
    assert finding["cause"]["code"] == "nn.init.normal_(module.weight, 0.0, 0.1)"
    _, document, _ = report(HEAD + INITIALIZED.replace("SEED", "0"), tmp_path, *LAUNCH)
    assert grave(document) == []
