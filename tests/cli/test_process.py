"""The command as a process: signals, pipes without a reader, and a script that looks at itself."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import graphlab

# A checkout may be called graphlab as well.
PACKAGE = Path(graphlab.__file__).resolve().parent


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    # The pipe has no reader from the start, so the very first write meets that.
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "graphlab", "list"], stdout=pipe, stderr=subprocess.PIPE,
            text=True, timeout=60, env=environment(), cwd=tmp_path,
        )  # fmt: skip
    assert done.stderr == ""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_reports_and_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for step in range(10**9):\n"
        "    optimizer.zero_grad()\n"
        "    loss = net(torch.ones(1, 2)).sum()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    if step == 10:\n"
        "        print('ready', flush=True)\n"
    )
    command = [sys.executable, "-m", "graphlab", "run", "script.py", "--json", "report.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        # A shell's background jobs, and so their children, are deaf to this signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in out
    # Python's own words for it, and none of ours.
    assert err.count("Traceback") == 1
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert str(PACKAGE) not in err
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert document["outcome"] == "interrupted"
    assert document["optimizers"][0]["steps"] > 10
    assert {each.name for each in tmp_path.iterdir()} == {"script.py", "report.json"}


SELF = """
import os, sys
import sibling
from dataclasses import dataclass
import pickle

@dataclass
class Point:
    x: int = 1

print(sys.argv)
print(sys.path)
print(__name__, __package__, __doc__, __spec__ and __spec__.name, __cached__)
print(__file__)
print(os.getcwd())
print(type(__builtins__).__name__, type(__loader__).__name__)
print(sys.modules["__main__"].__dict__ is globals())
print(pickle.loads(pickle.dumps(Point())), sibling.__name__)
print(sorted({name for name in globals() if name.startswith("__")} - {"__annotations__"}))
print(sys.stdin.read() == "", sys.flags.isolated, sys.exc_info())
try:
    1 / 0
except ZeroDivisionError as error:
    print(error.__traceback__.tb_frame.f_code.co_filename, error.__traceback__.tb_next)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("script.py",),
        ("folder/script.py", "one", "--two", "3"),
        ("./script.py", "one"),
        ("-m", "package.module", "one", "--two"),
        ("-m", "package", "one"),
    ],
    ids=" ".join,
)
def test_a_script_finds_itself_as_under_python(
    python: Any, cli: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    for folder in ("folder", "package"):
        (tmp_path / folder).mkdir()
    for path in ("script.py", "folder/script.py", "package/module.py", "package/__main__.py"):
        (tmp_path / path).write_text(SELF, encoding="utf-8")
    for path in ("sibling.py", "folder/sibling.py", "package/__init__.py"):
        (tmp_path / path).write_text("", encoding="utf-8")
    plain = python(*words)
    assert plain.returncode == 0, plain.stderr
    watched = cli("run", *words)
    assert (watched.returncode, watched.stderr) == (0, ""), watched.stderr
    lines = plain.stdout.splitlines()
    assert watched.stdout.splitlines()[: len(lines)] == lines


def test_options_after_two_dashes_are_the_scripts_own(
    command: Any, python: Any, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text("import sys\nprint(sys.argv)\n")
    words = ("--explain", "--json", "x", "-h", "--strict")
    plain = python("script.py", *words).stdout
    ran = command("run", "script.py", "--", *words)
    assert ran.returncode == 0
    assert ran.stdout.startswith(plain)
    assert not (tmp_path / "x").exists()


def test_a_lab_error_ends_a_plain_script_with_two_lines_and_2(python: Any) -> None:
    script = "from graphlab import lab; lab.arguments(argv=['--lr', '-1'])"
    done = python("-c", script)
    assert done.returncode == 2
    assert done.stdout == ""
    error, help = done.stderr.splitlines()
    assert error.startswith("error: argument --lr")
    assert help.startswith("help: ")


# In an interpreter that nobody has used

DEEP = """
import torch, sys
from graphlab.observe.graph.capture import capture
for _ in range(2):
    y = torch.ones(1, requires_grad=True)
    for _ in range(100_000):
        y = y * 1.5
    graph = capture({"y": y}, None, details=False)
    assert len(graph) == 100_001
print("alive")
"""


@pytest.mark.slow
def test_a_deep_graph_that_was_looked_at_can_be_freed(python: Any) -> None:
    """Torch overflows the stack when it frees a deep chain whose nodes Python has seen."""
    done = python("-c", DEEP)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-500:]


FIRST = """
import random, graphlab
random.seed(1)
with graphlab.watch():
    pass
print(random.random())
"""


def test_to_begin_a_session_draws_no_random_number(python: Any) -> None:
    ran = python("-c", FIRST)
    assert ran.stdout.strip() == str(random.Random(1).random())
