"""HTTP/1.1 with bounds: what a client cannot make the service hold or wait for."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from sip_p2p.service.http.access import Access
from sip_p2p.service.http.channel import (
    CLOSE_TIMEOUT,
    MOST_CONNECTIONS,
    MOST_CONTENT,
    MOST_HEADER_FIELDS,
    MOST_HEADER_OCTETS,
    REQUEST_TIMEOUT,
    ControlFactory,
    ControlRequest,
)
from tests.service.http.support import Client
from tests.support import SynchronousTestCase


class Answering:
    """Answers everything with how much content there was."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.is_slow = False

    def handle(self, request: ControlRequest) -> None:
        """Answer."""
        answer: Any = request
        self.seen.append(request.content.getvalue())
        if self.is_slow:
            return
        answer.setHeader("Content-Length", "2")
        answer.write(b"ok")
        answer.finish()


class ChannelTests(SynchronousTestCase):
    """One connection and its bounds."""

    def setUp(self) -> None:
        """A factory on a clock."""
        self.clock = Clock()
        self.service = Answering()
        self.factory = ControlFactory(self.clock, self.service, Access(None, is_local=True))
        self.client = Client(self.factory)

    def test_answers(self) -> None:
        """A request is answered, and the next one on the same connection too."""
        for content in (None, {"a": 1}):
            self.client.clear()
            self.client.ask("POST", "/", content)
            self.assertEqual((self.client.got.status, self.client.got.content), (200, b"ok"))
        self.assertEqual(self.service.seen, [b"", b'{"a": 1}'])

    def test_what_is_logged(self) -> None:
        """What may change something has a line in the log, without its query."""
        said: list[str] = []

        def observe(event: Any) -> None:
            said.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.client.ask("GET", "/v1/flows?peer=x")
        self.client.ask("POST", "/a?peer=x")
        self.assertEqual([line for line in said if "/" in line], ["POST /a: 200"])

    def test_content_that_is_announced(self) -> None:
        """Content that announces more than is taken is refused before it comes, with 413 and the end."""
        self.client.send(
            f"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {MOST_CONTENT + 1}\r\n\r\n".encode()
        )
        got = self.client.got
        self.assertEqual((got.status, got.json["type"]), (413, "/v1/problems/too-large"))
        self.assertNotIn(b"100 Continue", self.client.wire.value())
        self.assertTrue(self.client.wire.disconnecting)
        self.client.send(b"x" * (MOST_CONTENT + 1))
        self.assertEqual(self.service.seen, [])

    def test_content_in_chunks(self) -> None:
        """Content whose length is not announced is bounded while it comes."""
        self.client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        for _ in range(MOST_CONTENT // 4096):
            self.client.send(piece)
        self.assertEqual(self.client.wire.value(), b"")
        self.client.send(piece)
        self.assertEqual(self.client.got.status, 413)
        self.client.send(piece + b"0\r\n\r\n")
        self.assertEqual(self.service.seen, [])

    def test_headers(self) -> None:
        """Too many header fields, or too much of them, is refused with 400 and the end."""
        for fields in ("X: y\r\n" * (MOST_HEADER_FIELDS + 1), f"X: {'y' * MOST_HEADER_OCTETS}\r\n"):
            client = Client(self.factory)
            client.send(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
            self.assertEqual(client.wire.value()[:13], b"HTTP/1.1 400 ")
            self.assertTrue(client.wire.disconnecting)

    def test_a_request_that_trickles(self) -> None:
        """A request has a time from its first octet on, however it trickles."""
        self.clock.advance(REQUEST_TIMEOUT / 2)
        for octet in b"GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyy":
            self.client.send(bytes([octet]))
            self.clock.advance(1)
        self.assertTrue(self.client.wire.disconnecting)
        self.assertEqual(self.service.seen, [])

    def test_a_connection_that_is_idle(self) -> None:
        """An idle connection is closed, and each request begins its time anew."""
        self.clock.advance(REQUEST_TIMEOUT - 1)
        self.client.ask("GET", "/")
        self.clock.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(self.client.wire.disconnecting)
        self.client.ask("GET", "/")
        self.clock.advance(REQUEST_TIMEOUT)
        self.assertTrue(self.client.wire.disconnecting)
        self.assertEqual(len(self.service.seen), 2)
        self.clock.advance(60)
        self.assertTrue(self.client.wire.aborted)

    def test_connections(self) -> None:
        """There are only so many connections; for one more the oldest gives way that has asked for nothing, and it is
        counted."""
        clients = [Client(self.factory) for _ in range(MOST_CONNECTIONS - 1)]
        self.client.ask("GET", "/")
        self.client.wire.ends_late = True
        Client(self.factory).ask("GET", "/")
        self.assertTrue(self.client.wire.aborted)
        self.client.wire.end()
        self.assertFalse(clients[0].wire.aborted)
        self.assertEqual((len(self.factory.connections), self.factory.turned_away), (MOST_CONNECTIONS, 1))

    def test_connections_that_are_answered(self) -> None:
        """Where every connection waits for its answer, one more is closed at once."""
        self.service.is_slow = True
        for client in [self.client] + [Client(self.factory) for _ in range(MOST_CONNECTIONS - 1)]:
            client.ask("GET", "/")
        self.assertIsNone(self.factory.buildProtocol(None))
        self.assertEqual(self.factory.turned_away, 1)
        self.client.wire.end()
        self.assertEqual(len(self.factory.connections), MOST_CONNECTIONS - 1)
        Client(self.factory)

    def test_the_end(self) -> None:
        """At the end every connection is closed, and those that take nothing are dropped."""
        other = Client(self.factory)
        closed = self.factory.close()
        self.assertTrue(self.client.wire.disconnecting and other.wire.disconnecting)
        self.client.wire.end()
        self.assertNoResult(closed)
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(other.wire.aborted)
        self.successResultOf(closed)
        self.successResultOf(self.factory.close())
