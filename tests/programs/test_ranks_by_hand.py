"""Programs of two ranks that average by hand, that forget to, and that part ways in gloo."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report
from tests.programs.test_ranks_wrappers import HEAD, LAUNCH, grave

TRAIN = """\
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
torch.manual_seed(100 + rank)
for step in range(24):
    x = torch.randn(8, 6)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SHOWN = """\
    shown = loss.detach().clone()
    dist.all_reduce(shown)
"""
END = "dist.destroy_process_group()\n"
CLONES = """\
    grads = [p.grad.clone() for p in model.parameters()]
    for g in grads:
        dist.all_reduce(g)
        g /= 2
"""
AVERAGED_LATER = """\
    if step % 20 == 19:
        with torch.no_grad():
            for p in model.parameters():
                dist.all_reduce(p)
                p /= 2
"""
# The last all_reduce of rank 0 meets the backward of rank 1, which sends more, so that gloo aborts.
MISMATCHED = """\
model = DDP(nn.Linear(6, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
for epoch in range(2):
    for part in torch.ones(3 - rank, 6):
        total = part.sum()
        dist.all_reduce(total)
    model(torch.ones(2, 6)).mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(TRAIN + AVERAGED_LATER, id="parameters averaged now and then"),
        pytest.param("torch.manual_seed(rank)\n" + TRAIN + SHOWN, id="a model each"),
    ],
)
def test_nothing_is_said_of_what_is_meant(script: str, tmp_path: Path) -> None:
    code, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])


def test_a_wrapper_that_was_forgotten(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + TRAIN + SHOWN + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL301", [0, 1])
    assert finding["cause"]["code"].startswith("model = nn.Sequential(")
    assert finding["help"][0]["after"].startswith("model = DDP(nn.Sequential(")


def test_averages_that_are_never_written_back(tmp_path: Path) -> None:
    script = TRAIN.replace("    optimizer.step()\n", CLONES + "    optimizer.step()\n")
    _, document, _ = report(HEAD + script + END, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == ("GL301", "dist.all_reduce(g)")
    assert "[p.grad for p in model.parameters()]" in finding["help"][0]["after"]


def test_a_rank_that_gloo_aborts_is_in_the_report(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + MISMATCHED + END, tmp_path, *LAUNCH)
    assert code == 1
    assert [each["environment"]["rank"] for each in document["ranks"]] == [0, 1]
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == ("GL304", "dist.all_reduce(total)")


@pytest.mark.skip(reason="torch's SyncBatchNorm trains on GPUs alone, and raises on a CPU")
def test_nothing_is_said_of_batch_norm_over_all_ranks() -> None:
    """In tests/cuda/test_ranks.py."""
