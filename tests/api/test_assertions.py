"""The assertions of a session: each holds on a sound loop, fails on a broken one and says why."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import graphlab


def gan(broken: str = "", steps: int = 3) -> Any:
    """A small GAN's loop; `broken` names the one thing that is wrong with it. Returns its parts."""
    torch.manual_seed(0)
    G, D = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    teacher = torch.nn.Linear(2, 2)
    held = D if broken != "frozen" else D.requires_grad_(False)
    optimizer_D = torch.optim.SGD(D.parameters(), lr=0.1)
    mine = G.parameters() if broken != "both" else [*G.parameters(), *D.parameters()]
    optimizer_G = torch.optim.SGD(mine, lr=0.0 if broken == "still" else 0.1)
    for _ in range(steps):
        image = G(torch.randn(4, 2))
        shown = image if broken == "joined" else image.detach()
        optimizer_G.zero_grad()
        if broken != "frozen":
            optimizer_D.zero_grad()
            D_loss = held(shown).pow(2).mean() - held(torch.ones(4, 2)).mean()
            D_loss.backward(retain_graph=broken == "joined")
            if broken != "wasted":
                optimizer_D.step()
        if broken == "wasted":
            D.zero_grad()
        image = G(torch.randn(4, 2))
        if broken == "cut":
            image = image.detach().requires_grad_()
        target = teacher(image) if broken == "taught" else image
        G_loss = -held(target).mean()
        G_loss.backward()
        optimizer_G.step()
    return SimpleNamespace(**locals())


def watched(broken: str = "", steps: int = 3) -> tuple[graphlab.Session, Any]:
    with graphlab.watch() as session:
        parts = gan(broken, steps)
    assert session.trace.unseen == ()
    return session, parts


def message(claim: Callable[[], None]) -> str:
    with pytest.raises(AssertionError) as caught:
        claim()
    return str(caught.value)


@pytest.fixture(scope="module")
def sound() -> tuple[graphlab.Session, Any]:
    return watched()


def test_all_claims_hold_on_a_sound_loop(sound: tuple[graphlab.Session, Any]) -> None:
    session, parts = sound
    session.assert_clean()
    session.assert_touches(parts.optimizer_D, parts.D)
    session.assert_touches(parts.optimizer_G, parts.G.weight, [parts.G.bias])
    session.assert_touches_only(parts.optimizer_D, parts.D)
    session.assert_touches_only(parts.optimizer_G, parts.G)
    session.assert_isolated(parts.optimizer_D, parts.D_loss)
    session.assert_isolated(parts.optimizer_G, parts.G_loss)
    session.assert_reaches(parts.D_loss, parts.D)
    session.assert_reaches(parts.G_loss, parts.G, parts.D)
    session.assert_not_reaches(parts.D_loss, parts.G)
    session.assert_graph_constant()


def test_names_will_do_as_well(sound: tuple[graphlab.Session, Any]) -> None:
    session, _ = sound
    session.assert_touches("optimizer_D", "D", "D.weight")
    session.assert_touches_only("optimizer_G", "G")
    session.assert_isolated("optimizer_G", "G_loss")
    session.assert_reaches("G_loss", "G")
    session.assert_not_reaches("D_loss", "G.weight", "G.bias")


def test_a_session_can_be_questioned_while_it_is_open() -> None:
    with graphlab.watch() as session:
        parts = gan()
        session.assert_touches(parts.optimizer_D, parts.D)
        session.assert_clean()
        told = message(lambda: session.assert_reaches(parts.D_loss, parts.G))
    assert told.startswith("D_loss does not reach 2 of 2 parameters of G\n  G.weight\n  G.bias\n")


def test_touches() -> None:
    session, parts = watched()
    told = message(lambda: session.assert_touches(parts.optimizer_D, parts.G))
    assert told.startswith(
        "optimizer_D left 2 of 2 parameters of G as they were\n"
        "  G.weight: optimizer_D does not hold it\n"
    )
    session, parts = watched("still")
    told = message(lambda: session.assert_touches("optimizer_G", "G"))
    assert "  G.bias: its learning rate is 0\n" in told
    session, parts = watched("frozen")
    told = message(lambda: session.assert_touches(parts.optimizer_D, parts.D))
    assert told.startswith("optimizer_D made no step\n")


