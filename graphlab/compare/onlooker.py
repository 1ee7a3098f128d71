"""Shows a scenario's networks, optimizers and batches to a measurement outside it.

The scenario is unchanged: inside `attended` the functions of the lab pass what they return to an
`Onlooker` as well, which must not modify it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.optim import Optimizer

from graphlab import lab
from graphlab.lab.images import Batches
from graphlab.lab.options import Arguments

Batch = tuple[Tensor, Tensor]


class Onlooker:
    """Is shown each object by a method; a subclass overrides those that it needs."""

    def networks(self, args: Arguments, G: nn.Module, D: nn.Module) -> None:
        """Once, when the scenario has made its networks."""

    def optimizer(self, net: nn.Module, optimizer: Optimizer) -> None:
        """Once for each optimizer that is made over `net`."""

    def shared(self, whole: Tensor, part: Tensor) -> None:
        """A rank of several has taken its `part` of the rows of `whole`, which all of them have."""

    def begin(self, img: Tensor) -> None:
        """Before each iteration, with its images."""

    def end(self) -> None:
        """After each iteration that ran to its end."""

    def end_of_pass(self) -> None:
        """After the last iteration of each pass over the data that had one."""


class _Shown:
    """A loader that tells `onlooker` where each iteration begins and ends."""

    def __init__(self, batches: Batches, onlooker: Onlooker) -> None:
        self._batches, self._onlooker = batches, onlooker

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        any_came = False
        for batch in self._batches:
            self._onlooker.begin(batch[0])
            yield batch
            self._onlooker.end()
            any_came = True
        if any_came:
            self._onlooker.end_of_pass()


@contextmanager
def attended(onlooker: Onlooker) -> Iterator[None]:
    """While the block runs, a scenario in this process is shown to `onlooker`."""
    networks, optimizer, batches, share = lab.networks, lab.optimizer, lab.batches, lab.share

    def shown_networks(args: Arguments) -> tuple[nn.Sequential, nn.Sequential]:
        G, D = networks(args)
        onlooker.networks(args, G, D)
        return G, D

    def shown_optimizer(args: Arguments, net: nn.Module) -> Optimizer:
        made = optimizer(args, net)
        onlooker.optimizer(net, made)
        return made

    def shown_batches(args: Arguments) -> _Shown:
        return _Shown(batches(args), onlooker)

    def shown_share(whole: Tensor) -> Tensor:
        part = share(whole)
        onlooker.shared(whole, part)
        return part

    replaced = {
        "networks": shown_networks, "optimizer": shown_optimizer, "batches": shown_batches,
        "share": shown_share,
    }  # fmt: skip
    for name, function in replaced.items():
        setattr(lab, name, function)
    try:
        yield
    finally:
        lab.networks, lab.optimizer, lab.batches, lab.share = networks, optimizer, batches, share
