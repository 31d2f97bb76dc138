"""What can be known of a peer that has closed."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any

from twisted.internet.testing import StringTransport

from sip_p2p.testing import Network
from sip_p2p.transport.stream.liveness import fastest_round_trip, has_unread, socket_below, was_never_read
from sip_p2p.transport.target import Target
from tests.support import SynchronousTestCase
from tests.transport.sides import Side


class Ended:
    """A flow that has ended."""

    def __init__(self, in_order: bool, round_trip: float) -> None:
        self.is_ended_in_order = in_order
        self.round_trip = round_trip


class Broken:
    """A socket on which nothing works."""

    def recv(self, size: int, flags: int) -> bytes:
        raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def getsockopt(self, *arguments: int) -> bytes:
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


class Terse(Broken):
    """A socket of an old system."""

    def getsockopt(self, *arguments: int) -> bytes:
        return bytes(104)


class Unmeasured(Broken):
    """A socket on which nothing was measured yet."""

    def getsockopt(self, *arguments: int) -> bytes:
        return bytes(148) + struct.pack("=I", 0xFFFFFFFF)


class JudgementTests(SynchronousTestCase):
    """Whether a request can have been read."""

    def test_sooner_than_anything_travels(self) -> None:
        """The end of a connection that comes sooner than anything goes there and back was sent before our request was
        there (row:E13)."""
        for in_order, round_trip, after, never in (
            (True, 0.040, 0.000, True),
            (True, 0.040, 0.029, True),
            # Nearly as soon as the fastest answer so far: this one may have been a little faster still.
            (True, 0.040, 0.031, False),
            (True, 0.040, 0.040, False),
            (True, 0.040, 5.000, False),
            (False, 0.040, 0.001, False),
            (True, 0.000, 0.000, False),
        ):
            flow: Any = Ended(in_order, round_trip)
            self.assertIs(was_never_read(flow, 7.0, 7.0 + after), never, (in_order, round_trip, after))


class SocketTests(SynchronousTestCase):
    """Real sockets."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A connection over loopback."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            one = socket.create_connection(listener.getsockname())
            other, _ = listener.accept()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        return one, other

    def test_unread(self) -> None:
        """Octets and the end of the stream are seen, and stay where they are."""
        one, other = self.pair()
        self.assertFalse(has_unread(one))
        other.sendall(b"xy")
        self.assertTrue(has_unread(one))
        self.assertEqual(one.recv(10), b"xy")
        self.assertFalse(has_unread(one))
        other.close()
        self.assertTrue(has_unread(one))
        self.assertEqual(one.recv(10), b"")

    def test_round_trip(self) -> None:
        """The system tells how fast the way is; over loopback it is less than a millisecond, and more than nothing."""
        one, other = self.pair()
        for end in (one, other):
            self.assertTrue(0 < fastest_round_trip(end) < 0.05)

    def test_odd(self) -> None:
        """Where there is no socket, or it does not tell, nothing is assumed."""
        self.assertEqual((has_unread(None), fastest_round_trip(None)), (False, 0.0))
        self.assertEqual((has_unread(Broken()), fastest_round_trip(Broken())), (True, 0.0))
        self.assertEqual((fastest_round_trip(Terse()), fastest_round_trip(Unmeasured())), (0.0, 0.0))
        self.assertIsNone(socket_below(StringTransport()))


class FlowTests(SynchronousTestCase):
    """Flows on the network in memory, which measures as Linux does."""

    def test_below_tls(self) -> None:
        """The socket is found below TLS, on both sides, and with it the fastest way."""
        network = Network(delay=0.02, jitter=0.01)
        alice, bob = Side(network, "a.example"), Side(network, "b.example")
        self.addCleanup(bob.close)
        self.addCleanup(alice.close)
        bob.listen("TLS", 5061)
        flow = alice.connect(Target("tls", "b.example"))
        network.advance(0.1)
        (accepted,) = bob.pool
        self.assertEqual((flow.round_trip, accepted.round_trip), (0.04, 0.04))
        self.assertFalse(has_unread(flow.socket))
