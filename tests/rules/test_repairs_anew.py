"""Repairs of what is made once and needed anew, and of calls in the wrong place, as pairs of
scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.language import key_of
from graphlab.rules.registry import find
from graphlab.rules.repair.anew.closures import computed_in_closure
from graphlab.rules.repair.anew.handed_on import detached_as_stored, detached_by_text
from graphlab.rules.repair.anew.kept_values import values_written
from graphlab.rules.repair.anew.totals import begun_again
from graphlab.rules.repair.carried import detach_carried
from graphlab.rules.repair.graph.once import made_before_loop
from graphlab.rules.repair.held.building import build_again, hold_others
from graphlab.rules.repair.held.clearing import cleared_elsewhere
from graphlab.rules.repair.held.scaling import unscaled_once, updated
from graphlab.rules.repair.trained.stored import written
from graphlab.trace.model import Carrier, Forgotten
from graphlab.trace.sightings import OptimizerRefused, ResultDiscarded
from tests.rules.build import Script, backward, optimizer, parameter
from tests.rules.test_more_repairs import outcomes

CLOSURE = """\
for epoch in range(5):
    x, y = next(data)
    prediction = net(x)
    def closure():
        optimizer.zero_grad()
        loss = criterion(prediction, y)
        loss.backward()
        return loss
    optimizer.step(closure)
"""


def test_what_a_closure_needs_anew_is_computed_in_it() -> None:
    script = Script(CLOSURE)
    event = backward(script.at("loss.backward()"))
    mended = CLOSURE.replace("    prediction = net(x)\n", "").replace(
        "        optimizer.zero_grad()\n",
        "        prediction = net(x)\n        optimizer.zero_grad()\n",
    )
    # The next of the data is taken once, not in each call.
    assert outcomes(CLOSURE, computed_in_closure(script.trace(), event)) == [mended]


def test_what_is_read_outside_of_the_closure_too_is_computed_there_as_well() -> None:
    source = CLOSURE + "    print(prediction.mean())\n"
    script = Script(source)
    event = backward(script.at("loss.backward()"))
    (mended,) = outcomes(source, computed_in_closure(script.trace(), event))
    assert mended.count("prediction = net(x)") == 2


def test_a_function_that_no_step_is_handed_is_no_closure() -> None:
    source = CLOSURE.replace("step(closure)", "step()")
    script = Script(source)
    event = backward(script.at("loss.backward()"))
    assert not [*computed_in_closure(script.trace(), event)]


BANK = """\
class Bank(nn.Module):
    def update(self, index, feature):
        mixed = 0.5 * self.bank[index] + 0.5 * feature
        self.bank[index] = F.normalize(mixed, dim=1)
for index in batches:
    loss = criterion(net(index), memory.bank)
    loss.backward()
    optimizer.step()
    memory.update(index, feature)
"""


def test_a_buffer_keeps_the_values_of_what_is_written_into_it() -> None:
    script = Script(BANK)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("memory.bank", "tensor"),))
    assert outcomes(BANK, values_written(script.trace(), event)) == [
        BANK.replace("dim=1)", "dim=1).detach()")
    ]


def test_a_buffer_is_detached_behind_the_method_that_may_write_it() -> None:
    script = Script(BANK)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("memory.bank", "tensor"),))
    found = detach_carried(script.trace(), event)
    assert outcomes(BANK, [found] if found else []) == [
        BANK + "    memory.bank = memory.bank.detach()\n"
    ]


SUM = """\
class Meta:
    def __init__(self):
        self.meta_loss = 0.0
    def step(self):
        for task in tasks:
            self.meta_loss = self.meta_loss + adapt(task)
        self.optimizer.zero_grad()
        self.meta_loss.backward()
        return self.meta_loss.item()
"""


def test_a_sum_that_is_begun_in_the_constructor_begins_in_each_call() -> None:
    script = Script(SUM)
    event = backward(script.at("self.meta_loss.backward()"), "self.meta_loss")
    assert outcomes(SUM, begun_again(script.trace(), event)) == [
        SUM.replace("        for task", "        self.meta_loss = 0.0\n        for task")
    ]


def test_a_sum_of_several_turns_begins_again_where_it_was_used() -> None:
    source = """\
loss = 0
for t, x in enumerate(xs):
    loss += f(x)
    if t % 5 == 4:
        loss.backward()
        optimizer.step()
"""
    script = Script(source)
    event = backward(script.at("loss.backward()"))
    assert outcomes(source, begun_again(script.trace(), event)) == [source + "        loss = 0\n"]


def test_a_sum_that_each_turn_begins_is_left_alone() -> None:
    source = "for x in xs:\n    loss = 0\n    loss += f(x)\n    loss.backward()\n"
    script = Script(source)
    assert not [*begun_again(script.trace(), backward(script.at("loss.backward()")))]


SCALED = """\
for step in range(8):
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    clip_grad_norm_(model.parameters(), 1.0)
    if step % 4 == 3:
        scaler.step(optimizer)
        scaler.update()
