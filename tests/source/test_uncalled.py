"""Statements that name a method without calling it, and the only one that calls it."""

from __future__ import annotations

import pytest

from graphlab.source.effects.idle.uncalled import uncalled, written


def test_a_method_that_is_named_and_not_called() -> None:
    found = uncalled({"a.py": "opt.zero_grad\nopt.step()\n"}, "zero_grad")
    assert found is not None and (found.line, found.code) == (1, "opt.zero_grad")
    assert uncalled({"a.py": "opt.zero_grad()\n"}, "zero_grad") is None


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("if done:\n    self.opt.zero_grad(True)\n", 2),
        ("opt.zero_grad()\nopt.zero_grad()\n", None),
        ("opt.zero_grad()\nclear = opt.zero_grad\n", None),
        ("opt.zero_grad\n", None),
        ("done = opt.zero_grad()\n", None),
    ],
)
def test_the_only_call_of_a_method(source: str, line: int | None) -> None:
    found = written({"a.py": source, "b.py": "opt.step()\n"}, "zero_grad")
    assert (found.line if found is not None else None) == line
