"""Presence with baresip, a softphone, both ways, its mailbox and what it publishes: UDP, TCP and TLS, in a network of
its own."""

from __future__ import annotations

from typing import Any

from sip_p2p import EventStateCompositor, MessageSummaryPackage, PresencePackage, Target
from sip_p2p.documents.message_summary import MessageCount, MessageSummary
from sip_p2p.documents.pidf import Presence
from tests.interop.events import EventTestCase
from tests.interop.namespace import ADDRESS, PrivateNetwork
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.program import until
from tests.interop.support import Party, reactor

TRANSPORTS = ("udp", "tcp", "tls")


def everybody(*arguments: object) -> bool:
    """baresip proves nothing: whoever asks is told."""
    return True


class BaresipTestCase(EventTestCase):
    """baresip, and a party that it knows."""

    needs = (Baresip, PrivateNetwork)

    async def enter(self) -> None:
        """Move into a network of the test's own."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()

    async def party(self, transport: str, **options: Any) -> Party:
        """Our side, which listens."""
        listen = f"{transport}:port=0:interface={ADDRESS}"
        if transport != "tls":
            return await self.clear_text_party(listen, **options)
        return await self.tls_party(listen, certificate=self.certificates.right(ADDRESS), **options)

    async def phone(self, party: Party, transport: str, **options: Any) -> Baresip:
        """baresip, which knows us."""
        baresip = self.peer(Baresip, ADDRESS)
        await baresip.start(party.uri(transport, ADDRESS), transport, self.certificates.right("localhost"), **options)
        return baresip


class PresenceTests(BaresipTestCase):
    """Who is there."""

    async def watched_by_it(self, transport: str) -> None:
        """It subscribes when it starts, and reads what it is told."""
        await self.enter()
        party = await self.party(transport)
        me = party.uri(transport, ADDRESS)
        presence = PresencePackage(may_watch=everybody)
        presence.shortest_interval = 0
        party.endpoint.packages.add(presence)
        presence.set(me, Presence.of(me))
        baresip = await self.phone(party, transport, watches=True)
        await baresip.shows("Online")
        presence.set(me, Presence.of(me, activities=["busy"]))
        await baresip.shows("Busy")
        presence.set(me, Presence.of(me, False))
        await baresip.shows("Offline")
        [subscriber] = presence.subscribers
        subscriber.terminate("rejected")
        await baresip.shows("Unknown")
        await until(reactor, lambda: not presence.subscribers, 15, "the end of the subscription")
        await baresip.stop()

    async def test_it_watches_over_udp(self) -> None:
        """It subscribes over UDP, is told of each change, and of the end (row:J9, row:J13)."""
        await self.watched_by_it("udp")

    async def test_it_watches_over_tcp(self) -> None:
        """It does over TCP (row:J9, row:J13)."""
        await self.watched_by_it("tcp")

    async def test_it_watches_over_tls(self) -> None:
        """It does over TLS (row:J9, row:J13)."""
        await self.watched_by_it("tls")

    async def watched_by_us(self, transport: str) -> None:
        """We subscribe, are told of each change, and end it."""
        await self.enter()
        party = await self.party(transport)
        baresip = await self.phone(party, transport)
        target = baresip.uri(transport)
        baresip.is_there()
        watch = await self.watch(party.endpoint, target, "presence", expires=600)
        await until(reactor, lambda: watch.heard[-1].document.is_open, 15, "that it is there")
        baresip.is_there(there=False)
        await until(reactor, lambda: not watch.heard[-1].document.is_open, 15, "that it is not")
        self.assertEqual((await watch.refresh()).status, 200)
        fetched = await party.endpoint.fetch(target, "presence")
        self.assertFalse(fetched.document.is_open)
        await watch.subscription.terminate()
        self.assertEqual(watch.states, ["SUBSCRIBING", "SUBSCRIBED", "TERMINATING", "TERMINATED"])

    async def test_we_watch_over_udp(self) -> None:
        """We subscribe over UDP, refresh, fetch and unsubscribe (row:J1, row:J2, row:J4, row:J7)."""
        await self.watched_by_us("udp")

    async def test_we_watch_over_tcp(self) -> None:
        """We do over TCP (row:J1, row:J2, row:J4, row:J7)."""
        await self.watched_by_us("tcp")

    async def test_we_watch_over_tls(self) -> None:
        """We do over TLS (row:J1, row:J2, row:J4, row:J7)."""
        await self.watched_by_us("tls")


class ServerTests(BaresipTestCase):
    """Ours is the server that it asks: everything that it sends goes there."""

    async def server(self) -> Party:
        """Our side, which takes registrations and whatever is for the users of others."""
        party = await self.party("tcp", catch_all=True)

        @party.endpoint.handle("REGISTER")
        def registered(event: Any) -> Any:
            response = event.response(200)
            response.headers.add("Contact", event.request.headers["Contact"])
            response.headers.add("Expires", "600")
            return response

        return party

    async def test_mailbox(self) -> None:
        """It subscribes to its mailbox, and is told what waits there (row:J9)."""
        await self.enter()
        party = await self.server()
        mailboxes = party.endpoint.packages.add(MessageSummaryPackage(may_watch=everybody))
        baresip = await self.phone(party, "tcp", mailbox=True, registers=600)
        # Some bring it to subscribe several times over.
        await until(reactor, lambda: bool(mailboxes.subscribers), 15, "the subscription")
        subscriber = next(iter(mailboxes.subscribers))
        mailboxes.set(subscriber.resource, MessageSummary(True, counts=(MessageCount("voice-message", new=2, old=5),)))
        await baresip.program.find("Voice-Message: 2/5")
        await baresip.stop()

    async def test_published(self) -> None:
        """It publishes its presence, changes that, and whoever watches at ours is told (row:J11)."""
        await self.enter()
        party = await self.server()
        presence = PresencePackage(may_watch=everybody)
        presence.shortest_interval = 0
        party.endpoint.packages.add(presence)
        compositor = EventStateCompositor(party.endpoint, [presence], may_publish=everybody)
        baresip = await self.phone(party, "tcp", publishes=120, registers=600)
        await until(reactor, lambda: len(compositor) == 1, 15, "the publication")
        watcher = await self.party("tcp")
        baresip.is_there()
        via = Target("tcp", ADDRESS, party.manager.listening_port)
        watch = await self.watch(watcher.endpoint, baresip.uri("tcp"), "presence", via=via)
        await until(reactor, lambda: watch.heard[-1].document.is_open, 15, "that it is there")
        baresip.is_there(there=False)
        await until(reactor, lambda: not watch.heard[-1].document.is_open, 15, "that it is not")
        self.assertEqual(len(compositor), 1)
        await watch.subscription.terminate()
        compositor.close()
