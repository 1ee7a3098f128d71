"""Repairs of a model's mode and of what its loss compares, as pairs of scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.language import key_of
from graphlab.rules.repair.asked.twice import by_differences
from graphlab.rules.repair.double_softmax import has_logarithms, with_logarithm
from graphlab.rules.repair.held.building import hold_more
from graphlab.rules.repair.held.scheduled import planned_for_loader
from graphlab.rules.repair.left_over import clear_after_step
from graphlab.rules.repair.trained.frozen import meant_to_train, trains_what_it_holds
from graphlab.rules.repair.trained.modes import back_to_training
from graphlab.rules.repair.trained.pairs import without_last_dimension
from graphlab.trace.model import FailedNode
from graphlab.trace.sightings import BroadcastLoss, OptimizerRefused
from tests.rules.build import Script, backward, optimizer, parameter
from tests.rules.test_more_repairs import outcomes

TRAINER = """\
class Trainer:
    def check(self):
        self.net.eval()
        with torch.no_grad():
            return self.net(self.held_out).mean()

    def one(self, x):
        loss = self.net(x).mean()
        loss.backward()

    def fit(self):
        for epoch in range(5):
            for x in self.data:
                self.one(x)
            self.check()
"""


def trained_again(source: str, evaluated: str, backward: str, name: str) -> list[str]:
    script = Script(source)
    at, where = script.at(evaluated), script.at(backward)
    return outcomes(source, back_to_training(script.trace(), at, where, name))


def test_where_the_evaluation_comes_last_each_turn_begins_in_training_mode() -> None:
    got = trained_again(TRAINER, "self.net.eval()", "loss.backward()", "self.net")
    assert got == [
        TRAINER.replace(
            "            for x in self.data:",
            "            self.net.train()\n            for x in self.data:",
        )
    ]


def test_a_function_that_trains_and_then_evaluates_begins_in_training_mode() -> None:
    source = (
        'def epoch():\n    """One of many."""\n    net(x).backward()\n    net.eval()\n'
        "    with torch.no_grad():\n        net(x)\n"
    )
    got = trained_again(source, "net.eval()", "net(x).backward()", "net")
    assert got == [source.replace("    net(x).b", "    net.train()\n    net(x).b")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Behind the call that evaluates, whatever evaluates beside it.
        (
            "    validate(net)\n    score(net)\n    loss = net(x).mean()\n",
            "    validate(net)\n    score(net)\n    net.train()\n    loss = net(x).mean()\n",
        ),
        # Behind the block without gradients, where eval() stands in the loop itself.
        (
            "    net.eval()\n    with torch.no_grad():\n        net(x)\n    loss = net(x).mean()\n",
            "    net.eval()\n    with torch.no_grad():\n        net(x)\n    net.train()\n"
            "    loss = net(x).mean()\n",
        ),
        # In the other branch, where the mode is all that is switched.
        (
            "    if phase == 'val':\n        net.eval()\n    loss = net(x).mean()\n",
            "    if phase == 'val':\n        net.eval()\n    else:\n        net.train()\n"
            "    loss = net(x).mean()\n",
        ),
    ],
)
def test_train_stands_where_the_evaluation_has_ended(before: str, after: str) -> None:
    inside = "validate(" not in before
    source = "" if inside else "def validate(m):\n    m.eval()\n    quiet(m)\n\n\n"
    source += "@torch.no_grad()\ndef quiet(m):\n    m(1)\n\n\ndef score(m):\n    quiet(m)\n\n\n"
    loop = "for x in data:\n{}    loss.backward()\n"
    whole = source + loop.format(before)
    evaluated = "net.eval()" if inside else "m.eval()"
    found = trained_again(whole, evaluated, "loss.backward()", "net")
    assert found == [source + loop.format(after)]


def test_an_eval_whose_evaluation_is_not_seen_to_end_has_words_alone() -> None:
    source = "for x in data:\n    net.eval()\n    loss = net(x).mean()\n    loss.backward()\n"
    assert not trained_again(source, "net.eval()", "loss.backward()", "net")
    # Nor where the model has no name that can be written.
    assert not trained_again(TRAINER, "self.net.eval()", "loss.backward()", "nets[0]")


@pytest.mark.parametrize(
    ("line", "prediction", "better"),
    [
        ("loss = F.mse_loss(net(x), y)", (8, 1), "loss = F.mse_loss(net(x).squeeze(-1), y)"),
        ("loss = F.mse_loss(out, y)", (8,), "loss = F.mse_loss(out, y.squeeze(-1))"),
        ("loss = (a + b - y).square()", (8, 1), "loss = ((a + b).squeeze(-1) - y).square()"),
        ("loss = f(target=y, input=p)", (8, 1), "loss = f(target=y, input=p.squeeze(-1))"),
    ],
)
def test_the_column_loses_its_last_dimension(
    line: str, prediction: tuple[int, ...], better: str
) -> None:
    script = Script(f"{line}\nloss.backward()\n")
    seen = BroadcastLoss(script.at(line), prediction, (8, 8), "loss.backward()", None)
    first, *others = outcomes(script.source, without_last_dimension(script.trace(), seen))
    assert first == f"{better}\nloss.backward()\n"
    # The roles may be the other way round: a trial tells.
    assert len(others) == 1


def test_a_column_that_is_not_the_last_dimension_has_words_alone() -> None:
    script = Script("loss = F.mse_loss(out, y)\n")
    seen = BroadcastLoss(script.at("loss = F.mse_loss(out, y)"), (1, 8), (8, 8), "", None)
    assert not [*without_last_dimension(script.trace(), seen)]


@pytest.mark.parametrize(
    ("use", "choice"),
    [
        ("", ""),
        ("right = (p.argmax(1) == y).sum()\n", ""),
        ("entropy = -(p * p.log()).sum()\n", "fix.meant.probability"),
    ],
)
def test_logarithms_of_probabilities_that_are_used_otherwise_are_a_choice(
    use: str, choice: str
) -> None:
    script = Script(f"p = F.softmax(net(x), 1)\nloss = F.kl_div(p, q)\n{use}")
    at = script.at("p = F.softmax(net(x), 1)")
    (found,) = with_logarithm(script.trace(), at, "")
    assert outcomes(script.source, [found]) == [script.source.replace("softmax", "log_softmax")]
    assert key_of(found.choice) == choice


@pytest.mark.parametrize(
    ("target", "logarithms"),
    [("q", False), ("target=q", False), ("t", True), ("F.log_softmax(y, 1)", True)],
)
def test_a_divergence_with_its_arguments_swapped_is_known(target: str, logarithms: bool) -> None:
    loss = f"loss = F.kl_div(p, {target})"
    script = Script(f"q = y.softmax(1)\nt = y.log_softmax(1)\n{loss}\n")
    assert has_logarithms(script.trace(), script.at(loss)) is logarithms


FROZEN = """\
for p in model.parameters():
    p.requires_grad = False
