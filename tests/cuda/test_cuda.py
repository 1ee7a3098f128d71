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
from graphlab.rules.expected import mismatch

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

NAMES = [each.name for each in catalogue.scenarios()]
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


def test_a_watch_keeps_no_memory_of_the_gpu(observe: Any) -> None:
    import gc

    import graphlab

    def train() -> None:
        net = torch.nn.Linear(512, 512).cuda()
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            loss = net(torch.ones(64, 512, device="cuda")).pow(2).sum()
            loss.backward()
            optimizer.step()

    train()
    gc.collect()
    before = torch.cuda.memory_allocated()
    with graphlab.watch() as session:
        train()
        gc.collect()
        assert torch.cuda.memory_allocated() == before
    assert session.trace.optimizers[0].steps == 5
