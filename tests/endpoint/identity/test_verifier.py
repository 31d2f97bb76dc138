"""Signatures of requests, judged: each rule by itself, on certificates that a server in memory gives out."""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sip_p2p import FetchRules, Limits, PassportStatus, PassportVerdict, Request, TrustAnchors
from sip_p2p.endpoint.identity.certificates import Around
from sip_p2p.pki import CertificateAuthority
from sip_p2p.sip.dates import format_date
from sip_p2p.sip.identity import IdentityValue, parse_identity
from tests.endpoint.identity.support import (
    AUTHORITY,
    BOB,
    ISSUED,
    START,
    URL,
    WebCase,
    ok,
    request,
    signer,
    verifier,
    web_policy,
)
from tests.sip.grammar import garbled
from tests.support import SynchronousTestCase

SDP = b"v=0\r\na=fingerprint:sha-256 AA:BB\r\n"


def with_identity(one: Request, **changes: Any) -> Request:
    """*one* with parts of its Identity changed."""
    found = parse_identity(one.headers["Identity"])
    parts = {"token": found.token, "info": found.info, "alg": found.alg, "ppt": found.ppt} | changes
    one.headers.set("Identity", str(IdentityValue(parts.pop("token"), parts.pop("info"), **parts)))
    return one


class VerifierCase(WebCase):
    """Judges."""

    def judge(self, one: Request, by: Any = None, **limits: Any) -> PassportVerdict:
        """The verdict on *one*."""
        judging = (by or verifier()).verify(one, BOB, self.around(**limits))
        return self.network.run_until(Deferred.fromCoroutine(judging))

    def signed(self, by: Any = None, **options: Any) -> Request:
        """A signed request."""
        one = request(**options)
        self.assertTrue((by or signer()).sign(one))
        return one

    def refused(self, one: Request, code: int, words: str, by: Any = None) -> None:
        """*one* proves nothing, for this reason."""
        verdict = self.judge(one, by)
        self.assertEqual((verdict.status, verdict.code), (PassportStatus.INVALID, code), verdict)
        self.assertIn(words, verdict.detail)
        self.assertIsNone(verdict.certificate)


