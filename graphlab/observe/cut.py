"""Finds the line that cut a loss off its graph, from the values that the frames still hold and
the statements that made them."""

from __future__ import annotations

import ast
from types import FrameType
from typing import Any

from graphlab.observe.source import UserFiles, parse, user_frame
from graphlab.trace.model import Location

# Calls and attributes that give a value without a graph, in the words of the finding.
_METHODS = {
    "detach", "detach_", "item", "tolist", "numpy", "argmax", "argmin", "argsort", "long", "int",
    "bool", "byte", "short", "round_", "sign", "eq", "ne", "gt", "lt", "ge", "le", "multinomial",
    "from_numpy", "tensor", "as_tensor", "requires_grad_", "sample", "searchsorted", "bincount",
    "one_hot", "nonzero", "data", "isnan", "isfinite",
}  # fmt: skip
_GUARDS = ("no_grad", "inference_mode", "set_grad_enabled")
_DEPTH = 12


class Cut:
    __slots__ = ("by", "file", "function", "node")

    def __init__(self, node: ast.AST, by: str, file: str, function: str) -> None:
        self.node, self.by, self.file, self.function = node, by, file, function

    def location(self) -> Location:
        from graphlab.observe.source import source_line

        line = getattr(self.node, "lineno", 1)
        text = source_line(self.file, line)
        indent = len(text) - len(text.lstrip())
        start = len(text.encode()[: getattr(self.node, "col_offset", 0)].decode(errors="ignore"))
        last = getattr(self.node, "end_lineno", line)
        end = len(text)
        if last == line:
            end = len(
                text.encode()[: getattr(self.node, "end_col_offset", end)].decode(errors="ignore")
            )
        return Location(
            self.file, line, start + 1, line, end + 1, self.function, text.strip(), indent
        )


def find_cut(
    frame: FrameType | None, loss: str, files: UserFiles, line: int | None = None
) -> Cut | None:
    """Where the value of the expression `loss` in the user's `frame` lost its graph. `line` is
    where that value was used, the frame's own line if None."""
    frame = user_frame(frame, files)
    if frame is None:
        return None
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return None
    return _Search(frame).value(expression, line or frame.f_lineno, 0)


