"""Tests of :mod:`sip_p2p.endpoint.leaving`: much of ours that ends at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import EventStateCompositor, Limits, PresencePackage
from sip_p2p.documents.pidf import Presence
from sip_p2p.testing import Network
from tests.endpoint.subscription.watching import Gauge
from tests.endpoint.support import PartyTestCase
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p import SipPeerToPeerEndpoint
    from sip_p2p.transport.flow import LiveFlow

MANY = 450


class Slow:
    """A life whose last word is never answered.

    :ivar asked: what was asked of all of them, with the times.
    """

    kind = "publications"

    def __init__(self, endpoint: SipPeerToPeerEndpoint, asked: list[tuple[float, str]], clock: Any) -> None:
        self.endpoint = endpoint
        self.flow: LiveFlow | None = None
        self.asked = asked
        self._clock = clock
        self.then: Any = None
        endpoint.connection_manager.lives.add(self)

    def end(self) -> None:
        """Politely."""
        self.asked.append((self._clock.seconds(), "end"))
        if self.then is not None:
            self.then()

    def abandon(self, error: Exception) -> None:
        """At once."""
        self.asked.append((self._clock.seconds(), "abandon"))
        self.endpoint.connection_manager.lives.gone(self)

    def take(self, effect: Any) -> None:
        """What its machine says."""


class RoundsTests(PartyTestCase):
    """How many at a time."""

    def setUp(self) -> None:
        """Many lives."""
        super().setUp()
        self.asked: list[tuple[float, str]] = []
        self.lives = [Slow(self.alice, self.asked, self.network.clock) for _ in range(MANY)]

    def test_rounds(self) -> None:
        """They end a hundred at a time, a hundredth of a second apart, each once (row:B14, fault:K8)."""
        began = self.network.clock.seconds()
        self.alice.terminate()
        self.assertEqual(len(self.asked), 100)
        self.network.advance(1)
        self.assertEqual({what for _, what in self.asked}, {"end"})
        rounds = [round(100 * (when - began)) for when, _ in self.asked]
        self.assertEqual([rounds.count(each) for each in range(5)], [100, 100, 100, 100, 50])

    def test_no_time_left(self) -> None:
        """What has not had its turn by the end of the time is let go of with the others, and no timer is left."""
        room = self.alice.connection_manager.limits
        self.assertGreater(room.drain_timeout, 1)
        self.network.run_until(self.alice.terminate())
        self.assertEqual([what for _, what in self.asked].count("abandon"), MANY)
        self.assertEqual(len(self.alice.connection_manager.lives), 0)

    def test_gone_before_its_turn(self) -> None:
        """What is gone before its turn is not asked any more."""
        manager = self.alice.connection_manager
        self.alice.terminate()
        for life in self.lives:
            manager.lives.gone(life)
        self.network.advance(1)
        self.assertEqual(len(self.asked), 100)

    def test_within_an_end(self) -> None:
        """Whoever ends everything from within an end begins no round within the round (fault:K5)."""
        for life in self.lives:
            life.then = self.alice.terminate
        self.alice.terminate()
        self.assertEqual(len(self.asked), 100)
        self.network.advance(1)
        self.assertEqual(len(self.asked), MANY)


class ManyTests(SynchronousTestCase):
    """More to say than a connection may owe."""

    def setUp(self) -> None:
        """Alice's connection may owe little."""
        self.network = Network(delay=0.01)
        limits = Limits(write_buffer=16 * 1024, write_buffer_hard=32 * 1024, publications_per_identity=MANY)
        self.alice = self.network.party("sip:alice@a.example", manager={"limits": limits})
        self.bob = self.network.party("sip:bob@b.example", manager={"limits": limits})
        self.addCleanup(self.network.finish)

    def end(self) -> None:
        """Alice goes, in good time, and nothing was cut off."""
        began = self.network.clock.seconds()
        self.network.run_until(self.alice.terminate())
        self.assertLess(self.network.clock.seconds() - began, 3)
        manager = self.alice.connection_manager
        self.assertEqual(manager.metrics()["limit_write_buffer_hard"], 0)
        self.assertEqual((len(manager.lives), len(manager.core.dialogs)), (0, 0))

    def test_subscriptions(self) -> None:
        """Each notifier hears of the end of each of our subscriptions, on one connection (row:B14, fault:K8)."""
        gauge = Gauge()
        self.bob.packages.add(gauge)
        for _ in range(MANY):
            self.network.run_until(self.alice.subscribe("sip:bob@b.example", "x-gauge"))
        self.assertEqual(len(gauge.subscribers), MANY)
        self.end()
        self.network.advance(1)
        self.assertEqual(gauge.subscribers, ())

    def test_publications(self) -> None:
        """Each of our publications is removed, on one connection (row:B14, fault:K8)."""
        me = "sip:alice@a.example"
        compositor = EventStateCompositor(self.bob, [PresencePackage()], may_publish=lambda request, resource: True)
        for number in range(MANY):
            # One at a time would go out to one URI (RFC 3903 section 4).
            target = f"sip:bob@b.example;line={number}"
            self.network.run_until(self.alice.publish("presence", Presence.of(me), target=target))
        self.assertEqual(len(compositor), MANY)
        self.end()
        self.network.advance(1)
        self.assertEqual(len(compositor), 0)
