"""Repair of a softmax before a loss that has one."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.source.rewriting import Rewriting
from graphlab.source.vocabulary import LIBRARIES
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_NAMES = ("softmax", "log_softmax", "sigmoid")
_DRAWING = ("round", "bernoulli", "multinomial", "Bernoulli", "Categorical")


def without_softmax(trace: Trace, at: Location | None) -> Help | None:
    """Leave the one call of softmax() or the like out of the statement at `at`."""
    there = StatementInScope.of(trace, at) if at is not None else None
    if there is None:
        return None
    calls = [
        node
        for node in ast.walk(there.statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and ast.unparse(node.func).rsplit(".", 1)[-1] in _NAMES
    ]
    if len(calls) != 1:
        return None
    call = calls[0]
    inner = call.args[0] if call.args else None
    if (
        isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func).split(".")[0] not in LIBRARIES
    ):
        inner = call.func.value
    if inner is None:
        return None
    whole, bare = there.text(there.statement), there.text(inner)
    if not isinstance(inner, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
        bare = f"({bare})"
    new = whole.replace(there.text(call), bare, 1)
    if new == whole or "\n" in whole:
        return None
    left = ast.parse(new.strip()).body[0] if not new.startswith("return") else None
    if isinstance(left, ast.Assign) and ast.unparse(left.value) == ast.unparse(left.targets[0]):
        # Nothing would be left of it but ``x = x``.
        file = Rewriting.of(trace, at)
        statement = file.statement(there.at.line) if file is not None else None
        if file is None or statement is None or len(file.body(statement)) < 2:
            return None
        gone = file.help(message("repairs.double_softmax.leave_out"), (*file.whole(statement), ""))
        return as_scores(trace, gone) if gone is not None else None
    found = there.help(message("repairs.double_softmax.leave_out"), new)
    return as_scores(trace, found) if found is not None else None


def with_logarithm(trace: Trace, at: Location | None, module: str) -> Iterator[Help]:
    """``log_softmax`` for the one ``softmax`` in the statement at `at`: a function, or the class
    `module` of torch's that is built there."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return
    old = module or "softmax"
    calls = [
        node.func
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and ast.unparse(node.func).rsplit(".", 1)[-1] == old
    ]
    new = {"Softmax": "LogSoftmax", "softmax": "log_softmax"}.get(old)
    # A bare name of this kind may not be imported.
    if new is not None and len(calls) == 1 and isinstance(calls[0], ast.Attribute):
        end = file.span(calls[0])[1]
        said = message("repairs.double_softmax.logarithm", old=old, new=new)
        found = file.help(said, (end - len(old), end, new))
        if found is not None:
            line = _read_elsewhere(file, statement)
            choice = message("fix.meant.probability", line=line) if line is not None else ""
            yield replace(found, choice=choice) if choice else as_scores(trace, found)


def _read_elsewhere(file: Rewriting, statement: ast.stmt) -> int | None:
    """The first line that reads the variable which a statement binds, beside the one below it that
    computes the loss; the largest of several numbers is the same among their logarithms."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    names = {each.id for each in targets if isinstance(each, ast.Name)}
    reads = [
        node.lineno
        for node in ast.walk(file.function(statement) or file.tree)
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id in names
        and node.lineno > statement.lineno
        and getattr(file.parents.get(id(node)), "attr", "") not in ("argmax", "shape", "size")
    ]
    return sorted(reads)[1] if len(reads) > 1 else None


def has_logarithms(trace: Trace, loss: Location | None) -> bool:
    """Whether the target of the divergence at `loss` is the result of a logarithm, as far as the
    function around it says."""
    file = Rewriting.of(trace, loss)
    statement = file.statement(loss.line) if file is not None and loss is not None else None
    if file is None or statement is None:
        return True
    scope = file.function(statement) or file.tree
    assigned = [node for node in ast.walk(scope) if isinstance(node, ast.Assign)]
    for call in ast.walk(statement):
        if not isinstance(call, ast.Call) or len(call.args) + len(call.keywords) < 2:
            continue
        named = [each.value for each in call.keywords if each.arg == "target"]
        target = call.args[1] if len(call.args) > 1 else named[0] if named else None
        values = [
            each.value
            for each in assigned
            if target is not None and ast.unparse(target) in map(ast.unparse, each.targets)
        ]
        if any("log" in ast.unparse(each) for each in (*values, target) if each is not None):
            return True
    return False


def as_scores(trace: Trace, help: Help) -> Help:
    """`help`, which makes scores of probabilities: where a line may read them as probabilities,
    whether it is to be changed as well is not in the program."""
    for source in trace.sources.values():
        line = _read_as_probability(source)
        if line is not None:
            return replace(help, choice=message("fix.meant.probability", line=line))
    return help


def _read_as_probability(source: str) -> int | None:
    """The first line that compares a result with a number between 0 and 1, rounds it, or draws by
    it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    results = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _calls(node.value)
        for target in node.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    }

    def result(node: ast.AST) -> bool:
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        return _calls(node) or bool(names & results)

    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            numbers = [each.value for each in node.comparators if isinstance(each, ast.Constant)]
            reads = any(isinstance(each, float) and 0 < each < 1 for each in numbers)
        else:
            reads = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _DRAWING
        if isinstance(node, ast.Compare | ast.Call) and reads and result(node):
            return node.lineno
    return None


def _calls(node: ast.AST) -> bool:
    """Whether it calls something of the program's own, a model say: no function of a library, and
    no method of a variable."""
    names = [ast.unparse(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)]
    dotted = [each.split(".") for each in names if "(" not in each]
    own = [parts for parts in dotted if parts[0] not in {*LIBRARIES, *dir(builtins)}]
    return any(len(parts) != 2 or parts[0] == "self" for parts in own)
