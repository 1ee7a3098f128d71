"""Repairs of a loss that left its graph in a function, and of what keeps an old one: no run."""

from __future__ import annotations

import pytest

from graphlab.language import key_of
from graphlab.rules.repair.graph.emptied import emptied
from graphlab.rules.repair.graph.in_torch import in_torch
from graphlab.rules.repair.graph.once import made_once_in_init
from graphlab.rules.repair.graph.scores import scores_instead
from graphlab.rules.repair.left_over import detach_kept
from graphlab.trace.model import Carrier
from tests.rules.build import Script, backward, optimizer, parameter
from tests.rules.test_more_repairs import outcomes

NUMPY = """\
def error(pred, y, weights):
    pred = pred.detach().cpu().numpy()
    gap = np.maximum(pred - y.numpy(), 0)
    spread = gap.std() + np.var(pred, axis=1)
    best = pred.max(axis=1) + np.clip(gap, 0, None)
    w = np.asarray(weights, dtype=np.float32)
    return torch.tensor((w * spread + best).mean(), requires_grad=True)


loss = error(net(x).detach(), y, [1, 2])
"""
TORCH = """\
def error(pred, y, weights):
    gap = torch.clamp(pred - y, min=0)
    spread = gap.std(correction=0) + torch.var(pred, axis=1, correction=0)
    best = pred.amax(axis=1) + torch.clamp(gap, 0, None)
    w = torch.as_tensor(weights, dtype=torch.float32)
    return (w * spread + best).mean()


loss = error(net(x), y, [1, 2])
"""


def test_a_function_computes_with_torch_what_it_computed_with_numpy() -> None:
    script = Script(NUMPY)
    at = script.at("pred = pred.detach().cpu().numpy()")
    assert outcomes(NUMPY, in_torch(script.trace(), at)) == [TORCH]


@pytest.mark.parametrize(
    "line",
    [
        # By another rule, of another form, or with no counterpart at all.
        "gap = np.median(pred)",
        "gap = np.random.rand(3)",
        "gap = pred.argmax(axis=1)",
        "gap = np.std(pred, ddof=1)",
        "gap = pred.repeat(2)",
    ],
)
def test_what_torch_computes_otherwise_is_left_alone(line: str) -> None:
    source = NUMPY.replace("gap = np.maximum(pred - y.numpy(), 0)", line)
    script = Script(source)
    at = script.at("pred = pred.detach().cpu().numpy()")
    assert outcomes(source, in_torch(script.trace(), at)) == []


CHOSEN = """\
criterion = nn.CrossEntropyLoss()
labels = torch.softmax(logits, dim=1).argmax(dim=1).float()
loss = criterion(labels, y.float())
"""
WITHIN = """\
for x, y in data:
    best = model(x).softmax(1).argmax(1)
    loss = F.cross_entropy(best.float(), y.float())
"""


def test_a_cross_entropy_is_given_what_the_labels_were_chosen_from() -> None:
    script = Script(CHOSEN)
    at = script.at("labels = torch.softmax(logits, dim=1).argmax(dim=1).float()")
    wanted = CHOSEN.replace("criterion(labels, y.float())", "criterion(logits, y)")
    assert outcomes(CHOSEN, scores_instead(script.trace(), at)) == [wanted]
    script = Script(WITHIN)
    at = script.at("best = model(x).softmax(1).argmax(1)")
    wanted = WITHIN.replace("    best = model(x)", "    scores = model(x)\n    best = scores")
    wanted = wanted.replace("(best.float(), y.float())", "(scores, y)")
    assert outcomes(WITHIN, scores_instead(script.trace(), at)) == [wanted]


@pytest.mark.parametrize(
    ("old", "new"),
    [("nn.CrossEntropyLoss()", "nn.MSELoss()"), ("criterion(labels", "criterion(other"),
     (".argmax(dim=1)", ".round()")],
)  # fmt: skip
def test_other_losses_and_other_cuts_have_no_scores(old: str, new: str) -> None:
    source = CHOSEN.replace(old, new)
    script = Script(source)
    at = script.at(source.splitlines()[1])
    assert outcomes(source, scores_instead(script.trace(), at)) == []


EPISODES = """\
def act(policy, state):
    policy.saved.append(policy(state))
    policy.rewards.append(1)


def finish(policy):
    loss = sum(policy.saved) * sum(policy.rewards)
    loss.backward()
    opt.step()
    del policy.rewards[:]
"""


