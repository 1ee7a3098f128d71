"""`graphlab run --from`: what a saved trace says, and what is refused.

That it says all that the run said, without torch: tests/cli/test_without_torch.py.
"""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

import pytest

from graphlab import catalogue
from graphlab.commands.saved import load


@pytest.mark.parametrize("name", ["a\x1b[31mb\u202e\n.py", "a\udcffb\x9b.py"])
def test_a_terminal_obeys_no_name(tmp_path: Path, command: Any, name: str) -> None:
    source = catalogue.scenario("naive").path.read_text(encoding="utf-8")
    code = "G_loss_.backward()"
    assert source.count(f"{code}\n") == 1
    source = source.replace(f"{code}\n", f"{code}\t# \x1b]0;title\x07 \u2066\n")
    (tmp_path / name).write_text(source, encoding="utf-8")
    words = ("--explain", "--trace", "t.json", "--html", "p.html", "--", "--device", "cpu")
    ran = command("run", name, *words)
    said = ran.stdout[ran.stdout.index("✗") :]
    shown = command("run", "--from", "t.json", "--explain")
    assert (shown.stdout, shown.stderr) == (said, "")
    drawn = command("render", name, "-o", f"{name}.svg")
    assert drawn.returncode == 0, drawn.stderr
    missing = command("run", "--from", f"{name}.json")
    assert missing.returncode == 2
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    for text in (said, drawn.stdout, missing.stderr, page):
        assert text.replace("\n", "").replace("\t", "").isprintable()
    assert "\\x1b]0;title\\x07 \\u2066" in said and "\\x1b]0;title" in page


def test_a_file_of_that_name_is_still_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trace has a source of its own: nobody else is to read it in the file's place."""
    saved = Path(__file__).parents[1] / "rules" / "traces" / "naive.json"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "naive.py").write_text("changed since\n", encoding="utf-8")
    trace, _ = load(str(saved))
    assert "naive.py" in trace.sources
    assert linecache.getline("naive.py", 1) == "changed since\n"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--from", "nix.json"), "there is no file nix.json"),
        (("--from", "r.json"), "r.json is not a trace"),
        (("--from", "."), "there is no trace in ."),
        (("naive", "--from", "t.json"), "--from runs no program"),
        ((), "TARGET is missing"),
    ],
)
def test_what_it_refuses(tmp_path: Path, command: Any, words: tuple[str, ...], wrong: str) -> None:
    (tmp_path / "r.json").write_text('{"schema": "graphlab.report/1"}')
    refused = command("run", *words)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {wrong}")
    assert refused.stderr.count("\n") == 2
    assert "\nhelp: " in refused.stderr
