"""What the graph of a loss tells without a second run, because its nodes can be computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from graphlab.observe.graph.walk import grad_edge, walk
from graphlab.observe.numbers.recompute import recompute
from tests.observe.test_numbers import seen, told

X = torch.linspace(0.1, 0.9, 12).reshape(3, 4)


def _leaf() -> Any:
    return X.clone().requires_grad_()


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: F.smooth_l1_loss(x, X.sqrt(), beta=0.05),
        lambda x: F.smooth_l1_loss(x, X.sqrt(), reduction="none"),
        lambda x: F.huber_loss(x, X.sqrt(), reduction="sum", delta=0.1),
        lambda x: F.binary_cross_entropy(x, X.sqrt(), weight=X),
        lambda x: F.binary_cross_entropy_with_logits(x, X.sqrt(), pos_weight=X[0]),
        lambda x: F.nll_loss(x, torch.tensor([0, 3, 1]), weight=X[0]),
        lambda x: torch.xlogy(x, X),
        lambda x: torch.xlogy(X, x),
        lambda x: x.clamp_min(0.5),
        lambda x: x.clamp_max(0.5),
        lambda x: x.max(1).values,
        lambda x: x.min(0, keepdim=True).values,
        lambda x: x.var(),
        lambda x: x.var(1, correction=0, keepdim=True),
        lambda x: x.gather(1, torch.tensor([[0, 2], [1, 1], [3, 0]])),
        lambda x: x.index_select(1, torch.tensor([2, 0])),
        lambda x: x.flip(0, 1),
        lambda x: x.repeat(2, 1),
    ],
)
def test_a_node_is_computed_as_torch_did(formula: Any) -> None:
    result = formula(_leaf())
    values: dict[Any, Any] = {}
    recompute(walk([grad_edge(result)]), values)
    assert torch.equal(values[grad_edge(result)], result.detach())


@pytest.mark.parametrize(
    "loss",
    [
        "F.smooth_l1_loss(net(x), x, reduction='sum')",
        "F.huber_loss(net(x), x, reduction='sum')",
        "F.binary_cross_entropy(net(x).sigmoid(), x.sigmoid(), reduction='sum')",
        "F.binary_cross_entropy_with_logits(net(x), x.sigmoid(), reduction='sum')",
        "(F.smooth_l1_loss(net(x), x, reduction='none').max(1).values * kept[:, 0]).sum()",
    ],
)
def test_a_loss_that_is_divided_by_what_is_counted(tmp_path: Path, loss: str) -> None:
    body = f"kept = (x > 9 * int(step == 4)).float()\nloss = {loss} / kept.sum()\n"
    (found,) = seen(tmp_path, body)
    assert (found.iteration, found.operation) == (4, "div")
    assert (found.operand, found.critical) == ("kept.sum()", "it is 0")
    assert found.look_from is None


CTC = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Linear(4, 5)
ctc = nn.CTCLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(8):
    scores = net(torch.randn(6, 2, 4)).log_softmax(-1)
    sizes = torch.tensor([6, 6])
    lengths = torch.tensor([2, 8 if step == 4 else 3])
    labels = torch.randint(1, 5, (int(lengths.sum()),))
    loss = {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_label_that_is_too_long(tmp_path: Path) -> None:
    text = CTC.replace("{loss}", "F.ctc_loss(scores, labels, sizes, lengths)")
    (found,) = told(tmp_path, text)
    assert (found.iteration, found.operation, found.operand) == (4, "ctc_loss", "lengths")
    said = "1 of 2 values is more than the input length can hold"
    assert (found.critical, found.look_from) == (said, None)


def test_a_label_that_is_too_long_for_a_module(tmp_path: Path) -> None:
    said = "1 of 2 values is more than the input length can hold"
    # How it is called by the line that calls a module, the second run tells.
    text = CTC.replace("{loss}", "ctc(scores, labels, sizes, lengths)")
    (found,) = told(tmp_path, text)
    assert (found.operation, found.operand, found.look_from) == ("ctc_loss", "", 4)
    (found,) = told(tmp_path, text, 4)
    assert (found.operand, found.critical) == ("lengths", said)
