"""Makes a Trace from an autograd error's traceback alone, without an observation.

The frames of torch.autograd.backward and grad hold the roots of the graph, the graph its saved
tensors, and the user's frames the names. Which line wrote or freed a tensor is inferred, and marked
so; the lines of the forward pass are not known.
"""

from __future__ import annotations

import linecache
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from graphlab.language import message
from graphlab.observe.backward_calls import LARGE
from graphlab.observe.build_trace import environment, places_of
from graphlab.observe.failures.call import Diagnosis, FailedCall
from graphlab.observe.failures.checkpoints import in_checkpoint
from graphlab.observe.failures.diagnosis import diagnose
from graphlab.observe.graph.saved import assigned_at
from graphlab.observe.graph.traced import compiled_in, traced_line, went_on
from graphlab.observe.graph.versions import saved_version
from graphlab.observe.graph.walk import listed, operation, sequence, slots
from graphlab.observe.hooks.line_tracer import runs
from graphlab.observe.iterations import Iterations
from graphlab.observe.lineage.loss import direct
from graphlab.observe.names import parameters_of
from graphlab.observe.notes import Log
from graphlab.observe.postmortem.freed_by import freeing_call
from graphlab.observe.postmortem.refused import refused_elsewhere
from graphlab.observe.postmortem.written_by import (
    LiveOptimizer,
    PossibleWriter,
    WriterSearch,
    live_optimizers,
)
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.observe.refusals.operations import refused_operation
from graphlab.observe.refusals.outright import nodes_behind, refused_outright
from graphlab.observe.refusals.traceback import ErrorTraceback, chain
from graphlab.observe.refusals.writes import invalidated_view, refused_write
from graphlab.observe.tensors import Named, kind_of, requires_grad, version_of
from graphlab.source.files import UserFiles
from graphlab.source.objects import class_name
from graphlab.source.places import locate
from graphlab.source.wording import call_text, written_by
from graphlab.text import listing
from graphlab.trace.model import (
    Backward,
    Event,
    FailedNode,
    Failure,
    Location,
    OptimizerInfo,
    Refused,
    Saved,
    Trace,
    Write,
)
from graphlab.trace.sightings import Sighting

# Seconds of the processor that reading the graph may take, and tensors that one sentence names.
PATIENCE, NAMED = 4.0, 6

# The exceptions that a refused operation ends in.
_KINDS = (RuntimeError, ValueError, AttributeError, TypeError)


def post_mortem(error: BaseException, target: str, targets: tuple[str, ...] = ()) -> Trace | None:
    """The Trace of the first autograd error among `error` and what it was raised from; None
    where there is none. A Trace without events says that it is one of autograd's errors, and
    that the traceback holds no more about it.

    Rests on ``tb_frame.f_locals`` of torch.autograd.backward and grad.
    """
    if "torch" not in sys.modules:
        return None
    for each in chain(error):
        if isinstance(each, Exception) and each.__traceback__ is not None:
            trace = _PostMortem(each, UserFiles(targets)).trace(target)
            if trace is not None:
                return trace
    return None


