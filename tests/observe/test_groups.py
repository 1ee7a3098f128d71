"""Gradients that are followed in groups give the same Trace as those followed one by one."""

from __future__ import annotations

import contextlib
import random
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab
from graphlab.observe.hooks.line_tracer import sequence_counter
from graphlab.observe.optimizers import registry
from graphlab.observe.optimizers.gradients.step_writes import StepWrites
from graphlab.observe.tensors import storage_key
from graphlab.trace.store import dumps

# `AT` is an iteration at which every loop has long been settled, and not a sampled one.
START = """
import random
import torch
from torch import nn
torch.manual_seed(0)
random.seed(0)
AT = 74
net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1))
other = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
opt = torch.optim.Adam(net.parameters(), 1e-3)
def loss_of(model=net):
    return model(torch.randn(6, 4)).square().mean()
"""

PLAIN = """
for i in range(80):
    {before}
    opt.zero_grad()
    loss = loss_of()
    {forward}
    loss.backward()
    {between}
    opt.step()
    {after}
"""
SURPRISES = {
    "none": {},
    "backward twice": {"between": "loss_of().backward()"},
    "retained": {"forward": "loss.backward(retain_graph=True)"},
    "step twice": {"after": "opt.step()"},
    "step first": {"before": "opt.step()"},
    "zeroed late": {"between": "opt.zero_grad()"},
    "zeroed in place": {"between": "opt.zero_grad(set_to_none=False)"},
    "module zeroed": {"between": "net.zero_grad()"},
    "a part zeroed": {"between": "net[2].zero_grad()"},
    "cleared by hand": {"between": "for p in net.parameters(): p.grad = None"},
    "one cleared by hand": {"between": "net[2].weight.grad = None"},
    "one set by hand": {"between": "net[0].weight.grad = torch.ones_like(net[0].weight)"},
    "all set by hand": {"after": "for p in net.parameters(): p.grad = torch.ones_like(p)"},
    "scaled": {"between": "for p in net.parameters(): p.grad.mul_(0.5)"},
    "one scaled": {"between": "net[0].bias.grad *= 0.5"},
    "scaled after": {"after": "net[0].bias.grad *= 0.5"},
    "zeros written": {"after": "for p in net.parameters(): p.grad.zero_()"},
    "zeros through data": {"after": "for p in net.parameters(): p.grad.data.zero_()"},
    "returned": {
        "between": "net[0].weight.grad = torch.autograd.grad(loss_of(), [net[0].weight])[0]"
    },
    "a group more": {"between": "opt.add_param_group({'params': other.parameters()})"},
    "a parameter less": {"between": "opt.param_groups[0]['params'].pop()"},
    "another parameter": {
        "between": "opt.param_groups[0]['params'][0] = nn.Parameter(torch.ones(2))"
    },
    "frozen": {"before": "net[2].weight.requires_grad_(False)"},
    "new storage": {"between": "net[2].weight.data = torch.zeros(5, 5)"},
    "a write": {"between": "net[2].weight.data.mul_(0.9)"},
    "another optimizer": {"between": "more = torch.optim.SGD(net.parameters(), 0.1); more.step()"},
    "one for others": {"between": "more = torch.optim.SGD(other.parameters(), 0.1)"},
    "stale": {"forward": "loss = loss + loss_of(); opt.step()"},
    "freed": {"between": "loss.backward()"},
    "clipped": {"between": "nn.utils.clip_grad_norm_(net.parameters(), 0.1)"},
    "clipped late": {"after": "nn.utils.clip_grad_norm_(net.parameters(), 0.1)"},
}

