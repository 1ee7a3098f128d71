"""Programs that torch itself reads, rewrites or transforms: compile, export, jit, fx, func.

Each is built, and then run. A session may begin before, between or after the two.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import torch
from outcomes import Case, Watch
from torch import Tensor, nn

Program = tuple[Callable[[], Any], Callable[[Any], list[Any]]]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x)).relu_()
        y = y * 2
        y.add_(1)
        self.seen.add_(1)
        return self.last(nn.functional.dropout(y, 0.5, self.training))

    def twice(self, x: Tensor) -> Tensor:
        y = self.forward(x) * 2
        y[0] = 3.0
        y += 1
        return y


def straight(x: Tensor) -> Tensor:
    y = x.sin()
    y.mul_(2)
    torch.relu_(y)
    out = torch.empty_like(y)
    torch.add(y.detach(), 1, out=out)
    return (y + out).sum()


def broken(x: Tensor) -> Tensor:
    y = x * 2
    y.add_(1)
    torch._dynamo.graph_break()
    y.mul_(3)
    if y.sum().item() > 0:
        y += 1
    return y.sum()


def raising(x: Tensor) -> Tensor:
    y = x * 2
    y.add_(torch.ones(7))
    return y


def refused(x: Tensor) -> Tensor:
    x.add_(1)
    return x.sum()


def train(forward: Callable[[Tensor], Tensor], net: nn.Module, rows: tuple[int, ...]) -> list[Any]:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, foreach=True)
    losses = []
    for count in rows:
        x = torch.randn(count, 4)
        x[0] = 1.0
        loss = forward(x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return [*losses, *net.state_dict().values()]


def leafs(f: Callable[[Tensor], Tensor], rows: tuple[int, ...]) -> list[Any]:
    found = []
    for count in rows:
        x = torch.randn(count, 4, requires_grad=True)
        f(x).sum().backward()
        found.append(x.grad)
    return found


def stale(f: Callable[[Tensor], Tensor]) -> list[Any]:
    x = torch.randn(3, 4, requires_grad=True)
    w = x * 1
    loss = f(w).sum()
    w.mul_(2)
    loss.backward()
    return [x.grad]


ROWS = (4, 4, 5, 6)


def compiled(backend: str, **options: Any) -> Iterator[tuple[str, Program]]:
    def made(f: Any) -> Any:
        return torch.compile(f, backend=backend, **options)

    def module() -> Any:
        net = Net()
        return made(net), net

    def method() -> Any:
        net = Net()
        return made(net.twice), net

    def in_place() -> Any:
        net = Net()
        net.compile(backend=backend, **options)
        return net, net

    def hooked() -> Any:
        net = Net()
        net.first.register_forward_hook(lambda module, args, out: out * 2)
        net.last.register_full_backward_hook(lambda module, grads, outs: None)
        return made(net), net

    def whole_step() -> Any:
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

        def step(x: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = net(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return made(step), net

    def optimizer_step() -> Any:
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
        return made(optimizer.step), net, optimizer

    def steps(built: Any) -> list[Any]:
        step, net, optimizer = built
        for _ in range(2):
            net(torch.randn(4, 4)).sum().backward()
            step()
            optimizer.zero_grad()
        return [*net.state_dict().values()]

    yield "module", (module, lambda built: train(*built, ROWS))
    yield "method", (method, lambda built: train(*built, ROWS))
    yield "function", (lambda: made(straight), lambda f: leafs(f, ROWS))
    yield "graph break", (lambda: made(broken), lambda f: leafs(f, ROWS))
    yield "raising", (lambda: made(raising), lambda f: leafs(f, (3,)))
    yield "refused", (lambda: made(refused), lambda f: leafs(f, (3,)))
    yield "stale", (lambda: made(straight), stale)
    if backend == "inductor":
        return
    yield "module.compile()", (in_place, lambda built: train(*built, ROWS))
    yield "hooks", (hooked, lambda built: train(*built, ROWS))
    yield "whole step", (
        whole_step, lambda built: [built[0](torch.randn(n, 4)) for n in ROWS]
    )  # fmt: skip
    yield "optimizer", (optimizer_step, steps)


def text(value: Any) -> str:
    return "\n".join(line.partition("#")[0].rstrip() for line in str(value).splitlines())


def exported(**options: Any) -> Program:
    def build() -> Any:
        rows = torch.export.Dim("rows", min=2, max=64)
        return torch.export.export(
            Net(), (torch.randn(4, 4),), dynamic_shapes={"x": {0: rows}}, **options
        )

    def run(program: Any) -> list[Any]:
        found = program.module()
        return [text(program.graph), found(torch.randn(5, 4)), *train(found, found, (4, 5))]

    return build, run


def saved(program: Any) -> list[Any]:
    file = io.BytesIO()
    torch.jit.save(program, file)
    file.seek(0)
    again = torch.jit.load(file)
    return [text(program.graph), again(torch.randn(4, 4)), *train(program, program, (4, 5))]


def traced_by_make_fx(tracing: str) -> Program:
    from torch.fx.experimental.proxy_tensor import make_fx

    def build() -> Any:
        return make_fx(torch.func.grad(straight), tracing_mode=tracing)(torch.randn(4, 4))

    return build, lambda graph: [text(graph.code), graph(torch.randn(4, 4))]


def through_aot() -> Program:
    from functorch.compile import aot_function, aot_module, nop

    def build() -> Any:
        net = Net()
        return aot_function(straight, fw_compiler=nop), aot_module(net, fw_compiler=nop), net

    return build, lambda built: [*leafs(built[0], (4, 4)), *train(built[1], built[2], (4, 4))]


def func_of(x: Tensor) -> Tensor:
    y = x.sin()
    y.mul_(2)
    y[0] = 1.0
    return (y * x).sum()


def transforms() -> Iterator[tuple[str, Program]]:
    from torch.func import functionalize, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap

    x = torch.randn(3, 4)
    every: dict[str, Callable[[], Any]] = {
        "grad": lambda: grad(func_of)(x[0]),
        "vmap": lambda: vmap(lambda each: each.sin() * 2)(x),
        "vmap, write": lambda: vmap(func_of)(x),
        "vmap of grad": lambda: vmap(grad(func_of))(x),
        "grad of grad": lambda: grad(lambda y: grad(func_of)(y).sum())(x[0]),
        "hessian": lambda: hessian(func_of)(x[0]),
        "jacrev": lambda: jacrev(func_of)(x[0]),
        "jacfwd": lambda: jacfwd(func_of)(x[0]),
        "jvp": lambda: jvp(func_of, (x[0],), (x[1],)),
        "vjp": lambda: vjp(func_of, x[0])[1](torch.ones(())),
        "linearize": lambda: linearize(func_of, x[0])[1](x[1]),
        "functionalize": lambda: functionalize(func_of)(x[0]),
        "random, refused": lambda: vmap(lambda each: torch.rand_like(each))(x),
        "random": lambda: vmap(lambda each: torch.rand_like(each), randomness="different")(x),
        "item, refused": lambda: vmap(lambda each: each.sum().item())(x),
        "backward inside, refused": lambda: grad(lambda y: (y.sum().backward(), y.sum())[1])(x[0]),
        "captured write, refused": lambda: vmap(lambda each: x.add_(each))(x),
    }
    for name, call in every.items():
        yield name, (lambda call=call: call, lambda call: [call(), call()])


def saving(how: str) -> Program:
    from torch.utils.checkpoint import checkpoint

    def run(net: Any) -> list[Any]:
        if how == "hooks":
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t):
                return train(net, net, (4, 4))
        if how == "on cpu":
            with torch.autograd.graph.save_on_cpu():
                return train(net, net, (4, 4))
        return train(lambda x: checkpoint(net, x, use_reentrant=how == "again"), net, (4, 4))

    return Net, run


def read() -> Iterator[tuple[str, Program]]:
    yield (
        "fx",
        (
            lambda: torch.fx.symbolic_trace(Net()),
            lambda graph: [text(graph.code), *train(graph, graph, (4, 5))],
        ),
    )
    yield (
        "fx, deepcopy and pickle",
        (
            lambda: torch.fx.symbolic_trace(Net()),
            lambda graph: [
                copy.deepcopy(graph)(torch.ones(4, 4)),
                pickle.loads(pickle.dumps(graph))(torch.ones(4, 4)),
            ],
        ),
    )
    yield "fx, function", (lambda: torch.fx.symbolic_trace(straight), lambda f: [text(f.code)])
    yield "fx, control flow", (lambda: torch.fx.symbolic_trace(broken), lambda f: [])
    yield "jit.script", (lambda: torch.jit.script(Net()), saved)
    yield "jit.script, function", (lambda: torch.jit.script(straight), lambda f: leafs(f, ROWS))
    yield "jit.script, not supported", (lambda: torch.jit.script(broken), lambda f: [])
    yield "jit.trace", (lambda: torch.jit.trace(Net().eval(), torch.randn(4, 4)), saved)
    yield "jit.trace, random", (lambda: torch.jit.trace(Net(), torch.randn(4, 4)), saved)
    yield "jit.freeze", (lambda: torch.jit.freeze(torch.jit.script(Net().eval())), lambda net: [
        net(torch.randn(4, 4)), text(net.graph)
    ])  # fmt: skip
    for tracing in ("real", "fake", "symbolic"):
        yield f"make_fx, {tracing}", traced_by_make_fx(tracing)
    yield "aot", through_aot()
    yield "export", exported()
    yield "export, strict", exported(strict=True)
    for how in ("hooks", "on cpu", "again", "once"):
        yield f"saving, {how}", saving(how)


def programs(backends: tuple[str, ...]) -> Iterator[tuple[str, Program]]:
    for backend in backends:
        for name, program in compiled(backend):
            yield f"compile {backend}, {name}", program
    for options in ({"dynamic": True}, {"fullgraph": True}):
        for name, program in compiled("aot_eager", **options):
            yield f"compile aot_eager {options}, {name}", program
    yield from read()
    for name, program in transforms():
        yield f"func, {name}", program


def counters() -> list[str]:
    """How often torch compiled, and why it broke a graph."""
    found = torch._dynamo.utils.counters
    return [str(dict(found[name])) for name in ("stats", "graph_break")]


def cases(watch: Watch) -> Iterator[tuple[str, str, Case]]:
    """(name, label, case): a session begins before or after torch has read the program."""
    for name, (build, run) in programs(("eager", "aot_eager", "inductor")):

        def before(build: Any = build, run: Any = run) -> list[Any]:
            torch._dynamo.reset()
            torch._dynamo.utils.counters.clear()
            built = build()
            first = run(built)
            with watch():
                second = run(built)
            return [first, second, run(built), *counters()]

        def during(build: Any = build, run: Any = run) -> list[Any]:
            torch._dynamo.reset()
            torch._dynamo.utils.counters.clear()
            with watch():
                built = build()
                first = run(built)
            with watch():
                second = run(built)
            return [first, second, run(built), *counters()]

        yield name, "read before", before
        yield name, "read during", during
