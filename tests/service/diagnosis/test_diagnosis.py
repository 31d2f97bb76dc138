"""The judgements of the doctor, on values alone."""

from __future__ import annotations

import datetime
import errno

from twisted.internet import error

from sip_p2p.errors import (
    AuthenticationFailed,
    ConnectionFailure,
    OperationTimeout,
    RequestFailed,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.diagnosis.diagnosis import (
    of_answer,
    of_clocks,
    of_connecting,
    of_contact,
    of_first_octets,
    of_names,
    of_request,
    of_tls,
)
from sip_p2p.service.diagnosis.findings import Finding, Verdict, worst
from sip_p2p.service.words import ExitCode
from sip_p2p.sip.dates import format_date
from sip_p2p.sip.message import Response
from sip_p2p.transport.trust.identity import PeerIdentities
from tests.support import SynchronousTestCase

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
PROVED = PeerIdentities(("b.example",), ("192.0.2.1",))


class ConnectingTests(SynchronousTestCase):
    """Refused, silent and unreachable are different illnesses."""

    def test_each_has_its_cause(self) -> None:
        """A refusal means nobody listens, silence means a firewall, no route means this machine (row:M14)."""
        cases = (
            (error.ConnectionRefusedError(), "refused"),
            (error.ConnectError(errno.ECONNREFUSED), "refused"),
            (error.TimeoutError(), "timeout"),
            (error.TCPTimedOutError(), "timeout"),
            (error.NoRouteError(), "no-route"),
            (error.ConnectError(errno.ENETUNREACH), "no-route"),
            (RuntimeError("odd"), "connection"),
        )
        for failure, cause in cases:
            found = of_connecting(failure, "2001:db8::1", 5061)
            self.assertEqual((found.cause, found.verdict, found.code), (cause, Verdict.WRONG, ExitCode.CONNECTION))
            self.assertTrue(found.remedy)
        self.assertIn("[2001:db8::1]:5061", of_connecting(error.TimeoutError(), "2001:db8::1", 5061).what)
        self.assertIn("firewall", of_connecting(error.TimeoutError(), "192.0.2.1", 5061).remedy)


class TlsTests(SynchronousTestCase):
    """What a failed handshake means."""

    def test_every_reason(self) -> None:
        """Each reason of a TLS failure has its own cause, words and remedy, and leaves with the code of TLS
        (row:M14)."""
        causes = set()
        for reason in TlsFailureReason:
            found = of_tls(TlsFailure(reason, "b.example"), "b.example", NOW)
            causes.add(found.cause)
            self.assertTrue(found.what and found.remedy)
            self.assertEqual(found.code, ExitCode.TLS)
        self.assertEqual(len(causes), len(TlsFailureReason))

    def test_internal_error(self) -> None:
        """A server that ends the handshake without saying why may be one that minds ALPN: what to try is told
        (row:M14)."""
        for reason, says in ((TlsFailureReason.TLS_NEGOTIATION_FAILURE, True), (TlsFailureReason.OTHER, False)):
            found = of_tls(TlsFailure(reason, "b.example", alert="internal_error"), "b.example", NOW)
            self.assertEqual("--no-alpn" in found.remedy, says)

    def test_another_name(self) -> None:
        """A name that does not fit is told with the names that the certificate has, and what would have to be in it
        (row:M14)."""
        failure = TlsFailure(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, "c.example")
        found = of_tls(failure, "c.example", NOW, PROVED)
        self.assertIn("proves b.example, 192.0.2.1, and not c.example", found.what)
        self.assertIn("URI:sip:c.example", found.remedy)
        self.assertIn("IP:192.0.2.7", of_tls(failure, "192.0.2.7", NOW, PROVED).remedy)
        self.assertIn("no name at all", of_tls(failure, "c.example", NOW, PeerIdentities()).what)

    def test_dates(self) -> None:
        """A certificate that is out of its time is told with its dates and ours; where little is missing, the clock is
        suspected (row:M14)."""
        authority = CertificateAuthority.create()
        for before, after, reason, suspects in (
            (NOW - 400 * DAY, NOW - 30 * DAY, TlsFailureReason.CERTIFICATE_EXPIRED, False),
            (NOW - 400 * DAY, NOW - DAY / 4, TlsFailureReason.CERTIFICATE_EXPIRED, True),
            (NOW + DAY / 4, NOW + 90 * DAY, TlsFailureReason.CERTIFICATE_NOT_YET_VALID, True),
        ):
            certificate = authority.issue("b.example", not_before=before, not_after=after).certificate
            found = of_tls(TlsFailure(reason, "b.example", certificate), "b.example", NOW)
            self.assertIn("here it is 2026-03-01 12:00 UTC", found.what)
            self.assertEqual("close enough for a clock" in found.remedy, suspects)


class OctetTests(SynchronousTestCase):
    """What speaks on a port where it was not what we thought."""

    def test_protocols(self) -> None:
        """Clear text where TLS should be, TLS where clear text should be, and other services are recognised
        (row:M14)."""
        for octets, asked_in_tls, cause in (
            (b"SIP/2.0 200 OK\r\n", True, "clear-text-on-tls-port"),
            (b"\x15\x03\x01\x00\x02\x02\x46", False, "tls-on-clear-text-port"),
            (b"HTTP/1.1 400 Bad Request\r\n", True, "another-service"),
            (b"SSH-2.0-x\r\n", False, "another-service"),
        ):
            found = of_first_octets(octets, asked_in_tls)
            assert found is not None
            self.assertEqual(found.cause, cause)
        for octets, asked_in_tls in ((b"", True), (b"\x15\x03\x01", True), (b"SIP/2.0 200 OK", False), (b"?", False)):
            self.assertIsNone(of_first_octets(octets, asked_in_tls))


class AnswerTests(SynchronousTestCase):
    """What an answer says."""

    def test_answers(self) -> None:
        """2xx is well, 405 a note, and every other refusal has its cause and its remedy (row:M14)."""
        self.assertEqual(of_answer(Response(200, None, [("Allow", "MESSAGE")]), "b.example").verdict, Verdict.OK)
        self.assertEqual(of_answer(Response(405), "b.example").verdict, Verdict.NOTE)
        for status, cause in (
            (403, "forbidden"),
            (404, "nobody"),
            (401, "password"),
            (503, "overloaded"),
            (599, "answer"),
        ):
            found = of_answer(Response(status, None, [("Retry-After", "7")]), "b.example")
            self.assertEqual((found.cause, found.code), (cause, ExitCode.REFUSED))
            self.assertIn("after 7 seconds", found.remedy)
        warned = of_answer(Response(403, None, [("Warning", '399 x "From names\x07 what"')]), "b.example")
        self.assertIn("From names", warned.what)
        self.assertTrue(warned.what.isprintable())

    def test_no_answer(self) -> None:
        """Silence and a lost connection are told apart (row:M14)."""
        [silent] = of_request(OperationTimeout("no"), "b.example")
        [lost] = of_request(ConnectionFailure("gone"), "b.example")
        [refused] = of_request(RequestFailed(Response(404)), "b.example")
        [locked] = of_request(AuthenticationFailed(Response(401), "r", "the realm 'r': no credentials"), "b.example")
        self.assertIn("401 Unauthorized: the realm 'r': no credentials", locked.what)
        self.assertIn("--credentials", locked.remedy)
        self.assertEqual(
            [(each.cause, each.code) for each in (silent, lost, refused)],
            [("no-answer", ExitCode.TIMEOUT), ("connection", ExitCode.CONNECTION), ("nobody", ExitCode.REFUSED)],
        )


class ClockTests(SynchronousTestCase):
    """The peer's Date beside ours."""

    def test_apart(self) -> None:
        """Clocks that agree within a minute are well; others are told with both times (row:M14)."""
        for apart, verdict, words in (
            (datetime.timedelta(seconds=20), Verdict.OK, "agree"),
            (DAY, Verdict.NOTE, "24 hours ahead of ours"),
            (-3 * DAY, Verdict.NOTE, "3 days behind ours"),
            (datetime.timedelta(seconds=90), Verdict.NOTE, "90 seconds ahead"),
        ):
            response = Response(200, None, [("Date", format_date((NOW + apart).timestamp()))])
            found = of_clocks(response, NOW)
            assert found is not None
            self.assertEqual(found.verdict, verdict)
            self.assertIn(words, found.what)
        self.assertIsNone(of_clocks(Response(200), NOW))
        odd = of_clocks(Response(200, None, [("Date", "yesterday")]), NOW)
        assert odd is not None
        self.assertEqual(odd.verdict, Verdict.NOTE)


class NameTests(SynchronousTestCase):
    """Names that certificates prove, and names that are told."""

    def test_contact(self) -> None:
        """A Contact whose host no certificate proves is told with the remedy of the side that it is on; one that is
        reached over its own flow needs no proof (row:M14, row:D8)."""
        for value, is_ours, verdict in (
            ("<sip:x@b.example:5061>", False, Verdict.OK),
            ("<sip:x@192.0.2.1>", False, Verdict.OK),
            ("<sip:x@10.0.0.1>", False, Verdict.NOTE),
            ("<sip:x@c.example>", True, Verdict.NOTE),
            ("<sip:x@c.example;ob>", True, Verdict.OK),
            ("<sip:", False, Verdict.NOTE),
        ):
            found = of_contact(value, PROVED, is_ours=is_ours)
            assert found is not None
            self.assertEqual(found.verdict, verdict, value)
        ours, theirs = (of_contact("<sip:x@10.0.0.1>", PROVED, is_ours=each) for each in (True, False))
        assert ours is not None
        assert theirs is not None
        self.assertIn("--advertise", ours.remedy)
        self.assertIn("IP:10.0.0.1", theirs.remedy)
        self.assertIsNone(of_contact("<sip:x@c.example>", None, is_ours=True))

    def test_own_name(self) -> None:
        """A certificate that does not prove the domain of --uri is wrong, and the words say who will refuse it
        (row:M14, fault:F14)."""
        self.assertEqual(of_names("b.example", PROVED, listens=True).verdict, Verdict.OK)
        found = of_names("c.example", PROVED, listens=True)
        self.assertEqual((found.verdict, found.code), (Verdict.WRONG, ExitCode.USAGE))
        self.assertIn("403", found.what)


class FindingTests(SynchronousTestCase):
    """Findings together."""

    def test_worst(self) -> None:
        """The exit code is that of the first thing that is wrong; notes have none (row:M14)."""
        notes = [Finding.ok("a", "b", "c"), Finding.note("a", "b", "c", "d")]
        tls = Finding.wrong("tls", "x", "y", "z", ExitCode.TLS)
        silent = Finding.wrong("sip", "x", "y", "z", ExitCode.TIMEOUT)
        self.assertEqual(worst(notes), ExitCode.OK)
        self.assertEqual(worst([*notes, tls, silent]), ExitCode.TLS)

    def test_printable(self) -> None:
        """Nothing that a peer has sent drives a terminal (fault:B4)."""
        finding = Finding.wrong("sip", "x", "a\x1b[2Jb\nc", "d\x07", ExitCode.TLS)
        self.assertTrue((finding.what + finding.remedy).isprintable())
        self.assertEqual(set(finding.as_json()), {"step", "verdict", "cause", "what", "remedy"})