"""


def test_gradients_are_unscaled_in_the_branch_that_steps() -> None:
    script = Script(SCALED)
    at = script.at("scaler.unscale_(optimizer)")
    got = [*unscaled_once(script.trace(), OptimizerRefused(at, at.code, "unscaled", ()))]
    lines = "    scaler.unscale_(optimizer)\n    clip_grad_norm_(model.parameters(), 1.0)\n"
    inner = "".join(f"    {line}\n" for line in lines.splitlines())
    moved = SCALED.replace(lines, "").replace("        scaler.step", f"{inner}        scaler.step")
    assert outcomes(SCALED, got) == [moved, SCALED.replace(f"    {at.code}\n", "")]


def test_a_scaler_is_updated_where_nothing_does() -> None:
    source = SCALED.replace("        scaler.update()\n", "")
    for text, many in ((source, 1), (SCALED, 0)):
        script = Script(text)
        at = script.at("scaler.step(optimizer)")
        got = [*updated(script.trace(), OptimizerRefused(at, at.code, "not_updated", ()))]
        assert outcomes(text, got) == [SCALED] * many


MICRO = """\
class Trainer:
    def micro(self, x):
        self.model.zero_grad()
        self.loss(x).backward()
    def fit(self):
        for i, x in enumerate(data):
            self.micro(x)
            if i % 4 == 3:
                self.optimizer.step()
"""


def test_gradients_are_cleared_where_another_function_steps() -> None:
    script = Script(MICRO)
    at, stepped = script.at("self.model.zero_grad()"), script.at("self.optimizer.step()")
    assert outcomes(MICRO, cleared_elsewhere(script.trace(), at, stepped)) == [
        MICRO.replace(f"        {at.code}\n", "") + " " * 16 + "self.optimizer.zero_grad()\n"
    ]


def test_an_optimizer_is_given_what_its_function_calls_the_network() -> None:
    source = """\
def make(generator, critic):
    first = Adam(critic.parameters())
    second = Adam(critic.parameters())
    return first, second
first, second = make(G, D)
"""
    script = Script(
        source,
        tensors=(parameter("D.weight"), parameter("G.weight")),
        optimizers=(
            optimizer("first", at=Script(source).at("first = Adam(critic.parameters())")),
            optimizer("second", at=Script(source).at("second = Adam(critic.parameters())")),
        ),
    )
    got = outcomes(source, hold_others(script.trace(), [script.tensors[1]]))
    assert got[0] == source.replace("first = Adam(critic", "first = Adam(generator")


def test_an_optimizer_is_given_what_its_own_function_calls_what_it_returns() -> None:
    source = (
        "def build():\n    g_model, d_model = DDP(G()), DDP(D())\n"
        "    one = Adam(g_model.parameters())\n    two = Adam(g_model.parameters())\n"
        "    return g_model, d_model, one, two\n\n\ng, d, one, opt_d = build()\n"
    )
    script = Script(source, tensors=(parameter("g.weight"), parameter("d.weight")))
    made = [script.at(f"{each} = Adam(g_model.parameters())") for each in ("one", "two")]
    optimizers = (optimizer("one", at=made[0]), optimizer("opt_d", at=made[1]))
    trace = replace(script, optimizers=optimizers).trace()
    got = outcomes(source, hold_others(trace, [script.tensors[1]]))
    assert source.replace("two = Adam(g_model", "two = Adam(d_model") in got
    # It is the one with its name that was written with the other's parameters.
    one = Forgotten(1, "loss.backward()", made[0], made[0])
    (finding,) = [each for each in find(replace(trace, forgotten=(one,))) if each.code == "GL103"]
    assert finding.cause is not None and finding.cause.at == made[1]


@pytest.mark.parametrize("off", [True, False])
def test_a_parameter_that_was_only_named_anew_is_written(off: bool) -> None:
    guard = "with torch.no_grad():\n    " if off else ""
    source = f"{guard}for t, s in zip(a.parameters(), b.parameters()):\n"
    source += f"{'    ' * off}    t = 0.9 * t + 0.1 * s\n"
    script = Script(source)
    told = ResultDiscarded(
        script.at("t = 0.9 * t + 0.1 * s"), "t", "t.copy_(0.9 * t + 0.1 * s)", rebound=True
    )
    (mended,) = outcomes(source, written(script.trace(), told))
    inside = "        t.copy_(0.9 * t + 0.1 * s)\n"
    head = source.rpartition("    t = ")[0]
    guarded = "    with torch.no_grad():\n" + inside
    assert mended == (head.removesuffix("    ") + inside if off else head + guarded)


def test_an_update_that_a_gradient_may_flow_through_is_not_written() -> None:
    source = (
        "grads = grad(loss, ps, create_graph=True)\nfor p in net.parameters():\n    p = p - 1\n"
    )
    script = Script(source)
    told = ResultDiscarded(script.at("p = p - 1"), "p", "p.copy_(p - 1)", rebound=True)
    assert not [*written(script.trace(), told)]


REPLACED = """\
class Experiment:
    def __init__(self, lr=0.05):
        self.model = Model()
        self.optimizer = SGD(self.model.parameters(), lr=lr, momentum=0.9)
    def adapt(self, classes):
        self.model.fc = nn.Linear(20, classes)
