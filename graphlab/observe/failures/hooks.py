"""A hook that gave autograd back what cannot take the place of the gradient it was given."""

from __future__ import annotations

import ast
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch.utils import hooks as _hooks

from graphlab.language import message
from graphlab.observe.failures.call import Diagnosis, FailedCall, cut_at
from graphlab.observe.failures.functions import returns
from graphlab.observe.notes import Cut
from graphlab.observe.origins.context import code_scope
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.source.objects import attributes, items
from graphlab.source.places import locate, parse
from graphlab.trace.model import FailedNode

# Every way to have a function called by autograd with a gradient that it may replace.
_REGISTER = {
    "register_hook", "register_full_backward_hook", "register_full_backward_pre_hook",
    "register_backward_hook", "register_prehook", "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook", "register_module_backward_hook",
}  # fmt: skip


def misfit_of_hook(call: FailedCall) -> Diagnosis | None:
    """The hook of the user's that had just returned when torch raised; None where torch did not
    complain of what a hook gave back, or it is not known which that was."""
    last = call.below[-1].frame.f_code.co_filename if call.below else None
    if last != _hooks.__file__ and (last is not None or mistake_of(call.error) != "hook-value"):
        return None
    code = _ran_last(call) if call.log is not None else _only(call)
    if code is None:
        return None
    lambda_ = code.co_name == "<lambda>"
    name = message("observed.failed.a_lambda") if lambda_ else f"{code.co_name}()"
    found = FailedNode("", None, function=name, why=message("observed.failed.hook"))
    return Diagnosis("failed", found, cut=_returned(code, call))


def _ran_last(call: FailedCall) -> CodeType | None:
    """The function of the user's that ran last in this backward: that a call inside it returned is
    noted, so it is the hook itself."""
    if call.log is None or call.spot is None:
        return None
    if call.elsewhere is not None:
        last = call.elsewhere.last_call()
        return last[-1].code if last else None
    caller, at = call.spot
    line = locate(caller, at).line
    marks = [(code, offset) for _, code, offset, _ in call.log.marks if code is not None]
    # That the exception has come back to the call is noted too.
    while marks and marks[-1][0] is caller and locate(*marks[-1]).line == line:
        marks.pop()
    ran = marks[-1] if marks else None
    before = next((each for each in reversed(marks) if each[0] is caller), None)
    began = before is not None and locate(*before).line == line
    return ran[0] if ran is not None and ran[0] is not caller and began else None


def _only(call: FailedCall) -> CodeType | None:
    """Without a log: the only function that is registered as a hook, by the only line that does."""
    calls = [
        node
        for file in call.user_files()
        for node in ast.walk(parse(file) or ast.Module([], []))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _REGISTER
    ]
    if len(calls) != 1:
        return None
    drawers: list[Any] = [
        attributes(each).get(drawer)
        for each in call.names.held_modules()
        for drawer in ("_backward_hooks", "_backward_pre_hooks")
    ]
    codes = {code for drawer in drawers for _, hook in items(drawer) if (code := _code(hook))}
    code = next(iter(codes)) if len(codes) == 1 else None
    return code if code is not None and code in call.files else None


def _code(hook: Any) -> CodeType | None:
    function = hook.__func__ if type(hook) is MethodType else hook
    return function.__code__ if type(function) is FunctionType else None


def _returned(code: CodeType, call: FailedCall) -> Cut | None:
    """The return statement that ran, or the lambda."""
    source = code_scope(code)
    every: list[ast.AST] = []
    if isinstance(source, ast.Lambda):
        every = [source]
    elif isinstance(source, ast.FunctionDef):
        every = [each for each in returns(source) if each.value is not None]
        at = call.ran_last(code)
        if at is not None and len(every) > 1:
            ran = (each for each in every if isinstance(each, ast.Return))
            every = [each for each in ran if each.lineno <= at.line <= (each.end_lineno or 0)]
    if len(every) != 1:
        return None
    return cut_at(every[0], ast.unparse(every[0]), code.co_filename, code.co_qualname)
