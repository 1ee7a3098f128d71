"""Repairs of what torch refused, as pairs of scripts: a hook, a group, a weight, a batch norm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.rules.repair.anew.used_up import detached_after
from graphlab.rules.repair.asked.guarded import guarded_and_imported
from graphlab.rules.repair.asked.hooks import fitting_return
from graphlab.rules.repair.asked.statistics import without_statistics
from graphlab.rules.repair.asked.trained import trained_where_listed
from graphlab.rules.repair.carried import detach_carried
from graphlab.rules.repair.trained.groups import groups_apart
from graphlab.rules.repair.trained.latent import computed_from_latent
from graphlab.trace.model import Carrier, Failure
from tests.rules.build import Script, backward, parameter, refused, step
from tests.rules.test_more_repairs import outcomes

ADAPT = """\
def adapt(net, x):
    params = MADE
    loss = net(x).mean()
    grads = grad(loss, ASKED)
    return params, grads
"""


@pytest.mark.parametrize(
    ("made", "asked", "mended"),
    [
        (
            "dict(net.named_parameters())",
            "params.values()",
            "{name: p for name, p in net.named_parameters() if p.requires_grad}",
        ),
        (
            "OrderedDict(net.named_parameters())",
            "list(params.values())",
            "OrderedDict((name, p) for name, p in net.named_parameters() if p.requires_grad)",
        ),
        ("list(net.parameters())", "params", "[p for p in net.parameters() if p.requires_grad]"),
        ("[*net.parameters()]", "params", "[p for p in net.parameters() if p.requires_grad]"),
        (
            "{k: v for k, v in net.named_parameters()}",
            "tuple(params.values())",
            "{k: v for k, v in net.named_parameters() if v.requires_grad}",
        ),
        # It is chosen already, or by what is not seen here.
        ("[p for p in net.parameters() if p.ndim]", "params", None),
        ("chosen(net)", "params", None),
    ],
)
def test_gradients_are_asked_of_what_trains(made: str, asked: str, mended: str | None) -> None:
    source = ADAPT.replace("MADE", made).replace("ASKED", asked)
    script = Script(source)
    event = backward(script.at(f"grads = grad(loss, {asked})"), subject=0)
    found = outcomes(source, trained_where_listed(script.trace(event), event))
    assert found == ([source.replace(made, mended)] if mended is not None else [])


def test_an_argument_is_followed_to_its_one_call() -> None:
    source = "def adapt(w):\n    return grad(loss, w)\n\n\nfast = adapt(list(net.parameters()))\n"
    script = Script(source)
    event = backward(script.at("return grad(loss, w)"), subject=0)
    (found,) = outcomes(source, trained_where_listed(script.trace(event), event))
    assert found.endswith("fast = adapt([p for p in net.parameters() if p.requires_grad])\n")
    source += "other = adapt(rest)\n"
    script = Script(source)
    event = backward(script.at("return grad(loss, w)"), subject=0)
    assert [*trained_where_listed(script.trace(event), event)] == []


WRITES = "import copy\n\n\ndef update(ours, theirs):\n    ours.mul_(0.9)\n    ours.add_(theirs)\n"


@pytest.mark.parametrize(
    ("imports", "mended", "name"),
    [
        ("import copy\n", "import copy\nimport torch\n", "torch"),
        ("import torch as th\n", "import torch as th\n", "th"),
        ("import torch, copy\n", "import torch, copy\n", "torch"),
    ],
)
def test_a_file_without_torch_imports_it(imports: str, mended: str, name: str) -> None:
    source = WRITES.replace("import copy\n", imports)
    script = Script(source)
    (found,) = outcomes(source, guarded_and_imported(script.trace(), script.at("ours.mul_(0.9)")))
    guard = f"    with {name}.no_grad():\n        ours.mul_(0.9)\n        ours.add_(theirs)\n"
    assert found == f"{mended}\n\ndef update(ours, theirs):\n{guard}"


@pytest.mark.parametrize("imports", ["import torch\n", "torch = None\n"])
def test_a_file_with_torch_has_its_own_repair(imports: str) -> None:
    script = Script(imports + WRITES)
    assert [*guarded_and_imported(script.trace(), script.at("ours.mul_(0.9)"))] == []


LAYER = """\
class Binary(nn.Module):
    def forward(self, x):
        self.weight.copy_(self.weight.sign())
        return F.linear(x, self.weight)
