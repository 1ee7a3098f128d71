"""Every repair that help shows is applied to the file as it stands, and then nothing is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab import catalogue
from graphlab.commands.check import OPTIMIZERS

# What `help` of GL2xx says is words; the edits that graphlab fix tries are in `others`.
BROKEN = [
    each.name
    for each in catalogue.scenarios()
    if any((expected.code or "GL2")[:3] != "GL2" for expected in each.expectations.values())
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", BROKEN)
def test_every_repair_of_a_scenario_runs_clean(
    observe: Any, applied: Any, tmp_path: Path, name: str, optimizer: str
) -> None:
    path = catalogue.scenario(name).path
    source = path.read_text(encoding="utf-8")
    finding = observe(name, "--optimizer", optimizer).only
    repairs = [help for help in finding.help if help.before or help.after]
    assert repairs, "help has only words"
    for number, help in enumerate(repairs):
        assert help.file is not None and Path(help.file) == path
        assert help.after != help.before
        script = tmp_path / f"repaired_{number}.py"
        script.write_text(applied(help, source), encoding="utf-8")
        ran = observe(script, "--optimizer", optimizer, "--steps", "16", "--device", "cpu")
        assert ran.exit_code == 0, ran.err
        assert ran.told == [], help.text
        # Repaired, not silenced: both networks still learn in every iteration that trained them.
        for ledger in ran.trace.optimizers:
            assert ledger.steps > 0
            assert set(ledger.touched) == set(ledger.owns)
            assert ledger.others_changed == ()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_recomputing_naive_names_all_that_was_left_stale(observe: Any, optimizer: str) -> None:
    first = observe("naive", "--optimizer", optimizer).only.help[0]
    assert "real_logit, gene_logit and Z_B" in first.text
    assert "optimizer_D.step()" in first.text
    added = [line.strip() for line in first.after.splitlines() if line not in first.before]
    assert [line.partition(" = ")[0] for line in added] == ["real_logit", "gene_logit", "Z_B"]


def test_only_z_b_is_named_where_only_z_b_was_left_stale(observe: Any) -> None:
    first = observe("recompute-as-printed").only.help[0]
    assert "Compute Z_B again" in first.text
    added = [line.strip() for line in first.after.splitlines() if line not in first.before]
    assert [line.partition(" = ")[0] for line in added] == ["Z_B"]


def test_detach_as_printed_is_told_to_detach_and_what_to_compute_again(observe: Any) -> None:
    help = observe("detach-as-printed").only.help[0]
    assert "D(gene_img.detach())" in help.after
    assert "Detach gene_img" in help.text
    assert "Z_B" in help.text


@pytest.mark.parametrize("name", ["detach-as-printed", "joint", "joint-as-printed"])
def test_no_repair_is_one_that_only_silences(observe: Any, name: str) -> None:
    for help in observe(name).only.help:
        # retain_graph=True stays where the user had it, and is never what help adds.
        assert help.after.count("retain_graph=True") <= help.before.count("retain_graph=True")
        assert "fused" not in help.after
        assert ".data" not in help.after
        assert "requires_grad" not in help.after


@pytest.mark.parametrize(
    "source",
    [
        # Several statements on a line: the line is no statement that could be moved or repeated.
        "x = torch.ones(2, requires_grad=True); y = x.exp(); loss = (y * y).sum(); y.add_(1)\n"
        "loss.backward()\n",
        "x = torch.ones(2, requires_grad=True)\n"
        "y = x.exp(); loss = (y * y).sum()\n"
        "y.add_(1); loss.backward()\n",
        # A write in a branch, a loop that carries its state, a write by a helper.
        "x = torch.ones(2, requires_grad=True)\n"
        "y = x.exp()\n"
        "loss = (y * y).sum()\n"
        "if loss > 0:\n"
        "    y.add_(1)\n"
        "loss.backward()\n",
        "x = torch.ones(2, requires_grad=True)\n"
        "h = x * 1\n"
        "loss = 0\n"
        "for _ in range(3):\n"
        "    h = h.exp()\n"
        "    loss = loss + (h * h).sum()\n"
        "    h.mul_(0.5)\n"
        "loss.backward()\n",
        "def shift(t):\n"
        "    t.add_(1)\n"
        "x = torch.ones(2, requires_grad=True)\n"
        "y = x.exp()\n"
        "loss = (y * y).sum()\n"
        "shift(y)\n"
        "loss.backward()\n",
    ],
    ids=["one line", "two lines", "branch", "loop", "helper"],
)
def test_a_repair_of_any_script_runs_clean_or_is_words(
    observe: Any, applied: Any, tmp_path: Path, source: str
) -> None:
    path = tmp_path / "script.py"
    path.write_text(f"import torch\n{source}", encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL001"
    assert finding.help and all(help.text for help in finding.help)
    for number, help in enumerate(help for help in finding.help if help.before or help.after):
        script = tmp_path / f"repaired_{number}.py"
        script.write_text(applied(help, path.read_text(encoding="utf-8")), encoding="utf-8")
        ran = observe(script)
        assert ran.exit_code == 0, f"{help.text}\n{help.after}\n{ran.err}"
        assert ran.told == [], f"{help.text}\n{help.after}"


NO_RECOMPUTE = """\
import torch

G, D = torch.nn.Linear(3, 4), torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
optimizer_D = torch.optim.SGD(D.parameters(), lr=0.1)
optimizer_G = torch.optim.SGD(G.parameters(), lr=0.1)
with torch.enable_grad():
    fake = D(G(torch.randn(5, 3)))
D_loss = fake.mean()
D_loss.backward(retain_graph=True)
optimizer_D.step()
G_loss = -fake.mean()
optimizer_G.zero_grad()
G_loss.backward()
optimizer_G.step()
"""


def test_no_help_begins_as_if_another_stood_before_it(observe: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(NO_RECOMPUTE, encoding="utf-8")
    first, *_ = observe(script).only.help
    assert first.text.startswith("Move optimizer_D.step() behind this backward")
    first, second = observe("naive").only.help
    assert not first.text.startswith("Or ")
    assert second.text.startswith("Or move optimizer_D.step() behind")
