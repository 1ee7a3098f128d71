"""The scenarios under plain Python: what raises, where, and what passes silently and is wrong.

Each optimizer has one child process that runs every scenario as `python FILE` would, so that a
test run pays for three imports of torch and not for sixty.
"""

from __future__ import annotations

import ast
import difflib
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphlab import catalogue, lab

FOLDER = Path(__file__).parents[2] / "scenarios" / "softmaxgan"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py"))
# Those whose D learns too fast, by this line.
SURE = ("overflow", "overflow_masked", "logsumexp")
SURE_D = "optimizer_D = torch.optim.Adam(D.parameters(), lr=0.1, betas=(0.5, 0.999))"
ARCHS = ("mlp", "dcgan")
OPTIMIZERS = ("adam", "adam-fused", "sgd")

# What PyTorch says where it raises; the other codes are what it lets pass.
MESSAGES = {"GL001": "modified by an inplace operation", "GL002": "a second time"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    # On tensors this small a second thread only waits, and for long where cores are shared.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def source(name: str) -> str:
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def header(name: str) -> catalogue.Scenario:
    return catalogue.read(FOLDER / f"{name}.py")


# Runs scenarios one after another in one process and prints what became of each.
RUNNER = """
import json, runpy, sys, traceback

folder, optimizer, *runs = sys.argv[1:]
outcomes = {}
for run in runs:
    name, arch = run.split()
    file = f"{folder}/{name}.py"
    sys.argv = [file, "--steps", "3", "--device", "cpu", "--arch", arch, "--optimizer", optimizer]
    try:
        runpy.run_path(file, run_name="__main__")
        outcomes[run] = None
    except RuntimeError as error:
        frames = traceback.walk_tb(error.__traceback__)
        frame, line = next((f, n) for f, n in frames if f.f_code.co_filename == file)
        outcomes[run] = {
            "message": str(error),
            "line": line,
            "iteration": frame.f_globals["idx"],
        }
json.dump(outcomes, sys.stdout)
"""


@functools.cache
def outcomes(optimizer: str) -> dict[str, dict[str, Any] | None]:
    runs = [f"{name} {arch}" for name in NAMES for arch in ARCHS]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(FOLDER), optimizer, *runs],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_all_are_here() -> None:
    assert NAMES == [
        "detach",
        "detach_as_printed",
        "joint",
        "joint_as_printed",
        "joint_isolated",
        "joint_one_to_one",
        "logsumexp",
        "naive",
        "naive_fused",
        "overflow",
        "overflow_masked",
        "recompute",
        "recompute_as_printed",
    ]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", NAMES)
def test_plain_python_raises_what_the_header_says(name: str, arch: str, optimizer: str) -> None:
    expectation = header(name).expected(optimizer)
    assert expectation is not None
    outcome = outcomes(optimizer)[f"{name} {arch}"]
    if expectation.code not in MESSAGES:
        assert outcome is None
        return
    assert outcome is not None
    assert MESSAGES[expectation.code] in outcome["message"]
    assert source(name).splitlines()[outcome["line"] - 1].strip() == expectation.call
    assert outcome["iteration"] == (expectation.iteration or 0)


def test_a_scenario_runs_as_a_plain_script_and_fails_with_pytorchs_words() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "naive.py"), "--steps", "1", "--device", "cpu"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert MESSAGES["GL001"] in done.stderr.splitlines()[-1]


# The files


