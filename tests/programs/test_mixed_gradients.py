"""What GL101 says of the joint loops, against torch.autograd.grad in the same loop unwatched."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphlab import catalogue
from graphlab.trace.model import Step

OTHER = {"D": "G", "G": "D"}


class Reference:
    """Measures the steps of a loop by the losses' own gradients, which it computes itself.

    `losses` is called in the loop, before any backward of an iteration; `stepped` after each step.
    """

    def __init__(self) -> None:
        # For each network, what each of its steps applied and did.
        self.steps: dict[str, list[dict[str, float]]] = {"D": [], "G": []}

    def losses(self, nets: dict[str, Any], **losses: Tensor) -> None:
        self.nets = nets
        self.before = {
            name: [p.detach().double() for p in net.parameters()] for name, net in nets.items()
        }
        self.gradients = {
            (loss, net): [
                each.double()
                for each in torch.autograd.grad(
                    losses[loss], list(nets[net].parameters()), retain_graph=True
                )
            ]
            for loss in losses
            for net in nets
        }

    def stepped(self, net: str) -> None:
        own, foreign = self.gradients[net, net], self.gradients[OTHER[net], net]
        total = [one + other for one, other in zip(own, foreign, strict=True)]
        ways = [
            p.detach().double() - old
            for p, old in zip(self.nets[net].parameters(), self.before[net], strict=True)
        ]
        sizes = inner(own, own) ** 0.5, inner(foreign, foreign) ** 0.5
        self.steps[net].append(
            {
                "own_share": sizes[0] / sum(sizes),
                "foreign_share": sizes[1] / sum(sizes),
                "cosine_between": inner(own, foreign) / (sizes[0] * sizes[1]),
                "own_cosine_to_total": inner(own, total) / (sizes[0] * inner(total, total) ** 0.5),
                "own_change": inner(own, ways),
            }
        )


def inner(one: list[Tensor], other: list[Tensor]) -> float:
    return sum(float((a * b).sum()) for a, b in zip(one, other, strict=True))


def reference(path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Reference:
    """The scenario's own file, unwatched, with calls of the reference between its lines."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        lines.append(line)
        code = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if code.startswith("G_loss_ = "):
            lines.append(f"{indent}REFERENCE.losses(dict(D=D, G=G), D=D_loss_, G=G_loss_)")
        elif code in ("optimizer_D.step()", "optimizer_G.step()"):
            lines.append(f"{indent}REFERENCE.stepped({code[10]!r})")
    found = Reference()
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    with redirect_stdout(io.StringIO()):
        exec(compile("\n".join(lines), str(path), "exec"), {"REFERENCE": found})
    return found


@pytest.mark.parametrize("name", ["joint", "joint-one-to-one"])
def test_share_cosine_and_harm_are_those_of_an_independent_computation(
    observe: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ran = observe(name)
    (finding,) = [each for each in ran.findings if each.code == "GL101"]
    path = catalogue.scenario(name).path
    expected = reference(path, ["--steps", "8", "--device", "cpu"], monkeypatch)
    trace = ran.trace
    steps = [
        each
        for each in trace.events
        if isinstance(each, Step) and trace.optimizers[each.optimizer].name == "optimizer_G"
    ]
    (number,) = [
        at
        for at, each in enumerate(steps)
        if each.iteration == finding.iteration and each.at == finding.failed.at
    ]
    want = expected.steps["G"][number]
    assert finding.measured.keys() == want.keys()
    for key, value in finding.measured.items():
        assert value == pytest.approx(want[key], rel=0.01), key
    assert want["own_cosine_to_total"] < 0 < want["own_change"]
    assert "this step made G worse at G_loss_" in finding.summary


@pytest.mark.parametrize("name", ["joint-isolated", "detach", "recompute"])
def test_the_repairs_mix_nothing(observe: Any, name: str) -> None:
    assert not [each for each in observe(name).findings if each.code == "GL101"]
