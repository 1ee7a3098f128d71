"""The edge of each rule: what just makes it speak, beside what just does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphlab.rules.gl108_wasted_gradients import LEAST
from graphlab.rules.left_aside import OF_NONE, PATIENCE
from graphlab.rules.mixtures import LEAST_FOREIGN_SHARE, MOST_COSINE
from graphlab.rules.registry import find
from graphlab.rules.steps import LEAST_BACKWARDS, LEAST_DISCARDED, LEAST_KEPT
from graphlab.trace.model import Event, Forgotten, Growing, Trace, Waste
from graphlab.trace.sightings import Fate, SoftmaxTwice, Starved, TermCut, ZeroGradients
from tests.rules.build import (
    Script,
    activation,
    backward,
    mix,
    optimizer,
    parameter,
    saved,
    step,
    write,
    zero_grad,
)

LOOP = Script(
    """\
for x in batches:
    hidden = net(x)
    loss = hidden.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    hidden.mul_(2)
    again.backward()
    other.step()
""",
    tensors=(parameter("net.weight"), parameter("net.bias")),
    optimizers=(optimizer(owns=(0, 1)),),
)
FORWARD, BACKWARD = LOOP.at("hidden = net(x)"), LOOP.at("loss.backward()")
STEP, ZERO = LOOP.at("optimizer.step()"), LOOP.at("optimizer.zero_grad()")


def codes(trace: Trace) -> list[str]:
    return [finding.code for finding in find(trace)]


def run(*events: Event, **fields: Any) -> list[str]:
    return codes(LOOP.trace(*events, **fields))


def owning(**fields: Any) -> Script:
    """The loop with its optimizer changed."""
    return replace(LOOP, optimizers=(replace(LOOP.optimizers[0], **fields),))


# What a backward met among the saved tensors.


@pytest.mark.parametrize(
    ("state", "code"), [("stale", "GL001"), ("freed", "GL002"), ("bypassed", "GL105")]
)
def test_the_state_of_a_saved_tensor_says_which(state: Any, code: str) -> None:
    changed = write(LOOP.at("hidden.mul_(2)"), "hidden.mul_()")
    met = backward(LOOP.at("again.backward()"), problems=(saved(state, FORWARD, write=0),))
    assert run(changed, met) == [code]
    # The same line in a later iteration is the same mistake.
    assert run(changed, met, replace(met, iteration=1)) == [code]
    assert run(changed, replace(met, problems=())) == []


def test_two_writers_of_what_one_backward_needs_are_two_findings() -> None:
    events = (
        write(LOOP.at("hidden.mul_(2)"), "hidden.mul_()"),
        write(STEP, "optimizer.step()"),
        backward(BACKWARD, problems=(saved("stale", FORWARD, write=0),)),
        backward(BACKWARD, problems=(saved("stale", FORWARD, write=1),), iteration=1),
    )
    assert run(*events) == ["GL001", "GL001"]


def test_a_writer_that_nobody_saw_is_said_to_be_unseen() -> None:
    met = backward(BACKWARD, problems=(saved("stale", FORWARD),))
    (finding,) = find(LOOP.trace(met))
    assert finding.mutated is None
    assert finding.notes == ("changed between line 2 and line 5, writer not seen",)


@pytest.mark.parametrize(("iteration", "earlier"), [(0, False), (1, True)])
def test_one_line_goes_back_twice_in_an_iteration_or_in_two(iteration: int, earlier: bool) -> None:
    first = backward(BACKWARD)
    again = backward(BACKWARD, problems=(saved("freed", FORWARD, freed_by=0),), iteration=iteration)
    (finding,) = find(LOOP.trace(first, again))
    assert ("earlier iteration" in finding.help[0].text) is earlier


# What a step applied.


@pytest.mark.parametrize(
    ("fields", "code"), [({"leftover": (0,)}, "GL102"), ({"nothing_new": True}, "GL109")]
)
def test_once_is_an_accident_and_twice_a_habit(fields: dict[str, Any], code: str) -> None:
    first, second = step(STEP, 1, **fields), step(STEP, 2, **fields)
    assert run(step(STEP, 0), first, step(STEP, 2)) == []
    assert run(step(STEP, 0), first, second) == [code]


def test_the_clearing_that_came_too_late_is_the_cause() -> None:
    odd = [step(STEP, at, leftover=(0, 1)) for at in range(2)]
    (without,) = find(LOOP.trace(*odd))
    (late,) = find(LOOP.trace(zero_grad(ZERO), *odd))
    assert without.cause is not None and "never ran" in without.cause.what
    assert late.cause is not None and late.cause.at == ZERO
    assert late.summary.endswith("on net.weight and 1 more")


def test_no_new_gradient_has_one_reason() -> None:
    odd = [step(STEP, at, nothing_new=True) for at in range(2)]
    # What no loss reaches never has one, and that is GL110's to say.
    assert codes(owning(never_reached=(0, 1)).trace(*odd)) == ["GL110"]
    assert codes(owning(strangers=(0, 1)).trace(*odd)) == ["GL104"]
    # The gradient was another optimizer's before.
    both = replace(LOOP, optimizers=(LOOP.optimizers[0], optimizer("other", owns=(0, 1))))
    shared = [replace(each, shared=(0,), shared_with=1) for each in odd]
    assert codes(both.trace(*shared)) == ["GL107"]


def test_an_optimizer_over_the_whole_of_several_others_is_meant() -> None:
    """InfoGAN's third, for a loss that trains both networks."""
    odd = [
        step(LOOP.at("other.step()"), at, optimizer=2, shared=(0,), shared_with=0)
        for at in range(2)
    ]
    ones = (optimizer("one", owns=(0,)), optimizer("two", owns=(1,)))
    whole = replace(LOOP, optimizers=(*ones, optimizer("all", owns=(0, 1))))
    assert codes(whole.trace(*odd)) == []
    part = replace(LOOP, optimizers=(optimizer("one", owns=(0,)), *ones[1:], optimizer("some")))
    assert codes(part.trace(*odd)) == ["GL107"]


