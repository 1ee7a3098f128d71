"""The three checks, on small Traces made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.fix import checks
from graphlab.fix.reach import given_up, only_asked, shorter
from graphlab.trace.model import Backward, Failure, Mix, Module, Share, Trace
from graphlab.trace.module_sightings import Restored
from tests.rules.build import Script, backward, optimizer, parameter, refused, step

SOURCE = "g_loss.backward()\nopt_g.step()\nd_loss.backward()\nopt_d.step()\n"
G, D = parameter("G.weight"), parameter("D.weight")
TWO = Script(SOURCE, (G, D), (optimizer("opt_g", owns=(0,)), optimizer("opt_d", owns=(1,))))


def share(loss: str, part: float) -> Share:
    return Share(loss, 1, 1, part, part, 1.0)


def mixed(**parts: float) -> Mix:
    return Mix(tuple(share(loss, part) for loss, part in parts.items()))


OWN = mixed(g_loss=1.0)


def trained(g_reaches: tuple[int, ...] = (0,), g_mix: Mix | None = None) -> Trace:
    """A turn in which each loss trains its own network."""
    return TWO.trace(
        backward(TWO.at("g_loss.backward()"), "g_loss", reached=g_reaches, nodes=5),
        step(TWO.at("opt_g.step()"), optimizer=0, sources=("g_loss",), mix=g_mix or OWN),
        backward(TWO.at("d_loss.backward()"), "d_loss", reached=(1,), nodes=5),
        step(TWO.at("opt_d.step()"), optimizer=1, sources=("d_loss",), mix=mixed(d_loss=1.0)),
    )  # fmt: skip


def test_what_runs_and_trains_as_before_is_proved() -> None:
    before, after = trained(), trained()
    all_three = [
        checks.clean(after, [], 0, ""),
        checks.nothing_silenced(before, after),
        checks.right_gradients(after),
    ]
    assert [each.holds for each in all_three] == [True, True, True]
    assert checks.verdict(all_three) == "proved"


def test_a_loss_that_no_longer_reaches_its_network_is_silenced() -> None:
    told = checks.nothing_silenced(trained(), trained(g_reaches=()))
    assert told.holds is False and "g_loss no longer reaches G.weight" in told.detail


def test_what_a_failed_backward_led_to_counts_as_reached() -> None:
    failed = TWO.trace(
        backward(TWO.at("g_loss.backward()"), "g_loss", leads_to=(0, 1), raised="RuntimeError")
    )
    assert checks.nothing_silenced(failed, trained()).holds is True
    assert checks.nothing_silenced(failed, trained(g_reaches=())).holds is False


def test_another_optimizers_loss_may_be_kept_away_and_its_own_may_not() -> None:
    joint = trained(g_reaches=(0, 1))
    assert checks.nothing_silenced(joint, trained()).holds is True


def test_an_optimizer_that_no_longer_steps_is_silenced() -> None:
    after = trained()
    still, idle = after.optimizers
    after = replace(after, optimizers=(still, replace(idle, steps=0)))
    told = checks.nothing_silenced(trained(), after)
    assert told.holds is False and told.detail == "opt_d is not stepped"


def test_a_parameter_that_was_never_reached_leaves_it_open() -> None:
    script = Script("loss.backward()\n", (G, D), (optimizer("opt", owns=(0, 1)),))
    cut = script.trace(backward(script.at("loss.backward()"), leads_to=(), raised="RuntimeError"))
    after = script.trace(backward(script.at("loss.backward()"), reached=(0,), nodes=3))
    told = checks.nothing_silenced(replace(cut, outcome="raised"), after)
    assert told.holds is None and "D.weight" in told.detail


@pytest.mark.parametrize(
    ("mix", "holds"),
    [
        (mixed(g_loss=1.0), True),
        (mixed(g_loss=1.0 - 1e-7, d_loss=1e-7), True),
        (mixed(g_loss=0.99, d_loss=0.01), False),
    ],
)
def test_an_applied_gradient_is_the_own_losss_to_rounding(mix: Mix, holds: bool) -> None:
    assert checks.right_gradients(trained(g_mix=mix)).holds is holds


def test_leftover_gradients_are_wrong() -> None:
    after = trained()
    events = list(after.events)
    events[1] = replace(events[1], leftover=(0,))
    told = checks.right_gradients(replace(after, events=tuple(events)))
    assert told.holds is False


@pytest.mark.parametrize("lost", ["unseen", "mix", "graph"])
def test_what_was_not_seen_is_not_proved(lost: str) -> None:
    after = trained()
    events = list(after.events)
    if lost == "unseen":
        after = replace(after, unseen=("inside a compiled region",))
    elif lost == "mix":
        events[1] = replace(events[1], mix=None)
    else:
        events[0] = replace(events[0], nodes=None)
    told = checks.right_gradients(replace(after, events=tuple(events)))
    assert told.holds is None and told.detail


def test_what_was_frozen_from_the_start_and_trains_now_is_not_proved() -> None:
    frozen = replace(D, requires_grad=False)
    before = trained(g_reaches=(0,))
    before = replace(before, tensors=(G, frozen), events=before.events[:2])
    told = checks.nothing_silenced(before, trained())
    assert told.holds is None and told.detail == "D.weight was frozen and trains now"
    # It was trained before it was frozen: to thaw it is the repair.
    before = replace(trained(), tensors=(G, frozen))
    assert checks.nothing_silenced(before, trained()).holds is True


def test_a_choice_that_the_program_does_not_make_is_not_proved() -> None:
    assert checks.as_meant(()) == ()
    told = checks.as_meant(("which it is",))
    assert checks.verdict(told) == "runs" and told[0].detail == "which it is"


def test_a_raise_an_exit_code_and_a_limit() -> None:
    after = trained()
    raised = replace(after, outcome="raised", exception=Failure("ValueError", "no", None))
    assert checks.clean(raised, [], 1, "").holds is False
    assert checks.clean(after, [], 3, "").holds is False
    assert checks.clean(after, [], 1, "iterations").holds is True
    assert checks.clean(after, [], 0, "time").holds is None


def test_a_backward_within_another_is_asked_for_no_gradients_of_its_own() -> None:
    inner = backward(TWO.at("d_loss.backward()"), "d_loss", nodes=5)
    again = replace(inner, leads_to=(1,), raised="RuntimeError")
    outer = backward(TWO.at("g_loss.backward()"), "g_loss", reached=(0, 1), nodes=5)
    after = TWO.trace(outer, inner, step(TWO.at("opt_g.step()"), sources=("g_loss",), mix=OWN))
    assert checks.nothing_silenced(TWO.trace(outer, inner, outer, again), after).holds is True
    # Of one that has not run to its end, what it led to counts.
    told = checks.nothing_silenced(TWO.trace(again), trained(g_reaches=(0,)))
    assert told.holds is True


HEADS = (parameter("net.out.weight"), parameter("net.aux.weight"))
USED = "self.aux = Linear()\nloss = net(x)\nloss.backward()\nopt.step()\n"


@pytest.mark.parametrize(
    ("source", "holds"),
    [(USED, True), (f"{USED}y = F.linear(x, self.aux.weight)\n", None)],
)
def test_a_module_that_is_never_called_was_not_silenced(source: str, holds: bool | None) -> None:
    """Unless its parameters are used without a call."""
    script = Script(source, HEADS, (optimizer("opt", owns=(0, 1)),))
    at = script.at("loss.backward()")
    events = (Module(0, at, "net"), Module(1, at, "net.out"), backward(at, reached=(0,), nodes=5))
    after = script.trace(*events, step(script.at("opt.step()"), mix=mixed(loss=1.0)))
    before = replace(script.trace(backward(at, leads_to=(0,), raised="E")), outcome="raised")
    assert checks.nothing_silenced(before, after).holds is holds


@pytest.mark.parametrize(("source", "holds"), [("edit(w)\n", True), ("vmap(grad(f))(w)\n", None)])
def test_a_program_without_gradients_has_none_that_are_wrong(
    source: str, holds: bool | None
) -> None:
    """What torch.func differentiates is not observed."""
    script = Script(source)
    after, at = script.trace(), script.at(source.strip())
    assert checks.right_gradients(after).holds is holds
    leaf = script.trace(refused("leaf", at, "edit()"))
    assert checks.nothing_silenced(leaf, after).holds is holds
    # Of another edit, what it computes may differ.
    assert checks.nothing_silenced(script.trace(refused("view", at, "e()")), after).holds is None


def test_a_leaf_that_is_trained_by_hand_is_still_reached() -> None:
    leaf = replace(parameter("w"), owner="w")
    script = Script(SOURCE, (leaf,))
    at = script.at("g_loss.backward()")
    ran = script.trace(backward(at, "g_loss", reached=(0,), nodes=5))
    assert checks.nothing_silenced(ran, ran).holds is True
    lost = script.trace(backward(at, "g_loss", reached=(), nodes=5))
    assert checks.nothing_silenced(ran, lost).holds is False


def test_a_name_that_was_anothers_as_well_is_no_parameter_lost() -> None:
    two = (parameter("agent.target.weight"), parameter("agent.online.weight"))
    script = Script(SOURCE, two, (optimizer("opt_g", owns=(0,)),))
    at = script.at("g_loss.backward()")
    sighting = Restored(at, "load()", "self.target", "self.online", at, "", one_object=True)
    ran = backward(at, "g_loss", reached=(0,), nodes=5)
    before = script.trace(ran, step(script.at("opt_g.step()"), mix=OWN), sightings=(sighting,))
    own = replace(script, optimizers=(optimizer("opt_g", owns=(1,)),))
    after = own.trace(replace(ran, reached=(1,)), step(script.at("opt_g.step()"), mix=OWN))
    assert checks.nothing_silenced(before, after).holds is True
    assert checks.nothing_silenced(replace(before, sightings=()), after).holds is False


@pytest.mark.parametrize("owns", [(0, 1), (0,)])
def test_a_wrapper_whose_inner_optimizer_steps_is_not_silenced(owns: tuple[int, ...]) -> None:
    at = TWO.at("opt_g.step()")
    sam = optimizer("sam", steps=0, owns=(0, 1))
    before = replace(TWO, optimizers=(sam,)).trace(
        refused("leaf", at, "p.add_()"), backward(at, "g_loss", reached=(0, 1))
    )
    inner = optimizer("sam.base_optimizer", owns=owns)
    after = replace(TWO, optimizers=(sam, inner)).trace(backward(at, "g_loss", reached=(0, 1)))
    told = checks.nothing_silenced(before, after)
    assert told.holds is (owns == (0, 1))


def turns(*reaches: tuple[int, ...], call: str = "g_loss.backward()") -> Trace:
    """A loss that reaches these parameters, turn by turn."""
    events = [
        replace(
            backward(TWO.at("g_loss.backward()"), "g_loss", reached=each, nodes=5),
            iteration=at,
            call=call,
        )
        for at, each in enumerate(reaches)
    ]
    return TWO.trace(*events)


def test_a_loss_that_reaches_a_parameter_in_its_first_turn_alone_has_given_it_up() -> None:
    failed = replace(turns((0,)), outcome="raised")
    stepping = replace(TWO, optimizers=(optimizer("opt_g", owns=(0,), steps=3),))
    after = replace(turns((0,), (), ()), optimizers=stepping.optimizers)
    assert [*given_up(failed, after)] == [("g_loss", "G.weight")]
    # Once more later on, too few turns, or a program that did so as it was.
    once_more = replace(turns((0,), (), (0,)), optimizers=stepping.optimizers)
    assert [*given_up(failed, once_more)] == []
    few = replace(turns((0,), ()), optimizers=stepping.optimizers)
    assert [*given_up(failed, few)] == []
    assert [*given_up(after, after)] == []


def test_what_grad_alone_was_asked_of_is_no_loss() -> None:
    assert only_asked(turns((), (), call="torch.autograd.grad()")) == {"g_loss"}
    assert only_asked(turns((), (0,), call="torch.autograd.grad()")) == set()
    assert only_asked(turns((), ())) == set()


def test_a_first_backward_that_goes_through_less_than_it_did() -> None:
    before, event = turns((0,), (0,)), turns((0,)).events[0]
    assert isinstance(event, Backward)
    less = TWO.trace(replace(event, nodes=3))
    assert shorter(before, less) == "g_loss.backward()" and shorter(before, before) == ""
    # More of it, in another turn, or where the first one was refused before.
    assert shorter(less, before) == ""
    assert shorter(before, TWO.trace(replace(event, nodes=3, iteration=1))) == ""
    assert shorter(TWO.trace(replace(event, raised="freed")), less) == ""
