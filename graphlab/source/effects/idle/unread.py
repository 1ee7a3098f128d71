"""Finds helpers of a training loop that are made and then used nowhere: a moving average, the
updater of a target network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphlab.source.places import place
from graphlab.trace.values import Location

# What such a helper is called by its maker, and the method that the loop is to call.
_HELPERS = (
    (re.compile(r"(Soft|Hard)Update|TargetNetUpdater"), "step()"),
    (re.compile(r"AveragedModel"), "update_parameters(model)"),
    (re.compile(r"(Model)?E(MA|ma)(V[23])?|ExponentialMovingAverage"), "update()"),
)


# What may be asked of an average without bringing it up to date.
_ASKED = {
    "eval", "train", "to", "cpu", "cuda", "requires_grad_", "parameters", "state_dict",
    "module", "ema_model", "apply_shadow", "restore", "store", "copy_to", "shadow",
    "copy_params_from_ema_to_model", "average_parameters", "sample",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unread:
    """``name = kind(…)`` at `at`, whose `method` nobody calls. read: it is used all the same."""

    at: Location
    name: str
    kind: str
    method: str
    read: bool = False


def unread_helpers(sources: Mapping[str, str], file: str, step: int) -> Iterator[Unread]:
    """Those that the function with line `step` makes above that line, in a variable whose name no
    file reads, nor says in a comment."""
    try:
        trees = {each: ast.parse(text) for each, text in sources.items()}
    except (SyntaxError, ValueError):
        return
    if file not in trees:
        return
    here = _innermost(trees[file], step)
    for node in ast.walk(here):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        (target, *others), method = node.targets, _method(node.value)
        if others or not isinstance(target, ast.Name) or method is None or node.lineno >= step:
            continue
        if _innermost(trees[file], node.lineno) is not here:
            continue
        if _said(target.id, sources) == 1:
            kind = ast.unparse(node.value.func).rpartition(".")[2]
            yield Unread(place(node, file, source=sources[file]), target.id, kind, method)
    yield from _of_objects(trees[file], sources, file)
    yield from _only_read(trees, sources, file, step)


def _of_objects(tree: ast.Module, sources: Mapping[str, str], file: str) -> Iterator[Unread]:
    """Those that a method keeps as ``self.name``, in a class that has all of its own methods from
    the program: a library's may read what it does not name."""
    for owner in ast.walk(tree):
        if not isinstance(owner, ast.ClassDef) or not _is_own(owner, sources):
            continue
        for node in ast.walk(owner):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if not isinstance(node, ast.Assign) or not isinstance(target, ast.Attribute):
                continue
            method = _method(node.value) if isinstance(node.value, ast.Call) else None
            mine = isinstance(target.value, ast.Name) and target.value.id == "self"
            if mine and len(node.targets) == 1 and method and _said(target.attr, sources) == 1:
                kind = ast.unparse(node.value).partition("(")[0].rpartition(".")[2]
                yield Unread(
                    place(node, file, source=sources[file]), ast.unparse(target), kind, method
                )


def _is_own(owner: ast.ClassDef, sources: Mapping[str, str]) -> bool:
    """Whether the bases of a class are the program's own, or torch's Module."""
    bases = [ast.unparse(each).rpartition(".")[2] for each in owner.bases]
    defined = "\n".join(sources.values())
    return all(
        each in ("Module", "object", "ABC")
        or re.search(rf"^\s*class {re.escape(each)}\b", defined, re.M)
        for each in bases
    )


def _said(name: str, sources: Mapping[str, str]) -> int:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return sum(len(word.findall(text)) for text in sources.values())


def _only_read(
    trees: Mapping[str, ast.Module], sources: Mapping[str, str], file: str, step: int
) -> Iterator[Unread]:
    """The averages that a file makes, in an attribute or above line `step`, and the files call or
    swap in and never bring up to date."""
    here = _innermost(trees[file], step)
    for node in ast.walk(trees[file]):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        target, method = node.targets[0], _method(node.value)
        name = getattr(target, "attr", getattr(target, "id", ""))
        if len(node.targets) > 1 or not name or not method or not method.startswith("update"):
            continue
        if isinstance(target, ast.Name) and (
            node.lineno >= step or _innermost(trees[file], node.lineno) is not here
        ):
            continue
        kind = ast.unparse(node.value.func).rpartition(".")[2]
        uses = [each for tree in trees.values() for each in _uses(tree, name)]
        if (
            len(uses) == 1
            or len(uses) != _said(name, sources)
            or not {*uses} <= {"made", "()", *_ASKED}
        ):
            continue
        if uses.count("made") == 1 and _is_to_be_told(trees, kind, method, "()" in uses):
            at = place(node, file, source=sources[file])
            yield Unread(at, ast.unparse(target), kind, method, read=True)


def _uses(tree: ast.Module, name: str) -> Iterator[str]:
    """How a file uses what is called `name`: "made" for an assignment, the attribute that it asks
    for, "()" for a call, and "" for anything else."""
    outer = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if getattr(node, "attr", getattr(node, "id", getattr(node, "arg", ""))) != name:
            continue
        around = outer.get(id(node))
        if isinstance(getattr(node, "ctx", None), ast.Store):
            yield "made" if isinstance(around, ast.Assign) else ""
        elif isinstance(around, ast.Attribute):
            yield around.attr
        else:
            yield "()" if isinstance(around, ast.Call) and around.func is node else ""


def _is_to_be_told(trees: Mapping[str, ast.Module], kind: str, method: str, called: bool) -> bool:
    """Whether an average waits for a call of its `method`: one of the program's own may call that
    itself, or do all of it when it is `called`."""
    name = method.partition("(")[0]
    found = [
        each
        for tree in trees.values()
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef) and each.name == kind
    ]
    inner = [node for each in found for node in ast.walk(each)]
    has = any(isinstance(node, ast.FunctionDef) and node.name == name for node in inner)
    calls = any(isinstance(node, ast.Attribute) and node.attr == name for node in inner)
    return not found or (has and not calls and not called)


def _method(call: ast.Call) -> str | None:
    name = ast.unparse(call.func).rpartition(".")[2]
    return next((method for kind, method in _HELPERS if kind.fullmatch(name)), None)


def _innermost(tree: ast.Module, line: int) -> ast.AST:
    """The innermost function around a line; else the whole file."""
    found: ast.AST = tree
    for node in ast.walk(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if function and node.lineno <= line <= (node.end_lineno or 0):
            found = node
    return found
