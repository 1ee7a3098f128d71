"""Assertions about a training loop, checked against what a session observed.

A failed one raises an AssertionError that says what was seen instead and shows the ledger. One
about something that never happened fails too, since nothing supports it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from graphlab.api.evidence import Seen
from graphlab.language import message
from graphlab.observe.live_objects import LiveObjects
from graphlab.rules.registry import find
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, Mix, Step, Trace
from graphlab.views.terminal.story import Story


class Assertions(ABC):
    """What a test can ask of an observation, while it is open or afterwards.

    An optimizer, a module or a loss is given as the live object or by its name in the program.
    Instead of a module, a parameter or several of them may be given. A module given by name means
    the parameters of it that the session saw; a live one means all of its parameters.

    Raises:
        AssertionError: when the claim is not true, or when nothing was seen that it is about.
        TypeError: for an argument that is none of those objects.
    """

    @property
    @abstractmethod
    def trace(self) -> Trace:
        """What was observed; while the session is open, what has been observed so far."""

    @property
    @abstractmethod
    def _live(self) -> LiveObjects:
        """Which live object stands for what in the trace."""

    @property
    def findings(self) -> list[Finding]:
        """What the rules find in what was observed so far, errors first."""
        return find(self.trace)

    def assert_clean(self, allow: Iterable[str] = ()) -> None:
        """No error and no warning was found, except for the codes in `allow`."""
        __tracebackhide__ = True
        allowed = {allow} if isinstance(allow, str) else set(allow)
        seen = Seen(self.trace, self._live)
        seen.backwards()
        found = [each for each in seen.findings() if each.code not in allowed]
        if found:
            told = message("assertions.problems", count=len(found))
            seen.fail(told, [], [Story(each) for each in found])

    def assert_finite(self) -> None:
        """No NaN and no Inf reached a loss that was trained on, an applied gradient or a parameter.

        Infinite numbers that the program means, such as masks, do not count.
        """
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        seen.backwards()
        found = [each for each in seen.findings() if each.code in ("GL201", "GL202")]
        if found:
            seen.fail(message("assertions.not_finite"), [], [Story(each) for each in found])

    def assert_touches(self, optimizer: Any, *modules: Any) -> None:
        """The optimizer's steps changed every parameter of the modules, by value."""
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        info = seen.compared(optimizer)
        whys = {each.name: each.why for each in info.untouched}
        for module in modules:
            label, members = seen.members(module)
            left = []
            for each in members:
                if each.place not in info.owns:
                    left.append(message("assertions.not_held", name=each.name, optimizer=info.name))
                elif each.place not in info.touched:
                    left.append(f"{each.name}: {whys.get(each.name, 'unchanged')}")
            if left:
                told = message("assertions.left", optimizer=info.name, module=label,
                               some=len(left), all=len(members))  # fmt: skip
                seen.fail(told, left)

    def assert_touches_only(self, optimizer: Any, *modules: Any) -> None:
        """The optimizer's steps changed parameters of the modules, and of nothing else.

        Compared are the parameters that any optimizer holds.
        """
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        info = seen.compared(optimizer)
        groups = [seen.members(module) for module in modules]
        meant = {each.place for _, members in groups for each in members}
        changed = (*info.touched, *info.others_changed)
        strange = [seen.name(place) for place in changed if place not in meant]
        if strange:
            labels = ", ".join(label for label, _ in groups)
            told = message("assertions.outside", optimizer=info.name, modules=labels)
            seen.fail(told, strange)
        if not changed:
            whys = [f"{each.name}: {each.why}" for each in info.untouched]
            seen.fail(message("assertions.nothing", optimizer=info.name), whys)

    def assert_isolated(self, optimizer: Any, *losses: Any) -> None:
        """Every gradient that the optimizer applied was put there by these losses alone."""
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        at, info = seen.optimizer(optimizer)
        meant = [seen.loss(loss) for loss in losses]
        steps = [
            each
            for each in seen.trace.events
            if isinstance(each, Step) and each.optimizer == at and each.sources
        ]
        for loss in meant:
            if not any(loss in step.sources for step in steps):
                told = message("assertions.no_gradient", optimizer=info.name, loss=loss)
                seen.fail(told, [])
        mixed = [each for each in steps if set(each.sources) - set(meant)]
        if mixed:
            foreign = dict.fromkeys(s for each in mixed for s in each.sources if s not in meant)
            where = message("assertions.steps", where=_where(mixed[0], f"{info.name}.step()"),
                            some=len(mixed), all=len(steps))  # fmt: skip
            told = message("assertions.mixed", optimizer=info.name,
                           foreign=" and ".join(foreign), meant=" and ".join(meant))  # fmt: skip
            seen.fail(told, [where, *_worst(mixed, meant)])

    def assert_reaches(self, loss: Any, *modules: Any) -> None:
        """Backward of the loss wrote a gradient into every parameter of the modules."""
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        name = seen.loss(loss)
        for module in modules:
            label, members = seen.members(module)
            missing = [each.name for each in members if not seen.reaches(name, each)]
            if missing:
                told = message("assertions.not_reached", loss=name, module=label,
                               some=len(missing), all=len(members))  # fmt: skip
                seen.fail(told, missing)

    def assert_not_reaches(self, loss: Any, *modules: Any) -> None:
        """No backward of the loss wrote a gradient into any parameter of the modules."""
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        name = seen.loss(loss)
        for module in modules:
            label, members = seen.members(module)
            there = [each.name for each in members if seen.reaches(name, each)]
            if there:
                told = message("assertions.reached", loss=name, module=label,
                               some=len(there), all=len(members))  # fmt: skip
                seen.fail(told, there)

    def assert_graph_constant(self, n: int = 3) -> None:
        """At each line with a backward, the last `n` graphs counted had equally many nodes.

        Graphs are counted at the first six backwards of a line and at every 61st. Some line must
        have had `n` of them, and no tensor that the program keeps may hold a growing graph.
        """
        __tracebackhide__ = True
        if n < 2:
            raise ValueError(f"n is {n}, and one graph alone is always constant: give 2 or more")
        seen = Seen(self.trace, self._live)
        sizes: dict[str, list[int]] = {}
        for each in seen.backwards():
            if each.nodes is not None:
                sizes.setdefault(_where(each, each.call), []).append(each.nodes)
        enough = {where: counted[-n:] for where, counted in sizes.items() if len(counted) >= n}
        if not enough:
            most = max(map(len, sizes.values()), default=0)
            seen.fail(message("assertions.uncounted", n=n, most=most), [])
        moving: list[str] = [
            message("assertions.sizes", where=where, sizes=_chain(counted))
            for where, counted in enough.items()
            if len(set(counted)) > 1
        ]
        moving += [
            message("assertions.kept", name=each.name, sizes=_chain(each.sizes))
            for each in seen.trace.growing
            if not each.behind_loss
        ]
        if moving:
            seen.fail(message("assertions.moving"), moving)

    def assert_no_wasted_gradients(self) -> None:
        """No backward computed a gradient that was cleared before any step applied it.

        What a backward adds to a gradient that a step has applied already does not count here;
        GL108 reports it where a detach would save the work.
        """
        __tracebackhide__ = True
        seen = Seen(self.trace, self._live)
        wasted: dict[str, list[int]] = {}
        for each in seen.backwards():
            if each.thrown_away:
                wasted.setdefault(_where(each, each.call), []).append(each.thrown_away)
        if wasted:
            lines: list[str] = [
                message("assertions.each_time", where=where, count=max(counts), times=len(counts))
                for where, counts in wasted.items()
            ]
            seen.fail(message("assertions.wasted"), lines)


