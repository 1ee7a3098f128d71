"""Whose a gradient is when it did not come from backward alone, and what finding it out costs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import graphlab
from graphlab.observe import build_trace
from graphlab.observe.optimizers.shares import Contributions
from graphlab.trace.model import Backward, Mix, OptimizerInfo, Step, Trace
from graphlab.trace.report import report


def watched(program: Callable[[], None]) -> Trace:
    with graphlab.watch() as session:
        program()
    assert session.trace.unseen == ()
    return session.trace


def first_mix(trace: Trace) -> Mix:
    mix = next(each.mix for each in trace.events if isinstance(each, Step))
    assert mix is not None
    return mix


def shares(mix: Mix) -> dict[str, float]:
    return {each.loss: each.share for each in mix.shares}


def gradient(loss: Tensor, net: nn.Module) -> Tensor:
    found = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    return torch.cat([each.flatten() for each in found]).double()


class Two:
    """A small network and two losses over it."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        self.x = torch.randn(5, 3)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01)

    def losses(self) -> tuple[Tensor, Tensor]:
        y = self.net(self.x)
        return y.pow(2).mean(), y.exp().mean()

    def expected(self, scale: float = 1.0) -> tuple[float, float]:
        """The two losses' shares, the first one's gradient scaled."""
        one, two = (gradient(loss, self.net).norm() for loss in self.losses())
        return float(scale * one / (scale * one + two)), float(two / (scale * one + two))


def test_what_autograd_grad_returned_is_that_loss_s() -> None:
    two = Two()
    one, _ = two.expected()

    def program() -> None:
        net, optimizer = two.net, two.optimizer
        first, second = two.losses()
        given = torch.autograd.grad(first, list(net.parameters()), retain_graph=True)
        for parameter, grad in zip(net.parameters(), given, strict=True):
            parameter.grad = grad
        second.backward()
        optimizer.step()

    trace = watched(program)
    (step,) = [each for each in trace.events if isinstance(each, Step)]
    assert step.sources == ("first", "second")
    found = shares(first_mix(trace))
    assert found["first"] == pytest.approx(one, rel=1e-5)
    assert found["second"] == pytest.approx(1 - one, rel=1e-5)


def test_autograd_grad_alone_is_attributed_every_time() -> None:
    """Each iteration's gradients may lie where the last one's lay."""
    two = Two()

    def program() -> None:
        net, optimizer = two.net, two.optimizer
        for _ in range(6):
            first, _second = two.losses()
            grads = torch.autograd.grad(first, list(net.parameters()))
            for parameter, grad in zip(net.parameters(), grads, strict=True):
                parameter.grad = grad
            del grads, grad
            optimizer.step()

    trace = watched(program)
    steps = [each for each in trace.events if isinstance(each, Step)]
    assert [each.sources for each in steps] == [("first",)] * 6
    assert not any(each.nothing_new or each.leftover for each in steps)
    assert shares(first_mix(trace)) == {"first": 1.0}


def test_gradients_of_torch_func_are_not_attributed() -> None:
    two = Two()

    def program() -> None:
        net, optimizer, x = two.net, two.optimizer, two.x
        values = dict(net.named_parameters())

        def loss_of(values: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(net, values, (x,)).pow(2).mean()

        found = torch.func.grad(loss_of)({key: p.detach() for key, p in values.items()})
        for name, parameter in net.named_parameters():
            parameter.grad = found[name]
        optimizer.step()

    assert shares(first_mix(watched(program))) == {"(not attributed)": 1.0}


def test_a_term_put_there_by_hand_has_its_share() -> None:
    two = Two()
    net = two.net
    by_hand = math.sqrt(sum(0.09 * p.numel() for p in net.parameters()))
    size = float(gradient(two.losses()[0], net).norm())

    def program() -> None:
        optimizer = two.optimizer
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, 0.3)
        first, _ = two.losses()
        first.backward()
        optimizer.step()

    found = shares(first_mix(watched(program)))
    assert found["first"] == pytest.approx(size / (size + by_hand), rel=1e-4)
    assert found["(not attributed)"] == pytest.approx(by_hand / (size + by_hand), rel=1e-4)


