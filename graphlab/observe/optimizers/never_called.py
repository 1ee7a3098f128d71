"""Finds the line that built a module, or a parameter, which forward goes past."""

from __future__ import annotations

import ast
from typing import Any

from graphlab.observe.names import Names, parameters_in
from graphlab.observe.notes import Log
from graphlab.observe.optimizers.loose import making
from graphlab.observe.tensors import is_module
from graphlab.source.effects.origins import classes_of, stores_of_attribute
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, items
from graphlab.source.places import parse
from graphlab.trace.model import Location


def never_called(missing: set[int], names: Names, log: Log, files: UserFiles) -> Location | None:
    """The line that built the first module with some of the parameters `missing`, given by
    identity, that was not called, while the module that has it was."""
    outer: dict[int, tuple[Any, str]] = {}
    holders = names.held_modules()
    for module in holders:
        for key, child in items(attributes(module).get("_modules")):
            if is_module(child):
                outer.setdefault(id(child), (module, str(key)))
    for module in holders:
        for key, parameter in items(attributes(module).get("_parameters")):
            if id(parameter) not in missing:
                continue
            if _called(module, log):
                # A weight of its own: only one that no line reads is unused for sure.
                unread = classes_of(module, files) and not _read(module, str(key), files)
                at = making(stores_of_attribute(module, str(key), files)) if unread else None
            else:
                at = _built(module, outer, missing, log, files)
            if at is not None:
                return at
    return None


def _built(
    module: Any, outer: dict[int, tuple[Any, str]], missing: set[int], log: Log, files: UserFiles
) -> Location | None:
    """The line where a module of the user's, which is used, got `module` or what holds it."""
    while id(module) in outer:
        holder, key = outer[id(module)]
        mine, called = classes_of(holder, files), _called(holder, log)
        if called and not mine:
            # What a container of torch's calls is not seen.
            return None
        if called or (mine and any(id(p) not in missing for p in parameters_in(holder))):
            return making(stores_of_attribute(holder, key, files))
        module = holder
    return None


def _called(module: Any, log: Log) -> bool:
    known = log.modules.get(id(module))
    return known is not None and known() is module


def _read(module: Any, name: str, files: UserFiles) -> bool:
    """Whether a line of a module's classes reads its attribute of this name."""
    for file in {file for file, _ in classes_of(module, files)}:
        tree = parse(file)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Attribute) and node.attr == name:
                if not isinstance(node.ctx, ast.Store):
                    return True
            elif isinstance(node, ast.Constant) and node.value == name:
                return True
    return False
