"""The first NaN or Inf of a run was made in a backward: a derivative that has no finite value."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.numbers import finding, given, operand, reached_at, sighted, spelt
from graphlab.rules.rule import Rule
from graphlab.rules.words import in_line, in_module
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite

# Which operations share what is said of their slope, and its key.
_STEEP = {
    "sqrt": "sqrt", "rsqrt": "sqrt", "std": "sqrt", "norm": "norm", "linalg_vector_norm": "norm",
    "pow": "pow", "tensor_pow": "pow", "acos": "acos", "asin": "acos", "log": "log",
    "log2": "log", "log10": "log", "log1p": "log", "div": "div", "reciprocal": "div",
    "linalg_eigh": "eigh", "linalg_svd": "eigh", "xlogy": "xlogy", "hypot": "hypot",
    "angle": "angle", "logaddexp": "logaddexp", "logaddexp2": "logaddexp",
    "logsumexp": "logsumexp",
}  # fmt: skip
# Of which the results are counted, and not the values of the operand.
_BY_RESULT = (
    "rsqrt", "reciprocal", "exp", "norm", "linalg_vector_norm", "std", "linalg_eigh",
    "linalg_svd", "logsumexp",
)  # fmt: skip


def check(trace: Trace) -> Iterator[Finding]:
    for each in sighted(trace):
        if each.phase == "backward":
            yield finding(RULE, trace, each, _made(each), _help(each))


def _made(each: NonFinite) -> str:
    if not each.operation:
        key = "computed_by" if each.call else "computed"
        return message(f"numbers.gl202.{key}", call=each.call)
    words = {"operation": spelt(each.operation), "line": in_line(each.at, reached_at(each))}
    if each.inside:
        return message("numbers.gl202.own_backward", operand=operand(each), **words)
    zero = message("numbers.gl202.zero") if each.zero_met else ""
    of = operand(each)
    if words["operation"] in _BY_RESULT:
        of = given(each)
        if each.operand:
            both = {"operation": words["operation"], "operand": each.operand}
            words["operation"] = message("numbers.place.operation_of", **both)
    words |= {"module": in_module(each.module), "given": of, "zero": zero}
    return message("numbers.gl202.derivative", **words)


def _help(each: NonFinite) -> str:
    known = _STEEP.get(spelt(each.operation)) if each.operation and not each.inside else None
    if known is None:
        return message("numbers.gl202.branch") if each.zero_met else ""
    key = "help_and_branch" if each.zero_met else "help"
    return message(f"numbers.gl202.{key}", steep=message(f"numbers.gl202.steep.{known}"))


RULE = Rule("GL202", "non-finite-gradient", "warning", check)
