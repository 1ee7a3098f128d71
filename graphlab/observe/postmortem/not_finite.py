"""Explains a program's own check for NaN, ``assert torch.isfinite(loss)``, from its traceback.

The graph of what was checked is still there, so that the operation is found as in a watched run.
Its line is known if anomaly detection was on, or if one expression alone can be it.
"""

from __future__ import annotations

from dataclasses import replace

from graphlab.observe.graph.traced import traced_line
from graphlab.observe.graph.walk import grad_edge, leaf_of, walk
from graphlab.observe.names import parameters_of
from graphlab.observe.numbers.births import phase_of
from graphlab.observe.numbers.checks import checked_by
from graphlab.observe.numbers.finite import odd
from graphlab.observe.numbers.graph_look import Found, look, spelt
from graphlab.observe.numbers.operands import written
from graphlab.observe.postmortem.written_by import live_optimizers
from graphlab.observe.refusals.traceback import ErrorTraceback
from graphlab.observe.tensors import Unnoticed, grad_fn_of
from graphlab.source.files import UserFiles
from graphlab.trace.sightings import NonFinite


def refused_number(error: Exception, tb: ErrorTraceback, files: UserFiles) -> NonFinite | None:
    """What the number that a check of the program's has refused comes from; None if it was no such
    check."""
    with Unnoticed():
        checked = checked_by(error, files)
        if checked is None:
            return None
        value = checked[1][0]
        if grad_fn_of(value) is None:
            return None
        tb.look_from(len(tb.entries))
        nodes = walk([grad_edge(value)])
        kind = "nan" if odd(value).nan else "inf"
        known = tb.names.of_tensor(value)
        name = known[1].name if known is not None else ""
        ill = [leaf for node in nodes if (leaf := leaf_of(node)) is not None and odd(leaf)]
        if ill:
            optimizers = [(None, each.optimizer) for each in live_optimizers(tb.names)]
            held = any(each is ill[0] for _, own in optimizers for each in parameters_of(own))
            phase = phase_of(ill, optimizers) if held else None
            found = [tb.add(*named) for each in ill if (named := tb.names.of_tensor(each))]
            return NonFinite(
                None, "", phase or "before", kind, loss=name, tensors=tuple(found), look_from=0
            )
        seen = [each for entry in tb.entries for each in entry.frame.f_locals.values()]
        made = look([grad_edge(value)], nodes, seen)
        base = NonFinite(None, "", "forward", kind, in_loss=True, loss=name, look_from=0)
        return base if made is None else _told(base, made, tb, files)


def _told(base: NonFinite, made: Found, tb: ErrorTraceback, files: UserFiles) -> NonFinite:
    operation = spelt(made.operation)
    at, text = traced_line(made.node, files), ""
    if made.met:
        known = tb.names.of_tensor(made.tensors[0])
        text = known[1].name if known is not None else ""
        return replace(
            base, at=at, operation=operation, phase="data", kind="nan", operand=text,
            count=sum(made.made), whole=made.whole,
        )  # fmt: skip
    mine = [each.frame for each in tb.entries if each.frame.f_code in files]
    if made.tensors:
        found = written(operation, made.tensors[made.which], mine, tb.source_files())
        at, text = found if at is None and found is not None else (at, "")
    return replace(
        base, at=at, operation=operation, kind="nan" if made.made.nan else "inf", operand=text,
        critical=made.critical, count=sum(made.made), whole=made.whole,
        look_from=0 if at is None else None,
    )  # fmt: skip
