"""Repairs for variables carried from one iteration to the next: detach or recompute them."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.anew.totals import added_in, only_summed
from graphlab.source.blocks import Block, Edit, bound_names, read_names, shared_names
from graphlab.source.effects.idle.rebinding import written_in_turns
from graphlab.source.places import nodes_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Carrier, Location, Step, Trace

_ANEW = {
    "tensor": "{name} = {name}.detach()",
    "tuple": "{name} = tuple(each.detach() for each in {name})",
    "list": "{name} = [each.detach() for each in {name}]",
    "dict": "{name} = {{key: each.detach() for key, each in {name}.items()}}",
    "list of tuples": "{name} = [tuple(each.detach() for each in state) for state in {name}]",
    "list of lists": "{name} = [[each.detach() for each in state] for state in {name}]",
    "tuple of tuples": "{name} = tuple(tuple(each.detach() for each in state) for state in {name})",
    "tuple of lists": "{name} = tuple([each.detach() for each in state] for state in {name})",
}


def detach_carried(trace: Trace, event: Backward, ends: bool = False) -> Help | None:
    """Help for a backward that ran into an earlier iteration's graph: detach the variables that
    lead there, where that is possible; None if they are not known. ends: where a backward under a
    condition ends their graph, not in each turn."""
    if event.at is None or not event.carriers:
        return None
    plain = [each for each in event.carriers if not each.inside]
    if event.handed_over:
        steps = (found for each in plain if (found := _in_step(trace, each)))
        return next(steps, None)
    return _detach_variable(trace, event, event.at, plain, ends)


def _detach_variable(
    trace: Trace, event: Backward, place: Location, carriers: list[Carrier], ends: bool
) -> Help | None:
    file, line = place.file, place.line
    block = Block(trace.sources.get(file, ""), file, line, line)
    at = block.index(line)
    if at is None:
        return None
    loop = _loop_around(trace.sources[file], line)
    body = loop.body if isinstance(loop, ast.For | ast.While) else []
    shared = shared_names(trace.sources[file], line)
    late = [
        each
        for each in carriers
        if each.name != event.loss and (each.name in shared or _handed_on(trace, each, body))
    ]
    once = [made for each in late if (made := _made_once(trace, each)) is not None]
    if once and len(once) == len(late):
        return once[0]
    # Variables computed from these do not need a detach of their own.
    first = [each for each in late if "." in each.name or _feeds(each.name, body)] or late
    grown = next((each for each in first if _appended(trace.sources[file], each)), None)
    if grown is not None:
        return _words(grown, loop)
    if len(first) == 1 and _through_library(trace, first[0].name):
        step = _in_step(trace, first[0])
        if step is not None:
            return step
    if first and all(each.form in _ANEW for each in first):
        summed = [each.name for each in first if only_summed(trace, each.name)]
        choice = message("fix.meant.summed", name=summed[0]) if summed else ""
        # What no turn writes is the same in all of them: its first use would have a graph alone.
        kept = [e.name for e in first if "." in e.name and body and not _written(trace, e, body)]
        choice = message("fix.meant.carried", names=kept) if kept else choice
        outer = _bound_around(block, at, body, first)
        if ends:
            # The graph of a total would end there, and its number grow on.
            total = next((e.name for e in first if added_in(body, e.name)), None)
            grows = message("fix.meant.summed", name=total) if total else choice
            return replace(_detached(block, at, first), choice=grows) if outer else None
        # A loss that several turns add to goes back through all of them.
        if added_in(body, event.loss):
            outer = None
        found = _detached(*outer, first) if outer is not None else _detached(block, at, first)
        return replace(found, choice=choice)
    before = [
        each
        for each in carriers
        if body and not any(each.name in bound_names(statement) for statement in body)
    ]
    held = [
        each for each in before if any(each.name in read_names(statement) for statement in body)
    ]
    kept = held or [each for each in before if each.form == "other" and "." in each.name]
    return _words(kept[0], loop) if kept else None


def _written(trace: Trace, carrier: Carrier, body: list[ast.stmt]) -> bool:
    name = re.sub(r"(\[[^\]]*\])+$", "", carrier.name)
    return written_in_turns(trace.sources.values(), body, name.rpartition(".")[2])


def _bound_around(
    block: Block, at: int, body: list[ast.stmt], carriers: list[Carrier]
) -> tuple[Block, int] | None:
    """The body of the loop, where it binds them and the backward stands under a condition in it:
    the turns in which there is none hand them on as well."""
    line, names = block.statements[at].lineno, {each.name for each in carriers}
    here = next(
        (i for i, each in enumerate(body) if each.lineno <= line <= (each.end_lineno or 0)), None
    )
    if here is None or not isinstance(body[here], ast.If):
        return None
    if not all(any(name in bound_names(each) for each in body) for name in names):
        return None
    outer = Block("".join(block.lines), block.file, body[0].lineno, body[-1].end_lineno or 0)
    return (outer, here) if len(outer.statements) == len(body) else None


def _through_library(trace: Trace, name: str) -> bool:
    """Whether a way leads through what a library keeps to itself: ``model._module.context``."""
    private = [each for each in re.findall(r"\w+", name) if each.startswith("_")]
    return any(all(each not in text for text in trace.sources.values()) for each in private)


def if_cut_is_meant(trace: Trace, freeing: Backward, event: Backward, help: Help) -> Help:
    """The same repair. Where no optimizer stepped in between, the whole gradient is there to
    be had, and the program does not say that it is to end at the turn."""
    first, last = trace.events.index(freeing), trace.events.index(event)
    stepped = any(isinstance(each, Step) for each in trace.events[first:last])
    # Steps that come in some turns end it there, and the others are mended by the same line.
    stepped = stepped or _steps_in_turns(trace, event)
    names = [e.name for e in event.carriers if not e.inside and e.name != event.loss]
    if stepped or not names:
        return help
    return replace(help, choice=message("fix.meant.carried", names=names))


def _steps_in_turns(trace: Trace, event: Backward) -> bool:
    """Whether a step stands under a condition in the loop or the function of the backward, after
    it."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at is not None else None
    around = file.around(going) if file is not None and going is not None else []
    where = next((e for e in around if isinstance(e, ast.For | ast.While | ast.FunctionDef)), None)
    return where is not None and any(
        isinstance(each, ast.If) and ".step()" in "\n".join(map(ast.unparse, each.body))
        for each in where.body
        if going is not None and each.lineno > going.lineno
    )


