"""Sessions of two parties, and a third one, known to both of them, that would like to have a part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.from_policy import FromPolicy
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.testing import Network
from tests.endpoint.session.support import Server, reply
from tests.endpoint.support import RawDatagrams
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.message import Request, Response

OFFER = b"v=0\r\n"


class StrangerTests(SynchronousTestCase):
    """Alice talks to Bob; Mallory has a certificate as good as theirs, and knows all that there is to know."""

    def setUp(self) -> None:
        """Three parties."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.mallory = self.network.party("sip:mallory@m.example")
        self.addCleanup(self.network.finish)
        self.taken: list[SignalingSession] = []

    def call(self, policy: FromPolicy) -> SignalingSession:
        """The session of Alice and Bob, who believes what *policy* believes."""
        self.bob = self.network.party("sip:bob@b.example", manager={"from_policy": policy})
        self.bob.session_received.subscribe(self.take)
        session = self.network.run_until(self.alice.invite("sip:bob@b.example", OFFER))
        self.network.advance(1)
        return session

    def take(self, session: SignalingSession) -> None:
        """Bob takes every call, and every message in it."""
        self.taken.append(session)
        session.message_received.subscribe(lambda event: None)
        session.accept(session.offer)

    def forge(self, method: str, number: int) -> int:
        """Let Mallory send Bob what would be Alice's next request, over a connection of its own; return the status."""
        self.network.run_until(self.mallory.request("OPTIONS", "sip:bob@b.example"))
        manager = self.mallory.connection_manager
        [flow] = manager.pool
        [dialog] = self.alice.connection_manager.core.dialogs
        plan = dialog.ack_plan(number)
        plan.method = method
        plan.contact = "<sip:mallory@m.example>"
        before = dict(manager.core.traffic.responses_in)
        manager.driver.request(plan.build(), flow, None)
        self.network.advance(1)
        after = manager.core.traffic.responses_in
        [status] = [status for status, count in after.items() if count != before[status] and status != 100]
        return status

    def test_hijack(self) -> None:
        """Whoever has another identity than the two of a session ends, changes and joins nothing in it, though it knows
        the Call-ID and both tags, and even where any From is believed (fault:D1, row:G6)."""
        session = self.call(FromPolicy.any_from())
        for number, method in enumerate(("BYE", "INVITE", "UPDATE", "INFO", "MESSAGE", "REFER"), 100):
            expected = 405 if method == "REFER" else 481
            self.assertEqual(self.forge(method, number), expected, method)
        self.check(session)

    def test_hijack_in_a_name_that_is_not_proved(self) -> None:
        """Where From is held against the certificate, as it usually is, nothing is heard of the dialog at all
        (fault:D1)."""
        session = self.call(FromPolicy())
        for number, method in enumerate(("BYE", "INVITE", "UPDATE", "INFO", "MESSAGE"), 100):
            self.assertEqual(self.forge(method, number), 403, method)
        self.check(session)

    def check(self, session: SignalingSession) -> None:
        """The session is as it was, and ends when one of the two ends it."""
        [bobs] = self.taken
        self.assertEqual((session.state, bobs.state), (SignalingState.CONNECTED, SignalingState.CONNECTED))
        self.assertEqual(self.network.run_until(session.send_message("still here")).status, 200)
        self.network.run_until(session.terminate())
        self.network.advance(40)
        self.assertEqual(bobs.state, SignalingState.DISCONNECTED)
        for party in (self.alice, self.bob):
            self.assertEqual(len(party.connection_manager.core.dialogs), 0)


