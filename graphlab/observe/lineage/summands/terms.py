"""Finds the summand of a loss that lost its graph while the others have theirs."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from types import FrameType
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import leaf_of, walk
from graphlab.observe.lineage.cut import lineage_of
from graphlab.observe.lineage.loss import written_in
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.lineage.returned import handed_over, lineage_of_returned
from graphlab.observe.lineage.summands.written_out import DEEP, returned_by, unpacked, written
from graphlab.observe.lineage.trail import HAS_GRAPH, Result, Trail
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut, Log
from graphlab.observe.tensors import grad_fn_of, is_leaf, is_module, is_tensor, requires_grad
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import class_module
from graphlab.source.places import nodes_of, parse

# How many assignments behind what was cut are gone into.
BEHIND = 4
LARGEST = 20_000
_CRITERIA = (
    "kl_div", "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
)  # fmt: skip


class Term(NamedTuple):
    """A summand: the expression `node` as it was at line `before` of its function. `via` are the
    expressions that it was reached through, itself last, as they are written."""

    lineage: Lineage
    node: ast.expr
    before: int
    via: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What the user would call it: the variable that it is stored in, or how it is written."""
        named = self.via[-2:-1]
        return named[0] if named and named[0].isidentifier() else ast.unparse(self.node)

    @property
    def result(self) -> Result:
        return self.lineage.value(self.node, self.before)


def cut_terms(
    frame: FrameType, files: UserFiles, trained: Collection[int], log: Log, past: bool = False
) -> Iterator[tuple[str, Cut, list[Any]]]:
    """(the summand as it is written, where it lost its graph, the modules and leaves behind that)
    for each summand of a loss that was computed from something with a graph, where other summands
    still have theirs. The loss is that of the backward that runs in `frame`, autograd's own.
    `trained` are the optimizers' parameters, by identity. past: some summand's graph leads to none
    of them."""
    terms = [*_of_loss(frame, files, log)]
    for each in terms if past else ():
        found = _past_trained(each, trained)
        if found is not None:
            yield each.text, *found
    results = [(each, each.result or _stored_cut(each)) for each in terms]
    alive = {text for each, result in results if result is HAS_GRAPH for text in each.via}
    cut = [(each, result) for each, result in results if isinstance(result, Cut)]
    if not alive or any(alive & _behind(each, result).keys() for each, result in cut):
        # `x + (value - x).detach()` changes the value of x alone, on purpose.
        return
    for each, result in cut:
        behind = _behind(each, result)
        if isinstance(result, FromElsewhere) and result.modules:
            behind = {f"hooked {at}": module for at, module in enumerate(result.modules)}
        if result.by.endswith(_FREEZES) or _is_scored(result):
            continue
        if _trains(behind, trained):
            mine = [one for one in behind.values() if is_module(one) or _is_weight(one)]
            yield each.text, result, mine
        elif (call := _criterion(each)) is not None:
            yield each.text, call, []
    for each, result in results:
        if result is None and (call := _of_data(each)) is not None:
            yield each.text, call, []


class FromElsewhere(Cut):
    """Where another function than the loss's stored a part of it without its graph, as a forward
    hook does; `modules` are those that the hook is on."""

    __slots__ = ("modules",)

    def __init__(self, cut: Cut, modules: list[Any]) -> None:
        super().__init__(cut.node, cut.by, cut.file, cut.function)
        self.modules = modules


def _past_trained(term: Term, trained: Collection[int]) -> tuple[Cut, list[Any]] | None:
    """Where a summand was cut off from what is trained, with the modules behind, if all else that
    it is computed with is trained by nobody: of the two, the wrong one was detached."""
    lineage, trail = term.lineage, Trail(thorough=True)
    again = Lineage(
        lineage.file, lineage.scope, lineage.function, lineage.values, lineage.files, trail=trail
    )
    if again.value(term.node, term.before) is not HAS_GRAPH:
        return None
    found = Counter(map(id, trail.modules))
    cut = [
        (each, behind)
        for each, behind in trail.cuts
        if each.by.removesuffix("()").endswith((".detach", ".data"))
        and any(any(id(p) in trained for p in parameters_in(m)) for m in behind if is_module(m))
    ]
    for _, behind in trail.cuts:
        found.subtract(map(id, behind))
    alive = [each for each in trail.modules if found[id(each)] > 0]
    leaves = [p for each in alive for p in (parameters_in(each) if is_module(each) else [each])]
    if len(cut) != 1 or not leaves or any(id(p) in trained for p in leaves):
        return None
    return cut[0]


