"""Programs that start their ranks themselves, by torch.multiprocessing.spawn or one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphlab
from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report

RUN = ("-m", "graphlab", "run")
HEAD = """\
import socket
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

"""
TRAIN = """\
def train(rank, world, port):
    where = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=world)
    torch.manual_seed(0)
    model = DDP(nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(rank)
    for step in range(3):
        loss = CALL(torch.randn(8, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        AFTER
    dist.barrier()
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(train, args=(2, free_port()), nprocs=2)
"""
ONE_BY_ONE = """\
if __name__ == "__main__":
    mp.set_start_method("METHOD")
    port = free_port()
    ranks = [mp.Process(target=train, args=(rank, 2, port)) for rank in range(2)]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join()
    print("codes", [each.exitcode for each in ranks])
"""
APART = """\
def train(index, seed):
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(seed + index)
    for step in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()

if __name__ == "__main__":
    context = mp.spawn(train, args=(5,), nprocs=2, join=False)
    while not context.join():
        pass
    print("both have ended")
"""


def training(call: str = "model", after: str = "pass") -> str:
    return HEAD + TRAIN.replace("CALL", call).replace("AFTER", after)


def test_spawned_ranks_are_reported_together(tmp_path: Path) -> None:
    code, found, _ = report(training("model.module"), tmp_path, *RUN)
    assert code == 0 and found["world"] == 2
    assert [each["outcome"] for each in found["ranks"]] == ["completed", "completed"]
    (finding,) = found["findings"]
    assert (finding["code"], finding["ranks"]) == ("GL301", [0, 1])
    assert "model.module(" in finding["cause"]["code"]


def test_a_repair_of_what_spawned_ranks_do(tmp_path: Path) -> None:
    """They import the main file anew, and are to find the edited one."""
    script = training("model.module")
    (tmp_path / "train.py").write_text(script)
    done = subprocess.run(
        [sys.executable, *RUN[:2], "fix", "train.py", "--apply", "--json", "r.json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(graphlab.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    best = json.loads((tmp_path / "r.json").read_text())["candidates"][0]
    assert best["verdict"] == "proved" and len(best["checks"]) == 4
    assert (tmp_path / "train.py").read_text() == script.replace("model.module", "model")


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("call", ["model", "model.module"])
def test_ranks_that_are_started_one_by_one(method: str, call: str, tmp_path: Path) -> None:
    source = training(call).partition("if __name__")[0] + ONE_BY_ONE.replace("METHOD", method)
    code, found, out = report(source, tmp_path, *RUN)
    assert (code, found["world"]) == (0, 2) and "codes [0, 0]" in out
    assert [each["environment"]["rank"] for each in found["ranks"]] == [0, 1]
    codes = [each["code"] for each in found["findings"]]
    assert codes == ([] if call == "model" else ["GL301"])


def test_right_spawned_ranks(tmp_path: Path) -> None:
    code, found, _ = report(training(), tmp_path, *RUN)
    assert (code, found["findings"], found["world"]) == (0, [], 2)


def test_a_spawned_rank_that_raises(tmp_path: Path) -> None:
    after = "if rank == 1 and step == 1: raise ValueError('of rank 1')"
    code, found, _ = report(training(after=after), tmp_path, *RUN)
    assert code == 1 and found["world"] == 2
    (raised,) = [each for each in found["ranks"] if each["rank"] == 1]
    assert raised["exception"]["message"] == "of rank 1"


def test_spawned_processes_that_do_not_communicate_are_no_ranks(tmp_path: Path) -> None:
    code, found, out = report(HEAD + APART, tmp_path, *RUN)
    assert (code, found["findings"]) == (0, [])
    assert "world" not in found and "both have ended" in out


@pytest.mark.parametrize("name", ["torch.multiprocessing.spawn", "torch.multiprocessing"])
def test_what_starts_processes_is_where_it_was(name: str) -> None:
    """Where it moves, spawned ranks are not seen any more."""
    import importlib

    from graphlab.ranks.spawned import SpawnedRanks

    module = importlib.import_module(name)
    before = module.start_processes
    spawned = SpawnedRanks("train.py", ())
    spawned.start()
    assert module.start_processes is not before
    spawned.stop()
    assert module.start_processes is before


def test_what_starts_one_process_is_where_it_was() -> None:
    """Also the private name under which a process keeps what it is to run."""
    import multiprocessing.process as processes

    from graphlab.ranks.spawned import SpawnedRanks

    kind = processes.BaseProcess
    assert kind(target=training)._target is training  # type: ignore[attr-defined]
    before = kind.start
    spawned = SpawnedRanks("train.py", ())
    spawned.start()
    assert kind.start is not before
    spawned.stop()
    assert kind.start is before


def test_ranks_that_nobody_joins_end_as_they_would(tmp_path: Path) -> None:
    """The report does not wait for them, and what they leave then is for nobody."""
    source = training().replace("import socket\n", "import atexit, socket, time\n", 1)
    source = source.replace("    dist.destroy_process_group()\n", "    time.sleep(4)\n")
    source = source.replace(
        "    mp.spawn(train, args=(2, free_port()), nprocs=2)\n",
        """\
    ranks = mp.spawn(train, args=(2, free_port()), nprocs=2, join=False).processes
    atexit.register(lambda: print("codes", [each.join() or each.exitcode for each in ranks]))
""",
    )
    code, _, printed = report(source, tmp_path, *RUN)
    assert code == 0
    assert "codes [0, 0]" in printed
