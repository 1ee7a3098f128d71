"""Programs of two ranks whose running statistics no wrapper keeps alike, and such as are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report
from tests.programs.test_ranks_wrappers import HEAD, LAUNCH, grave

MOMENTS = """\
class Moments:
    def __init__(self):
        self.mean = torch.zeros(6)

    def update(self, x):
        batch = x.mean(0)
        self.mean = 0.9 * self.mean + 0.1 * batch

    def normalized(self, x):
        return x - self.mean

"""
QUEUE = """\
class Queue:
    def __init__(self):
        self.rows, self.at = torch.zeros(16, 6), 0

    def update(self, x):
        self.rows[self.at : self.at + 4] = x[:4]
        self.at = (self.at + 4) % 16

    def normalized(self, x):
        return x - self.rows.mean(0)

"""
METER = """\
class Meter:
    def __init__(self):
        self.total, self.count = torch.zeros(6), 0

    def update(self, x):
        self.total += x.mean(0)
        self.count += 1

    def normalized(self, x):
        return x

    def mean(self):
        return self.total / self.count

"""
TRAIN = """\
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
kept = KEPT()
torch.manual_seed(100 + rank)
for step in range(6):
    x = torch.randn(8, 6)
    kept.update(x)
    loss = (model(kept.normalized(x)) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
    optimizer.step()
dist.destroy_process_group()
"""
AVERAGED = "        batch = x.mean(0)\n        dist.all_reduce(batch)\n        batch /= 2\n"


def test_a_statistic_of_each_ranks_own(tmp_path: Path) -> None:
    script = HEAD + MOMENTS + TRAIN.replace("KEPT", "Moments")
    _, document, _ = report(script, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL309", [0, 1])
    assert finding["cause"]["code"] == "self.mean = 0.9 * self.mean + 0.1 * batch"
    assert finding["failed"]["code"] == "return x - self.mean"
    assert finding["tensor"]["name"] == "kept.mean"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            MOMENTS.replace("        batch = x.mean(0)\n", AVERAGED)
            + TRAIN.replace("KEPT", "Moments"),
            id="averaged",
        ),
        pytest.param(QUEUE + TRAIN.replace("KEPT", "Queue"), id="a queue of each rank's own"),
        pytest.param(METER + TRAIN.replace("KEPT", "Meter"), id="a meter"),
    ],
)
def test_nothing_is_said_of_what_is_meant(script: str, tmp_path: Path) -> None:
    code, document, _ = report(HEAD + script, tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])
