"""Traces made by hand: a script, and what happened at which of its lines.

Everything that a test does not name is as in the smallest run: the first iteration, the first
tensor, the first optimizer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from graphlab.trace.model import (
    Backward,
    Environment,
    Event,
    Location,
    Mix,
    OptimizerInfo,
    Refused,
    Saved,
    Share,
    Step,
    TensorInfo,
    Trace,
    Write,
    ZeroGrad,
)

FILE = "train.py"


@dataclass(frozen=True)
class Script:
    """A source, and the tensors and optimizers of its run."""

    source: str
    tensors: tuple[TensorInfo, ...] = field(default_factory=lambda: (parameter("net.weight"),))
    optimizers: tuple[OptimizerInfo, ...] = ()

    def at(self, code: str) -> Location:
        """The one line that is exactly this code."""
        lines = self.source.splitlines()
        (number,) = [at for at, line in enumerate(lines, 1) if line.strip() == code]
        line = lines[number - 1]
        indent = len(line) - len(line.lstrip())
        return Location(
            FILE, number, indent + 1, number, len(line) + 1, "<module>", line.strip(), indent
        )

    def trace(self, *events: Event, **fields: Any) -> Trace:
        return Trace(
            target=FILE,
            outcome="completed",
            environment=Environment("3.11.7", "2.13.0", "cpu", None, "0.1.0"),
            tensors=self.tensors,
            optimizers=self.optimizers,
            events=events,
            iterations=1,
            sources={FILE: self.source},
            **fields,
        )


def parameter(name: str, shape: tuple[int, ...] = (1, 4)) -> TensorInfo:
    """A module's parameter; its owner is what stands before the first dot."""
    return TensorInfo(name, "parameter", shape, "float32", name.partition(".")[0], True)


def activation(name: str | None, shape: tuple[int, ...] = (4,)) -> TensorInfo:
    return TensorInfo(name, "activation", shape, "float32")


def optimizer(name: str = "optimizer", steps: int = 8, **fields: Any) -> OptimizerInfo:
    return OptimizerInfo(**{"class_name": "SGD", "at": None, "owns": (0,), **fields,
                            "name": name, "steps": steps})  # fmt: skip


def backward(at: Location, loss: str = "loss", iteration: int = 0, **fields: Any) -> Backward:
    return Backward(**{"seq": 0, "call": f"{loss}.backward()", "retain_graph": False, **fields,
                       "at": at, "loss": loss, "iteration": iteration})  # fmt: skip


def saved(state: Literal["stale", "freed", "bypassed"], at: Location, **fields: Any) -> Saved:
    return Saved(**{"seq": 0, "operation": "MulBackward0", "module": None, "tensor": 0,
                    "saved_version": 0, "current_version": 1, **fields,
                    "state": state, "at": at})  # fmt: skip


def write(at: Location, by: str, **fields: Any) -> Write:
    return Write(**{"seq": 0, "tensor": 0, "before": 0, "after": 1, **fields, "at": at, "by": by})


def refused(kind: Literal["leaf", "view"], at: Location, by: str, **fields: Any) -> Refused:
    return Refused(**{"seq": 0, "tensor": 0, **fields, "kind": kind, "at": at, "by": by})


def zero_grad(at: Location, iteration: int = 0) -> ZeroGrad:
    return ZeroGrad(0, at, at.code, iteration)


def step(at: Location, iteration: int = 0, **fields: Any) -> Step:
    return Step(**{"seq": 0, "optimizer": 0, **fields, "at": at, "iteration": iteration})


def mix(cosine: float | None = None, **losses: tuple[float, float]) -> Mix:
    """An applied gradient: the share and the cosine with the whole of each loss in it, and the
    cosine of the first two with each other."""
    shares = tuple(
        Share(loss, None, 1, share, share, with_total, change=None)
        for loss, (share, with_total) in losses.items()
    )
    one, other, *_ = *losses, "", ""
    return Mix(shares, ((one, other, cosine),) if cosine is not None else ())
