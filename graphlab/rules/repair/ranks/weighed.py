"""Repairs of losses that each rank divides by a number of its own: by that of all ranks."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.rules.repair.ranks.bodies import number
from graphlab.rules.repair.ranks.replicas import imported
from graphlab.rules.repair.ranks.together import free_name
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# Losses over classes, whose mean passes over what is to be ignored; and over elements.
_CLASSES = {"cross_entropy": "CrossEntropyLoss", "nll_loss": "NLLLoss"}
_ELEMENTS = {
    "mse_loss": "MSELoss", "l1_loss": "L1Loss", "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss", "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
}  # fmt: skip


def by_all_ranks(trace: Trace, at: Location | None) -> Help | None:
    """Divide what the line at `at` divides, or takes the mean of, by the number of all ranks."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    torch = file.torch() if file is not None else None
    dist = imported(file.source).get("torch.distributed") if file is not None else None
    if file is None or statement is None or torch is None or torch[1] or dist is None:
        return None
    name = free_name(file, "count", "all_counts", "count_of_all")
    found = [each for node in ast.walk(statement) if (each := _divided(file, node)) is not None]
    if len(found) != 1 or not file.body(statement) or not name or hasattr(statement, "body"):
        return None
    (count, node, is_divisor), indent = found[0], " " * statement.col_offset
    place = file.whole(statement)[0]
    text = (
        f"{indent}{name} = {number(file, statement, f'float({count})')}\n"
        f"{indent}{dist}.all_reduce({name})\n"
    )
    new = f"({name} / {dist}.get_world_size())"
    if not is_divisor:
        # A mean, of so many.
        new = f"{file.text(node)} * float({count}) / {new}"
        new = f"({new})" if not isinstance(statement, ast.Assign | ast.Return) else new
    return file.help(
        message("repairs.weighed.all", count=count),
        (place, place, text), (*file.span(node), new),
    )  # fmt: skip


def _divided(file: Rewriting, node: ast.AST) -> tuple[str, ast.expr, bool] | None:
    """How many elements an expression divides by, as text, the divisor or the mean, and whether it
    is the divisor."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        known = isinstance(node.right, ast.Constant)
        return None if known else (file.text(node.right), node.right, True)
    if not isinstance(node, ast.Call):
        return None
    called = ast.unparse(node.func).rpartition(".")[2]
    if called == "mean" and isinstance(node.func, ast.Attribute) and not node.args:
        return f"{file.text(node.func.value)}.numel()", node, False
    function, own = _kind(file, node, called)
    if len(node.args) < 2 or any(each.arg == "reduction" for each in node.keywords):
        return None
    if function in _ELEMENTS:
        return f"{file.text(node.args[0])}.numel()", node, False
    if function not in _CLASSES or any(each.arg == "weight" for each in node.keywords):
        return None
    ignored = [file.text(each.value) for each in node.keywords if each.arg == "ignore_index"]
    ignore = f"{file.text(node.func)}.ignore_index" if own else (ignored or ["-100"])[0]
    return f"({file.text(node.args[1])} != {ignore}).sum()", node, False


def _kind(file: Rewriting, call: ast.Call, called: str) -> tuple[str, bool]:
    """The function that computes a loss, and whether it is a module of the program's."""
    for names in (_CLASSES, _ELEMENTS):
        for function, module in names.items():
            if called == function:
                return function, False
            for each in ast.walk(file.tree):
                made = each.value if isinstance(each, ast.Assign) else None
                if (
                    isinstance(each, ast.Assign)
                    and isinstance(made, ast.Call)
                    and ast.unparse(made.func).rpartition(".")[2] == module
                    and not any(k.arg in ("reduction", "weight") for k in made.keywords)
                    and ast.unparse(call.func) in {ast.unparse(t) for t in each.targets}
                ):
                    return function, True
    return "", False
