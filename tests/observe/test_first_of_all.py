"""Of several numbers that are not finite the first is told, and one that nothing shows any more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import graphlab
from graphlab.errors import UserError
from graphlab.observe.numbers.kept import growth
from graphlab.observe.numbers.kept.growth import SmallParameters
from tests.observe.test_numbers import told

TRAIN = """\
import torch
from torch import nn


def train(steps, size=3):
    torch.manual_seed(0)
    model = nn.Linear(size, 1)
    optimizer = torch.optim.{optimizer}(model.parameters(), lr=0.1)
    for it in range(steps):
        out = model(torch.ones(4, size)) * float(it < steps - 1)
        loss = {loss}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


"""
ROOT, POWER = "out.pow(2).sqrt().mean()", "torch.hypot(out, 0 * out).mean()"


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_the_last_step_of_a_function_whose_objects_are_gone(tmp_path: Path, optimizer: str) -> None:
    text = TRAIN.format(optimizer=optimizer, loss=ROOT)
    (seen,) = told(tmp_path, text + "train(6)\n")
    assert (seen.phase, seen.operation, seen.iteration) == ("backward", "SqrtBackward", 5)
    assert seen.step == "optimizer.step()" and len(seen.tensors) == 2
    assert told(tmp_path, text.replace("it < steps - 1", "it < steps") + "train(6)\n") == []


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_it_is_looked_for_in_the_training_that_is_gone(tmp_path: Path, optimizer: str) -> None:
    text = TRAIN.format(optimizer=optimizer, loss=POWER)
    (seen,) = told(tmp_path, text + "for steps in (3, 18):\n    train(steps)\n")
    assert seen.at is None and seen.look_from == 0
    assert seen.phase == ("backward" if optimizer == "SGD" else "step")
    (seen,) = told(tmp_path, text + "for steps in (3, 18):\n    train(steps)\n", nan_from=0)
    assert (seen.operation, seen.iteration) == ("HypotBackward0", 2)


def test_what_had_it_from_the_start_is_left_alone(tmp_path: Path) -> None:
    text = TRAIN.format(optimizer="SGD", loss="out.pow(2).mean()")
    unused = "    model.spare = nn.Parameter(torch.full((3,), float('nan')))\n    optimizer ="
    assert told(tmp_path, text.replace("    optimizer =", unused) + "train(6)\n") == []


def test_only_so_much_is_held() -> None:
    small = SmallParameters(lambda parameter: 0)
    nets = [torch.nn.Linear(20, 1000) for _ in range(growth.OPTIMIZERS + 2)]
    for at, net in enumerate(nets):
        small.hold(at, None, [*net.parameters()], at)
    kept = [held for at in range(len(nets)) if (held := small.of(at)) is not None]
    assert len(kept) == growth.OPTIMIZERS
    # The weights are too large.
    assert [[*map(len, each.values)] for each in kept] == [[1000]] * growth.OPTIMIZERS
    with torch.no_grad():
        nets[-1].bias[1] = float("inf")
    nets[-2].bias.untyped_storage().resize_(0)
    assert [len(each.ill().values) for each in kept] == [0, 0, 0, 1]


def test_a_gradient_is_not_said_to_be_zero_where_an_operand_is(tmp_path: Path) -> None:
    text = TRAIN.format(optimizer="SGD", loss=POWER)
    (seen,) = told(tmp_path, text + "train(6)\n", nan_from=0)
    assert seen.operation == "HypotBackward0" and not seen.zero_met
    hidden = "torch.where(out > 0, torch.hypot(out, 0 * out), out).mean()"
    text = TRAIN.format(optimizer="SGD", loss=hidden)
    (seen,) = told(tmp_path, text + "train(6)\n", nan_from=0)
    assert seen.operation == "HypotBackward0"


DIVERGES = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr={rate})
for step in range(60):
    residual = net(torch.ones(2, 4))
    squares = residual * residual
    loss = squares.mean(){more}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_of_a_training_that_diverged_the_loss_that_overflowed_first(tmp_path: Path) -> None:
    (seen,) = told(tmp_path, DIVERGES.format(rate=3.0, more=""))
    (again,) = told(tmp_path, DIVERGES.format(rate=3.0, more=""), nan_from=0)
    assert seen.at is not None and again.at is not None
    assert (seen.at.line, seen.iteration) == (again.at.line, again.iteration)
    assert (seen.operation, seen.kind, seen.operand) == ("mul", "inf", "residual")
    assert seen.grown is not None and len(seen.tensors) == 2


def test_a_loss_that_is_infinite_all_along_is_not_what_made_a_nan(tmp_path: Path) -> None:
    more = (
        " + residual.detach().mul(0).exp().sub(1).log().neg().mean()"
        "\n    if step == 5:\n        loss = loss + (0 * residual).abs().pow(0.5).sum()"
    )
    (seen,) = told(tmp_path, DIVERGES.format(rate=0.01, more=more))
    assert seen.iteration == 5


BANK = """\
import torch
from torch import nn

