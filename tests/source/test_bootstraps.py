"""Which sum of a statement is a bootstrapped target."""

from __future__ import annotations

import ast

import pytest

from graphlab.source.effects.bootstraps import target_in


@pytest.mark.parametrize(
    ("statement", "target"),
    [
        ("y = r + self.gamma * best", "r + self.gamma * best"),
        ("e = r + 0.95 * next_value - value", "r + 0.95 * next_value"),
        ("y = reward + critic_next(s) * 0.99", "reward + critic_next(s) * 0.99"),
        # A factor is no discount without a name that says so.
        ("y = r + 0.95 * value", None),
        ("y = r + 1.5 * next_value", None),
    ],
)
def test_target(statement: str, target: str | None) -> None:
    found = target_in(ast.parse(statement))
    assert (ast.unparse(found) if found is not None else None) == target