@pytest.mark.parametrize("name", NAMES)
def test_a_header_has_a_title_a_lesson_and_an_expectation(name: str) -> None:
    scenario = header(name)
    assert re.fullmatch(r"[A-Z].*: .+\.", scenario.title)
    assert scenario.lesson
    # A line that the grammar does not know would be read as part of the lesson.
    assert not re.search(r"^(expect|repaired)", scenario.lesson, re.MULTILINE)
    calls = {each.call for each in scenario.expectations.values() if each.code is not None}
    statements = {line.strip() for line in parts(name)[1].splitlines()}
    assert calls <= statements


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_scenario_names_clean_ones_that_repair_it(name: str) -> None:
    scenario = header(name)
    broken = any(each.code is not None for each in scenario.expectations.values())
    assert bool(scenario.repaired_by) is broken
    for repair in scenario.repaired_by:
        expectations = header(repair.replace("-", "_")).expectations
        assert [each.code for each in expectations.values()] == [None]


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_knows_nothing_of_the_observer(name: str) -> None:
    imports = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source(name)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imports == ["import torch", "from graphlab import lab"]


def parts(name: str) -> tuple[str, str, str]:
    """The lines before the training, the training, and the lines after it, without the header."""
    code = source(name).split('"""\n', 2)[1]
    first = "        gene_img = G(latent_z)\n"
    before, training = code.split(first)
    training, last, after = training.partition("\nlab.finish(args, G)\n")
    return before + first, training, last + after


@pytest.mark.parametrize("name", NAMES)
def test_scenarios_differ_in_the_training_alone(name: str) -> None:
    before, training, after = parts(name)
    naive_before, naive_training, naive_after = parts("naive")
    if name == "naive_fused":
        before = before.replace(', optimizer="adam-fused"', "")
        assert training == naive_training
    if name in SURE:
        before = before.replace(SURE_D, "optimizer_D = lab.optimizer(args, D)")
    assert before == naive_before
    assert after == naive_after


def changed(one: str, other: str) -> list[str]:
    """The lines that lead from one training part to the other, stripped."""
    lines = difflib.ndiff(parts(one)[1].splitlines(), parts(other)[1].splitlines())
    return [re.sub(r"^(.) +", r"\1 ", line) for line in lines if line[0] in "+-" and line[2:]]


@pytest.mark.parametrize(
    ("one", "other", "lines"),
    (
        (
            "naive",
            "recompute_as_printed",
            ["+ real_logit = D(img)", "+ gene_logit = D(gene_img)"],
        ),
        (
            "recompute_as_printed",
            "recompute",
            ["+ Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))"],
        ),
        (
            "recompute_as_printed",
            "detach_as_printed",
            ["- D_loss_.backward(retain_graph=True)", "+ D_loss_.backward()"],
        ),
        (
            "detach_as_printed",
            "detach",
            [
                "- gene_logit = D(gene_img)",
                "+ gene_logit = D(gene_img.detach())",
                "+ Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))",
            ],
        ),
        ("detach", "overflow", []),
        (
            "overflow",
            "overflow_masked",
            [
                "- Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))",
                "+ real_exp = torch.where(real_logit > -80, torch.exp(-real_logit), 0)",
                "+ gene_exp = torch.where(gene_logit > -80, torch.exp(-gene_logit), 0)",
                "+ Z_B = torch.sum(real_exp) + torch.sum(gene_exp)",
            ]
            * 2,
        ),
        ("joint_as_printed", "joint", ["- if idx % 1 == 0:", "+ else:"]),
        (
            "joint_one_to_one",
            "joint_isolated",
            [
                "- D_loss_.backward(retain_graph=True)",
                "- G_loss_.backward()",
                "+ D_loss_.backward(retain_graph=True, inputs=list(D.parameters()))",
                "+ G_loss_.backward(inputs=list(G.parameters()))",
            ],
        ),
    ),
)
def test_neighbours_differ_by_exactly_the_lines_that_matter(
    one: str, other: str, lines: list[str]
) -> None:
    assert sorted(changed(one, other)) == sorted(lines)


# The silent ones, measured


