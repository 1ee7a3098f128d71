"""By which counts the summands of a loss were divided, read from its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from graphlab.observe.notes import Log  # noqa: E402
from graphlab.observe.sightings.ranks.weights import terms_of  # noqa: E402

F = torch.nn.functional
X = torch.ones(6, 3, requires_grad=True)
LABELS = torch.tensor([0, 1, 2, -100, -100, -100])
MASK = torch.tensor([1.0, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        pytest.param(lambda: F.cross_entropy(X, LABELS), [([3], 1)], id="targets that count"),
        pytest.param(lambda: F.mse_loss(X, torch.zeros(6, 3)), [([18], 1)], id="a mean"),
        pytest.param(lambda: X[MASK > 0].mean() / 4, [([4, 6], 1)], id="over what is selected"),
        pytest.param(lambda: (X.sum(1) * MASK).sum() / MASK.sum(), [([2], 1)], id="by a mask"),
        pytest.param(
            lambda: ((X.sum(1) * MASK) / (MASK.sum() + 1e-6)).sum(), [([2], 1)], id="inside a sum"
        ),
        pytest.param(lambda: (MASK * 3 * X.sum(1)).mean(), [([6], 3)], id="a mean with weights"),
        pytest.param(lambda: 2 * X.sum() / 2.5, [([], 0.8)], id="by no count"),
        pytest.param(
            lambda: -3 * X.mean() + X.sum() / 5, [([18], -3), ([5], 1)], id="two summands"
        ),
        pytest.param(lambda: X.sum() / X.max(), [([], 1)], id="by what has a graph"),
        pytest.param(lambda: X.mean(1).sum(), [([], 1)], id="means of rows"),
        pytest.param(lambda: (X * torch.ones(6, 3)).sum(), [([], 1)], id="a sum"),
        pytest.param(
            lambda: F.cross_entropy(X, LABELS, weight=torch.rand(3)), [([], 1)], id="class weights"
        ),
    ],
)
def test_what_a_loss_is_divided_by(
    loss: Callable[[], Any], expected: list[tuple[list[int], float]]
) -> None:
    terms = [*terms_of(loss().grad_fn, Log())]
    assert [[each.count for each in term.divisors] for term in terms] == [n for n, _ in expected]
    assert [term.factor for term in terms] == pytest.approx([factor for _, factor in expected])
