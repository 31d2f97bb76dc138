"""Subscriptions of one's own to what becomes of a REFER (RFC 7614)."""

from __future__ import annotations

from typing import Any

from sip_p2p import (
    IncomingReferral,
    InvalidOperation,
    OperationTimeout,
    Referral,
    ReferStatus,
    RequestFailed,
    SessionTerminated,
    SignalingState,
)
from sip_p2p.endpoint.subscription.package import EventPackage, Verdict
from sip_p2p.endpoint.transfer.explicit import MOST_SUBSCRIBERS, ReferralEvents, events_uri
from sip_p2p.endpoint.transfer.following import Following
from sip_p2p.sip.event.notifier import Notifier
from sip_p2p.sip.event.referring import Referrer
from sip_p2p.sip.event.subscriber import Subscriber
from sip_p2p.sip.message import Response
from tests.endpoint.session.calls import BOB
from tests.endpoint.transfer.support import ANSWER, CAROL, TransferTestCase, statuses
from tests.support import nothing_left

_LINGER = 70


class ExplicitTestCase(TransferTestCase):
    """Alice refers Bob with ``explicitsub``; in the end time has passed until nobody can subscribe any more."""

    def setUp(self) -> None:
        """In the end Carol has enough, and nobody listens."""
        super().setUp()
        self.addCleanup(self.end_all)

    def end_all(self) -> None:
        """End what goes on."""
        for party in (self.alice, self.carol):
            for life in party.connection_manager.lives.of(party):
                life.end()
            for session in party.sessions:
                session.terminate()
        self.network.advance(1)

    def refer(self, **arguments: Any) -> Any:
        """A REFER outside of sessions."""
        referring = self.alice.refer(BOB, CAROL, **{"subscription": "explicit", **arguments})
        self.network.advance(0.5)
        return self.successResultOf(referring)

    def uri(self, index: int = 0) -> str:
        """Where one may subscribe."""
        return str(self.referrals[index].events_uri)


