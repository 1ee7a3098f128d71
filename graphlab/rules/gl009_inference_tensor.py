"""A tensor that was made under inference_mode met autograd."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_operations
from graphlab.rules.repair.operations import guard_with_no_grad
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "inference", _summary, _help)


def _summary(event: Refused, name: str) -> str:
    where = f" (line {event.made.line})" if event.made is not None else ""
    return f"{name} is a tensor of inference mode{where}, and autograd cannot use it in {event.by}"


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    if event.made is not None:
        yield guard_with_no_grad(trace, event.made) or Help(
            "Compute what is used again in training outside of this guard, or under "
            "torch.no_grad(), whose tensors are ordinary ones."
        )
    yield Help(f"Or use a copy that is made outside of inference mode: {name}.clone().")


RULE = Rule("GL009", "inference-tensor", "error", check)
