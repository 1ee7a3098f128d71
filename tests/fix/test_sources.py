"""Repairs as edits of text: applied, told as a patch, and written only over what was read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from graphlab.errors import UserError
from graphlab.fix.texts import sources
from graphlab.fix.texts.one_a_line import one_a_line, shared_again
from graphlab.trace.finding import Help

SCRIPT = "import torch\nx = 1\ny = x.item()\nprint(y)"


def helped(path: Path, before: str, after: str, line: int) -> Help:
    return Help("a repair", before, after, str(path), line)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_a_repair_replaces_its_lines_and_a_second_one_goes_on_top(script: Path) -> None:
    once = sources.applied(helped(script, "y = x.item()\n", "y = x\n", 3), {})
    assert once == {str(script): "import torch\nx = 1\ny = x\nprint(y)"}
    twice = sources.applied(helped(script, "x = 1\n", "x = 2\nz = 3\n", 2), once)
    assert twice == {str(script): "import torch\nx = 2\nz = 3\ny = x\nprint(y)"}
    assert script.read_text() == SCRIPT


def test_a_file_may_lack_the_end_of_its_last_line(tmp_path: Path) -> None:
    script = tmp_path / "open.py"
    script.write_text("x = 1\ny = 2")
    after = sources.applied(helped(script, "y = 2\n", "y = 2\nz = 3\n", 2), {})
    assert after is not None and [*after.values()] == ["x = 1\ny = 2\nz = 3"]


@pytest.mark.parametrize(
    "help",
    [
        ("y = x.detach()\n", "y = x\n", 3),  # another line stands there
        ("y = x.item()\n", "y = (x\n", 3),  # no Python
        ("y = x.item()\n", "y = x.item()\n", 3),  # nothing changes
        ("", "", 3),  # words alone
    ],
)
def test_what_does_not_fit_is_no_candidate(script: Path, help: tuple[str, str, int]) -> None:
    assert sources.applied(helped(script, *help), {}) is None


def test_edits_are_of_the_file_as_it_is(script: Path) -> None:
    original = sources.read(str(script))
    assert original is not None
    new = {str(script): "import torch\nimport os\nx = 1\ny = x\nprint(y)"}
    told = sources.edits(new, {str(script): original})
    assert [(each.line, each.before, each.after) for each in told] == [
        (2, "", "import os\n"),
        (3, "y = x.item()\n", "y = x\n"),
    ]


def test_the_patch_is_one_that_git_applies(script: Path) -> None:
    original = sources.read(str(script))
    assert original is not None
    new = SCRIPT.replace("x.item()", "x").replace("print(y)", "print(y, y)")
    text = sources.patch({str(script): new}, {str(script): original}, str(script.parent))
    done = subprocess.run(
        ["git", "apply", "-"], input=text, text=True, cwd=script.parent, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert script.read_text() == new


def test_encoding_and_ends_of_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "alt.py"
    data = "# -*- coding: latin-1 -*-\r\nname = 'Größe'\r\nx = 1\r\n".encode("latin-1")
    path.write_bytes(data)
    original = sources.read(str(path))
    assert original is not None and "\r" not in original.text
    new = sources.applied(helped(path, "x = 1\n", "x = 2\n", 3), {})
    assert new is not None
    sources.write(new, {str(path): original})
    assert path.read_bytes() == data.replace(b"x = 1", b"x = 2")


def test_each_line_keeps_its_own_end(tmp_path: Path) -> None:
    path = tmp_path / "mixed.py"
    path.write_bytes(b"x = 1\r\ny = 2\nz = 3\r\n")
    original = sources.read(str(path))
    assert original is not None and original.encoded(original.text) == original.data
    new = sources.applied(helped(path, "z = 3\n", "w = 0\nz = 4\n", 3), {})
    assert new is not None
    sources.write(new, {str(path): original})
    assert path.read_bytes() == b"x = 1\r\ny = 2\nw = 0\nz = 4\n"


def test_a_line_that_a_carriage_return_alone_ends_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_bytes(b"x = 1\ry = 2\n")
    assert sources.read(str(path)) is None


@pytest.mark.parametrize("mark", ["\x0c", "\u2028"])
def test_lines_are_those_that_python_counts(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "page.py"
    path.write_text(f"# one{mark}two\nx = 1\ny = 2\n", encoding="utf-8")
    new = sources.applied(helped(path, "y = 2\n", "y = 3\n", 3), {})
    assert new == {str(path): f"# one{mark}two\nx = 1\ny = 3\n"}


def test_a_file_that_has_changed_is_not_written(script: Path) -> None:
    original = sources.read(str(script))
    assert original is not None
    script.write_text(SCRIPT + "\n# mine")
    with pytest.raises(UserError, match="has changed"):
        sources.write({str(script): "x = 1\n"}, {str(script): original})
    assert script.read_text() == SCRIPT + "\n# mine"


SHARED = """\
def train(n):
\tfor i in range(n): a = f(1,
\t\t2); b = "x; y"; c = 3;  # why
\telse: d = 4
\tif n: pass
\telif d: e = 5; f = 6
\treturn a

x = "é"; y = lambda: (1, 2); z = 3
w = 1
"""
APART = """\
def train(n):
\tfor i in range(n):
\t\ta = f(1,
\t\t2)
\t\tb = "x; y"
\t\tc = 3;  # why
\telse:
\t\td = 4
\tif n:
\t\tpass
\telif d:
\t\te = 5
\t\tf = 6
\treturn a

x = "é"
y = lambda: (1, 2)
z = 3
w = 1
"""


def test_statements_that_share_a_line_are_parted_and_joined_where_nothing_changed() -> None:
    apart, became = one_a_line(SHARED)
    assert apart == APART
    assert shared_again(apart, became) == SHARED
    assert one_a_line(APART) == (APART, {})
    # What a repair has changed stays apart.
    mended = APART.replace("x = ", "w = 0\nx = ").replace("z = 3", "z = 4")
    assert shared_again(mended, became) == SHARED.replace(
        'x = "é"; y = lambda: (1, 2); z = 3', 'w = 0\nx = "é"\ny = lambda: (1, 2)\nz = 4'
    )
    assert one_a_line("x = (1; y = 2") == ("x = (1; y = 2", {})
