"""explain() of an error inside a region that torch.compile traced: no hook saw the write."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import graphlab

GATE = """
import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x):
        h = torch.sigmoid(self.inner(x))
        return self.act(h) * x


net = torch.compile(Gate(), backend="aot_eager")
net(torch.randn(4, 3)).sum().backward()
"""


def test_the_writer_is_what_went_on_from_the_stale_result(tmp_path: Path) -> None:
    script = tmp_path / "gate.py"
    script.write_text(GATE)
    with pytest.raises(Exception, match="inplace operation") as caught:
        runpy.run_path(str(script))
    (finding,) = graphlab.explain(caught.value).findings
    assert finding.code == "GL001"
    assert finding.summary.startswith(
        "h was saved for backward, then changed in place by self.act()"
    )
    assert finding.mutated is not None
    assert finding.mutated.at is not None and "self.act(h)" in finding.mutated.at.code
    assert any("inferred: no other operation" in each for each in finding.notes)
