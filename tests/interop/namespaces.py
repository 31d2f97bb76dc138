"""Two hosts of one's own, with a wire between them on which packets can really be lost.

Two network namespaces and a pair of virtual interfaces. The tests' own thread moves into the first, so that its sockets
are there; programs are started in the second. What the second host receives and sends is dropped by its own nftables:
to us a peer that drops everything has vanished. All of it is gone when the last process in it is.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from typing import Any, final

from tests.interop.peers.program import PeerFailed, Program, find_program

__all__ = ["HERE", "THERE", "TwoHosts"]

HERE = "10.98.0.1"
"""Our address."""

THERE = "10.98.0.2"
"""The peer's."""

_CLONE_NEWNET = 0x40000000
_RULES = (
    "table inet wire {{ chain incoming {{ type filter hook input priority 0; {rule} }} ;"
    " chain outgoing {{ type filter hook output priority 0; {rule} }} ; }}"
)


@final
class TwoHosts:
    """Two namespaces, alive as long as the idle processes that hold them."""

    packages = "util-linux iproute2 nftables"

    def __init__(self, reactor: Any, directory: str) -> None:
        self._reactor = reactor
        self._directory = directory
        self._outside: int | None = None
        self._there = self._holder("ip link set lo up && echo ready && exec cat")
        self._here = self._there

    def _holder(self, script: str) -> Program:
        return Program(self._reactor, [find_program("unshare") or "unshare", "-n", "sh", "-c", script])

    @staticmethod
    def missing() -> str | None:
        """What keeps us from having them, or None."""
        for name in ("unshare", "nsenter", "ip", "nft"):
            if find_program(name) is None:
                return name
        return None if os.geteuid() == 0 else "the right to make network namespaces (run as root)"

    async def enter(self) -> None:
        """Make both, join them, and move this thread into ours.

        :raises PeerFailed: when the system lets us have no such wire.
        """
        self._there.start(self._directory)
        await self._there.find("^ready$")
        wire = f"ip link add wire type veth peer name wire netns {self._there.pid}"
        ours = f"ip link set lo up && {wire} && ip addr add {HERE}/24 dev wire && ip link set wire up"
        self._here = self._holder(f"{ours} && echo ready && exec cat")
        self._here.start(self._directory)
        await self._here.find("^ready$")
        self.run_there("ip", "addr", "add", f"{THERE}/24", "dev", "wire")
        self.run_there("ip", "link", "set", "wire", "up")
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/proc/{self._here.pid}/ns/net", os.O_RDONLY)
        try:
            _move(inside)
        finally:
            os.close(inside)

    async def leave(self) -> None:
        """Move back and let both go; stop what runs in them first."""
        if self._outside is not None:
            _move(self._outside)
            os.close(self._outside)
            self._outside = None
        for holder in {self._here, self._there}:
            await holder.stop()

    def _inside(self, *arguments: str) -> list[str]:
        return [find_program("nsenter") or "nsenter", "-t", str(self._there.pid), "-n", *arguments]

    def run_there(self, *arguments: str) -> None:
        """Run a short command on the other host.

        :raises PeerFailed: when it fails.
        """
        done = subprocess.run(self._inside(*arguments), capture_output=True, text=True, check=False, timeout=10)
        if done.returncode != 0:
            raise PeerFailed(f"$ {' '.join(arguments)}\n{done.stdout}{done.stderr}")

    def program_there(self, *arguments: str) -> Program:
        """A program of the other host, not started yet; its process id is the program's own."""
        return Program(self._reactor, self._inside(*arguments))

    def vanish(self) -> None:
        """From now on the other host hears nothing and says nothing, and nobody is told."""
        self._filter("drop;")

    def lose(self, percent: int) -> None:
        """From now on so many of a hundred packets are lost each way, by chance."""
        self._filter(f"numgen random mod 100 < {percent} drop;")

    def heal(self) -> None:
        """Everything arrives again."""
        self.run_there("nft", "flush", "ruleset")

    def _filter(self, rule: str) -> None:
        self.heal()
        self.run_there("nft", _RULES.format(rule=rule))


def _move(namespace: int) -> None:
    # os.setns came with Python 3.12.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _CLONE_NEWNET) != 0:
        raise PeerFailed(f"cannot enter the network namespace: {os.strerror(ctypes.get_errno())}")
