"""Repairs that graphlab fix tries beside the first, as pairs of scripts: no torch, no run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.repair.held.building import hold_more, registered
from graphlab.rules.repair.held.clearing import cleared_elsewhere
from graphlab.rules.repair.reordered import copy_before_write, view_after_write
from graphlab.trace.finding import Help
from tests.rules.build import Script, parameter


def outcomes(source: str, helps: Iterable[Help]) -> list[str]:
    """The script as each repair leaves it."""
    lines = source.splitlines(keepends=True)
    found = []
    for each in helps:
        assert each.line is not None
        head = "".join(lines[: each.line - 1])
        assert source[len(head) :].startswith(each.before)
        found.append(head + each.after + source[len(head) + len(each.before) :])
    return found


@pytest.mark.parametrize(
    ("line", "by", "mended"),
    [
        ("loss = f(x).detach().item()", "f(x).detach().item()", "loss = f(x)"),
        ("loss = (a + b).item()", "(a + b).item()", "loss = (a + b)"),
        ("loss = torch.tensor([a, b]).sum()", "torch.tensor()", "loss = torch.stack([a, b]).sum()"),
        ("loss = torch.tensor(f(x), requires_grad=True)", "torch.tensor()", "loss = f(x)"),
        ("loss = g(x.data) + 1", "x.data", "loss = g(x) + 1"),
        ("loss = torch.from_numpy(np.abs(x.numpy()))", "x.numpy()", "loss = torch.abs(x)"),
    ],
)
def test_what_leaves_the_graph_is_left_out(line: str, by: str, mended: str) -> None:
    source = f"import torch\n{line}\nloss.backward()\n"
    script = Script(source)
    helps = graph_kept(script.trace(), script.at(line), by)
    assert source.replace(line, mended) in outcomes(source, helps)


def test_numbers_in_a_list_are_tensors_again_at_both_ends() -> None:
    source = (
        "losses = []\nfor x in data:\n    losses.append(f(x).item())\nloss = torch.tensor(losses)\n"
    )
    script = Script(source)
    helps = graph_kept(script.trace(), script.at("losses.append(f(x).item())"), "f(x).item()")
    wanted = source.replace(".item()", "").replace("torch.tensor", "torch.stack")
    assert wanted in outcomes(source, helps)


def test_a_guard_gives_up_its_last_lines_or_all() -> None:
    source = "with torch.no_grad():\n    a = f(x)\n    b = g(a)\nloss = b.sum()\n"
    script = Script(source)
    helps = graph_kept(script.trace(), script.at("with torch.no_grad():"), "torch.no_grad()")
    assert outcomes(source, helps) == [
        "a = f(x)\nb = g(a)\nloss = b.sum()\n",
        "with torch.no_grad():\n    a = f(x)\nb = g(a)\nloss = b.sum()\n",
    ]


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ("net.parameters()", "[*net.parameters(), *head.parameters()]"),
        ("list(net.parameters())", "[*net.parameters(), *head.parameters()]"),
        ("[w, b]", "[w, b, *head.parameters()]"),
        ('[{"params": [w]}]', '[{"params": [w]}, {"params": [*head.parameters()]}]'),
    ],
)
def test_an_optimizer_is_given_what_it_lacks(given: str, mended: str) -> None:
    source = f"optimizer = SGD({given}, lr=0.1)\noptimizer.step()\n"
    script = Script(source)
    line = source.splitlines()[0]
    helps = hold_more(script.trace(), script.at(line), [parameter("head.weight")])
    assert outcomes(source, helps) == [source.replace(given, mended)]


@pytest.mark.parametrize(
    ("value", "name", "mended"),
    [
        ("[]", "net.layers[0].weight", "nn.ModuleList()"),
        ("[f() for _ in x]", "net.scales[0]", "nn.ParameterList([f() for _ in x])"),
        ("nn.Parameter(torch.ones(3)).to(d)", "net.gain", "nn.Parameter(torch.ones(3).to(d))"),
        ("torch.zeros(3)", "net.bias", "nn.Parameter(torch.zeros(3))"),
    ],
)
def test_what_a_module_makes_is_registered(value: str, name: str, mended: str) -> None:
    source = f"self.it = {value}\nself.other = nn.Linear(1, 1)\n"
    script = Script(source)
    helps = registered(script.trace(), script.at(f"self.it = {value}"), [parameter(name)])
    assert outcomes(source, helps) == [source.replace(f"= {value}", f"= {mended}")]


def test_gradients_are_cleared_once_for_a_loop() -> None:
    source = "for x in xs:\n    net.zero_grad()\n    f(x).backward()\nopt.step()\n"
    script = Script(source)
    helps = cleared_elsewhere(script.trace(), script.at("net.zero_grad()"))
    wanted = "net.zero_grad()\nfor x in xs:\n    f(x).backward()\nopt.step()\n"
    assert outcomes(source, helps) == [wanted]


def test_a_view_is_made_after_the_write() -> None:
    source = "a, b = x.chunk(2)\nx.mul_(3)\nloss = a.sum()\n"
    script = Script(source)
    trace = script.trace()
    helps = view_after_write(trace, script.at("a, b = x.chunk(2)"), script.at("x.mul_(3)"))
    assert outcomes(source, helps) == ["x.mul_(3)\na, b = x.chunk(2)\nloss = a.sum()\n"]
    other = replace(script.at("x.mul_(3)"), file="other.py")
    assert not list(view_after_write(trace, script.at("a, b = x.chunk(2)"), other))


def test_a_copy_is_made_only_where_nobody_keeps_the_old_one() -> None:
    returned = "def f(m, n):\n    m.diagonal().add_(n)\n    return m\n"
    script = Script(returned)
    helps = copy_before_write(script.trace(), script.at("m.diagonal().add_(n)"))
    assert outcomes(returned, helps) == [
        "def f(m, n):\n    m = m.clone()\n    m.diagonal().add_(n)\n    return m\n"
    ]
    # The caller would be left with the old tensor.
    kept = returned.replace("return m", "return n")
    script = Script(kept)
    assert not list(copy_before_write(script.trace(), script.at("m.diagonal().add_(n)")))
