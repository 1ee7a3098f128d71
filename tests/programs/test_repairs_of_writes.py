"""A write that autograd cannot live with is repaired in its own statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CORPUS = sorted((Path(__file__).resolve().parent.parent / "corpus").glob("*/*.py"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_repair_of_the_corpus_runs_clean(
    observe: Any, applied: Any, tmp_path: Path, path: Path
) -> None:
    source = path.read_text(encoding="utf-8")
    for finding in observe(path).told:
        for help in finding.help:
            if help.before or help.after:
                script = tmp_path / path.name
                script.write_text(applied(help, source), encoding="utf-8")
                ran = observe(script)
                assert ran.exit_code == 0, f"{help.text}\n{help.after}\n{ran.err}"
                assert ran.told == [], f"{help.text}\n{help.after}"


WRITE = """\
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
weight = torch.randn(4, 4, requires_grad=True)
x = torch.rand(3, 4)
keep = {}


def forward(h):
%s
    return (h * h).sum()


loss = forward((x @ weight).sigmoid())
loss.backward()
print(round(float(loss), 4))
"""


@pytest.mark.parametrize(
    ("statement", "better"),
    [
        ("h += x", "h = h + x"),
        ("h -= x.mean() * 2", "h = h - x.mean() * 2"),
        ("h *= x - 1  # centre", "h = h * (x - 1)  # centre"),
        ("h.clamp_(0.1, 0.9)", "h = h.clamp(0.1, 0.9)"),
        ("h.mul_(2).add_(x)", "h = h.mul(2).add(x)"),
        ("h = h.relu_()", "h = h.relu()"),
        ("h = F.relu(h, inplace=True)", "h = F.relu(h)"),
        ("h[:, 0] = 0.0", "h = h.clone()\n    h[:, 0] = 0.0"),
        ("h[0] *= 2.0", "h = h.clone()\n    h[0] *= 2.0"),
        ("h[:, 1] *= 2.0", "h = h.clone()\n    h[:, 1] *= 2.0"),
        ("h[1:] = h[:-1].exp()", "new = h[:-1].exp()\n    h = h.clone()\n    h[1:] = new"),
        ("h.zero_()", "h = h.clone()\n    h.zero_()"),
        (
            "h.masked_fill_(\n        h > 0.5,\n        0.0,\n    )",
            "h = h.masked_fill(h > 0.5, 0.0)",
        ),
        (
            "h = [h, x]\n    both = h[0].exp() + h[1]\n    h[0] *= 2\n    h = both * h[0]",
            "h[0] = h[0] * 2",
        ),
        # Whoever holds the old tensor would not see the new one.
        ("for row in (h, h):\n        row.mul_(0.5)", ""),
        ("keep['h'] = h\n    alias = keep['h']\n    alias.add_(1)", ""),
        ("def double(t):\n        t.mul_(2)\n    double(h)", ""),
    ],
)
def test_a_write_is_taken_out_of_place_where_nobody_else_looks_on(
    observe: Any, applied: Any, tmp_path: Path, statement: str, better: str
) -> None:
    source = WRITE % f"    {statement}"
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    ran = observe(path)
    finding = ran.only
    assert finding.code == "GL001"
    repair = finding.help[0]
    if not better:
        assert not repair.before and not repair.after, repair.after
        return
    assert repair.after == f"    {better}\n"
    path.write_text(applied(repair, source), encoding="utf-8")
    mended = observe(path)
    assert (mended.exit_code, mended.told) == (0, [])
    # The same loss, so nothing but the storage is another.
    assert mended.out.split()[-1] == ran.out.split()[-1] if ran.out else True


def test_a_module_is_built_without_inplace(observe: Any, applied: Any, tmp_path: Path) -> None:
    source = (
        "import torch\nfrom torch import nn\n\n"
        "model = nn.Sequential(\n    nn.Linear(3, 3),\n    nn.Tanh(),\n"
        "    nn.Dropout(0.5, inplace=True),\n)\n"
        "loss = model(torch.rand(2, 3)).sum()\nloss.backward()\n"
    )
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    repair = observe(path).only.help[0]
    assert "without inplace=True" in repair.text
    assert repair.after == "    nn.Dropout(0.5),\n"
    path.write_text(applied(repair, source), encoding="utf-8")
    assert observe(path).told == []


def test_an_update_is_put_under_no_grad_with_those_behind_it(
    observe: Any, applied: Any, tmp_path: Path
) -> None:
    source = (
        "import torch\n\n"
        "w, b = torch.rand(3, requires_grad=True), torch.zeros(1, requires_grad=True)\n"
        "for step in range(3):\n"
        "    loss = ((w * torch.rand(3)).sum() + b).square().sum()\n"
        "    loss.backward()\n"
        "    w -= 0.1 * w.grad\n"
        "    b -= 0.1 * b.grad\n"
        "    w.grad = b.grad = None\n"
    )
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL003"
    path.write_text(applied(finding.help[0], source), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])
    assert "with torch.no_grad():\n        w -= 0.1 * w.grad\n        b -=" in finding.help[0].after


@pytest.mark.parametrize(
    ("old", "clears"), [("w.data", False), ("w.detach()", True)], ids=["data", "cleared"]
)
def test_a_step_into_a_name_is_written_in_place(
    old: str, clears: bool, observe: Any, applied: Any, tmp_path: Path
) -> None:
    source = (
        "import torch\n\n"
        "w, b = torch.rand(3, requires_grad=True), torch.zeros(1, requires_grad=True)\n"
        "for step in range(3):\n"
        "    loss = ((w * torch.rand(3)).sum() + b).square().sum()\n"
        "    loss.backward()\n"
        f"    w = {old} - 0.1 * w.grad\n"
        f"    b = {old.replace('w', 'b')} - 0.1 * b.grad\n"
    )
    source += "    w.grad = b.grad = None\n" if clears else ""
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL005" and "Write the step into w itself" in finding.help[0].text
    path.write_text(applied(finding.help[0], source), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])
    after = finding.help[0].after
    assert "with torch.no_grad():\n        w -= 0.1 * w.grad\n        b -= 0.1" in after
    assert ("w.grad = None" in after) is not clears
