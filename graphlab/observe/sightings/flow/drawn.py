"""Finds draws without a gradient, ``q.sample()`` or ``torch.normal(mean, std)``, whose distribution
a loss trains beside them: through a divergence or an entropy, and not through the draw.

A draw whose log-probability is computed is trained by that, as an action is, if it is weighed: with
one weight for all draws, its gradient is zero on average.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator
from math import isclose
from types import FrameType
from typing import Any

from torch import distributions

from graphlab.observe.graph.walk import output_shape, sequence, slots
from graphlab.observe.lineage.loss import trails_to_loss
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.observe.tensors import Ref, count_of, grad_fn_of, is_tensor, readable
from graphlab.source.effects.assignments import target_names
from graphlab.source.files import user_frame
from graphlab.source.objects import attributes, class_name, is_a
from graphlab.source.places import locate, nodes_of, parse, place, statement_at
from graphlab.trace.sightings import DrawnWithoutGraph
from graphlab.trace.values import Location

_BESIDE = re.compile(
    r"(?<![a-z])d?kl[ds]?(?![a-z])|kl_?(div|loss|term)|(?<![a-z])ent(ropy)?(?![a-z])", re.IGNORECASE
)
_VIEWS = ("ExpandBackward0", "ViewBackward0", "AliasBackward0", "SqueezeBackward1")
# What adds up its values, or leaves them as they are; and what may scale them.
_EVEN = ("AddBackward0", "SubBackward0", "NegBackward0", "MeanBackward0", "MeanBackward1",
         "SumBackward0", "SumBackward1", "UnsqueezeBackward0", *_VIEWS)  # fmt: skip
_SCALES = ("MulBackward0", "DivBackward0")
# How many draws of a line are remembered, and after how many of all no more are.
KEPT, MOST = 64, 2048
# How far the weight of all scores may be from the last one, as a temperature's that is trained.
NEAR = 0.05
# A graph larger than this is not searched, and a distribution is taken apart so far.
_LARGE, _DEEP = 20_000, 4


class DrawnValues:
    """Handles the calls of ``sample()`` and ``log_prob()``, and asks of each backward whether its
    loss was computed with such a draw."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._looks = Looks()
        self._drawn: dict[tuple[str, int], deque[frozenset[int]]] = {}
        # What was drawn, and what it was drawn from.
        self._values: deque[tuple[Ref, frozenset[int]]] = deque(maxlen=KEPT)
        # What was scored, and the node of the score where that is of a draw of its own.
        self._scored: deque[tuple[frozenset[int], int | None]] = deque(maxlen=KEPT)
        # The weights that the last loss of a line gave its scores.
        self._weights: dict[Spot | None, list[float | None]] = {}
        self._found: dict[Location, DrawnWithoutGraph] = {}
        self._calls = 0
        self._handled = [
            *_methods("sample", self._on_sample),
            *_methods("log_prob", self._on_score),
        ]
        for function, handler in self._handled:
            watched.tracer.handle(function, handler, "return")

    def found(self) -> Iterator[DrawnWithoutGraph]:
        yield from self._found.values()

    def _on_sample(self, frame: FrameType, event: str, arg: Any) -> None:
        drawn = frame.f_locals.get("self")
        self._count()
        user = user_frame(frame.f_back, self._watched.files)
        made = _made_of(drawn) if user is not None and _can_keep_its_graph(drawn) else None
        if user is not None and made:
            key = user.f_code.co_filename, locate(user.f_code, user.f_lasti).line
            self._drawn.setdefault(key, deque(maxlen=KEPT)).append(made)
            self._values.append((Ref(arg), made))

    def _on_score(self, frame: FrameType, event: str, arg: Any) -> None:
        self._count()
        caller, value = frame.f_back, frame.f_locals.get("value")
        if caller is not None and caller.f_code.co_name == "log_prob":
            # A part of the score of what is made of this distribution.
            return
        made, node = _made_of(frame.f_locals.get("self")), grad_fn_of(arg)
        own = node is not None and any(ref() is value and of == made for ref, of in self._values)
        self._scored.append((made, sequence(node) if own else None))

    def _count(self) -> None:
        """A handler costs as much as a draw: once enough is known it is called no more."""
        self._calls += 1
        if self._calls == MOST:
            for function, handler in self._handled:
                self._watched.tracer.drop(function, handler)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or not nodes or len(nodes) >= _LARGE:
            return
        normal = [each for each in nodes if class_name(each).startswith("NormalBackward")]
        if not (self._drawn or normal) or not self._looks.due(record, nodes):
            return
        for node in normal:
            at = located(self._watched.log.line_of(sequence(node)))
            call = _normal_at(at)
            if at is not None and call is not None and _trained_beside(node, nodes):
                self._note(record, call, at.file, at.function)
        mine = {sequence(each) for each in nodes}
        own = {node for _, node in self._scored if node is not None and node in mine}
        even = self._weighed_alike(record, sorted(own), nodes)
        scored = frozenset().union(*(made for made, node in self._scored if node not in even))
        alike = frozenset().union(*(made for made, node in self._scored if node in even))
        lines = {
            line: any(each & mine & alike for each in draws)
            for line, draws in self._drawn.items()
            if any(each & mine and not each & scored for each in draws)
        }
        if lines:
            self._read(record, frame, lines)

    def _weighed_alike(
        self, record: RawBackward, scores: list[int], nodes: list[Any]
    ) -> set[int | None]:
        """The scores that a loss weighs all alike, as it did the last time: a return, which weighs
        all that led to it, is another one each time."""
        weights = [_weight_of_all(each, nodes) for each in scores]
        before = self._weights.get(record.spot, [])
        self._weights[record.spot] = weights
        return {
            score
            for score, now, last in zip(scores, weights, before, strict=False)
            if now is not None and last is not None and isclose(now, last, rel_tol=NEAR)
        }

    def _read(
        self, record: RawBackward, frame: FrameType, lines: dict[tuple[str, int], bool]
    ) -> None:
        """Whether one of the draws of these lines, which may be scored, is on the way to the
        loss."""
        for trail in trails_to_loss(frame, record.loss, self._watched.files, self._watched.log):
            for cut, _ in trail.cuts:
                scored = lines.get((cut.file, getattr(cut.node, "lineno", -1)))
                if scored is None or not _is_sample(cut.node):
                    continue
                if scored or _beside(cut.file, cut.node):
                    self._note(record, cut.node, cut.file, cut.function)

    def _note(self, record: RawBackward, call: ast.AST, file: str, function: str) -> None:
        at = place(call, file, function)
        self._found[at] = DrawnWithoutGraph(
            at, ast.unparse(call), record.loss, record.call, located(record.spot)
        )