def _stored_cut(term: Term) -> Cut | None:
    """Where a summand lost its graph outside of the functions that compute the loss. Its own value
    must still be there, and have none."""
    lineage = term.lineage
    tensors = [
        value
        for each in ast.walk(term.node)
        if isinstance(each, ast.Name | ast.Attribute)
        if is_tensor(value := lineage.reach(each))
    ]
    if not tensors or any(requires_grad(each) for each in tensors):
        return None
    trail = Trail(thorough=True)
    again = Lineage(
        lineage.file, lineage.scope, lineage.function, lineage.values, lineage.files, trail=trail
    )
    found = again.value(term.node, term.before)
    if not isinstance(found, Cut):
        return None
    modules = [module for cut, several in trail.cuts if cut is found for module in several]
    return FromElsewhere(found, modules)


def _of_loss(frame: FrameType, files: UserFiles, log: Log) -> Iterator[Term]:
    """The summands of the loss as the user's line with the backward has it, or as the user's
    function returned it to a library."""
    user = user_frame(frame.f_back, files)
    if user is None:
        return
    expression = written_in(frame, user)[1]
    if expression is not None:
        yield from _terms(lineage_of(user, files), expression, user.f_lineno)
    elif (found := handed_over(frame, log, files)) is not None:
        lineage = lineage_of_returned(found, frame, files, Trail())
        yield from _terms(lineage, found.node, found.line)


class OfConstants(Cut):
    """The call of a loss of torch's that was given nothing with a graph."""

    __slots__ = ()


class OfData(OfConstants):
    """A call of which it is known only that its result has no graph: where a library keeps what it
    was given, nothing tells from what that was computed."""

    __slots__ = ()


def _of_data(term: Term) -> Cut | None:
    """The call of a loss of torch's that gave the summand its value, which is there and has no
    graph."""
    value = term.lineage.reach(ast.parse(term.text, mode="eval").body)
    if not is_tensor(value) or requires_grad(value) or not torch.is_grad_enabled():
        return None
    call = _criterion(term)
    return OfData(call.node, call.by, call.file, call.function) if call is not None else None


def _criterion(term: Term) -> Cut | None:
    """The call of a loss of torch's that a summand, or its only factor that is a tensor, is."""
    lineage, node, before = term.lineage, term.node, term.before
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        sides = [each for each in (node.left, node.right) if lineage.value(each, before)]
        node = sides[0] if len(sides) == 1 else node
    stored = lineage.assignments(node.id, before) if isinstance(node, ast.Name) else []
    if len(stored) == 1 and isinstance(stored[0], ast.Assign):
        node = stored[0].value
    if not isinstance(node, ast.Call) or len(node.args) < 2 or lineage.guard(node):
        return None
    callee = lineage.reach(node.func)
    ours = class_module(callee) == "torch.nn.modules.loss" or any(
        callee is getattr(torch.nn.functional, each) for each in _CRITERIA
    )
    return (
        OfConstants(node, ast.unparse(node.func), lineage.file, lineage.function) if ours else None
    )


def _is_weight(value: Any) -> bool:
    return is_tensor(value) and requires_grad(value) and is_leaf(value)


# What is frozen never was to be trained.
_FREEZES = ("requires_grad = False", "requires_grad_(False)")


def _is_scored(cut: Cut) -> bool:
    """Whether it is a draw in a file that asks for a ``log_prob()``: what comes of such a draw, as
    a reward does, is a number that weighs that, and never was to be trained."""
    if not cut.by.removesuffix("()").endswith((".sample", ".multinomial")):
        return False
    return any(
        isinstance(each, ast.Attribute) and each.attr == "log_prob"
        for each in nodes_of(parse(cut.file))
    )


def _behind(term: Term, cut: Cut) -> dict[str, Any]:
    """What a summand that was cut is computed from: the expressions as they are written, with the
    values of those that can still be reached."""
    lineage = term.lineage
    found: dict[str, Any] = {}
    pending = [(cut.node, term.before, 0), (term.node, term.before, 0)]
    while pending:
        node, before, depth = pending.pop()
        for each in ast.walk(node):
            if not isinstance(each, ast.expr) or (text := ast.unparse(each)) in found:
                continue
            named = isinstance(each, ast.Name | ast.Attribute)
            found[text] = lineage.reach(each) if named else None
            if isinstance(each, ast.Name) and depth < BEHIND:
                result = lineage.named(each.id, before, 0)
                if isinstance(result, Cut) and result.node is not cut.node:
                    # A sampled action, or an advantage, is cut for itself.
                    continue
                for statement in lineage.assignments(each.id, before):
                    value = getattr(statement, "value", None)
                    if value is not None:
                        pending.append((value, statement.lineno, depth + 1))
    return found


