"""A parameter got gradients, but no optimizer holds it; or it was drawn, and a library froze it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import first_of
from graphlab.rules.left_as_drawn import left_as_drawn
from graphlab.rules.repair.given.registering import registered
from graphlab.rules.repair.held.building import hold_more, hold_others
from graphlab.rules.repair.held.made_once import made_in_constructor, made_where
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.stored import named_twice
from graphlab.rules.twins import pasted, twin
from graphlab.rules.words import parameter_word, several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Forgotten, Location, Step, Trace

# What a network is called that is there to be learned from, and is not to learn.
_JUDGES = frozenset({"teacher", "ref", "reference", "expert"})


def check(trace: Trace) -> Iterator[Finding]:
    yield from left_as_drawn(trace, RULE.label)
    if any(each.strangers for each in trace.optimizers):
        return
    several: dict[tuple[Location | None, bool, str], list[Forgotten]] = {}
    for each in trace.forgotten:
        several.setdefault((each.made, each.meant, each.since), []).append(each)
    # GL110 tells of what is made a parameter of others that are to be trained.
    cut = {(each.cut.file, each.cut.line) for each in trace.optimizers if each.cut is not None}
    for (made, _, _), those in several.items():
        if made is not None and those[0].anew and (made.file, made.line) in cut:
            continue
        yield _finding(trace, made, those)


def _finding(trace: Trace, made: Location | None, those: list[Forgotten]) -> Finding:
    first = those[0]
    names = [parameter_word(trace, each.tensor) for each in those]
    cause, help = None, message("training.gl103.build_later")
    how = "summary" if made is None else "unregistered"
    code, name, severity = RULE.label
    if first.meant:
        how, severity, help = "for_nothing", "info", message("training.gl103.freeze_or_hold")
    if made is not None and first.anew:
        how = "anew"
        cause = Place(made, message("training.gl103.made_anew"))
        help = message("training.gl103.make_once")
    elif made is not None:
        cause = Place(made, message("training.gl103.made_here"))
        help = message("training.gl103.register")
    elif first.since and first.added is not None:
        cause = Place(first.added, message(f"training.gl103.since_{first.since}"))
    elif first.built is not None:
        copy = pasted(trace, those)
        built = copy.at if copy is not None and copy.at is not None else first.built
        cause = Place(built, message("training.gl103.optimizer_built"))
    notes = (message("training.gl103.all", names=names),) if len(names) > 1 else ()
    steps = {each.at: each for each in trace.events if isinstance(each, Step)}
    if made is None and first.built is not None and first.built in steps:
        # A library builds the optimizers as it goes, in the call that steps them.
        call = f"{first.built.code.partition('(')[0]}()"
        call = first.call if first.built == first.at else call
        owner = made_where(trace, first.built, names)
        if owner is not None:
            cause = Place(owner, owner.code)
        notes += (message("training.gl103.built_by", call=call),)
        if not first.meant:
            help = message("training.gl103.tell", call=call)
        twice = named_twice(trace, first.built, names[0])
        if twice is not None and not first.meant:
            how, cause = "named_twice", twice
            help = message("training.gl103.help_named_twice", call=twice.what)
    other = twin(trace, those)
    if other is not None and other.at is not None:
        how, help = "twin", message("training.gl103.help_twin", optimizer=other.name)
        cause = Place(other.at, message("words.built", name=other.name))
        held = several_parameters(trace, other.owns)
        count = len(other.owns)
        notes += (message("training.gl103.twins", optimizer=other.name, held=held, count=count),)
    more = {"optimizer": other.name} if how == "twin" and other is not None else {}
    if first.since:
        how, help = first.since, message(f"training.gl103.help_{first.since}")
    judges = {_judge(each) for each in names}
    if len(judges) == 1 and "" not in judges and made is None:
        help = message("training.gl103.help_judge", name=judges.pop())
    later = made is not None and not first.anew
    if first.built is not None and (later or (first.since and first.added is not None)):
        line = first.built.line
        notes += (message("training.gl103.built_without", line=line, count=len(names)),)
    return Finding(
        code,
        name,
        severity,
        summary=message(
            f"training.gl103.{how}",
            names=first_of(names),
            count=len(names),
            **more,
        ),
        tensor=unversioned(trace, first.tensor),
        mutated=Place(first.added, first.added.code)
        if first.added is not None and not first.since
        else None,
        failed=Place(first.at, first.call),
        cause=cause,
        help=(Help(help),),
        others=tuple(_others(trace, made, those)),
        notes=notes,
    )


def _judge(name: str) -> str:
    """The network that a parameter is of, where it is named as one to learn from: ``teacher`` of
    ``trainer.teacher.head.weight``."""
    parts = name.split(".")[:-1]
    for at, part in enumerate(parts):
        if not _JUDGES.isdisjoint(part.split("_")):
            return ".".join(parts[: at + 1])
    return ""


def _others(trace: Trace, made: Location | None, those: list[Forgotten]) -> Iterator[Help]:
    missing = [trace.tensors[each.tensor] for each in those]
    if those[0].anew:
        yield from made_in_constructor(trace, made, missing)
        return
    if made is not None:
        yield from registered(trace, made, missing)
        return
    if twin(trace, those) is not None:
        return
    yield from hold_others(trace, missing)
    yield from hold_more(trace, those[0].built, missing)


RULE = Rule("GL103", "parameter-without-optimizer", "warning", check)
