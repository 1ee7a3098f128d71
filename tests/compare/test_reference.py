"""The reference update: held against gradients that torch.autograd.grad gives, loop by loop."""

from __future__ import annotations

import copy
import math
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graphlab import catalogue, lab
from graphlab.compare import reference
from graphlab.compare.onlooker import Onlooker, attended
from graphlab.compare.reference import Deviation, Reference

LR = 0.05


def small(*words: str) -> lab.Arguments:
    return lab.arguments(
        argv=("--device", "cpu", "--batch-size", "8", "--steps", "3", "--optimizer", "sgd",
              "--lr", str(LR), *words)
    )  # fmt: skip


def flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([each.flatten() for each in tensors])


def gradients(
    G: nn.Module, D: nn.Module, img: Tensor, latent: Tensor, net: nn.Module
) -> tuple[Tensor, Tensor]:
    """Of D_loss_ and of G_loss_ for the parameters of `net`, each as one vector."""
    own = list(net.parameters())
    found = []
    for at in (0, 1):
        loss = reference.losses(D(img), D(G(latent)))[at]
        found.append(flat(torch.autograd.grad(loss, own)))
    return found[0], found[1]


def beside(actual: Tensor, right: Tensor) -> tuple[float, float]:
    actual, right = actual.double(), right.double()
    error = (actual - right).norm() / right.norm()
    return float(error), float(torch.cosine_similarity(actual, right, dim=0))


Body = Callable[[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer, Tensor], None]


def loop(body: Body, *words: str) -> Reference:
    """`body` as the training loop of a scenario, held against the reference."""
    onlooker = Reference()
    with attended(onlooker):
        args = small(*words)
        G, D = lab.networks(args)
        optimizer_D, optimizer_G = lab.optimizer(args, D), lab.optimizer(args, G)
        for img, _ in lab.batches(args):
            body(G, D, optimizer_D, optimizer_G, img)
    return onlooker


def alternating(
    G: nn.Module, D: nn.Module, first: torch.optim.Optimizer, then: torch.optim.Optimizer,
    img: Tensor,
) -> None:  # fmt: skip
    latent = torch.randn(len(img), 32)
    for optimizer, at in ((first, 0), (then, 1)):
        loss = reference.losses(D(img), D(G(latent)))[at]
        first.zero_grad()
        then.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("arch", ["mlp", "dcgan"])
def test_the_alternating_update_is_the_reference_to_the_bit(arch: str, optimizer: str) -> None:
    found = loop(alternating, "--arch", arch, "--optimizer", optimizer).iterations
    assert len(found) == 3
    for each in found:
        assert each.completed
        assert each.forwards == {"G": 2, "D": 4}
        for role in reference.ROLES:
            turn = each.turns[role]
            assert (turn.steps, turn.changed) == (1, True)
            assert turn.update is not None and turn.gradient is not None
            assert turn.update.relative_error == turn.gradient.relative_error == 0.0
            assert turn.update.cosine == pytest.approx(1.0)


def test_a_mixed_gradient_is_off_by_what_autograd_says() -> None:
    """The one-to-one loop with SGD, where the update is the gradient times the rate."""
    expected: list[dict[str, tuple[float, float]]] = []

    def body(
        G: nn.Module, D: nn.Module, optimizer_D: torch.optim.Optimizer,
        optimizer_G: torch.optim.Optimizer, img: Tensor,
    ) -> None:  # fmt: skip
        latent = torch.randn(len(img), 32)
        from_D, from_G = gradients(G, D, img, latent, D)
        right_D = from_D
        applied_D = from_D + from_G
        mixed_G = sum(gradients(G, D, img, latent, G))
        assert isinstance(mixed_G, Tensor)
        new_D = copy.deepcopy(D)
        with torch.no_grad():
            at = 0
            for parameter in new_D.parameters():
                parameter -= LR * right_D[at : at + parameter.numel()].view_as(parameter)
                at += parameter.numel()
        right_G = gradients(G, new_D, img, latent, G)[1]
        expected.append({"D": beside(applied_D, right_D), "G": beside(mixed_G, right_G)})

        D_loss_, G_loss_ = reference.losses(D(img), D(G(latent)))
        optimizer_D.zero_grad()
        optimizer_G.zero_grad()
        (D_loss_ + G_loss_).backward()
        optimizer_D.step()
        optimizer_G.step()

    found = loop(body).iterations
    for each, right in zip(found, expected, strict=True):
        for role in reference.ROLES:
            for told in (each.turns[role].update, each.turns[role].gradient):
                assert told is not None
                assert told.relative_error == pytest.approx(right[role][0], rel=1e-3)
                assert told.cosine == pytest.approx(right[role][1], abs=1e-3)


def test_a_network_that_is_not_stepped_is_held_against_nothing() -> None:
    """G alone is right when it follows G_loss_ at the D there is."""

    def body(
        G: nn.Module, D: nn.Module, optimizer_D: torch.optim.Optimizer,
        optimizer_G: torch.optim.Optimizer, img: Tensor,
    ) -> None:  # fmt: skip
        loss = reference.losses(D(img), D(G(torch.randn(len(img), 32))))[1]
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()

    for each in loop(body).iterations:
        assert each.turns["D"] == reference.Turn(0, False, None, None)
        update = each.turns["G"].update
        assert update is not None and update.relative_error == 0.0


