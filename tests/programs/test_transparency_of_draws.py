"""Watching draws changes none of them, nor what a distribution has computed for itself so far."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import distributions as D
from torch import nn

import graphlab
from graphlab.observe.sightings.flow import drawn


def made(net: nn.Module, kind: str) -> D.Distribution:
    a, b = net(torch.ones(3, 4)).chunk(2, -1)
    if kind == "normal":
        return D.Independent(D.Normal(a, b.exp()), 1)
    if kind == "squashed":
        transform = D.TanhTransform(cache_size=1)
        return D.TransformedDistribution(D.Normal(a, b.exp()), [transform])
    if kind == "full":
        return D.MultivariateNormal(a, torch.diag_embed(b.exp()))
    if kind == "mixture":
        return D.MixtureSameFamily(D.Categorical(logits=a), D.Normal(b, b.exp()))
    return {
        "categorical": lambda: D.Categorical(logits=a),
        "gumbel": lambda: D.RelaxedOneHotCategorical(torch.tensor(0.5), logits=a),
        "gamma": lambda: D.Gamma(a.exp(), b.exp()),
        "dirichlet": lambda: D.Dirichlet(a.exp()),
        "bernoulli": lambda: D.Bernoulli(probs=a.sigmoid()),
    }[kind]()


def run(kind: str, steps: int = 6) -> list[Any]:
    """What a training draws and becomes, what its distributions hold, and the next random number:
    each as bytes or words."""
    torch.manual_seed(3)
    net = nn.Linear(4, 6)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    found: list[Any] = []
    for _ in range(steps):
        q = made(net, kind)
        z = q.sample()
        held = sorted(vars(q))
        loss = -q.log_prob(z).mean()
        entropy = getattr(q, "entropy", None)
        if kind in ("normal", "full", "gamma", "dirichlet") and entropy is not None:
            loss = loss - 0.1 * entropy().mean()
        if q.has_rsample:
            loss = loss + q.rsample().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found += [z.numpy().tobytes(), loss.detach().numpy().tobytes(), held, sorted(vars(q))]
    return [*found, net.weight.detach().numpy().tobytes(), torch.get_rng_state().tolist()]


KINDS = (
    "normal", "squashed", "full", "mixture", "categorical", "gumbel", "gamma", "dirichlet",
    "bernoulli",
)  # fmt: skip


@pytest.mark.parametrize("most", [drawn.MOST, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_the_same_to_the_bit(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the calls are so many that they are handled no more."""
    monkeypatch.setattr(drawn, "MOST", most)
    codes = [
        each.__code__ for name in ("sample", "log_prob") for each, _ in drawn._methods(name, 0)
    ]
    assert len(codes) > 20
    plain = run(kind)
    with graphlab.watch() as session:
        watched = run(kind)
    assert watched == plain
    assert session.trace.unseen == ()
    after = [
        each.__code__ for name in ("sample", "log_prob") for each, _ in drawn._methods(name, 0)
    ]
    assert all(one is other for one, other in zip(codes, after, strict=True))


def test_an_error_of_a_draw_is_the_same() -> None:
    class Broken(D.Normal):
        def sample(self, sample_shape: Any = ()) -> torch.Tensor:
            raise LookupError(f"no {tuple(sample_shape)}")

    def told() -> list[str]:
        words = []
        q = Broken(torch.zeros(2), torch.ones(2))
        for act in (lambda: q.sample((3,)), lambda: D.Normal(0.0, 1.0).sample(3)):  # type: ignore[arg-type]
            try:
                act()
            except Exception as error:
                words.append(f"{type(error).__name__}: {error}")
        return words

    plain = told()
    with graphlab.watch() as session:
        assert told() == plain
    assert len(plain) >= 1 and session.trace.unseen == ()