torch.manual_seed(0)
torch.use_deterministic_algorithms(True)


class Bank(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.empty(20, 4))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bank, self.linear = Bank(), nn.Linear(4, 4)

    def forward(self, x, at):
        self.bank.rows[at : at + 2] = x.detach()
        others = self.bank.rows[[at, at + (4 if at == 6 else 1)]]
        return (self.linear(x) - others).square().mean()


try:
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(6):
        loss = net(torch.randn(2, 4), 2 * step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
finally:
    torch.use_deterministic_algorithms(False)
"""


def test_memory_that_was_never_written_is_told_with_the_iteration_that_read_it(
    tmp_path: Path,
) -> None:
    (seen,) = told(tmp_path, BANK)
    # A module that is never called keeps it.
    assert (seen.iteration, seen.look_from) == (3, 0)
    (seen,) = told(tmp_path, BANK, nan_from=0)
    assert seen.at is not None and seen.at.line == 11
    assert (seen.operation, seen.iteration, seen.reached) == ("empty", None, 3)


def test_what_is_written_around_it_is_not_where_it_is_read(tmp_path: Path) -> None:
    (seen,) = told(tmp_path, BANK, nan_from=2)
    assert (seen.phase, seen.operand, seen.iteration) == ("before", "net.bank.rows", 3)
    assert seen.at is not None and seen.at.line == 21


GIVEN = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(5):
    x, y = torch.randn(6, 4), torch.randn(6, 1)
    if step == 3:
        {broken}
    loss = {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    ("broken", "operation", "operand"),
    [("x[1] = x[1] / 0 * 0", "addmm", "x"), ("y = y.log()", "mse_loss", "y")],
)
def test_what_was_given_from_outside_of_the_graph(
    tmp_path: Path, broken: str, operation: str, operand: str
) -> None:
    text = GIVEN.format(broken=broken, loss="nn.functional.mse_loss(net(x), y)")
    (seen,) = told(tmp_path, text)
    assert (seen.phase, seen.operation, seen.operand) == ("data", operation, operand)
    # What made it is not in the graph.
    assert (seen.iteration, seen.look_from) == (3, 3)
    (seen,) = told(tmp_path, text, nan_from=3)
    assert seen.at is not None and seen.at.line == 10


def test_what_was_given_and_is_not_in_the_loss_made_nothing(tmp_path: Path) -> None:
    kept, made = "torch.where(y.isnan(), 0.0, net(x) * y)", "(net(x) * (step != 3)).abs().log()"
    loss = f"{kept}.mean() + {made}.mean()"
    (seen,) = told(tmp_path, GIVEN.format(broken="y[1] = float('nan')", loss=loss))
    assert (seen.phase, seen.operation, seen.iteration) == ("forward", "log", 3)


def test_the_mean_of_nothing(tmp_path: Path) -> None:
    text = GIVEN.format(broken="x, y = x[:0], y[:0]", loss="nn.functional.mse_loss(net(x), y)")
    (seen,) = told(tmp_path, text)
    assert (seen.operation, seen.iteration, seen.look_from) == ("mse_loss", 3, None)


def test_a_session_follows_from_an_iteration_too() -> None:
    with graphlab.watch(nan_from=0) as session:
        net = torch.nn.Linear(3, 1)
        for step in range(3):
            loss = torch.hypot(net(torch.zeros(2, 3)) * 0, torch.zeros(2, 1)).mean() + step
            loss.backward()
            torch.optim.SGD(net.parameters(), 0.1).step()
    (found,) = session.findings
    assert found.code == "GL202" and "hypot" in found.summary
    with pytest.raises(UserError, match="no iteration"):
        graphlab.watch(nan_from=-1)


def test_data_that_a_check_refused_is_told_from_its_traceback() -> None:
    net, x = torch.nn.Linear(3, 1), torch.tensor([[1.0, float("nan"), 0.0]])
    loss = net(x).mean()
    try:
        assert torch.isfinite(loss), "not finite"
    except AssertionError as error:
        told_of = str(graphlab.explain(error))
    assert "x had it already when addmm took it, 1 of 3" in told_of


def test_what_came_with_it_begins_where_the_program_made_it() -> None:
    with graphlab.watch() as session:
        net = torch.nn.Linear(3, 1)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for length in (3, 1):
            returns = torch.arange(float(length))
            returns = (returns - returns.mean()) / (returns.std() + 1e-9)
            loss = (net(torch.rand(length, 3)).squeeze(1) * returns).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    (found,) = session.findings
    assert found.code == "GL201" and "returns had it already when mul" in found.summary
    assert found.cause is not None and "returns.std()" in found.cause.at.code
