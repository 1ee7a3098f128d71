"""How the operand of what made a number not finite is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.observe.numbers.derivatives import steep_operand
from graphlab.trace.model import Location
from tests.observe.test_numbers import seen, told


@pytest.mark.parametrize(
    ("body", "operand"),
    [
        # What the user's line hands to a module or a function of torch's.
        ("far = 1e30 * int(step == 4)\nloss = nn.MSELoss()(net(x).mul(far), x)\n",
         "net(x).mul(far)"),
        ("far = 1e30 * int(step == 4)\nloss = F.mse_loss(target=x, input=net(x).mul(far))\n",
         "net(x).mul(far)"),
        # What the method is called on has it.
        ("spread = torch.distributions.Normal(net(x), x.abs(), validate_args=False)\n"
         "loss = -spread.log_prob(x + 1).mean()\n", "spread.scale"),
    ],
)  # fmt: skip
def test_an_operand_that_a_function_of_torchs_was_handed(
    tmp_path: Path, body: str, operand: str
) -> None:
    (first,) = seen(tmp_path, body)
    assert (first.iteration, first.operand, first.look_from) == (4, "", 4)
    (found,) = seen(tmp_path, body, first.look_from)
    assert (found.iteration, found.operand) == (4, operand)


def test_infinite_data_that_spoils_a_derivative_is_named(tmp_path: Path) -> None:
    text = """\
import numpy as np
import torch
from torch import nn

