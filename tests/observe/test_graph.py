"""Taking a graph: the same nodes and edges as torch and torchviz have, freed and stale included."""

from __future__ import annotations

import gc
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
import torch
import torchviz
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import graphlab
from graphlab.observe.graph.capture import Capture, capture
from graphlab.observe.graph.facts import facts_of
from graphlab.observe.graph.walk import fresh_slots, slots, walk
from graphlab.observe.tensors import bytes_of, dtype_of, shape_of, storage_key, version_of
from graphlab.trace.graph import NONE, Graph, dumps, loads, under

Make = Callable[[], Any]


def mlp() -> Any:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    return net(torch.randn(3, 4)).mean()


def dcgan() -> Any:
    net = nn.Sequential(
        nn.ConvTranspose2d(4, 8, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 4), nn.Flatten()
    )
    return net(torch.randn(2, 4, 1, 1)).sum()


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return torch.relu(x + self.two(torch.relu(self.one(x))))


def resnet() -> Any:
    return nn.Sequential(Block(), Block(), Block())(torch.randn(1, 4, 5, 5)).sum()


def transformer() -> Any:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2)(torch.randn(2, 3, 8)).mean()


def lstm() -> Any:
    cell = nn.LSTMCell(3, 4)
    h, c = torch.zeros(1, 4), torch.zeros(1, 4)
    for _ in range(10):
        h, c = cell(torch.randn(1, 3), (h, c))
    return h.sum()


def double_backward() -> Any:
    w = torch.randn(3, requires_grad=True)
    (gradient,) = torch.autograd.grad((w**3).sum(), w, create_graph=True)
    return gradient.square().sum()


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] * 2


def custom_function() -> Any:
    return Doubled.apply(torch.randn(3, requires_grad=True)).sum()  # type: ignore[attr-defined]


def several_outputs() -> Any:
    one, two, three = torch.randn(6, requires_grad=True).exp().chunk(3)
    return (one * three + two).sum()


MAKES = (
    mlp, dcgan, resnet, transformer, lstm, double_backward, custom_function, several_outputs,
)  # fmt: skip


def walked(root: Any) -> list[Any]:
    """A bare walk, breadth first: the order that Graph promises."""
    nodes, seen = [root], {root}
    for node in nodes:
        for source, _ in node.next_functions:
            if source is not None and source not in seen:
                seen.add(source)
                nodes.append(source)
    return nodes


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_the_graph_is_torchviz_graph(make: Make) -> None:
    torch.manual_seed(0)
    loss = make()
    nodes = walked(loss.grad_fn)
    graph = capture({"loss": loss}, None)
    assert graph.operations == tuple(type(node).__name__ for node in nodes)
    number = {str(id(node)): at for at, node in enumerate(nodes)}
    text = torchviz.make_dot(loss).source
    theirs = Counter(
        (number[one], number[other])
        for one, other in re.findall(r"^\t(\d+) -> (\d+)", text, re.MULTILINE)
        if one in number and other in number
    )
    assert Counter((edge.source, edge.node) for edge in graph.edges()) == theirs
    labels = re.findall(r"^\t(\d+) \[label=(\w+)", text, re.MULTILINE)
    named = {number[key]: label for key, label in labels if key in number}
    assert named == dict(enumerate(graph.operations))
    # Their leaves are tensors of their own, tied to an AccumulateGrad each.
    assert len(graph.leaves) == graph.operations.count("AccumulateGrad")


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_slots_and_outputs_are_torchs(make: Make) -> None:
    loss = make()
    nodes = walked(loss.grad_fn)
    graph = capture({"loss": loss}, None)
    at = {node: number for number, node in enumerate(nodes)}
    expected = {
        (at[node], slot, at[source], output)
        for node in nodes
        for slot, (source, output) in enumerate(node.next_functions)
        if source is not None
    }
    assert set(graph.edges()) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25))
def test_random_graphs_are_walked_whole(pairs: list[tuple[int, int]]) -> None:
    values = [torch.tensor(float(at), requires_grad=True) for at in range(2)]
    for one, other in pairs:
        values.append(values[one % len(values)] * values[other % len(values)])
    nodes = walked(values[-1].grad_fn)
    graph = capture({"loss": values[-1]}, None)
    at = {node: number for number, node in enumerate(nodes)}
    assert graph.inputs == tuple(
        tuple(NONE if source is None else at[source] for source, _ in node.next_functions)
        for node in nodes
    )
    order = graph.order()
    place = {node: index for index, node in enumerate(order)}
    assert sorted(order) == list(range(len(graph)))
    assert all(place[edge.node] < place[edge.source] for edge in graph.edges())
    assert loads(dumps(graph)) == graph


def test_names_versions_and_modules_come_from_the_frame() -> None:
    D = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(D.parameters(), 0.1)
    img = torch.randn(2, 4)
    logit = D(img)
    loss = logit.mean()
    graph = capture({"loss": loss}, sys._getframe())
    names = {leaf.name: leaf for leaf in graph.leaves.values()}
    assert set(names) == {"D.0.weight", "D.0.bias", "D.2.weight", "D.2.bias"}
    assert {each.optimizers for each in names.values()} == {(0,)}
    assert [each.name for each in graph.optimizers] == ["optimizer"]
    last = graph.operations.index("AddmmBackward0")
    assert graph.variables[last] == "logit" and graph.shapes[last] == (2, 1)
    assert {each.tensor for each in graph.saved[last]} == {"D.2.weight", None}
    assert all(each.saved_version == each.version for each in graph.saved[last])
    assert [call.module for call in graph.calls if call.parent == NONE] == ["D"]
    del optimizer


