"""Of several cuts in one summand, which are meant: a term that is to train needs one of its
operands with a graph, and the program does not say which."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.model import Location, Trace

# What a call that leaves the graph is given, as `cuts.py` finds it.
Inner = Callable[[Rewriting, ast.AST], tuple[ast.expr, bool] | None]


def rival_cuts(file: Rewriting, statement: ast.stmt, at: Location, inner: Inner) -> list[ast.AST]:
    """The cuts of the summand that lost its graph at `at`: those that it has itself, and those by
    which a variable of it was made in the same function. Fewer than two where there is no choice:
    what only makes a number, ``.item()`` say, beside one ``.detach()`` is no rival of that."""
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.expr):
        return []
    terms = [*_summands(value)]
    free = any(_plain(each, file, inner) for each in terms)
    if not free:
        # ``a.detach() - b.detach()`` is one term.
        terms = [value]
    here = [each for each in terms if any(file.is_at(node, at) for node in ast.walk(each))]
    term = here[0] if len(here) == 1 else terms[0] if len(terms) == 1 else None
    if term is None:
        return []
    own = [each for each in ast.walk(term) if inner(file, each) is not None]
    found = [each for each in own if not _within(each, own)] + [*_made(file, term, inner)]
    lossy = [each for each in found if not _detaches(each)]
    return found if len(lossy) != 1 else []


def choice_among(file: Rewriting, cuts: Sequence[ast.AST], inner: Inner) -> str:
    """What keeping the graph of one of these cuts decides, or of all; "" where two of them were not
    written as cuts: nobody takes a number out of two of a loss's operands and means it."""
    if sum(_detaches(each) for each in cuts) < 2:
        return ""
    return choice_of(file, cuts, inner)


def choice_of(file: Rewriting, cuts: Sequence[ast.AST], inner: Inner) -> str:
    names = [file.text(given[0]) for each in cuts if (given := inner(file, each)) is not None]
    return message("fix.meant.which_cut", names=list(dict.fromkeys(names)))


def choice_at(trace: Trace, at: Location | None, inner: Inner) -> str:
    """What keeping the graph at `at` decides; "" where it decides nothing."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or at is None or statement is None or hasattr(statement, "body"):
        return ""
    rivals = rival_cuts(file, statement, at, inner)
    return choice_of(file, rivals, inner) if len(rivals) > 1 else ""


def _summands(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _summands(node.left)
        yield from _summands(node.right)
    elif isinstance(node, ast.Tuple | ast.List):
        for each in node.elts:
            yield from _summands(each)
    else:
        yield node


def _plain(term: ast.expr, file: Rewriting, inner: Inner) -> bool:
    """Whether a summand may have a graph: it computes something, and leaves none."""
    named = any(isinstance(each, ast.Name) for each in ast.walk(term))
    return named and not any(inner(file, each) is not None for each in ast.walk(term))


def _within(node: ast.AST, others: Sequence[ast.AST]) -> bool:
    return any(node is not each and node in ast.walk(each) for each in others)


def _detaches(node: ast.AST) -> bool:
    func = node.func if isinstance(node, ast.Call) else None
    return isinstance(func, ast.Attribute) and func.attr in ("detach", "detach_")


def _made(file: Rewriting, term: ast.expr, inner: Inner) -> Iterator[ast.AST]:
    """``z.detach()`` of ``fixed = z.detach()``, for a term that reads ``fixed``."""
    scope = file.function(term)
    read = {each.id for each in ast.walk(term) if isinstance(each, ast.Name)}
    for each in ast.walk(scope) if scope is not None else ():
        if not isinstance(each, ast.Assign) or each.lineno >= term.lineno:
            continue
        stored = {ast.unparse(target) for target in each.targets}
        if stored & read and inner(file, each.value) is not None:
            yield each.value
