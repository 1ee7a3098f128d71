"""Finds leaves outside all parameters() that are trained with a model, and that nobody steps.

Such a leaf is a weight that was never registered, or it is data that requires grad, for a penalty
or out of habit. A Parameter is a weight; of other tensors it is told by how the graph uses them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, operation
from graphlab.observe.names import Names, parameters_in
from graphlab.observe.notes import RawBackward
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.tensors import (
    Named,
    Ref,
    base_of,
    count_of,
    grad_fn_of,
    grad_of,
    is_leaf,
    is_parameter,
    is_tensor,
    is_view,
    kind_of,
    requires_grad,
)
from graphlab.source.effects.freezes import freezes
from graphlab.source.effects.origins import stores_behind, stores_of_attribute
from graphlab.source.effects.stores import Store
from graphlab.source.evaluate import constant
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, is_a, items
from graphlab.source.places import statement_at
from graphlab.trace.model import Location

# So many inspected backwards must reach a leaf, the last ones with the gradient of an earlier one.
ENOUGH = 3
# At most so many operations lie between a leaf and the tensor that stands for it.
SHORT = 8
# So far a number is followed to the loss that it may only be a summand of.
SUMS = 64


@dataclass(slots=True)
class LooseLeaf:
    """A leaf that is in no module's parameters(). name: how it, or what is made of it, is called.
    made: the line that gave a module this attribute. mates: the leaves that it was reached with."""

    ref: Ref
    record: RawBackward
    name: Named | None
    made: Location | None
    sample: Sample
    mates: tuple[int, ...]
    index: int = -1
    seen: int = 1
    kept: int = 0
    moved: bool = False


@dataclass(slots=True)
class LooseLeaves:
    """`asked` are those that autograd.grad was called for: their gradient is read."""

    files: UserFiles
    leaves: dict[int, LooseLeaf] = field(default_factory=dict)
    asked: dict[int, Ref] = field(default_factory=dict)
    data: dict[int, Ref] = field(default_factory=dict)

    def note(self, reached: Iterable[Any]) -> None:
        """The leaves that an inspected backward is about to reach."""
        for leaf in reached:
            known = self.leaves.get(id(leaf))
            if known is not None and known.ref() is leaf:
                known.seen += 1
                known.kept += grad_of(leaf) is not None
                known.moved = known.moved or not known.sample.same(leaf)

    def add(
        self,
        leaves: list[Any],
        record: RawBackward,
        nodes: list[Any],
        names: Names,
        frame: FrameType,
        mates: tuple[int, ...],
        index_of: Any,
    ) -> None:
        """New leaves that no module has as a parameter."""
        uses: dict[int, list[tuple[Any, int]]] | None = None
        for leaf in leaves:
            known = self.data.get(id(leaf))
            if known is not None and known() is leaf:
                continue
            if not is_parameter(leaf):
                uses = uses or _uses(nodes)
                weight = _is_weight(leaf, uses)
                if not weight and not _made_to_learn(self._called(leaf, names, frame)[1]):
                    self.data[id(leaf)] = Ref(leaf)
                    continue
            name, made = self._called(leaf, names, frame)
            if name is None:
                continue
            named = names.tensors.setdefault(id(leaf), name)
            self.leaves[id(leaf)] = LooseLeaf(
                Ref(leaf), record, named, made, Sample(leaf), mates, index_of(leaf, names)
            )

    def _called(
        self, leaf: Any, names: Names, frame: FrameType
    ) -> tuple[Named | None, Location | None]:
        """Its name, and the line that made it an attribute of a module."""
        for module in names.held_modules():
            for key, value in list(attributes(module).items()):
                if key in ("_parameters", "_buffers", "_modules") or type(key) is not str:
                    continue
                for label, each in _within(key, value):
                    if is_tensor(each) and (each is leaf or behind(each) is leaf):
                        full = f"{names.modules[id(module)]}.{label}"
                        stores = stores_of_attribute(module, key, self.files)
                        owner = names.modules[id(module)].partition(".")[0]
                        return Named(full, kind_of(leaf), owner), making(stores)
        known = names.tensors.get(id(leaf))
        if known is not None:
            return known, None
        for several in names.storages.values():
            for tensor, named in several:
                if behind(tensor) is leaf:
                    return named, making(stores_behind(named.name, frame, self.files))
        return None, None

    def forgotten(self, owned: Mapping[int, Any]) -> Iterator[LooseLeaf]:
        """Those outside `owned` that were reached again and again together with some inside it,
        whose gradient nobody cleared and whose values nobody changed."""
        for key, each in self.leaves.items():
            leaf = each.ref()
            enough = each.seen >= ENOUGH and each.kept >= ENOUGH - 1
            if key in owned or each.moved or not enough or key in self.asked:
                continue
            if leaf is not None and not (requires_grad(leaf) and each.sample.same(leaf)):
                continue
            if any(mate in owned for mate in each.mates):
                yield each


def _made_to_learn(made: Location | None) -> bool:
    """Whether a constructor made it an attribute of its module, and asked for its gradient there:
    no input is."""
    if made is None or not made.function.endswith("__init__"):
        return False
    statement = statement_at(made.file, made.line)
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call) and any(
        each.arg == "requires_grad" and constant(each.value) is True for each in value.keywords
    ):
        return True
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    names = {ast.unparse(each) for each in targets}
    return any(
        constant(each.value) is True
        and each.scope.path == made.function
        and (each.statement.lineno == made.line or ast.unparse(each.holder) in names)
        for each in freezes(made.file)
    )


def making(found: list[Store]) -> Location | None:
    """The line that first gave an attribute its value; None where there are several."""
    lines = {each.at: each for each in found if not each.adds and each.value is not None}
    return next(iter(lines)) if len(lines) == 1 else None


def _within(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield key, value
    if is_a(value, (list, tuple)):
        yield from ((f"{key}[{at}]", each) for at, each in items(value, 64))
    elif is_a(value, dict):
        yield from ((f'{key}["{at}"]', each) for at, each in items(value, 64))


def behind(tensor: Any) -> Any:
    """The leaf that a tensor was made of by a few operations with one operand, as by to(); None if
    there is none."""
    if not is_tensor(tensor) or not requires_grad(tensor):
        return None
    if is_view(tensor):
        # Reading a view's own grad_fn may make torch build a new one.
        tensor = base_of(tensor)
        if tensor is None or not requires_grad(tensor):
            return None
        if is_leaf(tensor):
            return tensor
    elif is_leaf(tensor):
        return None
    node = grad_fn_of(tensor)
    for _ in range(SHORT):
        if node is None:
            return None
        leaf = leaf_of(node)
        if leaf is not None:
            return leaf
        inner = [each for each, _ in node.next_functions if each is not None]
        node = inner[0] if len(inner) == 1 else None
    return None


def _uses(nodes: list[Any]) -> dict[int, list[tuple[Any, int]]]:
    """(node, place among its operands) of each use of a node, by its identity."""
    found: dict[int, list[tuple[Any, int]]] = {}
    for node in nodes:
        for at, (operand, _) in enumerate(node.next_functions):
            if operand is not None:
                found.setdefault(id(operand), []).append((node, at))
                if (leaf := leaf_of(operand)) is not None:
                    found.setdefault(id(leaf), []).append((node, at))
    return found


# Operations whose operands have roles: the places of the weights among them.
_WEIGHTS = {
    "Mm": (1,), "Addmm": (0, 2), "Mv": (0,), "Convolution": (1, 2), "Embedding": (0,),
    "NativeLayerNorm": (1, 2), "NativeBatchNorm": (1, 2), "Linear": (1, 2),
}  # fmt: skip
# Operations that hand the same elements on.
_VIEWS = ("T", "Transpose", "View", "Unsqueeze", "Expand", "Permute", "UnsafeView", "Squeeze",
          "Reshape", "Alias", "ToCopy", "Clone", "Copy", "Copys")  # fmt: skip
# Operations that hand some of the elements on, and those that turn each into another.
_PARTS = ("Select", "Slice", "Unbind", "Split", "Chunk")
_SUMS = ("Add", "Sub", "Sum", "Mean", "Alias", "Clone", "View", "Squeeze", "ToCopy")
_MAPS = ("Exp", "Neg", "Sigmoid", "Softplus", "Tanh", "Softmax", "LogSoftmax", "Relu", "Log")


def _is_weight(leaf: Any, uses: dict[int, list[tuple[Any, int]]]) -> bool:
    """Whether the graph uses a leaf as a weight and not as data: it is one number that is more than
    a summand of the loss, is read one by one, stands where an operation has its weights, or is
    broadcast over a batch."""
    whole = count_of(leaf)
    if whole == 1:
        return not _only_summed(leaf, uses)
    found = [(*each, whole) for each in uses.get(id(leaf), ())]
    weight = False
    for _ in range(64):
        if not found:
            break
        node, at, size = found.pop()
        kind = operation(node).partition("Backward")[0]
        if kind in _WEIGHTS:
            if at not in _WEIGHTS[kind]:
                return False
            weight = True
        elif kind in _PARTS and _made(node) == 1:
            weight = True
        elif kind in _VIEWS or kind in _PARTS or kind in _MAPS:
            size = _made(node) if kind in _PARTS else size
            found += [(*each, size) for each in uses.get(id(node), ())]
        elif kind in ("Mul", "Add", "Sub", "Div"):
            if _made(node) <= size:
                return False
            weight = True
        else:
            return False
    return weight


def _only_summed(leaf: Any, uses: dict[int, list[tuple[Any, int]]]) -> bool:
    """Whether a number is but added to the loss: its gradient is the same whatever it is, so there
    is nothing to learn, as where a sum of losses starts at a zero that was told to require grad."""
    found = list(uses.get(id(leaf), ()))
    for _ in range(SUMS):
        if not found:
            return True
        node, _ = found.pop()
        operands = sum(each is not None for each, _ in node.next_functions)
        kind = operation(node).partition("Backward")[0]
        if kind not in _SUMS and not (kind in ("Mul", "Div") and operands == 1):
            return False
        if _made(node) != 1:
            return False
        found += uses.get(id(node), ())
    return False


def _made(node: Any) -> int:
    """How many elements the forward of a node made; 0 where torch does not tell."""
    try:
        count = 1
        for each in node._input_metadata[0].shape:
            count *= int(each)
    except Exception:
        return 0
    return count


def registered(names: Names) -> set[int]:
    """The identities of all parameters of modules."""
    return {id(p) for p in parameters_in(*names.held_modules())}
