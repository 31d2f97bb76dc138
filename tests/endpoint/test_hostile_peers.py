"""What a peer that means no good, or has lost its way, can do to a party: nothing that lasts."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent, globalLogPublisher

from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.transport.limits import Limits
from tests.endpoint.support import Raw, RawDatagrams, StrangerTestCase, octets


class HostilePeerTests(StrangerTestCase):
    """Bob listens in clear text as well, and a stranger is there."""

    listen = ("tcp:port=5060", "udp:port=5060")

    def connections(self) -> int:
        """How many connections Bob has."""
        return self.manager.inventory()["connections"]

    def test_peer_that_vanished(self) -> None:
        """A TLS connection that was idle is closed, and gone soon after, though the peer never says goodbye
        (fault:G5)."""
        mute = self.network.party("sip:mute@m.example", listen=(), manager={"limits": Limits(idle_timeout=0)})
        self.run_until(mute.request("OPTIONS", "sip:bob@b.example"))
        [flow] = mute.connection_manager.pool
        cast("Any", flow)._transport.pauseProducing()
        self.assertEqual(self.connections(), 1)
        self.network.advance(300)
        self.assertEqual(self.connections(), 0)

    def test_peer_that_never_reads(self) -> None:
        """A connection that was to be closed, and whose peer reads nothing of what is left to say, is cut off
        (fault:G8)."""
        raw = self.dial()
        cast("Any", raw.transport).pauseProducing()
        for batch in range(40):
            raw.send(b"".join(octets(number=1000 * batch + number) for number in range(100)))
            self.network.advance(0.1)
        self.assertEqual(self.connections(), 1)
        self.network.advance(300)
        self.assertEqual(self.connections(), 0)

    def test_busy_peer(self) -> None:
        """Messages that follow each other without a gap are no slow message, wherever the reads end (fault:H2)."""
        raw = self.dial()
        whole = octets(number=1)
        raw.send(whole[:50])
        for number in range(1, 40):
            raw.send(octets(number=number)[50:] + octets(number=number + 1)[:50])
            self.network.advance(1)
        self.assertEqual(raw.received.count(b"SIP/2.0 200"), 39)
        self.network.advance(15)
        self.assertEqual(self.connections(), 0)

    def test_answer_larger_than_a_datagram(self) -> None:
        """An answer that no datagram can hold is not sent, and the next request on the flow is answered (fault:I3)."""
        self.bob.handle("INFO", lambda event: event.response(200, body="x" * 70_000))
        port = RawDatagrams()
        bound = cast("Any", self.stranger).listenUDP(5060, port)
        self.addCleanup(bound.stopListening)
        for number, method in enumerate(("INFO", "OPTIONS")):
            cast("Any", port.transport).write(octets(method, number, over="UDP"), (self.address, 5060))
            self.network.advance(1)
        self.assertEqual([datagram[:11] for datagram in port.received], [b"SIP/2.0 200"])

    def test_invite_cancelled_in_the_same_breath(self) -> None:
        """An INVITE whose CANCEL came with it is answered 487 and never shown to the application (fault:C5,
        fault:K4)."""
        asked: list[IncomingRequest] = []
        self.bob.handle("INVITE", lambda event: asked.append(event) or Deferred())
        raw = self.dial()
        invite = octets("INVITE", branch="z9hG4bKx")
        cancel = octets("CANCEL", branch="z9hG4bKx")
        raw.send(invite + cancel)
        self.network.advance(1)
        self.assertEqual(
            sorted(line[8:11] for line in raw.received.split(b"\r\n") if line[:4] == b"SIP/"), [b"200", b"487"]
        )
        self.assertEqual(asked, [])

    def test_invite_cancelled_while_it_is_worked_on(self) -> None:
        """An INVITE that the application works on is cancelled there, too (fault:C5)."""
        working: Deferred[None] = Deferred()
        self.bob.handle("INVITE", lambda event: working)
        ended = working.addErrback(lambda failure: failure.trap(CancelledError) and None)
        raw = self.dial()
        raw.send(octets("INVITE", branch="z9hG4bKx"))
        self.network.advance(0.1)
        raw.send(octets("CANCEL", branch="z9hG4bKx"))
        self.network.advance(1)
        self.assertIn(b"SIP/2.0 487", raw.received)
        self.assertTrue(ended.called)

    def test_request_that_its_application_has_broken(self) -> None:
        """What an application does to a request that it was given stops no timer, its own or another's (fault:K10,
        fault:K2)."""

        def breaks(event: Any) -> Deferred[None]:
            event.request.headers = None
            return Deferred(lambda _: None)

        self.bob.handle("INFO", breaks)
        self.bob.handle("PUBLISH", lambda event: Deferred(lambda _: None))
        asked = [self.alice.request(method, "sip:bob@b.example") for method in ("INFO", "PUBLISH")]
        self.assertEqual([self.status_of(each) for each in asked], [500, 500])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.assertEqual(self.manager.inventory()["servers"], 0)

    def test_log_of_many(self) -> None:
        """However many strangers talk nonsense, stay silent or hang up, the log holds a few lines of it (fault:H6,
        fault:B4)."""
        lines: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if str(event.get("log_namespace", "")).startswith("sip_p2p"):
                lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        method = "M" * 1000
        self.bob.handle(method, lambda event: Deferred(lambda _: None))
        for number in range(150):
            raw = self.dial()
            raw.send((b"nonsense\r\n\r\n", octets(method, number), b"OPT", b"", octets("ACK", number))[number % 5])
            if number % 5 == 1:
                self.network.advance(0.1)
                cast("Any", raw.transport).abortConnection()
        self.network.advance(300)
        self.assertEqual(self.connections(), 0)
        self.assertLess(len(lines), 70)
        self.assertLess(max(map(len, lines)), 300)

    def test_log_of_a_broken_application(self) -> None:
        """An application that fails on whatever comes, and a tap, fill no log either, however much does come: a few
        tracebacks are there, and the rest are counted (fault:H6, fault:K1)."""

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        async def late(_: Any) -> Any:
            raise ZeroDivisionError

        class Tap:
            message = broken

        self.bob.message_received.subscribe(broken)
        self.bob.handle("INFO", late)
        self.manager.flow_opened.subscribe(broken)
        self.manager.flow_opened.subscribe(late)
        self.manager.add_tap(Tap())
        raw = RawDatagrams()
        port = self.stranger.listenUDP(5999, raw)
        for number in range(60):
            self.dial().send(octets("MESSAGE", number, body=b"x") + octets("INFO", number))
            datagram = octets("MESSAGE", 100 + number, over="UDP", body=b"x")
            cast("Any", raw.transport).write(datagram, (self.address, 5060))
        self.network.advance(1)
        self.assertTrue(all(b" 500 " in each.received for each in self.raw))
        self.assertLess(len(self.flushLoggedErrors(ZeroDivisionError)), 50)
        self.assertGreater(self.manager.metrics()["log_lines_withheld"], 100)
        port.stopListening()

    def test_clear_text_that_we_dialled(self) -> None:
        """Where TLS is the rule, that we sent somebody clear text lets nobody send us requests by that way: neither the
        one whom we dialled, nor, on UDP, everybody else; who is trusted because we dialled it may, and nobody else then
        (row:D9, fault:E7, fault:D4)."""
        for trusted, status in ((False, b"403"), (True, b"200")):
            name = f"t{int(trusted)}.example"
            heard: list[IncomingRequest] = []
            dialler = self.network.party(
                f"sip:bob@{name}", listen=(), manager={"trust_dialed_peers": trusted}, message_received=heard.append
            )
            port, other = RawDatagrams(), RawDatagrams()
            for number, protocol in ((5070 + trusted, port), (5080 + trusted, other)):
                bound = cast("Any", self.stranger).listenUDP(number, protocol)
                self.addCleanup(bound.stopListening)
            sending = dialler.request("OPTIONS", f"sip:x@peer.example:{5070 + trusted};transport=udp")
            self.network.advance(0.1)
            [(asked, ours)] = port.sources
            reply = b"SIP/2.0 200 OK\r\n" + asked.partition(b"\r\n")[2]
            for number, protocol in enumerate((port, other)):
                cast("Any", protocol.transport).write(octets("MESSAGE", number, over="UDP", body=b"x"), ours)
            cast("Any", port.transport).write(reply, ours)
            self.assertEqual(self.status_of(sending), 200)
            self.network.advance(0.1)
            self.assertEqual([each.received[-1][8:11] for each in (port, other)], [status, b"403"])
            self.assertEqual(len(heard), 1 if trusted else 0)

    def test_connection_in_clear_text_that_we_dialled(self) -> None:
        """The same for TCP (row:D9, fault:E7)."""
        heard: list[IncomingRequest] = []
        self.alice.message_received.subscribe(heard.append)
        accepted: list[Raw] = []

        class Accepting(Raw):
            def connectionMade(self) -> None:
                accepted.append(self)

        port = cast("Any", self.stranger).listenTCP(5060, Factory.forProtocol(Accepting))
        self.addCleanup(port.stopListening)
        sending = self.alice.request("OPTIONS", "sip:x@peer.example;transport=tcp").addErrback(lambda _: None)
        self.network.advance(1)
        [raw] = self.raw = accepted
        raw.send(octets("MESSAGE", body=b"x"))
        self.network.advance(1)
        self.assertIn(b"SIP/2.0 403", raw.received)
        self.assertEqual(heard, [])
        sending.cancel()
