"""An iteration is the training loop's, in whatever loop or function a line stands."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from graphlab.source import places

START = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def backward():
    model(torch.randn(4, 3)).square().mean().backward()
def train(batches):
    for x in range(batches):
        optimizer.zero_grad()
        loss = model(torch.randn(4, 3)).square().mean()
        loss.backward()
        optimizer.step()
"""

OPTIMIZERS = """
    for i in range(5):
        loss = model(torch.randn(2, 3)).square().mean()
        loss.backward()
        for each in [optimizer]:
            each.step()
"""
TASKS = """
    for i in range(4):
        for task in range(3):
            loss = model(torch.randn(2, 3)).square().mean()
            loss.backward()
        optimizer.step()
"""
CRITIC = """
    for i in range(3):
        for k in range(5):
            optimizer.zero_grad()
            loss = model(torch.randn(2, 3)).square().mean()
            loss.backward()
            optimizer.step()
        loss = model(torch.randn(2, 3)).square().mean()
        loss.backward()
        optimizer.step()
"""
WHILE = """
    i = 0
    while i < 6:
        while i % 3 != 2:
            i += 1
        i += 1
        backward()
        optimizer.step()
"""
GUARDED = """
    for i in range(5):
        with torch.autocast("cpu", enabled=False):
            loss = model(torch.randn(2, 3)).square().mean()
        loss.backward()
        optimizer.step()
"""
EPOCHS = """
    for epoch in range(3):
        train(4)
"""
IN_ONE_LINE = """
    def step():
        optimizer.zero_grad()
        backward()
        optimizer.step()
    def epoch():
        for i in range(5): step()
    for e in range(2): epoch()
"""
WHILE_IN_ONE_LINE = """
    k = 0
    while k < 7: backward(); optimizer.step(); k += 1
"""

VALIDATION = """
    def validate(epoch):
        for i in range(30):
            if epoch == 1 and i == 12:
                raise ValueError
    for epoch in range(3):
        train(4)
        validate(epoch)
"""
BEFORE_BACKWARD = """
    for i in range(5):
        if i == 2:
            raise ValueError
        backward()
        optimizer.step()
"""
HELPER = """
    def augment(x):
        for k in range(9):
            if x == 3 and k == 6:
                raise ValueError
    for i in range(5):
        augment(i)
        loss = model(torch.randn(2, 3)).square().mean()
        loss.backward()
        optimizer.step()
"""
RAISED_IN_ONE_LINE = """
    def step(i):
        optimizer.zero_grad()
        backward()
        optimizer.step() if i < 4 else optimizer.stop()
    for e in range(2):
        for i in range(e * 5): step(i)
"""
SECOND_PHASE = """
    train(6)
    for i in range(4):
        if i == 1:
            raise ValueError
"""


def report(tmp_path: Path, text: str) -> dict[str, Any]:
    script, out = tmp_path / "script.py", tmp_path / "report.json"
    script.write_text(START + textwrap.dedent(text))
    command = [sys.executable, "-m", "graphlab", "run", str(script), "--json", str(out)]
    subprocess.run(command, capture_output=True, check=False)
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    ("text", "iterations"),
    [
        (OPTIMIZERS, 5),
        (TASKS, 4),
        (CRITIC, 3),
        (WHILE, 2),
        (GUARDED, 5),
        (EPOCHS, 12),
        (IN_ONE_LINE, 10),
        (WHILE_IN_ONE_LINE, 7),
    ],
    ids=[
        "optimizers",
        "tasks",
        "critic",
        "while",
        "with",
        "epochs",
        "in-one-line",
        "while-in-one-line",
    ],
)
def test_the_training_loop_is_counted(tmp_path: Path, text: str, iterations: int) -> None:
    assert report(tmp_path, text)["iterations"] == iterations


@pytest.mark.parametrize(
    ("text", "iteration"),
    [
        (VALIDATION, 7),
        (BEFORE_BACKWARD, 2),
        (HELPER, 3),
        (RAISED_IN_ONE_LINE, 4),
        (SECOND_PHASE, 1),
    ],
    ids=["validation", "before-backward", "helper", "in-one-line", "second-phase"],
)
def test_an_exception_belongs_to_the_iteration_that_ran(
    tmp_path: Path, text: str, iteration: int
) -> None:
    assert report(tmp_path, text)["exception"]["iteration"] == iteration


def test_no_file_of_torchs_or_of_graphlabs_is_read(tmp_path: Path, monkeypatch: Any) -> None:
    from graphlab.observe import program
    from graphlab.source import loops

    read: list[str] = []

    def parse(filename: str) -> Any:
        read.append(filename)
        return places.parse(filename)

    monkeypatch.setattr(loops, "parse", parse)
    script = tmp_path / "script.py"
    script.write_text(
        START + "loss = model(torch.randn(2, 3)).sum()\n"
        "for i in range(2):\n    loss.backward()\n    optimizer.step()\n"
    )
    ran = program.run(program.script(str(script)), [], "script")
    assert ran.trace.exception is not None and ran.trace.exception.iteration == 1
    assert str(script) in read
    assert set(read) <= {str(script), __file__}
