"""Repairs of what is kept or built for others: optimizers of another network, scalers, gradients of
results, and memories of earlier turns."""

from __future__ import annotations

from tests.fix.conftest import Fix

# The optimizer is built for the network that a copy of is trained.
COPIED = """
import copy
import torch
from torch import nn

torch.manual_seed(0)
base = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(base.parameters(), lr=0.1)
model = copy.deepcopy(base)
for turn in range(6):
    loss = model(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
TAUGHT = """
import torch
from torch import nn

torch.manual_seed(0)
teacher, student = nn.Linear(4, 3), nn.Linear(4, 3)
optimizer = torch.optim.SGD(teacher.parameters(), lr=0.1)
for turn in range(6):
    x = torch.randn(8, 4)
    with torch.no_grad():
        wanted = teacher(x).softmax(1)
    loss = nn.functional.kl_div(student(x).log_softmax(1), wanted, reduction="batchmean")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SCALED = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for turn in range(6):
    loss = net(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
"""
# The gradient of what is computed from a leaf, there and in another function.
ATTACKED = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


def moved(x):
    delta = torch.zeros_like(x, requires_grad=True)
    seen = x + delta
    net(seen).square().mean().backward()
    return (x + 0.1 * seen.grad.sign()).detach()


for turn in range(6):
    x = moved(torch.randn(8, 4))
    optimizer.zero_grad()
    loss = net(x).square().mean()
    loss.backward()
    optimizer.step()
"""
SHOWN = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 1)

    def forward(self, x):
        self.features = self.body(x).relu()
        return self.head(self.features)


torch.manual_seed(0)
net = Net()
with torch.no_grad():
    print(net(torch.ones(1, 4)))
net(torch.randn(8, 4)).sum().backward()
print(net.features.grad.mean())
with torch.no_grad():
    print(net(torch.ones(1, 4)))
"""
# A memory of earlier turns, and a list that is meant to hold those of one.
BANK = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 3)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
bank = []
for turn in range(6):
    z = net(torch.randn(8, 4))
    others = torch.cat(bank) if bank else z
    loss = (z @ others.t()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    bank.append(z)
"""
LOSSES = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
losses = []
for turn in range(6):
    for part in range(2):
        losses.append(net(torch.randn(8, 4)).square().mean())
    total = sum(losses) / len(losses)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
