"""Finds stale, bypassed and freed saved tensors in a graph, and the write or backward to blame.

Whether a saved tensor is stale or freed is asked of torch, by unpacking it; the write and the
backward are looked up in the log.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from torch.autograd.function import FunctionCtx

from graphlab.language import message
from graphlab.observe.graph.engine import in_order, released
from graphlab.observe.graph.restored import apart, holds, part_of, put_back
from graphlab.observe.graph.traced import traced_line, went_on
from graphlab.observe.graph.versions import saved_version
from graphlab.observe.graph.walk import (
    LEAF_SEQ,
    Slot,
    operation,
    running_statistics_unused,
    sequence,
    slots,
)
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, Problem, RawBackward, RawModule, RawWrite, Spot
from graphlab.observe.tensors import (
    Named,
    address_of,
    byte_span,
    device_of,
    dtype_of,
    grad_fn_of,
    kind_of,
    requires_grad,
    shape_of,
    storage_key,
    version_of,
)
from graphlab.source.files import UserFiles
from graphlab.source.objects import is_a
from graphlab.source.places import locate, statement_at
from graphlab.source.wording import (
    argument_at,
    loop_variables,
    operand_at,
    target_text,
    variable_behind,
)
from graphlab.trace.model import Location


def _same_variable(local: str, known: str) -> bool:
    """Whether `known` (``model.hidden[1]``) is an item of `local` (``self.hidden``)."""
    last = local.rsplit(".", 1)[-1]
    return known.rsplit(".", 1)[-1].startswith(f"{last}[") and "[" not in last


def assigned_at(at: Location) -> str | None:
    """The variable that the statement at `at` assigns."""
    statement = statement_at(at.file, at.line)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return ast.unparse(targets[0]) if len(targets) == 1 else None


def _lists(spot: Spot) -> bool:
    """Whether the statement there is the assignment of a comprehension."""
    at = locate(*spot)
    value = getattr(statement_at(at.file, at.line), "value", None) if at is not None else None
    return isinstance(value, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)


def assigned(log: Log, seq: int) -> str | None:
    """The variable whose assignment ended with the node `seq`: ``loss`` for ``loss = a + b``."""
    mark = log.mark_of(seq)
    if mark is None or mark.code is None or not log.last_of_mark(seq):
        return None
    at = locate(mark.code, mark.offset)
    statement = statement_at(at.file, at.line)
    targets = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        targets = [statement.target]
    simple = len(targets) == 1 and not isinstance(targets[0], ast.Tuple | ast.List)
    return ast.unparse(variable_behind(targets[0])) if simple else None


def _own(event: RawWrite, problem: Problem, slot: Slot) -> bool:
    """Whether a write is that of the operation which then saved its result."""
    return event.seq == problem.seq + 1 and slot.name in ("result", "output")


class Inspector:
    """Reads saved tensors against a log. `caller` is where the backward was called."""

    def __init__(
        self,
        log: Log,
        names: Names,
        caller: Spot | None = None,
        compiled: UserFiles | None = None,
    ) -> None:
        """`compiled`: the user's files, where torch.compile made the nodes and has their lines."""
        self._log = log
        self._compiled = compiled
        self._names = names
        self._caller = caller[0] if caller is not None else None
        self._writes: dict[int, list[tuple[RawWrite, tuple[int, int, int, int, int]]]] = {}
        # Where `p.data = …` gives a tensor what an earlier one took: {it: the earlier one}
        self._gives_back: dict[int, RawWrite] = {}
        taken: dict[int, RawWrite] = {}
        self._backwards: list[RawBackward] = []
        # The nodes that are looked at, all of a graph.
        self.nodes: list[Any] = []
        for event in log.events:
            if isinstance(event, RawWrite):
                for tensor in event.tensors:
                    self._writes.setdefault(tensor[0], []).append((event, tensor))
                if event.before is not None and event.before.storage != event.tensors[0][0]:
                    if event.tensors[0][0] in taken:
                        self._gives_back[id(event)] = taken[event.tensors[0][0]]
                    taken[event.before.storage] = event
            elif isinstance(event, RawBackward):
                self._backwards.append(event)

    def written(self, nodes: Iterable[Any], stale: bool = True) -> list[Problem]:
        """Saved tensors written since; those that torch refuses (`stale`), or lets pass."""
        nodes = [*nodes]
        self.nodes = self.nodes or nodes
        found = [
            problem
            for node in nodes
            for slot in slots(node)
            if slot.data is not None and slot.stale is stale
            if (problem := self.problem_of(node, slot)) is not None
        ]
        found.sort(key=lambda each: -each.seq)
        if self._compiled is not None:
            self._conclude(found, nodes, self._compiled)
        return found

    def _conclude(self, found: list[Problem], nodes: list[Any], files: UserFiles) -> None:
        for problem in found:
            node = next(each for each in nodes if sequence(each) == problem.seq)
            writer = went_on(node, nodes, files) if problem.write is None else None
            if writer is not None:
                user, at, by = writer
                why = message("observed.inferred.compiled")
                problem.write = RawWrite(sequence(user), None, by, (), at=at, inferred=why)

    def problem_of(self, node: Any, slot: Slot) -> Problem | None:
        """What is wrong with one saved tensor; None if nothing is."""
        seq = sequence(node)
        if slot.stale:
            problem = self._problem(node, seq, "stale")
            problem.version = version_of(slot.data)
            self._explain_stale(problem, slot)
            problem.alone = len(node.next_functions) == 1
        else:
            if running_statistics_unused(node, slot.name):
                return None
            write = self._silent_write(slot.data, seq)
            if write is not None and is_a(node, FunctionCtx):
                write = self._silent_write(slot.data, self._first_use(node))
            if write is None:
                return None
            problem = self._problem(node, seq, "bypassed")
            problem.write = write
            problem.saved_version = problem.version = version_of(slot.data)
        self._describe(problem, slot)
        return problem

    def _first_use(self, node: Any) -> int:
        """The first node that takes what `node` gave. A Function's own node is there before its
        forward runs, and keeps what that has written for itself, a solver's result say."""
        uses = [
            sequence(each)
            for each in self.nodes
            if any(source is node for source, _ in each.next_functions)
        ]
        return min(uses, default=LEAF_SEQ)

    def freed(self, nodes: Iterable[Any]) -> list[Problem]:
        """Nodes whose saved tensors an earlier backward had freed, in the engine's order."""
        found = []
        for node in nodes:
            if any(slot.data is None for slot in slots(node)):
                seq = sequence(node)
                culprit = self._freed_by(seq)
                if culprit is not None:
                    problem = self._problem(node, seq, "freed")
                    problem.freed_by = culprit
                    found.append(problem)
        found.sort(key=lambda each: -each.seq)
        return found

    def gone(self, nodes: list[Any]) -> list[Problem]:
        """The node at which a backward found what it needs released, by a backward that was not
        seen."""
        for node in in_order(nodes):
            if released(node):
                return [self._problem(node, sequence(node), "freed")]
        return []

    def _problem(self, node: Any, seq: int, state: str) -> Problem:
        mark = self._log.mark_of(seq)
        spot = (mark.code, mark.offset) if mark is not None and mark.code is not None else None
        module = self._names.modules.get(mark.module) if mark and mark.module else None
        problem = Problem(seq, operation(node), spot, module, state)
        if self._compiled is not None:
            problem.at = traced_line(node, self._compiled)
        if self._caller is not None:
            problem.within = self._log.statement_in(self._caller, seq)
        return problem

    def _describe(self, problem: Problem, slot: Slot) -> None:
        tensor = slot.data
        known = self._names.of_tensor(tensor) or self._gathered(tensor)
        if known is not None and known[1].kind not in ("parameter", "buffer"):
            # For an activation, prefer the name in the line that saved or wrote it: the frames may
            # hold it under another name by now.
            local = self._expression(problem, slot)
            # A loop variable says less than the list item, `layers[2]`.
            fleeting = "[" in known[1].name and self._runs_through(problem, local)
            if local and not fleeting and not _same_variable(local, known[1].name):
                known = (known[0], Named(local, known[1].kind, known[1].owner))
        if known is not None:
            tensor, problem.named = known
        problem.shape, problem.dtype = shape_of(tensor), dtype_of(tensor)
        problem.recorded = requires_grad(tensor)
        if known is None:
            name, kind = self._expression(problem, slot), kind_of(tensor)
            if problem.at is not None:
                name = assigned_at(problem.at)
            problem.named = Named(name, kind, None) if name else Named("", kind, None)

    def _gathered(self, tensor: Any) -> tuple[Any, Named] | None:
        """The parameter that FSDP keeps in shards, of which `tensor` is the whole."""
        shard = self._log.gathered.get(storage_key(tensor) or 0)
        named = self._names.tensors.get(id(shard())) if shard is not None else None
        return (tensor, named) if named is not None else None

    @staticmethod
    def _runs_through(problem: Problem, name: str | None) -> bool:
        write = problem.write
        at = locate(*write.spot) if write is not None and write.spot is not None else None
        return at is not None and name in loop_variables(at)

    def _expression(self, problem: Problem, slot: Slot) -> str | None:
        """A name for an intermediate that no variable holds: the expression in the source, the
        variable that its line assigned, or the module that made it."""
        write = problem.write
        if slot.name == "result" and write is not None and write.spot is not None:
            spot = problem.spot
            # Since Python 3.12, a comprehension is code of the function that it stands in.
            elsewhere = spot is not None and (write.spot[0] is not spot[0] or _lists(spot))
            made = assigned(self._log, problem.seq) if elsewhere else None
            if made is not None:
                return made
        written = argument = None
        if write is not None and write.spot is not None and write.tensors:
            shown = write.direct or not self._inside_module_called_at(write.spot, write.seq)
            written = target_text(locate(*write.spot), write.direct) if shown else None
        if problem.spot is not None:
            operand = operand_at(locate(*problem.spot), problem.operation, slot.name)
            if operand is not None:
                return operand
            if not self._inside_module_called_at(problem.spot, problem.seq):
                argument = argument_at(locate(*problem.spot))
            elif slot.name == "result" and written is None and problem.module:
                return f"{problem.module} output"
        maker = grad_fn_of(slot.data)
        if maker is None:
            return written or argument
        seq = sequence(maker)
        mark = self._log.mark_of(seq)
        if mark is None or mark.code is None:
            return written
        target = assigned(self._log, seq)
        if target is not None:
            return target
        if written is not None or argument is not None:
            return written or argument
        module = self._names.modules.get(mark.module) if mark.module else None
        return f"{module} output" if module else None

    def _inside_module_called_at(self, spot: Spot, seq: int) -> bool:
        """Whether the node `seq` was made by a submodule of the module that the line at `spot`
        calls: the arguments in that line are then not the submodule's."""
        mark = self._log.mark_of(seq)
        for event in reversed(self._log.events):
            if isinstance(event, RawModule) and event.spot == spot and event.seq <= seq:
                return mark is None or mark.module != event.module
        return False

    def _explain_stale(self, problem: Problem, slot: Slot) -> None:
        """Find the write that first changed what was saved."""
        key = storage_key(slot.data)
        known = saved_version(slot)
        for event, (_, _, _, before, after) in self._writes.get(key, ()) if key else ():
            # One from before may be to another tensor, whose storage torch has given out again.
            if (
                not self._log.after(event, problem.seq)
                or event.silent
                or after > (problem.version or 0)
            ):
                continue
            if known is not None:
                # An in-place operation that saved its own result did so after its write.
                if before <= known < after:
                    problem.write, problem.saved_version = event, known
                    return
            elif not _own(event, problem, slot):
                problem.write = event
                problem.saved_version = before
                return
        problem.saved_version = known

    def _silent_write(self, tensor: Any, seq: int) -> RawWrite | None:
        key = storage_key(tensor)
        if key is None:
            return None
        first, end = byte_span(tensor)
        part = part_of(tensor)
        if self._log.memory and device_of(tensor) == "cpu":
            base = address_of(tensor) - first
            for event, start, stop in list(self._log.memory):
                if event.seq > seq and start < base + end and base + first < stop:
                    return event
        writes = [
            event
            for event, (_, start, stop, _, _) in self._writes.get(key, ())
            if event.silent
            and self._log.after(event, seq)
            and start < end
            and first < stop
            and not (event.before is not None and apart(event.before.part, part))
            # `p.data = new` writes no memory: it makes `p` read that of `new`, where backward may
            # have saved something long before.
            and (event.before is None or event.before.reader in (0, id(tensor)))
        ]
        # Of many writes, what lay there before the first may have been let go.
        if not writes or self._log.events.lost_since(seq):
            return None
        before = writes[0].before
        if before is not None and holds(tensor, before):
            return None
        if put_back(tensor, [event.before for event in writes]):
            return None
        for event in writes:
            taken = self._gives_back.get(id(event))
            if taken is None or not self._log.after(taken, seq):
                return event
        return None

    def _freed_by(self, seq: int) -> RawBackward | None:
        """The first backward since the node was made that ran through it and kept nothing. Of
        another thread than the node, whose counts say nothing of which came first, the last."""
        elsewhere = None
        for event in self._backwards:
            freeing = event.completed and not event.retain_graph
            if freeing and self._log.after(event, seq) and self._log.covers(event, seq):
                if self._log.beside(event, seq):
                    return event
                elsewhere = event
        return elsewhere
