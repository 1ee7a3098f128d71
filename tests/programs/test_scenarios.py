"""The scenarios under observation: each finds what its header says, in the right places."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab import catalogue
from graphlab.commands.check import OPTIMIZERS, check
from graphlab.rules.expected import mismatch

NAMES = [each.name for each in catalogue.scenarios()]
# Those whose G_loss_ goes through weights that have been written since.
STALE = ("naive", "recompute-as-printed", "naive-fused")


def test_there_are_thirteen_of_one_process_and_two_of_several() -> None:
    assert sorted(each.ranks for each in catalogue.scenarios()) == [1] * 13 + [2] * 2


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_meets_its_header(observe: Any, name: str, optimizer: str) -> None:
    ran = observe(name, "--optimizer", optimizer)
    expected = catalogue.scenario(name).expected(optimizer)
    assert expected is not None
    assert mismatch(expected, ran.findings) is None
    raises = expected.code is not None and expected.code < "GL100"
    assert ran.exit_code == (1 if raises else 0), ran.err
    assert ran.trace.outcome == ("raised" if raises else "completed")


def test_check_says_so_for_every_optimizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(["naive"], ["--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[:-1]] == [
        ["✓", "naive", "adam", "GL001"],
        ["✓", "naive", "adam-fused", "GL105"],
        ["✓", "naive", "sgd", "GL001"],
    ]
    assert lines[-1] == "3 of 3 met their expectation"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("expect: clean", "expected clean, found GL001 at loss.backward()"),
        ("expect: GL002 at `loss.backward()`", "expected GL002 at loss.backward()"),
        ("expect: GL001 at `other.backward()`", "expected GL001 at other.backward()"),
        ("expect: GL001 at `loss.backward()` in iteration 3", "in iteration 3, found GL001"),
    ],
)
def test_check_fails_a_file_that_does_not_keep_its_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, said: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f'"""Title.\n\n{header}\n"""\nimport torch\n'
        "w = torch.ones(2, requires_grad=True)\nloss = (w * w).exp().sum()\n"
        "with torch.no_grad():\n    w.mul_(2)\nloss.backward()\n"
    )
    assert check([str(script)], []) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert said in out
    assert "✗ script" in out
    assert "0 of 1 met their expectation" in out


def test_check_fails_a_clean_file_that_dies_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.py"
    script.write_text('"""Title.\n\nexpect: clean\n"""\nraise ValueError("no such luck")\n')
    assert check([str(script)], []) == 1
    assert "ValueError: no such luck" in " ".join(capsys.readouterr().out.split())


# Which tensors are stale, told by another way than the observer's


class Pack:
    """What a node saved: a copy of its value then, its storage, and the scenario's line."""

    def __init__(self, tensor: torch.Tensor, line: int) -> None:
        self.tensor = tensor
        self.value = tensor.detach().clone()
        self.line = line


def packs_until(path: Path, optimizer: str, stop: str) -> tuple[list[Pack], dict[str, Any]]:
    """Run a scenario's text up to the last line `stop` under plain torch, in its first iteration.

    Returns every tensor saved on the way, in order, and the scenario's variables.
    """
    source = path.read_text(encoding="utf-8")
    indent = " " * 8
    head, _, _ = source.rpartition(f"{indent}{stop}\n")
    code = compile(head + f"{indent}raise StopIteration\n", str(path), "exec")
    packs: list[Pack] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code is not code:
            frame = frame.f_back
        assert frame is not None
        packs.append(Pack(tensor, frame.f_lineno))
        return tensor

    space: dict[str, Any] = {"__name__": "__main__"}
    words, sys.argv = sys.argv, [str(path), "--optimizer", optimizer, "--device", "cpu"]
    try:
        with (
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
            pytest.raises(StopIteration),
        ):
            exec(code, space)
    finally:
        sys.argv = words
    return packs, space


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", STALE)
def test_the_stale_tensors_are_all_named_and_no_other(
    observe: Any, name: str, optimizer: str
) -> None:
    path = catalogue.scenario(name).path
    packs, space = packs_until(path, optimizer, "G_loss_.backward()")
    names = {
        parameter.untyped_storage().data_ptr(): f"{net}.{key}"
        for net in "DG"
        for key, parameter in space[net].named_parameters()
    }
    stale = [
        (names[each.tensor.untyped_storage().data_ptr()], each.line)
        for each in packs
        if not torch.equal(each.tensor, each.value)
    ]
    # The reference must have something to say: weights of D, and nothing of G.
    assert {name.split(".")[0] for name, _ in stale} == {"D"}
    assert all(name.endswith(".weight") for name, _ in stale)

    finding = observe(name, "--optimizer", optimizer).only
    told = [finding.tensor, *(each.tensor for each in finding.related)]
    places = [finding.saved, *(each.saved for each in finding.related)]
    pairs = [(t.tensor.name, p.at.line) for t, p in zip(told, places, strict=True)]
    assert sorted(pairs) == sorted(stale)
    # Backward meets the node that was made last first.
    assert pairs[0] == stale[-1]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_naive_says_what_was_saved_where_written_where_and_needed_where(
    observe: Any, line_in: Callable[..., int], optimizer: str
) -> None:
    path = catalogue.scenario("naive").path
    finding = observe("naive", "--optimizer", optimizer).only
    assert (finding.code, finding.name) == ("GL001", "stale-saved-tensor")
    assert (finding.severity, finding.iteration) == ("error", 0)
    saved, mutated, failed = finding.saved, finding.mutated, finding.failed
    assert saved.at.line == line_in(path, "gene_logit = D(gene_img)")
    assert mutated.at.line == line_in(path, "optimizer_D.step()")
    assert failed.at.line == line_in(path, "G_loss_.backward()")
    assert (saved.what, saved.module) == ("AddmmBackward0", "D.4")
    assert mutated.what == "optimizer_D.step()"
    assert failed.what == "G_loss_.backward()"
    assert {Path(place.at.file) for place in (saved, mutated, failed)} == {path}
    lines = path.read_text(encoding="utf-8").splitlines()
    for place, text in (
        (saved, "D(gene_img)"),
        (mutated, "optimizer_D.step()"),
        (failed, "G_loss_.backward()"),
    ):
        at = place.at
        assert lines[at.line - 1][at.column - 1 : at.end_column - 1] == text
        assert at.code == lines[at.line - 1].strip()
        assert at.function == "<module>"
    tensor = finding.tensor.tensor
    assert (tensor.name, tensor.kind, tensor.dtype) == ("D.4.weight", "parameter", "float32")
    assert tensor.shape == (1, 64)
    versions = [finding.tensor, *(each.tensor for each in finding.related)]
    assert {(each.saved, each.current) for each in versions} == {(1, 2)}
    real = line_in(path, "real_logit = D(img)")
    assert {each.saved.at.line for each in finding.related} == {saved.at.line, real}
    assert {each.mutated for each in finding.related} == {mutated}