def test_touches_only() -> None:
    session, parts = watched("both")
    told = message(lambda: session.assert_touches_only(parts.optimizer_G, parts.G))
    head = "optimizer_G changed parameters outside G\n  D.weight\n  D.bias\n"
    assert told.startswith(head)
    session.assert_touches_only(parts.optimizer_G, parts.G, parts.D)
    session, parts = watched("still")
    told = message(lambda: session.assert_touches_only(parts.optimizer_G, parts.G))
    assert told.startswith("optimizer_G changed no parameter at all\n")


def test_isolated() -> None:
    session, parts = watched("joined")
    told = message(lambda: session.assert_isolated(parts.optimizer_G, parts.G_loss))
    first, where, *shares = told.splitlines()[:4]
    assert first == "optimizer_G applied the gradient of D_loss, not of G_loss alone"
    assert where.endswith("of test_assertions.py, optimizer_G.step(): in 3 of 3 steps")
    assert all("from D_loss" in line or "from G_loss" in line for line in shares)
    session.assert_isolated(parts.optimizer_G, parts.G_loss, parts.D_loss)
    told = message(lambda: session.assert_isolated(parts.optimizer_D, parts.G_loss))
    assert told.startswith("optimizer_D applied no gradient of G_loss\n")


def test_reaches() -> None:
    session, parts = watched("cut")
    told = message(lambda: session.assert_reaches(parts.G_loss, parts.G))
    assert told.startswith("G_loss does not reach 2 of 2 parameters of G\n")
    session, parts = watched("joined")
    told = message(lambda: session.assert_not_reaches(parts.D_loss, parts.G))
    assert told.startswith("D_loss reaches 2 of 2 parameters of G\n  G.weight\n  G.bias\n")


def test_reaches_parameters_that_no_optimizer_holds() -> None:
    session, parts = watched("taught")
    session.assert_reaches(parts.G_loss, parts.teacher)
    session.assert_not_reaches(parts.D_loss, parts.teacher)
    for teacher in (parts.teacher, parts.teacher.weight, "teacher"):
        told = message(lambda teacher=teacher: session.assert_not_reaches("G_loss", teacher))
        assert told.startswith("G_loss reaches ")


def test_what_inputs_keeps_out_is_not_reached() -> None:
    with graphlab.watch() as session:
        one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD([*one.parameters(), *other.parameters()], lr=0.1)
        loss = other(one(torch.ones(1, 2))).sum()
        loss.backward(inputs=list(other.parameters()))
        optimizer.step()
    session.assert_reaches(loss, other)
    session.assert_not_reaches(loss, one)


def test_graph_constant() -> None:
    with graphlab.watch() as session:
        net = torch.nn.Linear(2, 1)
        loss: Any = 0
        for _ in range(4):
            loss = loss + net(torch.ones(1, 2)).sum()
            loss.backward(retain_graph=True)
    told = message(session.assert_graph_constant)
    first, line = told.splitlines()[:2]
    assert first == "the graph does not stay the same"
    assert "test_assertions.py, loss.backward(): " in line and line.endswith(" nodes")
    sizes = [int(each) for each in line.split(": ")[-1].removesuffix(" nodes").split(" → ")]
    assert len(sizes) == 3 and sizes == sorted(set(sizes))
    session, _ = watched(steps=2)
    session.assert_graph_constant(2)
    told = message(lambda: session.assert_graph_constant(3))
    assert told.startswith("no graph was counted 3 times: 2 at the most\n")
    with pytest.raises(ValueError, match="give 2 or more"):
        session.assert_graph_constant(1)


def test_graph_constant_sees_what_is_kept() -> None:
    with graphlab.watch() as session:
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        total: Any = 0
        for _ in range(7):
            loss = net(torch.ones(1, 2)).sum()
            total = total + loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    told = message(session.assert_graph_constant)
    assert "\n  total is kept with its graph: " in told


def test_no_wasted_gradients() -> None:
    with graphlab.watch() as session:
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    session.assert_no_wasted_gradients()
    session, _ = watched("wasted")
    told = message(session.assert_no_wasted_gradients)
    first, line = told.splitlines()[:2]
    assert first == "gradients were computed and cleared unused"
    assert line.endswith("D_loss.backward(): 2 gradients a time, 3 times")


