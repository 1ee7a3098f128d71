"""The ranks had the same gradients and updated their parameters differently."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.forks import fork
from graphlab.rules.repair.ranks.alone import on_every_rank
from graphlab.rules.repair.ranks.averages import norm_of_all_shards
from graphlab.rules.repair.ranks.options import given_to_all
from graphlab.rules.repair.ranks.replicas import (
    begins_alike,
    built_at,
    item_assignments,
    sent_after,
    sent_again,
    sent_where_written,
)
from graphlab.rules.repair.ranks.samplers import same_settings
from graphlab.rules.repair.ranks.together import averaged_first, decided_by_the_mean
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import parameter_word
from graphlab.source.places import line_place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import ranks_in_words
from graphlab.trace.ranks.sightings import DDP, StepsApart, Wrapped


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, StepsApart):
            continue
        optimizer = trace.optimizers[each.optimizer]
        by = each.by or message("ranks.gl303.unseen")
        cause: Place | None = None
        if each.why == "written":
            cause = Place(each.cause, by) if each.cause is not None else None
        elif each.why == "settings" or (each.why == "rate" and each.cause is None):
            cause = _assigned(trace, each) or Place(optimizer.at, f"{optimizer.class_name}(…)")
        elif each.why in ("skipped", "behind"):
            cause = fork(trace, each.at)
        elif each.cause is not None:
            cause = Place(each.cause, each.by)
        elif each.why == "values" and each.tensors:
            built = built_at(trace, each.tensors[0])
            cause = Place(built, message("ranks.gl301.built")) if built is not None else None
        how = "skipped" if each.why == "behind" else each.why
        key = "values_by" if each.why == "values" and each.by else each.why
        words = {
            "tensor": parameter_word(trace, each.tensors[0]) if each.tensors else "",
            "name": optimizer.name,
            "by": by,
            "ranks": ranks_in_words(each.ranks) if each.ranks else "",
            "iteration": each.iteration,
            "differs": list(each.differs),
        }
        yield Finding(
            *RULE.label,
            summary=message(f"ranks.gl303.{key}", **words),
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]) if each.tensors else None,
            cause=cause,
            failed=Place(each.at, f"{optimizer.name}.step()"),
            help=(_repair(trace, each) or Help(message(f"ranks.gl303.{how}_help", **words)),),
            ranks=each.ranks,
        )


def _assigned(trace: Trace, each: StepsApart) -> Place | None:
    """The one line that writes a setting that differs into a parameter group."""
    keys = {"lr"} if each.why == "rate" else _unlike(each.differs)
    found = [place for key in sorted(keys) for place in item_assignments(trace, key)]
    return found[0] if len(found) == 1 else None


def _unlike(differs: tuple[str, ...]) -> set[str]:
    """The names of the settings, ``name=value``, that are not the same on all ranks."""
    ranks = [set(re.findall(r"(\w+)=([^,;]+)", each)) for each in differs]
    everywhere = set.intersection(*ranks) if ranks else set()
    return {name for each in ranks for name, _ in each - everywhere}


def _repair(trace: Trace, each: StepsApart) -> Help | None:
    """Of what only some ranks did, under an ``if``."""
    if each.why == "values" and each.cause is None and each.tensors:
        built = built_at(trace, each.tensors[0])
        owner = trace.tensors[each.tensors[0]].owner or ""
        return begins_alike(trace, built, owner) if built is not None else None
    if each.why == "rewritten":
        wrappers = [e.at for e in trace.sightings if isinstance(e, Wrapped) and e.kind == DDP]
        return sent_again(trace, wrappers[0] if len(wrappers) == 1 else None, each.cause)
    if each.why == "skipped":
        # Any other condition may be about what came of the step's own numbers.
        return on_every_rank(trace, each.at, of_rank=True) if each.at is not None else None
    if each.why in ("rate", "settings") and each.cause is None:
        assigned = _assigned(trace, each) if each.why == "rate" else None
        decided = decided_by_the_mean(trace, assigned.at) if assigned is not None else None
        return decided or same_settings(trace, trace.optimizers[each.optimizer].at)
    if each.why == "scaled":
        return norm_of_all_shards(trace, each.cause)
    some = each.why in ("written", "values", "rate") and each.cause is not None
    if not some or each.cause is None:
        return None
    if each.why == "rate" and len(each.ranks) > 1:
        # All have stepped it, by numbers of their own.
        found = on_every_rank(trace, each.cause, of_rank=True) or _reduced_for_all(trace, each)
        return found or averaged_first(trace, each.cause) or on_every_rank(trace, each.cause)
    if each.why == "values" and len(each.ranks) > 1:
        # All have written, so that no condition is what sets them apart.
        found = on_every_rank(trace, each.cause, of_rank=True)
        return (
            found or sent_where_written(trace, each.cause) or decided_by_the_mean(trace, each.cause)
        )
    repair = on_every_rank(trace, each.cause)
    if repair is None and each.why == "values" and len(each.ranks) == 1:
        decided = decided_by_the_mean(trace, each.cause)
        return decided or sent_after(trace, each.cause, each.ranks[0])
    return repair


def _reduced_for_all(trace: Trace, each: StepsApart) -> Help | None:
    """Where the scheduler goes by what a ``dist.reduce()`` gave to one rank alone."""
    file = Rewriting.of(trace, each.cause)
    stepping = file.statement(each.cause.line) if file is not None and each.cause else None
    if file is None or stepping is None:
        return None
    read = {node.id for node in ast.walk(stepping) if isinstance(node, ast.Name)}
    calls = [
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reduce"
        and node.args
        and file.text(node.args[0]) in read
    ]
    if len(calls) != 1:
        return None
    return given_to_all(trace, line_place(file.file, calls[0].lineno, source=file.source))


RULE = Rule("GL303", "ranks-apply-different-steps", "warning", check)
