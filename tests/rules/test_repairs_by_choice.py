"""Repairs that decide what a program may not say, and those that its text settles: no run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.language import key_of
from graphlab.rules.repair.asked.leaves import leaf_each_turn
from graphlab.rules.repair.asked.numbers import detached_for_numpy
from graphlab.rules.repair.carried import if_cut_is_meant
from graphlab.rules.repair.graph.cuts import graph_kept, which_is_meant
from graphlab.rules.repair.graph.once import made_before_loop
from graphlab.rules.repair.graph.twice import backward_once, if_twice_is_meant
from graphlab.rules.repair.held.building import hold_more
from graphlab.rules.repair.held.stepping import clip_after_backward
from graphlab.trace.finding import Help
from graphlab.trace.model import Carrier, Refused
from graphlab.trace.values import Twice
from tests.rules.build import Script, activation, backward, parameter, step, zero_grad
from tests.rules.test_more_repairs import outcomes

HELPER = """def part(x):
    loss = f(x)
    loss.backward()
    return loss


for x in data:
    total = part(x) + 1
    total.backward()
    opt.step()
"""


@pytest.mark.parametrize(
    ("twice", "left"),
    [("same", ["total", "loss"]), ("whole", ["loss"]), ("part", ["total"]), ("", [])],
)
def test_one_of_two_backwards_that_add_up_is_left_out(twice: Twice, left: list[str]) -> None:
    script = Script(HELPER)
    first = backward(script.at("loss.backward()"))
    second = backward(script.at("total.backward()"), "total", twice=twice)
    trace = script.trace(first, second)
    lines = {"total": "    total.backward()\n", "loss": "    loss.backward()\n"}
    mended = outcomes(HELPER, backward_once(trace, first, second))
    assert mended == [HELPER.replace(lines[each], "") for each in left]
    (kept,) = if_twice_is_meant(trace, second, [Help("keep")])
    assert key_of(kept.choice) == ("fix.meant.twice" if twice else "")


def test_a_part_may_be_gone_back_from_for_another_step() -> None:
    source = "loss.backward()\nopt.zero_grad()\npart.backward()\nother.step()\n"
    script = Script(source)
    first = backward(script.at("loss.backward()"))
    second = backward(script.at("part.backward()"), "part", twice="part")
    trace = script.trace(first, zero_grad(script.at("opt.zero_grad()")), second)
    assert not [*backward_once(trace, first, second)]
    assert not [each.choice for each in if_twice_is_meant(trace, second, [Help("")]) if each.choice]


@pytest.mark.parametrize("stepped", [True, False])
def test_whether_a_gradient_ends_at_the_turn_is_said_by_a_step(stepped: bool) -> None:
    script = Script("for x in xs:\n    h = f(x, h)\n    loss.backward()\n    opt.step()\n")
    first = backward(script.at("loss.backward()"))
    second = backward(script.at("loss.backward()"), carriers=(Carrier("h", "tensor"),), seq=2)
    between = [step(script.at("opt.step()"))] if stepped else []
    trace = script.trace(first, *between, second)
    found = if_cut_is_meant(trace, first, second, Help("detach"))
    assert key_of(found.choice) == ("" if stepped else "fix.meant.carried")


@pytest.mark.parametrize(
    ("line", "open_"),
    [
        ("term = mse(q.detach(), z.detach())", True),
        ("term = (q.detach() - z.detach()).pow(2)", True),
        ("term = mse(q.detach(), fixed)", True),
        ("term = mse(q.detach(), z)", False),
        ("term = main + q.detach().mean() + z.detach().mean()", False),
        ("term = q.item() * z.detach()", False),
    ],
)
def test_which_of_two_cuts_in_one_term_is_meant(line: str, open_: bool) -> None:
    source = f"def f(q, z, main):\n    fixed = z.detach()\n    {line}\n    return term\n"
    script = Script(source)
    by = "q.item()" if "q.item()" in line else "q.detach()"
    start = source.index(by) - source.index(f"    {line}")
    at = replace(script.at(line), column=start + 1, end_column=start + len(by) + 1)
    helps = [*which_is_meant(script.trace(), at, graph_kept(script.trace(), at, by))]
    assert {key_of(each.choice) for each in helps} == {"fix.meant.which_cut" if open_ else ""}
    if open_:
        assert source.replace("q.detach()", "q") in outcomes(source, helps)
        other = "z" if "fixed)" in line else line
        changed = source.replace("fixed = z.detach()", "fixed = z") if other == "z" else (
            source.replace(line, line.replace("z.detach()", "z"))
        )  # fmt: skip
        assert changed in outcomes(source, helps)


ATTACK = """def attack(x):
    adv = x.clone().requires_grad_()
    for _ in range(3):
        f(adv).backward()
        adv = adv + adv.grad.sign()
        adv = adv.clamp(0, 1)
    return adv