def kept_inside(trace: Trace, event: Backward) -> Help | None:
    """Help for an object of a library's that holds a graph somewhere inside."""
    place = event.at
    source = trace.sources.get(place.file, "") if place is not None else ""
    if place is None or Block(source, place.file, place.line, place.line).index(place.line) is None:
        return None
    tree, loop = ast.parse(source), _loop_around(source, place.line)
    body = loop.body if isinstance(loop, ast.For | ast.While) else []
    read = {
        each.attr
        for text in trace.sources.values()
        for each in nodes_in(text)
        if isinstance(each, ast.Attribute)
    }
    for each in event.carriers if body else ():
        first, _, path = each.name.partition(".")
        if not each.inside and path and path.rpartition(".")[2] not in read:
            # What the program never writes, a library's object keeps to itself.
            each = Carrier(first, "other", True)
        if not each.inside or any(first in bound_names(statement) for statement in body):
            continue
        made = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and first in bound_names(node) and first == each.name
        ]
        if loop is not None and len(made) == 1 and made[0] < loop.lineno and _is_result(each, tree):
            return Help(message("repairs.carried.inside_made", name=each.name, line=made[0]))
        return Help(message("repairs.carried.inside_kept", name=each.name))
    return None


def _is_result(carrier: Carrier, tree: ast.Module) -> bool:
    """Whether the object was made by a call of a variable, as a model's output, and not of a class
    or of something of a module's."""
    calls = [
        node.value.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and [ast.unparse(each) for each in node.targets] == [carrier.name]
    ]
    names = [each.id for each in calls if isinstance(each, ast.Name)]
    bound = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for name in bound_names(node)
    }
    return bool(names) and names[0] in bound


