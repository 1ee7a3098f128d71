"""A custom Function's backward that returned the wrong number, shape or type of gradients, or that
is not there at all."""

from __future__ import annotations

import ast
import difflib
from typing import Any

import torch

from graphlab.language import message
from graphlab.observe.failures.call import Diagnosis, FailedCall, cut_at
from graphlab.observe.failures.functions import CustomFunction, arity, returns
from graphlab.observe.failures.node import failed_node
from graphlab.observe.graph.engine import Metadata, inputs_of
from graphlab.observe.notes import Cut
from graphlab.source.places import nodes_of, parse

# torch's own method, which stands for the one that a class does not define, and only raises.
_ABSENT = getattr(torch.autograd.Function.backward, "__code__", None)


def broken_contract(call: FailedCall) -> Diagnosis | None:
    """The failure of a Function whose backward had returned when torch raised; None where it is
    not one of those."""
    if call.below or not call.possible:
        # Something was still running.
        return None
    functions = [CustomFunction.of(each) for each in call.possible]
    first = functions[0]
    if first is None or any(each is None or each.kind is not first.kind for each in functions):
        return None
    if first.backward is None or first.backward not in call.files:
        return None
    node = call.possible[0]
    wanted = _inputs(node)
    if not wanted:
        return None
    statement, cut = _returned(call, first, wanted)
    source = first.source()
    got = arity(statement.value, source) if statement is not None and source else None
    why = _why(call, first, node, wanted, got)
    found = failed_node(call, function=first.name, why=why)
    return Diagnosis("contract", found, cut=cut)


def missing_backward(call: FailedCall) -> Diagnosis | None:
    """The failure of a Function whose class has no backward; None where it is another."""
    if len(call.possible) != 1 or not call.below or call.below[-1].frame.f_code is not _ABSENT:
        return None
    function = CustomFunction.of(call.possible[0])
    code = function.forward if function is not None else None
    if function is None or code is None or code not in call.files:
        return None
    classes = [
        each
        for each in nodes_of(parse(code.co_filename))
        if isinstance(each, ast.ClassDef)
        and each.name == function.name
        and each.lineno <= code.co_firstlineno <= (each.end_lineno or 0)
    ]
    cut = None
    for each in classes if len(classes) == 1 else ():
        methods = {m.name: m for m in each.body if isinstance(m, ast.FunctionDef)}
        near = difflib.get_close_matches("backward", methods, n=1, cutoff=0.8)
        by = f"def {near[0]}" if near else f"class {each.name}"
        inside = code.co_qualname.rpartition(".")[0]
        cut = cut_at(methods[near[0]] if near else each, by, code.co_filename, inside)
    return Diagnosis("no-backward", failed_node(call, function=function.name), cut=cut)


def _inputs(node: Any) -> int:
    """How many inputs forward was given."""
    return len(_needed(node))


def _needed(node: Any) -> tuple[bool, ...]:
    """Which inputs need a gradient. `needs_input_grad` is one of ctx's documented fields."""
    try:
        return tuple(node.needs_input_grad)
    except Exception:
        return ()


def _returned(
    call: FailedCall, function: CustomFunction, wanted: int
) -> tuple[ast.Return | None, Cut | None]:
    """The return statement that ran."""
    source, code = function.source(), function.backward
    if source is None or code is None:
        return None, None
    every = sorted(returns(source), key=lambda each: each.lineno)
    at = call.ran_last(code)
    if at is not None:
        ran = [each for each in every if each.lineno <= at.line <= (each.end_lineno or 0)]
    elif len(every) > 1:
        # Without a log: the only one that can be wrong by its number of values.
        ran = [each for each in every if arity(each.value, source) not in (wanted, None)]
    else:
        ran = every
    if len(ran) != 1:
        return None, None
    cut = cut_at(ran[0], ast.unparse(ran[0]), code.co_filename, code.co_qualname)
    return ran[0], cut


def _why(
    call: FailedCall, function: CustomFunction, node: Any, wanted: int, got: int | None
) -> str:
    names = function.inputs()
    if got is not None and not _acceptable(got, wanted, function):
        # As text: arguments of messages are plain.
        needed = " ".join(str(at) for at, each in enumerate(_needed(node)) if each)
        return message("observed.contract.number", gradients=got, inputs=wanted, needed=needed)
    bad = _misshapen(call, inputs_of(node))
    # next_functions leaves out inputs that are no tensors.
    if bad is not None:
        at, shape = bad
        known = at < len(names) and _all_tensors(node, wanted)
        name = names[at] if known else message("observed.contract.input", at=at)
        return message("observed.contract.shape", name=name, shape=str(list(shape.shape)))
    if got is None:
        return message("observed.contract.misfit", inputs=wanted)
    return message("observed.contract.other")


def _acceptable(got: int, wanted: int, function: CustomFunction) -> bool:
    """torch lets a backward return further values, if all of those are None."""
    return got == wanted


def _all_tensors(node: Any, wanted: int) -> bool:
    return len(node.next_functions) == wanted


def _misshapen(call: FailedCall, inputs: list[Metadata | None]) -> tuple[int, Metadata] | None:
    """Which input's gradient torch complains of. The shapes are the graph's; the message only
    decides between them."""
    said = str(call.error)
    fits = [
        (at, each)
        for at, each in enumerate(inputs)
        if each is not None and f"index {at} " in said and str(list(each.shape)) in said
    ]
    return fits[0] if len(fits) == 1 else None
