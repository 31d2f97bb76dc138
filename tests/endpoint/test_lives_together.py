"""Whole lives of everything that lives on beside sessions, all together: three parties who ask each other for passwords
watch, publish, call, refer and transfer each other, while datagrams get lost, late and doubled, and connections break.
"""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p import (
    Credentials,
    DialogPackage,
    DigestAuthenticator,
    EventStateCompositor,
    InvalidOperation,
    PresencePackage,
    SipError,
    SipPeerToPeerEndpoint,
    Subscription,
    SubscriptionState,
)
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.testing import Network
from tests.endpoint.subscription.watching import Gauge
from tests.support import SynchronousTestCase

NAMES = ("alice", "bob", "carol")
PAIRS = (("a.example", "b.example"), ("b.example", "c.example"), ("a.example", "c.example"))
OFFER = "v=0\r\no=x 1 1 IN IP4 a.example\r\n"
REASONS = ("deactivated", "probation", "rejected", "giveup", "noresource", "timeout")
DEEDS = (
    "subscribe", "watch_lines", "show", "show", "end_theirs", "refresh", "leave", "publish", "modify", "withdraw",
    "call", "call", "hang_up", "refer", "refer_in", "blind", "attended", "stop", "cut", "vanish", "part", "heal",
    "forget_nonces", "other_password",
)  # fmt: skip
TIMES = (0.0, 0.005, 0.02, 0.05, 0.2, 1.0, 12.0, 45.0)
LEFT = (
    "sessions", "invitations", "subscriptions", "notifiers", "publications", "referrals", "dialogs", "errands",
    "appointments", "clients", "servers", "leases",
)  # fmt: skip


