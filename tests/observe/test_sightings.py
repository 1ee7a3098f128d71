"""What is seen of gradients' fates, of clipping, softmaxes, zeros, and summands that were cut."""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.observe import program
from graphlab.observe.optimizers.scalers import scale_of, unscaled
from graphlab.observe.sightings.zeros import ZeroWatch
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import OneNetwork
from graphlab.trace.sightings import (
    Clipped,
    Fate,
    SoftmaxTwice,
    Starved,
    TermCut,
    ZeroGradients,
)

START = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Linear(6, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
"""
See = Callable[..., list[Any]]


@pytest.fixture
def see(tmp_path: Path) -> See:
    """``see(kind, body)``: what of that kind is seen of a script."""

    def run(kind: type, body: str) -> list[Any]:
        # A name of its own: the source of a file is read once.
        path = tmp_path / f"script{len(list(tmp_path.iterdir()))}.py"
        path.write_text(START + textwrap.dedent(body), encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            ran = program.run(program.script(str(path)), [], path.stem)
        assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
        return [each for each in ran.trace.sightings if isinstance(each, kind)]

    return run


def code(at: Location | None) -> str:
    return at.code if at is not None else ""


# What becomes of a backward's gradients.

ACCUMULATING = """
for i in range(12):
    loss = net(torch.randn(3, 6)).square().mean()
    {before}
    loss.backward()
    if i % 3 == 2:
        {apply}
"""


@pytest.mark.parametrize(
    ("before", "apply", "applied", "discarded", "between"),
    [
        ("pass", "optimizer.step(); optimizer.zero_grad()", 12, 0, 0),
        ("optimizer.zero_grad()", "optimizer.step()", 4, 8, 2),
        ("net.zero_grad()", "optimizer.step()", 4, 8, 2),
        ("pass", "net.zero_grad()", 0, 12, 0),
        ("pass", "pass", 0, 0, 0),
        # The scaler may leave a step out.
        ("pass", "scaler.step(optimizer); scaler.update(); optimizer.zero_grad()", 12, 0, 0),
    ],
)
def test_fates(
    see: See, before: str, apply: str, applied: int, discarded: int, between: int
) -> None:
    body = "scaler = torch.amp.GradScaler('cpu')\n" + ACCUMULATING.format(
        before=before, apply=apply
    )
    if "scaler" in apply:
        body = body.replace("loss.backward()", "scaler.scale(loss).backward()")
    (fate,) = see(Fate, body)
    assert (fate.backwards, fate.applied, fate.discarded) == (12, applied, discarded)
    assert fate.least_between == between
    assert (fate.holders, fate.clears_applied) == ((0,), bool(between))
    assert code(fate.cleared) == ((before if between else apply) if discarded else "")


@pytest.mark.parametrize("often", ["i % 3 == 2", "True"])
def test_what_becomes_of_each_optimizers_share_of_a_gradient(see: See, often: str) -> None:
    """One is cleared before each backward, the other one when it has stepped. Where that steps at
    each backward, the first may be meant to be slow, and is told as rarer."""
    found = see(
        Fate,
        f"""
        head = torch.nn.Linear(6, 1)
        other = torch.optim.SGD(head.parameters(), lr=0.1)
        for i in range(12):
            loss = head(net(torch.randn(3, 6)).mean(1, keepdim=True) + torch.randn(3, 6)).mean()
            optimizer.zero_grad()
            loss.backward()
            if {often}:
                other.step()
                other.zero_grad()
            if i % 3 == 2:
                optimizer.step()
        """,
    )
    told = [(each.holders, each.applied, each.discarded, each.rarer) for each in found]
    assert told == [((0, 1), 12, 0, False), ((0,), 4, 8, often == "True")]


def test_a_gradient_that_is_used_by_hand_is_applied(see: See) -> None:
    (fate,) = see(
        Fate,
        """
        for i in range(6):
            loss = net(torch.randn(3, 6)).square().mean()
            net.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p in net.parameters():
                    p -= 0.1 * p.grad
        """,
    )
    assert fate.discarded == 0


def test_an_optimizer_that_never_finds_a_gradient(see: See) -> None:
    body = """
    for i in range(4):
        loss = net(torch.randn(3, 6)).square().mean()
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
    """
    (starved,) = see(Starved, body)
    assert (starved.optimizer, code(starved.cleared)) == (0, "optimizer.zero_grad()")
    assert see(Starved, body.replace("optimizer.zero_grad()", "pass")) == []


# Clipping.


def scaled_optimizer() -> tuple[Any, Any]:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(parameter.sum()).backward()
    return scaler, optimizer


def test_whether_gradients_are_unscaled() -> None:
    scaler, optimizer = scaled_optimizer()
    assert unscaled(scaler, optimizer) is False
    assert scale_of(scaler) == 1024.0
    scaler.unscale_(optimizer)
    assert unscaled(scaler, optimizer) is True
    # The state of another optimizer says nothing.
    other = torch.optim.SGD(optimizer.param_groups[0]["params"], lr=0.1)
    assert unscaled(scaler, other) is False
    scaler.step(optimizer)
    assert unscaled(scaler, optimizer) is True
    scaler.update()
    assert unscaled(scaler, optimizer) is False


def test_a_scaler_without_a_scale() -> None:
    _, optimizer = scaled_optimizer()
    assert unscaled(torch.amp.GradScaler("cpu", enabled=False), optimizer) is not False
    one = torch.amp.GradScaler("cpu", init_scale=1.0)
    one.scale(torch.ones(()))
    assert unscaled(one, optimizer) is True
    # It has not scaled anything yet, or is no scaler at all.
    assert unscaled(torch.amp.GradScaler("cpu"), optimizer) is None
    assert unscaled(object(), optimizer) is None
    assert scale_of(object()) == 1.0


CLIPPING = """
ONES = torch.ones(4, 6)
for i in range(6):
    loss = net(torch.randn(3, 6)).square().mean()
    {first}
    loss.backward()
    {second}
    optimizer.step()
    {third}
"""
CLIP = "nn.utils.clip_grad_norm_(net.parameters(), {limit})"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("optimizer.zero_grad()", CLIP, "pass"), None),
        (("optimizer.zero_grad()", "pass", CLIP), "spent"),
        (("optimizer.zero_grad(); " + CLIP, "pass", "pass"), "none"),
        (("optimizer.zero_grad(set_to_none=False); " + CLIP, "pass", "pass"), "none"),
        # A gradient that the script has put there itself is one.
        (("optimizer.zero_grad(); net.weight.grad = ONES; " + CLIP, "pass", "pass"), None),
    ],
)  # fmt: skip
def test_clipping_in_its_place(see: See, lines: tuple[str, str, str], why: str | None) -> None:
    names = dict(zip(("first", "second", "third"), lines, strict=True))
    body = CLIPPING.format(**names)
    assert [each.why for each in see(Clipped, body.format(limit="1.0"))] == [why] * (
        why is not None
    )
    # Only measured.
    for limit in ("float('inf')", "torch.inf", "1e6", "10**6"):
        assert see(Clipped, body.format(limit=limit)) == []


def test_what_has_no_gradient_yet_may_not_be_in_use(see: See) -> None:
    assert see(
        Clipped,
        """
        later = nn.Linear(6, 4)
        optimizer.add_param_group({"params": later.parameters()})
        for i in range(8):
            loss = net(torch.randn(3, 6)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(later.parameters(), 1.0)
            optimizer.step()
        """,
    ) == []  # fmt: skip


# A softmax before a loss with one of its own. The output has 2 examples, 3 places and 4 classes.

SOFTMAX = """
for i in range(2):
    logits = net(torch.randn(2, 3, 6))
    {way}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    "way",
    [
        "loss = F.cross_entropy(logits.softmax(-1).transpose(1, 2), torch.zeros(2, 3).long())",
        "loss = F.cross_entropy(logits.softmax(2).permute(0, 2, 1), torch.zeros(2, 3).long())",
        "loss = F.cross_entropy(logits.softmax(-1).view(-1, 4), torch.zeros(6).long())",
        "loss = F.cross_entropy(logits.softmax(-1)[:, -1], torch.zeros(2).long())",
        "loss = F.cross_entropy(logits.softmax(-1)[:, 1:].flatten(0, 1), torch.zeros(4).long())",
        "loss = F.cross_entropy(logits.transpose(1, 2).softmax(1), torch.zeros(2, 3).long())",
        "loss = F.cross_entropy(logits.softmax(-1)[logits[..., 0] < 9], torch.zeros(6).long())",
        "loss = F.cross_entropy(logits.softmax(-1)[None].squeeze()[0], torch.zeros(3).long())",
        "loss = F.binary_cross_entropy_with_logits(logits.sigmoid().mT, torch.zeros(2, 4, 3))",
    ],
)  # fmt: skip
def test_the_same_dimension_through_views(see: See, way: str) -> None:
    (twice,) = see(SoftmaxTwice, SOFTMAX.format(way=way))
    assert code(twice.at) == code(twice.loss_at) == way


@pytest.mark.parametrize(
    "way",
    [
        # Over the places, or over the examples.
        "loss = F.cross_entropy(logits.softmax(1).view(-1, 4), torch.zeros(6).long())",
        "loss = F.cross_entropy(logits.softmax(1).transpose(1, 2), torch.zeros(2, 3).long())",
        "loss = F.cross_entropy(logits.softmax(-1), torch.zeros(2, 4).long())",
        "loss = F.cross_entropy(logits.softmax(0)[:, 0], torch.zeros(2).long())",
        # A new quantity.
        "loss = F.cross_entropy((4 * logits.softmax(-1)).view(-1, 4), torch.zeros(6).long())",
        "loss = F.nll_loss(logits.log_softmax(-1).view(-1, 4), torch.zeros(6).long())",
        "loss = F.binary_cross_entropy(logits.sigmoid(), torch.zeros(2, 3, 4))",
        # Another way to the loss.
        "loss = F.cross_entropy(logits[:, 0], logits[:, 1].softmax(-1))",
    ],
)
def test_another_dimension_or_a_new_quantity(see: See, way: str) -> None:
    assert see(SoftmaxTwice, SOFTMAX.format(way=way)) == []


@pytest.mark.parametrize(
    "way",
    [
        "loss = F.kl_div(logits.softmax(-1), torch.full((2, 3, 4), 0.25))",
        "loss = torch.nn.KLDivLoss()(logits.softmax(-1).view(6, 4)[1:], torch.full((5, 4), 0.25))",
        "loss = F.kl_div(torch.sigmoid(logits), logits.detach(), log_target=True)",
    ],
)
def test_a_divergence_of_probabilities(see: See, way: str) -> None:
    (twice,) = see(SoftmaxTwice, SOFTMAX.format(way=way))
    assert code(twice.at) == code(twice.loss_at) == way
    assert (twice.takes_logs, twice.loss) == (True, "kl_div")


@pytest.mark.parametrize(
    "way",
    [
        "loss = F.kl_div(logits.log_softmax(-1), logits.softmax(-1).detach())",
        "loss = F.kl_div(logits.softmax(-1).log(), torch.full((2, 3, 4), 0.25))",
        "loss = F.kl_div(logits.detach().softmax(-1), logits.softmax(-1))",
        "loss = F.kl_div(F.logsigmoid(logits), logits.sigmoid())",
    ],
)
def test_a_divergence_of_logarithms(see: See, way: str) -> None:
    assert see(SoftmaxTwice, SOFTMAX.format(way=way)) == []


# Gradients that are zero.

ROUNDED = """
front = nn.Linear(5, 6)
optimizer.add_param_group({"params": front.parameters()})
for i in range(8):
    hidden = front(torch.randn(3, 5))
    loss = net(torch.round(hidden)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_the_node_that_hands_zeros_on(see: See) -> None:
    (zero,) = see(ZeroGradients, ROUNDED)
    assert code(zero.at) == "loss = net(torch.round(hidden)).square().mean()"
    assert (zero.operation, len(zero.tensors), zero.whole) == ("RoundBackward0", 2, False)
    assert see(ZeroGradients, ROUNDED.replace("torch.round(hidden)", "hidden")) == []
    divided = ROUNDED.replace("round(hidden)", "div(hidden, 2, rounding_mode='floor')")
    (zero,) = see(ZeroGradients, divided)
    assert (zero.operation, zero.by_weight) == ("FloorBackward0", False)


def test_a_parameter_that_is_rounded_itself(see: See) -> None:
    body = ROUNDED.replace("torch.round(hidden)", "hidden * torch.round(width)")
    body = "width = nn.Parameter(torch.ones(()))\n" + body
    body = body.replace("front.parameters()", "[*front.parameters(), width]")
    (zero,) = see(ZeroGradients, body)
    assert (zero.operation, len(zero.tensors)) == ("RoundBackward0", 1)


def test_zeros_that_come_of_a_first_value_of_zero(see: See) -> None:
    body = ROUNDED.replace("torch.round(hidden)", "hidden * scale")
    body = "scale = nn.Parameter(torch.zeros(6))\n" + body
    assert (
        see(ZeroGradients, body.replace("front.parameters()", "[*front.parameters(), scale]")) == []
    )


def test_a_hinge_is_no_dead_output(see: See) -> None:
    body = ROUNDED.replace("net(torch.round(hidden)).square()", "F.relu(net(hidden) - 1e3)")
    # A loss of exactly 0 cannot become less.
    assert see(ZeroGradients, body) == []
    shifted = body.replace(".mean()", ".mean() + 1")
    assert [each.whole for each in see(ZeroGradients, shifted)] == [False]
    dead = body.replace(".mean()", ".sub(1).square().mean()")
    assert [each.whole for each in see(ZeroGradients, dead)] == [True]


def test_looking_for_zeros_changes_no_bit_and_leaves_no_hook(
    see: See, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[int] = Counter()
    hooks: list[Any] = []
    make = ZeroWatch._hook

    def counted(self: ZeroWatch, node: Any) -> Any:
        look, at = make(self, node), len(hooks)

        def hook(*args: Any) -> None:
            calls[at] += 1
            assert look(*args) is None

        hooks.append(hook)
        return hook

    monkeypatch.setattr(ZeroWatch, "_hook", counted)
    out = tmp_path / "weights.pt"
    # Through the same graph once more, with no look at it.
    again = "torch.autograd.grad(loss, [*net.parameters()])"
    body = ROUNDED.replace("loss.backward()", f"loss.backward(retain_graph=True)\n    {again}")
    body += f"torch.save([*net.parameters(), *front.parameters()], {str(out)!r})\n"
    (zero,) = see(ZeroGradients, body)
    assert zero.checks >= 4 and hooks
    assert set(calls.values()) == {1} and len(calls) == len(hooks)
    watched = torch.load(out)
    out.unlink()
    plain = START + body
    exec(compile(plain, str(tmp_path / "plain.py"), "exec"), {"__name__": "__main__"})
    assert all(torch.equal(*pair) for pair in zip(watched, torch.load(out), strict=True))


# A summand that lost its graph.

SUMMANDS = """
def regular(y):
    return {cut}

def all_of(y):
    rec = y.square().mean()
    reg = {cut}
    return {returned}

for i in range(4):
    y = net(torch.randn(3, 6))
    {way}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
ITEM = "y.abs().mean().item()"


def summing(way: str, cut: str, returned: str = "0") -> str:
    lines = way.replace("; ", "\n    ")
    return SUMMANDS.format(cut=cut, returned=returned, way=lines)


@pytest.mark.parametrize(
    ("way", "returned", "term"),
    [
        ("loss = y.square().mean() + regular(y)", "0", "regular(y)"),
        ("reg = regular(y); loss = y.square().mean() + 0.1 * reg", "0", "reg"),
        ("loss = y.square().mean(); loss += 0.1 * regular(y)", "0", "regular(y)"),
        ("rec, reg = all_of(y); loss = rec - reg", "rec, reg", "reg"),
        ("parts = all_of(y); loss = sum(parts)", "[rec, reg]", "reg"),
        ("parts = all_of(y); loss = sum(parts.values())", "{'a': rec, 'b': reg}", "reg"),
        ("parts = all_of(y); loss = parts['a'] + parts['b']", "{'a': rec, 'b': reg}", "reg"),
        ("loss = all_of(y)", "rec + reg", "reg"),
    ],
)
def test_a_summand_wherever_it_is_summed(see: See, way: str, returned: str, term: str) -> None:
    (cut,) = see(TermCut, summing(way, ITEM, returned))
    assert (cut.term, cut.by, cut.loss) == (term, ITEM, "loss")
    assert ITEM in code(cut.at)
    alive = "y.abs().mean()"
    assert see(TermCut, summing(way, alive, returned)) == []


@pytest.mark.parametrize(
    "way",
    [
        "loss = y.square().mean(); loss = loss + (y.abs().mean() - loss).detach()",
        "a = y.square().mean(); loss = a + (y.argmax(1).float().mean() - a).detach()",
        "a = y.square().mean(); loss = a - a.detach() + y.abs().mean().item()",
        "a = y.square().mean(); b = y.abs().mean().item(); loss = a * b",
        "loss = F.mse_loss(y, y.detach() + 1) + y.abs().mean()",
        "loss = y.square().mean() + 0.5; shown = regular(y)",
        # Nothing is trained by what only another network has computed.
        "other = nn.Linear(6, 4); a = other(torch.ones(3, 6)).mean().item(); loss = y.mean() - a",
        "x = torch.ones(3, 6); loss = y.mean() + x.mean().item()",
    ],
)
def test_a_constant_on_purpose(see: See, way: str) -> None:
    assert see(TermCut, summing(way, ITEM)) == []


def test_a_summand_that_is_constant_now_and_then(see: See) -> None:
    way = "loss = y.square().mean() + (y.abs().mean() if i else y.abs().mean().item())"
    assert see(TermCut, summing(way, "0")) == []


@pytest.mark.parametrize(("graph", "count"), [("", 1), (", create_graph=True", 0)])
def test_a_gradient_penalty(see: See, graph: str, count: int) -> None:
    found = see(
        TermCut,
        f"""
        def penalty(x):
            x = x.requires_grad_()
            (grad,) = torch.autograd.grad(net(x).sum(), x{graph})
            return (grad.norm(dim=1) - 1).square().mean()

        for i in range(4):
            gp = penalty(torch.randn(3, 6))
            loss = net(torch.randn(3, 6)).tanh().mean() + 10 * gp
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    )
    assert [each.term for each in found] == ["gp"] * count


FUNCTIONS = """
other = nn.Linear(6, 4)

def rewritten(y):
    size = y.size()
    y = y.argmax(1).view(size[0], 1).float()
    return y.mean()

def rescaled(y):
    y = y / y.numel()
    return y.mean()

def chosen(rows):
    best = torch.stack([torch.argmax(row) for row in rows])
    return best.float().mean()

def norms(rows):
    return torch.stack([row.norm() for row in rows]).mean()

for i in range(4):
    y = net(torch.randn(3, 6))
    with torch.no_grad():
        fixed = other(torch.randn(3, 6))
    loss = y.square().mean() + 0.1 * {term}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    ("term", "by"),
    [
        ("rewritten(y)", "y.argmax()"),
        ("chosen(y)", "torch.argmax()"),
        ("rescaled(y)", None),
        ("norms(y)", None),
    ],
)
def test_a_summand_of_a_function_that_stores_its_argument(
    see: See, term: str, by: str | None
) -> None:
    found = see(TermCut, FUNCTIONS.format(term=term))
    assert [each.by for each in found] == ([by] if by is not None else [])


@pytest.mark.parametrize(
    ("term", "by"),
    [
        ("F.mse_loss(fixed, fixed + 1)", "F.mse_loss"),
        ("nn.KLDivLoss(log_target=True)(fixed.log_softmax(1), fixed.log_softmax(1))", None),
        ("F.mse_loss(y, fixed)", None),
        ("F.mse_loss(fixed, fixed + 1).detach()", None),
        ("F.mse_loss(torch.ones(3), torch.zeros(3))", None),
        ("(fixed - 1).square().mean()", None),
    ],
)
def test_a_loss_of_two_constants(see: See, term: str, by: str | None) -> None:
    found = see(TermCut, FUNCTIONS.format(term=term))
    assert [(each.by, each.constant) for each in found] == ([(by, True)] if by is not None else [])


def test_the_line_that_gives_a_network_a_second_name(see: See) -> None:
    (found,) = see(
        OneNetwork,
        """
        target_net = net
        for step in range(3):
            optimizer.zero_grad()
            net(torch.ones(2, 6)).sum().backward()
            optimizer.step()
        """,
    )
    assert found.at.code == "target_net = net"
