"""What the hook's answer means for whoever wants to watch us, and for a REFER."""

from __future__ import annotations

import json

from sip_p2p.service.webhook.permission import parse_referral_answer, parse_verdict
from tests.support import SynchronousTestCase


class VerdictTests(SynchronousTestCase):
    """Subscribers."""

    def test_table(self) -> None:
        """Each decision, and what goes with it."""
        for said, status, is_pending, retry_after in (
            ({"decision": "accept"}, 200, False, None),
            ({"decision": "pending"}, 200, True, None),
            ({}, 200, True, None),
            ({"decision": "reject"}, 403, False, None),
            ({"decision": "reject", "status": 603, "retry_after": 60}, 603, False, 60),
        ):
            verdict = parse_verdict(json.dumps(said).encode())
            self.assertEqual(
                (verdict.status, verdict.is_pending, verdict.retry_after), (status, is_pending, retry_after)
            )
        self.assertTrue(parse_verdict(b"").is_pending)

    def test_wrong(self) -> None:
        """What is not understood to its end is no yes."""
        for said in (
            {"decision": "yes"}, {"decision": "accept", "status": 200}, {"decision": "reject", "status": 200},
            {"decison": "accept"}, {"decision": 5}, {"decision": "reject", "retry_after": -1}, [],
        ):  # fmt: skip
            self.assertRaises(ValueError, parse_verdict, json.dumps(said).encode())


class ReferralTests(SynchronousTestCase):
    """REFERs."""

    def test_table(self) -> None:
        """fault:D5: nothing at all declines; a call may be made with an offer."""
        answer = parse_referral_answer(b"{}")
        self.assertEqual((answer.is_accepted, answer.status), (False, 603))
        answer = parse_referral_answer(b'{"decision": "decline", "status": 486, "reason": "Not now"}')
        self.assertEqual((answer.status, answer.reason), (486, "Not now"))
        answer = parse_referral_answer(b'{"decision": "accept", "offer": "v=0"}')
        assert answer.offer is not None
        self.assertEqual((answer.is_accepted, answer.offer.body), (True, b"v=0"))
        self.assertIsNone(parse_referral_answer(b'{"decision": "accept"}').offer)

    def test_wrong(self) -> None:
        """What is not understood to its end is no yes."""
        for body in (
            b'{"decision": "accept", "status": 202}', b'{"decision": "decline", "status": 200}', b"<html>",
            b'{"decision": "accept", "content_type": "application/sdp"}', b'{"decision": "accept", "offer": 5}',
        ):  # fmt: skip
            self.assertRaises(ValueError, parse_referral_answer, body)
