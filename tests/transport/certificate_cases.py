"""Certificates, good and bad, each with the verdict that the RFCs give it: what the certificate matrix is made of.

A :class:`Case` is a certificate with the verdict when we dial the party that shows it, under the name ``b.example``
unless the case says otherwise, and the verdict when that party dials us, where everybody may that is known. The
verdicts are written by hand and hold for TLS 1.2 and 1.3 alike. :func:`run` puts a case through real handshakes in
memory.
"""

from __future__ import annotations

import functools
import ipaddress
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.pki import SIP_DOMAIN_KEY_PURPOSE, CertificateAuthority, IssuedCertificate
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.first_use import FirstUse
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from sip_p2p.transport.trust.pins import PinnedKeys, pin_of
from tests.transport.odd_certificates import (
    DAY,
    NAME,
    NOW,
    address,
    below,
    broken_signature,
    constrained,
    cross_signed,
    curve_key,
    deep_authority,
    directory_name,
    dns,
    edwards_key,
    foreign_middle,
    issue,
    key,
    key_usage,
    long_chain,
    middle,
    named,
    odd_authority,
    old_authority,
    raw_extension,
    raw_names,
    self_signed,
    signed_by_party,
    srv_name,
    too_deep,
    twice_named,
    uri,
)
from tests.transport.tls_pairs import (
    ANY,
    Party,
    TlsPair,
    anchors,
    authority,
    credential,
    other_authority,
    rsa_authority,
    rsa_key,
    settings,
    sha1_signed,
)

__all__ = ["CASES", "VERSIONS", "Case", "Outcome", "run"]

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": 0}
WEAK_ALLOWED = "DEFAULT@SECLEVEL=0"

Reason = TlsFailureReason
OK = None
NO_NAME = Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE
INVALID = Reason.REMOTE_CERTIFICATE_INVALID
USAGE = Reason.REMOTE_CERTIFICATE_INVALID_USAGE
UNTRUSTED = Reason.UNTRUSTED_REMOTE_CERTIFICATE
EXPIRED = Reason.CERTIFICATE_EXPIRED
EARLY = Reason.CERTIFICATE_NOT_YET_VALID
WEAK = Reason.REMOTE_CERTIFICATE_WEAK
NOT_PINNED = Reason.REMOTE_KEY_NOT_PINNED
CHANGED = Reason.REMOTE_KEY_CHANGED
FORGOTTEN = Reason.KEY_NOT_REMEMBERED

# What OpenSSL sends where a rule of ours refuses, and where one of its own does.
OURS = "internal_error"
NOBODY = "unknown_ca"

Verdict = TlsFailureReason | None
Making = Callable[[], IssuedCertificate]
Trusting = Callable[[Path, IssuedCertificate], Any]


@final
class Case:
    """One certificate.

    :ivar group: the heading that it stands under.
    :ivar words: what it is.
    :ivar make: makes it.
    :ivar dialled: the verdict when we dial its owner; None for accepted.
    :ivar calling: the verdict when its owner dials us.
    :ivar alerts: what its owner hears when it is refused, by direction.
    :ivar is_mute: whether it is so broken that OpenSSL cannot even show it as a TLS 1.2 server does.
    :ivar expected: the name that we dial.
    :ivar trust: by what we know peers, from an empty folder and the certificate; the test authority if None.
    :ivar usage: what we want certificates to be meant for.
    """

    __slots__ = ("alerts", "calling", "dialled", "expected", "group", "is_mute", "make", "trust", "usage", "words")

    def __init__(
        self,
        group: str,
        words: str,
        make: Making,
        dialled: Verdict,
        calling: Verdict,
        alert: str | tuple[str, str],
        expected: str,
        trust: Trusting | None,
        usage: KeyUsage,
        is_mute: bool,
    ) -> None:
        self.group = group
        self.words = words
        self.make = make
        self.dialled = dialled
        self.calling = calling
        self.alerts = (alert, alert) if isinstance(alert, str) else alert
        self.is_mute = is_mute
        self.expected = expected
        self.trust = trust
        self.usage = usage

    def awaited(self, we_dial: bool, version: str) -> tuple[Verdict, Verdict, str]:
        """What should become of it: our verdict, what its owner makes of it, and the alert that its owner hears."""
        if self.is_mute and we_dial and version == "1.2":
            return (Reason.TLS_NEGOTIATION_FAILURE, Reason.TLS_NEGOTIATION_FAILURE, "")
        verdict = self.dialled if we_dial else self.calling
        if verdict is OK:
            return (OK, OK, "")
        return (verdict, Reason.LOCAL_CERTIFICATE_REJECTED, self.alerts[0 if we_dial else 1])


