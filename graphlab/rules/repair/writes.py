"""Repairs of one write: out of place, into a copy, by a module not in place, or under no_grad."""

from __future__ import annotations

import ast
import re
import textwrap

from graphlab.language import message
from graphlab.source.blocks import Edit, StatementInScope
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Saved, Trace, Write

# In-place methods without an out-of-place form of the same name.
_NO_TWIN = {
    "bernoulli_", "cauchy_", "copy_", "exponential_", "fill_", "fill_diagonal_", "geometric_",
    "log_normal_", "normal_", "random_", "resize_", "resize_as_", "set_", "uniform_", "zero_",
}  # fmt: skip
_BARE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)


def write_out_of_place(
    trace: Trace, at: Location, by: str, why: str, element: bool = False
) -> Help | None:
    """Rewrite the statement at `at` so that it makes a new tensor. `by` is the write as described
    in the finding, `why` the reason in the help. `element`: what is written is an item of a list
    or a dictionary of tensors."""
    here = StatementInScope.of(trace, at)
    if here is None:
        return None
    if element:
        found = _new_item(here, why)
        if found is not None:
            return found
    inner = re.search(r", through torch\.(\w+)$", by)
    if inner is not None:
        return _module_not_inplace(here, inner[1], why)
    part = "[…] = …" in by or _puts_back(trace, at)
    listed = _is_element(here.statement) and not part
    new = _augmented(here, listed) or _without_underscore(here)
    if new is not None:
        return here.help(message("repairs.writes.new_tensor", why=why), new)
    base = _written_part(here)
    if base is None or listed or not here.may_rebind(base):
        return None
    name = ast.unparse(base)
    lines = [f"{name} = {name}.clone()", here.text(here.statement)]
    value = getattr(here.statement, "value", None)
    if value is not None and not isinstance(here.statement, ast.Expr) and name in _loaded(value):
        # The right side must read the old tensor, not the copy that is about to be written.
        fresh = next(each for each in ("new", "value", f"new_{name}") if each not in here.source)
        lines[1] = lines[1].replace(here.text(value), fresh)
        lines.insert(0, f"{fresh} = {here.text(value)}")
    return here.help(message("repairs.writes.copy_of", name=name, why=why), *lines)


def _new_item(here: StatementInScope, why: str) -> Help | None:
    """Put a new tensor into the list whose item a statement writes."""
    item = _item_of(here.statement)
    if item is None:
        return None
    name = here.text(item)
    statement = here.statement
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        method, given = call.func.attr, call.args
        if here.text(call.func.value) == name and method == "copy_" and len(given) == 1:
            text = message("repairs.writes.into_the_list", why=why)
            return here.help(text, f"{name} = {here.text(given[0])}")
        if here.text(call.func.value) == name and method not in _NO_TWIN:
            text = message("repairs.writes.new_tensor", why=why)
            return here.help(text, f"{name} = {_twin(here, call)}")
    if isinstance(statement, ast.AugAssign) and here.text(statement.target) == name:
        return None
    text = message("repairs.writes.copy_of", name=name, why=why)
    return here.help(text, f"{name} = {name}.clone()", here.text(statement))


def _item_of(statement: ast.stmt) -> ast.Subscript | None:
    """The item of a list that a statement writes: ``states[0]`` of ``states[0].copy_(x)`` and of
    ``states[0][:, 1] = x``."""
    target: ast.expr | None = None
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        target = _target_of(_chain(statement.value)[-1])
    found = None
    while isinstance(target, ast.Subscript | ast.Attribute | ast.Call):
        if isinstance(target, ast.Subscript):
            found = target
        target = target.func if isinstance(target, ast.Call) else target.value
    if found is None or not isinstance(found.value, ast.Name | ast.Attribute):
        return None
    simple = not isinstance(found.slice, ast.Slice | ast.Tuple)
    return found if simple else None


