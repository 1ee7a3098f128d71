"""The ledger: who owns what, who changed what, whose gradient it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.trace.model import OptimizerInfo, Share, Untouched
from graphlab.views import console
from graphlab.views.terminal.ledger import SHOWN, Ledger
from tests.rules.build import Script, backward, optimizer, parameter

GAN = Script(
    "d_loss.backward()\ng_loss.backward()\n",
    tensors=(parameter("D.weight"), parameter("D.bias"), parameter("G.weight")),
)
D = optimizer("optimizer_D", owns=(0, 1), touched=(0, 1), sampled_steps=(0,), steps=1)
G = optimizer("optimizer_G", owns=(2,), touched=(2,), sampled_steps=(0,), steps=2)


def lines(*optimizers: OptimizerInfo, bars: bool = True) -> list[str]:
    trace = replace(GAN, optimizers=optimizers).trace()
    return console.text(Ledger(trace, bars)).splitlines()


def test_each_optimizer_with_what_it_owns_and_touched() -> None:
    assert lines(D, G) == [
        "optimizer_D  SGD, 1 step",
        "  owns     2 of D",
        "  touched  2 of D, 0 of G",
        "optimizer_G  SGD, 2 steps",
        "  owns     1 of G",
        "  touched  0 of D, 1 of G",
    ]


def test_what_it_changed_of_others_counts_as_touched() -> None:
    assert lines(replace(D, others_changed=(2,)), G)[2] == "  touched  2 of D, 1 of G"


def test_what_it_left_has_its_reason_once() -> None:
    left = tuple(Untouched(f"D.{name}", "no gradient") for name in "abcdef")
    rows = lines(replace(D, untouched=(*left, Untouched("D.z", "frozen"))))
    assert "  left     D.a, D.b, D.c, D.d and 2 more: no gradient" in rows
    assert "  left     D.z: frozen" in rows


def test_a_bar_says_whose_gradient_it_applied() -> None:
    shares = (
        Share("d_loss", 1, 2, 3.0, 0.75, 0.9995),
        Share("g_loss", 2, 2, 1.0, 0.25, -0.5),
    )
    mixed = replace(D, shares=shares)
    assert lines(mixed)[3:] == [
        "  gradient ███████████████░░░░░  75% from d_loss",
        "  gradient █████░░░░░░░░░░░░░░░  25% from g_loss  cosine -0.50",
    ]
    assert lines(mixed, bars=False) == lines(D)


@pytest.mark.parametrize(
    ("changed", "row"),
    [
        (replace(D, steps=0), "  owns     2 of D"),
        (replace(D, sampled_steps=()), "  touched  not compared by value"),
        (replace(D, elsewhere=True), "  stepped in another thread: not followed"),
        (replace(D, owns=(), steps=0), "  owns     nothing"),
    ],
)
def test_what_is_not_known_is_not_claimed(changed: OptimizerInfo, row: str) -> None:
    assert lines(changed)[-1] == row


def test_many_made_by_one_line_take_one_line() -> None:
    rows = lines(*[D] * (SHOWN + 2))
    assert rows.count("  owns     2 of D") == SHOWN
    assert rows[-1] == "optimizer_D  2 more, 2 steps"


def test_the_reach_of_a_backward_is_told_once_a_line() -> None:
    first = backward(GAN.at("d_loss.backward()"), "d_loss", reached=(0,))
    again = replace(first, iteration=1, reached=(0, 1, 2))
    text = console.text(Ledger(GAN.trace(first, again)))
    assert text == "d_loss.backward() in line 1 wrote gradients of 2 of D, 1 of G\n"


def test_one_line_may_train_several_layers_by_turns() -> None:
    first = backward(GAN.at("d_loss.backward()"), "d_loss", reached=(0, 1))
    other = replace(first, iteration=1, reached=(2,))
    text = console.text(Ledger(GAN.trace(first, other)))
    assert text == "d_loss.backward() in line 1 wrote gradients of 2 of D, 1 of G\n"
