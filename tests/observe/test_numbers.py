"""Where the first number that is not finite was made, on the first run and on the second."""

from __future__ import annotations

import contextlib
import io
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab
from graphlab.observe import program
from graphlab.observe.numbers.finite import critical, odd
from graphlab.trace.finding import Finding
from graphlab.trace.sightings import NonFinite

START = """\
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
net = nn.Linear(4, 4, bias=False)
optimizer = torch.optim.{optimizer}(net.parameters(), lr=0.01)
for step in range(8):
    x = torch.randn(6, 4)
    if step == 4:
        x[1] = 0
    optimizer.zero_grad()
"""
END = """\
    loss.backward()
    optimizer.step()
"""


def seen(
    tmp_path: Path, body: str, nan_from: int | None = None, optimizer: str = "Adam"
) -> list[NonFinite]:
    middle = textwrap.indent(textwrap.dedent(body), "    ")
    return told(tmp_path, START.replace("{optimizer}", optimizer) + middle + END, nan_from)


def told(tmp_path: Path, text: str, nan_from: int | None = None) -> list[NonFinite]:
    path = tmp_path / "train.py"
    path.write_text(text)

    def started(observation: Any) -> None:
        if nan_from is not None:
            observation.numbers.look_from(nan_from)

    with contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], "train", started)
    assert ran.trace.unseen == ()
    return [each for each in ran.trace.sightings if isinstance(each, NonFinite)]


LOG = """\
p = net(x).abs()
loss = -torch.log(p).mean()
"""
ROOT = """\
d = net(x).pow(2).sum(-1)
loss = d.sqrt().mean()
"""
TRAP = """\
z = net(x) * (x != 0)
loss = torch.where(z > 0, torch.log(z.abs()), z).mean()
"""


@pytest.mark.parametrize("nan_from", [None, 0, 2, 4])
def test_a_forward_is_told_by_the_graph_and_by_following(
    tmp_path: Path, nan_from: int | None
) -> None:
    (found,) = seen(tmp_path, LOG, nan_from)
    assert (found.phase, found.operation, found.iteration) == ("forward", "log", 4)
    assert found.at is not None and found.at.code == "loss = -torch.log(p).mean()"
    assert (found.operand, found.critical) == ("p", "4 of 24 values are 0")
    assert found.in_loss and found.step == "optimizer.step()" and found.look_from is None


OWN_SOFTMAX = """\
hide = (torch.arange(4) >= 2) | ((torch.arange(6) == 2)[:, None] & (step == 4))
scores = net(x)[:, :1] * torch.arange(4.0)
scores = scores.masked_fill(hide, {value})
e = (scores - scores.{peak}).exp()
loss = (e / e.sum(-1, keepdim=True) * x).sum()
"""


@pytest.mark.parametrize("nan_from", [None, 4])
@pytest.mark.parametrize("peak", ["max(-1, keepdim=True).values", "amax(-1, keepdim=True)"])
def test_a_softmax_of_the_programs_own_whose_row_is_masked_whole(
    tmp_path: Path, nan_from: int | None, peak: str
) -> None:
    body = OWN_SOFTMAX.replace("{peak}", peak).replace("{value}", "-torch.inf")
    (found,) = seen(tmp_path, body, nan_from)
    assert (found.operation, found.operand, found.iteration) == ("sub", "scores", 4)
    assert found.at is not None and found.at.code.startswith("e = ") and found.look_from is None


def test_a_mask_of_the_programs_own_that_is_no_infinity(tmp_path: Path) -> None:
    body = OWN_SOFTMAX.replace("{peak}", "amax(-1, keepdim=True)").replace("{value}", "-1e9")
    assert seen(tmp_path, body) == []
    # Another operation makes the NaN, and the mask is not taken for one that could have.
    body = body.replace("e / e", "torch.log(0 * e) * e / e")
    (tmp_path / "log").mkdir()
    (found,) = seen(tmp_path / "log", body)
    assert found.operation != "sub"


