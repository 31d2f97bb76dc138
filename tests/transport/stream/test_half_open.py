"""What the system is asked to notice of a peer that has vanished."""

from __future__ import annotations

import socket
from typing import Any

from sip_p2p.transport.stream.half_open import watch_for_the_end
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import CountedTransport


class Around:
    """A transport around a socket, or around another transport."""

    def __init__(self, handle: Any = None, transport: Any = None) -> None:
        self.transport = transport
        self.getHandle = lambda: handle


class WatchTests(SynchronousTestCase):
    """:func:`.watch_for_the_end`."""

    def test_options(self) -> None:
        """The socket at the bottom probes a silent peer, and gives up what stays unacknowledged (fault:G5)."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            watch_for_the_end(Around(transport=Around(connection)), 30.0)
            read = connection.getsockopt
            self.assertEqual(read(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
            self.assertEqual(read(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 60)
            self.assertEqual(
                read(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * read(socket.IPPROTO_TCP, socket.TCP_KEEPCNT), 30
            )
            self.assertEqual(read(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT), 30_000)

    def test_without_them(self) -> None:
        """Where there is no socket, or one of another kind, nothing happens (fault:G5)."""
        watch_for_the_end(CountedTransport(), 30.0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            watch_for_the_end(Around(connection), 30.0)
