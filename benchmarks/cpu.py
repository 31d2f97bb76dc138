"""The CPU time of other processes, to the nanosecond where the kernel tells, else in clock ticks."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cpu_seconds"]

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes *pids* together, all threads included."""
    return sum(_one(pid) for pid in pids)


def _one(pid: int) -> float:
    # What clock_getcpuclockid(3) gives for a process, CPUCLOCK_SCHED: Linux lets any process read it.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK
