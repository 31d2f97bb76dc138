"""The sockets in memory fail as Linux's do."""

from __future__ import annotations

import errno
import socket
from typing import Any

from sip_p2p.testing import Network
from sip_p2p.testing.sockets import DatagramSocket
from tests.support import SynchronousTestCase


class SocketTestCase(SynchronousTestCase):
    """Two hosts, and what it means for a call to fail."""

    def setUp(self) -> None:
        self.network = Network()
        self.alice = self.network.host("10.0.0.1")
        self.bob = self.network.host("10.0.0.2")

    def assert_fails(self, number: int, function: Any, *arguments: Any) -> None:
        """Fail unless the call raises the ``OSError`` with this errno."""
        self.assertEqual(self.assertRaises(OSError, function, *arguments).errno, number)


class SocketTests(SocketTestCase):
    """:mod:`sip_p2p.testing.sockets`."""

    def test_addresses(self) -> None:
        """An address of the wrong family, of another host, or a port that is none cannot be bound."""
        for family, address, number in [
            (socket.AF_INET, "::1", errno.EAFNOSUPPORT),
            (socket.AF_INET6, "127.0.0.1", errno.EAFNOSUPPORT),
            (socket.AF_INET, "10.0.0.2", errno.EADDRNOTAVAIL),
        ]:
            self.assert_fails(number, DatagramSocket(self.alice, family).bind, (address, 0))
        self.assertRaises(OverflowError, DatagramSocket(self.alice, socket.AF_INET).bind, ("", 65536))
        DatagramSocket(self.alice, socket.AF_INET).bind(("localhost", 0))

    def test_datagrams(self) -> None:
        """A datagram socket without a peer or a datagram says so."""
        fresh = DatagramSocket(self.alice, socket.AF_INET)
        self.assert_fails(errno.EDESTADDRREQ, fresh.send, b"x")
        self.assert_fails(errno.EWOULDBLOCK, fresh.recvfrom, 10)
        fresh.connect(("10.0.0.2", 9))
        fresh.send(b"x")
        self.network.settle()
        self.assert_fails(errno.ECONNREFUSED, fresh.send, b"x")
        fresh.send(b"x")
        self.network.settle()
        self.assert_fails(errno.ECONNREFUSED, fresh.recvfrom, 10)

    def test_unreachable_family(self) -> None:
        """A host without an IPv6 address sends nothing to one."""
        fresh = DatagramSocket(self.alice, socket.AF_INET6)
        self.assert_fails(errno.ENETUNREACH, fresh.sendto, b"x", ("fd00::2", 7))
