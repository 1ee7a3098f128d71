"""The first NaN or Inf of a run was made in a forward or a step, or came with the data."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.numbers import finding, operand, sighted, spelt
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite

_HELPS = {
    "log": "Keep what goes into the logarithm positive: log_softmax or logsumexp in place of a "
    "softmax, a sum of exponentials and a log, or clamp(min=…) before it.",
    "exp": "An exponential overflows soon: use logsumexp, softplus or a loss on logits, or clamp "
    "what goes into it.",
    "div": "Add an epsilon to the divisor, or clamp it away from 0.",
    "sqrt": "Clamp what goes into the root: clamp(min=0), and an epsilon for its derivative.",
    "softmax": "A row that is masked whole has no softmax: leave such rows out, or keep one entry.",
    "pow": "A negative number has no power with a fractional exponent: clamp it first.",
    "acos": "Clamp what goes into it to -1 and 1: rounding takes it beyond.",
    "std": "The spread of one value is not defined: pass correction=0, or leave such groups out.",
}
for _other in ("log2", "log10", "log1p", "logit"):
    _HELPS[_other] = _HELPS["log"]
for _other in ("reciprocal", "addcdiv", "rsqrt"):
    _HELPS[_other] = _HELPS["div"]
_HELPS["asin"], _HELPS["var"], _HELPS["expm1"] = _HELPS["acos"], _HELPS["std"], _HELPS["exp"]
_HELPS["log_softmax"] = _HELPS["softmax"]


def check(trace: Trace) -> Iterator[Finding]:
    for each in sighted(trace):
        if each.phase != "backward":
            yield finding(RULE, trace, each, _made(each), _help(each))


def _made(each: NonFinite) -> str:
    line = f" in line {each.at.line}" if each.at is not None else ""
    if each.phase == "before":
        name = each.operand or "a parameter"
        return f"{name} had it already when looking began{line}"
    if each.phase == "data":
        many = f", {each.count} of {each.whole} values" if each.whole else ""
        return f"{each.operand or 'a tensor'} came with it{line}, no operation made it{many}"
    if each.phase == "step":
        if not each.operation:
            return "an optimizer's step made it from gradients that are finite"
        where = f" in {each.module}" if each.module else ""
        return f"{each.operation}{where} inside the optimizer's step{line} made it{_given(each)}"
    if not each.operation:
        return f"a forward made it for {each.loss or 'the loss'}, from parameters that are finite"
    where = f" in {each.module}" if each.module else ""
    return f"{spelt(each.operation)}{where}{line} made it{operand(each)}"


def _given(each: NonFinite) -> str:
    return f": {each.critical}" if each.critical else ""


def _help(each: NonFinite) -> str:
    if each.phase == "data":
        return "Look at where that comes from, and leave it out or fill it: torch.nan_to_num(…)."
    if each.phase == "step":
        return "In float16 a small eps is 0 and large steps overflow: keep weights in float32."
    if each.phase == "before":
        return "Load or initialise it anew."
    known = _HELPS.get(spelt(each.operation))
    if known is None and "from" in each.critical:
        return "The values outgrew their type: a lower learning rate, clipping, or float32."
    return known or ""


RULE = Rule("GL201", "non-finite-value", "warning", check)
