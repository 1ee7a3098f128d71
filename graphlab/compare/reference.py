"""Computes what an iteration of SoftmaxGAN should have done, from the state at its start.

The reference is the alternating update: D steps on D_loss_ at the weights it has, then G steps
on G_loss_ at the new D, each on the gradient of its own loss and no other, with the optimizer
state the iteration began with. Only the networks that the loop itself stepped are stepped, so a
loop that trains G alone now and then is held to just that.
"""

from __future__ import annotations

import copy
import math
import sys
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from graphlab.compare.onlooker import Onlooker
from graphlab.lab.options import Arguments

Role = Literal["D", "G"]
ROLES: tuple[Role, Role] = ("D", "G")


def losses(real_logit: Tensor, gene_logit: Tensor) -> tuple[Tensor, Tensor]:
    """D_loss_ and G_loss_ of logits [batch, 1], as the scenarios write them."""
    B = 1 / (real_logit.shape[0] * 2)
    Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))
    D_loss_ = torch.mean(real_logit) + torch.log(Z_B)
    G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
    return D_loss_, G_loss_


def balance(batch_size: int) -> tuple[float, float]:
    """Both losses where D gives all images of a batch the same rating."""
    return math.log(2 * batch_size), math.log(2 * batch_size)


def least_sum(batch_size: int) -> tuple[float, float]:
    """Both losses where their sum is least, for any images: D gives the real ones three quarters of
    the softmax and the generated ones one quarter, which needs no more than to tell them apart."""
    real, gene = 3 / (4 * batch_size), 1 / (4 * batch_size)
    return -math.log(real), -(math.log(real) + math.log(gene)) / 2


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far a vector is from its reference: ``|a - r| / |r|``, and the cosine between them.

    None where a norm is 0 or not finite, so that there is no direction to compare.
    """

    relative_error: float | None
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What an iteration did to one network; `update` and `gradient` are None where it did not
    step. `changed` is by value, whoever changed it."""

    steps: int
    changed: bool
    update: Deviation | None
    gradient: Deviation | None


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration beside the reference. `forwards` and `turns` are by network, D and G."""

    completed: bool
    forwards: dict[Role, int]
    turns: dict[Role, Turn]


def deviation(actual: Tensor, reference: Tensor) -> Deviation:
    """Of two vectors of equal length, compared in float64."""
    one, other = actual.double(), reference.double()
    norms = float(one.norm()), float(other.norm())
    # Smaller norms than the least normal number leave no reliable direction.
    usable = all(sys.float_info.min < norm < float("inf") for norm in norms)
    if not usable:
        return Deviation(None, None)
    cosine = float(one / norms[0] @ (other / norms[1]))
    return Deviation(float((one - other).norm()) / norms[1], max(-1.0, min(1.0, cosine)))


class Reference(Onlooker):
    """Holds every iteration of a scenario against the reference; `iterations` is the result.

    The latents are the ones G was given, so it does not matter how the loop draws them; of several
    ranks, those of all. Call `interrupted` when the scenario raised, to have its last, unfinished
    iteration counted.
    """

    def __init__(self) -> None:
        self.iterations: list[Iteration] = []
        self._nets: dict[Role, nn.Module] = {}
        self._optimizers: dict[Role, Optimizer] = {}
        self._steps: dict[Role, int] = {}
        self._forwards: dict[Role, int] = {}
        self._applied: dict[Role, Tensor] = {}
        self._latents: list[Tensor] = []
        # What this rank of several has taken a part of: that part, and all of it.
        self._shared: list[tuple[Tensor, Tensor]] = []
        self._img = torch.empty(0)
        self._twins: tuple[dict[Role, Any], dict[Role, Any]] | None = None
        self._before: dict[Role, Tensor] = {}

    def networks(self, args: Arguments, G: nn.Module, D: nn.Module) -> None:
        self._nets = {"D": D, "G": G}
        # Functions, not methods: copying a network copies its hooks, and a method's object too.
        for role, net in self._nets.items():
            net.register_forward_pre_hook(self._counter(role, net))

    def _counter(self, role: Role, own: nn.Module) -> Any:
        forwards, latents, shared = self._forwards, self._latents, self._shared

        def count(net: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if net is own:
                forwards[role] = forwards.get(role, 0) + 1
                if role == "G":
                    given = inputs[0].detach().clone()
                    whole = (
                        all for part, all in shared if torch.equal(part.to(given.device), given)
                    )
                    latents.append(next(whole, given).to(given.device))

        return count

    def optimizer(self, net: nn.Module, optimizer: Optimizer) -> None:
        for role, own in self._nets.items():
            if own is net:
                self._optimizers[role] = optimizer
                optimizer.register_step_pre_hook(self._stepping(role))

    def _stepping(self, role: Role) -> Any:
        def note(*_: Any) -> None:
            self._steps[role] = self._steps.get(role, 0) + 1
            self._applied[role] = _gradient(self._nets[role])

        return note

    def shared(self, whole: Tensor, part: Tensor) -> None:
        world = whole.shape[0] // max(1, part.shape[0])
        used = whole[: part.shape[0] * world]
        if whole is self._img:
            self._img = used
        self._shared.append((part, used))

    def begin(self, img: Tensor) -> None:
        self._steps.clear()
        self._applied.clear()
        self._forwards.clear()
        self._latents.clear()
        self._shared.clear()
        self._img = img
        # Copied together, so that the copied optimizers hold the copied parameters.
        self._twins = copy.deepcopy((self._nets, self._optimizers))
        self._before = {role: _weights(net) for role, net in self._nets.items()}

    def end(self) -> None:
        self._compare(completed=True)

    def interrupted(self) -> None:
        if self._twins is not None:
            self._compare(completed=False)

    def _compare(self, completed: bool) -> None:
        assert self._twins is not None
        nets, optimizers = self._twins
        self._twins = None
        turns: dict[Role, Turn] = {}
        for role in ROLES:
            moved = _weights(self._nets[role]) - self._before[role]
            update = gradient = None
            if self._steps.get(role) and self._latents and role in optimizers:
                own = self._step(role, nets, optimizers[role])
                update = deviation(moved, _weights(nets[role]) - self._before[role])
                gradient = deviation(self._applied[role], own)
            changed = bool((moved != 0).any())
            turns[role] = Turn(self._steps.get(role, 0), changed, update, gradient)
        self.iterations.append(Iteration(completed, dict(self._forwards), turns))

    def _step(self, role: Role, nets: dict[Role, Any], optimizer: Optimizer) -> Tensor:
        """Step one of the copies on its own loss; the gradient that it took, as one vector."""
        latent = self._latents[0 if role == "D" else -1]
        with torch.enable_grad():
            gene_img = nets["G"](latent)
            img = self._img.to(gene_img.device)
            loss = losses(nets["D"](img), nets["D"](gene_img))[ROLES.index(role)]
            own = list(nets[role].parameters())
            for parameter, grad in zip(own, torch.autograd.grad(loss, own), strict=True):
                parameter.grad = grad
        optimizer.step()
        return _gradient(nets[role])


def _weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def _gradient(net: nn.Module) -> Tensor:
    """All gradients as one vector, with zeros for a parameter that has none."""
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    return torch.cat([grad.detach().flatten() for grad in grads])
