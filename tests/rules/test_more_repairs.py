"""Repairs that graphlab fix tries beside the first, as pairs of scripts: no torch, no run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from graphlab.rules.repair.asked.columns import column_of_gradient
from graphlab.rules.repair.asked.functions import differentiable_twice, saved_for_backward
from graphlab.rules.repair.asked.leaves import kept_detached
from graphlab.rules.repair.asked.requiring import required_before_use, trained_alone
from graphlab.rules.repair.calls import one_real_number
from graphlab.rules.repair.double_softmax import without_softmax
from graphlab.rules.repair.given.registering import registered
from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.repair.graph.joined import for_its_step, joined
from graphlab.rules.repair.held.building import hold_more
from graphlab.rules.repair.held.clearing import cleared_before, cleared_elsewhere
from graphlab.rules.repair.held.later import written_later
from graphlab.rules.repair.inplace_modules import built_not_in_place
from graphlab.rules.repair.left_over import add_step, clear_gradients
from graphlab.rules.repair.reordered import copy_before_write, saved_later, view_after_write
from graphlab.trace.finding import Help
from graphlab.trace.model import Trouble
from graphlab.trace.values import Kind
from tests.rules.build import Script, backward, optimizer, parameter, saved, step


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


def test_an_optimizer_is_given_a_tensor_that_the_program_assigned_as_it_is() -> None:
    source = "self.scale = torch.tensor(1.0, requires_grad=True)\nopt = SGD(net.parameters())\n"
    script = Script(source)
    line = source.splitlines()[1]
    helps = hold_more(script.trace(), script.at(line), [parameter("self.scale")])
    assert outcomes(source, helps) == [
        source.replace("net.parameters()", "[*net.parameters(), self.scale]")
    ]


@pytest.mark.parametrize(
    ("value", "name", "mended"),
    [
        ("[]", "net.layers[0].weight", "nn.ModuleList()"),
        ("[f() for _ in x]", "net.scales[0]", "nn.ParameterList([f() for _ in x])"),
        ("built(3)", "net.it[0].weight", "nn.ModuleList(built(3))"),
        ("built(3)", "net.it['a'].weight", "nn.ModuleDict(built(3))"),
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


METHOD = """
class Agent:
    def __init__(self, net):
        self.net, self.opt = net, SGD(net.parameters())
    def update(self, loss):
        loss.backward()
