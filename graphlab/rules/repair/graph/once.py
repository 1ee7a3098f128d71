"""Repairs of what is computed once and used in each turn: detached where it is made, or computed in
each turn. Which of them is meant, the program need not say."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.finite.operations import is_library
from graphlab.source.rewriting import Rewriting
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Saved, Trace

# Functions that make of a parameter what is used in its place.
_MAPS = {
    "exp", "softplus", "sigmoid", "tanh", "softmax", "log_softmax", "relu", "elu", "square",
}  # fmt: skip


def made_before_loop(trace: Trace, event: Backward) -> Iterator[Help]:
    """A variable that was computed once before the loop of the backward: detach it where it is
    made, or compute it in each turn."""
    file = Rewriting.of(trace, event.at)
    statement = file.statement(event.at.line) if file is not None and event.at else None
    loop = next(
        (e for e in file.around(statement) if isinstance(e, ast.For | ast.While)), None
    ) if file is not None and statement is not None else None  # fmt: skip
    if file is None or loop is None or event.handed_over:
        return
    scope = file.function(loop) or file.tree
    for carrier in event.carriers:
        made = [
            each
            for each in ast.walk(scope)
            if isinstance(each, ast.Assign)
            and [ast.unparse(target) for target in each.targets] == [carrier.name]
            and each.lineno < loop.lineno
        ]
        inside = any(
            isinstance(each, ast.Name)
            and each.id == carrier.name
            and isinstance(each.ctx, ast.Store)
            for each in ast.walk(loop)
        )
        if inside or not carrier.name.isidentifier():
            continue
        if carrier.form == "list":
            yield from _each_detached(trace, file, made, carrier.name)
        if carrier.form != "tensor":
            continue
        if not made:
            yield from _unpacked(file, scope, loop, carrier.name)
            continue
        last = max(made, key=lambda each: each.lineno)
        open_ = (
            message("fix.meant.once", name=carrier.name)
            if _computes(last.value, carrier.name) and not _only_untrained(trace, last.value)
            else ""
        )
        found = file.help(
            message("repairs.kept_apart.made_detached", name=carrier.name, line=last.lineno),
            *file.followed(last.value, ".detach()"),
        )
        if found is not None:
            yield replace(found, choice=open_)
        first = loop.body[0]
        place = file.whole(first)[0]
        again = file.indented(last, last, first.col_offset - last.col_offset)
        found = file.help(
            message("repairs.kept_apart.each_turn", names=[carrier.name]), (place, place, again)
        )
        if found is not None:
            yield replace(found, choice=open_)


def _each_detached(
    trace: Trace, file: Rewriting, made: list[ast.Assign], name: str
) -> Iterator[Help]:
    """``targets = [each.detach() for each in targets]`` below the one line that makes the list."""
    if len(made) != 1 or made[0] not in file.body(made[0]):
        return
    place, indent = file.whole(made[0])[1], " " * made[0].col_offset
    found = file.help(
        message("repairs.kept_apart.made_detached", name=name, line=made[0].lineno),
        (place, place, f"{indent}{name} = [each.detach() for each in {name}]\n"),
    )
    if found is not None:
        known = _only_untrained(trace, made[0].value)
        yield replace(found, choice="" if known else message("fix.meant.once", name=name))


def _only_untrained(trace: Trace, value: ast.expr) -> bool:
    """Whether networks are called there of which no optimizer holds a parameter: their results are
    the same in each turn."""
    read = {
        ast.unparse(each) for each in ast.walk(value) if isinstance(each, ast.Name | ast.Attribute)
    }
    held = {trace.tensors[place].owner for each in trace.optimizers for place in each.owns}
    known = {each.owner for each in trace.tensors if each.kind == "parameter"}
    return bool(read & known) and not read & held and bool(trace.optimizers)


def made_elsewhere(trace: Trace, problems: Iterable[Saved], event: Backward) -> Iterator[Help]:
    """The one statement, in another function or module, that made what every backward leads to:
    detach it there. No choice where no optimizer holds what made it."""
    places = {(at.file, at.line): at for each in problems if (at := each.at) is not None}
    if len(places) != 1 or event.at is None or event.handed_over:
        return
    at = next(iter(places.values()))
    file, going = Rewriting.of(trace, at), Rewriting.of(trace, event.at)
    made = file.statement(at.line) if file is not None else None
    last = going.statement(event.at.line) if going is not None else None
    if file is None or going is None or last is None or not isinstance(made, ast.Assign):
        return
    around = [file.function(made), *file.around(made)]
    here = at.file == event.at.file and file.function(made) is going.function(last)
    if here or any(isinstance(each, ast.For | ast.While) for each in around):
        return
    # What is taken apart is a tuple in most cases, which has no detach().
    apart = any(isinstance(each, ast.Tuple | ast.List) for each in made.targets)
    if apart or any(isinstance(each, ast.Lambda) for each in ast.walk(made.value)):
        return
    read = {each.id for each in ast.walk(made.value) if isinstance(each, ast.Name)}
    held = {trace.tensors[place].owner for each in trace.optimizers for place in each.owns}
    forgotten = {trace.tensors[each.tensor].owner for each in trace.forgotten}
    loose = read & forgotten and not read & held
    name = ast.unparse(made.targets[0])
    found = file.help(
        message("repairs.kept_apart.made_detached", name=name, line=made.lineno),
        *file.followed(made.value, ".detach()"),
    )
    if found is not None:
        yield replace(found, choice="" if loose else message("fix.meant.once", name=name))


def made_once_in_init(trace: Trace, event: Backward) -> Iterator[Help]:
    """``self.alpha = self.log_alpha.exp()`` of an ``__init__``, or such a variable of the module:
    computed at the beginning of each call of the function that goes back through it."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at is not None else None
    function = file.function(going) if file is not None and going is not None else None
    if file is None or function is None or event.handed_over:
        return
    holder = file.parents.get(id(function))
    for carrier in event.carriers:
        last = carrier.name.rpartition(".")[2]
        made = [e for e in ast.walk(file.tree) if isinstance(e, ast.Assign) and _stores(e, last)]
        if carrier.form != "tensor" or len(made) != 1 or file.function(made[0]) is function:
            continue
        inside = file.function(made[0])
        own = {each.arg for each in inside.args.args[1:]} if inside is not None else set[str]()
        if inside is not None:
            in_init = inside.name == "__init__" and file.parents.get(id(inside)) is holder
            own |= {n.id for n in ast.walk(inside) if isinstance(n, ast.Name) and _bound(n)}
            if not in_init or not isinstance(made[0].targets[0], ast.Attribute):
                continue
        elif holder is not file.tree or not isinstance(made[0].targets[0], ast.Name):
            continue
        read = {n.id for n in ast.walk(made[0].value) if isinstance(n, ast.Name)}
        mine = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and _bound(n)}
        if read & own or mine & {last} or (inside is None and read & mine):
            continue
        told = ast.get_docstring(function) is not None
        first = function.body[told:][0] if function.body[told:] else function.body[0]
        place = file.whole(first)[0]
        again = file.indented(made[0], made[0], first.col_offset - made[0].col_offset)
        name = ast.unparse(made[0].targets[0])
        text = message("repairs.kept_apart.each_call", name=name, function=function.name)
        found = file.help(text, (place, place, again))
        if found is not None:
            trained = inside is not None and _of_trained(trace, made[0].value)
            yield replace(found, choice="" if trained else message("fix.meant.once", name=name))


