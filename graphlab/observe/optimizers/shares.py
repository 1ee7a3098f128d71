"""Splits the gradients of one optimizer's parameters by loss, on sampled steps.

Every loss but one has a buffer. The open one, whose backward ran last, has none: its part is
`.grad` less the buffers. So two losses cost one copy of the gradients. What was written into
`.grad` by other means than backward counts as a loss of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from graphlab.observe.optimizers.vectors import (
    any_nonzero,
    computable,
    dense,
    dot,
    numbers,
    shard_of,
)
from graphlab.observe.tensors import grad_of
from graphlab.trace.model import Mix, ParameterMix, Share

Label = tuple[str, int | None]
# Written into `.grad` by the program or by torch.func: no loss is known.
OUTSIDE: Label = ("(not attributed)", None)
# Most bytes that the buffers may take: with three losses or more, and with two.
BUDGET, BUFFER = 64 * 1024**2, 256 * 1024**2

Products = dict[tuple[Label, Label], float]


class OwnedParameter(NamedTuple):
    """A parameter of the optimizer, its index in the trace, and the label of its gradient if no
    backward has written it."""

    parameter: Any
    place: int
    base: Label | None


class Contributions:
    """The part of each loss in the gradients of one optimizer. Call `begin` and `end` around every
    backward, and `mix` before the step."""

    def __init__(self) -> None:
        self._parts: dict[Label, dict[int, Any]] = {}
        self._open: Label | None = None
        self._opened_from: Label | None = None
        # For each parameter, by `id()`, the inner products of every two parts after the last
        # backward, so before any clipping.
        self._products: dict[int, Products] = {}
        self._factor = 1.0
        # For each parameter, by `id()`, the squared norms of the parts that its gradient had before
        # it was taken away: the program may have kept one, to put it back before the step.
        self._taken: dict[int, dict[Label, float]] = {}
        # More losses than the memory allows.
        self._given_up = False

    def forget(self, parameter: Any) -> None:
        """Its gradient was cleared."""
        for part in self._parts.values():
            part.pop(id(parameter), None)
        products = self._products.pop(id(parameter), None)
        if products is not None:
            parts = {one: value for (one, other), value in products.items() if one == other}
            self._taken.setdefault(id(parameter), {}).update(parts)
        if products is not None and not self._products:
            self._parts.clear()
            self._open = None

    def begin(self, label: Label, held: list[OwnedParameter]) -> None:
        """A backward of `label` is about to add to the gradients."""
        self._given_up = self._given_up or not _comparable(held)
        if self._given_up:
            return
        for parameter, _, base in held:
            if base is not None and _grad(parameter) is not None and any_nonzero(_grad(parameter)):
                self._parts.setdefault(base, {})[id(parameter)] = dense(_grad(parameter)).clone()
        before, self._open, self._opened_from = self._open, label, None
        if before is None or before == label:
            return
        self._rescale(held)
        if label not in self._parts:
            self._opened_from = before
        # The buffer of the loss that is opened becomes that of the loss that is closed.
        mine = self._parts.pop(label, {})
        others = list(self._parts.values())
        self._parts[before] = kept = {}
        for parameter, _, _ in held:
            if _grad(parameter) is None:
                continue
            key = id(parameter)
            now = dense(_grad(parameter))
            rest = mine[key].neg_().add_(now) if key in mine else now.clone()
            for other in others:
                if key in other:
                    rest -= other[key]
            kept[key] = rest
        if self._size() > (BUDGET if len(self._parts) > 1 else BUFFER):
            self._given_up = True
            self._parts.clear()

    def end(self, held: list[OwnedParameter], reached: set[int]) -> None:
        """That backward is over; `reached` has the identity of every parameter that it wrote."""
        self._given_up = self._given_up or not _comparable(held)
        if self._given_up:
            return
        if any(id(each.parameter) in reached for each in held):
            self._measure(held)
        elif self._opened_from is not None:
            # This loss has not reached any of them: `.grad` is still the previous loss's part.
            self._parts.pop(self._opened_from, None)
            self._open = self._opened_from
        elif not self._products:
            self._open = None

    def mix(self, held: list[OwnedParameter]) -> tuple[Mix, tuple[ParameterMix, ...]] | None:
        """The shares of each loss in the gradients about to be applied: in total, and for each
        parameter. None if they are not finite, or the buffers would take too much memory."""
        if self._given_up or not _comparable(held):
            return None
        # Gradients that no backward has written since they were cleared.
        held = [*map(self._put_back, held)]
        self._measure([each for each in held if id(each.parameter) not in self._products])
        self._taken.clear()
        self._factor = self._scaled(held)
        if not math.isfinite(self._factor):
            return None
        totals: Products = {}
        counts: dict[Label, int] = {}
        alone = []
        for parameter, place, _ in held:
            products = self._products.get(id(parameter))
            if products is None or _grad(parameter) is None:
                continue
            for (one, other), value in products.items():
                totals[one, other] = totals.get((one, other), 0.0) + value
                if one == other:
                    counts[one] = counts.get(one, 0) + (value > 0.0)
            each = _told(products, {one: 1 for one, _ in products}, self._factor)
            alone.append(ParameterMix(place, *each))
        if not totals or not all(map(math.isfinite, totals.values())):
            return None
        _, shares, cosines = _told(totals, counts, self._factor)
        return Mix(shares, cosines, self._factor == 1.0), tuple(alone)

    def _put_back(self, held: OwnedParameter) -> OwnedParameter:
        """With the loss whose part it is, where that was kept and then assigned to `.grad`."""
        parameter, place, base = held
        taken = self._taken.get(id(parameter)) if base == OUTSIDE else None
        if not taken or _grad(parameter) is None:
            return held
        grad = dense(_grad(parameter))
        (norm,) = numbers([dot(grad, grad)])
        same = [label for label, each in taken.items() if norm and norm == each]
        return OwnedParameter(parameter, place, same[0] if len(same) == 1 else base)

    def changes(self, moves: Iterable[tuple[Any, Any]]) -> dict[Label, float]:
        """The first-order change of each loss: the inner product of its own gradient with the step,
        for (parameter, change of its values) in `moves`."""
        labels: list[Label] = []
        found = []
        for parameter, change in moves:
            for label, vector in self._split(
                OwnedParameter(parameter, -1, None), self._factor
            ).items():
                labels.append(label)
                found.append(dot(vector, dense(change)))
        changes: dict[Label, float] = {}
        for label, value in zip(labels, numbers(found), strict=True):
            changes[label] = changes.get(label, 0.0) + value / self._factor
        return changes

    def _split(self, held: OwnedParameter, factor: float = 1.0) -> dict[Label, Any]:
        """The part of each loss in a gradient that was scaled by `factor`, scaled as well."""
        parameter, _, base = held
        if _grad(parameter) is None:
            return {}
        key = id(parameter)
        found = {label: part[key] for label, part in self._parts.items() if key in part}
        if factor != 1.0:
            found = {label: part * factor for label, part in found.items()}
        rest = dense(_grad(parameter))
        for part in found.values():
            rest = rest - part
        label = base if base is not None and base not in found else self._open
        return {**found, label: rest} if label is not None else found

    def _measure(self, held: list[OwnedParameter]) -> None:
        places, found = [], []
        for each in held:
            vectors = list(self._split(each).items())
            for at, (one, vector) in enumerate(vectors):
                for other, against in vectors[at:]:
                    places.append((id(each.parameter), one, other))
                    found.append(dot(vector, against))
        for each in held:
            self._products.pop(id(each.parameter), None)
        for (key, one, other), value in zip(places, numbers(found), strict=True):
            self._products.setdefault(key, {})[one, other] = value

    def _rescale(self, held: list[OwnedParameter]) -> None:
        """Scale the buffers as the gradients were since, by clipping between two backwards."""
        factor = self._scaled(held)
        if factor == 1.0 or not math.isfinite(factor):
            return
        for part in self._parts.values():
            for each in part.values():
                each *= factor
        for products in self._products.values():
            for pair in products:
                products[pair] *= factor * factor

    def _scaled(self, held: list[OwnedParameter]) -> float:
        """The factor by which the gradients were scaled since the last backward, by clipping or by
        unscaling a GradScaler's."""
        known = [
            (each.parameter, products)
            for each in held
            if _grad(each.parameter) is not None
            and (products := self._products.get(id(each.parameter))) is not None
        ]
        before = sum(_whole(products) for _, products in known)
        grads = [dense(_grad(parameter)) for parameter, _ in known]
        now = sum(numbers([dot(grad, grad) for grad in grads]))
        if not math.isfinite(now):
            return math.nan
        if now <= 0.0 or before <= 0.0:
            return 1.0
        factor = math.sqrt(now / before)
        return 1.0 if math.isclose(factor, 1.0, rel_tol=1e-5) else factor

    def _size(self) -> int:
        return sum(
            each.numel() * each.element_size()
            for part in self._parts.values()
            for each in part.values()
        )


