"""What the scenarios share, so that a scenario file holds a training loop and nothing else.

    from graphlab import lab

    args = lab.arguments(__doc__)
    G, D = lab.networks(args)
    optimizer_D = lab.optimizer(args, D)
    optimizer_G = lab.optimizer(args, G)
    train_loader = lab.batches(args)
    ...
    lab.finish(args, G)

Nothing here watches anything: a scenario runs the same with and without graphlab around it.
"""

from __future__ import annotations

from graphlab.lab.images import Batches, batches
from graphlab.lab.networks import dcgan, mlp, networks, optimizer
from graphlab.lab.options import Arguments, LabError, arguments
from graphlab.lab.ranks import join, leave, share, sum_over_ranks
from graphlab.lab.samples import finish

__all__ = [
    "Arguments",
    "Batches",
    "LabError",
    "arguments",
    "batches",
    "dcgan",
    "finish",
    "join",
    "leave",
    "mlp",
    "networks",
    "optimizer",
    "share",
    "sum_over_ranks",
]