def _of_trained(trace: Trace, value: ast.expr) -> bool:
    """Whether it is a function of what an optimizer holds, and of nothing else, which each step
    changes: ``log_alpha.exp()``. What is copied may be where the training began."""
    calls = {
        ast.unparse(each.func).rpartition(".")[2]
        for each in ast.walk(value)
        if isinstance(each, ast.Call)
    }
    read = {
        each.attr
        for each in ast.walk(value)
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) == "self"
    }
    held = {
        (trace.tensors[place].name or "").rpartition(".")[2]
        for each in trace.optimizers
        for place in each.owns
    }
    return bool(read) and read <= held and bool(calls) and calls <= _MAPS


def _bound(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def cached(trace: Trace, event: Backward) -> Iterator[Help]:
    """``if self.made is None: self.made = f(x)`` for a graph that each turn needs anew: compute it
    in each turn, or keep it detached."""
    for carrier in event.carriers if not event.handed_over else ():
        last = _last(carrier.name)
        for path in sorted(trace.sources) if carrier.form == "tensor" and event.at else ():
            file = Rewriting.of(trace, replace(event.at, file=path)) if event.at else None
            for node in ast.walk(file.tree) if file is not None else ():
                if file is None or not isinstance(node, ast.If) or node.orelse:
                    continue
                if _gives_back(node, last) and file.body(node):
                    text = message("repairs.kept_apart.each_turn", names=[carrier.name])
                    found = file.help(text, (*file.whole(node), ""))
                    if found is not None:
                        choice = message("fix.meant.once", name=carrier.name)
                        yield replace(found, choice=choice)
                    continue
                stores = [e for e in node.body if _stores(e, last)]
                if not _asks_for(node.test, last) or len(stores) != 1:
                    continue
                choice = message("fix.meant.once", name=carrier.name)
                stored = stores[0]
                inner = file.indented(
                    node.body[0], node.body[-1], node.col_offset - stored.col_offset
                )
                text = message("repairs.kept_apart.each_turn", names=[carrier.name])
                found = file.help(text, (*file.whole(node), inner))
                if found is not None:
                    yield replace(found, choice=choice)
                assert isinstance(stored, ast.Assign)
                text = message(
                    "repairs.kept_apart.made_detached", name=carrier.name, line=stored.lineno
                )
                found = file.help(text, *file.followed(stored.value, ".detach()"))
                if found is not None:
                    yield replace(found, choice=choice)


def _last(name: str) -> str:
    """``tables`` of ``self.rope.tables[16]``."""
    return name.rpartition(".")[2].partition("[")[0]


def _stores(statement: ast.stmt, last: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [_last(ast.unparse(each)) for each in targets] == [last]


def _asks_for(test: ast.expr, last: str) -> bool:
    """Whether it asks whether the attribute, the variable or the entry is there yet, or else
    whether it is of use still."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(_asks_for(each, last) for each in test.values)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        call = ast.unparse(test.operand)
        return call.startswith("hasattr(") and call.endswith(f", '{last}')")
    if not isinstance(test, ast.Compare):
        return False
    if isinstance(test.ops[0], ast.NotIn):
        return _last(ast.unparse(test.comparators[0])) == last
    is_none = isinstance(test.ops[0], ast.Is) and ast.unparse(test.comparators[0]) == "None"
    return is_none and _last(ast.unparse(test.left)) == last


def _gives_back(node: ast.If, last: str) -> bool:
    """``if self.made is not None: return self.made``, where the rest of the function makes it."""
    only = node.body[0] if len(node.body) == 1 else None
    if not isinstance(only, ast.Return) or only.value is None:
        return False
    return all(
        any(_last(ast.unparse(e)) == last for e in ast.walk(part) if isinstance(e, ast.Attribute))
        for part in (node.test, only.value)
    )


def _unpacked(
    file: Rewriting, scope: ast.AST, loop: ast.For | ast.While, name: str
) -> Iterator[Help]:
    """``ret = ret.detach()`` below ``obs, ret = batch``, which was collected before; what a call
    gives may be computed by it."""
    for each in ast.walk(scope):
        if not isinstance(each, ast.Assign) or each.lineno >= loop.lineno:
            continue
        target = each.targets[0]
        if not isinstance(target, ast.Tuple) or not isinstance(each.value, ast.Name | ast.Call):
            continue
        if (
            name not in (ast.unparse(one) for one in target.elts)
            or file.function(each) is not scope
        ):
            continue
        place = file.whole(each)[1]
        found = file.help(
            message("repairs.kept_apart.made_detached", name=name, line=each.lineno),
            (place, place, f"{' ' * each.col_offset}{name} = {name}.detach()\n"),
        )
        if found is not None:
            called = isinstance(each.value, ast.Call)
            yield replace(found, choice=message("fix.meant.once", name=name) if called else "")


def _computes(value: ast.expr, name: str) -> bool:
    """Whether something of the program's is called, a network say, and not torch alone with what
    was collected before, `name` as it was: that is data by then."""
    return any(
        isinstance(each, ast.Call)
        and not (
            isinstance(each.func, ast.Attribute)
            and (is_library(each.func.value) or ast.unparse(each.func.value) == name)
        )
        for each in ast.walk(value)
    )


def cached_each_turn(trace: Trace, event: Backward) -> Iterator[Help]:
    """``with parametrize.cached():`` in each turn of the loop that it stands around: it computes a
    weight once, and each step changes what that is computed from."""
    file = Rewriting.of(trace, event.at)
    statement = file.statement(event.at.line) if file is not None and event.at else None
    for block in file.around(statement) if file is not None and statement is not None else ():
        if not isinstance(block, ast.With) or file is None or len(block.items) != 1:
            continue
        loop, header = block.body[0], file.text(block.items[0].context_expr)
        if not header.endswith("cached()") or not isinstance(loop, ast.For | ast.While):
            continue
        if len(block.body) > 1 or loop.orelse or loop.body[0].lineno == loop.lineno:
            return
        by = loop.body[0].col_offset - loop.col_offset
        first, last = file.whole(loop)[0], file.whole(loop.body[0])[0]
        head = "".join(
            line[loop.col_offset - block.col_offset :]
            for line in lines_with_ends(file.source[first:last])
        )
        indent = " " * (block.col_offset + by)
        body = file.indented(loop.body[0], loop.body[-1], block.col_offset - loop.col_offset + by)
        found = file.help(
            message("repairs.kept_apart.each_turn", names=[header]),
            (*file.whole(block), f"{head}{indent}with {header}:\n{body}"),
        )
        if found is not None:
            yield found
        return
