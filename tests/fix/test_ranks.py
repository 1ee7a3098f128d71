"""graphlab fix on programs of two ranks, as a user starts it; and the checks of their traces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphlab.fix import on_ranks
from graphlab.fix.job import Answer
from graphlab.trace.model import Failure, Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import DDP, RankSighting, Wrapped
from tests.programs.test_ranks import ROOT
from tests.programs.test_ranks import pytestmark as pytestmark
from tests.rules.test_ranks import LOOP, STEP, rank_step

HEAD = """\
import time
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

dist.init_process_group("gloo")
torch.manual_seed(0)
"""
AROUND = (
    HEAD
    + """\
model = DDP(nn.Linear(6, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + dist.get_rank())
for step in range(4):
    loss = model.module(torch.randn(8, 6)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""
)
# It raises in its first iteration, and would go on for hours.
NAIVE = (
    HEAD
    + """\
G, D = DDP(nn.Linear(4, 6)), DDP(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)))
optimizer_G = torch.optim.SGD(G.parameters(), 0.1)
optimizer_D = torch.optim.SGD(D.parameters(), 0.1)
torch.manual_seed(100 + dist.get_rank())
while True:
    fake = G(torch.randn(8, 4))
    score = D(fake)
    D_loss = score.mean() - D(torch.randn(8, 6)).mean()
    G_loss = -score.square().mean()
    optimizer_D.zero_grad()
    D_loss.backward(retain_graph=True)
    optimizer_D.step()
    optimizer_G.zero_grad()
    G_loss.backward()
    optimizer_G.step()
"""
)
# Each rank notes its process, and waits for ever for what the other never does.
ENDLESS = (
    HEAD
    + """\
import os

open(f"rank-{dist.get_rank()}.txt", "w").write(str(os.getpid()))
while True:
    if dist.get_rank() == 0:
        time.sleep(0.1)
    else:
        dist.barrier()
"""
)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        environ.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "graphlab", "fix", "train.py", "--nproc", "2", *words],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def fix(script: str, folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    (folder / "train.py").write_text(script)
    process = start(folder, "--json", "fix.json", *words)
    out, err = process.communicate(timeout=400)
    assert (folder / "fix.json").exists(), err
    return process.returncode, json.loads((folder / "fix.json").read_text()), out


def test_a_proved_repair_of_a_call_past_the_wrapper_is_applied(tmp_path: Path) -> None:
    code, document, out = fix(AROUND, tmp_path, "--apply")
    assert (code, document["applied"]) == (0, True), out
    assert (tmp_path / "train.py").read_text() == AROUND.replace("model.module(", "model(")
    candidate = document["candidates"][document["chosen"]]
    assert {each["name"]: each["holds"] for each in candidate["checks"]} == {
        "runs clean": True, "nothing silenced": True, "right gradients": True, "ranks agree": True,
    }  # fmt: skip
    assert document["findings"][0]["ranks"] == [0, 1]


def test_ranks_that_have_gone_far_enough_are_left_together(tmp_path: Path) -> None:
    code, document, out = fix(NAIVE, tmp_path)
    assert code == 0, out
    assert (tmp_path / "train.py").read_text() == NAIVE
    candidate = document["candidates"][document["chosen"]]
    assert "fake.detach()" in candidate["diff"]
    assert "left there" in candidate["checks"][0]["detail"]
    assert "graphlab fix train.py --nproc 2 --apply" in out


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_rank_is_left_behind(sent: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ENDLESS)
    process = start(tmp_path)
    notes = [tmp_path / f"rank-{rank}.txt" for rank in range(2)]
    wait_for(lambda: all(each.exists() and each.read_text() for each in notes))
    process.send_signal(sent)
    process.communicate(timeout=120)
    wait_for(lambda: not any(runs(int(each.read_text())) for each in notes))
    assert (tmp_path / "train.py").read_text() == ENDLESS


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


PARTED = ("tensors", "values", "fresh", "gradients", "source_of")


def answers(*sightings: tuple[RankSighting, ...], **fields: Any) -> dict[int, Answer]:
    return {
        rank: Answer(replace(LOOP.trace(sightings=seen), **fields), seconds=1.0)
        for rank, seen in enumerate(sightings)
    }


def equal(one: tuple[RankSighting, ...], other: tuple[RankSighting, ...]) -> list[bool | None]:
    joint = Joint({0: LOOP.trace(sightings=one), 1: LOOP.trace(sightings=other)}, 2)
    answer = Answer(joint.lead(), joint=joint)
    found = on_ranks.checked(answer, answer, [], 0)
    return [each.holds for each in found if each.name == on_ranks.EQUAL]


def test_ranks_agree_where_a_wrapper_promises_it() -> None:
    wrapped = Wrapped(STEP, DDP, (0, 1))
    steps = (rank_step(), rank_step(step=1, iteration=1, values=("e", "f")))
    assert equal(steps, steps) == []
    assert equal((wrapped, *steps), (wrapped, *steps)) == [True]
    assert equal((wrapped, steps[0]), (wrapped, steps[0])) == [None]
    apart = (steps[0], rank_step(step=1, iteration=1, values=("e", "x")))
    assert equal((wrapped, *steps), (wrapped, *apart)) == [False]
    # An optimizer that has a part of them on each rank says nothing of the others.
    parts = [
        [replace(s, **{k: getattr(s, k)[at : at + 1] for k in PARTED}) for s in steps]
        for at in (0, 1)
    ]
    assert equal((wrapped, *parts[0]), (wrapped, *parts[1])) == [True]


def test_a_rank_that_was_left_as_it_waited_has_not_failed() -> None:
    failure = Failure("RuntimeError", "gloo: Connection closed by peer", STEP, 5)
    far = answers((rank_step(),), (rank_step(),))
    far[1] = replace(far[1], trace=_raised(far[1].trace, failure))
    left = {rank: replace(each, left="iterations") for rank, each in far.items()}
    assert on_ranks.joined(left, 2, 0).trace == replace(
        on_ranks.joined(left, 2, 0).trace, outcome="completed", exception=None
    )
    own = replace(failure, type="ValueError", message="of its own")
    left[1] = replace(left[1], trace=_raised(left[1].trace, own))
    joined = on_ranks.joined(left, 2, 1)
    assert joined.trace is not None and joined.trace.outcome == "raised"


def _raised(trace: Trace | None, failure: Failure) -> Trace:
    assert trace is not None
    return replace(trace, outcome="raised", exception=failure)
