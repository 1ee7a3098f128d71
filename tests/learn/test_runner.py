"""Processes that run exercises: each attempt in one of its own, which may end as it likes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphlab.learn.course import called, exercises, own
from graphlab.learn.runner import Runner, running
from graphlab.learn.verdict import Verdict, as_json, judge

EXERCISE = called("left_over", exercises(own(), "en"))


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with running(seconds=60) as found:
        yield found


def attempt(runner: Runner, path: Path, source: str) -> Verdict:
    path.write_text(source, encoding="utf-8")
    return judge(EXERCISE, path, runner.run(EXERCISE, path))


def test_the_ways_in_which_an_attempt_ends(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "attempt.py"
    assert EXERCISE.solution is not None
    mended = attempt(runner, path, f"import os; print(os.getpid())\n{EXERCISE.solution}")
    assert mended.passed
    assert mended.output.strip().isdigit()
    assert int(mended.output) != os.getpid()
    raised = attempt(runner, path, "raise ValueError('mine')")
    assert (raised.ended, raised.passed) == ("raised", False)
    assert "ValueError: mine" in raised.output
    assert attempt(runner, path, "import os; os._exit(0)").ended == "lost"
    refused = attempt(runner, path, "x = (")
    assert refused.ended == "refused"
    assert "is not valid Python" in refused.problem
    # After all of that the next attempt is as good as the first.
    assert attempt(runner, path, EXERCISE.solution).passed


def test_a_loop_without_an_end_is_stopped(tmp_path: Path) -> None:
    with running(seconds=1) as runner:
        stopped = attempt(runner, tmp_path / "attempt.py", "while True: pass")
    assert (stopped.ended, stopped.passed) == ("stopped", False)


def test_the_document_has_what_the_page_says(runner: Runner, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
    source = EXERCISE.source.replace("loss.backward()", "loss.backward(retain_graph=True)")
    found = as_json(attempt(runner, tmp_path / "attempt.py", source))
    assert found["schema"] == "graphlab.learn/1"
    assert all(f"`{field}`" in page for field in found if field != "schema")
    assert [finding["code"] for finding in found["findings"]] == ["GL102"]
    assert found["silencers"] == [{"name": "retain_graph=True", "line": 12}]
    missed = [each for each in found["assertions"] if not each["holds"]]
    assert [each["text"] for each in missed] == ["loss ends below 0.1"]
    assert missed[0]["why"].startswith("loss ends at")
