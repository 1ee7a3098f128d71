"""The digits, MNIST, and batches in an order that the seed fixes."""

from __future__ import annotations

import gzip
import hashlib
import runpy
import sys
import types
from pathlib import Path

import pytest
import torch

from graphlab import lab
from graphlab.lab import images as datasets
from tests.lab.asked import arguments, refused

ARCHS = ("mlp", "dcgan")
DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_the_digits_are_what_they_were() -> None:
    content = gzip.decompress(datasets.DIGITS.read_bytes())
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256


def test_the_digits_are_images_in_range_with_their_labels() -> None:
    images, labels = datasets.load("digits")
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == torch.float32
    assert (images.min().item(), images.max().item()) == (-1.0, 1.0)
    # The counts of the UCI test set, class by class.
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_digits_are_scikit_learns() -> None:
    pytest.importorskip("sklearn")
    script = Path(__file__).parents[2] / "tools" / "make_digits.py"
    assert runpy.run_path(str(script))["main"]([]) == 0


def test_the_digits_come_with_their_attribution() -> None:
    text = datasets.DIGITS.with_name("digits.txt").read_text()
    assert "CC BY 4.0" in text
    assert "Alpaydin" in text


# Batches


def test_every_image_comes_once_a_pass_and_the_last_batch_is_smaller() -> None:
    args = arguments()
    loader = lab.batches(args)
    passes = [list(loader) for _ in range(2)]
    whole, _ = datasets.load("digits")
    for batches in passes:
        sizes = [len(img) for img, _ in batches]
        assert len(loader) == len(batches) == 29
        assert sizes == [64] * 28 + [5]
        images = torch.cat([img for img, _ in batches])
        assert sorted(images.tolist()) == sorted(whole.flatten(1).tolist())
    assert not torch.equal(passes[0][0][0], passes[1][0][0])


def test_labels_stay_with_their_images() -> None:
    images, labels = datasets.load("digits")
    label_of = {tuple(i.tolist()): int(n) for i, n in zip(images.flatten(1), labels, strict=True)}
    for img, target in lab.batches(arguments("--steps", "3")):
        assert [label_of[tuple(i.tolist())] for i in img] == target.tolist()


@pytest.mark.parametrize("arch", ARCHS)
def test_the_losses_weights_add_up_on_the_last_batch(arch: str) -> None:
    args = arguments("--arch", arch, "--batch-size", "1796", "--device", "cpu")
    G, D = lab.networks(args)
    sizes = []
    for img, _ in lab.batches(args):
        B = 1 / (img.shape[0] * 2)
        gene_img = G(torch.randn(img.shape[0], args.n_latent))
        logits = torch.cat((D(img), D(gene_img)))
        assert len(logits) * B == 1
        sizes.append(img.shape[0])
    assert sizes == [1796, 1]


@pytest.mark.parametrize(
    ("steps", "lengths"),
    ((3, [3, 0, 0]), (29, [29, 0, 0]), (40, [29, 11, 0]), (1000, [29, 29, 29])),
)
def test_steps_count_over_all_passes(steps: int, lengths: list[int]) -> None:
    loader = lab.batches(arguments("--steps", str(steps)))
    for length in lengths:
        assert len(loader) == length
        seen = [len(loader) for _ in loader]
        # The length holds still while a pass runs.
        assert seen == [length] * length


def test_a_pass_cut_short_counts_what_it_gave() -> None:
    loader = lab.batches(arguments("--steps", "10"))
    for idx, _ in enumerate(loader):
        if idx == 3:
            break
    assert len(loader) == 6


def test_the_seed_fixes_everything() -> None:
    def state(seed: str) -> list[torch.Tensor]:
        args = arguments("--seed", seed, "--device", "cpu")
        G, D = lab.networks(args)
        img, _ = next(iter(lab.batches(args)))
        return [*G.parameters(), *D.parameters(), img, torch.randn(3)]

    first, again, other = state("3"), state("3"), state("4")
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))


def test_what_the_loop_draws_does_not_change_the_order() -> None:
    plain = [img for img, _ in lab.batches(arguments("--steps", "4"))]
    drawn = [(img, torch.randn(9))[0] for img, _ in lab.batches(arguments("--steps", "4"))]
    assert all(map(torch.equal, plain, drawn))


# MNIST


def torchvision(monkeypatch: pytest.MonkeyPatch, mnist: object) -> None:
    package = types.ModuleType("torchvision")
    inner = types.ModuleType("torchvision.datasets")
    vars(inner)["MNIST"] = mnist
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", inner)


def test_mnist_needs_a_root(capsys: pytest.CaptureFixture[str]) -> None:
    assert "where the files are" in refused(capsys, "--data", "mnist")


def test_mnist_needs_torchvision(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    args = arguments("--data", "mnist", "--data-root", "anywhere")
    with pytest.raises(lab.LabError, match="torchvision, which is not installed"):
        lab.batches(args)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_mnist_needs_a_torchvision_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torchvision").mkdir()
    broken = tmp_path / "torchvision" / "__init__.py"
    broken.write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.delitem(sys.modules, "torchvision.datasets", raising=False)
    args = arguments("--data", "mnist", "--data-root", "anywhere")
    with pytest.raises(lab.LabError, match="does not load: operator nms does not exist"):
        lab.batches(args)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_mnist_is_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(root: str, train: bool, download: bool) -> object:
        assert not download
        raise RuntimeError("Dataset not found. You can use download=True to download it")

    torchvision(monkeypatch, missing)
    args = arguments("--data", "mnist", "--data-root", str(tmp_path))
    with pytest.raises(lab.LabError) as caught:
        lab.batches(args)
    assert caught.value.message == f"no MNIST under {tmp_path}"
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("arch", ARCHS)
def test_mnist_has_the_shape_and_range_of_the_digits(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class MNIST:
        def __init__(self, root: str, train: bool, download: bool) -> None:
            assert (root, train, download) == (str(tmp_path), True, False)
            self.data = torch.arange(6 * 28 * 28).remainder(256).view(6, 28, 28).to(torch.uint8)
            self.targets = torch.arange(6)

    torchvision(monkeypatch, MNIST)
    args = arguments(
        "--data", "mnist", "--data-root", str(tmp_path), "--arch", arch, "--device", "cpu"
    )
    ((img, target),) = lab.batches(args)
    assert img.shape == ((6, 784) if arch == "mlp" else (6, 1, 28, 28))
    assert (img.min().item(), img.max().item()) == (-1.0, 1.0)
    assert sorted(target.tolist()) == list(range(6))
    G, D = lab.networks(args)
    assert G(torch.randn(6, args.n_latent)).shape == img.shape
    assert D(img).shape == (6, 1)
