"""Repairs of loops that average networks, and of accumulation under no_sync(): no run."""

from __future__ import annotations

import pytest

from graphlab.rules.repair.trained.averaged import the_other_way
from graphlab.rules.repair.wrapped import outside_no_sync
from graphlab.trace.module_sightings import AveragedInto
from tests.rules.build import Script
from tests.rules.test_more_repairs import outcomes

AVERAGE = """\
for online, target in zip(student.parameters(), teacher.parameters()):
    online.data.copy_(0.9 * online.data + 0.1 * target.data)
"""


def test_what_is_copied_into_the_trained_goes_the_other_way() -> None:
    script = Script(AVERAGE)
    line = "online.data.copy_(0.9 * online.data + 0.1 * target.data)"
    sighting = AveragedInto(script.at(line), "teacher", "student")
    help = the_other_way(script.trace(), sighting)
    wanted = AVERAGE.replace(line, "target.data.copy_(0.9 * target.data + 0.1 * online.data)")
    assert help is not None and outcomes(AVERAGE, [help]) == [wanted]


@pytest.mark.parametrize(
    ("was", "wanted"),
    [
        # What keeps most of itself is the average; else the sum is right, and its place is not.
        ("0.9 * online.data + 0.1 * target.data", "0.9 * target.data + 0.1 * online.data"),
        ("0.1 * online.data + 0.9 * target.data", "0.1 * online.data + 0.9 * target.data"),
    ],
)
def test_what_is_given_to_the_data_goes_the_other_way(was: str, wanted: str) -> None:
    line = f"online.data = {was}"
    source = AVERAGE.replace(AVERAGE.splitlines()[1].strip(), line)
    script = Script(source)
    help = the_other_way(script.trace(), AveragedInto(script.at(line), "teacher", "student"))
    assert help is not None
    assert outcomes(source, [help]) == [source.replace(line, f"target.data = {wanted}")]


def test_a_step_along_another_network_is_no_average() -> None:
    line = "online.data = online.data - 0.1 * target.data"
    source = AVERAGE.replace(AVERAGE.splitlines()[1].strip(), line)
    script = Script(source)
    sighting = AveragedInto(script.at(line), "teacher", "student")
    assert the_other_way(script.trace(), sighting) is None


def test_a_plain_copy_is_no_average() -> None:
    source = AVERAGE.replace("0.9 * online.data + 0.1 * target.data", "target.data")
    script = Script(source)
    sighting = AveragedInto(script.at("online.data.copy_(target.data)"), "teacher", "student")
    assert the_other_way(script.trace(), sighting) is None


ACCUMULATED = """\
from contextlib import nullcontext

for i, x in enumerate(data):
    with model.no_sync():
        loss = model(x).mean()
        loss.backward()
    if (i + 1) % 2 == 0:
        opt.step()
        opt.zero_grad()
"""


@pytest.mark.parametrize("imported", [True, False])
def test_the_last_of_some_backwards_averages(imported: bool) -> None:
    source = ACCUMULATED if imported else ACCUMULATED.split("\n\n", 1)[1]
    script = Script(source)
    help = outside_no_sync(script.trace(), script.at("loss.backward()"), script.at("opt.step()"))
    wanted = source.replace(
        "with model.no_sync()", "with nullcontext() if (i + 1) % 2 == 0 else model.no_sync()"
    )
    if not imported:
        wanted = source.replace("    with model.no_sync():\n", "")
        wanted = wanted.replace("        loss", "    loss")
    assert help is not None and outcomes(source, [help]) == [wanted]


@pytest.mark.parametrize(
    ("old", "new"),
    [("        opt.zero_grad()\n", "    else:\n        pass\n"), ("no_sync()", "join()")],
)
def test_other_blocks_and_other_branches_stay(old: str, new: str) -> None:
    source = ACCUMULATED.replace(old, new)
    script = Script(source)
    at, step = script.at("loss.backward()"), script.at("opt.step()")
    assert outside_no_sync(script.trace(), at, step) is None
