"""SIP over WebSocket between parties, and with peers that do it wrong (RFC 7118)."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from wsproto.connection import ConnectionType

from sip_p2p import ConnectionFailure, Limits, MessageLimits, SipPeerToPeerEndpoint, TlsFailure, Transport
from sip_p2p.testing import Network
from sip_p2p.transport.stream.websocket import WebSocketOptions
from sip_p2p.transport.stream.websocket_frames import ClientHandshake, Closed, Frames, PingSeen
from tests.support import SynchronousTestCase
from tests.transport.stream.test_websocket_frames import frame

MESSAGE = (
    "MESSAGE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/WS {host};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
    "From: <sip:carol@c.example>;tag=1\r\nTo: <sip:bob@b.example>\r\nCall-ID: {branch}@x\r\nCSeq: 1 MESSAGE\r\n"
    "Content-Type: text/plain\r\n\r\n{text}"
)


class Browser(Protocol):
    """Somebody who speaks WebSocket by hand, and keeps what comes."""

    def __init__(self, path: str = "/", origin: str = "") -> None:
        self.handshake = ClientHandshake("b.example:8080", path, origin, 65536, 64)
        self.raw = b""
        self.found: list[Any] = []
        self.reason: Failure | None = None
        self.answers = True

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def connectionMade(self) -> None:
        self.write(self.handshake.request)

    def dataReceived(self, data: bytes) -> None:
        self.raw += data
        if self.handshake.frames is None:
            self.handshake.feed(data)
            data = self.handshake.rest
        if self.frames is not None and data:
            found = self.frames.feed(data)
            self.found.extend(found)
            for item in found:
                if isinstance(item, PingSeen) and self.answers:
                    self.write(self.frames.pong(item.payload))

    @property
    def frames(self) -> Frames:
        return self.handshake.frames  # type: ignore[return-value]

    @property
    def texts(self) -> list[str]:
        """The messages that came."""
        return [each.decode() for each in self.found if isinstance(each, bytes)]

    def say(self, text: str) -> None:
        """One message."""
        self.write(self.frames.message(text.encode()))

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.reason = reason

    def abort(self) -> None:
        """It is gone without a goodbye."""
        transport: Any = self.transport
        if self.reason is None:
            transport.abortConnection()


class WebSocketTestCase(SynchronousTestCase):
    """Bob listens on WebSocket, secure and not; Alice dials."""

    listen: tuple[str, ...] = ("ws:port=8080", "wss:port=443")
    limits: Limits | None = None

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example", listen=())
        options = {} if self.limits is None else {"manager": {"limits": self.limits}}
        self.bob = self.network.party("sip:bob@b.example", listen=self.listen, **options)
        self.events: list[Any] = []
        self.bob.message_received.subscribe(self.events.append)
        self.addCleanup(self.network.finish)

    @property
    def bobs(self) -> Any:
        return self.bob.connection_manager

    def browser(self, name: str = "c.example", **options: Any) -> Browser:
        """A browser on a host of its own, connected as far as it comes to that."""
        return self.connect(Browser(**options), name)

    def connect(self, browser: Browser, name: str = "c.example") -> Browser:
        """Connect one that was made elsewhere."""
        host = self.network.find(name) or self.network.host(names=[name])
        factory = Factory.forProtocol(lambda: browser)  # type: ignore[arg-type]
        self.network.run_until(HostnameEndpoint(host, "b.example", 8080).connect(factory))
        self.addCleanup(browser.abort)
        self.network.advance(0.2)
        return browser

    def message(self, branch: str = "1", text: str = "hello", host: str = "x1.invalid") -> str:
        return MESSAGE.format(branch=branch, text=text, host=host)

    def canary(self) -> None:
        """A good peer is served as ever, and nothing is left of the bad ones."""
        answer = self.network.run_until(self.alice.send_message("sip:bob@b.example:8080;transport=ws", "canary"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.events[-1].text, "canary")
        inventory = self.bobs.inventory()
        self.assertEqual((inventory["connections"], inventory["handshakes"]), (1, 0), inventory)


class PartyTests(WebSocketTestCase):
    """Two of ours."""

    def test_secure(self) -> None:
        """A message over mutual TLS and WebSocket arrives with the identity of its sender, and is answered on the flow
        (row:C15, row:D12)."""
        uri = "sips:bob@b.example;transport=ws"
        answer = self.network.run_until(self.alice.send_message(uri, "Grüße ✓"))
        self.assertEqual(answer.status, 200)
        (event,) = self.events
        self.assertEqual((event.text, event.peer.transport, event.peer.identity), ("Grüße ✓", "WSS", "a.example"))
        self.assertIn("SIP/2.0/WSS ", event.request.headers.get("Via"))
        again = self.network.run_until(self.alice.send_message(uri, "again"))
        self.assertEqual((again.status, len(self.alice.connection_manager.pool)), (200, 1))

    def test_clear(self) -> None:
        """The same without TLS, where nobody is proved."""
        answer = self.network.run_until(self.alice.send_message("sip:bob@b.example:8080;transport=ws", "hello"))
        self.assertEqual(answer.status, 200)
        self.assertEqual((self.events[0].peer.transport, self.events[0].peer.identity), ("WS", ""))

    def test_back_over_the_same(self) -> None:
        """Requests to a peer that dialled go back over its WebSocket (row:C15, row:E16)."""
        got: list[str] = []
        self.alice.message_received.subscribe(lambda event: got.append(event.text))
        self.network.run_until(self.alice.send_message("sips:bob@b.example;transport=ws", "hello"))
        answer = self.network.run_until(self.bob.send_message("sips:alice@a.example;transport=ws", "back"))
        self.assertEqual((answer.status, got), (200, ["back"]))
        self.assertEqual(len(self.bobs.pool), 1)

    def test_wrong_name(self) -> None:
        """A server that does not prove the name that was dialled gets no request (row:D14)."""
        address = self.network.find("b.example").addresses[0]  # type: ignore[union-attr]
        sending = self.alice.send_message(f"sips:bob@{address};transport=ws", "x")
        self.assertRaises(TlsFailure, self.network.run_until, sending)
        self.assertEqual(self.events, [])

    def test_goodbye(self) -> None:
        """Both say goodbye when one of them closes, and the connection ends at once, not at a deadline."""
        self.network.run_until(self.alice.send_message("sips:bob@b.example;transport=ws", "hello"))
        (flow,) = self.alice.connection_manager.pool
        flow.close()
        self.network.advance(0.1)
        self.assertEqual((len(self.bobs.pool), len(self.alice.connection_manager.pool)), (0, 0))
        self.assertTrue(flow.is_lost)

    def test_paths(self) -> None:
        """The path that the manager asks for has to be there."""
        self.network.run_until(self.bobs.start_listening("ws:port=8081:path=/sip"))
        uri = "sip:bob@b.example:8081;transport=ws"
        failure = self.failure(self.alice.send_message(uri, "x"))
        self.assertIn("answered 404 instead of opening a WebSocket", str(failure))
        self.alice.connection_manager.pool.websocket = WebSocketOptions("/sip")
        self.alice.connection_manager.pool.forget_failures()
        self.assertEqual(self.network.run_until(self.alice.send_message(uri, "x")).status, 200)
        for path in ("sip", "/a b"):
            self.assertRaises(ValueError, WebSocketOptions, path)

    def failure(self, sending: Any) -> BaseException:
        """What a request fails with."""
        with self.assertRaises(ConnectionFailure) as caught:
            self.network.run_until(sending)
        return caught.exception

    def test_no_websocket_there(self) -> None:
        """A server that speaks something else is told as what it is."""
        self.network.run_until(self.bobs.start_listening("tcp:port=5060"))
        failure = self.failure(self.alice.send_message("sip:bob@b.example:5060;transport=ws", "x"))
        self.assertIsInstance(failure, ConnectionFailure)
        silent = self.network.host("10.9.9.9", names=["silent.example"])
        accepted = Browser()
        accepted.connectionMade = lambda: None  # type: ignore[method-assign]
        port = silent.listenTCP(80, Factory.forProtocol(lambda: accepted))  # type: ignore[arg-type]
        self.addCleanup(lambda: self.network.run_until(port.stopListening()))
        failure = self.failure(self.alice.send_message("sip:x@silent.example;transport=ws", "x"))
        self.assertIn("was not opened in time", str(failure))
        self.network.advance(0.1)
        self.assertIsNotNone(accepted.reason)
        accepted.connectionMade = lambda: accepted.transport.loseConnection()  # type: ignore[method-assign]
        self.network.advance(60)
        failure = self.failure(self.alice.send_message("sip:x@silent.example;transport=ws", "x"))
        self.assertIn("10.9.9.9:80: the connection ended before it was a WebSocket", str(failure))

    def test_dialled(self) -> None:
        """A party can have WebSocket as its usual transport."""
        party = SipPeerToPeerEndpoint(
            "sip:carol@a.example", self.alice.connection_manager, default_transport=Transport.WSS
        )
        answer = self.network.run_until(party.send_message("sip:bob@b.example", "hello"))
        self.assertEqual((answer.status, self.events[0].peer.transport), (200, "WSS"))


class BrowserTests(WebSocketTestCase):
    """Peers that have no address."""

    def test_message_and_answer(self) -> None:
        """A browser's request is answered on its WebSocket; Content-Length may be left out (RFC 7118 section 4.2;
        row:C15)."""
        browser = self.browser()
        browser.say(self.message())
        self.network.advance(0.2)
        self.assertEqual([event.text for event in self.events], ["hello"])
        (answer,) = browser.texts
        self.assertTrue(answer.startswith("SIP/2.0 200 "))
        self.assertIn("x1.invalid", answer)

    def test_one_write(self) -> None:
        """What comes together is answered together, each answer in a message of its own."""
        browser = self.browser()
        browser.write(b"".join(browser.frames.message(self.message(str(i)).encode()) for i in range(5)))
        self.network.advance(0.2)
        self.assertEqual([text[:11] for text in browser.texts], ["SIP/2.0 200"] * 5)

    def test_called_back(self) -> None:
        """Requests for the made-up name of a browser's Contact go over the WebSocket that it opened, and fail when it
        has gone (RFC 7118 appendix B.1; row:C15)."""
        browser = self.browser()
        browser.say(self.message())
        self.network.advance(0.2)
        sending = self.bob.send_message("sip:carol@x1.invalid;transport=ws", "to you")
        self.network.advance(0.2)
        asked = browser.texts[-1]
        self.assertIn("MESSAGE sip:carol@x1.invalid;transport=ws SIP/2.0", asked)
        head, _, body = asked.partition("\r\n\r\n")
        self.assertEqual(body, "to you")
        lines = [
            line for line in head.split("\r\n")[1:] if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")
        ]
        browser.say("\r\n".join(["SIP/2.0 200 OK", *lines, "", ""]))
        self.assertEqual(self.network.run_until(sending).status, 200)
        secure = self.bob.send_message("sips:carol@x1.invalid;transport=ws", "never in clear text")
        self.assertRaises(ConnectionFailure, self.network.run_until, secure)
        browser.write(browser.frames.close(1001))
        self.network.advance(0.2)
        self.assertRaises(
            ConnectionFailure,
            self.network.run_until,
            self.bob.send_message("sip:carol@x1.invalid;transport=ws", "too late"),
        )

    def test_ping(self) -> None:
        """A ping is answered, with what it says; two CRLF in a message are a ping as well, and one a pong."""
        browser = self.browser()
        browser.write(frame(9, b"there?") + frame(1, b"\r\n\r\n") + frame(2, b"\r\n") + frame(1, b""))
        self.network.advance(0.2)
        self.assertIn(b"\x8a\x06there?", browser.raw)
        self.assertEqual(browser.texts, ["\r\n"])
        self.assertEqual(self.events, [])

    def test_we_ping(self) -> None:
        """A flow over WebSocket is pinged with the WebSocket's own ping."""
        browser = self.browser()
        browser.say(self.message())
        self.network.advance(0.2)
        (flow,) = self.bobs.pool
        flow.ping(b"")
        self.network.advance(0.2)
        self.assertIsInstance(browser.found[-1], PingSeen)
        browser.write(frame(10))
        self.network.advance(0.2)
        self.assertTrue(flow.is_open)

    def test_stays_reachable(self) -> None:
        """A browser that says nothing is pinged, stays as long as it answers, and is gone when it does not (RFC 7118
        section 6; row:E17)."""
        browser = self.browser()
        browser.say(self.message())
        self.network.advance(600)
        self.assertGreater(sum(isinstance(each, PingSeen) for each in browser.found), 3)
        self.assertIsNone(browser.reason)
        browser.answers = False
        self.network.advance(300)
        self.assertIsNotNone(browser.reason)

    def test_origin(self) -> None:
        """Pages of other hosts do not get in unless they are listed; the application sees whose page it is."""
        self.assertIn(b"403", self.browser(origin="https://evil.example").raw)
        self.assertIsNotNone(self.browser(origin="http://b.example:8080").frames)
        self.assertEqual([flow.origin for flow in self.bobs.pool], ["http://b.example:8080"])


