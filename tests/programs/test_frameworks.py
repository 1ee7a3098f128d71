"""A loop that is a library's: losses, optimizers and repairs are told in the user's own words.

The library here is a stand-in for Lightning, accelerate and the like, installed for these tests.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from graphlab.trace.model import Backward

LIBRARY = """\
import contextlib

import torch


class Wrapped(torch.optim.Optimizer):
    def __init__(self, optimizer, owner):
        self.optimizer, self._owner = optimizer, owner

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def step(self):
        if self._owner.sync:
            self.optimizer.step()

    def zero_grad(self):
        if self._owner.sync:
            self.optimizer.zero_grad()


class Proxy:
    def __init__(self, optimizer):
        self._optimizer = optimizer
        self.__class__ = type("Proxy", (Proxy, type(optimizer)), {})

    def step(self):
        self._optimizer.step()

    def __getattr__(self, name):
        return getattr(self._optimizer, name)


class Accelerator:
    def __init__(self, every=1):
        self._models, self._optimizers = [], []
        self.every, self.sync, self._count = every, True, 0

    def prepare(self, *given):
        found = []
        for each in given:
            if isinstance(each, torch.optim.Optimizer):
                each = Wrapped(each, self)
                self._optimizers.append(each)
            else:
                self._models.append(each)
            found.append(each)
        return found

    @contextlib.contextmanager
    def accumulate(self):
        self._count += 1
        self.sync = self._count % self.every == 0
        yield

    def backward(self, loss, **options):
        if self.every > 1:
            loss = loss / self.every
        loss.backward(**options)


class Learner:
    def __init__(self, module):
        self.module = module
        trained = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD([{"params": trained}], lr=0.1)

    def get_loss(self, y_pred, batch):
        return (y_pred - batch).square().mean()

    def fit(self, batches):
        for batch in batches:
            self.optimizer.zero_grad()
            y_pred = self.module(batch)
            loss = self.get_loss(y_pred, batch)
            loss.backward()
            self.optimizer.step()


class Strategy:
    def __init__(self, optimizer, module):
        self._optimizers, self._module = [optimizer], module


class Trainer:
    def __init__(self, of="training_step"):
        self.of = of

    def fit(self, module, batches):
        self._strategy = Strategy(module.configure_optimizers(), module)
        (optimizer,) = self._strategy._optimizers
        for batch in batches:
            returned = getattr(module, self.of)(batch)
            module.after(returned) if hasattr(module, "after") else None
            loss = returned["loss"] if isinstance(returned, dict) else returned
            if self.of == "forward":
                loss = (loss - batch).square().mean()
            optimizer.zero_grad()
            (loss / 2).backward()
            optimizer.step()

    def run(self, module, batches):
        for at, batch in enumerate(batches):
            module.training_step(batch, at)
        module.test_step(batch)
"""

MODULE = """\
import torch
from torch import nn
from looplib import Trainer

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(4, 4), nn.Linear(4, 4)
        self.hidden = {start}

    def training_step(self, batch):
{body}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


model = Model()
trainer = Trainer()
trainer.fit(model, [torch.randn(3, 4) for _ in range(6)])
"""

MANUAL = """\
import torch
from torch import nn
from looplib import Trainer


