"""Tests of :mod:`sip_p2p.endpoint.messaging.outbox_policy`."""

from __future__ import annotations

from sip_p2p.endpoint.messaging.outbox_entry import OutboxLimits
from sip_p2p.endpoint.messaging.outbox_policy import AGAIN, AGAIN_WHEN_ASKED, judge, pause_before
from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    OperationTimeout,
    PeerOverloaded,
    RequestFailed,
    RestrictedHeader,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.sip.message import Response
from tests.support import SynchronousTestCase


class PolicyTests(SynchronousTestCase):
    """Whether an attempt that came to nothing is followed by another one, and when."""

    def test_statuses(self) -> None:
        """What says nothing about the next time is tried again; some refusals are only where the peer asks for it."""
        for status in range(300, 700):
            plain, asking = Response(status), Response(status)
            asking.headers.add("Retry-After", "7 (lunch);duration=60")
            self.assertEqual(judge(RequestFailed(plain)).is_final, status not in AGAIN, status)
            judgement = judge(RequestFailed(asking))
            self.assertEqual(judgement.is_final, status not in AGAIN | AGAIN_WHEN_ASKED, status)
            self.assertEqual((judgement.after, judgement.status, judgement.counts), (7.0, status, True))
        self.assertFalse(AGAIN & {400, 401, 403, 404, 405, 407, 413, 415, 420, 482, 483, 488, 501, 505, 513, 603, 606})

    def test_failures(self) -> None:
        """Nobody there, nobody answering and nobody to be trusted are tried again; the caller's mistakes are not."""
        refused = TlsFailure(TlsFailureReason.CERTIFICATE_EXPIRED)
        for error in (ConnectionFailure("x"), OperationTimeout("x"), refused):
            judgement = judge(error)
            self.assertEqual((judgement.is_final, judgement.counts, judgement.status), (False, True, 0))
        for wrong in (ValueError("x"), RestrictedHeader("Via")):
            self.assertTrue(judge(wrong).is_final)

    def test_not_sent(self) -> None:
        """What never went out counts for no attempt."""
        judgement = judge(PeerOverloaded("x", 9))
        self.assertEqual((judgement.is_final, judgement.counts, judgement.after), (False, False, 9))
        self.assertIsNone(judge(PeerOverloaded("x")).after)
        self.assertFalse(judge(EndpointTerminated("x")).counts)

    def test_long_words(self) -> None:
        """What a peer says is kept as far as anybody reads it (fault:B4)."""
        self.assertEqual(len(judge(RequestFailed(Response(500, "x" * 2000))).reason), 256)

    def test_pauses(self) -> None:
        """They double from the first to the longest, and vary; a Retry-After counts instead, within the longest."""
        limits = OutboxLimits(first_pause=5, longest_pause=900)
        self.assertEqual([pause_before(number, None, limits, 0.5) for number in (1, 2, 3, 4)], [5, 10, 20, 40])
        self.assertEqual(pause_before(10**6, None, limits, 0.5), 900)
        self.assertEqual((pause_before(1, None, limits, 0), pause_before(1, None, limits, 1)), (3.75, 6.25))
        self.assertEqual((pause_before(9, 60, limits, 0), pause_before(9, 60, limits, 1)), (60, 66))
        self.assertEqual(pause_before(1, 10**6, limits, 0), 900)
