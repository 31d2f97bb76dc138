"""PASSporT: the example of RFC 8225, spellings of an identity, fingerprints, and everything that is none."""

from __future__ import annotations

import base64
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dates import parse_date
from sip_p2p.sip.message import Request
from sip_p2p.sip.passport import Passport, PassportIdentity, canonical_identity, fingerprints_of, split_token
from sip_p2p.sip.uri import parse_uri
from tests.sip.grammar import ANY_TEXT
from tests.support import SynchronousTestCase

X5U = "https://cert.example.org/passport.cer"
HEADER = "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9"
CLAIMS = (
    "eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEy"
    "In19"
)
"""RFC 8225 appendix A."""

FIRST = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1"
SECOND = "02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2"


def piece(values: object) -> str:
    """*values* as a piece of a token."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def request(from_: str = "<sip:a@a.example>", to: str = "<sip:b@b.example>", body: bytes = b"") -> Request:
    """A request between these two."""
    fields = [("From", f"{from_};tag=1"), ("To", to), ("Call-ID", "c"), ("CSeq", "1 INVITE")]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return Request("INVITE", "sip:b@b.example", fields, body)


class SpellingTests(SynchronousTestCase):
    """RFC 8225 section 9 and appendix A."""

    def test_example(self) -> None:
        """The example of RFC 8225 appendix A is spelled octet for octet, and read again (RFC 8225 section 9)."""
        passport = Passport(
            PassportIdentity("tn", "12155551212"), (PassportIdentity("uri", "sip:alice@example.com"),), 1471375418, X5U
        )
        self.assertEqual(passport.pieces(), (HEADER, CLAIMS))
        self.assertEqual(Passport.parse(HEADER, CLAIMS), passport)
        self.assertEqual(hash(Passport.parse(HEADER, CLAIMS)), hash(passport))
        self.assertNotEqual(passport, CLAIMS)
        self.assertEqual(repr(passport), "<Passport +12155551212 to sip:alice@example.com at 1471375418>")

    def test_several(self) -> None:
        """Numbers stand before URIs, each in the order of their characters, and fingerprints in that of their
        algorithms (RFC 8225 sections 5.2.1, 5.2.2 and 9)."""
        passport = Passport(
            PassportIdentity("uri", "sip:a@a.example"),
            (*(PassportIdentity("uri", f"sip:{name}@b.example") for name in "cb"), PassportIdentity("tn", "1")),
            5,
            X5U,
            (("sha-512", "00"), ("sha-256", "FF"), ("sha-256", "0A"), ("sha-256", "0A")),
            "foo",
        )
        self.assertEqual(
            passport.claims(),
            b'{"dest":{"tn":["1"],"uri":["sip:b@b.example","sip:c@b.example"]},"iat":5,'
            b'"mky":[{"alg":"sha-256","dig":"0A"},{"alg":"sha-256","dig":"FF"},{"alg":"sha-512","dig":"00"}],'
            b'"orig":{"uri":"sip:a@a.example"}}',
        )
        self.assertEqual(
            passport.header(), b'{"alg":"ES256","ppt":"foo","typ":"passport","x5u":"' + X5U.encode() + b'"}'
        )
        self.assertEqual(Passport.parse(*passport.pieces()), passport)

    def test_examples_of_claims(self) -> None:
        """The examples of RFC 8225 sections 5.2.1.4, 5.2.2, 8.2 and 9.1, and of RFC 8224 section 5.1, are spelled octet
        for octet."""
        number, alice = PassportIdentity("tn", "12155551212"), PassportIdentity("uri", "sip:alice@example.com")
        several = (PassportIdentity("uri", "sip:bob@example.net"), alice, PassportIdentity("tn", "12125551212"))
        passport = Passport(number, several, 1443208345, "https://tel.example.org/passport.cer", ppt="foo")
        self.assertEqual(
            passport.claims(),
            b'{"dest":{"tn":["12125551212"],"uri":["sip:alice@example.com","sip:bob@example.net"]},"iat":1443208345,'
            b'"orig":{"tn":"12155551212"}}',
        )
        self.assertEqual(
            passport.header(),
            b'{"alg":"ES256","ppt":"foo","typ":"passport","x5u":"https://tel.example.org/passport.cer"}',
        )
        sdp = f"v=0\r\na=fingerprint:sha-256 {FIRST}\r\na=fingerprint:sha-256 {SECOND}\r\n".encode()
        keys = (
            b'"mky":[{"alg":"sha-256","dig":"021ACC5427ABEB9C533F3E4B652E7D463F5442CD54F17A03A27DF9B07F4619B2"},'
            b'{"alg":"sha-256","dig":"4AADB9B13F82183B540212DF3E5D496B19E57CAB3E4B652E7D463F5442CD54F1"}],'
        )
        for body, said in ((b"", b""), (sdp, keys)):
            one = request("Bob <sip:12155551212@example.com;user=phone>", "Alice <sip:alice@example.com>", body)
            made = Passport.of_request(one, parse_date("Fri, 25 Sep 2015 19:12:25 GMT"), X5U)
            self.assertEqual(
                made.claims(),
                b'{"dest":{"uri":["sip:alice@example.com"]},"iat":1443208345,' + said + b'"orig":{"tn":"12155551212"}}',
            )

    @settings(deadline=None)
    @given(ANY_TEXT.filter(bool), st.lists(ANY_TEXT.filter(bool), min_size=1, max_size=4), st.integers(0, 2**40))
    def test_any_names(self, orig: str, dest: list[str], iat: int) -> None:
        """Whatever the names, what is written is read as the same (fault:B1)."""
        try:
            passport = Passport(
                PassportIdentity("uri", orig), tuple(PassportIdentity("tn", each) for each in dest), iat, X5U
            )
            pieces = passport.pieces()
        except UnicodeEncodeError:
            return
        self.assertEqual(Passport.parse(*pieces), passport)

    @settings(deadline=None)
    @given(st.recursive(st.one_of(st.none(), st.booleans(), st.floats(), st.text()), st.lists, max_leaves=5))
    def test_any_claims(self, value: object) -> None:
        """Any JSON in the place of any claim is read or malformed, and never anything else (fault:A13)."""
        whole = {"typ": "passport", "alg": "ES256", "x5u": X5U}
        claims = {"iat": 1, "orig": {"tn": "1"}, "dest": {"tn": ["1"]}, "mky": []}
        for key in whole:
            self.attempt(piece(whole | {key: value}), piece(claims))
        for key in claims:
            self.attempt(piece(whole), piece(claims | {key: value}))
        self.attempt(piece(value), piece(claims))
        self.attempt(piece(whole), piece(value))

    def attempt(self, header: str, claims: str) -> None:
        """Read it."""
        try:
            Passport.parse(header, claims)
        except MalformedMessage as error:
            self.assertEqual(error.status, 438)

    def test_refused(self) -> None:
        """Another algorithm, none at all, what is critical, names that stand twice, times that are none and a tower of
        brackets are malformed (fault:A13, RFC 7515 sections 4 and 4.1.11)."""
        good = {"typ": "passport", "alg": "ES256", "x5u": X5U}
        claims = {"iat": 1, "orig": {"tn": "1"}, "dest": {"tn": ["1"]}}
        Passport.parse(piece(good), piece(claims))
        for changed in (
            {"alg": "none"}, {"alg": "HS256"}, {"typ": "JWT"}, {"crit": ["x"]}, {"b64": False}, {"x5u": ""}, {"x5u": 5},
            {"ppt": 5},
        ):  # fmt: skip
            self.assertRaises(MalformedMessage, Passport.parse, piece(good | changed), piece(claims))
        for wrong in (
            {"iat": "1"}, {"iat": True}, {"iat": -1}, {"iat": 2**60}, {"orig": {}}, {"orig": {"tn": "1", "uri": "x"}},
            {"orig": {"x": "1"}}, {"orig": {"tn": ["1"]}}, {"dest": {}}, {"dest": {"tn": "1"}}, {"dest": {"x": ["1"]}},
            {"dest": {"tn": []}}, {"mky": {}}, {"mky": ["x"]}, {"mky": [{"alg": "a"}]},
        ):  # fmt: skip
            self.assertRaises(MalformedMessage, Passport.parse, piece(good), piece(claims | wrong))
        for text in (b'{"a":1,"a":1}', b"[" * 50_000, b'{"iat":NaN}', b"\xff", b"", b'{"iat":' + b"9" * 9000 + b"}"):
            broken = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
            self.assertRaises(MalformedMessage, Passport.parse, piece(good), broken)
        self.assertRaises(MalformedMessage, Passport.parse, "a", piece(claims))

    def test_pieces(self) -> None:
        """A token has three pieces, of which the first two may be missing together (RFC 8225 section 7)."""
        self.assertEqual(split_token("a.b.c"), ("a", "b", "c"))
        self.assertEqual(split_token("..c"), ("", "", "c"))
        for text in ("", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c=", "a.b.c+", "...", "a.b.\u00e9"):
            self.assertRaises(MalformedMessage, split_token, text)

    def test_values(self) -> None:
        """What makes no sense is not made (RFC 8225 section 5.2.1)."""
        self.assertRaises(ValueError, PassportIdentity, "email", "x")
        one = PassportIdentity("tn", "1")
        self.assertRaises(ValueError, Passport, one, (), 1, X5U)
        self.assertRaises(ValueError, Passport, one, (one,), -1, X5U)
        self.assertNotEqual(one, "1")
        self.assertEqual({one}, {PassportIdentity("tn", "1")})


class IdentityTests(SynchronousTestCase):
    """RFC 8224 sections 8.1 to 8.5."""

    def test_canonical(self) -> None:
        """A number is digits, and of a SIP URI user and host are left, whatever else it says (RFC 8224 sections 8.3 and
        8.5)."""
        for text, kind, value in (
            ("tel:+1-215-555-1212", "tn", "12155551212"),
            ("sip:+1(215)555.1212@a.example", "tn", "12155551212"),
            ("sip:2155551212@a.example;user=phone", "tn", "2155551212"),
            ("sip:*67@a.example;user=phone", "tn", "*67"),
            ("sip:2155551212@a.example", "uri", "sip:2155551212@a.example"),
            ("sip:alice:secret@A.Example:5070;transport=tls?Subject=x", "uri", "sip:alice@a.example"),
            ("SIPS:%61lice@a.example", "uri", "sips:alice@a.example"),
            ("sip:alice;x=y@a.example", "uri", "sip:alice;x=y@a.example"),
            ("sip:a.example", "uri", "sip:a.example"),
            ("sip:alice@[2001:DB8::1]:5060", "uri", "sip:alice@[2001:db8::1]"),
            ("sip:+-@a.example", "uri", "sip:+-@a.example"),
        ):
            self.assertEqual(canonical_identity(parse_uri(text)), PassportIdentity(kind, value), text)
        for text in ("tel:5551212;phone-context=a.example", "urn:service:sos", "mailto:a@a.example"):
            self.assertIsNone(canonical_identity(parse_uri(text)), text)

    def test_normal_users(self) -> None:
        """A user is written in small letters, and only what has to be escaped is, in capitals (RFC 8224 section 8.5,
        RFC 3986 section 6.2.2)."""
        for text, value in (
            ("sip:Alice@a.example", "sip:alice@a.example"),
            ("sip:%41lice%7e@a.example", "sip:alice~@a.example"),
            ("sip:J%c3%B6RG@a.example", "sip:j%C3%B6rg@a.example"),
            ("sip:A%2bB%20C%2A@a.example", "sip:a%2Bb%20c%2A@a.example"),
            ("sip:A#\u00e9@a.example", "sip:a%23%C3%A9@a.example"),
        ):
            self.assertEqual(canonical_identity(parse_uri(text)), PassportIdentity("uri", value), text)

    def test_numbers_with_parameters(self) -> None:
        """What stands behind a number is no part of it; where the number is a local one there, it is not known (RFC
        8224 sections 8.1 and 8.3)."""
        for text, kind, value in (
            ("sip:+12155551212;npdi;rn=+1215@a.example;user=phone", "tn", "12155551212"),
            ("sip:+1-215;isub=1@a.example", "tn", "1215"),
            ("sip:5551212;phone-context=+1@a.example;user=phone", "uri", "sip:5551212;phone-context=+1@a.example"),
        ):
            self.assertEqual(canonical_identity(parse_uri(text)), PassportIdentity(kind, value), text)

    def test_sameness(self) -> None:
        """Letters may be large or small, and nothing else may differ: sips: is not sip:, or what was meant to be secure
        all the way could be made less (RFC 8224 sections 8.5 and 12.1)."""
        plain, secure = PassportIdentity("uri", "sip:a@a.example"), PassportIdentity("uri", "sips:a@a.example")
        self.assertTrue(plain.same_as(PassportIdentity("uri", "SIP:A@a.Example")))
        for other in (secure, PassportIdentity("uri", "sip:b@a.example"), PassportIdentity("tn", "sip:a@a.example")):
            self.assertFalse(plain.same_as(other))
        self.assertEqual(plain.domain, "a.example")
        for without in (
            PassportIdentity("tn", "1"),
            PassportIdentity("uri", "urn:x:y"),
            PassportIdentity("uri", "sip:@"),
        ):
            self.assertEqual(without.domain, "")

    def test_of_request(self) -> None:
        """What stands in From and To is what is signed, and who cannot be named cannot (RFC 8224 section 4.1)."""
        passport = Passport.of_request(request('"A" <sip:a@A.example>', "<tel:+123>"), 7, X5U)
        self.assertEqual(passport.orig, PassportIdentity("uri", "sip:a@a.example"))
        self.assertTrue(passport.is_for(PassportIdentity("tn", "123")))
        self.assertFalse(passport.is_for(PassportIdentity("tn", "12")))
        for one in (request("<urn:x:y>"), request(to="<urn:x:y>")):
            self.assertEqual(self.assertRaises(MalformedMessage, Passport.of_request, one, 7, X5U).status, 438)

    def test_fingerprints(self) -> None:
        """Fingerprints are read from SDP in the example's order, without colons and each once, and from nothing else
        (RFC 8225 section 5.2.2)."""
        sdp = f"v=0\r\na=fingerprint:sha-256 {FIRST}\r\na=fingerprint:SHA-256 {SECOND.lower()}\r\n"
        sdp += f"a=fingerprint:sha-256 {FIRST}\r\na=fingerprints:sha-1 zz\r\n"
        found = (("sha-256", SECOND.replace(":", "")), ("sha-256", FIRST.replace(":", "")))
        self.assertEqual(fingerprints_of(request(body=sdp.encode())), found)
        self.assertEqual(fingerprints_of(request(body=b"v=0\r\n")), ())
        elsewhere = request(body=sdp.encode())
        elsewhere.headers.add("Content-Disposition", "icon")
        self.assertEqual(fingerprints_of(elsewhere), ())
        many = "".join(f"a=fingerprint:sha-1 {number:02X}\r\n" for number in range(65))
        self.assertRaises(MalformedMessage, fingerprints_of, request(body=many.encode()))

    def test_order_of_fingerprints(self) -> None:
        """They stand in the order of algorithm and digits written as one word (RFC 8225 section 5.2.2)."""
        sdp = b"v=0\r\na=fingerprint:sha-512 0A\r\na=fingerprint:sha-512-256 FF\r\na=fingerprint:sha-1 02\r\n"
        found = (("sha-1", "02"), ("sha-512-256", "FF"), ("sha-512", "0A"))
        self.assertEqual(fingerprints_of(request(body=sdp)), found)
        one = PassportIdentity("tn", "1")
        self.assertEqual(Passport(one, (one,), 1, X5U, found[::-1]).mky, found)

    def test_fingerprints_that_nobody_can_read(self) -> None:
        """What is a fingerprint and cannot be read is malformed, since somebody else might read it (fault:E7, RFC 8225
        section 5.2.2)."""
        for line in ("sha-1 zz", "sha-1 AA:BB x", "sha-1", "", "sha-1 AA:B"):
            one = request(body=f"v=0\r\na=fingerprint:{line}\r\n".encode())
            self.assertEqual(self.assertRaises(MalformedMessage, fingerprints_of, one).status, 438, line)