LOOPS = {
    "zeroed in place": """
for i in range(70):
    opt.zero_grad(set_to_none=False)
    loss_of().backward()
    opt.step()
""",
    "cleared by hand": """
for i in range(70):
    for p in net.parameters():
        p.grad = None
    loss_of().backward()
    opt.step()
""",
    "zeros written": """
for i in range(70):
    loss_of().backward()
    opt.step()
    for p in net.parameters():
        p.grad.zero_()
""",
    "zeros through data": """
for i in range(70):
    loss_of().backward()
    opt.step()
    for p in net.parameters():
        p.grad.data.zero_()
""",
    "never zeroed": """
for i in range(30):
    loss_of().backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
""",
    "module zeroed": """
both = nn.ModuleList([net, other])
for i in range(70):
    both.zero_grad()
    loss_of().backward()
    opt.step()
    if i % 9 == 8:
        loss_of(net).backward()
        net[0].zero_grad()
""",
    "micro-batches": """
for i in range(200):
    (loss_of() / 4).backward()
    if i % 4 == 3:
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
""",
    "gan": """
second = torch.optim.SGD(other.parameters(), 0.1, momentum=0.9)
for i in range(150):
    fake = other(torch.randn(3, 4))
    opt.zero_grad()
    (net(fake.detach()).mean() - net(torch.randn(3, 4)).mean()).backward()
    opt.step()
    if i % 5 == 4:
        second.zero_grad()
        (-net(fake).mean()).backward()
        second.step()
    if i == 121:
        (-net(other(torch.randn(3, 4))).mean()).backward()
        opt.step()
""",
    "joint": """
second = torch.optim.Adam(other.parameters(), 1e-3)
for i in range(70):
    out = net(other(torch.randn(3, 4)))
    opt.zero_grad(), second.zero_grad()
    out.mean().backward(retain_graph=True)
    (-out).mean().backward()
    second.step()
    opt.step()
""",
    "closure": """
second = torch.optim.LBFGS(other.parameters(), 0.1, max_iter=3)
def closure():
    opt.zero_grad()
    second.zero_grad()
    loss = loss_of() + loss_of(other)
    loss.backward()
    return loss
for i in range(20):
    second.step(closure)
for i in range(20):
    opt.step(closure)
for i in range(20):
    closure()
    opt.step()
""",
    "scaler": """
scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
for i in range(70):
    opt.zero_grad()
    loss = loss_of() * (float("inf") if i == 40 else 1.0)
    scaler.scale(loss).backward()
    if i % 2:
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
""",
    "epochs": """
schedule = torch.optim.lr_scheduler.StepLR(opt, 2)
for epoch in range(6):
    for i in range(12):
        opt.zero_grad()
        loss_of().backward()
        opt.step()
    with torch.no_grad():
        for i in range(3):
            loss_of()
    schedule.step()
""",
    "tasks": """
models = [nn.Linear(4, 1) for _ in range(8)]
for model in models:
    inner = torch.optim.SGD(model.parameters(), 0.1)
    for i in range(8):
        inner.zero_grad()
        (loss_of(model) + loss_of()).backward()
        inner.step()
    opt.step()
    opt.zero_grad()
""",
    "renewed": """
for task in range(8):
    opt = torch.optim.SGD(net.parameters(), 0.1)
    for i in range(8):
        opt.zero_grad()
        loss_of().backward()
        opt.step()
""",
    "turns": """
second = torch.optim.SGD([*net[0].parameters(), *other.parameters()], 0.1)
short = nn.Sequential(net[0], nn.Linear(5, 1))
for i in range(60):
    for each, model in ((opt, net), (second, short)):
        each.zero_grad()
        (loss_of(model) + loss_of(other)).backward()
        each.step()
""",
    "returned": """
for i in range(60):
    found = torch.autograd.grad(loss_of(), [*net.parameters()])
    for p, grad in zip(net.parameters(), found):
        p.grad = grad
    opt.step()
""",
    "by hand now and then": """
for i in range(90):
    opt.zero_grad()
    loss_of().backward()
    if i % 7 == 6:
        net[0].weight.grad = net[0].weight.grad.sign()
    opt.step()
""",
    "layers at random": """
layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))
frozen = nn.Linear(4, 4).requires_grad_(False)
second = torch.optim.Adam([*layers.parameters(), *frozen.parameters()], 1e-3)
for i in range(80):
    second.zero_grad()
    x = torch.randn(2, 4)
    for layer in layers:
        if random.random() < 0.6:
            x = layer(x)
    if x.requires_grad:
        x.square().mean().backward()
    second.step()
""",
    "wrapped": """
class Wrapper(torch.optim.Optimizer):
    def __init__(self, inner):
        self.inner = inner
        self.param_groups, self.state, self.defaults = inner.param_groups, inner.state, {}
    def step(self, closure=None):
        return self.inner.step(closure)
    def zero_grad(self, set_to_none=True):
        self.inner.zero_grad(set_to_none)
wrapper = Wrapper(opt)
for i in range(30):
    wrapper.zero_grad()
    loss_of().backward()
    wrapper.step()
""",
    "the program's own step": """
for i in range(40):
    net.zero_grad()
    loss_of().backward()
    if i % 2:
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.1 * p.grad
    else:
        opt.step()
""",
    "foreach and fused": """
second = torch.optim.Adam(other.parameters(), 1e-3, fused=True)
opt = torch.optim.SGD(net.parameters(), 0.1, foreach=True, momentum=0.9)
for i in range(70):
    opt.zero_grad()
    second.zero_grad()
    net(other(torch.randn(3, 4))).mean().backward()
    opt.step()
    second.step()
""",
}


