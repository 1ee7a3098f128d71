"""A parameter that is itself sparse is watched like any other: its values are compared dense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCRIPT = """\
import torch

torch.manual_seed(0)
w = torch.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2)).requires_grad_()
still = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w, still], lr=0.1)
for step in range(6):
    loss = torch.sparse.mm(w, torch.ones(2, 2)).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_sparse_parameter_is_seen_to_change(observe: Any, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT, encoding="utf-8")
    ran = observe(path)
    assert ran.trace.unseen == ()
    (optimizer,) = ran.trace.optimizers
    assert [ran.trace.tensors[at].name for at in optimizer.touched] == ["w"]