@final
class Outcome:
    """What became of one handshake.

    :ivar we_dial: whether we dialled the certificate's owner; else it dialled us.
    :ivar version: ``1.2`` or ``1.3``.
    :ivar verdict: why we refused it; None if we did not.
    :ivar told: why its owner thinks that it came to nothing; None if it did not.
    :ivar alert: the alert that its owner heard.
    :ivar talked: whether octets passed both ways, and ``leaked`` whether any did though it was refused.
    :ivar trusted_by: by what it was accepted.
    """

    __slots__ = ("alert", "leaked", "talked", "told", "trusted_by", "verdict", "version", "we_dial")

    def __init__(self, we_dial: bool, version: str, judge: Party, owner: Party) -> None:
        self.we_dial = we_dial
        self.version = version
        self.verdict = judge.reason.reason if isinstance(judge.reason, TlsFailure) else None
        told = owner.reason
        self.told = told.reason if isinstance(told, TlsFailure) else None
        self.alert = told.alert if isinstance(told, TlsFailure) else ""
        self.talked = (judge.heard, owner.heard) == (b"odd", b"secret") and judge.events == ["made", "verified"]
        self.leaked = bool(judge.heard or owner.heard)
        verified = getattr(judge.transport, "verified", None) if self.talked else None
        self.trusted_by = "" if verified is None or verified.trusted_by is None else verified.trusted_by.value


def run(case: Case, folder: Path) -> list[Outcome]:
    """The outcomes of a case, in each direction over each version of TLS.

    :param folder: where stores of keys may be made.
    """
    issued = case.make()
    outcomes = []
    for version, highest in VERSIONS.items():
        odd = TlsSettings(credential(issued), anchors(), ANY, ciphers=WEAK_ALLOWED, maximum_version=highest)
        for we_dial in (True, False):
            trust: Any = anchors()
            if case.trust is not None:
                trust = case.trust(Path(tempfile.mkdtemp(dir=folder)), issued)
            good = settings("a.example", anchors=trust, usage=case.usage, maximum_version=highest)
            judge, owner = Party(b"secret"), Party(b"odd")
            if we_dial:
                TlsPair(good, odd, case.expected, client=judge, server=owner).run()
            else:
                TlsPair(odd, good, "a.example", client=owner, server=judge).run()
            outcomes.append(Outcome(we_dial, version, judge, owner))
    return outcomes


def also(*others: CertificateAuthority) -> Trusting:
    """Trust in the test authority and in *others*."""
    return lambda folder, issued: TrustAnchors([authority().certificate, *(each.certificate for each in others)])


def pinned(*others: Any, good: bool = True, is_sufficient: bool = True, name: str = NAME) -> Trusting:
    """Trust in *others*, and in a pinned key: the one that is shown, or another."""

    def make(folder: Path, issued: IssuedCertificate) -> Any:
        pin = pin_of(issued.certificate) if good else pin_of(issue(key=key(9)).certificate)
        return [*others, PinnedKeys({name: pin}, is_sufficient=is_sufficient)]

    return make


def first_use(*others: Any, known: str = "", **options: Any) -> Trusting:
    """Trust in *others*, and on first use; *known* says whether b.example is known by this key or by another."""

    def make(folder: Path, issued: IssuedCertificate) -> Any:
        path = folder / "known_keys"
        if known:
            shown = issued if known == "same" else issue(key=key(9))
            path.write_text(f"{NAME} {pin_of(shown.certificate)}\n")
            path.chmod(0o600)
        return [*others, FirstUse(path, **options)]

    return make


