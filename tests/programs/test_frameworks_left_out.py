"""What a library leaves out, copies, refuses or gives back as an array: parameters that it was not
told of, an optimizer of another copy, a module's optimizer that it does not take.

The library here is a stand-in for pyro, stable-baselines3, torchrl and opacus.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import copy

import torch
from torch import nn


class SVI:
    def __init__(self, loss_fn, modules):
        self.loss_fn, self.modules, self.optimizers, self.names = loss_fn, modules, {}, set()

    def module(self, name, module):
        if name not in self.names:
            self.names.add(name)
            self.modules.append(module)

    def step(self, x):
        loss = self.loss_fn(x)
        loss.backward()
        for module in self.modules:
            for p in module.parameters():
                if p not in self.optimizers:
                    self.optimizers[p] = torch.optim.SGD([p], lr=0.01)
                self.optimizers[p].step()
                p.grad = None
        return loss.item()


class Policy(nn.Module):
    def __init__(self, extractor):
        super().__init__()
        self.extractor, self.head = extractor(), nn.Linear(4, 3)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)

    def forward(self, x):
        return self.head(self.extractor(x))


class Agent:
    def __init__(self, extractor=nn.Tanh):
        self.policy = Policy(extractor)

    def learn(self, batches):
        for x, y in batches:
            loss = nn.functional.cross_entropy(self.policy(x), y)
            self.policy.optimizer.zero_grad()
            loss.backward()
            self.policy.optimizer.step()

    def predict(self, x):
        with torch.no_grad():
            return self.policy(torch.as_tensor(x)).numpy(), None


class Ensemble(nn.Module):
    def __init__(self, net, expand):
        super().__init__()
        self.params = copy.deepcopy(net) if expand else net

    def forward(self, x, y):
        return nn.functional.cross_entropy(self.params(x), y)


def fixed(model):
    return copy.deepcopy(model)


def private(model, optimizer):
    own = {id(p) for p in model.parameters()}
    if any(id(p) not in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("parameters differ")
    return model, optimizer


def wrap(model):
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_full_backward_hook(capture)
    return model


def capture(module, given, gave):
    if getattr(module, "sample", None) is not None:
        raise ValueError("no accumulation")
    module.sample = gave[0]


class Batch(dict):
    pass


class Advantage:
    def __init__(self, critic):
        self.critic = critic

    def __call__(self, batch):
        batch["value"] = self.critic(batch["x"])
"""
START = """\
import numpy as np
import torch
from torch import nn
import outlib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings of a program that can import the library."""
    yield from told_beside({"outlib": LIBRARY}, START, observe, tmp_path, monkeypatch)


VAE = """\
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        self.decoder = nn.Linear(2, 4)

    def loss(self, x):
        return (self.decoder(self.encoder(x)) - x).square().mean()


vae = VAE()
{before}svi = outlib.SVI(vae.loss, {told})
for x, _ in batches:
    svi.step(x)
"""


def test_what_a_library_was_not_told_of_is_a_warning(told: Any) -> None:
    """Most of the network is left out, and its optimizers are built in the call that steps."""
    (found,) = told(VAE.format(before="", told="[vae.decoder]"))
    assert (found.code, found.severity) == ("GL103", "warning")
    assert "vae.encoder." in found.summary


@pytest.mark.parametrize(
    ("before", "which"),
    [
        ("", "[vae.encoder, vae.decoder]"),
        ("vae.encoder.requires_grad_(False)\n", "[vae.decoder]"),
        ("vae.encoder.eval()\n", "[vae.decoder]"),
    ],
)
def test_what_is_frozen_or_in_eval_mode_was_left_out_on_purpose(
    told: Any, before: str, which: str
) -> None:
    assert told(VAE.format(before=before, told=which)) == []


EXTRACTOR = """\
class Extractor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = {first}

    def forward(self, x):
        if self.net is None:
            self.net = nn.Linear(x.shape[1], 4)
        return torch.tanh(self.net(x))


agent = outlib.Agent(Extractor)
agent.learn(batches)
"""