agent = Agent(Net())
agent.update(loss)
"""


def test_a_method_says_self() -> None:
    script = Script(METHOD)
    found = add_step(script.trace(), script.at("loss.backward()"), "agent.opt")
    assert found is not None and "self.opt.step()" in found.after
    (found,) = cleared_before(script.trace(), script.at("loss.backward()"), "agent.opt")
    assert "        self.opt.zero_grad()\n        loss.backward()" in found.after
    # Another object's, which the method has a name for.
    other = METHOD.replace("update(self, loss)", "update(self, agent, loss)")
    script = Script(other)
    found = add_step(script.trace(), script.at("loss.backward()"), "agent.opt")
    assert found is not None and "agent.opt.step()" in found.after


def test_what_a_step_in_a_branch_leaves_is_cleared_before_every_backward() -> None:
    source = "for x in xs:\n    loss.backward()\n    if finite:\n        opt.step()\n"
    script = Script(source, (parameter("net.weight"),), (optimizer("opt"),))
    event = step(script.at("opt.step()"), sources=("loss",), leftover=(0,))
    trace = script.trace(backward(script.at("loss.backward()"), reached=(0,)), event)
    found = clear_gradients(trace, event)
    assert found is not None
    wanted = source.replace("    loss.", "    opt.zero_grad()\n    loss.", 1)
    assert outcomes(source, [found]) == [wanted]


@pytest.mark.parametrize(
    ("call", "trouble", "proves"),
    [
        ("loss.backward()", "non-scalar", True),
        ("loss.backward()", "complex-loss", False),
        ("loss.backward(torch.ones(4))", "gradient-shape", True),
        # A sign, or a weight for each entry.
        ("loss.backward(signs[kind])", "gradient-shape", False),
        ("loss.backward(gradient=-torch.ones(4))", "gradient-shape", False),
    ],
)
def test_a_repair_tells_what_it_decides_for_the_program(
    call: str, trouble: Trouble, proves: bool
) -> None:
    script = Script(f"{call}\n")
    event = backward(script.at(call), trouble=trouble, raised="RuntimeError")
    helps = list(one_real_number(script.trace(event), event))
    assert helps and all((not each.choice) is proves for each in helps)


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("y = (torch.rand(3) > 0.5).long()\nprint(net(x).argmax(1))", None),
        ("hits = (net(x) > 0.5).float().mean()", 3),
        ("p = self.net(x)\naction = torch.multinomial(p, 1)", 4),
        ("p = net(x)\nhits = p.round() == y", 4),
    ],
)
def test_scores_that_are_read_as_probabilities_are_told(rest: str, line: int | None) -> None:
    source = f"out = scale * torch.sigmoid(a + b)\nloss = bce(out, y)\n{rest}\n"
    script = Script(source)
    found = without_softmax(script.trace(), script.at("out = scale * torch.sigmoid(a + b)"))
    assert found is not None and found.after == "out = scale * (a + b)\n"
    assert found.choice == ("" if line is None else f"line {line} may take it for a probability")


def test_a_view_is_made_after_the_write() -> None:
    source = "a, b = x.chunk(2)\nx.mul_(3)\nloss = a.sum()\n"
    script = Script(source)
    trace = script.trace()
    helps = view_after_write(trace, script.at("a, b = x.chunk(2)"), script.at("x.mul_(3)"))
    assert outcomes(source, helps) == ["x.mul_(3)\na, b = x.chunk(2)\nloss = a.sum()\n"]
    other = replace(script.at("x.mul_(3)"), file="other.py")
    assert not list(view_after_write(trace, script.at("a, b = x.chunk(2)"), other))


@pytest.mark.parametrize(
    ("between", "kind", "moves"),
    [
        ("clip(net)", "parameter", True),
        # The loss would be of the next batch.
        ("x = fill()", "parameter", False),
        ("x.copy_(fill())", "input", False),
        ("print(loss)", "parameter", False),
    ],
)
def test_a_loss_is_computed_after_a_write_to_parameters_alone(
    between: str, kind: Kind, moves: bool
) -> None:
    source = f"def f():\n    return w\nloss = net(x)\n{between}\nloss.backward()\n"
    script = Script(source, (replace(parameter("net.weight"), kind=kind),))
    event = backward(script.at("loss.backward()"))
    problem = saved("stale", script.at("return w"))
    helps = saved_later(script.trace(event), [problem], event)
    moved = source.replace(f"loss = net(x)\n{between}", f"{between}\nloss = net(x)")
    assert outcomes(source, helps) == ([moved] if moves else [])


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


def test_of_what_unbind_gave_each_is_copied() -> None:
    source = "def f(m, n):\n    parts = m.unbind(0)\n    parts[0].add_(n)\n    return parts\n"
    script = Script(source)
    helps = copy_before_write(script.trace(), script.at("parts[0].add_(n)"))
    write = "    parts[0].add_(n)"
    copied = source.replace(write, f"    parts = [each.clone() for each in parts]\n{write}")
    made = outcomes(source, helps)
    assert copied in made
    assert not any("parts.clone()" in each for each in made)


def test_a_summand_of_the_loss_is_not_moved_out_of_it() -> None:
    source = "import torch\nloss = loss + f(x).item()\nloss.backward()\n"
    script = Script(source)
    at = script.at("loss = loss + f(x).item()")
    helps = graph_kept(script.trace(), at, "f(x).item()", script.at("loss.backward()"))
    assert set(outcomes(source, helps)) == {source.replace(".item()", "")}


def test_a_backward_for_some_parameters_alone_is_not_joined() -> None:
    source = "a.backward(inputs=[w])\nb.backward()\nopt.step()\n"
    script = Script(source)
    trace = script.trace(backward(script.at("b.backward()"), "b", raised="RuntimeError"))
    assert outcomes(source, joined(trace)) == []


@pytest.mark.parametrize("between", ["", "print(a)\n", "opt.step()\n"])
def test_two_backwards_before_one_step_are_one(between: str) -> None:
    source = f"a.backward()\n{between}b.backward()\nopt.step()\nopt.zero_grad()\n"
    script = Script(source)
    trace = script.trace(backward(script.at("b.backward()"), "b", raised="RuntimeError"))
    wanted = [f"{between}(a + b).backward()\nopt.step()\nopt.zero_grad()\n"]
    assert outcomes(source, joined(trace)) == ([] if "step" in between else wanted)


def test_a_backward_writes_for_the_step_that_follows_alone() -> None:
    source = "b.backward()\nopt_b.step()\n"
    script = Script(source)
    event = backward(script.at("b.backward()"), "b")
    new = 'b.backward(inputs=[p for g in opt_b.param_groups for p in g["params"]])\nopt_b.step()\n'
    assert outcomes(source, for_its_step(script.trace(event), event)) == [new]


@pytest.mark.parametrize("use", ["", "print(seen)\n"])
def test_a_call_that_writes_goes_behind_the_step_unless_its_result_is_read(use: str) -> None:
    head = "def clip(net):\n    net.weight.data.clamp_(-1, 1)\n    return 1\n\n\nloss = f(x)\n"
    source = f"{head}seen = clip(net)\n{use}loss.backward()\nopt.step()\nprint(1)\n"
    script = Script(source)
    event = backward(script.at("loss.backward()"))
    written = script.at("net.weight.data.clamp_(-1, 1)")
    found = outcomes(source, written_later(script.trace(event), written, event))
    moved = f"{head}loss.backward()\nopt.step()\nseen = clip(net)\nprint(1)\n"
    assert found == ([] if use else [moved])


CUBE = """
class Cube(Function):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g
"""


@pytest.mark.parametrize(
    ("was", "now", "whole"),
    [
        ("x**3", "x**3", True),
        # A value of forward's own, of which backward has no graph; and one that is not saved.
        ("ctx.save_for_backward(x)", "x = x * 2\n        ctx.save_for_backward(x)", False),
        ("(x,) = ctx.saved_tensors", "x = ctx.x", False),
        ("3 * x**2", "3 * x.detach()**2", False),
        ("3 * x**2 * g", "torch.mul(g, 3 * (x * x).abs())", True),
        # What another function does is not seen.
        ("3 * x**2 * g", "kernel(g, x)", False),
        ("3 * x**2 * g", "torch.ops.mine.cube(g, x)", False),
    ],
)
def test_only_a_backward_that_autograd_sees_whole_is_followed_again(
    was: str, now: str, whole: bool
) -> None:
    source = CUBE.replace(was, now)
    script = Script(source)
    helps = differentiable_twice(script.trace(), script.at("@once_differentiable"))
    wanted = source.replace("    @once_differentiable\n", "")
    assert outcomes(source, helps) == [wanted] * whole


def test_what_backward_unpacks_is_saved_if_it_is_given() -> None:
    source = (
        "class F(Function):\n    def forward(ctx, w, n):\n        return w * n\n\n"
        "    def backward(ctx, g):\n        (w,) = ctx.saved_tensors\n        return g * w, None\n"
    )
    script = Script(source)
    found = outcomes(
        source, saved_for_backward(script.trace(), script.at("(w,) = ctx.saved_tensors"))
    )
    save = "        ctx.save_for_backward(w)\n        return w * n"
    assert found == [source.replace("        return w * n", save)]
    other = source.replace("(w,) =", "(z,) =")
    script = Script(other)
    at = script.at("(z,) = ctx.saved_tensors")
    assert outcomes(other, saved_for_backward(script.trace(), at)) == []


def test_a_gradient_is_asked_of_what_went_in_and_of_what_trains() -> None:
    source = "def f(net, z):\n    u = net(z)\n    t = z[:, 1:2]\n    return grad(u, t)[0]\n"
    script = Script(source)
    event = backward(script.at("return grad(u, t)[0]"), cut=script.at("t = z[:, 1:2]"))
    found = outcomes(source, column_of_gradient(script.trace(event), event))
    assert found == [source.replace("grad(u, t)[0]", "grad(u, z)[0][:, 1:2]")]
    named = "def f():\n    return grad(loss, [p for _, p in net.named_parameters()])\n"
    script = Script(named)
    at = script.at("return grad(loss, [p for _, p in net.named_parameters()])")
    wanted = named.replace("parameters()]", "parameters() if p.requires_grad]")
    assert outcomes(named, trained_alone(script.trace(), at)) == [wanted]
    # A sum over another module's parameters may be meant to have all.
    two = named.replace(
        "    return", "    n = sum(p.sum() for p in teacher.parameters())\n    return"
    )
    script = Script(two)
    assert outcomes(two, trained_alone(script.trace(), replace(at, line=at.line + 1))) == []


def test_data_requires_grad_before_it_is_used_and_a_frozen_parameter_stays_so() -> None:
    source = "def f(x):\n    y = net(x)\n    return grad(y, x)\n"
    for kind, wanted in (("activation", 1), ("parameter", 0)):
        script = Script(source, tensors=(replace(parameter("x"), kind=kind),))  # type: ignore[arg-type]
        event = backward(script.at("return grad(y, x)"), subject=0)
        found = outcomes(source, required_before_use(script.trace(event), event))
        new = source.replace("    y =", "    x.requires_grad_(True)\n    y =")
        assert found == [new] * wanted


def test_what_a_module_remembers_has_no_graph_unless_others_read_it() -> None:
    source = "class N:\n    def forward(self, x):\n        self.h = f(x)\n        return self.h\n"
    script = Script(source)
    found = outcomes(source, kept_detached(script.trace(), script.at("self.h = f(x)")))
    lines = "h = f(x)\n        self.h = h.detach()\n        return h"
    assert found == [source.replace("self.h = f(x)\n        return self.h", lines)]
    script = Script(source + "loss = n.h.mean()\n")
    assert list(kept_detached(script.trace(), script.at("self.h = f(x)"))) == []
    script = Script(source)
    trace = script.trace()
    trace = replace(trace, sources={**trace.sources, "main.py": "loss = n.h.mean()\n"})
    assert list(kept_detached(trace, script.at("self.h = f(x)"))) == []


def test_a_module_in_place_is_built_out_of_place() -> None:
    source = "self.act = nn.ReLU(inplace=True)\nself.b = nn.ReLU(True)\ny = self.act(x)\n"
    script = Script(source)
    found = outcomes(source, built_not_in_place(script.trace(), script.at("y = self.act(x)")))
    assert found == [source.replace("inplace=True", "")]


@pytest.mark.parametrize(
    ("head", "knows"),
    [
        ("def main():\n    opt = SGD(net.parameters())\n", True),
        ("def step(net, opt):\n", True),
        ("def main():\n    opt = SGD(net.parameters())\n\n\ndef step(net):\n", False),
    ],
)
def test_gradients_are_cleared_where_the_optimizer_is_known(head: str, knows: bool) -> None:
    line = "    scaler.scale(net(1)).backward()\n"
    script = Script(head + line)
    helps = cleared_before(script.trace(), script.at(line.strip()), "opt")
    wanted = [f"{head}    opt.zero_grad()\n{line}"] if knows else []
    assert outcomes(head + line, helps) == wanted