def collect() -> Iterator[Case]:
    """Every case, in the order of the table."""
    for part in (_names, _bad_names, _purposes, _validity, _chains, _strength, _keys):
        yield from part()


def _case(
    group: str,
    words: str,
    make: Making,
    dialled: Verdict = OK,
    calling: Verdict | str = "the same",
    alert: str | tuple[str, str] = "",
    *,
    expected: str = NAME,
    trust: Trusting | None = None,
    usage: KeyUsage | None = None,
    is_mute: bool = False,
) -> Case:
    verdict = dialled if isinstance(calling, str) else calling
    return Case(group, words, make, dialled, verdict, alert, expected, trust, usage or KeyUsage(), is_mute)


def _names() -> Iterator[Case]:
    good = functools.partial(_case, "Names that prove an identity (RFC 5922 section 7.1)")
    yield good("URI:sip:b.example", lambda: named(uri("sip:b.example")))
    yield good("DNS:b.example and no URI", lambda: named(dns(NAME)))
    yield good("URI:sip:b.example and DNS:b.example", issue)
    yield good("URI:SIP:B.Example: case does not count", lambda: named(uri("SIP:B.Example")))
    yield good("DNS:B.EXAMPLE", lambda: named(dns("B.EXAMPLE")))
    yield good(
        "URI:sip:alice@b.example is no domain, so DNS:b.example counts",
        lambda: named(uri("sip:alice@b.example"), dns(NAME)),
    )
    yield good(
        "URI:sips:b.example is no identity, so DNS:b.example counts", lambda: named(uri("sips:b.example"), dns(NAME))
    )
    yield good("URI:https://b.example beside DNS:b.example", lambda: named(uri("https://b.example"), dns(NAME)))
    yield good("two URIs, c.example and b.example", lambda: named(uri("sip:c.example"), uri("sip:b.example")))
    yield good("the same name three times", lambda: named(uri("sip:b.example"), uri("sip:b.example"), dns(NAME)))
    yield good(
        "URI:sip:b.example beside an e-mail address and a directory name",
        lambda: named(x509.RFC822Name("b@b.example"), uri("sip:b.example"), directory_name()),
    )
    yield good("DNS:b.example, and a wildcard beside it", lambda: named(dns(NAME), dns("*.b.example")))
    yield good("an international name, as its A-label", lambda: issue("bücher.example"), expected="BÜCHER.example")
    yield good("IP:192.0.2.1, which is what was dialled", lambda: named(address("192.0.2.1")), expected="192.0.2.1")
    yield good(
        "IP:2001:db8::1, dialled in another spelling", lambda: named(address("2001:db8::1")), expected="[2001:DB8:0::1]"
    )
    yield good(
        "IP:192.0.2.1 beside URI:sip:b.example, dialled by address",
        lambda: issue(NAME, "192.0.2.1"),
        expected="192.0.2.1",
    )
    yield good("empty subject, alternative names critical", lambda: issue(common_name=""))
    other = functools.partial(_case, "Names of somebody else: refused when b.example was dialled", alert=OURS)
    for words, make in (
        ("URI:sip:c.example", lambda: named(uri("sip:c.example"))),
        ("URI:sip:c.example hides DNS:b.example", lambda: named(uri("sip:c.example"), dns(NAME))),
        ("DNS:example, the domain above", lambda: named(dns("example"))),
        ("DNS:a.b.example, a host below", lambda: named(dns("a.b.example"))),
        ("DNS:bb.example, which ends alike", lambda: named(dns("bb.example"))),
        ("DNS:b.example.evil.example, which begins alike", lambda: named(dns("b.example.evil.example"))),
        ("common name b.example, DNS:c.example", lambda: named(dns("c.example"), common_name=NAME)),
        ("IP:192.0.2.1 only", lambda: named(address("192.0.2.1"))),
    ):
        yield other(words, make, NO_NAME, OK)
    yield other(
        "IP:192.0.2.2, where 192.0.2.1 was dialled",
        lambda: named(address("192.0.2.2")),
        NO_NAME,
        OK,
        expected="192.0.2.1",
    )
    yield other(
        "DNS:b.example, where 192.0.2.1 was dialled", lambda: named(dns(NAME)), NO_NAME, OK, expected="192.0.2.1"
    )


