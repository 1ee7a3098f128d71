"""The corpus on a GPU, where torch runs the backward, and hooks in it, in a thread of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from tests.programs.truth import CORPUS, hold

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
# In these a hook, a checkpoint or a custom Function is told by what ran in the backward.
SCRIPTS = [
    "errors/layer_hook_adds_a_gradient", "errors/gradient_tap_gives_back_a_mean",
    "errors/checkpoint_then_eval", "errors/eikonal_custom_cube",
]  # fmt: skip


@pytest.fixture(autouse=True)
def on_the_gpu() -> Iterator[None]:
    torch.set_default_device("cuda")
    yield
    torch.set_default_device(None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="torch's threads are not followed there")
@pytest.mark.parametrize("name", SCRIPTS)
def test_what_ran_in_the_engines_thread_is_told(name: str) -> None:
    hold(CORPUS / f"{name}.py")
