"""Repairs that make all ranks do the same: wrap the model, make a call on every rank."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.bodies import in_one_body
from graphlab.source.blocks import StatementInScope
from graphlab.source.places import line_place, nodes_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import DDP, Wrapped

# What gives the parts of a module.
PARTS = re.compile(r"\b(named_)?(parameters|modules|children)\(")
_WHOLE = f"torch.nn.parallel.{DDP}"


def built_at(trace: Trace, tensor: int) -> Location | None:
    """The one line that assigns what a parameter's name begins with, as ``model = Net()``."""
    return assigned_at(trace, trace.tensors[tensor].name or "")


def assigned_at(trace: Trace, name: str) -> Location | None:
    """The one line that assigns the result of a call to what `name` begins with."""
    root = name.split(".")[0]
    found = [
        line_place(file, node.lineno, source=source)
        for file, source in trace.sources.items()
        for node in _assignments(source)
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == root
    ]
    return found[0] if len(found) == 1 else None


def only_call(trace: Trace, name: str, whole: bool = False) -> Location | None:
    """The one line that calls a function of this name; of this `whole` one, with what has it."""
    found = {
        line_place(file, node.lineno, source=source)
        for file, source in trace.sources.items()
        for statement in _statements(source)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and (ast.unparse(node.func) if whole else ast.unparse(node.func).rpartition(".")[2]) == name
    }
    return found.pop() if len(found) == 1 else None


def item_assignments(trace: Trace, key: str) -> Iterator[Place]:
    """The lines that assign to an item of that name, as ``group["lr"] = …``."""
    for file, source in trace.sources.items():
        for node in _statements(source):
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AugAssign) else targets
            for each in targets:
                if isinstance(each, ast.Subscript) and ast.unparse(each.slice) == repr(key):
                    yield Place(line_place(file, node.lineno, source=source), ast.unparse(each))


def _statements(source: str) -> list[ast.stmt]:
    return [node for node in nodes_in(source) if isinstance(node, ast.stmt)]


def _assignments(source: str) -> list[ast.Assign]:
    return [
        node
        for node in _statements(source)
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.value, ast.Call)
    ]


def wrapped_there(trace: Trace, at: Location) -> Help | None:
    """Wrap the model that the statement at `at` assigns, in DistributedDataParallel."""
    here = StatementInScope.of(trace, at)
    if here is None or not isinstance(here.statement, ast.Assign):
        return None
    name = _wrapper_name(here.source)
    value = here.text(here.statement.value)
    text = here.text(here.statement)
    if name is None or text.count(value) != 1:
        return None
    return here.help(message("repairs.wrapped.wrap"), text.replace(value, f"{name}({value})"))


def begins_alike(trace: Trace, at: Location, owner: str = "") -> Help | None:
    """Broadcast the parameters of the model that the statement at `at` assigns, or of the `owner`
    that what it assigns has."""
    here = StatementInScope.of(trace, at)
    if here is None or not isinstance(here.statement, ast.Assign):
        return None
    dist = imported(here.source).get("torch.distributed")
    model = ast.unparse(here.statement.targets[0])
    model = owner if owner.startswith(f"{model}.") else model
    if dist is None:
        return None
    return here.help(
        message("repairs.wrapped.broadcast"), here.text(here.statement),
        f"for parameter in {model}.parameters():",
        f"    {dist}.broadcast(parameter.data, 0)",
    )  # fmt: skip


def gradients_themselves(trace: Trace) -> Help | None:
    """Take ``.clone()`` away from the only place that copies gradients."""
    found = [
        line_place(file, node.lineno, source=source)
        for file, source in trace.sources.items()
        for node in _statements(source)
        if not hasattr(node, "body") and _copied(node)
    ]
    here = StatementInScope.of(trace, found[0]) if len(found) == 1 else None
    if here is None:
        return None
    text = here.text(here.statement)
    (old, new), *more = _copied(here.statement)
    if more or text.count(old) != 1:
        return None
    return here.help(message("repairs.wrapped.themselves"), text.replace(old, new))


