"""The first NaN or Inf of a run was made in a backward: a derivative that has no finite value."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.numbers import finding, operand, sighted, spelt
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite

_STEEP = {
    "sqrt": "the root's slope at 0 is infinite: add an epsilon inside it",
    "norm": "a norm has no slope at 0: add an epsilon, or leave such rows out",
    "pow": "a power below 1 has an infinite slope at 0: add an epsilon",
    "acos": "its slope at -1 and 1 is infinite: clamp a little inside of them",
    "log": "the slope of log at 0 is infinite: clamp, or use xlogy for x * log(x)",
    "linalg_eigh": "eigenvectors of equal eigenvalues have no slope: use eigvalsh, or add noise",
    "div": "a quotient has no slope where its divisor is 0: clamp the divisor",
}
for _one, _other in {
    "linalg_vector_norm": "norm", "asin": "acos", "log2": "log", "log10": "log", "log1p": "log",
    "rsqrt": "sqrt", "reciprocal": "div", "std": "sqrt", "tensor_pow": "pow",
    "linalg_svd": "linalg_eigh",
}.items():  # fmt: skip
    _STEEP[_one] = _STEEP[_other]


def check(trace: Trace) -> Iterator[Finding]:
    for each in sighted(trace):
        if each.phase == "backward":
            yield finding(RULE, trace, each, _made(each), _help(each))


def _made(each: NonFinite) -> str:
    if not each.operation:
        called = f" by {each.call}" if each.call else ""
        return f"a gradient computed{called} was not finite, though its loss was"
    line = f" in line {each.at.line}" if each.at is not None else ""
    if each.inside:
        return f"{spelt(each.operation)}{line} of a backward of your own made it{operand(each)}"
    where = f" in {each.module}" if each.module else ""
    zero = ", where the gradient that came in is 0" if each.zero_met else ""
    given = f": {each.critical}" if each.critical else ""
    return f"the derivative of {spelt(each.operation)}{where}{line} made it{given}{zero}"


def _help(each: NonFinite) -> str:
    steep = _STEEP.get(spelt(each.operation), "") if each.operation and not each.inside else ""
    if each.zero_met:
        branch = (
            "a branch that torch.where or a mask does not take is differentiated all the same, "
            "and 0 times infinity is NaN: make its input safe before the operation, as in "
            "torch.where(ok, x, torch.ones_like(x))"
        )
        steep = f"{steep}; {branch}" if steep else branch
    return f"{steep[:1].upper()}{steep[1:]}." if steep else ""


RULE = Rule("GL202", "non-finite-gradient", "warning", check)
