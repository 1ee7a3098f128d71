"""What a library steps for its user, and what the user has to step in a library's loop.

The library here is a stand-in for lightning, ignite, transformers and accelerate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab.observe.sightings.usage import rates
from tests.programs.libraries import told_beside

LIBRARY = """\
from functools import partial

import torch


def fit(module, batches, epochs=4):
    optimizers, schedulers = module.configure()
    module.optimizers, module.schedulers = optimizers, schedulers
    for epoch in range(epochs):
        for batch in batches:
            module.training_step(batch)
        getattr(module, "on_epoch_end", int)()
    for p in module.parameters():
        # As Lightning's teardown, which moves the module to where it is.
        p.data = p.data


def train(module, batches, epochs=4, each=False):
    optimizer, scheduler = module.configure()
    for epoch in range(epochs):
        for batch in batches:
            loss = module.training_step(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if each:
                scheduler.step()
        if not each:
            scheduler.step()


class Trainer:
    def fit(self, module, batches):
        # What leads to the module is as long as in Lightning.
        self.loop = Part(strategy=Part(_module=module))
        train(module, batches)


class Part:
    def __init__(self, **parts):
        vars(self).update(parts)


def _factor(step, *, num_training_steps):
    return max(0.0, 1 - step / num_training_steps)


def linear(optimizer, steps):
    factor = partial(_factor, num_training_steps=steps)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


class Held(torch.optim.Optimizer):
    def __init__(self, optimizer, every):
        self.optimizer, self.every, self.turn = optimizer, every, 0

    def due(self):
        return self.turn % self.every == 0

    def step(self):
        if self.due():
            self.optimizer.step()

    def zero_grad(self):
        if self.due():
            self.optimizer.zero_grad()


def backward(loss, optimizer):
    optimizer.turn += 1
    loss.backward()


class Engine:
    def __init__(self, update):
        self.update, self.handlers = update, []

    def run(self, batches, epochs):
        for epoch in range(epochs):
            for batch in batches:
                self.update(self, batch)
            for each in self.handlers:
                each(self)


class Learner:
    def __init__(self, kind, goes_on=False):
        self.kind, self.goes_on, self.module = kind, goes_on, None

    def fit(self, batches):
        if self.module is None or not self.goes_on:
            self.module = self.kind()
            self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
        for x, y in batches:
            loss = torch.nn.functional.cross_entropy(self.module(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
"""
START = """\
import torch
from torch import nn
import steplib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings of a program that can import the library."""
    # The tests are loaded as well here, and name steps of their own.
    monkeypatch.setattr(rates, "loaded_files", lambda files, frame=None: [])
    yield from told_beside({"steplib": LIBRARY}, START, observe, tmp_path, monkeypatch)


GAN = """\
class GAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = nn.Linear(4, 4), nn.Linear(4, 1)

    def configure(self):
        return [torch.optim.SGD(self.generator.parameters(), lr=0.1),
                torch.optim.SGD(self.critic.parameters(), lr=0.1)], []

    def training_step(self, batch):
        opt_g, opt_c = self.optimizers
        fake = self.generator(batch[0])
        c_loss = self.critic(fake.detach()).mean() - self.critic(batch[0]).mean()
        opt_c.zero_grad()
        c_loss.backward()
        opt_c.step()
        g_loss = -self.critic(fake).mean()
        opt_g.zero_grad()
        opt_c.zero_grad()
        g_loss.backward()
        {steps}.step()


gan = GAN()
steplib.fit(gan, batches)
"""


def test_the_other_optimizer_steps_though_the_library_moves_the_weights_in_the_end(
    told: Any,
) -> None:
    (found,) = told(GAN.format(steps="opt_c"))
    assert (found.code, found.severity, found.cause.at.line) == ("GL111", "warning", 27)
    assert "optimizers[0].step() is never called" in found.summary
    assert told(GAN.format(steps="opt_g")) == []


FORGOTTEN = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 5), nn.Linear(5, 3)

    def configure(self):
        return torch.optim.SGD(self.decoder.parameters(), lr=0.1), None

    def training_step(self, batch):
        loss = nn.functional.cross_entropy(self.decoder(self.encoder(batch[0])), batch[1])
        self.optimizers.zero_grad()
        loss.backward()
        self.optimizers.step()


steplib.fit({net}, batches)
"""


@pytest.mark.parametrize("net", ["Net()", "(net := Net())"])
def test_a_part_that_the_optimizer_was_not_given_though_the_model_is_gone(
    told: Any, net: str
) -> None:
    (found,) = told(FORGOTTEN.format(net=net))
    assert (found.code, found.cause.at.line) == ("GL103", 13)
    assert "encoder" in found.summary


HELD_BY_THE_LIBRARY = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 5), nn.Linear(5, 3)

    def configure(self):
        optimizer = torch.optim.SGD({held}.parameters(), lr=0.1)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2)

    def training_step(self, batch):
        return nn.functional.cross_entropy(self.decoder(self.encoder(batch[0])), batch[1])


steplib.train(Net(), batches)
"""


def test_a_model_that_only_the_library_holds_is_called_by_its_class(told: Any) -> None:
    (found,) = told(HELD_BY_THE_LIBRARY.format(held="self.decoder"))
    assert found.code == "GL103"
    assert found.summary.startswith("Net.encoder.weight and 1 more get gradients")
    assert told(HELD_BY_THE_LIBRARY.format(held="self")) == []


def test_what_the_program_writes_between_two_backwards_is_its_own_step(told: Any) -> None:
    by_hand = (
        "with torch.no_grad():\n"
        "            [p.sub_(p.grad, alpha=0.1) for p in self.generator.parameters()]\n"
        "        opt_c.zero_grad(); opt_c"
    )
    assert [each for each in told(GAN.format(steps=by_hand)) if each.code == "GL111"] == []


MANUAL = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def configure(self):
        opt = torch.optim.SGD(self.parameters(), lr=0.1)
        return opt, {schedule}

    def training_step(self, batch):
        opt = self.optimizers
        opt.zero_grad()
        loss = nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
        loss.backward()
        opt.step()

    def on_epoch_end(self):
        {act}


steplib.fit(Net(), batches)
"""
DECAY = "torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)"


@pytest.mark.parametrize(
    "schedule", [DECAY, "torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=1)"]
)
def test_a_schedule_that_the_program_never_steps(told: Any, schedule: str) -> None:
    (found,) = told(MANUAL.format(schedule=schedule, act="pass"))
    assert (found.code, found.severity) == ("GL132", "warning")
    assert schedule in found.cause.at.code
    assert "the schedule of opt is never stepped" in found.summary


@pytest.mark.parametrize(
    "act",
    [
        "self.schedulers.step()",
        # It may be about to be stepped.
        "self.optimizers.state and False and self.schedulers.step()",
        "[each.step() for each in () or [self.schedulers]]",
    ],
)
def test_a_schedule_that_the_program_steps_or_may(told: Any, act: str) -> None:
    assert told(MANUAL.format(schedule=DECAY, act=act)) == []


def test_a_schedule_of_the_programs_own_kind_is_not_seen_to_step(told: Any) -> None:
    own = (
        "class Own(torch.optim.lr_scheduler.ExponentialLR):\n"
        "    def advance(self):\n        return super().step\n\n"
        "    step = property(lambda self: self.advance())\n\n\n"
    )
    source = MANUAL.format(schedule="Own(opt, 0.9)", act="self.schedulers.step()")
    assert [each for each in told(own + source) if "never stepped" in each.summary] == []


AUTOMATIC = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def configure(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = {schedule}
        return optimizer, scheduler

    def training_step(self, batch):
        return nn.functional.cross_entropy(self.layer(batch[0]), batch[1])


steplib.train(Net(), batches, each={each})
"""


def test_a_schedule_of_all_steps_that_a_library_steps_once_an_epoch(told: Any) -> None:
    linear = "steplib.linear(optimizer, 4 * len(batches))"
    (found,) = told(AUTOMATIC.format(schedule=linear, each=False))
    assert (found.code, found.cause.at.code) == ("GL132", f"scheduler = {linear}")
    assert "is for 32 steps, of which 4 were taken" in found.summary
    assert '"interval": "step"' in found.help[0].text
    assert told(AUTOMATIC.format(schedule=linear, each=True)) == []


@pytest.mark.parametrize("epochs", [1, 4])
def test_what_the_library_is_to_step_is_its_own_affair(told: Any, epochs: int) -> None:
    """It may end before it comes to it."""
    source = AUTOMATIC.format(schedule=DECAY.replace("opt,", "optimizer,"), each=False)
    assert told(source.replace("each=False", f"epochs={epochs} and 0 or 1")) == []


ENGINE = """\
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)


def update(engine, batch):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    optimizer.step()


engine = steplib.Engine(update)
engine.handlers.append({handler})
engine.run(batches, 3)
"""


def test_a_handler_that_names_the_step_and_does_not_call_it(told: Any) -> None:
    (found,) = told(ENGINE.format(handler="lambda engine: scheduler.step"))
    assert (found.code, found.cause.at.line) == ("GL132", 20)
    assert found.cause.what == "scheduler.step is named, and not called"
    for handler in ("lambda engine: scheduler.step()", "lambda engine: print(scheduler.step)"):
        assert told(ENGINE.format(handler=handler)) == []


HELD = """\
model = nn.Linear(4, 3)
optimizer = steplib.Held(torch.optim.SGD(model.parameters(), lr=0.1), every=4)
for i, (x, y) in enumerate(batches * 3):
    loss = nn.functional.cross_entropy(model(x), y)
    {backward}
    {act}
"""
STEP = "optimizer.step()\n{indent}optimizer.zero_grad()"
BACKWARD = "steplib.backward(loss, optimizer)"


@pytest.mark.parametrize("condition", ["if i % 4 == 0:", "if i % 4 == 2:"])
def test_a_count_of_the_programs_own_never_meets_the_wrappers(told: Any, condition: str) -> None:
    act = f"{condition}\n        " + STEP.format(indent=" " * 8)
    (found,) = told(HELD.format(backward=BACKWARD, act=act))
    assert (found.code, found.severity) == ("GL111", "warning")
    assert (found.cause.at.code, found.failed.at.line) == ("optimizer.step()", 11)
    assert "optimizer took no step in 24 backwards" in found.summary


@pytest.mark.parametrize(
    "act",
    [
        STEP.format(indent="    "),
        # It may come yet, or never be asked for; gradients alone may be looked at.
        "if i % 16 == 18:\n        optimizer.step()",
        "if model.training is None:\n        optimizer.step()",
        "pass",
        "continue\n    optimizer.step()",
    ],
)
def test_a_step_that_comes_or_may_come_later(told: Any, act: str) -> None:
    assert [e for e in told(HELD.format(backward=BACKWARD, act=act)) if e.code == "GL111"] == []


LAYERS = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.blocks = {blocks}

    def configure(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

    def training_step(self, batch):
        x, y = batch
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h).relu()
        return nn.functional.cross_entropy(self.head(h), y)


trainer = steplib.Trainer()
trainer.fit(Net(), batches)
"""


@pytest.mark.parametrize("plain", [True, False])
def test_layers_in_a_plain_list_of_what_only_a_trainer_holds(told: Any, plain: bool) -> None:
    made = "[nn.Linear(8, 8) for _ in range(2)]"
    found = told(LAYERS.format(blocks=made if plain else f"nn.ModuleList({made})"))
    assert [each.code for each in found] == ["GL103"] * plain
    assert all("Net.blocks[" in each.summary for each in found)
    assert all(each.cause.at.code.startswith("self.blocks = [") for each in found)


PAST = """\
model = nn.Linear(4, 3)
inner = torch.optim.SGD(model.parameters(), lr=0.1)
private = steplib.Held(inner, every=1)
{more}
for i, (x, y) in enumerate(batches * 3):
    private.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    {act}
"""


def test_a_wrapper_that_is_stepped_past(told: Any) -> None:
    (found,) = told(PAST.format(more="", act="inner.step()"))
    assert (found.code, found.cause.at.code) == ("GL111", "inner.step()")
    assert found.summary.startswith("private.step() is never called: inner.step() goes past")
    assert found.help[0].after.strip() == "private.step()"


@pytest.mark.parametrize(
    ("more", "act"),
    [
        ("", "private.step()"),
        # It is warmed up without the wrapper, which comes in later.
        ("", "(inner if i < 30 else private).step() if i else private.step"),
        ("def go(optimizer):\n    optimizer.step()", "go(private)"),
        ("outer = steplib.Held(private, every=1)", "outer.step()"),
    ],
)
def test_a_wrapper_that_steps_or_may(told: Any, more: str, act: str) -> None:
    assert told(PAST.format(more=more, act=act)) == []


FITTED = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return self.body(x)


learner = steplib.Learner(Net{given})
for {turn} in range(4):
    learner.fit(batches)
"""


def test_a_call_that_fits_a_new_network_in_each_epoch(told: Any) -> None:
    (found,) = told(FITTED.format(given="", turn="epoch"))
    assert (found.code, found.cause.at.line) == ("GL135", 18)
    assert "learner.fit()" in found.summary
    assert told(FITTED.format(given=", goes_on=True", turn="epoch")) == []
    assert told(FITTED.format(given="", turn="fold")) == []
