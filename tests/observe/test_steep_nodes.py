"""Which backward, and which of its nodes, made a gradient not finite: told on the first run."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.observe import program
from graphlab.observe.numbers.kept.steep_nodes import _ALSO, _KINDS, SteepNodes
from graphlab.trace.sightings import NonFinite

START = """\
import math

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 4, bias=False)
optimizer = torch.optim.{optimizer}(net.parameters(), lr=0.01)
for step in range(8):
    x = torch.randn(6, 4)
    if step == 4:
        x[1] = 0
"""
PLAIN = """\
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def seen(tmp_path: Path, body: str, end: str = PLAIN, optimizer: str = "Adam") -> list[NonFinite]:
    path = tmp_path / "train.py"
    path.write_text(START.replace("{optimizer}", optimizer) + body + end)
    with contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], "train", lambda _: None)
    assert ran.trace.unseen == ()
    return [each for each in ran.trace.sightings if isinstance(each, NonFinite)]


ROOT = "    d = net(x).pow(2).sum(-1)\n    loss = d.sqrt().mean()\n"


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
@pytest.mark.parametrize(
    ("body", "operation", "operand", "critical", "hidden"),
    [
        (ROOT, "Sqrt", "d", "1 of 6 values is 0", False),
        ("    h = net(x).abs()\n    loss = (h ** 0.5).mean()\n", "Pow", "h", "4 of 24 values are 0",
         False),
        ("    c = torch.cos(net(x))\n    loss = torch.acos(c).mean()\n", "Acos", "c",
         "4 of 24 values are -1 or 1", False),
        ("    z = net(x).abs()\n    loss = torch.where(z > 0, -torch.log(z) + 1, z).mean()\n",
         "Log", "z", "4 of 24 values are 0", True),
        ("    z = net(x)\n    y = torch.exp(z + 99 * (x == 0))\n"
         "    loss = y.masked_fill(x == 0, 0).mean()\n", "Exp", "z + 99 * (x == 0)",
         "4 of 24 values are infinite", True),
        ("    z = net(x)\n    loss = torch.hypot(z, 0 * z).mean()\n", "Hypot", "",
         "4 of 24 values are 0", False),
        ("    n = net(x).norm(dim=-1, keepdim=True)\n"
         "    loss = torch.where(n > 0, x / n, x).mean()\n",
         "Div", "n", "1 of 6 values is 0", True),
        ("    z = net(x)\n    loss = torch.where(z == 0, z, 1 / z).clamp(-9, 9).mean()\n",
         "Reciprocal", "z", "4 of 24 values are infinite", True),
        ("    p = net(x).abs()\n    bits = torch.log(p) / math.log(2)\n"
         "    loss = torch.where(p > 0, -0.5 * bits, p).mean()\n",
         "Log", "p", "4 of 24 values are 0", True),
        ("    p = net(x).abs()\n    loss = torch.xlogy(p, p).mean()\n", "Xlogy", "p",
         "4 of 24 values are 0", False),
        ("    low = torch.full((6, 4), -torch.inf).where(x == 0, 0.0) + net(x)\n"
         "    both = torch.logaddexp(low, low)\n    loss = both.logsumexp(0).logsumexp(0)\n"
         "    loss = (torch.cat([both, net(x) + 1]).logsumexp(0)).mean()\n",
         "Logaddexp", "low", "4 of 24 values are -inf", False),
        ("    z = (net(x) + torch.where(x == 0, -torch.inf, 0.0)).logsumexp(-1)\n"
         "    loss = z[z.isfinite()].mean()\n", "Logsumexp",
         "net(x) + torch.where(x == 0, -torch.inf, 0.0)", "1 of 6 values is -inf", False),
    ],
)  # fmt: skip
def test_what_a_node_saved_tells(
    tmp_path: Path, body: str, operation: str, operand: str, critical: str, hidden: bool,
    optimizer: str,
) -> None:  # fmt: skip
    (found,) = seen(tmp_path, body, optimizer=optimizer)
    assert (found.phase, found.operation) == ("backward", f"{operation}Backward")
    assert (found.iteration, found.operand, found.critical) == (4, operand, critical)
    assert found.zero_met == hidden and found.look_from is None
    assert found.step == "optimizer.step()" and len(found.tensors) == 1


def test_a_loss_that_stays_finite_does_not_hide_it(tmp_path: Path) -> None:
    # NaN is not above 0, so that the loss never shows what became of the parameters.
    body = "    z = net(x).abs()\n    loss = torch.where(z > 0, torch.log(z), 0 * x).mean()\n"
    (found,) = seen(tmp_path, body)
    assert (found.iteration, found.operation) == (4, "LogBackward")


def test_gradients_that_were_cleared_did_no_harm(tmp_path: Path) -> None:
    """What is named is what a step applied, not the first slope that had no value."""
    body = "    if step == 6:\n        x[2] = 0\n" + ROOT
    end = """\
    optimizer.zero_grad()
    loss.backward()
    if step == 4:
        optimizer.zero_grad()
        continue
    optimizer.step()
"""
    (found,) = seen(tmp_path, body, end)
    assert found.iteration == 6
    assert seen(tmp_path, ROOT, end) == []


def test_of_several_backwards_before_a_step_it_is_the_first(tmp_path: Path) -> None:
    body = """\
    first = net(x).pow(2).sum(-1).sqrt().mean()
    first.backward()
    again = net(x).abs().pow(0.5).mean()
    again.backward()
    optimizer.step()
    optimizer.zero_grad()
"""
    (found,) = seen(tmp_path, body, "")
    assert (found.operation, found.call, found.iteration) == ("SqrtBackward", "first.backward()", 4)


