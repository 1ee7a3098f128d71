"""Helpers of a loop that are made and used nowhere."""

from __future__ import annotations

import pytest

from graphlab.source.effects.idle.unread import unread_helpers

LOOP = "for x in data:\n    optimizer.step()\n"


@pytest.mark.parametrize(
    ("made", "rest", "found"),
    [
        ("s = AveragedModel(net)\n", "", ("s", "AveragedModel", "update_parameters(model)")),
        ("u = objectives.SoftUpdate(loss, eps=0.9)\n", "", ("u", "SoftUpdate", "step()")),
        ("e = ModelEmaV2(net)\n", "", ("e", "ModelEmaV2", "update()")),
        ("s = AveragedModel(net)\n", "    s.step()\n", None),
        ("s = AveragedModel(net)\n", "    # s.step()\n", None),
        ("s = AveragedModel(net)\n", "train(s)\n", None),
        ("self.s = AveragedModel(net)\n", "", None),
        ("s = Net(3)\n", "", None),
        ("def f():\n    s = AveragedModel(net)\n", "", None),
    ],
)
def test_what_is_made_above_the_loop(
    made: str, rest: str, found: tuple[str, str, str] | None
) -> None:
    source = made + LOOP + rest
    step = source[: source.index("optimizer.step")].count("\n") + 1
    told = [(e.name, e.kind, e.method) for e in unread_helpers({"a.py": source}, "a.py", step)]
    assert told == ([found] if found is not None else [])


def test_another_file_may_read_it() -> None:
    source = "s = AveragedModel(net)\n" + LOOP
    assert [*unread_helpers({"a.py": source, "b.py": "from a import s\n"}, "a.py", 3)] == []
    assert len([*unread_helpers({"a.py": source, "b.py": "import a\n"}, "a.py", 3)]) == 1
    # What is made below the steps is for what follows.
    assert [*unread_helpers({"a.py": LOOP + "s = AveragedModel(net)\n"}, "a.py", 2)] == []
