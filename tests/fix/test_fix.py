"""graphlab fix as a whole: candidates that were run, and what is on disk after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graphlab

PACKAGE = Path(graphlab.__file__).resolve().parent

# The naive GAN loop, with the networks in a package beside it and one of them imported relatively.
NETS = """
import torch
from torch import nn
from .blocks import block


def build():
    torch.manual_seed(0)
    return block(2, 4), block(4, 1)
"""
BLOCKS = """
from torch import nn


def block(a, b):
    return nn.Sequential(nn.Linear(a, 8), nn.Tanh(), nn.Linear(8, b))
"""
LOOP = """
import torch
from .nets import build

G, D = build()
optimizer_G = torch.optim.Adam(G.parameters())
optimizer_D = torch.optim.Adam(D.parameters())
for turn in range(6):
    fake = G(torch.randn(8, 2))
    score = D(fake)
    D_loss = score.mean() - D(torch.randn(8, 4)).mean()
    optimizer_D.zero_grad()
    D_loss.backward(retain_graph=True)
    optimizer_D.step()
    G_loss = -score.mean()
    optimizer_G.zero_grad()
    G_loss.backward()
    optimizer_G.step()
open("log.txt", "a").write("done\\n")
"""
# A policy that becomes sure of itself.
NAN = """
import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Linear(4, 3)
optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
for turn in range(8):
    x = torch.randn(16, 4)
    scale = 1e4 if turn == 5 else 1.0
    p = torch.softmax(policy(x) * scale, dim=-1)
    chosen = p.max(-1).values.mean()
    loss = -chosen - 0.01 * -(p * torch.log(p)).sum(-1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# Two branches that are not taken, each of which overflows in a turn of its own.
BRANCHES = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for turn in range(8):
    x = torch.ones(8, 4)
    one = net(x) + (1000 if turn == 3 else 0)
    two = net(x) + (1000 if turn == 5 else 0)
    one_exp = torch.where(one < 80, torch.exp(one), 0)
    two_exp = torch.where(two < 80, torch.exp(two), 0)
    loss = one_exp.mean() + two_exp.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# A hidden state that leads into the graph of the turn before; long enough to be left.
TWICE = """
import time
import torch
from torch import nn

torch.manual_seed(0)
cell = nn.GRUCell(2, 4)
optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
state = torch.zeros(1, 4)
for turn in range(2000):
    state = cell(torch.randn(1, 2), state)
    loss = state.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    time.sleep(0.05)
"""
# The generator's output is computed once for several of its steps; SAYS goes into its loss.
ONCE = """
import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
D = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD([*G.parameters(), *D.parameters()], lr=0.1)
for turn in range(2):
    x = torch.randn(8, 2)
    fake = G(x)
    for j in range(2):
        loss = SAYS
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
"""
# Two optimizers with a loss each, whose names say which, on one forward.
APART = """
import torch
from torch import nn

torch.manual_seed(0)
teacher, student = nn.Linear(4, 3), nn.Linear(3, 3)
opt_t = torch.optim.SGD(teacher.parameters(), lr=0.1)
opt_s = torch.optim.SGD(student.parameters(), lr=0.1)
for turn in range(6):
    out = teacher(torch.randn(8, 4)).tanh()
    opt_t.zero_grad()
    opt_s.zero_grad()
    loss_t = out.square().mean()
    loss_t.backward()
    loss_s = (student(out) - out).square().mean()
    loss_s.backward()
    opt_t.step()
    opt_s.step()
"""
# Statements that share their lines, in a wrong order.
LINES = """
import torch
from torch import nn

torch.manual_seed(0); net = nn.Linear(4, 1)
opt = torch.optim.Adam(net.parameters())
for turn in range(6):
    loss = net(torch.randn(8, 4)).square().mean()
    loss.backward(); opt.zero_grad(); opt.step()
"""
# A schedule that nobody steps.
SCHEDULED = """
import torch
from torch import nn

torch.manual_seed(0)

class Learner:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=0.5)

    def batch(self, x):
        loss = self.model(x).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def fit(self, batches):
        for epoch in range(4):
            for x in batches:
                self.batch(x)
            print(epoch, self.schedule.get_last_lr())


learner = Learner(nn.Linear(4, 1))
learner.fit([torch.randn(8, 4) for _ in range(5)])
"""
# The cut is in an imported file; a frozen encoder must stay frozen.
CUT = """
import torch
from torch import nn

torch.manual_seed(0)
encoder, head = nn.Linear(4, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for turn in range(4):
    x = torch.randn(16, 4)
    with torch.no_grad():
        feature = torch.tanh(encoder(x))
        out = head(feature)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
COMPILED = """
import torch
from torch import nn

torch.manual_seed(0)


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x):
        h = torch.sigmoid(self.inner(x))
        return self.act(h) * x


