"""Finds the line that made a tensor what torch refused it for."""

from __future__ import annotations

import ast
from types import FrameType
from typing import Any, NamedTuple

from graphlab.language import message
from graphlab.observe.graph.walk import sequence
from graphlab.observe.names import Names
from graphlab.observe.notes import Log
from graphlab.observe.origins.bindings import scope_around
from graphlab.observe.origins.context import Context, Entry
from graphlab.observe.origins.flow import Flow, Origin
from graphlab.observe.origins.guards import guard_of, guards
from graphlab.observe.origins.project import Project
from graphlab.observe.origins.properties import Property
from graphlab.observe.origins.times import Times
from graphlab.observe.tensors import grad_fn_of
from graphlab.source.effects.assignments import call_or_source
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, class_name, items
from graphlab.source.places import line_place, locate, place
from graphlab.trace.model import Location

_LONG = 60


class Made(NamedTuple):
    """A line, and what it did."""

    at: Location
    by: str


class Makers:
    """Searches in the source of `names`, the user's files, from `entries`, the stack with its
    outermost frame first. `log` is that of an observed run."""

    def __init__(
        self, files: UserFiles, names: list[str], entries: list[Entry], log: Log | None
    ) -> None:
        self._log, self.files = log, files
        self._times = Times(log) if log is not None and log.marks else None
        self.project = Project(files, names, entries, self._times)

    @classmethod
    def of_frame(cls, frame: FrameType, files: UserFiles, log: Log | None) -> Makers:
        """For a frame that is still running."""
        entries: list[Entry] = []
        above: FrameType | None = frame
        while above is not None:
            entries.append(Entry(above, above.f_lasti))
            above = above.f_back
        mine = {each.frame.f_code.co_filename for each in entries}
        return cls(files, [each for each in mine if each in files], entries[::-1], log)

    def result(self, tensor: Any, node: ast.AST | None, context: Context | None) -> Made | None:
        """What made a tensor a result."""
        return self.node_line(tensor) or self.origin("non-leaf", tensor, node, context)

    def node_line(self, tensor: Any) -> Made | None:
        """The line that made a tensor's node, if it was seen."""
        node = grad_fn_of(tensor)
        log = self._log
        if node is None or log is None:
            return None
        seq = sequence(node)
        mark = log.mark_of(seq) if 0 <= seq <= log.last_seq() else None
        if mark is None or mark.code is None:
            return None
        at = locate(mark.code, mark.offset)
        return Made(at, at.code if len(at.code) < _LONG else at.code[: _LONG - 3] + "…")

    def origin(
        self, name: Any, tensor: Any, node: ast.AST | None, context: Context | None
    ) -> Made | None:
        """The one operation that can have given the value of `node` the property `name`."""
        found, lost = self._origins(name, tensor, node, context)
        if len({(each.context.file, _line(each.node)) for each in found}) != 1:
            return None
        if lost and name not in ("overlap", "view"):
            return None
        return _made(found[0])

    def maker(self, tensor: Any, around: ast.AST | None, context: Context | None) -> Made | None:
        """The line that made a tensor of its shape, which an expression in `around` stands for."""
        if around is None or context is None:
            return None
        for node in ast.walk(around):
            named = isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
            if named and context.value(node) is tensor:
                return self.origin("made", tensor, node, context)
        return None

    def guard(self, tensor: Any, node: ast.AST | None, context: Context | None) -> Made | None:
        """The guard under which a tensor of inference mode was made."""
        found, _ = self._origins("inference", tensor, node, context)
        guard = guard_of(found, self.project, self._log, self._times)
        if guard is not None:
            return Made(guard.at, ast.unparse(guard.node)[:_LONG])
        # A library's guard, as a trainer has for validation: what ran under it and was kept.
        lines = {(each.context.file, _line(each.node)) for each in found}
        return _made(found[0]) if len(lines) == 1 and not guards(self.project) else None

    def freezing(self) -> Made | None:
        """The one statement that sets requires_grad to False."""
        found = [
            (file, each)
            for file, tree in self.project.trees.items()
            for each in ast.walk(tree)
            if isinstance(each, ast.Assign | ast.Expr)
            and ast.unparse(each).endswith(("requires_grad = False", "requires_grad_(False)"))
        ]
        if len(found) != 1:
            return None
        file, statement = found[0]
        scope = scope_around(statement, file)
        at = place(statement, file, getattr(scope, "name", "<module>"))
        return Made(at, ast.unparse(statement))

    def _origins(
        self, name: Any, tensor: Any, node: ast.AST | None, context: Context | None
    ) -> tuple[list[Origin], bool]:
        if node is None or context is None:
            return [], True
        flow = Flow(self.project, Property(name), tensor)
        return flow.origins(node, context), flow.lost

    # Full backward hooks ------------------------------------------------------

    def backward_hook(self, view: Any, names: Names) -> Made | None:
        """The line that registered the full backward hook which made a module's input or output a
        view; None if it is no such view, or that is not known."""
        node = grad_fn_of(view)
        if node is None or not class_name(node).startswith("BackwardHookFunction"):
            return None
        log = self._log
        if log is not None:
            mark = log.mark_of(sequence(node))
            held = log.hooked.get(mark.module) if mark is not None and mark.module else None
            spots = {spot for _, spot in log.hooked.values()}
            spot = held[1] if held is not None and held[0]() is not None else log.hooked_all
            if spot is None and len(spots) == 1:
                spot = next(iter(spots))
            if spot is not None:
                at = locate(*spot)
                return Made(at, message("observed.by.full_hook"))
        return self._registered(names)

    def _registered(self, names: Names) -> Made | None:
        hooks = {
            getattr(getattr(hook, "__func__", hook), "__name__", "")
            for module in names.held_modules()
            for drawer in ("_backward_hooks", "_backward_pre_hooks")
            for _, hook in items(attributes(module).get(drawer))
        }
        calls = [
            each
            for name in (
                "register_full_backward_hook",
                "register_full_backward_pre_hook",
                "register_module_full_backward_hook",
            )
            for each in self.project.calls.get(name, ())
        ]
        fitting = [
            (file, call)
            for file, call in calls
            if call.args and ast.unparse(call.args[0]).rsplit(".", 1)[-1] in hooks
        ]
        only = fitting or calls
        if len(only) != 1:
            return None
        file, call = only[0]
        scope = scope_around(call, file)
        at = place(call, file, getattr(scope, "name", "<module>"))
        return Made(at, message("observed.by.full_hook"))


def _line(node: ast.AST) -> int:
    """The line of an operation: of a chain of calls over several lines, the last call's."""
    func = getattr(node, "func", None)
    if isinstance(func, ast.Attribute):
        return func.end_lineno or func.lineno
    return getattr(node, "lineno", 0)


def _made(origin: Origin) -> Made:
    node, context = origin
    by = call_or_source(node)
    line = _line(node)
    if line != getattr(node, "lineno", line):
        at = line_place(context.file, line, context.function)
    else:
        at = place(node, context.file, context.function or "<module>")
    return Made(at, by if len(by) < _LONG else by[: _LONG - 3] + "…")
