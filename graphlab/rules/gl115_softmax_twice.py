"""A softmax, sigmoid or exp comes before a loss that computes one itself, or takes logarithms."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.calls import identity_instead
from graphlab.rules.repair.double_softmax import (
    as_scores,
    has_logarithms,
    with_logarithm,
    without_softmax,
)
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.sightings import SoftmaxTwice


def check(trace: Trace) -> Iterator[Finding]:
    told = set()
    for each in trace.sightings:
        if not isinstance(each, SoftmaxTwice):
            continue
        cause = each.built or each.at
        if cause in told:
            continue
        told.add(cause)
        code, name, severity = RULE.label
        what = f"nn.{each.module}" if each.module else f"{each.first}()"
        if each.classes >= 0:
            yield _no_likelihood(each)
            continue
        if each.takes_logs:
            yield _without_logarithm(trace, each, cause, what)
            continue
        if each.first == "log_softmax":
            # The second one changes nothing but rounding.
            severity = "info"
        yield Finding(
            code,
            name,
            severity,
            summary=message(
                f"training.gl115.{'harmless' if severity == 'info' else 'squashed'}",
                what=what,
                line=line_in_brackets(each.loss_at),
                first=each.first,
            ),
            failed=Place(each.loss_at, message("words.the_loss")),
            cause=Place(cause, what),
            help=(
                (without_softmax(trace, each.at) if each.built is None else None)
                or Help(message("training.gl115.help", what=what)),
            ),
            others=(
                *([found] if (found := without_softmax(trace, each.at)) and each.built else []),
                *(
                    as_scores(trace, one)
                    for one in identity_instead(trace, each.built, each.module)
                ),
            ),
        )


def _no_likelihood(each: SoftmaxTwice) -> Finding:
    """A likelihood without a log_softmax over its classes."""
    loss, classes = line_in_brackets(each.loss_at), each.classes
    if each.dim < 0:
        return Finding(
            *RULE.label,
            summary=message("training.gl115.scores", line=loss),
            cause=Place(each.loss_at, message("words.the_loss")),
            help=(Help(message("training.gl115.scores_help", classes=classes)),),
        )
    return Finding(
        *RULE.label,
        summary=message("training.gl115.across", line=loss, dim=each.dim, classes=classes),
        failed=Place(each.loss_at, message("words.the_loss")),
        cause=Place(each.at, "log_softmax()"),
        help=(Help(message("training.gl115.across_help", classes=classes)),),
    )


def _without_logarithm(
    trace: Trace, each: SoftmaxTwice, cause: Location | None, what: str
) -> Finding:
    key = {"kl_div": "divergence", "poisson_nll_loss": "rate"}.get(each.loss, "log")
    # A divergence whose target has the logarithms got its two arguments the wrong way round.
    swapped = key == "divergence" and has_logarithms(trace, each.loss_at)
    edit = (
        None if swapped or key == "rate" else next(with_logarithm(trace, cause, each.module), None)
    )
    return Finding(
        *RULE.label,
        summary=message(f"training.gl115.no_{key}", what=what, line=line_in_brackets(each.loss_at)),
        failed=Place(each.loss_at, message("words.the_loss")),
        cause=Place(cause, what),
        help=(edit or Help(message(f"training.gl115.take_{key}", what=what)),),
    )


RULE = Rule("GL115", "softmax-twice", "warning", check)
