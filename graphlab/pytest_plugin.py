"""The pytest plugin: watches tests, fails them on findings, and shows the findings of failed tests.

pytest imports this file at every start, so graphlab's other modules and torch are imported only
when a test is watched.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from graphlab.api.session import Session
    from graphlab.trace.finding import Finding

LEVELS = ("info", "warning", "error")
SET_ASIDE = (
    "graphlab takes Python's trace function while it watches, and another one was in use: a "
    "coverage report will miss what ran meanwhile (not on Python 3.12 and later)"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which findings fail a test. `level` is None where none does."""

    level: str | None
    allowed: frozenset[str]

    def findings(self, session: Session) -> list[Finding]:
        return [each for each in session.findings if each.code not in self.allowed]

    def failing(self, session: Session) -> list[Finding]:
        if self.level is None:
            return []
        lowest = LEVELS.index(self.level)
        return [each for each in self.findings(session) if LEVELS.index(each.severity) >= lowest]


_SESSION = pytest.StashKey["Session"]()
_RULES = pytest.StashKey[Rules]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("graphlab", "graphlab: PyTorch's autograd graph")
    group.addoption(
        "--graphlab",
        action="store_true",
        help="watch every test, and fail it on what graphlab finds",
    )
    group.addoption(
        "--graphlab-fail-on",
        choices=("error", "warning"),
        default="warning",
        help="the least that fails a watched test (default: warning)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "graphlab(allow=(), strict=False): watch this test, and fail it on findings; allow: codes "
        "that may stand; strict: even those that only inform fail it",
    )


@pytest.fixture
def graphlab_watch(request: pytest.FixtureRequest) -> Session:
    """A graphlab.Session around the body of this test; `with graphlab_watch:` narrows it."""
    return _session(request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # A wrong marker is reported before anything runs.
    item.stash[_RULES] = _rules(item)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    rules = item.stash[_RULES]
    if rules.level is None and _SESSION not in item.stash:
        return (yield)
    session = _session(item)
    if sys.gettrace() is not None and sys.version_info < (3, 12):
        item.warn(pytest.PytestWarning(SET_ASIDE))
    session.start()
    try:
        result = yield
    except BaseException as error:
        session.stop(error)
        raise
    session.stop()
    failing = rules.failing(session)
    if failing:
        from graphlab.text import one_line

        first = failing[0]
        more = f", and {len(failing) - 1} more" if len(failing) > 1 else ""
        message = f"{first.severity}[{first.code}]: {one_line(first.summary)}{more}"
        pytest.fail(f"graphlab: {message}", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, Any, Any]:
    report = yield
    session = item.stash.get(_SESSION, None)
    if session is None:
        return report
    if call.when == "teardown":
        # pytest keeps every item until it ends, and a session is large.
        del item.stash[_SESSION]
    if call.when != "call":
        return report
    from graphlab.language import told

    for notice in session.trace.unseen:
        item.warn(pytest.PytestWarning(f"graphlab: {told(notice)}"))
    if report.failed:
        findings = item.stash[_RULES].findings(session)
        error = call.excinfo.value if call.excinfo is not None else None
        if findings:
            _add_section(item, report, session, findings, error)
    return report


def _add_section(
    item: pytest.Item,
    report: Any,
    session: Session,
    findings: list[Finding],
    error: BaseException | None,
) -> None:
    import os
    import shlex

    from rich.console import Group
    from rich.text import Text

    from graphlab.api.evidence import HAS_STORIES
    from graphlab.views import console
    from graphlab.views.terminal import report as terminal
    from graphlab.views.terminal.story import Story

    # An assertion of graphlab's shows the ledger in its message, and perhaps the findings.
    already = getattr(error, HAS_STORIES, None)
    if already:
        return
    if already is None:
        shown = terminal.full(session.trace, findings, [])
    else:
        shown = Group(*(part for each in findings for part in (Story(each), Text())))
    if any(each.severity != "info" for each in findings):
        # As it is to be typed here: a node's name begins at pytest's root folder.
        file = os.path.relpath(item.path, item.config.invocation_params.dir)
        name = f"{file}::{item.nodeid.partition('::')[2]}"
        shown = Group(
            shown, Text(), Text(f"to mend it: graphlab fix -m pytest {shlex.quote(name)}")
        )
    story = console.text(shown).rstrip()
    # Beside the traceback --show-capture does not hide it, but not every report has a traceback.
    if hasattr(report.longrepr, "addsection"):
        report.longrepr.addsection("graphlab", story)
    else:
        report.sections.append(("graphlab", story))


def _session(item: pytest.Item) -> Session:
    session = item.stash.get(_SESSION, None)
    if session is None:
        from graphlab.api.session import Session

        session = item.stash[_SESSION] = Session(item.name, gives_way=True)
    return session


def _rules(item: pytest.Item) -> Rules:
    level = item.config.getoption("--graphlab-fail-on")
    allowed: set[str] = set()
    marks = list(item.iter_markers("graphlab"))
    for mark in reversed(marks):
        unknown = [repr(each) for each in mark.args] + sorted({*mark.kwargs} - {"allow", "strict"})
        if unknown:
            _fail(
                f"the graphlab marker has no argument {unknown[0]}", "it takes allow= and strict="
            )
        allow = mark.kwargs.get("allow", ())
        allowed.update([allow] if isinstance(allow, str) else allow)
        strict = mark.kwargs.get("strict")
        if strict is not None:
            level = "info" if strict else item.config.getoption("--graphlab-fail-on")
    if allowed:
        _check(allowed)
    if not marks and not item.config.getoption("--graphlab"):
        level = None
    return Rules(level, frozenset(allowed))


def _check(codes: set[str]) -> None:
    from graphlab.language.lists import suggestion
    from graphlab.rules.registry import RULES

    known = [each.code for each in RULES]
    for code in sorted(codes - {*known}):
        _fail(
            f"the graphlab marker allows {code!r}, which is no rule's code",
            suggestion(code, known),
        )


def _fail(message: str, help: str) -> NoReturn:
    pytest.fail(f"error: graphlab: {message}\nhelp: {help}", pytrace=False)