def _grad(parameter: Any) -> Any:
    """Its gradient, or this rank's shard of it, in which the parts of losses add up as well."""
    grad = grad_of(parameter)
    own = shard_of(grad)
    return grad if own is None else own


def _comparable(held: list[OwnedParameter]) -> bool:
    grads = [_grad(each.parameter) for each in held]
    return all(grad is None or computable(grad) for grad in grads)


def _whole(products: Products) -> float:
    """The squared norm of the sum of all parts."""
    return sum(value if one == other else 2.0 * value for (one, other), value in products.items())


def _told(
    products: Products, counts: dict[Label, int], factor: float
) -> tuple[float, tuple[Share, ...], tuple[tuple[str, str, float], ...]]:
    """(norm of the whole, the shares, the cosines between losses) from inner products."""
    labels = [one for one, other in products if one == other]
    norms = {label: math.sqrt(max(products[label, label], 0.0)) for label in labels}

    def inner(one: Label, other: Label) -> float:
        return products.get((one, other), products.get((other, one), 0.0))

    to_total = {label: sum(inner(label, other) for other in labels) for label in labels}
    total = math.sqrt(max(_whole(products), 0.0))
    whole = sum(norms.values())
    shares = tuple(
        Share(
            loss=label[0],
            line=label[1],
            parameters=counts[label],
            norm=norms[label] * factor,
            share=norms[label] / whole if whole > 0.0 else 0.0,
            cosine_to_total=_cosine(to_total[label], norms[label], total),
        )
        for label in labels
        if (counts[label] and norms[label] > 0.0) or len(labels) == 1
    )
    cosines = tuple(
        (one[0], other[0], cosine)
        for at, one in enumerate(labels)
        for other in labels[at + 1 :]
        if (cosine := _cosine(inner(one, other), norms[one], norms[other])) is not None
    )
    return total * factor, shares, cosines


def _cosine(inner: float, one: float, other: float) -> float | None:
    if one <= 0.0 or other <= 0.0:
        return None
    return max(-1.0, min(1.0, inner / one / other))