"""


def test_a_leaf_in_the_first_turn_alone_is_one_in_each() -> None:
    script = Script(ATTACK)
    made = script.at("adv = adv + adv.grad.sign()")
    mended = ATTACK.replace("adv.clamp(0, 1)", "adv.clamp(0, 1).detach().requires_grad_()")
    assert outcomes(ATTACK, leaf_each_turn(script.trace(), made)) == [mended]


def test_what_is_read_after_it_was_written_is_no_such_leaf() -> None:
    source = ATTACK.replace("        f(adv)", "        adv = adv * 2\n        f(adv)")
    script = Script(source)
    assert not [*leaf_each_turn(script.trace(), script.at("adv = adv + adv.grad.sign()"))]


METRIC = """for x, y in data:
    pred = net(x)
    kept.append(score(y.numpy(), pred.numpy()))
    loss = f(pred, y)
    loss.backward()
"""


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        (METRIC, True),
        (METRIC.replace("f(pred, y)", "f(pred, y) + kept[-1]"), False),
        (METRIC.replace("kept.append(score(", "extra = ((").replace("f(pred, y)", "extra"), False),
    ],
)
def test_numbers_for_numpy_are_detached_and_no_loss_is_made_of_them(
    source: str, meant: bool
) -> None:
    script = Script(source, tensors=(activation("pred"),))
    line = next(each for each in source.splitlines() if "pred.numpy()" in each).strip()
    event = Refused(0, script.at(line), "pred.numpy()", 0, "numpy")
    (found,) = detached_for_numpy(script.trace(event), event)
    assert outcomes(source, [found]) == [source.replace("pred.n", "pred.detach().n")]
    assert key_of(found.choice) == ("" if meant else "fix.meant.carried_on")


def test_numbers_are_numbers_once_the_turn_has_gone_back() -> None:
    source = "def track(pred):\n    return pred.numpy()\n"
    script = Script(source, tensors=(activation("pred"),))
    at = script.at("return pred.numpy()")
    event = Refused(0, at, "pred.numpy()", 0, "numpy", iteration=0)
    before = script.trace(backward(at), event)
    assert not next(detached_for_numpy(before, event)).choice
    assert next(detached_for_numpy(script.trace(event), event)).choice


def test_clipping_is_moved_behind_the_only_backward() -> None:
    source = "clip(p)\nloss.backward()\nopt.step()\n"
    script = Script(source)
    trace = script.trace(backward(script.at("loss.backward()")))
    mended = "loss.backward()\nclip(p)\nopt.step()\n"
    assert outcomes(source, clip_after_backward(trace, script.at("clip(p)"), None)) == [mended]
    two = Script("clip(p)\na.backward()\nb.backward()\n")
    trace = two.trace(*(backward(two.at(f"{each}.backward()"), each) for each in "ab"))
    assert not [*clip_after_backward(trace, two.at("clip(p)"), None)]


BUILDER = """def build(params, lr):
    return torch.optim.Adam(params, lr=lr)


model = Model()
optimizer = build(model.encoder.parameters(), 0.1)
"""


def test_the_caller_of_what_builds_the_optimizer_gives_it_more() -> None:
    script = Script(BUILDER)
    built = script.at("return torch.optim.Adam(params, lr=lr)")
    missing = [replace(parameter("model.decoder.weight"), owner="model")]
    mended = BUILDER.replace(
        "model.encoder.parameters(),", "[*model.encoder.parameters(), *model.decoder.parameters()],"
    )
    assert mended in outcomes(BUILDER, hold_more(script.trace(), built, missing))
    twice = BUILDER + "other = build(model.head.parameters(), 0.1)\n"
    found = outcomes(twice, hold_more(Script(twice).trace(), built, missing))
    assert not any("*model.encoder" in each for each in found)


def test_what_is_unpacked_before_the_loop_is_detached_below() -> None:
    source = (
        "def fit(batch):\n    obs, ret = batch\n    for _ in range(3):\n        loss = f(ret)\n"
    )
    source += "        loss.backward()\n"
    script = Script(source)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("ret", "tensor"),))
    mended = source.replace("batch\n", "batch\n    ret = ret.detach()\n", 1)
    assert outcomes(source, made_before_loop(script.trace(event), event)) == [mended]