def _in_step(trace: Trace, carrier: Carrier) -> Help | None:
    """Help for an attribute that carries a graph from one step of a library's loop to the next: it
    is detached before it is computed from itself."""
    last = carrier.name.rpartition(".")[2]
    stores = [
        (file, statement, target)
        for file, source in trace.sources.items()
        for statement in _assignments(source)
        for target in _targets(statement)
        if isinstance(target, ast.Attribute) and target.attr == last
    ]
    feeds = [each for each in stores if ast.unparse(each[2]) in read_names(each[1])]
    if len(feeds) == 1 and carrier.form in _ANEW:
        file, statement, target = feeds[0]
        source, name = trace.sources[file], ast.unparse(target)
        block = Block(source, file, statement.lineno, statement.lineno)
        anew = _ANEW[carrier.form].format(name=name)
        empty = any(isinstance(each.value, ast.Constant) for _, each, _ in stores)
        if empty and f"{name} is None" not in source:
            anew = f"if {name} is not None:\n{' ' * statement.col_offset}    {anew}"
        indent = " " * statement.col_offset
        return block.help(
            message("repairs.carried.attribute", name=name, line=statement.lineno),
            [Edit.of(statement, f"{indent}{anew}\n{block.text(statement)}")],
        )
    made = [each for each in stores if not isinstance(each[1].value, ast.Constant)]
    if len(made) != 1 or feeds:
        return None
    name = ast.unparse(made[0][2])
    line = made[0][1].lineno
    return Help(message("repairs.carried.attribute_once", name=name, line=line))


def _made_once(trace: Trace, carrier: Carrier) -> Help | None:
    """Help for an attribute that an `__init__` computes and nothing else writes: no iteration hands
    it on to the next."""
    name, last = carrier.name, carrier.name.rpartition(".")[2]
    if "." not in name or carrier.form != "tensor":
        return None
    nodes = [node for source in trace.sources.values() for node in nodes_in(source)]
    stores = [each for each in nodes if _is_attribute(each, last, ast.Store)]
    read = {id(each) for each in nodes if _is_attribute(each, last, ast.Load)}
    in_place = any(
        (
            isinstance(each, ast.Subscript)
            and isinstance(each.ctx, ast.Store)
            and id(each.value) in read
        )
        or (isinstance(each, ast.Attribute) and each.attr.endswith("_") and id(each.value) in read)
        for each in nodes
    )
    made = [
        node.lineno
        for each in nodes
        if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        for node in ast.walk(each)
        if isinstance(node, ast.Assign) and node.targets == stores and not _builds(node.value)
    ]
    if in_place or len(made) != 1:
        return None
    return Help(message("repairs.carried.attribute_once", name=name, line=made[0]))


def _builds(value: ast.expr) -> bool:
    """Whether it makes an object of a class, as a class is called: what holds the tensor, then."""
    called = ast.unparse(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    return called[:1].isupper()


def _is_attribute(node: ast.AST, name: str, context: type[ast.expr_context]) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, context)


def _assignments(source: str) -> list[ast.Assign]:
    return [each for each in nodes_in(source) if isinstance(each, ast.Assign)]


def _targets(statement: ast.Assign) -> list[ast.expr]:
    return [each for target in statement.targets for each in getattr(target, "elts", [target])]


def _detached(block: Block, at: int, carriers: list[Carrier]) -> Help:
    """Insert the detach after the step that follows the backward, or after the backward itself, but
    after the last statement that rebinds one of the variables."""
    there = "\n".join(["", *map(ast.unparse, block.statements)])
    cut = {each: f"\n{_ANEW[each.form].format(name=each.name)}" for each in carriers}
    carriers = [each for each in carriers if cut[each] not in there] or carriers
    after = at
    for index in range(at + 1, min(at + 5, len(block.statements))):
        if ast.unparse(block.statements[index]).split("(")[0].endswith(".step"):
            after = index
            break
    for index in range(after + 1, len(block.statements)):
        statement = block.statements[index]
        if {each.name for each in carriers} & bound_names(statement) or _asks(statement, carriers):
            after = index
    last = block.statements[after]
    indent = " " * last.col_offset
    lines = [indent + _ANEW[each.form].format(name=each.name) + "\n" for each in carriers]
    names = listing([each.name for each in carriers])
    key = "detach" if len(carriers) == 1 else "detach_many"
    text = message(f"repairs.carried.{key}", names=names)
    return block.help(text, [Edit.of(last, block.text(last) + "".join(lines))])


