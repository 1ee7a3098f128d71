"""Repair of a result that is used nowhere, where a later call takes an argument of that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def handed_over(trace: Trace, known: Location | None, tensors: Sequence[int]) -> Iterator[Help]:
    """``self.decoder(x, hidden)`` for ``self.decoder(x)``, where ``hidden`` is what the modules of
    `tensors`, which no gradient reaches, gave. known: any place in the program's files."""
    parts = {part for at in tensors for part in (trace.tensors[at].name or "").split(".")}
    files = [
        file
        for path in sorted(trace.sources)
        if (file := Rewriting.of(trace, _in(known, path))) is not None
    ]
    for file in files:
        for function in ast.walk(file.tree):
            if isinstance(function, Function):
                yield from _in_function(files, file, function, parts)


def _in(known: Location | None, path: str) -> Location | None:
    return replace(known, file=path) if known is not None else None


def _in_function(
    files: list[Rewriting], file: Rewriting, function: Function, parts: set[str]
) -> Iterator[Help]:
    read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and _loaded(n)}
    for made in ast.walk(function):
        if not isinstance(made, ast.Assign) or not isinstance(made.value, ast.Call):
            continue
        maker = made.value.func
        if not isinstance(maker, ast.Attribute) or maker.attr not in parts:
            continue
        bound = {n.id for n in ast.walk(made.targets[0]) if isinstance(n, ast.Name)}
        for name in sorted(bound - read):
            calls = [
                each
                for each in ast.walk(function)
                if isinstance(each, ast.Call)
                and each.lineno > made.lineno
                and _lacks(files, each, name)
            ]
            if len(calls) != 1:
                continue
            end = file.span(calls[0])[1] - 1
            comma = ", " if calls[0].args or calls[0].keywords else ""
            found = file.help(
                message("repairs.handed.over", name=name, call=f"{file.text(calls[0].func)}()"),
                (end, end, f"{comma}{name}={name}"),
            )
            if found is not None:
                yield found


def _loaded(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _lacks(files: list[Rewriting], call: ast.Call, name: str) -> bool:
    """Whether what is called takes an optional argument `name`, and is not given it."""
    if any(word.arg in (name, None) for word in call.keywords):
        return False
    if any(isinstance(each, ast.Starred) for each in call.args):
        return False
    func = call.func
    called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    found = [each for file in files for each in _definitions(file, called)]
    if len(found) != 1:
        return False
    given = found[0].args
    names = [each.arg for each in (*given.posonlyargs, *given.args)]
    names = names[1:] if names[:1] == ["self"] else names
    optional = names[len(names) - len(given.defaults) :] if given.defaults else []
    only = [each.arg for each in given.kwonlyargs]
    return name in only or (name in optional and names.index(name) >= len(call.args))


def _definitions(file: Rewriting, called: str) -> Iterator[Function]:
    """The function of that name, or the forward of the module that an attribute of it holds."""
    classes = {each.name: each for each in ast.walk(file.tree) if isinstance(each, ast.ClassDef)}
    for node in ast.walk(file.tree):
        if isinstance(node, Function) and node.name == called:
            yield node
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = [*zip(target.elts, value.elts, strict=False)]
        for one, made in pairs:
            held = isinstance(one, ast.Attribute) and one.attr == called
            kind = ast.unparse(made.func) if held and isinstance(made, ast.Call) else ""
            for each in classes[kind].body if kind in classes else ():
                if isinstance(each, Function) and each.name == "forward":
                    yield each
