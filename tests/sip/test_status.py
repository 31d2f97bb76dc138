"""Tests of status codes."""

from __future__ import annotations

from sip_p2p.sip import status
from sip_p2p.sip.status import Status, reason_phrase
from tests.support import SynchronousTestCase


class StatusTests(SynchronousTestCase):
    """Names, phrases and classes."""

    def test_names(self) -> None:
        """Statuses have names, and are the numbers that they stand for (row:K9)."""
        self.assertEqual((Status.OK, Status.RINGING, Status.BUSY_HERE), (200, 180, 486))
        self.assertEqual(Status(503), Status.SERVICE_UNAVAILABLE)
        self.assertEqual(len(Status), 75)
        self.assertTrue(all(100 <= known <= 699 for known in Status))

    def test_phrases(self) -> None:
        """Each registered status has the phrase of its RFC (row:K9)."""
        for code, phrase in (
            (100, "Trying"),
            (200, "OK"),
            (414, "Request-URI Too Long"),
            (416, "Unsupported URI Scheme"),
            (481, "Call/Transaction Does Not Exist"),
            (489, "Bad Event"),
            (504, "Server Time-out"),
            (606, "Not Acceptable"),
            (607, "Unwanted"),
        ):
            self.assertEqual(reason_phrase(code), phrase)
        for known in Status:
            spelled = reason_phrase(known).upper().replace(" ", "_").replace("-", "_").replace("/", "_")
            self.assertTrue(known.name.startswith(spelled) or known.name == "SERVER_TIMEOUT", known.name)

    def test_unknown(self) -> None:
        """A status that nobody registered is as good as any, under the name of its class (row:K9)."""
        for code, phrase in (
            (198, "Provisional"),
            (299, "Successful"),
            (399, "Redirection"),
            (499, "Request Failure"),
            (599, "Server Failure"),
            (699, "Global Failure"),
        ):
            self.assertEqual(reason_phrase(code), phrase)
            self.assertNotIn(code, list(Status))
        for code in (-1, 0, 99, 700, 4294967301):
            self.assertEqual(reason_phrase(code), "")

    def test_predicates(self) -> None:
        """Every status is in one class, and every one but 1xx is final (row:K9)."""
        classes = (
            status.is_provisional,
            status.is_success,
            status.is_redirection,
            status.is_client_error,
            status.is_server_error,
            status.is_global_failure,
        )
        for code in range(100, 700):
            self.assertEqual([test(code) for test in classes], [code // 100 == first for first in range(1, 7)])
            self.assertEqual(status.is_final(code), code >= 200)
        for code in (99, 700, 0, -200):
            self.assertFalse(any(test(code) for test in (*classes, status.is_final)))
