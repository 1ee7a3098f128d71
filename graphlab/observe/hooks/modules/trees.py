"""Learns what the calls inside a module note, and tells it from then on without noting each.

Of a module that runs no code of the user's, nor any module inside it, the calls inside are the same
each time: they are told by how many nodes the whole call made. Now and then they are noted all the
same, and compared.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch

from graphlab.observe.hooks.code_swap import Threads
from graphlab.observe.hooks.line_tracer import Following, LineTracer
from graphlab.observe.hooks.modules.quiet import QuietModules
from graphlab.observe.marks import Inside, Marks
from graphlab.observe.names import submodules
from graphlab.observe.price.sampling import EVERY, MANY, SELDOM

# How often the calls inside must have been as they are known; how many numbers of nodes are known.
ALIKE, NUMBERS = 8, 16


class Tree:
    """The calls inside one module."""

    __slots__ = ("_alike", "_holders", "_known", "_left", "_modules", "_never", "_told", "ready")

    def __init__(self, holders: list[Any]) -> None:
        # The modules that hold others, and those that they held.
        self._holders = [*map(weakref.ref, holders)]
        self._modules = self._held()
        self._known: dict[int, Inside] = {}
        self._alike = 0
        self._never = False
        # How many calls are told from what is known until one is noted, and how many were before.
        self._left = self._told = 0
        # Whether the next call is told from what is known.
        self.ready = False

    def _held(self) -> list[int]:
        found: list[int] = []
        for ref in self._holders:
            module = ref()
            if module is None:
                return []
            found += map(id, module.__dict__["_modules"].values())
        return found

    def _replaced(self) -> bool:
        """Whether other modules are inside than before: then nothing is known of them."""
        held = self._held()
        if held == self._modules:
            return False
        self._modules = held
        self._known.clear()
        return True

    def tell(self, marks: Marks, mark: Any, made: int) -> None:
        """A call that began with `mark` and has made so many nodes is over; none inside was
        noted."""
        inside = self._known.get(made)
        if self._replaced() or inside is None or marks[-1] is not mark:
            self._alike, self.ready = 0, False
            self._known.pop(made, None)
            return
        marks.fold(mark, inside)
        self._left -= 1
        if not self._left:
            self.ready = False

    def learn(self, marks: Marks, mark: Any, at: int, made: int) -> None:
        """As `tell`, where the calls inside were noted: after the mark number `at`."""
        if self._never or len(marks) <= at or marks[at] is not mark:
            return
        begin, here, offset, _ = mark
        found = []
        for seq, code, where, module in marks[at + 1 :]:
            if code is not here or where not in (offset, ~offset):
                # The user's own lines run inside.
                self._never, self.ready = True, False
                return
            found.append((seq - begin, where == offset, module))
        inside = tuple(found)
        self._replaced()
        known = self._known.get(made)
        if known == inside:
            self._alike += 1
        else:
            self._never = known is not None and self._alike >= ALIKE
            self._never = self._never or len(self._known) >= NUMBERS
            self._known[made] = inside
            self._alike = 0
        if self._alike >= ALIKE and not self._never:
            self.ready = True
            self._left = EVERY if self._told <= MANY else SELDOM
            self._told += self._left


# Stands for a module whose calls inside are noted each time.
NONE = Tree([])


class Trees:
    """By the `id()` of a module; to be forgotten with it."""

    def __init__(self, tracer: LineTracer, quiet: QuietModules) -> None:
        self._tracer, self._quiet = tracer, quiet
        self.known: dict[int, Tree] = {}
        # The threads in which a module's call runs whose calls inside need not be noted.
        self.telling = Threads()
        modules = torch.nn.modules.module
        for holder, name in (
            (torch.nn.Module, "register_forward_hook"),
            (torch.nn.Module, "register_forward_pre_hook"),
            (modules, "register_module_forward_hook"),
            (modules, "register_module_forward_pre_hook"),
        ):
            function = getattr(holder, name, None)
            if function is not None:
                tracer.handle(function, lambda frame, event, value: self.known.clear())

    def of(self, module: Any) -> Tree:
        """Made for a module that has none yet."""
        tree = NONE
        inside = [each for _, each in submodules(module)]
        if self._tracer.onlooker is None and all(map(self._quiet.holds, inside)):
            holding = [each for each in inside if each.__dict__.get("_modules")]
            if holding:
                tree = Tree(holding)
        self.known[id(module)] = tree
        return tree

    def left(self, own: Following) -> None:
        """The call of a tree's module is over."""
        tree, mark, replays = own.tree, own.tree_mark, own.replays
        own.tree = own.tree_mark = None
        if replays:
            own.replays = False
            self.telling.remove(own.ident)
        made = self._tracer.seq() - mark[0]
        try:
            if replays:
                tree.tell(own.marks, mark, made)
            else:
                tree.learn(own.marks, mark, own.tree_at, made)
        except Exception as error:
            # An exception here would propagate into the user's program.
            self._tracer.guard(error)
