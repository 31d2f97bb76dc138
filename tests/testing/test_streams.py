"""The streams in memory behave, and fail, as TCP does on Linux."""

from __future__ import annotations

import errno
import socket

from sip_p2p.testing.streams import WINDOW, StreamSocket
from tests.testing.test_sockets import SocketTestCase


class StreamTests(SocketTestCase):
    """:mod:`sip_p2p.testing.streams`."""

    def connected(self) -> tuple[StreamSocket, StreamSocket]:
        listening = StreamSocket(self.bob, socket.AF_INET)
        listening.bind(("", 7))
        listening.listen(5)
        client = StreamSocket(self.alice, socket.AF_INET)
        self.assertEqual(client.connect_ex(("10.0.0.2", 7)), errno.EINPROGRESS)
        self.assertEqual(client.connect_ex(("10.0.0.2", 7)), errno.EALREADY)
        self.network.settle()
        self.assertEqual(client.connect_ex(("10.0.0.2", 7)), errno.EISCONN)
        server, address = listening.accept()
        self.assertEqual(address, client.getsockname())
        listening.close()
        return client, server

    def test_window(self) -> None:
        """A stream takes a window of data and no more, until some is read."""
        client, server = self.connected()
        self.assertEqual(client.send(b"x" * (WINDOW + 1)), WINDOW)
        self.assertFalse(client.writable())
        self.assert_fails(errno.EWOULDBLOCK, client.send, b"x")
        self.network.settle()
        self.assertEqual(len(server.recv(100)), 100)
        self.assertEqual(client.send(b"y" * 1000), 100)

    def test_not_connected(self) -> None:
        """What needs a connection fails without one."""
        fresh = StreamSocket(self.alice, socket.AF_INET)
        self.assert_fails(errno.ENOTCONN, fresh.send, b"x")
        self.assert_fails(errno.ENOTCONN, fresh.getpeername)
        self.assert_fails(errno.ENOTCONN, fresh.shutdown, socket.SHUT_RDWR)
        self.assert_fails(errno.EWOULDBLOCK, fresh.accept)
        self.assertFalse(fresh.writable())

    def test_reset(self) -> None:
        """After a reset what has arrived can be read, then reading and writing fail."""
        client, server = self.connected()
        client.send(b"first")
        client.reset()
        self.network.settle()
        self.assertEqual(server.recv(10), b"first")
        self.assert_fails(errno.ECONNRESET, server.recv, 10)
        self.assert_fails(errno.ECONNRESET, server.send, b"x")

    def test_end(self) -> None:
        """After our end has been sent, writing fails; the other side reads to the end."""
        client, server = self.connected()
        client.shutdown(socket.SHUT_WR)
        self.assert_fails(errno.EPIPE, client.send, b"x")
        self.network.settle()
        self.assertEqual(server.recv(10), b"")
        server.send(b"still here")
        self.network.settle()
        self.assertEqual(client.recv(100), b"still here")

    def test_closed(self) -> None:
        """A closed socket has no number and does nothing; closing it again is harmless."""
        client, _ = self.connected()
        client.close()
        client.close()
        self.assertEqual(client.fileno(), -1)
        for call in (lambda: client.recv(1), lambda: client.send(b"x"), client.getsockname, client.accept):
            self.assert_fails(errno.EBADF, call)

    def test_listener_closed(self) -> None:
        """Connections that nobody has accepted are reset when the listener closes."""
        listening = StreamSocket(self.bob, socket.AF_INET)
        listening.bind(("10.0.0.2", 7))
        listening.listen(5)
        early, late = StreamSocket(self.alice, socket.AF_INET), StreamSocket(self.alice, socket.AF_INET)
        early.connect_ex(("10.0.0.2", 7))
        self.network.settle()
        self.network.change(delay=1)
        late.connect_ex(("10.0.0.2", 7))
        self.network.advance(1.5)
        listening.close()
        self.network.advance(5)
        for client in (early, late):
            self.assert_fails(errno.ECONNRESET, client.recv, 1)
        self.assertEqual(self.bob.inventory(), [])

    def test_unreachable_family(self) -> None:
        """A host without an IPv6 address reaches no IPv6 address."""
        stream = StreamSocket(self.alice, socket.AF_INET6)
        self.assertEqual(stream.connect_ex(("fd00::2", 7, 0, 0)), errno.ENETUNREACH)
