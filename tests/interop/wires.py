"""What the tests on a wire of one's own share: our party here, another one in a process of its own there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import FlowLost, FlowOpened, KeepAlive, Limits
from tests.interop.namespaces import THERE, TwoHosts
from tests.interop.peers.party import OtherParty
from tests.interop.peers.program import until
from tests.interop.support import InteropTestCase, Party, reactor

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASKS_FOR", "PEER", "PONG_TIMEOUT", "WireTestCase"]

PEER = "b.example"
"""Who is there: the name that its certificate proves."""

ASKS_FOR = 5
"""How often the peer wants to be pinged, in seconds."""

PONG_TIMEOUT = 3.0
"""How long we wait for its answer, in seconds."""


class WireTestCase(InteropTestCase):
    """Two hosts; what happens to our flows is noted.

    :ivar hosts: the two.
    :ivar there: the party on the other one.
    :ivar opened: what was told of flows that were opened here.
    :ivar lost: what was told of flows that were lost here.
    """

    needs: tuple[Any, ...] = (TwoHosts,)
    timeout = 120
    keep_alive: Mapping[str, Any] = {"interval": ASKS_FOR, "datagram_interval": ASKS_FOR}

    async def enter(self, kind: type[TwoHosts] = TwoHosts) -> None:
        """Make the hosts and go to ours; have the peer's process ready to be started."""
        self.hosts: Any = kind(reactor, self.folder())
        self.stop_later(self.hosts.leave)
        await self.hosts.enter()
        self.there = self.peer(OtherParty, self.hosts.there)
        self.opened: list[FlowOpened] = []
        self.lost: list[FlowLost] = []

    def watch(self, party: Party) -> Party:
        """Note what happens to the flows of *party*."""
        party.manager.flow_opened.subscribe(self.opened.append)
        party.manager.flow_lost.subscribe(self.lost.append)
        return party

    def usual(self, **more: Any) -> dict[str, Any]:
        """The arguments of our own connection manager: keep-alives that fail soon, and a TCP that does not."""
        usual = {"keep_alive": KeepAlive(pong_timeout=PONG_TIMEOUT), "limits": Limits(unacknowledged_timeout=20)}
        return usual | more

    def identity(self, domain: str, allow: str) -> dict[str, Any]:
        """The arguments of a connection manager that proves *domain* and lets in who proves *allow*."""
        leaf = self.certificates.right(domain)
        return {"certificate": leaf.certificate, "trust": self.certificates.trust, "allow": [allow]}

    def uri(self, transport: str, user: str = "peer") -> str:
        """A URI of the party that is there."""
        return f"sip:{user}@{THERE}:5060;transport={transport}"

    async def seconds_until_lost(self, most: float, count: int = 1) -> float:
        """How long it takes until the loss of so many flows has been told."""
        began = reactor.seconds()
        await until(reactor, lambda: len(self.lost) >= count, most, "a lost flow")
        return float(reactor.seconds() - began)
