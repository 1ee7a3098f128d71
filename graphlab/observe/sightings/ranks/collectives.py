"""Follows the program's own calls of torch.distributed: how often each line made one, and whether
what it brought went into a loss without a gradient."""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import sequence
from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    byte_span,
    grad_fn_of,
    is_leaf,
    is_tensor,
    requires_grad,
    storage_key,
    version_of,
)
from graphlab.source.places import parse
from graphlab.source.wording import call_at, call_text
from graphlab.trace.ranks.sightings import Communicated, WithoutGradient
from graphlab.trace.values import Location

# Of these the first argument is overwritten; of those the first receives what others gave.
IN_PLACE = ("all_reduce", "broadcast", "reduce")
INTO = ("all_gather", "all_gather_into_tensor", "all_to_all", "all_to_all_single",
        "reduce_scatter", "reduce_scatter_tensor")  # fmt: skip
OTHERS = ("barrier", "gather", "scatter", "send", "recv", "all_gather_object",
          "broadcast_object_list", "gather_object", "scatter_object_list")  # fmt: skip
# At most this many calls are remembered until a backward tells what became of their results.
OPEN = 32
_WRAPPER = os.path.join("distributed", "c10d_logger.py")


@dataclass(slots=True)
class _Call:
    """A call whose operand has a graph. node: the number of the node that made an operand that
    was overwritten; -1 where another tensor received the result."""

    spot: Spot
    operation: str
    seq: int
    node: int


class Collectives:
    """Handles the tracer's events of torch.distributed's functions."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._tracer, self._files = watched.log, watched.tracer, watched.files
        self._counts: Counter[tuple[Spot, str]] = Counter()
        self._open: list[_Call] = []
        self._versions: list[int] = []
        self._found: dict[Spot, WithoutGradient] = {}
        for name in (*IN_PLACE, *INTO, *OTHERS):
            function = getattr(torch.distributed, name, None)
            if function is not None:
                watched.tracer.handle(function, self._handler(name))

    def counted(self, spot: Spot | None, operation: str) -> None:
        """A backward through a wrapper, which communicates as well."""
        if spot is not None:
            self._counts[spot, operation] += 1

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Whether results are in the graph that a backward is about to run through."""
        numbers = {id(node): sequence(node) for node in nodes}
        for call in self._open:
            if call.spot in self._found:
                continue
            used: Location | None
            if call.node >= 0:
                used = self._used_in_place(call, nodes, numbers)
            else:
                used = self._used_elsewhere(call, {*numbers.values()})
            if used is not None:
                at = located(call.spot)
                self._found[call.spot] = WithoutGradient(
                    at, call_text(at, call.operation)[0], call.operation,
                    _argument(at, 0 if call.node >= 0 else 1), call.node >= 0, used,
                    record.call, located(record.spot),
                )  # fmt: skip

    def found(self) -> Iterator[WithoutGradient | Communicated]:
        yield from self._found.values()
        for (spot, operation), count in self._counts.items():
            yield Communicated(located(spot), operation, count)

    def _handler(self, name: str) -> Any:
        def handle(frame: FrameType, event: str, arg: Any) -> None:
            caller = self._caller(frame)
            if caller is None or event == "exception":
                return
            spot = (caller.f_code, caller.f_lasti)
            operands = [frame.f_locals.get(each) for each in _parameters(frame)]
            first = operands[0] if operands else None
            if event == "call":
                self._counts[spot, name] += 1
                if name in IN_PLACE and is_tensor(first):
                    self._versions.append(version_of(first))
                self._note(spot, name, operands)
            elif name in IN_PLACE and is_tensor(first) and self._versions:
                before, key = self._versions.pop(), storage_key(first)
                if key is not None:
                    after = version_of(first)
                    written = (key, *byte_span(first), before, after)
                    write = RawWrite(
                        self._tracer.seq(), spot, f"dist.{name}", [written], None, before == after
                    )
                    self._log.write(write)

        return handle

    def _note(self, spot: Spot, name: str, operands: list[Any]) -> None:
        if name in IN_PLACE:
            subject = operands[0] if operands else None
        else:
            given = operands[1] if name in INTO and len(operands) > 1 else None
            subject = given if is_tensor(given) else None
        if subject is None or not is_tensor(subject) or not requires_grad(subject):
            return
        node = -1
        if name in IN_PLACE:
            made = grad_fn_of(subject) if not is_leaf(subject) else None
            if made is None or not torch.is_grad_enabled():
                return
            node = sequence(made)
        self._open = [*self._open[1 - OPEN :], _Call(spot, name, self._tracer.seq(), node)]

    def _caller(self, frame: FrameType) -> FrameType | None:
        """The frame that calls, where it is the program's own and no Function's forward: one that
        torch itself calls, or that has a backward of its own, is another matter."""
        caller = frame.f_back
        if caller is not None and caller.f_code.co_filename.endswith(_WRAPPER):
            caller = caller.f_back
        if caller is None or caller.f_code not in self._files:
            return None
        outer: FrameType | None = caller
        while outer is not None and outer.f_code in self._files:
            first = outer.f_code.co_varnames[:1]
            context = outer.f_locals.get(first[0]) if first else None
            if isinstance(context, torch.autograd.function.FunctionCtx):
                return None
            outer = outer.f_back
        return caller

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
        """The first line after the call that computes with what it brought, in the graph."""
        at = located(call.spot)
        name = _argument(at, 0)
        tree = parse(at.file) if at is not None else None
        if at is None or tree is None or not name.isidentifier():
            return None
        lines = {
            place.line: place
            for number in numbers
            if number >= call.seq
            and (spot := self._log.line_of(number)) is not None
            and spot[0] is call.spot[0]
            and (place := located(spot)) is not None
        }
        names = {name}
        for statement in _after(tree, at.line):
            if not isinstance(statement, ast.Assign | ast.AugAssign | ast.Return | ast.Expr):
                continue
            value = statement.value
            if value is None or not _reads(value, names):
                continue
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                if line in lines:
                    return lines[line]
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            names |= {each.id for each in targets if isinstance(each, ast.Name)}
        return None


def _parameters(frame: FrameType) -> tuple[str, ...]:
    code = frame.f_code
    return code.co_varnames[: code.co_argcount]


def _argument(at: Location | None, index: int) -> str:
    call = call_at(at) if at is not None else None
    if call is None:
        return ""
    if index < len(call.args):
        return ast.unparse(call.args[index])
    names = ("tensor_list", "output_tensor", "output") if not index else ("tensor", "input_tensor")
    return next((ast.unparse(each.value) for each in call.keywords if each.arg in names), "")


def _after(tree: ast.Module, line: int) -> list[ast.stmt]:
    """The statements after a line in the innermost function or module around it, in order."""
    scopes = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.lineno <= line <= (each.end_lineno or each.lineno)
    ]
    scope: ast.AST = max(scopes, key=lambda each: each.lineno) if scopes else tree
    found = [each for each in ast.walk(scope) if isinstance(each, ast.stmt) and each.lineno > line]
    return sorted(found, key=lambda each: each.lineno)


def _reads(value: ast.expr, names: set[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in names for each in ast.walk(value))
