"""What watching costs: CPU-time ratios to the bare loop, all sides in one run, medians.

    python benchmarks/overhead.py [--rounds 9] [--loops tiny dcgan transformer]

Each round runs every watcher once, in turn, on the same loop; the ratio is taken within the round.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

import graphlab

Loop = Callable[[int], None]


def tiny() -> tuple[Loop, int]:
    """An MLP GAN on 8×8 images, about a millisecond a step; 100 steps a round."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    D = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    img = torch.randn(64, 64)
    return gan(G, D, img, lambda: torch.randn(64, 32)), 100


def dcgan() -> tuple[Loop, int]:
    """A DCGAN on 28×28 images."""
    torch.manual_seed(0)
    G = nn.Sequential(
        nn.ConvTranspose2d(32, 64, 7), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1),
        nn.BatchNorm2d(64), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * 49, 1),
    )  # fmt: skip
    img = torch.randn(64, 1, 28, 28)
    return gan(G, D, img, lambda: torch.randn(64, 32, 1, 1)), 6


def gan(G: nn.Module, D: nn.Module, img: Any, noise: Callable[[], Any]) -> Loop:
    optimizer_D = torch.optim.Adam(D.parameters(), 2e-4)
    optimizer_G = torch.optim.Adam(G.parameters(), 2e-4)
    bce = nn.functional.binary_cross_entropy_with_logits

    def train(steps: int) -> None:
        for _ in range(steps):
            gene_img = G(noise())
            real_logit = D(img)
            gene_logit = D(gene_img.detach())
            D_loss = bce(real_logit, torch.ones_like(real_logit))
            D_loss = D_loss + bce(gene_logit, torch.zeros_like(gene_logit))
            optimizer_D.zero_grad()
            D_loss.backward()
            optimizer_D.step()
            gene_logit = D(gene_img)
            G_loss = bce(gene_logit, torch.ones_like(gene_logit))
            optimizer_G.zero_grad()
            G_loss.backward()
            optimizer_G.step()

    return train


def transformer() -> tuple[Loop, int]:
    """Six encoder layers, d = 256, 32 tokens, batch 8."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, 6), nn.Linear(256, 256))
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    x, y = torch.randn(8, 32, 256), torch.randn(8, 32, 256)

    def train(steps: int) -> None:
        for _ in range(steps):
            loss = (net(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train, 2


@contextlib.contextmanager
def debug_mode() -> Iterator[None]:
    from torch.utils._debug_mode import DebugMode

    with DebugMode(record_stack_trace=True):
        yield


@contextlib.contextmanager
def installed() -> Iterator[None]:
    hooks = graphlab.install()
    yield
    hooks.uninstall()


def watchers() -> dict[str, Callable[[], Any]]:
    return {
        "bare": contextlib.nullcontext,
        "graphlab": lambda: graphlab.watch(),
        "graphlab.install()": installed,
        "detect_anomaly, check_nan": lambda: torch.autograd.detect_anomaly(check_nan=True),
        "detect_anomaly": lambda: torch.autograd.detect_anomaly(check_nan=False),
        "DebugMode with stacks": debug_mode,
    }


def measure(make: Callable[[], tuple[Loop, int]], rounds: int, names: list[str]) -> None:
    loop, steps = make()
    loop(steps)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            with watchers()[name]():
                # The first steps are looked at closely (docs/architecture.md); a long run is not.
                loop(WARM)
                begin = time.process_time()
                loop(steps)
                times[name].append(time.process_time() - begin)
    bare = times["bare"]
    print(f"{make.__name__}: bare {statistics.median(bare) / steps * 1e3:.2f} ms of CPU a step")
    for name in names:
        ratios = [one / other for one, other in zip(times[name], bare, strict=True)]
        print(
            f"  {name:<28} {statistics.median(ratios):6.3f}   {min(ratios):.3f}–{max(ratios):.3f}"
        )


WARM = 8
LOOPS = {"tiny": tiny, "dcgan": dcgan, "transformer": transformer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS))
    parser.add_argument("--watchers", nargs="+", default=list(watchers()))
    options = parser.parse_args()
    import warnings

    warnings.filterwarnings("ignore", message="Anomaly Detection")
    for name in options.loops:
        measure(LOOPS[name], options.rounds, options.watchers)


if __name__ == "__main__":
    main()