def test_loss_scaling_leaves_the_shares_and_the_norms_as_they_are() -> None:
    two = Two()
    sizes = [float(gradient(loss, two.net).norm()) for loss in two.losses()]

    def program() -> None:
        optimizer = two.optimizer
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        first, second = two.losses()
        scaler.scale(first).backward(retain_graph=True)
        scaler.scale(second).backward()
        scaler.step(optimizer)
        scaler.update()

    mix = first_mix(watched(program))
    for share, size in zip(mix.shares, sizes, strict=True):
        assert share.norm == pytest.approx(size, rel=1e-4)
        assert share.share == pytest.approx(size / sum(sizes), rel=1e-4)


def test_a_gradient_clipped_between_two_backwards_counts_as_it_is_applied() -> None:
    two = Two()
    size = float(gradient(two.losses()[0], two.net).norm())
    one, _ = two.expected(0.5)

    def program() -> None:
        net, optimizer = two.net, two.optimizer
        first, second = two.losses()
        first.backward(retain_graph=True)
        nn.utils.clip_grad_norm_(net.parameters(), size / 2)
        second.backward()
        optimizer.step()

    found = shares(first_mix(watched(program)))
    assert found["first"] == pytest.approx(one, rel=1e-4)


def test_micro_batches_of_two_losses_in_turn_need_one_buffer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = Two()
    sizes: list[int] = []
    end = Contributions.end

    def look(self: Contributions, *args: Any) -> None:
        end(self, *args)
        sizes.append(self._size())

    monkeypatch.setattr(Contributions, "end", look)
    one, _ = two.expected()

    def program() -> None:
        optimizer = two.optimizer
        for _ in range(4):
            first, second = two.losses()
            first.backward(retain_graph=True)
            second.backward()
        optimizer.step()

    found = shares(first_mix(watched(program)))
    assert found["first"] == pytest.approx(one, rel=1e-5)
    whole = sum(p.numel() * p.element_size() for p in two.net.parameters())
    assert len(sizes) == 8
    assert max(sizes) == whole


def test_nothing_of_it_stays_after_the_step() -> None:
    two = Two()
    with graphlab.watch() as session:
        for _ in range(3):
            two.optimizer.zero_grad()
            first, second = two.losses()
            first.backward(retain_graph=True)
            second.backward()
            two.optimizer.step()
        states = session._observation._ledger.registry.states
        assert [each.contributions for each in states] == [None]


