"""Sessions between two parties on one clock, from the call to the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import threadable

from sip_p2p import (
    IncomingRequest,
    InvalidOperation,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.endpoint.session.calling import Redirecting
from sip_p2p.endpoint.session.exchange import IncomingOffer
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.testing import Network
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase, Heard
from tests.support import SynchronousTestCase


class CallTests(CallTestCase):
    """From the call to the hanging up."""

    def test_call(self) -> None:
        """A call that rings, is accepted and ended: what each side is told, in this order (row:H1, row:H3, row:H4)."""
        session = self.alice.create_session(BOB)
        heard = Heard(session)
        self.watch(session)
        self.assertIs(session.state, SignalingState.IDLE)
        self.assertEqual(repr(session), f"<SignalingSession IDLE outgoing {session.call_id}>")
        establishing = session.establish(OFFER)
        self.network.advance(0.5)
        [theirs] = self.received
        heard_there = Heard(theirs)
        self.assertIs(theirs.state, SignalingState.INCOMING)
        theirs.ring()
        self.network.advance(3)
        accepting = theirs.accept(ANSWER)
        self.assertIs(self.run_until(establishing), session)
        self.assertIs(self.run_until(accepting), theirs)
        self.run_until(session.terminate())
        self.network.advance(1)
        self.assertEqual(
            heard.told,
            [
                "CONNECTING NONE",
                "ALERTED PROVISIONAL_RESPONSE_RECEIVED",
                "provisional 180",
                "invitation_accepted",
                "answer",
                "CONNECTED NONE",
                "DISCONNECTED TERMINATED_LOCALLY",
            ],
        )
        self.assertEqual(heard_there.told, ["CONNECTING NONE", "CONNECTED NONE", "DISCONNECTED TERMINATED_REMOTELY"])
        expected = ["out INVITE", "in 100 Trying", "in 180 Ringing", "in 200 OK", "out ACK", "out BYE", "in 200 OK"]
        self.assertEqual(self.lines, expected)

    def test_what_is_shown(self) -> None:
        """A session that comes shows its INVITE, its offer and who is calling, and keeps none of it once it stands
        (row:B8, row:H14)."""
        session, establishing = self.begin(headers=[("Subject", "lunch")])
        [theirs] = self.received
        self.assertTrue(theirs.is_incoming)
        self.assertFalse(theirs.is_forked)
        assert theirs.invite is not None and theirs.peer is not None
        self.assertEqual(theirs.invite.headers["Subject"], "lunch")
        self.assertEqual(theirs.offer, ContentDescription(OFFER))
        self.assertEqual(str(theirs.request_uri), BOB)
        self.assertEqual(theirs.peer.identity, "a.example")
        self.assertEqual(theirs.call_id, session.call_id)
        self.run_until(theirs.accept(ANSWER))
        self.run_until(establishing)
        self.assertEqual((theirs.invite, theirs.offer, theirs.request_uri, theirs.set_up), (None, None, None, None))
        self.assertEqual(theirs.remote_description, ContentDescription(OFFER))
        self.assertEqual(session.remote_description, ContentDescription(ANSWER))
        self.assertEqual(session.local_description, ContentDescription(OFFER))
        assert session.peer is not None and session.participant is not None
        self.assertEqual((session.peer.identity, str(session.participant.uri)), ("b.example", BOB))
        self.run_until(session.terminate())

    def test_call_id(self) -> None:
        """The Call-ID is the one that was given, or a random one that names no host (row:H2)."""
        given, establishing = self.begin(call_id="mine@here")
        establishing.addErrback(lambda failure: failure.trap(SessionTerminated))
        other, establishing = self.begin()
        establishing.addErrback(lambda failure: failure.trap(SessionTerminated))
        self.assertEqual([each.call_id for each in self.received], ["mine@here", other.call_id])
        self.assertNotIn("a.example", self.alice.create_session(BOB).call_id.removeprefix("a.example."))
        for wrong in ("", "a b", "a@b@c", "a\r\nb"):
            self.assertRaises(ValueError, self.alice.create_session, BOB, call_id=wrong)
        for session in self.alice.connection_manager.sessions.of(self.alice):
            self.run_until(session.terminate())
        self.assertIs(given.state, SignalingState.DISCONNECTED)

    def test_no_handler(self) -> None:
        """Without a handler for sessions an INVITE is answered 405, as before there were any (row:B8)."""
        self.bob.session_received.unsubscribe(self.received.append)
        _, establishing = self.begin()
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 405)

    def test_handler_of_the_method(self) -> None:
        """A handler of the method INVITE comes before those of sessions (row:B12)."""
        self.bob.handle("INVITE", lambda incoming: 486)
        _, establishing = self.begin()
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 486)
        self.assertEqual(self.received, [])
        self.bob.stop_handling("INVITE")
        session, establishing = self.begin()
        self.assertEqual(len(self.received), 1)
        self.run_until(session.terminate())
        self.failureResultOf(establishing, SessionTerminated)

    def test_handler_raises(self) -> None:
        """A handler that raises, at once or later, refuses the session with 500 if nobody has decided (fault:K1)."""

        def at_once(session: SignalingSession) -> None:
            raise ZeroDivisionError

        async def later(session: SignalingSession) -> None:
            raise ZeroDivisionError

        def busy(session: SignalingSession) -> None:
            session.reject(486)
            raise ZeroDivisionError

        for handler, status in ((at_once, 500), (later, 500), (busy, 486)):
            self.bob.session_received.subscribe(handler)
            _, establishing = self.begin()
            self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, status)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.bob.session_received.unsubscribe(handler)

    def test_a_handler_waits_in_vain(self) -> None:
        """That a session comes to nothing while its handler waits in accept() is no fault of the handler, and no error
        in the log (fault:C6)."""

        async def accept(session: SignalingSession) -> None:
            await session.accept(ANSWER)

        self.bob.session_received.subscribe(accept)
        _, establishing = self.begin(automatic_ack=False)
        self.network.advance(40)
        self.failureResultOf(establishing, SessionTerminated)
        self.assertIs(self.received[0].state, SignalingState.DISCONNECTED)

    def test_nobody_decides(self) -> None:
        """A session that nobody decides about is refused with 480 after the time that it may ring (row:H28)."""
        _, establishing = self.begin(max_ring=None)
        heard = Heard(self.received[0])
        self.network.advance(601)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 480)
        self.assertEqual(heard.told, ["DISCONNECTED TIMEOUT"])

    def test_the_caller_waits_no_longer(self) -> None:
        """A call that rings for longer than max_ring is cancelled, and says that it took too long (row:H28)."""
        _, establishing = self.begin(max_ring=20)
        self.received[0].ring()
        heard = Heard(self.received[0])
        self.network.advance(25)
        self.failureResultOf(establishing, OperationTimeout)
        self.assertEqual(heard.told, ["DISCONNECTED CANCELED"])

    def test_outbound(self) -> None:
        """A party that only receives calls nobody."""
        deaf = self.network.party("sip:deaf@b.example", outbound=False)
        self.assertRaises(InvalidOperation, deaf.invite, "sip:alice@a.example")
        self.assertRaises(InvalidOperation, deaf.create_session, "sip:alice@a.example")

    def test_arguments(self) -> None:
        """What cannot be is refused at once, and leaves nothing."""
        for arguments in ({"headers": [("Subject", "a\r\nb")]}, {"reliable": "perhaps"}, {"max_ring": 0}):
            self.assertRaises(ValueError, self.alice.create_session, BOB, **arguments)
        self.assertRaises(ValueError, self.alice.create_session, "")
        wrong: dict[str, Any]
        for wrong in (
            {"max_rings": 5},
            {"recovery": "limited"},
            {"session_timer": 600},
            {"via": "b.example"},
            {"family": 4},
        ):
            self.assertRaises(TypeError, self.alice.create_session, BOB, **wrong)
        for offer, error in ((5, TypeError), ("", ValueError)):
            self.assertRaises(error, self.alice.invite, BOB, offer)
        self.assertEqual(len(self.alice.connection_manager.sessions), 0)
        session = self.alice.create_session(BOB)
        self.assertRaises(TypeError, session.establish, 5)
        self.assertIs(session.state, SignalingState.IDLE)
        self.run_until(session.terminate())
        self.assertRaises(InvalidOperation, session.establish, OFFER)

    def test_foreign_early_dialog(self) -> None:
        """What is no early dialog, or one of another session, is refused wherever one may stand (row:H13, row:H11)."""
        session, establishing = self.begin()
        other, establishing_too = self.begin()
        theirs, others = self.received
        dialog = others.ring(183)
        self.network.advance(0.5)
        for wrong, error in ((5, TypeError), ("", TypeError), (dialog, InvalidOperation)):
            named: Any = wrong
            self.assertRaises(error, theirs.ring, dialog=named)
            self.assertRaises(error, theirs.accept, ANSWER, dialog=named)
            self.assertRaises(error, theirs.end_early_dialog, named)
            self.assertRaises(error, theirs.renegotiate, OFFER, dialog=named)
        self.assertRaises(InvalidOperation, session.renegotiate, OFFER, dialog=other.early_dialogs[0])
        self.assertIs(theirs.state, SignalingState.INCOMING)
        for each, waiting in ((session, establishing), (other, establishing_too)):
            self.run_until(each.terminate())
            self.failureResultOf(waiting, SessionTerminated)

    def test_wrong_types_of_requests(self) -> None:
        """A body that is none, and a timeout that is none, are refused before anything is sent (row:H25)."""
        session, _ = self.call()
        self.watch(session)
        wrong: Any = 5
        self.assertRaises(TypeError, session.send_message, wrong, "text/plain")
        self.assertRaises(TypeError, session.request, "INFO", body=wrong, content_type="text/plain")
        self.assertRaises(TypeError, session.renegotiate, wrong)
        self.assertRaises(TypeError, ContentDescription, wrong)
        self.assertRaises(TypeError, self.alice.request, "OPTIONS", BOB, body=wrong)
        for timeout, error in (("1", TypeError), (0, ValueError), (float("nan"), ValueError)):
            seconds: Any = timeout
            self.assertRaises(error, session.request, "INFO", timeout=seconds)
        self.assertEqual(self.lines, [])
        self.run_until(session.terminate())


class ThreadTests(CallTestCase):
    """Whose thread it is."""

    def test_other_threads(self) -> None:
        """Whatever can be done to a session, its offers, its requests and its party is refused in another thread than
        the reactor's, and changes nothing (fault:K7)."""
        session, theirs = self.call()
        offers: list[IncomingOffer] = []
        requests: list[IncomingRequest] = []
        redirections: list[Redirecting] = []

        def later(put_off: list[Any], what: Any) -> None:
            what.defer()
            put_off.append(what)

        theirs.offer_received.subscribe(partial(later, offers))
        theirs.request_received.subscribe(partial(later, requests))
        changing, sending = session.renegotiate(OFFER), session.request("INFO")
        other = self.alice.create_session(BOB)
        other.redirecting.subscribe(partial(later, redirections))
        establishing = other.establish(OFFER)
        self.network.advance(0.5)
        ringing = self.received[-1]
        third, calling = self.begin()
        ringing.redirect(["sip:carol@c.example"])
        self.network.advance(0.5)
        deeds: list[Callable[[], object]] = [
            session.terminate,
            session.save,
            session.cancel_renegotiation,
            session.acknowledge,
            partial(session.renegotiate, OFFER),
            partial(session.send_message, "x"),
            partial(session.send_info, "x"),
            self.received[-1].ring,
            self.received[-1].accept,
            self.received[-1].reject,
            self.received[-1].create_early_dialog,
            partial(self.received[-1].redirect, ["sip:carol@c.example"]),
            partial(offers[0].accept, ANSWER),
            offers[0].decline,
            offers[0].progress,
            partial(requests[0].respond, 200),
            redirections[0].follow,
            redirections[0].give_up,
            partial(self.alice.invite, BOB, OFFER),
            partial(self.alice.create_session, BOB),
            partial(self.alice.resume_session, ""),
            self.alice.terminate,
            self.alice.connection_manager.terminate,
            self.alice.connection_manager.drain,
        ]
        with self.another_thread():
            for deed in deeds:
                self.assertIn("callFromThread", str(self.assertRaises(InvalidOperation, deed)), deed)
        self.assertEqual([session.state, theirs.state], [SignalingState.CONNECTED] * 2)
        offers[0].accept(ANSWER)
        requests[0].respond(200)
        redirections[0].give_up()
        self.run_until(changing)
        self.run_until(sending)
        for waiting in (establishing, calling):
            waiting.addErrback(lambda failure: failure.trap(RequestFailed, SessionTerminated))
        for each in (session, third):
            self.run_until(each.terminate())

    @contextmanager
    def another_thread(self) -> Iterator[None]:
        """As seen from another thread than the reactor's."""
        before = threadable.ioThread
        threadable.ioThread = threading.get_ident() + 1
        try:
            yield
        finally:
            threadable.ioThread = before


