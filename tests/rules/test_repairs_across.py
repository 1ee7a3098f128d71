"""Repairs that reach across functions, branches and constructors, as pairs of scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.rules.registry import find
from graphlab.rules.repair.double_softmax import with_logarithm
from graphlab.rules.repair.graph.joined import each_for_its_own
from graphlab.rules.repair.held.clipping import clip_beside_step
from graphlab.rules.repair.held.made_once import made_in_constructor
from graphlab.rules.repair.held.ordered import computed_again, stepped_later
from graphlab.rules.repair.held.scheduled import scheduled_anew
from graphlab.rules.repair.held.stepping import stepped_before_clearing
from graphlab.trace.model import FailedNode
from graphlab.trace.sightings import Clipped, Fate
from tests.rules.build import Script, backward, parameter, saved
from tests.rules.test_more_repairs import outcomes

OWN = 'inputs=[p for g in opt_g.param_groups for p in g["params"]]'
BRANCHES = """\
def backward(g_loss, d_loss):
    if d_loss is not None:
        d_loss.backward()
    opt_d.step()
    if g_loss is not None:
        g_loss.backward()
    opt_g.step()
"""
METHODS = """\
def optimize(self):
    self.forward()
    self.backward_d()
    opt_d.step()
    opt_g.zero_grad()
    self.backward_g()
    opt_g.step()


def backward_g(self):
    self.loss_g.backward()


def forward(self):
    self.score = d(self.x)
"""
UPDATES = """\
def update(opt, loss):
    opt.zero_grad()
    loss.backward()
    opt.step()


for x in data:
    fake = g(x)
    score = d(fake)
    update(opt_d, score.mean())
    loss_g = -score.mean()
    update(opt_g, loss_g)
"""


def test_a_step_comes_after_the_backward_in_a_branch() -> None:
    script = Script(BRANCHES)
    event = backward(script.at("g_loss.backward()"), "g_loss")
    wanted = BRANCHES.replace("    opt_d.step()\n", "").replace(
        "g_loss.backward()\n", f"g_loss.backward({OWN})\n    opt_d.step()\n"
    )
    helps = stepped_later(script.trace(event), script.at("opt_d.step()"), event)
    assert outcomes(BRANCHES, helps) == [wanted]


def test_a_step_comes_after_the_method_that_runs_the_backward() -> None:
    script = Script(METHODS)
    event = backward(script.at("self.loss_g.backward()"), "self.loss_g")
    helps = stepped_later(script.trace(event), script.at("opt_d.step()"), event)
    wanted = METHODS.replace("    opt_d.step()\n", "")
    wanted = wanted.replace("self.backward_g()\n", "self.backward_g()\n    opt_d.step()\n")
    wanted = wanted.replace("self.loss_g.backward()", f"self.loss_g.backward({OWN})")
    assert outcomes(METHODS, helps) == [wanted]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Its own gradients are cleared in between, or those of everything; it is limited already;
        # nothing steps behind it.
        ("    opt_d.step()\n", "    opt_d.step()\n    opt_d.zero_grad()\n"),
        ("    opt_d.step()\n", "    opt_d.step()\n    model.zero_grad()\n"),
        ("g_loss.backward()", "g_loss.backward(inputs=w)"),
        ("    opt_g.step()\n", ""),
    ],
)
def test_a_step_stays_where_its_gradients_would_not(old: str, new: str) -> None:
    source = BRANCHES.replace(old, new)
    script = Script(source)
    line = new if "inputs" in new else "g_loss.backward()"
    event = backward(script.at(line), "g_loss")
    helps = stepped_later(script.trace(event), script.at("opt_d.step()"), event)
    assert outcomes(source, helps) == []


def test_in_one_body_another_repair_moves_the_step() -> None:
    source = BRANCHES.replace(
        "    if g_loss is not None:\n        g_loss.backward()\n", "    g_loss.backward()\n"
    )
    script = Script(source)
    event = backward(script.at("g_loss.backward()"), "g_loss")
    assert not [*stepped_later(script.trace(event), script.at("opt_d.step()"), event)]


def test_what_two_functions_part_is_computed_again_in_the_body_that_calls_them() -> None:
    script = Script(UPDATES, tensors=(parameter("d.weight"),))
    event = backward(script.at("loss.backward()"))
    stale = saved("stale", script.at("score = d(fake)"))
    helps = computed_again(script.trace(event), [stale], script.at("opt.step()"), event)
    first = "    update(opt_d, score.mean())\n"
    assert outcomes(UPDATES, helps) == [
        UPDATES.replace(first, f"{first}    score = d(fake)\n"),
    ]


def test_a_method_that_computed_it_is_called_again() -> None:
    script = Script(METHODS, tensors=(parameter("d.weight"),))
    event = backward(script.at("self.loss_g.backward()"), "self.loss_g")
    stale = saved("stale", script.at("self.score = d(self.x)"))
    helps = computed_again(script.trace(event), [stale], script.at("opt_d.step()"), event)
    step = "    opt_d.step()\n"
    assert outcomes(METHODS, helps) == [METHODS.replace(step, f"{step}    self.forward()\n")]


def test_what_trains_is_not_done_again() -> None:
    source = UPDATES.replace("score = d(fake)", "score = d.step(fake)")
    script = Script(source, tensors=(parameter("d.weight"),))
    event = backward(script.at("loss.backward()"))
    stale = saved("stale", script.at("score = d.step(fake)"))
    helps = computed_again(script.trace(event), [stale], script.at("opt.step()"), event)
    assert outcomes(source, helps) == []


@pytest.mark.parametrize(
    ("line", "module", "mended"),
    [
        ("self.act = nn.Softmax(dim=1)", "Softmax", "self.act = nn.LogSoftmax(dim=1)"),
        ("return F.softmax(x, dim=1)", "", "return F.log_softmax(x, dim=1)"),
        ("p = net(x).softmax(-1)", "", "p = net(x).log_softmax(-1)"),
        ("p = softmax(x, 1)", "", None),
        ("p = torch.sigmoid(x)", "", None),
    ],
)
def test_a_likelihood_is_given_logarithms(line: str, module: str, mended: str | None) -> None:
    source = f"def f(x):\n    {line}\n"
    script = Script(source)
    found = outcomes(source, with_logarithm(script.trace(), script.at(line), module))
    assert found == ([source.replace(line, mended)] if mended is not None else [])


SCHEDULED = """\
opt = SGD(net.parameters())
scheduler = StepLR(opt, 3)
for epoch in range(9):
    if epoch == 3:
        opt = SGD(net.parameters(), lr=0.1)
    opt.step()
