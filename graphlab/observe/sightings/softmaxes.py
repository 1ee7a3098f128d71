"""Finds a softmax, sigmoid or exponential whose result goes into a loss that computes one of its
own, or that takes logarithms."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from math import prod
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import output_shape, sequence, slots
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.observe.tensors import count_of, grad_fn_of, is_tensor, readable, shape_of
from graphlab.source.objects import attributes, class_module, class_name
from graphlab.source.places import parse, place
from graphlab.trace.model import Location
from graphlab.trace.sightings import SoftmaxTwice

# How many calls of a loss are looked at, and how many views are followed.
LOOKS, VIEWS = 2, 16
# How many scores are read.
LARGEST = 1_000_000
_SOFTMAXES = {"SoftmaxBackward0": "softmax", "LogSoftmaxBackward0": "log_softmax"}
_NAMES = {**_SOFTMAXES, "SigmoidBackward0": "sigmoid", "ExpBackward0": "exp"}
_SECOND = {"LogSoftmaxBackward0", "BinaryCrossEntropyWithLogitsBackward0"}
# Losses that take the logarithms of probabilities.
_LOGS = {"NllLossBackward0", "NllLoss2DBackward0"}
# What a layer is that gives scores.
_LAYERS = ("AddmmBackward0", "MmBackward0", "ConvolutionBackward0")
# Nodes that keep every element, in the same order; only the shape may differ.
_RESHAPES = (
    "View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Clone", "ToCopy", "Alias",
    "Reshape",
)  # fmt: skip


class Softmaxes:
    def __init__(self, watched: Watched) -> None:
        self._log, self._tracer = watched.log, watched.tracer
        self._looks = Looks()
        self._calls: Counter[Spot | None] = Counter()
        self._found: dict[tuple[Spot | None, Spot | None], SoftmaxTwice] = {}
        # A divergence has no node of its own in the graph.
        for function in (torch.nn.functional.kl_div, torch.nn.KLDivLoss.forward):
            watched.tracer.handle(function, self._on_divergence, "call")
        for function in (torch.nn.functional.poisson_nll_loss, torch.nn.PoissonNLLLoss.forward):
            watched.tracer.handle(function, self._on_poisson, "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if not self._looks.due(record, nodes):
            return
        for node in nodes:
            logs = type(node).__name__ in _LOGS
            if logs or type(node).__name__ in _SECOND:
                first = _before(node, "SoftmaxBackward0" if logs else "SigmoidBackward0")
                loss_spot = self._log.line_of(sequence(node))
                if first is not None:
                    self._note(loss_spot, *first, "nll_loss" if logs else "")
                elif logs and (unfit := _unfit(node)) is not None:
                    made, dim, classes = unfit
                    at = located(self._log.line_of(sequence(made)))
                    self._found[loss_spot, None] = SoftmaxTwice(
                        at, "log_softmax", located(loss_spot), dim=dim, classes=classes
                    )

    def _on_divergence(self, frame: FrameType, event: str, arg: Any) -> None:
        self._on_loss(frame, "input", ("SoftmaxBackward0", "SigmoidBackward0"), "kl_div")

    def _on_poisson(self, frame: FrameType, event: str, arg: Any) -> None:
        values = frame.f_locals
        # The module has the flag as an attribute; its forward calls an argument what the flag is.
        flags = values if "self" not in values else attributes(values["self"])
        if flags.get("log_input") is True:
            name = "input" if "input" in values else "log_input"
            self._on_loss(frame, name, ("ExpBackward0",), "poisson_nll_loss")

    def _on_loss(self, frame: FrameType, name: str, kinds: tuple[str, ...], loss: str) -> None:
        """A loss is called: of what kind is the node that made its argument `name`?"""
        loss_spot = self._tracer.spot(frame.f_back)
        if self._calls[loss_spot] >= LOOKS:
            return
        self._calls[loss_spot] += 1
        given = frame.f_locals.get(name)
        node = grad_fn_of(given) if is_tensor(given) else None
        for _ in range(VIEWS):
            kind = type(node).__name__
            if kind in kinds:
                self._note(loss_spot, node, _NAMES[kind], loss)
                return
            if node is None or not _follows(kind):
                return
            node = node.next_functions[0][0]

    def _note(self, loss_spot: Spot | None, first: Any, name: str, logs: str) -> None:
        """`logs` is the loss that takes the logarithms of what `first` has computed."""
        mark = self._log.mark_of(sequence(first))
        spot = self._log.line_of(sequence(first))
        if (spot, loss_spot) in self._found:
            return
        ref = self._log.modules.get(mark.module) if mark is not None and mark.module else None
        module = ref() if ref is not None else None
        # A module of torch's that does nothing else, such as nn.Softmax.
        kind = class_name(module) if class_module(module).startswith("torch.nn.") else ""
        kind = kind if name.replace("_", "") in kind.lower() else ""
        at = located(spot)
        self._found[spot, loss_spot] = SoftmaxTwice(
            at,
            name,  # pyright: ignore[reportArgumentType]
            located(loss_spot),
            kind,
            _built(kind, at),
            bool(logs),
            logs,
        )

    def found(self) -> Iterator[SoftmaxTwice]:
        yield from self._found.values()


def _before(node: Any, wanted: str) -> tuple[Any, str] | None:
    """The softmax over the same dimension that a softmax `node` reads, through views alone, or the
    node of the kind `wanted` that another does; and its name."""
    alone = type(node).__name__ not in _SOFTMAXES
    shape = output_shape(node)
    dim = None if alone else _dim(node, len(shape))
    for _ in range(VIEWS):
        source = node.next_functions[0][0] if node.next_functions else None
        if source is None:
            return None
        kind = type(source).__name__
        inner = output_shape(source)
        if alone:
            if kind == wanted:
                return source, _NAMES[kind]
        elif kind in _SOFTMAXES:
            return (source, _SOFTMAXES[kind]) if _dim(source, len(inner)) == dim else None
        # The dimension of what `source` reads, before its own view.
        behind = source.next_functions[0][0] if source.next_functions else None
        if behind is None or not _follows(kind):
            return None
        if not alone:
            dim = _dim_before(source, kind, dim, inner, output_shape(behind))
            if dim is None:
                return None
        node = source
    return None


def _unfit(node: Any) -> tuple[Any, int, int] | None:
    """What gave a likelihood no log-probabilities of its classes, and along which dimension those
    are: a log_softmax, with the dimension that it is over instead, or a layer itself, with -1."""
    kept: dict[str, Any] = {each.name: each.data for each in slots(node)}
    given: Any = kept.get("self")
    target: Any = kept.get("target")
    if not is_tensor(given) or not readable(given) or not is_tensor(target):
        return None
    if torch.equal(target, torch.arange(count_of(target), device=target.device)):
        # Of pairs, whose scores make a square, both ways count.
        return None
    classes = dim = 1 if len(shape_of(given)) > 1 else 0
    for _ in range(VIEWS):
        source = node.next_functions[0][0] if node.next_functions else None
        kind, shape = type(source).__name__, output_shape(source) if source is not None else ()
        if kind == "LogSoftmaxBackward0":
            over = _dim(source, len(shape))
            return (source, over, dim) if over != dim else None
        if kind in _LAYERS:
            # What is above 0 is no logarithm of a probability.
            above = count_of(given) <= LARGEST and bool((given.detach() > 0).any())
            return (source, -1, classes) if above else None
        behind = source.next_functions[0][0] if source is not None and _follows(kind) else None
        found = _dim_before(source, kind, dim, shape, output_shape(behind)) if behind else None
        if found is None:
            return None
        node, dim = source, found
    return None


def _follows(kind: str) -> bool:
    name = kind.rstrip("0123456789").removesuffix("Backward")
    return name in (*_RESHAPES, "Permute", "Transpose", "T", "Select", "Slice", "Index")


def _dim_before(
    node: Any, kind: str, dim: int | None, out: tuple[int, ...], into: tuple[int, ...]
) -> int | None:
    """Which dimension of a view's input (of shape `into`) is the dimension `dim` of its output."""
    name = kind.rstrip("0123456789").removesuffix("Backward")
    if dim is None or dim >= len(out):
        return None
    if name in _RESHAPES:
        rest = prod(out[dim + 1 :])
        fitting = [
            at for at, size in enumerate(into) if size == out[dim] and prod(into[at + 1 :]) == rest
        ]
        return fitting[-1] if fitting else None
    if name == "Permute":
        dims = [each % (1 << 64) for each in node._saved_dims]
        dims = [each if each < len(into) else each - (1 << 64) + len(into) for each in dims]
        return dims[dim]
    if name in ("Transpose", "T"):
        pair = (
            (0, 1)
            if name == "T"
            else tuple(_wrapped(getattr(node, f"_saved_dim{i}"), len(into)) for i in (0, 1))
        )
        return {pair[0]: pair[1], pair[1]: pair[0]}.get(dim, dim)
    if name == "Select":
        taken = _wrapped(node._saved_dim, len(into))
        return dim if dim < taken else dim + 1
    if name == "Slice":
        return dim if _wrapped(node._saved_dim, len(into)) != dim else None
    last = dim == len(out) - 1 and out[-1] == into[-1]
    return len(into) - 1 if last else None


def _dim(node: Any, dimensions: int) -> int:
    return _wrapped(node._saved_dim, dimensions)


def _wrapped(dim: int, dimensions: int) -> int:
    """torch keeps -1 as an unsigned number."""
    if dim >= 1 << 63:
        dim -= 1 << 64
    return dim + dimensions if dim < 0 else dim


def _built(kind: str, at: Location | None) -> Location | None:
    """Where a module of torch's class `kind` is made, if that is in one place of the file only."""
    tree = parse(at.file) if kind and at is not None else None
    found = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] == kind
    ]
    if len(found) != 1 or at is None:
        return None
    return place(found[0], at.file, at.function)