class _Search:
    def __init__(self, frame: FrameType) -> None:
        self.frame = frame
        self.file = frame.f_code.co_filename
        self.tree = parse(self.file)
        self.function = frame.f_code.co_qualname
        self.scope = _scope_of(self.tree, frame.f_code.co_firstlineno, frame.f_code.co_name)

    def value(self, node: ast.expr, before: int, depth: int) -> Cut | None:
        """The cut behind expression `node`, evaluated at line `before`."""
        if self.tree is None or depth > _DEPTH:
            return None
        direct = self.cutting(node)
        if direct is not None:
            return direct
        called = self.called(node)
        if called is not None:
            found = self.inside(called, depth)
            if found is not None:
                return found
        for name in _names(node):
            if _has_graph(self.look_up(name)):
                continue
            statement = self.assignment(name, before)
            if statement is None:
                continue
            found = self.guard(statement)
            if found is not None:
                return found
            source = getattr(statement, "value", None)
            if source is not None:
                frozen = self.frozen(source)
                if frozen is not None:
                    return frozen
                if any(_has_graph(self.look_up(each)) for each in _names(source)):
                    found = self.cutting(source)
                    called = self.called(source)
                    if found is None and called:
                        found = self.inside(called, depth + 1)
                    return found or self.cut(statement, ast.unparse(statement))
                found = self.value(source, statement.lineno, depth + 1)
                if found is not None:
                    return found
        return None

    def cut(self, node: ast.AST, by: str) -> Cut:
        return Cut(node, by if len(by) < 60 else by[:57] + "…", self.file, self.function)

    def cutting(self, node: ast.expr) -> Cut | None:
        """The first sub-expression that is known to drop the graph."""
        for each in ast.walk(node):
            if isinstance(each, ast.Call):
                func = each.func
                name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
                plain = isinstance(func, ast.Name) and name in ("float", "int", "bool")
                if name in _METHODS or plain:
                    return self.cut(each, ast.unparse(func) + "()")
                if name in ("to", "type") and any(_integer(arg) for arg in each.args):
                    return self.cut(each, ast.unparse(each))
            elif (isinstance(each, ast.Attribute) and each.attr == "data") or isinstance(
                each, ast.Compare
            ):
                return self.cut(each, ast.unparse(each))
        return None

    def frozen(self, source: ast.expr) -> Cut | None:
        """The statement that froze a module which `source` calls, when nothing in it trains."""
        for each in ast.walk(source):
            if not isinstance(each, ast.Call):
                continue
            holder = self.look_up(ast.unparse(each.func))
            parameters = list(holder.parameters()) if hasattr(holder, "parameters") else []
            if parameters and not any(p.requires_grad for p in parameters):
                return self.freezing()
        return None

    def freezing(self) -> Cut | None:
        """The last statement of the file that sets requires_grad to False."""
        found: ast.AST | None = None
        for each in ast.walk(self.tree) if self.tree is not None else ():
            text = ast.unparse(each) if isinstance(each, ast.Assign | ast.Expr) else ""
            if text.endswith(("requires_grad = False", "requires_grad_(False)")) and (
                found is None or each.lineno > found.lineno  # type: ignore[attr-defined]
            ):
                found = each
        return self.cut(found, ast.unparse(found)) if found is not None else None

    def guard(self, statement: ast.AST) -> Cut | None:
        """The no_grad block or decorator around a statement."""
        best: Cut | None = None
        line = getattr(statement, "lineno", 0)
        for each in ast.walk(self.tree) if self.tree is not None else ():
            last = getattr(each, "end_lineno", 0) or 0
            if isinstance(each, ast.With) and each.lineno < line <= last:
                for item in each.items:
                    if any(word in ast.unparse(item.context_expr) for word in _GUARDS):
                        best = self.cut(item.context_expr, ast.unparse(item.context_expr))
            if isinstance(each, ast.FunctionDef) and each.lineno < line <= last:
                best = self.decorated(each) or best
        return best

    def decorated(self, function: ast.FunctionDef) -> Cut | None:
        for each in function.decorator_list:
            if any(word in ast.unparse(each) for word in _GUARDS):
                return self.cut(each, ast.unparse(each))
        return None

    def called(self, node: ast.expr) -> list[ast.FunctionDef]:
        """Functions of this file that `node` calls, by name; a called module's forward too."""
        wanted = set()
        for each in ast.walk(node):
            if isinstance(each, ast.Call):
                name = ast.unparse(each.func)
                wanted.add(name.split(".")[-1])
                holder = self.look_up(name)
                if holder is not None and hasattr(holder, "forward"):
                    wanted.add((type(holder).__name__, "forward"))
        found = []
        for each in ast.walk(self.tree) if self.tree is not None else ():
            if isinstance(each, ast.ClassDef):
                for item in each.body:
                    if isinstance(item, ast.FunctionDef) and (each.name, item.name) in wanted:
                        found.append(item)
            elif isinstance(each, ast.FunctionDef) and each.name in wanted:
                found.append(each)
        return found

    def inside(self, functions: list[ast.FunctionDef], depth: int) -> Cut | None:
        for function in functions:
            inner = _Search.__new__(_Search)
            inner.frame, inner.file, inner.tree = self.frame, self.file, self.tree
            inner.function, inner.scope = function.name, function
            found = inner.decorated(function)
            if found is not None:
                return found
            for each in ast.walk(function):
                if isinstance(each, ast.Return) and each.value is not None:
                    found = inner.guard(each) or inner.within(each.value, each.lineno, depth + 1)
                    if found is not None:
                        return found
        return None

    def within(self, node: ast.expr, before: int, depth: int) -> Cut | None:
        """As `value`, in a function that has returned: statements only, no values."""
        if depth > _DEPTH:
            return None
        found = self.cutting(node)
        if found is not None:
            return found
        functions = [f for f in self.called(node) if f is not self.scope]
        found = self.inside(functions, depth + 1) if functions else None
        if found is not None:
            return found
        for name in _names(node):
            statement = self.assignment(name, before)
            source = getattr(statement, "value", None)
            if statement is not None and source is not None:
                found = self.guard(statement) or self.within(source, statement.lineno, depth + 1)
                if found is not None:
                    return found
        return None

    def assignment(self, name: str, before: int) -> ast.Assign | ast.AugAssign | None:
        """The last assignment to `name` above line `before`, in the same function."""
        best = None
        for each in ast.walk(self.scope) if self.scope is not None else ():
            if isinstance(each, ast.Assign | ast.AnnAssign | ast.AugAssign):
                targets = each.targets if isinstance(each, ast.Assign) else [each.target]
                texts = {
                    ast.unparse(t)
                    for target in targets
                    for t in (target.elts if isinstance(target, ast.Tuple) else [target])
                }
                above = each.lineno < before and (best is None or each.lineno > best.lineno)
                if name in texts and above:
                    best = each
        return best  # pyright: ignore[reportReturnType]

    def look_up(self, name: str) -> Any:
        parts = name.split(".")
        value = self.frame.f_locals.get(parts[0], self.frame.f_globals.get(parts[0]))
        for part in parts[1:]:
            if value is None:
                return None
            try:
                value = vars(value).get(part) or getattr(value, "_modules", {}).get(part)
            except TypeError:
                return None
        return value


def _scope_of(tree: ast.Module | None, first: int, name: str) -> ast.AST | None:
    for each in ast.walk(tree) if tree is not None else ():
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name:
            start = min([each.lineno, *(d.lineno for d in each.decorator_list)])
            if start <= first <= each.lineno:
                return each
    return tree


def _names(node: ast.AST) -> list[str]:
    """Variables read in an expression, plain and dotted, the called functions left out."""
    called = {id(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
    found: dict[str, None] = {}
    for each in ast.walk(node):
        if id(each) in called:
            if isinstance(each, ast.Attribute):
                found.setdefault(ast.unparse(each.value))
            continue
        if isinstance(each, ast.Name | ast.Attribute):
            found.setdefault(ast.unparse(each))
    return list(found)


def _has_graph(value: Any) -> bool:
    import torch

    if isinstance(value, torch.Tensor):
        return value.requires_grad
    if isinstance(value, list | tuple):
        return any(_has_graph(each) for each in value[:16])
    return False


def _integer(node: ast.expr) -> bool:
    return ast.unparse(node).rsplit(".", 1)[-1] in ("long", "int", "int64", "int32", "bool")
