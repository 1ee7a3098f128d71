"""A hyperparameter was set where the optimizer does not read it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import SettingUnread


def check(trace: Trace) -> Iterator[Finding]:
    told: set[object] = set()
    for each in trace.sightings:
        if not isinstance(each, SettingUnread) or (each.at, each.key) in told:
            continue
        # Several groups, or several optimizers of one function, are one mistake.
        told.add((each.at, each.key))
        words = {
            "optimizer": trace.optimizers[each.optimizer].name,
            "name": each.name,
            "key": each.key,
            "kind": each.kind,
        }
        where = "group" if each.in_group else "attribute"
        what = f'"{each.key}"' if each.in_group else f"{words['optimizer']}.{each.name}"
        yield Finding(
            *RULE.label,
            summary=message(f"training.gl127.{where}", given=each.given, used=each.used, **words),
            cause=Place(each.at, what) if each.at is not None else None,
            help=(Help(message(f"training.gl127.help_{where}", **words)),),
        )


RULE = Rule("GL127", "setting-never-read", "warning", check)
