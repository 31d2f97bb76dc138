"""Odd certificates, shown by either side, over both versions of TLS, and what each side says of them."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, X509, load_certificate

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.pki import SIP_DOMAIN_KEY_PURPOSE, IssuedCertificate
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.judgement import PeerCheck
from sip_p2p.transport.trust.pins import PinnedKeys, pin_of
from sip_p2p.transport.trust.stack import Trust, TrustStack
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import (
    ANY,
    Party,
    RawClient,
    TlsPair,
    anchors,
    authority,
    credential,
    other_authority,
    party_credential,
    rsa_authority,
    rsa_key,
    settings,
    sha1_signed,
)

NAME = "b.example"
VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": 0}
WEAK_ALLOWED = "DEFAULT@SECLEVEL=0"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)

Reason = TlsFailureReason


def issue(*names: str, **knobs: Any) -> IssuedCertificate:
    """A certificate of the trusted authority for b.example, or for *names*."""
    return authority().issue(*(names or (NAME,)), **knobs)


def named(*entries: x509.GeneralName, **knobs: Any) -> IssuedCertificate:
    """One for b.example whose alternative names are exactly these."""
    return issue(alternative_names=entries, **knobs)


def uri(value: str) -> x509.GeneralName:
    """A URI entry."""
    return x509.UniformResourceIdentifier(value)


def dns(value: str) -> x509.GeneralName:
    """A DNS entry, which may hold what no authority should sign."""
    return x509.DNSName(value)


def _latin_1_name() -> x509.UnrecognizedExtension:
    """Alternative names with the URI sip:b.example, and a DNS entry with an octet beyond ASCII."""
    entries = b"".join(bytes([tag, len(value)]) + value for tag, value in ((0x86, b"sip:b.example"), (0x82, b"b\xfc")))
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes([0x30, len(entries)]) + entries)


class MatrixTestCase(SynchronousTestCase):
    """Shows a certificate from the side of the server and of the client, over TLS 1.2 and 1.3."""

    def shown(
        self, issued: IssuedCertificate, *, expected: str = NAME, trust: TrustAnchors | None = None, **judge: Any
    ) -> list[tuple[str, Party, Party]]:
        """For each case its name, the party that judged the certificate, and the one that showed it."""
        outcomes = []
        shown = credential(issued)
        for version, highest in VERSIONS.items():
            odd = TlsSettings(shown, anchors(), ANY, ciphers=WEAK_ALLOWED, maximum_version=highest)
            good = settings("a.example", anchors=trust or anchors(), maximum_version=highest, **judge)
            dialled = TlsPair(good, odd, expected, client=Party(b"secret"), server=Party(b"odd")).run()
            outcomes.append((f"server, TLS {version}", dialled.client, dialled.server))
            accepted = TlsPair(odd, good, "a.example", client=Party(b"odd"), server=Party(b"secret")).run()
            outcomes.append((f"client, TLS {version}", accepted.server, accepted.client))
        return outcomes

    def assert_refused(self, issued: IssuedCertificate, reason: TlsFailureReason, **options: Any) -> None:
        """Both directions and versions refuse it for *reason*, and its owner is told that it was refused."""
        for case, judge, owner in self.shown(issued, **options):
            self.assertEqual(judge.failure.reason, reason, f"{case}: {judge.failure}")
            self.assertEqual(
                judge.failure.certificate, issued.certificate if reason in OWN else judge.failure.certificate
            )
            self.assertEqual(judge.events, ["made", "lost"], case)
            self.assertEqual(judge.heard, b"", case)
            self.assertEqual(owner.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED, f"{case}: {owner.failure}")
            self.assertNotEqual(owner.failure.alert, "", case)
            self.assertEqual(owner.heard, b"", case)

    def assert_accepted(self, issued: IssuedCertificate, **options: Any) -> None:
        """Both directions and versions take it, and bytes pass both ways."""
        for case, judge, owner in self.shown(issued, **options):
            self.assertEqual(judge.events, ["made", "verified"], f"{case}: {judge.reason}")
            self.assertEqual((judge.heard, owner.heard), (b"odd", b"secret"), case)
            self.assertEqual(judge.transport.verified.certificate, issued.certificate, case)


OWN = frozenset(
    [
        Reason.REMOTE_CERTIFICATE_INVALID,
        Reason.REMOTE_CERTIFICATE_INVALID_USAGE,
        Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE,
        Reason.CERTIFICATE_EXPIRED,
        Reason.CERTIFICATE_NOT_YET_VALID,
        Reason.UNTRUSTED_REMOTE_CERTIFICATE,
    ]
)
"""For these it is the party's own certificate that is wrong, so that is the one in the failure."""


