"""What a service tells of what lives on beside sessions."""

from __future__ import annotations

from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.publication.compositor import EventStateCompositor
from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.lives.ledger import MOST_INCOMING
from tests.service.lives.support import LedgerCase

WHO = "sip:user@b.example"


class LedgerTests(LedgerCase):
    """Each kind, from its beginning to its end."""

    def test_subscription(self) -> None:
        """One of ours is told of from its beginning to its end, with what was notified."""
        package = PresencePackage(lambda request: True)
        package.set(WHO, Presence.of(WHO))
        self.theirs.packages.add(package)
        subscribing = self.ours.subscribe(WHO, "presence")
        self.network.advance(2)
        self.network.run_until(self.successResultOf(subscribing).terminate())
        self.assertEqual(
            self.heard("subscription", "subscription-state"),
            [
                ("subscription", "idle"),
                ("subscription-state", "subscribing"),
                ("subscription-state", "subscribed"),
                ("subscription-state", "terminating"),
                ("subscription-state", "terminated"),
            ],
        )
        self.assertEqual(self.heard("notification")[0], ("notification", "active"))
        self.assertIn("<presence", str(next(each.fields["text"] for each in self.told if "text" in each.fields)))
        self.assertEqual(len(self.ledger.subscriptions), 0)

    def test_iterated(self) -> None:
        """Who looks at all of them takes nothing from an application that iterates one."""
        package = PresencePackage(lambda request: True)
        package.set(WHO, Presence.of(WHO))
        self.theirs.packages.add(package)
        subscribing = self.ours.subscribe(WHO, "presence")
        self.network.advance(2)
        subscription = self.successResultOf(subscribing)
        self.assertTrue(self.successResultOf(subscription.__anext__()).document.is_open)

    def test_subscriber(self) -> None:
        """One of a peer's is told of when it stands, and when it has ended, and why."""
        self.ours.packages.add(PresencePackage())
        subscribing = self.theirs.subscribe("sip:user@a.example", "presence")
        self.network.advance(2)
        self.network.run_until(self.successResultOf(subscribing).terminate())
        self.assertEqual(
            self.heard("subscriber", "subscriber-state"), [("subscriber", "active"), ("subscriber-state", "terminated")]
        )
        self.assertEqual(self.told[-1].fields["reason"], "timeout")
        self.assertEqual(len(self.ledger.subscribers), 0)

    def test_publication(self) -> None:
        """A publication is told of from its beginning to its end; a refresh is no news."""
        EventStateCompositor(self.theirs, [PresencePackage()], may_publish=lambda request, resource: True)
        publishing = self.ours.publish("presence", Presence.of(WHO), target=WHO)
        self.network.advance(2)
        publication = self.successResultOf(publishing)
        self.network.run_until(publication.refresh())
        self.network.run_until(publication.remove())
        told = self.heard("publication", "publication-state")
        self.assertEqual((told[0][0], told[1], told[-1]), (
            "publication", ("publication-state", "stands"), ("publication-state", "over"),
        ))  # fmt: skip
        self.assertEqual(len(self.ledger.publications), 0)

    def test_referral(self) -> None:
        """A REFER of a peer's is told of when it waits, and when it is decided."""
        asked = self.deferred()
        self.refer("sip:carol@c.example")
        self.network.advance(1)
        self.assertEqual((self.heard("referral"), len(self.ledger.referrals)), ([("referral", "waiting")], 1))
        asked[0].decline()
        self.assertEqual(self.heard("referral-state"), [("referral-state", "declined")])
        self.assertEqual(len(self.ledger.referrals), 0)

    def test_bounded(self) -> None:
        """However many REFERs of peers wait, so many are remembered and no more; the oldest gives way, and that it is
        decided later is no news."""
        manager = self.ours.connection_manager
        manager.limits = manager.limits.replace(pending_requests=2 * MOST_INCOMING)
        asked = self.deferred()
        for number in range(MOST_INCOMING + 2):
            self.refer(f"sip:{number}@c.example")
            if number % 100 == 99:
                self.network.advance(1)
        self.network.advance(1)
        self.assertEqual((len(asked), len(self.ledger.referrals)), (MOST_INCOMING + 2, MOST_INCOMING))
        told = len(self.heard("referral"))
        self.assertEqual(told, MOST_INCOMING + 2)
        asked[0].decline()
        asked[1].decline()
        self.assertEqual((len(self.heard("referral")), self.heard("referral-state")), (told, []))
        self.assertEqual(len(self.ledger.referrals), MOST_INCOMING)
        asked[2].decline()
        self.assertEqual(self.heard("referral-state"), [("referral-state", "declined")])
        self.assertEqual(len(self.ledger.referrals), MOST_INCOMING - 1)

    def test_unheard(self) -> None:
        """Where nobody follows and nothing is kept, what was notified is counted and not described, and the states are
        right all the same once somebody asks."""
        self.listen(Happenings(capacity=0))
        self.assertTrue(self.happenings.is_unheard)
        package = PresencePackage(lambda request: True)
        package.set(WHO, Presence.of(WHO))
        self.theirs.packages.add(package)
        subscribing = self.ours.subscribe(WHO, "presence")
        self.network.advance(2)
        package.set(WHO, Presence.of(WHO, is_open=False))
        self.network.advance(10)
        subscription = self.successResultOf(subscribing)
        entry = self.ledger.subscriptions.entry_of(subscription)
        assert entry is not None
        said = entry.in_full()
        self.assertEqual((said["state"], said["count"], said["notifications"]), ("subscribed", 2, []))
        self.assertEqual((self.happenings.newest, self.told), (0, []))

    def test_ended(self) -> None:
        """A ledger whose party is gone is told nothing any more."""
        self.ledger.ended()
        lives = self.ours.connection_manager.lives
        self.assertFalse(lives.begun or lives.changed or lives.ended or lives.notified or lives.referred)

    def deferred(self) -> list[IncomingReferral]:
        """The REFERs that come to us, each of which waits."""
        asked: list[IncomingReferral] = []

        def take(referral: IncomingReferral) -> None:
            referral.defer()
            asked.append(referral)

        self.ours.refer_received.subscribe(take)
        return asked

    def refer(self, target: str) -> None:
        """The other one asks us for *target*."""
        self.theirs.refer("sip:user@a.example", target).addErrback(lambda _: None)
