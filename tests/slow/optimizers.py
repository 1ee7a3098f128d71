"""Every optimizer of torch's database in every implementation: steps, copies, states, errors."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import torch
from outcomes import Case, Watch
from torch import nn
from torch.testing._internal.common_optimizers import (
    get_error_inputs_for_all_optims,
    optim_db,
)


def made(info: Any, arguments: dict[str, Any]) -> tuple[nn.Module, Any]:
    net: nn.Module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    if info.optim_cls is torch.optim.SparseAdam:
        net = nn.Sequential(nn.Embedding(6, 4, sparse=True))
    parameters = [each for each in net.parameters() if takes(info, each)]
    return net, info.optim_cls(parameters, **arguments)


def takes(info: Any, parameter: torch.Tensor) -> bool:
    """Muon has no use for vectors."""
    return info.optim_cls.__name__ != "Muon" or parameter.dim() == 2


def loss_of(net: nn.Module) -> torch.Tensor:
    if isinstance(net[0], nn.Embedding):  # pyright: ignore[reportIndexIssue]
        return net(torch.randint(6, (5,))).pow(2).mean()
    x = torch.randn(5, 4)
    x[0] = 2.0
    return net(x).pow(2).mean()


def step(net: nn.Module, optimizer: Any, closed: bool = False) -> Any:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(net)
        loss.backward()
        return loss

    if closed or isinstance(optimizer, torch.optim.LBFGS):
        return optimizer.step(closure)
    closure()
    return optimizer.step()


def left(net: nn.Module, optimizer: Any) -> list[Any]:
    return [*net.parameters(), *(each.grad for each in net.parameters()), optimizer.state_dict()]


def steps(net: nn.Module, optimizer: Any) -> list[Any]:
    return [*(step(net, optimizer) for _ in range(3)), *left(net, optimizer)]


def closures(net: nn.Module, optimizer: Any) -> list[Any]:
    return [*(step(net, optimizer, closed=True) for _ in range(3)), *left(net, optimizer)]


def loaded(net: nn.Module, optimizer: Any) -> list[Any]:
    step(net, optimizer)
    file = io.BytesIO()
    torch.save([net.state_dict(), optimizer.state_dict()], file)
    step(net, optimizer)
    file.seek(0)
    weights, state = torch.load(file)
    net.load_state_dict(weights)
    optimizer.load_state_dict(state)
    return steps(net, optimizer)


def copied(net: nn.Module, optimizer: Any) -> list[Any]:
    step(net, optimizer)
    other, twin = copy.deepcopy((net, optimizer))
    return [*steps(net, optimizer), *steps(other, twin)]


def pickled(net: nn.Module, optimizer: Any) -> list[Any]:
    step(net, optimizer)
    other, twin = pickle.loads(pickle.dumps((net, optimizer)))
    return [*steps(net, optimizer), *steps(other, twin)]


def grown(net: nn.Module, optimizer: Any) -> list[Any]:
    step(net, optimizer)
    more = nn.Parameter(torch.ones(2, 2))
    optimizer.add_param_group({"params": [more]})
    more.grad = torch.ones(2, 2)
    if isinstance(optimizer, torch.optim.SparseAdam):
        more.grad = more.grad.to_sparse()
    return [*steps(net, optimizer), more]


def hooked(net: nn.Module, optimizer: Any) -> list[Any]:
    said: list[str] = []
    optimizer.register_step_pre_hook(lambda *given: said.append("before"))
    optimizer.register_step_post_hook(lambda *given: said.append("after"))
    optimizer.register_state_dict_post_hook(lambda *given: said.append("state"))
    return [*steps(net, optimizer), *said]


def scheduled(net: nn.Module, optimizer: Any) -> list[Any]:
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    found = []
    for _ in range(2):
        step(net, optimizer)
        schedule.step()
        found.append(schedule.get_last_lr())
    return [*found, *left(net, optimizer)]


def interrupted(net: nn.Module, optimizer: Any) -> list[Any]:
    """A step that raises half-way, and one after it."""

    def refuse(*given: Any) -> None:
        raise KeyError("not this step")

    step(net, optimizer)
    handle = optimizer.register_step_post_hook(refuse)
    raised = ""
    try:
        step(net, optimizer)
    except KeyError as error:
        raised = str(error)
    handle.remove()
    return [raised, *steps(net, optimizer)]


def moved(net: nn.Module, optimizer: Any) -> list[Any]:
    """Other tensors under the same parameters, in both of torch's ways."""
    step(net, optimizer)
    optimizer.zero_grad()
    net.to(torch.float64)
    net.to(torch.float32)
    step(net, optimizer)
    optimizer.zero_grad()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        net.to(torch.float64)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    return left(net, optimizer)


def without_gradients(net: nn.Module, optimizer: Any) -> list[Any]:
    if isinstance(optimizer, torch.optim.LBFGS):
        return []
    return [optimizer.step(), *left(net, optimizer)]


def stale(net: nn.Module, optimizer: Any) -> list[Any]:
    """Raises, where the implementation tells autograd of its writes."""
    loss = loss_of(net)
    step(net, optimizer)
    loss.backward()
    return left(net, optimizer)


def compiled(net: nn.Module, optimizer: Any) -> list[Any]:
    torch._dynamo.reset()
    fast = torch.compile(optimizer.step, backend="eager")
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(net).backward()
        fast()
    return left(net, optimizer)


JOURNEYS = (
    steps, closures, loaded, copied, pickled, grown, hooked, scheduled, interrupted, moved,
    without_gradients, stale,
)  # fmt: skip


def implementations(info: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "default", {}
    for name in info.supported_impls:
        if name == "foreach":
            yield name, {"foreach": True}
        elif name == "forloop" and "foreach" in info.supported_impls:
            yield name, {"foreach": False}
        elif name == "fused" and "cpu" in info.supports_fused_on:
            yield name, {"fused": True}
    # Refused, for parameters that are leaves.
    yield "differentiable", {"differentiable": True}


def cases(watch: Watch) -> Iterator[tuple[str, str, Case]]:
    def inside(call: Callable[[], list[Any]]) -> Case:
        def case() -> list[Any]:
            with watch():
                return call()

        return case

    for info in optim_db:
        name = info.optim_cls.__name__
        for how, extra in implementations(info):
            for at, given in enumerate(info.optim_inputs_func(device="cpu")):
                arguments = {**given.kwargs, **extra}
                # The whole journey with the first set of arguments, steps alone with the others.
                whole = at == 0 and how != "differentiable"
                for journey in JOURNEYS if whole else (steps,):
                    yield name, f"{how}, {journey.__name__} #{at}", inside(
                        lambda info=info, arguments=arguments, journey=journey: journey(
                            *made(info, arguments)
                        )
                    )  # fmt: skip
        yield name, "compiled", inside(lambda info=info: compiled(*made(info, {})))
        errors = info.optim_error_inputs_func
        for at, error in enumerate(errors(device="cpu", dtype=torch.float32) if errors else ()):
            given = error.optimizer_error_input
            yield (
                name,
                f"error #{at}",
                inside(
                    lambda info=info, given=given: [info.optim_cls(given.params, **given.kwargs)]
                ),
            )
    for at, error in enumerate(get_error_inputs_for_all_optims("cpu", torch.float32)):
        given = error.optimizer_error_input
        yield (
            "Optimizer",
            f"error #{at}",
            inside(lambda given=given: [torch.optim.SGD(given.params, **given.kwargs)]),
        )
