"""The scenarios on a GPU: the same findings, names and lines as on the CPU, and nothing changed."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab import catalogue
from graphlab.commands.check import OPTIMIZERS
from graphlab.observe import program
from graphlab.rules.expected import mismatch
from graphlab.rules.registry import find
from graphlab.trace.sightings import NonFinite

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

NAMES = [each.name for each in catalogue.scenarios()]
NUMBERS = ("GL201", "GL202")
# What must not depend on the device: everything that a finding says but numbers.
PLACES = ("saved", "mutated", "freed", "failed", "cause")


def essence(finding: Any) -> dict[str, Any]:
    """A finding without measured numbers."""

    def place(each: Any) -> Any:
        return None if each is None else (each.at, each.what)

    def tensor(each: Any) -> Any:
        return None if each is None else (each.tensor, each.saved, each.current)

    return {
        "code": finding.code,
        "iteration": finding.iteration,
        "tensor": tensor(finding.tensor),
        **{name: place(getattr(finding, name)) for name in PLACES},
        "module": finding.saved.module if finding.saved is not None else None,
        "related": sorted(
            (each.tensor.tensor.name, each.saved.at.line, each.saved.what)
            for each in finding.related
        ),
        "help": finding.help,
    }


def ledger(trace: Any) -> list[Any]:
    def names(places: Any) -> list[str]:
        return sorted(trace.tensors[place].name for place in places)

    return [
        (each.name, each.class_name, each.steps, names(each.owns), names(each.touched),
         names(each.others_changed), each.untouched)
        for each in trace.optimizers
    ]  # fmt: skip


def from_the_second_run(name: str, words: Any, device: str, first: int | None) -> list[Any]:
    path = catalogue.scenario(name).path
    given = [*words, "--device", device, "--steps", "8"]
    with contextlib.redirect_stdout(io.StringIO()):
        ran = program.run(
            program.script(str(path)), given, name,
            started=lambda watch: watch.numbers.look_from(first or 0),
        )  # fmt: skip
    told = [each for each in find(ran.trace) if each.severity != "info"]
    assert all(each.code in NUMBERS for each in told)
    # Its values are the device's own, to rounding.
    return [(each.code, each.iteration, each.cause and each.cause.at, each.failed) for each in told]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_explained_as_on_the_cpu(observe: Any, name: str, optimizer: str) -> None:
    words = ("--optimizer", optimizer)
    cpu = observe(name, *words, "--device", "cpu")
    gpu = observe(name, *words, "--device", "cuda")
    assert gpu.trace.environment.device.startswith("cuda")
    expected = catalogue.scenario(name).expected(optimizer)
    assert expected is not None
    assert mismatch(expected, gpu.findings) is None
    assert gpu.exit_code == cpu.exit_code
    assert gpu.trace.outcome == cpu.trace.outcome
    # Which step was the worst is a matter of rounding; where a graph breaks is not.
    if expected.code == "GL101":
        found = [(f.code, f.failed, f.cause, f.help) for f in gpu.told]
        assert found == [(f.code, f.failed, f.cause, f.help) for f in cpu.told]
    elif expected.code in NUMBERS:
        # Read late: what the graph tells before its backward is told by a second run.
        told = [(each.code, each.failed) for each in gpu.told]
        assert told == [(each.code, each.failed) for each in cpu.told]
        (seen,) = (each for each in gpu.trace.sightings if isinstance(each, NonFinite))
        first = cpu.only.iteration
        assert first in (seen.iteration, seen.look_from)
        again = [from_the_second_run(name, words, device, first) for device in ("cpu", "cuda")]
        assert again[0] == again[1]
    else:
        assert [essence(each) for each in gpu.told] == [essence(each) for each in cpu.told]
    assert ledger(gpu.trace) == ledger(cpu.trace)


def test_auto_picks_the_gpu(observe: Any) -> None:
    ran = observe("detach", "--device", "auto", "--steps", "2")
    assert ran.exit_code == 0
    assert ran.trace.environment.device.startswith("cuda")


@pytest.mark.parametrize("call", ["adam", "adam-fused", "sgd"])
@pytest.mark.parametrize("arch", ["mlp", "dcgan"])
def test_watching_changes_no_bit_on_the_gpu(
    observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arch: str, call: str
) -> None:
    monkeypatch.chdir(tmp_path)
    # Kernels that add in any order differ from run to run, watched or not.
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    path = tmp_path / "detach.py"
    path.write_text(
        catalogue.scenario("detach").path.read_text(encoding="utf-8")
        + "\ntorch.save([*G.parameters(), *D.parameters(), torch.cuda.get_rng_state()], 'end.pt')\n"
    )
    words = ["--steps", "100", "--device", "cuda", "--arch", arch, "--optimizer", call]

    def end() -> list[torch.Tensor]:
        content = torch.load("end.pt", map_location="cpu")
        Path("end.pt").unlink()
        return content

    def plain() -> list[torch.Tensor]:
        monkeypatch.setattr(sys, "argv", [str(path), *words])
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(path), run_name="__main__")
        return end()

    first, second = plain(), plain()
    assert observe(path, *words).exit_code == 0
    watched = end()
    if not all(map(torch.equal, first, second)):
        pytest.skip("two unwatched runs already differ on this GPU")
    assert len(watched) == len(first)
    assert all(map(torch.equal, first, watched))


@pytest.mark.parametrize("foreach", [True, False])
def test_naive_raises_watched_what_it_raises_unwatched(foreach: bool) -> None:
    import graphlab

    def train() -> None:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)).cuda()
        optimizer = torch.optim.Adam(net.parameters(), foreach=foreach)
        loss = net(torch.ones(2, 4, device="cuda")).pow(2).sum()
        loss.backward(retain_graph=True)
        optimizer.step()
        loss.backward()

    with pytest.raises(RuntimeError) as plain:
        train()
    with pytest.raises(RuntimeError) as watched, graphlab.watch() as session:
        train()
    assert str(watched.value) == str(plain.value)
    assert session.trace.unseen == ()


def train(steps: int, optimizer: str = "Adam", **options: Any) -> None:
    net = torch.nn.Linear(512, 512).cuda()
    chosen = getattr(torch.optim, optimizer)(net.parameters(), **options)
    for _ in range(steps):
        chosen.zero_grad()
        loss = net(torch.ones(64, 512, device="cuda")).pow(2).sum()
        loss.backward()
        chosen.step()


def test_a_watch_keeps_next_to_no_memory_of_the_gpu() -> None:
    import gc

    import graphlab

    train(5)
    gc.collect()
    before = torch.cuda.memory_allocated()
    with graphlab.watch() as session:
        train(5)
        gc.collect()
        # A few numbers; a copy of the weights would be a thousand times that.
        assert torch.cuda.memory_allocated() - before < 2**15
    assert session.trace.optimizers[0].steps == 5


def test_a_settled_watch_does_not_wait_for_the_gpu() -> None:
    """Of the calls that torch itself can tell: it makes a warning of each."""
    import warnings

    import graphlab

    def waits(steps: int) -> int:
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught, graphlab.watch():
                warnings.simplefilter("always")
                train(steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(each.message) for each in caught)

    waits(10)
    # What a sampled look compares is read: in one of 61 iterations, and of 307 later.
    assert waits(700) - waits(100) < 60


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_graph_is_captured_as_without_a_watch(optimizer: str) -> None:
    import graphlab

    def losses(watched: bool) -> list[float]:
        torch.manual_seed(0)
        net = torch.nn.Linear(16, 1).cuda()
        options: dict[str, Any] = {"capturable": True} if optimizer == "Adam" else {}
        chosen = getattr(torch.optim, optimizer)(net.parameters(), lr=0.05, **options)
        x = torch.randn(32, 16, device="cuda")

        def iteration() -> torch.Tensor:
            chosen.zero_grad(set_to_none=True)
            loss = (net(x) - x[:, :1]).square().mean()
            loss.backward()
            chosen.step()
            return loss

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                iteration()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with graphlab.watch() if watched else contextlib.nullcontext() as session:
            with torch.cuda.graph(graph):
                loss = iteration()
            found = []
            for _ in range(10):
                graph.replay()
                found.append(loss.item())
        if watched:
            assert session is not None and session.trace.unseen == ()
            assert [each for each in find(session.trace) if each.severity != "info"] == []
        return found

    assert losses(watched=True) == losses(watched=False)
