"""Steps with a closure are judged like those without."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

HEAD = """
import functools
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
x = torch.randn(8, 4)
"""

GOOD = """
def closure():
    optimizer.zero_grad()
    loss = net(x).pow(2).mean()
    loss.backward()
    return loss
"""

LOOP = """
for _ in range(6):
    optimizer.step(CLOSURE)
"""


def script(tmp_path: Path, *parts: str) -> Path:
    path = tmp_path / "script.py"
    path.write_text("".join(map(textwrap.dedent, parts)), encoding="utf-8")
    return path


def codes(ran: Any) -> list[str]:
    return [each.code for each in ran.findings if each.severity != "info"]


def writers(trace: Any) -> set[str]:
    """What has written since the program's start, when its modules filled their parameters."""
    written = {each.by for each in trace.events if type(each).__name__ == "Write"}
    return written - {"nn.Linear(), through uniform_()"}


ADAM = "optimizer = torch.optim.Adam(net.parameters(), lr=0.1)\n"
WAYS = {
    "a function": "closure",
    "a lambda around it": "lambda: closure()",
    "a partial": "functools.partial(lambda a: a(), closure)",
    "decorated": "torch.enable_grad()(closure)",
    "an object": "type('Closure', (), {'__call__': lambda self: closure()})()",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_left_over_is_found(observe: Any, tmp_path: Path, way: str) -> None:
    bad = GOOD.replace("    optimizer.zero_grad()\n", "")
    ran = observe(script(tmp_path, HEAD, ADAM, bad, LOOP.replace("CLOSURE", WAYS[way])))
    assert codes(ran) == ["GL102"]
    assert writers(ran.trace) == {"optimizer.step()"}
    (optimizer,) = ran.trace.optimizers
    assert len(optimizer.touched) == 2 and not optimizer.handed_on
    good = observe(script(tmp_path, HEAD, ADAM, GOOD, LOOP.replace("CLOSURE", WAYS[way])))
    assert codes(good) == []


# Runs its closure at a point nearby as well, as sharpness-aware optimizers do.
SHARP = """
class Sharp(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure):
        (group,) = self.param_groups
        for sign in (1, -1):
            with torch.enable_grad():
                closure()
            for each in group["params"]:
                each.add_(each.grad, alpha=0.01 * sign)

optimizer = Sharp(net.parameters())
"""
# Two backwards of one line since the last zero_grad, which cleared half of it.
HALF = """
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
half = nn.Module()
half.bias = net.bias
for _ in range(6):
    half.zero_grad()
    for part in x.split(4):
        net(part).pow(2).mean().backward()
    optimizer.step()
"""


def test_a_closure_that_is_called_again_is_no_earlier_step(observe: Any, tmp_path: Path) -> None:
    bad = GOOD.replace("    optimizer.zero_grad()\n", "")
    loop = "for _ in range(6):\n    optimizer.zero_grad()\n    optimizer.step(closure)\n"
    ran = observe(script(tmp_path, HEAD, SHARP, bad, loop))
    (finding,) = ran.findings
    assert (finding.code, finding.iteration) == ("GL102", 0)
    assert "called its closure again" in finding.summary
    assert finding.cause is not None and finding.cause.at.code == "loss.backward()"
    good = observe(script(tmp_path, HEAD, SHARP, GOOD, loop))
    assert codes(good) == []


def test_backwards_of_one_line_are_no_closure(observe: Any, tmp_path: Path) -> None:
    (finding,) = observe(script(tmp_path, HEAD, HALF)).findings
    assert finding.code == "GL102" and "earlier step" in finding.summary


def test_the_repair_is_in_the_closure(observe: Any, applied: Any, tmp_path: Path) -> None:
    bad = GOOD.replace("    optimizer.zero_grad()\n", "")
    path = script(tmp_path, HEAD, ADAM, bad, LOOP.replace("CLOSURE", "closure"))
    ran = observe(path)
    (finding,) = ran.findings
    mended = applied(finding.help[0], path.read_text(encoding="utf-8"))
    assert GOOD in mended
    assert codes(observe(script(tmp_path, mended))) == []


@pytest.mark.parametrize(
    "which", ["SGD(net.parameters(), lr=0.1, momentum=0.9)", "NAdam(net.parameters())"]
)
def test_a_closure_without_a_backward(observe: Any, tmp_path: Path, which: str) -> None:
    once = """
    net(x).mean().backward()

    def closure():
        return net(x).mean()
    """
    optimizer = f"optimizer = torch.optim.{which}\n"
    loop = LOOP.replace("CLOSURE", "closure")
    ran = observe(script(tmp_path, HEAD, optimizer, once, loop))
    assert codes(ran) == ["GL109"]


def test_losses_that_mix_in_closures(observe: Any, tmp_path: Path) -> None:
    program = """
    G, D = nn.Linear(4, 4), nn.Linear(4, 1)
    opt_g = torch.optim.Adam(G.parameters(), lr=0.1)
    opt_d = torch.optim.Adam(D.parameters(), lr=0.1)

    def both():
        opt_g.zero_grad()
        opt_d.zero_grad()
        fake = D(G(x))
        d_loss = fake.mean() - D(x).mean()
        g_loss = -0.1 * fake.mean()
        d_loss.backward(retain_graph=True)
        g_loss.backward()
        return d_loss

    for _ in range(6):
        opt_d.step(both)
        opt_g.step(lambda: None)
    """
    ran = observe(script(tmp_path, HEAD, program))
    assert "GL101" in codes(ran)
    found = next(each for each in ran.findings if each.code == "GL101")
    assert "d_loss" in found.summary and "g_loss" in found.summary


LBFGS = "optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4)\n"


def test_lbfgs_is_judged_by_its_first_call(observe: Any, tmp_path: Path) -> None:
    loop = LOOP.replace("CLOSURE", "closure")
    ran = observe(script(tmp_path, HEAD, LBFGS, GOOD, loop))
    assert codes(ran) == []
    (optimizer,) = ran.trace.optimizers
    assert len(optimizer.touched) == 2
    bad = GOOD.replace("    optimizer.zero_grad()\n", "")
    assert codes(observe(script(tmp_path, HEAD, LBFGS, bad, loop))) == ["GL102"]


def test_lbfgs_that_has_arrived_writes_nothing_unseen(observe: Any, tmp_path: Path) -> None:
    program = """
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    kept = net(x).pow(2).sum()
    optimizer.step(closure)
    kept.backward()
    """
    ran = observe(script(tmp_path, HEAD, LBFGS, GOOD, program))
    assert codes(ran) == [] and ran.exit_code == 0


def test_what_a_step_writes_between_two_calls_is_its_own(observe: Any, tmp_path: Path) -> None:
    program = """
    inner = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    optimizer = torch.optim.LBFGS(inner.parameters())
    kept = []

    def closure():
        optimizer.zero_grad()
        if not kept:
            kept.append(inner(x).pow(2).mean())
        kept[0].backward(retain_graph=True)
        return kept[0]

    optimizer.step(closure)
    """
    ran = observe(script(tmp_path, HEAD, program))
    assert codes(ran) == ["GL001"]
    (finding,) = [each for each in ran.findings if each.code == "GL001"]
    assert finding.mutated is not None and finding.mutated.what == "optimizer.step()"


OWN = """
class Own(torch.optim.Optimizer):
    def step(self, closure=None):
        loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad, alpha=0.1)
        return loss

optimizer = Own(net.parameters(), {})
"""


def test_a_step_that_does_not_tell_when_its_closure_returns(observe: Any, tmp_path: Path) -> None:
    """It is judged at its end."""
    loop = LOOP.replace("CLOSURE", "closure")
    assert codes(observe(script(tmp_path, HEAD, OWN, GOOD, loop))) == []
    bad = GOOD.replace("    optimizer.zero_grad()\n", "")
    assert codes(observe(script(tmp_path, HEAD, OWN, bad, loop))) == ["GL102"]


ACCUMULATE = """
for i in range(12):
    if i % 2:
        optimizer.step(closure)
    else:
        closure()
"""


def test_what_a_closure_clears_before_a_step_was_for_nothing(observe: Any, tmp_path: Path) -> None:
    found = observe(script(tmp_path, HEAD, ADAM, GOOD, ACCUMULATE))
    (finding,) = found.findings
    assert finding.code == "GL112"
    assert finding.cause is not None and finding.cause.at.code == "optimizer.zero_grad()"
    assert finding.measured == {"applied": 6, "discarded": 6}


def test_what_a_closure_clears_after_the_step_has_used_it_was_not(
    observe: Any, tmp_path: Path
) -> None:
    twice = OWN.replace(
        "        loss = closure()\n", "        closure()\n        loss = closure()\n"
    )
    loop = LOOP.replace("CLOSURE", "closure")
    found = observe(script(tmp_path, HEAD, twice, GOOD, loop))
    assert [each.code for each in found.findings] == []


def test_the_closure_is_the_programs_own(observe: Any, tmp_path: Path) -> None:
    """The optimizer is given the very object, and what it raises passes through no frame more."""
    program = """
    import traceback

    class Own(torch.optim.SGD):
        def step(self, closure=None):
            assert closure is broken
            return super().step(closure)

    def broken():
        raise KeyError("mine")

    optimizer = Own(net.parameters(), lr=0.1)
    try:
        optimizer.step(broken)
    except KeyError as error:
        print([each.name for each in traceback.extract_tb(error.__traceback__)])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.step(closure)
    x.add_(1)
    """
    path = script(tmp_path, HEAD, GOOD, program)
    before = torch.enable_grad.__enter__, torch.enable_grad.__exit__
    ran = observe(path)
    assert (torch.enable_grad.__enter__, torch.enable_grad.__exit__) == before
    assert codes(ran) == [] and "x.add_()" in writers(ran.trace)
    assert "graphlab" not in ran.out and ran.out.count("broken") == 1
