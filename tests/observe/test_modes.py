"""What is seen of modules that are trained on in eval mode after an evaluation."""

from __future__ import annotations

import contextlib
import io
import textwrap
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.module_sightings import LeftInEval

START = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

def train(steps=3, module=net):
    for _ in range(steps):
        x = torch.randn(8, 4)
        loss = (module(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

def validate(back=False, module=net):
    module.eval()
    with torch.no_grad():
        error = module(torch.randn(8, 4)).square().mean()
    if back:
        module.train()
    return error.item()

"""


def seen(tmp_path: Path, body: str) -> list[LeftInEval]:
    path = tmp_path / "script.py"
    path.write_text(START + textwrap.dedent(body), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return [each for each in ran.trace.sightings if isinstance(each, LeftInEval)]


@pytest.mark.parametrize(
    "body",
    [
        # After the first epoch, and for good.
        """
        for epoch in range(3):
            train()
            validate()
        """,
        # In the middle of an epoch, to its end.
        """
        for epoch in range(3):
            net.train()
            for part in range(3):
                train(2)
                if part == 0:
                    validate()
        """,
        # The evaluation goes through a module that holds it.
        """
        outer = nn.Sequential(net)
        for epoch in range(3):
            train(module=outer)
            validate(module=outer)
        """,
        # inference_mode, and several batches.
        """
        for epoch in range(3):
            train()
            net.eval()
            with torch.inference_mode():
                errors = [net(torch.randn(8, 4)).mean() for _ in range(3)]
        """,
    ],
)
def test_nothing_puts_it_back(tmp_path: Path, body: str) -> None:
    (left,) = seen(tmp_path, body)
    assert left.at is not None and left.at.code in ("module.eval()", "net.eval()")
    assert left.name in ("net", "outer")
    assert left.layers == ("BatchNorm1d", "Dropout")
    assert left.call == "loss.backward()"


def test_a_forward_that_reads_its_own_mode(tmp_path: Path) -> None:
    body = """
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 1)

        def forward(self, x):
            return self.inner(F.dropout(x, 0.5, self.training))

    net = Own()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range(3):
        train(module=net)
        validate(module=net)
    """
    (left,) = seen(tmp_path, body)
    assert left.layers == ("Own",)


@pytest.mark.parametrize(
    "body",
    [
        "for epoch in range(3):\n    train()\n    validate(back=True)",
        "for epoch in range(3):\n    net.train()\n    train()\n    validate()",
        "for epoch in range(3):\n    validate()\n    net.train()\n    train()",
        # Fine-tuning in eval mode, from the start, and from some epoch on.
        "net.eval()\nfor epoch in range(3):\n    train()\n    validate()",
        "train()\nnet.eval()\nfor epoch in range(3):\n    train()",
        # Gradients of an input, in eval mode.
        """
        for epoch in range(3):
            train()
            net.eval()
            x = torch.randn(8, 4, requires_grad=True)
            for _ in range(3):
                net(x).sum().backward()
            net.train()
        """,
        # The last evaluation of all.
        "train()\nvalidate()\nvalidate()",
        # Another loop trains what is built on it.
        """
        train()
        validate()
        head = nn.Linear(1, 1)
        second = torch.optim.SGD(head.parameters(), lr=0.1)
        for _ in range(4):
            with torch.no_grad():
                features = net(torch.randn(8, 4))
            second.zero_grad()
            head(features).square().mean().backward()
            second.step()
        """,
        # Frozen statistics: a part in eval mode, the whole in training mode.
        """
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = net

            def forward(self, x):
                return self.body(x)

        outer = Outer()
        train(module=outer)
        net.eval()
        with torch.no_grad():
            outer(torch.randn(8, 4))
            outer(torch.randn(8, 4))
        train(module=outer)
        """,
        # Nothing in it knows its mode.
        """
        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for epoch in range(3):
            train(module=net)
            validate(module=net)
        """,
        # An actor acts in eval mode, and learns in training mode.
        """
        for episode in range(4):
            net.eval()
            with torch.no_grad():
                actions = [net(torch.randn(1, 4)) for _ in range(3)]
            net.train()
            train()
        """,
    ],
)
def test_put_back_or_meant(tmp_path: Path, body: str) -> None:
    assert seen(tmp_path, body) == []


@pytest.mark.parametrize(("frozen", "mixed"), [("", False), ("net[1].eval()", True)])
def test_layers_that_were_in_eval_mode_all_along_are_told(
    tmp_path: Path, frozen: str, mixed: bool
) -> None:
    (found,) = seen(
        tmp_path,
        f"""
        {frozen}
        train()
        validate()
        train()
        """,
    )
    assert found.mixed is mixed
