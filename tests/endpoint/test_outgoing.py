"""What a party sends, and what comes of it; the outbound proxy."""

from __future__ import annotations

import threading

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from sip_p2p import (
    ConnectionFailure,
    InvalidOperation,
    OperationTimeout,
    ProxyConnector,
    RequestFailed,
    RestrictedHeader,
    SipPeerToPeerEndpoint,
    Target,
    TlsFailure,
    TlsFailureReason,
    Transport,
)
from sip_p2p.sip.dates import parse_date
from sip_p2p.testing import Network
from sip_p2p.transport.tls.settings import server_tls_factory
from tests.endpoint.support import PartyTestCase
from tests.support import SynchronousTestCase


class SendingTests(PartyTestCase):
    """Group F."""

    def test_message(self) -> None:
        """send_message fires with the final response; text is plain UTF-8 unless it says otherwise (row:F1, row:F5)."""
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append((str(event.content_type), event.body)))
        response = self.run_until(self.alice.send_message("sip:bob@b.example", "grüß"))
        self.assertEqual(response.status, 200)  # type: ignore[attr-defined]
        self.run_until(self.alice.send_message("sip:bob@b.example", b"\xff", "application/octet-stream"))
        self.assertEqual([body for _, body in seen], ["grüß".encode(), b"\xff"])
        self.assertEqual(seen[0][0].lower().replace(" ", ""), "text/plain;charset=utf-8")
        with self.assertRaises(ValueError):
            self.alice.send_message("sip:bob@b.example", b"octets without a type")

    def test_no_contact_in_message(self) -> None:
        """A MESSAGE carries no Contact (RFC 3428 section 4, row:F13)."""
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append("Contact" in event.request.headers))
        self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.assertEqual(seen, [False])

    def test_expires(self) -> None:
        """A MESSAGE says for how long it is of use, with the Date that this counts from (RFC 3428 section 7,
        row:F13)."""
        seen: list[tuple[str | None, str | None]] = []
        self.bob.message_received.subscribe(
            lambda event: seen.append((event.request.headers.get("Expires"), event.request.headers.get("Date")))
        )
        self.run_until(self.alice.send_message("sip:bob@b.example", "x", expires=59.5))
        self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        (expires, date), nothing = seen
        self.assertEqual((expires, nothing), ("60", (None, None)))
        self.assertGreater(parse_date(str(date)), 1_700_000_000)
        for wrong in (-1, 2**32, float("nan")):
            with self.assertRaisesRegex(ValueError, "expires in"):
                self.alice.send_message("sip:bob@b.example", "x", expires=wrong)

    def test_sent_anew(self) -> None:
        """A request can go out under the Call-ID of an earlier one, with a higher sequence number (RFC 3261 section
        8.1.3.5)."""
        seen: list[tuple[str, int]] = []
        self.bob.message_received.subscribe(lambda event: seen.append((event.call_id, event.request.cseq.number)))
        for number in (1, 17):
            self.run_until(self.alice.send_message("sip:bob@b.example", "x", call_id="same@one", cseq=number))
        self.assertEqual(seen, [("same@one", 1), ("same@one", 17)])
        for call_id, number in (("two words", 1), ("", 1), ("x", 0), ("x", 2**31)):
            with self.assertRaises(ValueError):
                self.alice.send_message("sip:bob@b.example", "x", call_id=call_id, cseq=number)

    def test_refusals(self) -> None:
        """A final response of 300 and above is RequestFailed, with the response (row:F2)."""
        self.bob.message_received.subscribe(lambda event: event.response(486, headers=[("Warning", '399 b "busy"')]))
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.assertEqual((caught.exception.status, str(caught.exception)), (486, "486 Busy Here"))
        self.assertEqual(caught.exception.response.headers["Warning"], '399 b "busy"')

    def test_timeouts(self) -> None:
        """No answer is OperationTimeout: after 32 seconds, or after what the caller allows (row:F3)."""
        self.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.network.half_open(*self.network.hosts[:2])
        short, long = (
            self.alice.send_message("sip:bob@b.example", "x", timeout=3),
            self.alice.send_message("sip:bob@b.example", "x"),
        )
        self.network.advance(2.9)
        self.assertNoResult(short)
        self.network.advance(0.2)
        self.failureResultOf(short, OperationTimeout)
        self.network.advance(28.7)
        self.assertNoResult(long)
        self.network.advance(0.3)
        self.failureResultOf(long, OperationTimeout)

    def test_contact_for_sips(self) -> None:
        """A request to a sips URI carries a sips Contact, any other a sip one (RFC 3261 8.1.1.8, row:A11)."""
        contacts: list[str] = []
        self.bob.handle("PING", lambda event: contacts.append(event.request.headers["Contact"]))
        self.run_until(self.alice.request("PING", "sips:bob@b.example"))
        self.run_until(self.alice.request("PING", "sip:bob@b.example"))
        self.assertEqual([contact.partition(":")[0] for contact in contacts], ["<sips", "<sip"])

    def test_closed_without_a_word(self) -> None:
        """A peer that closes after the handshake without an alert may have refused our certificate: the error says so
        (row:D18, row:F4)."""

        @implementer(IHandshakeListener)
        class Mute(Protocol):
            def handshakeCompleted(self) -> None:
                self.transport.loseConnection()

        bob = self.bob.connection_manager
        settings = bob.tls_settings()
        host = self.network.find("b.example")
        port = host.listenTCP(5099, server_tls_factory(settings, Factory.forProtocol(Mute), host, 5))
        mute = self.alice.send_message("sip:bob@b.example:5099", "x")
        self.network.advance(5)
        failure = self.failureResultOf(mute, ConnectionFailure)
        self.assertIn("may have refused our certificate", str(failure.value))
        self.run_until(port.stopListening())

    def test_own_headers(self) -> None:
        """Header fields of the application go out; those of the stack are refused by name, but for tools (row:F6)."""
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append(event.request.headers.get("X-Night")))
        self.run_until(self.alice.send_message("sip:bob@b.example", "x", headers=[("X-Night", "1")]))
        self.assertEqual(seen, ["1"])
        for name in ("v", "Call-ID", "CONTACT", "cseq", "Content-Length"):
            with self.assertRaises(RestrictedHeader):
                self.alice.send_message("sip:bob@b.example", "x", headers=[(name, "1")])
        with self.assertRaises(ValueError):
            self.alice.send_message("sip:bob@b.example", "x", headers=[("X", "a\r\nb")])
        odd = self.alice.request("PING", "sip:bob@b.example", headers=[("Contact", "*")], unsafe_headers=True)
        self.assertEqual(self.status_of(odd), 501)

    def test_any_method(self) -> None:
        """Any token is a method that can be sent, but for those of a session (row:F7)."""
        self.bob.handle("X-Own!", lambda event: 202)
        self.assertEqual(self.status_of(self.alice.request("X-Own!", "sip:bob@b.example")), 202)
        for method in ("INVITE", "ACK", "CANCEL", "BYE"):
            with self.assertRaises(InvalidOperation):
                self.alice.request(method, "sip:bob@b.example")
        with self.assertRaises(ValueError):
            self.alice.request("NO SPACE", "sip:bob@b.example")

    def test_retry_after(self) -> None:
        """A failure with Retry-After is repeated once, after that time, unless the caller declines (row:F8)."""
        times: list[float] = []

        def busy(event: object) -> object:
            times.append(self.network.clock.seconds())
            return 200 if len(times) % 2 == 0 else event.response(503, headers=[("Retry-After", "5")])  # type: ignore[attr-defined]

        self.bob.message_received.subscribe(busy)
        self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", "x")), 200)
        self.assertGreaterEqual(times[1] - times[0], 5)
        self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", "x", retry_after="never")), 503)
        self.assertEqual(len(times), 3)
        with self.assertRaises(ValueError):
            self.alice.send_message("sip:bob@b.example", "x", retry_after="sometimes")

    def test_long_retry_after_is_not_waited_for(self) -> None:
        """A Retry-After of minutes, or of nonsense, is the caller's to judge (row:F8)."""
        for value in ("3600", "soon", "-1"):
            self.bob.message_received.subscribe(
                handler := lambda event, value=value: event.response(503, headers=[("Retry-After", value)])
            )
            self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", "x")), 503)
            self.bob.message_received.unsubscribe(handler)
            # Until then a peer that is overloaded is asked nothing.
            self.network.advance(61)

    def test_cancel(self) -> None:
        """A cancelled request is over at once, at every stage, and a late answer is ignored (row:F9)."""
        answers: list[Deferred] = []
        self.bob.message_received.subscribe(lambda event: answers.append(Deferred()) or answers[-1])
        for seconds in (0, 0.015, 0.03, 1):
            sending = self.alice.send_message("sip:bob@b.example", "x")
            self.network.advance(seconds)
            sending.cancel()
            self.failureResultOf(sending, CancelledError)
            self.network.advance(1)
        for answer in answers:
            answer.callback(200)
        self.network.advance(1)
        self.assertEqual(self.alice.connection_manager.inventory()["clients"], 0)

    def test_arguments_are_checked_at_once(self) -> None:
        """What is wrong about a call is raised by the call; everything else fails its Deferred (row:M4)."""
        for target in ("", "nobody", "http://x", "sip:", "sip:a b@c", "tel:"):
            with self.assertRaises(ValueError):
                self.alice.send_message(target, "x")
        with self.assertRaises(TypeError):
            self.alice.send_message(5, "x")  # type: ignore[arg-type]
        with self.assertRaises(ValueError):
            self.alice.send_message("sip:bob@b.example", "x", timeout=0)
        with self.assertRaises(ValueError):
            self.alice.send_message("sip:bob@b.example", "x", timeout=float("nan"))
        for target in ("sip:bob@b.example", "sip:bob@b.example;transport=udp"):
            with self.assertRaises(ValueError):
                self.alice.send_message(target, "x", headers=[("Subject", "\ud800")], timeout=5)

    def test_numbers(self) -> None:
        """A tel URI is sent into the owner's own domain (row:K4)."""
        heard = []
        dave = self.network.party("sip:dave@b.example")
        dave.handle("PING", lambda event: heard.append(str(event.request.uri)))
        erin = SipPeerToPeerEndpoint("sip:erin@b.example", dave.connection_manager)
        self.status_of(erin.request("PING", "tel:+1-555-0100"))
        self.assertEqual(self.network.run_until(erin.request("OPTIONS", "tel:+1-555-0100")).status, 200)

    def test_via_a_target(self) -> None:
        """A request can be sent somewhere else than where its URI leads; what must be proved is the target's name
        (row:E22)."""
        heard = []
        self.bob.message_received.subscribe(lambda event: heard.append(str(event.request.uri)))
        via = Target("tls", "b.example", 5061)
        self.run_until(self.alice.send_message("sip:anyone@nowhere.example", "x", via=via))
        self.assertEqual(heard, ["sip:anyone@nowhere.example"])
        with self.assertRaises(ValueError):
            self.alice.send_message("sips:bob@b.example", "x", via=Target("tcp", "b.example"))

    def test_other_threads(self) -> None:
        """A call from another thread is refused with the remedy, and does nothing (fault:K7, row:M6)."""
        from twisted.python import threadable

        self.patch(threadable, "ioThread", threading.get_ident())
        caught: list[BaseException] = []

        def elsewhere() -> None:
            try:
                self.alice.send_message("sip:bob@b.example", "x")
            except InvalidOperation as error:
                caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        self.assertIn("callFromThread", str(caught[0]))


