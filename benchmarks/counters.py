"""What code cost this process: seconds of CPU, and instructions where Linux counts them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import time
from collections.abc import Callable


class _Attributes(ctypes.Structure):
    """`struct perf_event_attr` in its first size, of 64 bytes."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("wakeup_events", ctypes.c_uint32),
        ("bp_type", ctypes.c_uint32),
        ("bp_addr", ctypes.c_uint64),
    )


HARDWARE, INSTRUCTIONS = 0, 1
INHERIT, EXCLUDE_KERNEL, EXCLUDE_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
TIME_ENABLED, TIME_RUNNING = 1 << 0, 1 << 1
CLOSE_ON_EXEC = 1 << 3
REASONS = {
    errno.ENOENT: "the processor offers no such counter, as in many virtual machines",
    errno.EACCES: "kernel.perf_event_paranoid forbids it; 2 or less allows it",
    errno.EPERM: "perf_event_open is forbidden, as in many containers",
    errno.ENOSYS: "the kernel has no perf_event_open",
}
SYSCALL = {"x86_64": 298, "aarch64": 241}


class Instructions:
    """User-space instructions of this process since the counter was opened.

    The threads and processes that start later are counted too, so it is opened before torch is
    imported; those of a process once it has ended.

    Raises:
        OSError: where this machine does not count, with the reason.
    """

    def __init__(self) -> None:
        number = SYSCALL.get(platform.machine())
        if platform.system() != "Linux" or number is None:
            raise OSError(errno.ENOSYS, "perf_event_open is known on Linux, x86-64 and arm64 only")
        attributes = _Attributes(
            type=HARDWARE,
            size=ctypes.sizeof(_Attributes),
            config=INSTRUCTIONS,
            read_format=TIME_ENABLED | TIME_RUNNING,
            flags=INHERIT | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR,
        )
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.restype = ctypes.c_long
        any_cpu = no_group = ctypes.c_int(-1)
        self._file = libc.syscall(
            ctypes.c_long(number),
            ctypes.byref(attributes),
            ctypes.c_int(0),
            any_cpu,
            no_group,
            ctypes.c_ulong(CLOSE_ON_EXEC),
        )
        if self._file < 0:
            code = ctypes.get_errno()
            raise OSError(code, REASONS.get(code) or f"perf_event_open: {os.strerror(code)}")
        before = self.read()
        sum(range(10_000))
        if self.read() - before < 10_000:
            os.close(self._file)
            raise OSError(errno.ENODEV, "perf_event_open gives a counter that stands still")

    def read(self) -> float:
        value, enabled, running = struct.unpack("QQQ", os.read(self._file, 24))
        # Where others count too, the kernel lets the counters take turns.
        return value * enabled / running if running else 0.0


class Counters:
    """Reads every counter that this machine has, by name; `why` says why one is missing.

    After `wait_for` was set, such as to `torch.cuda.synchronize`, the time that passes is read too,
    each time once it has returned.
    """

    def __init__(self) -> None:
        self.why = ""
        self.wait_for: Callable[[], None] | None = None
        self._instructions = None
        try:
            self._instructions = Instructions()
        except OSError as error:
            self.why = error.strerror

    def read(self) -> dict[str, float]:
        """Of this process alone, without those that it started."""
        if self.wait_for is None:
            return self._with_instructions(time.process_time())
        self.wait_for()
        return {"clock": time.perf_counter()} | self._with_instructions(time.process_time())

    def read_children(self) -> dict[str, float]:
        """Of the processes that it started and that have ended."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return self._with_instructions(used.ru_utime + used.ru_stime)

    def _with_instructions(self, seconds: float) -> dict[str, float]:
        costs = {"cpu": seconds}
        if self._instructions is not None:
            costs["instructions"] = self._instructions.read()
        return costs