class HostileTests(WebSocketTestCase):
    """Peers that do it wrong; a good one afterwards, every time."""

    limits = Limits(message=MessageLimits(message=20000), websocket_fragments=16, handshake_timeout=3.0)

    def test_no_handshake(self) -> None:
        """Whoever connects and is silent, or sends HTTP drop by drop, is cut off at the handshake's deadline
        (fault:H1)."""
        silent = Browser()
        silent.connectionMade = lambda: None  # type: ignore[method-assign]
        self.connect(silent)
        for octet in b"GET / HTTP/1.1\r\nHost: b.ex":
            silent.write(bytes([octet]))
            self.network.advance(0.1)
        self.assertEqual(self.bobs.inventory()["handshakes"], 1)
        self.network.advance(0.5)
        self.assertIsNotNone(silent.reason)
        self.canary()

    def test_plain_http(self) -> None:
        """A web browser's page request gets a short answer that says what this is, and the end (fault:A15)."""
        for request, status in ((b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", b"426"), (b"\x16\x03\x01\x00", b"400")):
            browser = Browser()
            browser.handshake.request = request
            self.connect(browser)
            self.assertTrue(browser.raw.startswith(b"HTTP/1.1 " + status))
            self.assertIsNotNone(browser.reason)
        self.canary()

    def test_broken_rules(self) -> None:
        """Frames that are not allowed end the connection with the code that says why (fault:A15)."""
        for data, code in (
            (frame(1, b"x", masked=False), 1002),
            (frame(1, b"x", bits=0x40), 1002),
            (frame(1, b"\xff\xfe"), 1007),
            (frame(2, b"x" * 20001), 1009),
            (frame(1, b"", fin=False) + frame(0, b"", fin=False) * 20, 1008),
        ):
            browser = self.browser()
            browser.write(data)
            self.network.advance(0.2)
            closed = browser.found[-1]
            self.assertIsInstance(closed, Closed)
            self.assertEqual(closed.code, code)
            self.assertIsNotNone(browser.reason)
        self.assertEqual(self.bobs.metrics()["limit_websocket_fragments"], 1)
        self.canary()

    def test_unfinished(self) -> None:
        """A message that is begun and not finished ends the connection at its deadline, however it trickles
        (fault:H2)."""
        browser = self.browser()
        browser.write(frame(1, b"MESSAGE", fin=False))
        for _ in range(12):
            self.network.advance(0.9)
            if browser.reason is None:
                browser.write(frame(9, b"") + frame(0, b" ", fin=False))
        self.assertIsNotNone(browser.reason)
        self.canary()

    def test_floods(self) -> None:
        """Pings are answered once a delivery, and pongs never, and thousands of either end it; messages that are none
        are answered as far as they can be (fault:H5)."""
        browser = self.browser()
        browser.write(frame(9, b"x") * 3000 + frame(10, b"x") * 3000)
        self.network.advance(0.2)
        self.assertEqual([found.code for found in browser.found], [1008])
        self.assertIsNotNone(browser.reason)
        self.canary()
        browser = self.browser()
        browser.write(frame(9, b"x") * 30 + frame(10, b"x") * 30)
        self.network.advance(0.2)
        self.assertEqual(browser.raw.count(b"\x8a\x01x"), 1)
        browser.write(frame(1, b"this is no SIP") + frame(2, b"\0\xff") + frame(1, self.message()[:-20].encode()))
        self.network.advance(0.2)
        self.assertIsNone(browser.reason)
        browser.write(browser.frames.close(1000))
        self.network.advance(0.2)
        self.canary()

    def test_never_says_goodbye(self) -> None:
        """A peer that does not answer our goodbye is cut off at its deadline."""
        browser = self.browser()
        browser.say(self.message())
        self.network.advance(0.2)
        (flow,) = self.bobs.pool
        flow.close()
        self.network.advance(0.2)
        self.assertEqual((browser.found[-1].code, browser.reason), (1000, None))
        self.network.advance(5.1)
        self.assertIsNotNone(browser.reason)
        self.canary()

    def test_both_ends_of_a_frame(self) -> None:
        """What we send as a client is masked, and as a server is not (RFC 6455 section 5.1)."""
        self.assertEqual(Frames(ConnectionType.CLIENT, 9, 9).ping()[1] & 0x80, 0x80)
        self.assertEqual(Frames(ConnectionType.SERVER, 9, 9).ping()[1] & 0x80, 0)