def _bad_names() -> Iterator[Case]:
    none = functools.partial(_case, "Names that prove nothing", dialled=NO_NAME, alert=OURS)
    for words, make in (
        ("no alternative name, empty subject", lambda: named(common_name="")),
        ("no alternative name, common name b.example (RFC 9525)", lambda: named(common_name=NAME)),
        ("DNS:*", lambda: named(dns("*"))),
        ("DNS:*.example (RFC 5922 section 7.2)", lambda: named(dns("*.example"))),
        ("DNS:*.com", lambda: named(dns("*.com"))),
        ("DNS:b*.example", lambda: named(dns("b*.example"))),
        ("URI:sip:*.example", lambda: named(uri("sip:*.example"))),
        ("DNS:b.example. with a final dot", lambda: named(dns("b.example."))),
        ("URI:sip:b.example:5061, with a port", lambda: named(uri("sip:b.example:5061"))),
        ("URI:sip:alice@b.example, with a user", lambda: named(uri("sip:alice@b.example"))),
        ("URI:sip:@b.example, with an empty user", lambda: named(uri("sip:@b.example"))),
        ("URI:sip:b.example;transport=tls", lambda: named(uri("sip:b.example;transport=tls"))),
        ("URI:sip:b.example?x=y", lambda: named(uri("sip:b.example?x=y"))),
        ("URI:sips:b.example", lambda: named(uri("sips:b.example"))),
        ("URI:sip://b.example", lambda: named(uri("sip://b.example"))),
        ("URI:http://b.example", lambda: named(uri("http://b.example"))),
        ("URI:b.example, without a scheme", lambda: named(uri("b.example"))),
        ("e-mail address b@b.example", lambda: named(x509.RFC822Name("b@b.example"))),
        ("directory name CN=b.example", lambda: named(directory_name())),
        ("registered identifier 1.2.3.4", lambda: named(x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")))),
        ("SRV name _sips.b.example (RFC 4985)", lambda: named(srv_name())),
        (
            "an IP entry for the network 192.0.2.0/24",
            lambda: named(x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))),
        ),
        (
            "the network 192.0.2.1/32, where that address was dialled",
            lambda: named(x509.IPAddress(ipaddress.ip_network("192.0.2.1/32"))),
        ),
    ):
        yield none(words, make, expected="192.0.2.1" if "dialled" in words else NAME)
    for words, make in (
        ("DNS:192.0.2.1, an address written as a name", lambda: named(dns("192.0.2.1"))),
        ("URI:sip:192.0.2.1", lambda: named(uri("sip:192.0.2.1"))),
    ):
        yield none(f"{words}, where it was dialled", make, expected="192.0.2.1")
    yield none(
        "URI:sip:[2001:db8::1], where it was dialled", lambda: named(uri("sip:[2001:db8::1]")), expected="2001:db8::1"
    )
    forged = functools.partial(_case, "Names that are forged or malformed", dialled=INVALID, alert=OURS)
    for words, make in (
        ("DNS:b.example, NUL, .evil.example", lambda: named(dns("b.example\0.evil.example"))),
        ("URI:sip:b.example, NUL, @evil.example", lambda: named(uri("sip:b.example\0@evil.example"))),
        ("DNS:b.example, and a NUL in another entry", lambda: named(dns(NAME), dns("x\0"))),
        ("DNS:b.example and a line feed", lambda: named(dns("b.example\n"))),
        ("DNS:b.example, and DEL in another entry", lambda: named(dns(NAME), dns("\x7f"))),
        (
            "DNS:bücher.example in UTF-8 instead of the A-label",
            lambda: named(extensions=raw_names((0x82, "bücher.example".encode()))),
        ),
        (
            "URI:sip:b.example beside a DNS entry with an octet beyond ASCII",
            lambda: named(extensions=raw_names((0x86, b"sip:b.example"), (0x82, b"b\xfc"))),
        ),
        ("an IP entry of five octets", lambda: named(extensions=raw_names((0x82, b"b.example"), (0x87, b"12345")))),
    ):
        yield forged(words, make)
    unreadable = functools.partial(forged, alert=NOBODY, is_mute=True)
    yield unreadable("two extensions with alternative names", twice_named)
    yield unreadable(
        "alternative names that are no ASN.1", lambda: named(extensions=raw_extension("2.5.29.17", b"\xff\xff"))
    )


SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
SIP, ANYTHING = SIP_DOMAIN_KEY_PURPOSE, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
CODE, MAIL = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION
TIME, OCSP = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING
CARD, OWN = ExtendedKeyUsageOID.SMARTCARD_LOGON, x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")
# OpenSSL's own check of the purpose finds these unsuitable, so that its alert says so.
UNSUITABLE = "unsupported_certificate"


def _purposes() -> Iterator[Case]:
    group = "Extended key usage, by the usual policy (sip-either)"
    for words, purposes, verdict in (
        ("none", [], OK),
        ("serverAuth, as public authorities issue it", [SERVER], OK),
        ("clientAuth", [CLIENT], OK),
        ("serverAuth, clientAuth", [SERVER, CLIENT], OK),
        ("sipDomain (RFC 5924)", [SIP], OK),
        ("sipDomain, serverAuth", [SIP, SERVER], OK),
        ("sipDomain, clientAuth", [SIP, CLIENT], OK),
        ("sipDomain, serverAuth, clientAuth", [SIP, SERVER, CLIENT], OK),
        ("anyExtendedKeyUsage", [ANYTHING], OK),
        ("anyExtendedKeyUsage, codeSigning", [ANYTHING, CODE], OK),
        ("codeSigning, serverAuth", [CODE, SERVER], OK),
        ("codeSigning, sipDomain", [CODE, SIP], OK),
        ("codeSigning", [CODE], USAGE),
        ("emailProtection", [MAIL], USAGE),
        ("timeStamping", [TIME], USAGE),
        ("OCSPSigning", [OCSP], USAGE),
        ("smart card logon, emailProtection", [CARD, MAIL], USAGE),
        ("a private purpose", [OWN], USAGE),
    ):
        make = functools.partial(issue, key_purposes=purposes)
        yield _case(group, words, make, verdict, alert=UNSUITABLE if verdict else "")
    for policy, purpose_words, purposes, dialled, calling, alert in (
        (KeyUsagePolicy.STRICT, "serverAuth", [SERVER], OK, USAGE, UNSUITABLE),
        (KeyUsagePolicy.STRICT, "clientAuth", [CLIENT], USAGE, OK, UNSUITABLE),
        (KeyUsagePolicy.STRICT, "serverAuth, clientAuth", [SERVER, CLIENT], OK, OK, ""),
        (KeyUsagePolicy.STRICT, "sipDomain", [SIP], OK, OK, ""),
        (KeyUsagePolicy.STRICT, "anyExtendedKeyUsage", [ANYTHING], OK, OK, ""),
        (KeyUsagePolicy.STRICT, "none", [], OK, OK, ""),
        (KeyUsagePolicy.SIP_DOMAIN_ONLY, "sipDomain", [SIP], OK, OK, ""),
        (KeyUsagePolicy.SIP_DOMAIN_ONLY, "serverAuth, clientAuth", [SERVER, CLIENT], USAGE, USAGE, OURS),
        (KeyUsagePolicy.SIP_DOMAIN_ONLY, "anyExtendedKeyUsage", [ANYTHING], USAGE, USAGE, UNSUITABLE),
        (KeyUsagePolicy.SIP_DOMAIN_ONLY, "none", [], USAGE, USAGE, OURS),
    ):
        make = functools.partial(issue, key_purposes=purposes)
        yield _case(
            f"Extended key usage, by the policy {policy.value}",
            purpose_words,
            make,
            dialled,
            calling,
            alert,
            usage=KeyUsage(policy),
        )
    required = "Extended key usage, where sipDomain is required besides"
    # Of a client OpenSSL expects clientAuth.
    alerts: str | tuple[str, str]
    for words, purposes, verdict, alerts in (
        ("sipDomain, serverAuth", [SIP, SERVER], OK, ""),
        ("serverAuth", [SERVER], USAGE, (OURS, UNSUITABLE)),
        ("serverAuth, clientAuth", [SERVER, CLIENT], USAGE, OURS),
        ("anyExtendedKeyUsage, serverAuth", [ANYTHING, SERVER], USAGE, (OURS, UNSUITABLE)),
        ("none", [], USAGE, OURS),
    ):
        make = functools.partial(issue, key_purposes=purposes)
        yield _case(required, words, make, verdict, alert=alerts, usage=KeyUsage(required="sipDomain"))


