"""Which live object of the program stands for what in the Trace: optimizers, parameters, losses.

A Trace has names and no objects, and a test has objects whose names it may not know. Objects are
held by weak references alone, so that nothing of the program is kept alive for it.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

from graphlab.observe.build_trace import Assembler
from graphlab.observe.graph.walk import leaf_of, listed
from graphlab.observe.notes import RawBackward
from graphlab.observe.optimizers.registry import Holders
from graphlab.observe.tensors import Weak, is_tensor
from graphlab.source.objects import attribute


class Live:
    def __init__(self, assembler: Assembler, optimizers: Holders) -> None:
        self._assembler = assembler
        self._optimizers = optimizers
        self._losses = Weak()
        # {loss: the leaves that its graph was seen to lead to}
        self._leaves: dict[str, Weak] = {}

    def note_losses(self, record: RawBackward, frame: FrameType) -> None:
        """Remember which tensors a backward begins at."""
        roots: Any = frame.f_locals.get("outputs" if record.is_grad else "tensors")
        for root in listed(roots):
            if is_tensor(root):
                self._losses.put(root, record.loss)

    def note_leaves(self, record: RawBackward, nodes: list[Any]) -> None:
        """Remember the leaves at the ends of the graph that a backward is about to run through."""
        leaves = self._leaves.setdefault(record.loss, Weak())
        for node in nodes:
            leaf = leaf_of(node)
            if leaf is not None:
                leaves.put(leaf, None)

    def optimizer(self, optimizer: Any) -> int | None:
        """Its place in `Trace.optimizers`; a wrapper that has it as `optimizer` will do."""
        for candidate in (optimizer, attribute(optimizer, "optimizer")):
            for at, state in enumerate(self._optimizers.states):
                if state.ref() is candidate:
                    return at
        return None

    def parameter(self, tensor: Any) -> int | None:
        """Its place in `Trace.tensors`."""
        return self._assembler.place_of(tensor)

    def loss(self, tensor: Any) -> str | None:
        """What the Trace calls the loss that a backward began at."""
        return self._losses.get(tensor)

    def leads_to(self, loss: str) -> list[Any]:
        """The leaves, still alive, that the graph of `loss` was seen to lead to. Backwards are
        inspected in samples, and leaves that no optimizer holds are seen in those alone."""
        return self._leaves[loss].alive() if loss in self._leaves else []
