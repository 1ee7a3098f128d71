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


OWN = """\
class EMA:
    def __init__(self, net): self.shadow = dict(net.named_parameters())
    def update(self): self.shadow = {}
    def apply_shadow(self): {more}
"""


@pytest.mark.parametrize(
    ("made", "rest", "found"),
    [
        ("ema = EMA(net)\n", "    y = ema(x)\n", "ema"),
        ("ema = EMA(net)\n", "    ema.eval()\n    ema.copy_to(net)\n", "ema"),
        ("self.ema = EMA(net)\n", "self.ema.apply_shadow()\nself.ema.restore()\n", "self.ema"),
        (OWN.replace("{more}", "pass") + "ema = EMA(net)\n", "    ema.apply_shadow()\n", "ema"),
        # It is brought up to date, or may be: by itself, by others, or from a file.
        ("ema = EMA(net)\n", "    y = ema(x)\n    ema.update()\n", None),
        ("ema = EMA(net)\n", "    ema.step(net)\nema.eval()\n", None),
        ("ema = EMA(net)\ntrain(ema)\n", "    y = ema(x)\n", None),
        ("ema = EMA(net)\n", "    y = ema(x)  # ema.update() comes later\n", None),
        ("ema = EMA(net)\nema.load_state_dict(kept)\n", "    y = ema(x)\n", None),
        (OWN.replace("{more}", "self.update()") + "ema = EMA(net)\n", "ema.apply_shadow()\n", None),
        (OWN.replace("{more}", "pass") + "ema = EMA(net)\n", "    x = ema(x)\n", None),
        ("", "ema = EMA(net)\ny = ema(x)\n", None),
    ],
)
def test_an_average_that_is_used_and_never_brought_up_to_date(
    made: str, rest: str, found: str | None
) -> None:
    source = made + LOOP + rest
    step = source[: source.index("optimizer.step")].count("\n") + 1
    told = [*unread_helpers({"a.py": source}, "a.py", step)]
    assert [each.name for each in told if each.read] == ([found] if found is not None else [])


CLASS = """\
class Agent{bases}:
    def __init__(self, loss):
        self.updater = SoftUpdate(loss, tau=0.05)
    def step(self, optimizer):
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("bases", "rest", "found"),
    [
        ("", "", True),
        ("(nn.Module)", "", True),
        ("(Base)", "class Base:\n    pass\n", True),
        # A library's class may read it, and so may another part of the program.
        ("(Base)", "", False),
        ("", "agent.updater.step()\n", False),
        ("", "# agent.updater is stepped elsewhere\n", False),
    ],
)
def test_what_an_object_keeps_and_nobody_reads(bases: str, rest: str, found: bool) -> None:
    source = CLASS.format(bases=bases) + rest
    told = [each.name for each in unread_helpers({"a.py": source}, "a.py", 5)]
    assert told == (["self.updater"] if found else [])