class ForgedSourceTests(SynchronousTestCase):
    """INVITEs by UDP whose source and whose Contact are two victims."""

    def test_nothing_is_reflected(self) -> None:
        """Who calls and never acknowledges has nothing sent to the host of its Contact, and to its own address no more
        than a few times what came from there (fault:I2, fault:C6)."""
        network = Network(delay=0.01)
        self.addCleanup(network.finish)
        bob = network.party("sip:bob@b.example", listen=("udp:port=5060",))
        bob.session_received.subscribe(lambda session: session.accept(OFFER).addErrback(lambda _: None) and None)
        source, target = RawDatagrams(), RawDatagrams()
        ports: list[Any] = [
            network.host(names=["source.example"]).listenUDP(5060, source),
            network.host(names=["target.example"]).listenUDP(5060, target),
        ]
        for port in ports:
            self.addCleanup(port.stopListening)
        [address] = network.addresses_of("b.example")
        invite = (
            b"INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP source.example;rport;branch=z9hG4bK1\r\n"
            b"Max-Forwards: 70\r\nFrom: <sip:x@source.example>;tag=1\r\nTo: <sip:bob@b.example>\r\nCall-ID: c1\r\n"
            b"CSeq: 1 INVITE\r\nContact: <sip:x@target.example>\r\nContent-Type: application/sdp\r\n"
            b"Content-Length: 5\r\n\r\nv=0\r\n"
        )
        ports[0].write(invite, (address, 5060))
        network.advance(120)
        self.assertEqual(target.received, [])
        self.assertIn(b"SIP/2.0 200 ", source.received[0])
        self.assertLess(sum(map(len, source.received)), 5 * len(invite))
        self.assertEqual(len(bob.connection_manager.core.dialogs), 0)


class DowngradeTests(SynchronousTestCase):
    """Who is called over TLS answers with a Contact and a Record-Route that lead out of it."""

    def test_nothing_leaves_tls(self) -> None:
        """ACK and BYE go where the INVITE went, over TLS, whatever host and transport the 200 names (fault:D8)."""
        network = Network(delay=0.01)
        self.addCleanup(network.finish)
        alice = network.party("sip:alice@a.example", listen=("tls:port=5061", "udp:port=5060", "tcp:port=5060"))
        trap = network.host(names=["trap.example"])
        caught = RawDatagrams()
        port: Any = trap.listenUDP(5060, caught)
        self.addCleanup(port.stopListening)
        for contact in ("sip:eve@trap.example;transport=udp", "sip:eve@trap.example:5060", "sip:eve@b.example:5060"):

            def answer(request: Request, contact: str = contact) -> list[Response]:
                if request.method == "ACK":
                    return []
                made = reply(request, 200, ("Contact", f"<{contact}>"))
                if request.method == "INVITE":
                    made.headers.add("Content-Type", "application/sdp")
                    made.body = OFFER
                return [made]

            server = Server(network, "b.example", "b.example", answer)
            session = network.run_until(alice.invite("sip:bob@b.example", OFFER))
            network.advance(1)
            network.run_until(session.terminate())
            self.assertEqual(server.methods, ["INVITE", "ACK", "BYE"], contact)
            self.assertEqual(len(server.connections), 1)
            server.stop()
            network.advance(40)
        self.assertEqual(caught.received, [])

    def test_a_sips_call(self) -> None:
        """A call to a sips URI is sips at both ends, in every Contact and in every request after it (RFC 5630 section
        5.1, fault:D8)."""
        network = Network(delay=0.01)
        self.addCleanup(network.finish)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        taken: list[SignalingSession] = []

        def take(session: SignalingSession) -> None:
            taken.append(session)
            session.message_received.subscribe(lambda event: None)
            session.accept(OFFER)

        bob.session_received.subscribe(take)
        session = network.run_until(alice.invite("sips:bob@b.example", OFFER))
        network.advance(1)
        for party in (alice, bob):
            [dialog] = party.connection_manager.core.dialogs
            self.assertTrue(dialog.is_secure)
            self.assertEqual(dialog.remote_target.scheme, "sips")
        session.message_received.subscribe(lambda event: None)
        for each in (session, taken[0]):
            self.assertEqual(network.run_until(each.send_message("hello")).status, 200)
        network.run_until(taken[0].terminate())
        network.advance(40)
        self.assertEqual(session.state, SignalingState.DISCONNECTED)