# Whose gradient a step applied.

GAN = Script(
    """\
d_loss.backward()
g_loss.backward()
optimizer_d.step()
optimizer_g.step()
""",
    tensors=(parameter("D.weight"), parameter("G.weight")),
    optimizers=(optimizer("optimizer_d", owns=(0,)), optimizer("optimizer_g", owns=(1,))),
)


def mixed(*mixes: Any, optimizers: int = 2) -> list[str]:
    """What is said of a GAN whose steps of G applied these mixtures."""
    script = replace(GAN, optimizers=GAN.optimizers[2 - optimizers :])
    events: list[Event] = [
        backward(GAN.at("d_loss.backward()"), "d_loss"),
        backward(GAN.at("g_loss.backward()"), "g_loss"),
    ]
    for at, each in enumerate(mixes):
        last = optimizers - 1
        events.append(step(GAN.at("optimizer_g.step()"), at, optimizer=last, mix=each))
    return codes(script.trace(*events))


def test_a_step_that_goes_against_its_own_loss() -> None:
    foreign = 1 - LEAST_FOREIGN_SHARE
    bad = mix(g_loss=(foreign, -0.1), d_loss=(LEAST_FOREIGN_SHARE, 0.9))
    assert mixed(bad) == ["GL101"]
    # Uphill, but hardly anything of it is foreign.
    assert mixed(mix(g_loss=(foreign + 0.01, -0.1), d_loss=(LEAST_FOREIGN_SHARE - 0.01, 0.9))) == []
    # Mixed, and still downhill.
    good = mix(g_loss=(foreign, 0.1), d_loss=(LEAST_FOREIGN_SHARE, 0.9))
    assert mixed(good) == []
    # Half of the sampled steps are enough, a third is not.
    assert mixed(bad, good) == ["GL101"]
    assert mixed(bad, good, good) == []


def test_one_optimizer_for_several_losses_is_a_sum() -> None:
    bad = mix(g_loss=(0.5, -0.1), d_loss=(0.5, 0.9))
    assert mixed(bad, optimizers=1) == []


def test_losses_that_undo_each_other_though_the_own_one_wins() -> None:
    shares = {"g_loss": (0.8, 0.9), "d_loss": (0.2, -0.6)}
    assert mixed(mix(MOST_COSINE, **shares)) == ["GL101"]
    assert mixed(mix(MOST_COSINE + 0.01, **shares)) == []


def test_what_another_loss_left_in_a_network_that_is_kept_apart() -> None:
    """The gradients agree, and still D was not to learn from G's loss."""
    script = replace(GAN, optimizers=(GAN.optimizers[0], optimizer("optimizer_g", owns=(1,))))
    applied = mix(0.9, d_loss=(0.7, 0.9), g_loss=(0.3, 0.9))

    def said(d_reaches: tuple[int, ...], g_reaches: tuple[int, ...], whole: Any = applied) -> Any:
        events: list[Event] = [
            backward(GAN.at("d_loss.backward()"), "d_loss", reached=d_reaches),
            backward(GAN.at("g_loss.backward()"), "g_loss", reached=g_reaches),
            step(GAN.at("optimizer_d.step()"), 0, optimizer=0, mix=whole),
        ]
        return codes(script.trace(*events))

    assert said((0,), (0, 1)) == ["GL101"]
    # Each loss reaches both networks: they may be meant to train together.
    assert said((0, 1), (0, 1)) == []
    # G's loss went through a part of what D's trains, a trunk.
    own, other = applied.shares
    assert said((0,), (0, 1), replace(applied, shares=(replace(own, parameters=2), other))) == []
    assert said((0,), (0, 1), mix(0.9, d_loss=(0.95, 0.9), g_loss=(0.05, 0.9))) == []


