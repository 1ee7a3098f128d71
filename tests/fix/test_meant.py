"""Repairs that run and are not proved, as the program does not say that they are meant."""

from __future__ import annotations

import pytest

from tests.fix.conftest import Fix

# One loss, gone back from by a helper and by its caller, with a clipping in between.
TWICE = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


def compute(x):
    loss = net(x).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    return loss


for turn in range(6):
    optimizer.zero_grad()
    loss = compute(torch.randn(8, 4))
    loss.backward()
    optimizer.step()
"""
# A term in which nothing has a graph: the commitment of a codebook, which has no way past it.
CUTS = """
import torch
from torch import nn

torch.manual_seed(0)
encoder, book, decoder = nn.Linear(8, 4), nn.Embedding(8, 4), nn.Linear(4, 8)
optimizer = torch.optim.Adam([*encoder.parameters(), *book.parameters(), *decoder.parameters()])
x = torch.randn(32, 8)
for turn in range(6):
    z = encoder(x)
    q = book((z.unsqueeze(1) - book.weight).square().sum(-1).argmin(1))
    commit = (q.detach() - z.detach()).square().mean()
    loss = (decoder(q) - x).square().mean() + 0.25 * commit
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# A backbone that is to be set free later, by a flag on another object; and one that is a threshold.
GUARDED = """
import torch
from torch import nn

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(4, 8), nn.Linear(8, 2)
        self.tuned = False

    def forward(self, x):
        with torch.set_grad_enabled(self.tuned):
            f = self.backbone(x)
        return self.head(f)


model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for turn in range(8):
    if turn == 4:
        model.head.tuned = True
    loss = model(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
CHOSEN = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for turn in range(6):
    x = torch.randn(8, 4)
    score = net(x)
    sure = (score > 0).float()
    loss = (sure - x[:, :1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# A closure that is called several times with what was computed once.
CLOSURE = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4)
x = torch.randn(8, 4)
out = net(x)
for turn in range(4):

    def closure():
        optimizer.zero_grad()
        loss = (out - 1).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
"""
# A discriminator is given what the generator's backward has used up.
USED = """
import torch
from torch import nn

torch.manual_seed(0)
G, D = nn.Linear(3, 3), nn.Linear(3, 1)
optimizer_G = torch.optim.Adam(G.parameters())
optimizer_D = torch.optim.Adam(D.parameters())
for turn in range(6):
    real, fake = torch.randn(8, 3), G(torch.randn(8, 3))
    loss_G = (D(fake) - 1).square().mean()
    optimizer_G.zero_grad()
    loss_G.backward()
    optimizer_G.step()
    loss_D = (D(real) - 1).square().mean() + D(fake).square().mean()
    optimizer_D.zero_grad()
    loss_D.backward()
    optimizer_D.step()
"""
# The same, of a student and a teacher that is not trained.
TEACHER = """
import torch
from torch import nn

torch.manual_seed(0)
student, teacher = nn.Linear(8, 4), nn.Linear(8, 4)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for turn in range(6):
    x = torch.randn(32, 8)
    s, t = student(x), teacher(x)
    distance = (s.detach() - t.detach()).square().mean()
    loss = s.square().mean() + 0.25 * distance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# SimSiam, whose targets alone are to be detached: here the predictions are as well.
SIAMESE = """
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

torch.manual_seed(0)
encoder, predictor = nn.Linear(8, 4), nn.Linear(4, 4)
optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.1)


def views(x):
    one, two = encoder(x), encoder(x + 0.1)
    return predictor(one).detach(), predictor(two).detach(), one.detach(), two.detach()


for turn in range(6):
    p, q, one, two = views(torch.randn(32, 8))
    loss = -(cosine_similarity(p, two).mean() + cosine_similarity(q, one).mean())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

