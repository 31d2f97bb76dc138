"""Who takes REFERs outside of sessions."""

from __future__ import annotations

from sip_p2p import EndpointTerminated, InvalidOperation, SipPeerToPeerEndpoint
from tests.endpoint.session.calls import BOB
from tests.endpoint.transfer.support import CAROL, TransferTestCase


class TakingTests(TransferTestCase):
    """``refer_received``, and what is told of it."""

    def allowed(self) -> bool:
        """Whether Bob says that he takes REFER."""
        response = self.run_until(self.alice.request("OPTIONS", BOB))
        return "REFER" in response.headers["Allow"].split(", ")  # type: ignore[attr-defined]

    def test_allow(self) -> None:
        """Who listens says so, and takes it back (row:I5, fault:D4)."""
        self.assertTrue(self.allowed())
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.assertFalse(self.allowed())
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL)), 405)

    def test_handler_of_the_method(self) -> None:
        """A handler of the method comes first, and stays when the other one goes (row:B12)."""
        self.bob.handle("REFER", lambda event: 488)
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL)), 488)
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.assertTrue(self.allowed())
        self.bob.refer_received.subscribe(self.refer_received)
        self.bob.stop_handling("REFER")
        self.assertTrue(self.bob.takes_referrals)
        self.assertTrue(self.allowed())

    def test_who_only_receives(self) -> None:
        """A party that does not send refers nobody (row:B5)."""
        quiet = SipPeerToPeerEndpoint("sip:quiet@a.example", self.alice.connection_manager, outbound=False)
        self.assertRaises(InvalidOperation, quiet.refer, BOB, CAROL)

    def test_who_is_gone(self) -> None:
        """Nor does one that was terminated (row:B13)."""
        self.run_until(self.alice.terminate())
        self.assertRaises(EndpointTerminated, self.alice.refer, BOB, CAROL)
