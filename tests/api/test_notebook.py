"""Notebooks in a real kernel: the magic, what shows itself, and the classroom from end to end."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import graphlab
from graphlab.trace.finding import Finding
from graphlab.views import cell

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[2]

SETUP = """
import torch
from torch import nn
torch.manual_seed(0)
G, D = nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer_D = torch.optim.Adam(D.parameters())
optimizer_G = torch.optim.Adam(G.parameters())
real = torch.randn(8, 4)
"""
NAIVE = """
for step in range(2):
    real_logit, gene_logit = D(real), D(G(torch.randn(8, 2)))
    D_loss = (gene_logit - real_logit).mean()
    optimizer_D.zero_grad()
    D_loss.backward(retain_graph=True)
    optimizer_D.step()
    G_loss = -gene_logit.mean()
    optimizer_G.zero_grad()
    G_loss.backward()
    optimizer_G.step()
"""


def execute(book: Any) -> list[list[Any]]:
    """The outputs of each code cell. A cell that fails fails the test."""
    path = [str(Path(graphlab.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    manager = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).create_kernel_manager()
    # The interpreter of this test, whatever kernels are installed for the machine.
    manager.kernel_spec.argv[0] = sys.executable
    client = nbclient.NotebookClient(book, km=manager, timeout=300)
    client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))})
    return [cell.outputs for cell in book.cells if cell.cell_type == "code"]


def run(*cells: str) -> list[list[Any]]:
    code = nbformat.v4.new_code_cell
    return execute(nbformat.v4.new_notebook(cells=[code(each.strip()) for each in cells]))


def shown(outputs: list[Any], kind: str = "text/plain") -> list[str]:
    return [each.data[kind] for each in outputs if "data" in each and kind in each.data]


def test_a_cell_that_fails_is_explained_in_place_and_the_notebook_goes_on() -> None:
    *_, watched, session, finding, claim = run(
        "%load_ext graphlab",
        SETUP,
        f"%%graphlab naive\n{NAIVE.strip()}",
        "naive",
        "naive.findings[0]",
        "naive.assert_touches_only(optimizer_D, D); print('held')",
    )
    (error,) = [each for each in watched if each.output_type == "error"]
    assert "modified by an inplace operation" in error.evalue
    story, player = shown(watched)
    assert story.startswith("✗ the cell raised RuntimeError in iteration 0\n\nerror[GL001]: D.2.w")
    assert "optimizer_D.step()" in story
    assert "this notebook's cell" in story
    assert "\x1b" not in story
    assert "Player" in player
    html, page = shown(watched, "text/html")
    assert html.startswith("<pre")
    assert "GL001" in html
    assert page.startswith("<iframe")
    assert shown(session) == [story]
    (alone,) = shown(finding)
    assert alone in story
    assert [each.text for each in claim] == ["held\n"]


def test_a_cell_without_fault_keeps_its_value_and_its_output() -> None:
    _, _, (printed, value, report), refused, broken = run(
        "%load_ext graphlab",
        SETUP,
        "%%graphlab --no-player\nprint('said')\nD(real).shape",
        "%%graphlab --nope\n1",
        "%%graphlab\n1 +",
    )
    assert (printed.name, printed.text) == ("stdout", "said\n")
    assert value.data["text/plain"] == "torch.Size([8, 1])"
    assert report.data["text/plain"] == "✓ the cell completed; no backward was seen"
    (message,) = refused
    assert message.text.startswith("error: %%graphlab: unrecognized arguments: --nope\nhelp: ")
    # What cannot be compiled never ran: there is nothing to report.
    assert [each.output_type for each in broken] == ["error"]


def test_a_finding_shows_itself_once_a_session_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.formatters import DisplayFormatter

    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    graphlab.Session()
    finding = Finding("GL108", "wasted-gradients", "info", "gradients <b>for</b> nothing")
    mime_bundle, _ = shell.display_formatter.format(finding)
    assert mime_bundle["text/plain"].startswith("info[GL108]: gradients <b>for</b> nothing")
    assert "<b>" not in mime_bundle["text/html"]
    assert "<script>" not in cell.mime_bundle("a <script> in a name")["text/html"]


def test_the_classroom_runs_from_top_to_bottom() -> None:
    book = nbformat.read(ROOT / "docs" / "classroom.ipynb", as_version=4)
    nbformat.validate(book)
    assert not any(cell.get("outputs") for cell in book.cells), "commit it without its outputs"
    naive, versions, recompute, joint, measured, picture = [
        outputs for outputs in execute(book) if outputs
    ]
    assert "error[GL001]: D.4.weight" in shown(naive)[0]
    assert versions[0].text == "version 2 before the step, 3 after it\n"
    assert "nothing wrong seen" in shown(recompute)[0]
    assert "info[GL108]: D_loss_.backward()" in shown(recompute)[0]
    assert "warning[GL101]: optimizer_G applied" in shown(joint)[0]
    assert "'own_change': " in shown(measured)[0]
    assert "image/png" in picture[-1].data


def test_the_korean_classroom_is_the_same_lesson() -> None:
    names = ("classroom.ipynb", "classroom.ko.ipynb")
    english, korean = (nbformat.read(ROOT / "docs" / name, as_version=4) for name in names)
    nbformat.validate(korean)
    assert not any(cell.get("outputs") for cell in korean.cells), "commit it without its outputs"
    pairs = [*zip(english.cells, korean.cells, strict=True)]
    (load, load_in_korean), *code = [pair for pair in pairs if pair[0].cell_type == "code"]
    assert load_in_korean.source == f"%env GRAPHLAB_LANG=ko\n{load.source}"
    assert all(one.source == other.source for one, other in code)
    told = [cell.source for cell in korean.cells if cell.cell_type == "markdown"]
    assert len(told) + len(code) + 1 == len(pairs)
    assert all(re.search("[가-힣]", text) for text in told)
    # The language is chosen before graphlab is asked for the first time.
    *_, report = run(load_in_korean.source, "%%graphlab\nprint(1)")
    assert "✓ 셀 정상 종료" in str(report)
