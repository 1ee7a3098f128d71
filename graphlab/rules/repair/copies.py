"""Repairs for what was kept by reference: clones of the values, a deep copy of the object."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.source.places import nodes_in, place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.module_sightings import OneNetwork

_CLONES = "{{key: value.clone() for key, value in {given}.items()}}"


def clone_taken(trace: Trace, at: Location) -> Help | None:
    """Clone the values that the state_dict() at `at` gives; None for an optimizer's, which holds
    more than tensors, and where there is not exactly one."""
    here = StatementInScope.of(trace, at)
    if here is None:
        return None
    calls = [
        node
        for node in ast.walk(here.statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "state_dict"
    ]
    if len(calls) != 1 or "opt" in ast.unparse(calls[0].func).lower():
        return None
    given = here.text(calls[0])
    whole = here.text(here.statement)
    if whole.count(given) != 1 or "\n" in whole:
        return None
    new = whole.replace(given, _CLONES.format(given=given))
    return here.help(message("repairs.copies.clones"), new)


def clone_kept(trace: Trace, at: Location, kept: str) -> Help | None:
    """Keep a clone of ``p.data``, where the line at `at` has it once."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None else None
    if file is None or statement is None:
        return None
    found = [
        each
        for each in ast.walk(statement)
        if isinstance(each, ast.expr) and each.lineno == at.line and ast.unparse(each) == kept
    ]
    if len(found) != 1:
        return None
    return file.help(message("repairs.copies.clones"), *file.followed(found[0], ".clone()"))


def clone_example(trace: Trace, at: Location | None, name: str) -> Iterator[Help]:
    """``x = data.clone().requires_grad_()`` where `name`, whose gradient is read at `at`, is only
    another name of the data."""
    file = Rewriting.of(trace, at)
    reading = file.statement(at.line) if file is not None and at is not None else None
    scope = (file.function(reading) or file.tree) if file is not None and reading else None
    if file is None or reading is None or scope is None:
        return
    names = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Assign)
        and each.lineno < reading.lineno
        and [ast.unparse(target) for target in each.targets] == [name]
    ]
    value = max(names, key=lambda each: each.lineno).value if names else None
    func = value.func if isinstance(value, ast.Call) else None
    if isinstance(func, ast.Attribute) and func.attr == "requires_grad_":
        value = func.value
    if isinstance(value, ast.Name | ast.Attribute):
        found = file.help(message("repairs.copies.example"), *file.followed(value, ".clone()"))
        if found is not None:
            yield found


def clone_read(trace: Trace, at: Location, kept: str) -> Help | None:
    """Clone the item that is read from `kept`, where the function around `at` reads one once, and
    before that line or in it."""
    file = Rewriting.of(trace, at)
    around = [
        each
        for each in (ast.walk(file.tree) if file is not None else ())
        if isinstance(each, ast.FunctionDef) and each.lineno <= at.line <= (each.end_lineno or 0)
    ]
    if file is None or not around:
        return None
    found = [
        each
        for each in ast.walk(max(around, key=lambda each: each.lineno))
        if isinstance(each, ast.Subscript) and ast.unparse(each.value) == kept
    ]
    if len(found) != 1 or not isinstance(found[0].ctx, ast.Load) or found[0].lineno > at.line:
        return None
    return file.help(message("repairs.copies.item"), *file.followed(found[0], ".clone()"))


def copy_object(trace: Trace, at: Location) -> Help | None:
    """Bind the variable to a deep copy of the object that the statement at `at` gives it."""
    here = StatementInScope.of(trace, at)
    statement = here.statement if here is not None else None
    if here is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    value = statement.value
    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("copy.copy", "copy"):
        value = value.args[0] if value.args else value
    whole, old, given = here.text(statement), here.text(statement.value), here.text(value)
    if not isinstance(value, ast.Name | ast.Attribute) or "\n" in whole:
        return None
    head, _, _ = whole.rpartition(old)
    text, new = message("repairs.copies.deep_copy"), f"{head}copy.deepcopy({given})"
    if re.search(r"^\s*import copy\b", here.source, re.M):
        return here.help(text, new)
    file = Rewriting.of(trace, at)
    first = next((e for e in (file.tree.body if file else []) if isinstance(e, ast.Import)), None)
    if file is None or first is None or re.search(r"\bcopy\b(?!\()", here.source):
        return None
    place = file.whole(first)[0]
    return file.help(text, (place, place, "import copy\n"), (*file.span(statement), new))


def copy_frozen(trace: Trace, at: Location | None) -> Iterator[Help]:
    """The same where the line at `at` freezes a network that is another one's second name."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return
    loop = next((e for e in file.around(statement) if isinstance(e, ast.For)), None)
    said = ast.unparse(loop.iter) if loop is not None else ast.unparse(statement)
    frozen = re.match(r"([\w.]+)\.(?:parameters\(\)|requires_grad_\(False\)|eval\(\))", said)
    names = [
        each
        for each in ast.walk(file.tree)
        if isinstance(each, ast.Assign)
        and frozen is not None
        and [ast.unparse(target) for target in each.targets] == [frozen[1]]
    ]
    if len(names) == 1 and isinstance(names[0].value, ast.Name | ast.Attribute):
        found = copy_object(trace, place(names[0], file.file, source=file.source))
        if found is not None:
            yield found


def mixed_into(trace: Trace, each: OneNetwork) -> bool:
    """Whether a loop of the program goes over the parameters of both names side by side, as what
    mixes one network into another does: it was meant for two."""
    mine = {each.one.rpartition(".")[2], each.other.rpartition(".")[2]}
    for source in trace.sources.values():
        for node in nodes_in(source):
            over = node.iter if isinstance(node, ast.For) else None
            if isinstance(over, ast.Call) and ast.unparse(over.func) == "zip":
                sides = [re.findall(r"\w+", ast.unparse(one)) for one in over.args]
                told = {word for words in sides for word in words}
                if len(sides) == 2 and mine <= told and all(mine & {*each} for each in sides):
                    return True
    return False


def load_original(trace: Trace, at: Location | None, receiver: str) -> Help | None:
    """Load the values of what the module was copied from, where one line copies it."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return None
    made = [
        each.value
        for each in ast.walk(file.tree)
        if isinstance(each, ast.Assign) and receiver in map(ast.unparse, each.targets)
    ]
    copied = [
        each.args[0]
        for value in made
        for each in ast.walk(value)
        if isinstance(each, ast.Call)
        and ast.unparse(each.func) in ("copy.deepcopy", "deepcopy")
        and len(each.args) == 1
    ]
    given = [
        each.func.value
        for each in ast.walk(statement)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr == "state_dict"
        and ast.unparse(each.func.value) == receiver
    ]
    if len(made) != 1 or len(copied) != 1 or len(given) != 1:
        return None
    original = copied[0]
    plain = isinstance(original, ast.Name | ast.Attribute)
    # A method knows the attributes of its object, and no variable of another function.
    here = file.function(statement) is file.function(original) or "." in receiver
    if not plain or not here or ("." in receiver) != isinstance(original, ast.Attribute):
        return None
    name = file.text(original)
    text = message("repairs.copies.original", receiver=receiver, name=name)
    return file.help(text, (*file.span(given[0]), name))