class LossTests(SynchronousTestCase):
    """Sessions over a network that loses datagrams."""

    def test_lossy(self) -> None:
        """Over UDP that loses every fifth datagram sessions ring, stand, change and end, and nothing is left (row:H9,
        row:H34)."""
        for seed in range(6):
            network = Network(delay=0.01, seed=seed, loss=0.2)
            options: dict[str, Any] = {"default_transport": "udp"}
            alice, bob = (network.party(uri, **options) for uri in ("sip:alice@a.example", BOB))
            received: list[SignalingSession] = []
            bob.session_received.subscribe(received.append)
            establishing = alice.invite(BOB, OFFER)
            network.advance(20)
            [theirs] = received
            theirs.offer_received.subscribe(lambda offer: ANSWER)
            theirs.ring(183, answer=ANSWER)
            network.advance(10)
            theirs.accept()
            session = network.run_until(establishing)
            network.run_until(session.renegotiate(OFFER + "a=sendonly\r\n"))
            network.run_until(session.terminate())
            network.advance(110)
            for party in (alice, bob):
                inventory = party.connection_manager.inventory()
                living = ("sessions", "errands", "dialogs", "appointments", "clients", "servers")
                self.assertEqual([inventory[name] for name in living], [0] * 6, seed)
            network.finish()


