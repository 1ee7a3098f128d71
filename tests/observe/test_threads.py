"""Loops that are trained in other threads are followed as those of the first one are."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

import graphlab


def made() -> tuple[nn.Module, torch.optim.Optimizer]:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


def right(steps: int) -> None:
    net, optimizer = made()
    for _ in range(steps):
        loss = net(torch.randn(5, 3)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def wrong(steps: int) -> None:
    net, optimizer = made()
    for _ in range(steps):
        out = net(torch.randn(5, 3))
        first, second = out.mean(), out.pow(2).mean()
        optimizer.zero_grad()
        first.backward(retain_graph=True)
        optimizer.step()
        second.backward()


def in_a_thread(work: Callable[[int], None], steps: int) -> None:
    def run() -> None:
        # What would be printed is not what is tested.
        with contextlib.suppress(RuntimeError):
            work(steps)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def in_a_pool(work: Callable[[int], None], steps: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, steps).exception()


def in_an_executor(work: Callable[[int], None], steps: int) -> None:
    import asyncio

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(loop.run_in_executor(None, work, steps), return_exceptions=True)

    # In a thread of its own: a browser's driver may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, main()).result()


WAYS = [in_a_thread, in_a_pool, in_an_executor]


def line_of(text: str) -> int:
    with open(__file__) as file:
        return next(at for at, line in enumerate(file, 1) if line.strip() == text)


@pytest.mark.parametrize("way", WAYS, ids=lambda each: each.__name__)
def test_an_error_is_explained_as_in_the_first_thread(way: Any) -> None:
    with graphlab.watch() as session:
        way(wrong, 3)
    (finding,) = (each for each in session.findings if each.code == "GL001")
    assert finding.tensor is not None and finding.tensor.tensor.name == "net.2.weight"
    assert finding.failed is not None and finding.failed.at is not None
    assert finding.failed.at.line == line_of("second.backward()")
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.code == "optimizer.step()"
    assert finding.mutated.at.function == "wrong"
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.line == line_of("out = net(torch.randn(5, 3))")


@pytest.mark.parametrize("way", WAYS, ids=lambda each: each.__name__)
def test_a_right_loop_is_observed(way: Any) -> None:
    with graphlab.watch() as session:
        way(right, 8)
    assert session.findings == []
    assert session.trace.unseen == ()
    (optimizer,) = session.trace.optimizers
    assert optimizer.steps == 8 and len(optimizer.touched) == 4
    assert session.trace.iterations == 8


def test_two_trainings_at_once() -> None:
    threads = [threading.Thread(target=right, args=(60,)) for _ in range(2)]
    with graphlab.watch() as session:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert session.findings == []
    assert [each.steps for each in session.trace.optimizers] == [60, 60]
    for optimizer in session.trace.optimizers:
        assert set(optimizer.touched) == set(optimizer.owns)
    assert session.trace.iterations == 60


def test_a_backward_in_another_thread_than_its_forward() -> None:
    """Each thread counts its nodes by itself."""
    net, optimizer = made()

    def forward() -> torch.Tensor:
        return net(torch.randn(5, 3)).pow(2).mean()

    with graphlab.watch() as session, ThreadPoolExecutor(1) as pool:
        loss = pool.submit(forward).result()
        loss.backward(retain_graph=True)
        optimizer.step()
        with pytest.raises(RuntimeError):
            loss.backward()
    (finding,) = (each for each in session.findings if each.code == "GL001")
    assert finding.tensor is not None and finding.tensor.tensor.name == "net.2.weight"
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.function.endswith("forward")
    assert finding.mutated is not None and finding.mutated.at is not None


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring sees every thread")
def test_a_thread_that_had_begun_before_is_named() -> None:
    """`threading.settrace` reaches new threads alone."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        right(2)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    with graphlab.watch() as session:
        go.set()
        done.wait()
    thread.join()
    assert any("not followed" in each or "cannot be" in each for each in session.trace.unseen)


def test_a_thread_that_outlives_the_session_is_left_alone() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()
        right(2)

    thread = threading.Thread(target=work)
    with graphlab.watch():
        thread.start()
        begun.wait()
    go.set()
    thread.join()
    assert not thread.is_alive()


