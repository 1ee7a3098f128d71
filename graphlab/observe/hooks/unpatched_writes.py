"""Finds writes that no patch can see, ``out=`` and NumPy's, by the source line that makes them.

The syntax tree says which lines hold ``out=`` or store into an array; only those are looked at,
just before and just after they run.
"""

from __future__ import annotations

import ast
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.notes import Log, RawWrite, on_statement
from graphlab.observe.tensors import byte_span, storage_key, tensors_in, version_of
from graphlab.source.evaluate import in_frame
from graphlab.source.places import parse
from graphlab.source.vocabulary import ARRAY_FUNCTIONS, ARRAY_METHODS


@lru_cache(maxsize=256)
def suspicious(filename: str) -> dict[int, tuple[tuple[str, ast.expr], ...]]:
    """{line: (("out", expression), ("array", expression), …)} of a file."""
    found: dict[int, list[tuple[str, ast.expr]]] = {}
    tree = parse(filename)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call):
            for word in node.keywords:
                if word.arg == "out":
                    found.setdefault(node.lineno, []).append(("out", word.value))
            func = node.func
            name = func.attr if isinstance(func, ast.Attribute) else ""
            if name in ARRAY_METHODS and isinstance(func, ast.Attribute):
                found.setdefault(node.lineno, []).append(("array", func.value))
            elif name in ARRAY_FUNCTIONS and node.args:
                found.setdefault(node.lineno, []).append(("array", node.args[0]))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript):
                    found.setdefault(node.lineno, []).append(("array", target.value))
        elif isinstance(node, ast.AugAssign):
            target = node.target
            base = target.value if isinstance(target, ast.Subscript) else target
            found.setdefault(node.lineno, []).append(("array", base))
    return {line: tuple(each) for line, each in found.items()}


class UnpatchedWrites:
    """Compares what a suspicious line may write, before and after it runs."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def before(self, frame: FrameType, line: int) -> list[tuple[Any, int]]:
        """Values that the line may write, with their versions; -1 for an array, unless no tensor
        can share its memory: such a tensor would hold the array."""
        found = []
        copies = frame.f_code.co_varnames if sys.version_info < (3, 13) else ()
        for kind, expression in suspicious(frame.f_code.co_filename).get(line, ()):
            value = in_frame(expression, frame)
            if kind == "out":
                found += [(each, version_of(each)) for each in tensors_in(value)]
            elif is_array(value):
                # As `getrefcount` sees it: the variable, `value`, its own argument, and before
                # Python 3.13 the copy of the frame's variables.
                copied = isinstance(expression, ast.Name) and expression.id in copies
                if value.base is not None or sys.getrefcount(value) > 3 + copied:
                    found.append((value, -1))
        return found

    def after(self, values: list[tuple[Any, int]], seq: int, code: CodeType, offset: int) -> None:
        spot = (code, on_statement(offset))
        for value, version in values:
            if is_array(value):
                first = value.ctypes.data
                self._log.write_memory(seq, spot, first, first + value.nbytes)
                continue
            key, now = storage_key(value), version_of(value)
            if key is not None and now != version:
                entry = (key, *byte_span(value), version, now)
                self._log.write(RawWrite(seq, spot, "out=", (entry,)))


def is_array(value: Any) -> bool:
    """Whether it is exactly a numpy.ndarray: a subclass may run code of its own."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray
