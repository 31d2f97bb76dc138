"""Our mailbox over HTTP."""

from __future__ import annotations

from sip_p2p.endpoint.subscription.packages.message_summary import MessageSummaryPackage
from tests.service.http.support import ApiCase


class MailboxTests(ApiCase):
    """What is told of it."""

    def test_without(self) -> None:
        """Where the package is not on, the problem says how it is put on."""
        members = self.assert_problem(self.ask("GET", "/v1/mailbox"), 404, "not-found")
        self.assertIn("--package message-summary", members["detail"])

    def test_told(self) -> None:
        """row:J11: what waits is told to who has subscribed."""
        self.ours.packages.add(MessageSummaryPackage())
        self.assertEqual(self.get("/v1/mailbox"), {"watchers": 0})
        subscribing = self.theirs.subscribe("sip:user@a.example", "message-summary")
        self.network.advance(2)
        theirs = self.successResultOf(subscribing)
        told: list[str] = []
        theirs.notification_received.subscribe(lambda each: told.append(each.text))
        given = {"waiting": True, "counts": [{"kind": "voice-message", "new": 2, "old": 8}]}
        got = self.ask("PUT", "/v1/mailbox", given)
        self.assertEqual((got.status, got.json["waiting"], got.json["watchers"]), (200, True, 1), got.content)
        self.assertEqual(got.json["counts"], given["counts"])
        self.network.advance(10)
        self.assertEqual(len(told), 1)
        self.assertIn("Voice-Message: 2/8", told[0])

    def test_wrong(self) -> None:
        """What no summary can say is refused."""
        self.ours.packages.add(MessageSummaryPackage())
        for given in ({"waiting": True, "account": "a\r\nb"}, {"waiting": True, "counts": [{"kind": "A", "new": 1}]}):
            self.assert_problem(self.ask("PUT", "/v1/mailbox", given), 422, "invalid-content")
