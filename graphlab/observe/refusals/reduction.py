"""Finds the line at which a loss was left with more than one number: where its criterion was built
without a reduction, or where the loss was made."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.lineage.cut import lineage_of
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.notes import Cut
from graphlab.observe.origins.bindings import parents, scope_around
from graphlab.observe.refusals.asked import cut_of
from graphlab.observe.tensors import is_module
from graphlab.source.evaluate import constant
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import LOST, attributes, class_name
from graphlab.source.places import line_place, parse
from graphlab.source.vocabulary import LIBRARIES

# Methods after which it is the same loss in another form.
_SAME = {
    "view", "reshape", "flatten", "squeeze", "unsqueeze", "float", "double", "half", "to", "cuda",
    "cpu", "contiguous", "clone", "requires_grad_",
}  # fmt: skip
_DEPTH, _FILES = 8, 256
_SETTING = '"none"'


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
                return self._returned(node.value, callee, before, depth, node.slice)
            if not holder and isinstance(node.value, ast.Name | ast.Attribute):
                return self._entry(node, before, depth)
            return self._statement(holder[0], before, depth) if holder else None
        return None

    def _variable(self, name: str, before: int, depth: int) -> Cut | None:
        found = self._lineage.assignments(name, before)
        return self._statement(found[0], before, depth) if found else None

    def _entry(self, node: ast.Subscript, before: int, depth: int) -> Cut | None:
        """The line for an entry of the dictionary or tuple that a call gave a variable."""
        stored = self._lineage.assignments(ast.unparse(node.value), before)
        made = stored[0].value if len(stored) == 1 and isinstance(stored[0], ast.Assign) else None
        if not isinstance(made, ast.Call):
            return None
        callee = self._lineage.reach(made.func)
        return self._returned(made, callee, stored[0].lineno, depth, node.slice)

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
        return self._sum(node, before, depth)

    def _call(self, node: ast.Call, before: int, depth: int) -> Cut | None:
        if _unreduced(node):
            return self._cut(node)
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in _SAME:
            return self.of(func.value, before, depth + 1)
        callee = self._lineage.reach(func)
        if is_module(callee) and attributes(callee).get("reduction") == "none":
            return self._built(callee, func)
        return self._returned(node, callee, before, depth)

    def _sum(self, node: ast.BinOp, before: int, depth: int) -> Cut | None:
        """Of a sum, the one summand that says it is not reduced."""
        found = [self._said(each, before, depth) for each in _summands(node)]
        told = {cut.location(): cut for cut in found if cut is not None}
        return next(iter(told.values())) if len(told) == 1 else None

    def _said(self, node: ast.expr, before: int, depth: int) -> Cut | None:
        """As `of`, only where what is found says that nothing is reduced."""
        found = self.of(node, before, depth + 1)
        if found is None or found.by == _SETTING:
            return found
        return found if isinstance(found.node, ast.Call) and _unreduced(found.node) else None

    def _built(self, module: Any, func: ast.expr) -> Cut | None:
        """The line that told a criterion not to reduce."""
        kind = class_name(module)
        every = [
            (file, each)
            for file in self._sources()
            for each in ast.walk(parse(file) or ast.Module([], []))
            if isinstance(each, ast.Call) and ast.unparse(each.func).rsplit(".", 1)[-1] == kind
        ]
        said = [each for each in every if _unreduced(each[1])]
        if not said:
            return self._elsewhere(module, every)
        if len(said) > 1:
            last = ast.unparse(func).rsplit(".", 1)[-1]
            named = {
                each.value
                for file, _ in said
                for each in ast.walk(parse(file) or ast.Module([], []))
                if isinstance(each, ast.Assign)
                and any(ast.unparse(t).rsplit(".", 1)[-1] == last for t in each.targets)
            }
            said = [each for each in said if each[1] in named]
        return self._cut(said[0][1], said[0][0]) if len(said) == 1 else None

    def _elsewhere(self, module: Any, every: list[tuple[str, ast.Call]]) -> Cut | None:
        """No call of its class says so: the one place of the program that can have told it."""
        kind = class_name(module)
        found = [(file, node) for file in self._sources() for node in _settings(file, kind)]
        if len(found) == 1:
            file, node = found[0]
            return Cut(node, _SETTING, file, getattr(scope_around(node, file), "name", "<module>"))
        return self._cut(every[0][1], every[0][0]) if len(every) == 1 and not found else None

    def _sources(self) -> list[str]:
        """The user's files that were imported."""
        found = dict.fromkeys([self._lineage.file])
        for module in [*sys.modules.values()]:
            file = attributes(module).get("__file__")
            if type(file) is str and file in self._files and len(found) < _FILES:
                found.setdefault(file)
        return [*found]

    def _returned(
        self, node: ast.Call, callee: Any, before: int, depth: int, key: ast.expr | None = None
    ) -> Cut | None:
        """The line of the user's own function that gave back what it had not reduced; only where it
        says so. `key`: of a dictionary that it gave back, the entry."""
        if callee is None:
            return None
        inner = self._lineage.inside(node, callee, [], before, depth)
        if inner is None:
            return None
        returns = inner.returns()
        if len(returns) != 1 or returns[0].value is None:
            return None
        value: ast.expr | None = returns[0].value
        if key is not None:
            value = _item(inner, value, key, returns[0].lineno)
        if value is None:
            return None
        return _Search(inner, self._files)._said(value, returns[0].lineno, depth)

    def _cut(self, node: ast.AST, file: str = "") -> Cut:
        by = ast.unparse(node)
        if isinstance(node, ast.Call) and _unreduced(node):
            by = f'{ast.unparse(node.func)}(reduction="none")'
        by = by if len(by) < 60 else by[:57] + "…"
        if file in ("", self._lineage.file):
            return Cut(node, by, self._lineage.file, self._lineage.function)
        return Cut(node, by, file, getattr(scope_around(node, file), "name", "<module>"))