def program(surprise: dict[str, str]) -> str:
    marks = {"before": "pass", "forward": "pass", "between": "pass", "after": "pass"}
    for place, code in surprise.items():
        marks[place] = f"if i == AT:\n        {code}"
    return PLAIN.format(**marks)


def observed(path: Path) -> str:
    """The Trace of a run, with the nodes counted from its beginning."""
    count = sequence_counter()
    assert count is not None
    first = count()
    session = graphlab.watch()
    with session, contextlib.suppress(RuntimeError, IndexError):
        runpy.run_path(str(path))
    return re.sub(
        r'"seq": (\d+)', lambda found: f'"seq": {int(found[1]) - first}', dumps(session.trace)
    )


CASES = {f"surprise: {name}": program(each) for name, each in SURPRISES.items()} | LOOPS


@pytest.mark.parametrize("name", CASES)
def test_the_trace_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "program.py"
    path.write_text(START + CASES[name], encoding="utf-8")
    grouped: list[Any] = []
    made = registry.Groups

    def counted(*args: Any) -> Any:
        grouped.append(args)
        return made(*args)

    monkeypatch.setattr(registry, "Groups", counted)
    in_groups = observed(path)
    # Two optimizers on the same parameters throughout: those are followed one by one.
    assert bool(grouped) is (name != "turns")
    monkeypatch.setattr(registry, "GROUPING", False)
    assert observed(path) == in_groups


def test_what_a_step_wrote_is_told_by_an_earlier_step() -> None:
    """Each parameter's memory and versions, whichever of them a step moves, and by how much."""
    draw = random.Random(0)
    parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(4)]
    parameters[1].grad = torch.ones(3)
    writes, told, expected = StepWrites(), [], []
    moves = [1, 0, 2, 0]
    for turn in range(40):
        if draw.random() < 0.2:
            moves = [draw.randrange(3) for _ in parameters]
        if turn == 20:
            parameters[2].data = torch.zeros(5)
        if turn in (10, 30):
            parameters[1].grad = None if turn == 10 else torch.ones(3)
        before = [each._version for each in parameters]
        with torch.no_grad():
            for each, move in zip(parameters, moves, strict=True):
                for _ in range(move):
                    each.add_(1.0)
        after = [each._version for each in parameters]
        found, silent = writes.note(parameters, before, after)
        told.append(found)
        written = [
            (storage_key(each), 0, each.nbytes, old, new)
            for each, old, new in zip(parameters, before, after, strict=True)
            if old != new or each.grad is not None
        ]
        assert silent is any(old == new for *_, old, new in written)
        expected.append(written)
    assert [[*each] for each in told] == expected
    assert [len(each) for each in told] == [len(each) for each in expected]
