"""Finds modules that take the sequence first and whose result is read as if they took the batch
first: of the batch, one example alone goes into the loss, or the mean over all of them."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any, Literal, NamedTuple

from torch import nn

from graphlab.observe.graph.walk import output_shape, saved_number, sequence
from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.observe.tensors import Ref, grad_fn_of, is_tensor, shape_of
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import last_part, stores
from graphlab.source.objects import attribute, class_name, is_a, item
from graphlab.trace.examples.sightings import BatchReadAsTime
from graphlab.trace.values import Location

_LAYERS = (nn.RNN, nn.LSTM, nn.GRU)
_KINDS = (*_LAYERS, nn.MultiheadAttention, nn.TransformerEncoder, nn.TransformerDecoder)
# How many calls are remembered, and after how many of all no more are.
KEPT, MOST = 64, 2048
# A graph larger than this is not looked at, and a result is followed so far.
_LARGE, _FAR = 20_000, 24
# What computes each row of (length, batch, features) by itself.
_ROWS = (
    "NativeLayerNorm", "NativeDropout", "Mul", "Relu", "Gelu", "Tanh", "Sigmoid", "LeakyRelu",
    "Elu", "Silu", "Clone", "ToCopy", "View", "UnsafeView", "ReshapeAlias", "Addmm", "Mm", "Add",
)  # fmt: skip
_MEANS = ("Mean", "Sum", "Max", "Amax")


class Given(NamedTuple):
    """What one call gave: the node, as its sequence number, and the shape."""

    module: Ref
    node: int
    shape: tuple[int, ...]


class BatchesRead:
    """Handles the returns of torch's recurrent layers and attentions."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._given: deque[Given] = deque(maxlen=KEPT)
        self._looks = Looks()
        self._found: dict[int, BatchReadAsTime] = {}
        self._calls = 0
        for kind in _KINDS:
            watched.tracer.handle(kind.forward, self._on_return, "return")

    def found(self) -> Iterator[BatchReadAsTime]:
        yield from self._found.values()

    def _on_return(self, frame: FrameType, event: str, arg: Any) -> None:
        self._calls += 1
        if self._calls == MOST:
            # A handler costs a little at each call: once enough is known it is called no more.
            for kind in _KINDS:
                self._watched.tracer.drop(kind.forward, self._on_return)
        module = frame.f_locals.get("self")
        result = arg if is_tensor(arg) else item(arg, 0)
        shape = tuple(shape_of(result)) if is_tensor(result) else ()
        made = grad_fn_of(result) if len(shape) == 3 and min(shape[:2]) > 1 else None
        if made is not None and _deciding(module) is not None:
            self._given.append(Given(Ref(module), sequence(made), shape))

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or not self._given or len(nodes) >= _LARGE:
            return
        if not self._looks.due(record, nodes):
            return
        readers: dict[Any, list[Any]] = {}
        by_sequence = {}
        for node in nodes:
            by_sequence[sequence(node)] = node
            for source, _ in node.next_functions:
                if source is not None:
                    readers.setdefault(source, []).append(node)
        for given in self._given:
            node, module = by_sequence.get(given.node), given.module()
            if node is None or module is None or id(module) in self._found:
                continue
            reader, taken = _taken(node, given.shape, readers)
            if reader is not None and _reads_time(module, reader, taken, given.shape[1]):
                self._note(module, given, reader, taken, frame)
        self._given.clear()

    def _note(self, module: Any, given: Given, reader: Any, taken: Any, frame: FrameType) -> None:
        files = self._watched.files
        decides = _deciding(module)
        name = Names(files).gather(frame).modules.get(id(module), class_name(module))
        self._found[id(module)] = BatchReadAsTime(
            located(self._watched.log.line_of(sequence(reader))),
            name,
            class_name(decides),
            given.shape,
            taken,
            _built(class_name(decides), name, loaded_files(files, frame)),
        )


def _deciding(module: Any) -> Any:
    """What has told the module to take the sequence first: itself, or the layers inside; None
    where it takes the batch first, or is no module of torch's own."""
    if is_a(module, (nn.TransformerEncoder, nn.TransformerDecoder)):
        layers = attribute(module, "_modules")
        layer = attribute(item(layers, "layers"), "_modules")
        layer = item(layer, "0")
        attends = item(attribute(layer, "_modules"), "self_attn")
        torchs = is_a(layer, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer))
        return layer if torchs and attribute(attends, "batch_first") is False else None
    return module if attribute(module, "batch_first") is False else None


def _taken(
    node: Any, shape: tuple[int, ...], readers: dict[Any, list[Any]]
) -> tuple[Any, Literal["one", "mean"]]:
    """The node that takes one example of the batch, or its mean, and which of these; no node where
    something else reads the result, or the batch is kept."""
    for _ in range(_FAR):
        reading = readers.get(node, [])
        if len(reading) != 1:
            return None, "one"
        reader = reading[0]
        kind = class_name(reader).rstrip("0123456789").removesuffix("Backward")
        whole = output_shape(node)[:2] == shape[:2] and len(output_shape(node)) == 3
        if whole and kind == "Select" and _dims(reader) == (1,):
            return reader, "one"
        if whole and kind in _MEANS and _dims(reader) == (1,):
            return reader, "mean"
        kept = output_shape(reader)
        rows = kept[:2] == shape[:2] or (len(kept) == 2 and kept[0] == shape[0] * shape[1])
        if kind not in _ROWS or not rows:
            return None, "one"
        node = reader
    return None, "one"


def _reads_time(module: Any, reader: Any, taken: str, size: int) -> bool:
    """Whether what is taken is what one takes of time: the last step, or of an attention the first,
    a class token's, or the mean. Else the second dimension may be agents, of which the program
    takes one, or all of them together."""
    attends = not is_a(module, _LAYERS)
    if taken == "mean":
        return attends
    index = saved_number(reader, "index")
    if type(index) is not int:
        return False
    return _signed(index) % size == size - 1 or (attends and index == 0)


def _signed(number: int) -> int:
    """torch keeps -1 as an unsigned number."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _dims(node: Any) -> tuple[int, ...]:
    """The dimensions that a node takes one of, or goes over, of three."""
    told = saved_number(node, "dim")
    dims = told if isinstance(told, tuple) else (told,)
    return tuple(_signed(each) % 3 for each in dims if type(each) is int)


def _built(kind: str, name: str, where: list[str]) -> Location | None:
    """The line that makes a module of torch's class `kind`: the one of that name, or the only
    one."""
    made = [
        each
        for file in where
        for each in stores(file)
        if any(
            isinstance(node, ast.Call) and last_part(node.func) == kind
            for node in ast.walk(each.value or each.target)
        )
    ]
    for group in ([each for each in made if each.name == name.rpartition(".")[2]], made):
        if len(group) == 1:
            return group[0].at
    return None