"""


def test_a_scheduler_is_built_where_its_optimizer_is_built_anew() -> None:
    script = Script(SCHEDULED)
    anew = "        opt = SGD(net.parameters(), lr=0.1)\n"
    helps = scheduled_anew(script.trace(), script.at("opt.step()"))
    wanted = SCHEDULED.replace(anew, f"{anew}        scheduler = StepLR(opt, 3)\n")
    assert outcomes(SCHEDULED, helps) == [wanted]


def test_a_scheduler_goes_behind_an_optimizer_of_the_same_body() -> None:
    source = "opt = SGD(w)\nsched = lr_scheduler.StepLR(opt, 3)\nopt = Adam(w)\nopt.step()\n"
    script = Script(source)
    helps = scheduled_anew(script.trace(), script.at("opt.step()"))
    assert outcomes(source, helps) == [
        "opt = SGD(w)\nopt = Adam(w)\nsched = lr_scheduler.StepLR(opt, 3)\nopt.step()\n"
    ]


@pytest.mark.parametrize("more", ["other = SGD(w)\n", "opt = SGD(w)\nopt = Adam(w)\n"])
def test_of_another_variable_or_of_several_no_scheduler_is_built(more: str) -> None:
    source = f"opt = SGD(w)\nscheduler = StepLR(opt, 3)\n{more}opt.step()\n"
    script = Script(source)
    assert outcomes(source, scheduled_anew(script.trace(), script.at("opt.step()"))) == []


WRAPPED = """\
def __call__(self):
    self.scheduler.step()
    self.opt.zero_grad()


def train(self, x):
    loss = f(x)
    loss.backward()
    self.optim()