net = nn.Linear(4, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(8):
    row = np.ones((3, 4), dtype=np.float32)
    if step == 4:
        row[1, 2] = -np.inf
    loss = torch.tanh(net(torch.from_numpy(row))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
    (found,) = told(tmp_path, text, 0)
    assert (found.phase, found.kind, found.iteration) == ("data", "inf", 4)
    assert found.operand == "row" and (found.count, found.whole) == (1, 12)


@pytest.mark.parametrize(
    ("body", "operation", "operand"),
    [
        # The statement has the operation more than once, and has done it as often.
        ("p = net(x).sigmoid() * int(step < 4)\n"
         "loss = -(x * torch.log(1 - p) + (1 - x) * torch.log(p)).mean()\n", "log", "p"),
        ("n = net(x).abs() * int(step < 4)\nloss = (x / (n + 1) - x / n + n / 2).mean()\n",
         "div", "n"),
        ("h = net(x).abs() * int(step < 4)\nloss = (h ** -0.5 * x).mean()\n", "pow", "h"),
        ("q = net(x) * 1e30 ** int(step == 4)\nk = net(x) * 1e20 ** int(step == 4)\n"
         "loss = torch.softmax(torch.matmul(q, k.T), 0).square().mean()\n", "mm", "q"),
        ("q = net(x) * 1e30 ** int(step == 4)\nk = net(x) * 1e20 ** int(step == 4)\n"
         "loss = torch.softmax(k @ q.T, 0).square().mean()\n", "mm", "q.T"),
    ],
)  # fmt: skip
def test_the_one_of_several_that_it_was(
    tmp_path: Path, body: str, operation: str, operand: str
) -> None:
    (found,) = seen(tmp_path, body)
    assert (found.iteration, found.operation) == (4, operation)
    assert (found.operand, found.look_from) == (operand, None)


@pytest.mark.parametrize(
    "body",
    [
        # A part that is not differentiated leaves no node, so that they cannot be counted.
        "p = net(x).sigmoid() * int(step < 4)\n"
        "loss = -(x * torch.log(x.abs() + 1) + torch.log(p) + torch.log(1 - p)).mean()\n",
        # One of them runs and the other does not, or both run in what is called.
        "p = net(x).sigmoid() * int(step < 4)\n"
        "loss = torch.log(p).mean() if step else torch.log(p + 1).mean()\n",
        "p = net(x).sigmoid() * int(step < 4)\nmore = lambda v: torch.log(v + 1)\n"
        "loss = (more(p) + torch.log(p)).mean() + torch.log(p + 2).mean()\n",
    ],
)
def test_which_of_several_is_not_guessed(tmp_path: Path, body: str) -> None:
    (found,) = seen(tmp_path, body)
    assert (found.iteration, found.operand, found.look_from) == (4, "", 4)
    (found,) = seen(tmp_path, body, 4)
    assert (found.iteration, found.operation, found.operand) == (4, "log", "p")


QUOTIENTS = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 2)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(8):
    w, h = net(torch.randn(6, 4)).abs().unbind(1)
    h = h * int(step != 4)
    angles = torch.atan(torch.ones(6) / torch.ones(6)) - torch.atan(w / h)
    loss = angles.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_the_second_run_knows_which_quotient_a_derivative_is_of(tmp_path: Path) -> None:
    (found,) = told(tmp_path, QUOTIENTS, None)
    assert (found.iteration, found.operation, found.operand) == (4, "DivBackward", "")
    assert found.look_from == 4 and found.zero_met
    (found,) = told(tmp_path, QUOTIENTS, 4)
    assert (found.iteration, found.operation, found.operand) == (4, "DivBackward0", "h")


RATE = """\
import torch
from torch import nn

net = nn.Linear(4, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 / (4 - n) if n != 4 else {rate})
for step in range(24):
    {begin}loss = net(torch.randn(2, 4)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
"""


@pytest.mark.parametrize("rate", ["float('inf')", "float('nan')"])
def test_a_rate_that_is_not_finite_is_told_on_the_first_run(tmp_path: Path, rate: str) -> None:
    text = RATE.replace("{rate}", rate).replace("{begin}", "")
    (found,) = told(tmp_path, text)
    assert (found.phase, found.iteration, found.step) == ("step", 4, "optimizer.step()")
    assert found.critical == f"the optimizer's lr is {rate[7:10]}"
    (again,) = told(tmp_path, text, 0)
    assert (again.iteration, again.critical) == (4, found.critical)


def test_a_rate_at_which_nothing_was_stepped(tmp_path: Path) -> None:
    text = RATE.replace("{rate}", "float('inf')")
    text = text.replace("{begin}", "if step == 4:\n        schedule.step()\n        continue\n    ")
    assert told(tmp_path, text) == []


@pytest.mark.parametrize("foreach", [True, False])
def test_an_eps_of_zero_is_told(tmp_path: Path, foreach: bool) -> None:
    text = f"""\
import torch
from torch import nn

net = nn.Embedding(5, 2)
optimizer = torch.optim.Adam(net.parameters(), eps=0, foreach={foreach})
for step in range(5):
    loss = net(torch.tensor([step, 0])).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
    (found,) = told(tmp_path, text, 0)
    assert (found.phase, found.iteration) == ("step", 0)
    assert str(found.critical).endswith("and the optimizer's eps is 0")


EPS = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.{net}
other = nn.Linear(2, 2)
optimizer = torch.optim.{optimizer}
for step in range(8):
    loss = other(torch.randn(3, 2)).square().mean()
    if step >= 4:
        loss = loss + {more}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
PARAMETERS = "[*net.parameters(), *other.parameters()]"


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ("Adam({}, eps=0)", "exp_avg_sq"),
        ("AdamW({}, eps=0.0, foreach=False)", "exp_avg_sq"),
        ("RMSprop({}, eps=0)", "square_avg"),
        ("Adagrad({}, eps=0)", "sum"),
    ],
)
def test_the_first_run_tells_an_eps_that_is_zero(tmp_path: Path, optimizer: str, name: str) -> None:
    text = EPS.replace("{net}", "Embedding(5, 2)").replace("{more}", "net(torch.tensor(1)).sum()")
    text = text.replace("{optimizer}", optimizer.replace("{}", PARAMETERS))
    text = text.replace("tensor(1)", "tensor(step % 2)")
    (found,) = told(tmp_path, text)
    assert (found.phase, found.iteration, found.look_from) == ("step", None, 0)
    assert str(found.critical) == (
        f"8 of 10 values of its {name} are 0, and the optimizer's eps is 0"
    )
    assert found.at is not None and found.at.code == "optimizer.step()"


def test_the_first_run_tells_an_eps_that_is_zero_in_float16(tmp_path: Path) -> None:
    more = "(net(torch.randn(2, 2).half()).float() * torch.tensor([1.0, 0])).mean()"
    text = EPS.replace("{net}", "Linear(2, 2).half()").replace("{more}", more)
    text = text.replace("{optimizer}", f"Adam({PARAMETERS})")
    (found,) = told(tmp_path, text)
    assert (found.phase, found.iteration, found.look_from) == ("step", None, 0)
    assert str(found.critical) == (
        "2 of 4 values of its exp_avg_sq are 0, and the optimizer's eps of 1e-08 is 0 in float16"
    )
    (again,) = told(tmp_path, text, 4)
    assert again.iteration == 4 and "the optimizer's eps of 1e-08 is 0" in str(again.critical)


def test_an_eps_of_zero_in_the_only_step_so_far(tmp_path: Path) -> None:
    text = EPS.replace("{net}", "Embedding(9, 2)").replace(
        "{more}", "net(torch.tensor(step)).sum()"
    )
    text = text.replace("step >= 4", "True").replace("{optimizer}", f"Adam({PARAMETERS}, eps=0)")
    (found,) = told(tmp_path, text)
    assert (found.phase, found.iteration, found.look_from) == ("step", 0, None)
    # Of one that is there still, it is not known whether the last step made it.
    text = text.replace("if True", "if step != 1").replace(
        "tensor(step)", "tensor(max(step - 1, 0))"
    )
    (found,) = told(tmp_path, text)
    assert (found.phase, found.iteration, found.look_from) == ("step", None, 0)


def test_gradients_that_overflow_in_float16_are_no_matter_of_eps(tmp_path: Path) -> None:
    more = "(net(torch.ones(2, 2).half()) * 1e4).float().pow(2).sum() * 1e4"
    text = EPS.replace("{net}", "Linear(2, 2).half()").replace("{more}", more)
    text = text.replace("{optimizer}", f"Adam({PARAMETERS})")
    (found,) = told(tmp_path, text)
    assert "eps" not in str(found.critical)


@pytest.mark.parametrize(
    ("line", "kind", "operand"),
    [
        ("y = torch.sqrt(a + b)", "Sqrt", "a + b"),
        ("y = (a * b).sum(-1).sqrt()", "Sqrt", "(a * b).sum(-1)"),
        ("y = x ** gamma", "Pow", "x"),
        ("y = 1 / n", "Reciprocal", "n"),
        ("y = torch.logaddexp(a, b + c)", "Logaddexp", "a and b + c"),
        # Which of the two it is, or what was handed over, is not certain.
        ("y = a.sqrt() + b.sqrt()", "Sqrt", ""),
        ("y = torch.sqrt(input=a)", "Sqrt", ""),
        ("y = torch.xlogy(*both)", "Xlogy", ""),
        ("y = distance(a, b)", "Sqrt", ""),
    ],
)
def test_the_operand_of_a_derivative(tmp_path: Path, line: str, kind: str, operand: str) -> None:
    path = tmp_path / "line.py"
    path.write_text(line + "\n")
    at = Location(str(path), 1, 1, 1, len(line) + 1, "<module>", line)
    assert steep_operand(at, kind) == operand


def test_what_torchs_own_function_computed_is_called_by_its_name(tmp_path: Path) -> None:
    body = """\
    one = torch.distributions.Normal(net(x), (x + net(x)).abs(), validate_args=False)
    loss = torch.distributions.kl_divergence(one, torch.distributions.Normal(0.0, 1.0)).mean()
    """
    (found,) = seen(tmp_path, body, 0)
    assert (found.operation, found.iteration) == ("log", 4)
    assert found.operand == "var_ratio in torch's _kl_normal_normal()"


def test_parameters_that_the_program_wrote_are_not_a_backwards_doing(tmp_path: Path) -> None:
    text = RATE.replace("{rate}", "1.0").replace(
        "{begin}",
        "if step == 18:\n        kept = {k: v * torch.nan for k, v in net.state_dict().items()}\n"
        "        net.load_state_dict(kept)\n    ",
    )
    (found,) = told(tmp_path, text.replace("1 / (4 - n)", "1.0"))
    assert (found.phase, found.call) == ("before", "loss.backward()")
