"""As many descriptors as the system lets a process have."""

from __future__ import annotations

import resource

__all__ = ["most_connections", "raise_limit"]


def raise_limit() -> None:
    """Let this process, and those that it starts, open as many as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """How many connections a server of ours accepts by default with the limit raised, with some room left."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65_000 if hard == resource.RLIM_INFINITY else max(8, hard * 8 // 10 - 64)
