"""The ranks compute with a frozen network of which each has its own."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.alone import on_every_rank
from graphlab.rules.repair.ranks.replicas import assigned_at, begins_alike, only_call
from graphlab.rules.rule import Rule
from graphlab.rules.words import in_line
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.inputs import FrozenApart
from graphlab.trace.ranks.joint import ranks_in_words


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, FrozenApart):
            continue
        if each.parted:
            yield _parted(trace, each)
            continue
        built = assigned_at(trace, each.name)
        repair = begins_alike(trace, built) if built is not None else None
        loaded, for_all = _loaded_by_one(trace, each.name)
        repair = for_all or repair
        yield Finding(
            RULE.code,
            RULE.name,
            # One that stays as it was made may be meant, as another teacher for each rank.
            RULE.severity if each.moves or loaded is not None else "info",
            summary=message(f"ranks.gl313.{'moves' if each.moves else 'summary'}", name=each.name),
            cause=loaded or Place(built or each.at, message("ranks.gl313.built", name=each.name)),
            failed=Place(each.at, message("ranks.gl313.used", name=each.name)),
            help=(repair or Help(message("ranks.gl313.help", name=each.name)),),
            ranks=each.ranks,
        )


def _loaded_by_one(trace: Trace, name: str) -> tuple[Place | None, Help | None]:
    """The one line that loads the network, if one rank alone does, and the repair of that."""
    at = only_call(trace, f"{name}.load_state_dict", whole=True)
    repair = on_every_rank(trace, at, of_rank=True) if at is not None else None
    return (Place(at, f"{name}.load_state_dict()"), repair) if repair is not None else (None, None)


def _parted(trace: Trace, each: FrozenApart) -> Finding:
    words = {
        "name": each.name,
        "by": each.written_by,
        "ranks": ranks_in_words(each.some),
        "line": in_line(each.written),
    }
    how = "parted" if each.written is None or each.some == each.ranks else "parted_by"
    some = how == "parted_by" and each.written is not None
    repair = on_every_rank(trace, each.written) if some and each.written is not None else None
    return Finding(
        *RULE.label,
        summary=message(f"ranks.gl313.{how}", **words),
        cause=Place(each.written, each.written_by) if each.written is not None else None,
        failed=Place(each.at, message("ranks.gl313.used", name=each.name)),
        help=(repair or Help(message(f"ranks.gl313.{how}_help", **words)),),
        ranks=each.ranks,
    )


RULE = Rule("GL313", "frozen-network-apart", "warning", check)
