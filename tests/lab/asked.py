"""The command line of a scenario, asked by a test."""

from __future__ import annotations

import pytest

from graphlab import lab


def arguments(*argv: str, optimizer: str = "adam") -> lab.Arguments:
    return lab.arguments(optimizer=optimizer, argv=argv)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run `arguments(*argv)`, which must be refused in two lines; the first, without its label."""
    with pytest.raises(lab.LabError) as caught:
        arguments(*argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    error, help = err.splitlines()
    assert out == ""
    assert error == f"error: {caught.value.message}"
    assert help == f"help: {caught.value.help}"
    return caught.value.message
