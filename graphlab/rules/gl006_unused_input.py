"""A gradient was asked for an input that the graph does not reach."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_backwards
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "unused-input",
        "{call} asks for the gradient of {name}, which {loss} does not depend on",
        "Ask for a tensor that the output was really computed from (a copy, view or "
        ".to() made later is another tensor), or pass allow_unused=True where None is a"
        " fine answer.",
    )


RULE = Rule("GL006", "unused-input", "error", check)