class Adversaries(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = nn.Linear(2, 4), nn.Linear(4, 1)
        self.opt_g = torch.optim.SGD(self.generator.parameters(), lr=0.1)
        self.opt_d = torch.optim.SGD(self.critic.parameters(), lr=0.1)

    def training_step(self, batch, at):
        fake = self.generator(torch.randn(8, 2))
        d_loss = self.critic(fake.detach()).mean() - self.critic(batch).mean()
        self.opt_d.zero_grad()
        d_loss.backward()
        self.opt_d.step()
        if at % 2 == 0:
            g_loss = -self.critic(fake).mean()
            self.opt_g.zero_grad()
            g_loss.backward()
            self.opt_g.step()

    def test_step(self, batch):
        with torch.no_grad():
            self.critic(batch)


model = Adversaries()
Trainer().run(model, [torch.randn(8, 4) for _ in range(6)])
"""

GAN = """\
import torch
from torch import nn
from looplib import Accelerator

torch.manual_seed(0)
accelerator = Accelerator()
G, D = nn.Linear(2, 4), nn.Linear(4, 1)
opt_G = torch.optim.SGD(G.parameters(), lr=0.1)
opt_D = torch.optim.SGD(D.parameters(), lr=0.1)
G, D, opt_G, opt_D = accelerator.prepare(G, D, opt_G, opt_D)
{helper}
for step in range(6):
    fake = G(torch.randn(8, 2))
    D_loss = D(fake).mean() - D(torch.randn(8, 4)).mean()
    G_loss = -D(fake).mean()
    opt_D.zero_grad()
    opt_G.zero_grad()
    {call}(D_loss, retain_graph=True)
    {call}(G_loss)
    opt_D.step()
    opt_G.step()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a program that can import the library."""
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "looplib.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])

    def write(source: str) -> Path:
        # The lines of a file are read once.
        path = tmp_path / f"train_{len([*tmp_path.iterdir()])}.py"
        path.write_text(source, encoding="utf-8")
        return path

    return write


def module(body: str, start: str = "None") -> str:
    lines = textwrap.indent(textwrap.dedent(body).strip(), " " * 8)
    return MODULE.format(body=lines, start=start)


def backwards(trace: Any) -> list[Backward]:
    found = [each for each in trace.events if isinstance(each, Backward)]
    assert found
    return found


@pytest.mark.parametrize(
    ("helper", "call"),
    [
        ("", "accelerator.backward"),
        ("def run(loss, **options):\n    loss.backward(**options)\n", "run"),
        ("def run(x, **options):\n    accelerator.backward(x, **options)\n", "run"),
        (
            "def inner(loss, options):\n    loss.backward(**options)\n"
            "def run(x, **options):\n    inner(x, options)\n",
            "run",
        ),
    ],
)
def test_a_loss_is_what_a_helper_is_given(
    observe: Any, program: Any, helper: str, call: str
) -> None:
    found = observe(program(GAN.format(helper=helper, call=call)))
    assert {each.loss for each in backwards(found.trace)} == {"D_loss", "G_loss"}
    mixed = [each for each in found.told if each.code == "GL101"]
    assert any("opt_G applied" in each.summary and "D_loss" in each.summary for each in mixed)


def test_an_argument_that_the_helper_replaces_is_the_helpers(observe: Any, program: Any) -> None:
    helper = "def run(loss, **options):\n    loss = loss * 2\n    loss.backward(**options)\n"
    found = observe(program(GAN.format(helper=helper, call="run")))
    assert {each.loss for each in backwards(found.trace)} == {"loss"}


def test_a_wrapper_is_the_optimizer_that_it_wraps_under_the_users_name(
    observe: Any, program: Any
) -> None:
    trace = observe(program(GAN.format(helper="", call="accelerator.backward"))).trace
    assert [(each.name, each.class_name) for each in trace.optimizers] == [
        ("opt_G", "SGD"),
        ("opt_D", "SGD"),
    ]
    owned = [trace.tensors[place].name for each in trace.optimizers for place in each.owns]
    assert owned == ["G.weight", "G.bias", "D.weight", "D.bias"]


def test_what_a_wrapper_clears_is_cleared_for_the_optimizer_in_it(
    observe: Any, program: Any
) -> None:
    source = """\
import torch
from torch import nn
from looplib import Proxy

net = nn.Linear(4, 1)
optimizer = Proxy(torch.optim.SGD(net.parameters(), lr=0.1))
for step in range(16):
    optimizer.zero_grad()
    loss = net(torch.randn(8, 4)).square().mean()
    loss.backward()
    if step % 4 == 3:
        optimizer.step()
"""
    finding = observe(program(source)).only
    assert finding.code == "GL112"
    assert finding.cause is not None and finding.cause.at.code == "optimizer.zero_grad()"
    assert finding.measured == {"applied": 4, "discarded": 12}


@pytest.mark.parametrize(
    ("body", "loss", "line"),
    [
        ("loss = self.head(batch).square().mean()\nreturn loss", "loss", "loss ="),
        ("d = self.head(batch).mean()\nreturn {'loss': d, 'n': 1}", "d", "d ="),
        ("return {'loss': self.head(batch).square().mean()}", "loss", "return"),
        ("return self.head(batch).mean()", "self.head(batch).mean()", "return"),
        ("self.cell(batch, batch)\nx = self.head(batch)\nreturn x.mean()", "x.mean()", "return"),
    ],
)
def test_where_the_loop_is_a_librarys_a_loss_is_what_the_step_returned(
    observe: Any, program: Any, body: str, loss: str, line: str
) -> None:
    trace = observe(program(module(body))).trace
    for each in backwards(trace):
        assert (each.loss, each.call) == (loss, f"the backward of {loss}")
        assert each.handed_over and each.at is not None and each.at.code.startswith(line)


STRAIGHT = """\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net(torch.ones(4)).sum().backward()
optimizer.step()
net(torch.ones(4)).sum().backward()
"""


def test_what_a_library_runs_is_numbered_by_the_steps(observe: Any, program: Any) -> None:
    trace = observe(program(module("return self.head(batch).square().mean()"))).trace
    assert [each.iteration for each in backwards(trace)] == [0, 1, 2, 3, 4, 5]
    trace = observe(program(learner())).trace
    assert [each.iteration for each in backwards(trace)] == [*range(8)]


def test_several_optimizers_are_numbered_by_what_calls_backward(observe: Any, program: Any) -> None:
    trace = observe(program(MANUAL)).trace
    numbers = {
        loss: [each.iteration for each in backwards(trace) if each.loss == loss]
        for loss in ("d_loss", "g_loss")
    }
    assert numbers == {"d_loss": [0, 1, 2, 3, 4, 5], "g_loss": [0, 2, 4]}
    # The test after the training is no iteration.
    assert trace.iterations == 6
    assert {each.owner for each in trace.tensors} >= {"model.generator", "model.critic"}


def test_what_no_loop_runs_has_no_number(observe: Any, program: Any) -> None:
    trace = observe(program(STRAIGHT)).trace
    assert [each.iteration for each in backwards(trace)] == [None, None]
    # A library that is handed the loss is no loop either.
    handed = STRAIGHT.replace(
        "net(torch.ones(4)).sum().backward()", "loss = net.bias.sum()\nrun(loss)"
    )
    handed = "from looplib import Accelerator\nrun = Accelerator().backward\n" + handed
    trace = observe(program(handed)).trace
    assert [each.iteration for each in backwards(trace)] == [None, None]


def test_several_optimizers_of_a_librarys_loop_number_nothing(observe: Any, program: Any) -> None:
    twice = "other = torch.optim.SGD(self.head.parameters(), lr=0.1)\n        return torch"
    source = module("return self.head(batch).square().mean()").replace("return torch", twice)
    trace = observe(program(source)).trace
    assert {each.iteration for each in backwards(trace)} == {None}


def test_a_hook_that_runs_after_the_step_did_not_make_the_loss(observe: Any, program: Any) -> None:
    source = module("loss = self.head(batch).square().mean()\nreturn loss").replace(
        "    def configure",
        "    def after(self, value):\n        size = value.detach() * 2\n        return size\n\n"
        "    def configure",
    )
    assert {each.loss for each in backwards(observe(program(source)).trace)} == {"loss"}


def test_a_loss_that_the_library_computed_has_no_word_of_the_users(
    observe: Any, program: Any
) -> None:
    source = module("return self.head(batch)").replace("Trainer()", "Trainer('forward')")
    source = source.replace("def training_step", "def forward")
    (loss,) = {each.loss for each in backwards(observe(program(source)).trace)}
    assert loss == "the loss"


def test_an_optimizer_in_a_librarys_private_list_has_no_name_from_there(
    observe: Any, program: Any
) -> None:
    source = module("return self.head(batch).mean()")
    assert [each.name for each in observe(program(source)).trace.optimizers] == ["sgd_0"]
    named = source.replace(
        "return torch.optim.SGD(self.parameters(), lr=0.1)",
        "chosen = torch.optim.SGD(self.parameters(), lr=0.1)\n        return chosen",
    )
    assert [each.name for each in observe(program(named)).trace.optimizers] == ["chosen"]


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ("x = self.head(batch).mean().item()\nloss = torch.tensor(x)\nreturn loss", "x ="),
        ("x = self.head(batch).detach()\nloss = x.mean()\nreturn {'loss': loss}", "x ="),
    ],
)
def test_the_line_that_cut_a_returned_loss_off_is_named(
    observe: Any, program: Any, body: str, cut: str
) -> None:
    finding = observe(program(module(body))).only
    assert finding.code == "GL005" and finding.summary.startswith("no graph leads to loss: ")
    assert finding.cause is not None and finding.cause.at.code.startswith(cut)
    assert finding.failed is not None and finding.failed.at.code.startswith("loss =")


LEARNER = """\
import torch
from torch import nn
from looplib import Learner

torch.manual_seed(0)


class Batches:
    def __iter__(self):
        for i in range(8):
            yield self[i]

    def __getitem__(self, i):
        return torch.randn(3, 4, generator=torch.Generator().manual_seed(i)).clamp(-1.0, 1.0) * 1.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        {body}
        return self.head(features)


class Mine(Learner):
    {method}


net = Net()
{before}
learner = Mine(net)
learner.fit(Batches())
"""


def learner(body: str = "features = self.body(x)", method: str = "pass", before: str = "") -> str:
    return LEARNER.format(body=body, method=method, before=before)


def test_what_the_library_gave_to_the_function_is_read_from_the_library(
    observe: Any, program: Any
) -> None:
    method = (
        "def get_loss(self, y_pred, batch):\n"
        "        error = super().get_loss(y_pred.detach(), batch)\n"
        "        return error"
    )
    finding = observe(program(learner(method=method))).only
    assert finding.code == "GL005"
    assert finding.cause is not None and finding.cause.at.code.startswith("error = ")
    assert finding.cause.what == "y_pred.detach()"


def test_where_the_library_computed_the_loss_all_that_is_frozen_explains_it(
    observe: Any, program: Any
) -> None:
    before = "for param in net.parameters():\n    param.requires_grad = False"
    finding = observe(program(learner(before=before))).only
    assert finding.code == "GL005" and finding.summary.startswith("no graph leads to the loss: ")
    assert finding.cause is not None and finding.cause.what == "param.requires_grad = False"
    # And not what another function returned last, such as the batch.
    assert finding.failed is not None and finding.failed.at.code == "learner.fit(Batches())"


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ("features = self.body(x).detach()", "self.body(x).detach()"),
        ("with torch.no_grad():\n            features = self.body(x)", "torch.no_grad()"),
    ],
)
def test_a_cut_in_a_forward_that_the_library_calls_is_found(
    observe: Any, program: Any, body: str, cut: str
) -> None:
    finding = observe(program(learner(body))).only
    assert finding.code == "GL110" and "net.body.weight" in finding.summary
    assert finding.cause is not None and finding.cause.what == cut


def test_a_cut_beside_a_path_without_one_is_not_the_reason(observe: Any, program: Any) -> None:
    method = "def get_loss(self, pair, batch):\n        return super().get_loss(pair[0], batch)"
    body = "features = self.body(x).detach()"
    source = learner(body, method).replace(
        "self.head(features)", "self.head(features), self.body(x)"
    )
    finding = observe(program(source)).only
    assert finding.code == "GL110"
    assert finding.cause is None or "detach" not in finding.cause.what


def test_a_model_without_a_variable_is_called_by_its_class(observe: Any, program: Any) -> None:
    body = "x = self.cell(batch, batch).detach()\nloss = self.head(x).square().mean()\nreturn loss"
    finding = observe(program(inline(module(body)))).only
    assert finding.code == "GL110" and "Model.cell.weight_ih" in finding.summary
    assert finding.cause is not None and finding.cause.what == "self.cell(batch, batch).detach()"


@pytest.mark.parametrize(
    ("start", "first"),
    [("torch.zeros(3, 4)", ""), ("None", "if self.hidden is not None:\n            ")],
)
def test_a_carried_state_is_detached_where_it_is_made(
    observe: Any, applied: Any, program: Any, start: str, first: str
) -> None:
    body = """
        self.hidden = self.cell(batch, self.hidden)
        loss = self.head(self.hidden).square().mean()
        return loss
    """
    source = module(body, start)
    finding = observe(program(source)).only
    assert finding.code == "GL002"
    for there in (finding.freed, finding.failed):
        assert there is not None and there.at is not None and there.at.code.startswith("loss =")
    repair = finding.help[0]
    assert repair.after.startswith(f"        {first}self.hidden = self.hidden.detach()\n")
    ran = observe(program(applied(repair, source)))
    assert ran.exit_code == 0 and ran.told == []


def inline(source: str) -> str:
    return source.replace("model = Model()\n", "").replace("fit(model, ", "fit(Model(), ")


def test_what_a_model_carries_that_only_the_library_holds(
    observe: Any, applied: Any, program: Any
) -> None:
    body = """
        self.hidden = self.cell(batch, self.hidden)
        loss = self.head(self.hidden).square().mean()
        return loss
    """
    source = inline(module(body, "torch.zeros(3, 4)"))
    finding = observe(program(source)).only
    assert finding.code == "GL002"
    ran = observe(program(applied(finding.help[0], source)))
    assert ran.exit_code == 0 and ran.told == []


def test_what_a_model_keeps_that_only_the_library_holds(observe: Any, program: Any) -> None:
    body = """
        loss = self.head(batch).square().mean()
        self.hidden = self.hidden + loss
        return loss
    """
    source = inline(module(body, "0")).replace("range(6)", "range(12)")
    (finding,) = [each for each in observe(program(source)).told if each.code == "GL106"]
    assert "the graph of module.hidden grows" in finding.summary
    assert finding.cause is not None
    assert finding.cause.at.code == "self.hidden = self.hidden + loss"


def test_what_was_computed_once_is_to_be_computed_again(observe: Any, program: Any) -> None:
    body = """
        if self.hidden is None:
            self.hidden = self.head.weight.square().sum()
        loss = self.head(batch).square().mean() + self.hidden
        return loss
    """
    finding = observe(program(module(body))).only
    assert finding.code == "GL002"
    assert finding.help[0].text.startswith("self.hidden was computed once, in line 16")
    assert not finding.help[0].after


ACCUMULATED = """\
import torch
from torch import nn
from looplib import Accelerator

torch.manual_seed(0)
accelerator = Accelerator(4)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model, optimizer = accelerator.prepare(model, optimizer)
for step in range(16):
    with accelerator.accumulate():
        loss = model(torch.randn(8, 4)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
"""


def test_accumulated_gradients_are_cleared_after_the_step(
    observe: Any, applied: Any, program: Any
) -> None:
    finding = observe(program(ACCUMULATED)).only
    assert finding.code == "GL102" and finding.summary.startswith("optimizer.step() applied")
    repair = finding.help[0]
    assert repair.after == "        optimizer.step()\n        optimizer.zero_grad()\n"
    assert observe(program(applied(repair, ACCUMULATED))).told == []


REUSED = """\
import torch

torch.manual_seed(0)
lin = torch.nn.Linear(4, 3)


def forward(inputs):
    scratch = torch.zeros(5, 3)
    scratch.add_(1.0)
    scratch.add_(1.0)
    z = lin(inputs) + scratch.sum() * 0
    del scratch
    h = torch.sigmoid(z)
    h /= h.norm(dim=1, keepdim=True)
    return h


forward(torch.randn(5, 4)).sum().backward()
"""


def test_memory_that_is_given_out_again_has_not_been_written_by_who_had_it_before(
    observe: Any, program: Any
) -> None:
    finding = observe(program(REUSED)).only
    assert finding.code == "GL001" and finding.summary.startswith("h was saved")
    assert finding.mutated is not None and finding.mutated.at.code.startswith("h /=")
