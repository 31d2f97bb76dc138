"""Whole lives of transfers between three parties over mutual TLS: anybody refers anybody to anybody, decides as he
likes, hangs up, is cut off or goes, at any time.

The same sessions, deeds and breaks as in ``tests/endpoint/session/test_lives.py``, and half as many lives: see there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from sip_p2p import InvalidOperation, OfferRejected
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from tests.endpoint.session.test_lives import DEEDS, LIVES, SEED, Life
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p import IncomingReferral, Referral, SipPeerToPeerEndpoint
    from sip_p2p.endpoint.session.session import SignalingSession

_WAYS = ("wanted", "wanted", "explicit", "explicit", "unwanted", "none")
_LIVES = ("referrals", "notifiers", "subscriptions")
_STEP = 400.0
_STEPS = 5
"""As many of these as the longest session timer lasts."""


class TransferLife(Life):
    """Three parties who call, and transfer, each other.

    :ivar referrals: the REFERs that were accepted somewhere.
    :ivar undecided: those that were shown to somebody who thinks about them.
    :ivar followed: those that the application follows by itself.
    :ivar done: how many transfers came to their end as they should.
    """

    def __init__(self, seed: int) -> None:
        self.referrals: list[Referral] = []
        self.undecided: list[IncomingReferral] = []
        self.followed: list[IncomingReferral] = []
        self.done = 0
        super().__init__(seed)
        for party in self.parties:
            party.refer_received.subscribe(self._referred)
            if self.chance.random() < 0.8:
                party.replaces_policy = lambda replacement: replacement.peer.is_verified

    # -- who is referred -----------------------------------------------------------------------------------------------

    def _referred(self, referral: IncomingReferral) -> Any:
        what = "follow" if self.is_calm else self.chance.choice(("follow",) * 5 + ("later", "self", "no", "ask"))
        self.said.append(f"{referral.endpoint.owner_uri} is referred to {referral.target}: {what}")
        if what == "later":
            referral.defer()
            self.undecided.append(referral)
        elif what == "ask":
            return self._think(referral)
        else:
            self._decide(referral, what)
        return None

    async def _think(self, referral: IncomingReferral) -> None:
        """Decide in a coroutine, which its REFER may not outlive."""
        await self._pause()
        if not referral.is_decided:
            self._decide(referral, "follow")

    def _pause(self) -> Deferred[None]:
        pause: Deferred[None] = Deferred()
        self.network.clock.callLater(0.3, lambda: None if pause.called else pause.callback(None))
        return pause

    def _decide(self, referral: IncomingReferral, what: str) -> None:
        try:
            if what == "no":
                referral.decline(self.chance.choice((603, 480, 302)))
            elif what == "self":
                referral.accept(False)
                self.followed.append(referral)
            else:
                timer = SessionTimerSettings(self.chance.choice((None, 90)))
                offer = self.chance.choice((None, self.description()))
                session = referral.accept(offer=offer, session_timer=timer, max_ring=60.0)
                if session is not None and not session.is_over:
                    self.watch(session)
        except InvalidOperation as error:
            self.said.append(f"{what}: {error}")
            if not referral.is_decided:
                referral.decline()

    # -- who refers ----------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Somebody transfers, or does anything else."""
        if self.chance.random() < 0.6:
            super().act()
            return
        deeds = (self.transfer, self.transfer, self.attend, self.attend, self.refer, self.stop, self.think, self.follow)
        deed: Callable[[], None] = self.chance.choice(deeds)
        try:
            deed()
        except (InvalidOperation, ValueError) as error:
            self.said.append(f"{deed.__name__}: {error}")

    def anybody(self) -> Any:
        """The address of one of the three."""
        return self.chance.choice(self.parties).owner_uri

    def transfer(self) -> None:
        """Somebody transfers blindly."""
        session = self.any_session(SignalingState.CONNECTED)
        if session is not None:
            wish = session.transfer(self.anybody(), subscription=self.chance.choice(_WAYS))
            wish.addCallback(self._transferred, (session,))
            self._hold("transfer", wish)

    def attend(self) -> None:
        """Somebody who has two sessions makes one of them."""
        party = self.chance.choice(self.parties)
        standing = [each for each in self.sessions[party] if each.state is SignalingState.CONNECTED]
        if len(standing) > 1:
            pair = self.chance.sample(standing, 2)
            wish = pair[0].transfer_to(pair[1], subscription=self.chance.choice(_WAYS))
            wish.addCallback(self._transferred, tuple(pair))
            self._hold("attend", wish)

    def _transferred(self, outcome: Any, sessions: tuple[SignalingSession, ...]) -> Any:
        assert 200 <= outcome.status < 300, outcome
        assert all(each.state is SignalingState.DISCONNECTED for each in sessions), sessions
        self.done += 1
        return outcome

    def refer(self) -> None:
        """Somebody refers, in a session or outside of any."""
        session = self.any_session(SignalingState.CONNECTED)
        way = self.chance.choice(_WAYS)
        if session is None or self.chance.random() < 0.5:
            one, other = self.chance.sample(self.parties, 2)
            wish = one.refer(other.owner_uri, self.anybody(), subscription=way)
        else:
            wish = session.refer(self.anybody(), subscription=way, in_dialog=self.chance.random() < 0.7)
        wish.addCallback(self._accepted)
        self._hold("refer", wish)

    def _accepted(self, referral: Referral) -> Referral:
        self.referrals.append(referral)
        self._hold("final", referral.when_final())
        return referral

    def stop(self) -> None:
        """Somebody has heard enough."""
        if self.referrals:
            self.chance.choice(self.referrals).stop()

    def think(self) -> None:
        """Somebody has made up his mind, perhaps too late."""
        if self.undecided:
            referral = self.undecided.pop(self.chance.randrange(len(self.undecided)))
            self._decide(referral, self.chance.choice(("follow", "self", "no")))

    def follow(self) -> None:
        """An application tells how far it is."""
        if self.followed:
            self.chance.choice(self.followed).progress(self.chance.choice((180, 183, 200, 486)))

    # -- how it ends ---------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """One of the three goes, in the middle of what it does."""
        party: SipPeerToPeerEndpoint = self.chance.choice(self.parties)
        self.said.append(f"{party.owner_uri} goes")
        self._hold("go", party.terminate())

    def settle(self) -> None:
        """Whoever has been asked says something, and no transfer is under way any more."""
        self.is_calm = True
        for referral in self.undecided:
            if not referral.is_decided:
                self._decide(referral, "no")
        for referral in self.followed:
            referral.progress(200)
        super().settle()
        for _ in range(_STEPS):
            self.network.advance(_STEP)

    def compare(self) -> None:
        """Nobody has a session longer than the other side, but for what no timer can find out; nobody who has heard an
        outcome waits for another one."""
        super().compare()
        for referral in self.referrals:
            assert referral.outcome is None or referral.is_over, referral

    def finish(self) -> None:
        """Nothing is left, either, of who was told and who told, as soon as what was granted has run out."""
        for party in self.parties:
            for session in list(self.sessions[party]):
                self._hold("terminate", session.terminate())
        for _ in range(10):
            self.network.advance(_STEP)
        for party in self.parties:
            inventory = party.connection_manager.inventory()
            left = {name: inventory[name] for name in _LIVES if inventory[name]}
            assert not left, (party, left)
        super().finish()


class LivesTests(SynchronousTestCase):
    """Transfers between parties, from beginning to end."""

    def test_lives(self) -> None:
        """Whatever three parties do with each other's calls, and whatever breaks: every wish has one outcome, nobody
        keeps a session that the other side has not, and nothing is left (row:I1, row:I5, row:I8, row:I9, fault:C5,
        fault:D5)."""
        done = 0
        for seed in range(SEED, SEED + LIVES // 2):
            life = TransferLife(seed)
            try:
                for _ in range(DEEDS):
                    life.act()
                if seed % 4 == 3:
                    life.leave()
                life.settle()
                life.compare()
                life.finish()
            except BaseException as error:
                raise AssertionError(f"seed {seed}: {error!r}\n" + "\n".join(life.said[-40:])) from error
            done += life.done
        self.flushLoggedErrors(OfferRejected)
        self.assertGreater(done, LIVES // 8)
