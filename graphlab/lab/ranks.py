"""The ranks of a scenario that is to run as several processes, each with its part of a batch."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

# For how long a rank waits for another before it gives up.
PATIENCE = timedelta(minutes=2)


def join() -> None:
    """Join the group of the ranks that a launcher has started; without one, be the only rank."""
    if dist.is_initialized():
        return
    if "RANK" in os.environ and "MASTER_ADDR" in os.environ:
        dist.init_process_group("gloo", timeout=PATIENCE)
    else:
        store: Any = dist.TCPStore("127.0.0.1", 0, world_size=1, is_master=True)  # pyright: ignore
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)


def leave() -> None:
    """Leave it again."""
    if dist.is_initialized():
        dist.destroy_process_group()


def share(whole: Tensor) -> Tensor:
    """This rank's rows of a batch that all ranks have. Each gets as many: up to one fewer than
    there are ranks is left out."""
    rows = whole.shape[0] // dist.get_world_size()
    return whole[dist.get_rank() * rows : (dist.get_rank() + 1) * rows]


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        # The sum went into the loss of every rank, so each rank's part has a gradient from all.
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of `value` over all ranks, as an operation of the graph, which
    torch.distributed.all_reduce is not."""
    return _SumOverRanks.apply(value)