# What became of gradients.

TWO = replace(LOOP, optimizers=(optimizer(owns=(0,)), optimizer("other", 0, owns=(1,))))


def fate(**fields: Any) -> Fate:
    return Fate(**{"at": BACKWARD, "call": "loss.backward()", "holders": (0,), "backwards": 16,
                   "applied": 4, "discarded": 12, "least_between": 3, "cleared": ZERO,
                   "cleared_by": "optimizer.zero_grad()", "clears_applied": True,
                   **fields})  # fmt: skip


def test_an_optimizer_that_was_meant_to_step() -> None:
    never = fate(holders=(1,), applied=0, discarded=0, backwards=LEAST_KEPT, cleared=None)
    assert codes(TWO.trace(sightings=(never,))) == ["GL111"]
    # It may still accumulate.
    assert codes(TWO.trace(sightings=(replace(never, backwards=LEAST_KEPT - 1),))) == []
    cleared = replace(never, backwards=LEAST_BACKWARDS, discarded=LEAST_DISCARDED)
    assert codes(TWO.trace(sightings=(cleared,))) == ["GL111"]
    assert codes(TWO.trace(sightings=(replace(cleared, discarded=LEAST_DISCARDED - 1),))) == []
    # The loss of the other one passes through it: it may be fixed, unless it is cleared all along.
    through = replace(never, holders=(0, 1))
    assert codes(TWO.trace(sightings=(through,))) == []
    zeroed = replace(TWO, optimizers=(TWO.optimizers[0], replace(TWO.optimizers[1], zeroed=9)))
    assert codes(zeroed.trace(sightings=(through,))) == ["GL111"]


@pytest.mark.parametrize("field", ["handed_on", "by_hand", "elsewhere"])
def test_an_optimizer_in_other_hands_need_not_step(field: str) -> None:
    never = fate(holders=(1,), applied=0, discarded=0, backwards=LEAST_KEPT)
    other = replace(TWO.optimizers[1], **{field: True})
    assert (
        codes(replace(TWO, optimizers=(TWO.optimizers[0], other)).trace(sightings=(never,))) == []
    )


def test_nobody_is_missed_where_nobody_steps() -> None:
    never = fate(backwards=LEAST_KEPT, applied=0, discarded=0)
    only = (optimizer(steps=0, owns=(0,)),)
    assert codes(replace(LOOP, optimizers=only).trace(sightings=(never,))) == []
    scheduled = (replace(only[0], scheduled=3),)
    assert codes(replace(LOOP, optimizers=scheduled).trace(sightings=(never,))) == ["GL111"]


@pytest.mark.parametrize(("times", "cause"), [(LEAST_KEPT, ZERO), (1, BACKWARD)])
def test_a_scheduler_steps_in_the_place_of_an_optimizer(times: int, cause: Any) -> None:
    never = fate(backwards=LEAST_KEPT, applied=0, discarded=0)
    only = (optimizer(steps=0, owns=(0,), scheduled=times, scheduled_at=ZERO),)
    (finding,) = find(replace(LOOP, optimizers=only).trace(sightings=(never,)))
    assert finding.code == "GL111" and finding.cause is not None
    assert finding.cause.at == cause


def test_gradients_that_are_cleared_by_turns() -> None:
    assert codes(LOOP.trace(sightings=(fate(),))) == ["GL112"]
    # Two steps are few: then there must be more that was for nothing.
    assert codes(LOOP.trace(sightings=(fate(applied=2, discarded=4),))) == ["GL112"]
    for fields in (
        {"applied": 2, "discarded": 3},
        # A bad batch is left out now and then.
        {"least_between": 0},
        {"applied": 8, "discarded": 7},
        # Another call clears what has been applied.
        {"clears_applied": False},
        {"cleared": None},
    ):
        assert codes(LOOP.trace(sightings=(fate(**fields),))) == [], fields


def test_gradients_that_the_script_takes_are_of_use() -> None:
    reading = replace(LOOP, source=LOOP.source + "norms.append(weight.grad.clone())\n")
    looking = replace(LOOP, source=LOOP.source + "print(weight.grad.norm())\n")
    assert codes(reading.trace(sightings=(fate(),))) == []
    assert codes(looking.trace(sightings=(fate(),))) == ["GL112"]


def test_a_step_that_is_missing_and_gradients_that_are_cleared_are_one_mistake() -> None:
    lost = fate(holders=(0, 1))
    never = fate(holders=(1,), applied=0, discarded=12)
    assert codes(TWO.trace(sightings=(never, lost))) == ["GL111"]


