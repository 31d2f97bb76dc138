"""A verdict in words."""

from __future__ import annotations

from sip_p2p import PassportStatus, PassportVerdict
from sip_p2p.sip.passport import Passport, PassportIdentity
from tests.support import SynchronousTestCase


class VerdictTests(SynchronousTestCase):
    """RFC 8224 section 6.2.2."""

    def test_words(self) -> None:
        """It says what it is, and 403 has a phrase of its own (RFC 8224 section 6.2.2)."""
        one = PassportIdentity("tn", "1")
        valid = PassportVerdict(PassportStatus.VALID, 0, "", Passport(one, (one,), 1, "https://x/"))
        self.assertTrue(valid.is_valid)
        self.assertEqual(repr(valid), "<PassportVerdict VALID <Passport +1 to +1 at 1>>")
        stale = PassportVerdict(PassportStatus.INVALID, 403, "it was signed 90 s ago")
        self.assertEqual((stale.is_valid, stale.phrase), (False, "Stale Date"))
        self.assertEqual(repr(stale), "<PassportVerdict INVALID 403: it was signed 90 s ago>")
        self.assertIsNone(PassportVerdict(PassportStatus.ABSENT, 428).phrase)
