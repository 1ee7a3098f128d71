"""Programs of two ranks that sum gradients in each micro-batch of an accumulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report
from tests.programs.test_ranks_wrappers import HEAD, LAUNCH, grave

SUMMED = """\
model = nn.Linear(6, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(4):
    optimizer.zero_grad()
    for micro in range(2):
        x = torch.randn(8, 6)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean() / SHARE
        loss.backward()
        for p in model.parameters():
            dist.all_reduce(p.grad)
    optimizer.step()
dist.destroy_process_group()
"""
# None in the first turn.
LAST = SUMMED.replace("for p in model.parameters():", "for p in micro * [*model.parameters()]:")


def test_micro_batches_that_are_summed_again(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + SUMMED.replace("SHARE", "4"), tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL301", [0, 1])
    assert finding["cause"]["code"] == "dist.all_reduce(p.grad)"
    assert "the earlier micro-batches" in finding["summary"]
    (repair,) = finding["help"]
    assert repair["after"].startswith("    for p in model.parameters():\n        dist.all_reduce")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            SUMMED.replace("(p.grad)\n", "(p.grad)\n            p.grad /= 2\n"),
            id="averaged each time",
        ),
        pytest.param(
            SUMMED.replace("    for micro in range(2):", "    for micro in range(1):"),
            id="one batch",
        ),
        pytest.param(LAST, id="the last alone"),
    ],
)
def test_sums_that_are_right(script: str, tmp_path: Path) -> None:
    code, document, _ = report(HEAD + script.replace("SHARE", "4"), tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])


CLAMPED = """\
model = nn.Linear(6, 4)
optimizer = torch.optim.SGD(model.parameters(), 0.05)
soft = [torch.rand(p.shape) for p in model.parameters()]
torch.manual_seed(100 + rank)
for step in range(4):
    x = torch.randn(8, 6) * (1 + rank)
    optimizer.zero_grad()
    (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
    for p, m in zip(model.parameters(), soft):
        p.grad.clamp_(-0.5, 0.5)
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
    optimizer.step()
dist.destroy_process_group()
"""
WRITE = "p.grad.clamp_(-0.5, 0.5)"


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (WRITE, True),
        ("p.grad.data.clamp_(-0.5, 0.5)", True),
        ("p.grad.mul_(m)", False),
        ("p.grad.mul_((1 + rank) / 4)", False),
        ("p.grad.add_(0.01 * torch.randn(p.shape))", False),
    ],
)
def test_a_clamp_of_each_ranks_own_before_the_average(
    write: str, told: bool, tmp_path: Path
) -> None:
    _, document, _ = report(HEAD + CLAMPED.replace(WRITE, write), tmp_path, *LAUNCH)
    found = [(each["code"], each["cause"]["code"]) for each in grave(document)]
    assert found == ([("GL314", write)] if told else [])
