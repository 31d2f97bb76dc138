"""Presence, dialogs and mailboxes at Kamailio's presence server, which keeps what we publish and tells us of it: over
mutual TLS, TCP and UDP; and Kamailio as the one that publishes at ours."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from sip_p2p import (
    EventStateCompositor,
    MessageSummaryPackage,
    RequestFailed,
)
from sip_p2p.documents.dialog_info import DialogEntry, DialogInfo, DialogParty
from sip_p2p.documents.message_summary import MessageCount, MessageSummary
from sip_p2p.documents.pidf import Presence
from tests.interop.events import EventTestCase
from tests.interop.peers.kamailio_presence import DOMAIN, KamailioPresence
from tests.interop.peers.program import until
from tests.interop.support import Party, reactor

if TYPE_CHECKING:
    from sip_p2p import Notification

ROOM = f"sip:room@{DOMAIN}"
ON_LOOPBACK = "port=0:interface=127.0.0.1"


def notes(notification: Notification) -> list[str]:
    """The words for people in a presence document, in any order."""
    return sorted(note.text for part in notification.document.tuples for note in part.notes)


class PresenceServerTestCase(EventTestCase):
    """Kamailio, and a party that sends everything to it."""

    needs = (KamailioPresence,)

    async def start(self, transport: str = "tls", **options: Any) -> KamailioPresence:
        """The server."""
        kamailio = self.peer(KamailioPresence)
        await kamailio.serve(self.certificates.for_domain_only(DOMAIN), self.certificates.trust, transport, **options)
        return kamailio

    async def party(self, kamailio: KamailioPresence, transport: str = "tls") -> Party:
        """Our side, which Kamailio finds by its address."""
        listen = f"{transport}:{ON_LOOPBACK}"
        if transport != "tls":
            return await self.clear_text_party(listen, proxy=kamailio.proxy(transport))
        return await self.tls_party(
            listen,
            certificate=self.certificates.right("127.0.0.1"),
            allow=[DOMAIN],
            trusted_proxies=[DOMAIN],
            proxy=kamailio.proxy(),
            proxy_tls_name=DOMAIN,
        )


class PresenceTests(PresenceServerTestCase):
    """What is published is told."""

    async def tells(self, transport: str) -> None:
        """From the first PUBLISH to the last NOTIFY."""
        kamailio = await self.start(transport)
        party = await self.party(kamailio, transport)
        desk = await party.endpoint.publish("presence", Presence.of(ROOM, note="desk"), target=ROOM, expires=600)
        self.assertTrue(590 < desk.expires <= 600)
        watch = await self.watch(party.endpoint, ROOM, "presence", expires=600)
        first = await watch.next()
        self.assertEqual((notes(first), first.document.is_open), (["desk"], True))
        assert watch.subscription.expires is not None
        self.assertTrue(500 < watch.subscription.expires <= 600)
        await desk.modify(Presence.of(ROOM, False, note="out"))
        second = await watch.next()
        self.assertEqual((notes(second), second.document.is_open), (["out"], False))
        etag = desk.etag
        await desk.refresh()
        self.assertNotEqual(desk.etag, etag)
        self.assertEqual((await watch.refresh()).status // 100, 2)
        self.assertEqual(notes(await watch.next()), ["out"])
        fetched = await party.endpoint.fetch(ROOM, "presence")
        self.assertEqual((notes(fetched), fetched.state), (["out"], "terminated"))
        await desk.remove()
        gone = await watch.next()
        self.assertTrue(gone.document is None or not gone.document.is_open, gone.body)
        await watch.subscription.terminate()
        self.assertEqual(watch.states, ["SUBSCRIBING", "SUBSCRIBED", "TERMINATING", "TERMINATED"])

    async def test_tls(self) -> None:
        """Published, changed, refreshed, fetched and taken back over mutual TLS, and a subscriber is told of each
        (row:J1, row:J2, row:J3, row:J4, row:J11, row:J12)."""
        await self.tells("tls")

    async def test_tcp(self) -> None:
        """The same over TCP (row:J1, row:J2, row:J11)."""
        await self.tells("tcp")

    async def test_udp(self) -> None:
        """The same over UDP (row:J1, row:J2, row:J11)."""
        await self.tells("udp")

    async def test_before_anything_is_published(self) -> None:
        """A subscription to somebody of whom nothing is known stands, with nothing in it (row:J1)."""
        party = await self.party(await self.start())
        watch = await self.watch(party.endpoint, ROOM, "presence")
        self.assertEqual((await watch.next()).body, b"")
        desk = await party.endpoint.publish("presence", Presence.of(ROOM, note="desk"), target=ROOM)
        self.assertEqual(notes(await watch.next()), ["desk"])
        await desk.remove()
        await watch.subscription.terminate()

    async def test_several_publications(self) -> None:
        """Two publish for one, and Kamailio makes one document of both (row:J11)."""
        party = await self.party(await self.start())
        watch = await self.watch(party.endpoint, ROOM, "presence")
        desk = await party.endpoint.publish("presence", Presence.of(ROOM, note="desk", device="1"), target=ROOM)
        await watch.says("desk")
        pocket = await party.endpoint.publish("presence", Presence.of(ROOM, note="pocket", device="2"), target=ROOM)
        self.assertEqual(notes(await watch.says("pocket")), ["desk", "pocket"])
        await desk.remove()
        await until(reactor, lambda: notes(watch.heard[-1]) == ["pocket"], 15, "what is left")
        await pocket.remove()
        await watch.subscription.terminate()

    async def test_dialogs(self) -> None:
        """The calls of somebody are published, and read as such (row:J11)."""
        party = await self.party(await self.start())
        watch = await self.watch(party.endpoint, ROOM, "dialog")
        busy = DialogEntry("1", "confirmed", direction="recipient", remote=DialogParty("sip:carol@c.example"))
        lamp = await party.endpoint.publish("dialog", DialogInfo(ROOM, 0, (busy,)), target=ROOM)
        await watch.says("confirmed")
        notification = watch.heard[-1]
        [dialog] = notification.document.dialogs
        self.assertEqual((dialog.state, dialog.direction), ("confirmed", "recipient"))
        self.assertEqual(str(dialog.remote.identity), "sip:carol@c.example")
        over = DialogEntry("1", "terminated", direction="recipient", remote=DialogParty("sip:carol@c.example"))
        await lamp.modify(DialogInfo(ROOM, 1, (over,)))
        await watch.says("terminated")
        await lamp.remove()
        await watch.subscription.terminate()

    async def test_mailbox(self) -> None:
        """What waits in a mailbox is published, and read as such (row:J11)."""
        party = await self.party(await self.start())
        watch = await self.watch(party.endpoint, ROOM, "message-summary")
        summary = MessageSummary(True, ROOM, (MessageCount("voice-message", new=2, old=5),))
        mailbox = await party.endpoint.publish("message-summary", summary, target=ROOM)
        notification = await watch.says("Waiting: yes")
        self.assertEqual(str(notification.document.count_of("voice-message")), "Voice-Message: 2/5")
        await mailbox.remove()
        await watch.subscription.terminate()


class RefusalTests(PresenceServerTestCase):
    """What Kamailio does not take."""

    async def test_unknown_event(self) -> None:
        """489 for what it does not know, whether we publish or subscribe (row:J5, row:J11)."""
        party = await self.party(await self.start())
        failure = await self.failure_of(party.endpoint.subscribe(ROOM, "x-odd"), RequestFailed)
        self.assertEqual(failure.status, 489)
        publishing = party.endpoint.publish("x-odd", b"odd", target=ROOM, content_type="text/plain")
        self.assertEqual((await self.failure_of(publishing, RequestFailed)).status, 489)

    async def test_too_brief(self) -> None:
        """Its 423 is followed (row:J3, row:J11)."""
        kamailio = await self.start(least=120)
        party = await self.party(kamailio)
        watch = await self.watch(party.endpoint, ROOM, "presence", expires=30)
        assert watch.subscription.expires is not None
        self.assertTrue(90 < watch.subscription.expires <= 120, watch.subscription.expires)
        await watch.subscription.terminate()

    async def test_shortened(self) -> None:
        """What it grants counts, and is refreshed in time: twice here (row:J3, row:J12)."""
        kamailio = await self.start(most=8)
        party = await self.party(kamailio)
        desk = await party.endpoint.publish("presence", Presence.of(ROOM, note="desk"), target=ROOM)
        watch = await self.watch(party.endpoint, ROOM, "presence")
        await until(reactor, lambda: len(self.said("PUBLISH")) > 2 and len(self.said("SUBSCRIBE")) > 2, 40, "refreshes")
        await watch.says("desk")
        self.assertEqual(watch.states, ["SUBSCRIBING", "SUBSCRIBED"])
        await desk.remove()
        await watch.subscription.terminate()

    async def test_restarted(self) -> None:
        """Kamailio is killed and has forgotten everything: it is published again, and subscribed to again (row:J5,
        row:J12)."""
        kamailio = await self.start()
        party = await self.party(kamailio)
        desk = await party.endpoint.publish("presence", Presence.of(ROOM, note="desk"), target=ROOM)
        watch = await self.watch(party.endpoint, ROOM, "presence")
        self.assertEqual(notes(await watch.next()), ["desk"])
        etag = desk.etag
        os.killpg(kamailio.program.pid, signal.SIGKILL)
        await kamailio.stop()
        again = self.peer(KamailioPresence)
        again.ports = kamailio.ports
        await again.serve(self.certificates.for_domain_only(DOMAIN), self.certificates.trust)
        await desk.refresh()
        self.assertNotEqual(desk.etag, etag)
        # The lost connection has it look by itself; a pause is over after some seconds.
        await watch.says("desk", 30)
        await watch.reaches("SUBSCRIBED")
        await desk.remove()
        await watch.subscription.terminate()


class OurServerTests(PresenceServerTestCase):
    """Kamailio publishes at ours."""

    async def test_it_publishes(self) -> None:
        """Its PUBLISH and its changes reach our compositor (row:J11, row:J12)."""
        kamailio = await self.start("tcp")
        server = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        package = server.endpoint.packages.add(MessageSummaryPackage(may_watch=lambda request: True))
        compositor = EventStateCompositor(server.endpoint, [package], may_publish=lambda request, resource: True)
        target = server.uri("tcp")
        watcher = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        watch = await self.watch(watcher.endpoint, target, "message-summary")
        await kamailio.publish(target, "message-summary", MessageSummary.media_type, summary(True))
        self.assertTrue((await watch.says("yes")).document.waiting)
        await kamailio.publish(target, "message-summary", MessageSummary.media_type, summary(False))
        self.assertFalse((await watch.says("no")).document.waiting)
        self.assertEqual(len(compositor), 1)
        await kamailio.publish(target, "message-summary", "", "", expires=0)
        await until(reactor, lambda: not len(compositor), 15, "the end of the publication")
        await watch.subscription.terminate()


def summary(waiting: bool) -> str:
    """A document as Kamailio is told it."""
    return MessageSummary(waiting).to_bytes().decode()