def test_a_write_before_a_second_thread_came_was_before_the_forward() -> None:
    def batch(found: list[torch.Tensor]) -> None:
        found.append(torch.randn(5, 3))

    with graphlab.watch() as session:
        for _ in range(2):
            # `.to` writes `.data` of each parameter, which no version counter shows.
            net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to("cpu")
            for _ in range(3):
                found: list[torch.Tensor] = []
                loader = threading.Thread(target=batch, args=(found,))
                loader.start()
                loader.join()
                net(found[0]).sum().backward()
    assert session.findings == []


class Waiting(torch.optim.SGD):
    """Whose step waits for another thread's work."""

    def __init__(self, parameters: Any, asked: threading.Event, done: threading.Event) -> None:
        super().__init__(parameters, lr=0.1)
        self.asked, self.done = asked, done

    def step(self, closure: Any = None) -> Any:
        self.asked.set()
        assert self.done.wait(10)
        return super().step(closure)


def test_what_another_thread_writes_while_a_step_runs_is_noted() -> None:
    net = nn.Linear(3, 1)
    scale = torch.ones(5, 1)
    asked, done = threading.Event(), threading.Event()

    def rescale() -> None:
        assert asked.wait(10)
        scale.mul_(2)
        done.set()

    with graphlab.watch() as session, contextlib.suppress(RuntimeError):
        helper = threading.Thread(target=rescale)
        helper.start()
        optimizer = Waiting(net.parameters(), asked, done)
        late = (net(torch.randn(5, 3)) * scale).sum()
        net(torch.randn(5, 3)).pow(2).mean().backward()
        optimizer.step()
        helper.join()
        late.backward()
    (finding,) = [each for each in session.findings if each.code == "GL001"]
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.line == line_of("scale.mul_(2)")


def spoiled(steps: int, how: str = "") -> None:
    """A training that ends at its last step, in one of several ways."""
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
    for step in range(steps):
        hidden = encoder(torch.randn(5, 3)).exp()
        loss = head(hidden).pow(2).mean()
        if step == steps - 1 and how == "written":
            hidden.add_(1)
        if step == steps - 1 and how == "hook":
            hidden.register_hook(lambda grad: grad.no_such_attribute)
        optimizer.zero_grad()
        loss.backward()
        if step == steps - 1 and how == "freed":
            loss.backward()
        optimizer.step()


@pytest.mark.parametrize("how, code", [("written", "GL001"), ("freed", "GL002"), ("hook", "")])
@pytest.mark.parametrize("steps", [3, 40])
def test_an_error_in_one_of_two_trainings_at_once(how: str, code: str, steps: int) -> None:
    """Their nodes have the same numbers, and the failing backward has freed some as it ran."""
    # Without the barrier a pool gives the second training to the thread whose first has ended.
    both = threading.Barrier(2)

    def at_once(*of_spoiled: Any) -> None:
        both.wait(10)
        spoiled(*of_spoiled)

    with graphlab.watch() as session, ThreadPoolExecutor(2) as pool:
        right_one = pool.submit(at_once, steps)
        wrong_one = pool.submit(at_once, steps, how)
        assert right_one.exception() is None
        assert wrong_one.exception() is not None
    found = [each for each in session.findings if each.code in ("GL001", "GL002")]
    assert [each.code for each in found] == [code] * bool(code)
    if how == "written":
        assert found[0].mutated is not None and found[0].mutated.at is not None
        assert found[0].mutated.at.line == line_of("hidden.add_(1)")
    if how == "freed":
        assert found[0].iteration == steps - 1


def test_what_a_backward_in_another_thread_needs_was_written() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with graphlab.watch() as session, ThreadPoolExecutor(1) as pool:
        for step in range(30):
            hidden = net[:2](torch.randn(5, 3))
            loss = net[2](hidden).pow(2).mean()
            if step == 29:
                hidden.mul_(2)
            optimizer.zero_grad()
            failed = pool.submit(loss.backward).exception() is not None
            assert failed == (step == 29)
            optimizer.step()
    (finding,) = [each for each in session.findings if each.code in ("GL001", "GL002")]
    assert finding.code == "GL001"
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.line == line_of("hidden.mul_(2)")
