"""What reinforcement learning takes as a number, in strings of source."""

from __future__ import annotations

import ast

import pytest

from graphlab.source.effects.bootstraps import said_to_be_advantage, target_in, weight_in


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("target = r + gamma * q(s2)", "r + gamma * q(s2)"),
        ("error = r + self.discount * v2 * (1 - done) - v", "r + self.discount * v2 * (1 - done)"),
        ("loss = F.mse_loss(v, gamma ** 3 * v3 + r)", "gamma ** 3 * v3 + r"),
        (
            'y = td["reward"] + 0.99 * td["q"].max(-1)[0]',
            "td['reward'] + 0.99 * td['q'].max(-1)[0]",
        ),
        ("average = 0.01 * new + 0.99 * old", None),
        ("reward = reward + 0.5 * bonus(s)", None),
        ("u = 1 + gamma * x", None),
        ("y = x + layer(x) * scale", None),
        ("loss = ce + alpha * (1 - p) ** gamma * x", None),
        ("h = x + y", None),
    ],
)
def test_a_target_is_a_sum_with_something_discounted(line: str, target: str | None) -> None:
    found = target_in(ast.parse(line))
    assert (ast.unparse(found) if found is not None else None) == target


@pytest.mark.parametrize(
    ("line", "weight"),
    [
        ("loss = -(dist.log_prob(a) * (r - v)).mean()", ("r - v", 1)),
        ("loss = -(advantage * logp).mean()", ("advantage", 0)),
        ("surr = ratio * adv", ("adv", 1)),
        ("kl = (p * (log_p - log_q)).sum()", ("p", 0)),
        ("x = ratio * width", None),
        ("y = a * b", None),
    ],
)
def test_a_weight_is_the_other_factor_of_log_probabilities(
    line: str, weight: tuple[str, int] | None
) -> None:
    found = weight_in(ast.parse(line))
    assert (None if found is None else (ast.unparse(found[0]), found[1])) == weight


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ('td["advantage"].squeeze(-1)', True),
        ("norm_adv", True),
        ("self.advantages_of(states)", True),
        ("gae", True),
        ("adversary", False),
        ("p", False),
        ("delta", False),
    ],
)
def test_a_weight_may_say_that_it_is_an_advantage(weight: str, said: bool) -> None:
    assert said_to_be_advantage(ast.parse(weight, mode="eval").body) is said
