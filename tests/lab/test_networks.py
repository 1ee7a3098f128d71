"""Networks and optimizers of a scenario."""

from __future__ import annotations

import pytest
import torch

from graphlab import lab
from tests.lab.asked import arguments

ARCHS = ("mlp", "dcgan")


def test_the_mlp_has_three_linear_layers_each_and_flat_images() -> None:
    args = arguments("--device", "cpu", "--n-latent", "7")
    G, D = lab.networks(args)
    for net in (G, D):
        assert [name for name, _ in net.named_parameters()] == [
            f"{index}.{kind}" for index in (0, 2, 4) for kind in ("weight", "bias")
        ]
    images = G(torch.randn(5, 7))
    assert images.shape == (5, 64)
    assert images.abs().max() <= 1
    assert D(images).shape == (5, 1)
    assert D[4].weight.shape == (1, 64)


@pytest.mark.parametrize("build", (lab.mlp, lab.dcgan))
@pytest.mark.parametrize(("channels", "size"), ((1, 8), (3, 8), (1, 28), (3, 32)))
def test_networks_fit_any_image(build: object, channels: int, size: int) -> None:
    assert callable(build)
    G, D = build(11, channels, size)
    images = G(torch.randn(3, 11))
    assert images.numel() == 3 * channels * size * size
    assert D(images).shape == (3, 1)


def test_dcgan_refuses_a_size_it_cannot_halve_twice() -> None:
    with pytest.raises(ValueError, match="multiple of 4, got 10"):
        lab.dcgan(8, 1, 10)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_batch_fits_the_networks(arch: str) -> None:
    args = arguments("--arch", arch, "--device", "cpu")
    G, D = lab.networks(args)
    img, target = next(iter(lab.batches(args)))
    gene_img = G(torch.randn(len(img), args.n_latent))
    assert img.shape == gene_img.shape
    assert D(img).shape == D(gene_img).shape == (64, 1)
    assert target.shape == (64,)


@pytest.mark.parametrize(
    ("name", "kind", "fused"),
    (
        ("adam", torch.optim.Adam, None),
        ("adam-fused", torch.optim.Adam, True),
        ("sgd", torch.optim.SGD, None),
    ),
)
def test_optimizers(name: str, kind: type[torch.optim.Optimizer], fused: bool | None) -> None:
    args = arguments("--optimizer", name, "--lr", "0.25", "--device", "cpu")
    G, _ = lab.networks(args)
    built = lab.optimizer(args, G)
    (group,) = built.param_groups
    assert type(built) is kind
    assert group["fused"] is fused
    assert group["lr"] == 0.25
    assert group.get("betas", (0.5, 0.999)) == (0.5, 0.999)
    assert {id(p) for p in group["params"]} == {id(p) for p in G.parameters()}


def test_the_scenario_chooses_the_optimizer_and_the_user_overrules_it() -> None:
    assert arguments(optimizer="adam-fused").optimizer == "adam-fused"
    assert arguments("--optimizer", "sgd", optimizer="adam-fused").optimizer == "sgd"


def test_sgd_has_a_learning_rate_of_its_own() -> None:
    assert arguments("--optimizer", "sgd").lr > arguments("--optimizer", "adam").lr
