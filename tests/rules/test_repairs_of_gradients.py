"""Repairs of what gradients are asked of, drawn from, and returned, as pairs of scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.language import key_of, message
from graphlab.rules.gl101_mixed_gradients import check, mixed_at_all
from graphlab.rules.repair.asked.returned import complete_return
from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.repair.graph.joined import joined
from graphlab.rules.repair.graph.kept_apart import gradients_with_graph
from graphlab.rules.repair.graph.once import cached_each_turn
from graphlab.rules.repair.operations import leaf_last
from graphlab.rules.repair.reordered import rows_stacked
from graphlab.trace.model import FailedNode, Mix, Share, Step
from tests.rules.build import Script, backward, optimizer, parameter
from tests.rules.test_more_repairs import outcomes

TWO = """\
out = net(x)
loss_a = out.mean()
loss_b = out.square().mean()
loss_a.backward()
loss_b.backward()
opt_a.step()
"""


@pytest.mark.parametrize(
    ("after", "names", "choice"),
    [
        ("", ("opt",), ""),
        ("sched.step()\n", ("opt",), ""),
        ("other.step()\n", ("opt", "other"), "fix.meant.both_losses"),
        # Each optimizer has a loss of its own by its name: it would apply the other one as well.
        ("opt_b.step()\n", ("opt_a", "opt_b"), None),
    ],
)
def test_losses_of_different_optimizers_are_not_joined(
    after: str, names: tuple[str, ...], choice: str | None
) -> None:
    script = Script(TWO + after, (parameter("net.weight"),), tuple(map(optimizer, names)))
    first = backward(script.at("loss_a.backward()"), "loss_a")
    second = backward(script.at("loss_b.backward()"), "loss_b", raised="RuntimeError")
    helps = [*joined(script.trace(first, second))]
    if choice is None:
        assert helps == []
        return
    both = TWO.replace("loss_a.backward()\nloss_b.b", "(loss_a + loss_b).b")
    assert outcomes(script.source, helps) == [both + after]
    assert [key_of(each.choice) for each in helps] == [choice]


def test_a_small_share_of_anothers_loss_is_no_warning_and_has_a_repair() -> None:
    source = "loss_v.backward()\nopt_v.step()\nloss_g.backward()\nopt_g.step()\n"
    tensors = (parameter("v.weight"), parameter("g.weight"))
    optimizers = (optimizer("opt_v", owns=(0,)), optimizer("opt_g", owns=(1,)))
    script = Script(source, tensors, optimizers)
    at = script.at("loss_v.backward()")
    shares = (
        Share("loss_g", 3, 1, 1.0, 0.95, 0.9),
        Share("loss_v", 1, 1, 0.1, 0.05, 0.1),
    )
    step = Step(0, script.at("opt_g.step()"), 1, 0, ("loss_v", "loss_g"), Mix(shares))
    trace = script.trace(
        backward(at, "loss_v", reached=(0, 1)),
        backward(script.at("loss_g.backward()"), "loss_g", reached=(1,)),
        step,
    )
    assert not [*check(trace)]
    (found,) = mixed_at_all(trace)
    own = source.replace("loss_v.backward(", "loss_v.backward(inputs=list(v.parameters())")
    own = own.replace("loss_g.backward(", "loss_g.backward(inputs=list(g.parameters())")
    assert outcomes(source, found.help) == [own]


@pytest.mark.parametrize("given", ["", "retain_graph=True"])
def test_gradients_that_are_differentiated_again_keep_a_graph(given: str) -> None:
    line = f"loss.backward({given})"
    source = f"{line}\ng = [p.grad + 0.0 for p in ps]\nhv = torch.autograd.grad(g, ps, v)\n"
    script = Script(source)
    first = backward(script.at(line))
    asked = script.at("hv = torch.autograd.grad(g, ps, v)")
    event = replace(backward(asked, "g"), call="torch.autograd.grad()", raised="RuntimeError")
    wanted = f"loss.backward({given}{', ' if given else ''}create_graph=True)"
    helps = gradients_with_graph(script.trace(first, event), event)
    assert outcomes(source, helps) == [source.replace(line, wanted)]
    # Not where it is known what took the graph.
    cut = replace(event, cut=asked, cut_by="g.detach()")
    assert not [*gradients_with_graph(script.trace(first, cut), cut)]


def test_a_sample_with_a_graph_is_drawn() -> None:
    source = "draws = dist.sample((4,))\nloss = draws.mean()\n"
    script = Script(source)
    helps = graph_kept(script.trace(), script.at("draws = dist.sample((4,))"), "dist.sample()")
    assert outcomes(source, helps) == [source.replace("sample", "rsample")]


def test_a_leaf_of_a_list_is_made_last() -> None:
    source = "scales = [torch.ones(2, requires_grad=True).to(device) for _ in names]\n"
    script = Script(source)
    found = leaf_last(script.trace(), script.at(source.strip()))
    wanted = "scales = [torch.ones(2).to(device).requires_grad_() for _ in names]\n"
    assert found is not None and outcomes(source, [found]) == [wanted]


def test_what_requires_grad_within_an_expression_is_told_to_last() -> None:
    source = "w = mean.to(device).requires_grad_(True) + 0.05 * torch.randn(8)\n"
    script = Script(source)
    found = leaf_last(script.trace(), script.at(source.strip()))
    wanted = "w = (mean.to(device) + 0.05 * torch.randn(8)).requires_grad_()\n"
    assert found is not None and outcomes(source, [found]) == [wanted]
    # Not where it is said twice, or taken back.
    for each in (source.replace("8)", "8).requires_grad_()"), source.replace("True", "False")):
        script = Script(each)
        assert leaf_last(script.trace(), script.at(each.strip())) is None


def test_rows_of_a_part_are_put_back_into_it() -> None:
    source = (
        "import torch\n\n\ndef shown(image):\n    image = image.clone()\n"
        "    for row, mean in zip(image[0], MEANS):\n        row.add_(mean)\n    return image\n"
    )
    script = Script(source)
    helps = rows_stacked(script.trace(), script.at("row.add_(mean)"))
    start, _, rest = source.partition("    for row")
    end = rest.partition("row.add_(mean)\n")[2]
    new = "    image[0] = torch.stack([row.add(mean) for row, mean in zip(image[0], MEANS)])\n"
    assert outcomes(source, helps) == [start + new + end]


def test_a_gradient_at_the_place_of_a_number_goes_to_its_own() -> None:
    source = (
        "class Round(Function):\n    @staticmethod\n    def forward(ctx, x, levels, beta):\n"
        "        return x\n\n    @staticmethod\n    def backward(ctx, grad_x):\n"
        "        grad_beta = grad_x.sum()\n        return grad_x, grad_beta, None\n"
    )
    script = Script(source)
    at = script.at("return grad_x, grad_beta, None")
    node = FailedNode("RoundBackward", None, why=message("observed.contract.other"))
    event = replace(backward(at), cut=at, node=node)
    found = complete_return(script.trace(), event)
    better = source.replace("return grad_x, grad_beta, None", "return grad_x, None, grad_beta")
    assert found is not None and outcomes(source, [found]) == [better]


@pytest.mark.parametrize("more", ["", "    print(loss)\n"])
def test_what_is_cached_around_a_loop_is_cached_in_each_turn(more: str) -> None:
    loop = "    for x in data:\n        loss = net(x).mean()\n        loss.backward()\n"
    source = f"with parametrize.cached():\n{loop}{more}"
    script = Script(source)
    event = backward(script.at("loss.backward()"))
    inner = "for x in data:\n    with parametrize.cached():\n"
    inner += "        loss = net(x).mean()\n        loss.backward()\n"
    helps = cached_each_turn(script.trace(event), event)
    assert outcomes(source, helps) == ([] if more else [inner])
