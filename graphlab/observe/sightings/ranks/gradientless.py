"""Finds results of collectives that went into a loss and carry no gradient, or a wrong one."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import operation, sequence
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import grad_fn_of, is_leaf, requires_grad
from graphlab.source.places import parse, statement_at
from graphlab.source.wording import call_at, call_text
from graphlab.trace.ranks.sightings import WithoutGradient
from graphlab.trace.values import Location

# At most this many calls are remembered until a backward tells what became of their results.
OPEN = 32
# Through so many functions a result is followed outwards.
LEVELS = 6
# What takes a value out of a graph on purpose.
_MEANT = ("detach", "item", "tolist", "numpy")
# What puts together what ranks gave, or turns it, and computes nothing from it.
_JOINS = ("cat", "concat", "stack", "vstack", "t", "transpose", "contiguous", "view", "reshape",
          "flatten", "normalize")  # fmt: skip
_PRODUCTS = ("MmBackward0", "BmmBackward0")
_DECORATORS = os.path.join("torch", "utils", "_contextlib.py")


@dataclass(slots=True)
class _Call:
    """A call whose operand has a graph, and the program's lines that led to it, innermost first.
    node: the number of the node that made an operand that was overwritten; -1 where another tensor
    received the result. off: whether that was under ``no_grad()``."""

    spots: tuple[Spot, ...]
    operation: str
    seq: int
    node: int
    off: bool


class GradientlessResults:
    """Is told of the calls, and asked at the backwards that are sampled."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._tracer, self._files = watched.log, watched.tracer, watched.files
        self._open: list[_Call] = []
        self.found: dict[Spot, WithoutGradient] = {}

    def overwrites(self, caller: FrameType, name: str, operand: Any) -> None:
        """The program calls `name`, which writes to its `operand`."""
        made = grad_fn_of(operand) if requires_grad(operand) and not is_leaf(operand) else None
        if made is not None and torch.is_grad_enabled():
            self._note(caller, name, sequence(made))

    def brings(self, caller: FrameType, name: str, operand: Any) -> None:
        """The program calls `name`, which sends `operand` and writes what it receives elsewhere."""
        if requires_grad(operand):
            self._note(caller, name, -1)

    def _note(self, caller: FrameType, name: str, node: int) -> None:
        spots: list[Spot] = []
        frame: FrameType | None = caller
        while frame is not None and len(spots) < LEVELS:
            if frame.f_code in self._files:
                spots.append((frame.f_code, frame.f_lasti))
            elif not frame.f_code.co_filename.endswith(_DECORATORS):
                break
            frame = frame.f_back
        off = not torch.is_grad_enabled()
        call = _Call(tuple(spots), name, self._tracer.seq(), node, off)
        self._open = [*self._open[1 - OPEN :], call]

    def inspect(self, record: RawBackward, nodes: list[Any]) -> None:
        """Whether results are in the graph that a backward is about to run through."""
        if not self._open:
            return
        numbers = {id(node): sequence(node) for node in nodes}
        for call in self._open:
            spot = call.spots[0]
            if spot in self.found:
                continue
            overwrote = call.node >= 0
            used = (
                self._used_in_place(call, nodes, numbers)
                if overwrote
                else self._used_elsewhere(call, _used(call, nodes, numbers))
            )
            if used is not None:
                at = located(spot)
                self.found[spot] = WithoutGradient(
                    at, call_text(at, call.operation)[0], call.operation,
                    _argument(at, 0 if overwrote else 1), overwrote, used,
                    record.call, located(record.spot),
                )  # fmt: skip

    def _used_in_place(
        self, call: _Call, nodes: list[Any], numbers: dict[int, int]
    ) -> Location | None:
        """The line of a node made after the call that takes the overwritten tensor."""
        for node in nodes:
            number = numbers[id(node)]
            if number >= call.seq and any(
                edge is not None and sequence(edge) == call.node for edge, _ in node.next_functions
            ):
                return located(self._log.line_of(number))
        return None

    def _used_elsewhere(self, call: _Call, numbers: set[int]) -> Location | None:
        """The first line after the call that computes with what it brought, in the graph: in the
        function that calls, or in one that this returns it to. Of what came without a graph on
        purpose, as labels do, nothing is told: under ``no_grad()``, of products alone with the
        very rows that ranks gave."""
        at = located(call.spots[0])
        names = {_argument(at, 0)} if at is not None else set()
        later = [
            spot
            for number in sorted(numbers)
            if number >= call.seq and (spot := self._log.line_of(number)) is not None
        ]
        for level, spot in enumerate(call.spots):
            at = located(spot)
            tree = parse(at.file) if at is not None else None
            if at is None or tree is None:
                return None
            lines = {
                place.line: place
                for each in later
                if each[0] is spot[0] and (place := located(each)) is not None
            }
            returned = False
            if level:
                # The call itself stands for what was returned.
                statement = statement_at(at.file, at.line)
                called = call.spots[level - 1][0].co_name
                value = _value_of(statement) if statement is not None else None
                if statement is None or (call.off and not _joins(value, called)):
                    return None
                if at.line in lines and not _binds(statement):
                    return lines[at.line]
                names = _binds(statement)
                returned = isinstance(statement, ast.Return)
            for statement in _after(tree, at.line):
                value = _value_of(statement)
                if call.off and _puts_into(statement, names):
                    return None
                if value is not None and _reads(value, names) and not _meant(value):
                    for line in range(
                        statement.lineno, (statement.end_lineno or statement.lineno) + 1
                    ):
                        if line in lines:
                            return lines[line]
                    if call.off and not _joins(value):
                        names -= _binds(statement)
                        continue
                    names |= _binds(statement)
                    returned = returned or isinstance(statement, ast.Return)
                else:
                    names -= _binds(statement)
            if not returned:
                return None
        return None


