"""docs/regression-tests.md does what it says: its test fails before the fix and passes after it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import graphlab

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "regression-tests.md").read_text(encoding="utf-8")
# (text, name) of every example; the page shows one of them twice, before the fix and after it.
FILES = [
    (text, name) for text, name in re.findall(r"^```python\n(# (\S+)\n.*?)^```$", PAGE, re.M | re.S)
]


pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty folder with the page's files in it as they stand first."""
    for text, name in reversed(FILES):
        (pytester.path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return pytester


def run(folder: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return folder.runpytest_inprocess("-p", "graphlab.pytest_plugin", *arguments)


def scrubbed(text: str) -> list[str]:
    """Lines without numbers and bars, which torch's own arithmetic may move a little."""
    lines = (re.sub(r"[+-]?\d+(\.\d+)?", "#", line) for line in text.splitlines())
    return [" ".join(re.sub("[█░]+", "▒", line).split()) for line in lines]


def test_every_example_has_a_name() -> None:
    assert [name for _, name in FILES] == [
        "gan.py", "test_gan.py", "gan.py", "by_hand.py", "test_marked.py",
    ]  # fmt: skip
    assert PAGE.count("```python") == len(FILES)


def test_the_test_fails_before_the_fix_as_printed_and_passes_after_it(
    folder: pytest.Pytester,
) -> None:
    result = run(folder, "test_gan.py")
    result.assert_outcomes(failed=1)
    printed = re.search(r"^```text\n(.*?)^```$", PAGE, re.M | re.S)
    assert printed is not None
    said = scrubbed(result.stdout.str())
    start = said.index(scrubbed(printed[1])[0])
    assert said[start : start + len(scrubbed(printed[1]))] == scrubbed(printed[1])
    assert "warning[GL#]" in " ".join(said[start + len(scrubbed(printed[1])) :])
    (fixed,) = [text for text, name in FILES[1:] if name == "gan.py"]
    # Elsewhere, where nothing that was read or compiled a moment ago can stand in for it.
    after = folder.mkdir("after")
    (after / "gan.py").write_text(fixed, encoding="utf-8")
    (after / "test_gan.py").write_bytes((folder.path / "test_gan.py").read_bytes())
    run(folder, "after").assert_outcomes(passed=1)


def test_the_marked_tests_pass(folder: pytest.Pytester) -> None:
    result = run(folder, "test_marked.py")
    result.assert_outcomes(passed=4)


def test_without_what_it_allows_a_marked_test_fails(folder: pytest.Pytester) -> None:
    path = folder.path / "test_marked.py"
    path.write_text(path.read_text(encoding="utf-8").replace('(allow=["GL102"])', ""))
    run(folder, "test_marked.py").assert_outcomes(passed=3, failed=1)


def test_the_example_by_hand_runs(folder: pytest.Pytester) -> None:
    result = folder.runpython(folder.path / "by_hand.py")
    assert result.ret == 0
    assert result.outlines == ["[]"]


def test_the_options_exist(folder: pytest.Pytester) -> None:
    shown = re.findall(r"^pytest (.+)$", PAGE, re.M)
    assert shown == ["--graphlab", "--graphlab --graphlab-fail-on error"]
    for options in shown:
        assert run(folder, "--markers", *options.split()).ret == 0


def test_every_assertion_stands_in_the_table() -> None:
    told = set(re.findall(r"^\| `(assert_\w+)\(", PAGE, re.M))
    assert told == {name for name in dir(graphlab.Session) if name.startswith("assert_")}
