"""The whole way, process against process: what a watched program prints, writes and leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab import catalogue


def test_the_command_prints_and_trains_what_python_does(
    python: Any, cli: Any, tmp_path: Path
) -> None:
    """The whole way, process against process: the file of images, stderr and exit code."""
    path = catalogue.scenario("detach").path
    arguments = ("--steps", "50", "--device", "cpu", "--samples", "images.png")
    plain = python(str(path), *arguments)
    images = (tmp_path / "images.png").read_bytes()
    (tmp_path / "images.png").unlink()
    watched = cli("run", str(path), *arguments)
    assert (plain.returncode, watched.returncode) == (0, 0), watched.stderr
    assert (tmp_path / "images.png").read_bytes() == images
    assert watched.stderr == plain.stderr
    assert plain.stdout == ""


def test_the_traceback_reads_as_under_python(python: Any, command: Any) -> None:
    path = str(catalogue.scenario("naive").path)
    plain = python(path, "--device", "cpu")
    watched = command("run", path, "--device", "cpu")
    assert (plain.returncode, watched.returncode) == (1, 1)
    assert watched.stderr.startswith(plain.stderr)
    assert "Traceback" in plain.stderr


WORKERS = """
import torch
from torch.utils.data import DataLoader, TensorDataset

if __name__ == "__main__":
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(32, 4), torch.randn(32, 1))
    net = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam(net.parameters(), foreach=True)
    for epoch in range(2):
        for x, y in DataLoader(data, batch_size=8, shuffle=True, num_workers=2):
            loss = ((net(x) - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(loss.item(), net.weight.tolist())
"""

THREADS = """
import threading
import torch

torch.manual_seed(0)
nets = [torch.nn.Linear(4, 1) for _ in range(3)]
inputs = [torch.randn(8, 4) for _ in range(3)]

def train(net, x):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss = (net(x) ** 2).mean()
        loss.backward()
        optimizer.step()

threads = [threading.Thread(target=train, args=pair) for pair in zip(nets[1:], inputs[1:])]
for thread in threads:
    thread.start()
train(nets[0], inputs[0])
for thread in threads:
    thread.join()
for net in nets:
    print(net.weight.tolist())
"""


@pytest.mark.parametrize("source", [WORKERS, THREADS], ids=["workers", "threads"])
def test_programs_that_do_not_run_alone(python: Any, cli: Any, tmp_path: Path, source: str) -> None:
    (tmp_path / "script.py").write_text(source)
    plain = python("script.py")
    watched = cli("run", "script.py")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert (watched.returncode, watched.stderr) == (0, "")
    assert watched.stdout.startswith(plain.stdout)
    report = watched.stdout.removeprefix(plain.stdout)
    assert ", nothing wrong seen" in report
    assert "notice" not in report