class ProxyTests(SynchronousTestCase):
    """The outbound proxy, played by an endpoint that takes everything."""

    def setUp(self) -> None:
        """A party behind a proxy, and the proxy."""
        self.network = Network(delay=0.01)
        self.proxy = self.network.party("sip:proxy@p.example")
        self.count = 0
        self.seen: list = []
        self.proxy.handle("PING", self.seen.append)
        self.addCleanup(self.network.finish)

    def ping(self, target: str, **options: object) -> None:
        """Send a PING through the proxy."""
        self.count += 1
        party = self.network.party(f"sip:a@a{self.count}.example", listen=(), **options)
        self.network.run_until(party.request("PING", target))

    def test_first_hop(self) -> None:
        """Everything goes to the proxy: the Request-URI stays, Route names it, its certificate is checked (row:A6,
        row:E26)."""
        self.ping("sip:bob@far.example", proxy="p.example")
        request = self.seen[0].request
        self.assertEqual(request.uri_text, "sip:bob@far.example")
        self.assertEqual(request.headers["Route"], "<sip:p.example;transport=tls;lr>")
        self.assertEqual(request.headers["To"], "<sip:bob@far.example>")

    def test_certificate_name(self) -> None:
        """The proxy's certificate proves the name that was given for it, and no other will do (row:A7)."""
        self.network.name("gate.example", *self.network.addresses_of("p.example"))
        self.ping("sip:bob@far.example", proxy="tls:gate.example:5061", proxy_tls_name="p.example")
        with self.assertRaises(TlsFailure) as caught:
            self.ping("sip:bob@far.example", proxy="tls:gate.example:5061")
        self.assertIs(caught.exception.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_client_endpoint(self) -> None:
        """The connection to the proxy is made by a Twisted client endpoint, if one is given (row:A6)."""
        host = self.network.host(names=["via.example"])
        self.assertIsNotNone(host)
        party = self.network.party("sip:x@x.example", listen=())
        endpoint = HostnameEndpoint(party.connection_manager.reactor, "p.example", 5061)
        behind = SipPeerToPeerEndpoint(
            "sip:y@x.example", party.connection_manager, proxy=endpoint, proxy_tls_name="p.example"
        )
        self.network.run_until(behind.request("PING", "sip:bob@far.example"))
        self.assertEqual(len(self.seen), 1)

    def test_client_endpoints_do_not_share(self) -> None:
        """A connection that one client endpoint made carries nothing that is to go by another, or by none (row:A6,
        fault:G1)."""
        manager = self.network.party("sip:x@x.example", listen=()).connection_manager
        parties = [manager.endpoints[0]]
        for user in ("y", "z"):
            way = HostnameEndpoint(manager.reactor, "p.example", 5061)
            named = {"proxy": way, "proxy_tls_name": "p.example"}
            parties.append(SipPeerToPeerEndpoint(f"sip:{user}@x.example", manager, **named))  # type: ignore[arg-type]
        for _ in range(2):
            for party in parties:
                self.network.run_until(party.request("PING", "sip:bob@p.example"))
        self.assertEqual((len(self.seen), manager.inventory()["flows"]), (6, 3))

    def test_never_less_than_tls(self) -> None:
        """sips: and transport=tls raise the hop to the proxy to TLS; nothing lowers it (row:A5)."""
        clear = ProxyConnector.parse("tcp:p.example")
        self.assertEqual(clear.first_hop(Transport.TCP).transport, Transport.TCP)
        self.assertEqual(clear.first_hop(Transport.TLS).transport, Transport.TLS)
        self.assertEqual(ProxyConnector.parse("p.example").first_hop(Transport.TCP).transport, Transport.TLS)
        with self.assertRaises(InvalidOperation):
            ProxyConnector.parse("udp:p.example").first_hop(Transport.TLS)
        self.ping("sips:bob@far.example", proxy="tcp:p.example")
        self.assertEqual(self.seen[0].peer.transport, "TLS")

    def test_route_of_a_sips_request(self) -> None:
        """No sip URI stands in Route or Contact beside a sips Request-URI (RFC 5630 section 5.1.1)."""
        self.ping("sips:bob@far.example", proxy="p.example")
        headers = self.seen[0].request.headers
        self.assertEqual(headers["Route"], "<sips:p.example;lr>")
        self.assertTrue(headers["Contact"].startswith("<sips:"), headers["Contact"])

    def test_wrong_proxies(self) -> None:
        """A proxy that is none, or a certificate name without one, is refused when the endpoint is made (row:A1)."""
        manager = self.proxy.connection_manager
        for options in (
            {"proxy": "p.example:port"}, {"proxy": ""}, {"proxy_tls_name": "p.example"},
            {"proxy": "tcp:p.example", "proxy_tls_name": "p"},
            {"proxy": ProxyConnector.parse("p.example"), "proxy_tls_name": "q"},
        ):  # fmt: skip
            with self.assertRaises(ValueError, msg=str(options)):
                SipPeerToPeerEndpoint("sip:z@p.example", manager, **options)  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            SipPeerToPeerEndpoint("sip:z@p.example", manager, proxy=5)  # type: ignore[arg-type]
