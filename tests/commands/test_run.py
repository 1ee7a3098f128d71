"""graphlab run: exit codes, what is written and where, and what is on which stream."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Main = Callable[..., tuple[int, str, str]]


ENDINGS = {
    "": 0,
    "raise ValueError('the end')": 1,
    "sys.exit(3)": 3,
    "sys.exit()": 0,
    "sys.exit(None)": 0,
    "sys.exit('the end')": 1,
    "raise KeyboardInterrupt": 130,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_writes_its_report_and_passes_its_code(
    main: Main, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "script.py").write_text(f"import sys, torch\nprint('mine')\n{ending}\n")
    code, out, err = main("run", "script.py", "--json", "report.json", "--trace", "trace.json")
    assert code == ENDINGS[ending]
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert document["schema"] == "graphlab.report/1"
    assert trace["schema"] == "graphlab.trace/1"
    assert document["outcome"] == trace["outcome"]
    # Nothing else is left: no file half written, no temporary name.
    assert {each.name for each in tmp_path.iterdir()} == {"script.py", "report.json", "trace.json"}
    assert out.startswith("mine\n")
    assert ("the end" in err) == ("the end" in ending)


@pytest.mark.parametrize("form", ["text", "github"])
def test_the_report_begins_a_line_of_its_own(main: Main, tmp_path: Path, form: str) -> None:
    """After a bar that the program drew, as tqdm does; CI reads `::warning` at a line's start."""
    (tmp_path / "script.py").write_text(
        "import sys, torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(net.parameters(), 0.1)\n"
        "for step in range(3):\n"
        "    net(torch.ones(1, 2)).sum().backward()\n"
        "    optimizer.step()\n"
        "    sys.stdout.write(f'\\r{step} of 3')\n"
    )
    _, out, _ = main("run", "script.py", "--format", form)
    bar, told = out.split("\n")[:2]
    assert bar == "\r0 of 3\r1 of 3\r2 of 3"
    assert told.startswith("::warning" if form == "github" else "✓ script.py completed")


def test_strict_makes_a_warning_count(main: Main) -> None:
    words = ("--steps", "8", "--device", "cpu")
    assert main("run", "joint", *words)[0] == 0
    assert main("run", "joint", "--strict", *words)[0] == 1
    assert main("run", "detach", "--strict", *words)[0] == 0
    assert main("run", "naive", "--strict", *words)[0] == 1


def test_strict_leaves_the_scripts_own_code(main: Main, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nsys.exit(7)\n")
    assert main("run", "--strict", "script.py")[0] == 7


def test_force_replaces(main: Main, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("mine")
    words = ("--steps", "2", "--device", "cpu", "--json", "report.json", "--force")
    assert main("run", "detach", *words)[0] == 0
    assert json.loads((tmp_path / "report.json").read_text())["target"] == "detach"


def test_a_file_that_the_script_made_meanwhile_is_kept(main: Main, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("open('report.json', 'w').write('mine')\n")
    code, _, err = main("run", "script.py", "--json", "report.json")
    assert (tmp_path / "report.json").read_text() == "mine"
    assert code == 0, "it is the script's own"
    error = err.splitlines()[-1]
    assert error.startswith("error: ") and "report.json already exists" in error
    assert {each.name for each in tmp_path.iterdir()} == {"script.py", "report.json"}


def test_files_are_written_where_they_were_named(main: Main, tmp_path: Path) -> None:
    """Also when the script has gone to another folder meanwhile."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "script.py").write_text("import os, torch\nos.chdir('elsewhere')\n1 / 0\n")
    code, out, _ = main("run", "script.py", "--json", "report.json", "--trace", "trace.json")
    assert code == 1
    assert "ZeroDivisionError" in out
    assert {each.name for each in tmp_path.iterdir() if each.is_file()} == {
        "script.py", "report.json", "trace.json"
    }  # fmt: skip
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_is_gone_after_the_run_is_told_in_one_line(
    main: Main, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "script.py").write_text("import os\nos.rmdir('folder')\n")
    code, out, err = main("run", "script.py", "--json", "folder/report.json")
    assert code == 0, "it is the script's own"
    assert "script.py completed" in out
    assert err.count("\n") == 1
    assert err.startswith("error: cannot write ") and "folder/report.json" in err


def test_results_are_on_stdout_and_notices_on_stderr(main: Main) -> None:
    code, out, err = main("run", "naive", "--device", "cpu")
    assert code == 1
    assert out.startswith("✗ naive raised RuntimeError in iteration 0\n")
    assert "error[GL001]" in out
    assert "Traceback" in err
    hint = "the whole story: graphlab run naive --explain -- --device cpu"
    assert err.splitlines()[-1] == hint
    # What the hint says is understood, and gives the longer report.
    assert len(main(*hint.partition("graphlab ")[2].split())[1]) > len(out)
    assert "Traceback" not in out


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_it_was(main: Main, tmp_path: Path, enabled: bool) -> None:
    (tmp_path / "script.py").write_text("import gc\nprint(gc.isenabled())\n")
    frozen = gc.get_freeze_count()
    (gc.enable if enabled else gc.disable)()
    try:
        assert main("run", "script.py")[1].startswith(f"{enabled}\n")
    finally:
        gc.enable()
    # This process goes on, and what it drops is to be collected.
    assert gc.get_freeze_count() == frozen
