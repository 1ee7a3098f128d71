"""Explains autograd errors that no hook saw happen, from the exception alone."""

from __future__ import annotations

from graphlab.observe.iterations import Iterations
from graphlab.observe.notes import Log, RawBackward, RawRefused
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.observe.postmortem.build_trace import post_mortem
from graphlab.observe.postmortem.missing_gradients import missing_gradient
from graphlab.observe.refusals.operations import refused_operation
from graphlab.observe.refusals.traceback import chain
from graphlab.observe.refusals.writes import invalidated_view, unseen_refusal
from graphlab.source.files import UserFiles
from graphlab.trace.model import Trace


class UnseenErrors:
    """`inferred` has the Traces of post-mortems, to be joined to the observed one."""

    def __init__(
        self,
        log: Log,
        iterations: Iterations,
        files: UserFiles,
        target: str,
        targets: tuple[str, ...],
        registry: OptimizerRegistry,
    ) -> None:
        self._log, self._iterations, self._files = log, iterations, files
        self._target, self._targets = target, targets
        self._registry = registry
        self.inferred: list[Trace] = []

    def explain(self, error: BaseException | None) -> None:
        """Explain `error`, which ended the program, unless a hook saw it happen."""
        seen = (error, self._log, self._iterations, self._files)
        unseen = self._operation(error) or invalidated_view(*seen) or unseen_refusal(*seen)
        if unseen is not None:
            self._log.events.append(unseen)
        elif not self._explained():
            self.infer(error)

    def _operation(self, error: BaseException | None) -> RawRefused | None:
        """An operation that was refused because of what a tensor is."""
        for each in chain(error) if error is not None else ():
            found = refused_operation(each, self._files, self._log)
            if found is not None:
                frame, offset = found.entry
                made = found.why
                return RawRefused(
                    self._log.last_seq(), (frame.f_code, offset), found.by, found.info, found.kind,
                    self._iterations.iteration(frame), made[0], None, made[1],
                )  # fmt: skip
            missing = missing_gradient(
                each, self._files, self._log, self._iterations, self._registry
            )
            if missing is not None:
                return missing
        return None

    def infer(self, error: BaseException | None) -> None:
        """Add the post-mortem of an autograd error."""
        if not isinstance(error, Exception):
            return
        trace = post_mortem(error, self._target, self._targets)
        if trace is not None and trace.events:
            self.inferred.append(trace)

    def _explained(self) -> bool:
        """Whether the failure of a backward, or of a write, was seen as it happened."""
        return any(
            isinstance(each, RawRefused)
            or (isinstance(each, RawBackward) and each.raised_type is not None)
            for each in self._log.events
        )
