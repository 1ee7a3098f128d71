"""Repairs of a model's mode and of what its loss compares, as pairs of scripts."""

from __future__ import annotations

import pytest

from graphlab.language import key_of
from graphlab.rules.repair.double_softmax import has_logarithms, with_logarithm
from graphlab.rules.repair.trained.modes import back_to_training
from graphlab.rules.repair.trained.pairs import without_last_dimension
from graphlab.trace.sightings import BroadcastLoss
from tests.rules.build import Script
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
