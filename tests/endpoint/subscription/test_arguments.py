"""What may be said of a subscription (rows J6 and J7), and what may not."""

from __future__ import annotations

from typing import Any

from sip_p2p import EndpointTerminated, InvalidOperation, RestrictedHeader
from sip_p2p.documents.dialog_info import DialogTable
from tests.endpoint.support import PartyTestCase

BOB = "sip:bob@b.example"


class ArgumentTests(PartyTestCase):
    """What is wrong is told at once, and leaves nothing behind."""

    def test_wrong(self) -> None:
        """Each argument that cannot be is refused before anything is sent. row:J1"""
        wrong: list[tuple[type[Exception], dict[str, Any]]] = [
            (TypeError, {"expire": 5}),
            (ValueError, {"expires": -1}),
            (ValueError, {"expires": 2**32}),
            (ValueError, {"accept": "text"}),
            (ValueError, {"retry": "sometimes"}),
            (ValueError, {"queue": 0}),
            (ValueError, {"max_rate": 0}),
            (ValueError, {"max_rate": 100}),
            (ValueError, {"min_rate": -1}),
            (ValueError, {"adaptive_min_rate": float("nan")}),
            (ValueError, {"body": b"octets"}),
            (ValueError, {"family": "v5"}),
            (RestrictedHeader, {"headers": [("Call-ID", "x")]}),
            (ValueError, {"headers": [("X-A", "a\r\nb")]}),
            (InvalidOperation, {"from_": "sip:carol@c.example"}),
        ]
        for error, arguments in wrong:
            self.assertRaises(error, self.alice.create_subscription, BOB, "presence", **arguments)
        self.assertRaises(ValueError, self.alice.create_subscription, BOB, "no event")
        self.assertRaises(ValueError, self.alice.create_subscription, "no address", "presence")
        self.assertEqual(self.alice.connection_manager.inventory()["subscriptions"], 0)

    def test_who_may(self) -> None:
        """A party that only receives does not subscribe, nor does one that is over."""
        silent = self.network.party("sip:carol@c.example", outbound=False)
        self.assertRaises(InvalidOperation, silent.create_subscription, BOB, "presence")
        self.run_until(self.alice.terminate())
        self.assertRaises(EndpointTerminated, self.alice.create_subscription, BOB, "presence")

    def test_shared(self) -> None:
        """What is the same for many subscriptions is held once."""
        one, two = (self.alice.create_subscription(BOB, "presence") for _ in range(2))
        self.assertEqual(one.event, "presence")
        self.assertEqual((one.target, one.assembler, one.expires, one.waiting), (two.target, None, None, 0))

    def test_usual(self) -> None:
        """A package that says only what has changed has somebody who makes whole states of it."""
        self.assertIsInstance(self.alice.create_subscription(BOB, "dialog").assembler, DialogTable)
        self.assertIsNone(self.alice.create_subscription(BOB, "dialog", assembler=None).assembler)
