"""Hosts of one's own, with wires between them on which packets can really be lost.

Network namespaces and pairs of virtual interfaces. The tests' own thread moves into the first, so that its sockets are
there; programs are started in the others. :class:`TwoHosts` are joined by one wire, :class:`ShakenHosts` by one that
loses, doubles and delays, :class:`HostsWithRouter` by a router that translates addresses. What a host receives and
sends is dropped by its own nftables: to us a peer that drops everything has vanished. All of it is gone when the last
process in it is.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import Any, final

from tests.interop.namespace import Stay, without_namespaces
from tests.interop.peers import shaking_wire
from tests.interop.peers.program import PeerFailed, Program, find_program

__all__ = ["HERE", "OUTSIDE", "THERE", "Host", "HostsWithRouter", "ShakenHosts", "TwoHosts"]

HERE = "10.98.0.1"
"""Our address."""

THERE = "10.98.0.2"
"""The peer's."""

OUTSIDE = "10.98.0.3"
"""The address of a router by which everybody behind it is seen."""

_INSIDE = "10.97.0.1"
_BEHIND = "10.97.0.2"

_READY = "ip link set lo up && echo ready && exec cat"
_RULES = (
    "table inet wire {{ chain incoming {{ type filter hook input priority 0; {incoming} }} ;"
    " chain outgoing {{ type filter hook output priority 0; {outgoing} }} ; }}"
)
_TRANSLATION = (
    "table ip translation {{ chain out {{ type nat hook postrouting priority 100;"
    ' oifname "outside" meta l4proto {{ tcp, udp }} masquerade to :{first}-{last} fully-random; }} ; }}'
)