@pytest.mark.parametrize("nan_from", [None, 4])
@pytest.mark.parametrize(
    ("quotient", "operation"),
    [("1 / p", "div"), ("scale / p", "div"), ("p.sum() - scale / p", "div"),
     ("p.reciprocal()", "reciprocal"), ("2 * torch.reciprocal(p) / 3", "reciprocal")],
)  # fmt: skip
def test_a_number_that_is_divided_is_divided(
    tmp_path: Path, nan_from: int | None, quotient: str, operation: str
) -> None:
    # torch multiplies by a reciprocal, of which the program knows nothing.
    body = f"scale = 2.0\np = net(x).abs()\nloss = ({quotient}).mean()\n"
    (found,) = seen(tmp_path, body, nan_from)
    assert (found.operation, found.operand) == (operation, "p")
    assert found.critical == "4 of 24 values are 0"


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_a_backward_is_told_apart_at_once_and_exactly_by_following(
    tmp_path: Path, optimizer: str
) -> None:
    # The product has met the infinite logarithm before its derivative does.
    between = "z = net(x)\nloss = torch.where(z != 0, z * torch.log(z.abs()), z).mean()\n"
    (first,) = seen(tmp_path, between, optimizer=optimizer)
    assert first.phase == "backward" and first.at is None and first.look_from is not None
    (found,) = seen(tmp_path, ROOT, 0, optimizer)
    assert (found.phase, found.operation, found.iteration) == ("backward", "SqrtBackward0", 4)
    assert found.at is not None and found.at.code == "loss = d.sqrt().mean()"
    assert found.critical == "1 of 6 values is 0" and not found.zero_met


def test_a_branch_that_is_not_taken(tmp_path: Path) -> None:
    (found,) = seen(tmp_path, TRAP, 0)
    assert (found.operation, found.zero_met) == ("LogBackward0", True)
    assert found.operand == "z.abs()"


def test_data_is_named_where_it_comes_in(tmp_path: Path) -> None:
    body = "y = torch.tensor([0.0, float('nan')][step == 4:][:1])\nloss = (net(x) - y).mean()\n"
    (found,) = seen(tmp_path, body, 0)
    assert found.phase == "data" and found.at is not None
    assert found.at.code.startswith("y = torch.tensor")


OVERFLOW = """\
margin = 90 * (1 + step // 4 * 100) * net(x).abs() / 90
loss = torch.log(1 + torch.exp(margin * torch.ones(4))).mean()
"""
COUNTED = """\
keep = torch.full((6,), int(step != 4))
per_row = net(x).sum(-1) - net(x).mean(-1)
loss = (per_row * keep).sum() / keep.sum()
"""
MASKED = """\
mask = (torch.arange(4) >= 2) | ((torch.arange(6) == 2)[:, None] & (step == 4))
scores = net(x).masked_fill(mask, float("-inf"))
loss = torch.softmax(scores, -1)[:, 0].mean()
"""


BOTH = """\
sigma = (net(x).abs() + 1) * int(step != 4)
loss = ((net(x) - 7) / sigma).square().mean()
"""


@pytest.mark.parametrize(
    ("body", "operation", "operand", "critical"),
    [
        (BOTH, "div", "sigma", "24 of 24 values are 0"),
        (OVERFLOW, "exp", "margin * torch.ones(4)", "values from 0 to "),
        (COUNTED, "div", "keep.sum()", "it is 0"),
        (MASKED, "softmax", "scores", "14 of 24 values are infinite, all of a row"),
    ],
)
def test_the_first_run_computes_what_the_graph_did_not_keep(
    tmp_path: Path, body: str, operation: str, operand: str, critical: str
) -> None:
    (found,) = seen(tmp_path, body)
    assert (found.operation, found.iteration, found.operand) == (operation, 4, operand)
    assert found.critical.startswith(critical) and found.look_from is None


def test_a_constant_that_the_graph_forgot_is_not_guessed(tmp_path: Path) -> None:
    body = "y = torch.tensor(float('nan') if step == 4 else 1.0)\nloss = (net(x) + y).mean()\n"
    (found,) = seen(tmp_path, body)
    assert found.at is None and found.look_from == 4


def test_one_finite_part_of_a_split_does_not_vouch_for_the_other(tmp_path: Path) -> None:
    body = """\
    bad = torch.tensor([0.0, 0.0, 0.0, float("nan") if step == 4 else 1.0])
    a, b = (net(x) + bad).chunk(2, -1)
    loss = torch.cat([b * 2, a.exp() * a, b], -1).mean()
    """
    (found,) = seen(tmp_path, body)
    assert found.at is None and found.look_from == 4


HIDDEN = """\
p = torch.softmax(net(x).masked_fill(x == 0, float("-inf")), -1)
loss = (p * net(x)).masked_fill(x == 0, 0.0).mean()
"""


