"""Repairs of what torch was given and does not take, as pairs of scripts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphlab.language import message
from graphlab.rules.gl007_non_scalar_loss import check
from graphlab.rules.repair.asked.leaves import forgotten_before_copy
from graphlab.rules.repair.asked.returned import complete_return
from graphlab.rules.repair.given.parameters import found_by_parameters, kept_in_a_list
from graphlab.rules.repair.given.unfit import made_fit
from graphlab.trace.functions.sightings import GivenUnfit
from graphlab.trace.model import FailedNode, Failure
from graphlab.trace.sightings import OptimizerRefused
from tests.rules.build import Script, activation, backward, refused
from tests.rules.test_more_repairs import outcomes

FLAT = "for p in net.parameters():\n    p.grad = flat[at : at + n]\n"


def given(at: Any, why: Any, **fields: Any) -> GivenUnfit:
    return GivenUnfit(**{"at": at, "call": "p.grad", "name": "net.weight", "shapes": ((), ()),
                         "within": None, **fields, "why": why})  # fmt: skip


@pytest.mark.parametrize(
    ("why", "shapes", "fit"),
    [
        ("shape", ((8, 4), (32,)), ".reshape(p.shape)"),
        ("shape", ((8, 1), (8,)), ".reshape(p.shape)"),
        ("shape", ((1, 8, 4), (8, 1, 4)), ".reshape(p.shape)"),
        ("shape", ((8, 4), (4, 8)), ".t()"),
        ("type", ((8, 4), (8, 4)), ".to(p.dtype)"),
        # Which of its elements are meant, or how it is reduced, is not told.
        ("shape", ((8, 4), (16,)), None),
        ("shape", ((8, 4), (5, 8, 4)), None),
        ("shape", ((2, 6), (3, 4)), None),
    ],
)
def test_a_gradient_is_brought_into_form(why: str, shapes: Any, fit: str | None) -> None:
    script = Script(FLAT)
    each = given(script.at("p.grad = flat[at : at + n]"), why, shapes=shapes)
    trace = script.trace(sightings=(each,))
    (finding,) = check(trace)
    assert finding.code == "GL007" and finding.severity == "error"
    found = outcomes(FLAT, made_fit(trace, each))
    assert found == ([FLAT.replace("n]", f"n]{fit}")] if fit is not None else [])


LOSS = """\
def loss_one(params, x):
    logits = net(params, x)
    return RETURNED


per_sample = vmap(grad(loss_one), in_dims=(None, 0))
gradients = per_sample(params, x)
"""


@pytest.mark.parametrize(
    ("why", "returned", "mended"),
    [
        ("several", "logits - x", [("logits - x", "(logits - x).mean()")]),
        ("tuple", "logits.mean(), logits", [("grad(loss_one)", "grad(loss_one, has_aux=True)")]),
        ("tuple", "logits.mean(), logits, x", None),
    ],
)
def test_what_torch_func_differentiates_is_one_number(
    why: str, returned: str, mended: list[tuple[str, str]] | None
) -> None:
    source = LOSS.replace("RETURNED", returned)
    script = Script(source)
    at, within = script.at("gradients = per_sample(params, x)"), script.at(source.split("\n")[0])
    each = given(at, why, name="loss_one", within=within)
    found = outcomes(source, made_fit(script.trace(), each))
    assert found[:1] == [source.replace(old, new) for old, new in mended or ()]
    assert len(found) == (2 if why == "several" else mended is not None)


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        ("at index 1 - got [3, 16] but expected shape compatible with [3]", "a.sum(1)"),
        (
            "at index 1 - got [2, 3, 4, 5] but expected shape compatible with [3]",
            "a.sum((0, 2, 3))",
        ),
        # Either dimension, or none, may be meant.
        ("at index 1 - got [3, 3] but expected shape compatible with [3]", None),
        ("at index 1 - got [16, 3] but expected shape compatible with [3, 16]", None),
        ("at index 3 - got [3, 16] but expected shape compatible with [3]", None),
    ],
)
def test_a_gradient_is_summed_to_its_input(said: str, mended: str | None) -> None:
    source = """\
class Scale(Function):
    def forward(ctx, w, s, k):
        return w * s[:, None] * k

    def backward(ctx, g):
        return g, a, None
"""
    script = Script(source)
    why = message("observed.contract.shape", name="input 1", shape="[3]")
    at = script.at("return g, a, None")
    event = backward(at, cut=at, node=FailedNode("", None, why=why))
    message_ = f"Function ScaleBackward returned an invalid gradient {said}"
    trace = replace(script.trace(event), exception=Failure("RuntimeError", message_, None, 0))
    found = complete_return(trace, event)
    assert (found is not None) is (mended is not None)
    if found is not None and mended is not None:
        assert outcomes(source, [found]) == [source.replace("g, a,", f"g, {mended},")]


SCALE = """\
class Scale(Function):
    def forward(ctx, x, k):
        ctx.save_for_backward(SAVED)
        return x * k

    def backward(ctx, g):
        UNPACKED = ctx.saved_tensors
        return g * k, None