class World:
    """Alice, Bob and Carol.

    :ivar wishes: the outcomes of each wish: there has to be one of each.
    """

    def __init__(self, seed: int, over_udp: bool) -> None:
        faults: dict[str, Any] = {"loss": 0.1, "duplicate": 0.05, "reorder": 0.1} if over_udp else {}
        self.network = Network(delay=0.01, jitter=0.02, seed=seed, **faults)
        self.over_udp = over_udp
        self.credentials = {name: Credentials() for name in NAMES}
        self.parties: list[SipPeerToPeerEndpoint] = []
        self.gauges: list[Gauge] = []
        self.compositors: list[EventStateCompositor] = []
        self.packages: list[DialogPackage] = []
        self.presences: list[PresencePackage] = []
        for name in NAMES:
            self._add(name)
        self.wishes: list[list[object]] = []
        self.subscriptions: list[Subscription] = []
        self.publications: list[Any] = []
        self.referrals: list[Any] = []
        self.heard: dict[Subscription, bytes] = {}
        self._serial = 0
        self._pick = 0

    def _add(self, name: str) -> None:
        domain = f"{name[0]}.example"
        users = {other: f"{other} at {name}" for other in NAMES}
        # So short that many are stale when they are used again.
        options: dict[str, Any] = {
            "authenticator": DigestAuthenticator(domain, users.get, nonce_lifetime=20.0),
            "credentials": self.credentials[name],
        }
        if self.over_udp:
            options |= {"listen": "udp:port=5060", "default_transport": "udp"}
            # In clear a password is told to whom one has dialled, and that is not who subscribes.
            options["authenticator"] = DigestAuthenticator(
                domain,
                users.get,
                nonce_lifetime=20.0,
                required_for=lambda request, flow: request.method != "NOTIFY",
            )
        party = self.network.party(f"sip:{name}@{domain}", **options)
        for other in NAMES:
            self._knows(other, name)
        gauge, presence, lines = Gauge(), PresencePackage(), DialogPackage(party, may_watch=lambda request: True)
        for package in (gauge, presence, lines):
            party.packages.add(package)
        party.session_received.subscribe(self.called)
        party.refer_received.subscribe(self.referred)
        self.parties.append(party)
        self.gauges.append(gauge)
        self.packages.append(lines)
        self.presences.append(presence)
        self.compositors.append(EventStateCompositor(party, [presence], may_publish=lambda request, resource: True))

    def _knows(self, who: str, whom: str, password: str | None = None) -> None:
        domain = f"{whom[0]}.example"
        self.credentials[who].add(
            realm=domain,
            username=who,
            password=f"{who} at {whom}" if password is None else password,
            peer=domain,
            send_to_unverified_peers=self.over_udp,
        )

    # -- what happens by itself ----------------------------------------------------------------------------------------

    def called(self, session: Any) -> None:
        """Most are taken, after a while or at once."""
        self._serial += 1
        if self._serial % 5 == 4:
            session.reject(486)
        elif self._serial % 3:
            self.wish(session.accept(OFFER))
        else:
            self.network.later(0.5, self.accept, session)

    def accept(self, session: Any) -> None:
        """It is taken late, if it is there still."""
        with contextlib.suppress(InvalidOperation):
            self.wish(session.accept(OFFER))

    def referred(self, referral: Any) -> None:
        """Most are followed."""
        self._serial += 1
        if self._serial % 4 == 3:
            referral.decline()
        else:
            referral.accept(offer=OFFER)

    # -- what somebody does --------------------------------------------------------------------------------------------

    def step(self, deed: str, pick: int, seconds: float) -> None:
        """Something happens."""
        self._pick = pick
        with contextlib.suppress(InvalidOperation):
            getattr(self, deed)()
        self.network.advance(seconds)

    def one_of(self, things: Any) -> Any:
        """One of them; None where there is none."""
        return things[self._pick % len(things)] if things else None

    def two(self) -> tuple[SipPeerToPeerEndpoint, str, str]:
        """Somebody, and the name and the address of somebody else."""
        who = self._pick % 3
        whom = (who + 1 + self._pick // 3 % 2) % 3
        return self.parties[who], NAMES[whom], str(self.parties[whom].owner_uri)

    def wish(self, deferred: Any) -> None:
        """Somebody waits for it."""
        outcomes: list[object] = []
        self.wishes.append(outcomes)

        def ended(result: object) -> None:
            outcomes.append(result)
            if isinstance(result, Failure):
                result.trap(SipError)

        deferred.addBoth(ended)

    def subscribe(self, event: str = "x-gauge") -> None:
        """Somebody watches somebody else."""
        party, _, target = self.two()
        expires = (60, 600, 1200)[self._pick % 3]
        subscription = party.create_subscription(target, event, expires=expires, retry="always")

        def hear(notification: Any) -> None:
            if notification.body:
                self.heard[subscription] = notification.body

        subscription.notification_received.subscribe(hear)
        self.subscriptions.append(subscription)
        self.wish(subscription.start())

    def watch_lines(self) -> None:
        """Or watches to whom somebody else talks."""
        self.subscribe("dialog")

    def show(self) -> None:
        """Something changes."""
        self.one_of(self.gauges).show(self._pick)

    def end_theirs(self) -> None:
        """A notifier has enough."""
        theirs = [each for party in self.parties for each in party.packages.subscriptions]
        if theirs:
            self.one_of(theirs).terminate(self.one_of(REASONS), retry_after=3)

    def refresh(self) -> None:
        """A subscriber wants to know now."""
        standing = [each for each in self.subscriptions if each.state is SubscriptionState.SUBSCRIBED]
        if standing:
            self.wish(self.one_of(standing).refresh())

    def leave(self) -> None:
        """A subscriber has enough."""
        if self.subscriptions:
            self.wish(self.one_of(self.subscriptions).terminate())

    def publish(self) -> None:
        """Somebody publishes at somebody else's."""
        party, name, target = self.two()
        publishing = party.publish("presence", Presence.of(target, note=name), target=target, expires=300)
        publishing.addCallback(lambda publication: self.publications.append(publication) or publication)
        self.wish(publishing)

    def modify(self) -> None:
        """It changes."""
        if self.publications:
            self._serial += 1
            one = self.one_of(self.publications)
            self.wish(one.modify(Presence.of(str(one.target), note=str(self._serial))))

    def withdraw(self) -> None:
        """It is taken back."""
        if self.publications:
            self.wish(self.one_of(self.publications).remove())

    def call(self) -> None:
        """Somebody calls somebody else."""
        party, _, target = self.two()
        self.wish(party.invite(target, OFFER))

    def standing(self) -> list[Any]:
        """The sessions that stand."""
        return [each for party in self.parties for each in party.sessions if each.state is SignalingState.CONNECTED]

    def hang_up(self) -> None:
        """A session is ended."""
        if self.standing():
            self.wish(self.one_of(self.standing()).terminate())

    def keep(self, referring: Any) -> None:
        """A referral is followed to its end."""

        async def follow() -> None:
            referral = await referring
            self.referrals.append(referral)
            async for _ in referral:
                continue

        self.wish(Deferred.fromCoroutine(follow()))

    def refer(self) -> None:
        """Somebody asks somebody else to call the third."""
        party, _, target = self.two()
        third = next(each for each in self.parties if each is not party and str(each.owner_uri) != target)
        wants = ("wanted", "none", "explicit")[self._pick % 3]
        self.keep(party.refer(target, str(third.owner_uri), subscription=wants))

    def refer_in(self) -> None:
        """The same within a session."""
        session = self.one_of(self.standing())
        if session is not None:
            self.keep(session.refer(str(self.one_of(self.parties).owner_uri)))

    def blind(self) -> None:
        """A session is transferred."""
        session = self.one_of(self.standing())
        if session is not None:
            self.wish(session.transfer(str(self.one_of(self.parties).owner_uri)))

    def attended(self) -> None:
        """Two sessions of one party are brought together."""
        for party in self.parties:
            mine = [each for each in self.standing() if each.endpoint is party]
            if len(mine) > 1:
                self.wish(mine[0].transfer_to(mine[1]))
                return

    def stop(self) -> None:
        """Somebody wants to hear no more of a referral."""
        if self.referrals:
            self.one_of(self.referrals).stop()

    # -- what befalls them ---------------------------------------------------------------------------------------------

    def _pair(self) -> tuple[str, str]:
        return PAIRS[self._pick % 3]

    def cut(self) -> None:
        """Connections break."""
        self.network.cut(*self._pair())

    def vanish(self) -> None:
        """Somebody is out of everybody's sight."""
        self.network.partition(self._pair()[0])

    def part(self) -> None:
        """Two lose sight of each other."""
        self.network.partition(*self._pair())

    def heal(self) -> None:
        """They see each other again, and everybody remembers the right passwords."""
        self.network.heal()
        for who in NAMES:
            for whom in NAMES:
                self._knows(who, whom)

    def forget_nonces(self) -> None:
        """Somebody has to be asked anew."""
        who = self.one_of(NAMES)
        for whom in NAMES:
            self._knows(who, whom)

    def other_password(self) -> None:
        """Somebody's password is wrong for a while."""
        _, name, _ = self.two()
        self._knows(self.one_of(NAMES), name, "a guess")


class LivesTests(SynchronousTestCase):
    """Random lives."""

    def play(self, steps: list[tuple[str, int, float]], seed: int, over_udp: bool) -> None:
        """One life, and what has to be true of its end."""
        world = World(seed, over_udp)
        for step in steps:
            world.step(*step)
        world.heal()
        world.network.change(loss=0.0, duplicate=0.0, reorder=0.0)
        # Longer than anybody waits who has failed again and again.
        world.network.advance(2400)
        for number, gauge in enumerate(world.gauges):
            gauge.show(5000 + number)
        world.network.advance(60)
        for subscription in world.subscriptions:
            self.assertIn(
                subscription.state, (SubscriptionState.SUBSCRIBED, SubscriptionState.TERMINATED), subscription
            )
            if subscription.state is SubscriptionState.SUBSCRIBED and subscription.event == "x-gauge":
                whose = [str(each.owner_uri) for each in world.parties].index(str(subscription.target))
                self.assertEqual(world.heard[subscription], str(5000 + whose).encode(), subscription)
        standing = {each.etag for each in world.publications if not each.is_over}
        kept = {
            each.etag
            for compositor, presence, party in zip(world.compositors, world.presences, world.parties, strict=True)
            for each in compositor.publications(presence, str(party.owner_uri))
        }
        self.assertEqual(kept, standing)
        for party in world.parties:
            world.network.run_until(party.terminate())
        world.network.advance(400)
        for party in world.parties:
            inventory = party.connection_manager.inventory()
            self.assertEqual({name: inventory[name] for name in LEFT if inventory[name]}, {}, party)
        self.assertEqual([len(each) for each in world.wishes], [1] * len(world.wishes))
        for package in world.packages:
            package.close()
        world.network.finish()

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(
        st.lists(
            st.tuples(st.sampled_from(DEEDS), st.integers(0, 719), st.sampled_from(TIMES)), min_size=8, max_size=30
        ),
        st.integers(0, 1000),
        st.booleans(),
    )
    def test_everything(self, steps: list[tuple[str, int, float]], seed: int, over_udp: bool) -> None:
        """Whatever three parties who ask each other for passwords do, and whatever befalls the network: nothing raises,
        each wish has one outcome, both sides agree in the end, and nothing is left (row:J2, row:J11, row:I9, row:F10,
        fault:E3)."""
        self.play(steps, seed, over_udp)
