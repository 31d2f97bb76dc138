"""Failures in words, and the exit codes that go with them."""

from __future__ import annotations

from sip_p2p.errors import (
    AuthenticationFailed,
    ConnectionFailure,
    EndpointTerminated,
    InvalidOperation,
    ListenFailed,
    OfferRejected,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
    SipError,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.service.words import TLS_WORDS, ExitCode, call_exit_code, exit_code, explain
from sip_p2p.sip.message import Response
from tests.support import SynchronousTestCase


class TlsWordsTests(SynchronousTestCase):
    """The table of TLS failures."""

    def test_every_reason_has_its_words(self) -> None:
        """row:D20: no reason is without a sentence that says what is the matter and one that says what to do."""
        self.assertEqual(set(TLS_WORDS), set(TlsFailureReason))
        for reason, words in TLS_WORDS.items():
            with self.subTest(reason):
                for text in (words.what, words.remedy):
                    self.assertTrue(text[0].isupper() and text.endswith(".") and text.isprintable(), text)
        self.assertEqual(len({words.what for words in TLS_WORDS.values()}), len(TlsFailureReason))

    def test_details_follow(self) -> None:
        """The detail, the alert and the peer stand behind the sentence, each once."""
        failure = TlsFailure(TlsFailureReason.LOCAL_CERTIFICATE_REJECTED, "b.example", detail="why", alert="unknown_ca")
        self.assertEqual(
            explain(failure).what, "The peer refused our certificate. (why, TLS alert unknown_ca, with b.example)"
        )
        failure = TlsFailure(TlsFailureReason.OTHER, detail="it sent the alert x", alert="x")
        self.assertEqual(explain(failure).what, "TLS failed for another reason. (it sent the alert x)")


class ExplainTests(SynchronousTestCase):
    """:func:`explain` and :func:`exit_code`."""

    def test_exit_codes(self) -> None:
        """row:F4: scripts can tell a refusal, a timeout, a lost connection and a TLS failure apart."""
        cases = (
            (RequestFailed(Response(486)), ExitCode.REFUSED),
            (OperationTimeout("late"), ExitCode.TIMEOUT),
            (TlsFailure(TlsFailureReason.OTHER), ExitCode.TLS),
            (ConnectionFailure("gone"), ExitCode.CONNECTION),
            (EndpointTerminated("over"), ExitCode.CONNECTION),
            (ListenFailed("taken"), ExitCode.CONNECTION),
            (InvalidOperation("no"), ExitCode.USAGE),
            (ValueError("no"), ExitCode.USAGE),
        )
        for failure, expected in cases:
            with self.subTest(failure):
                self.assertIs(exit_code(failure), expected)
                self.assertTrue(explain(failure).what.endswith("."))

    def test_exit_codes_of_calls(self) -> None:
        """row:H31: a call that comes to nothing says whether the peer is busy, does not answer, or does not want."""
        cases = (
            (RequestFailed(Response(486)), False, ExitCode.BUSY),
            (RequestFailed(Response(600)), True, ExitCode.BUSY),
            (RequestFailed(Response(480)), True, ExitCode.NO_ANSWER),
            (RequestFailed(Response(408)), False, ExitCode.NO_ANSWER),
            (RequestFailed(Response(487)), True, ExitCode.NO_ANSWER),
            (RequestFailed(Response(302)), False, ExitCode.REFUSED),
            (RequestFailed(Response(603)), True, ExitCode.REFUSED),
            (OfferRejected("no"), True, ExitCode.REFUSED),
            (OperationTimeout("late"), True, ExitCode.NO_ANSWER),
            (OperationTimeout("late"), False, ExitCode.TIMEOUT),
            (SessionTerminated("over"), True, ExitCode.LOST),
            (TlsFailure(TlsFailureReason.OTHER), False, ExitCode.TLS),
            (ConnectionFailure("gone"), False, ExitCode.CONNECTION),
        )
        for failure, rang, expected in cases:
            with self.subTest(failure):
                self.assertIs(call_exit_code(failure, rang), expected)

    def test_every_code_has_a_meaning(self) -> None:
        """``--help`` can say what each code stands for."""
        for code in ExitCode:
            self.assertTrue(code.meaning)

    def test_what_a_status_suggests(self) -> None:
        """A refusal names what the peer would take, or when to come back."""
        cases = (
            (405, ("Allow", "MESSAGE, OPTIONS"), "The peer takes these methods: MESSAGE, OPTIONS."),
            (415, ("Accept", "text/plain"), "The peer takes these content types: text/plain."),
            (503, ("Retry-After", "7"), "It asks to try again after 7 seconds."),
            (404, ("Server", "x"), "Nobody of that name is there"),
            (401, ("Server", "x"), "It asks for a password"),
            (486, ("Server", "x"), ""),
        )
        for status, field, expected in cases:
            with self.subTest(status):
                remedy = explain(RequestFailed(Response(status, headers=[field]))).remedy
                self.assertTrue(remedy.startswith(expected) and bool(remedy) == bool(expected), remedy)

    def test_whose_password(self) -> None:
        """Whoever lacks a password, or has a wrong one, learns for which realm and which of both it is."""
        why = "the realm 'a\x07': the credentials of 'bob' were refused"
        refused = AuthenticationFailed(Response(401), "a\x07", why)
        words = explain(refused)
        self.assertIn("401 Unauthorized: the realm 'a", words.what)
        self.assertTrue(words.what.isprintable() and words.what.endswith("were refused."), words.what)
        self.assertIn("--credentials", words.remedy)

    def test_who_may_wait_longer(self) -> None:
        """An option is named only to whoever can give it: in an answer of the API or a log there is none."""
        late = OperationTimeout("late")
        self.assertNotIn("--", explain(late).remedy)
        self.assertTrue(explain(late, patience="--timeout").remedy.endswith("; --timeout waits longer."))

    def test_what_the_peer_says_of_it(self) -> None:
        """fault:F14: the Warning of an answer is told, without its number and its agent."""
        fields = [("Warning", '399 sip_p2p "From names \\"c.example\\"", 399 x "and so on"'), ("Warning", "odd")]
        for headers, expected in (
            (fields, 'The peer answered 403 Forbidden: From names "c.example"; and so on.'),
            ([], "The peer answered 403 Forbidden."),
        ):
            self.assertEqual(explain(RequestFailed(Response(403, headers=headers))).what, expected)

    def test_what_peers_wrote_is_made_safe(self) -> None:
        """fault:B4: a reason phrase or a field of the peer cannot drive the terminal, forge a line or flood it."""
        response = Response(405, "\x1b[2Jno", [("Allow", "A\x1b]0;x\x07")])
        for failure in (
            RequestFailed(response),
            ConnectionFailure("a\x1bb\nc"),
            TlsFailure(TlsFailureReason.OTHER, "p\x07", detail="d\n", alert="\x1b"),
            SipError("x" * 10_000),
        ):
            words = explain(failure)
            for text in (words.what, words.remedy):
                self.assertTrue(text.isprintable(), text)
                self.assertLess(len(text), 1000)
