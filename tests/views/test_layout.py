"""Layout in a child process: it ends in time, tries again, and works with pip packages alone."""

from __future__ import annotations

import sys
import time

import pytest

from graphlab.trace.graph import Graph, Root
from graphlab.views.figure import layout
from graphlab.views.figure.picture import FigureOptions, picture

SLOW = [sys.executable, "-c", "import sys, time; time.sleep(60)", ""]
TEXT = "digraph { a -> b }"


def two_nodes() -> Graph:
    return Graph(("SumBackward0", "ExpBackward0"), ((1,), (-1,)), (Root("loss", 0),))


@pytest.mark.parametrize(
    ("form", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_nothing_is_needed_on_path(
    form: str, magic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert layout.engine()[0] == sys.executable
    made = picture(two_nodes(), FigureOptions(title="two"), form)
    assert made.form == form and made.data.startswith(magic) and made.notice == ""


def test_dot_on_the_path_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout.shutil, "which", lambda name: "/somewhere/dot")
    assert layout.engine() == ["/somewhere/dot", "-T"]
    assert layout.engine(bundled=True)[0] == sys.executable


def test_an_engine_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "engine", lambda bundled=False: list(SLOW))
    begin = time.monotonic()
    made = picture(two_nodes(), FigureOptions("op", title="two"), "svg", timeout=1.0)
    # A bound on hanging, not on speed.
    assert time.monotonic() - begin < 30
    assert made.form == "dot" and b"n1 -> n0" in made.data
    assert "no layout in 1 seconds" in made.notice


def test_the_second_try_is_simpler(monkeypatch: pytest.MonkeyPatch) -> None:
    real = layout._run
    seen: list[str] = []

    def first_fails(source: str, form: str, limit: float, bundled: bool) -> bytes | None:
        seen.append(source)
        return None if len(seen) == 1 else real(source, form, limit, bundled)

    monkeypatch.setattr(layout, "_run", first_fails)
    made = picture(two_nodes(), FigureOptions("op", title="two"), "svg")
    assert made.form == "svg" and "less care" in made.notice
    assert "nslimit" not in seen[0] and "nslimit" in seen[1]


def test_what_the_engine_says_is_told() -> None:
    with pytest.raises(layout.LayoutError):
        layout.lay_out([lambda: "digraph { this is no dot"], "svg", bundled=True)


def test_the_tries_share_the_time() -> None:
    laid = layout.lay_out([lambda: TEXT, lambda: TEXT], "svg", timeout=0.0, bundled=True)
    assert laid.data is None and laid.attempt == 2
