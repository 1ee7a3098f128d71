"""Repairs of an optimizer that was given no parameters, though the module has some."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.given.registering import LISTS, registered
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.sightings import OptimizerRefused


def found_by_parameters(trace: Trace, each: OptimizerRefused) -> Iterator[Help]:
    """A ModuleList for a list of modules, a Parameter for a tensor: for all that the finding names,
    as what is hidden beside them would not be trained."""
    file, at = Rewriting.of(trace, each.cause), each.cause
    made = file.statement(at.line) if file is not None and at is not None else None
    function = file.function(made) if file is not None and made is not None else None
    if file is None or function is None or each.cause is None:
        return
    wanted = {name.rpartition(".")[2] for name in each.told}
    stores = [
        one
        for one in ast.walk(function)
        if isinstance(one, ast.Assign) and _attribute(one.targets[0]) in wanted
    ]
    if len(stores) != len(wanted) or not all(map(file.body, stores)):
        return
    if len(stores) == 1:
        path = f"{each.told[0]}[0].weight" if each.why == "listed" else each.told[0]
        yield from registered(trace, each.cause, [TensorInfo(path, "parameter", (), "")])
        return
    nn = "nn" if "nn." in file.source else "torch.nn"
    kinds = {LISTS.get(type(one.value), "") if each.why == "listed" else "" for one in stores}
    if len(kinds) != 1 or (each.why == "listed" and kinds == {""}):
        return
    kind = kinds.pop() or "Parameter"
    if any("Parameter" in file.text(one.value) for one in stores):
        return
    edits = [(*file.span(one.value), f"{nn}.{kind}({file.text(one.value)})") for one in stores]
    key = "make_parameter" if kind == "Parameter" else "make_kind"
    found = file.help(message(f"repairs.tried.{key}", kind=kind), *edits)
    if found is not None:
        yield found


def _attribute(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def kept_in_a_list(trace: Trace, each: OptimizerRefused) -> Iterator[Help]:
    """``list(model.parameters())`` for a generator of them that something else had used up."""
    file, at = Rewriting.of(trace, each.cause), each.cause
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or not isinstance(statement, ast.Assign):
        return
    value, name = statement.value, ast.unparse(statement.targets[0])
    new = f"list({file.text(value)})"
    if isinstance(value, ast.GeneratorExp):
        new = f"[{file.text(value)[1:-1].strip()}]"
    found = file.help(message("repairs.given.listed", name=name), (*file.span(value), new))
    if found is not None:
        yield found


def unpacked(trace: Trace, each: OptimizerRefused) -> Help | None:
    """``Adam([*net.parameters(), scale])`` for ``Adam([net.parameters(), scale])``."""
    file, at = Rewriting.of(trace, each.at), each.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return None
    found = [
        one
        for node in ast.walk(statement)
        if isinstance(node, ast.List | ast.Tuple)
        for one in node.elts
        if ast.unparse(one) == each.told[0]
    ]
    if len(found) != 1:
        return None
    words = {"names": each.told[0]}
    text = f"*{file.text(found[0])}"
    return file.help(message("repairs.given.unpacked", **words), (*file.span(found[0]), text))


def flattened(trace: Trace, each: OptimizerRefused) -> Iterator[Help]:
    """The parameters of all groups as one list, for an optimizer that has no groups. Where the
    groups differ in an option, as in their rates, which of them is meant is not known."""
    if len(each.told) > 1:
        return
    file, at = Rewriting.of(trace, each.at), each.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    calls = [
        one
        for one in (ast.walk(statement) if statement is not None else ())
        if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] == "LBFGS"
    ]
    if file is None or len(calls) != 1 or not calls[0].args:
        return
    given = calls[0].args[0]
    text = f'[p for group in {file.text(given)} for p in group["params"]]'
    found = file.help(message("repairs.given.flattened"), (*file.span(given), text))
    if found is not None:
        yield found
