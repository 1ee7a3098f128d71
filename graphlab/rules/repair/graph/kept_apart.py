"""Repairs of what backward needs and something changes or frees: a copy, a graph kept once more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.graph.emptied import carries
from graphlab.rules.words import loss_word
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Saved, Trace

_NAMED = (ast.Name, ast.Attribute, ast.Subscript)


def copied_where_saved(trace: Trace, problems: Iterable[Saved]) -> Iterator[Help]:
    """Let the statements that saved the tensors use copies of them."""
    by_line: dict[tuple[str, int], tuple[Location, set[str]]] = {}
    for each in problems:
        name = trace.tensors[each.tensor].name if each.tensor >= 0 else None
        at = each.within or each.at
        if at is None or name is None or trace.tensors[each.tensor].kind == "parameter":
            return
        by_line.setdefault((at.file, at.line), (at, set()))[1].add(name)
    if len(by_line) != 1:
        return
    at, names = next(iter(by_line.values()))
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None else None
    if file is None or statement is None or hasattr(statement, "body"):
        return
    last = {name.rsplit(".", 1)[-1] for name in names}
    uses = [
        each
        for each in ast.walk(statement)
        if isinstance(each, _NAMED)
        and isinstance(each.ctx, ast.Load)
        and (ast.unparse(each) in names or ast.unparse(each).rsplit(".", 1)[-1] in last)
        and not isinstance(file.parents.get(id(each)), ast.Attribute)
        and not _called(file, each)
    ]
    edits = [(file.span(each)[1], file.span(each)[1], ".clone()") for each in uses]
    what = listing(sorted({file.text(each) for each in uses}))
    found = file.help(message("repairs.kept_apart.copy", name=what), *edits)
    if found is not None:
        yield found


def _called(file: Rewriting, node: ast.expr) -> bool:
    parent = file.parents.get(id(node))
    return isinstance(parent, ast.Call) and parent.func is node


def graph_once_more(trace: Trace, freeing: Backward | None, event: Backward) -> Iterator[Help]:
    """Two losses of one graph: keep it for the second backward."""
    if freeing is None or freeing.at is None or freeing.at == event.at:
        return
    file = Rewriting.of(trace, freeing.at)
    call = _backward_at(file, freeing.at) if file is not None else None
    if file is None or call is None or any(word.arg == "retain_graph" for word in call.keywords):
        return
    end = file.span(call)[1] - 1
    comma = ", " if call.args or call.keywords else ""
    found = file.help(
        message("repairs.kept_apart.keep_graph", call=event.call),
        (end, end, f"{comma}retain_graph=True"),
    )
    if found is not None:
        yield found


def differentiable(trace: Trace, at: Location | None, loss: str) -> Help | None:
    """Keep the graph of the gradient that the call of grad() at `at` gives, for `loss` is made of
    it."""
    file = Rewriting.of(trace, at)
    call = _backward_at(file, at) if file is not None and at is not None else None
    if file is None or call is None:
        return None
    text = message("repairs.kept_apart.differentiable", loss=loss_word(loss))
    said = next((word.value for word in call.keywords if word.arg == "create_graph"), None)
    if said is not None:
        off = isinstance(said, ast.Constant) and not said.value
        return file.help(text, (*file.span(said), "True")) if off else None
    given = [*call.args, *(each.value for each in call.keywords)]
    end = file.span(given[-1])[1] if given else file.span(call)[1] - 1
    return file.help(text, (end, end, f"{', ' if given else ''}create_graph=True"))


def gradients_with_graph(trace: Trace, event: Backward) -> Iterator[Help]:
    """The same for the last backward before a grad() of what ``.grad`` gave, which has no graph."""
    if event.cut is not None or event.at is None or not event.call.endswith("grad()"):
        return
    before = trace.events[: trace.events.index(event)]
    last = next((e for e in reversed(before) if isinstance(e, Backward) and not e.raised), None)
    reads = re.search(r"\.grad\b(?!\()", "\n".join(trace.sources.values()))
    found = differentiable(trace, last.at, event.loss) if last is not None and reads else None
    if found is not None:
        yield found


def _backward_at(file: Rewriting, at: Location) -> ast.Call | None:
    for node in ast.walk(file.tree):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("backward", "grad")
            and node.lineno <= at.line <= (node.end_lineno or 0)
        ):
            return node
    return None


def detach_given(trace: Trace, event: Backward) -> Iterator[Help]:
    """Detach the arguments by which a function gets the graph that an earlier call of it, or an
    earlier turn of its loop, has freed."""
    file = Rewriting.of(trace, event.at)
    statement = file.statement(event.at.line) if file is not None and event.at else None
    function = file.function(statement) if file is not None and statement is not None else None
    if file is None or function is None:
        return
    given = {each.arg for each in (*function.args.posonlyargs, *function.args.args)}
    names = [each.name for each in event.carriers if each.form == "tensor" and each.name in given]
    body = [
        each
        for each in function.body
        if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
    if not names or not body or event.handed_over:
        return
    place = file.whole(body[0])[0]
    lines = "".join(f"{' ' * body[0].col_offset}{name} = {name}.detach()\n" for name in names)
    found = file.help(message("repairs.kept_apart.given", names=names), (place, place, lines))
    if found is not None:
        yield found


def detached_in_method(trace: Trace, freeing: Backward | None, event: Backward) -> Iterator[Help]:
    """Detach the attribute that another method made, ``self.fake``, where the method of the first
    backward reads it: so that it frees nothing of what this backward, in a method of its own, needs
    of it."""
    file = Rewriting.of(trace, freeing.at) if freeing is not None else None
    first = file.statement(freeing.at.line) if file and freeing and freeing.at else None
    same = event.at is not None and file is not None and event.at.file == file.file
    last = file.statement(event.at.line) if file and same and event.at else None
    if file is None or freeing is None or first is None or last is None or event.handed_over:
        return
    one, other = file.function(first), file.function(last)
    if one is None or one is other or freeing.loss == event.loss:
        return
    for carrier in event.carriers:
        if carrier.form != "tensor" or carrier.name in (event.loss, freeing.loss):
            continue
        read = [
            each
            for each in ast.walk(one)
            if isinstance(each, ast.Attribute) and ast.unparse(each) == carrier.name
        ]
        if not read or not all(isinstance(each.ctx, ast.Load) for each in read):
            continue
        edits = [edit for each in read for edit in file.followed(each, ".detach()")]
        text = message("repairs.loops.detach", names=carrier.name, call=freeing.call)
        found = file.help(text, *edits)
        if found is not None:
            yield found


def loss_per_backward(trace: Trace, event: Backward) -> Iterator[Help]:
    """A graph that an outer statement made once: make it in each turn of the loop."""
    file = Rewriting.of(trace, event.at)
    statement = file.statement(event.at.line) if file is not None and event.at else None
    if file is None or statement is None:
        return
    loop = next(
        (each for each in file.around(statement) if isinstance(each, ast.For | ast.While)), None
    )
    if loop is None or file.function(loop) is not file.function(statement):
        return
    body = file.body(loop)
    bound = {
        n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    needed = {n.id for n in ast.walk(loop) if isinstance(n, ast.Name)} - bound
    moved: list[ast.stmt] = []
    # Backwards from the loop: what it needs, and what that needs, if it calls something.
    for each in reversed(body[: body.index(loop)] if loop in body else []):
        if not isinstance(each, ast.Assign) or len(each.targets) != 1:
            break
        names = {n.id for n in ast.walk(each.targets[0]) if isinstance(n, ast.Name)}
        if not names & needed or "optim" in file.text(each) or "nn." in file.text(each.value):
            break
        if carries(loop, names):
            break
        moved.insert(0, each)
        found = file.help(
            message("repairs.kept_apart.each_turn", names=sorted(names)),
            *((*file.whole(one), "") for one in moved),
            (
                file.whole(loop.body[0])[0],
                file.whole(loop.body[0])[0],
                "".join(
                    file.indented(one, one, loop.body[0].col_offset - one.col_offset)
                    for one in moved
                ),
            ),
        )
        if found is not None:
            yield found
        if len(moved) == 3:
            return