def test_a_raise_leaves_an_unfinished_iteration() -> None:
    found = Reference()
    with attended(found), pytest.raises(RuntimeError, match="modified by an inplace operation"):
        run_scenario("naive", "--steps", "3")
    assert found.iterations == []
    found.interrupted()
    found.interrupted()
    (only,) = found.iterations
    assert not only.completed
    assert (only.turns["D"].steps, only.turns["G"].steps) == (1, 0)
    assert only.turns["D"].changed and not only.turns["G"].changed


def run_scenario(name: str, *words: str) -> dict[str, object]:
    path = str(catalogue.scenario(name).path)
    kept = sys.argv
    sys.argv = [path, "--device", "cpu", *words]
    try:
        return runpy.run_path(path, run_name="__main__")
    finally:
        sys.argv = kept


@pytest.mark.parametrize("name", ["detach", "joint", "naive-fused"])
def test_looking_on_changes_nothing(name: str) -> None:
    def left(onlooker: Onlooker | None) -> list[Tensor]:
        if onlooker is None:
            names = run_scenario(name, "--steps", "6")
        else:
            with attended(onlooker):
                names = run_scenario(name, "--steps", "6")
        nets = [names["G"], names["D"]]
        weights = [p for net in nets if isinstance(net, nn.Module) for p in net.parameters()]
        return [*weights, torch.get_rng_state()]

    alone, shown = left(None), left(Reference())
    assert len(alone) == len(shown) == 13
    assert all(torch.equal(one, other) for one, other in zip(alone, shown, strict=True))


def test_the_lab_is_itself_again_after_a_raise() -> None:
    before = lab.networks, lab.optimizer, lab.batches
    with pytest.raises(ZeroDivisionError), attended(Onlooker()):
        assert lab.networks is not before[0]
        raise ZeroDivisionError
    assert (lab.networks, lab.optimizer, lab.batches) == before


def test_what_an_onlooker_is_told() -> None:
    class Told(Onlooker):
        def __init__(self) -> None:
            self.said: list[str] = []

        def begin(self, img: Tensor) -> None:
            self.said.append(f"begin {len(img)}")

        def end(self) -> None:
            self.said.append("end")

        def end_of_pass(self) -> None:
            self.said.append("pass")

    told = Told()
    with attended(told):
        args = lab.arguments(argv=("--steps", "3", "--batch-size", "1000"))
        loader = lab.batches(args)
        for _ in range(3):
            for _ in loader:
                pass
    assert told.said == [
        "begin 1000", "end", "begin 797", "end", "pass", "begin 1000", "end", "pass",
    ]  # fmt: skip


vectors = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20)


@given(vectors, st.floats(-4, 4))
@example([9.42519174686185e-14], 3.739186473758495e-299)
@settings(deadline=None, max_examples=60)
def test_a_multiple_is_off_by_its_factor(values: list[float], factor: float) -> None:
    right = torch.tensor(values, dtype=torch.float64)
    found = reference.deviation(factor * right, right)
    least = sys.float_info.min
    if not right.norm() > least or not (factor * right).norm() > least:
        assert found == Deviation(None, None)
        return
    assert found.relative_error == pytest.approx(abs(factor - 1), abs=1e-9)
    assert found.cosine == pytest.approx(math.copysign(1, factor), abs=1e-9)


def test_what_is_not_finite_has_no_direction() -> None:
    bad = torch.tensor([1.0, math.nan])
    assert reference.deviation(bad, torch.ones(2)) == Deviation(None, None)
    assert reference.deviation(torch.ones(2), bad / 0) == Deviation(None, None)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_least_sum_is_where_a_search_ends(batch_size: int) -> None:
    logits = torch.zeros(2, batch_size, 1, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [logits], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        total = sum(reference.losses(logits[0], logits[1]))
        assert isinstance(total, Tensor)
        total.backward()
        return total

    search.step(closure)
    found = [float(each) for each in reference.losses(logits[0].detach(), logits[1].detach())]
    assert found == pytest.approx(reference.least_sum(batch_size), abs=1e-6)
    assert sum(reference.least_sum(batch_size)) < sum(reference.balance(batch_size))


def test_the_scenarios_write_the_losses_alike() -> None:
    """The reference is worth something only while its losses are those of the loops."""
    lines = Path(reference.__file__).read_text(encoding="utf-8")
    for each in catalogue.scenarios():
        text = each.path.read_text(encoding="utf-8")
        if "lab.networks" not in text or "softmaxgan" not in each.path.parts:
            continue
        if each.name in ("overflow-masked", "logsumexp"):
            # The same losses in exact arithmetic, by other operations: that is what they are about.
            continue
        for line in text.splitlines():
            if line.strip().startswith(("D_loss_ =", "G_loss_ =", "Z_B =")):
                assert line.strip() in lines
