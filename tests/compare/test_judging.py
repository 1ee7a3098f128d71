"""What is said of generated images, against images whose answer is known."""

from __future__ import annotations

import math
import runpy
import sys

import pytest
import torch

from graphlab import catalogue, lab
from graphlab.compare import judging, reference
from graphlab.compare.judging import judge
from graphlab.compare.onlooker import attended
from graphlab.compare.training import Training

REAL = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def test_real_images_are_their_own_nearest() -> None:
    found = judge(REAL, REAL)
    assert (found.samples, found.distinct, found.nearest) == (3, 3, 0.0)
    assert found.mean == pytest.approx(0.0)
    assert found.spread == pytest.approx(1.0)


def test_a_collapsed_generator_has_one_nearest() -> None:
    found = judge(torch.tensor([[0.8, 0.8]] * 5), REAL)
    assert found.distinct == 1
    assert found.nearest == pytest.approx(0.2)
    assert (found.mean, found.spread) == (pytest.approx(0.8), pytest.approx(0.0, abs=1e-6))


def test_nan_is_black() -> None:
    assert judge(torch.full((2, 2), math.nan), REAL).mean == -1.0


def test_looking_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images, real = torch.randn(40, 1, 8, 8), torch.randn(100, 1, 8, 8)
    whole = judge(images, real)
    monkeypatch.setattr(judging, "AT_ONCE", 7)
    parts = judge(images, real)
    assert parts.nearest == pytest.approx(whole.nearest)
    assert parts.distinct == whole.distinct


def test_the_yardstick_leaves_the_drawn_images_out() -> None:
    args = lab.arguments(argv=("--device", "cpu"))
    real = judging.real_images(args)
    found, drawn = judging.judge_real(real, 0)
    assert len(drawn) == found.samples == judging.SAMPLES
    assert found.nearest > 0.1
    assert judging.judge_real(real, 0)[0] == found != judging.judge_real(real, 1)[0]


def test_a_training_is_judged_by_its_last_weights() -> None:
    path = str(catalogue.scenario("detach").path)
    seen: list[int] = []
    training = Training(seen.append)
    kept = sys.argv
    sys.argv = [path, "--device", "cpu", "--n-epochs", "2", "--batch-size", "600"]
    try:
        with attended(training):
            names = runpy.run_path(path, run_name="__main__")
    finally:
        sys.argv = kept
    args, G, D = names["args"], names["G"], names["D"]
    assert seen == [1, 2, 3, 4, 5, 6]
    assert training.owners == ["D", "G"]
    state = torch.get_rng_state()
    losses = training.losses()
    found, images = training.judge()
    assert torch.equal(torch.get_rng_state(), state)
    assert [each.iterations for each in losses] == [0, 3, 6]
    assert images.shape == (judging.SAMPLES, 1, 8, 8)
    assert torch.equal(images, judging.sample(args, G))
    assert found == judge(images, judging.real_images(args))
    # The last losses, computed once more on what the documentation says they are computed on.
    generator = torch.Generator().manual_seed(args.seed)
    real = judging.real_images(args).flatten(1)
    order = torch.randperm(len(real), generator=generator)
    assert len(order) < 8 * 600
    latents = torch.randn(len(order), args.n_latent, generator=generator)
    expected = torch.zeros(2)
    with torch.no_grad():
        for at in range(0, len(order), 600):
            rows = order[at : at + 600]
            both = reference.losses(D(real[rows]), D(G(latents[at : at + 600])))
            expected += torch.stack(both) / 3
    assert [losses[-1].D_loss_, losses[-1].G_loss_] == pytest.approx(expected.tolist(), rel=1e-4)
