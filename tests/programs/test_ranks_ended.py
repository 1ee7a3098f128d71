"""Two ranks that are ended from outside, as by the time limit of a job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_available(), reason="this torch has no torch.distributed"
    ),
    pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them"),
]

ROOT = Path(__file__).resolve().parents[2]
START = """\
import os
import time
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
rank = dist.get_rank()
weight = torch.nn.Parameter(torch.ones(3))
def ready():
    with open(f"making-{rank}", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"making-{rank}", f"ready-{rank}")


for step in range(10**6):
    weight.sum().backward()
"""
# The slower rank is on its way to the next turn when both are ended.
ON_ITS_WAY = """\
    if step == 6:
        dist.barrier()
        ready()
    time.sleep(0.02 + 0.1 * rank)
"""
# One waits in a call that the other never makes.
PARTED = """\
    if step == 6:
        ready()
    if step == 6 and rank == 0:
        dist.barrier()
    dist.all_reduce(weight.grad)
"""


def ended(script: str, folder: Path) -> tuple[int, list[str], list[int]]:
    """(the exit code, the codes that were found, the ranks that are still alive)."""
    (folder / "train.py").write_text(script)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        environ.pop(name, None)
    words = ("-m", "graphlab", "run", "--nproc", "2", "train.py", "--json", "report.json")
    process = subprocess.Popen(
        [sys.executable, *words], cwd=folder, env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ready = [folder / f"ready-{rank}" for rank in (0, 1)]
        while process.poll() is None and not all(path.exists() for path in ready):
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
    finally:
        process.kill()
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    found = [each["code"] for each in document["findings"] if each["severity"] != "info"]
    pids = [int(path.read_text()) for path in ready]
    return process.returncode, found, [pid for pid in pids if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_rank_that_was_on_its_way_is_waited_for_by_nobody(tmp_path: Path) -> None:
    assert ended(START + ON_ITS_WAY, tmp_path) == (143, [], [])


def test_ranks_that_wait_for_each_other_are_told(tmp_path: Path) -> None:
    assert ended(START + PARTED, tmp_path) == (143, ["GL304"], [])