def test_a_layer_that_is_made_after_the_librarys_optimizer(told: Any) -> None:
    (found,) = told(EXTRACTOR.format(first="None"))
    assert (found.code, found.cause.at.code) == ("GL103", "self.net = nn.Linear(x.shape[1], 4)")
    assert "agent.policy.extractor.net" in found.summary
    assert told(EXTRACTOR.format(first="nn.Linear(4, 4)")) == []


CUT = """\
def centred(features):
    return features - features.mean(axis=0, keepdims=True)


class Extractor(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.linear = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x):
        features = self.linear(torch.tanh(self.encoder(x)))
        return {given}


agent = outlib.Agent(Extractor)
agent.learn(batches)
"""


def test_a_cut_that_is_read_more_than_once_in_one_forward(told: Any) -> None:
    """The chain of calls around the cut reads it again and again."""
    given = "torch.as_tensor(centred(features.detach().cpu().numpy()))"
    (found,) = told(CUT.format(given=given))
    assert (found.code, found.cause.at.line) == ("GL110", 19)
    assert found.cause.what == "features.detach()"
    assert told(CUT.format(given="centred(features) if False else features")) == []


CLONE = """\
student = outlib.Agent()
for x, y in batches:
    {act}
    student.policy.optimizer.zero_grad()
    loss.backward()
    student.policy.optimizer.step()
"""


def test_an_array_of_a_librarys_method_has_cut_the_loss_off(told: Any) -> None:
    act = "scores, _ = student.predict(x)\n    loss = (torch.as_tensor(scores) - 1).square().mean()"
    (found,) = told(CLONE.format(act=act))
    assert (found.code, found.cause.what) == ("GL005", "student.predict()")
    assert found.cause.at.line == 10


def test_an_array_that_is_only_the_target_cuts_nothing(told: Any) -> None:
    act = (
        "scores, _ = student.predict(x)\n"
        "    loss = (student.policy(x) - torch.as_tensor(scores) - 1).square().mean()"
    )
    assert told(CLONE.format(act=act)) == []


ENSEMBLE = """\
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
loss_module = outlib.Ensemble(net, expand={expand})
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
other = nn.Linear(4, 3)
steps = torch.optim.SGD(other.parameters(), lr=0.1)
for x, y in batches:
    total = nn.functional.cross_entropy(other(x), y)
    steps.zero_grad()
    total.backward()
    steps.step()
    optimizer.zero_grad()
    loss = loss_module(x, y)
    loss.backward()
    optimizer.step()
"""


def test_an_optimizer_of_another_copy_is_told_once(told: Any) -> None:
    (found,) = told(ENSEMBLE.format(expand=True))
    assert (found.code, found.cause.at.line) == ("GL103", 10)
    assert "optimizer was built from another copy" in found.summary
    assert "loss_module.params" in found.summary
    assert told(ENSEMBLE.format(expand=False)) == []


PRIVATE = """\
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model = outlib.fixed(model)
{again}
model, optimizer = outlib.private(model, optimizer)
for x, y in batches:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
"""


def test_a_library_refuses_the_optimizer_of_another_module(told: Any) -> None:
    (found,) = told(PRIVATE.format(again=""))
    assert (found.code, found.severity) == ("GL016", "error")
    assert (found.cause.at.line, found.failed.at.line) == (10, 12)
    assert "optimizer holds no parameter of model" in found.summary
    again = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"
    assert told(PRIVATE.format(again=again)) == []


def test_a_refusal_of_something_else_is_not_told_so(told: Any) -> None:
    """The optimizer holds the module's parameters, and one of its own."""
    again = (
        "extra = nn.Parameter(torch.zeros(1))\n"
        "optimizer = torch.optim.SGD([*model.parameters(), extra], lr=0.1)"
    )
    assert told(PRIVATE.format(again=again)) == []