def _item(lineage: Lineage, node: ast.expr, key: ast.expr, before: int) -> ast.expr | None:
    """What is written for the entry `key` of a dictionary or tuple."""
    if isinstance(node, ast.Name):
        whole = lineage.assignments(node.id, before)
        made = getattr(whole[0], "value", None) if len(whole) == 1 else None
        node = made if isinstance(made, ast.Dict | ast.Tuple | ast.List) else node
    wanted = constant(key)
    if isinstance(node, ast.Dict):
        found = [
            v for k, v in zip(node.keys, node.values, strict=True) if k and constant(k) == wanted
        ]
        return found[0] if len(found) == 1 else None
    if isinstance(node, ast.Tuple | ast.List) and type(wanted) is int:
        return node.elts[wanted] if -len(node.elts) <= wanted < len(node.elts) else None
    return ast.Subscript(node, key, ast.Load())


def _summands(node: ast.expr) -> Iterator[ast.expr]:
    """The operands of a sum or product, of those inside it too."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        yield from _summands(node.left)
        yield from _summands(node.right)
    elif not isinstance(node, ast.BinOp) and constant(node) is LOST:
        yield node


def _settings(file: str, kind: str) -> Iterator[ast.AST]:
    """Each "none" of a file that a reduction may be set to, other than one that a function of
    torch's is given; `kind` is the class of the criterion."""
    above = parents(file)
    for node in above:
        if not isinstance(node, ast.Constant) or node.value != "none":
            continue
        holder = above.get(node)
        if holder is None or not _is_reduction(node, holder, above.get(holder), kind):
            continue
        outer = above.get(holder) if isinstance(holder, ast.keyword) else holder
        if isinstance(outer, ast.Call) and outer.func is not node:
            root = outer.func
            while isinstance(root, ast.Attribute):
                root = root.value
            name = ast.unparse(outer.func).rsplit(".", 1)[-1]
            if getattr(root, "id", "") in LIBRARIES or hasattr(torch.nn.functional, name):
                continue
        yield node


def _is_reduction(node: ast.expr, holder: ast.AST, outer: ast.AST | None, kind: str) -> bool:
    """Whether what a constant is given to has that in its name."""
    told: list[Any] = []
    if isinstance(holder, ast.keyword):
        told = [holder.arg]
        if holder.arg == "default" and isinstance(outer, ast.Call):
            told = [constant(each) for each in outer.args]
    elif isinstance(holder, ast.Dict):
        told = [
            constant(k) for k, v in zip(holder.keys, holder.values, strict=True) if k and v is node
        ]
    elif isinstance(holder, ast.arguments):
        plain = [*holder.posonlyargs, *holder.args]
        pairs = [*zip(reversed(plain), reversed(holder.defaults), strict=False)]
        pairs += [*zip(holder.kwonlyargs, holder.kw_defaults, strict=True)]
        told = [each.arg for each, default in pairs if default is node]
    elif isinstance(holder, ast.Assign | ast.AnnAssign):
        targets = holder.targets if isinstance(holder, ast.Assign) else [holder.target]
        told = [ast.unparse(each) for each in targets]
    elif isinstance(holder, ast.Call):
        return node in holder.args and ast.unparse(holder.func).rsplit(".", 1)[-1] == kind
    return any(type(each) is str and "reduc" in each.lower() for each in told)


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
