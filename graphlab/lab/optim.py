"""The optimizers a scenario can be run with."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from graphlab.lab.options import Arguments


def optimizer(args: Arguments, net: nn.Module) -> Optimizer:
    """The optimizer `args.optimizer` over all parameters of `net`.

    `adam-fused` computes what `adam` does, in one kernel that leaves version counters alone.
    """
    if args.optimizer == "sgd":
        return SGD(net.parameters(), lr=args.lr)
    # None, not False: False would also switch off the foreach kernels that CUDA gets by default.
    fused = True if args.optimizer == "adam-fused" else None
    return Adam(net.parameters(), lr=args.lr, betas=(0.5, 0.999), fused=fused)