def test_what_a_mask_hid_from_the_loss_comes_back_in_the_backward(tmp_path: Path) -> None:
    (found,) = seen(tmp_path, HIDDEN, 0)
    assert (found.phase, found.operation, found.iteration) == ("forward", "softmax", 4)
    assert not found.in_loss and found.critical.endswith("all of a row")


def test_data_that_a_loader_fetches_belongs_to_the_iteration_that_begins(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(
        "import torch\n"
        "def rows():\n"
        "    for at in range(6):\n"
        "        yield torch.tensor([1.0, float('nan') if at == 4 else 2.0])\n"
        "net = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for x in rows():\n"
        "    loss = net(x).sum()\n"
        "    optimizer.zero_grad()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    ran = program.run(
        program.script(str(path)), [], "train", lambda each: each.numbers.look_from(0)
    )
    (found,) = [each for each in ran.trace.sightings if isinstance(each, NonFinite)]
    assert (found.phase, found.iteration) == ("data", 4)
    assert found.at is not None and found.at.line == 4


def test_a_training_that_diverged_is_told_by_what_grew(tmp_path: Path) -> None:
    body = "loss = (net(x).square() - 1).square().mean() * 1e3\n"
    (found,) = seen(tmp_path, body, optimizer="SGD")
    assert found.grown is not None
    assert found.grown.after >= 1000 * max(found.grown.before, 1.0)
    assert found.grown.first < found.grown.last
    (steady,) = seen(tmp_path, LOG)
    assert steady.grown is None


# One row's gradient stays the same from step 4 on, and that row is asked for again at step 7.
OWN_STEP = """\
import torch
table = torch.nn.Parameter(torch.arange(6.0).view(3, 2))
kept = None
for step in range(9):
    rows = torch.tensor([0, 1] if 3 < step < 7 else [0, 1, 2])
    table.grad = None
    loss = table[rows].square().mean()
    loss.backward()
    with torch.no_grad():
        rate = torch.tensor(0.05)
        if kept is not None:
            change = (table.grad - kept).square().sum(1, keepdim=True)
            rate = (change / change).clamp(max=0.1)
        table -= rate * table.grad
        kept = table.grad.clone()
"""


def test_following_tells_of_a_step_of_the_programs_own(tmp_path: Path) -> None:
    (first,) = told(tmp_path, OWN_STEP)
    assert first.at is None and first.look_from == 0
    (found,) = told(tmp_path, OWN_STEP, first.look_from)
    assert (found.operation, found.iteration, found.operand) == ("div", 5, "change")
    assert found.at is not None and found.at.line == 13


OWN_OPTIMIZER = """\
import torch
class Trust(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})
    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            p.sub_(self.ratio(p) * p.grad, alpha=0.1)
    def ratio(self, p):
        size, slope = p.norm(), p.grad.norm()
        return size / slope
w = torch.nn.Parameter(torch.ones(3))
optimizer = Trust([w])
for step in range(6):
    loss = (w * int(step != 3)).relu().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_following_names_the_operand_in_a_step_of_an_optimizer_of_the_programs(
    tmp_path: Path,
) -> None:
    (first,) = told(tmp_path, OWN_OPTIMIZER)
    (found,) = told(tmp_path, OWN_OPTIMIZER, first.look_from)
    assert (found.operation, found.iteration, found.operand) == ("div", 3, "slope")
    assert found.phase == "step" and found.module is None
    assert found.at is not None and found.at.line == 11


CODEBOOK = """\
import torch
from torch import nn
torch.manual_seed(0)
class Codes(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.randn(3, 4))
    def forward(self, z, counts):
        found = (z + self.codes.mean(0)).square().mean()
        with torch.no_grad():
            self.codes.copy_(self.codes * counts / counts)
        return found
net, codes = nn.Linear(4, 4), Codes()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(8):
    loss = codes(net(torch.randn(6, 4)), torch.tensor(0.0 if step == 4 else 1.0))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_buffer_that_was_not_a_number_before_sends_the_second_run_to_the_begin(
    tmp_path: Path,
) -> None:
    (first,) = told(tmp_path, CODEBOOK)
    assert (first.iteration, first.look_from) == (5, 0)
    (found,) = told(tmp_path, CODEBOOK, 0)
    assert (found.operation, found.iteration, found.operand) == ("div", 4, "counts")


def test_a_bad_batch_that_is_skipped_is_no_finding(tmp_path: Path) -> None:
    for nan_from in (None, 0):
        before = LOG + "if not torch.isfinite(loss):\n    continue\n"
        assert seen(tmp_path, before, nan_from) == []


def test_following_changes_no_value() -> None:
    def train() -> list[float]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(), torch.nn.Linear(8, 1))
        optimizer = torch.optim.Adam(net.parameters())
        losses = []
        for _ in range(5):
            loss = net(torch.randn(8, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return [*losses, *(float(p.sum()) for p in net.parameters())]

    plain = train()
    session = graphlab.watch()
    session._observation.numbers.look_from(0)
    with session:
        followed = train()
    assert followed == plain
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    assert _get_current_dispatch_mode() is None


def test_assert_finite() -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for value, fine in ((1.0, True), (float("nan"), False)):
        with graphlab.watch() as session:
            loss = (net(torch.ones(3, 2)) * value).mean()
            loss.backward()
            optimizer.step()
        if fine:
            session.assert_finite()
        else:
            with pytest.raises(AssertionError, match="GL201"):
                session.assert_finite()


@pytest.mark.filterwarnings("ignore:Error detected|Anomaly Detection")
def test_a_traceback_of_anomaly_detection_tells_the_function_and_what_would_tell_more() -> None:
    with torch.autograd.detect_anomaly(), pytest.raises(RuntimeError) as caught:
        (torch.zeros(3, requires_grad=True) * 0).sqrt().sum().backward()
    (finding,) = graphlab.explain(caught.value).findings
    assert finding.code == "GL000" and "MulBackward0 returned NaN" in finding.summary
    assert "--nan-from 0" in finding.help[0].text


CHECK = """\
def step(x, check):
    p = torch.softmax(net(x), -1)
    loss = {loss}
    {check}
    loss.backward()
step(torch.randn(3, 4) * 1e6, None)
"""


def raised_by(tmp_path: Path, loss: str, check: str) -> tuple[Finding, ...]:
    path = tmp_path / f"check{len([*tmp_path.iterdir()])}.py"
    path.write_text(CHECK.format(loss=loss, check=check))
    torch.manual_seed(0)
    code = compile(path.read_text(), str(path), "exec")
    with pytest.raises((AssertionError, ValueError)) as caught:
        exec(code, {"torch": torch, "net": torch.nn.Linear(4, 4)})
    return graphlab.explain(caught.value).findings


@pytest.mark.parametrize(
    "check",
    ["assert torch.isfinite(loss)", "if not loss.isfinite(): raise ValueError('not finite')"],
)
def test_a_traceback_of_the_users_own_check_tells_the_operation(tmp_path: Path, check: str) -> None:
    (finding,) = raised_by(tmp_path, "(p * torch.log(p)).sum() + torch.log(p).sum()", check)
    # Two such expressions: which of the two is not known from a traceback.
    assert finding.code == "GL201" and finding.cause is None
    assert "log made it" in finding.summary and "--nan-from 0" in finding.notes[-1]
    (finding,) = raised_by(tmp_path, "torch.log(p).sum()", check)
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "loss = torch.log(p).sum()"
    assert "values of p are 0" in finding.summary and not finding.notes


def test_a_check_of_something_else_is_not_explained(tmp_path: Path) -> None:
    assert raised_by(tmp_path, "p.sum()", "assert loss > 9") == ()
    assert raised_by(tmp_path, "p.sum()", "assert (x / 0).isfinite().all()") == ()


def test_a_program_that_leaves_over_its_loss(tmp_path: Path) -> None:
    (found,) = seen(tmp_path, "import sys\n" + LOG + "if loss.isinf():\n    sys.exit(1)\n")
    assert (found.phase, found.operation, found.iteration) == ("forward", "log", 4)


def test_words_for_values() -> None:
    values = torch.tensor([0.0, -1.0, 2.0, 0.0])
    assert critical("log", [values]).text == "2 of 4 values are 0 and 1 of 4 values is negative"
    assert critical("div", [torch.ones(4), values]) == (1, "2 of 4 values are 0")
    assert odd(torch.tensor([float("nan"), float("inf"), 1.0])) == (1, 1)


def test_torch_has_what_following_rests_on() -> None:
    assert hasattr(torch._C, "_current_autograd_node") and hasattr(torch, "_foreach_norm")
    node: Any = (torch.ones(2, 3, requires_grad=True) * 2).grad_fn
    assert tuple(node._input_metadata[0].shape) == (2, 3)
    assert node._input_metadata[0].dtype == torch.float32
