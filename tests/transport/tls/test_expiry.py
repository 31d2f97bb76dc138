"""Certificates that run out, and when that is said."""

from __future__ import annotations

import datetime

from cryptography import x509

from sip_p2p.transport.tls.expiry import CertificateExpiring, ExpiryNotices, certificates_of
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import anchors, authority, party_credential

NOW = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def ending(end: datetime.datetime) -> x509.Certificate:
    """A certificate that is valid until then."""
    return authority().issue("b.example", not_before=end - 300 * DAY, not_after=end).certificate


class NoticeTests(SynchronousTestCase):
    """What is said, and how often."""

    def test_steps(self) -> None:
        """At 30, 14, 7, 3 and 1 days, and when it is too late, once each, however often one looks. row:D2"""
        notices, certificate = ExpiryNotices(), ending(NOW)
        said = []
        for hours in range(40 * 24, -48, -6):
            now = NOW - datetime.timedelta(hours=hours)
            for notice in notices.due([("ours", certificate)], now):
                said.append(round(notice.days_left, 2))
        self.assertEqual(said, [29.75, 13.75, 6.75, 2.75, 0.75, -0.25])

    def test_missed(self) -> None:
        """Of several steps that nobody was there for, the last is said."""
        notices, certificate = ExpiryNotices(), ending(NOW)
        self.assertEqual(len(notices.due([("ours", certificate)], NOW - 2 * DAY)), 1)
        self.assertEqual(notices.due([("ours", certificate)], NOW - 2 * DAY), [])
        self.assertEqual(len(notices.due([("ours", certificate)], NOW + 90 * DAY)), 1)

    def test_renewed(self) -> None:
        """What has been replaced is forgotten, and the new one speaks for itself."""
        notices = ExpiryNotices()
        notices.due([("ours", ending(NOW))], NOW - DAY)
        self.assertEqual(notices.due([("ours", ending(NOW + 300 * DAY))], NOW - DAY), [])
        self.assertEqual(len(notices.due([("ours", ending(NOW + DAY)), ("x", ending(NOW + 9 * DAY))], NOW)), 2)

    def test_words(self) -> None:
        """What it says names the certificate, the day and what to do."""
        certificate = ending(NOW)
        for days, expected in (
            (13.7, "b.pem expires in 13 days, on 2030-01-01 12:00 UTC: renew it"),
            (1.2, "b.pem expires in 1 day, on 2030-01-01 12:00 UTC: renew it"),
            (0.2, "b.pem expires in less than a day, on 2030-01-01 12:00 UTC: renew it"),
            (-0.2, "b.pem has expired on 2030-01-01 12:00 UTC: replace it"),
        ):
            self.assertEqual(str(CertificateExpiring(certificate, "b.pem", days)), expected)
        self.assertIn("b.pem", repr(CertificateExpiring(certificate, "b.pem", 1)))

    def test_everything_relied_upon(self) -> None:
        """Our own certificates with their chains, those by name, and the authorities that we trust count."""
        below = authority().intermediate("middle").issue("b.example")
        own = Credential(below.certificate, below.key, below.chain, source="b.pem")
        settings = TlsSettings(own, anchors(), server_certificates={"c.example": party_credential("c.example")})
        names = [name for name, _ in certificates_of(settings)]
        self.assertEqual(
            names,
            [
                "our certificate (b.pem)",
                "the intermediate authority CN=middle of our certificate",
                "our certificate for c.example",
                "the trusted authority CN=trusted authority",
            ],
        )
        nobody = TlsSettings(None, anchors(), need_mutual_tls=False)
        self.assertEqual(len(list(certificates_of(nobody))), 1)
