"""Maps the program's optimizers, parameters and losses to their entries in the Trace.

A Trace has names and no objects; a test has objects whose names it may not know. Objects are held
by weak references only, so that none is kept alive.
"""

from __future__ import annotations

from typing import Any

from graphlab.observe.graph.walk import leaf_of, listed
from graphlab.observe.names import Names, wrapped
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.observe.refusals.outright import nodes_behind
from graphlab.observe.tensors import WeakMap, describe, is_tensor, kind_of, storage_key
from graphlab.source.objects import attribute
from graphlab.trace.model import TensorInfo


class TensorTable:
    """The tensors of a Trace, each once, and which live parameter, storage or module is meant."""

    def __init__(self) -> None:
        self._tensors: list[TensorInfo] = []
        self._index: dict[TensorInfo, int] = {}
        self._parameters = WeakMap()
        self._storages: dict[int, int] = {}
        self._module_names: dict[int, str] = {}

    def add(self, info: TensorInfo) -> int:
        index = self._index.get(info)
        if index is None:
            index = self._index[info] = len(self._tensors)
            self._tensors.append(info)
        return index

    def tensor_index(self, parameter: Any, names: Names | None) -> int:
        """The place of a parameter in the table; `names` may give it a (better) name."""
        index = self._parameters.get(parameter)
        if index is not None:
            name = self._tensors[index].name
            # `self.model` in the constructor is `trainer.model` once that has returned.
            if names is None or (name is not None and not name.startswith("self.")):
                return index
        named = names.tensors.get(id(parameter)) if names is not None else None
        if names is not None:
            self._module_names.update(names.modules)
        info = describe(
            parameter,
            named.name if named else None,
            named.kind if named else kind_of(parameter),
            named.owner if named else None,
        )
        if index is None:
            index = len(self._tensors)
            self._tensors.append(info)
            self._parameters.put(parameter, index)
        elif named is not None:
            self._tensors[index] = info
        if named is not None:
            self._index[info] = index
        key = storage_key(parameter)
        if key is not None:
            self._storages[key] = index
        return index

    def place_of(self, parameter: Any) -> int | None:
        """The place of a parameter that is in the table already."""
        return self._parameters.get(parameter)

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        return tuple(self._tensors)

    def info_of(self, index: int) -> TensorInfo:
        """The tensor at this place."""
        return self._tensors[index]

    def of_storage(self, key: int) -> int | None:
        """The place of the parameter that lies in a storage."""
        return self._storages.get(key)

    def also_at(self, key: int, parameter: Any) -> None:
        """What lies in a storage is a copy of a known parameter."""
        place = self.place_of(parameter)
        if place is not None:
            self._storages[key] = place

    def module_name(self, module: int) -> str:
        """The name of a module by its identity."""
        return self._module_names.get(module, "module")


class LiveObjects:
    """Answers for a live object which entry of the Trace it is."""

    def __init__(self, table: TensorTable, registry: OptimizerRegistry) -> None:
        self._table = table
        self._registry = registry
        self._losses = WeakMap()
        # {loss: the leaves that its graph was seen to lead to}
        self._leaves: dict[str, WeakMap] = {}
        # {line of a backward: the bytes that its graph had saved when it was first looked into}
        self._saved: dict[Spot | None, int] = {}

    def note_losses(self, record: RawBackward, values: dict[str, Any]) -> None:
        """Remember which tensors a backward with these arguments begins at."""
        roots: Any = values.get("outputs" if record.is_grad else "tensors")
        for root in (roots,) if is_tensor(roots) else listed(roots):
            if is_tensor(root):
                self._losses.put(root, record.loss)

    def note_leaves(self, record: RawBackward, nodes: list[Any]) -> None:
        """Remember the leaves at the ends of the graph that a backward is about to run through."""
        if record.parts is not None:
            self._saved.setdefault(record.spot, sum(record.parts.saved.values()))
        leaves = self._leaves.setdefault(record.loss, WeakMap())
        for node in nodes:
            leaf = leaf_of(node)
            if leaf is not None:
                leaves.put(leaf, None)

    def optimizer(self, optimizer: Any) -> int | None:
        """Its place in `Trace.optimizers`; a wrapper that has it as `optimizer` will do."""
        for candidate in (optimizer, wrapped(optimizer), attribute(optimizer, "optimizer")):
            for at, state in enumerate(self._registry.states):
                if state.ref() is candidate:
                    return at
        return None

    def parameter(self, tensor: Any) -> int | None:
        """Its place in `Trace.tensors`."""
        return self._table.place_of(tensor)

    def loss(self, tensor: Any) -> str | None:
        """What the Trace calls the loss that a backward began at."""
        return self._losses.get(tensor)

    def leads_to(self, loss: str) -> list[Any]:
        """The leaves, still alive, that the graph of `loss` was seen to lead to. Backwards are
        inspected in samples, and leaves that no optimizer holds are seen in those alone."""
        return self._leaves[loss].alive() if loss in self._leaves else []

    def owned_behind(self, values: dict[str, Any], is_grad: bool) -> tuple[int, ...]:
        """The places of the parameters that an optimizer holds and that the graph of a backward
        with these arguments leads to."""
        owned = self._registry.places()
        leaves = (leaf_of(node) for node in nodes_behind(values, is_grad))
        places = (self._table.place_of(leaf) for leaf in leaves if id(leaf) in owned)
        return tuple({place: None for place in places if place is not None})

    @property
    def saved_bytes(self) -> int | None:
        """The bytes that an iteration saves for its backwards, parameters left out: None where no
        graph was looked into."""
        return sum(self._saved.values()) if self._saved else None