def test_gradients_that_were_cleared_at_once() -> None:
    starved = Starved(BACKWARD, "loss.backward()", 0, ZERO, "optimizer.zero_grad()")
    assert codes(LOOP.trace(sightings=(starved, starved))) == ["GL112"]
    assert codes(LOOP.trace(sightings=(replace(starved, cleared=None),))) == []


# What was seen of a loss.


def test_a_second_log_softmax_changes_nothing() -> None:
    twice = SoftmaxTwice(FORWARD, "softmax", LOOP.at("loss = hidden.mean()"))
    (bad,) = find(LOOP.trace(sightings=(twice, twice)))
    (odd,) = find(LOOP.trace(sightings=(replace(twice, first="log_softmax"),)))
    assert (bad.severity, odd.severity) == ("warning", "info")


def test_one_cut_is_one_finding() -> None:
    cut = TermCut(FORWARD, "item()", "penalty", "loss", "loss.backward()", BACKWARD)
    assert codes(LOOP.trace(sightings=(cut, replace(cut, term="other")))) == ["GL118"]
    missed = owning(never_reached=(1,), cut=FORWARD)
    assert codes(missed.trace()) == ["GL110"]
    assert codes(missed.trace(sightings=(cut,))) == ["GL118"]


@pytest.mark.parametrize(
    ("operation", "fields", "severity"),
    [
        ("RoundBackward0", {}, "warning"),
        ("ClampBackward1", {"whole": True}, "warning"),
        # A margin may be kept, a branch not be chosen, a weight be 0 for now.
        ("ClampBackward1", {}, "info"),
        ("StackBackward0", {"whole": True}, "info"),
        ("MulBackward0", {"by_weight": True, "whole": True}, "info"),
    ],
)
def test_zeros_that_may_be_meant(operation: str, fields: Any, severity: str) -> None:
    zeros = ZeroGradients(FORWARD, operation, (0,), 4, "loss.backward()", BACKWARD, **fields)
    (finding,) = find(LOOP.trace(sightings=(zeros,)))
    assert (finding.code, finding.severity) == ("GL120", severity)


# What a run leaves behind.


def test_an_optimizer_that_had_its_chances() -> None:
    assert codes(owning(never_reached=(1,), steps=PATIENCE).trace()) == ["GL110"]
    assert codes(owning(never_reached=(1,), steps=PATIENCE - 1).trace()) == []
    assert codes(owning(never_reached=(0, 1), steps=OF_NONE).trace()) == ["GL110"]
    assert codes(owning(never_reached=(0, 1), steps=OF_NONE - 1).trace()) == []
    assert codes(owning(never_reached=(0, 1), steps=OF_NONE, fed=1).trace()) == []


def test_parameters_of_a_module_that_is_gone() -> None:
    assert codes(owning(strangers=(0,), steps=2).trace(step(STEP))) == ["GL104"]
    assert codes(owning(strangers=(0,), steps=1).trace(step(STEP))) == []


def test_what_came_in_their_place_is_part_of_the_same_finding() -> None:
    forgotten = (Forgotten(1, "loss.backward()", BACKWARD, None),)
    assert codes(LOOP.trace(forgotten=forgotten)) == ["GL103"]
    (finding,) = find(owning(strangers=(0,)).trace(step(STEP), forgotten=forgotten))
    assert finding.code == "GL104"
    assert finding.notes == ("net.bias gets gradients now, and no optimizer steps it",)


def test_a_graph_grows_behind_a_loss_or_behind_what_is_kept() -> None:
    grown = Growing("hidden", (3, 6, 9), "loss.backward()", BACKWARD, FORWARD, True, 2)
    kept = replace(grown, at=None, behind_loss=False)
    one, other = find(LOOP.trace(growing=(grown, kept)))
    assert (one.code, other.code) == ("GL106", "GL106")
    assert one.failed is not None and other.failed is None
    assert one.summary.startswith("the graph behind loss.backward() grows")
    assert other.summary.startswith("the graph of hidden grows")
    # Both backwards of a turn find the list that keeps them.
    assert len(find(LOOP.trace(growing=(kept, replace(kept, sizes=(4, 7)))))) == 1


def test_a_little_waste_is_not_worth_a_word() -> None:
    waste = Waste((0,), 1, 20, saved=int(LEAST * 1000), of_saved=1000)
    assert run(backward(BACKWARD, waste=waste)) == ["GL108"]
    assert run(backward(BACKWARD, waste=replace(waste, saved=waste.saved - 1))) == []


def test_a_tensor_without_a_name_goes_by_its_shape() -> None:
    script = replace(LOOP, tensors=(activation(None, (2, 3)),), optimizers=())
    (finding,) = find(script.trace(backward(BACKWARD, problems=(saved("stale", FORWARD),))))
    assert finding.summary.startswith("a tensor of shape [2, 3] was saved for backward")
