"""Repairs of operations that are not finite at some values, computed from the source."""

from __future__ import annotations

import pytest

from graphlab.rules.registry import find
from graphlab.trace.sightings import Grown, NonFinite
from tests.rules.build import Script

HEAD = "import torch\nimport torch.nn.functional as F\n\n\ndef f(x, y, ok):\n"

# (operation, in the backward, the function's lines; those of the first repair, "" where there is
# none, "?" after the line of one that decides what the program does not say)
CASES = {
    "log_of_a_sum_in_a_variable": (
        "exp", False,
        "z = torch.exp(-x).sum() + torch.sum(torch.exp(y))\nreturn x.mean() + torch.log(z)",
        "log_z = torch.logsumexp(torch.cat([(-x).flatten(), y.flatten()]), 0)\n"
        "return x.mean() + log_z",
    ),
    "a_sum_that_is_read_as_well": (
        "exp", False, "z = torch.exp(-x).sum()\nreturn torch.log(z), z", "",
    ),
    "a_sum_of_more_than_exponentials": (
        "exp", False, "z = torch.exp(-x).sum() + 1\nreturn z.log()", "",
    ),
    "log_softmax": (
        "log", False, "p = F.softmax(x, dim=1)\nreturn torch.log(p)[ok]",
        "return F.log_softmax(x, dim=1)[ok]",
    ),
    "log_of_a_method": (
        "log", False, "p = x.softmax(-1)\nq = p.gather(1, y).log()\nreturn q, p",
        "p = x.softmax(-1)\nq = x.log_softmax(-1).gather(1, y)\nreturn q, p",
    ),
    "computed_once": (
        "log", False, "p = net(x).softmax(-1)\nq = p.log()\nreturn q, p",
        "logits = net(x)\np = logits.softmax(-1)\nq = logits.log_softmax(-1)\nreturn q, p",
    ),
    "both_ends_of_a_sigmoid": (
        "log", False, "p = torch.sigmoid(x + y)\nreturn y * p.log() + (1 - y) * (1 - p).log()",
        "return y * F.logsigmoid(x + y) + (1 - y) * F.logsigmoid(-(x + y))",
    ),
    "changed_in_between": (
        "log", False, "p = F.softmax(x, dim=1)\nx = x + 1\nreturn torch.log(p), x",
        "p = F.softmax(x, dim=1)\nx = x + 1\nreturn torch.log(p.clamp(min=1e-12)), x?",
    ),
    "given_or_computed": (
        "log", False, "if ok:\n    p = F.softmax(x, dim=1)\nreturn torch.log(p)",
        "if ok:\n    p = F.softmax(x, dim=1)\nreturn torch.log(p.clamp(min=1e-12))?",
    ),
    "a_sum_of_pythons": (
        "sqrt", True, "return sum(x ** 2).sqrt()",
        "return sum(x ** 2).clamp(min=1e-12).sqrt()?",
    ),
    "an_entropy": (
        "log", False, "return -(x * torch.log(x)).sum()",
        "return -(x * torch.log(x.clamp(min=1e-12))).sum()",
    ),
    "any_logarithm": (
        "log", False, "return torch.log(x + y)", "return torch.log((x + y).clamp(min=1e-12))?",
    ),
    "a_norm": (
        "sqrt", True, "return (x - y).pow(2).sum(1, keepdim=True).sqrt()",
        "return torch.linalg.vector_norm(x - y, dim=1, keepdim=True)",
    ),
    "a_sum_of_cubes": (
        "sqrt", True, "return (x - y).pow(3).sum(1).sqrt()",
        "return (x - y).pow(3).sum(1).clamp(min=1e-12).sqrt()?",
    ),
    "a_root_in_brackets": (
        "sqrt", True, "return (x + y).sqrt()", "return (x + y).clamp(min=1e-12).sqrt()?",
    ),
    "a_root_of_what_may_be_negative": (
        "sqrt", False, "return torch.sqrt(x - y)",
        "return torch.sqrt((x - y).clamp(min=1e-12))?",
    ),
    "a_power_of_half": ("pow", True, "return x ** 0.5", "return x.clamp(min=1e-12) ** 0.5?"),
    "a_whole_power": ("pow", False, "return x ** 3", ""),
    "a_branch": (
        "sqrt", True, "return torch.where(ok, x.sqrt(), 0)",
        "return torch.where(ok, torch.where(ok, x, 1.0).sqrt(), 0)",
    ),
    "the_other_branch": (
        "acos", True, "return torch.where(x > 1, 0, torch.acos(x))",
        "return torch.where(x > 1, 0, torch.acos(torch.where(~(x > 1), x, 0.0)))",
    ),
    "a_branch_below": (
        "div", True, "z = y / x\nreturn torch.where(ok, z, y)",
        "z = y / torch.where(ok, x, 1.0)\nreturn torch.where(ok, z, y)",
    ),
    "a_branch_and_another_use": (
        "div", True, "z = y / x\nreturn torch.where(ok, z, y) + z", "",
    ),
    "a_condition_that_comes_later": (
        "div", True, "z = y / x\nok = x > 0\nreturn torch.where(ok, z, y)", "",
    ),
    "a_masked_mean": (
        "div", False, "return (x * ok).sum() / ok.sum()",
        "return (x * ok).sum() / ok.sum().clamp(min=1e-12)",
    ),
    "a_mean_over_something_else": ("div", False, "return (x * ok).sum() / y.sum()", ""),
    "a_quotient_by_a_norm": (
        "div", False, "return x / x.norm(dim=1, keepdim=True)",
        "return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)?",
    ),
    "a_softmax": (
        "exp", False, "e = torch.exp(x)\nreturn e / e.sum(1, keepdim=True)",
        "return torch.softmax(x, dim=1)",
    ),
    "one_that_keeps_no_dimension": (
        "exp", False, "e = torch.exp(x)\nreturn e / e.sum(1)", "",
    ),
    "logsumexp": ("exp", False, "return x.exp().sum(1).log()", "return torch.logsumexp(x, dim=1)"),
    "softplus": ("exp", False, "return torch.log(1 + torch.exp(-x))", "return F.softplus(-x)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_first_repair_changes_nothing_where_the_number_is_finite(name: str) -> None:
    operation, backward, before, after = CASES[name]
    body = "".join(f"    {line}\n" for line in before.split("\n"))
    script = Script(HEAD + body)
    (line,) = [each for each in before.split("\n") if _has(each, operation)][:1]
    seen = NonFinite(
        script.at(line), f"{operation.capitalize()}Backward0",
        "backward" if backward else "forward", "nan",
    )  # fmt: skip
    (found,) = find(script.trace(sightings=(seen,)))
    edits = found.others
    if not after:
        assert edits == ()
        return
    rest = script.source.splitlines(keepends=True)
    assert edits[0].line is not None
    start = edits[0].line - 1
    rest[start : start + edits[0].before.count("\n")] = [edits[0].after]
    said = "".join(line[4:] for line in "".join(rest).removeprefix(HEAD).splitlines(True))
    assert said.rstrip("\n") + ("?" if edits[0].choice else "") == after


def _has(line: str, operation: str) -> bool:
    return {"div": " / ", "pow": " ** "}.get(operation, operation) in line


def test_what_had_diverged_before_has_another_cause() -> None:
    script = Script(HEAD + "    return torch.log(x)\n")
    grown = Grown("loss", 0, 1.0, 3, 1e20)
    seen = NonFinite(script.at("return torch.log(x)"), "LogBackward0", "forward", "inf",
                     grown=grown)  # fmt: skip
    (found,) = find(script.trace(sightings=(seen,)))
    assert found.others == ()