def _methods(name: str, handler: Any) -> Iterator[tuple[Any, Any]]:
    """The methods of that name of torch's distributions that are written in Python."""
    kinds = (getattr(distributions, each, None) for each in distributions.__all__)
    functions = (
        attributes(kind).get(name)
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, distributions.Distribution)
    )
    yield from ((each, handler) for each in dict.fromkeys(functions) if hasattr(each, "__code__"))


def _can_keep_its_graph(drawn: Any) -> bool:
    """Whether a distribution has ``rsample()``; a property of torch's own says so for those that
    are made of another one."""
    for _ in range(_DEEP):
        if not is_a(drawn, distributions.Distribution):
            return False
        if not is_a(drawn, (distributions.Independent, distributions.TransformedDistribution)):
            return type(drawn).has_rsample is True
        drawn = attributes(drawn).get("base_dist")
    return False


def _made_of(drawn: Any) -> frozenset[int]:
    """The nodes that made a distribution's parameters, by sequence number: behind the views by
    which it gives them one shape."""
    found: set[int] = set()
    for _ in range(_DEEP):
        if not is_a(drawn, distributions.Distribution):
            break
        values = attributes(drawn)
        for each in values.values():
            node = _behind(grad_fn_of(each)) if is_tensor(each) else None
            if node is not None and class_name(node) != "AccumulateGrad":
                found.add(sequence(node))
        drawn = values.get("base_dist")
    return frozenset(found)


def _behind(node: Any) -> Any:
    for _ in range(_DEEP):
        if node is None or class_name(node) not in _VIEWS:
            break
        node = node.next_functions[0][0]
    return node


def _weight_of_all(score: int, nodes: list[Any]) -> float | None:
    """The one weight that a loss gives the scores of several draws, if it only adds them up."""
    behind: dict[Any, list[Any]] = {}
    for node in nodes:
        for each, _ in node.next_functions:
            behind.setdefault(each, []).append(node)
    pending = [each for each in nodes if sequence(each) == score]
    if len(pending) != 1 or output_shape(pending[0])[:1] < (2,):
        return None
    seen, weight = set(pending), 1.0
    while pending:
        for each in behind.get(pending.pop(), ()):
            if each in seen:
                continue
            factor = _factor(each) if class_name(each) in _SCALES else 1.0
            if factor is None or class_name(each) not in (*_EVEN, *_SCALES):
                return None
            weight *= factor
            seen.add(each)
            pending.append(each)
    return weight


def _factor(product: Any) -> float | None:
    """The single number that is one of two factors."""
    saved = [each.data for each in slots(product) if each.data is not None and not each.stale]
    numbers = [float(each.detach()) for each in saved if count_of(each) == 1 and readable(each)]
    return numbers[0] if len(numbers) == 1 else None


def _trained_beside(normal: Any, nodes: list[Any]) -> bool:
    """Whether a loss leads to what a draw is made of by another way than through the draw, and not
    through the difference of the two, as a log-probability does."""
    sources = {_behind(each) for each, _ in normal.next_functions} - {None}
    for node in nodes:
        if class_name(node) == "SubBackward0":
            both = [_behind(each) for each, _ in node.next_functions]
            if normal in both and sources & {*both}:
                return False
    return any(
        before in sources
        for node in _around(nodes[0], normal)
        for before in (_behind(each) for each, _ in node.next_functions)
    )


def _around(root: Any, without: Any) -> list[Any]:
    """The nodes behind a root that are reached without going through `without`."""
    found, seen = [], {root, without}
    pending = [root]
    while pending and len(found) < _LARGE:
        node = pending.pop()
        found.append(node)
        for each, _ in node.next_functions:
            if each is not None and each not in seen:
                seen.add(each)
                pending.append(each)
    return found


def _normal_at(at: Location | None) -> ast.Call | None:
    """The one ``torch.normal(mean, std)`` of a line."""
    statement = statement_at(at.file, at.line) if at is not None else None
    found = [
        each
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.Call) and ast.unparse(each.func) in ("torch.normal", "normal")
    ]
    return found[0] if len(found) == 1 else None


def _is_sample(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sample"
    )


def _beside(file: str, call: ast.AST) -> bool:
    """Whether the file speaks of a divergence or an entropy, and never takes from the draw what it
    is drawn around, as a log-probability that is written out does."""
    statement = statement_at(file, getattr(call, "lineno", 0))
    targets = getattr(statement, "targets", [])
    names = {name for each in targets for name in target_names(each)}
    words, differences = False, set[str]()
    for node in nodes_of(parse(file)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            differences |= {ast.unparse(node.left), ast.unparse(node.right)}
        word = getattr(node, "attr", getattr(node, "id", getattr(node, "name", "")))
        words = words or bool(isinstance(word, str) and _BESIDE.search(word))
    return words and not differences & names
