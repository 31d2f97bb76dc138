"""Opening handshakes and frames, good and hostile, as bytes (RFC 6455, RFC 7118)."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import ConnectionType

from sip_p2p.transport.stream.websocket_frames import (
    LONGEST_HEAD,
    ClientHandshake,
    Closed,
    Frames,
    PingSeen,
    PongSeen,
    ServerHandshake,
    WebSocketRules,
)
from tests.support import SynchronousTestCase

LONGEST, FRAGMENTS = 1000, 8
REQUEST = (
    "GET /sip HTTP/1.1\r\nHost: b.example:8080\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, sip\r\n"
)


def server(rules: WebSocketRules | None = None) -> ServerHandshake:
    """The handshake of an accepted connection."""
    return ServerHandshake(WebSocketRules() if rules is None else rules, LONGEST, FRAGMENTS)


def client() -> ClientHandshake:
    """The handshake of a dialled connection."""
    return ClientHandshake("b.example", "/", "", LONGEST, FRAGMENTS)


def pair() -> tuple[Frames, Frames]:
    """Both ends of an open WebSocket: client, server."""
    return (
        Frames(ConnectionType.CLIENT, LONGEST, FRAGMENTS),
        Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS),
    )


def frame(opcode: int, payload: bytes = b"", fin: bool = True, masked: bool = True, bits: int = 0) -> bytes:
    """A frame as a client may or may not send it; the masking key is zero, which is one like any other."""
    size = len(payload)
    first = struct.pack("!B", (0x80 if fin else 0) | bits | opcode)
    mask = 0x80 if masked else 0
    if size < 126:
        length = struct.pack("!B", mask | size)
    elif size < 65536:
        length = struct.pack("!BH", mask | 126, size)
    else:
        length = struct.pack("!BQ", mask | 127, size)
    return first + length + (bytes(4) if masked else b"") + payload


class HandshakeTests(SynchronousTestCase):
    """What opens a WebSocket, and what does not."""

    def test_both_sides(self) -> None:
        """A client's request and a server's answer agree on the subprotocol sip (RFC 7118 section 4.1; row:C15)."""
        asking, answering = client(), server()
        answer = answering.feed(asking.request)
        self.assertIn(b"GET / HTTP/1.1\r\nHost: b.example\r\n", asking.request)
        self.assertIn(b"Sec-WebSocket-Protocol: sip\r\n", asking.request)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "))
        self.assertIn(b"Sec-WebSocket-Protocol: sip\r\n", answer)
        self.assertEqual(asking.feed(answer), b"")
        assert asking.frames is not None and answering.frames is not None
        self.assertEqual(answering.frames.feed(asking.frames.message(b"hello")), [b"hello"])
        self.assertEqual(asking.frames.feed(answering.frames.message(b"hello")), [b"hello"])

    def test_trickle(self) -> None:
        """Both come in any pieces, and what follows at once is kept."""
        asking, answering = client(), server()
        answer = b"".join(answering.feed(asking.request[i : i + 1]) for i in range(len(asking.request)))
        for octet in answer[:-1]:
            asking.feed(bytes([octet]))
            self.assertFalse(asking.is_done)
        asking.feed(answer[-1:] + b"more")
        self.assertEqual((asking.is_done, asking.refused, asking.rest), (True, "", b"more"))
        self.assertIsNotNone(asking.frames)

    def test_what_is_asked_for(self) -> None:
        """The path, the name of the server and the origin are what the dialling side was told."""
        asking = ClientHandshake("b.example:8080", "/sip", "https://a.example", LONGEST, FRAGMENTS)
        self.assertTrue(asking.request.startswith(b"GET /sip HTTP/1.1\r\nHost: b.example:8080\r\n"))
        self.assertIn(b"Origin: https://a.example\r\n", asking.request)
        answering = server(WebSocketRules("/sip", ["https://a.example"]))
        self.assertTrue(answering.feed(asking.request).startswith(b"HTTP/1.1 101 "))
        self.assertEqual(answering.origin, "https://a.example")

    def test_refusals(self) -> None:
        """What is no request for SIP over WebSocket gets a status and a short text that says so (fault:A15)."""
        full = REQUEST + "\r\n"
        for text, status, words in (
            ("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", 426, "no web server"),
            (full.replace("Upgrade: websocket\r\n", ""), 426, "no web server"),
            (full.replace("Sec-WebSocket-Protocol: chat, sip\r\n", ""), 400, "does not offer sip"),
            (full.replace("chat, sip", "chat"), 400, "does not offer sip"),
            (full.replace("Version: 13", "Version: 8"), 426, "version 13"),
            (full.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "Key"),
            (full.replace("Host: b.example:8080\r\n", ""), 400, ""),
            (full.replace("Host: b.example:8080", "Host: \xff"), 400, "malformed"),
            (full.replace("GET /sip", "GET /\xff"), 400, ""),
            (full.replace("GET /sip", "POST /sip"), 400, "GET requests"),
            ("OPTIONS sip:b.example SIP/2.0\r\n", 400, "GET requests"),
            ("\x16\x03\x01\x02\x00\x01", 400, "GET requests"),
            ("PROXY TCP4 192.0.2.1", 400, "GET requests"),
            ("GET / SIP/2.0\r\n\r\n", 400, ""),
            (
                REQUEST + "Origin: http://x.example\r\nOrigin: http://b.example:8080\r\n\r\n",
                400,
                "more than one Origin",
            ),
        ):
            handshake = server()
            answer = handshake.feed(text.encode("latin-1"))
            self.assertTrue(answer.startswith(f"HTTP/1.1 {status} ".encode()), (text, answer))
            self.assertIn(words, answer.partition(b"\r\n\r\n")[2].decode())
            self.assertEqual((handshake.is_done, handshake.frames), (True, None))
            self.assertTrue(handshake.refused)

    def test_requests_that_others_would_cut_elsewhere(self) -> None:
        """A proxy before us must not find another end of the request than we do: bodies, bare line feeds and HTTP/1.0
        are refused (fault:A15)."""
        full = REQUEST + "\r\n"
        for text in (
            REQUEST + "Content-Length: 5\r\n\r\nabcde",
            REQUEST + "Content-Length: 0\r\n\r\n",
            REQUEST + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            REQUEST + "X: y\n\nGET /sip HTTP/1.1\r\n\r\n",
            REQUEST + "X: y\nOrigin: http://x.example\r\n\r\n",
            full.replace("HTTP/1.1", "HTTP/1.0"),
        ):
            handshake = server()
            answer = handshake.feed(text.encode())
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), (text, answer))
            self.assertEqual((handshake.is_done, handshake.frames), (True, None))

    def test_header_section_is_bounded(self) -> None:
        """A header section that does not end is refused at its bound, wherever it is cut; so is a server's."""
        for size in (1, 100, 5000):
            handshake = server()
            filling = REQUEST + "X: " + "x" * LONGEST_HEAD
            sent = 0
            while not handshake.is_done:
                answer = handshake.feed(filling[sent : sent + size].encode())
                sent += size
            self.assertTrue(answer.startswith(b"HTTP/1.1 431 "))
            self.assertLessEqual(sent, LONGEST_HEAD + size)
        asking = client()
        asking.feed(b"HTTP/1.1 101 X\r\nX: " + b"x" * LONGEST_HEAD)
        self.assertIn("is over 8192 octets", asking.refused)

    def test_paths_and_origins(self) -> None:
        """Pages of other hosts are kept out unless they are listed, and so is every path but the one that is given."""
        same, other = "Origin: https://B.example:8080\r\n\r\n", "Origin: https://evil.example\r\n\r\n"
        for rules, ending, status in (
            (WebSocketRules(), "\r\n", 101),
            (WebSocketRules(), same, 101),
            (WebSocketRules(), other, 403),
            (WebSocketRules(), "Origin: null\r\n\r\n", 403),
            (WebSocketRules(), "Origin: https://[::1\r\n\r\n", 400),
            (WebSocketRules(origins=["https://evil.example"]), other, 101),
            (WebSocketRules(origins=["https://evil.example"]), same, 403),
            (WebSocketRules(origins=["null"]), "Origin: null\r\n\r\n", 101),
            (WebSocketRules(origins=["*"]), other, 101),
            (WebSocketRules("/sip"), "\r\n", 101),
            (WebSocketRules("/"), "\r\n", 404),
        ):
            answer = server(rules).feed((REQUEST + ending).encode())
            self.assertTrue(answer.startswith(f"HTTP/1.1 {status} ".encode()), (ending, answer))
        for path, origins in (("sip", None), ("/a b", None), ("", ["b.example"]), ("", ["https://b.example/x"])):
            self.assertRaises(ValueError, WebSocketRules, path, origins)

    def test_servers_that_are_none(self) -> None:
        """A server that does not agree to SIP over WebSocket is told as what it is."""
        for answer, words in (
            (b"SIP/2.0 400 Bad Request\r\n", "does not speak HTTP"),
            (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answered 403"),
            (b"HTTP/1.1 100 Continue\r\n\r\n", "answered 100"),
            (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "does not speak WebSocket"),
            (b"HTTP/1.1 1\xff1 X\r\n\r\n", "does not speak WebSocket"),
        ):
            asking = client()
            asking.feed(answer)
            self.assertIn(words, asking.refused)
            self.assertTrue(asking.is_done)
        asking, answering = client(), server()
        answer = answering.feed(asking.request)
        asking.feed(answer.replace(b"Sec-WebSocket-Protocol: sip\r\n", b""))
        self.assertIn("did not agree to the subprotocol sip", asking.refused)

    @given(st.lists(st.binary(max_size=40), max_size=6))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """Whatever comes, a handshake ends or waits; it never raises (fault:A15)."""
        for handshake in (server(), client()):
            for piece in [REQUEST.encode()[:5], *pieces]:
                if not handshake.is_done:
                    handshake.feed(piece)


class FrameTests(SynchronousTestCase):
    """Messages, and what is between them."""

    def setUp(self) -> None:
        self.client, self.server = pair()

    def assert_closed(self, data: bytes, code: int, receiver: Frames | None = None) -> None:
        """Fail unless these bytes end the connection with this code, and nothing comes afterwards."""
        receiver = Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS) if receiver is None else receiver
        found = receiver.feed(data)
        self.assertIsInstance(found[-1], Closed)
        assert isinstance(found[-1], Closed)
        self.assertEqual((found[-1].code, found[-1].by_peer), (code, False), found[-1].reason)
        self.assertTrue(receiver.failed)
        self.assertEqual(receiver.feed(frame(1, b"more")), [])

    def test_text_and_binary(self) -> None:
        """What is UTF-8 goes as text, anything else as binary, and both come out as they went in (row:C15)."""
        for message, opcode in (("Grüße ✓".encode(), 1), (b"\xff\x00", 2)):
            data = self.client.message(message)
            self.assertEqual((data[0], data[1] & 0x80), (0x80 | opcode, 0x80))
            self.assertEqual(self.server.feed(data), [message])
            data = self.server.message(message)
            self.assertEqual((data[0], data[1] & 0x80), (0x80 | opcode, 0))
            self.assertEqual(self.client.feed(data), [message])

    def test_fragments(self) -> None:
        """A message may come in fragments with pings between them, and in any pieces."""
        parts = frame(1, "Gr\u00fc".encode()[:3], fin=False) + frame(9, b"?") + frame(0, "\u00fc\u00dfe".encode()[1:])
        whole = Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS).feed(parts)
        self.assertEqual((whole[0], len(whole)), ("Grüße".encode(), 2))
        self.assertIsInstance(whole[1], PingSeen)
        pieces = [found for octet in parts for found in self.server.feed(bytes([octet]))]
        self.assertIn("Grüße".encode(), pieces)
        self.assertFalse(self.server.is_partial)
        self.server.feed(frame(2, b"x", fin=False))
        self.assertTrue(self.server.is_partial)

    def test_pings(self) -> None:
        """A ping has its pong, and of many that come together the last one alone; many pongs are one."""
        self.assertEqual([type(each) for each in self.client.feed(self.server.ping())], [PingSeen])
        found = self.server.feed(b"".join(frame(9, str(i).encode()) for i in range(60)))
        (ping,) = found
        assert isinstance(ping, PingSeen)
        self.assertEqual(ping.payload, b"59")
        self.assertEqual(self.server.pong(ping.payload), b"\x8a\x0259")
        self.assertEqual([type(each) for each in self.server.feed(frame(10, b"x") * 60)], [PongSeen])

    def test_flood_of_small_frames(self) -> None:
        """Thousands of frames with next to nothing in them, of whatever kind, end the connection before they cost more
        than messages do; as many octets in proper messages do not (fault:H5)."""
        for each in (frame(1), frame(1, b"x"), frame(1, b"\r\n\r\n"), frame(9), frame(10, b"x")):
            receiver = Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS)
            found = receiver.feed(each * 5000)
            self.assertLess(len(found), 1000)
            last = found[-1]
            assert isinstance(last, Closed)
            self.assertEqual((last.code, receiver.feed(each)), (1008, []))
        self.assertEqual(len(self.server.feed(frame(1, b"x" * 120) * 500)), 500)

    def test_size(self) -> None:
        """A message over the limit ends the connection when its limit is reached, however long it says that it is, and
        nothing is held for what has not come."""
        self.assertEqual(self.server.feed(frame(2, b"x" * LONGEST)), [b"x" * LONGEST])
        self.assert_closed(frame(2, b"x" * (LONGEST + 1)), 1009)
        self.assert_closed(frame(2, b"x" * 600, fin=False) + frame(0, b"x" * 600), 1009)
        huge = struct.pack("!BBQ", 0x82, 0xFF, 2**62) + bytes(4)
        receiver = Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS)
        self.assertEqual(receiver.feed(huge + b"x" * LONGEST), [])
        self.assert_closed(b"x", 1009, receiver)

    def test_endless_fragments(self) -> None:
        """Fragments without end, empty ones too, end the connection."""
        self.assert_closed(frame(1, b"", fin=False) + frame(0, b"", fin=False) * FRAGMENTS, 1008)

    def test_broken_rules(self) -> None:
        """What RFC 6455 forbids ends the connection with the code that it names."""
        for data, code in (
            (frame(1, b"x", masked=False), 1002),
            (frame(1, b"x", bits=0x40), 1002),
            (frame(1, b"x", bits=0x10), 1002),
            (frame(3, b"x"), 1002),
            (frame(11, b"x"), 1002),
            (frame(9, b"x", fin=False), 1002),
            (frame(9, b"x" * 126), 1002),
            (frame(0, b"x"), 1002),
            (frame(1, b"x", fin=False) + frame(1, b"x"), 1002),
            (frame(8, b"x"), 1002),
            (frame(8, b"\x00\x01"), 1002),
            (frame(8, struct.pack("!H", 1006)), 1002),
            (frame(1, b"\xff"), 1007),
            (frame(1, b"\xc3", fin=False) + frame(0, b"\xc3"), 1007),
            (frame(8, struct.pack("!H", 1000) + b"\xff"), 1007),
            (struct.pack("!BBH", 0x81, 0xFE, 1), 1002),
            (struct.pack("!BBQ", 0x82, 0xFF, 2**63), 1002),
        ):
            self.assert_closed(data, code)
        self.assert_closed(frame(1, b"x"), 1002, self.client)

    def test_goodbye(self) -> None:
        """A goodbye is told with its code, can be answered once, and nothing is said after it."""
        (closed,) = self.server.feed(self.client.close(1001, "over"))
        assert isinstance(closed, Closed)
        self.assertEqual((closed.code, closed.reason, closed.by_peer), (1001, "over", True))
        answer = self.server.close(closed.code)
        (echo,) = self.client.feed(answer)
        self.assertIsInstance(echo, Closed)
        for frames in (self.client, self.server):
            self.assertEqual((frames.close(1000), frames.message(b"x"), frames.ping(), frames.pong(b"")), (b"",) * 4)
        (plain,) = Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS).feed(frame(8))
        assert isinstance(plain, Closed)
        self.assertEqual((plain.code, plain.by_peer), (1005, True))

    @given(st.binary(max_size=200), st.integers(0, 15), st.booleans(), st.integers(1, 7))
    def test_any_frames(self, data: bytes, opcode: int, fin: bool, size: int) -> None:
        """Whatever frames come, in whatever pieces, nothing is raised and no more is held than is allowed."""
        stream = frame(opcode, data, fin) + data
        receiver = Frames(ConnectionType.SERVER, 150, FRAGMENTS)
        for start in range(0, len(stream), size):
            for found in receiver.feed(stream[start : start + size]):
                self.assertTrue(not isinstance(found, bytes) or len(found) <= 150)
