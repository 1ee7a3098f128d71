"""Measures what an iteration costs: seconds, and the bytes that autograd saves for backward.

Neither is measured under observation. Bytes are counted by saved-tensor hooks, which change no
value but switch autograd's version check off, so a loop that raises is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from graphlab.compare.onlooker import Onlooker
from graphlab.lab.options import Arguments

# Iterations that are not timed: allocators and kernels are set up in them.
WARM_UP = 4
# Iterations timed together; even, since a loop may alternate between two kinds of iteration.
WINDOW = 4


def use_threads(count: int) -> None:
    """Let PyTorch compute in `count` threads, or fewer where OMP_NUM_THREADS says so."""
    torch.set_num_threads(min(count, torch.get_num_threads()))


class SavedBytes(Onlooker):
    """Counts the bytes of all storages that are saved for backward at once; `peak` is the most.

    A storage that is saved twice counts once. Parameters and buffers of the networks do not
    count: they would be in memory anyway.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._now = 0
        self._holders: dict[int, int] = {}
        self._not_counted: set[int] = set()

    def networks(self, args: Arguments, G: nn.Module, D: nn.Module) -> None:
        for net in (G, D):
            for tensor in (*net.parameters(), *net.buffers()):
                self._not_counted.add(_storage(tensor))

    @contextmanager
    def counting(self) -> Iterator[None]:
        with saved_tensors_hooks(self._pack, _unpack):
            yield

    def _pack(self, tensor: Tensor) -> _Held:
        return _Held(tensor, self)

    def hold(self, storage: int, size: int) -> None:
        holders = self._holders[storage] = self._holders.get(storage, 0) + 1
        if holders == 1 and storage not in self._not_counted:
            self._now += size
            self.peak = max(self.peak, self._now)

    def release(self, storage: int, size: int) -> None:
        self._holders[storage] -= 1
        if self._holders[storage] == 0:
            del self._holders[storage]
            if storage not in self._not_counted:
                self._now -= size


class _Held:
    """A saved tensor. Autograd drops it when it frees what the node saved."""

    __slots__ = ("_counter", "_size", "_storage", "tensor")

    def __init__(self, tensor: Tensor, counter: SavedBytes) -> None:
        self.tensor = tensor.detach()
        self._counter = counter
        self._storage, self._size = _storage(tensor), tensor.untyped_storage().nbytes()
        counter.hold(self._storage, self._size)

    def __del__(self) -> None:
        self._counter.release(self._storage, self._size)


def _unpack(held: _Held) -> Tensor:
    return held.tensor


def _storage(tensor: Tensor) -> int:
    """Its address, which identifies a live storage that is not empty."""
    return tensor.untyped_storage().data_ptr()


class Clock(Onlooker):
    """Times the iterations after the warm-up, `WINDOW` at a time.

    `seconds` is the mean of the fastest window, since other programs can only slow one down;
    None where no window was complete. `cuda_peak` is the most memory that PyTorch held on the GPU,
    in bytes; None on the CPU.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None
        self.cuda_peak: int | None = None
        self._device = torch.device("cpu")
        self._ended = 0
        self._since: float | None = None

    def networks(self, args: Arguments, G: nn.Module, D: nn.Module) -> None:
        self._device = args.device
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    def end(self) -> None:
        self._ended += 1
        if self._ended < WARM_UP or (self._ended - WARM_UP) % WINDOW:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            self.cuda_peak = torch.cuda.max_memory_allocated(self._device)
        now = time.perf_counter()
        if self._since is not None:
            each = (now - self._since) / WINDOW
            self.seconds = each if self.seconds is None else min(self.seconds, each)
        self._since = now