def _copied(statement: ast.stmt) -> list[tuple[str, str]]:
    """The copies of gradients in a statement, and what they are copies of."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Attribute):
            of = node.func.value
            is_grad = isinstance(of, ast.Attribute) and of.attr == "grad"
            if node.func.attr == "clone" and is_grad:
                found.append((ast.unparse(node), ast.unparse(of)))
    return found


def imported(source: str) -> dict[str, str]:
    """The name by which a file knows what it has imported, by the whole name."""
    names: dict[str, str] = {}
    for node in nodes_in(source):
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for each in node.names:
                names[f"{module}{each.name}"] = each.asname or each.name
    return names


def _wrapper_name(source: str) -> str | None:
    """How a file can call DistributedDataParallel with what it has imported."""
    names = imported(source)
    if _WHOLE in names:
        return names[_WHOLE]
    if "torch.nn" in names and names["torch.nn"] != "torch.nn":
        return f"{names['torch.nn']}.parallel.{DDP}"
    return f"{names['torch']}.nn.parallel.{DDP}" if "torch" in names else None


def wrapper_names(trace: Trace, file: Rewriting) -> set[str]:
    """How a file calls the DistributedDataParallels that it builds."""
    made = [
        file.statement(each.at.line)
        for each in trace.sightings
        if isinstance(each, Wrapped)
        and each.kind == DDP
        and each.at is not None
        and each.at.file == file.file
    ]
    targets = [each.targets for each in made if isinstance(each, ast.Assign)]
    return {file.text(each[0]) for each in targets if len(each) == 1}


def wrapper_of(trace: Trace, within: ast.AST, file: Rewriting) -> str:
    """How the code within calls the one DistributedDataParallel that is built; "" if it is not
    known."""
    names = wrapper_names(trace, file)
    called = {ast.unparse(each.func) for each in ast.walk(within) if isinstance(each, ast.Call)}
    return names.pop() if len(names) == 1 and names <= called else ""


def wrapped_again(trace: Trace, built: Location | None, changed: Location | None) -> Help | None:
    """Wrap the module once more where it was changed after its wrapper was built."""
    file = Rewriting.of(trace, changed)
    if file is None or built is None or changed is None or built.file != file.file:
        return None
    made, change = file.statement(built.line), file.statement(changed.line)
    if file.function(made or file.tree) is not file.function(change or file.tree):
        # The change is made in what is called there.
        pair = in_one_body(file, built, changed)
        change = pair[1] if pair is not None and pair[0] is made else None
    if not isinstance(made, ast.Assign) or change is None or not file.body(change):
        return None
    # Each turn of a loop over parameters changes one of them.
    while isinstance(around := file.parents.get(id(change)), ast.For) and PARTS.search(
        file.text(around.iter)
    ):
        change = around
    call, target = made.value, file.text(made.targets[0])
    if not isinstance(call, ast.Call) or not call.args or len(made.targets) != 1:
        return None
    if made.lineno >= change.lineno:
        return None
    text, first = file.text(call), file.text(call.args[0])
    if text.count(first) < 1 or call.args[0].lineno != call.lineno:
        return None
    start = file.span(call.args[0])[0] - file.span(call)[0]
    again = f"{text[:start]}{target}.module{text[start + len(first) :]}"
    place, indent = file.whole(change)[1], " " * change.col_offset
    return file.help(
        message("repairs.wrapped.again", name=target),
        (place, place, f"{indent}{target} = {again}\n"),
    )  # fmt: skip


def sent_after(trace: Trace, at: Location | None, source: int) -> Help | None:
    """Send what one rank alone was to load, in an ``if`` about the rank, to all the others."""
    file = Rewriting.of(trace, at)
    loading = file.statement(at.line) if file is not None and at is not None else None
    if file is None or loading is None:
        return None
    call = getattr(loading, "value", None)
    ifs = [
        each
        for each in file.around(loading)
        if isinstance(each, ast.If) and "rank" in file.text(each.test).lower()
    ]
    dist = imported(file.source).get("torch.distributed")
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not ifs:
        return None
    outer = ifs[-1]
    if dist is None or call.func.attr != "load_state_dict" or not file.body(outer):
        return None
    model = file.text(call.func.value)
    place, indent = file.whole(outer)[1], " " * outer.col_offset
    lines = (
        f"for tensor in {model}.state_dict().values():",
        f"    {dist}.broadcast(tensor, {source})",
    )
    text = "".join(f"{indent}{each}\n" for each in lines)
    return file.help(message("repairs.wrapped.sent", rank=source), (place, place, text))


def sent_where_written(trace: Trace, at: Location | None) -> Help | None:
    """Send rank 0's to all right after a line in which each rank writes values of its own to a
    parameter, in place or to some items of it; behind the conditions around that, as each rank
    takes its own way there."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    dist = imported(file.source).get("torch.distributed") if file is not None else None
    if file is None or statement is None or dist is None or not file.body(statement):
        return None
    call = statement.value if isinstance(statement, ast.Expr) else None
    target: ast.expr | None = None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        target = call.func.value if re.search(r"[^_]_$", call.func.attr) else None
    elif isinstance(statement, ast.AugAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        target = statement.targets[0].value
    if not isinstance(target, ast.Name | ast.Attribute):
        return None
    name = file.text(target).removesuffix(".data")
    last: ast.stmt = statement
    for each in file.around(statement):
        if not isinstance(each, ast.If):
            break
        last = each
    if not file.body(last):
        return None
    place, indent = file.whole(last)[1], " " * last.col_offset
    return file.help(
        message("repairs.wrapped.sent_there", name=name),
        (place, place, f"{indent}{dist}.broadcast({name}.data, 0)\n"),
    )


def sent_again(trace: Trace, built: Location | None, written: Location | None) -> Help | None:
    """Send rank 0's values to all once more, behind what each rank wrote after the wrapper did."""
    file = Rewriting.of(trace, built)
    pair = in_one_body(file, built, written) if file is not None else None
    dist = imported(file.source).get("torch.distributed") if file is not None else None
    if file is None or pair is None or dist is None or not isinstance(pair[0], ast.Assign):
        return None
    model = file.text(pair[0].targets[0])
    place, indent = file.whole(pair[1])[1], " " * pair[1].col_offset
    text = (
        f"{indent}for tensor in {model}.state_dict().values():\n"
        f"{indent}    {dist}.broadcast(tensor, 0)\n"
    )
    return file.help(message("repairs.wrapped.sent_again"), (place, place, text))
