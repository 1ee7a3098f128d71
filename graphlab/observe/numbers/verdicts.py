"""Says where a number that is not finite came from: by the graph, by what followed it, or by what
was kept of the backwards before."""

from __future__ import annotations

import ast
from dataclasses import replace
from types import FrameType
from typing import Any, Literal

from graphlab.observe.graph.walk import grad_edge, leaf_of, sequence
from graphlab.observe.lineage.cut import making
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.names import Names, parameters_of, submodules
from graphlab.observe.notes import Log, RawBackward, RawStep, RawWrite, RawZero, Spot, located
from graphlab.observe.numbers.births import phase_of, sighting
from graphlab.observe.numbers.derivatives import is_one_of, steep_operand
from graphlab.observe.numbers.finite import odd
from graphlab.observe.numbers.graph_look import Found, look, spelt
from graphlab.observe.numbers.kept.growth import Growth, Held
from graphlab.observe.numbers.kept.settings import Rates, by_eps
from graphlab.observe.numbers.kept.steep_nodes import SteepNodes
from graphlab.observe.numbers.operands import Turn, expression_at, operand_text, written_as
from graphlab.observe.numbers.recompute import kind_of_node
from graphlab.observe.numbers.tracking import Tracking
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.observe.tensors import is_tensor, storage_key
from graphlab.source.effects.stores import last_part
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import attributes, items
from graphlab.source.places import locate, statement_at
from graphlab.trace.model import Location
from graphlab.trace.sightings import NonFinite, Phase

# How many parameters are named.
NAMED = 64
# How many operations of a library's are gone back over.
_FED = 4
_OPERATORS = (ast.BinOp, ast.UnaryOp, ast.Compare)


