"""Values of single lines: :mod:`sip_p2p.sdp.lines`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp.lines import Bandwidth, Connection, Origin, Timing, address_type_of


class LineTests(SynchronousTestCase):
    """Each is read and written the same."""

    def test_written_as_read(self) -> None:
        """Every form of a line is written as it was read."""
        for kind, text in (
            (Origin, "- 1 2 IN IP4 192.0.2.1"),
            (Origin, "jdoe 3724394400 3724394405 IN IP6 2001:db8::1"),
            (Origin, "x 1 1 ATM NSAP 47.0091.8100"),
            (Origin, "alice 1 1 IN IP4 host.anywhere.com"),
            (Connection, "IN IP4 192.0.2.1"),
            (Connection, "IN IP4 233.252.0.1/127"),
            (Connection, "IN IP4 233.252.0.1/127/3"),
            (Connection, "IN IP6 ff00::db8:0:101/3"),
            (Bandwidth, "X-YZ:128"),
            (Timing, "3724394400 3724398000"),
        ):
            with self.subTest(text=text):
                self.assertEqual(str(kind.read(text)), text)

    def test_versions_rise(self) -> None:
        """The next description of a session has the next version, and the largest is followed by 0."""
        origin = Origin("192.0.2.1", 7)
        self.assertEqual((origin.next().version, origin.next().session), (2, origin.session))
        self.assertEqual(Origin("192.0.2.1", 7, 2**64 - 1).next().version, 0)

    def test_address_types(self) -> None:
        """The type of an address follows from it."""
        self.assertEqual(
            [address_type_of(each) for each in ("192.0.2.1", "2001:db8::1", "a.example")], ["IP4", "IP6", "IP4"]
        )

    def test_hold(self) -> None:
        """The address of RFC 2543's hold is known in both families (RFC 3264 section 8.4)."""
        self.assertEqual([Connection(each).is_hold for each in ("0.0.0.0", "::", "192.0.2.1")], [True, True, False])

    def test_what_cannot_be(self) -> None:
        """Bounds are kept."""
        for make in (
            lambda: Connection("192.0.2.1", 256),
            lambda: Connection("192.0.2.1", 1, 0),
            lambda: Origin("192.0.2.1", -1),
            lambda: Origin("192.0.2.1", 1, 1, "a b"),
            lambda: Bandwidth("AS", -1),
            lambda: Timing(-1, 0),
            lambda: Connection.read("IN IP6 ff00::1/1/2"),
        ):
            self.assertRaises(ValueError, make)
