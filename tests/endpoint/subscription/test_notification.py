"""What a NOTIFY says, as an application sees it (rows J1 and J8)."""

from __future__ import annotations

import importlib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import MalformedDocument, Notification
from sip_p2p.endpoint.subscription.notification import DECODERS
from sip_p2p.sip.event.subscription_state import parse_subscription_state
from sip_p2p.sip.message import Request

PIDF = b"""<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:bob@b.example">
<tuple id="t1"><status><basic>open</basic></status></tuple></presence>"""


def notification(
    body: bytes = b"", content_type: str = "text/plain", state: str = "active", decoders: Any = None
) -> Notification:
    """One that came."""
    fields = [("Content-Type", content_type)] if body else []
    return Notification(Request("NOTIFY", "sip:a@a.example", fields, body), parse_subscription_state(state), decoders)


class NotificationTests(SynchronousTestCase):
    """Its parts."""

    def test_parts(self) -> None:
        """Body, type and state are there as they came. row:J8"""
        it = notification(b"open", "text/plain;charset=utf-8", "pending;expires=30")
        self.assertEqual((it.body, it.content_type, it.text), (b"open", "text/plain;charset=utf-8", "open"))
        self.assertEqual((it.state, it.expires, it.reason, it.retry_after), ("pending", 30, "", None))
        self.assertEqual((it.is_terminated, it.document, it.version, it.is_full), (False, None, None, True))
        self.assertEqual(it.headers.get("Content-Type"), it.content_type)
        self.assertEqual(repr(it), "<Notification pending: text/plain;charset=utf-8, 4 octets>")

    def test_end(self) -> None:
        """The last one says why. row:J8"""
        it = notification(state="terminated;reason=giveup;retry-after=9")
        self.assertEqual((it.is_terminated, it.reason, it.retry_after), (True, "giveup", 9))
        self.assertEqual((it.content_type, it.text, it.document), ("", "", None))
        self.assertEqual(repr(it), "<Notification terminated: no body>")

    def test_without_meaning(self) -> None:
        """RFC 6665 section 4.1.3: what has no meaning beside a state is not there: a time that is left of what is over,
        and a reason for the end of what stands. row:J8"""
        parts = "expires=60;reason=probation;retry-after=9"
        for state, said in (
            ("active", (60, "", None)),
            ("pending", (60, "", None)),
            ("terminated", (None, "probation", 9)),
            ("x-resting", (60, "probation", 9)),
        ):
            it = notification(state=f"{state};{parts}")
            self.assertEqual((it.expires, it.reason, it.retry_after), said, state)

    def test_decoded(self) -> None:
        """A body whose type the stack knows is a document. row:J8"""
        self.assertEqual(notification(PIDF, "application/pidf+xml").document.entity, "pres:bob@b.example")
        self.assertRaises(MalformedDocument, getattr, notification(b"<x", "application/pidf+xml"), "document")

    def test_own_decoders(self) -> None:
        """An application reads what it likes, and reads it once. row:J8"""
        read: list[bytes] = []

        def decode(body: bytes) -> int:
            read.append(body)
            return int(body)

        it = notification(b"42", "Text/Plain", decoders={"text/plain": decode})
        self.assertEqual((it.document, it.document, read), (42, 42, [b"42"]))
        own = notification(PIDF, "application/pidf+xml", decoders={"application/pidf+xml": len})
        self.assertEqual(own.document, len(PIDF))

    def test_partial(self) -> None:
        """A document that says only what has changed says so, with its number. row:J8"""
        partial = (
            b'<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="7" state="partial"'
            b' entity="sip:bob@b.example"/>'
        )
        it = notification(partial, "application/dialog-info+xml")
        self.assertEqual((it.version, it.is_full), (7, False))

    def test_all_decoders(self) -> None:
        """Every decoder of the stack is there."""
        for module, name in DECODERS.values():
            self.assertTrue(callable(getattr(importlib.import_module(module), name).parse))
