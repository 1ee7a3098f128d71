"""One module stands where several seem to: in a container, or under the names of two networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.copies import copy_object, mixed_into
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import OneNetwork, Repeated, Restored


def check(trace: Trace) -> Iterator[Finding]:
    # GL113 tells of one that is loaded into itself.
    loaded = any(isinstance(each, Restored) and each.one_object for each in trace.sightings)
    for each in trace.sightings:
        if isinstance(each, OneNetwork) and not loaded:
            names = {"one": each.one, "other": each.other}
            code, name, severity = RULE.label
            yield Finding(
                code,
                name,
                "warning" if each.were_two or _is_averaged(trace, each) else severity,
                summary=message(
                    f"training.gl121.{'were_two' if each.were_two else 'one'}",
                    kind=each.kind,
                    **names,
                ),
                cause=Place(each.at, message("training.gl121.made_one")) if each.at else None,
                help=(_help(trace, each),),
            )
    for each in trace.sightings:
        if not isinstance(each, Repeated):
            continue
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl121.summary",
                container=each.container,
                kind=each.kind,
                times=each.times,
            ),
            tensor=unversioned(trace, each.tensor) if each.tensor is not None else None,
            cause=Place(each.at, message("training.gl121.repeated_here"))
            if each.at is not None
            else None,
            help=(Help(message("training.gl121.help")),),
            measured={"times": float(each.times)},
        )


def _is_averaged(trace: Trace, each: OneNetwork) -> bool:
    """Whether a run that went well mixes the one into the other, and so into itself. Nobody means
    that, nor begins with two networks to train one under both names."""
    return trace.outcome == "completed" and mixed_into(trace, each)


def _help(trace: Trace, each: OneNetwork) -> Help:
    names = {"one": each.one, "other": each.other}
    copied = copy_object(trace, each.at) if each.at is not None and not each.were_two else None
    if copied is None:
        key = "help_two" if each.were_two else "help_one"
        return Help(message(f"training.gl121.{key}", **names))
    choice = "" if mixed_into(trace, each) else message("fix.meant.one_network", **names)
    return replace(copied, choice=choice)


RULE = Rule("GL121", "module-registered-twice", "info", check)
