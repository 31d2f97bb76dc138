"""Requests of ours, signed."""

from __future__ import annotations

import datetime

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sip_p2p import Credential, InvalidOperation, Passport, PassportIdentity, PassportSigner
from sip_p2p.endpoint.identity.signer import signed
from sip_p2p.sip.dates import format_date
from sip_p2p.sip.identity import IdentityValue, parse_identity
from sip_p2p.sip.passport import ALGORITHM, split_token
from tests.endpoint.identity.support import AUTHORITY, ISSUED, START, URL, request, signer
from tests.support import SynchronousTestCase

# The key of RFC 8225 appendix A.2, which everybody has.
EXAMPLE_KEY = b"""\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFeZ1R208QCvcu5GuYyMfG4W7sH4m99/7eHSDLpdYllFoAoGCCqGSM49
AwEHoUQDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH78YTU8qLS8I5HLHSSmlATLcs
lQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==
-----END EC PRIVATE KEY-----
"""


class SignatureTests(SynchronousTestCase):
    """ES256."""

    def test_a_vector(self) -> None:
        """The signature of RFC 7515 appendix A.3 is that of its key, and not with one bit changed."""
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(jwt.utils.base64url_decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), "big"),
            int.from_bytes(jwt.utils.base64url_decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"), "big"),
            ec.SECP256R1(),
        )
        token = (
            "eyJhbGciOiJFUzI1NiJ9."
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        )
        self.assertTrue(signed(token, numbers.public_key()))
        for wrong in (token[:-4] + "A" + token[-3:], token.replace("eyJpc3M", "eyJpc3N"), token[:-8], "a.b.c", ""):
            self.assertFalse(signed(wrong, numbers.public_key()), wrong)

    def test_the_example(self) -> None:
        """With the key of RFC 8225 appendix A.2 the header and claims of appendix A are what is signed, octet for
        octet."""
        key = load_pem_private_key(EXAMPLE_KEY, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        issued = AUTHORITY.issue("example.com", key=key, not_before=datetime.datetime(2016, 1, 1, tzinfo=datetime.UTC))
        made = signer(
            issued, x5u="https://cert.example.org/passport.cer", clock=lambda: 1471375418.9, may_assert_number=bool
        )
        one = request(from_="<tel:+1-215-555-1212>;tag=1", to="<sip:alice@example.com>")
        self.assertTrue(made.sign(one))
        self.assertEqual(one.headers.get("Date"), "Tue, 16 Aug 2016 19:23:38 GMT")
        identity = parse_identity(one.headers["Identity"])
        header, claims, _ = split_token(identity.token)
        passport = Passport(
            PassportIdentity("tn", "12155551212"),
            (PassportIdentity("uri", "sip:alice@example.com"),),
            1471375418,
            "https://cert.example.org/passport.cer",
        )
        self.assertEqual((header, claims), passport.pieces())
        self.assertTrue(signed(identity.token, key.public_key()))

    def test_the_signature_of_the_example(self) -> None:
        """The signature of RFC 8225 section 7.1, which RFC 8224 section 5.1 shows in its compact form, is that of the
        key of appendix A.2."""
        key = load_pem_private_key(EXAMPLE_KEY, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        token = (
            "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9."
            "eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6IjE0NDMyMDgzNDUiLCJvcmlnIjp7InRuIjoiMTIxNTU1"
            "NTEyMTIifX0."
            "rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cpFYpFYsojNCpTzO3QfPOlckGaS6hEck7w"
        )
        self.assertTrue(signed(token, key.public_key()))


class SignerTests(SynchronousTestCase):
    """RFC 8224 section 6.1."""

    def test_signed(self) -> None:
        """What may be said is signed whole, with the time of Date and the place of the certificate (RFC 8224 sections 4
        and 4.1)."""
        one = request()
        self.assertTrue(signer().sign(one))
        identity = parse_identity(one.headers["Identity"])
        self.assertEqual(
            (identity.info, identity.alg, identity.ppt, identity.is_compact), (URL, ALGORITHM, None, False)
        )
        passport = Passport.parse(*split_token(identity.token)[:2])
        self.assertEqual(passport, Passport.of_request(one, int(START), URL))
        self.assertEqual(one.headers["Date"], format_date(START))
        self.assertFalse(signer().sign(one), "it is signed already")

    def test_compact(self) -> None:
        """In the compact form the signature is all there is, and the rest is in the request (RFC 8225 section 7)."""
        one = request()
        signer(compact=True).sign(one)
        identity = parse_identity(one.headers["Identity"])
        self.assertTrue(identity.is_compact)
        whole = ".".join((*Passport.of_request(one, int(START), URL).pieces(), identity.token[2:]))
        key = ISSUED.certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        self.assertTrue(signed(whole, key))
        self.assertLess(len(one.headers["Identity"]), 150)

    def test_not_signed(self) -> None:
        """Other methods, requests in dialogs, callers that the certificate does not name, numbers without leave,
        nobody, and whom nobody can name go out as they are (RFC 8224 section 6.1)."""
        for one in (
            request("REGISTER"),
            request("BYE"),
            request(to="<sip:bob@b.example>;tag=2"),
            request(from_="<sip:alice@b.example>;tag=1"),
            request(from_="<sip:alice@x.a.example>;tag=1"),
            request(from_="<tel:+15551234>;tag=1"),
            request(from_="<sip:+15551234@a.example;user=phone>;tag=1"),
            request(from_='"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'),
            request(to="<urn:service:sos>"),
            request(to="<sip:a@b@c>"),
        ):
            self.assertFalse(signer().sign(one), one.headers["From"])
            self.assertNotIn("Identity", one.headers)
            self.assertNotIn("Date", one.headers)

    def test_numbers(self) -> None:
        """A number is signed where the policy says that it is ours (RFC 8224 section 8.2)."""
        asked: list[str] = []
        made = signer(may_assert_number=lambda number: asked.append(number) is None)
        self.assertTrue(made.sign(request(from_="<tel:+1-555-1234>;tag=1")))
        self.assertEqual(asked, ["15551234"])

    def test_date(self) -> None:
        """A Date of the application's is what is signed, if it is of this minute (RFC 8224 section 4.1)."""
        one = request()
        one.headers.add("Date", format_date(START - 30))
        self.assertTrue(signer().sign(one))
        claims = split_token(parse_identity(one.headers["Identity"]).token)
        self.assertEqual(Passport.parse(*claims[:2]).iat, int(START - 30))
        for wrong in (START - 70, START + 70):
            one = request()
            one.headers.add("Date", format_date(wrong))
            self.assertRaises(InvalidOperation, signer().sign, one)

    def test_out_of_its_time(self) -> None:
        """A certificate signs nothing before and after its time, neither now nor for a Date that is outside of it (RFC
        8224 section 6.1)."""
        # Long enough that it is good when it is read, however late the test runs.
        start, end = START - 600, START + 86400
        issued = AUTHORITY.issue(
            "a.example",
            not_before=datetime.datetime.fromtimestamp(start, datetime.UTC),
            not_after=datetime.datetime.fromtimestamp(end, datetime.UTC),
        )
        for now, date, valid in (
            (start, None, True),
            (end, None, True),
            (start - 1, None, False),
            (end + 1, None, False),
            (start + 10, start - 5, False),
            (end - 10, end + 5, False),
            (start + 10, start + 20, True),
        ):
            one = request()
            if date is not None:
                one.headers.add("Date", format_date(date))
            made = signer(issued, clock=lambda now=now: now)
            self.assertEqual(made.octets(one) > 0, valid)
            self.assertEqual(made.sign(one), valid)
            self.assertEqual("Identity" in one.headers, valid)

    def test_octets(self) -> None:
        """How long a signature makes a request is known before: what is over 1300 octets with it does not go by UDP
        (row:F13, RFC 3261 section 18.1.1)."""
        for made in (signer(), signer(compact=True)):
            for one in (request(), request(body=b"a=fingerprint:sha-256 AA:BB\r\n"), request("BYE")):
                before, expected = len(one.serialise()), made.octets(one)
                made.sign(one)
                self.assertEqual(len(one.serialise()) - before, expected)
        dated = request()
        dated.headers.add("Date", format_date(START))
        self.assertLess(signer().octets(dated), signer().octets(request()))

    def test_refused(self) -> None:
        """A key of another kind and a URL that nobody would fetch are told at once."""
        other = AUTHORITY.issue("a.example", key=ec.generate_private_key(ec.SECP384R1()))
        self.assertRaises(ValueError, signer, other)
        for url in ("http://a.example/", "a.pem", "https://user@a.example/", "https://a.example/>"):
            self.assertRaises(ValueError, signer, x5u=url)

    def test_a_file(self) -> None:
        """Certificate and key may be a file, and nothing of the key is ever shown."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(ISSUED.pem)
        made = PassportSigner(path, URL)
        self.assertEqual(repr(made), f"<PassportSigner a.example {URL}>")
        self.assertTrue(made.may_speak_for(PassportIdentity("uri", "sip:x@a.example")))
        self.assertIsInstance(IdentityValue("..x", URL), IdentityValue)
        self.assertIsInstance(Credential.from_files(path), Credential)