@final
class Host:
    """One namespace, alive as long as the idle process that holds it."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._holder = Program(reactor, [find_program("unshare") or "unshare", "-n", "sh", "-c", _READY])

    async def start(self, directory: str) -> None:
        """Make it."""
        self._holder.start(directory)
        await self._holder.find("^ready$")

    async def stop(self) -> None:
        """Let it go."""
        await self._holder.stop()

    @property
    def pid(self) -> int:
        """The process that holds it."""
        return self._holder.pid

    def inside(self, *arguments: str) -> list[str]:
        """The command line by which a command is run there."""
        return [find_program("nsenter") or "nsenter", "-t", str(self.pid), "-n", *arguments]

    def run(self, *arguments: str) -> None:
        """Run a short command there.

        :raises PeerFailed: when it fails.
        """
        done = subprocess.run(self.inside(*arguments), capture_output=True, text=True, check=False, timeout=10)
        if done.returncode != 0:
            raise PeerFailed(f"$ {' '.join(arguments)}\n{done.stdout}{done.stderr}")

    def program(self, *arguments: str) -> Program:
        """A program that is to run there, not started yet; its process id is the program's own."""
        return Program(self._reactor, self.inside(*arguments))

    def joined_to(self, other: Host, name: str, other_name: str) -> None:
        """A wire from here, where it is called *name*, to *other*."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", str(other.pid))
        self.run("ip", "link", "set", name, "up")
        other.run("ip", "link", "set", other_name, "up")

    def filter(self, incoming: str = "", outgoing: str = "") -> None:
        """From now on these rules of nftables, and no others."""
        self.run("nft", "flush", "ruleset")
        if incoming or outgoing:
            self.run("nft", _RULES.format(incoming=incoming, outgoing=outgoing))


class TwoHosts:
    """Two hosts and a wire.

    :ivar here: ours.
    :ivar there: the peer's.
    """

    packages = "util-linux iproute2 nftables"

    def __init__(self, reactor: Any, directory: str) -> None:
        self._reactor = reactor
        self._directory = directory
        self._stay = Stay()
        self.here = Host(reactor)
        self.there = Host(reactor)
        self._hosts = [self.here, self.there]

    @staticmethod
    def missing() -> str | None:
        """The program that is needed for them and not here, or None."""
        return next((name for name in ("unshare", "nsenter", "ip", "nft") if find_program(name) is None), None)

    @staticmethod
    def forbidden() -> str | None:
        """What the system does not let us do for them, or None."""
        return without_namespaces() or _without_rules()

    async def enter(self) -> None:
        """Make them, join them, and move this thread into ours.

        :raises PeerFailed: when the system lets us have no such wire.
        """
        for host in self._hosts:
            await host.start(self._directory)
        await self._join()
        self._stay.begin(self.here.pid)

    async def _join(self) -> None:
        self.here.joined_to(self.there, "wire", "wire")
        self._name_ends()

    def _name_ends(self) -> None:
        self.here.run("ip", "addr", "add", f"{HERE}/24", "dev", "wire")
        self.there.run("ip", "addr", "add", f"{THERE}/24", "dev", "wire")

    async def leave(self) -> None:
        """Move back and let them go; stop what runs in them first."""
        self._stay.end()
        for host in self._hosts:
            await host.stop()

    def vanish(self) -> None:
        """From now on the other host hears nothing and says nothing, and nobody is told."""
        self.there.filter("drop;", "drop;")

    def lose(self, percent: int) -> None:
        """From now on so many of a hundred packets are lost each way, by chance."""
        rule = f"numgen random mod 100 < {percent} drop;"
        self.there.filter(rule, rule)

    def close_to_callers(self) -> None:
        """From now on the other host may call, and nobody may call it: a firewall."""
        self.there.filter("ct state established,related accept; ip protocol { tcp, udp } drop;", "ct state new accept;")

    def heal(self) -> None:
        """Everything arrives again."""
        self.there.filter()


@final
class ShakenHosts(TwoHosts):
    """Two hosts, between them a wire that loses, doubles and delays what is on it."""

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self._middle = Host(reactor)
        self._hosts.append(self._middle)
        self._wire: Program | None = None

    async def _join(self) -> None:
        self.here.joined_to(self._middle, "wire", "left")
        self.there.joined_to(self._middle, "wire", "right")
        for host in (self.here, self.there):
            host.run(sys.executable, shaking_wire.__file__, "prepare", "wire")
        self._name_ends()

    async def shake(self, loss: float, double: float, late: float) -> None:
        """Begin.

        :param loss: the share of packets that are lost, each way.
        :param double: the share of those that arrive twice.
        :param late: the share of those that are overtaken by others.
        """
        shares = (str(loss), str(double), str(late))
        self._wire = self._middle.program(sys.executable, shaking_wire.__file__, "left", "right", *shares)
        self._wire.start(self._directory)
        await self._wire.find("^ready$")

    async def report(self) -> dict[str, int]:
        """What became of the packets: how many passed, and of how many it did what."""
        assert self._wire is not None
        start = len(self._wire.text)
        self._wire.write("report\n")
        found: dict[str, int] = json.loads((await self._wire.find(r"^\{.*\}$", start=start)).group(0))
        return found

    async def leave(self) -> None:
        """Stop shaking, too."""
        if self._wire is not None:
            await self._wire.stop()
        await super().leave()


@final
class HostsWithRouter(TwoHosts):
    """Two hosts; the other one is behind a router that gives everything that it sends an address and port of its own.

    To us whoever is there is at :data:`OUTSIDE`.
    """

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self._router = Host(reactor)
        self._hosts.append(self._router)

    async def _join(self) -> None:
        self.here.joined_to(self._router, "wire", "outside")
        self.there.joined_to(self._router, "wire", "inside")
        self.here.run("ip", "addr", "add", f"{HERE}/24", "dev", "wire")
        self._router.run("ip", "addr", "add", f"{OUTSIDE}/24", "dev", "outside")
        self._router.run("ip", "addr", "add", f"{_INSIDE}/24", "dev", "inside")
        self.there.run("ip", "addr", "add", f"{_BEHIND}/24", "dev", "wire")
        self.there.run("ip", "route", "add", "default", "via", _INSIDE)
        self._router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        # A packet of a connection that it knows nothing of is no beginning of one.
        self.translate(20000)

    def translate(self, first: int) -> None:
        """From now on new flows are given one of the hundred ports from *first* on."""
        self._router.run("nft", "flush", "ruleset")
        self._router.run("nft", _TRANSLATION.format(first=first, last=first + 99))

    def forget(self) -> None:
        """The router forgets all flows, as one does that was switched off and on; who goes on gets another port."""
        self._router.run("ip", "link", "set", "outside", "down")
        self._router.run("ip", "link", "set", "outside", "up")
        self.translate(30000)


@functools.cache
def _without_rules() -> str | None:
    """What this kernel cannot, of what is done here."""
    rules = [_RULES.format(incoming="numgen random mod 100 < 1 drop;", outgoing="ct state new accept;")]
    rules.append(_TRANSLATION.format(first=1, last=2))
    script = " && ".join(["ip link add left type veth peer name right", *(f"nft '{rule}'" for rule in rules)])
    tried = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=20
    )
    return None if tried.returncode == 0 else f"no wires with nftables here ({tried.stderr.strip()})"
