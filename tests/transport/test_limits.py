"""The bounds of a connection manager, by name."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.limits import MessageLimits
from sip_p2p.transport.limits import MAY_BE_ZERO, Limits


class LimitsTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.limits.Limits`."""

    def test_defaults(self) -> None:
        """The defaults are those that the documents promise (row:E21, row:E8)."""
        limits = Limits()
        self.assertEqual(
            (limits.handshake_timeout, limits.first_message_timeout, limits.authenticated_first_message_timeout),
            (5.0, 10.0, 30.0),
        )
        self.assertEqual((limits.partial_message_timeout, limits.idle_timeout), (10.0, 120.0))
        self.assertEqual((limits.connections_per_address, limits.connections_per_identity), (256, 64))
        self.assertEqual((limits.handshakes, limits.transactions), (256, 16384))
        self.assertEqual((limits.write_buffer, limits.write_buffer_hard), (256 * 1024, 1024 * 1024))
        message = limits.message
        self.assertEqual((message.message, message.head, message.body), (65536, 16384, 49152))

    def test_connections(self) -> None:
        """Four fifths of the descriptors that the process may open are for connections, unless it is said otherwise."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        self.assertEqual(Limits().connections, 160)
        self.assertEqual(Limits(connections=7).connections, 7)

    def test_own_bounds(self) -> None:
        """Each bound can be given; the sizes of messages come as one object (row:E21)."""
        limits = Limits(message=MessageLimits(body=10), handshakes=3, idle_timeout=900)
        self.assertEqual((limits.message.body, limits.handshakes, limits.idle_timeout), (10, 3, 900))

    def test_bounds_that_are_none(self) -> None:
        """A negative bound is refused by name, and 0 wherever it would mean that nothing works."""
        for name in Limits.__slots__:
            if name == "message":
                continue
            error = self.assertRaises(ValueError, Limits, **{name: -1})
            self.assertIn(repr(name), str(error))
            if name in MAY_BE_ZERO:
                self.assertEqual(getattr(Limits(**{name: 0}), name), 0)
            else:
                self.assertRaises(ValueError, Limits, **{name: 0})
        self.assertRaises(ValueError, Limits, idle_timeout=float("nan"))

    def test_few_descriptors(self) -> None:
        """Where there are few descriptors, some are left for everything else all the same (fault:H3)."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for most, connections in ((64, 32), (32, 8), (100, 68), (1024, 819)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            connections_then = Limits().connections
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.assertEqual(connections_then, connections)

    def test_replace(self) -> None:
        """Bounds do not change behind anybody's back: others are made from them (row:E10)."""
        first = Limits(handshakes=3, message=MessageLimits(body=10))
        second = first.replace(idle_timeout=900)
        self.assertEqual((second.handshakes, second.message.body, second.idle_timeout), (3, 10, 900))
        self.assertEqual(first.idle_timeout, 120)
        self.assertRaises(AttributeError, setattr, first, "idle_timeout", 5)
        self.assertRaises(TypeError, first.replace, bananas=5)
        self.assertRaises(ValueError, first.replace, handshakes=0)