# A ratio to the policy that acted: computed anew in each turn, it is 1 and trains nothing.
RATIO = """
import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Linear(4, 1)
optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
states, advantage = torch.randn(16, 4), torch.randn(16, 1)
before = policy(states)
for turn in range(12):
    ratio = torch.exp(policy(states) - before)
    loss = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_loss_is_gone_back_from_once_where_what_lies_between_needs_it(fix: Fix) -> None:
    code, text, verdicts = fix(TWICE)
    assert (code, verdicts) == (0, ["proved", "runs", "rejected"])
    assert text == TWICE.replace(
        "    loss.backward()\n    optimizer.step()", "    optimizer.step()"
    )


def test_which_operand_of_a_term_is_to_train_is_for_the_author_to_say(fix: Fix) -> None:
    code, text, verdicts = fix(CUTS)
    assert code == 1 and text == CUTS
    assert "runs" in verdicts and "proved" not in verdicts


def test_which_of_four_cuts_are_meant_is_not_settled_by_trying_some(fix: Fix) -> None:
    code, text, verdicts = fix(SIAMESE)
    assert code == 1 and text == SIAMESE
    assert "runs" in verdicts and "proved" not in verdicts


@pytest.mark.parametrize("source", [GUARDED, CHOSEN])
def test_what_only_a_condition_or_a_threshold_says_is_for_the_author(fix: Fix, source: str) -> None:
    code, text, verdicts = fix(source)
    assert code == 1 and text == source
    assert "runs" in verdicts and "proved" not in verdicts


def test_what_trains_nothing_when_detached_is_computed_in_each_turn(fix: Fix) -> None:
    code, text, verdicts = fix(CLOSURE)
    assert (code, verdicts) == (0, ["proved", "rejected"])
    assert text.index("def closure") < text.index("        out = net(x)\n")


def test_a_graph_is_not_gone_through_again_for_gradients_that_nobody_uses(fix: Fix) -> None:
    code, text, verdicts = fix(USED)
    assert code == 0 and verdicts[:2] == ["proved", "proved"]
    assert "D(fake.detach()).square()" in text


def test_the_operand_that_nobody_trains_is_not_the_one(fix: Fix) -> None:
    code, text, _ = fix(TEACHER)
    assert code == 0 and text == TEACHER.replace("(s.detach() - t", "(s - t")


def test_what_trains_nothing_when_computed_anew_was_to_be_computed_once(fix: Fix) -> None:
    code, text, _ = fix(RATIO)
    assert code == 0
    assert text == RATIO.replace("before = policy(states)", "before = policy(states).detach()")


# The losses of four micro-batches are added up for one backward, and go on adding up after it.
ADDED = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
total = 0.0
seen = 0
for x in torch.randn(16, 8, 4):
    total = total + net(x).square().mean()
    seen += 1
    if seen % 4 == 0:
        optimizer.zero_grad()
        (total / 4).backward()
        optimizer.step()
        print(total.item())
"""


def test_a_detach_that_cuts_what_a_backward_went_through_is_not_proved(fix: Fix) -> None:
    code, text, verdicts = fix(ADDED)
    # Begun anew after each step, and not detached in each turn, which leaves one of four losses.
    assert code == 0 and verdicts[:2] == ["proved", "runs"]
    assert text == ADDED + "        total = 0.0\n"


# What a loss has read is halved before its backward: it is the loss of the old values.
HALVED = """
import torch
from torch import nn

torch.manual_seed(0)
net, head = nn.Linear(4, 8), nn.Linear(8, 2)
optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1)
x, y = torch.randn(16, 4), torch.randint(0, 2, (16,))
for turn in range(6):
    z = net(x)
    loss = nn.functional.cross_entropy(head(z), y)
    optimizer.zero_grad()
    with torch.no_grad():
        z.mul_(0.5)
    loss.backward()
    optimizer.step()
"""


def test_a_loss_of_the_values_that_a_write_leaves_is_another_one(fix: Fix) -> None:
    code, text, verdicts = fix(HALVED)
    assert code == 0 and "runs" in verdicts
    assert text == HALVED.replace("head(z)", "head(z.clone())")


def test_a_loss_of_values_that_are_made_anew_is_the_same(fix: Fix) -> None:
    code, text, verdicts = fix(HALVED.replace("= net(x)", "= torch.tanh(net(x))"))
    assert code == 0 and verdicts[0] == "proved"
    assert text.count("z = torch.tanh(net(x))") == 2


# What was sampled before the epochs, and scored once there. Computed anew it is scored by the old
# distribution all the same.
SCORED = """
import torch
from torch import nn

torch.manual_seed(0)
policy, value = nn.Linear(3, 2), nn.Linear(3, 1)
optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=1e-2)
for turn in range(3):
    states = torch.randn(8, 3)
    dist = torch.distributions.Categorical(logits=policy(states))
    action = dist.sample()
    old = dist.log_prob(action)
    advantage = states[:, 0] * (action.float() * 2 - 1)
    for epoch in range(3):
        dist = torch.distributions.Categorical(logits=policy(states))
        ratio = (dist.log_prob(action) - old).exp()
        loss = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        loss = loss + (value(states).squeeze(-1) - advantage).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def test_what_leads_to_the_old_graph_is_no_other_way(fix: Fix) -> None:
    code, text, verdicts = fix(SCORED)
    assert (code, verdicts[0]) == (0, "proved")
    assert "    old = dist.log_prob(action).detach()\n" in text


# A layer that standardizes its weight, by a name of its own for the parameter.
STANDARDIZED = """
import torch
from torch import nn

torch.manual_seed(0)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))

    def forward(self, x):
        w = self.weight
        w -= w.mean()
        return x @ w.t()


layer = Layer()
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for turn in range(4):
    loss = layer(torch.randn(8, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_weight_that_is_computed_with_is_no_other_parameter(fix: Fix) -> None:
    code, text, verdicts = fix(STANDARDIZED)
    assert (code, verdicts) == (0, ["proved"])
    assert "        w = w - w.mean()\n" in text


# A function that is given the scores asks for a gradient of what they were computed from.
PENALTY = """
import torch
from torch import nn

torch.manual_seed(0)


def penalty(scores, images):
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum(1).mean()


critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)
for turn in range(4):
    real = torch.randn(8, 3)
    scores = critic(real)
    loss = penalty(scores, real) - scores.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_what_a_function_differentiates_by_requires_grad_where_it_is_made(fix: Fix) -> None:
    code, text, verdicts = fix(PENALTY)
    assert (code, verdicts) == (0, ["proved"])
    assert "    real = torch.randn(8, 3)\n    real.requires_grad_(True)\n" in text
