"""What a connection manager calls itself, as a table."""

from __future__ import annotations

from sip_p2p.endpoint.own_address import OwnAddress
from tests.support import SynchronousTestCase

LOCAL = ("192.0.2.1", 40000)


class OwnAddressTests(SynchronousTestCase):
    """What is said, about what is known."""

    def test_table(self) -> None:
        """The advertised host comes first, then the certificate's, then the flow's; the port is a listener's if there
        is one (row:A2, row:E28)."""
        for advertise, certified, port, local, expected in (
            (None, "", None, LOCAL, "192.0.2.1:40000"),
            (None, "", 5061, LOCAL, "192.0.2.1:5061"),
            (None, "a.example", 5061, LOCAL, "a.example:5061"),
            ("gate.example", "a.example", 5061, LOCAL, "gate.example:5061"),
            ("2001:db8::1", "", 5061, LOCAL, "[2001:db8::1]:5061"),
            (None, "", None, ("2001:db8::2", 7), "[2001:db8::2]:7"),
            (None, "", None, ("0.0.0.0", 7), "localhost:7"),
            (None, "", None, ("::", 0), "localhost"),
        ):
            own = OwnAddress(advertise, lambda _, port=port: port, lambda _, name=certified: name)
            self.assertEqual(own.sent_by("TLS", local), expected)

    def test_by_transport(self) -> None:
        """Ports and certificates are those of the transport."""
        own = OwnAddress(None, {"TLS": 5061}.get, lambda transport: "a.example" if transport == "TLS" else "")
        self.assertEqual(own.on("TLS", LOCAL), ("a.example", 5061))
        self.assertEqual(own.on("TCP", LOCAL), ("192.0.2.1", 40000))

    def test_one_text(self) -> None:
        """All flows of a listener share one text."""
        own = OwnAddress("a.example", lambda _: 5061, lambda _: "")
        self.assertIs(own.sent_by("TLS", LOCAL), own.sent_by("TLS", ("192.0.2.9", 1)))

    def test_what_cannot_be_advertised(self) -> None:
        """What is neither a name nor an address is refused, and changes nothing (row:E28)."""
        self.assertRaises(ValueError, OwnAddress, "a b", lambda _: None, lambda _: "")
        own = OwnAddress("Gate.example", lambda _: None, lambda _: "")
        self.assertEqual(own.advertise, "gate.example")
        self.assertRaises(ValueError, setattr, own, "advertise", "a b")
        self.assertEqual(own.advertise, "gate.example")
        own.advertise = None
        self.assertIsNone(own.advertise)