def test_naive_with_a_fused_optimizer_is_seen_though_no_version_moved(
    observe: Any, line_in: Callable[..., int]
) -> None:
    path = catalogue.scenario("naive-fused").path
    ran = observe("naive-fused")
    finding = ran.only
    assert (finding.code, finding.severity, finding.iteration) == ("GL105", "warning", 0)
    assert finding.saved.at.line == line_in(path, "gene_logit = D(gene_img)")
    assert finding.mutated.at.line == line_in(path, "optimizer_D.step()")
    assert finding.failed.at.line == line_in(path, "G_loss_.backward()")
    assert finding.tensor.saved == finding.tensor.current
    # Told once for the line, though every iteration does it again.
    assert ran.trace.iterations == 8


def test_detach_as_printed_says_what_freed_the_graph(
    observe: Any, line_in: Callable[..., int]
) -> None:
    path = catalogue.scenario("detach-as-printed").path
    finding = observe("detach-as-printed").only
    assert (finding.code, finding.iteration) == ("GL002", 0)
    assert finding.freed.what == "D_loss_.backward()"
    assert finding.freed.at.line == line_in(path, "D_loss_.backward()")
    assert finding.failed.at.line == line_in(path, "G_loss_.backward()")
    text = path.read_text(encoding="utf-8").splitlines()[finding.saved.at.line - 1]
    # The engine goes back from the latest node: the old Z_B is the first freed thing it meets.
    assert text.strip().startswith("Z_B = ")
    assert finding.tensor is None
    assert finding.mutated is None


def test_joint_as_printed_fails_at_the_second_backward_of_iteration_1(
    observe: Any, line_in: Callable[..., int]
) -> None:
    path = catalogue.scenario("joint-as-printed").path
    finding = observe("joint-as-printed").only
    lines = path.read_text(encoding="utf-8").splitlines()
    backwards = [n for n, line in enumerate(lines, 1) if line.strip() == "G_loss_.backward()"]
    assert len(backwards) == 2
    assert (finding.code, finding.iteration) == ("GL002", 1)
    assert [finding.freed.at.line, finding.failed.at.line] == backwards


@pytest.mark.parametrize("name", ["joint", "joint-one-to-one"])
def test_joint_says_whose_gradient_the_step_applied(
    observe: Any, line_in: Callable[..., int], name: str
) -> None:
    path = catalogue.scenario(name).path
    finding = observe(name).only
    assert (finding.code, finding.severity) == ("GL101", "warning")
    assert finding.failed.what == "optimizer_G.step()"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[finding.failed.at.line - 1].strip() == "optimizer_G.step()"
    assert finding.cause.what == "D_loss_.backward()"
    assert finding.cause.at.line == line_in(path, "D_loss_.backward(retain_graph=True)")
    # Of the two places that step G, the one that mixes is the one in D's branch.
    assert finding.failed.at.line > finding.cause.at.line
    assert finding.failed.at.line - finding.cause.at.line <= 3


def test_the_convolutional_networks_are_explained_alike(observe: Any) -> None:
    finding = observe("naive", "--arch", "dcgan").only
    assert finding.code == "GL001"
    assert (finding.tensor.tensor.name, finding.saved.what) == (
        "D.4.weight",
        "ConvolutionBackward0",
    )
    assert finding.tensor.tensor.shape == (1, 64, 2, 2)
    assert {each.tensor.tensor.name.split(".")[0] for each in finding.related} == {"D"}
