"""The first NaN or Inf of a run was made in a forward or a step, or came with the data."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import key_of, message
from graphlab.rules.numbers import called, finding, given, operand, reached_at, sighted, spelt
from graphlab.rules.rule import Rule
from graphlab.rules.words import in_line, in_module, loss_word, several_parameters
from graphlab.source.wording import THE_LOSS
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite

# Which operations share a help, and its key.
_HELPS = {
    "log": "log", "log2": "log", "log10": "log", "log1p": "log", "logit": "log", "xlogy": "log",
    "exp": "exp", "expm1": "exp", "div": "div", "reciprocal": "div", "addcdiv": "div",
    "rsqrt": "div", "sqrt": "sqrt", "softmax": "softmax", "log_softmax": "softmax", "pow": "pow",
    "acos": "acos", "asin": "acos", "std": "std", "var": "std",
    "nll_loss": "count", "nll_loss2d": "count",
}  # fmt: skip

# Operations that allocate memory and write nothing to it.
_UNWRITTEN = ("empty", "empty_like", "new_empty", "empty_strided", "empty_permuted", "resize")
# What an operand is said to be that has no values of a special kind: its range, or its one value.
_LARGE = ("observed.values.range", "observed.values.value")


def check(trace: Trace) -> Iterator[Finding]:
    for each in sighted(trace):
        if each.phase != "backward":
            yield finding(RULE, trace, each, _made(trace, each), _help(each))


def _made(trace: Trace, each: NonFinite) -> str:
    words = {"line": in_line(each.at, reached_at(each)), "module": in_module(each.module)}
    if each.phase == "before":
        if each.operand:
            return message("numbers.gl201.before", name=each.operand, **words)
        places = each.tensors
        names = several_parameters(trace, places) if places else message("words.a_parameter")
        return message("numbers.gl201.before_loss", names=names)
    if each.phase == "kept":
        return message("numbers.gl201.kept", names=several_parameters(trace, each.tensors))
    if each.phase == "data":
        name = each.operand or message("words.a_tensor")
        many = {"count": each.count, "whole": each.whole}
        if each.operation:
            words["operation"] = spelt(each.operation)
            return message("numbers.gl201.met", name=name, **many, **words)
        key = "data_many" if each.whole else "data"
        return message(f"numbers.gl201.{key}", name=name, **many, **words)
    if each.phase == "step":
        key = "step_operation" if each.operation else "step" if each.call else "step_or_gradient"
        if each.critical and not each.operation:
            return message("numbers.gl201.step_setting", critical=each.critical, **words)
        words["given"] = operand(each) if each.operand else given(each)
        return message(f"numbers.gl201.{key}", operation=each.operation, **words)
    if each.operation in _UNWRITTEN:
        return message("numbers.gl201.unwritten", operation=each.operation, **words)
    if not each.operation and not each.in_loss:
        return message("numbers.gl201.value", name=each.loss)
    if not each.operation:
        return message("numbers.gl201.forward", loss=loss_word(each.loss or THE_LOSS))
    words["operand"] = operand(each)
    return message("numbers.gl201.operation", operation=called(each), **words)


def _help(each: NonFinite) -> str:
    if each.phase == "data":
        return message("numbers.gl201.data_help")
    if each.phase == "step":
        return _help_of_step(each)
    if each.phase == "before":
        return message("numbers.gl201.before_help") if each.operand else ""
    if each.phase == "kept":
        return message("numbers.gl201.kept_help")
    if each.operation in _UNWRITTEN:
        return message("numbers.gl201.unwritten_help")
    known = _HELPS.get(spelt(each.operation))
    # An exponential outgrows its type from ordinary values; all else, from large ones.
    if known != "exp" and key_of(each.critical) in _LARGE:
        return message("numbers.gl201.outgrew")
    return message(f"numbers.gl201.help.{known}") if known is not None else ""


def _help_of_step(each: NonFinite) -> str:
    if key_of(each.critical) == "observed.values.setting":
        return message("numbers.gl201.rate_help")
    if key_of(each.critical) == "observed.values.and_setting":
        return message("numbers.gl201.eps_help")
    if key_of(each.critical) == "observed.values.and_rounded":
        return message("numbers.gl201.rounded_help")
    mine = each.at is not None and each.at != each.step_at
    if each.operation and mine and (known := _HELPS.get(spelt(each.operation))) is not None:
        return message(f"numbers.gl201.help.{known}")
    # A step that may not have made it needs no float32.
    return message("numbers.gl201.step_help") if each.operation or each.call else ""


RULE = Rule("GL201", "non-finite-value", "warning", check)