class Verdicts:
    """`sound`: the last iteration in which all parameters were known to be finite, `sound_at` the
    last backward before that; `last`: the last backward."""

    def __init__(
        self, log: Log, files: UserFiles, ledger: OptimizerLedger, table: TensorTable,
        tracking: Tracking,
    ) -> None:  # fmt: skip
        self._log, self._files, self._ledger, self._table = log, files, ledger, table
        self._tracking = tracking
        self.growth, self.steep, self.rates = Growth(), SteepNodes(), Rates()
        self.sound: int | None = None
        self.sound_at: RawBackward | None = None
        self.last: RawBackward | None = None

    def with_growth(self, seen: NonFinite, record: RawBackward) -> NonFinite:
        """With what had grown beyond measure before a loss was not finite."""
        if seen.phase == "data":
            return seen
        for state, optimizer in self._ledger.registry.followed():
            parameters = parameters_of(optimizer)
            found = self.growth.of_parameters(state.at, parameters, record.iteration)
            if found is not None:
                tensor = self._table.tensor_index(found[0], None)
                return replace(seen, grown=found[1], grown_tensor=tensor)
        return replace(seen, grown=self.growth.of_loss(record))

    def of_loss(self, record: RawBackward, kind: Literal["nan", "inf"]) -> NonFinite:
        """A loss was not finite whose graph is gone, and whose parameters were."""
        seen = NonFinite(
            None, "", "forward", kind, record.iteration, in_loss=True, loss=record.loss,
            call=record.call, call_at=located(record.spot), look_from=self._from(record.iteration),
        )  # fmt: skip
        return self.with_growth(seen, record)

    def from_parameters(
        self,
        record: RawBackward | None,
        ill: list[Any],
        gone: tuple[int, Held] | None = None,
        before: RawBackward | None = None,
    ) -> NonFinite:
        """A loss was not finite because parameters were not: an earlier iteration made them so.
        `gone`: of an optimizer that is no more, its place, and `ill` as they were held. before: the
        last backward in which they were finite; the last one of all where it is not known."""
        places = self.places(ill) if gone is None else gone[1].places
        births = [birth for each in ill if (birth := self._tracking.of(each)) is not None]
        if births:
            birth = min(births, key=lambda each: each.order)
            return replace(sighting(birth, record, False), tensors=places)
        since = gone[1].since if gone is not None else self.sound or 0
        if before is not None:
            since = before.iteration or 0
        sure, before = before, before or self.last
        nan = any(odd(each).nan for each in ill)
        phase: Phase | None = "before"
        either = False
        if self.sound is not None:
            phase = phase_of(ill, self._ledger.registry.followed()) if gone is None else None
            owners = self._owners(ill[0]) if gone is None else {gone[0]}
            if (found := self._by_rate(owners, ill, places)) is not None:
                return found
            if gone is None and (found := self._by_eps(ill, places, since)) is not None:
                return found
            seen = self._by_steps(owners, places, sure) if phase != "step" else None
            if seen is not None:
                return seen
            if phase in (None, "step") and self._written(ill, sure or self.sound_at):
                # The program may have written it there itself.
                phase = "before"
            # A step of torch's own that keeps nothing makes no NaN of finite numbers.
            plain = self._torchs_own(ill) if gone is None else gone[1].plain
            either = phase is None and not (nan and plain)
            phase = phase or ("step" if either else "backward")
        return NonFinite(
            None,
            "",
            phase,
            "nan" if nan else "inf",
            tensors=places,
            loss=before.loss if before is not None else "",
            call=before.call if before is not None and not either else "",
            call_at=located(before.spot) if before is not None else None,
            look_from=since,
        )

    def _torchs_own(self, ill: list[Any]) -> bool:
        """Whether torch's own optimizers hold these parameters."""
        return not any(
            any(each is other for each in ill for other in parameters_of(optimizer))
            and not type(optimizer).__module__.startswith("torch.optim.")
            for _, optimizer in self._ledger.registry.followed()
        )

    def by_kept(
        self, applied: list[tuple[RawBackward, RawStep | None]], places: tuple[int, ...]
    ) -> NonFinite | None:
        """Which node made a gradient not finite, in the first of these backwards that did, each
        with the step that applied it; None if that is not known. `places`: of the parameters."""
        found = self.steep.first([record for record, _ in applied])
        at = located(self._log.line_of(found.sequence)) if found is not None else None
        if found is None or at is None:
            return None
        record, step = next(each for each in applied if each[0] is found.record)
        turn = self._turn_of(found.sequence, self.steep.alike(found))
        operand = steep_operand(at, found.kind, turn)
        seen = NonFinite(
            at, f"{found.kind}Backward", "backward", "odd" if found.finite else "nan",
            record.iteration,
            operand=operand, critical=found.said(), module=self._tracking.module_of(found.sequence),
            zero_met=not found.finite and not found.sums, loss=record.loss, call=record.call,
            call_at=located(record.spot), tensors=places,
            # Which of several operations it is may be told by the frames of a second run.
            look_from=None if operand or not is_one_of(at, found.kind) else record.iteration,
        )  # fmt: skip
        if step is None:
            return seen
        stepper = self._ledger.registry.name_of(step.optimizer)
        return replace(seen, step=f"{stepper}.step()", step_at=located(step.spot))

    def from_gradients(self, last: RawBackward, ill: list[Any]) -> NonFinite:
        """The backward `last`, or one before whose gradients are there still, made those of the
        parameters `ill` not finite."""
        there: list[tuple[RawBackward, RawStep | None]] = []
        for event in reversed(self._log.events):
            if isinstance(event, RawStep | RawZero):
                break
            if isinstance(event, RawBackward) and not event.is_grad and not event.nested:
                there.insert(0, (event, None))
        places = self.places(ill)
        return self.by_kept(there, places) or NonFinite(
            None, "", "backward", "odd", last.iteration, loss=last.loss, call=last.call,
            call_at=located(last.spot), tensors=places, look_from=last.iteration or 0,
        )  # fmt: skip

    def _written(self, tensors: list[Any], since: RawBackward | None) -> bool:
        """Whether the program has written to one of them, and no optimizer, since a backward."""
        keys = {storage_key(each) for each in tensors}
        for event in reversed(self._log.events):
            if event is since:
                return False
            own = isinstance(event, RawWrite) and event.optimizer is None
            if own and not keys.isdisjoint(each[0] for each in event.tensors):
                return True
        return False

    def _by_rate(
        self, owners: set[int], ill: list[Any], places: tuple[int, ...]
    ) -> NonFinite | None:
        """An optimizer's step at a rate that is not finite."""
        for at in owners:
            if (rate := self.rates.of(at, self.sound_at)) is not None:
                kind = "nan" if all(odd(each).inf == 0 for each in ill) else "inf"
                return NonFinite(
                    located(rate.spot), "", "step", kind, rate.record.iteration,
                    critical=rate.said, tensors=places, step_at=located(rate.spot),
                    step=f"{self._ledger.registry.name_of(at)}.step()",
                )  # fmt: skip
        return None

    def _by_eps(self, ill: list[Any], places: tuple[int, ...], since: int) -> NonFinite | None:
        """A step that divided by an eps that is 0. Which one did so first is known only where there
        was no other."""
        for state, optimizer in self._ledger.registry.followed():
            if (said := by_eps(optimizer, ill)) is None:
                continue
            steps = [each for each in self._log.events if isinstance(each, RawStep)]
            mine = [each for each in steps if each.optimizer == state.at]
            at = located(mine[-1].spot) if mine else None
            only = mine[0] if len(mine) == state.steps == 1 else None
            return NonFinite(
                at, "", "step", "nan" if any(odd(each).nan for each in ill) else "inf",
                only.iteration if only is not None else None, critical=said, tensors=places,
                step=f"{self._ledger.registry.name_of(state.at)}.step()", step_at=at,
                look_from=since if only is None else None,
            )  # fmt: skip
        return None

    def _by_steps(
        self, owners: set[int], places: tuple[int, ...], sure: RawBackward | None
    ) -> NonFinite | None:
        """What made parameters not finite, of the backwards whose gradients their owners applied to
        them since they were all finite. As a rule it is one before the last step; `sure`, where it
        is known, is one before the step that did."""
        applied = self._applied_by(owners, sure or self.sound_at)
        step = next((by for record, by in applied if record is sure), None)
        if step is not None:
            return self.by_kept([each for each in applied if each[1] is step], places)
        last = [each for each in applied if each[1] is applied[-1][1]]
        return self.by_kept(last, places) or self.by_kept(applied, places)

    def _owners(self, parameter: Any) -> set[int]:
        """The optimizers that hold a parameter, by their places."""
        return {
            state.at
            for state, optimizer in self._ledger.registry.followed()
            if any(each is parameter for each in parameters_of(optimizer))
        }

    def _applied_by(
        self, owners: set[int], sound_at: RawBackward | None
    ) -> list[tuple[RawBackward, RawStep | None]]:
        """The backwards whose gradients a step of these optimizers applied since all parameters
        were known to be finite, with that step."""
        found: list[tuple[RawBackward, RawStep | None]] = []
        step: RawStep | None = None
        enough = False
        for event in reversed(self._log.events):
            if isinstance(event, RawStep) and event.optimizer in owners:
                if enough:
                    break
                step = event
            elif isinstance(event, RawZero):
                step = None
            elif isinstance(event, RawBackward) and not event.is_grad and not event.nested:
                if step is not None:
                    found.insert(0, (event, step))
                enough = enough or event is sound_at
        return found

    def from_graph(
        self,
        losses: list[Any],
        nodes: list[Any],
        record: RawBackward | None,
        user: FrameType | None,
    ) -> NonFinite:
        outputs = [] if user is None else [*user.f_locals.values()]
        found = look([grad_edge(each) for each in losses], nodes, outputs)
        iteration = record.iteration if record is not None else None
        kind = "nan" if any(odd(each).nan for each in losses if is_tensor(each)) else "inf"
        base = NonFinite(None, "", "forward", kind, iteration, in_loss=True)
        if record is not None:
            base = replace(base, loss=record.loss, call=record.call, call_at=located(record.spot))
        if found is None:
            return replace(base, look_from=self._from(iteration))
        spot = self._log.line_of(sequence(found.node))
        at = located(spot)
        name = spelt(found.operation)
        module = self._tracking.module_of(sequence(found.node))
        if found.met:
            called = _named(found.tensors[0], user)
            here = at is not None and user is not None and located_in(at, user)
            return replace(
                base, at=at, operation=name, phase="data", kind="nan", operand=called,
                count=found.made.nan, whole=found.whole, module=module,
                look_from=self._from(iteration),
                given_at=making(user, called, self._files, at.line) if here and at else None,
            )  # fmt: skip
        text = ""
        if at is not None and found.tensors:
            turn = self._turn(found.node, nodes)
            given = found.tensors, found.which, True, name, found.slot, turn
            text = operand_text(at, None, *given)
        first = spot is not None and not text and found.which == 0
        fed = self._fed(found, spot, name) if first and spot is not None else None
        return replace(
            base,
            at=at,
            operation=written_as(name, at),
            kind="nan" if found.made.nan else "inf",
            operand=text,
            critical=found.critical,
            count=sum(found.made),
            whole=found.whole,
            module=module,
            # What it was given may be told by the frames of a second run.
            look_from=self._from(iteration) if at is None or not (text or fed) else None,
            given_at=fed,
        )

    def _turn(self, node: Any, nodes: list[Any]) -> Turn | None:
        """Which of its kind a node is, of those that the same run of its line made."""
        kind = kind_of_node(node)
        alike = [sequence(each) for each in nodes if kind_of_node(each) == kind]
        return self._turn_of(sequence(node), alike)

    def _turn_of(self, number: int, alike: list[int]) -> Turn | None:
        mark = self._log.mark_of(number)
        same = sorted(each for each in alike if self._log.mark_of(each) == mark)
        return Turn(same.index(number), len(same)) if mark is not None else None

    def _fed(self, found: Found, spot: Spot, name: str) -> Location | None:
        """The line of the program's that made what a library, called at `spot`, gave the node that
        was found; None as well where the operation is the program's own."""
        node: Any = found.node
        at = locate(*spot)
        written = expression_at(at) if at is not None else None
        if at is not None and not isinstance(written, ast.Call):
            # Of a line that is followed as a whole, the place is where it begins.
            written = getattr(statement_at(at.file, at.line), "value", None)
        parts = [*ast.walk(written)] if isinstance(written, ast.Call) else []
        if not parts or any(isinstance(each, _OPERATORS) or _calls(each, name) for each in parts):
            return None
        for _ in range(_FED):
            inner = [each for each, _ in node.next_functions if each is not None]
            if len(inner) != 1:
                return None
            (node,) = inner
            line = self._log.line_of(sequence(node)) if leaf_of(node) is None else None
            if line is None:
                return None
            if line[0] is not spot[0]:
                return located(line)
        return None

    def from_buffers(self, ill: list[Any], frame: FrameType | None) -> NonFinite | None:
        """Buffers of modules came to hold a NaN; `frame`: where their names may be known."""
        if not ill:
            return None
        if frame is not None:
            names = Names(self._files).gather(user_frame(frame, self._files))
            for each in ill[:NAMED]:
                self._table.tensor_index(each, names)
        births = [birth for each in ill if (birth := self._tracking.of(each)) is not None]
        if births:
            birth = min(births, key=lambda each: each.order)
            return replace(sighting(birth, None, False), tensors=self.places(ill))
        return NonFinite(None, "", "kept", "nan", tensors=self.places(ill), look_from=0)

    def _from(self, iteration: int | None) -> int:
        """From where to look for what made a loss of this iteration not finite. What modules keep
        in buffers may have been so long before."""
        called = [ref() for ref in [*self._log.modules.values()]]
        # One that is never called keeps some as well, as a memory bank does.
        inner = {id(each): each for one in called if one is not None for _, each in submodules(one)}
        for each in inner.values():
            if any(odd(kept).nan for _, kept in items(attributes(each).get("_buffers"))):
                return 0
        return iteration or 0

    def places(self, tensors: list[Any]) -> tuple[int, ...]:
        return tuple(self._table.tensor_index(each, None) for each in tensors[:NAMED])


def _named(tensor: Any, user: FrameType | None) -> str:
    """The variable of the user's that has a tensor, or a part of it."""
    for name, each in (user.f_locals if user is not None else {}).items():
        if is_tensor(each) and storage_key(each) == storage_key(tensor):
            return name
    return ""


def located_in(at: Location, frame: FrameType) -> bool:
    """Whether a place is in the function that a frame runs."""
    return (at.file, at.function) == (frame.f_code.co_filename, frame.f_code.co_qualname)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and name in last_part(node)
