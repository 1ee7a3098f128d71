"""Finds the line at which a loss was left with more than one number: where its criterion was built
without a reduction, or where the loss was made."""

from __future__ import annotations

import ast
from types import FrameType, FunctionType, MethodType
from typing import Any

from graphlab.observe.lineage.asked import cut_of
from graphlab.observe.lineage.cut import lineage_of
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_module
from graphlab.source.effects.assignments import scope_of
from graphlab.source.evaluate import constant
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import attributes, class_name, static, variables
from graphlab.source.places import line_place, parse

# Methods after which it is the same loss in another form.
_SAME = {
    "view", "reshape", "flatten", "squeeze", "unsqueeze", "float", "double", "half", "to", "cuda",
    "cpu", "contiguous", "clone", "requires_grad_",
}  # fmt: skip
_DEPTH = 8


def not_reduced(
    frame: FrameType | None, loss: str, files: UserFiles, line: int | None = None
) -> Cut | None:
    """Where the value of the expression `loss` in the user's `frame` should have been reduced."""
    frame = user_frame(frame, files)
    if frame is None:
        return None
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return None
    search = _Search(lineage_of(frame, files), files)
    found = search.of(expression, line or frame.f_lineno, 0)
    if found is not None:
        return found
    code = frame.f_code
    return cut_of(line_place(code.co_filename, line or frame.f_lineno, code.co_qualname))


class _Search:
    def __init__(self, lineage: Lineage, files: UserFiles) -> None:
        self._lineage, self._files = lineage, files

    def of(self, node: ast.expr, before: int, depth: int) -> Cut | None:
        """The line for the value of `node`; None if that is the line of `node` itself."""
        if depth > _DEPTH:
            return None
        if isinstance(node, ast.Name | ast.Attribute):
            return self._variable(ast.unparse(node), before, depth)
        if isinstance(node, ast.BinOp):
            return self._scaled(node, before, depth)
        if isinstance(node, ast.Call):
            return self._call(node, before, depth)
        if isinstance(node, ast.Subscript):
            holder = self._lineage.assignments(ast.unparse(node), before)
            if not holder and isinstance(node.value, ast.Call):
                callee = self._lineage.reach(node.value.func)
                return self._returned(callee, depth, node.slice) if callee is not None else None
            return self._statement(holder[0], before, depth) if holder else None
        return None

    def _variable(self, name: str, before: int, depth: int) -> Cut | None:
        found = self._lineage.assignments(name, before)
        return self._statement(found[0], before, depth) if found else None

    def _statement(self, statement: ast.stmt, before: int, depth: int) -> Cut | None:
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.AugAssign):
            if _number(statement.value):
                return self.of(statement.target, statement.lineno, depth + 1)
            value = None
        inner = None
        single = isinstance(statement, ast.Assign) and not isinstance(
            statement.targets[0], ast.Tuple | ast.List
        )
        if value is not None and single:
            inner = self.of(value, statement.lineno, depth + 1)
        return inner or self._cut(statement)

    def _scaled(self, node: ast.BinOp, before: int, depth: int) -> Cut | None:
        """A loss times a number is the same loss; with other tensors it is a new one."""
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if _number(other) and isinstance(node.op, ast.Mult | ast.Div | ast.Add | ast.Sub):
                return self.of(one, before, depth + 1)
        return None

    def _call(self, node: ast.Call, before: int, depth: int) -> Cut | None:
        if _unreduced(node):
            return self._cut(node)
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in _SAME:
            return self.of(func.value, before, depth + 1)
        callee = self._lineage.reach(func)
        if is_module(callee):
            if attributes(callee).get("reduction") == "none":
                return self._built(callee, func)
            callee = static(type(callee), "forward")
        return self._returned(callee, depth)

    def _built(self, module: Any, func: ast.expr) -> Cut | None:
        """The line that built a criterion."""
        kind = class_name(module)
        tree = self._lineage.tree
        every = [
            each
            for each in (ast.walk(tree) if tree is not None else ())
            if isinstance(each, ast.Call) and ast.unparse(each.func).rsplit(".", 1)[-1] == kind
        ]
        said = [each for each in every if _unreduced(each)]
        found = said if said else every
        if len(found) > 1:
            last = ast.unparse(func).rsplit(".", 1)[-1]
            named = {
                each.value
                for each in ast.walk(tree or ast.Module([], []))
                if isinstance(each, ast.Assign)
                and any(ast.unparse(t).rsplit(".", 1)[-1] == last for t in each.targets)
            }
            found = [each for each in found if each in named]
        return self._cut(found[0]) if len(found) == 1 else None

    def _returned(self, function: Any, depth: int, key: ast.expr | None = None) -> Cut | None:
        """The line of the user's own function that gave back what it had not reduced; only where it
        says so. `key`: of a dictionary that it gave back, the entry."""
        if type(function) is MethodType:
            function = function.__func__
        if type(function) is not FunctionType:
            return None
        code = function.__code__
        if code.co_filename not in self._files:
            return None
        scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        if not isinstance(scope, ast.FunctionDef):
            return None
        values = variables(function.__globals__)
        inner = Lineage(code.co_filename, scope, code.co_qualname, values, self._files)
        returns = [n for n in ast.walk(scope) if isinstance(n, ast.Return) and n.value is not None]
        if len(returns) != 1 or returns[0].value is None:
            return None
        value: ast.expr = returns[0].value
        if key is not None:
            value = ast.Subscript(value, key, ast.Load())
        found = _Search(inner, self._files).of(value, returns[0].lineno, depth + 1)
        if found is None:
            return None
        told = [n for n in ast.walk(found.node) if isinstance(n, ast.Call) and _unreduced(n)]
        return found if told else None

    def _cut(self, node: ast.AST) -> Cut:
        by = ast.unparse(node)
        if isinstance(node, ast.Call) and _unreduced(node):
            by = f'{ast.unparse(node.func)}(reduction="none")'
        by = by if len(by) < 60 else by[:57] + "…"
        return Cut(node, by, self._lineage.file, self._lineage.function)


def _number(node: ast.expr) -> bool:
    found = constant(node)
    return type(found) in (int, float)


def _unreduced(call: ast.Call) -> bool:
    """Whether it says ``reduction="none"`` or ``reduce=False``."""
    for word in call.keywords:
        value = constant(word.value)
        if (word.arg == "reduction" and value == "none") or (
            word.arg == "reduce" and value is False
        ):
            return True
    return False