def test_a_list_is_emptied_beside_the_other_one() -> None:
    script = Script(EPISODES)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("policy.saved", "other"),))
    helps = [*emptied(script.trace(event), event)]
    wanted = EPISODES + "    del policy.saved[:]\n"
    assert outcomes(EPISODES, helps) == [wanted] and not helps[0].choice


def test_whether_a_list_is_to_be_emptied_may_not_be_said() -> None:
    source = EPISODES.replace("    del policy.rewards[:]\n", "")
    script = Script(source)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("policy.saved[0]", "other"),))
    (help,) = emptied(script.trace(event), event)
    assert key_of(help.choice) == "fix.meant.carried"
    assert outcomes(source, [help]) == [source + "    policy.saved.clear()\n"]


@pytest.mark.parametrize("more", ["policy.saved.pop()\n", "policy.saved = []\npolicy.saved = []\n"])
def test_a_list_that_something_is_taken_out_of_stays(more: str) -> None:
    script = Script(EPISODES + more)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("policy.saved", "list"),))
    assert [*emptied(script.trace(event), event)] == []


AGENT = """\
class Agent:
    def __init__(self, lr):
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha = self.log_alpha.exp()

    def update(self, x):
        loss = (self.alpha * x).mean()
        loss.backward()
"""


def test_what_an_init_computed_is_computed_in_each_call() -> None:
    script = Script(AGENT)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("agent.alpha", "tensor"),))
    (help,) = made_once_in_init(script.trace(event), event)
    assert key_of(help.choice) == "fix.meant.once"
    again = "        self.alpha = self.log_alpha.exp()\n        loss ="
    assert outcomes(AGENT, [help]) == [AGENT.replace("        loss =", again, 1)]


@pytest.mark.parametrize(
    ("made", "held", "choice"),
    [
        ("self.log_alpha.exp()", "log_alpha", ""),
        ("torch.softmax(self.log_alpha, 0)", "log_alpha", ""),
        ("self.log_alpha.exp()", "weight", "fix.meant.once"),
        # Where the training began, perhaps.
        ("self.log_alpha.clone()", "log_alpha", "fix.meant.once"),
    ],
)
def test_what_a_trained_parameter_gives_changes_with_it(made: str, held: str, choice: str) -> None:
    source = AGENT.replace("self.log_alpha.exp()", made)
    script = Script(source, (parameter(f"agent.{held}"),), (optimizer(),))
    event = backward(script.at("loss.backward()"), carriers=(Carrier("agent.alpha", "tensor"),))
    (help,) = made_once_in_init(script.trace(event), event)
    assert key_of(help.choice) == choice


@pytest.mark.parametrize(
    ("old", "new"),
    [("self.log_alpha.exp()", "self.log_alpha.exp() * lr"),
     ("def __init__(self, lr)", "def build(self, lr)"),
     ("        loss = (", "        self.alpha = self.log_alpha.exp()\n        loss = (")],
)  # fmt: skip
def test_what_only_the_init_can_compute_stays_there(old: str, new: str) -> None:
    source = AGENT.replace(old, new)
    script = Script(source)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("agent.alpha", "tensor"),))
    assert [*made_once_in_init(script.trace(event), event)] == []


@pytest.mark.parametrize(
    ("made", "kept", "detached"),
    [
        ("", "loss", "loss.detach()"),
        ("", "net(x)", "net(x).detach()"),
        ("", "nn.MSELoss()(x, y)", "nn.MSELoss()(x, y).detach()"),
        # A dictionary or a record has no detach().
        ("", "record", None),
        ("", "dict(loss=loss)", None),
        ("row = {'loss': loss}", "row", None),
        ("", "Row(loss, 1)", None),
    ],
)
def test_what_holds_a_tensor_is_not_detached(made: str, kept: str, detached: str | None) -> None:
    source = "class Row: ...\n\n\ndef add(self, loss, **record):\n"
    source += f"    {made or 'pass'}\n    self.rows.append({kept})\n"
    script = Script(source)
    found = detach_kept(script.trace(), script.at(f"self.rows.append({kept})"))
    assert (found.after.strip() if found and found.after else None) == (
        f"self.rows.append({detached})" if detached else None
    )
