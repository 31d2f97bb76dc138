"""What our REFERs say, and where they go."""

from __future__ import annotations

from typing import Any

from sip_p2p import Join, Referral, ReferTo, Replaces, Target, Transport
from tests.endpoint.session.calls import BOB
from tests.endpoint.transfer.support import CAROL, TransferTestCase


class SayingTests(TransferTestCase):
    """The fields of a REFER."""

    def refer_received(self, referral: Any) -> None:
        """Bob only looks."""
        self.referrals.append(referral)

    def said(self, target: Any = CAROL, **arguments: Any) -> Any:
        """What Bob is told by a REFER outside of a session."""
        self.assertEqual(self.status_of(self.alice.refer(BOB, target, **arguments)), 603)
        return self.referrals[-1]

    def test_plain(self) -> None:
        """A REFER names whom to call, and who asks (row:I8, row:I10)."""
        seen = self.said()
        headers = seen.request.headers
        self.assertEqual(headers["Refer-To"], "<sip:carol@c.example>")
        self.assertEqual(headers["Referred-By"], "<sip:alice@a.example>")
        for tag in ("norefersub", "replaces", "tdialog"):
            self.assertIn(tag, headers["Supported"].split(", "))
        self.assertIn("Contact", headers)
        self.assertNotIn("Refer-Sub", headers)
        self.assertTrue(seen.wants_notifications)
        self.assertIsNone(seen.target_session)
        self.assertIn("INVITE sip:carol@c.example", repr(seen))

    def test_arguments(self) -> None:
        """All that may be said of it goes out, escaped where it has to be (row:I7, row:I8)."""
        seen = self.said(
            replaces=Replaces("1@x", "a", "b"),
            uri_headers=[("Subject", "lunch?"), ("Route", "<sip:evil.example>")],
            headers=[("Subject", "please")],
            referred_by=False,
            subscription="unwanted",
        )
        self.assertEqual(seen.refer_to.replaces, Replaces("1@x", "a", "b"))
        self.assertEqual(seen.referral_fields(), [("Subject", "lunch?")])
        self.assertEqual(seen.request.headers["Subject"], "please")
        self.assertIsNone(seen.referred_by)
        self.assertFalse(seen.wants_notifications)
        self.assertEqual(self.said(join=Join("1@x", "a", "b")).refer_to.join, Join("1@x", "a", "b"))
        self.assertEqual(self.said(method="OPTIONS").method, "OPTIONS")
        self.assertEqual(self.said(ReferTo.of(CAROL, method="INFO")).method, "INFO")

    def test_way(self) -> None:
        """It goes where via= says (row:E22)."""
        [address] = self.network.addresses_of("b.example")
        way = Target(Transport.TLS, address, 5061, "b.example")
        self.assertEqual(self.status_of(self.alice.refer("sip:bob@nowhere.example", CAROL, via=way)), 603)

    def test_known_dialog(self) -> None:
        """Target-Dialog says why it should be done; a stranger who says so is nobody (row:I9, fault:D5)."""
        session, theirs = self.call()
        assert session.usage is not None
        self.assertIs(self.said(target_dialog=session).target_session, theirs)
        stolen = self.referrals[-1].request.headers["Target-Dialog"]
        for headers in ([("Target-Dialog", stolen)], [("Target-Dialog", "a;local-tag=b")]):
            self.assertEqual(self.status_of(self.carol.refer(BOB, CAROL, headers=headers)), 603)
            self.assertIsNone(self.referrals[-1].target_session)
        self.run_until(session.terminate())

    def test_known_extension(self) -> None:
        """RFC 4538 section 3: Target-Dialog is to be understood where the peer has said that it understands it
        (row:I9)."""
        self.bob.profile.supported.discard("tdialog")
        session, _ = self.call()
        self.bob.profile.supported.add("tdialog")
        self.assertNotIn("Require", self.said(target_dialog=session).request.headers)
        self.run_until(session.terminate())
        session, _ = self.call()
        self.assertEqual(self.said(target_dialog=session).request.headers.get_all("Require"), ["tdialog"])
        self.said(target_dialog=session, subscription="explicit")
        self.assertEqual(self.referrals[-1].request.headers.get_all("Require"), ["explicitsub", "tdialog"])
        self.bob.profile.supported.discard("tdialog")
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL, target_dialog=session)), 420)
        self.run_until(session.terminate())

    def test_out_of_the_dialog(self) -> None:
        """In a session one may refer outside of its dialog (row:I8)."""
        session, theirs = self.call()
        self.assertEqual(self.status_of(session.refer(CAROL, in_dialog=False)), 603)
        seen = self.referrals[-1]
        self.assertIsNone(seen.session)
        self.assertIs(seen.target_session, theirs)
        self.assertNotEqual(seen.request.call_id, session.call_id)
        self.run_until(session.terminate())

    def test_nobody(self) -> None:
        """In a session in which one is nobody Referred-By does not say who one is, unless that is wanted (row:I10)."""
        session, _ = self.call(privacy=["user"])
        self.assertEqual(self.status_of(session.refer(CAROL)), 603)
        self.assertIsNone(self.referrals[-1].referred_by)
        self.assertEqual(self.status_of(session.refer(CAROL, referred_by=True)), 603)
        self.assertEqual(str(self.referrals[-1].referred_by), "<sip:alice@a.example>")
        self.run_until(session.terminate())

    def test_nobody_elsewhere(self) -> None:
        """Nor does a REFER outside of the dialog of such a session, nor the subscription to what becomes of it
        (row:I8)."""
        heard: list[Any] = []
        self.bob.connection_manager.dispatch.heard.subscribe(lambda told: heard.append(told[0].request))
        session, _ = self.call(privacy=["user"])
        self.assertEqual(self.status_of(session.refer(CAROL, in_dialog=False)), 603)
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(lambda referral: referral.accept(False))
        referral: Any = self.run_until(session.refer(CAROL, subscription="explicit"))
        self.network.advance(1)
        self.assertTrue(referral.is_over)
        self.run_until(session.terminate())
        methods = [request.method for request in heard]
        self.assertEqual((methods.count("REFER"), methods.count("SUBSCRIBE")), (2, 1))
        for request in heard:
            self.assertNotIn("alice", str(list(request.headers)), request.method)
        self.network.advance(4000)

    def test_kind(self) -> None:
        """A referral says what it is (row:I1)."""
        referral = Referral(self.alice, ReferTo.of(CAROL))
        self.assertIn("IDLE to sip:carol@c.example", repr(referral))