class EndTests(CallTestCase):
    """The end, in every state and from either side."""

    def test_bye_of_the_peer(self) -> None:
        """The peer's BYE is told with its fields; Reason is written with the helper (row:H17, row:H18)."""
        session, theirs = self.call()
        heard = Heard(session)
        self.run_until(theirs.terminate(reason="Q.850;cause=16", headers=[("Subject", "lunch")]))
        self.network.advance(1)
        [event] = heard.events
        self.assertEqual(heard.told, ["DISCONNECTED TERMINATED_REMOTELY"])
        self.assertEqual(event.message.headers["Reason"], "Q.850;cause=16")
        self.assertEqual(event.message.headers["Subject"], "lunch")

    def test_before_anything(self) -> None:
        """A session that was never established ends without a word to anybody."""
        session = self.alice.create_session(BOB)
        heard = Heard(session)
        self.run_until(session.terminate())
        self.assertEqual(heard.told, ["DISCONNECTED TERMINATED_LOCALLY"])
        self.assertEqual(self.received, [])
        self.run_until(session.terminate())

    def test_before_an_answer(self) -> None:
        """A call that is given up while it rings is cancelled; the other side is told of the CANCEL (row:H16, row:H18,
        fault:C5)."""
        session, establishing = self.begin()
        [theirs] = self.received
        theirs.ring()
        self.network.advance(1)
        self.watch(session)
        heard = Heard(theirs)
        self.run_until(session.terminate(reason="SIP;cause=200"))
        self.failureResultOf(establishing, SessionTerminated)
        self.assertEqual(self.lines, ["out CANCEL", "in 200 OK", "in 487 Request Terminated", "out ACK"])
        self.assertEqual(heard.told, ["DISCONNECTED CANCELED"])
        self.assertEqual(heard.events[0].message.headers["Reason"], "SIP;cause=200")

    def test_cancelled_deferred(self) -> None:
        """Cancelling what establish() or accept() returned ends the session (row:H16)."""
        session, establishing = self.begin()
        [theirs] = self.received
        theirs.ring()
        self.network.advance(1)
        establishing.cancel()
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.failureResultOf(establishing)
        self.network.advance(1)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)

    def test_cancel_meets_200(self) -> None:
        """A CANCEL that crosses the 200 ends the session with ACK and BYE; both sides agree that it is over (row:H16,
        fault:C5)."""
        session, establishing = self.begin()
        [theirs] = self.received
        theirs.ring()
        self.network.advance(1)
        accepting = theirs.accept(ANSWER)
        ending = session.terminate()
        self.run_until(ending)
        self.network.advance(5)
        self.failureResultOf(establishing, SessionTerminated)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)
        accepting.addErrback(lambda _: None)

    def test_incoming(self) -> None:
        """A session that comes and is terminated before it was decided is refused with 480 (row:H16)."""
        _, establishing = self.begin()
        [theirs] = self.received
        self.run_until(theirs.terminate())
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 480)

    def test_accepted_but_not_acknowledged(self) -> None:
        """Who was called hangs up only after the ACK (section 15), whenever it is asked to (row:H17)."""
        session, establishing = self.begin()
        [theirs] = self.received
        self.watch(theirs)
        accepting = theirs.accept(ANSWER)
        ending = theirs.terminate()
        self.failureResultOf(accepting, SessionTerminated)
        self.run_until(ending)
        self.run_until(establishing)
        self.network.advance(1)
        self.assertEqual(self.lines, ["out 200 OK", "in ACK", "out BYE", "in 200 OK"])
        self.assertIs(session.state, SignalingState.DISCONNECTED)

    def test_both_at_once(self) -> None:
        """BYEs that cross are both answered, and each side has ended it by itself (RFC 5407 section 3.2)."""
        session, theirs = self.call()
        self.run_until(session.terminate())
        self.run_until(theirs.terminate())

    def test_what_waits_fails(self) -> None:
        """What waits in a session fails when it ends: renegotiations, requests, and those of the peer's (fault:K3)."""
        session, theirs = self.call()
        held: list[IncomingRequest] = []
        theirs.request_received.subscribe(lambda incoming: held.append(incoming) or Deferred())  # type: ignore[func-returns-value]
        theirs.offer_received.subscribe(lambda offer: offer.defer())
        changing = session.renegotiate("v=0\r\nchanged\r\n")
        asking = session.request("INFO")
        self.network.advance(1)
        self.assertEqual(self.living(self.bob)["unanswered"], 1)
        ending = session.terminate()
        for waiting in (changing, asking):
            self.failureResultOf(waiting, SessionTerminated)
        self.run_until(ending)
        self.network.advance(1)
        self.assertNotIn("unanswered", self.living(self.bob))
        self.assertTrue(held[0].is_answered)

    def test_over(self) -> None:
        """A session that is over carries nothing more, and says so at once."""
        session, _ = self.call()
        self.run_until(session.terminate())
        for call in (session.renegotiate, lambda: session.request("INFO"), lambda: session.send_message("x")):
            self.assertRaises(InvalidOperation, call)
        self.assertFalse(session.cancel_renegotiation())
        self.assertRaises(InvalidOperation, session.acknowledge)
