"""Tensors that are not plain: torch's own kinds, subclasses, and a user's that count or refuse."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from outcomes import Case, Watch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

calls: Counter[str] = Counter()


class Listening(Tensor):
    """Counts what torch asks of it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        calls[getattr(func, "__name__", str(func))] += 1
        return super().__torch_function__(func, types, args, kwargs or {})


class Refusing(Tensor):
    """Knows a few functions, and counts the questions that go to its properties."""

    KNOWN = frozenset({"mul", "add", "add_", "sum", "backward", "__get__", "__set__", "detach"})

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        calls[getattr(func, "__name__", str(func))] += 1
        if func.__name__ not in cls.KNOWN:
            raise NotImplementedError(f"not known: {func.__name__}")
        return super().__torch_function__(func, types, args, kwargs or {})


def counted(name: str) -> property:
    def get(self: Any) -> Any:
        calls[f"property {name}"] += 1
        return getattr(torch._C.TensorBase, name).__get__(self)

    def put(self: Any, value: Any) -> None:
        getattr(torch._C.TensorBase, name).__set__(self, value)

    return property(get, put)


_PROPERTIES = """
    shape dtype device requires_grad is_leaf grad grad_fn _base _version layout is_quantized
"""
for _name in _PROPERTIES.split():
    setattr(Refusing, _name, counted(_name))


