"""Tests of :mod:`sip_p2p.endpoint.transfer.states`."""

from __future__ import annotations

from sip_p2p import ReferProgress, ReferStatus
from sip_p2p.endpoint.transfer.states import status_of
from tests.support import SynchronousTestCase


class StatusTests(SynchronousTestCase):
    """How far a referral is."""

    def test_ten(self) -> None:
        """There are ten, and four of them are the last (row:I2)."""
        self.assertEqual(len(ReferStatus), 10)
        final = {status for status in ReferStatus if status.is_final}
        expected = {ReferStatus.SUCCEEDED, ReferStatus.REDIRECTED, ReferStatus.FAILED, ReferStatus.TERMINATED}
        self.assertEqual(final, expected)

    def test_of_each_status(self) -> None:
        """Each status of a response says how far the referral is (row:I2)."""
        for statuses, expected in (
            (range(100, 101), ReferStatus.TRYING),
            (range(101, 200), ReferStatus.PROGRESSING),
            (range(200, 300), ReferStatus.SUCCEEDED),
            (range(300, 400), ReferStatus.REDIRECTED),
            (range(400, 700), ReferStatus.FAILED),
        ):
            self.assertEqual({status_of(status) for status in statuses}, {expected})

    def test_progress(self) -> None:
        """A report is final from 200 on (row:I1)."""
        self.assertFalse(ReferProgress(199, "x").is_final)
        self.assertTrue(ReferProgress(200, "OK").is_final)
        self.assertEqual(repr(ReferProgress(180, "Ringing")), "<ReferProgress 180 Ringing>")
