"""Repairs for problems without an exception: leftover gradients, and graphs kept alive."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.source.blocks import Block, Edit, StatementInScope
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Step, Trace

_STEPS = (ast.Expr, ast.If)
_BARE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
# ``self.opts["critic"]`` of ``self.opts["critic"].step()``.
_STEPPED = re.compile(r"(?<![\w.\]])([A-Za-z_][\w.]*(?:\[[^\[\]]*\])?)\.step\(")


def clear_gradients(trace: Trace, step: Step) -> Help | None:
    """Insert zero_grad() before the first backward whose gradients `step` applies, if both are in
    the same block; else after the step."""
    at, name = step.at, trace.optimizers[step.optimizer].name
    found = _STEPPED.search(at.code) if at is not None else None
    if at is None or found is None or not _ends_alike(found[1], name):
        return None
    zero = f"{found[1]}.zero_grad()"
    # A closure is called again by its own optimizer alone, whatever other losses are called.
    first = step.again or _first_backward(trace, step)
    inside = _in_closure(trace, at, first, zero) if first is not None else None
    if inside is not None:
        return inside
    apart = first is not None and not _accumulates(trace, step, first)
    if first is not None and apart and first.file == at.file and first.line < at.line:
        block = Block(trace.sources.get(at.file, ""), at.file, first.line, at.line)
        begin, end = block.index(first.line), block.index(at.line)
        both = block.statements if begin is not None and end is not None and begin < end else []
        # A step in a branch, when the gradients are finite say, does not come after every backward.
        if both and isinstance(both[begin or 0], ast.Expr) and isinstance(both[end or 0], _STEPS):
            target = both[begin or 0]
            new = f"{' ' * target.col_offset}{zero}\n{block.text(target)}"
            text = message("repairs.left_over.before_backward", call=first.code)
            return block.help(text, [Edit.of(target, new)])
    block = Block(trace.sources.get(at.file, ""), at.file, at.line, at.line)
    index = block.index(at.line)
    target = block.statements[index] if index is not None else None
    if not isinstance(target, ast.Expr):
        return None
    new = f"{block.text(target)}{' ' * target.col_offset}{zero}\n"
    return block.help(message("repairs.left_over.after_step"), [Edit.of(target, new)])


def _ends_alike(code: str, name: str) -> bool:
    """Whether ``self.opts[role]`` in the code may be ``agent.opts["critic"]``."""
    (one, index, key), (other, _, named) = code.partition("["), name.partition("[")
    same = one.rpartition(".")[2] == other.rpartition(".")[2] and bool(index) == bool(named)
    return same and (key[:-1].isidentifier() or key.strip("\"']") == named.strip("\"']"))


def _in_closure(trace: Trace, at: Location, first: Location, zero: str) -> Help | None:
    """Begin the closure that the step at `at` calls, and that runs the backward `first`, with
    `zero`."""
    block = Block(trace.sources.get(at.file, ""), at.file, first.line, first.line)
    called = re.search(r"\.step\((?:closure=)?(\w+)\)", at.code)
    if called is None or first.file != at.file or not block.statements:
        return None
    for node in ast.walk(ast.parse(trace.sources.get(at.file, ""))):
        if (
            isinstance(node, ast.FunctionDef)
            and node.name == called[1]
            and node.lineno < first.line <= (node.end_lineno or 0)
        ):
            target = node.body[0]
            new = f"{' ' * target.col_offset}{zero}\n{block.text(target)}"
            text = message("repairs.left_over.in_closure")
            return block.help(text, [Edit.of(target, new)])
    return None


def clear_after_step(trace: Trace, zero: Location | None, step: Location | None) -> Help | None:
    """Move the zero_grad() at `zero` behind the step at `step`, further down in the same loop."""
    if zero is None or step is None or zero.file != step.file or zero.line >= step.line:
        return None
    block = Block(trace.sources.get(zero.file, ""), zero.file, zero.line, step.line)
    at = block.index(zero.line)
    clearing = block.statements[at] if at is not None else None
    inner = Block(trace.sources.get(step.file, ""), step.file, step.line, step.line)
    place = inner.index(step.line)
    stepping = inner.statements[place] if place is not None else None
    if not isinstance(clearing, ast.Expr) or not isinstance(stepping, ast.Expr):
        return None
    if clearing.lineno != zero.line or stepping.lineno != step.line:
        return None
    line = f"{' ' * stepping.col_offset}{block.text(clearing).strip()}\n"
    after = inner.statements[(place or 0) + 1 :]
    # It may clear them there as well.
    twice = any(ast.unparse(each) == ast.unparse(clearing) for each in after)
    edits = [Edit.of(clearing, "")]
    if not twice:
        edits.append(Edit.of(stepping, inner.text(stepping) + line))
    return block.help(message("repairs.left_over.when_applied"), edits)


def step_of(trace: Trace, at: Location | None, other: str, name: str) -> Help | None:
    """Step `name` in place of `other` at `at`."""
    there = StatementInScope.of(trace, at) if at is not None else None
    if there is None or not is_spelled(name):
        return None
    other, name = _here(there.text(there.statement), other, name)
    call = f"{other}.step("
    if call not in there.text(there.statement):
        return None
    new = there.text(there.statement).replace(call, f"{name}.step(", 1)
    return there.help(message("repairs.left_over.other_optimizer", name=name), new)


def _here(code: str, other: str, name: str) -> tuple[str, str]:
    """Both names as this code spells them: ``self.opt_d`` for ``trainer.opt_d``, where it has
    ``self.opt_g`` for ``trainer.opt_g``."""
    holder, _, last = other.rpartition(".")
    found = re.search(rf"([\w.]+)\.{re.escape(last)}\.step\(", code)
    if not holder or found is None or not name.startswith(f"{holder}."):
        return other, name
    return f"{found[1]}.{last}", found[1] + name.removeprefix(holder)


def add_step(trace: Trace, at: Location | None, name: str) -> Help | None:
    """Add ``name.step()`` behind the backward at `at`."""
    there = StatementInScope.of(trace, at) if at is not None else None
    if there is None or not isinstance(there.statement, ast.Expr) or not is_spelled(name):
        return None
    if "backward(" not in there.text(there.statement):
        return None
    if not re.search(rf"\b{re.escape(name.split('.')[0])}\b", there.source):
        return None
    file = Rewriting.of(trace, at)
    here = file.statement(at.line) if file is not None and at is not None else None
    if file is not None and here is not None:
        name = file.spelled(here, name)
    text = message("repairs.left_over.add_step")
    branch = _other_branch(file, here, name) if file is not None and here is not None else None
    if file is not None and branch is not None:
        place = file.whole(branch)[0]
        return file.help(text, (place, place, f"{' ' * branch.col_offset}{name}.step()\n"))
    return there.help(text, there.text(there.statement), f"{name}.step()")


def _other_branch(file: Rewriting, backward: ast.stmt, name: str) -> ast.stmt | None:
    """The first statement of a branch further down that does not step, where the other one does."""
    body = file.body(backward)
    for each in body[body.index(backward) + 1 :] if backward in body else []:
        if not isinstance(each, ast.If) or not each.orelse:
            continue
        steps = ["\n".join(map(file.text, part)) for part in (each.body, each.orelse)]
        one, other = (f"{name}.step(" in part for part in steps)
        if one != other:
            return (each.orelse if one else each.body)[0]
    return None


def is_spelled(name: str) -> bool:
    """Whether a name can stand in source."""
    try:
        node = ast.parse(name, mode="eval").body
    except SyntaxError:
        return False
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        node = node.value
    return isinstance(node, ast.Name | ast.Attribute)


def detach_kept(trace: Trace, at: Location) -> Help | None:
    """Detach the value that the statement at `at` stores, adds up or appends."""
    source = trace.sources.get(at.file, "")
    block = Block(source, at.file, at.line, at.line)
    index = block.index(at.line)
    statement = block.statements[index] if index is not None else None
    value: ast.expr | None = None
    if isinstance(statement, ast.AugAssign):
        value = statement.value
    elif isinstance(statement, ast.Assign):
        value = None if isinstance(statement.targets[0], ast.Tuple) else statement.value
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        func, given = statement.value.func, statement.value.args
        appends = isinstance(func, ast.Attribute) and func.attr == "append" and len(given) == 1
        value = given[0] if appends else None
    old = ast.get_source_segment(source, value) if value is not None else None
    if statement is None or old is None or value is None or _is_container(source, at, value):
        return None
    if not isinstance(value, ast.Call) and _takes_numbers(source, at, value):
        return None
    new = f"{old}.detach()" if isinstance(value, _BARE) else f"({old}).detach()"
    text = block.text(statement)
    head, _, tail = text.rpartition(old)
    return block.help(
        message("repairs.left_over.detach_kept"),
        [Edit.of(statement, f"{head}{new}{tail}")],
    )


def _function_at(source: str, at: Location) -> ast.FunctionDef | None:
    functions = [
        each
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.FunctionDef) and each.lineno <= at.line <= (each.end_lineno or 0)
    ]
    return functions[-1] if functions else None


def _is_container(source: str, at: Location, value: ast.expr) -> bool:
    """Whether `value` is written as something that holds values, which has no detach(): as a
    dictionary or a record of a class, in place or in a variable, or as all that was given."""
    function = _function_at(source, at)
    scope = ast.parse(source) if function is None else function
    name = value.id if isinstance(value, ast.Name) else ""
    if function is not None and name:
        rest = (function.args.vararg, function.args.kwarg)
        if any(each is not None and each.arg == name for each in rest):
            return True
    stored = [
        each.value
        for each in ast.walk(scope)
        if isinstance(each, ast.Assign) and name in map(ast.unparse, each.targets)
    ]
    return any(
        isinstance(each, ast.Tuple | ast.List | ast.Dict | ast.ListComp | ast.DictComp)
        or (isinstance(each, ast.Call) and _makes_record(source, ast.unparse(each.func)))
        for each in (value, *stored)
    )


def _makes_record(source: str, called: str) -> bool:
    if called in ("dict", "list", "tuple", "asdict", "dataclasses.asdict"):
        return True
    name = re.escape(called)
    return re.search(rf"^\s*(class {name}\b|{name} = .*[nN]amed[tT]uple)", source, re.M) is not None


def _takes_numbers(source: str, at: Location, value: ast.expr) -> bool:
    """Whether `value` is made of an argument that some call of the function gives as a number: a
    number has no detach()."""
    function = _function_at(source, at)
    if function is None:
        return False
    arguments = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    read = {each.id for each in ast.walk(value) if isinstance(each, ast.Name)} - {"self"}
    calls = rf"\b{function.name}\([^\n]*(\.item\(\)|float\()"
    return bool(arguments & read) and re.search(calls, source) is not None


def _accumulates(trace: Trace, step: Step, first: Location) -> bool:
    """Whether several calls of the backward at `first` are for one step: what is cleared before
    each of them is the sum of the others."""
    try:
        tree: ast.AST | None = ast.parse(trace.sources.get(first.file, ""))
    except SyntaxError:
        tree = None
    if any(
        isinstance(node, ast.With)
        and node.lineno <= first.line <= (node.end_lineno or 0)
        and any(".accumulate(" in ast.unparse(each) for each in node.items)
        for node in (ast.walk(tree) if tree is not None else ())
    ):
        return True
    count = 0
    for event in trace.events:
        if event is step:
            break
        if isinstance(event, Step) and event.optimizer == step.optimizer:
            count = 0
        elif isinstance(event, Backward) and event.at == first:
            count += 1
    return count > 1


def _first_backward(trace: Trace, step: Step) -> Location | None:
    """The place of the first backward in the step's iteration whose gradients the step applied, and
    no earlier step of the optimizer."""
    first: Backward | None = None
    for event in trace.events:
        if event is step:
            break
        if isinstance(event, Step) and event.optimizer == step.optimizer:
            first = None
        feeds = isinstance(event, Backward) and event.loss in step.sources
        if isinstance(event, Backward) and feeds and event.iteration == step.iteration:
            first = first or event
    return first.at if first is not None and not first.handed_over else None


def for_input_alone(trace: Trace, backward: Location | None, leaf: str) -> Help | None:
    """``loss.backward(inputs=[x])`` for a ``loss.backward()`` that is there for ``x.grad``."""
    file = Rewriting.of(trace, backward)
    statement = file.statement(backward.line) if file is not None and backward else None
    calls = [
        each
        for each in (ast.walk(statement) if isinstance(statement, ast.Expr) else ())
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr == "backward"
    ]
    if file is None or len(calls) != 1 or any(each.arg == "inputs" for each in calls[0].keywords):
        return None
    end = file.span(calls[0])[1]
    given = ", " if calls[0].args or calls[0].keywords else ""
    text = message("repairs.left_over.for_input", name=leaf)
    return file.help(text, (end - 1, end, f"{given}inputs=[{leaf}])"))