def update_under_no_grad(trace: Trace, saved: Saved, at: Location, alone: bool) -> Help | None:
    """Put the update of a buffer under no_grad and, unless nothing but the buffer made autograd
    save it, let the statement that saved it use a clone."""
    here = StatementInScope.of(trace, at)
    if here is None or not re.search(r"^import torch$", here.source, re.M):
        return None
    if not is_write(here.statement):
        return None
    first = last = here.statement
    for each in here.following():
        if not (is_write(each) and here.owns_its_lines(each)):
            break
        last = each
    for each in reversed(here.preceding()):
        if not (is_write(each) and here.owns_its_lines(each)):
            break
        first = each
    start, end = first.lineno, last.end_lineno or last.lineno
    lines = "".join(here.lines[start - 1 : end])
    indent = " " * first.col_offset
    edits = [Edit(start, end, f"{indent}with torch.no_grad():\n{textwrap.indent(lines, '    ')}")]
    name = trace.tensors[saved.tensor].name or message("repairs.writes.the_buffer")
    if alone:
        return here.block.help(message("repairs.writes.update", name=name), edits)
    copied = save_a_copy(trace, saved, "")
    line = saved.at.line if saved.at is not None else 0
    if copied is None or copied.line is None or start <= line <= end:
        return None
    edits.append(Edit(copied.line, copied.line + copied.before.count("\n") - 1, copied.after))
    return here.block.help(message("repairs.writes.update_and_copy", name=name), edits)


def save_a_copy(trace: Trace, saved: Saved, why: str) -> Help | None:
    """Let the statement that saved a tensor use a clone. For a buffer, which is meant to be
    written."""
    name = trace.tensors[saved.tensor].name if saved.tensor >= 0 else None
    here = StatementInScope.of(trace, saved.at) if saved.at is not None and name else None
    if here is None or name is None:
        return None
    last = name.rsplit(".", 1)[-1]
    uses = [
        each
        for each in ast.walk(here.statement)
        if isinstance(each, ast.Attribute) and each.attr == last and isinstance(each.ctx, ast.Load)
    ]
    if len(uses) != 1:
        return None
    text = here.text(uses[0])
    statement = here.text(here.statement)
    if statement.count(text) != 1:
        return None
    said = message("repairs.writes.use_a_copy", name=text, why=why)
    return here.help(said, statement.replace(text, f"{text}.clone()"))


def under_no_grad(trace: Trace, at: Location) -> Help | None:
    """Put the statement at `at`, and the writes directly after it, under no_grad."""
    here = StatementInScope.of(trace, at)
    if here is None or not re.search(r"^import torch$", here.source, re.M):
        return None
    if not is_write(here.statement):
        # Its result is used, and would have no graph under no_grad.
        return None
    last = here.statement
    for each in here.following():
        if not is_write(each) or not here.owns_its_lines(each):
            break
        last = each
    first = here.statement.lineno
    end = last.end_lineno or last.lineno
    lines = "".join(here.lines[first - 1 : end])
    indent = " " * here.statement.col_offset
    new = f"{indent}with torch.no_grad():\n{textwrap.indent(lines, '    ')}"
    text = message("repairs.writes.under_no_grad")
    return here.block.help(text, [Edit(first, end, new)])


def _augmented(here: StatementInScope, listed: bool) -> str | None:
    """``h = h + x`` for ``h += x``; for ``h[0] += x`` only if `h` is a list (`listed`)."""
    statement = here.statement
    if not isinstance(statement, ast.AugAssign):
        return None
    if not listed and not _is_variable(statement.target):
        return None
    if not here.may_rebind(statement.target):
        return None
    return f"{here.text(statement.target)} = {result_of(here, statement)}"