def _validity() -> Iterator[Case]:
    case = functools.partial(_case, "Validity")
    yield case(
        "expired yesterday",
        lambda: issue(not_before=NOW - 9 * DAY, not_after=NOW - DAY),
        EXPIRED,
        alert="certificate_expired",
    )
    yield case(
        "valid from tomorrow",
        lambda: issue(not_before=NOW + DAY, not_after=NOW + 9 * DAY),
        EARLY,
        alert="bad_certificate",
    )
    yield case("valid from a minute ago", lambda: issue(not_before=NOW - DAY / 1440, not_after=NOW + DAY))
    yield case("valid for 30 years", lambda: issue(not_before=NOW - DAY, not_after=NOW + 11000 * DAY))
    yield case(
        "its trusted root has expired",
        lambda: issue(by=old_authority(), not_after=NOW + DAY),
        EXPIRED,
        alert="certificate_expired",
        trust=also(old_authority()),
    )
    yield case(
        "its intermediate authority has expired",
        lambda: below(odd_authority(not_before=NOW - 9 * DAY, not_after=NOW - DAY), not_after=NOW + DAY),
        EXPIRED,
        alert="certificate_expired",
    )


def _chains() -> Iterator[Case]:
    case = functools.partial(_case, "Chains and authorities (RFC 5280)")
    unknown = functools.partial(case, dialled=UNTRUSTED, alert=NOBODY)
    plain = functools.partial(below, middle().certificate)
    yield case("through an intermediate authority", plain)
    yield case("with the root shown as well", lambda: below(middle().certificate, authority().certificate))
    yield case(
        "with certificates in the chain that do not belong to it",
        lambda: below(middle().certificate, other_authority().certificate, deep_authority().certificate),
    )
    yield case("cross-signed: the trusted root by an older one that is not trusted", cross_signed)
    yield case(
        "cross-signed: the same, where only the older root is trusted",
        cross_signed,
        trust=lambda folder, issued: TrustAnchors([deep_authority().certificate]),
    )
    yield case(
        "cross-signed: the intermediate by two authorities, the trusted one first",
        lambda: below(middle().certificate, foreign_middle()),
    )
    yield case("below an authority whose names are constrained to .example", lambda: constrained(permitted="example"))
    yield case("eight authorities below the root", lambda: long_chain(8), trust=also(deep_authority()))
    yield unknown(
        "the intermediate authority is not shown", lambda: IssuedCertificate(NAME, plain().certificate, key())
    )
    yield unknown(
        "cross-signed: the intermediate by two authorities, the trusted one last (OpenSSL takes the first)",
        lambda: below(foreign_middle(), middle().certificate),
    )
    yield unknown("of another authority of the same name", lambda: issue(by=other_authority()))
    yield unknown("self-signed", self_signed)
    yield unknown("self-signed and marked as an authority's", lambda: self_signed(is_authority=True))
    yield unknown("signed by another party's certificate", signed_by_party, alert=NOBODY)
    yield unknown("the signature does not fit", broken_signature, alert="decrypt_error")
    yield unknown(
        "its authority may not sign certificates (key usage)",
        lambda: below(odd_authority(key_usage=key_usage(crl_sign=True))),
        alert=NOBODY,
    )
    yield unknown(
        "its authority is not marked as one",
        lambda: below(odd_authority(is_authority=False, key_usage=key_usage(key_cert_sign=True))),
    )
    yield unknown("an authority below one with path length 0", too_deep, alert=NOBODY)
    yield unknown("ten authorities below the root", lambda: long_chain(10), trust=also(deep_authority()))
    yield unknown(
        "below an authority whose names are constrained to c.example",
        lambda: constrained(permitted="c.example"),
        alert="certificate_unknown",
    )
    yield unknown(
        "below an authority from whose names b.example is excluded",
        lambda: constrained(excluded="b.example"),
        alert="certificate_unknown",
    )
    yield case("an authority's certificate shown as a party's", lambda: issue(is_authority=True), INVALID, alert=OURS)
    yield case(
        "its intermediate authority is for code signing",
        lambda: below(odd_authority(key_purposes=[CODE])),
        USAGE,
        alert=UNSUITABLE,
    )
    yield case("its intermediate authority is for sipDomain", lambda: below(odd_authority(key_purposes=[SIP])))
    yield case(
        "a critical extension that nobody knows",
        lambda: issue(extensions=raw_extension("1.3.6.1.4.1.32473.2", b"\x05\x00", critical=True)),
        INVALID,
        alert="certificate_unknown",
    )
    yield case(
        "the same, and not critical", lambda: issue(extensions=raw_extension("1.3.6.1.4.1.32473.2", b"\x05\x00"))
    )
    yield case(
        "trusted by itself: self-signed, and among the trusted certificates",
        self_signed,
        trust=lambda folder, issued: TrustAnchors([issued.certificate]),
    )


