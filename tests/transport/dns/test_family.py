"""Which family of addresses is used, and in which order."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.transport.dns.family import AddressFamilyHint

ADDRESSES = ["10.0.0.1", "10.0.0.2", "fd00::1", "10.0.0.3"]


class AddressFamilyHintTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.dns.family.AddressFamilyHint`."""

    def test_order(self) -> None:
        """The families take turns, the preferred one first, and each keeps its order (row:E23, RFC 8305 section 4)."""
        self.assertEqual(AddressFamilyHint.ALL.order(ADDRESSES), ["fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"])
        self.assertEqual(AddressFamilyHint.PREFER_V6.order(ADDRESSES), AddressFamilyHint.ALL.order(ADDRESSES))
        self.assertEqual(AddressFamilyHint.PREFER_V4.order(ADDRESSES), ["10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3"])

    def test_only_one(self) -> None:
        """One family alone means no address of the other, and no question about it (row:E23)."""
        self.assertEqual(AddressFamilyHint.V4.order(ADDRESSES), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        self.assertEqual(AddressFamilyHint.V6.order(ADDRESSES), ["fd00::1"])
        self.assertEqual(AddressFamilyHint.V4.record_types, ("A",))
        self.assertEqual(AddressFamilyHint.V6.record_types, ("AAAA",))
        self.assertEqual(AddressFamilyHint.PREFER_V4.record_types, ("AAAA", "A"))

    def test_names(self) -> None:
        """A hint is found by its name; a name that is none is told which there are (row:M4)."""
        self.assertIs(AddressFamilyHint.named("Prefer-V4"), AddressFamilyHint.PREFER_V4)
        self.assertIs(AddressFamilyHint.named(AddressFamilyHint.V6), AddressFamilyHint.V6)
        self.assertIs(AddressFamilyHint.named(None), AddressFamilyHint.ALL)
        message = str(self.assertRaises(ValueError, AddressFamilyHint.named, "ipx"))
        self.assertIn("all, v4, v6, prefer-v4, prefer-v6", message)