def result_of(here: StatementInScope, statement: ast.AugAssign) -> str:
    """``h + x`` for ``h += x``."""
    target, value = here.text(statement.target), here.text(statement.value)
    sign = ast.unparse(ast.BinOp(ast.Name("a"), statement.op, ast.Name("b")))[2:-2]
    tight = isinstance(statement.value, ast.BinOp) and isinstance(
        statement.value.op, ast.Mult | ast.Div | ast.MatMult | ast.Pow
    )
    if not isinstance(statement.value, _BARE) and not (tight and sign in "+-"):
        value = f"({value})"
    return f"{target} {sign} {value}"


def _without_underscore(here: StatementInScope) -> str | None:
    """``x = x.clamp(0)`` for ``x.clamp_(0)``, ``y = F.relu(x)`` for ``y = F.relu_(x)``."""
    statement = here.statement
    calls = [each for each in ast.walk(statement) if _is_write_call(each)]
    if not calls:
        return None
    assert isinstance(calls[0], ast.Call)
    chain = _chain(calls[0])
    written = _target_of(chain[-1])
    if len(calls) > len(chain) or not all(_has_twin(each) for each in chain):
        return None
    twin = _twin(here, calls[0])
    if isinstance(statement, ast.Expr) and statement.value is calls[0]:
        if written is None or not _is_variable(written) or not here.may_rebind(written):
            return None
        return f"{here.text(written)} = {twin}"
    same = isinstance(statement, ast.Assign) and [ast.unparse(t) for t in statement.targets] == [
        ast.unparse(written) if written is not None else ""
    ]
    private = written is not None and not isinstance(written, ast.Name | ast.Attribute)
    unused = isinstance(written, ast.Name) and not here.used_later(written.id)
    if not (same or private or unused):
        return None
    return here.text(statement).replace(here.text(calls[0]), twin, 1)


def out_of_place(here: StatementInScope) -> str | None:
    """What a statement, which is nothing but a write, would give out of place."""
    call = here.statement.value if isinstance(here.statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not _is_write_call(call):
        return None
    return _twin(here, call) if all(map(_has_twin, _chain(call))) else None


def _chain(call: ast.Call) -> list[ast.Call]:
    """A call and the calls that it is chained to, as long as each of them writes in place."""
    chain = [call]
    while isinstance(chain[-1].func, ast.Attribute) and _is_write_call(chain[-1].func.value):
        receiver = chain[-1].func.value
        assert isinstance(receiver, ast.Call)
        chain.append(receiver)
    return chain


def _has_twin(call: ast.Call) -> bool:
    func = call.func
    initialiser = isinstance(func, ast.Attribute) and ast.unparse(func.value).endswith("init")
    return _name_of(call) not in _NO_TWIN and not initialiser


def _twin(here: StatementInScope, call: ast.Call) -> str:
    """The source of the same call out of place."""
    func = call.func
    if isinstance(func, ast.Attribute):
        inner = func.value
        receiver = (
            _twin(here, inner)
            if isinstance(inner, ast.Call) and _is_write_call(inner)
            else here.text(inner)
        )
        name = f"{receiver}.{func.attr.rstrip('_')}"
    else:
        name = here.text(func).rstrip("_")
    kept = [here.text(each) for each in call.args]
    kept += [here.text(each) for each in call.keywords if each.arg not in ("inplace", "out")]
    return f"{name}({', '.join(kept)})"


def _module_not_inplace(here: StatementInScope, function: str, why: str) -> Help | None:
    """Build the module whose call writes without inplace=True, if it can be identified."""
    wanted = function.rstrip("_").replace("_", "")
    built = [
        each
        for each in ast.walk(ast.parse(here.source))
        if isinstance(each, ast.Call)
        and _name_of(each).lower() == wanted
        and _inplace(each) is not None
    ]
    called = {
        ast.unparse(each.func) for each in ast.walk(here.statement) if isinstance(each, ast.Call)
    }
    mine = [
        each.value
        for each in ast.walk(ast.parse(here.source))
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) in called
    ]
    named = [each for each in built if ast.dump(each) in [ast.dump(value) for value in mine]]
    only = named if len(named) == 1 else built
    if len(only) != 1 or only[0].lineno != only[0].end_lineno:
        return None
    line = here.lines[only[0].lineno - 1]
    dropped = _inplace(only[0])
    kept = [here.text(each) for each in only[0].args if each is not dropped]
    kept += [here.text(each) for each in only[0].keywords if each is not dropped]
    new = line.replace(here.text(only[0]), f"{here.text(only[0].func)}({', '.join(kept)})", 1)
    name = _name_of(only[0])
    return here.block.help(
        message("repairs.writes.not_in_place", name=name, why=why),
        [Edit(only[0].lineno, only[0].lineno, new)],
    )


