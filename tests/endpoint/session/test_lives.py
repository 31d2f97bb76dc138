"""Whole lives of sessions between three parties over mutual TLS, in which anybody does anything at any time and
connections are cut: every wish has one outcome, both sides agree in the end, and nothing is left.

As many lives as ``SIP_P2P_MODEL_LIVES`` says are played, from the seed ``SIP_P2P_MODEL_SEED`` on. The same for the
machines alone, and many times as many, is ``tests/sip/dialog/test_model.py``.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p import InvalidOperation, OfferRejected, SipError
from sip_p2p.endpoint.session.recovery import Recovery
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.session.exchange import IncomingOffer
    from sip_p2p.endpoint.session.states import SignalingStateChanged

LIVES = int(os.environ.get("SIP_P2P_MODEL_LIVES", "40"))
SEED = int(os.environ.get("SIP_P2P_MODEL_SEED", "0"))
DEEDS = 40
TIMES = (0.0, 0.005, 0.02, 0.05, 0.05, 0.2, 0.2, 1.0, 1.0, 5.0, 40.0)
FOLLOWS = {
    SignalingState.IDLE: {SignalingState.CONNECTING, SignalingState.DISCONNECTED},
    SignalingState.INCOMING: {SignalingState.CONNECTING, SignalingState.DISCONNECTED},
    SignalingState.CONNECTING: set(SignalingState) - {SignalingState.IDLE, SignalingState.INCOMING},
    SignalingState.ALERTED: set(SignalingState) - {SignalingState.IDLE, SignalingState.INCOMING},
    SignalingState.REDIRECTING: set(SignalingState) - {SignalingState.IDLE, SignalingState.INCOMING},
    SignalingState.CONNECTED: {SignalingState.DISCONNECTED},
    SignalingState.DISCONNECTED: set(),
}


class Life:
    """Three parties and what they do.

    :ivar sessions: by party, every session of its that is not over.
    :ivar waiting: every wish, with its outcomes: there has to be one of each.
    :ivar said: what happened, for whoever has to find out why.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.network = Network(delay=0.01, seed=seed)
        self.parties = [self.network.party(f"sip:{name}@{name[0]}.example") for name in ("alice", "bob", "carol")]
        self.sessions: dict[SipPeerToPeerEndpoint, list[SignalingSession]] = {party: [] for party in self.parties}
        self.states: dict[SignalingSession, SignalingState] = {}
        self.offers: list[IncomingOffer] = []
        self.waiting: list[tuple[str, Deferred[Any], list[Any]]] = []
        self.said: list[str] = []
        self.is_calm = False
        self._number = 0
        for party in self.parties:
            party.session_received.subscribe(self._received)
        if self.chance.random() < 0.7:
            self.is_calm = True
            self.call()
            self.network.advance(1)
            self.is_calm = False

    def description(self) -> str:
        """One that nobody else has made."""
        self._number += 1
        return f"v=0\r\ns={self._number}\r\n"

    # -- what is told --------------------------------------------------------------------------------------------------

    def watch(self, session: SignalingSession) -> None:
        """Whatever *session* tells has to be in order."""
        session.recovery = self.chance.choice((Recovery.LIMITED, Recovery.LIMITED, Recovery.MAXIMUM, Recovery.NONE))
        self.sessions[session.endpoint].append(session)
        self.states[session] = session.state
        session.state_changed.subscribe(lambda event: self._changed(session, event))
        session.offer_received.subscribe(self._offered)

    def _changed(self, session: SignalingSession, event: SignalingStateChanged) -> None:
        before = self.states[session]
        assert event.state in FOLLOWS[before], f"{event.state.name} after {before.name}"
        self.states[session] = event.state
        self.said.append(f"{session.endpoint.owner_uri}: {event.state.name} {event.reason.name}")
        if event.state is SignalingState.DISCONNECTED:
            self.sessions[session.endpoint].remove(session)
        elif not self.is_calm and self.chance.random() < 0.05:
            self._hold("terminate in an event", session.terminate())

    def _received(self, session: SignalingSession) -> None:
        self.watch(session)
        what = "accept" if self.is_calm else self.chance.choice(("", "", "ring", "accept", "accept", "accept", "raise"))
        if what == "ring":
            with contextlib.suppress(InvalidOperation):
                session.ring()
        elif what == "accept":
            self._accept(session)
        elif what == "raise":
            raise OfferRejected

    def _offered(self, offer: IncomingOffer) -> Any:
        what = "answer" if self.is_calm else self.chance.choice(("answer", "answer", "later", "keep", "raise"))
        if what == "raise":
            raise OfferRejected
        if what == "keep":
            offer.defer()
            self.offers.append(offer)
            return None
        if what == "later":
            answer: Deferred[str] = Deferred()
            self.network.clock.callLater(0.3, lambda: None if answer.called else answer.callback(self.description()))
            return answer
        return self.description()

    def _hold(self, what: str, wish: Deferred[Any]) -> None:
        outcome: list[Any] = []
        self.said.append(what)
        self.waiting.append((what, wish, outcome))

        def told(result: Any) -> None:
            outcome.append(result)
            assert (
                not isinstance(result, Failure)
                or issubclass(result.type, (SipError, GeneratorExit))
                or (result.type.__name__ == "CancelledError")
            ), result

        wish.addBoth(told)

    # -- what is done --------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Somebody does something, or something happens."""
        chance = self.chance
        rare = (self.end, self.lose_heart, self.cut, self.part)
        usual = (self.pass_time,) * 3 + (self.call, self.decide, self.decide) + (self.change,) * 3
        others = (self.ask, self.answer_offer, self.meet)
        deed: Callable[[], None] = chance.choice((*rare, *others, *others, *usual, *usual))
        try:
            deed()
        except (InvalidOperation, ValueError) as error:
            # What may not be done now changes nothing.
            self.said.append(f"{deed.__name__}: {error}")

    def any_session(self, *states: SignalingState) -> SignalingSession | None:
        """One of those in *states*."""
        some = [each for party in self.parties for each in self.sessions[party] if each.state in states]
        return self.chance.choice(some) if some else None

    def pass_time(self) -> None:
        """Time passes."""
        self.network.advance(self.chance.choice(TIMES))

    def call(self) -> None:
        """Somebody calls somebody."""
        caller, callee = self.chance.sample(self.parties, 2)
        if len(self.sessions[caller]) > 3:
            return
        session = caller.create_session(
            callee.owner_uri,
            session_timer=SessionTimerSettings(self.chance.choice((None, 90, 120))),
            max_ring=60.0,
            reliable=self.chance.choice(("supported", "required", "off")),
        )
        self.watch(session)
        self._hold("establish", session.establish(self.chance.choice((None, self.description()))))

    def decide(self) -> None:
        """Somebody who is called says something."""
        session = self.any_session(SignalingState.INCOMING)
        if session is None:
            return
        what = self.chance.randrange(6)
        if what < 2:
            answer = self.description() if self.chance.random() < 0.3 else None
            session.ring(self.chance.choice((180, 183)), answer=answer)
        elif what < 4:
            self._accept(session)
        elif what == 4:
            session.reject()
        else:
            session.redirect(["sip:carol@c.example"])

    def _accept(self, session: SignalingSession) -> None:
        settled = session.local_description
        for answer in (None, settled, self.description()):
            try:
                self._hold("accept", session.accept(answer))
            except InvalidOperation:
                continue
            return

    def change(self) -> None:
        """Somebody changes a session, or what it asked for."""
        session = self.any_session(SignalingState.CONNECTED)
        if session is not None:
            method = self.chance.choice((None, "UPDATE"))
            offer = None if method is None and self.chance.random() < 0.2 else self.description()
            self._hold("renegotiate", session.renegotiate(offer, method=method))
            if self.chance.random() < 0.2:
                session.cancel_renegotiation()

    def ask(self) -> None:
        """Somebody says something in a session."""
        session = self.any_session(SignalingState.CONNECTED)
        if session is not None:
            self._hold("message", session.send_message("hello"))

    def answer_offer(self) -> None:
        """An offer that waits is decided."""
        if self.offers:
            offer = self.offers.pop(self.chance.randrange(len(self.offers)))
            if self.chance.random() < 0.7:
                offer.accept(self.description())
            else:
                offer.decline()

    def end(self) -> None:
        """Somebody hangs up."""
        session = self.any_session(*SignalingState)
        if session is not None:
            self._hold("terminate", session.terminate())

    def lose_heart(self) -> None:
        """Somebody does not want to wait any more."""
        if self.waiting:
            what, wish, _ = self.chance.choice(self.waiting)
            self.said.append(f"cancel {what}")
            wish.cancel()

    def cut(self) -> None:
        """Connections break."""
        self.said.append("cut")
        self.network.cut(*self.chance.sample(["a.example", "b.example", "c.example"], 2))

    def part(self) -> None:
        """Nothing gets through between two, for a while."""
        self.said.append("part")
        self.network.partition(*self.chance.sample(["a.example", "b.example", "c.example"], 2))
        self.network.clock.callLater(self.chance.choice((0.5, 5.0, 50.0)), self.network.heal)

    def meet(self) -> None:
        """Everything gets through again."""
        self.network.heal()

    # -- how it ends ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing goes wrong any more, and all that was begun comes to its end."""
        self.is_calm = True
        self.network.heal()
        for _ in range(3):
            while (session := self.any_session(SignalingState.INCOMING)) is not None:
                self._accept(session)
                if session.state is SignalingState.INCOMING:
                    session.reject(480)
            offers, self.offers = self.offers, []
            for offer in offers:
                if not offer.is_decided:
                    offer.accept(self.description())
            self.network.advance(100)
        self.network.advance(200)

    def compare(self) -> None:
        """Both sides of a session see it alike."""
        ends = {}
        for party in self.parties:
            for session in self.sessions[party]:
                assert session.state is SignalingState.CONNECTED, session
                dialog = session.usage.dialog if session.usage is not None else None
                assert dialog is not None
                ends[dialog.call_id, dialog.local_tag, dialog.remote_tag] = session
        for (call_id, local_tag, remote_tag), session in ends.items():
            other = ends.get((call_id, remote_tag, local_tag))
            if other is None:
                # The other side was cut off while it ended, and nothing was said since; whoever has a timer knows.
                assert session.usage is not None
                timer = session.usage.session_timer
                assert timer is None or not timer.is_running, "a session outlives its timer"
                continue
            assert session.local_description == other.remote_description, (
                session.local_description,
                other.remote_description,
            )
            assert other.local_description == session.remote_description

    def finish(self) -> None:
        """Everybody hangs up; every wish has had its outcome, and nothing is left."""
        for party in self.parties:
            for session in list(self.sessions[party]):
                self._hold("terminate", session.terminate())
        self.network.advance(100)
        for what, _, outcome in self.waiting:
            assert len(outcome) == 1, f"{what}: {outcome}"
        for party in self.parties:
            assert not self.sessions[party]
            inventory = party.connection_manager.inventory()
            names = ("sessions", "invitations", "errands", "dialogs", "appointments", "clients", "servers", "leases")
            left = {name: inventory[name] for name in names if inventory[name]}
            assert not left, left
        self.network.finish()


class LivesTests(SynchronousTestCase):
    """Sessions between parties, from beginning to end."""

    def test_lives(self) -> None:
        """Whatever three parties do and whatever breaks between them: every wish has one outcome, states follow one
        another as they should, both sides agree in the end, and nothing is left (row:H1, row:H17, row:H19, row:H31,
        row:H32, fault:C5, fault:C6, fault:D3, fault:K5)."""
        for seed in range(SEED, SEED + LIVES):
            life = Life(seed)
            try:
                for _ in range(DEEDS):
                    life.act()
                life.settle()
                life.compare()
                life.finish()
            except BaseException as error:
                raise AssertionError(f"seed {seed}: {error!r}\n" + "\n".join(life.said[-40:])) from error
        self.flushLoggedErrors(OfferRejected)
