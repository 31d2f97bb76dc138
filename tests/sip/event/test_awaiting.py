"""Tests of :mod:`sip_p2p.sip.event.awaiting`."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p.sip.event.awaiting import Awaiting
from sip_p2p.sip.parse import parse_message
from tests.support import SynchronousTestCase

_NOTIFY = (
    b"NOTIFY sip:a@a.example SIP/2.0\r\nVia: SIP/2.0/TCP b.example;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:b@b.example>;tag=theirs\r\nTo: <sip:a@a.example>;tag=ours\r\nCall-ID: call\r\nCSeq: 1 NOTIFY\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class AwaitingTests(SynchronousTestCase):
    """Who waits for a NOTIFY that is in no dialog."""

    def test_found(self) -> None:
        """It is known by Call-ID and our tag, until nobody waits any more."""
        awaiting = Awaiting()
        asked: list[Any] = []

        class Maker:
            """Notes what it is asked about."""

            def dialog_of(self, request: Any, flow: Any) -> None:
                """None of them makes a dialog."""
                asked.append(request)

        notify, flow = cast("Any", parse_message(_NOTIFY)), cast("Any", None)
        awaiting.add("call", "another", Maker())
        self.assertIsNone(awaiting.dialog_of(notify, flow))
        self.assertEqual(asked, [])
        awaiting.add("call", "ours", Maker())
        self.assertIsNone(awaiting.dialog_of(notify, flow))
        self.assertEqual(asked, [notify])
        awaiting.discard("call", "ours")
        awaiting.discard("call", "ours")
        awaiting.dialog_of(notify, flow)
        self.assertEqual((len(asked), len(awaiting)), (1, 1))