def _inplace(call: ast.Call) -> ast.AST | None:
    """The ``inplace=True`` argument of a module's constructor, or None."""
    for word in call.keywords:
        if word.arg == "inplace" and isinstance(word.value, ast.Constant) and word.value.value:
            return word
    only = call.args[0] if len(call.args) == 1 and not call.keywords else None
    return only if isinstance(only, ast.Constant) and only.value is True else None


def is_write(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AugAssign):
        return True
    if isinstance(statement, ast.Assign):
        return all(isinstance(each, ast.Subscript) for each in statement.targets)
    return isinstance(statement, ast.Expr) and _is_write_call(statement.value)


def _is_write_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = _name_of(node)
    inplace = any(
        word.arg == "inplace" and isinstance(word.value, ast.Constant) and word.value.value
        for word in node.keywords
    )
    into = any(word.arg == "out" for word in node.keywords)
    return inplace or into or (name.endswith("_") and not name.endswith("__"))


def _name_of(call: ast.Call) -> str:
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _target_of(call: ast.Call) -> ast.expr | None:
    """What a call writes: its `out`, its receiver, or the first argument of a function."""
    for word in call.keywords:
        if word.arg == "out":
            return word.value
    func = call.func
    if isinstance(func, ast.Attribute) and func.attr.endswith("_") and not _is_torch(func.value):
        return func.value
    return call.args[0] if call.args else None


def _is_torch(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[0] in ("torch", "F", "nn", "init", "functional")


def _loaded(node: ast.AST) -> set[str]:
    return {ast.unparse(each) for each in ast.walk(node) if _is_variable(each)}


def _written_part(here: StatementInScope) -> ast.expr | None:
    """The variable whose elements a statement writes, or None."""
    statement = here.statement
    target: ast.expr | None = None
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    if not isinstance(target, ast.Subscript):
        calls = [each for each in ast.walk(statement) if _is_write_call(each)]
        target = _target_of(_chain(calls[0])[-1]) if len(calls) == 1 else None  # type: ignore[arg-type]
    while isinstance(target, ast.Subscript) and not _is_variable(target):
        target = target.value
    return target if target is not None and _is_variable(target) else None


def _puts_back(trace: Trace, at: Location) -> bool:
    """Whether `h[0] += x` wrote to `h` itself, so that `h` is a tensor and not a list."""
    return any(
        isinstance(event, Write) and event.at is not None and "[…] = …" in event.by
        and (event.at.file, event.at.line) == (at.file, at.line)
        for event in trace.events
    )  # fmt: skip


def _is_element(statement: ast.stmt) -> bool:
    """Whether it writes to an element that may be a tensor in a list."""
    target = getattr(statement, "target", None)
    return isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice | ast.Tuple)


def _is_variable(node: ast.AST) -> bool:
    """A name, an attribute, or an entry of a dictionary."""
    if isinstance(node, ast.Subscript):
        key = node.slice
        return (
            isinstance(key, ast.Constant)
            and isinstance(key.value, str)
            and _is_variable(node.value)
        )
    return isinstance(node, ast.Name) or (
        isinstance(node, ast.Attribute) and _is_variable(node.value)
    )
