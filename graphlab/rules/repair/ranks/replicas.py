"""Repairs that make all ranks do the same: wrap the model, make a call on every rank."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.source.places import line_place
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import DDP

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


def only_call(trace: Trace, name: str) -> Location | None:
    """The one line that calls a function of this name."""
    found = {
        line_place(file, node.lineno, source=source)
        for file, source in trace.sources.items()
        for statement in _statements(source)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
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
    try:
        return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    except SyntaxError:
        return []


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


def begins_alike(trace: Trace, at: Location) -> Help | None:
    """Broadcast the parameters of the model that the statement at `at` assigns."""
    here = StatementInScope.of(trace, at)
    if here is None or not isinstance(here.statement, ast.Assign):
        return None
    dist = _imported(here.source).get("torch.distributed")
    model = ast.unparse(here.statement.targets[0])
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


def _imported(source: str) -> dict[str, str]:
    """The name by which a file knows what it has imported, by the whole name."""
    names: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for each in node.names:
                names[f"{module}{each.name}"] = each.asname or each.name
    return names


def _wrapper_name(source: str) -> str | None:
    """How a file can call DistributedDataParallel with what it has imported."""
    names = _imported(source)
    if _WHOLE in names:
        return names[_WHOLE]
    if "torch.nn" in names and names["torch.nn"] != "torch.nn":
        return f"{names['torch.nn']}.parallel.{DDP}"
    return f"{names['torch']}.nn.parallel.{DDP}" if "torch" in names else None


def on_every_rank(trace: Trace, at: Location, of_rank: bool = False) -> Help | None:
    """Take the ``if`` away in which the statement at `at` stands alone, or the statement out of it
    that comes first. of_rank: only where the condition names the rank."""
    source = trace.sources.get(at.file, "")
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    holders = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and not node.orelse
        and node.body[0].lineno <= at.line <= (node.body[0].end_lineno or 0)
        and node.lineno < node.body[0].lineno
    ]
    # An `elif` is no statement of its own.
    inner = max(holders, key=lambda node: node.lineno, default=None)
    if inner is None or hasattr(inner.body[0], "body"):
        return None
    test = ast.unparse(inner.test)
    if of_rank and "rank" not in test.lower():
        return None
    lines = lines_with_ends(source)
    last = inner.body[0].end_lineno
    before = "".join(lines[inner.lineno - 1 : last])
    if not before.lstrip().startswith("if "):
        return None
    body = "".join(lines[inner.body[0].lineno - 1 : last])
    after = textwrap.indent(textwrap.dedent(body), " " * inner.col_offset)
    if len(inner.body) > 1:
        if inner.body[1].lineno <= (last or 0):
            return None
        after += "".join(lines[inner.lineno - 1 : inner.body[0].lineno - 1])
    text = message("repairs.wrapped.every_rank", test=test)
    # A condition that every rank decides for itself may be meant.
    choice = "" if "rank" in test.lower() else message("fix.meant.every_rank", test=test)
    return Help(text, before, after, file=at.file, line=inner.lineno, choice=choice)
