"""Calls on a wire of their own: packets are lost, wires are cut, routers forget, peers are killed."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

from sip_p2p import Limits, Timers
from sip_p2p.transport.dns.resolver import AddressResolver, StaticResolver
from tests.interop.calls import Call, Called, CallTestCase
from tests.interop.namespaces import HERE, THERE, HostsWithRouter
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER
from tests.interop.support import OUR_DOMAIN, reactor
from tests.interop.wires import PEER, WireTestCase


class DatagramTests(WireTestCase, CallTestCase):
    """UDP, where nobody but us sends anything again."""

    async def test_a_third_is_lost(self) -> None:
        """With a third of all packets really lost, calls both ways stand on both sides and end on both (row:H34,
        fault:I1)."""
        await self.enter()
        await self.there.start(f"udp:5060:interface={THERE}", default_transport="udp", timers={"t2": 1.0})
        given = {"timers": Timers(t2=1.0)}
        party = await self.clear_text_party(f"udp:5060:interface={HERE}", manager_options=given)
        called = Called(party)
        self.hosts.lose(30)
        for _ in range(4):
            self.there.call(f"sip:alice@{HERE}")
        ours = await gatherResults([party.endpoint.invite(self.uri("udp"), OFFER) for _ in range(4)])
        theirs = [await called.call(number, 30) for number in range(4)]
        for call in theirs:
            await call.reaches("CONNECTED", 40)
            self.there.hang_up(call.session.call_id)
        await gatherResults([session.terminate() for session in ours])
        for call in theirs:
            self.assertEqual(await call.reaches("DISCONNECTED", 40), "TERMINATED_REMOTELY")
        self.hosts.heal()
        await until(reactor, lambda: self.ended() == 8, 40, "the end of all on the other side")

    def ended(self) -> int:
        """How many calls are over there."""
        return sum(event["state"] == "DISCONNECTED" for event in self.there.events("call"))


class TlsTests(WireTestCase, CallTestCase):
    """Both prove who they are."""

    async def stands(self, **limits: Any) -> Call:
        """A call with the peer, which listens."""
        await self.enter()
        await self.start_there()
        resolver = StaticResolver({PEER: (THERE, 5061)}, AddressResolver(reactor))
        given = self.usual(**self.identity(OUR_DOMAIN, PEER), resolver=resolver, limits=Limits(**limits))
        party = self.watch(await self.tls_party(manager_options=given))
        call = await self.call(party, f"sip:peer@{PEER}", OFFER)
        self.told: list[str] = []
        call.session.route_set_changed.subscribe(lambda event: self.told.append(event.status.name))
        return call

    async def start_there(self) -> None:
        """The peer, on its host."""
        keys = self.identity(PEER, OUR_DOMAIN)
        uri = f"sip:peer@{PEER}"
        await self.there.start(f"tls:5061:interface={THERE}", uri=uri, manager=keys, keep_alive=self.keep_alive)

    async def test_cut_and_healed(self) -> None:
        """A wire that is cut is noticed by a ping, and the call goes on over a new connection when there is a way
        again (row:H32, row:E17)."""
        call = await self.stands()
        self.hosts.vanish()
        await until(reactor, lambda: self.told == ["RECOVERING"], 15, "the loss")
        self.hosts.heal()
        await until(reactor, lambda: self.told == ["RECOVERING", "HEALTHY"], 15, "the way back")
        self.assertEqual((await call.session.request("OPTIONS")).status, 200)
        await call.session.terminate()
        await self.there.event("call", 10, "DISCONNECTED.*TERMINATED_REMOTELY")

    async def test_killed(self) -> None:
        """A peer that is killed and does not come back is looked for as long as it may be (row:H32)."""
        call = await self.stands(recovery_timeout=3)
        self.there.kill()
        self.assertEqual(await call.reaches("DISCONNECTED", 20), "RECOVERY_FAILED")
        self.assertEqual(self.told, ["RECOVERING", "LOST"])

    async def test_killed_and_started_again(self) -> None:
        """A peer that comes back has forgotten the call, and says so: it is over (row:H32)."""
        call = await self.stands()
        self.there.kill()
        await self.there.program.ended()
        await self.start_there()
        self.assertEqual(await call.reaches("DISCONNECTED", 20), "SESSION_DOES_NOT_EXIST")


class RouterTests(WireTestCase, CallTestCase):
    """The peer is behind a router."""

    needs = (HostsWithRouter,)

    async def test_forgotten(self) -> None:
        """The peer calls us through its router. When that has forgotten the connection, the peer notices, tells us on
        a new one where it is now, and we can hang up (row:H32, row:E16, fault:G5)."""
        await self.enter(HostsWithRouter)
        # There is no name server here, so that we are known by our address.
        given = self.usual(**self.identity(HERE, PEER))
        called = Called(await self.tls_party(f"tls:5061:interface={HERE}", manager_options=given), ANSWER)
        peer = self.identity(PEER, HERE)
        keep_alive = {"interval": 5, "pong_timeout": 2, "pong_required": True}
        await self.there.start(uri=f"sip:peer@{PEER}", manager=peer, keep_alive=keep_alive)
        self.there.call(f"sips:alice@{HERE}")
        call = await called.call()
        await call.reaches("CONNECTED")
        self.hosts.forget()
        await self.there.event("way", 20, "HEALTHY")
        await call.session.terminate()
        await self.there.event("call", 10, "DISCONNECTED.*TERMINATED_REMOTELY")