def _used(call: _Call, nodes: list[Any], numbers: dict[int, int]) -> set[int]:
    """The numbers of the nodes that may have taken what a call brought: of one under ``no_grad()``,
    of the products with a tensor that has no graph."""
    if not call.off:
        return {*numbers.values()}
    return {
        numbers[id(node)]
        for node in nodes
        if operation(node) in _PRODUCTS and any(edge is None for edge, _ in node.next_functions)
    }


def _joins(value: ast.expr | None, called: str = "") -> bool:
    """Whether an expression only puts tensors together, or what a call of `called` returns."""
    if value is None:
        return False
    parts = [*ast.walk(value)]
    calls = [ast.unparse(each.func) for each in parts if isinstance(each, ast.Call)]
    computes = any(isinstance(each, ast.BinOp | ast.UnaryOp) for each in parts)
    return not computes and {each.rpartition(".")[2] for each in calls} <= {*_JOINS, called}


def _puts_into(statement: ast.stmt, names: set[str]) -> bool:
    """Whether it sets items of one of the variables, as a rank does with what is its own."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(e, ast.Subscript) and ast.unparse(e.value) in names for e in targets)


def _argument(at: Location | None, index: int) -> str:
    call = call_at(at) if at is not None else None
    if call is None:
        return ""
    if index < len(call.args):
        return ast.unparse(call.args[index])
    names = ("tensor_list", "output_tensor", "output") if not index else ("tensor", "input_tensor")
    return next((ast.unparse(each.value) for each in call.keywords if each.arg in names), "")


def _after(tree: ast.Module, line: int) -> Iterator[ast.stmt]:
    """The statements after a line in the innermost function or module around it, in order."""
    scopes = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.lineno <= line <= (each.end_lineno or each.lineno)
    ]
    scope: ast.AST = max(scopes, key=lambda each: each.lineno) if scopes else tree
    found = [each for each in ast.walk(scope) if isinstance(each, ast.stmt) and each.lineno > line]
    yield from sorted(found, key=lambda each: each.lineno)


def _value_of(statement: ast.stmt) -> ast.expr | None:
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return | ast.Expr):
        return statement.value
    return None


def _binds(statement: ast.stmt) -> set[str]:
    """The variables that a statement assigns."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        targets = [statement.target]
    else:
        return set()
    flat = [each for target in targets for each in (getattr(target, "elts", None) or [target])]
    return {ast.unparse(each) for each in flat if isinstance(each, ast.Name | ast.Attribute)}


def _reads(value: ast.expr, names: set[str]) -> bool:
    return any(
        isinstance(each, ast.Name | ast.Attribute) and ast.unparse(each) in names
        for each in ast.walk(value)
    )


def _meant(value: ast.expr) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr in _MEANT for each in ast.walk(value))