def _asks(statement: ast.stmt, carriers: list[Carrier]) -> bool:
    """Whether a statement is a call of a method of the object that holds one of the carriers, as
    ``memory.update(feature)`` is for ``memory.bank``: it may write it."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    holder = ast.unparse(call.func.value)
    return any(each.name.rpartition(".")[0] == holder for each in carriers)


def _words(carrier: Carrier, loop: ast.stmt | None) -> Help:
    name = carrier.name
    if carrier.form == "tensor" and loop is not None:
        return Help(message("repairs.carried.before_the_loop", name=name, line=loop.lineno))
    return Help(message("repairs.carried.collected", name=name))


def _handed_on(trace: Trace, carrier: Carrier, body: list[ast.stmt]) -> bool:
    """Whether an iteration reads the variable before binding it, so that it has the value of the
    iteration before. An attribute always persists, so any read of it counts, in whichever file."""
    name = carrier.name
    if "[" in name:
        return True
    if "." in name:
        return name.rsplit(".", 1)[-1] in _attributes_read(trace)
    for statement in body:
        if name in _read_first(statement, name):
            return any(name in bound_names(each) or _fills(each, name) for each in body)
        if name in bound_names(statement) and not hasattr(statement, "body"):
            return False
    return False


def _fills(statement: ast.stmt, name: str) -> bool:
    """Whether it assigns to entries: ``states[i] = cell(x, states[i])``."""
    stores = (each for each in ast.walk(statement) if isinstance(each, ast.Subscript))
    return any(isinstance(e.ctx, ast.Store) and ast.unparse(e.value) == name for e in stores)


def _attributes_read(trace: Trace) -> set[str]:
    nodes = (each for source in trace.sources.values() for each in nodes_in(source))
    return {e.attr for e in nodes if isinstance(e, ast.Attribute) and isinstance(e.ctx, ast.Load)}


def _read_first(statement: ast.stmt, name: str) -> set[str]:
    if isinstance(statement, ast.If | ast.For | ast.While | ast.With):
        # A name bound inside a branch may be unbound after it, so that counts as no binding.
        inner = statement.body
        for each in inner:
            if name in _read_first(each, name):
                return {name}
            if name in bound_names(each):
                return set()
        return set()
    read = read_names(statement)
    if isinstance(statement, ast.AugAssign):
        read = read | {ast.unparse(statement.target)}
    return read


def _appended(source: str, carrier: Carrier) -> bool:
    """Whether the program appends to this list: the fix is then to empty it, not to detach it."""
    last = re.sub(r"(\[[^\]]*\])+$", "", carrier.name).rsplit(".", 1)[-1]
    filled = rf"\b{last}(\[[^\]]*\]|\.setdefault\([^()]*\))*\.(append|extend)\("
    return carrier.form.startswith("list") and re.search(filled, source) is not None


def _feeds(name: str, body: list[ast.stmt]) -> bool:
    """Whether a statement computes the variable from itself, as ``out, h = rnn(x, h)`` does."""
    return any(
        name in read_names(each) and name in bound_names(each)
        for statement in body
        for each in ast.walk(statement)
        if isinstance(each, ast.Assign)
    )


def _loop_around(source: str, line: int) -> ast.stmt | None:
    """The innermost loop around a line, in the same function."""
    found: ast.stmt | None = None
    for node in nodes_in(source):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = None
        elif isinstance(node, ast.For | ast.While):
            found = node
    return found
