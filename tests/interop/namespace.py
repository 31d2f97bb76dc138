"""A network of one's own: a namespace with a loopback interface, 127.0.0.1 and 10.99.0.1, and nothing else in it.

For peers that refuse to run on a host that has loopback addresses only, and for packets that are to be captured without
anybody else's among them. The tests' own thread moves in (:meth:`PrivateNetwork.enter`): the sockets that it opens and
the programs that it starts from then on are there; what was open before is not touched.
"""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
from typing import Any, final

from tests.interop.peers.program import PeerFailed, Program, find_program

__all__ = ["ADDRESS", "PrivateNetwork", "Stay", "without_namespaces"]

ADDRESS = "10.99.0.1"
"""The address in the namespace that is not a loopback one."""

_CLONE_NEWNET = 0x40000000
_SETTING_UP = f"ip link set lo up && ip addr add {ADDRESS}/32 dev lo && echo ready && exec cat"


@final
class Stay:
    """The time that this thread spends in the network namespace of another process."""

    def __init__(self) -> None:
        self._outside: int | None = None

    def begin(self, pid: int) -> None:
        """Move into the namespace of the process *pid*.

        :raises PeerFailed: when the system does not let us in.
        """
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            _move(inside)
        finally:
            os.close(inside)

    def end(self) -> None:
        """Move back, if we have moved at all."""
        if self._outside is not None:
            _move(self._outside)
            os.close(self._outside)
            self._outside = None


@final
class PrivateNetwork:
    """One namespace, alive as long as the idle process that holds it."""

    packages = "util-linux iproute2"

    def __init__(self, reactor: Any, directory: str) -> None:
        self.directory = directory
        self._holder = Program(reactor, [find_program("unshare") or "unshare", "-n", "sh", "-c", _SETTING_UP])
        self._stay = Stay()

    @staticmethod
    def missing() -> str | None:
        """The program that is needed for one and not here, or None."""
        return next((name for name in ("unshare", "ip") if find_program(name) is None), None)

    @staticmethod
    def forbidden() -> str | None:
        """What the system does not let us do for one, or None."""
        return without_namespaces()

    async def enter(self) -> None:
        """Make the namespace and move this thread into it."""
        self._holder.start(self.directory)
        await self._holder.find("^ready$")
        self._stay.begin(self._holder.pid)

    async def leave(self) -> None:
        """Move back and let the namespace go."""
        self._stay.end()
        await self._holder.stop()


@functools.cache
def without_namespaces() -> str | None:
    """Why this process can have no network namespace, or None."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    tried = subprocess.run(
        ["unshare", "-n", "sh", "-c", "ip link set lo up"], capture_output=True, text=True, check=False, timeout=20
    )
    return None if tried.returncode == 0 else f"no network namespaces here ({tried.stderr.strip()})"


def _move(namespace: int) -> None:
    # os.setns came with Python 3.12.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _CLONE_NEWNET) != 0:
        raise PeerFailed(f"cannot enter the network namespace: {os.strerror(ctypes.get_errno())}")
