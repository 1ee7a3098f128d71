"""tests/regression on the loops as printed: each test fails, and its message says what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "regression" / "test_softmaxgan.py"

# What each failure must say, besides PyTorch's own words where it raised.
SAYS = {
    "test_no_weight_is_written_before_the_backward_that_needs_it": (
        "error[GL001]: D.4.weight was saved for backward, then changed in place by",
        "needed here at version 1, but it is at 2",
        "help: Compute real_logit, gene_logit and Z_B again after optimizer_D.step():",
    ),
    "test_d_is_trained_on_a_detached_image": (
        "error[GL002]: ",
        "freed here by D_loss_.backward()",
    ),
    "test_z_b_is_computed_anew_with_the_logits": (
        "error[GL001]: ",
        "+ Z_B = torch.sum(torch.exp(-real_logit))",
    ),
    "test_no_graph_is_gone_through_twice": ("error[GL002]: ", ", iteration 1"),
    "test_g_gets_its_own_gradient_alone": (
        "AssertionError: optimizer_G applied the gradient of D_loss_, not of G_loss_ alone",
        "line 41 of joint.py, optimizer_G.step(): in 4 of 8 steps",
        "D_loss_.backward() in line 38 wrote gradients of 6 of D, 6 of G",
        "+ D_loss_.backward(retain_graph=True, inputs=list(D.parameters()))",
    ),
    "test_one_step_of_d_to_one_of_g_learns_digits": (
        "AssertionError: optimizer_G applied the gradient of D_loss_, not of G_loss_ alone",
        "of joint_one_to_one.py, optimizer_G.step(): in 8 of 8 steps",
        "warning[GL101]: optimizer_G applied",
    ),
    "test_a_fused_optimizer_changes_no_saved_weight_unseen": (
        "AssertionError: 1 problem was found",
        "warning[GL105]: ",
        "written here by optimizer_D.step()",
    ),
}


@pytest.fixture(scope="module")
def printed() -> str:
    """What pytest says to the printed loops."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", str(FILE), "-n0", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "GRAPHLAB_LOOPS": "printed", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert told.returncode == 1, told.stdout + told.stderr
    return told.stdout


def test_every_regression_test_is_held_to_its_loop() -> None:
    assert set(re.findall(r"^def (test_\w+)", FILE.read_text(encoding="utf-8"), re.M)) == {*SAYS}


@pytest.mark.parametrize("test", SAYS)
def test_it_fails_on_the_printed_loop_and_says_why(printed: str, test: str) -> None:
    found = re.search(rf"^_+ {test} _+$\n(.*?)^(?:_{{3,}} |={{3,}} )", printed, re.M | re.S)
    assert found is not None, printed
    # Lines are folded to the width, and those of a message begin with pytest's E.
    told = " ".join(re.sub(r"^E  ", "", line).strip() for line in found[1].splitlines())
    for words in SAYS[test]:
        assert words in told
