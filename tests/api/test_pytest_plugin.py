"""The plugin, in runs of pytest of its own: what it watches, what it fails, what it shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

LOOP = """
    import pytest
    import torch


    def train(steps=3, broken=False):
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(steps):
            if not broken:
                optimizer.zero_grad()
            loss = net(torch.ones(3, 2)).pow(2).mean()
            loss.backward()
            optimizer.step()
        return net, optimizer


    def fail():
        weight = torch.ones(2, requires_grad=True)
        power = weight.exp()
        power.sum().backward()
        loss = (power * power).sum()
        power.add_(1)
        loss.backward()
"""

Run = Callable[..., pytest.RunResult]


pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(tests, *options)``: pytest in this process, on one file that begins with LOOP."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # On a build machine pytest repeats every message in its summary.
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("BUILD_NUMBER", raising=False)

    def go(tests: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=LOOP + tests)
        # Of an editable install pytest has not rewritten the plugin, and would say so here.
        quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        return pytester.runpytest_inprocess("-p", "graphlab.pytest_plugin", *quiet, *options)

    return go


def section(result: pytest.RunResult) -> list[str]:
    """The lines of the first section called graphlab."""
    lines = result.outlines
    start = next(at for at, line in enumerate(lines) if line.strip("-") == " graphlab ")
    end = next(
        at for at in range(start + 1, len(lines)) if lines[at].startswith(("___", "===", "---"))
    )
    return lines[start + 1 : end]


def test_nothing_is_watched_unless_asked(run: Run) -> None:
    result = run(
        """
    import sys

    def test_plain():
        assert sys.gettrace() is None
        train(broken=True)
    """
    )
    result.assert_outcomes(passed=1)


def test_the_fixture_watches_the_body(run: Run) -> None:
    result = run(
        """
    def test_loop(graphlab_watch):
        net, optimizer = train()
        graphlab_watch.assert_clean()
        graphlab_watch.assert_touches_only(optimizer, net)
        assert graphlab_watch.trace.target == "test_loop"
        assert [each.steps for each in graphlab_watch.trace.optimizers] == [3]
    """
    )
    result.assert_outcomes(passed=1)


def test_the_fixture_alone_fails_no_test(run: Run) -> None:
    run("    def test_loop(graphlab_watch):\n        train(broken=True)\n").assert_outcomes(
        passed=1
    )


def test_the_fixture_is_narrowed_by_a_block(run: Run) -> None:
    result = run(
        """
    def test_block(graphlab_watch):
        train(steps=1)
        with graphlab_watch:
            train(steps=2)
        train(steps=1)
        assert [each.steps for each in graphlab_watch.trace.optimizers] == [2]
        with graphlab_watch as session:
            train(steps=3)
        assert [each.steps for each in session.trace.optimizers] == [3]
    """
    )
    result.assert_outcomes(passed=1)


def test_what_fixtures_built_has_its_name(run: Run) -> None:
    result = run(
        """
    @pytest.fixture
    def net():
        return torch.nn.Linear(2, 1)

    @pytest.fixture
    def optimizer_N(net):
        return torch.optim.SGD(net.parameters(), lr=0.1)

    def test_loop(graphlab_watch, net, optimizer_N):
        net(torch.ones(3, 2)).sum().backward()
        optimizer_N.step()
        graphlab_watch.assert_touches("optimizer_N", "net")
    """
    )
    result.assert_outcomes(passed=1)


def test_a_failing_test_shows_traceback_and_story(run: Run) -> None:
    result = run("    def test_loop(graphlab_watch):\n        fail()\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "    def test_loop(graphlab_watch):",
            ">       fail()",
            "test_it.py:*: in fail",
            "E  *RuntimeError: one of the variables needed*",
            "-* graphlab -*",
            "✗ test_loop raised RuntimeError",
            "error[[]GL001[]]: power was saved for backward, *",
            "*│ power.add_(1)*",
            "*│ loss.backward()*",
            "more: graphlab explain GL001",
        ]
    )
    # pytest's traceback has no frame of the plugin in it.
    assert "pytest_plugin" not in "\n".join(result.outlines)


@pytest.mark.parametrize("option", ["--show-capture=no", "--tb=short", "--tb=native", "--tb=line"])
def test_the_section_stays_with_other_ways_of_showing(run: Run, option: str) -> None:
    result = run("    def test_loop(graphlab_watch):\n        fail()\n", option)
    result.assert_outcomes(failed=1)
    if option != "--tb=line":
        assert any("error[GL001]" in line for line in section(result))


def test_a_failing_test_without_findings_has_no_section(run: Run) -> None:
    result = run("    def test_loop(graphlab_watch):\n        train()\n        assert 1 == 2\n")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*graphlab -*")


def test_a_claim_that_fails_shows_itself_and_the_story_once(run: Run) -> None:
    result = run(
        """
    def test_claim(graphlab_watch):
        net, optimizer = train(broken=True)
        graphlab_watch.assert_touches(optimizer, torch.nn.Linear(1, 1))

    def test_clean(graphlab_watch):
        train(broken=True)
        graphlab_watch.assert_clean()
    """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            ">       graphlab_watch.assert_touches(optimizer, torch.nn.Linear(1, 1))",
            "E       AssertionError: optimizer left 2 of 2 parameters of Linear as they were",
            "E         weight: optimizer does not hold it",
            "E       warning[[]GL102[]]: *",
            "E       optimizer  SGD, 3 steps",
            "-* graphlab -*",
            "warning[[]GL102[]]: *",
            "more: graphlab explain GL102",
            "*_ test_clean _*",
            "E       warning[[]GL102[]]: *",
            "E       more: graphlab explain GL102",
        ]
    )
    text = "\n".join(result.outlines)
    assert text.count("more: graphlab explain GL102") == 2
    # Of our own files not a line: the test's last line is where it failed.
    assert "evidence.py" not in text and "assertions.py" not in text


def test_the_marker_fails_a_test_on_findings(run: Run) -> None:
    result = run(
        """
    @pytest.mark.graphlab
    def test_bad():
        train(broken=True)

    @pytest.mark.graphlab
    def test_good():
        train()

    @pytest.mark.graphlab(allow=["GL102"])
    def test_allowed():
        train(broken=True)

    @pytest.mark.graphlab(allow="GL102")
    class TestAll:
        def test_by_class(self):
            train(broken=True)

        @pytest.mark.graphlab(allow=["GL109"])
        def test_by_both(self):
            train(broken=True)
    """
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_bad _*",
            "graphlab: warning[[]GL102[]]: optimizer.step() applied gradients *",
            "-* graphlab -*",
            "✓ test_bad completed after 3 iterations",
            "more: graphlab explain GL102",
            "FAILED test_it.py::test_bad - Failed: graphlab: warning*",
        ]
    )


def test_the_marker_keeps_a_tests_own_failure(run: Run) -> None:
    result = run(
        """
    @pytest.mark.graphlab
    def test_loop():
        train(broken=True)
        assert 1 == 2
    """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       assert 1 == 2", "-* graphlab -*", "warning[[]GL102[]]*"])


def test_an_error_that_the_test_expects_still_counts(run: Run) -> None:
    result = run(
        """
    @pytest.mark.graphlab
    def test_told():
        with pytest.raises(RuntimeError):
            fail()

    @pytest.mark.graphlab(allow=["GL001"])
    def test_allowed():
        with pytest.raises(RuntimeError):
            fail()

    @pytest.mark.xfail(strict=True)
    @pytest.mark.graphlab
    def test_known():
        train(broken=True)

    @pytest.mark.graphlab
    def test_skipped():
        train(broken=True)
        pytest.skip("no")
    """
    )
    result.assert_outcomes(passed=1, failed=1, xfailed=1, skipped=1)


def test_the_option_watches_all_tests(run: Run) -> None:
    tests = """
    import unittest

    def test_warning():
        train(broken=True)

    def test_error():
        with pytest.raises(RuntimeError):
            fail()

    def test_good():
        train()

    class TestCase(unittest.TestCase):
        def test_warning(self):
            train(broken=True)
    """
    run(tests).assert_outcomes(passed=4)
    run(tests, "--graphlab").assert_outcomes(passed=1, failed=3)
    run(tests, "--graphlab", "--graphlab-fail-on=error").assert_outcomes(passed=3, failed=1)


def test_strict_lets_even_an_info_fail(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from graphlab.rules import registry
    from graphlab.trace.finding import Finding

    finding = Finding("GL108", "wasted-gradients", "info", "gradients that nobody used")
    monkeypatch.setattr("graphlab.api.assertions.find", lambda trace: [finding])
    assert "GL108" in {each.code for each in registry.RULES}
    result = run(
        """
    @pytest.mark.graphlab
    def test_plain():
        train()

    @pytest.mark.graphlab(strict=True)
    def test_strict():
        train()

    @pytest.mark.graphlab(allow=["GL108"], strict=True)
    def test_allowed():
        train()

    @pytest.mark.graphlab(strict=True)
    class TestAll:
        @pytest.mark.graphlab(strict=False)
        def test_nearest_wins(self):
            train()
    """
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["graphlab: info[[]GL108[]]: gradients that nobody used"])


@pytest.mark.parametrize(
    ("marker", "error", "help"),
    [
        (
            "allow=['GL199']",
            "allows 'GL199', which is no rule's code",
            "did you mean GL???? *",
        ),
        ("allowed=['GL102']", "has no argument allowed", "it takes allow= and strict="),
        ("'GL102'", "has no argument 'GL102'", "it takes allow= and strict="),
    ],
)
def test_a_mistake_in_a_marker_is_told(run: Run, marker: str, error: str, help: str) -> None:
    result = run(f"    @pytest.mark.graphlab({marker})\n    def test_loop():\n        train()\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"error: graphlab: the graphlab marker {error}", f"help: {help}"])


def test_a_session_of_the_tests_own_takes_over(run: Run) -> None:
    result = run(
        """
    import graphlab

    def test_own():
        with graphlab.watch() as session:
            train(broken=True)
        assert [each.code for each in session.findings] == ["GL102"]
    """,
        "--graphlab",
    )
    result.assert_outcomes(passed=1)


def test_a_test_under_another_watch_is_watched_too(run: Run) -> None:
    import graphlab

    tests = "    @pytest.mark.graphlab\n    def test_loop():\n        train(broken=True)\n"
    with graphlab.watch() as session:
        result = run(tests)
    result.assert_outcomes(failed=1)
    assert [each.code for each in session.findings] == ["GL102"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring is for several tools")
def test_whatever_traces_beside_it_is_warned_of(run: Run) -> None:
    """A coverage tool loses lines while graphlab watches, and a debugger blinds graphlab."""
    kept = sys.gettrace()
    tests = """
    import sys

    @pytest.mark.graphlab
    def test_loop():
        train()
    """

    def tracer(frame: Any, event: str, arg: Any) -> Any:
        return None

    sys.settrace(tracer)
    try:
        result = run(tests)
        after = sys.gettrace()
    finally:
        sys.settrace(kept)
    assert after is tracer
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*graphlab takes Python's trace function while it watches*"])
    result = run(tests + "    sys.settrace(None)\n")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*Python's trace function was taken away*"])


def test_nothing_remains_after_each_test(run: Run) -> None:
    result = run(
        """
    import sys

    before = {key: id(value) for key, value in vars(torch.Tensor).items()}

    @pytest.mark.graphlab
    @pytest.mark.parametrize("how", [train, fail, sys.exit])
    def test_loop(how):
        assert sys.version_info >= (3, 12) or sys.gettrace() is not None
        how()

    def test_after():
        assert sys.gettrace() is None
        assert {key: id(value) for key, value in vars(torch.Tensor).items()} == before
    """
    )
    result.assert_outcomes(passed=2, failed=2)


def test_a_session_goes_with_its_test(run: Run) -> None:
    result = run(
        """
    import gc, weakref

    refs = []

    @pytest.mark.parametrize("how", [train, fail])
    def test_loop(how, graphlab_watch):
        refs.append(weakref.ref(graphlab_watch))
        how()

    def test_after():
        gc.collect()
        assert refs[0]() is None
    """
    )
    result.assert_outcomes(passed=2, failed=1)


def test_the_help_names_options_marker_and_fixture(run: Run) -> None:
    text = run("", "--help").stdout.str()
    assert "--graphlab " in text and "--graphlab-fail-on=" in text
    assert "graphlab(allow=(), strict=False)" in run("", "--markers").stdout.str()
    assert "graphlab_watch" in run("", "--fixtures").stdout.str()
