"""``log`` between two parties over mutual TLS on loopback."""

from __future__ import annotations

import json

from sip_p2p.errors import RequestFailed
from sip_p2p.service.applications.log import LogApplication
from sip_p2p.sip.dialog.description import ContentDescription
from tests.service.applications.support import ApplicationCase, setting
from tests.support import reactor


class LogTests(ApplicationCase):
    """What it answers, and what it writes."""

    async def test_log(self) -> None:
        """row:M14: ``log`` accepts a message and tells who was proved to have sent it, what it said, and the end."""
        written: list[str] = []
        given = setting(write=written.append, clock=reactor)
        ours, theirs = await self.parties()
        chronicle = self.run_at(ours, LogApplication.make(given), given)
        response = await theirs.send_message("sip:user@a.example", "hello\x1b")
        await theirs.send_message("sip:user@a.example", b"\xff", "text/plain; charset=UTF-8")
        await ours.connection_manager.terminate()
        chronicle.ended()
        self.assertEqual(response.status, 200)
        events = [json.loads(line) for line in written]
        self.assertEqual(
            [event["event"] for event in events if not event["event"].startswith("flow-")],
            ["started", "message", "message", "state", "state", "stopped"],
        )
        started = events[0]
        message, odd = (event for event in events if event["event"] == "message")
        self.assertEqual((started["uri"], started["state"]), ("sip:user@a.example", "connected"))
        self.assertEqual(
            (message["peer"], message["identities"], message["text"]), ("b.example", ["b.example"], "hello\x1b")
        )
        self.assertTrue(message["tls_version"].startswith("TLSv1."))
        self.assertEqual((odd["body_base64"], "text" in odd), ("/w==", False))

    async def test_log_refuses_sessions(self) -> None:
        """row:M14: ``log`` refuses a session with 480, and who called whom and with what is told."""
        _, theirs, events = await self.pair(LogApplication)
        with self.assertRaises(RequestFailed) as caught:
            await theirs.invite("sip:user@a.example", ContentDescription(b"\xff", "application/x-odd"))
        self.assertEqual(caught.exception.status, 480)
        session, state = (event for event in events if event["event"].startswith("session"))
        self.assertEqual((session["event"], session["peer"]), ("session", "b.example"))
        self.assertEqual((session["offer_base64"], session["content_type"]), ("/w==", "application/x-odd"))
        self.assertEqual((state["event"], state["call_id"]), ("session-state", session["call_id"]))
        self.assertEqual((state["state"], state["reason"]), ("disconnected", "terminated_locally"))