def _strength() -> Iterator[Case]:
    case = functools.partial(_case, "Keys and signatures (RFC 9325 section 4.5)")
    yield case("P-256", issue)
    yield case("P-384", lambda: issue(key=curve_key()))
    yield case("Ed25519", lambda: issue(key=edwards_key()))
    yield case("RSA, 2048 bits", lambda: issue(key=rsa_key(2048)))
    yield case("RSA, 3072 bits", lambda: issue(key=rsa_key(3072)))
    yield case("RSA, 1024 bits", lambda: issue(key=rsa_key(1024)), WEAK, alert="bad_certificate")
    yield case(
        "signed with SHA-1", lambda: sha1_signed(NAME), WEAK, alert="bad_certificate", trust=also(rsa_authority())
    )
    yield case("key usage: signatures only", lambda: issue(key_usage=key_usage(digital_signature=True)))
    yield case(
        "key usage: signatures and more",
        lambda: issue(key_usage=key_usage(digital_signature=True, content_commitment=True, key_agreement=True)),
    )


def _keys() -> Iterator[Case]:
    beside = functools.partial(_case, "Pinned keys beside an authority")
    ca = anchors()
    yield beside("the pinned key, from the authority", issue, trust=pinned(ca))
    yield beside("another key, from the authority", issue, NOT_PINNED, alert=OURS, trust=pinned(ca, good=False))
    yield beside(
        "another key, in a certificate that names b.example among others",
        lambda: issue("c.example", NAME),
        NOT_PINNED,
        alert=OURS,
        trust=pinned(ca, good=False),
    )
    yield beside(
        "another key, from another authority",
        lambda: issue(by=other_authority()),
        NOT_PINNED,
        alert=NOBODY,
        trust=pinned(ca, good=False),
    )
    yield beside("nothing pinned for this name", issue, trust=pinned(ca, good=False, name="c.example"))
    yield beside(
        "nothing pinned for this name, below an authority whose names are constrained to c.example",
        lambda: constrained(permitted="c.example"),
        UNTRUSTED,
        alert="certificate_unknown",
        trust=pinned(ca, good=False, name="c.example"),
    )
    yield beside("the pinned key, self-signed", self_signed, trust=pinned(ca))
    yield beside(
        "the pinned key, self-signed, where the pin only restricts",
        self_signed,
        UNTRUSTED,
        alert=NOBODY,
        trust=pinned(ca, is_sufficient=False),
    )
    yield beside(
        "the pinned key, from the authority, where the pin only restricts", issue, trust=pinned(ca, is_sufficient=False)
    )
    alone = functools.partial(_case, "Pinned keys alone")
    yield alone("the pinned key, self-signed", self_signed, trust=pinned())
    yield alone(
        "the pinned key, in a certificate that names c.example", lambda: self_signed("c.example"), trust=pinned()
    )
    yield alone(
        "the pinned key, in a certificate without names", lambda: self_signed(alternative_names=[]), trust=pinned()
    )
    yield alone(
        "the pinned key, marked as an authority's, as openssl req makes it",
        lambda: self_signed(is_authority=True),
        trust=pinned(),
    )
    yield alone(
        "the pinned key, from an authority that nobody trusts", lambda: issue(by=other_authority()), trust=pinned()
    )
    yield alone("the pinned key, the signature does not fit", broken_signature, trust=pinned())
    yield alone("another key, self-signed", self_signed, NOT_PINNED, alert=NOBODY, trust=pinned(good=False))
    yield alone(
        "another key, that claims c.example",
        lambda: self_signed("c.example"),
        NOT_PINNED,
        UNTRUSTED,
        NOBODY,
        trust=pinned(good=False),
    )
    yield alone(
        "the pinned key, expired",
        lambda: self_signed(not_before=NOW - 9 * DAY, not_after=NOW - DAY),
        EXPIRED,
        alert="certificate_expired",
        trust=pinned(),
    )
    yield alone(
        "the pinned key, RSA of 1024 bits",
        lambda: self_signed(key=rsa_key(1024)),
        WEAK,
        alert="bad_certificate",
        trust=pinned(),
    )
    yield alone(
        "the pinned key, for code signing",
        lambda: self_signed(key_purposes=[CODE]),
        USAGE,
        alert=UNSUITABLE,
        trust=pinned(),
    )
    yield alone(
        "the pinned key, with a NUL in a name",
        lambda: self_signed(alternative_names=[dns("b.example\0")]),
        INVALID,
        alert=NOBODY,
        trust=pinned(),
    )
    yield alone(
        "the pinned key, with a critical extension that nobody knows",
        lambda: self_signed(extensions=raw_extension("1.3.6.1.4.1.32473.2", b"\x05\x00", critical=True)),
        INVALID,
        alert="certificate_unknown",
        trust=pinned(),
    )
    yield from _first_use()


