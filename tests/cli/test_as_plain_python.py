"""A program's own output, its order, its exit code and its children, beside plain Python's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAVED = Path(__file__).parents[1] / "rules" / "traces" / "naive.json"

# Each runs both ways; the watched run adds its report to stdout, and nothing else. What stands
# last in a dictionary's value is the line that the report begins with.
SCRIPTS = {
    "threads and functions at exit": (
        """
        import atexit, pickle, sys, threading, time
        from concurrent.futures import ThreadPoolExecutor

        class Mine: ...

        def poll():
            for _ in range(500):
                if not threading.main_thread().is_alive():
                    break
                time.sleep(0.01)
            else:
                print("the main thread lives for ever")
            print("in a thread", flush=True)
            raise ValueError("in a thread")

        def last():
            import html
            print("at exit", html.MINE, sys.argv, type(pickle.loads(pickle.dumps(Mine()))).__name__)

        assert sys.excepthook is sys.__excepthook__
        atexit.register(last)
        executor = ThreadPoolExecutor(1)
        executor.submit(lambda: (time.sleep(0.2), print("in an executor", flush=True)))
        threading.Thread(target=poll, name="poll").start()
        print("main ends", sys.exc_info())
        sys.exit(4)
        """,
        "✓ script.py completed",
    ),
    "children": (
        """
        import atexit, os, sys

        who = "parent"
        atexit.register(lambda: print("the end of the", who, flush=True))

        def boom():
            raise ValueError("boom")

        ends = {
            "sys.exit": lambda: sys.exit(3), "text": lambda: sys.exit("text"), "raise": boom,
            "os._exit": lambda: os._exit(7), "end": lambda: None,
        }
        for how, end in ends.items():
            sys.stdout.flush()
            child = os.fork()
            if not child:
                who = "child"
                print("a child that leaves by", how, flush=True)
                end()
                break
            print("it left with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        "✓ script.py completed",
    ),
    "a closed stdout": (
        """
        import sys
        print("open")
        sys.stdout.close()
        """,
        "✓ script.py completed",
    ),
    "a stdout that cannot be flushed": (
        """
        import sys

        class Tee:
            def __init__(self, stream): self.stream = stream
            def write(self, text): self.stream.write(text.upper())
            def __repr__(self): return "Tee"

        sys.stdout = Tee(sys.stdout)
        print("loud")
        """,
        "✓ script.py completed",
    ),
    "a time limit that is not cancelled": (
        """
        import atexit, signal

        signal.setitimer(signal.ITIMER_REAL, 5000, 7)
        at = signal.ITIMER_REAL
        atexit.register(lambda: print([round(each, -3) for each in signal.getitimer(at)]))
        """,
        "✓ script.py completed",
    ),
    "no streams, and a hook that raises": (
        """
        import sys

        def hook(*_):
            raise KeyError("hook")

        sys.excepthook = hook
        print("here")
        sys.stdout = None
        1 / 0
        """,
        "✗ script.py raised ZeroDivisionError",
    ),
}


def both(python: Any, script: Path, *arguments: str, **options: Any) -> tuple[Any, Any]:
    """Plain and watched: the two finished processes."""
    words = ["-m", "graphlab", "run", script.name, *(["--", *arguments] if arguments else [])]
    return python(script.name, *arguments, **options), python(*words, **options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children as POSIX has them")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_program_ends_as_under_plain_python(python: Any, tmp_path: Path, name: str) -> None:
    source, report = SCRIPTS[name]
    script = tmp_path / "script.py"
    lines = source.strip("\n").splitlines()
    script.write_text("\n".join(line[8:] for line in lines))
    for shadow in ("html", "shlex", "rich", "typer"):
        (tmp_path / f"{shadow}.py").write_text("MINE = True\n")
    plain, watched = both(python, script)
    assert watched.returncode == plain.returncode
    assert watched.stderr == plain.stderr
    ours = [line for line in watched.stdout.splitlines() if line.startswith(report)]
    assert len(ours) == 1, watched.stdout
    # An empty line is before the report: the program's last line may have no end.
    assert watched.stdout.replace(f"\n{ours[0]}\n", "") == plain.stdout


def test_a_report_in_the_characters_that_stdout_has(cli: Any) -> None:
    words = ("run", "--from", str(SAVED), "--explain")
    reports = {}
    for encoding in ("utf-8", "ascii"):
        done = cli(*words, env={"PYTHONIOENCODING": encoding})
        assert done.returncode == 0, done.stderr
        reports[encoding] = done.stdout
    assert reports["ascii"].isascii() and not reports["utf-8"].isascii()
    # The same line for line, character for character.
    lengths = [[len(line) for line in text.splitlines()] for text in reports.values()]
    assert lengths[0] == lengths[1]
    carets = [[line.find("^") for line in text.splitlines()] for text in reports.values()]
    assert carets[0] == carets[1]


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
def test_a_full_disk_costs_neither_report_nor_exit_code(tmp_path: Path, python: Any) -> None:
    (tmp_path / "script.py").write_text(
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "print('mine')\n"
        "sys.exit(4)\n"
    )
    words = ("run", "script.py", "--json", "report.json", "--trace", "trace.json")
    done = python("-m", "graphlab", *words)
    assert done.returncode == 4
    assert done.stdout.splitlines()[:3] == [
        "mine", "", "✓ script.py completed; no backward was seen"
    ]  # fmt: skip
    told = done.stderr.splitlines()
    assert [line.partition(": File too large")[0][-10:] for line in told] == [
        "trace.json", "eport.json"
    ]  # fmt: skip
    assert all(line.startswith("error: cannot write ") for line in told)
    assert [each.name for each in tmp_path.iterdir()] == ["script.py"]


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
def test_a_reader_that_leaves_costs_no_exit_code(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nsys.exit(4)\n")
    reader, writer = os.pipe()
    os.close(reader)
    root = str(Path(__file__).parents[2])
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "graphlab", "run", "script.py"], stdout=pipe, text=True,
            stderr=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (4, "")


def test_a_module_beside_the_script_that_graphlab_needs(python: Any, tmp_path: Path) -> None:
    """The page is made from html and json: ours, whatever the folder holds."""
    (tmp_path / "script.py").write_text(
        "import html, torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "loss = net(torch.ones(1, 2)).sum()\n"
        "loss.backward()\n"
        "print(html.MINE)\n"
    )
    for name in ("html", "shlex", "rich", "typer"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    done = python("-m", "graphlab", "run", "script.py", "--explain", "--html", "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True\n\n✓ script.py completed")
    assert done.stderr == "\nthe player: page.html\n"
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