class JudgementTests(VerifierCase):
    """RFC 8224 section 6.2."""

    def test_valid(self) -> None:
        """A good signature says who the caller is, in either form and with or without media keys (RFC 8224 section
        6.2)."""
        for one in (
            self.signed(),
            self.signed(signer(compact=True)),
            self.signed(body=SDP),
            self.signed(method="MESSAGE"),
            self.signed(to="<sips:Bob@B.example:5061;transport=tls>"),
        ):
            verdict = self.judge(one)
            self.assertTrue(verdict.is_valid, verdict)
            self.assertEqual((verdict.code, verdict.certificate), (0, ISSUED.certificate))
            assert verdict.passport is not None
            self.assertEqual(str(verdict.passport.orig), "sip:alice@a.example")

    def test_absent(self) -> None:
        """Without a signature, and with one of a kind that is not known, there is nothing to judge (RFC 8224 sections
        6.2 and 6.2.2)."""
        for one in (request(), with_identity(self.signed(), ppt="shaken")):
            verdict = self.judge(one)
            self.assertEqual((verdict.status, verdict.code), (PassportStatus.ABSENT, 428))
        self.assertEqual(self.web.asked, [])

    def test_several(self) -> None:
        """One good signature among several is enough, and of bad ones the first says why (RFC 8224 section 6.2.1)."""
        one = self.signed()
        good = one.headers["Identity"]
        one.headers.set("Identity", "nonsense")
        one.headers.add("Identity", good)
        self.assertTrue(self.judge(one).is_valid)
        one = request()
        for _ in range(4):
            one.headers.add("Identity", "nonsense")
        one.headers.add("Identity", good)
        self.refused(one, 438, "no token")

    def test_several_unknown(self) -> None:
        """Those of kinds that are not known are passed over, however many there are (RFC 8224 sections 6.2 and 9)."""
        one = self.signed()
        good = one.headers["Identity"]
        unknown = with_identity(self.signed(), ppt="div").headers["Identity"]
        one.headers.set("Identity", unknown)
        for value in (unknown, unknown, unknown, unknown, good):
            one.headers.add("Identity", value)
        self.assertTrue(self.judge(one).is_valid)

    def test_several_without_certificates(self) -> None:
        """That the certificate could not be had is told only if none could (RFC 8224 section 6.2.2)."""
        elsewhere = self.signed(signer(x5u="https://certs.example:22/")).headers["Identity"]
        for others, code in (([elsewhere], 436), (["nonsense"], 438), ([elsewhere, "nonsense"], 438)):
            one = request()
            for value in (elsewhere, *others):
                one.headers.add("Identity", value)
            self.refused(one, code, "")

    def test_time(self) -> None:
        """What was signed more than a minute ago, or will be in one, is stale, whatever Date says (RFC 8224 sections
        6.2 and 6.2.2)."""
        for seconds, valid in ((-59, True), (59, True), (-61, False), (61, False)):
            one = self.signed(signer(clock=lambda seconds=seconds: START + seconds))
            one.headers.set("Date", format_date(START))
            verdict = self.judge(one)
            self.assertEqual(verdict.is_valid, valid, seconds)
            if not valid:
                self.assertEqual((verdict.code, verdict.phrase), (403, "Stale Date"))
        one = self.signed()
        one.headers.set("Date", "yesterday")
        self.assertTrue(self.judge(one).is_valid)

    def test_compact_time(self) -> None:
        """In the compact form Date is what was signed: without one, with an unreadable and with another one it is not
        good (RFC 8224 section 4.1)."""
        for date, code in (
            (None, 438),
            ("yesterday", 438),
            (format_date(START - 90), 403),
            (format_date(START + 1), 438),
        ):
            one = self.signed(signer(compact=True))
            one.headers.remove("Date")
            if date is not None:
                one.headers.add("Date", date)
            self.assertEqual(self.judge(one).code, code, date)

    def test_another_request(self) -> None:
        """What was signed for another From, another To or other media keys is not for this request, in either form
        (fault:E7, RFC 8224 sections 6.2 and 12.1)."""
        for compact in (False, True):
            made = signer(compact=compact)
            for options in (
                {"from_": "<sip:eve@a.example>;tag=1"},
                {"to": "<sip:carol@b.example>"},
                {"body": SDP.replace(b"AA", b"AC")},
                {"body": SDP + SDP.replace(b"AA", b"AC")},
            ):
                good = self.signed(made, body=options.get("body", b"") and SDP)
                other = request(**options)
                for name in ("Identity", "Date"):
                    other.headers.add(name, good.headers[name])
                self.assertEqual(self.judge(other).code, 438, options)
        bare = request(body=SDP)
        bare.headers.add("Identity", self.signed().headers["Identity"])
        self.refused(bare, 438, "other media keys")

    def test_another_scheme(self) -> None:
        """What was signed for TLS on every hop is not taken for less, in either form (fault:E7, RFC 8224 section
        12.1)."""
        whom = {"from_": "<sips:alice@a.example>;tag=1", "to": "<sips:bob@b.example>"}
        for compact in (False, True):
            for name, value in whom.items():
                good = self.signed(signer(compact=compact), **whom)
                other = request(**(whom | {name: value.replace("sips", "sip")}))
                for field in ("Identity", "Date"):
                    other.headers.add(field, good.headers[field])
                self.assertEqual(self.judge(other).code, 438, name)
                self.assertTrue(self.judge(good).is_valid, name)

    def test_for_somebody_else(self) -> None:
        """Who was called cannot call us with what it was sent: what is signed has to be for us, or for whom we say
        (fault:E7, RFC 8224 section 12.1, RFC 8225 section 10.1)."""
        one = self.signed(to="<sip:mallory@m.example>")
        self.refused(one, 438, "somebody else")
        self.assertEqual(self.web.asked, [])
        by = verifier(is_for_us=lambda identity: identity.value in ("15551234", "sip:mallory@m.example"))
        self.assertTrue(self.judge(one, by).is_valid)
        self.assertTrue(self.judge(self.signed(to="<tel:+1555-1234>"), by).is_valid)

    def test_not_fetched(self) -> None:
        """Without the certificate nothing is proved: 436 (RFC 8224 section 6.2.2)."""
        self.web.answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        self.refused(self.signed(), 436, "answers 404")
        by = verifier(rules=FetchRules())
        self.refused(self.signed(), 436, "no public address", by)
        self.refused(self.signed(signer(x5u="https://certs.example:22/")), 436, "port 22", by)

    def test_certificates(self) -> None:
        """Whom nobody trusted vouches for, who speaks for another domain, and whose key is of another kind are not
        supported: 437 (fault:E7, RFC 8224 sections 6.2.2 and 8.4)."""
        other = CertificateAuthority.create("other").issue("a.example")
        for issued, words in (
            (other, "no trusted authority"),
            (AUTHORITY.issue("b.example"), "may speak for b.example"),
            (AUTHORITY.issue("x.a.example"), "may speak for x.a.example"),
            (AUTHORITY.issue("a.example", is_authority=True), "an authority's"),
        ):
            self.web.answer = ok(issued.certificate_pem)
            self.refused(self.signed(), 437, words)

    def test_before_its_certificate(self) -> None:
        """What was signed when its certificate was not valid is not supported, though it is now: 437 (RFC 8224 section
        6.2)."""
        begins = datetime.datetime.fromtimestamp(START - 10, datetime.UTC)
        self.web.answer = ok(AUTHORITY.issue("a.example", key=ISSUED.key, not_before=begins).certificate_pem)
        self.assertTrue(self.judge(self.signed()).is_valid)
        self.refused(self.signed(signer(clock=lambda: START - 20)), 437, "when it signed")

    def test_wrong_signature(self) -> None:
        """A signature of another key, and a changed one, are invalid: 438 (RFC 8224 section 6.2.2)."""
        self.web.answer = ok(AUTHORITY.issue("a.example").certificate_pem)
        self.refused(self.signed(), 438, "not that of the certificate")

    def test_numbers(self) -> None:
        """Who may speak for a telephone number is the policy's to say, with the certificate in hand (RFC 8224 section
        8.2, RFC 8226)."""
        one = self.signed(signer(may_assert_number=bool), from_="<tel:+15551234>;tag=1")
        self.refused(one, 437, "telephone number")
        asked: list[object] = []
        by = verifier(may_assert_number=lambda *given: asked.append(given) is None)
        self.assertTrue(self.judge(one, by).is_valid)
        self.assertEqual(asked, [(ISSUED.certificate, "15551234")])

    def test_a_broken_policy(self) -> None:
        """A policy that fails proves nothing, and harms nothing else (fault:K1)."""
        one = self.signed(signer(may_assert_number=bool), from_="<tel:+15551234>;tag=1")
        self.refused(one, 438, "could not be judged", verifier(may_assert_number=lambda *given: 1 // 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_fields_that_disagree(self) -> None:
        """A field that names another certificate than its token, or another algorithm, is not believed (RFC 8224
        section 4)."""
        self.refused(with_identity(self.signed(), info="https://certs.example/b.pem"), 438, "certificate or kind")
        self.refused(with_identity(self.signed(), alg="RS256"), 437, "something else than ES256")
        self.assertTrue(self.judge(with_identity(self.signed(), alg=None)).is_valid)

    def test_an_unknown_kind_within(self) -> None:
        """A token that says itself to be of a kind that is not known is invalid, whatever its field says (RFC 8225
        section 8.1)."""
        one = self.signed()
        head = base64.urlsafe_b64encode(
            json.dumps({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": URL}).encode()
        )
        _, claims, signature = parse_identity(one.headers["Identity"]).token.split(".")
        token = f"{head.decode().rstrip('=')}.{claims}.{signature}"
        self.refused(with_identity(one, token=token), 438, "certificate or kind")
        self.assertEqual(self.judge(with_identity(one, token=token, ppt="shaken")).code, 428)

    def test_no_algorithm(self) -> None:
        """A token that says that it needs no signature, or one of a shared secret, is invalid (fault:E4)."""
        one = self.signed()
        _, claims, signature = parse_identity(one.headers["Identity"]).token.split(".")
        for alg in ("none", "HS256", "ES384"):
            head = base64.urlsafe_b64encode(json.dumps({"alg": alg, "typ": "passport", "x5u": URL}).encode())
            token = f"{head.decode().rstrip('=')}.{claims}.{signature}"
            self.refused(with_identity(one, token=token), 438, "no passport signed with ES256")

    def test_replay(self) -> None:
        """A signature is good once: the same request may come again with a higher CSeq, and nothing else may have it
        (fault:E1, RFC 8224 section 12.1)."""
        by = verifier()
        one = self.signed()
        self.assertTrue(self.judge(one, by).is_valid)
        for options, valid in (({}, False), ({"call_id": "c2"}, False), ({"cseq": 2}, True), ({"cseq": 2}, False)):
            again = request(**options)
            again.headers.add("Identity", one.headers["Identity"])
            self.assertEqual(self.judge(again, by).is_valid, valid, options)
        self.assertEqual(len(by.replays), 1)

    def test_replay_in_another_spelling(self) -> None:
        """Whoever has a good signature can make another one of it without the key, as every curve lets one, or spell
        its octets in another way: it is the same signature (fault:E1, RFC 8224 section 12.1)."""
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        for compact in (False, True):
            by = verifier()
            one = self.signed(signer(compact=compact))
            token = parse_identity(one.headers["Identity"]).token
            head, _, signature = token.rpartition(".")
            octets = base64.urlsafe_b64decode(signature + "==")
            other = octets[:32] + (order - int.from_bytes(octets[32:])).to_bytes(32)
            turned = base64.urlsafe_b64encode(other).decode().rstrip("=")
            alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            spelled = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
            self.assertEqual(base64.urlsafe_b64decode(spelled + "=="), octets)
            self.assertTrue(self.judge(with_identity(one, token=f"{head}.{turned}"), by).is_valid)
            for known in (signature, spelled):
                again = request(call_id="c2")
                again.headers.add("Identity", str(one.headers["Identity"]))
                again.headers.add("Date", one.headers["Date"])
                verdict = self.judge(with_identity(again, token=f"{head}.{known}"), by)
                self.assertEqual((verdict.status, verdict.code), (PassportStatus.INVALID, 438), verdict)

    def test_most_replays(self) -> None:
        """limit:passport_replays: no more are remembered, and it is counted."""
        by = verifier()
        for number in range(4):
            self.assertTrue(self.judge(self.signed(call_id=f"c{number}"), by, passport_replays=3).is_valid)
        self.assertEqual((len(by.replays), self.hits), (3, ["passport_replays"]))

    def test_looked_at(self) -> None:
        """In dialogs, and for methods that nobody signs, nothing is judged; nor anywhere when it is off."""
        for one, looked_at in (
            (request(), True),
            (request("MESSAGE"), True),
            (request("BYE"), False),
            (request("OPTIONS"), False),
            (request(to="<sip:bob@b.example>;tag=2"), False),
        ):
            self.assertEqual(verifier().looks_at(one), looked_at)
            self.assertFalse(verifier(policy="off").looks_at(one))

    def test_arguments(self) -> None:
        """A policy that is none, a time that is none and an authority that is none are told at once."""
        self.assertRaises(ValueError, verifier, policy="maybe")
        for freshness in (0.0, -1.0, float("nan")):
            self.assertRaises(ValueError, verifier, freshness=freshness)
        self.assertRaises(ValueError, verifier, trust=self.mktemp())
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(AUTHORITY.pem)
        self.assertTrue(self.judge(self.signed(), verifier(trust=path)).is_valid)
        self.assertEqual(repr(verifier()), "<PassportVerifier check, 0 certificates>")


class HostileTests(SynchronousTestCase):
    """Whatever stands there."""

    @settings(deadline=None, max_examples=200)
    @given(st.data())
    def test_any_change(self, data: st.DataObject) -> None:
        """However a good signature is changed, the outcome is a verdict, and never a good one without a certificate
        (fault:A13)."""
        one = request()
        signer().sign(one)
        try:
            one.headers.set("Identity", data.draw(garbled(one.headers["Identity"])))
        except ValueError:
            return
        clock: Any = Clock()
        clock.nameResolver = None
        around = Around(clock, Limits(), lambda name: None)
        by = verifier(rules=FetchRules(hosts=[]), https=web_policy(), trust=TrustAnchors.from_pem(AUTHORITY.pem))
        verdict = self.successResultOf(Deferred.fromCoroutine(by.verify(one, BOB, around)))
        self.assertFalse(verdict.is_valid)
        self.assertIn(verdict.code, (403, 428, 436, 437, 438))
        self.assertEqual(clock.getDelayedCalls(), [])