def test_clean_tells_the_story_and_allows_codes() -> None:
    with graphlab.watch() as session:
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            net(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    told = message(session.assert_clean)
    assert told.startswith("1 problem was found\n\nwarning[GL102]: ")
    assert "more: graphlab explain GL102" in told
    assert "\noptimizer  SGD, 4 steps\n  owns     2 of net\n" in told
    session.assert_clean(allow=["GL102"])
    session.assert_clean("GL102")
    assert [each.code for each in session.findings] == ["GL102"]
    # Other claims name the finding too: it is often the reason.
    assert "warning[GL102]: " in message(lambda: session.assert_touches("optimizer", "other"))


def test_the_story_and_the_ledger_fit_the_width() -> None:
    session = graphlab.watch()
    with pytest.raises(RuntimeError), session:
        weight_with_a_long_name_of_its_own = torch.ones(2, requires_grad=True)
        exponential_of_the_weight = weight_with_a_long_name_of_its_own.exp() + 0
        squared = exponential_of_the_weight * exponential_of_the_weight
        exponential_of_the_weight.add_(1)
        squared.sum().backward()
    told = message(session.assert_clean)
    assert "error[GL001]" in told
    for line in told.splitlines():
        assert len(line) <= 76
        assert line == line.rstrip()


def test_nothing_observed_proves_nothing() -> None:
    with graphlab.watch() as session:
        x = torch.ones(2)
    assert message(session.assert_clean).startswith("no backward was seen")
    assert message(session.assert_graph_constant).startswith("no backward was seen")
    assert message(session.assert_no_wasted_gradients).startswith("no backward was seen")
    optimizer = torch.optim.SGD([torch.nn.Parameter(x)], lr=0.1)
    told = message(lambda: session.assert_isolated(optimizer, "loss"))
    assert told == "this SGD was not seen\n  seen: nothing"


def test_what_was_never_seen_is_named(sound: tuple[graphlab.Session, Any]) -> None:
    session, _ = sound
    told = message(lambda: session.assert_touches("optimiser_D", "D"))
    assert told.startswith("optimiser_D was not seen\n  seen: optimizer_D, optimizer_G\n")
    told = message(lambda: session.assert_not_reaches("loss", "G"))
    assert told.startswith("no backward of loss was seen\n  seen: D_loss, G_loss\n")
    told = message(lambda: session.assert_not_reaches(torch.ones(1).sum(), "G"))
    assert told.startswith("no backward of this tensor was seen\n  seen: D_loss, G_loss\n")
    told = message(lambda: session.assert_not_reaches("D_loss", "g"))
    assert told.startswith("no parameter of g was seen\n  seen: D, G\n")
    unknown = torch.nn.Linear(1, 1)
    told = message(lambda: session.assert_touches("optimizer_D", unknown))
    assert "  weight: optimizer_D does not hold it\n" in told


@pytest.mark.parametrize(
    "claim",
    [
        lambda session: session.assert_touches(3, "D"),
        lambda session: session.assert_touches("optimizer_D", 3),
        lambda session: session.assert_touches("optimizer_D", ["D"]),
        lambda session: session.assert_isolated("optimizer_D", 3.0),
    ],
)
def test_an_argument_of_another_kind_is_a_mistake(
    sound: tuple[graphlab.Session, Any], claim: Callable[[graphlab.Session], None]
) -> None:
    with pytest.raises(TypeError, match="nor the name of one"):
        claim(sound[0])


def test_a_loss_whose_backwards_all_raised_reaches_nothing() -> None:
    net = torch.nn.Linear(2, 2)
    with graphlab.watch() as session:
        loss = net(torch.ones(1, 2))
        with pytest.raises(RuntimeError):
            loss.backward()
    told = message(lambda: session.assert_not_reaches(loss, net))
    assert told.startswith("every backward of loss raised\n\nerror[GL007]: ")


def test_a_wrapped_optimizer_is_known() -> None:
    net = torch.nn.Linear(2, 1)
    wrapper = SimpleNamespace(optimizer=torch.optim.SGD(net.parameters(), lr=0.1), param_groups=[])
    with graphlab.watch() as session:
        net(torch.ones(1, 2)).sum().backward()
        wrapper.optimizer.step()
    session.assert_touches(wrapper, net)


def test_an_optimizer_stepped_elsewhere_proves_nothing() -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    go = threading.Event()

    def train() -> None:
        go.wait()
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    thread = threading.Thread(target=train)
    thread.start()
    with graphlab.watch() as session:
        go.set()
        thread.join()
    if sys.version_info >= (3, 12):
        session.assert_touches(optimizer, net)
        return
    told = message(lambda: session.assert_touches(optimizer, net))
    assert "was stepped in another thread, which is not followed" in told.splitlines()[0]
    assert "notice: " in told


def test_losses_are_told_apart_as_objects() -> None:
    """A test has the loss by the name under which the loop handed it over."""

    def train() -> tuple[torch.Tensor, torch.Tensor]:
        inner = (one(torch.ones(1, 2)) ** 2).sum()
        inner.backward()
        outer = (other(torch.ones(1, 2)) ** 2).sum()
        torch.autograd.backward(outer)
        optimizer.step()
        return inner, outer

    one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD([*one.parameters(), *other.parameters()], lr=0.1)
    with graphlab.watch() as session:
        first, second = train()
    session.assert_reaches(first, one)
    session.assert_not_reaches(first, other)
    session.assert_reaches(second, other)
    told = message(lambda: session.assert_reaches(second, one))
    assert told.startswith("outer does not reach 2 of 2 parameters of one\n")


def test_a_session_lends_no_names() -> None:
    """It stands among the test's variables, before the program's own."""
    with graphlab.watch() as session:
        weight = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            weight.pow(2).sum().backward()
            optimizer.step()
    assert [each.name for each in session.trace.tensors] == ["weight"]
    assert [each.name for each in session.trace.optimizers] == ["optimizer"]


def test_a_session_keeps_neither_losses_nor_leaves() -> None:
    held: list[weakref.ref[Any]] = []

    def train() -> None:
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            x = torch.ones(1, 2, requires_grad=True)
            loss = net(x).sum()
            loss.backward()
            optimizer.step()
            held.extend((weakref.ref(loss), weakref.ref(x)))
        held.extend(map(weakref.ref, net.parameters()))

    with graphlab.watch() as session:
        train()
        gc.collect()
        assert [each() for each in held if each() is not None] == []
    assert session._live.leads_to("loss") == []


def test_a_session_that_is_over_begins_anew() -> None:
    session = graphlab.watch()
    with session:
        gan(steps=2)
    with session:
        parts = gan(steps=1)
    assert [each.steps for each in session.trace.optimizers] == [1, 1]
    session.assert_touches(parts.optimizer_D, parts.D)


def test_a_session_that_gives_way_ends_when_another_begins() -> None:
    kept = sys.gettrace()
    outer = graphlab.Session(gives_way=True)
    with outer:
        gan(steps=1)
        with graphlab.watch() as inner:
            gan(steps=2)
        gan(steps=1)
    assert sys.gettrace() is kept
    assert [each.steps for each in outer.trace.optimizers] == [1, 1]
    assert [each.steps for each in inner.trace.optimizers] == [2, 2]


def test_a_session_that_gives_way_can_be_narrowed() -> None:
    with graphlab.Session(gives_way=True) as session:
        gan(steps=1)
        with session:
            gan(steps=2)
        gan(steps=1)
    assert [each.steps for each in session.trace.optimizers] == [2, 2]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there is no trace function to lose")
def test_a_session_says_that_it_lost_sight() -> None:
    """As `continue` in pdb makes it: the trace function is gone, and nobody asked the session."""
    kept = sys.gettrace()
    with graphlab.watch() as session:
        sys.settrace(None)
        gan()
        told = message(session.assert_clean)
    sys.settrace(kept)
    (notice,) = session.trace.unseen
    assert notice.startswith("Python's trace function was taken away")
    assert told.startswith("no backward was seen")
    assert "trace function was taken away" in told


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there is no trace function to lose")
def test_a_recursion_error_on_the_way_is_told() -> None:
    """At the end of the stack Python lets go of the trace function, even if the program goes on."""

    def deeper(n: int) -> int:
        return deeper(n + 1)

    kept = sys.gettrace()
    with graphlab.watch() as session:
        with pytest.raises(RecursionError):
            deeper(0)
        gan()
    sys.settrace(kept)
    # Unless the tracer was off by then, as in a long call that makes no node.
    if not session.trace.optimizers:
        (notice,) = session.trace.unseen
        assert "RecursionError: what ran after that was not seen" in notice


def test_a_step_does_not_look_like_lost_sight() -> None:
    """The session sets its own trace function aside while an optimizer steps."""
    net = torch.nn.Linear(2, 1)

    class Curious(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            session.trace  # noqa: B018
            return super().step(closure)

    with graphlab.watch() as session:
        optimizer = Curious(net.parameters(), lr=0.1)
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert session.trace.unseen == ()
    assert session.trace.optimizers[0].steps == 1