"""


def fate(script: Script, cleared: str) -> Fate:
    at = script.at("loss.backward()")
    return Fate(at, "loss.backward()", (0,), 8, 0, 8, 0, script.at(cleared), cleared, False)


def test_a_step_is_put_before_what_clears_its_gradients_and_before_the_schedule() -> None:
    script = Script(WRAPPED)
    helps = stepped_before_clearing(script.trace(), fate(script, "self.opt.zero_grad()"))
    line = "    self.scheduler.step()\n"
    assert outcomes(WRAPPED, helps) == [WRAPPED.replace(line, f"    self.opt.step()\n{line}")]


def test_what_clears_before_the_backward_is_no_place_for_the_step() -> None:
    source = "for x in data:\n    opt.zero_grad()\n    loss = f(x)\n    loss.backward()\n"
    script = Script(source)
    helps = stepped_before_clearing(script.trace(), fate(script, "opt.zero_grad()"))
    assert outcomes(source, helps) == []


CLIP = "nn.utils.clip_grad_norm_(self.model.parameters(), self.limit)"
CLIPPED = f"""\
class Trainer:
    def loss_of(self, x):
        loss = self.model(x).mean()
        {CLIP}
        return loss

    def fit(self, data):
        for x in data:
            self.loss_of(x).backward()
            self.opt.step()
"""


@pytest.mark.parametrize(
    ("clip", "moves"), [(CLIP, True), (CLIP.replace("self.model", "x"), False)]
)
def test_clipping_moves_to_the_step_where_it_says_the_same_there(clip: str, moves: bool) -> None:
    source = CLIPPED.replace(CLIP, clip)
    script = Script(source)
    seen = Clipped(
        script.at(clip), "clip_grad_norm_()", "none", 0, 8, step=script.at("self.opt.step()")
    )
    step = "            self.opt.step()\n"
    wanted = source.replace(f"        {clip}\n", "").replace(step, f"            {clip}\n{step}")
    found = outcomes(source, clip_beside_step(script.trace(), seen))
    assert found == ([wanted] if moves else [])


MODULE = """\
class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        half, size = self.classes // 2, x.size(1)
        rest = self.classes - 1
        {line}
        return self.fc(x)
"""


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("self.fc = nn.Linear(x.size(1), self.classes)", "nn.Linear(72, self.classes)"),
        ("self.fc = nn.Linear(72, 3).to(x.device)", "nn.Linear(72, 3)"),
        ("self.fc = nn.Linear(x.size(1), len(x))", None),
        ("self.fc = Head(x.size(1), self.classes)", None),
        ("self.fc = Head(rest, 3)", "Head((self.classes - 1), 3)"),
        # Bound with another, which the input decides; and that itself.
        ("self.fc = Head(half, 3)", None),
        ("self.fc = Head(size, 3)", None),
    ],
)
def test_a_layer_of_forward_is_made_in_the_constructor(line: str, made: str | None) -> None:
    source = MODULE.format(line=line)
    script = Script(source)
    weight = replace(parameter("net.fc.weight"), shape=(3, 72))
    helps = made_in_constructor(script.trace(), script.at(line), [weight])
    last = "        self.classes = classes\n"
    wanted = source.replace(f"        {line}\n", "").replace(
        last, f"{last}        self.fc = {made}\n"
    )
    assert outcomes(source, helps) == ([wanted] if made is not None else [])


@pytest.mark.parametrize(("name", "mended"), [("backwards", True), ("reverse", False)])
def test_a_misspelt_backward_is_renamed(name: str, mended: bool) -> None:
    source = (
        "class Sign(Function):\n    def forward(ctx, x):\n        return x.sign()\n\n"
        f"    def {name}(ctx, g):\n        return g\n\n\nloss.backward()\n"
    )
    script = Script(source)
    at = script.at("loss.backward()")
    event = backward(
        at, trouble="no-backward", raised="NotImplementedError",
        node=FailedNode("SignBackward", script.at("return x.sign()")),
    )  # fmt: skip
    (finding,) = [each for each in find(script.trace(event)) if each.code == "GL010"]
    wanted = [source.replace(f"def {name}", "def backward")] if mended else []
    assert outcomes(source, finding.others) == wanted


ZIPPED = """\
for loss, opt in zip([a, b], optimizers):
    opt.zero_grad()
    loss.backward()
    opt.step()
"""


def test_each_loss_of_a_loop_keeps_the_graph_and_trains_its_own() -> None:
    script = Script(ZIPPED)
    event = backward(script.at("loss.backward()"))
    inputs = OWN.replace("opt_g", "opt")
    wanted = [ZIPPED.replace("backward()", f"backward(retain_graph=True, {inputs})")]
    assert outcomes(ZIPPED, each_for_its_own(script.trace(event), event)) == wanted
    # Not where each turn computes its loss anew: then the graph is an earlier turn's.
    single = Script(ZIPPED.replace("for loss, opt", "for x, opt"))
    event = backward(single.at("loss.backward()"))
    assert not [*each_for_its_own(single.trace(event), event)]
