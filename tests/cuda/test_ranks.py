"""Two ranks on GPUs: by NCCL where there are two, by gloo on one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.programs.test_ranks import report

GPUS = torch.cuda.device_count()
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not GPUS, reason="no CUDA device"),
]
LAUNCH = ("-m", "graphlab", "run", "--nproc", "2", "--force")
SCRIPT = """\
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

dist.init_process_group("BACKEND")
rank = dist.get_rank()
torch.cuda.set_device(rank % torch.cuda.device_count())
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
model = DDP(nn.SyncBatchNorm.convert_sync_batchnorm(net).cuda())
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
torch.manual_seed(100 + rank)
for step in range(4):
    loss = model(torch.randn(8, 6, device="cuda")).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""
BACKENDS = [
    "gloo",
    pytest.param(
        "nccl",
        marks=pytest.mark.skipif(GPUS < 2, reason="NCCL takes a GPU of its own for each rank"),
    ),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_said_of_batch_norm_over_all_ranks(backend: str, tmp_path: Path) -> None:
    code, document, _ = report(SCRIPT.replace("BACKEND", backend), tmp_path, *LAUNCH)
    assert (code, [e for e in document["findings"] if e["severity"] != "info"]) == (0, [])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_past_the_wrapper(backend: str, tmp_path: Path) -> None:
    script = SCRIPT.replace("BACKEND", backend).replace("= model(torch", "= model.module(torch")
    _, document, _ = report(script, tmp_path, *LAUNCH)
    (finding,) = [each for each in document["findings"] if each["severity"] != "info"]
    assert (finding["code"], finding["ranks"]) == ("GL301", [0, 1])
