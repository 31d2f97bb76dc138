"""Random lives of subscriptions: three parties, connections that break, notifiers that change their mind."""

from __future__ import annotations

import random
from typing import Any

from sip_p2p import SipError, Subscription, SubscriptionState
from sip_p2p.testing import Network
from tests.endpoint.subscription.watching import Gauge
from tests.support import SynchronousTestCase

REASONS = ("deactivated", "probation", "rejected", "giveup", "noresource", "timeout")
TARGETS = ("sip:bob@b.example", "sip:carol@c.example")


class World:
    """Alice, Bob and Carol: Bob and Carol have gauges, and everybody watches everybody else's."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.network = Network(delay=0.01, seed=seed)
        self.parties = [self.network.party(f"sip:{name}@{name[0]}.example") for name in ("alice", "bob", "carol")]
        self.gauges = {}
        for party, target in zip(self.parties[1:], TARGETS, strict=True):
            gauge = self.gauges[target] = Gauge()
            party.packages.add(gauge)
        self.subscriptions: list[Subscription] = []
        self.heard: dict[Subscription, bytes] = {}

    def step(self) -> None:
        """Something happens."""
        draw = self.random
        what = draw.choice(("subscribe", "subscribe", "show", "show", "end", "cut", "part", "heal", "leave", "refresh"))
        getattr(self, what)()
        self.network.advance(draw.choice((0, 0.005, 0.02, 1, 40)))

    def subscribe(self) -> None:
        """One more subscription."""
        who = self.random.choice(self.parties)
        target = self.random.choice([each for each in TARGETS if each != str(who.owner_uri)])
        expires = self.random.choice((60, 600, 1200))
        subscription = who.create_subscription(target, "x-gauge", expires=expires, retry="always")

        def hear(notification: Any) -> None:
            if notification.body:
                self.heard[subscription] = notification.body

        subscription.notification_received.subscribe(hear)
        self.subscriptions.append(subscription)
        subscription.start().addErrback(lambda failure: failure.trap(SipError) and None)

    def show(self) -> None:
        """A gauge changes."""
        self.random.choice(list(self.gauges.values())).show(self.random.randrange(1000))

    def end(self) -> None:
        """A notifier ends a subscription."""
        theirs = [each for gauge in self.gauges.values() for each in gauge.subscribers]
        if theirs:
            self.random.choice(theirs).terminate(self.random.choice(REASONS), retry_after=3)

    def cut(self) -> None:
        """Connections break."""
        self.network.cut("a.example", self.random.choice(("b.example", "c.example")))

    def part(self) -> None:
        """Two parties lose sight of each other."""
        self.network.partition(*self.random.sample(("a.example", "b.example", "c.example"), 2))

    def heal(self) -> None:
        """They see each other again."""
        self.network.heal()

    def leave(self) -> None:
        """A subscriber has enough."""
        if self.subscriptions:
            self.random.choice(self.subscriptions).terminate()

    def refresh(self) -> None:
        """A subscriber wants to know now."""
        standing = [each for each in self.subscriptions if each.state is SubscriptionState.SUBSCRIBED]
        if standing:
            try:
                refreshing = self.random.choice(standing).refresh("again")
            except SipError:
                return
            refreshing.addErrback(lambda failure: failure.trap(SipError) and None)


class RandomTests(SynchronousTestCase):
    """Whatever happens, both sides agree once the last refresh is through, and nothing is left."""

    def test_lives(self) -> None:
        """Once the network is whole each subscription that is not over stands and has heard the newest state; after the
        end of all parties nothing is left of any. row:J2 row:J5"""
        for seed in range(6):
            world = World(seed)
            for _ in range(30):
                world.step()
            world.heal()
            world.network.advance(1500)
            for gauge in world.gauges.values():
                gauge.show(5000 + seed)
            world.network.advance(60)
            for subscription in world.subscriptions:
                self.assertIn(
                    subscription.state,
                    (SubscriptionState.SUBSCRIBED, SubscriptionState.TERMINATED),
                    (seed, subscription),
                )
                if subscription.state is SubscriptionState.SUBSCRIBED:
                    self.assertEqual(world.heard[subscription], str(5000 + seed).encode(), (seed, subscription))
            standing = [each for each in world.subscriptions if not each.is_over]
            theirs = [each for gauge in world.gauges.values() for each in gauge.subscribers]
            self.assertEqual(len(standing), len(theirs), seed)
            for party in world.parties:
                world.network.run_until(party.terminate())
            world.network.advance(100)
            for party in world.parties:
                inventory = party.connection_manager.inventory()
                names = ("subscriptions", "notifiers", "dialogs", "errands", "leases", "appointments")
                self.assertEqual([inventory[name] for name in names], [0] * 6, (seed, party))
            world.network.finish()
