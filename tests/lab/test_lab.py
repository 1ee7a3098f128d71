"""The lab: networks, optimizers, batches, samples, and what it says when it cannot go on."""

from __future__ import annotations

import gzip
import hashlib
import os
import runpy
import struct
import subprocess
import sys
import types
import zlib
from pathlib import Path

import pytest
import torch
from torch import nn

from graphlab import lab
from graphlab.lab import images as datasets
from graphlab.lab import samples
from graphlab.lab import samples as png_files

ARCHS = ("mlp", "dcgan")
DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def arguments(*argv: str, optimizer: str = "adam") -> lab.Arguments:
    return lab.arguments(optimizer=optimizer, argv=argv)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run `arguments(*argv)`, which must be refused in two lines; the first, without its label."""
    with pytest.raises(lab.LabError) as caught:
        arguments(*argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    error, help = err.splitlines()
    assert out == ""
    assert error == f"error: {caught.value.message}"
    assert help == f"help: {caught.value.help}"
    return caught.value.message


# The digits


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


# Networks and optimizers


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


# Samples


def read_png(content: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, channels and pixels, with every check sum checked."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    rest = content[8:]
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, body = rest[4:8], rest[8 : 8 + length]
        assert struct.unpack(">I", rest[8 + length : 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        rest = rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert depth == 8
    channels = {0: 1, 2: 3}[colour]
    lines = zlib.decompress(chunks[b"IDAT"])
    line = 1 + width * channels
    assert len(lines) == height * line
    assert set(lines[::line]) == {0}
    pixels = b"".join(lines[i + 1 : i + line] for i in range(0, len(lines), line))
    return width, height, channels, pixels


@pytest.mark.parametrize("channels", (1, 3))
def test_a_png_gives_back_its_pixels(channels: int) -> None:
    pixels = torch.arange(5 * 7 * channels).view(5, 7, channels).to(torch.uint8)
    content = png_files.png(pixels)
    assert read_png(content) == (7, 5, channels, bytes(range(5 * 7 * channels)))


def test_the_grid_puts_each_image_in_its_place() -> None:
    images = torch.full((100, 1, 8, 8), -1.0)
    images[23, 0, 5, 6] = 1.0
    pixels = samples.grid(images)
    assert pixels.shape == (342, 342, 1)
    white = (pixels[..., 0] == 255).nonzero()
    # Row 2 and column 3, 34 pixels a cell after a frame of 2, each pixel a square of 4.
    corner = torch.tensor([2 + 2 * 34 + 5 * 4, 2 + 3 * 34 + 6 * 4])
    assert white.min(0).values.tolist() == corner.tolist()
    assert white.max(0).values.tolist() == (corner + 3).tolist()
    assert len(white) == 16


def test_a_generator_that_diverged_still_gives_a_picture() -> None:
    pixels = samples.grid(torch.full((100, 1, 8, 8), torch.nan))
    assert set(pixels.unique().tolist()) == {0, 128}


@pytest.mark.parametrize("arch", ARCHS)
def test_finish_writes_what_g_makes_and_disturbs_nothing(arch: str, tmp_path: Path) -> None:
    file = tmp_path / "samples.png"
    args = arguments("--samples", str(file), "--arch", arch, "--device", "cpu")
    G, _ = lab.networks(args)
    before = {name: value.clone() for name, value in G.state_dict().items()}
    drawn = torch.get_rng_state()
    lab.finish(args, G)
    width, height, channels, pixels = read_png(file.read_bytes())
    assert (width, height, channels) == (342, 342, 1)
    assert len(set(pixels)) > 10
    assert list(tmp_path.iterdir()) == [file]
    assert G.training
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_finish_without_samples_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lab.finish(arguments(), nn.Identity())
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_an_existing_file_is_kept_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.png"
    file.write_text("mine")
    assert "exists" in refused(capsys, "--samples", str(file))
    assert file.read_text() == "mine"

    args = arguments("--samples", str(file), "--force", "--device", "cpu")
    lab.finish(args, lab.networks(args)[0])
    assert read_png(file.read_bytes())[0] == 342


def test_a_file_made_during_the_training_is_kept_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "late.png"
    args = arguments("--samples", str(file), "--device", "cpu")
    file.write_text("someone else's")
    with pytest.raises(lab.LabError, match="exists"):
        lab.finish(args, lab.networks(args)[0])
    assert file.read_text() == "someone else's"
    assert "error: " in capsys.readouterr().err


def test_samples_that_could_not_be_written_are_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.png").mkdir()
    assert "PNG" in refused(capsys, "--samples", str(tmp_path / "samples.jpg"))
    assert "is a folder" in refused(capsys, "--samples", str(tmp_path / "folder.png"))
    assert "no folder" in refused(capsys, "--samples", str(tmp_path / "none" / "samples.png"))


def test_a_folder_without_write_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written to" in refused(capsys, "--samples", str(tmp_path / "samples.png"))
    tmp_path.chmod(0o700)


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    file = tmp_path / "samples.png"
    args = arguments("--samples", str(file), "--device", "cpu")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(lab.LabError, match="No space left"):
        lab.finish(args, lab.networks(args)[0])
    assert list(tmp_path.iterdir()) == []
    assert len(capsys.readouterr().err.splitlines()) == 2


# Mistakes


@pytest.mark.parametrize(
    "argv",
    (
        ("--n-epochs", "0"),
        ("--batch-size", "-1"),
        ("--n-latent", "many"),
        ("--n-latent", str(2**31)),
        ("--steps", "1.5"),
        ("--lr", "0"),
        ("--lr", "nan"),
        ("--lr", "inf"),
        ("--lr", "fast"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--arch", "resnet"),
        ("--optimizer", "adamw"),
        ("--data", "cifar"),
        ("--device", "tpu"),
        ("--device", "cuda:x"),
        ("--step", "3"),
        ("left", "over"),
    ),
)
def test_a_wrong_argument_is_one_line_and_a_help(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert argv[-1] in refused(capsys, *argv) or argv[0] == "--step"


def test_a_gpu_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in refused(capsys, "--device", "cuda")
    assert "no CUDA device" in refused(capsys, "--device", "cuda:1")
    assert arguments("--device", "auto").device == torch.device("cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "no such GPU" in refused(capsys, "--device", "cuda:2")
    assert arguments("--device", "cuda:1").device == torch.device("cuda:1")
    assert arguments("--device", "auto").device == torch.device("cuda")


def test_a_lab_error_ends_a_plain_script_with_two_lines_and_2() -> None:
    script = "from graphlab import lab; lab.arguments(argv=['--lr', '-1'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    error, help = done.stderr.splitlines()
    assert error.startswith("error: argument --lr")
    assert help.startswith("help: ")


def test_a_message_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lab.LabError("two\nlines", "and\nthree\nmore")
    assert capsys.readouterr().err == "error: two lines\nhelp: and three more\n"


def test_help_shows_the_scenario_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        lab.arguments("The lesson, 95 % of it.", argv=["--help"])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert "The lesson, 95 % of it." in out
    assert "--n-epochs" in out
    assert err == ""


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
