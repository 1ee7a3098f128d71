"""The command line of the scenarios, and the error that it raises."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch


class LabError(SystemExit):
    """A mistake of the user's: two lines on stderr, exit code 2, no traceback.

    `message` says what is wrong and `help` what to do; line breaks in either become spaces, so
    that each stays one line.
    """

    def __init__(self, message: str, help: str) -> None:
        super().__init__(2)
        self.message = " ".join(message.splitlines())
        self.help = " ".join(help.splitlines())
        # Python prints nothing for an exit code that is a number, and a runner that passes
        # SystemExit through prints nothing either, so the lines are written here.
        print(f"error: {self.message}\nhelp: {self.help}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return self.message


# Each shows digits within the default number of epochs (docs/lab.md).
LEARNING_RATES = {"adam": 1e-3, "adam-fused": 1e-3, "sgd": 0.1}


@dataclass(frozen=True, slots=True)
class Arguments:
    """A scenario's arguments, checked. `steps` is None where every epoch runs to its end."""

    n_epochs: int
    batch_size: int
    n_latent: int
    lr: float
    seed: int
    device: torch.device
    steps: int | None
    arch: str
    optimizer: str
    data: str
    data_root: Path | None
    samples: Path | None
    force: bool


def arguments(
    description: str | None = None,
    *,
    optimizer: str = "adam",
    argv: Sequence[str] | None = None,
) -> Arguments:
    """Read a scenario's command line and seed PyTorch with `--seed`.

    `description` heads the text of `--help`, `optimizer` is the default of `--optimizer`, and
    `argv` stands in for `sys.argv[1:]`. Raises LabError on a wrong argument, on a CUDA device
    that is not there and on a `--samples` file that could not be written at the end.
    """
    parser = _parser(description, optimizer)
    if argv is not None:
        # Whoever passes them is no script that could be asked for its arguments.
        parser.prog = "graphlab run naive --"
    options = parser.parse_args(argv)
    if options.lr is None:
        options.lr = LEARNING_RATES[options.optimizer]
    options.device = _device(options.device)
    if options.data == "mnist" and options.data_root is None:
        raise LabError("--data mnist needs to know where the files are", "add --data-root DIR")
    if options.samples is not None:
        # Checked before the training, not after it.
        check_target(options.samples, options.force)
    torch.manual_seed(options.seed)
    return Arguments(**vars(options))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise LabError(message, f"{self.prog} --help lists the arguments")


def _parser(description: str | None, optimizer: str) -> _Parser:
    parser = _Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--n-epochs", type=_count, default=60, metavar="N", help="passes over the data (60)")
    add("--batch-size", type=_count, default=64, metavar="N", help="images in a batch (64)")
    add("--n-latent", type=_count, default=32, metavar="N", help="numbers G starts from (32)")
    add("--lr", type=_rate, metavar="RATE", help="learning rate (0.001; 0.1 for sgd)")
    add("--seed", type=_seed, default=0, metavar="N", help="seed of everything random (0)")
    add("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (auto)")
    add("--steps", type=_count, metavar="N", help="stop after N iterations over all epochs")
    add("--arch", choices=("mlp", "dcgan"), default="mlp", help="networks (mlp)")
    add("--optimizer", choices=tuple(LEARNING_RATES), default=optimizer, help=f"({optimizer})")
    add("--data", choices=("digits", "mnist"), default="digits", help="images (digits)")
    add("--data-root", type=Path, metavar="DIR", help="torchvision's folder, for --data mnist")
    add("--samples", type=Path, metavar="FILE", help="write G's images to this PNG at the end")
    add("--force", action="store_true", help="let --samples replace a file")
    return parser


def _device(name: str) -> torch.device:
    cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "cpu")
    match = re.fullmatch(r"cpu|cuda(?::([0-9]+))?", name)
    if match is None:
        raise LabError(f"no device is called {name!r}", "use --device auto, cpu, cuda or cuda:N")
    if name == "cpu":
        return torch.device("cpu")
    devices = torch.cuda.device_count() if cuda else 0
    if devices == 0:
        raise LabError(f"--device {name}: PyTorch finds no CUDA device", "use --device cpu")
    if int(match[1] or 0) >= devices:
        raise LabError(f"--device {name}: no such GPU", f"N goes up to {devices - 1}")
    return torch.device(name)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 2**31 - 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return rate


def check_target(path: Path, force: bool) -> None:
    """Raise LabError if `path` is not a PNG file that can be written."""
    if path.suffix.lower() != ".png":
        raise LabError(f"--samples {path}: samples are written as PNG", "end the name in .png")
    if path.is_dir():
        raise LabError(f"--samples {path} is a folder", "name a file in it")
    if path.exists() and not force:
        raise LabError(f"--samples {path} exists", "add --force to replace it, or name another")
    if not path.parent.is_dir():
        raise LabError(f"--samples {path}: there is no folder {path.parent}", "make it first")
    if not os.access(path.parent, os.W_OK):
        raise LabError(
            f"--samples {path}: the folder {path.parent} cannot be written to",
            "name a file in a folder of your own",
        )