def test_stale_and_freed_graphs_say_so() -> None:
    w = torch.ones(2, requires_grad=True)
    a = w * 2
    h = a.exp()
    loss = (h * h).sum()
    with torch.no_grad():
        h.add_(1)
    graph = capture({"loss": loss}, sys._getframe())
    states = {each.state for saved in graph.saved.values() for each in saved}
    assert "stale" in states
    stale = next(e for saved in graph.saved.values() for e in saved if e.state == "stale")
    assert (stale.tensor, stale.version) == ("h", 1)

    other = a.exp().sum()
    other.backward()
    freed = capture({"other": other}, None)
    assert {e.state for saved in freed.saved.values() for e in saved} == {"freed"}
    with pytest.raises(RuntimeError):
        # What torchviz does with a graph that a user wants to see.
        torchviz.make_dot(loss, show_saved=True)


def test_several_roots_share_what_they_share() -> None:
    w = torch.ones(2, requires_grad=True)
    shared = w.exp()
    one, other = shared.sum(), shared.mean()
    graph = capture({"one": one, "other": other}, None)
    assert Counter(graph.operations)["ExpBackward0"] == 1
    first, second = (graph.reached_by(root.node) for root in graph.roots)
    assert {graph.operations[node] for node in first & second} == {
        "ExpBackward0", "AccumulateGrad",
    }  # fmt: skip
    alone = under(graph, graph.roots[1:])
    assert set(alone.operations) == {"MeanBackward0", "ExpBackward0", "AccumulateGrad"}
    assert alone.operations[alone.roots[0].node] == "MeanBackward0"


def test_a_tensor_without_a_graph_is_an_empty_graph() -> None:
    graph = capture({"loss": torch.ones(())}, None)
    assert len(graph) == 0 and graph.roots[0].node == NONE


def test_a_session_gives_lines_calls_and_writers() -> None:
    D = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(D.parameters(), 0.1)
    with graphlab.watch():
        x = torch.randn(2, 4, requires_grad=True)
        one, other = D(x), D(x * 2)
        loss = (one * other).sum()
        loss.backward(retain_graph=True)
        optimizer.step()
        graph = graphlab.render(loss).graph
    tops = [call for call in graph.calls if call.parent == NONE]
    assert [(call.module, call.type, call.number) for call in tops] == [
        ("D", "Sequential", 1), ("D", "Sequential", 2),
    ]  # fmt: skip
    stale = [e for saved in graph.saved.values() for e in saved if e.state == "stale"]
    assert {each.tensor for each in stale} == {"D.0.weight", "D.2.weight"}
    assert {(each.by, each.at.code if each.at else "") for each in stale} == {
        ("optimizer.step()", "optimizer.step()")
    }
    assert all(each.saved_version == (each.version or 0) - 1 for each in stale)


def test_nothing_recurses() -> None:
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(5_000):
        y = y * 1.5
    before = sys.getrecursionlimit()
    graph = capture({"y": y}, None, details=False)
    assert len(graph) == 5_001 and sys.getrecursionlimit() == before
    assert gc.isenabled()


def test_collection_goes_on_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Capture, "add", lambda self, root: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        capture({"loss": mlp()}, None)
    assert gc.isenabled()


def test_what_is_read_is_as_frozen_as_what_is_constructed() -> None:
    graph = capture({"loss": mlp()}, sys._getframe())
    for each in (*(one for saved in graph.saved.values() for one in saved), *graph.leaves.values()):
        assert type(each)(*(getattr(each, field.name) for field in fields(each))) == each
        with pytest.raises(FrozenInstanceError):
            each.bytes = 0  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("make", [mlp, dcgan, transformer, lstm])
def test_the_quick_look_at_saved_tensors_sees_what_the_careful_one_does(make: Make) -> None:
    for node in walk([make().grad_fn]):
        found = fresh_slots(node)
        if found is not None:
            careful = [(slot.name, shape_of(slot.data), slot.stale) for slot in slots(node)]
            assert [(name, shape_of(data), False) for name, data in found] == careful


def test_the_quick_look_leaves_stale_freed_and_packed_tensors_to_the_careful_one() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    assert fresh_slots(y.grad_fn)
    y.detach().mul_(2)
    assert fresh_slots(y.grad_fn) is None and slots(y.grad_fn)[0].stale
    z = x.sin()
    z.sum().backward()
    assert fresh_slots(z.grad_fn) is None and slots(z.grad_fn)[0].data is None
    with torch.autograd.graph.saved_tensors_hooks(lambda each: each, lambda each: 1 / 0):
        packed = x.sin()
    assert fresh_slots(packed.grad_fn) is None and slots(packed.grad_fn) == []


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, 3)[:, 1:],
        nn.Parameter(torch.ones(4, dtype=torch.float64)),
        torch.ones(3).to_sparse(),
        torch.nested.nested_tensor([torch.ones(2)], layout=torch.strided),
        torch.nn.parameter.UninitializedParameter(),
    ],
    ids=["view", "parameter", "sparse", "nested", "lazy"],
)
def test_facts_are_those_of_the_single_readers(tensor: Any) -> None:
    single = (shape_of, dtype_of, bytes_of, storage_key, version_of)
    assert facts_of(tensor) == tuple(read(tensor) for read in single)
    with torch.inference_mode():
        inside = torch.ones(2)
    assert facts_of(inside) == tuple(read(inside) for read in single)


def test_the_graph_holds_no_tensor() -> None:
    taken = Capture()
    loss = mlp()
    taken.add(loss.grad_fn)
    graph: Graph = taken.graph(())
    assert loads(dumps(graph)) == graph


@pytest.mark.parametrize(
    "text", ["{}", "[]", "nonsense", '{"schema": "graphlab.trace/1"}',
             '{"schema": "graphlab.graph/1", "nodes": [{"operation": "A", "inputs": [7]}]}'],
)  # fmt: skip
def test_what_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)
