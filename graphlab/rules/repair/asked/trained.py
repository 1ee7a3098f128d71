"""Repair of gradients asked of a list or a table of parameters that has frozen ones in it: it is
made of those that train."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

_LISTS, _TABLES = ("list", "tuple"), ("dict", "OrderedDict")


def trained_where_listed(trace: Trace, event: Backward) -> Iterator[Help]:
    """``{name: p for name, p in net.named_parameters() if p.requires_grad}`` where the variable is
    made of which the gradients are asked, so that all that goes with it is of the same ones."""
    tensor = trace.tensors[event.subject] if event.subject is not None else None
    file = Rewriting.of(trace, event.at)
    if file is None or event.at is None or tensor is None or tensor.kind != "parameter":
        return
    asked = next(_asked(file, event.at.line), None)
    made = _made(file, asked) if asked is not None else None
    new = _those_that_train(file, made) if made is not None else None
    if made is not None and new is not None:
        text = message("repairs.call.ask_for_trained", name=tensor.name or message("words.it"))
        found = file.help(text, (*file.span(made), new))
        if found is not None:
            yield found


def _asked(file: Rewriting, line: int) -> Iterator[ast.expr]:
    """The variable behind the inputs of the grad() or backward() at a line."""
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = [each.value for each in node.keywords if each.arg == "inputs"]
        given += node.args[1:2] if name == "grad" else []
        for each in given if name in ("grad", "backward") else ():
            while isinstance(each, ast.Call):
                inner = each.func.value if isinstance(each.func, ast.Attribute) else None
                whole = ast.unparse(each.func) in _LISTS and len(each.args) == 1
                values = inner is not None and ast.unparse(each.func).endswith(".values")
                if not whole and not values:
                    break
                each = each.args[0] if whole or inner is None else inner
            if isinstance(each, ast.Name | ast.Attribute):
                yield each


def _made(file: Rewriting, name: ast.expr) -> ast.expr | None:
    """The one expression that the variable is given, by a statement or by the one call of the
    function whose argument it is; None where there are several."""
    function = file.function(name)
    scope = function if function is not None and isinstance(name, ast.Name) else file.tree
    text = ast.unparse(name)
    stores = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Name | ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and ast.unparse(each) == text
    ]
    if len(stores) == 1:
        parent = file.parents.get(id(stores[0]))
        return parent.value if isinstance(parent, ast.Assign) else None
    given = [each.arg for each in function.args.args] if function is not None else []
    if stores or function is None or text not in given:
        return None
    calls = [
        each
        for each in ast.walk(file.tree)
        if isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] == function.name
    ]
    if len(calls) != 1:
        return None
    place = given.index(text) - (given[0] == "self")
    by_name = [each.value for each in calls[0].keywords if each.arg == text]
    value = next(iter([*by_name, *calls[0].args[place : place + 1]]), None)
    further = isinstance(value, ast.Name | ast.Attribute)
    return _made(file, value) if value is not None and further else value


def _those_that_train(file: Rewriting, made: ast.expr) -> str | None:
    """The same list or table, of the parameters that require grad."""
    over = made.args[0] if isinstance(made, ast.Call) and len(made.args) == 1 else None
    kind = ast.unparse(made.func).rpartition(".")[2] if isinstance(made, ast.Call) else ""
    comprehension = getattr(made, "generators", [None])[0]
    if isinstance(made, ast.List) and len(made.elts) == 1:
        star = made.elts[0]
        over, kind = (star.value, "list") if isinstance(star, ast.Starred) else (None, "")
    if isinstance(made, ast.ListComp | ast.DictComp) and len(made.generators) == 1:
        last = getattr(comprehension.target, "elts", [comprehension.target])[-1]
        end = file.span(comprehension.iter)[1]
        if comprehension.ifs or not _is_call(comprehension.iter, "parameters", "named_parameters"):
            return None
        first, finish = file.span(made)
        condition = f" if {file.text(last)}.requires_grad"
        return file.source[first:end] + condition + file.source[end:finish]
    if over is None:
        return None
    if kind in _LISTS and _is_call(over, "parameters"):
        listed = f"p for p in {file.text(over)} if p.requires_grad"
        return f"tuple({listed})" if kind == "tuple" else f"[{listed}]"
    if kind in _TABLES and _is_call(over, "named_parameters"):
        each = f"for name, p in {file.text(over)} if p.requires_grad"
        return f"{{name: p {each}}}" if kind == "dict" else f"OrderedDict((name, p) {each})"
    return None


def _is_call(node: ast.AST | None, *methods: str) -> bool:
    func = node.func if isinstance(node, ast.Call) and not node.args else None
    return isinstance(func, ast.Attribute) and func.attr in methods