class _PostMortem:
    def __init__(self, error: Exception, files: UserFiles) -> None:
        self._error, self._files = error, files
        self._tb = ErrorTraceback(error.__traceback__, files)
        self._until = time.thread_time() + PATIENCE
        self._events: list[Event] = []
        self._owners: list[LiveOptimizer] = []
        self._unseen: list[str] = []
        # What the program itself, or a module or an optimizer, has refused.
        self._refused: Sighting | None = None

    def trace(self, target: str) -> Trace | None:
        mistake = None
        try:
            runtime = isinstance(self._error, RuntimeError)
            mistake = mistake_of(self._error) if runtime else None
            explained = self._explain(mistake)
        except Exception as own:
            # The user is looking at an error already and must not get another.
            if os.environ.get("GRAPHLAB_DEBUG"):
                traceback.print_exc()
            explained = False
            self._events.clear()
            self._unseen.append(
                message("observed.unseen.internal", error=type(own).__name__, text=str(own))
            )
        if not explained and mistake is None:
            return None
        tb = self._tb
        # Made before `tensors` is read, as this adds to it.
        optimizers = tuple(self._optimizer(each) for each in self._owners)
        sources = {place.file for event in self._events for place in places_of(event)}
        seen = self._refused
        if seen is not None and seen.at is not None:
            sources.add(seen.at.file)
        return Trace(
            target=target,
            outcome="raised",
            environment=environment(),
            exception=Failure(type(self._error).__name__, str(self._error), tb.at),
            tensors=tuple(tb.tensors),
            optimizers=optimizers,
            events=tuple(self._events),
            sightings=(seen,) if seen is not None else (),
            sources={name: "".join(linecache.getlines(name)) for name in sorted(sources)},
            unseen=tuple(dict.fromkeys(self._unseen)),
        )

    def _explain(self, mistake: str | None) -> bool:
        import torch

        backward, grad = torch.autograd.backward, torch.autograd.grad
        # The innermost first: a checkpoint's backward runs another inside it.
        for at, entry in reversed(list(enumerate(self._tb.entries))):
            code = entry.frame.f_code
            is_grad = runs(code, grad)
            if (is_grad or runs(code, backward)) and self._backward(at, is_grad, mistake):
                return True
        if mistake in ("leaf", "view"):
            refused = refused_write(self._tb, mistake)
            if refused is not None:
                self._events.append(refused)
                return True
        broken = invalidated_view(self._error, Log(), Iterations(), self._files)
        if broken is not None:
            at = locate(*broken.spot) if broken.spot is not None else None
            tensor = self._tb.add_info(broken.info)
            self._events.append(Refused(0, at, "", tensor, "view", made=broken.made))
            return True
        if self._operation():
            return True
        self._refused = refused_elsewhere(self._error, self._tb, self._files)
        return self._refused is not None

    def _operation(self) -> bool:
        """Explain the refusal of an operation because of what a tensor is, if that is it."""
        found = refused_operation(self._error, self._files, None)
        if found is None:
            return False
        tensor = self._tb.add_info(found.info)
        at, by = found.why
        self._events.append(Refused(0, found.at, found.by, tensor, found.kind, made=at, made_by=by))
        return True

    def _backward(self, at: int, is_grad: bool, mistake: str | None) -> bool:
        """Explain the call of backward or grad at entry `at`, if that is what failed."""
        tb = self._tb
        values = tb.entries[at].frame.f_locals
        roots = listed(values.get("outputs" if is_grad else "tensors"))
        if not roots:
            return False
        tb.look_from(at)
        place = tb.at
        caller = tb.caller.frame if tb.caller is not None else None
        own = caller is None or direct(tb.entries[at].frame.f_back, caller)
        call, loss = call_text(place, "torch.autograd.grad" if is_grad else "backward", own)
        line = place.line if place is not None else None
        retain = values.get("retain_graph")
        keeps = bool(values.get("create_graph") if retain is None else retain)
        kind = type(self._error).__name__
        if in_checkpoint(tb.entries[at].frame) and mistake not in ("stale", "freed"):
            # The outer call's story: the checkpoint's two passes.
            return False
        stack = [(each.frame, each.at.line) for each in reversed(tb.stack())]
        outright = refused_outright(values, is_grad, loss, caller, self._files, line, stack)
        if outright is not None:
            subject = tb.add_info(outright.info(tb.names, loss, place))
            cut = outright.cut.location() if outright.cut is not None else None
            by = outright.cut.by if outright.cut is not None else ""
            self._events.append(
                Backward(
                    0, place, call, loss, None, keeps, raised=kind, trouble=outright.trouble,
                    subject=subject, cut=cut, cut_by=by,
                    node=FailedNode("", None, why=outright.why) if outright.why else None,
                )
            )  # fmt: skip
            return True
        nodes = nodes_behind(values, is_grad, LARGE)
        if len(nodes) >= LARGE:
            self._unseen.append(message("observed.unseen.large", count=LARGE))
        self._owners = live_optimizers(tb.names)
        problems: list[Saved] = []
        if mistake in ("stale", "freed"):
            stale = mistake == "stale"
            problems = self._stale(nodes, at) if stale else self._freed(nodes, keeps, roots)
        failed = None
        if not problems:
            failed = FailedCall(
                error=self._error,
                entries=tb.entries[at:],
                values=values,
                nodes=nodes,
                keeps=keeps,
                is_grad=is_grad,
                caller=caller,
                names=tb.names,
                files=self._files,
            )
            only = failed.possible if len(failed.possible) == 1 else []
            if any(slot.stale for node in only for slot in slots(node)):
                # As an error that wraps autograd's own, which has another message.
                problems = self._stale(nodes, at)
        if not problems and failed is not None:
            self._failed(diagnose(failed), place, call, loss, keeps)
            return True
        seq = max(each.seq for each in problems) + 1
        self._events.append(
            Backward(
                seq, place, call, loss, None, keeps, raised=kind,
                problems=tuple(problems), nodes=len(nodes),
            )
        )  # fmt: skip
        return True

    def _failed(
        self, failure: Diagnosis, place: Location | None, call: str, loss: str, keeps: bool
    ) -> None:
        """It failed as it ran, over no tensor that is known to be written or freed."""
        cut = failure.cut
        inferred = failure.trouble == "checkpoint" and cut is not None
        self._events.append(
            Backward(
                0, place, call, loss, None, keeps,
                raised=type(self._error).__name__,
                trouble=failure.trouble,
                subject=self._tb.add_info(failure.subject) if failure.subject else None,
                cut=cut.location() if cut is not None else None,
                cut_by=cut.by if cut is not None else "",
                node=failure.node,
                inferred=message("observed.inferred.nothing_else") if inferred else "",
            )
        )  # fmt: skip

    def _slots(self, nodes: list[Any]) -> Iterator[tuple[Any, Any]]:
        for node in nodes:
            if time.thread_time() > self._until:
                self._unseen.append(message("observed.unseen.cut_short"))
                return
            for slot in slots(node):
                yield node, slot

    def _stale(self, nodes: list[Any], at: int) -> list[Saved]:
        tb = self._tb
        compiled = compiled_in([entry.frame for entry in tb.entries[:at]], self._files)
        found = [(node, slot) for node, slot in self._slots(nodes) if slot.stale]
        # The autograd engine runs the latest node first.
        found.sort(key=lambda pair: -sequence(pair[0]))
        search = WriterSearch(tb.source(), tb.values(), tb.names, self._owners, tb.places())
        verdicts: dict[int, list[PossibleWriter]] = {}
        stale: list[tuple[Any, int, Any, bool]] = []
        for node, slot in found:
            tensor, named = self._name(node, slot, compiled)
            index = tb.add(tensor, named)
            if index not in verdicts:
                only = went_on(node, nodes, self._files) if compiled else None
                verdicts[index] = [_concluded(*only)] if only else search.of(tensor, named)
            stale.append((node, index, slot, requires_grad(tensor)))
        return [self._saved(*each, verdicts) for each in stale]

    def _saved(
        self,
        node: Any,
        index: int,
        slot: Any,
        recorded: bool,
        verdicts: dict[int, list[PossibleWriter]],
    ) -> Saved:
        before, after = saved_version(slot), version_of(slot.data)
        found = verdicts[index]
        write = self._write(index, before, after, verdicts) if len(found) == 1 else None
        maybe = [
            message("words.by_in_line", by=each.by, line=each.at.line) if each.at else each.by
            for each in found
        ]
        return Saved(
            seq=sequence(node),
            operation=operation(node),
            at=traced_line(node, self._files),
            module=self._module(index),
            tensor=index,
            saved_version=before,
            current_version=after,
            state="stale",
            write=write,
            suspects=tuple(maybe) if write is None else (),
            recorded=recorded,
            alone=len(node.next_functions) == 1,
        )

    def _write(
        self, index: int, before: int | None, after: int, verdicts: dict[int, list[PossibleWriter]]
    ) -> int:
        """The index, among the events, of the inferred write; it is added."""
        who = verdicts[index][0]
        same = [self._tb.called(at) for at, found in verdicts.items() if found == [who]]
        why = message(who.why, name=who.name or who.by, names=listing(same, NAMED))
        event = Write(0, who.at, who.by, index, before, after, inferred=why)
        if event not in self._events:
            self._events.append(event)
        return self._events.index(event)

    def _freed(self, nodes: list[Any], keeps: bool, roots: list[Any]) -> list[Saved]:
        gone = dict.fromkeys(node for node, slot in self._slots(nodes) if slot.data is None)
        if not gone:
            return []
        tb = self._tb
        freeing = freeing_call(gone, roots, tb.source(), tb.values(), tb.at, LARGE)
        by = None
        if freeing is not None:
            by = len(self._events)
            each = freeing.statement
            loss = call_text(each.at, each.by)[1]
            self._events.append(
                Backward(0, each.at, each.by, loss, None, False, inferred=freeing.why)
            )
        sure = [node for node in gone if keeps or (freeing is not None and node in freeing.nodes)]
        sure.sort(key=lambda node: -sequence(node))
        # Which of the other nodes this very backward has freed is not known.
        return [
            Saved(
                sequence(node), operation(node), traced_line(node, self._files), None, -1, None,
                None, "freed", freed_by=by,
            )
            for node in sure
        ] or [Saved(0, "", None, None, -1, None, None, "freed", freed_by=by)]  # fmt: skip

    def _name(self, node: Any, slot: Any, compiled: bool) -> tuple[Any, Named]:
        known = self._tb.names.of_tensor(slot.data)
        if known is not None:
            return known
        # An operation's own output is unpacked without its grad_fn.
        output = slot.name.startswith(("result", "output"))
        at = traced_line(node, self._files) if compiled else None
        name = assigned_at(at) if at is not None else None
        return slot.data, Named(name or "", "activation" if output else kind_of(slot.data), None)

    def _module(self, index: int) -> str | None:
        """The module that holds a parameter, by the parameter's name."""
        tensor = self._tb.tensors[index]
        if tensor.kind != "parameter" or tensor.name is None:
            return None
        path = tensor.name.rpartition(".")[0]
        return path if path in self._tb.names.modules.values() else None

    def _optimizer(self, owner: LiveOptimizer) -> OptimizerInfo:
        owned = parameters_of(owner.optimizer)
        named = [known for p in owned if (known := self._tb.names.of_tensor(p)) is not None]
        return OptimizerInfo(
            name=owner.name,
            class_name=class_name(owner.optimizer),
            steps=owner.steps or 0,
            at=None,
            owns=tuple(self._tb.add(*each) for each in named),
        )


def _concluded(_: Any, at: Location, by: str) -> PossibleWriter:
    return PossibleWriter(written_by(at, by, False), at, "observed.inferred.compiled")