def _trains(behind: dict[str, Any], trained: Collection[int]) -> bool:
    """Whether a graph behind these values would lead to one of the `trained` parameters; True as
    well where no value tells."""
    leaves: set[int] = set()
    any_graph = False
    for each in behind.values():
        if is_module(each):
            parameters = parameters_in(each)
            leaves.update(map(id, parameters))
            any_graph = any_graph or bool(parameters)
        elif is_tensor(each) and requires_grad(each):
            any_graph = True
            nodes = walk([grad_fn_of(each)], LARGEST)
            leaves.update(id(leaf_of(node)) for node in nodes if leaf_of(node) is not None)
            leaves.add(id(each))
    return not any_graph or not leaves.isdisjoint(trained)


def _terms(
    lineage: Lineage,
    node: ast.expr,
    before: int,
    depth: int = 0,
    via: tuple[str, ...] = (),
) -> Iterator[Term]:
    via = (*via, ast.unparse(node)) if depth else via
    here = Term(lineage, node, before, via)
    if depth > DEEP:
        yield here
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        for each in (node.left, node.right):
            yield from _terms(lineage, each, before, depth + 1, via)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        yield from _terms(lineage, node.operand, before, depth + 1, via)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        factor = _only_factor(lineage, node)
        yield from [here] if factor is None else _terms(lineage, factor, before, depth + 1, via)
    elif isinstance(node, ast.Name):
        yield from _stored(here, node.id, depth)
    elif isinstance(node, ast.Subscript):
        yield from _chosen(here, depth)
    elif isinstance(node, ast.Call):
        yield from _called(here, depth)
    else:
        yield here


def _only_factor(lineage: Lineage, node: ast.BinOp) -> ast.expr | None:
    """What a number is multiplied with, or what is divided by one."""
    if _is_number(lineage, node.right):
        return node.left
    if _is_number(lineage, node.left) and isinstance(node.op, ast.Mult):
        return node.right
    return None


def _is_number(lineage: Lineage, node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return type(lineage.reach(node)) in (int, float)
    return isinstance(node, ast.Constant)


def _stored(term: Term, name: str, depth: int) -> Iterator[Term]:
    """The summands of a variable: of the value that it was given, and of all that was added."""
    lineage = term.lineage
    statements = lineage.assignments(name, term.before)
    if len(statements) == 1 and isinstance(statements[0], ast.Assign):
        entry = unpacked(lineage, statements[0], name, depth)
        if entry is not None:
            yield from _terms(*entry, depth + 1, term.via)
            return
    plain = all(
        (isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name))
        or (isinstance(each, ast.AugAssign) and isinstance(each.op, ast.Add | ast.Sub))
        for each in statements
    )
    if not statements or not plain or any(lineage.guard(each) for each in statements):
        yield term
        return
    for each in statements:
        value = getattr(each, "value", None)
        if isinstance(value, ast.expr):
            # The statement's own line counts, where it reads the variable that it stores.
            yield from _terms(lineage, value, each.lineno, depth + 1, term.via)


def _chosen(term: Term, depth: int) -> Iterator[Term]:
    """The summands of ``parts["pixel"]``, if that is written out somewhere."""
    lineage, node, before, via = term
    assert isinstance(node, ast.Subscript)
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    found = None
    if isinstance(key, int | str) and not lineage.assignments(ast.unparse(node), before):
        found = written(lineage, node.value, before, depth)
    entry = found.at(key) if found is not None and isinstance(key, int | str) else None
    if found is None or entry is None:
        yield term
    else:
        yield from _terms(found.lineage, entry, found.before, depth + 1, via)


def _called(term: Term, depth: int) -> Iterator[Term]:
    """The summands of what a function of the user's returns, or of a sum() over a written list."""
    lineage, node, before, via = term
    assert isinstance(node, ast.Call)
    if isinstance(node.func, ast.Name) and node.func.id == "sum" and len(node.args) == 1:
        summed = node.args[0]
        if isinstance(summed, ast.Call) and isinstance(summed.func, ast.Attribute):
            summed = summed.func.value if summed.func.attr == "values" else summed
        listed = written(lineage, summed, before, depth)
        if listed is not None:
            inner = listed.node
            for each in inner.values if isinstance(inner, ast.Dict) else inner.elts:
                yield from _terms(listed.lineage, each, listed.before, depth + 1, via)
            return
    returned = returned_by(lineage, node, before, depth)
    found = [*_terms(*returned, depth + 1, via)] if returned is not None else []
    # A function that returns no sum is one summand, as its caller wrote it.
    yield from found if len(found) > 1 else [term]
