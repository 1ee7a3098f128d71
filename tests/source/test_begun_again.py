"""What a loop over epochs throws away in each turn."""

from __future__ import annotations

import pytest

from graphlab.source.effects.idle.begun_again import begun_again

LOOP = """\
for epoch in range(5):
    {first}
    optimizer = Adam(model.parameters())
    for batch in loader:
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("model = Net(3)", ("model", False)),
        ("model = nets.Net(3)", ("model", False)),
        ("pyro.clear_param_store()", ("pyro.clear_param_store()", True)),
        ("model = copy.deepcopy(base)", None),
        ("model = make(3)", None),
        ("model = Net(3); model.load_state_dict(base)", None),
        ("model = Net(3); models.append(model)", None),
        ("sampler = Sampler(3)", None),
        ("clear()", None),
    ],
)
def test_what_an_epoch_begins_with(first: str, found: tuple[str, bool] | None) -> None:
    source = LOOP.format(first=first)
    told = begun_again("a.py", source, 5)
    assert (told and (told.at.line, told.loop.line, told.name, told.store)) == (
        found and (2, 1, *found)
    )


def test_other_loops_begin_again_on_purpose() -> None:
    source = LOOP.format(first="model = Net(3)")
    assert begun_again("a.py", source.replace("epoch", "fold"), 5) is None
    assert begun_again("a.py", source + "optimizer.step()\n", 6) is None
    assert begun_again("a.py", "for epoch in", 1) is None