def _chain(sizes: Iterable[int]) -> str:
    return " → ".join(map(str, sizes))


def _where(event: Backward | Step, call: str) -> str:
    """``line 24 of gan.py, loss.backward()``; the call alone where the line is not known."""
    if event.at is None:
        return call
    file = event.at.file.replace("\\", "/").rsplit("/", 1)[-1]
    return message("assertions.where", line=event.at.line, file=file, call=call)


def _worst(steps: list[Step], meant: list[str]) -> list[str]:
    """Which losses made the gradient, at the sampled step that agrees least with the claim."""

    def along(mix: Mix) -> float:
        cosines = [each.cosine_to_total for each in mix.shares if each.loss in meant]
        return min((cosine for cosine in cosines if cosine is not None), default=1.0)

    measured = [(each, each.mix) for each in steps if each.mix is not None]
    if not measured:
        return []
    step, mix = min(measured, key=lambda each: along(each[1]))
    lines = []
    for share in mix.shares:
        cosine = share.cosine_to_total
        told = message("assertions.share", percent=f"{share.share:.0%}", loss=share.loss)
        if cosine is not None:
            told = message("assertions.with_cosine", share=told, cosine=f"{cosine:+.2f}")
        if step.iteration is not None:
            told = message("assertions.moment", iteration=step.iteration, what=told)
        lines.append(told)
    return lines
