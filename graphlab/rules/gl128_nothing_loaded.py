"""A load_state_dict(strict=False) loaded nothing, as all names differ by a prefix."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NothingLoaded


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, NothingLoaded):
            side = "extra" if each.extra else "missing"
            words = {"prefix": f'"{each.prefix}"', "count": each.fits}
            yield Finding(
                *RULE.label,
                summary=message(f"training.gl128.{side}", call=each.call, **words),
                cause=Place(each.at, each.call),
                help=(Help(message(f"training.gl128.help_{side}", prefix=words["prefix"])),),
            )


RULE = Rule("GL128", "nothing-loaded", "warning", check)
