"""Follows a value through functions of the program's own that have returned, and through the layers
of an ``nn.Sequential``, one after the other."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Protocol

from torch import nn

from graphlab.observe.lineage.callee import closed_over, entered, unwrapped
from graphlab.observe.lineage.trail import HAS_GRAPH, Result, Trail, first_of
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_module, requires_grad
from graphlab.source.effects.assignments import element_of, scope_of
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, items, static, variables
from graphlab.source.places import parse


class Lineage(Protocol):
    """What is read of a function (reader.py)."""

    trail: Trail
    files: UserFiles

    def value(self, node: ast.AST, before: int, depth: int = 0) -> Result: ...

    def returns(self) -> list[ast.Return]: ...

    def guard(self, statement: ast.AST) -> Cut | None: ...

    def freezing(self, node: ast.AST, callee: Any) -> Cut | None: ...


def layers_of(callee: Any) -> list[Any]:
    """The layers of an ``nn.Sequential`` that has torch's own forward."""
    if not is_module(callee) or static(type(callee), "forward") is not nn.Sequential.forward:
        return []
    return [each for _, each in items(attributes(callee).get("_modules"))]


def returned(lineage: Lineage, depth: int, at: int | str | None = None) -> Result:
    """The result of the function that a lineage reads, or of one element of the tuple that it
    returns."""
    results: list[Result] = []
    for each in lineage.returns():
        assert each.value is not None
        result = lineage.value(element_of(each.value, at), each.lineno, depth + 1)
        results.append((lineage.guard(each) or HAS_GRAPH) if result is HAS_GRAPH else result)
    return next((each for each in results if isinstance(each, Cut)), first_of(results))


class Chain:
    """What `call` gives: `outer` is the lineage of the function that it stands in, and `inside`
    makes one."""

    def __init__(
        self, outer: Lineage, call: ast.Call, inside: Callable[..., Lineage], depth: int
    ) -> None:
        self._outer, self._call, self._inside, self._depth = outer, call, inside, depth
        # The modules behind the value that is followed.
        self._behind: list[Any] = []

    def result(self, layers: list[Any], before: int) -> Result:
        """The result of the last layer, of a call at line `before`."""
        modules = self._outer.trail.modules
        first = len(modules)
        given = first_of([self._outer.value(e, before, self._depth) for e in self._call.args])
        self._behind = modules[first:]
        return self._through(layers, given)

    def _through(self, layers: list[Any], given: Result) -> Result:
        for each in layers:
            inner = layers_of(each)
            given = self._through(inner, given) if inner else self._after(each, given)
        return given

    def _after(self, layer: Any, given: Result) -> Result:
        trail, mine = self._outer.trail, self._within(layer, given)
        first = len(trail.modules)
        found = returned(mine, self._depth) if mine is not None else None
        self._behind += trail.modules[first:]
        parameters = parameters_in(layer) if found is None and is_module(layer) else []
        if not parameters:
            return found or given
        trail.modules.append(layer)
        self._behind.append(layer)
        if any(map(requires_grad, parameters)):
            return HAS_GRAPH
        if isinstance(given, Cut):
            trail.cut_before.append((given, layer))
        return given or self._outer.freezing(self._call, layer)

    def _within(self, layer: Any, given: Result) -> Lineage | None:
        """The lineage inside the forward of a layer of the program's own; None for any other."""
        files = self._outer.files
        holder, function = entered(unwrapped(layer, files))
        code = function.__code__ if function is not None else None
        if function is None or code is None or code.co_filename not in files:
            return None
        scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        if not isinstance(scope, ast.FunctionDef) or len(scope.args.args) < 2:
            return None
        this, name = (each.arg for each in scope.args.args[:2])
        values = {k: v for k, v in variables(function.__globals__).items() if k != name}
        values |= closed_over(function) | {this: holder, name: None}
        self._outer.trail.given[id(scope), name] = [*self._behind]
        return self._inside(
            code.co_filename, scope, scope.name, values, files, {name: given}, self._outer.trail
        )
