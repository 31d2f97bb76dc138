"""Tests of :mod:`sip_p2p.sip.registration.order`."""

from __future__ import annotations

from sip_p2p.sip.registration.order import LONGEST_EXPIRES, RegisterOrder
from tests.support import SynchronousTestCase


class RegisterOrderTests(SynchronousTestCase):
    """What is asked of a registrar."""

    def order(self, **options: object) -> RegisterOrder:
        """One for alice."""
        return RegisterOrder("sip:example.com", "sip:alice@example.com", "Alice <sip:alice@example.com>", **options)  # type: ignore[arg-type]

    def test_plan(self) -> None:
        """A REGISTER names the extensions that its sender has, and no others (RFC 3261 section 10.2, RFC 5626 section
        4.2.1, RFC 5627 section 4.1)."""
        for use_gruu, is_outbound, expected in (
            (True, True, "path, outbound, gruu"),
            (False, True, "path, outbound"),
            (True, False, "path, gruu"),
            (False, False, "path"),
        ):
            plan = self.order(use_gruu=use_gruu).plan("t", "c", 7, 60, is_outbound=is_outbound)
            request = plan.build()
            self.assertEqual(request.headers.get("Supported"), expected)
            self.assertEqual(str(request.cseq), "7 REGISTER")
            self.assertEqual(request.headers.get("To"), "<sip:alice@example.com>")
            self.assertEqual(request.headers.get("From"), "Alice <sip:alice@example.com>;tag=t")
            self.assertEqual(request.headers.get("Expires"), "60")

    def test_bounds(self) -> None:
        """A binding stands for a second at least, and for as long as the field can say."""
        for expires in (0, -1, LONGEST_EXPIRES + 1):
            self.assertRaises(ValueError, self.order, expires=expires)
        self.assertEqual(self.order(expires=LONGEST_EXPIRES).expires, LONGEST_EXPIRES)