class ToldTests(ExplicitTestCase):
    """The referrer's way through."""

    def test_followed(self) -> None:
        """The answer says where to subscribe, and the subscription tells how it goes (row:I8)."""
        referral = self.refer()
        told, reading = statuses(referral)
        self.assertEqual(referral.response.status, 200)
        self.assertEqual(referral.response.headers["Refer-Events-At"], f"<{self.uri()}>")
        [ours] = self.referrals
        self.assertTrue(ours.is_explicit and ours.wants_notifications and ours.is_told)
        self.assertEqual(self.bob.connection_manager.lives.counts()["notifiers"], 2)
        [subscription] = self.bob.packages.subscriptions
        self.assertTrue(subscription.is_verified)
        self.at_carol[0].ring()
        self.network.advance(1)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        self.successResultOf(reading)
        self.assertEqual(told, [100, 180, 200])
        self.assertIs(referral.status, ReferStatus.SUCCEEDED)
        self.assertEqual(referral.outcome.state.reason, "noresource")
        self.assertFalse(ours.is_told)

    def test_in_a_session(self) -> None:
        """In a session the REFER is in its dialog, and the subscription is in one of its own (row:I8, row:I1)."""
        session, theirs = self.call()
        referring = session.refer(CAROL, subscription="explicit")
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        self.assertIs(self.referrals[0].session, theirs)
        self.assertIsNone(session.usage.dialog.subscriptions)
        self.run_until(session.terminate())
        self.at_carol[0].reject(486)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(referral.when_final(), RequestFailed).value.status, 486)

    def test_transfer(self) -> None:
        """A transfer can be told of in this way (row:I1)."""
        session, _ = self.call()
        transferring = session.transfer(CAROL, subscription="explicit")
        self.network.advance(0.5)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(self.successResultOf(transferring).status, 200)
        self.assertIs(session.state, SignalingState.DISCONNECTED)

    def test_stopped(self) -> None:
        """Who has heard enough ends the subscription, and the referral goes on (row:I4)."""
        referral = self.refer()
        waiting = referral.when_final()
        referral.stop()
        self.failureResultOf(waiting, SessionTerminated)
        self.network.advance(1)
        self.assertEqual(self.bob.packages.subscriptions, ())
        self.assertTrue(self.referrals[0].is_told)

    def test_end_of_the_party(self) -> None:
        """Who is told of it hears when the party ends, and nothing is left (row:B13)."""
        referral = self.refer()
        self.run_until(self.bob.terminate())
        self.network.advance(1)
        self.assertTrue(referral.is_over)
        self.assertEqual(sum(self.bob.connection_manager.lives.counts().values()), 0)

    def test_refreshed(self) -> None:
        """It lasts for as long as somebody is subscribed, and an hour where nobody is (row:I8)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(lambda each: (each.accept(False), self.referrals.append(each)))
        referral = self.refer()
        for _ in range(40):
            self.network.advance(300)
        self.referrals[0].progress(180)
        self.network.advance(1)
        self.assertIs(referral.status, ReferStatus.PROGRESSING)
        referral.stop()
        for _ in range(13):
            self.network.advance(300)
        self.assertIsNone(self.referrals[0].events_uri)
        self.referrals[0].progress(200)


class MemoryTests(ExplicitTestCase):
    """What is left of a referral that was subscribed to."""

    def test_nothing(self) -> None:
        """Nothing of it outlives the time in which it can be subscribed to, and no collector is needed (row:I8)."""
        with nothing_left(self, Referral, Referrer, Subscriber, Notifier, IncomingReferral, Following, ReferralEvents):
            referral = self.refer()
            self.at_carol[-1].reject()
            self.network.advance(1)
            self.assertTrue(referral.is_over)
            del referral
            for kept in (self.at_carol, self.referrals):
                kept.clear()
            self.network.advance(_LINGER)


class SubscribersTests(ExplicitTestCase):
    """Whoever subscribes besides."""

    def setUp(self) -> None:
        """Bob has been referred."""
        super().setUp()
        self.referral = self.refer()

    def fetched(self, party: Any, uri: str | None = None, **arguments: Any) -> Any:
        """The state that *party* is told, or the status of the refusal."""
        fetching = party.fetch(uri or self.uri(), "refer", **arguments)
        self.network.advance(2)
        outcome: list[Any] = []
        fetching.addCallbacks(lambda told: outcome.append(told.body), lambda why: outcome.append(why.value.status))
        return outcome[0]

    def test_several(self) -> None:
        """The referrer may subscribe as often as it likes, each time in a dialog of its own (row:I8)."""
        subscribing = self.alice.subscribe(self.uri(), "refer")
        self.network.advance(1)
        another = self.successResultOf(subscribing)
        self.assertEqual(len(self.bob.packages.subscriptions), 2)
        self.assertEqual(self.fetched(self.alice), b"SIP/2.0 100 Trying\r\n")
        self.at_carol[0].reject(603)
        self.network.advance(1)
        self.assertTrue(another.is_over)
        self.assertEqual(another.reason, "noresource")
        self.assertIs(self.referral.status, ReferStatus.FAILED)

    def test_late(self) -> None:
        """Who comes after the outcome hears it, until nobody can be on the way any more (row:I8)."""
        uri = self.uri()
        self.at_carol[0].reject(603)
        self.network.advance(1)
        subscribing = self.alice.subscribe(uri, "refer", retry="never")
        self.network.advance(1)
        self.failureResultOf(subscribing)
        self.assertEqual(self.fetched(self.alice, uri), b"SIP/2.0 603 Decline\r\n")
        self.network.advance(_LINGER)
        self.assertEqual(self.fetched(self.alice, uri), 404)

    def test_strangers(self) -> None:
        """Nobody else may, though he knows where; and where nothing is, there is nothing (row:I8, fault:D4)."""
        self.assertEqual(self.fetched(self.carol), 403)
        token = self.referrals[0].events_uri.params["refer"]
        guessed = self.uri().replace(token, "0" * len(token))
        for uri in (guessed, str(self.bob.contact_uri), BOB):
            self.assertEqual(self.fetched(self.alice, uri), 404)

    def test_who_may(self) -> None:
        """Whoever accepts a REFER may let others know (row:I8)."""
        asked: list[Any] = []

        def let(request: Any) -> Verdict:
            asked.append(request.peer.identity)
            return Verdict.accept() if request.peer.identity == "c.example" else Verdict.reject()

        def accept(referral: Any) -> None:
            self.referrals.append(referral)
            referral.accept(False, may_subscribe=let)

        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(accept)
        second = self.refer()
        self.failureResultOf(second.when_final())
        self.assertEqual(self.fetched(self.carol, self.uri(1)), b"SIP/2.0 100 Trying\r\n")
        self.assertEqual(asked, ["a.example", "c.example"])
        self.referrals[1].progress(200)

    def test_many(self) -> None:
        """There is room for so many, and a further one is to come again (fault:D9)."""
        for _ in range(MOST_SUBSCRIBERS - 1):
            self.alice.subscribe(self.uri(), "refer")
            self.network.advance(0.2)
        self.network.advance(1)
        self.assertEqual(len(self.bob.packages.subscriptions), MOST_SUBSCRIBERS)
        self.assertEqual(self.fetched(self.alice), 500)

    def test_other_fields(self) -> None:
        """What a SUBSCRIBE has to say is judged as for any other event (row:J9)."""
        self.assertEqual(self.fetched(self.alice, accept="text/plain"), 406)
        self.assertEqual(self.fetched(self.alice, accept="message/sipfrag"), b"SIP/2.0 100 Trying\r\n")


class RefusedTests(ExplicitTestCase):
    """Where it cannot be."""

    def test_not_here(self) -> None:
        """Where the application has SUBSCRIBE, or an event of this name, for itself the extension is not known
        (row:I8)."""

        class Refer(EventPackage):
            name = "refer"

        own = self.bob.packages.add(Refer())
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL, subscription="explicit")), 420)
        self.bob.packages.remove(own)
        self.bob.handle("SUBSCRIBE", lambda request: 480)
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL, subscription="explicit")), 420)
        self.assertEqual(self.referrals, [])

    def test_both(self) -> None:
        """Nobody can want a subscription of his own and none (row:I8, fault:D4)."""
        headers = [("Refer-To", CAROL), ("Require", "nosub"), ("Require", "explicitsub")]
        self.assertEqual(self.status_of(self.alice.request("REFER", BOB, headers=headers)), 400)

    def test_declined(self) -> None:
        """A REFER that is declined has nothing to subscribe to (row:I5)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(lambda each: each.decline())
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL, subscription="explicit")), 603)
        self.assertIsNone(self.bob.packages.get("refer"))

    def test_nowhere(self) -> None:
        """An answer that does not say where, or leads where no peer may lead, ends in that nothing is told (row:I8,
        fault:D4)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        for value in (None, "<tel:+4930>", "(none)", "<sip:x@c.example;transport=tcp>", "<sips:x@127.0.0.1>"):
            headers = () if value is None else (("Refer-Events-At", value),)
            self.bob.handle("REFER", lambda request, fields=headers: request.response(200, headers=fields))
            referral = self.refer()
            self.assertIs(referral.status, ReferStatus.TERMINATED, value)
            self.failureResultOf(referral.when_final(), OperationTimeout)
            self.bob.stop_handling("REFER")

    def test_uri(self) -> None:
        """Nothing but the URI is taken of what a peer names (fault:D4)."""
        response = Response(200, None, [("Refer-Events-At", '"x" <sips:a@b.example;refer=1?Route=%3Csip:evil%3E>')])
        self.assertEqual(str(events_uri(response, None)), "sips:a@b.example;refer=1")
        self.assertRaises(InvalidOperation, events_uri, None, None)