"""


def test_signs_are_computed_apart_from_the_weight() -> None:
    script = Script(LAYER)
    at = script.at("self.weight.copy_(self.weight.sign())")
    event = refused("leaf", at, "self.weight.copy_()")
    found = computed_from_latent(script.trace(event), event)
    assert found is not None
    past = "weight = self.weight + (self.weight.sign() - self.weight).detach()"
    wanted = LAYER.replace(at.code, past).replace("(x, self.weight)", "(x, weight)")
    assert outcomes(LAYER, [found]) == [wanted]


@pytest.mark.parametrize(
    "code", ["self.weight.clamp_(0)", "self.weight.copy_(other.sign())", "self.weight.copy_(x)"]
)
def test_what_keeps_a_weight_in_bounds_is_a_write(code: str) -> None:
    script = Script(LAYER.replace("self.weight.copy_(self.weight.sign())", code))
    event = refused("leaf", script.at(code), code)
    assert computed_from_latent(script.trace(event), event) is None


NORMS = """\
net = nn.Sequential(
    nn.Conv2d(1, 6, 3),
    nn.BatchNorm2d(6),
    nn.BatchNorm2d(6, momentum=None, track_running_stats=True),
)
run()
"""


@pytest.mark.parametrize(("more", "choice"), [("", False), ("net.eval()\n", True)])
def test_batch_norms_keep_no_statistics(more: str, choice: bool) -> None:
    script = Script(NORMS + more)
    (found,) = without_statistics(script.trace(), script.at("run()"))
    wanted = NORMS.replace("(6)", "(6, track_running_stats=False)").replace("=True", "=False")
    assert outcomes(NORMS + more, [found]) == [wanted + more]
    assert bool(found.choice) is choice


@pytest.mark.parametrize(
    ("said", "returned", "mended"),
    [
        ("an invalid number of grad_input", "(None, g * 2, None)", "(g * 2,)"),
        ("an invalid number of grad_input", "(a, None, b)", "(a, b)"),
        ("an invalid number of grad_input", "(None, None)", None),
        ("has changed the type of value", "g.double() * 2", "(g.double() * 2).to(g.dtype)"),
        ("has changed the size of value", "g.mean(0)", None),
    ],
)
def test_a_hook_returns_what_fits(said: str, returned: str, mended: str | None) -> None:
    source = f"def hook(module, gradients, g):\n    return {returned}\n"
    script = Script(source)
    event = backward(script.at(f"return {returned}"), cut=script.at(f"return {returned}"))
    trace = replace(script.trace(event), exception=Failure("RuntimeError", said, None, 0))
    found = outcomes(source, fitting_return(trace, event))
    assert found == ([source.replace(returned, mended)] if mended is not None else [])


@pytest.mark.parametrize(
    ("parts", "rest"),
    [
        (["net", "net.head"], '"head."'),
        (["net.head", "net", "net.body.last"], '("head.", "body.last.")'),
        # Neither is a part of the other.
        (["net.head", "net.header"], None),
    ],
)
def test_a_group_of_the_whole_leaves_out_what_has_its_own(
    parts: list[str], rest: str | None
) -> None:
    groups = ", ".join(f'{{"params": {each}.parameters(), "lr": 0.1}}' for each in parts)
    source = f"opt = SGD([{groups}])\n"
    script = Script(source)
    found = outcomes(source, groups_apart(script.trace(), script.at(source.strip())))
    new = f"[p for name, p in net.named_parameters() if not name.startswith({rest})]"
    assert found == ([source.replace("net.parameters()", new)] if rest is not None else [])


EPISODE = """\
def fit(prediction, target):
    loss = (prediction - target).square()
    loss.backward()


def episode():
    for state in states:
        v = value(state)
        fit(v, target)
        print(v.item())
        terms.append(log_prob * (target - v))
    total = sum(terms)
    total.backward()
"""


def test_what_a_backward_used_up_is_a_number_from_there_on() -> None:
    script = Script(EPISODE)
    first = backward(script.at("loss.backward()"))
    event = backward(script.at("total.backward()"), "total")
    stepped = step(script.at("loss.backward()"))
    trace = script.trace(first, stepped, event)
    found = outcomes(EPISODE, detached_after(trace, first, event))
    assert found == [EPISODE.replace("- v))", "- v.detach()))")]
    again = replace(event, at=first.at)
    trace = script.trace(first, stepped, again)
    assert [*detached_after(trace, first, again)] == []
    # Nothing has changed since: what is to become of the graph is not told.
    assert [*detached_after(script.trace(first, event), first, event)] == []


def test_a_state_that_another_file_reads_is_carried() -> None:
    source = "for x in data:\n    loss = net(x)\n    loss.backward()\n    opt.step()\n"
    cell = "class Cell:\n    def forward(self, x):\n        self.h = x + self.h\n"
    script = Script(source, tensors=(parameter("net.weight"),))
    carried = (Carrier("net.cell.h", "tensor"), Carrier("loss", "tensor"))
    event = backward(script.at("loss.backward()"), carriers=carried)
    trace = script.trace(event)
    assert detach_carried(trace, event) is None
    found = detach_carried(replace(trace, sources={**trace.sources, "cell.py": cell}), event)
    assert found is not None
    assert outcomes(source, [found]) == [f"{source}    net.cell.h = net.cell.h.detach()\n"]