def test_what_was_written_since_is_not_read(tmp_path: Path) -> None:
    end = PLAIN + "    d.detach().add_(1)\n"
    body = "    d = net(x).abs()\n    loss = d.pow(0.5).mean()\n"
    (found,) = seen(tmp_path, body, end)
    assert found.phase == "backward" and found.at is None and found.look_from is not None


def test_a_step_of_the_users_own_may_have_made_it(tmp_path: Path) -> None:
    own = """\
    if step == 0:
        class Own(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self):
                for p in self.param_groups[0]["params"]:
                    p.sub_(p.grad / p.grad.norm())
        optimizer = Own(net.parameters(), {})
    loss = (net(x) * int(step != 4)).sum()
"""
    (found,) = seen(tmp_path, own)
    assert (found.phase, found.operation, found.call) == ("step", "", "")
    assert found.look_from is not None


@pytest.mark.parametrize(
    "refusal",
    [
        "torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0, error_if_nonfinite=True)",
        "norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)\n    assert norm < 1e9",
    ],
)
def test_gradients_that_the_program_refuses(tmp_path: Path, refusal: str) -> None:
    end = f"    optimizer.zero_grad()\n    loss.backward()\n    {refusal}\n    optimizer.step()\n"
    (found,) = seen(tmp_path, ROOT, end)
    assert (found.phase, found.operation, found.iteration) == ("backward", "SqrtBackward", 4)
    assert found.step == "" and len(found.tensors) == 1


def test_torch_saves_what_is_read_and_no_gradient_that_comes_in_makes_it_finite() -> None:
    calls: dict[str, tuple[Any, float]] = {
        "Sqrt": (torch.sqrt, 0), "Rsqrt": (torch.rsqrt, 0), "Log": (torch.log, 0),
        "Log2": (torch.log2, 0), "Log10": (torch.log10, 0), "Log1p": (torch.log1p, -1),
        "Exp": (torch.exp, 1e4), "Reciprocal": (torch.reciprocal, 0), "Acos": (torch.acos, 1),
        "Asin": (torch.asin, -1), "Acosh": (torch.acosh, 1), "Atanh": (torch.atanh, 1),
        "Pow": (lambda x: x**0.5, 0), "Div": (lambda x: x.detach().add(1) / x, 0),
    }  # fmt: skip
    calls["Hypot"] = lambda x: torch.hypot(x, 0 * x.detach()), 0
    calls["Angle"] = lambda x: torch.angle(torch.complex(x, x.detach())), 1e-24
    calls["Xlogy"] = lambda x: torch.xlogy(0 * x.detach(), x), 0
    calls["Logaddexp"] = lambda x: torch.logaddexp(x, x.detach()), -torch.inf
    calls["Logaddexp2"] = lambda x: torch.logaddexp2(x, x.detach()), -torch.inf
    calls["Logsumexp"] = lambda x: torch.logsumexp(x, 0, keepdim=True), -torch.inf
    assert calls.keys() == _KINDS.keys() - {"LinalgEigh", "LinalgSvd"}
    for kind, (call, value) in calls.items():
        for given in (0.0, 1.0):
            x = torch.tensor([float(value)], requires_grad=True)
            y = call(x)
            y.backward(torch.tensor([given]))
            assert x.grad is not None and not x.grad.isfinite().any(), kind
        assert hasattr(call(x).grad_fn, f"_raw_saved_{_KINDS[kind][0]}"), kind
        assert hasattr(call(x).grad_fn, f"_raw_saved_{_ALSO.get(kind, _KINDS[kind][0])}"), kind
    x = torch.eye(3, requires_grad=True)
    vectors = [torch.linalg.eigh(x)[1], torch.linalg.svd(x)[0], torch.linalg.svd(x)[2]]
    for each in vectors:
        (grad,) = torch.autograd.grad((each * 0).sum(), x)
        assert not grad.isfinite().any()
    assert hasattr(vectors[1].grad_fn, "_raw_saved_S")
    (grad,) = torch.autograd.grad(torch.linalg.svd(x)[1].sum(), x)
    assert grad.isfinite().all()


@pytest.mark.parametrize(
    "body",
    [
        # Neither operand alone spoils the slope.
        "    one = net(x).masked_fill(x == 0, -torch.inf)\n"
        "    loss = torch.logaddexp(one, net(x)).mean()\n",
        # Of what is constant no slope is asked for.
        "    p = x.abs()\n    loss = (torch.xlogy(p, p) * net(x)).mean()\n",
        "    z = net(x).masked_fill(x == 0, -torch.inf)\n"
        "    loss = z[(x != 0).any(-1)].logsumexp(-1).mean()\n",
        # What fills in the mask takes the slope out again.
        "    z = net(x).masked_fill(x == 0, -torch.inf).logsumexp(-1)\n"
        "    loss = z[z.isfinite()].mean()\n",
    ],
)
def test_sums_and_products_that_have_a_slope(tmp_path: Path, body: str) -> None:
    assert seen(tmp_path, body) == []


def test_only_so_much_is_held() -> None:
    from graphlab.observe.notes import RawBackward
    from graphlab.observe.numbers.kept import steep_nodes

    nodes = SteepNodes()
    for at in range(40):
        record = RawBackward(2 * at, None, "loss.backward()", "loss", at, False)
        loss = torch.rand(1 << 19, requires_grad=True).sqrt().sum()
        nodes.begins(record, loss)
    held = sum(each.value.numel() for _, kept in nodes._kept for each in kept)
    assert 0 < held <= steep_nodes.ALL and len(nodes._kept) <= steep_nodes.BACKWARDS
