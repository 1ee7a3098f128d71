"""graphlab learn on the command line: without a terminal, in one, and for autograders."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graphlab import language
from graphlab.learn.course import called, exercises, own
from graphlab.learn.exercise import Exercise

ROOT = Path(__file__).parents[2]
FIRST = called("one_forward", exercises(own(), "en"))
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """`--lang` holds for the process, which here is the test's own."""
    yield
    language.choose("en")


def solution(exercise: Exercise) -> str:
    assert exercise.solution is not None
    return exercise.solution


def test_without_a_terminal_it_lays_out_and_answers_once(command: Command, tmp_path: Path) -> None:
    said = command("learn", "here")
    assert said.returncode == 1, said.stderr
    assert "16 exercises laid out in" in said.stdout
    assert "Not yet: One forward pass, two losses" in said.stdout
    assert "error[GL001]" in said.stdout
    # What would give the repair away is asked for.
    assert "help:" not in said.stdout
    assert "0 of 16 passed" in said.stdout
    (tmp_path / "here" / "1_the_post" / "1_one_forward.py").write_text(solution(FIRST))
    said = command("learn", "check", "here/1_the_post/1_one_forward.py")
    assert said.stdout.splitlines()[2].startswith("✓ Passed")
    said = command("learn", "here", "--lang", "ko")
    assert "아직입니다: " in said.stdout
    assert "16개 중 1개 통과" in said.stdout


def test_hints_list_and_reset(command_in: Command, tmp_path: Path) -> None:
    assert "has no exercises" in command_in(tmp_path, "learn", "hint").stderr
    command_in(tmp_path, "learn", "--once", ".")
    assert command_in(tmp_path, "learn", "hint").stdout.startswith("Hint 1 of 3\n  Where to look")
    assert command_in(tmp_path, "learn", "hint").stdout.startswith("Hint 2 of 3\n  Why")
    inside = tmp_path / "1_the_post"
    assert "+    real_logit = D(img)" in command_in(inside, "learn", "hint").stdout
    assert "→  one_forward" in command_in(inside, "learn", "list").stdout
    mine = inside / "1_one_forward.py"
    mine.write_text("x = 1\n")
    refused = command_in(tmp_path, "learn", "reset", "one_forward")
    assert refused.returncode == 2
    assert "has changes of yours" in refused.stderr
    assert mine.read_text() == "x = 1\n"
    assert command_in(tmp_path, "learn", "reset", "one_forward", "--force").returncode == 0
    assert mine.read_text() == FIRST.handed_out()


def test_exit_codes_and_documents_for_autograders(command: Command, tmp_path: Path) -> None:
    for name, source in (("good.py", solution(FIRST)), ("bad.py", FIRST.source)):
        (tmp_path / name).write_text(source)
    against = ("--exercise", str(FIRST.path), "--json")
    good = command("learn", "check", "good.py", *against)
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["passed"] is True
    both = command("learn", "check", "good.py", "bad.py", *against)
    assert both.returncode == 1
    assert [json.loads(line)["passed"] for line in both.stdout.splitlines()] == [True, False]
    for words, problem in (
        (["nowhere.py"], "there is no file nowhere.py"),
        (["bad.py"], "bad.py is no exercise"),
        ([], "FILE is missing"),
    ):
        refused = command("learn", "check", *words)
        assert refused.returncode == 2
        assert problem in refused.stderr
        assert "help: " in refused.stderr


