"""Every module class of torch's own database: forward, backward, steps, copies, states, compile."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from outcomes import Case, Watch
from torch import nn
from torch.testing._internal.common_modules import module_db
from torch.utils._pytree import tree_leaves, tree_map

# So many of the inputs that the database has for a class, evenly spread.
SAMPLES = 3


def tensors(value: Any) -> list[torch.Tensor]:
    return [each for each in tree_leaves(value) if isinstance(each, torch.Tensor)]


def inputs_of(info: Any, training: bool = True) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = info.module_inputs_func(
            info, device="cpu", dtype=torch.float32, requires_grad=True, training=training
        )
    every = [each for each in every if each.forward_input is not None]
    count = min(len(every), SAMPLES)
    return [every[at * len(every) // count] for at in range(count)]


class Journey:
    """One module with one of its inputs, both made anew."""

    def __init__(self, info: Any, at: int, training: bool = True) -> None:
        found = inputs_of(info, training)[at]
        given = found.constructor_input
        self.module: nn.Module = info.module_cls(*given.args, **given.kwargs).train(training)
        self.args, self.kwargs = found.forward_input.args, found.forward_input.kwargs

    def call(self, module: Any = None) -> Any:
        return (self.module if module is None else module)(*self.args, **self.kwargs)

    def back(self, module: Any = None) -> list[torch.Tensor]:
        result = [each for each in tensors(self.call(module)) if each.requires_grad]
        if result:
            torch.autograd.backward(result, [torch.ones_like(each) for each in result])
        return result

    def left(self, *values: Any) -> list[Any]:
        given = [each for each in tensors((self.args, self.kwargs)) if each.is_leaf]
        own = [*self.module.parameters(), *self.module.buffers()]
        return [*values, *own, *(each.grad for each in (*given, *own) if each.is_leaf)]


def there_and_back(way: Journey) -> list[Any]:
    return way.left(way.back(), way.back())


def trained(way: Journey) -> list[Any]:
    way.call()
    parameters = list(way.module.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.01) if parameters else None
    for _ in range(3):
        if optimizer is not None:
            optimizer.zero_grad()
        way.back()
        if optimizer is not None:
            optimizer.step()
    return way.left(way.call())


def stepped_between(way: Journey) -> list[Any]:
    """The parameters change between forward and backward: stale, if the module saved them."""
    result = [each for each in tensors(way.call()) if each.requires_grad]
    with torch.no_grad():
        for each in way.module.parameters():
            each.mul_(0.5)
    torch.autograd.backward(result, [torch.ones_like(each) for each in result])
    return way.left(result)


def copied(way: Journey) -> list[Any]:
    way.back()
    twin = copy.deepcopy(way.module)
    other = pickle.loads(pickle.dumps(way.module))
    return way.left(way.back(twin), way.back(other), *twin.parameters(), *other.parameters())


def loaded(way: Journey) -> list[Any]:
    way.call()
    file = io.BytesIO()
    torch.save(way.module.state_dict(), file)
    file.seek(0)
    way.back()
    said = way.module.load_state_dict(torch.load(file), strict=True)
    return way.left(way.back(), said, [*way.module.state_dict()])


def moved(way: Journey) -> list[Any]:
    way.back()
    way.module.double()
    way.args, way.kwargs = tree_map(
        lambda each: (
            each.detach().double().requires_grad_(each.requires_grad)
            if isinstance(each, torch.Tensor) and each.is_floating_point()
            else each
        ),
        (way.args, way.kwargs),
    )
    return way.left(way.back())


def hooked(way: Journey) -> list[Any]:
    said: list[str] = []
    way.module.register_forward_pre_hook(lambda *given: said.append("before"))
    way.module.register_forward_hook(lambda *given: said.append("after"))
    way.module.register_full_backward_hook(lambda *given: said.append("back"))
    return [*way.left(way.back()), *said]


def compiled(way: Journey) -> list[Any]:
    torch._dynamo.reset()
    fast = torch.compile(way.module, backend="eager")
    return way.left(way.back(fast), way.back(fast))


def traced(way: Journey) -> list[Any]:
    return [torch.fx.symbolic_trace(way.module).code]


JOURNEYS = (
    there_and_back, trained, stepped_between, copied, loaded, moved, hooked,
)  # fmt: skip


def refused(info: Any, error: Any) -> list[Any]:
    found = error.module_error_input
    module = info.module_cls(*found.constructor_input.args, **found.constructor_input.kwargs)
    return tensors(module(*found.forward_input.args, **found.forward_input.kwargs))


def left_out() -> list[str]:
    """Module classes of torch.nn that the database does not have."""
    known = {info.module_cls for info in module_db}
    every = {name: each for name, each in vars(nn).items() if inspect.isclass(each)}
    return sorted(n for n, e in every.items() if issubclass(e, nn.Module) and e not in known)


def cases(watch: Watch) -> Iterator[tuple[str, str, Case]]:
    def inside(call: Callable[[], list[Any]]) -> Case:
        def case() -> list[Any]:
            with watch():
                return call()

        return case

    for info in module_db:
        name = info.name
        for at in range(len(inputs_of(info))):
            for journey in JOURNEYS if at == 0 else (there_and_back, trained):
                yield (
                    name,
                    f"{journey.__name__} #{at}",
                    inside(lambda info=info, at=at, journey=journey: journey(Journey(info, at))),
                )
        for journey in (compiled, traced):
            yield (
                name,
                journey.__name__,
                inside(lambda info=info, journey=journey: journey(Journey(info, 0))),
            )
        yield name, "eval", inside(lambda info=info: there_and_back(Journey(info, 0, False)))
        errors = info.module_error_inputs_func
        if errors is None:
            continue
        found = errors(
            info, device="cpu", dtype=torch.float32, requires_grad=True, training=True
        )  # fmt: skip
        for at, error in enumerate(found):
            yield name, f"error #{at}", inside(lambda info=info, error=error: refused(info, error))