"""
LEAF = """
import torch
from torch import nn
from torch.autograd import Variable

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for turn in range(6):
    error = net(torch.randn(8, 4)).square().mean()
    loss = Variable(error, requires_grad=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# A statistic that a layer in a container follows, with its graph.
CENTRED = """
import torch
from torch import nn


class Centred(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(4, 4)
        self.register_buffer("centre", torch.zeros(4))

    def forward(self, x):
        z = self.proj(x)
        out = z - self.centre
        self.centre = 0.9 * self.centre + 0.1 * z.mean(0)
        return out


torch.manual_seed(0)
net = nn.Sequential(Centred(), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for turn in range(6):
    loss = net(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_the_optimizer_is_given_what_is_trained(fix: Fix) -> None:
    code, text, _ = fix(TAUGHT)
    assert code == 0 and text == TAUGHT.replace("SGD(teacher.", "SGD(student.")


def test_the_optimizer_of_a_copy_is_built_below_it(fix: Fix) -> None:
    code, text, _ = fix(COPIED)
    building, copying = COPIED.splitlines()[7:9]
    wanted = f"{copying}\n{building.replace('base', 'model')}"
    assert code == 0 and text == COPIED.replace(f"{building}\n{copying}", wanted)


def test_which_of_two_networks_is_to_be_trained_is_for_the_author(fix: Fix) -> None:
    source = COPIED + "    print(base(torch.ones(1, 4)).sum())\n"
    code, text, verdicts = fix(source)
    assert (code, text) == (1, source)
    assert verdicts == ["runs"]


def test_a_scaler_is_updated_after_the_step(fix: Fix) -> None:
    code, text, _ = fix(SCALED)
    assert code == 0 and text == f"{SCALED}    scaler.update()\n"


def test_the_gradient_of_a_result_is_kept(fix: Fix) -> None:
    code, text, _ = fix(ATTACKED)
    made = "    seen = x + delta\n"
    assert code == 0 and text == ATTACKED.replace(made, f"{made}    seen.retain_grad()\n")


def test_the_gradient_of_what_a_forward_stores_is_kept_where_it_has_one(fix: Fix) -> None:
    code, text, _ = fix(SHOWN)
    made = "        self.features = self.body(x).relu()\n"
    kept = "        if self.features.requires_grad:\n            self.features.retain_grad()\n"
    assert code == 0 and text == SHOWN.replace(made, made + kept)


def test_a_memory_of_earlier_turns_is_not_emptied(fix: Fix) -> None:
    code, text, _ = fix(BANK)
    assert code == 0 and text == BANK.replace("append(z)", "append(z.detach())")


def test_what_one_turn_adds_up_begins_empty_in_each(fix: Fix) -> None:
    code, text, _ = fix(LOSSES)
    begun = LOSSES.replace("losses = []\n", "", 1)
    assert code == 0
    assert text == begun.replace("range(6):\n", "range(6):\n    losses = []\n")


def test_a_loss_is_not_made_a_leaf(fix: Fix) -> None:
    code, text, _ = fix(LEAF)
    assert code == 0 and text == LEAF.replace("Variable(error, requires_grad=True)", "error")


def test_a_statistic_of_a_layer_that_a_container_calls_is_detached(fix: Fix) -> None:
    code, text, _ = fix(CENTRED)
    made = "0.9 * self.centre + 0.1 * z.mean(0)"
    assert code == 0 and text == CENTRED.replace(made, f"({made}).detach()")


def test_where_a_container_is_called_twice_the_graph_may_be_meant_to_go_on(fix: Fix) -> None:
    source = CENTRED.replace("net(torch.randn(8, 4)).square()", "(net(x) - net(-x)).square()")
    source = source.replace("    loss =", "    x = torch.randn(8, 4)\n    loss =")
    code, text, verdicts = fix(source)
    assert (code, text) == (1, source) and "runs" in verdicts and "proved" not in verdicts


# A copy is trained for each task, and the optimizer holds what it was copied from.
ADAPTED = """
import copy

import torch
from torch import nn


class Learner:
    def __init__(self, model):
        self.model = model

    def adapt(self, x):
        fast = copy.deepcopy(self.model)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        for _ in range(4):
            loss = (fast(x) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return fast

    def learn(self, tasks):
        for x in tasks:
            fast = self.adapt(x)
            with torch.no_grad():
                for p, q in zip(self.model.parameters(), fast.parameters()):
                    p.add_(q - p, alpha=0.5)


torch.manual_seed(0)
learner = Learner(nn.Linear(4, 4))
for turn in range(4):
    learner.learn([torch.randn(8, 4) for _ in range(2)])
"""
# One function draws for both steps, and gives its draw without a graph.
DRAWN = """
import torch
from torch import nn

torch.manual_seed(0)


class Pair:
    def __init__(self):
        self.gen, self.critic = nn.Linear(3, 2), nn.Linear(2, 1)
        self.of_gen = torch.optim.SGD(self.gen.parameters(), lr=0.1)
        self.of_critic = torch.optim.SGD(self.critic.parameters(), lr=0.1)

    def draw(self):
        return self.gen(torch.randn(8, 3)).detach()

    def criticise(self):
        loss = self.critic(self.draw()).mean() - self.critic(torch.randn(8, 2)).mean()
        self.of_critic.zero_grad()
        loss.backward()
        self.of_critic.step()

    def generate(self):
        loss = -self.critic(self.draw()).mean()
        self.of_gen.zero_grad()
        loss.backward()
        self.of_gen.step()


pair = Pair()
for turn in range(12):
    pair.criticise()
    pair.generate()
"""


def test_an_optimizer_is_given_the_copy_that_is_trained(fix: Fix) -> None:
    code, text, _ = fix(ADAPTED)
    assert code == 0 and "SGD(fast.parameters(), lr=0.1)" in text


def test_a_draw_for_both_steps_keeps_its_graph(fix: Fix) -> None:
    code, text, _ = fix(DRAWN)
    assert code == 0 and "return self.gen(torch.randn(8, 3))\n" in text


def test_a_draw_for_the_other_step_alone_stays_without_one(fix: Fix) -> None:
    text = DRAWN.replace(
        "-self.critic(self.draw()).mean()", "-self.critic(torch.randn(8, 2)).mean()"
    )
    code, text, _ = fix(text)
    assert code == 1 and "return self.gen(torch.randn(8, 3)).detach()\n" in text


FROZEN_TWIN = """
import copy

import torch
from torch import nn

torch.manual_seed(0)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        self.online_target = self.online
        self.online_target.requires_grad_(False)


agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=0.01)
for turn in range(8):
    now, then = torch.randn(8, 3), torch.randn(8, 3)
    wanted = now[:, :1] + 0.9 * agent.online_target(then).max(1, keepdim=True).values
    loss = (agent.online(now).max(1, keepdim=True).values - wanted).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_target_that_was_frozen_under_its_own_name_is_a_copy(fix: Fix) -> None:
    code, text, verdicts = fix(FROZEN_TWIN)
    assert (code, verdicts[0]) == (0, "proved")
    wanted = "self.online_target = copy.deepcopy(self.online)"
    assert text == FROZEN_TWIN.replace("self.online_target = self.online", wanted)


LISTED = """
import torch
from torch import nn

torch.manual_seed(0)
weight = nn.Parameter(torch.randn(3, 1))
bias = torch.zeros(1)
params = [weight, bias]
optimizer = torch.optim.Adam(params, lr=0.01)
for turn in range(8):
    x = torch.randn(8, 3)
    loss = (x @ params[0] + params[1] - x[:, :1] - 1).square().mean()
    grads = torch.autograd.grad(loss, params, create_graph=True)
    fast = [p - 0.1 * g for p, g in zip(params, grads)]
    later = (x @ fast[0] + fast[1] - x[:, :1] - 1).square().mean()
    optimizer.zero_grad()
    later.backward()
    optimizer.step()
"""


def test_a_weight_that_a_list_holds_requires_grad_where_it_is_made(fix: Fix) -> None:
    code, text, verdicts = fix(LISTED)
    assert (code, verdicts[0]) == (0, "proved")
    assert "bias = torch.zeros(1)\nbias.requires_grad_(True)\nparams" in text
