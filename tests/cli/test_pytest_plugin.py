"""The pytest plugin in processes of its own: what a start imports, and the workers of xdist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_a_start_imports_no_torch(pytester: pytest.Pytester, monkeypatch: Any) -> None:
    """Nor anything of graphlab but the plugin, for a test that is not watched."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys

        def test_plain():
            assert "torch" not in sys.modules and "rich" not in sys.modules
            ours = {name for name in sys.modules if name.startswith("graphlab")}
            assert ours == {"graphlab", "graphlab._version", "graphlab.pytest_plugin"}
        """
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    result = pytester.runpytest_subprocess("-p", "graphlab.pytest_plugin")
    result.assert_outcomes(passed=1)


def test_it_works_with_xdist(pytester: pytest.Pytester, monkeypatch: Any) -> None:
    pytest.importorskip("xdist")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makepyfile(
        test_it="""
    import torch

    def test_loop():
        weight = torch.ones(2, requires_grad=True)
        power = weight.exp()
        loss = (power * power).sum()
        power.add_(1)
        loss.backward()

    def test_broken():
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            net(torch.ones(3, 2)).pow(2).mean().backward()
            optimizer.step()

    def test_good():
        torch.ones(2, requires_grad=True).sum().backward()
    """
    )
    result = pytester.runpytest_subprocess(
        "-p", "xdist.plugin", "-p", "graphlab.pytest_plugin", "-n", "1", "--graphlab"
    )
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    assert "error[GL001]: power was saved for backward" in text
    assert "graphlab: warning[GL102]: " in text
    assert text.count("- graphlab -") == 2