class Wrapping(Tensor):
    """Holds another tensor, and passes every operation on to it."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Any:
        return Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, requires_grad=inner.requires_grad
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: Any, meta: Any, size: Any, stride: Any) -> Any:
        return Wrapping(inner["inner"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from torch.utils._pytree import tree_map_only

        calls[str(func)] += 1
        args, kwargs = tree_map_only(Wrapping, lambda each: each.inner, (args, kwargs or {}))
        return tree_map_only(Tensor, Wrapping, func(*args, **kwargs))


class Meta(type(Tensor)):
    """Of a class that answers no question about itself."""

    def __eq__(cls, other: object) -> bool:
        calls["meta eq"] += 1
        return cls is other

    def __hash__(cls) -> int:
        calls["meta hash"] += 1
        return id(cls)

    def __instancecheck__(cls, instance: object) -> bool:
        calls["meta instancecheck"] += 1
        return type(instance) is cls


class Hidden(Tensor, metaclass=Meta):
    pass


class Ops(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        calls[f"op {func}"] += 1
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        calls[f"function {getattr(func, '__name__', func)}"] += 1
        return func(*args, **(kwargs or {}))


def mesh() -> Any:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    if not dist.is_initialized():
        file = tempfile.NamedTemporaryFile(delete=False)  # noqa: SIM115
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group("gloo", init_method=f"file://{file.name}", rank=0, world_size=1)
    return init_device_mesh("cpu", (1,))


def distributed() -> Tensor:
    from torch.distributed.tensor import Replicate, distribute_tensor

    return distribute_tensor(torch.randn(3, 3), mesh(), [Replicate()])


def sharded() -> Tensor:
    from torch.distributed.tensor import Shard, distribute_tensor

    return distribute_tensor(torch.randn(3, 3), mesh(), [Shard(0)])


def fake() -> Tensor:
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode().from_tensor(torch.randn(3, 3))


def two() -> Tensor:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(torch.randn(3, 3), torch.randn(3, 3))


def masked() -> Any:
    from torch.masked import masked_tensor

    return masked_tensor(torch.randn(3, 3), torch.eye(3) > 0)


def functional() -> Tensor:
    return torch._to_functional_tensor(torch.randn(3, 3))


def inference() -> Tensor:
    with torch.inference_mode():
        return torch.randn(3, 3)


def nested(layout: Any) -> Tensor:
    return torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(3, 3)], layout=layout)


MAKERS: dict[str, Callable[[], Any]] = {
    "plain": lambda: torch.randn(3, 3),
    "Parameter": lambda: nn.Parameter(torch.randn(3, 3)),
    "Buffer": lambda: nn.Buffer(torch.randn(3, 3)),
    "UninitializedParameter": lambda: nn.UninitializedParameter(),
    "UninitializedBuffer": lambda: nn.UninitializedBuffer(),
    "listening": lambda: torch.randn(3, 3).as_subclass(Listening),
    "refusing": lambda: torch.randn(3, 3).as_subclass(Refusing),
    "hidden": lambda: torch.randn(3, 3).as_subclass(Hidden),
    "wrapping": lambda: Wrapping(torch.randn(3, 3)),
    "TwoTensor": two,
    "DTensor, replicated": distributed,
    "DTensor, sharded": sharded,
    "MaskedTensor": masked,
    "FakeTensor": fake,
    "functional": functional,
    "meta": lambda: torch.randn(3, 3, device="meta"),
    "inference": inference,
    "nested, strided": lambda: nested(torch.strided),
    "nested, jagged": lambda: nested(torch.jagged),
    "sparse coo": lambda: torch.randn(3, 3).to_sparse(),
    "sparse csr": lambda: torch.randn(3, 3).to_sparse_csr(),
    "sparse csc": lambda: torch.randn(3, 3).to_sparse_csc(),
    "sparse bsr": lambda: torch.randn(4, 4).to_sparse_bsr((2, 2)),
    "quantized": lambda: torch.quantize_per_tensor(torch.randn(3, 3), 0.1, 0, torch.qint8),
    "quantized by channel": lambda: torch.quantize_per_channel(
        torch.randn(3, 3), torch.ones(3), torch.zeros(3), 0, torch.qint8
    ),
    "MKL-DNN": lambda: torch.randn(3, 3).to_mkldnn(),
    "complex, conjugated": lambda: torch.randn(3, 3, dtype=torch.complex64).conj(),
    "named": lambda: torch.randn(3, 3, names=("a", "b")),
    "half": lambda: torch.randn(3, 3, dtype=torch.float16),
    "float8": lambda: torch.randn(3, 3).to(torch.float8_e4m3fn),
    "expanded": lambda: torch.randn(3, 1).expand(3, 3),
    "empty": lambda: torch.randn(0, 3),
}


def asked_for_gradients(make: Callable[[], Any]) -> Any:
    return make().requires_grad_()


def multiplied(make: Callable[[], Any]) -> list[Any]:
    w = torch.randn((), requires_grad=True)
    for _ in range(3):
        (make() * w).sum().backward()
    return [w.grad]


def differentiated(make: Callable[[], Any]) -> list[Any]:
    x = asked_for_gradients(make)
    for _ in range(3):
        (x * 2).sum().backward()
    return [x.grad]


def written(make: Callable[[], Any]) -> list[Any]:
    x = make()
    x.add_(1)
    x.mul_(2)
    x += 1
    return [x]


def assigned(make: Callable[[], Any]) -> list[Any]:
    x = make()
    x[0] = 1.0
    return [x]


def written_leaf(make: Callable[[], Any]) -> list[Any]:
    return [asked_for_gradients(make).add_(1)]


def stale(make: Callable[[], Any]) -> list[Any]:
    x = asked_for_gradients(make)
    y = x * 1
    loss = (y * y).sum()
    y.add_(1)
    loss.backward()
    return [x.grad]


def replaced(make: Callable[[], Any]) -> list[Any]:
    x, y = make(), make()
    x.data = y
    return [x]


def stepped(kind: str) -> Callable[[Callable[[], Any]], list[Any]]:
    def case(make: Callable[[], Any]) -> list[Any]:
        net = nn.Module()
        net.w = nn.Parameter(make())
        optimizer = getattr(torch.optim, kind)(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (net.w * 2).sum().backward()
            optimizer.step()
        return [*net.parameters()]

    return case


def copied(make: Callable[[], Any]) -> list[Any]:
    x = make()
    return [copy.deepcopy(x), pickle.loads(pickle.dumps(x))]


def as_state(make: Callable[[], Any]) -> list[Any]:
    net, other = nn.Module(), nn.Module()
    for each in (net, other):
        each.w = nn.Parameter(make(), requires_grad=False)
    said = other.load_state_dict(net.state_dict())
    return [said, other.w, *net.state_dict()]


def moved(make: Callable[[], Any]) -> list[Any]:
    net = nn.Module()
    net.w = nn.Parameter(make())
    (net.w * 2).sum().backward()
    net.double()
    return [net.w]


def compiled(make: Callable[[], Any]) -> list[Any]:
    torch._dynamo.reset()
    x = make()

    @torch.compile(backend="eager")
    def f(x: Any) -> Any:
        y = x * 2
        y.add_(1)
        return y

    return [f(x), f(x)]


def backward_of_nothing(make: Callable[[], Any]) -> list[Any]:
    make().sum().backward()
    return []


def shown(make: Callable[[], Any]) -> list[Any]:
    return [repr(make())]


def under_modes(make: Callable[[], Any]) -> list[Any]:
    with Ops(), Functions():
        return [*differentiated(make), *written(make)]


def kept(make: Callable[[], Any]) -> list[Any]:
    """In all the places where an observer looks for names."""
    x = make()
    table, row, pair = {"x": x, 3: x}, [x, [x]], (x,)
    globals()["_kept"] = x
    net = nn.Linear(2, 2)
    vars(net)["extra"] = x
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    vars(optimizer)["extra"] = x
    for _ in range(2):
        loss = net(torch.ones(1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    del globals()["_kept"], table, row, pair
    loss.backward()
    return [x]


JOURNEYS = {
    each.__name__: each
    for each in (
        multiplied, differentiated, written, assigned, written_leaf, stale, replaced, copied,
        as_state, moved, compiled, backward_of_nothing, shown, under_modes, kept,
    )
}  # fmt: skip
JOURNEYS |= {kind: stepped(kind) for kind in ("SGD", "Adam", "SparseAdam")}


# torch itself crashes.
CRASHING = {("functional", "moved"), ("functional", "compiled"), ("functional", "stepped")}


def cases(watch: Watch) -> Iterator[tuple[str, str, Case]]:
    for name, make in MAKERS.items():
        for label, journey in JOURNEYS.items():
            if (name, label) in CRASHING:
                continue

            def case(make: Any = make, journey: Any = journey) -> list[Any]:
                calls.clear()
                try:
                    with watch():
                        values = journey(make)
                except Exception as error:
                    error.add_note(str(sorted(calls.items())))
                    raise
                return [*values, str(sorted(calls.items()))]

            yield name, label, case
