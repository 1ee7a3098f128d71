"""Finds labels that count the rows of this rank, where the scores have a column for each row of
every rank: on any rank but the first they stand for another rank's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import operation, output_shape, sequence, slots
from graphlab.observe.notes import Log, RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, dtype_of, is_tensor, readable, shape_of
from graphlab.source.wording import call_text
from graphlab.trace.ranks.inputs import OthersLabels

# The last tensors that were gathered of which a row is kept, and how far the product of the scores
# may be behind the loss.
GATHERED, STEPS = 8, 12
_BETWEEN = ("Mul", "Div", "Add", "Sub", "ToCopy", "LogSoftmax", "Clone", "Clamp")


class GatheredLabels:
    """Is asked at the backwards that are sampled."""

    def __init__(self, watched: Watched) -> None:
        self._log: Log = watched.log
        # The first rows of what this rank gave to the others, and how many rows there were.
        self._given: deque[tuple[Any, int]] = deque(maxlen=GATHERED)
        self._found: dict[Spot, OthersLabels] = {}
        for name, operand in (
            ("all_gather", "tensor"),
            ("all_gather_into_tensor", "input_tensor"),
            ("all_gather_single", "input_tensor"),
        ):
            function = getattr(torch.distributed, name, None)
            if function is not None:
                watched.tracer.handle(function, self._handler(operand), "call")

    def inspect(self, record: RawBackward, nodes: list[Any]) -> None:
        """A sampled backward is about to run."""
        if not self._given or record.is_grad or self._found:
            return
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        with Unnoticed(), torch.no_grad():
            for node in nodes if rank else ():
                spot = self._log.line_of(sequence(node)) if _is_loss(node) else None
                rows = self._counts_from(node, rank, world) if spot is not None else 0
                if spot is not None and rows:
                    at = located(spot)
                    self._found[spot] = OthersLabels(
                        at, call_text(at, "the loss")[0], rows, rank, record.call,
                        located(record.spot),
                    )  # fmt: skip
                    return

    def found(self) -> Iterator[OthersLabels]:
        yield from self._found.values()

    def _handler(self, operand: str) -> Any:
        def handle(frame: FrameType, event: str, arg: Any) -> None:
            given: Any = frame.f_locals.get(operand)
            if not is_tensor(given) or not readable(given):
                return
            shape = shape_of(given)
            if len(shape) == 2 and shape[0] and "float" in dtype_of(given):
                with Unnoticed(), torch.no_grad():
                    self._given.append((given.detach()[0].clone(), shape[0]))

        return handle

    def _counts_from(self, loss: Any, rank: int, world: int) -> int:
        """How many rows this rank has, if the labels of the loss are 0, 1 and so on, and the
        columns of the scores are those of all ranks in the order of the ranks; else 0."""
        labels = _saved(loss, "target")
        scores = loss.next_functions[0][0]
        shape = output_shape(scores) if scores is not None else ()
        if labels is None or len(shape) != 2 or shape[1] != world * shape[0] or shape[0] < 2:
            return 0
        rows = shape[0]
        if shape_of(labels) != (rows,) or not torch.equal(
            labels.detach().cpu(), torch.arange(rows, dtype=labels.dtype)
        ):
            return 0
        product = _product_behind(scores)
        columns = _saved(product, "mat2") if product is not None else None
        if columns is None or shape_of(columns)[-1:] != (world * rows,):
            return 0
        mine, first = columns.detach()[:, rank * rows], columns.detach()[:, 0]
        for given, count in self._given:
            alike = given.shape == mine.shape and given.dtype == mine.dtype and count == rows
            # Up to a factor: they may be scaled after they are gathered.
            if alike and _parallel(mine, given) and not _parallel(first, given):
                return rows
        return 0


def _is_loss(node: Any) -> bool:
    return operation(node) == "NllLossBackward0" and bool(node.next_functions)


def _product_behind(node: Any) -> Any:
    """The matrix product that scores were made of, by numbers alone."""
    for _ in range(STEPS):
        name = operation(node).rstrip("0123456789").removesuffix("Backward")
        if name == "Mm":
            return node
        ahead = [
            each
            for each, _ in node.next_functions
            if each is not None and len(output_shape(each)) == 2
        ]
        if name not in _BETWEEN or len(ahead) != 1:
            return None
        node = ahead[0]
    return None


def _saved(node: Any, name: str) -> Any:
    data = next((each.data for each in slots(node) if each.name == name), None)
    return data if is_tensor(data) and readable(data) else None


def _parallel(one: Any, other: Any) -> bool:
    cosine = torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0)
    return bool(cosine > 1 - 1e-6)
