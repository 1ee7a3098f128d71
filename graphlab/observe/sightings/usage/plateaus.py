"""Notices a ReduceLROnPlateau that waits for a loss to rise: built with ``mode="max"``, it lowers
the rate as long as the loss falls, which is as long as the training goes well."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, WeakMap
from graphlab.source.evaluate import in_frame
from graphlab.source.objects import attribute, attributes, is_a, item, items
from graphlab.source.places import parse, statement_at
from graphlab.trace.steps.sightings import ScheduleOff

# How often it must have been given a loss.
ENOUGH = 3
# What leaves a loss one.
_SAME = {"item", "detach", "cpu", "float", "double", "mean", "sum"}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
# Torch's losses: the smaller, the better.
_MODULES = {kind for name, kind in vars(torch.nn).items() if name.endswith("Loss")}
_FUNCTIONS = {
    id(getattr(torch.nn.functional, name, None))
    for name in (
        "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "nll_loss",
        "binary_cross_entropy", "binary_cross_entropy_with_logits",
    )
} - {id(None)}  # fmt: skip


class Plateaus:
    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._files = watched.files
        self._built = WeakMap()
        # By the line that steps, the one that builds, and the optimizer: what it is given there, ""
        # where that is not known to be a loss; and how often.
        self._given: dict[tuple[Spot, Spot, int], str] = {}
        self._counts: Counter[tuple[Spot, Spot, int]] = Counter()
        kind = torch.optim.lr_scheduler.ReduceLROnPlateau
        watched.tracer.handle(kind.__init__, self._constructed, "call")
        watched.tracer.handle(kind.step, self._stepped, "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def _constructed(self, frame: FrameType, event: str, arg: Any) -> None:
        spot = self._tracer.spot(frame.f_back)
        if frame.f_locals.get("mode") == "max" and spot is not None:
            self._built.put(frame.f_locals.get("self"), spot)

    def _stepped(self, frame: FrameType, event: str, arg: Any) -> None:
        scheduler, caller = frame.f_locals.get("self"), frame.f_back
        built, spot = self._built.get(scheduler), self._tracer.spot(caller)
        optimizer = attribute(scheduler, "optimizer")
        if built is None or spot is None or caller is None or caller.f_code not in self._files:
            return
        groups = [each for _, each in items(attributes(optimizer).get("param_groups"))]
        if not is_a(optimizer, torch.optim.Optimizer) or any(item(g, "maximize") for g in groups):
            return
        with Unnoticed():
            key = spot, built, self._registry.state(optimizer).at
            self._counts[key] += 1
            if key not in self._given:
                self._given[key] = _loss_given(caller)

    def found(self) -> Iterator[ScheduleOff]:
        for (_, built, at), loss in self._given.items():
            count = sum(n for key, n in self._counts.items() if key[1:] == (built, at))
            alike = all(self._given[key] for key in self._given if key[1:] == (built, at))
            if loss and alike and count >= ENOUGH:
                steps = self._registry.states[at].steps
                yield ScheduleOff(located(built), at, steps, count=count, loss=loss)


def _loss_given(caller: FrameType) -> str:
    """What this line steps a scheduler with, if that is made of torch's losses alone."""
    statement = statement_at(caller.f_code.co_filename, caller.f_lineno)
    calls = [
        each
        for each in ast.walk(statement or ast.Pass())
        if isinstance(each, ast.Call) and getattr(each.func, "attr", "") == "step"
    ]
    words = [each.value for call in calls for each in call.keywords if each.arg == "metrics"]
    given = [*calls[0].args[:1], *words] if len(calls) == 1 else []
    if statement is None or len(given) != 1:
        return ""
    scope: ast.AST = parse(caller.f_code.co_filename) or statement
    for each in ast.walk(scope):
        # The innermost one comes last.
        inside = isinstance(each, _SCOPES[:2]) and each.lineno <= statement.lineno
        if inside and statement.lineno <= (each.end_lineno or 0):  # pyright: ignore
            scope = each
    return ast.unparse(given[0]) if _Losses(scope, caller).made(given[0]) else ""


class _Losses:
    """Tells which expressions of one scope are sums or means of losses."""

    def __init__(self, scope: ast.AST, frame: FrameType) -> None:
        self._frame = frame
        self._own = list(_own(scope))
        self._open: set[str] = set()

    def made(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return self._held(node.id)
        if isinstance(node, ast.BinOp):
            left, right = self.made(node.left), self.made(node.right)
            if isinstance(node.op, ast.Add):
                return left and right
            if isinstance(node.op, ast.Mult):
                return (left and _counts(node.right)) or (right and _counts(node.left))
            return isinstance(node.op, ast.Div) and left and _counts(node.right)
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME and not node.args:
            return self.made(node.func.value)
        if isinstance(node.func, ast.Name) and node.func.id == "float" and len(node.args) == 1:
            return self.made(node.args[0])
        called = in_frame(node.func, self._frame)
        return type(called) in _MODULES or id(called) in _FUNCTIONS

    def _held(self, name: str) -> bool:
        """Whether all that gives this variable a value are losses, with at least one."""
        if name in self._open:
            return True
        self._open.add(name)
        given = [each for each in self._own if name in _bound(each)]
        made = [self._bound_to_loss(each) for each in given]
        self._open.discard(name)
        return None not in made and True in made

    def _bound_to_loss(self, node: ast.AST) -> bool | None:
        """None where it is given something else; False where that is a zero, or a share of it."""
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            zero = isinstance(node.value, ast.Constant) and node.value.value == 0
            return False if zero else self.made(node.value) or None
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
            return False if _counts(node.value) else None
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            return self.made(node.value) or None
        return None


def _counts(node: ast.expr) -> bool:
    """Whether it is a number of things: ``len(xs)``, ``x.size(0)``, ``x.shape[0]``, ``4``."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and node.value > 0
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in ("len", "size")
    return isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".shape")


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the functions in it, of which the names alone."""
    for each in ast.iter_child_nodes(scope):
        yield each
        if not isinstance(each, _SCOPES):
            yield from _own(each)


def _bound(node: ast.AST) -> set[str]:
    """The names that a node gives a value."""
    if isinstance(node, ast.Assign):
        named = [*node.targets]
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.NamedExpr):
        named = [node.target]
    elif isinstance(node, ast.arguments):
        arguments = [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]
        return {each.arg for each in arguments if each is not None}
    elif isinstance(node, ast.withitem):
        named = [node.optional_vars] if node.optional_vars is not None else []
    elif isinstance(node, ast.Global | ast.Nonlocal):
        return set(node.names)
    else:
        return {node.name} if isinstance(node, _SCOPES[:2]) else set()
    return {each.id for one in named for each in ast.walk(one) if isinstance(each, ast.Name)}