opt = SGD(model.fc.parameters())
loss = model(x).mean()
loss.backward()
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", True),
        ("model.fc.p", "head.p", True),
        ("for p in model.parameters()", "for _, p in model.named_parameters()", True),
        # What of a whole model is to train, it does not say; nor what another freeze was about.
        ("model.fc.p", "model.p", False),
        ("for p in model.parameters()", "for p in model.body.parameters()", False),
    ],
)
def test_the_part_that_an_optimizer_holds_alone_is_to_train(old: str, new: str, said: bool) -> None:
    source = "head = model.fc\n" + FROZEN.replace(old, new)
    line = next(each for each in source.splitlines() if each.startswith("opt"))
    script = Script(source, (replace(parameter("model.fc.weight"), requires_grad=False),))
    script = replace(script, optimizers=(optimizer(at=script.at(line), steps=0),))
    cut = script.at("p.requires_grad = False")
    event = backward(script.at("loss.backward()"), cut=cut, cut_by=cut.code)
    held = line.removeprefix("opt = SGD(").removesuffix(".parameters())")
    wanted = [source.replace(line, f"{held}.requires_grad_(True)\n{line}")]
    assert outcomes(source, trains_what_it_holds(script.trace(event))) == wanted * said
    # Where it is to train, a repair does not thaw what is to be frozen.
    assert [*meant_to_train(script.trace(event))] == [*script.optimizers] * said


