"""What is said of parameters that no optimizer has, and of those that a loss does not lead to."""

from __future__ import annotations

import pytest

from graphlab.rules.gl005_no_graph import check as no_graph
from graphlab.rules.gl103_parameter_without_optimizer import check as left_out
from graphlab.trace.model import Forgotten
from tests.rules.build import Script, backward, optimizer, parameter

SOURCE = "loss = step(student, teacher)\nloss.backward()\n"


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["teacher.head.weight", "teacher.body.0.weight"], "teacher"),
        (["trainer.ref_model.head.weight"], "trainer.ref_model"),
        (["student.head.weight"], None),
        (["preferences.head.weight"], None),
        (["teacher.head.weight", "student.head.weight"], None),
        # The word is a network's, and no parameter's own.
        (["head.teacher"], None),
    ],
)
def test_a_network_to_learn_from(names: list[str], called: str | None) -> None:
    script = Script(SOURCE, tuple(map(parameter, names)))
    at = script.at("loss.backward()")
    forgotten = tuple(Forgotten(i, "loss.backward()", at, None) for i in range(len(names)))
    (found,) = left_out(script.trace(forgotten=forgotten))
    told = f"call {called}.requires_grad_(False)" in found.help[0].text
    assert told == (called is not None)


@pytest.mark.parametrize("held", [1, 0])
def test_what_is_to_be_trained_is_named(held: int) -> None:
    optimizers = (optimizer(owns=(0,)),) * held
    script = Script(SOURCE, (parameter("lora.weight"),), optimizers)
    made, at = script.at("loss = step(student, teacher)"), script.at("loss.backward()")
    event = backward(at, trouble="no-graph", cut=made, cut_by=made.code)
    (found,) = no_graph(script.trace(event))
    assert ("lora.weight" in found.help[0].text) == bool(held)
