"""Programs of two ranks, launched as a user does: one report, by torchrun's exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch has no torch.distributed"
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "rules").glob("GL3*.md"))
TORCHRUN = (
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "graphlab",
)
RAISES_ON_ONE = """\
import time
import torch.distributed as dist

dist.init_process_group("gloo")
if dist.get_rank() == 1:
    raise ValueError("of rank 1")
time.sleep(60)
"""
KILLED = """\
import os
import signal
import time
import torch.distributed as dist

dist.init_process_group("gloo")
if dist.get_rank() == 1:
    time.sleep(3)
    os.kill(os.getpid(), signal.SIGKILL)
"""
SHARED = """\
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

dist.init_process_group("gloo")
model = DDP(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
loss = model(torch.randn(8, 4)).square().mean()
loss.backward(retain_graph=True)
optimizer.step()
loss.backward()
"""


def start(words: tuple[str, ...], folder: Path) -> tuple[int, str, str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        environ.pop(name, None)
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def report(script: str, folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    (folder / "train.py").write_text(script)
    code, out, err = start((*words, "train.py", "--json", "report.json"), folder)
    assert (folder / "report.json").exists(), err
    return code, json.loads((folder / "report.json").read_text()), out


def example(page: Path, section: str) -> str:
    found = re.search(rf"## {section}\n.*?```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page(page: Path, tmp_path: Path) -> None:
    launch = ("-m", "graphlab", "run", "--nproc", "2", "--force")
    _, bad, _ = report(example(page, "Example"), tmp_path, *launch)
    # A rule that only informs is told of beside nothing else.
    told = {(each["code"], each["severity"]) for each in bad["findings"]}
    assert {code for code, severity in told if severity != "info" or code == page.stem} == {
        page.stem
    }
    code, good, _ = report(example(page, "Use instead"), tmp_path, *launch)
    told = {(each["code"], each["severity"]) for each in good["findings"]}
    assert [each for each in told if each[1] != "info" or each[0] == page.stem] == []
    assert code == 0


def test_torchrun_gives_one_report_and_its_own_exit_code(tmp_path: Path) -> None:
    code, document, out = report(SHARED, tmp_path, *TORCHRUN, "run")
    assert code == 1
    assert out.count("error[GL001]") == 1
    (finding,) = [each for each in document["findings"] if each["severity"] == "error"]
    assert finding["ranks"] == [0, 1]
    assert [each["environment"]["rank"] for each in document["ranks"]] == [0, 1]
    assert {each["outcome"] for each in document["ranks"]} == {"raised"}


def test_a_rank_that_is_told_to_end_is_in_the_report(tmp_path: Path) -> None:
    code, document, _ = report(RAISES_ON_ONE, tmp_path, *TORCHRUN, "run")
    assert code == 1
    first, second = document["ranks"]
    assert (first["outcome"], first["exception"]["type"]) == ("interrupted", "SIGTERM")
    assert (second["outcome"], second["exception"]["type"]) == ("raised", "ValueError")


def test_a_report_where_the_last_rank_is_killed(tmp_path: Path) -> None:
    code, document, out = report(KILLED, tmp_path, *TORCHRUN, "run")
    assert code == 1
    assert [each["environment"]["rank"] for each in document["ranks"]] == [0]
    assert "rank 1 left no trace" in out


def test_traces_of_ranks_are_merged_later(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SHARED)
    launch = ("-m", "graphlab", "run", "--nproc", "2", "--trace", "traces", "train.py")
    assert start(launch, tmp_path)[0] == 1
    assert sorted(each.name for each in (tmp_path / "traces").iterdir()) == [
        "rank-0.json", "rank-1.json",
    ]  # fmt: skip
    _, out, _ = start(("-m", "graphlab", "run", "--from", "traces"), tmp_path)
    assert "error[GL001]" in out and "on both ranks" in " ".join(out.split())


def test_a_launcher_is_no_target(tmp_path: Path) -> None:
    words = ("-m", "graphlab", "run", "torchrun", "--nproc-per-node", "2", "train.py", "--lr", "1")
    code, _, err = start(words, tmp_path)
    assert code == 2
    assert "help: torchrun --nproc-per-node 2 -m graphlab run train.py --lr 1\n" in err