def test_distances_have_a_second_derivative_by_their_differences() -> None:
    source = "d = torch.cdist(x, y[:, :3] * 2)\n"
    script = Script(source)
    node = FailedNode("CdistBackward0", script.at(source.strip()), None)
    event = replace(backward(script.at(source.strip())), node=node)
    apart = "x.unsqueeze(-2) - (y[:, :3] * 2).unsqueeze(-3)"
    better = f"d = (({apart}).square().sum(-1) + 1e-12).sqrt()\n"
    assert outcomes(source, by_differences(script.trace(), event)) == [better]


ACCUMULATED = """\
for at, x in enumerate(data):
    opt.zero_grad()
    net(x).backward()
    if at % 4 == 3:
        opt.step()
"""


@pytest.mark.parametrize("cleared", ["", "        opt.zero_grad()  # for the next four\n"])
def test_gradients_are_cleared_once_a_step(cleared: str) -> None:
    script = Script(ACCUMULATED + cleared)
    zero = script.at("opt.zero_grad()")
    found = clear_after_step(script.trace(), zero, script.at("opt.step()"))
    wanted = ACCUMULATED.replace("    opt.zero_grad()\n", "") + (
        cleared or "        opt.zero_grad()\n"
    )
    assert found is not None and outcomes(script.source, [found]) == [wanted]


COLLECTED = """\
params = []
for p in model.parameters():
    p.requires_grad = False
    params.append(p)
opt = AdamW(params, lr=1e-3)
loss.backward()
"""


@pytest.mark.parametrize("kept", ["params.append(p)", "rest.append(p)"])
def test_what_is_frozen_as_it_is_collected_for_an_optimizer_is_to_train(kept: str) -> None:
    source = COLLECTED.replace("params.append(p)", kept)
    frozen = replace(parameter("model.weight"), requires_grad=False)
    script = Script(source, (frozen,))
    built = optimizer(at=script.at("opt = AdamW(params, lr=1e-3)"), steps=0)
    script = replace(script, optimizers=(built,))
    cut = script.at("p.requires_grad = False")
    event = backward(script.at("loss.backward()"), cut=cut, cut_by=cut.code)
    wanted = [source.replace("False", "True")] if "params" in kept else []
    assert outcomes(source, trains_what_it_holds(script.trace(event))) == wanted


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("filter(lambda p: p.requires_grad, net.parameters())", True),
        ("[p for p in net.parameters() if p.requires_grad]", True),
        ("[p for p in net.parameters() if p.dim() > 1]", False),
    ],
)
def test_what_was_frozen_as_the_optimizer_was_built_is_not_filtered_out(
    given: str, whole: bool
) -> None:
    line = f"opt = Adam({given}, lr=1e-3)"
    script = Script(f"{line}\n")
    first = hold_more(script.trace(), script.at(line), [parameter("net.body.weight")])[0]
    found = outcomes(script.source, [first])
    assert (found == ["opt = Adam(net.parameters(), lr=1e-3)\n"]) is whole


CYCLE = """\
def run(net, loader, optimizer, scheduler):
    for x in loader:
        net(x).backward()
        optimizer.step()
        scheduler.step()


def main(data):
    batches = DataLoader(data, batch_size=8)
    scheduler = OneCycleLR(optimizer, 0.1, epochs=2, steps_per_epoch=len(data) // 8)
    for _ in range(2):
        run(net, batches, optimizer, scheduler)
"""


def test_a_schedule_is_planned_for_the_loader_that_its_steps_go_over() -> None:
    script = Script(CYCLE)
    refused = OptimizerRefused(script.at("scheduler.step()"), "scheduler.step()", "over", ("12",))
    found = planned_for_loader(script.trace(), refused)
    wanted = CYCLE.replace("len(data) // 8", "len(batches)")
    assert found is not None and outcomes(CYCLE, [found]) == [wanted]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Planned so already; over something that has no length; the loader comes later.
        ("len(data) // 8", "len(batches)"),
        ("in loader", "in read(loader)"),
        ("    batches = DataLoader(data, batch_size=8)\n", ""),
    ],
)
def test_a_schedule_is_left_as_planned(old: str, new: str) -> None:
    script = Script(CYCLE.replace(old, new))
    refused = OptimizerRefused(script.at("scheduler.step()"), "scheduler.step()", "over", ("12",))
    assert planned_for_loader(script.trace(), refused) is None