HOOKED = """\
model = outlib.wrap(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches:
    optimizer.zero_grad()
    first = nn.functional.cross_entropy(model(x), y)
    first.backward()
    second = model(x).square().mean()
    second.backward()
    optimizer.step()
"""


UNCLEARED = """\
model = outlib.wrap(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches:
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
"""


def test_the_step_is_named_after_which_nothing_was_cleared(told: Any) -> None:
    (found,) = told(UNCLEARED)
    assert (found.code, found.failed.at.line, found.cause.at.line) == ("GL000", 12, 13)
    assert "zero_grad()" in found.help[0].text


def test_a_hook_of_a_librarys_that_raises_is_named_with_what_was_not_cleared(told: Any) -> None:
    (found,) = told(HOOKED)
    assert (found.code, found.failed.at.line, found.cause.at.line) == ("GL000", 15, 13)
    assert "in a hook of outlib" in found.summary
    assert "first.backward() in line 13" in found.help[0].text


REFRESHED = """\
class Learner:
    def __init__(self):
        self.q_net, self.q_net_target = nn.Linear(4, 3), nn.Linear(4, 3)
        self.optimizer = torch.optim.SGD(self.q_net.parameters(), lr=0.1)


learner = Learner()


def train(x):
    with torch.no_grad():
        target = learner.q_net_target(x).max(1).values
    loss = (learner.q_net(x).max(1).values - target - 1).square().mean()
    learner.optimizer.zero_grad()
    loss.backward()
    learner.optimizer.step()


for turn, (x, _) in enumerate(batches * 16):
    train(x)
    if turn == 5:
        {refresh}
"""


def test_a_target_that_becomes_the_network_in_mid_training(told: Any) -> None:
    (found,) = told(REFRESHED.format(refresh="learner.q_net_target = learner.q_net"))
    assert (found.code, found.severity) == ("GL121", "warning")
    assert found.cause.at.code == "learner.q_net_target = learner.q_net"
    load = "learner.q_net_target.load_state_dict(learner.q_net.state_dict())"
    assert told(REFRESHED.format(refresh=load)) == []


VALUES = """\
actor, critic = nn.Linear(4, 3), nn.Linear(4, 1)
optimizer = torch.optim.SGD([*actor.parameters(), *critic.parameters()], lr=0.1)
advantage = outlib.Advantage(critic)
for x, y in batches:
    batch = outlib.Batch(x=x)
    with torch.no_grad():
        advantage(batch)
    main = nn.functional.cross_entropy(actor(x), y)
    {value}
    loss = main + 0.5 * value_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_loss_of_what_a_library_computed_without_gradients(told: Any) -> None:
    value = 'value_loss = nn.functional.mse_loss(batch["value"], x.sum(1, keepdim=True))'
    found = told(VALUES.format(value=value))
    assert {each.code for each in found} == {"GL110", "GL118"}
    assert {each.cause.at.line for each in found} == {16}
    assert any("critic.weight" in each.summary for each in found)


@pytest.mark.parametrize(
    "value",
    [
        "value_loss = nn.functional.mse_loss(critic(x), x.sum(1, keepdim=True))",
        # A number that is only logged, beside a critic that another loss trains.
        'value_loss = nn.functional.mse_loss(batch["value"], x.sum(1, keepdim=True))\n'
        "    main = main + critic(x).square().mean()",
    ],
)
def test_a_loss_without_a_graph_is_not_told_where_all_is_reached(told: Any, value: str) -> None:
    assert told(VALUES.format(value=value)) == []


def test_two_modules_that_a_library_was_given_under_one_name(told: Any) -> None:
    named = "svi.module('net', vae.decoder)\nsvi.module('{name}', vae.encoder)\n"
    source = VAE.format(before="", told="[]").replace("for x, _", named + "for x, _")
    (found,) = told(source.format(name="net"))
    assert (found.code, found.cause.at.code) == ("GL103", "svi.module('net', vae.encoder)")
    assert "under one name" in found.summary
    assert told(source.format(name="other")) == []