def _first_use() -> Iterator[Case]:
    ca = anchors()
    first = functools.partial(_case, "Trust on first use")
    yield first("a new peer: believed when we dial", self_signed, OK, UNTRUSTED, NOBODY, trust=first_use())
    yield first(
        "a new peer, where unknown incoming peers are accepted",
        self_signed,
        trust=first_use(accept_unknown_incoming_peers=True),
    )
    yield first("a known peer with the known key", self_signed, trust=first_use(known="same"))
    yield first("a known peer with another key", self_signed, CHANGED, alert=NOBODY, trust=first_use(known="other"))
    yield first(
        "a known peer with another key, for which the authority vouches",
        issue,
        CHANGED,
        alert=OURS,
        trust=first_use(ca, known="other"),
    )
    yield first("a new peer, for which the authority vouches", issue, trust=first_use(ca))
    yield first(
        "a new peer, beside an authority that does not know it", self_signed, OK, UNTRUSTED, NOBODY, trust=first_use(ca)
    )
    yield first(
        "a new peer to which first use does not apply",
        self_signed,
        UNTRUSTED,
        alert=NOBODY,
        trust=first_use(only=["c.example"], accept_unknown_incoming_peers=True),
    )
    yield first(
        "a new peer, and the store is full",
        self_signed,
        FORGOTTEN,
        alert=NOBODY,
        trust=first_use(limit=0, accept_unknown_incoming_peers=True),
    )
    yield first(
        "a known peer whose certificate has expired",
        lambda: self_signed(not_before=NOW - 9 * DAY, not_after=NOW - DAY),
        EXPIRED,
        alert="certificate_expired",
        trust=first_use(known="same"),
    )
    yield first(
        "a known peer, whose certificate also claims c.example",
        lambda: self_signed("c.example", NAME),
        trust=first_use(known="same"),
    )


CASES = tuple(collect())
"""The matrix."""
