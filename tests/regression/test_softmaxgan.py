"""The post's bugs, each held off by a test as anyone would write it for a loop of their own.

Every test plays the repaired loop. With GRAPHLAB_LOOPS=printed in the environment it plays the
loop as the post printed it, and must fail: tests/cli/test_regressions.py sees to that.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any

import pytest

import graphlab
from graphlab.catalogue import scenario


def play(printed: str, repaired: str, *arguments: str) -> dict[str, Any]:
    """Run a scenario's file as a script of its own, and give back its variables."""
    name = printed if os.environ.get("GRAPHLAB_LOOPS") == "printed" else repaired
    path = str(scenario(name).path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [path, "--steps", "8", "--device", "cpu", *arguments])
        return runpy.run_path(path)


def test_no_weight_is_written_before_the_backward_that_needs_it(
    graphlab_watch: graphlab.Session,
) -> None:
    loop = play("naive", "recompute")
    graphlab_watch.assert_clean()
    graphlab_watch.assert_touches(loop["optimizer_D"], loop["D"])
    graphlab_watch.assert_touches_only(loop["optimizer_D"], loop["D"])
    graphlab_watch.assert_touches(loop["optimizer_G"], loop["G"])
    graphlab_watch.assert_touches_only(loop["optimizer_G"], loop["G"])


def test_d_is_trained_on_a_detached_image(graphlab_watch: graphlab.Session) -> None:
    loop = play("detach-as-printed", "detach")
    graphlab_watch.assert_not_reaches(loop["D_loss_"], loop["G"])
    graphlab_watch.assert_reaches(loop["G_loss_"], loop["G"])
    graphlab_watch.assert_isolated(loop["optimizer_D"], loop["D_loss_"])
    graphlab_watch.assert_isolated(loop["optimizer_G"], loop["G_loss_"])


@pytest.mark.graphlab
def test_z_b_is_computed_anew_with_the_logits() -> None:
    play("recompute-as-printed", "recompute")


@pytest.mark.graphlab
def test_no_graph_is_gone_through_twice() -> None:
    play("joint-as-printed", "joint-isolated")


def test_g_gets_its_own_gradient_alone(graphlab_watch: graphlab.Session) -> None:
    loop = play("joint", "joint-isolated")
    graphlab_watch.assert_isolated(loop["optimizer_G"], loop["G_loss_"])


def test_one_step_of_d_to_one_of_g_learns_digits(graphlab_watch: graphlab.Session) -> None:
    """The post's "only black images"."""
    loop = play("joint-one-to-one", "joint-isolated")
    graphlab_watch.assert_isolated(loop["optimizer_G"], loop["G_loss_"])
    graphlab_watch.assert_isolated(loop["optimizer_D"], loop["D_loss_"])
    graphlab_watch.assert_graph_constant()


def test_a_fused_optimizer_changes_no_saved_weight_unseen(
    graphlab_watch: graphlab.Session,
) -> None:
    play("naive-fused", "recompute", "--optimizer", "adam-fused")
    graphlab_watch.assert_clean()
