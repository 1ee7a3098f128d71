"""Runs a script in this process as if no test were loaded beside it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A rule that looks through all files of a program would look through those of the tests that
    this process has imported so far, which are others in each run."""
    tests = {
        name: module
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").startswith(HERE)
    }
    for name in tests:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.modules.update(tests)