def test_sparse_gradients_have_shares() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(20, 4, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    at = torch.tensor([1, 5, 5, 7])

    def losses() -> tuple[Tensor, Tensor]:
        return table(at).pow(2).sum(), table(at[:2]).exp().sum()

    one, two = (torch.autograd.grad(loss, [table.weight])[0].to_dense().norm() for loss in losses())

    def program() -> None:
        first, second = losses()
        first.backward()
        second.backward()
        optimizer.step()

    found = shares(first_mix(watched(program)))
    assert found["first"] == pytest.approx(float(one / (one + two)), rel=1e-5)


def test_a_network_cleared_alone_between_the_backwards_keeps_only_the_later_loss() -> None:
    """One optimizer over two networks, of which one is cleared in between."""
    torch.manual_seed(0)
    body, head = nn.Linear(3, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.01)
    x = torch.randn(4, 3)

    def losses() -> tuple[Tensor, Tensor]:
        y = head(body(x))
        return y.pow(2).mean(), y.exp().mean()

    norms = {
        (name, at): float(gradient(loss, net).norm())
        for name, net in (("body", body), ("head", head))
        for at, loss in enumerate(losses())
    }

    def program() -> None:
        first, second = losses()
        first.backward(retain_graph=True)
        body.zero_grad()
        second.backward()
        optimizer.step()

    trace = watched(program)
    (info,) = report(trace, [])["optimizers"]
    told = info["gradients_from"]
    assert told["first"]["by_owner"]["body"]["norm"] == 0.0
    assert not any(name.startswith("body") for name in told["first"]["by_parameter"])
    assert told["first"]["by_owner"]["head"]["norm"] == pytest.approx(norms["head", 0], rel=1e-5)
    for name in ("body", "head"):
        assert told["second"]["by_owner"][name]["norm"] == pytest.approx(norms[name, 1], rel=1e-5)


def test_every_parameter_and_every_owner_has_its_own_shares() -> None:
    two = Two()
    found = {
        loss: dict(
            zip(
                (f"net.{name}" for name, _ in two.net.named_parameters()),
                torch.autograd.grad(value, list(two.net.parameters()), retain_graph=True),
                strict=True,
            )
        )
        for loss, value in zip(("first", "second"), two.losses(), strict=True)
    }

    def program() -> None:
        net, optimizer = two.net, two.optimizer
        assert net is two.net
        first, second = two.losses()
        first.backward(retain_graph=True)
        second.backward()
        optimizer.step()

    trace = watched(program)
    (info,) = trace.optimizers
    (document,) = report(trace, [])["optimizers"]
    for loss, grads in found.items():
        told = document["gradients_from"][loss]["by_parameter"]
        assert len(told) == len(grads)
        for name, grad in grads.items():
            (key,) = [each for each in told if each.endswith(name.removeprefix("net."))]
            other = found["second" if loss == "first" else "first"][name]
            norms = float(grad.norm()), float(other.norm())
            assert told[key]["norm"] == pytest.approx(norms[0], rel=1e-4)
            assert told[key]["share"] == pytest.approx(norms[0] / sum(norms), rel=1e-4)
            along = float((grad * (grad + other)).sum() / (grad.norm() * (grad + other).norm()))
            assert told[key]["cosine_to_total"] == pytest.approx(along, rel=1e-4, abs=1e-6)
    assert_owners_add_up(info, document)


def assert_owners_add_up(info: OptimizerInfo, document: dict[str, Any]) -> None:
    for share in info.shares:
        owners = document["gradients_from"][share.loss]["by_owner"]
        whole = math.sqrt(sum(each["norm"] ** 2 for each in owners.values()))
        assert whole == pytest.approx(share.norm, rel=1e-6)


@pytest.mark.parametrize("rounds", [1, 3])
def test_three_losses_in_every_order(rounds: int) -> None:
    for order in itertools.permutations(range(3)):
        two = Two()

        def three(two: Two = two) -> list[Tensor]:
            y = two.net(two.x)
            return [y.pow(2).mean(), y.exp().mean(), y.sin().mean()]

        sizes = [float(gradient(loss, two.net).norm()) for loss in three()]

        def program(order: tuple[int, ...] = order, three: Any = three, two: Two = two) -> None:
            optimizer = two.optimizer
            for _ in range(rounds):
                for at in order:
                    if at == 0:
                        zero = three()[0]
                        zero.backward()
                    elif at == 1:
                        one = three()[1]
                        one.backward()
                    else:
                        other = three()[2]
                        other.backward()
            optimizer.step()

        found = shares(first_mix(watched(program)))
        for name, size in zip(("zero", "one", "other"), sizes, strict=True):
            assert found[name] == pytest.approx(size / sum(sizes), rel=1e-4)


def test_what_was_measured_and_inspected_last_outlives_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build_trace, "KEEP", 50)

    def program() -> None:
        two = Two()
        for _ in range(90):
            two.optimizer.zero_grad()
            two.losses()[0].backward()
            two.optimizer.step()

    events = watched(program).events
    steps = [each for each in events if isinstance(each, Step)]
    assert len(steps) < 30
    backwards = [each for each in events if isinstance(each, Backward)]
    assert len(backwards) < 30
    assert len([each for each in backwards if each.nodes is not None]) == 1
    assert [each.iteration for each in steps if each.mix is not None] == [61]


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_gradient_that_was_kept_and_put_back(scale: float) -> None:
    """It is of the loss that it came from; times a number it is the program's own."""
    two = Two()

    def program() -> None:
        one, other = two.losses()
        one.backward(retain_graph=True)
        kept = [each.grad * scale for each in two.net.parameters()]
        other.backward()
        for each, grad in zip(two.net.parameters(), kept, strict=True):
            each.grad = grad
        two.optimizer.step()

    (loss,) = shares(first_mix(watched(program)))
    assert loss == ("one" if scale == 1.0 else "(not attributed)")
