"""What made a number not finite is told in the user's words where torch computes in others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.observe.test_numbers import seen, told

BY_HAND = """\
import torch

net = torch.nn.Embedding(6, 2)
other = torch.nn.Linear(2, 1)
square = [torch.ones_like(p) for p in [*net.parameters(), *other.parameters()]]

@torch.no_grad()
def update():
    for p, s in zip([*net.parameters(), *other.parameters()], square):
        s.mul_(0.9).addcmul_(p.grad, p.grad)
        p -= 0.01 * p.grad / s.sqrt()
        p.grad = None

for step in range(8):
    if step == 4:
        for s in square:
            s.zero_()
    loss = other(net(torch.tensor([0, step % 6]))).square().mean()
    loss.backward()
    update()
"""


def test_an_update_by_hand_is_of_the_turn_that_trains(tmp_path: Path) -> None:
    (found,) = told(tmp_path, BY_HAND, 0)
    assert (found.iteration, found.operation, found.operand) == (4, "div", "s.sqrt()")


COMPREHENSION = """\
import torch

net = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

def step(x):
    optimizer.zero_grad()
    loss = torch.log(net(x).square() * {factor}).mean()
    loss.backward()
    optimizer.step()
    return loss.item()

losses = [step({x}) for i in range(6)]
"""


def test_the_turns_of_a_comprehension_are_numbered_by_the_steps(tmp_path: Path) -> None:
    text = COMPREHENSION.replace("{factor}", "x.sum()")
    text = text.replace("{x}", "torch.ones(2, 3) * (i != 4)")
    (found,) = told(tmp_path, text)
    assert (found.iteration, found.operation) == (4, "log")


def test_what_is_called_beside_a_comprehension_has_no_turn(tmp_path: Path) -> None:
    text = COMPREHENSION[: COMPREHENSION.index("losses")].replace("{factor}", "0")
    (found,) = told(tmp_path, text + "step(torch.tensor([[1.0 for i in range(3)]]))\n")
    assert found.iteration is None


@pytest.mark.parametrize(
    ("body", "operation", "operand", "critical"),
    [
        # Beside a number of Python's, and within torch's own formula.
        ("power = 0.5\n"
         "loss = ((net(x).abs() * int(step != 4)) ** (power - 1)).mean()\n",
         "pow", "net(x).abs() * int(step != 4)", "are 0"),
        ("scale = net(x).abs() * 0 + (1e-30 if step == 4 else 1)\n"
         "spread = torch.distributions.Normal(x, scale, validate_args=False)\n"
         "loss = -spread.log_prob(x + 1).mean()\n",
         "div", "2 * var in torch's log_prob()", "are 0"),
        # Written over several lines.
        ("gap = net(x).square().sum() * int(step != 4)\n"
         "loss = (\n    net(x).mean()\n    + net(x).sum() * 0 / (2 * gap)\n    - gap\n)\n",
         "div", "2 * gap", "it is 0"),
        # A constant that torch's function has chosen.
        ("w = torch.eye(4) + 0.1 * net(x)[:1]\nw = w * (1 - 2 * (torch.arange(4) < (step == 4)))\n"
         "loss = torch.logdet(w)\n",
         "logdet", "w", "its determinant is negative"),
        ("longer = torch.tensor([2, 9 if step == 4 else 3])\n"
         "logp = net(x).log_softmax(-1).unsqueeze(1).expand(-1, 2, -1)\n"
         "text = torch.ones(int(longer.sum()), dtype=torch.long)\n"
         "room = torch.tensor([6, 6])\nloss = F.ctc_loss(logp, text, room, longer)\n",
         "ctc_loss", "longer", "more than the input length can hold"),
    ],
)  # fmt: skip
def test_the_operand_is_the_users(
    tmp_path: Path, body: str, operation: str, operand: str, critical: str
) -> None:
    (found,) = seen(tmp_path, body, 0)
    assert (found.iteration, found.operation, found.operand) == (4, operation, operand)
    assert str(found.critical).endswith(critical)


def test_a_gradient_that_outgrew_its_type_is_told(tmp_path: Path) -> None:
    body = """\
    half = nn.Linear(4, 4).half()
    made = half(torch.full((8, 4), 9.0).half())
    (made.float().sum() * (1.0 if step < 4 else 30000.0)).backward()
    big = sum(p.grad.sum().float() for p in half.parameters())
    loss = net(x).mean() * big
    """
    (found,) = seen(tmp_path, body, 0)
    assert (found.phase, found.kind, found.iteration) == ("backward", "inf", 4)
    assert found.operand == "the gradient that came in"
    assert "float16" in str(found.critical)


CENTERED = """\
import torch

p = torch.nn.Parameter(torch.zeros(40))
torch.manual_seed(0)
slope = 5 * torch.randn(40)
optimizer = torch.optim.RMSprop([p], lr=1e-3, alpha=0.5, centered=True)
for step in range(40):
    loss = (p * slope).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_what_was_written_over_is_told_by_the_result(tmp_path: Path) -> None:
    (found,) = told(tmp_path, CENTERED, 0)
    assert (found.phase, found.operation) == ("step", "sqrt")
    assert str(found.critical).endswith("negative")


@pytest.mark.parametrize(
    ("line", "operation", "critical"),
    [
        ("y.log_()", "log", "are 0"),
        ("y.sub_(1).sqrt_()", "sqrt", "are negative"),
        ("y.reciprocal_()", "reciprocal", "are 0"),
    ],
)
def test_an_operation_in_place(tmp_path: Path, line: str, operation: str, critical: str) -> None:
    body = f"y = torch.full((3, 2), float(step != 4))\n{line}\nloss = net(x).mean() * y.sum()\n"
    (found,) = seen(tmp_path, body, 0)
    assert (found.iteration, found.operation) == (4, operation)
    assert str(found.critical).endswith(critical)
