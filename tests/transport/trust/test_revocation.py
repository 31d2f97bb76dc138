"""Revocation lists: which of them count, and what becomes of whom they list or do not know."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import CertificateAuthority
from sip_p2p.transport.trust.certificate_facts import Refused
from sip_p2p.transport.trust.revocation import Revocation, RevocationList, RevocationMode
from tests.support import SynchronousTestCase
from tests.transport.revoked import DAY, NOW, crl, ocsp_response, pem, responder
from tests.transport.tls_pairs import authority, other_authority, rsa_authority

Reason = TlsFailureReason
LEAF = authority().issue("b.example").certificate
CHAIN = (LEAF, authority().certificate)


def odd_version(listed: x509.CertificateRevocationList) -> bytes:
    """A list of a version that there is not."""
    data = listed.public_bytes(Encoding.DER)
    place = data.index(bytes.fromhex("020101"))
    return data[: place + 2] + b"\x7f" + data[place + 3 :]


def verdict(
    lists: list[x509.CertificateRevocationList],
    mode: str = "hard",
    chain: Any = CHAIN,
    now: datetime.datetime = NOW,
) -> tuple[TlsFailureReason | None, str]:
    """Why a chain is refused, with the words; None if it is not."""
    try:
        Revocation([RevocationList(each, "list.crl") for each in lists], mode).judge(chain, now)
    except Refused as refused:
        return refused.reason, refused.detail
    return None, ""


def scope(**options: Any) -> list[tuple[x509.ExtensionType, bool]]:
    """The extension that says what a list is about."""
    defaults: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return [(x509.IssuingDistributionPoint(**(defaults | options)), True)]


class ListTests(SynchronousTestCase):
    """What a list says of a certificate."""

    def test_listed(self) -> None:
        """A certificate on its issuer's list is refused as revoked, in soft and hard mode. fault:F7 row:D17"""
        for mode in ("soft", "hard"):
            reason, words = verdict([crl([LEAF])], mode)
            self.assertIs(reason, Reason.REMOTE_CERTIFICATE_REVOKED)
            self.assertIn("list.crl", words)
            self.assertIn(f"{LEAF.serial_number:x}", words)
        self.assertIsNone(verdict([crl([LEAF])], "off")[0])

    def test_not_listed(self) -> None:
        """A certificate that is not on it is in force."""
        self.assertIsNone(verdict([crl([authority().issue("c.example").certificate])])[0])

    def test_listed_on_an_old_list(self) -> None:
        """Who is on a list that is out of date is still revoked. fault:F7"""
        self.assertIs(verdict([crl([LEAF])], "soft", now=NOW + 9 * DAY)[0], Reason.REMOTE_CERTIFICATE_REVOKED)

    def test_whole_chain(self) -> None:
        """A revoked authority takes everybody below it along; the root is not looked up. fault:F7"""
        middle = authority().intermediate("middle")
        leaf = middle.issue("b.example").certificate
        chain = (leaf, middle.certificate, authority().certificate)
        lists = [crl(), crl(signer=middle)]
        self.assertIsNone(verdict(lists, chain=chain)[0])
        reason, words = verdict([crl([middle.certificate]), crl(signer=middle)], chain=chain)
        self.assertIs(reason, Reason.REMOTE_CERTIFICATE_REVOKED)
        self.assertIn("CN=middle", words)
        self.assertIs(verdict([crl()], chain=chain)[0], Reason.REVOCATION_UNKNOWN)
        self.assertIs(verdict([crl(signer=middle)], chain=chain)[0], Reason.REVOCATION_UNKNOWN)

    def test_two_lists(self) -> None:
        """Of two lists of one issuer, the one of the present counts, and either revokes."""
        old = crl(issued=NOW - 9 * DAY, due=NOW - 8 * DAY)
        self.assertIsNone(verdict([old, crl()])[0])
        self.assertIs(verdict([crl(), crl([LEAF])])[0], Reason.REMOTE_CERTIFICATE_REVOKED)


