"""A library for a program to import, as one that is installed: none of its lines are the user's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def told_beside(
    library: dict[str, str],
    start: str,
    observe: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], list[Any]]]:
    """For a fixture to yield from: what gives the findings of a program that begins with `start`
    and can import the `library`, each module with its text."""
    installed = folder / "site-packages"
    installed.mkdir()
    for name, text in library.items():
        (installed / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])

    def run(body: str) -> list[Any]:
        path = folder / f"train_{len([*folder.iterdir()])}.py"
        path.write_text(start + body, encoding="utf-8")
        return [each for each in observe(path).told if each.severity != "info"]

    yield run
    for name in library:
        sys.modules.pop(name, None)
