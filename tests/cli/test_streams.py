"""A stream of graphlab's own leads to where stdout led, whatever a program does to its own."""

from __future__ import annotations

from typing import Any

import pytest

OWN = """
import sys
from graphlab.output import streams
with streams.held():
    print("the program's")
    sys.stdout.flush()
    {harm}
    streams.out().write("ours ✓\\n")
"""


@pytest.mark.parametrize(
    "harm",
    ["sys.stdout.close()", "sys.stdout = None", "del sys.stdout", "sys.stdout.detach()",
     "sys.stdout = open('elsewhere', 'w')", "import os; os.close(1)"],
)  # fmt: skip
def test_a_stream_of_our_own_leads_to_where_stdout_led(python: Any, harm: str) -> None:
    done = python("-c", OWN.format(harm=harm), env={"PYTHONIOENCODING": "latin-1"})
    assert done.stdout == "the program's\nours +\n", done.stderr