def test_the_pages_exercise_can_be_proved_and_given(command: Command, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    script, mended = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    course = tmp_path / "course"
    course.mkdir()
    (course / "momentum.py").write_text(script)
    proved = command("check", "course")
    assert proved.returncode == 1
    assert "there is no momentum.solution.py beside it" in proved.stdout
    (course / "momentum.solution.py").write_text(mended)
    proved = command("check", "course/momentum.py")
    assert proved.returncode == 0, proved.stdout
    lines = [line.rstrip() for line in proved.stdout.splitlines()]
    assert set(re.findall(r"^    (✓ .*)$", page, re.MULTILINE)) <= set(lines)
    said = command("learn", "mine", "--from", "course")
    assert "momentum.py  My course, 1 of 1" in said.stdout
    assert said.returncode == 1
    mine = tmp_path / "mine" / "momentum.py"
    assert "assert" not in mine.read_text()
    refused = command("learn", "check", "course/momentum.solution.py").stderr
    assert "--exercise course/momentum.py" in refused


def test_all_passed_and_broken_again(command: Command, command_in: Command, tmp_path: Path) -> None:
    course = tmp_path / "course"
    course.mkdir()
    script = "loss = {}\n"
    for name in ("1_one.py", "2_two.py"):
        header = '"""Low.\n\nassert: loss ends below 1\nhint: of {}\n"""\n'
        (course / name).write_text(header.format(name) + script.format(2))
    assert command("learn", "mine", "--from", "course").returncode == 1
    mine = tmp_path / "mine"
    for name in ("1_one.py", "2_two.py"):
        (mine / name).write_text(script.format(0))
        assert command("learn", "check", f"mine/{name}").returncode == 0
    assert command("learn", "--once", "mine").returncode == 0
    assert "All exercises are passed" in command_in(mine, "learn", "hint").stdout
    second = mine / "2_two.py"
    second.write_text(script.format(3))
    # As if it were saved a second later, whatever the clock of the file system.
    later = (mine / "graphlab-learn.json").stat().st_mtime + 1
    os.utime(second, (later, later))
    assert "of 2_two.py" in command_in(mine, "learn", "hint").stdout
    assert command_in(mine, "learn", "reset", "2-two", "--force").returncode == 0


def test_check_speaks_korean_and_names_an_exercise_as_learn_does(
    command: Command, tmp_path: Path
) -> None:
    script = '"""High.\n\nexpect: GL001 at `loss.backward()`\nassert: loss ends below 1\n"""\n'
    (tmp_path / "1_high.py").write_text(f"{script}loss = 2\n")
    (tmp_path / "1_high.solution.py").write_text("loss = 0\n")
    (tmp_path / "1_high.ko.txt").write_text("높다.\n\nexpect: clean\n")
    proved = command("check", "1_high.py")
    assert proved.returncode == 1
    assert proved.stderr == ""
    assert re.findall(r"^(.) high  (\S+)", proved.stdout, re.MULTILINE) == [
        ("✗", "broken"), ("✓", "solution"), ("✗", ".ko.txt"),
    ]  # fmt: skip
    proved = command("check", "1_high.py", "--lang", "ko")
    assert "헤더에는 GL001 at loss.backward(), 나온 것은 clean" in proved.stdout
    assert "expect: 필드는 스크립트에만 씁니다" in proved.stdout
    assert "3개 중 1개가 기대와 같습니다" in proved.stdout
    assert not re.search("expected|passes|fails", proved.stdout)


def test_an_exercise_that_a_popular_repair_passes_is_not_proved(
    command: Command, tmp_path: Path
) -> None:
    lax = '"""Lax.\n\nexpect: GL001 at `loss.backward()`\nassert: loss ends below 9\n"""\n'
    body = (
        "import torch\n\nw = torch.ones(2, requires_grad=True)\nh = w.exp()\nloss = h.sum()\n"
        "{}loss.backward()\n"
    )
    (tmp_path / "lax.py").write_text(lax + body.format("h += 1\n"))
    (tmp_path / "lax.solution.py").write_text(body.format(""))
    proved = command("check", "lax.py")
    assert proved.returncode == 1
    assert re.search(r"✗ lax  requires_grad +passes", proved.stdout), proved.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_in_a_terminal_a_saved_file_is_run_again(tmp_path: Path) -> None:
    import pty

    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "graphlab", "learn", "mine"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "NO_COLOR": "1"},
        stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    try:
        see(master, "q quit")
        os.write(master, b"x\n")
        assert "There is no key x" in see(master, "q quit")
        os.write(master, b"h\n")
        assert "Where to look" in see(master, "q quit")
        # As editors do: a new file takes the place of the old one.
        mine = tmp_path / "mine" / "1_the_post" / "1_one_forward.py"
        (tmp_path / "new").write_text(solution(FIRST))
        os.replace(tmp_path / "new", mine)
        assert "Passed: One forward pass, two losses" in see(master, "q quit")
        os.write(master, b"\n")
        assert "Not yet: The logits anew" in see(master, "q quit")
        os.write(master, b"q\n")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def see(master: int, last: str, limit: float = 120) -> str:
    """What the terminal shows up to and with `last`."""
    shown, until = "", time.monotonic() + limit
    while last not in shown:
        assert time.monotonic() < until, shown
        ready: Any = select.select([master], [], [], 1)[0]
        if ready:
            shown += os.read(master, 65536).decode(errors="replace")
    return shown
