"""Tells parameters that each rank means to train for itself, beside those that all share."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.source.places import nodes_in
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import RankStep

# A part that is called so is each rank's own.
_OWN = {"local", "personal", "personalized", "personalised", "private"}
_RANK = re.compile(r"rank\b", re.IGNORECASE)


def personal(joint: Joint, step: RankStep, beside: list[int]) -> set[int]:
    """Those `beside` the parameters of a step that are averaged, if they are each rank's own by
    what the program calls them, and the others are not; or it saves them under the rank's number.
    """
    trace = next(iter(joint.traces.values()))
    every = [trace.tensors[at].name or "" for at in step.tensors]
    names = [every[at] for at in beside]
    others = [name for at, name in enumerate(every) if at not in beside]
    if not names or not others:
        return set()
    if all(map(_is_own, names)) and not any(map(_is_own, others)):
        return {*beside}
    common = set.intersection(*({*name.split(".")[1:-1]} for name in names))
    common -= {part for name in others for part in name.split(".")}
    told = any(common & _words(saved) for text in trace.sources.values() for saved in _saved(text))
    return {*beside} if told else set()


def _is_own(name: str) -> bool:
    return any(_OWN & {*part.lower().split("_")} for part in name.split(".")[1:-1])


def _saved(text: str) -> Iterator[ast.expr]:
    """What is saved to files that are called by the rank, by every rank."""
    if ".save(" not in text or not _RANK.search(text):
        return
    nodes = nodes_in(text)
    alone = {
        id(inner)
        for each in nodes
        if isinstance(each, ast.If) and _RANK.search(ast.unparse(each.test))
        for inner in ast.walk(each)
    }
    for call in nodes:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        own = len(call.args) > 1 and _RANK.search(ast.unparse(call.args[1]))
        if call.func.attr == "save" and own and id(call) not in alone:
            yield call.args[0]


def _words(node: ast.expr) -> set[str]:
    return {
        word
        for each in ast.walk(node)
        for word in (getattr(each, "attr", ""), getattr(each, "id", ""))
    }
