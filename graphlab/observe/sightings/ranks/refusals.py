"""Explains what DistributedDataParallel refuses: a forward after a backward that missed parameters,
a graph that is not what static_graph promised, and a parameter that is ready twice."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import LEAF_SEQ, grad_edge, is_function, leaf_of, sequence
from graphlab.observe.lineage.cut import cut_before
from graphlab.observe.lineage.freezing.frozen import frozen_by
from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import Cut, RawBackward, RawModule, located
from graphlab.observe.optimizers.never_called import never_called
from graphlab.observe.refusals.outright import nodes_behind
from graphlab.observe.sightings.ranks.places import assigned_after, parameter_paths, uses_of
from graphlab.observe.sightings.ranks.wrappers import Wrapper, Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, is_module, requires_grad, shape_of
from graphlab.source.files import user_frame
from graphlab.source.objects import attribute, attributes, class_name, items
from graphlab.source.wording import call_text
from graphlab.trace.ranks.models import RefusedModule
from graphlab.trace.ranks.sightings import ReadyTwice, Unfinished
from graphlab.trace.values import Location

# For how many backwards of a wrapper it is asked why they miss parameters.
ASKED = 2
# Of a module that was refused so many parameters are kept.
PARAMETERS = 4_096
# What torch's errors say; nothing else tells them from any other RuntimeError.
_TWICE, _CHANGED = "variable ready only once", "training graph has changed"


class WrapperRefusals:
    """Handles the exceptions of the wrapper's forward and of backwards."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._log, self._tracer, self._files = watched.log, watched.tracer, watched.files
        self._table, self._wrappers = watched.table, wrappers
        self.found: list[Unfinished | ReadyTwice | RefusedModule] = []
        # The line that made the loss of a backward, by its identity.
        self._loss_at: dict[int, Location | None] = {}
        # How often it was asked for a wrapper, and what was found.
        self._asked: dict[int, int] = {}
        self._cuts: dict[int, Cut] = {}
        self._uncalled: dict[int, Location] = {}
        ddp = torch.nn.parallel.DistributedDataParallel
        # Private to torch: what the constructor compares the ranks' parameters by. That of the
        # constructor itself is seen on Python 3.11 alone, as its code refers to its class.
        utils = getattr(torch.distributed, "utils", None)
        compares = getattr(utils, "_verify_param_shape_across_processes", None)
        watched.tracer.handle(compares or ddp.__init__, self._refused, "exception")
        watched.tracer.handle(ddp.forward, self._forward, "exception")
        watched.tracer.handle(torch.autograd.backward, self._backward, "exception")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Remember the line that made the loss of a sampled backward, and why it does not reach
        parameters that a wrapper waits for."""
        latest = max((n for n in map(sequence, nodes) if n != LEAF_SEQ), default=-1)
        self._loss_at[id(record)] = located(self._log.line_of(latest))
        self._note_checkpoints(record, nodes)
        leaves = {id(leaf) for leaf in map(leaf_of, nodes) if leaf is not None}
        for wrapper in self._wrappers.all:
            missing = wrapper.known - leaves
            asked = self._asked.get(id(wrapper), 0)
            if not missing or len(missing) == len(wrapper.known) or asked >= ASKED:
                continue
            self._asked[id(wrapper)] = asked + 1
            cut = cut_before(frame.f_back, record.loss, self._files, missing)
            if cut is not None:
                self._cuts[id(wrapper)] = cut
            names = Names(self._files).gather(frame)
            built = never_called(missing, names, self._log, self._files)
            if built is not None:
                self._uncalled[id(wrapper)] = built

    def _note_checkpoints(self, record: RawBackward, nodes: list[Any]) -> None:
        seen: set[int] = set()
        for node in sorted(nodes, key=sequence):
            held = _checkpointed(node) or ()
            at = located(self._log.line_of(sequence(node))) if held else None
            for each in held:
                if each in seen and at is not None:
                    self._wrappers.twice[id(record), each] = at
                seen.add(each)

    def _refused(self, frame: FrameType, event: str, arg: Any) -> None:
        """Why it was is seen where the ranks are compared."""
        if "module" not in frame.f_locals and frame.f_back is not None:
            frame = frame.f_back
        module = frame.f_locals.get("module")
        if arg[0] is not RuntimeError or not is_module(module):
            return
        with Unnoticed():
            user = user_frame(frame.f_back, self._files)
            names = Names(self._files).gather(frame).tensors
            paths = parameter_paths(module)
            own = {key: names[key].name if key in names else path for key, path in paths.items()}
            held = [each for each in parameters_in(module) if id(each) in own][:PARAMETERS]
            still = [each for each in held if not requires_grad(each)]
            cut = frozen_by(still[0], user, self._files, self._log) if still else None
            at = located(self._tracer.spot(user))
            self.found.append(
                RefusedModule(
                    at,
                    call_text(at, "DDP")[0],
                    tuple((own[id(p)], tuple(shape_of(p))) for p in held if requires_grad(p)),
                    tuple(own[id(p)] for p in still),
                    cut.location() if cut is not None else None,
                    cut.by if cut is not None else "",
                )
            )

    def _forward(self, frame: FrameType, event: str, arg: Any) -> None:
        """An error of the forward itself: those of the module inside come through its call."""
        if arg[0] is not RuntimeError:
            return
        ddp = frame.f_locals.get("self")
        wrapper = next((each for each in self._wrappers.all if each.ref() is ddp), None)
        record = wrapper.last if wrapper is not None else None
        if wrapper is None or record is None or "output" in frame.f_locals:
            return
        options = attributes(ddp)
        static = options.get("static_graph") is True
        if options.get("find_unused_parameters") and not static:
            return
        # In the first backward of a static graph the wrapper has counted every parameter that its
        # outputs depend on, and waits for each from then on.
        unreached = {*self._wrappers.places_of(wrapper)} - {*record.reached} if static else set()
        reached_first = bool(wrapper.missing)
        waits_for = wrapper.missing or unreached or {*self._frozen_since(frame, wrapper)}
        if not waits_for:
            with Unnoticed():
                self.found += self._replaced(frame, wrapper, record)
            return
        with Unnoticed():
            user = user_frame(frame.f_back, self._files)
            at = located(self._tracer.spot(user))
            missing = [
                each
                for each in parameters_in(attribute(ddp, "module"))
                if self._table.place_of(each) in waits_for
            ]
            why, cause, by = self._reason(wrapper, missing, user)
            sighting = Unfinished(
                at, call_text(at, "the wrapper")[0], tuple(sorted(waits_for)),
                record.call, located(record.spot), self._loss_at.get(id(record)),
                self._use_of(missing, ddp), why, cause, by, static and reached_first,
            )  # fmt: skip
            self.found.append(sighting)

    def _frozen_since(self, frame: FrameType, wrapper: Wrapper) -> list[int]:
        """Those that it waits for and that nothing else has ever asked about: no backward can have
        reached them."""
        with Unnoticed():
            names = Names(self._files).gather(frame)
            return [
                self._table.tensor_index(each, names)
                for each in parameters_in(attribute(wrapper.ref(), "module"))
                if id(each) in wrapper.known and not requires_grad(each)
            ]

    def _replaced(
        self, frame: FrameType, wrapper: Wrapper, record: RawBackward
    ) -> Iterator[Unfinished]:
        """Parameters that the wrapper waits for, and others that stand in their place now."""
        module = attribute(wrapper.ref(), "module")
        now = {path: each for each, path in _with_paths(module)}
        gone = [path for known, path in wrapper.paths.items() if known in wrapper.known
                and id(now.get(path)) != known]  # fmt: skip
        user = user_frame(frame.f_back, self._files)
        at = located(self._tracer.spot(user))
        names = Names(self._files).gather(frame)
        if gone:
            cause = assigned_after(wrapper.spot, gone[0]) or located(wrapper.spot)
            news = [now[path] for path in gone if path in now]
            yield Unfinished(
                at, call_text(at, "the wrapper")[0],
                tuple(self._table.tensor_index(each, names) for each in news),
                record.call, located(record.spot), None, None, "replaced", cause,
                cause.code if cause is not None else "",
            )  # fmt: skip

    def _reason(self, wrapper: Wrapper, missing: list[Any], user: FrameType | None) -> Any:
        frozen = next((each for each in missing if not requires_grad(each)), None)
        if frozen is not None:
            cut = frozen_by(frozen, user, self._files, self._log)
            return ("frozen", cut.location(), cut.by) if cut is not None else ("frozen", None, "")
        cut = self._cuts.get(id(wrapper))
        if cut is not None:
            return "cut", cut.location(), cut.by
        built = self._uncalled.get(id(wrapper))
        if built is None:
            return "", None, ""
        passed = uses_of(built, wrapper.paths.get(id(missing[0]), "")) if missing else None
        if passed is not None:
            return "passed", passed, call_text(passed, "its use")[0]
        return "uncalled", built, ""

    def _use_of(self, parameters: list[Any], ddp: Any) -> Location | None:
        """The last line that called a module which has one of the parameters."""
        wanted = {*map(id, parameters)}
        holders = {
            id(module)
            for _, module in submodules(attribute(ddp, "module"))
            for _, each in items(attributes(module).get("_parameters"))
            if id(each) in wanted
        }
        for raw in reversed(self._log.events):
            if isinstance(raw, RawModule) and raw.module in holders:
                return located(raw.spot)
        return None

    def _backward(self, frame: FrameType, event: str, arg: Any) -> None:
        if arg[0] is not RuntimeError:
            return
        said = str(arg[1])
        if any(each.at == located(self._tracer.spot(frame.f_back)) for each in self.found):
            # It has passed through the backward of a checkpoint inside this one.
            return
        with Unnoticed():
            nodes = nodes_behind(frame.f_locals, False)
            if _TWICE in said:
                self.found += self._twice(frame, nodes)
            elif _CHANGED in said:
                self.found += self._changed(frame, nodes)

    def _twice(self, frame: FrameType, nodes: list[Any]) -> Iterator[ReadyTwice]:
        at = located(self._tracer.spot(frame.f_back))
        names = Names(self._files).gather(frame)
        checkpoints = [(node, held) for node in nodes if (held := _checkpointed(node)) is not None]
        for wrapper in self._wrappers.all:
            ddp = wrapper.ref()
            if ddp is None:
                continue
            hides = attributes(ddp).get("find_unused_parameters") is True
            for parameter in parameters_in(attribute(ddp, "module")):
                if id(parameter) not in wrapper.known:
                    continue
                plain = _users(nodes, parameter)
                inside = [node for node, held in checkpoints if id(parameter) in held]
                outside = [node for node in plain if not self._within(node, wrapper)]
                if inside and (hides or len(inside) + len(plain) > 1):
                    why = "checkpoint" if len(inside) + len(plain) > 1 else "hidden"
                elif outside and hides:
                    why = "outside"
                else:
                    continue
                uses = [located(self._log.line_of(sequence(node))) for node in (*inside, *plain)]
                called = next(
                    (
                        located(raw.spot)
                        for raw in reversed(self._log.events)
                        if isinstance(raw, RawModule) and raw.module == id(ddp)
                    ),
                    None,
                )
                yield ReadyTwice(
                    at, call_text(at, "backward")[0], self._table.tensor_index(parameter, names),
                    tuple(dict.fromkeys(sorted(
                        (each for each in uses if each is not None),
                        key=lambda each: (each.file, each.line),
                    ))),
                    why, call_text(called, "the wrapper")[0],
                )  # fmt: skip
                return

    def _within(self, node: Any, wrapper: Wrapper) -> bool:
        """Whether a node was made by a module inside the wrapper."""
        mark = self._log.mark_of(sequence(node))
        return mark is not None and mark.module in wrapper.inner

    def _changed(self, frame: FrameType, nodes: list[Any]) -> Iterator[Unfinished]:
        """A backward that reaches parameters which the first did not."""
        names = Names(self._files).gather(frame)
        at = located(self._tracer.spot(frame.f_back))
        call = call_text(at, "backward")[0]
        leaves = [leaf for leaf in map(leaf_of, nodes) if leaf is not None]
        for wrapper in self._wrappers.all:
            new = [
                leaf
                for leaf in leaves
                if id(leaf) in wrapper.known
                and self._table.place_of(leaf) not in (wrapper.first or ())
            ]
            if wrapper.first is None or not new:
                continue
            users = _users(nodes, new[0])
            used = located(self._log.line_of(sequence(users[0]))) if users else None
            last = wrapper.last
            yield Unfinished(
                at, call, tuple(self._table.tensor_index(each, names) for each in new),
                last.call if last is not None else call,
                located(last.spot) if last is not None else None, None, used, "more", used, "",
                True,
            )  # fmt: skip
            return


def _with_paths(module: Any) -> Iterator[tuple[Any, str]]:
    paths = parameter_paths(module)
    for each in parameters_in(module):
        if id(each) in paths:
            yield each, paths[id(each)]


def _users(nodes: list[Any], parameter: Any) -> list[Any]:
    """The nodes that a parameter goes into."""
    edge = grad_edge(parameter)
    return [node for node in nodes if any(each is edge for each, _ in node.next_functions)]


def _checkpointed(node: Any) -> set[int] | None:
    """The identities of the parameters in the module that a reentrant checkpoint runs; None for
    any other node, and where it runs a function."""
    if not is_function(node) or class_name(node) != "CheckpointFunctionBackward":
        return None
    ran = attributes(node).get("run_function")
    ran = ran if is_module(ran) else getattr(ran, "__self__", None)
    return {id(each) for each in parameters_in(ran)} if is_module(ran) else set()
