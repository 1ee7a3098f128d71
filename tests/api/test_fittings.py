"""The sessions that open and close with a framework's training."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import graphlab
from graphlab.api.fitting import Fitting

HEAD = """
import torch, warnings
from torch import nn
warnings.filterwarnings("ignore")
torch.manual_seed(0)
data = [torch.randn(8, 4) for _ in range(10)]
model = nn.Linear(4, 1)
"""

IGNITE = """
import graphlab.ignite
from ignite.engine import Engine
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

def update(engine, batch):
    loss = model(batch).pow(2).mean()
    loss.backward()
    if engine.state.iteration == STOP:
        raise ValueError("mine")
    optimizer.step()

trainer = Engine(update)
graphlab.ignite.Handler().attach(trainer)
trainer.run(data, max_epochs=2)
"""

LIGHTNING = """
import graphlab.lightning
import lightning

class Lit(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net, self.automatic_optimization = model, False

    def training_step(self, batch, batch_idx):
        self.manual_backward(self.net(batch).pow(2).mean())
        self.optimizers().step()
        if batch_idx == STOP:
            raise ValueError("mine")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

trainer = lightning.Trainer(
    max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
    callbacks=[graphlab.lightning.Callback()],
)
trainer.fit(Lit(), torch.utils.data.DataLoader(data, batch_size=None))
"""

TRANSFORMERS = """
import graphlab.transformers
from transformers import Trainer, TrainingArguments

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = model

    def forward(self, x, labels=None):
        if len(seen) == STOP:
            raise ValueError("mine")
        seen.append(x)
        return {"loss": (self.net(x) - labels).pow(2).mean()}

class Careless(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        pass

seen = []
net = Net()
net.zero_grad = lambda: None
args = TrainingArguments("out", per_device_train_batch_size=4, report_to=[], use_cpu=True,
    disable_tqdm=True, save_strategy="no", num_train_epochs=2)
rows = [{"x": torch.randn(4), "labels": torch.randn(1)} for _ in range(32)]
optimizer = Careless(net.parameters(), lr=0.01)
Trainer(net, args, train_dataset=rows, optimizers=(optimizer, None),
    callbacks=[graphlab.transformers.Callback()]).train()
"""

FRAMEWORKS = {"ignite": IGNITE, "lightning": LIGHTNING, "transformers": TRANSFORMERS}


def ran(tmp_path: Path, framework: str, stop: int) -> subprocess.CompletedProcess[str]:
    pytest.importorskip(framework)
    path = tmp_path / "train.py"
    source = HEAD + FRAMEWORKS[framework].replace("STOP", str(stop))
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_finding_is_in_the_log_and_the_story_at_the_end(tmp_path: Path, framework: str) -> None:
    done = ran(tmp_path, framework, -1)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning[GL102]") == 1
    assert "warning[GL102]" in done.stdout and "Who changed what" in done.stdout


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_training_that_raises_is_told_too(tmp_path: Path, framework: str) -> None:
    done = ran(tmp_path, framework, 5)
    assert done.returncode == 1 and "ValueError: mine" in done.stderr
    assert "raised ValueError" in done.stdout and "warning[GL102]" in done.stdout
    assert "Exception ignored" not in done.stderr


def train(fitting: Fitting, steps: int, first: int) -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    fitting.begin(sys._getframe(), "training")
    for number in range(first, first + steps):
        fitting.step_begins(number)
        loss = net(torch.ones(1, 2)).sum()
        loss.backward()
        optimizer.step()
        fitting.step_ended()
    fitting.end()


def test_iterations_are_the_frameworks_steps(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = Fitting(logging.getLogger("some.framework"), story=False)
    with caplog.at_level("INFO"):
        train(fitting, 5, first=100)
    (line,) = [each for each in caplog.records if "GL102" in each.message]
    assert line.name == "some.framework" and line.levelname == "WARNING"
    assert line.message.startswith("step 101: warning[GL102]: optimizer.step()")
    assert f"({__file__}:" in line.message
    assert capsys.readouterr().out == ""
    assert fitting.session is not None
    assert {each.iteration for each in fitting.session.findings} == {101}


def test_an_open_session_goes_on_alone_with_the_frameworks_steps(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fitting = Fitting(logging.getLogger("some.framework"), story=True)
    with graphlab.watch() as session:
        train(fitting, 4, first=100)
    assert fitting.session is None and not caplog.records
    (finding,) = session.findings
    assert finding.code == "GL102" and finding.iteration == 101
