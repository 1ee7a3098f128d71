"""Finds why autograd refused a call before any node ran: no graph, a non-scalar, an unused input.

The reason is read from the arguments of the refused call.
"""

from __future__ import annotations

import ast
from types import FrameType
from typing import Any, NamedTuple

from graphlab.language import message
from graphlab.observe.graph.walk import grad_edge, hold, listed, needed, walk
from graphlab.observe.lineage.cut import Stack, find_cut
from graphlab.observe.lineage.freezing.frozen import frozen_by
from graphlab.observe.lineage.loss import cut_of_loss
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, CutAt, Log
from graphlab.observe.origins.context import Context, Entry
from graphlab.observe.origins.made import Makers
from graphlab.observe.refusals.asked import cut_of, made_late, maker
from graphlab.observe.refusals.imaginary import complex_since, reduces
from graphlab.observe.refusals.reduction import not_reduced
from graphlab.observe.tensors import (
    count_of,
    describe,
    is_complex,
    is_nested,
    is_parameter,
    is_tensor,
    kind_of,
    requires_grad,
    shape_of,
)
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.places import line_place, statement_at
from graphlab.source.wording import grad_input_at
from graphlab.trace.model import Location, TensorInfo, Trouble


class Outright(NamedTuple):
    """Why a call was refused, which tensor it is about, and where that lost its graph."""

    trouble: Trouble
    subject: Any
    cut: Cut | None = None
    # Which of the inputs it is.
    place: int = 0
    # What is wrong with it, as the end of a sentence.
    why: str = ""

    def info(self, names: Names, loss: str, at: Location | None) -> TensorInfo:
        """The subject, under its own name or as the call at `at` was written."""
        tensor = self.subject
        given = self.trouble in ("unused-input", "frozen-input")
        asked = grad_input_at(at, self.place) if given else None
        if asked is not None and "[" in asked and id(tensor) not in names.tensors:
            # A view that was made for this call: its base has the name, and is another tensor.
            return describe(tensor, asked, kind_of(tensor))
        known = names.of_tensor(tensor)
        if known is not None:
            return describe(tensor, known[1].name, known[1].kind, known[1].owner)
        fallback = loss if not given else asked
        return describe(tensor, fallback, kind_of(tensor))


def refused_outright(
    values: dict[str, Any],
    is_grad: bool,
    loss: str,
    caller: FrameType | None,
    files: UserFiles,
    line: int | None = None,
    stack: Stack | None = None,
    log: Log | None = None,
    within: FrameType | None = None,
) -> Outright | None:
    """Why the call was refused, None if it was not. `values` are the arguments of backward or grad
    by name, `loss` is the expression in `caller`, in `line` of `stack` if
    `caller` has gone on since. `within` is autograd's own frame, while that is running."""
    roots = listed(values.get("outputs" if is_grad else "tensors"))
    given = listed(values.get("grad_outputs" if is_grad else "grad_tensors"))
    for at, root in enumerate(roots):
        if not is_tensor(root):
            continue
        if not requires_grad(root):
            if within is not None:
                return Outright("no-graph", root, cut_of_loss(within, files, log))
            return Outright("no-graph", root, find_cut(caller, loss, files, line, stack, log))
        alone = at >= len(given) or given[at] is None
        if alone and count_of(root) != 1:
            return Outright("non-scalar", root, not_reduced(caller, loss, files, line))
        if alone and is_complex(root):
            seen = complex_since(root, log) if log is not None else []
            made = seen[0] if len(seen) == 1 else maker(root, caller, files, line)
            if log is None and made is not None and not reduces(made):
                # Which of its parts is complex was not seen.
                made = None
            return Outright("complex-loss", root, cut_of(made) if made is not None else None)
        if not alone and is_tensor(given[at]) and not values.get("is_grads_batched"):
            other = given[at]
            if shape_of(other) != shape_of(root) and not (is_nested(other) or is_nested(root)):
                by = _shaped(other, caller, files, line, log)
                shape, own = str(list(shape_of(other))), str(list(shape_of(root)))
                why = message("observed.refused.shape", shape=shape, loss=loss, own=own)
                return Outright("gradient-shape", root, by, at, why)
    inputs = _inputs(values)
    for at, each in enumerate(inputs):
        if is_tensor(each) and not requires_grad(each):
            user = user_frame(caller, files)
            by = frozen_by(each, user, files, log)
            if by is None and not is_parameter(each):
                made = maker(each, caller, files, line)
                by = cut_of(made) if made else _made(each, caller, files, line, log)
            return Outright("frozen-input", each, by, at)
    if is_grad and not values.get("allow_unused"):
        nodes = walk(grad_edge(root) for root in roots)
        hold(nodes, roots)
        reached = set(nodes)
        for at, each in enumerate(inputs):
            edge = grad_edge(each)
            if edge not in reached and edge is not None:
                late = made_late(each, inputs, roots, loss, caller, files, line, log)
                return Outright("unused-input", each, late, at)
    return None


def _shaped(
    tensor: Any, frame: FrameType | None, files: UserFiles, line: int | None, log: Log | None
) -> Cut | None:
    """The line that gave `tensor` its shape: the call itself where that makes it."""
    found = _made(tensor, frame, files, line, log)
    here = _line(frame, files, line)
    if found is not None or here is None:
        return found
    made = maker(tensor, frame, files, line)
    user, statement = user_frame(frame, files), statement_at(here.file, here.line)
    context = Context.of_entry(Entry(user, user.f_lasti)) if user is not None else None
    if made is None and not _names(tensor, statement, context):
        made = here
    return cut_of(made) if made is not None else None


def _made(
    tensor: Any, frame: FrameType | None, files: UserFiles, line: int | None, log: Log | None
) -> Cut | None:
    """The operation that made `tensor`, which an expression in the user's line stands for."""
    user, here = user_frame(frame, files), _line(frame, files, line)
    if user is None or here is None:
        return None
    context = Context.of_entry(Entry(user, user.f_lasti))
    makers = Makers.of_frame(user, files, log)
    given = makers.maker(tensor, statement_at(here.file, here.line), context)
    return CutAt(given.at, given.by) if given is not None else None


def _names(tensor: Any, statement: ast.stmt | None, context: Context | None) -> bool:
    """Whether a variable or attribute in the statement stands for it."""
    return context is not None and any(
        isinstance(each, ast.Name | ast.Attribute | ast.Subscript) and context.value(each) is tensor
        for each in (ast.walk(statement) if statement is not None else ())
    )


def _line(frame: FrameType | None, files: UserFiles, line: int | None) -> Location | None:
    user = user_frame(frame, files)
    if user is None:
        return None
    code = user.f_code
    return line_place(code.co_filename, line or user.f_lineno, code.co_qualname)


def nodes_behind(values: dict[str, Any], is_grad: bool, limit: int | None = None) -> list[Any]:
    """The nodes that the call runs, or would have run; at most `limit` are walked."""
    roots = listed(values.get("outputs" if is_grad else "tensors"))
    nodes = walk((grad_edge(root) for root in roots), limit)
    hold(nodes, roots)
    goals = [edge for each in _inputs(values) if (edge := grad_edge(each)) is not None]
    return needed(nodes, goals) if goals else nodes


def _inputs(values: dict[str, Any]) -> list[Any]:
    """What a gradient is asked for. torch uses an iterator up, and keeps what came out of it in a
    local variable of its own."""
    given = values.get("inputs_tuple")
    return listed(given if type(given) is tuple else values.get("inputs"))
