"""What a reader sees in a pipe: 80 columns, nothing cut, and the same words as last time.

GRAPHLAB_UPDATE_GOLDENS=1 writes the goldens anew; look at the difference before you keep it.
"""

from __future__ import annotations

import io
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from graphlab import catalogue
from graphlab.commands import explain
from graphlab.commands import list as listing
from graphlab.commands.check import OPTIMIZERS
from graphlab.commands.report import Asked
from graphlab.commands.run import run
from graphlab.rules.registry import RULES
from graphlab.views.terminal import report as terminal

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
UPDATE = os.environ.get("GRAPHLAB_UPDATE_GOLDENS") == "1"
NAMES = [each.name for each in catalogue.scenarios()]
ON_CPU = ("--steps", "8", "--device", "cpu")


@pytest.fixture(autouse=True)
def beside_the_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are shown as seen from the working folder: here scenarios/…, wherever that lies."""
    monkeypatch.chdir(catalogue.folder().parent)


def shown(capsys: pytest.CaptureFixture[str], name: str, *arguments: str, **options: Any) -> str:
    """What `graphlab run` prints to stdout."""
    run(name, list(arguments), Asked(**options))
    return capsys.readouterr().out


def assert_fits(text: str) -> None:
    assert text
    for line in text.splitlines():
        assert cell_len(line) <= 80, line
        assert line == line.rstrip(), line
        assert not line.endswith("…"), line
        assert "\x1b" not in line


def assert_golden(text: str, name: str) -> None:
    path = GOLDEN / f"{name}.txt"
    assert str(catalogue.folder().parent) not in text
    if UPDATE:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "steps"), [("naive", None), ("detach-as-printed", None), ("joint", 8)]
)
def test_explain_says_what_it_said(
    capsys: pytest.CaptureFixture[str], name: str, steps: int | None
) -> None:
    arguments = [*(("--steps", str(steps)) if steps else ()), "--device", "cpu"]
    assert_golden(shown(capsys, name, *arguments, explain=True), f"run-{name}-explain")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wider_than_80_or_cut(
    capsys: pytest.CaptureFixture[str], name: str, optimizer: str
) -> None:
    arguments = (*ON_CPU, "--optimizer", optimizer)
    assert_fits(shown(capsys, name, *arguments, explain=True))


@pytest.mark.parametrize("name", ["naive", "joint", "detach"])
def test_the_short_report_is_short_and_fits(capsys: pytest.CaptureFixture[str], name: str) -> None:
    out = shown(capsys, name, *ON_CPU)
    assert_fits(out)
    assert len(out.splitlines()) <= 20
    assert "^" not in out


def test_lists_and_pages_fit(capsys: pytest.CaptureFixture[str]) -> None:
    listing.list_all()
    out = capsys.readouterr().out
    assert_fits(out)
    for name in (*NAMES, *(each.code for each in RULES)):
        assert re.search(rf"^{re.escape(name)}\b", out, re.MULTILINE)
    for each in RULES:
        explain.explain(each.code)
        page = capsys.readouterr().out
        assert_fits(page)
        assert each.name in page


def test_the_story_of_naive_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "naive", *ON_CPU, explain=True).splitlines()
    text = "\n".join(lines)
    places = [text.index(f" {number}. ") for number in (1, 2, 3)]
    assert places == sorted(places)
    step = next(line for line in lines if "│ optimizer_D.step()" in line)
    assert step.split("│")[0].split()[:3] == ["1", "→", "2"]
    for part in (
        "error[GL001]", "D.4.weight saved here", "written here by optimizer_D.step()",
        "needed here at version 1, but it is at 2", "also stale", "help:",
        "graphlab explain GL001", "owns     6 of D", "touched  6 of D, 0 of G",
        "graphlab run detach",
    ):  # fmt: skip
        assert part in text, part
    # The claim of the post: D's loss reached all of G, and D's step touched none of it.
    assert "wrote gradients of 6 of D, 6 of G" in text


def test_carets_stand_under_the_expression(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "naive", *ON_CPU, explain=True).splitlines()
    expressions = []
    for above, line in pairwise(lines):
        carets = re.search(r"│ *(\^+)", line)
        if carets:
            start, end = carets.span(1)
            expressions.append(above[start:end])
    assert expressions == ["D(gene_img)", "optimizer_D.step()", "G_loss_.backward()"]


WIDE = '''
import torch

class Modell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.eine_sehr_lange_schicht_mit_einem_namen_der_nicht_aufhört = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.eine_sehr_lange_schicht_mit_einem_namen_der_nicht_aufhört(x)

模型的一个非常长的名字用来测试终端的宽度 = Modell()
x = torch.ones(1, 2)
for _ in range(1):
    結果, весьма_длинное_имя_переменной = 模型的一个非常长的名字用来测试终端的宽度(x * 2), 1
    loss = (結果 * 結果).exp().sum() + 0 * весьма_длинное_имя_переменной + 0 * len("🎉文字🎉文字🎉")
    結果.mul_(2)
    loss.backward()
'''  # fmt: skip


def test_long_lines_and_wide_letters_are_folded_not_cut(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "skript.py"
    script.write_text(WIDE, encoding="utf-8")
    out = shown(capsys, str(script), explain=True)
    assert_fits(out)
    assert "error[GL001]" in out
    assert "結果" in out
    # Every letter of the long line is there, though it takes several rows.
    line = next(line for line in WIDE.splitlines() if "loss = (" in line).strip()
    rows = "".join(row.partition("│ ")[2] for row in out.splitlines() if "│ " in row)
    assert line.replace(" ", "") in rows.replace(" ", "").replace("^", "")


def test_a_deep_path_fits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / ("a_rather_long_name_of_a_folder/" * 4)
    folder.mkdir(parents=True)
    script = folder / "script.py"
    script.write_text(catalogue.scenario("naive").path.read_text(encoding="utf-8"))
    out = shown(capsys, str(script), *ON_CPU, explain=True)
    assert_fits(out)
    assert str(script) in out.replace("\n", "")


@pytest.mark.parametrize("width", [40, 60, 120, 200])
def test_other_widths_are_kept_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = shown(capsys, "naive", *ON_CPU, explain=True)
    assert max(cell_len(line) for line in out.splitlines()) <= width
    assert not any(line.rstrip().endswith("…") for line in out.splitlines())


def test_colour_follows_the_environment(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = command("list").stdout
    assert "\x1b[" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = command("list").stdout
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in command("list").stdout


def test_a_run_without_optimizers_or_findings_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "script.py").write_text("import torch\n")
    monkeypatch.chdir(tmp_path)
    out = shown(capsys, "script.py")
    assert out == "\n✓ script.py completed; no backward was seen\n"


def test_markup_in_a_users_names_is_text(observe: Any, tmp_path: Path) -> None:
    """Square brackets mean colours to the printing library, and indices to the user."""
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\n"
        "nets = {'[red]': torch.nn.Linear(2, 2)}\n"
        "x = torch.ones(1, 2)\n"
        "y = nets['[red]'](x)\n"
        "loss = (y * nets['[red]'](y)).sum()\n"
        "with torch.no_grad():\n"
        "    nets['[red]'].weight.mul_(2)\n"
        "loss.backward()\n"
    )
    ran = observe(script)
    console = Console(width=200, record=True, file=io.StringIO(), highlight=False)
    console.print(terminal.full(ran.trace, ran.findings, []))
    text = console.export_text()
    assert 'nets["[red]"].weight' in text
    assert "nets['[red]'](y)" in text
