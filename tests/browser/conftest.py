"""Pages in a real browser: none may say anything on its console, or ask for anything."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graphlab import catalogue
from graphlab.api.player import film_of, played_run
from graphlab.observe import program
from graphlab.observe.observation import Observation
from graphlab.rules.registry import find
from graphlab.views.player.page import RecordedRun

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip("there is no chromium here")
    with sync_api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``visit(html, "#step=3", **options)``: the page, opened from a file of its own."""
    said: list[str] = []
    asked: list[str] = []
    pages: list[Any] = []

    def go(html: str, hash: str = "", **options: Any) -> Any:
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(html, encoding="utf-8")
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 720}, **options})
        pages.append(page)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + hash)
        return page

    yield go
    for page in pages:
        page.close()
    assert said == []
    own = {f"page{number}.html" for number in range(len(pages))}
    away = [url for url in asked if url.partition("#")[0].rpartition("/")[2] not in own]
    assert [url for url in away if not url.startswith(("data:", "about:"))] == []


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RecordedRun]:
    """``record(scenario)`` or ``record(source)``: a run of it under the camera, once a session."""
    known: dict[str, RecordedRun] = {}

    def run(what: str) -> RecordedRun:
        if what not in known:
            if "\n" in what:
                path = tmp_path_factory.mktemp("script") / "train.py"
                path.write_text(what, encoding="utf-8")
                name, words = "train.py", []
            else:
                path, name = catalogue.scenario(what).path, what
                words = ["--steps", "2", "--device", "cpu"]
            sessions: list[Observation] = []

            def started(session: Observation) -> None:
                sessions.append(session)
                session.keep_film()

            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                trace = program.run(program.script(str(path)), words, name, started).trace
            findings = find(trace)
            film = film_of(sessions[0], trace, findings)
            assert film is not None
            known[what] = played_run(trace, film, findings)
        return known[what]

    return run
