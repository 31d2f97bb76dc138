"""What a session goes through: actions of the application within its events, and what is left in the end."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import InvalidOperation, RequestFailed, SessionTerminated, SipError
from sip_p2p.endpoint.session.answering import Answering
from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.sip.dialog.client_invitation import ClientInvitation
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import Errand
from sip_p2p.sip.dialog.server_invitation import ServerInvitation
from sip_p2p.sip.dialog.usage import InviteUsage
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase
from tests.support import MemoryTestCase

EVENTS = (
    "state_changed",
    "provisional_response_received",
    "forked",
    "redirecting",
    "invitation_accepted",
    "answer_received",
    "offer_received",
    "offer_withdrawn",
    "early_dialog_ended",
    "request_received",
    "message_received",
    "route_set_changed",
    "traced",
)


def swallow(result: Any) -> None:
    """What the application does not wait for."""
    if isinstance(result, Deferred):
        result.addErrback(lambda failure: failure.trap(SipError))


ACTIONS: dict[str, Callable[[SignalingSession], Any]] = {
    "terminate": lambda session: session.terminate(),
    "establish": lambda session: session.establish(OFFER),
    "accept": lambda session: session.accept(ANSWER),
    "ring": lambda session: session.ring(),
    "reject": lambda session: session.reject(),
    "redirect": lambda session: session.redirect(["sip:carol@c.example"]),
    "renegotiate": lambda session: session.renegotiate(OFFER),
    "cancel": lambda session: session.cancel_renegotiation(),
    "acknowledge": lambda session: session.acknowledge(),
    "send": lambda session: session.send_message("x"),
    "request": lambda session: session.request("INFO"),
    "early": lambda session: session.create_early_dialog(),
}
"""What an application may do to a session at any time."""


class ReentrancyTests(CallTestCase):
    """Handlers that act on the session from within the event (fault:K5)."""

    def act(self, session: SignalingSession, event: str, action: str) -> list[SignalingState]:
        """Do *action* each time that *event* is told; returns the states in which that was."""
        states: list[SignalingState] = []

        def handler(_: object) -> None:
            states.append(session.state)
            if len(states) > 8:
                return
            try:
                swallow(ACTIONS[action](session))
            except InvalidOperation:
                # Not now: that is said in so many words.
                return

        getattr(session, event).subscribe(handler)
        return states

    def note(self, states: list[list[SignalingState]], event: str, action: str, session: SignalingSession) -> None:
        """Let *session* do *action* in *event*, and note in which states that was."""
        states.append(self.act(session, event, action))

    def play(self, prepare: Callable[[SignalingSession], object]) -> None:
        """A session with everything in it, as far as it comes; then both sides end it, and nothing is left."""

        def received(session: SignalingSession) -> None:
            self.received.append(session)
            prepare(session)

        self.received.clear()
        self.bob.session_received.unsubscribe(self.received.append)
        self.bob.session_received.subscribe(received)
        session = self.alice.create_session(BOB)
        prepare(session)
        steps: list[Callable[[], Any]] = [
            lambda: session.establish(OFFER),
            lambda: self.received[0].ring(),
            lambda: self.received[0].ring(dialog=self.received[0].create_early_dialog()),
            lambda: self.received[0].accept(ANSWER),
            lambda: session.renegotiate(OFFER),
            lambda: self.received[0].renegotiate(ANSWER),
            lambda: session.send_message("x"),
            lambda: self.received[0].request("INFO"),
        ]
        for step in steps:
            try:
                swallow(step())
            except (InvalidOperation, IndexError):
                # It has ended, or never came.
                continue
            finally:
                self.network.advance(0.5)
        for each in (session, *self.received):
            self.run_until(each.terminate())
            self.assertIs(each.state, SignalingState.DISCONNECTED)
        self.bob.session_received.unsubscribe(received)
        self.bob.session_received.subscribe(self.received.append)

    def test_every_action_in_every_event(self) -> None:
        """Whatever an application does to a session from within whichever of its events, on either side: nothing
        raises, both sides come to an end, and nothing is left (fault:K5)."""
        told = dict.fromkeys(EVENTS, 0)
        for event in EVENTS:
            for action in ACTIONS:
                states: list[list[SignalingState]] = []
                self.play(partial(self.note, states, event, action))
                told[event] += sum(map(len, states))
        self.assert_nothing_is_left()
        self.assertEqual(
            {event for event, count in told.items() if not count},
            {"redirecting", "route_set_changed", "offer_withdrawn"},
        )

    def test_at_once(self) -> None:
        """A session may be decided in the very handler that shows it: accepted, refused, ended (fault:K5)."""
        for action, ends in (("accept", False), ("reject", True), ("redirect", True), ("terminate", True)):
            self.bob.session_received.subscribe(
                handler := lambda session, action=action: swallow(ACTIONS[action](session))
            )
            session, establishing = self.begin(max_redirects=0)
            self.network.advance(1)
            if ends:
                self.failureResultOf(establishing, RequestFailed)
            else:
                self.assertIs(self.successResultOf(establishing), session)
                self.run_until(session.terminate())
            self.bob.session_received.unsubscribe(handler)

    def test_end_of_the_endpoint_within(self) -> None:
        """An endpoint that is terminated from within an event of its session ends it once, and is done (fault:K5)."""
        session, establishing = self.begin()
        ended: list[object] = []
        session.state_changed.subscribe(lambda event: self.alice.terminate().addCallback(ended.append))
        self.received[0].ring()
        self.network.advance(2)
        self.failureResultOf(establishing, SessionTerminated)
        self.assertEqual(len(ended), 2)
        self.assertIs(self.received[0].state, SignalingState.DISCONNECTED)


class MemoryTests(MemoryTestCase, CallTestCase):
    """What a session holds, and what is left of it."""

    def test_nothing_holds_what_is_over(self) -> None:
        """A session that is over is let go with its handlers, its dialog and its INVITE, without waiting for the
        garbage collector."""
        kinds = (SignalingSession, InviteUsage, Dialog, ClientInvitation, ServerInvitation, Calling, Answering, Errand)
        gc.collect()
        # Other cases keep what they have played with.
        before = [each for each in gc.get_objects() if isinstance(each, kinds)]
        gc.disable()
        self.addCleanup(gc.enable)
        session, theirs = self.call()
        for each in (session, theirs):
            each.state_changed.subscribe(lambda event, session=each: None)
        self.run_until(session.terminate())
        self.network.advance(70)
        self.received.clear()
        del session, theirs, each
        left = [each for each in gc.get_objects() if isinstance(each, kinds)]
        self.assertEqual([each for each in left if not any(each is known for known in before)], [])

    def test_size(self) -> None:
        """A session that stands holds at most 8 KiB on each side, descriptions and all."""
        for _ in range(20):
            self.call()
        self.network.advance(70)
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(100):
                self.call()
            self.network.advance(70)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        each_side = (after - before) / 200
        self.assertLess(each_side, 8192)
        for party in (self.alice, self.bob):
            self.run_until(party.terminate())