class NameTests(MatrixTestCase):
    """Which names are identities."""

    def test_good_names(self) -> None:
        """A sip URI, a DNS entry without one, both, and either in capitals are accepted. row:D11 fault:F3"""
        for issued in (
            issue(),
            named(uri("sip:b.example")),
            named(dns("b.example")),
            named(uri("SIP:B.Example")),
            named(dns("B.EXAMPLE")),
            named(uri("sip:alice@b.example"), dns("b.example")),
            named(uri("sips:b.example"), dns("b.example")),
        ):
            self.assert_accepted(issued)

    def test_no_usable_name(self) -> None:
        """Without a SIP identity among the alternative names it is refused; no common name helps. fault:F1 row:D11"""
        directory_name = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))
        for issued in (
            named(),
            named(common_name=NAME),
            named(x509.RFC822Name("b.example@b.example")),
            named(directory_name),
            named(uri("sip:b.example:5061")),
            named(uri("sip:b.example;transport=tls")),
            named(uri("sip:b.example?x=y")),
            named(uri("sip:alice@b.example")),
            named(uri("sips:b.example")),
            named(uri("http://b.example")),
            named(uri("b.example")),
            named(x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4"))),
        ):
            self.assert_refused(issued, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_wildcards(self) -> None:
        """No wildcard is an identity, in a DNS entry or a URI. fault:F1 fault:F2"""
        for issued in (
            named(dns("*")),
            named(dns("*.example")),
            named(dns("*.com")),
            named(dns("b.*")),
            named(dns("*b.example")),
            named(uri("sip:*.example")),
            named(uri("sip:*")),
        ):
            self.assert_refused(issued, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_address_as_name(self) -> None:
        """An IP address written as a DNS name or into a URI proves nothing, on either side. fault:F1 fault:F12"""
        for issued in (named(dns("192.0.2.1")), named(uri("sip:192.0.2.1")), named(uri("sip:[2001:db8::1]"))):
            for expected in ("192.0.2.1", "2001:db8::1"):
                self.assert_refused(issued, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, expected=expected)

    def test_forged_names(self) -> None:
        """A NUL or control character in any name makes the whole certificate unusable. fault:F5"""
        for issued in (
            named(dns("b.example\0.evil.example")),
            named(dns("b.example"), dns("x\0")),
            named(uri("sip:b.example"), uri("sip:b.example\0@evil.example")),
            named(dns("b.example\n")),
            named(dns("b.example"), dns("\x7f")),
            named(extensions=[(_latin_1_name(), False)]),
        ):
            self.assert_refused(issued, Reason.REMOTE_CERTIFICATE_INVALID)

    def test_wrong_name(self) -> None:
        """What is dialled must be proved by its very name: no parent, sub-domain, or DNS entry beside a URI. row:D14"""
        for issued in (
            issue("c.example"),
            issue("example"),
            issue("a.b.example"),
            issue("bb.example"),
            named(uri("sip:c.example"), dns("b.example")),
        ):
            for case, judge, owner in self.shown(issued):
                if case.startswith("server"):
                    self.assertEqual(judge.failure.reason, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, case)
                    self.assertIn("not b.example", str(judge.failure))
                    self.assertEqual(judge.events, ["made", "lost"])
                    self.assertEqual(owner.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED)
                else:
                    self.assertEqual(judge.events, ["made", "verified"], case)

    def test_addresses(self) -> None:
        """An IP address is proved by an IP entry, in any of its spellings, even beside a sip URI. fault:F12"""
        issued = issue("b.example", "192.0.2.1", "2001:db8::1")
        for expected in ("192.0.2.1", "2001:DB8:0::1", "[2001:db8::1]", "b.example"):
            self.assert_accepted(issued, expected=expected)
        for case, judge, _ in self.shown(issued, expected="192.0.2.2"):
            if case.startswith("server"):
                self.assertEqual(judge.failure.reason, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_international_name(self) -> None:
        """A name beyond ASCII is expected by its letters and proved by its A-label. fault:F3"""
        self.assert_accepted(issue("bücher.example"), expected="BÜCHER.example")

    def test_matching_name_is_reported(self) -> None:
        """Both sides learn by which identity the other was accepted, and all that it proved. row:D12"""
        several = credential(issue("b.example", "c.example", "192.0.2.1"))
        pair = TlsPair(
            settings("a.example"), TlsSettings(several, anchors(), TrustPolicy(["a.example"])), "C.Example"
        ).run()
        verified = pair.client.transport.verified
        self.assertEqual((verified.matched, verified.is_client), ("c.example", True))
        self.assertEqual(verified.identities.identities, ("b.example", "c.example", "192.0.2.1"))
        self.assertEqual((pair.server.transport.verified.matched, verified.key), ("a.example", "b.example c.example"))
        self.assertEqual(verified.tls_version, "TLSv1.3")
        self.assertIn("AES", verified.cipher)


class ChainTests(MatrixTestCase):
    """Which chains are trusted."""

    def test_intermediates(self) -> None:
        """A chain through intermediates is accepted when they are shown, and refused when one is not. row:D15"""
        middle = authority().intermediate("intermediate authority")
        issued = middle.issue(NAME)
        self.assert_accepted(issued)
        self.assert_refused(
            IssuedCertificate(NAME, issued.certificate, issued.key), Reason.UNTRUSTED_REMOTE_CERTIFICATE
        )

    def test_untrusted(self) -> None:
        """Self-signed certificates and those of another authority of the same name are refused. row:D15 fault:F6"""
        self.assert_refused(issue(self_signed=True), Reason.UNTRUSTED_REMOTE_CERTIFICATE)
        self.assert_refused(other_authority().issue(NAME), Reason.UNTRUSTED_REMOTE_CERTIFICATE)

    def test_party_is_no_authority(self) -> None:
        """What a party's certificate has signed is refused: it is no authority. row:D15"""
        party = issue("c.example")
        issuer = type(authority())(party.certificate, party.key, (party.certificate,))
        # The chain is broken in several ways at once (no authority, no key for signing); any of them will do.
        for case, judge, owner in self.shown(issuer.issue(NAME)):
            self.assertIn(judge.failure.reason, (Reason.UNTRUSTED_REMOTE_CERTIFICATE,), case)
            self.assertEqual(owner.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED)

    def test_authority_as_party(self) -> None:
        """An authority's certificate does not speak for a party. fault:F6"""
        self.assert_refused(issue(is_authority=True), Reason.REMOTE_CERTIFICATE_INVALID)

    def test_trusted_by_itself(self) -> None:
        """Without any authority, two parties can trust each other's self-signed certificates, marked as they may be."""
        for is_authority in (False, True):
            issued = issue(self_signed=True, is_authority=is_authority)
            self.assert_accepted(issued, trust=TrustAnchors([issued.certificate]))

    def test_expired(self) -> None:
        """An expired certificate is refused as that, with the certificate in the failure. row:D16 row:D21 fault:F6"""
        self.assert_refused(issue(not_before=NOW - 9 * DAY, not_after=NOW - DAY), Reason.CERTIFICATE_EXPIRED)

    def test_not_yet_valid(self) -> None:
        """One from the future likewise, as what it is. row:D16 fault:F6"""
        self.assert_refused(issue(not_before=NOW + DAY, not_after=NOW + 9 * DAY), Reason.CERTIFICATE_NOT_YET_VALID)

    def test_weak(self) -> None:
        """Short RSA keys and SHA-1 signatures are refused, by OpenSSL's rule or, where that is off, ours. fault:F6"""
        trust = TrustAnchors([authority().certificate, rsa_authority().certificate])
        for issued in (issue(key=rsa_key(1024)), sha1_signed(NAME)):
            self.assert_refused(issued, Reason.REMOTE_CERTIFICATE_WEAK, trust=trust)
            self.assert_refused(issued, Reason.REMOTE_CERTIFICATE_WEAK, trust=trust, ciphers=WEAK_ALLOWED)
        self.assert_accepted(issue(key=rsa_key(2048)))


class PurposeTests(MatrixTestCase):
    """Which key usages rule SIP out (RFC 5924)."""

    SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    SIP, ANYTHING = SIP_DOMAIN_KEY_PURPOSE, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
    CODE, MAIL = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION
    TIME, OCSP = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING
    CARD = ExtendedKeyUsageOID.SMARTCARD_LOGON

    def test_extended_key_usage(self) -> None:
        """A SIP, any, server or client purpose is accepted from either side, as is none; no others. fault:F4"""
        accepted = (
            [], [self.SERVER], [self.CLIENT], [self.SERVER, self.CLIENT], [self.SIP], [self.SIP, self.SERVER],
            [self.SIP, self.CLIENT], [self.SIP, self.SERVER, self.CLIENT], [self.ANYTHING], [self.ANYTHING, self.CODE],
            [self.CODE, self.SERVER], [self.CODE, self.SIP],
        )  # fmt: skip
        for purposes in accepted:
            self.assert_accepted(issue(key_purposes=purposes))
        for purposes in ([self.CODE], [self.MAIL], [self.TIME], [self.OCSP], [self.CARD, self.MAIL]):
            self.assert_refused(issue(key_purposes=purposes), Reason.REMOTE_CERTIFICATE_INVALID_USAGE)

    def test_key_usage(self) -> None:
        """A key that may not sign cannot prove anything in the exchanges that we offer. fault:F4"""
        usage = x509.KeyUsage(False, False, False, False, True, False, False, False, False)
        check = PeerCheck(anchors(), ANY, expected=NAME, require_certificate=True)
        self.assertFalse(check.judge(X509.from_cryptography(issue(key_usage=usage).certificate), 0, 0))
        self.assertEqual(check.refusal.reason, Reason.REMOTE_CERTIFICATE_INVALID_USAGE)
        # And nothing that comes after it changes that.
        self.assertFalse(check.judge(X509.from_cryptography(issue().certificate), 0, 0))
        self.assertFalse(check.has_approved)

    def test_purpose_of_authority(self) -> None:
        """An intermediate that may only sign code certifies no SIP party, one for SIP does. fault:F4"""
        middle = authority().intermediate("intermediate authority")
        for purpose, accepted in ((self.CODE, False), (self.SIP, True)):
            issued = authority().issue(
                "intermediate",
                alternative_names=[],
                key=middle.key,
                is_authority=True,
                key_purposes=[purpose],
                common_name="intermediate authority",
            )
            chained = middle.issue(NAME)
            chained = IssuedCertificate(NAME, chained.certificate, chained.key, (issued.certificate,))
            for case, judge, _ in self.shown(chained):
                if accepted:
                    self.assertEqual(judge.events, ["made", "verified"], f"{case}: {judge.reason}")
                else:
                    self.assertEqual(judge.failure.reason, Reason.REMOTE_CERTIFICATE_INVALID_USAGE, case)


class PolicyTests(MatrixTestCase):
    """Who may call."""

    def test_policy(self) -> None:
        """A caller that is not on the list is refused, whatever it proved; one that is gets in. row:D6"""
        for policy, allowed in (
            (TrustPolicy(["b.example"]), True),
            (TrustPolicy(domains=[".example"]), True),
            (TrustPolicy(["a.example", "c.example"]), False),
            (TrustPolicy(domains=[".b.example"]), False),
        ):
            for case, judge, owner in self.shown(issue(), policy=policy):
                if case.startswith("server") or allowed:
                    self.assertEqual(judge.events, ["made", "verified"], case)
                else:
                    self.assertEqual(judge.failure.reason, Reason.CONNECTION_AUTHORIZATION_FAILED, case)
                    self.assertEqual(judge.events, ["made", "lost"], case)
                    self.assertEqual(owner.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED, case)

    def test_excluded(self) -> None:
        """Who was taken out of the policy neither gets in nor is dialled, for any of its names. row:D10"""
        several = credential(issue("b.example", "c.example"))
        without = ANY.excluding("c.example")
        for dials in (True, False):
            judge, other = settings("a.example", without), TlsSettings(several, anchors(), ANY)
            ours, theirs = Party(b"secret"), Party(b"odd")
            if dials:
                TlsPair(judge, other, "b.example", client=ours, server=theirs).run()
            else:
                TlsPair(other, judge, "a.example", client=theirs, server=ours).run()
            self.assertEqual(ours.failure.reason, Reason.CONNECTION_AUTHORIZATION_FAILED)
            self.assertIn("but not c.example", str(ours.failure))
            self.assertEqual((ours.events, ours.heard, theirs.heard), (["made", "lost"], b"", b""))

    def test_excluded_by_whatever_it_is_known(self) -> None:
        """Whom an authority vouches for under a name that was taken out is not let in for the sake of the name under
        which its key is pinned. row:D10"""
        issued = issue("b.example")
        pins = PinnedKeys({"c.example": pin_of(issued.certificate)})
        for known in ([anchors(), pins], [pins, anchors()]):
            for policy, events in (
                (ANY, ["made", "verified"]),
                (ANY.excluding("b.example"), ["made", "lost"]),
                (ANY.excluding("c.example"), ["made", "lost"]),
            ):
                judge = settings("a.example", policy, anchors=TrustStack.of(known))
                pair = TlsPair(TlsSettings(credential(issued), anchors(), ANY), judge, "a.example").run()
                self.assertEqual(pair.server.events, events, policy)
                if "lost" in events:
                    self.assertEqual(pair.server.failure.reason, Reason.CONNECTION_AUTHORIZATION_FAILED)

    def test_defaults(self) -> None:
        """Without a policy only localhost may call, and with an empty one nobody, not everybody. row:D7 row:D8"""
        localhost, b = party_credential("localhost"), party_credential("b.example")
        for policy, caller, welcome in (
            (None, localhost, True),
            (None, b, False),
            (TrustPolicy([]), localhost, False),
            (TrustPolicy([]), b, False),
            (ANY, b, True),
        ):
            pair = TlsPair(
                TlsSettings(caller, anchors(), ANY),
                TlsSettings(party_credential("a.example"), anchors(), policy),
                "a.example",
            ).run()
            self.assertEqual("verified" in pair.server.events, welcome, f"{policy} {caller}")
            if not welcome:
                self.assertEqual(pair.server.failure.reason, Reason.CONNECTION_AUTHORIZATION_FAILED)


class _Explodes(Trust):
    """Stands for a policy or for a trust, and fails where it is asked."""

    certificates = (authority().certificate,)

    def __init__(self, error: type[BaseException] = RuntimeError, after: int = 0) -> None:
        self._error = error
        self._after = after

    def allows(self, identities: object) -> str:
        self._after -= 1
        if self._after < 0:
            raise self._error("no judgement today")
        return "b.example"

    def consider(self, shown: object) -> Any:
        raise self._error("no judgement today")


class FailClosedTests(SynchronousTestCase):
    """An exception is never a yes. (The stock callbacks of many a library have it otherwise.)"""

    def test_unreadable(self) -> None:
        """A stranger whose certificate OpenSSL reads and nobody else can is refused for that, without a traceback in
        the log (fault:F3, fault:H6)."""
        issued = issue("b.example", self_signed=True)
        good = issued.certificate.public_bytes(Encoding.DER)
        odd = good.replace(bytes.fromhex("a003020102"), bytes.fromhex("a00302017f"), 1)
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(load_certificate(FILETYPE_ASN1, odd))
        context.use_privatekey(issued.key)
        refused = RawClient(settings("a.example"), context=context).run()
        self.assertEqual(refused.server.failure.reason, Reason.REMOTE_CERTIFICATE_INVALID)
        self.assertIsNone(refused.server.failure.certificate)

    def test_exception_while_judging(self) -> None:
        """Whatever our own check raises, and when, the peer is refused and hears nothing. fault:F1"""
        for highest in VERSIONS.values():
            for judge, times in (
                (settings("a.example", _Explodes(), maximum_version=highest), 1),
                (settings("a.example", _Explodes(after=1), maximum_version=highest), 1),
                (settings("a.example", anchors=_Explodes(), maximum_version=highest), 1),
            ):
                pair = TlsPair(
                    settings("b.example"), judge, "a.example", client=Party(b"hello"), server=Party(b"secret")
                ).run()
                self.assertEqual(pair.server.events, ["made", "lost"])
                self.assertEqual(pair.server.failure.reason, Reason.OTHER)
                self.assertEqual(pair.server.heard, b"")
                self.assertEqual(pair.client.heard, b"")
                self.assertEqual(pair.client.events[-1], "lost")
                self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), times)

    def test_exception_while_dialling(self) -> None:
        """The side that dials refuses as well, and what was to be sent never leaves. fault:F1"""
        pair = TlsPair(settings("a.example", anchors=_Explodes()), settings("b.example"), client=Party(b"secret")).run()
        self.assertEqual(pair.client.failure.reason, Reason.OTHER)
        self.assertEqual((pair.server.heard, pair.server.events), (b"", ["made", "lost"]))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ResumptionTests(SynchronousTestCase):
    """A resumed session is a connection like any other."""

    def resumed(self, judge: TlsSettings, version: int, change: Any = None) -> RawClient:
        """A second connection with the session of a first one, *change* having been called in between."""
        first = RawClient(judge, shows=party_credential("b.example"), version=version).run()
        first.party.transport.write(b"hello")
        first.run()
        self.assertEqual((first.server.events, first.server.heard), (["made", "verified"], b"hello"))
        session = first.connection.get_session()
        if change is not None:
            change()
        return RawClient(judge, context=first.context, session=session).run()

    def test_identity_is_known(self) -> None:
        """With a ticket of ours, the caller's identity is read and judged anew. fault:F8"""
        for version in VERSIONS.values():
            second = self.resumed(settings("a.example"), version)
            self.assertEqual(second.server.transport.verified.matched, "b.example")
            self.assertEqual(second.server.transport.verified.certificate, party_credential("b.example").certificate)

    def test_changed_policy(self) -> None:
        """A caller that is not allowed any more does not get in with a ticket from before. fault:F8 fault:F9"""
        for version in VERSIONS.values():
            judge = settings("a.example")
            second = self.resumed(judge, version, lambda judge=judge: judge.replace(policy=TrustPolicy(["c.example"])))
            self.assertEqual(second.server.failure.reason, Reason.CONNECTION_AUTHORIZATION_FAILED)

    def test_changed_anchors(self) -> None:
        """Nor does one whose authority is not trusted any more. fault:F8 fault:F9"""
        for version in VERSIONS.values():
            judge = settings("a.example")
            other = TrustAnchors([other_authority().certificate])
            second = self.resumed(judge, version, lambda judge=judge, other=other: judge.replace(anchors=other))
            self.assertEqual(second.server.failure.reason, Reason.UNTRUSTED_REMOTE_CERTIFICATE)

    def test_no_certificate(self) -> None:
        """A caller without a certificate is refused, with or without a server name. fault:F8 row:D4"""
        for version in VERSIONS.values():
            for server_name in (b"", b"a.example", b"other.example"):
                raw = RawClient(settings("a.example"), version=version, server_name=server_name).run()
                self.assertEqual(raw.server.failure.reason, Reason.REMOTE_CERTIFICATE_MISSING)
                self.assertEqual(raw.server.events, ["made", "lost"])

    def test_aborted_in_the_end(self) -> None:
        """Our own abort while the handshake runs is reported as that, not as the peer's doing."""
        pair = TlsPair(settings("a.example"), settings("b.example"))
        pair.client_tls.abortConnection()
        pair.run()
        self.assertNotIsInstance(pair.client.reason, TlsFailure)
        self.assertEqual(pair.server.failure.reason, Reason.REMOTE_DISCONNECTED)


class _Completed:
    """Stands for an OpenSSL connection whose handshake is complete."""

    def __init__(self, certificate: x509.Certificate | None) -> None:
        self._certificate = certificate

    def get_peer_certificate(self) -> X509 | None:
        return self._certificate and X509.from_cryptography(self._certificate)

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_name(self) -> str | None:
        return None


class CompletionTests(SynchronousTestCase):
    """The second look, when the handshake is complete."""

    def refusal(
        self, shown: x509.Certificate | None, judged: x509.Certificate | None = None, dialled: bool = False
    ) -> Any:
        """Why a completed handshake with *shown* is refused, when the callback had seen *judged*; None if it is not."""
        check = PeerCheck(anchors(), ANY, expected=NAME if dialled else None, require_certificate=True)
        if judged is not None:
            self.assertTrue(check.judge(X509.from_cryptography(judged), 0, 0))
        verified = check.conclude(_Completed(shown))
        self.assertEqual(verified is None, check.refusal is not None)
        # A refusal is for good.
        if check.refusal is not None:
            self.assertIsNone(check.conclude(_Completed(issue().certificate)))
            self.assertFalse(check.judge(X509.from_cryptography(issue().certificate), 0, 0))
        return check.refusal and check.refusal.reason

    def test_the_one_that_was_judged(self) -> None:
        """The peer's certificate must be the one that the callback has judged."""
        one, other = issue().certificate, issue().certificate
        self.assertIsNone(self.refusal(one, one))
        self.assertEqual(self.refusal(other, one), Reason.OTHER)

    def test_never_judged(self) -> None:
        """A server's certificate that was not judged is refused: we resume no sessions when we dial. fault:F8"""
        self.assertEqual(self.refusal(issue().certificate, dialled=True), Reason.OTHER)

    def test_none(self) -> None:
        """No certificate is no peer, whatever OpenSSL let pass. fault:F8"""
        for dialled in (False, True):
            self.assertEqual(self.refusal(None, dialled=dialled), Reason.REMOTE_CERTIFICATE_MISSING)

    def test_resumed(self) -> None:
        """A caller's resumed session is judged by all that does not need its chain. fault:F8"""
        self.assertIsNone(self.refusal(issue().certificate))
        expired = issue(not_before=NOW - 9 * DAY, not_after=NOW - DAY).certificate
        self.assertEqual(self.refusal(expired), Reason.CERTIFICATE_EXPIRED)
        self.assertEqual(self.refusal(issue(key=rsa_key(1024)).certificate), Reason.REMOTE_CERTIFICATE_WEAK)
        forged = named(extensions=[(_latin_1_name(), False)]).certificate
        self.assertEqual(self.refusal(forged), Reason.REMOTE_CERTIFICATE_INVALID)
        self.assertEqual(self.refusal(named().certificate), Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_bare_certificate(self) -> None:
        """A certificate without any extension that limits its use is judged by its names."""
        builder = x509.CertificateBuilder(
            authority().certificate.subject, x509.Name([]), rsa_key(2048).public_key(), 1, NOW - DAY, NOW + DAY
        ).add_extension(x509.SubjectAlternativeName([dns(NAME)]), critical=True)
        bare = builder.sign(authority().key, authority().certificate.signature_hash_algorithm)
        self.assertIsNone(self.refusal(bare, bare))

    def test_nobody_judges_without_a_gate(self) -> None:
        """A context of ours under somebody else's protocol accepts no certificate at all. fault:F1"""
        context = TlsPair(settings("a.example"), settings(NAME)).client_tls.getHandle().get_context()
        for owner in (None, object(), Party()):
            ours, other = SSL.Connection(context, None), SSL.Connection(context, None)
            ours.set_connect_state()
            other.set_accept_state()
            ours.set_app_data(owner)
            problem: SSL.Error | None = None
            for _ in range(4):
                for reader, writer in ((ours, other), (other, ours)):
                    with contextlib.suppress(SSL.WantReadError):
                        reader.bio_write(writer.bio_read(65536))
                    try:
                        reader.do_handshake()
                    except SSL.WantReadError:
                        continue
                    except SSL.Error as error:
                        problem = problem or error
            self.assertIn("certificate verify failed", str(problem))
            self.flushLoggedErrors(TypeError)

    def test_shown(self) -> None:
        """What was established shows itself."""
        check = PeerCheck(anchors(), ANY, expected=None, require_certificate=False)
        self.assertEqual(repr(check.conclude(_Completed(None))), "<VerifiedPeer without certificate TLSv1.3 >")