"""


def test_an_optimizer_of_the_constructor_is_built_again_with_its_own_settings() -> None:
    script = Script(REPLACED)
    built = script.at("self.optimizer = SGD(self.model.parameters(), lr=lr, momentum=0.9)")
    changed = script.at("self.model.fc = nn.Linear(20, classes)")
    new = '        self.optimizer = SGD(self.model.parameters(), lr=self.optimizer.defaults["lr"]'
    assert outcomes(REPLACED, build_again(script.trace(), built, changed)) == [
        f"{REPLACED}{new}, momentum=0.9)\n"
    ]


def test_from_outside_it_is_built_again_by_the_name_of_its_owner() -> None:
    head = REPLACED.partition("    def adapt")[0]
    source = f"{head}exp = Experiment()\nexp.model.fc = nn.Linear(20, 3)\n"
    built = Script(source).at("self.optimizer = SGD(self.model.parameters(), lr=lr, momentum=0.9)")
    script = Script(source, optimizers=(optimizer("exp.optimizer", at=built),))
    changed = script.at("exp.model.fc = nn.Linear(20, 3)")
    new = 'exp.optimizer = SGD(exp.model.parameters(), lr=exp.optimizer.defaults["lr"]'
    assert outcomes(source, build_again(script.trace(), built, changed)) == [
        f"{source}{new}, momentum=0.9)\n"
    ]


NORM = """\
class Norm(nn.Module):
    def __init__(self):
        self.u = torch.randn(4)
    def sigma(self):
        v = self.weight.t() @ self.u
        u = self.weight @ v
        self.u = u
        return u @ v
for x in data:
    loss = net(x).mean()
    loss.backward()
    optimizer.step()
"""


def test_an_attribute_is_detached_as_its_one_method_stores_it() -> None:
    script = Script(NORM)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("net.2.u", "tensor"),))
    (found,) = detached_as_stored(script.trace(event), event)
    assert outcomes(NORM, [found]) == [NORM.replace("self.u = u\n", "self.u = u.detach()\n")]
    assert not found.choice


def test_a_state_of_its_input_may_be_meant_to_go_on_from_call_to_call() -> None:
    source = NORM.replace("sigma(self)", "forward(self, x)").replace("@ self.u", "@ x")
    script = Script(source)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("net.2.u", "tensor"),))
    (found,) = detached_as_stored(script.trace(event), event)
    assert key_of(found.choice) == "fix.meant.carried"


def test_an_attribute_that_is_read_after_it_was_stored_keeps_its_graph() -> None:
    source = NORM.replace("return u @ v", "return self.u @ v")
    script = Script(source)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("net.2.u", "tensor"),))
    assert not [*detached_as_stored(script.trace(event), event)]


def test_what_a_call_hands_on_is_detached_in_each_form() -> None:
    source = """\
mems = None
for x in data:
    out, mems = model(x, mems)
    loss = out.mean()
    loss.backward()
    optimizer.step()
"""
    script = Script(source)
    event = backward(script.at("loss.backward()"))
    first, second, third = outcomes(source, detached_by_text(script.trace(event), event))
    assert first == source + "    mems = [each.detach() for each in mems]\n"
    assert "tuple(" in second and third.endswith("    mems = mems.detach()\n")
    # One that begins in each turn hands nothing on.
    inside = source.replace("mems = None\nfor x in data:\n", "for x in data:\n    mems = None\n")
    event = backward(Script(inside).at("loss.backward()"))
    assert not [*detached_by_text(Script(inside).trace(event), event)]


@pytest.mark.parametrize(("held", "choice"), [("net", ""), ("features", "fix.meant.once")])
def test_a_list_that_was_made_before_the_loop_is_detached_where_it_is_made(
    held: str, choice: str
) -> None:
    source = """\
targets = [gram(f) for f in features(style)]
for step in range(9):
    loss = distance(net(image), targets)
    loss.backward()
    optimizer.step()
"""
    tensors = (parameter("net.weight"), parameter("features.weight"))
    owns = (0,) if held == "net" else (1,)
    script = Script(source, tensors=tensors, optimizers=(optimizer(owns=owns),))
    event = backward(script.at("loss.backward()"), carriers=(Carrier("targets", "list"),))
    (found,) = made_before_loop(script.trace(event), event)
    line = "targets = [each.detach() for each in targets]\n"
    assert outcomes(source, [found]) == [source.replace("for step", f"{line}for step")]
    assert key_of(found.choice) == choice