class UnknownTests(SynchronousTestCase):
    """What becomes of those of whom nothing is known."""

    def test_hard(self) -> None:
        """In hard mode no list, one of the past or future, and a forged one are refusals, with the remedy. fault:F7"""
        cases = (
            ([], NOW, "there is no revocation list"),
            ([crl()], NOW + 9 * DAY, "out of date"),
            ([crl()], NOW - 9 * DAY, "of the future"),
            ([crl(signer=other_authority())], NOW, "not signed by"),
        )
        for lists, now, expected in cases:
            reason, words = verdict(lists, now=now)
            self.assertIs(reason, Reason.REVOCATION_UNKNOWN)
            self.assertIn(expected, words)

    def test_soft(self) -> None:
        """In soft mode they are accepted. row:D17"""
        for lists in ([], [crl(signer=other_authority())]):
            self.assertIsNone(verdict(lists, "soft")[0])
        self.assertIsNone(verdict([crl()], "soft", now=NOW + 9 * DAY)[0])

    def test_forged_list_revokes_nobody(self) -> None:
        """A list with the right name that somebody else has signed takes nobody's certificate away. fault:F7"""
        self.assertIsNone(verdict([crl([LEAF], other_authority())], "soft")[0])
        self.assertIs(verdict([crl([LEAF], other_authority())])[0], Reason.REVOCATION_UNKNOWN)

    def test_may_not_sign(self) -> None:
        """An authority whose key usage does not allow it signs no list (RFC 5280 section 4.2.1.3)."""
        usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
        certificate = authority().issue("b.example", is_authority=True, key_usage=usage)
        below = CertificateAuthority(certificate.certificate, certificate.key)
        leaf = below.issue("c.example").certificate
        reason, words = verdict([crl(signer=below), crl()], chain=(leaf, certificate.certificate, *CHAIN[1:]))
        self.assertIs(reason, Reason.REVOCATION_UNKNOWN)
        self.assertIn("may not sign lists", words)

    def test_weak(self) -> None:
        """SHA-1 under a list proves nothing any more."""
        read = RevocationList(_with_sha1(crl(signer=rsa_authority(), digest=hashes.SHA256())))
        self.assertIn("SHA1", read.forged(rsa_authority().certificate))

    def test_remembered(self) -> None:
        """Whether a list is its issuer's is found out once for each of a few issuers."""
        read = RevocationList(crl())
        self.assertEqual(read.forged(authority().certificate), "")
        for _ in range(20):
            stranger = CertificateAuthority.create("trusted authority")
            self.assertIn("not signed", read.forged(stranger.certificate))
        self.assertLessEqual(len(read._signed), 16)
        self.assertEqual(read.forged(authority().certificate), "")


class ScopeTests(SynchronousTestCase):
    """Which certificates a list is about (RFC 5280 section 5.2.5)."""

    def test_parties_and_authorities(self) -> None:
        """A list of authorities says nothing of parties, and the other way round."""
        middle = authority().intermediate("middle")
        chain = (middle.issue("b.example").certificate, middle.certificate, authority().certificate)
        of_parties = crl(extensions=scope(only_contains_user_certs=True))
        of_authorities = crl(extensions=scope(only_contains_ca_certs=True))
        self.assertIsNone(verdict([of_parties])[0])
        self.assertIs(verdict([of_authorities])[0], Reason.REVOCATION_UNKNOWN)
        below = crl(signer=middle)
        self.assertIsNone(verdict([of_authorities, below], chain=chain)[0])
        self.assertIs(verdict([of_parties, below], chain=chain)[0], Reason.REVOCATION_UNKNOWN)

    def test_places(self) -> None:
        """A list in parts counts for the certificates that name its place."""
        one, two = (x509.UniformResourceIdentifier(f"http://ca.example/{name}.crl") for name in ("1", "2"))
        points = x509.CRLDistributionPoints([x509.DistributionPoint([one], None, None, None)])
        leaf = authority().issue("b.example", extensions=[(points, False)]).certificate
        chain = (leaf, authority().certificate)
        for place, reason in ((one, Reason.REMOTE_CERTIFICATE_REVOKED), (two, Reason.REVOCATION_UNKNOWN)):
            listed = crl([leaf, LEAF], extensions=scope(full_name=[place]))
            self.assertIs(verdict([listed], chain=chain)[0], reason)
            self.assertIs(verdict([listed])[0], Reason.REVOCATION_UNKNOWN)

    def test_refused_kinds(self) -> None:
        """Indirect, delta and partial lists, and those with an unknown critical extension, are refused with words."""
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        relative = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
        for extensions, expected in (
            (scope(indirect_crl=True), "indirect"),
            ([(x509.DeltaCRLIndicator(1), True)], "delta"),
            (scope(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])), "a part of all reasons"),
            (scope(only_contains_attribute_certs=True), "a part of all reasons"),
            (scope(relative_name=relative), "relative"),
            ([(unknown, True)], "1.3.6.1.4.1.99999.1"),
        ):
            error = self.assertRaises(ValueError, RevocationList, crl(extensions=extensions), "list.crl")
            self.assertIn(expected, str(error))
            self.assertIn("list.crl", str(error))
        RevocationList(crl(extensions=[(x509.CRLNumber(7), True), (unknown, False)]))

    def test_other_authorities(self) -> None:
        """A list whose entries name other issuers is refused, though it does not say that it is indirect."""
        entry = (
            x509.RevokedCertificateBuilder(LEAF.serial_number, NOW)
            .add_extension(x509.CertificateIssuer([x509.DNSName("other.example")]), True)
            .build()
        )
        builder = x509.CertificateRevocationListBuilder(
            authority().certificate.subject, NOW - DAY, NOW + DAY, (), [entry]
        )
        error = self.assertRaises(ValueError, RevocationList, builder.sign(authority().key, hashes.SHA256()))
        self.assertIn("other authorities", str(error))

    def test_without_end(self) -> None:
        """A list that does not say when the next one is due could be replayed for ever."""

        class _Endless:
            next_update_utc = last_update_utc = None

        error = self.assertRaises(ValueError, RevocationList, _Endless())
        self.assertIn("nextUpdate", str(error))


