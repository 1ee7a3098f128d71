"""Repair of what a custom Function's backward returns."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from itertools import combinations

from graphlab.language import Message, message
from graphlab.language.lists import listing
from graphlab.source.blocks import StatementInScope
from graphlab.source.rewriting import Function
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

# How torch tells the place of a gradient, the shape that it has and the one of its input.
_MISSHAPEN = re.compile(r"at index (\d+) - got \[([\d, ]*)\] .*\[([\d, ]*)\]")


def complete_return(trace: Trace, event: Backward) -> Help | None:
    """Return the gradients that were computed and left out; None where the source does not tell
    which those are."""
    here = StatementInScope.of(trace, event.cut) if event.cut is not None else None
    if here is None or not isinstance(here.statement, ast.Return) or here.statement.value is None:
        return None
    node = event.node
    why = node.why if node is not None else ""
    if not isinstance(why, Message) or isinstance(here.scope, ast.Module):
        return None
    if why.key != "observed.contract.number":
        ordered = _in_order(here, here.scope, here.statement.value)
        return ordered or _summed(trace, here, here.statement.value)
    got, wanted = why.arguments["gradients"], why.arguments["inputs"]
    inputs = _inputs(here.source, here.scope)
    value = here.statement.value
    given = _elements(value)
    if len(inputs) != wanted or len(given) != got:
        return None
    if got > wanted:
        text = message("repairs.returned.too_many", count=wanted, inputs=listing(inputs))
        return Help(text)
    unused = _unused(here.scope)
    texts = [here.text(each) for each in given]
    needed = [int(each) for each in str(why.arguments.get("needed", "")).split()]
    if not unused and len(needed) == got:
        # The others need no gradient: a number, a flag.
        mine = dict(zip(needed, texts, strict=True))
        text = message("repairs.returned.none_for", inputs=listing([inputs[at] for at in needed]))
        in_turn = [mine.get(at, "None") for at in range(wanted)]
        named = _by_name(inputs, given, texts)
        found = here.help(text, f"return {', '.join(named or in_turn)}")
        # What is left out at the end alone leaves no doubt of the order.
        sure = got == 1 or named or needed == [*range(got)]
        return found if sure else replace(found, choice=message("fix.meant.order"))
    if len(unused) != wanted - got or not texts:
        text = message("repairs.returned.too_few", count=wanted, inputs=listing(inputs))
        return Help(text)
    text = message("repairs.returned.complete", inputs=listing(inputs))
    all_of_them = [*_elements(value), *(ast.Name(each, ast.Load()) for each in unused)]
    ordered = _by_name(inputs, all_of_them, [*texts, *unused])
    found = here.help(text, f"return {', '.join(ordered or [*texts, *unused])}")
    # Gradients of one shape fit in any order.
    return found if ordered else replace(found, choice=message("fix.meant.order"))


def _in_order(here: StatementInScope, backward: Function, value: ast.expr) -> Help | None:
    """The same gradients in the order of the inputs. None where they stand in that order, or a name
    does not tell."""
    inputs, given = _inputs(here.source, backward), _elements(value)
    texts = [here.text(each) for each in given]
    ordered = _by_name(inputs, given, texts) if len(given) == len(inputs) else []
    if not ordered or ordered == texts:
        return None
    text = message("repairs.returned.in_order", inputs=listing(inputs))
    return here.help(text, f"return {', '.join(ordered)}")


def _summed(trace: Trace, here: StatementInScope, value: ast.expr) -> Help | None:
    """The gradient of an input that forward has spread over further dimensions: summed over these.
    None where the shapes fit in more ways than one."""
    said = _MISSHAPEN.search(trace.exception.message if trace.exception is not None else "")
    given = _elements(value)
    if said is None or int(said[1]) >= len(given):
        return None
    at = int(said[1])
    before = given[: at + 1]
    if any(isinstance(each, ast.Constant) for each in before):
        # torch counts the inputs that are tensors.
        return None
    got, wanted = ([int(n) for n in each.split(",") if n.strip()] for each in (said[2], said[3]))
    ways = [
        kept
        for kept in combinations(range(len(got)), len(wanted))
        if [got[each] for each in kept] == wanted
    ]
    if len(ways) != 1 or len(got) == len(wanted):
        return None
    over = [str(each) for each in range(len(got)) if each not in ways[0]]
    dims = over[0] if len(over) == 1 else f"({', '.join(over)})"
    texts = [here.text(each) for each in given]
    bare = isinstance(given[at], ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    texts[at] = f"{texts[at] if bare else f'({texts[at]})'}.sum({dims})"
    text = message("repairs.returned.summed", shape=str(wanted))
    return here.help(text, f"return {', '.join(texts)}")


def _elements(value: ast.expr) -> list[ast.expr]:
    return value.elts if isinstance(value, ast.Tuple) else [value]


def _by_name(inputs: list[str], given: list[ast.expr], texts: list[str]) -> list[str]:
    """The texts of the gradients in the order of the inputs, where their names tell for which each
    is: ``grad_scale`` for `scale`, and the one that is left for the last. Else empty."""
    mine: dict[str, str] = {}
    unnamed: list[str] = []
    for each, text in zip(given, texts, strict=True):
        if isinstance(each, ast.Constant) and each.value is None:
            continue
        names = {node.id for node in ast.walk(each) if isinstance(node, ast.Name)}
        meant = {one for one in inputs for name in names if _is_gradient_of(name, one)}
        if len(meant) > 1 or meant & mine.keys():
            return []
        if meant:
            mine[meant.pop()] = text
        else:
            unnamed.append(text)
    left = [each for each in inputs if each not in mine]
    if unnamed and (len(unnamed) > 1 or len(left) > 1):
        return []
    mine |= dict(zip(left, unnamed, strict=True)) if unnamed else {}
    return [mine.get(each, "None") for each in inputs]


def _is_gradient_of(name: str, one: str) -> bool:
    core = re.sub(r"^(grad_|d_?|g_)|(_grad|_g)$", "", name)
    return core != name and (one == core or one.startswith(f"{core}_") or one.endswith(f"_{core}"))


def _inputs(source: str, backward: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of forward's inputs in the class of `backward`."""
    for owner in ast.walk(ast.parse(source)):
        if not isinstance(owner, ast.ClassDef):
            continue
        methods = {each.name: each for each in owner.body if isinstance(each, ast.FunctionDef)}
        own = methods.get("backward")
        if own is None or own.lineno != backward.lineno or "forward" not in methods:
            continue
        given = methods["forward"].args
        names = [each.arg for each in (*given.posonlyargs, *given.args)]
        if given.vararg is not None:
            return []
        return names if "setup_context" in methods else names[1:]
    return []


def _unused(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The variables that are computed there and used nowhere, in the order of their lines."""
    stored: dict[str, int] = {}
    loaded: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored[node.id] = max(node.lineno, stored.get(node.id, 0))
        elif isinstance(node, ast.Name):
            loaded.add(node.id)
    return sorted(stored.keys() - loaded - {"_"}, key=lambda name: stored[name])