"""


@pytest.mark.parametrize(
    ("saved", "unpacked", "mended"),
    [
        ("x, k", "x, k", ("ctx.save_for_backward(x)", "(x,) = ctx.saved_tensors")),
        ("x, k, y", "a, b, c", ("ctx.save_for_backward(x, y)", "a, c = ctx.saved_tensors")),
        ("k", "(k,)", ("", "")),
        ("x, k", "both", None),
        ("x, 2 * k", "x, k", None),
    ],
)
def test_what_is_no_tensor_is_kept_on_ctx(
    saved: str, unpacked: str, mended: tuple[str, str] | None
) -> None:
    source = SCALE.replace("SAVED", saved).replace("UNPACKED", unpacked)
    script = Script(source)
    within = script.at(f"ctx.save_for_backward({saved})")
    name = "2 * k" if "2" in saved else "k"
    each = given(None, "saved", name=name, within=within, call="Scale.apply()", kind="float")
    found = outcomes(source, made_fit(script.trace(), each))
    wanted = []
    if mended is not None:
        theirs = "b" if unpacked == "a, b, c" else "k"
        first = f"ctx.k = k\n        {mended[0]}" if mended[0] else "ctx.k = k"
        last = f"{mended[1]}\n        {theirs} = ctx.k" if mended[1] else "k = ctx.k"
        wanted = [
            source.replace(f"ctx.save_for_backward({saved})", first).replace(
                f"{unpacked} = ctx.saved_tensors", last
            )
        ]
    assert found == wanted


BUILT = """\
class Net(nn.Module):
    def __init__(self):
        self.one = ONE
        self.two = TWO


opt = SGD(net.parameters())
"""


@pytest.mark.parametrize(
    ("one", "two", "why", "mended"),
    [
        ("[Linear(1, 1)]", "[Linear(2, 2)]", "listed", ("nn.ModuleList", "nn.ModuleList")),
        ("zeros(1)", "ones(2) * 2", "plain", ("nn.Parameter", "nn.Parameter")),
        ("[Linear(1, 1)]", "{1: Linear(2, 2)}", "listed", None),
    ],
)
def test_all_that_is_hidden_is_registered(
    one: str, two: str, why: Any, mended: tuple[str, str] | None
) -> None:
    source = BUILT.replace("ONE", one).replace("TWO", two)
    script = Script(source)
    at = script.at("opt = SGD(net.parameters())")
    names = ("net.one", "net.two")
    each = OptimizerRefused(at, "SGD()", why, names, script.at(f"self.one = {one}"))
    found = outcomes(source, found_by_parameters(script.trace(), each))
    wanted = []
    if mended is not None:
        first = source.replace(f"= {one}\n", f"= {mended[0]}({one})\n")
        wanted = [first.replace(f"= {two}\n", f"= {mended[1]}({two})\n")]
    assert found == wanted


@pytest.mark.parametrize(
    ("made", "mended"),
    [
        ("net.parameters()", "list(net.parameters())"),
        ("(p for p in net.parameters())", "[p for p in net.parameters()]"),
    ],
)
def test_a_generator_of_parameters_is_kept_in_a_list(made: str, mended: str) -> None:
    source = f"params = {made}\ncount = len([*params])\nopt = SGD(params)\n"
    script = Script(source)
    cause = script.at(f"params = {made}")
    each = OptimizerRefused(script.at("opt = SGD(params)"), "SGD()", "used", ("params",), cause)
    found = outcomes(source, kept_in_a_list(script.trace(), each))
    assert found == [source.replace(made, mended)]


@pytest.mark.parametrize("begins", ["self.map = None", "self.map = x"])
def test_a_result_on_a_module_is_forgotten_before_the_copy(begins: str) -> None:
    source = f"class Net(nn.Module):\n    {begins}\n\n\nbest = copy.deepcopy(net)\n"
    script = Script(source, tensors=(activation("net.blocks.0.map"),))
    event = refused("leaf", script.at("best = copy.deepcopy(net)"), "copy.deepcopy()")
    found = outcomes(source, forgotten_before_copy(script.trace(event), event))
    lines = (
        'for module in net.modules():\n    if hasattr(module, "map"):\n        module.map = None\n'
    )
    wanted = source.replace("best =", f"{lines}best =")
    assert found == ([wanted] if begins.endswith("None") else [])