def flat(tensors: Iterator[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def applied(name: str, *argv: str) -> dict[str, Any]:
    """The globals of a scenario after a run, as `python FILE ARGV` leaves them."""
    before = sys.argv
    sys.argv = [name, "--device", "cpu", *argv]
    try:
        code = compile(source(name), name, "exec")
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(code, scope)
    finally:
        sys.argv = before
    return scope


def true_gradient(argv: list[str], *, step_d: bool) -> Tensor:
    """G_loss_'s gradient for G at the first iteration, from a graph nobody has written to.

    With `step_d` D makes its step first and G_loss_ is computed anew; without it, both losses
    come from the one forward pass.
    """
    args = lab.arguments(argv=["--device", "cpu", *argv])
    G, D = lab.networks(args)
    optimizer_D = lab.optimizer(args, D)
    img, _ = next(iter(lab.batches(args)))
    latent_z = torch.randn(img.shape[0], args.n_latent)

    def logits() -> tuple[Tensor, Tensor]:
        return D(img), D(G(latent_z))

    if step_d:
        real, gene = logits()
        loss = real.mean() + torch.cat((-real, -gene)).logsumexp(0)
        loss.sum().backward()
        optimizer_D.step()
    real, gene = logits()
    loss = torch.cat((real, gene)).mean() + torch.cat((-real, -gene)).logsumexp(0)
    return flat(torch.autograd.grad(loss.sum(), list(G.parameters())))


def compare(name: str, argv: list[str], *, step_d: bool) -> tuple[float, float]:
    """Relative error and cosine of the gradient that G's first step applied, to the true one."""
    scope = applied(name, *argv, "--steps", "1")
    got = flat(tuple(p.grad for p in scope["G"].parameters()))
    true = true_gradient(argv, step_d=step_d)
    error = (got - true).norm() / true.norm()
    return error.item(), torch.cosine_similarity(got, true, 0).item()


FUSED = ["--optimizer", "adam-fused", "--lr", "0.1"]


@pytest.mark.parametrize("name", ("naive", "naive_fused", "recompute_as_printed"))
def test_the_fused_optimizer_hides_a_wrong_gradient(name: str) -> None:
    error, _ = compare(name, FUSED, step_d=True)
    assert error > 0.1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ("detach", "recompute"))
def test_the_repaired_loops_apply_the_true_gradient(name: str, optimizer: str) -> None:
    error, _ = compare(name, ["--optimizer", optimizer, "--lr", "0.1"], step_d=True)
    assert error < 1e-3


def test_isolated_applies_the_true_gradient() -> None:
    error, _ = compare("joint_isolated", [], step_d=False)
    assert error < 1e-3


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "steps"), (("joint", "4"), ("joint_one_to_one", "2")))
def test_the_joint_loops_step_g_against_its_own_loss(
    name: str, steps: str, optimizer: str, arch: str
) -> None:
    # The run ends right after a step on both losses; the graph is gone, so G_loss_'s own part is
    # what remains of .grad when D_loss_'s is taken away, and both are found by running the last
    # iteration again from the state before it.
    argv = ["--optimizer", optimizer, "--arch", arch]
    last = applied(name, *argv, "--steps", steps)
    sofar = applied(name, *argv, "--steps", str(int(steps) - 1))
    G, D, img = sofar["G"], sofar["D"], last["img"]
    real, gene = D(img), D(G(last["latent_z"]))
    log_z = torch.cat((-real, -gene)).logsumexp(0).sum()
    parameters = list(G.parameters())
    from_d = flat(torch.autograd.grad(real.mean() + log_z, parameters, retain_graph=True))
    from_g = flat(torch.autograd.grad(torch.cat((real, gene)).mean() + log_z, parameters))
    total = flat(tuple(p.grad for p in last["G"].parameters()))
    assert torch.allclose(total, from_d + from_g, rtol=1e-3, atol=1e-5)
    assert torch.cosine_similarity(from_d, from_g, 0) < -0.9
    assert torch.cosine_similarity(total, from_g, 0) < -0.9
    assert from_d.norm() / (from_d.norm() + from_g.norm()) > 0.8
