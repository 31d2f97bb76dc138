"""Doing what a REFER asks for."""

from __future__ import annotations

from typing import Any

from sip_p2p import InvalidOperation, ReferStatus
from tests.endpoint.session.calls import ANSWER, BOB, OFFER
from tests.endpoint.transfer.support import CAROL, TransferTestCase, statuses


class FollowingTests(TransferTestCase):
    """What is called, and what is told of it."""

    decision: Any = None

    def refer_received(self, referral: Any) -> None:
        """Bob does as the test says."""
        self.referrals.append(referral)
        self.decision(referral)

    def refer(self, decision: Any, target: str = CAROL, **arguments: Any) -> tuple[Any, list[int]]:
        """A referral of Alice's that Bob decides about, and what she is told of it."""
        self.decision = decision
        referring = self.alice.refer(BOB, target, **arguments)
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        told, _ = statuses(referral)
        return referral, told

    def test_the_call(self) -> None:
        """The call says who is said to have asked for it, and what its URI may say (row:I7, row:I10)."""
        made: list[Any] = []
        _, told = self.refer(
            lambda referral: made.append(referral.accept(offer=OFFER, headers=[("X-Said", "1")], max_ring=5)),
            uri_headers=[("Subject", "lunch")],
        )
        [session] = made
        self.assertIs(self.referrals[0].following.session, session)
        invite = self.at_carol[0].invite
        assert invite is not None
        self.assertEqual(invite.headers["Referred-By"], "<sip:alice@a.example>")
        self.assertEqual(invite.headers["Subject"], "lunch")
        self.assertEqual(invite.body.decode(), OFFER)
        self.network.advance(10)
        self.assertEqual(told, [100, 408])

    def test_claim_as_it_came(self) -> None:
        """RFC 3892 section 2.2: who is said to have asked goes on as it was written, whatever else there is to it
        (row:I10)."""
        for claim in (
            'sip:r@ref.example;cid="2UWQFN309shb3@ref.example"',
            "A B  <sip:r@ref.example;x=%41?y=z> ; X=y",
        ):
            _, told = self.refer(lambda each: each.accept(offer=OFFER), headers=[("b", claim)], referred_by=False)
            invite = self.at_carol[-1].invite
            assert invite is not None
            self.assertEqual(invite.headers["Referred-By"], claim)
            self.at_carol[-1].reject()
            self.network.advance(1)
            self.assertEqual(told, [100, 486])

    def test_unreachable(self) -> None:
        """Where nobody is, 503 is told (row:I6)."""
        referral, told = self.refer(lambda referral: referral.accept(offer=OFFER), "sip:x@nowhere.example")
        self.network.advance(1)
        self.assertEqual(told, [100, 503])
        self.assertIs(referral.status, ReferStatus.FAILED)

    def test_given_up(self) -> None:
        """A call that its caller gives up is told as cancelled (row:I6)."""
        made: list[Any] = []
        _, told = self.refer(lambda referral: made.append(referral.accept(offer=OFFER)))
        self.run_until(made[0].terminate())
        self.network.advance(1)
        self.assertEqual(told, [100, 487])

    def test_made_by_the_application(self) -> None:
        """The application may make the session itself, at once or later (row:I5)."""

        def makes(referral: Any) -> Any:
            session = self.bob.create_session(CAROL)
            session.establish(OFFER)
            return session

        async def makes_later(referral: Any) -> Any:
            return makes(referral)

        for make in (makes, makes_later):
            _, told = self.refer(lambda referral, make=make: referral.accept(make))
            self.at_carol[-1].accept(ANSWER)
            self.network.advance(1)
            self.assertEqual(told, [100, 200])
            self.run_until(self.at_carol[-1].terminate())

    def test_established_already(self) -> None:
        """One that stands, or is over, is told as it is (row:I5)."""
        session = self.bob.create_session(CAROL)
        establishing = session.establish(OFFER)
        self.network.advance(0.5)
        self.at_carol[-1].accept(ANSWER)
        self.run_until(establishing)
        for expected in (200, 487):
            _, told = self.refer(lambda referral: referral.accept(lambda _: session))
            self.network.advance(1)
            self.assertEqual(told[-1], expected)
            self.run_until(session.terminate())

    def test_application_fails(self) -> None:
        """Where the application cannot make it, that is told, and logged where it is its fault (fault:K1)."""

        def fails(referral: Any) -> Any:
            raise ZeroDivisionError

        async def cannot(referral: Any) -> Any:
            return await self.bob.invite("sip:x@nowhere.example", OFFER)

        for make in (fails, cannot):
            _, told = self.refer(lambda referral, make=make: referral.accept(make))
            self.network.advance(2)
            self.assertEqual(told[-1], 503)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_another_method(self) -> None:
        """Another request is made, and its answer told (row:I7)."""
        self.carol.handle("PING", lambda event: 488)
        _, told = self.refer(lambda referral: referral.accept(), method="PING")
        self.network.advance(1)
        self.assertEqual(told, [100, 488])
        _, told = self.refer(lambda referral: referral.accept(), "sip:x@nowhere.example", method="PING")
        self.network.advance(1)
        self.assertEqual(told, [100, 503])

    def test_asked_with_sips(self) -> None:
        """Who was asked at a sips URI does not go on without it by itself: that is for the application to allow (RFC
        5630 section 5.1.1.3)."""

        def allows(referral: Any) -> None:
            self.assertRaises(InvalidOperation, referral.accept, offer=OFFER)
            referral.accept(lambda each: each.endpoint.invite(CAROL, OFFER))

        def follows(referral: Any) -> None:
            referral.accept(offer=OFFER)

        for decision, target in ((allows, CAROL), (follows, CAROL.replace("sip:", "sips:"))):
            self.decision = decision
            referring = self.alice.refer(BOB.replace("sip:", "sips:"), target)
            self.network.advance(0.5)
            self.successResultOf(referring)
            self.assertEqual(len(self.at_carol), 1)
            invite = self.at_carol[0].invite
            assert invite is not None
            self.assertEqual(invite.uri_text[:5] == "sips:", target[:5] == "sips:")
            self.at_carol.pop().reject()
            self.network.advance(1)

    def test_what_does_not_fit(self) -> None:
        """Arguments of a call are for calls (row:I7)."""

        def wrong(referral: Any) -> None:
            self.assertRaises(InvalidOperation, referral.accept, max_ring=5)
            referral.accept()

        _, told = self.refer(wrong, method="PING")
        self.network.advance(1)
        self.assertEqual(told, [100, 501])