net = torch.compile(Gate(), backend="aot_eager")
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for turn in range(2):
    loss = net(torch.randn(4, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
ENDLESS = """
import subprocess, sys, time, torch
from torch import nn

w = torch.ones(3, requires_grad=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child.txt", "w").write(str(child.pid))
while True:
    w.sum().backward()
    time.sleep(0.05)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "gan"
    folder.mkdir()
    for name, text in {"__init__": "", "nets": NETS, "blocks": BLOCKS, "train": LOOP}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def main(command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Main:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        done = command(*words)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_module_is_mended_in_trials_and_on_disk_only_when_told(
    main: Main, package: Path, tmp_path: Path
) -> None:
    before = contents(package)
    code, out, err = main(
        "fix", "-m", "gan.train", "--sandbox", "--json", "r.json", "--patch", "r.diff"
    )
    assert (code, err) == (0, "")
    assert contents(package) == before and not (tmp_path / "log.txt").exists()
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["schema"] == "graphlab.fix/1" and report["findings"][0]["code"] == "GL001"
    assert report["chosen"] == 0 and report["applied"] is False
    best = report["candidates"][0]
    assert best["verdict"] == "proved" and len(best["checks"]) == 3
    assert all(each["holds"] for each in best["checks"])
    assert best["cost"]["backwards"] == 2 and best["cost"]["saved_bytes"] > 0
    assert "score = D(fake)" in best["edits"][0]["after"] and "proved" in out
    done = subprocess.run(["git", "apply", "r.diff"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(package) != before
    # What was applied has nothing left to mend, and runs without graphlab.
    code, out, _ = main("fix", "-m", "gan.train")
    assert (code, out) == (0, "nothing to mend in gan.train\n")
    assert (tmp_path / "log.txt").read_text() == "done\n"


def test_apply_writes_the_repair_that_freezes_no_more_than_was_meant(
    main: Main, tmp_path: Path
) -> None:
    (tmp_path / "cut.py").write_text(CUT)
    code, out, _ = main("fix", "cut.py", "--apply", "--json", "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert code == 0 and report["applied"] is True and "applied: cut.py changed" in out
    mended = CUT.replace("        out = head(feature)", "    out = head(feature)")
    assert (tmp_path / "cut.py").read_text() == mended
    # All of it outside would train an encoder that no optimizer holds.
    other = next(each for each in report["candidates"] if "all of it" in each["text"])
    assert other["verdict"] == "rejected" and "GL103" in other["checks"][0]["detail"]


@pytest.mark.parametrize(
    ("loss", "verdicts"),
    [
        # Detached, nothing would train G; else either may be meant.
        ("-D(fake).mean()", ["proved", "rejected"]),
        ("(D(G(x)) - D(fake)).square().mean()", ["runs", "runs"]),
    ],
)
def test_what_is_computed_once_is_a_choice_only_where_either_way_trains(
    main: Main, tmp_path: Path, loss: str, verdicts: list[str]
) -> None:
    (tmp_path / "once.py").write_text(ONCE.replace("SAYS", loss))
    main("fix", "once.py", "--json", "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    once = [each for each in report["candidates"] if "fake" in each["text"]]
    assert [each["verdict"] for each in once] == verdicts


def test_each_optimizer_is_left_its_own_loss(main: Main, tmp_path: Path) -> None:
    """Neither one backward for both losses nor the graph kept for the second will do."""
    (tmp_path / "apart.py").write_text(APART)
    code, _, _ = main("fix", "apart.py", "--apply", "--json", "r.json")
    assert code == 0
    assert "loss_s.backward(inputs=list(student" in (tmp_path / "apart.py").read_text()


def test_statements_that_share_a_line_are_moved_apart_for_a_repair(
    main: Main, tmp_path: Path
) -> None:
    (tmp_path / "lines.py").write_text(LINES)
    code, _, _ = main("fix", "lines.py", "--apply")
    wanted = LINES.replace(
        "    loss.backward(); opt.zero_grad(); opt.step()",
        "    loss.backward()\n    opt.step()\n    opt.zero_grad()",
    )
    assert code == 0 and (tmp_path / "lines.py").read_text() == wanted


def test_a_schedule_of_epochs_is_stepped_in_each(main: Main, tmp_path: Path) -> None:
    (tmp_path / "schedule.py").write_text(SCHEDULED)
    code, _, _ = main("fix", "schedule.py", "--apply")
    said = "            print(epoch, self.schedule.get_last_lr())\n"
    wanted = SCHEDULED.replace(said, f"{said}            self.schedule.step()\n")
    assert code == 0 and (tmp_path / "schedule.py").read_text() == wanted


@pytest.mark.parametrize(
    "built", ["StepLR(self.optimizer, 20)", "CosineAnnealingLR(self.optimizer, 4 * 5)"]
)
def test_a_schedule_whose_numbers_are_of_steps_is_left(
    main: Main, tmp_path: Path, built: str
) -> None:
    steps = SCHEDULED.replace("ExponentialLR(self.optimizer, gamma=0.5)", built)
    (tmp_path / "schedule.py").write_text(steps)
    code, _, _ = main("fix", "schedule.py", "--apply")
    assert code == 1 and (tmp_path / "schedule.py").read_text() == steps


def test_compiled_code_is_not_proved_and_not_applied(main: Main, tmp_path: Path) -> None:
    (tmp_path / "gate.py").write_text(COMPILED)
    code, out, _ = main("fix", "gate.py", "--apply", "--json", "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert code == 1 and report["chosen"] is None and report["applied"] is False
    assert [each["verdict"] for each in report["candidates"]] == ["runs"]
    assert (tmp_path / "gate.py").read_text() == COMPILED
    assert "no repair is proved" in out and "? right gradients" in out
    open_ones = [each for each in report["candidates"][0]["checks"] if each["holds"] is None]
    assert "compile" in open_ones[0]["detail"]


def test_nan_is_looked_into_and_the_edit_that_changes_no_finite_number_is_written(
    main: Main, tmp_path: Path
) -> None:
    (tmp_path / "entropy.py").write_text(NAN)
    code, out, _ = main("fix", "entropy.py", "--apply")
    assert code == 0 and "log in line 13 made it" in " ".join(out.split())
    given = "    p = torch.softmax(policy(x) * scale, dim=-1)\n"
    named = "    logits = policy(x) * scale\n    p = torch.softmax(logits, dim=-1)\n"
    wanted = NAN.replace(given, named).replace("torch.log(p)", "torch.log_softmax(logits, dim=-1)")
    assert (tmp_path / "entropy.py").read_text() == wanted


def test_the_scenario_whose_branch_overflows_is_mended(main: Main) -> None:
    code, out, _ = main("fix", "overflow-masked", "--", "--steps", "12", "--device", "cpu")
    assert code == 0
    assert "torch.where(real_logit > -80, -real_logit, 1.0)" in " ".join(out.split())


def test_a_nan_of_a_second_branch_is_looked_into_as_well(main: Main, tmp_path: Path) -> None:
    (tmp_path / "branches.py").write_text(BRANCHES)
    code, _, _ = main("fix", "branches.py", "--apply")
    assert code == 0 and (tmp_path / "branches.py").read_text().count("torch.where") == 4


def test_the_repaired_run_is_played_beside_the_broken_one(main: Main, tmp_path: Path) -> None:
    (tmp_path / "cut.py").write_text(TWICE)
    code, _, err = main("fix", "cut.py", "--html", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert (code, err) == (0, "") and (tmp_path / "cut.py").read_text() == TWICE
    # The first help of the first finding, and the names of both runs.
    assert "Proved by a run: " in page and "cut.py, repaired" in page
    assert "KeyboardInterrupt" not in page


def test_what_no_finding_explains_is_said_and_is_no_success(main: Main, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("raise ValueError('no data')\n")
    code, out, _ = main("fix", "wrong.py")
    assert code == 1 and "raised ValueError: no data" in out and "no repair" in out


def test_a_program_that_refuses_its_arguments_is_no_success(main: Main, tmp_path: Path) -> None:
    """What it printed is seen nowhere, so that the command that shows it is."""
    (tmp_path / "words.py").write_text("import argparse\nargparse.ArgumentParser().parse_args()\n")
    code, out, _ = main("fix", "words.py", "--json", "r.json", "--", "--rate", "1")
    assert code == 1 and "words.py ended with exit code 2" in out
    assert "graphlab run words.py -- --rate 1" in out
    assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fix", "missing.py"), "there is no file missing.py"),
        (("fix", "naive", "--apply"), "a scenario of graphlab's own"),
        (("fix", "x.py", "--json", "-", "--patch", "-"), "both write to -"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    main: Main, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "x.py").write_text("x = 1\n")
    code, _, err = main(*words)
    assert code == 2 and said in err and "help:" in err


def test_a_program_that_was_left_raised_nothing(main: Main, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    code, out, _ = main("fix", "endless.py", "--limit", "2", "--json", "r.json")
    assert code == 0 and "KeyboardInterrupt" not in out and "in the 2 s" in out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["failure"] is None and report["left_after"] > 2
    _wait(lambda: not _runs(int((tmp_path / "child.txt").read_text())))


def test_what_a_program_leaves_to_be_done_at_exit_is_done(main: Main, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "import atexit, tempfile\n"
        "folder = tempfile.TemporaryDirectory(dir='.')\n"
        "atexit.register(lambda: open('done.txt', 'w').write('x'))\n"
    )
    main("fix", "late.py")
    assert {each.name for each in tmp_path.iterdir()} == {"late.py", "done.txt"}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_running(tmp_path: Path, sent: signal.Signals) -> None:
    # Linux alone tells what a process has started that left its group.
    of_its_own = Path("/proc/self/environ").exists()
    text = ENDLESS.replace('600)"]', f'600)"], start_new_session={of_its_own}')
    (tmp_path / "endless.py").write_text(text)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "graphlab", "fix", "endless.py"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "TMPDIR": str(scratch)},
        # Under nohup a hang-up is ignored, as it should be.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    child = tmp_path / "child.txt"
    _wait(lambda: child.exists() and child.read_text())
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    if sent is not signal.SIGKILL:
        assert process.returncode == 128 + sent and "Traceback" not in err
    # Also what the program itself had started, and the folder of the command.
    _wait(lambda: not _runs(int(child.read_text())))
    _wait(lambda: not [*scratch.glob("graphlab-*")])
    assert (tmp_path / "endless.py").read_text() == text


def _wait(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    # One that nobody waits for is no process any more.
    return not state.exists() or state.read_text().rsplit(") ", 1)[1][0] != "Z"