class FileTests(SynchronousTestCase):
    """Lists from files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_formats(self) -> None:
        """PEM with several lists, DER, and folders of both, in which other files may lie."""
        self.write("a.pem", pem(crl(), crl(signer=other_authority())))
        self.write("b.crl", crl(signer=rsa_authority()).public_bytes(Encoding.DER))
        self.write("ca.pem", authority().pem)
        self.write("notes.txt", b"nothing")
        read = Revocation.from_files(self.folder, mode="Hard")
        self.assertEqual((len(read.lists), read.mode, read.files), (3, RevocationMode.HARD, (self.folder,)))
        self.assertIn(str(self.folder / "a.pem"), repr(read.lists[0]))
        self.assertEqual(repr(read), "<Revocation: 3 lists, hard, stapling off>")
        self.assertEqual(len(Revocation.from_files(self.folder / "a.pem", str(self.folder / "b.crl")).lists), 3)

    def test_read_again(self) -> None:
        """What the files hold by now, with the modes of before. fault:F7"""
        path = self.write("a.crl", pem(crl()))
        read = Revocation.from_files(path, mode="hard", stapling="soft")
        self.assertEqual(read.read_again().content, read.content)
        path.write_bytes(pem(crl([LEAF])))
        again = read.read_again()
        self.assertNotEqual(again.content, read.content)
        self.assertEqual((again.mode, again.stapling), (read.mode, read.stapling))

    def test_gone(self) -> None:
        """What was revoked stays so when the file of a list is gone from its folder, or the folder is not mounted; the
        other lists of the folder are read anew. fault:F7 fault:F13"""
        path = self.write("a.crl", pem(crl([LEAF])))
        self.write("b.crl", pem(crl(signer=rsa_authority())))
        read = Revocation.from_files(self.folder)
        path.unlink()
        fresh = pem(crl([LEAF], signer=rsa_authority()))
        self.write("b.crl", fresh)
        again = read.read_again()
        self.assertEqual(len(again.lists), 2)
        self.assertIn(x509.load_pem_x509_crl(fresh), [each.crl for each in again.lists])
        chain = [LEAF, authority().certificate]
        self.assertIs(self.assertRaises(Refused, again.judge, chain).reason, Reason.REMOTE_CERTIFICATE_REVOKED)
        self.write("a.crl", pem(crl()))
        self.assertEqual(len(again.read_again().lists), 2)
        again.read_again().judge(chain)
        for each in self.folder.iterdir():
            each.unlink()
        empty = read.read_again().read_again()
        self.assertIs(self.assertRaises(Refused, empty.judge, chain).reason, Reason.REMOTE_CERTIFICATE_REVOKED)

    def test_useless(self) -> None:
        """What cannot be used is refused when it is read, with the name of the file."""
        for path, expected in (
            (self.folder / "missing.crl", "cannot be read"),
            (self.write("empty.crl", b""), "holds no revocation list"),
            (self.write("ca.crl", authority().pem), "holds no revocation list"),
            (self.write("bad.crl", b"\x30\x03\x02\x01\x00"), "damaged"),
            (self.write("cut.crl", pem(crl())[:200]), "damaged"),
            (self.write("odd.crl", odd_version(crl())), "damaged"),
            (self.write("delta.crl", pem(crl(extensions=[(x509.DeltaCRLIndicator(1), True)]))), "delta"),
        ):
            error = self.assertRaises(ValueError, Revocation.from_files, path)
            self.assertIn(expected, str(error))
            self.assertIn(str(path), str(error))

    def test_own_authority(self) -> None:
        """What our own authority makes is what we read."""
        made = authority().revocation_list([LEAF])
        self.assertIs(verdict([made])[0], Reason.REMOTE_CERTIFICATE_REVOKED)
        self.assertIsNone(verdict([authority().revocation_list()])[0])

    def test_modes(self) -> None:
        """A mode is one of three, by name or as itself."""
        self.assertIs(RevocationMode.named(RevocationMode.SOFT), RevocationMode.SOFT)
        error = self.assertRaises(ValueError, Revocation, (), "strict")
        self.assertIn("off, soft, hard", str(error))


class StapleTests(SynchronousTestCase):
    """What a server staples to its handshake."""

    def verdict(self, response: bytes, mode: str = "hard", leaf: x509.Certificate = LEAF, **options: Any) -> Any:
        """The reason for a refusal, or until when the answer holds."""
        revocation = Revocation(options.pop("lists", ()), options.pop("lists_mode", "off"), stapling=mode)
        try:
            return revocation.judge_staple(response, leaf, authority().certificate, NOW)
        except Refused as refused:
            return refused.reason

    def test_modes(self) -> None:
        """Hard wants a good response, soft does without, off does not look; both refuse the revoked. row:D17"""
        revoked = ocsp_response(LEAF, status=ocsp.OCSPCertStatus.REVOKED)
        good = ocsp_response(LEAF)
        for response, hard, soft in (
            (b"", Reason.REVOCATION_UNKNOWN, None),
            (b"nonsense", Reason.REVOCATION_UNKNOWN, None),
            (revoked, Reason.REMOTE_CERTIFICATE_REVOKED, Reason.REMOTE_CERTIFICATE_REVOKED),
        ):
            self.assertIs(self.verdict(response), hard)
            self.assertIs(self.verdict(response, "soft"), soft)
            self.assertIsNone(self.verdict(response, "off"))
        for mode in ("soft", "hard"):
            self.assertGreater(self.verdict(good, mode), NOW)

    def test_must_staple(self) -> None:
        """A certificate that demands a staple is refused without one, in soft mode too (RFC 7633)."""
        feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
        leaf = authority().issue("b.example", extensions=[(feature, False)]).certificate
        self.assertIs(self.verdict(b"", "soft", leaf), Reason.REVOCATION_UNKNOWN)
        self.assertGreater(self.verdict(ocsp_response(leaf), "soft", leaf), NOW)

    def test_revoked_responder(self) -> None:
        """A responder that its issuer has taken back does not count, unless it asks not to be looked up. fault:F7"""
        certified = authority().issue("ocsp.example", key_purposes=[x509.ExtendedKeyUsageOID.OCSP_SIGNING])
        listed = [RevocationList(crl([certified.certificate]))]
        response = ocsp_response(LEAF, signer=certified)
        self.assertIs(self.verdict(response, lists=listed, lists_mode="soft"), Reason.REMOTE_CERTIFICATE_REVOKED)
        self.assertGreater(self.verdict(response), NOW)
        exempt = responder()
        listed = [RevocationList(crl([exempt.certificate]))]
        self.assertGreater(self.verdict(ocsp_response(LEAF, signer=exempt), lists=listed, lists_mode="soft"), NOW)


def _with_sha1(signed: x509.CertificateRevocationList) -> x509.CertificateRevocationList:
    with_sha256, with_sha1 = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
    return x509.load_der_x509_crl(signed.public_bytes(Encoding.DER).replace(with_sha256, with_sha1))
