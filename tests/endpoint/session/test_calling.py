"""What the calling side goes through: redirections, forks, delayed ACKs, and what the INVITE says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from sip_p2p import (
    AddressFamilyHint,
    ConnectionFailure,
    ContentDescription,
    InvalidOperation,
    IOfferAnswer,
    Redirecting,
    RequestFailed,
    SessionTerminated,
    SessionTimerSettings,
    SignalingSession,
    SignalingState,
    Target,
    Transport,
)
from sip_p2p.sip.message import Request, Response
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase, Heard
from tests.endpoint.session.support import Server, reply

SERVED = "sip:bob@s.example"
CONTACT = ("Contact", "<sip:bob@s.example:5061;transport=tls>")


class InviteTests(CallTestCase):
    """What an INVITE says."""

    def test_fields(self) -> None:
        """An INVITE says what we can do, and carries what the application wants (row:H3, row:H26)."""
        alice = self.network.party("sip:amy@a.example", supported=["path"])
        alice.invite(BOB, OFFER, headers=[("Subject", "lunch")]).addErrback(lambda _: None)
        self.network.advance(0.5)
        invite = self.received[0].invite
        assert invite is not None
        self.assertEqual(invite.headers["Subject"], "lunch")
        self.assertEqual(invite.headers["Session-Expires"], "1800")
        self.assertTrue({"100rel", "timer", "199"} <= set(invite.headers["Supported"].split(", ")))
        for method in ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO", "MESSAGE"):
            self.assertIn(method, invite.headers["Allow"].split(", "))
        self.assertEqual((invite.headers["Content-Type"], invite.body), ("application/sdp", OFFER.encode()))
        self.assertIn("+sip.instance=", invite.headers["Contact"])
        self.received[0].reject()
        self.network.advance(1)

    def test_options(self) -> None:
        """Reliable responses and session timers can be left out, or required (row:H9, row:H26)."""
        for arguments, absent, present in (
            ({"reliable": "off"}, "100rel", {}),
            ({"session_timer": None}, "timer", {}),
            ({"reliable": "required"}, "", {"Require": "100rel"}),
            ({"session_timer": SessionTimerSettings(interval=600)}, "", {"Session-Expires": "600"}),
        ):
            session, establishing = self.begin(**arguments)  # type: ignore[arg-type]
            invite = self.received[-1].invite
            assert invite is not None
            if absent:
                self.assertNotIn(absent, invite.headers["Supported"])
            for name, value in present.items():
                self.assertEqual(invite.headers[name], value)
            self.run_until(session.terminate())
            self.failureResultOf(establishing, SessionTerminated)

    def test_from(self) -> None:
        """Another From needs leave, as for every request (row:A16)."""
        self.assertRaises(InvalidOperation, self.alice.create_session, BOB, from_="sip:carol@a.example")

    def test_way(self) -> None:
        """The INVITE goes where via= says, over the addresses that family= allows (row:E22, row:E23)."""
        server = Server(self.network, "s.example", "b.example", lambda request: [reply(request, 486)])
        self.addCleanup(server.stop)
        [address] = self.network.addresses_of("s.example")
        way = Target(Transport.TLS, address, 5061, "b.example")
        self.failed(self.alice.invite(BOB, OFFER, via=way, family="v4"), RequestFailed)
        self.assertEqual(server.methods[0], "INVITE")
        wrong = self.alice.invite(SERVED, OFFER, family=AddressFamilyHint.V6)
        self.failed(wrong, ConnectionFailure)

    def failed(self, establishing: Deferred[SignalingSession], kind: type[Exception]) -> Any:
        """The failure."""
        self.network.advance(2)
        return self.failureResultOf(establishing, kind).value

    def test_nobody_there(self) -> None:
        """A peer that cannot be reached is a ConnectionFailure, and the reason is UNREACHABLE (row:H31)."""
        session = self.alice.create_session("sip:x@nowhere.example")
        heard = Heard(session)
        self.failed(session.establish(OFFER), ConnectionFailure)
        self.assertEqual(heard.told, ["CONNECTING NONE", "DISCONNECTED UNREACHABLE"])


class RedirectionTests(CallTestCase):
    """The peer is elsewhere."""

    def setUp(self) -> None:
        """Bob has moved to Carol's."""
        super().setUp()
        self.carol = self.network.party("sip:bob@c.example")
        self.taken: list[SignalingSession] = []
        self.carol.session_received.subscribe(self.take)
        self.bob.session_received.unsubscribe(self.received.append)
        self.bob.session_received.subscribe(lambda session: session.redirect(self.targets))
        self.targets = ["<sip:x@c.example>;q=0.2", "<sip:bob@c.example>;q=0.9"]

    def take(self, session: SignalingSession) -> None:
        """Carol accepts."""
        self.taken.append(session)
        session.accept(ANSWER)

    def test_followed_by_itself(self) -> None:
        """Without anybody who decides the targets are tried, the preferred one first (row:H7)."""
        session = self.alice.create_session(BOB)
        heard = Heard(session)
        self.run_until(session.establish(OFFER))
        self.assertEqual(
            heard.told[:3] + heard.told[-1:],
            ["CONNECTING NONE", "REDIRECTING NONE", "redirecting", "CONNECTED NONE"],
        )
        self.assertEqual(heard.events[2].targets, ("sip:bob@c.example", "sip:x@c.example"))
        self.assertEqual(heard.events[2].response.status, 302)
        self.assertEqual(str(self.taken[0].usage.dialog.remote_uri), "sip:alice@a.example")  # type: ignore[union-attr]
        self.run_until(session.terminate())

    def decide(self, handler: Callable[[Redirecting], Any], *errors: type[Exception]) -> SignalingSession:
        """A call that is redirected, and *handler* decides."""
        session = self.alice.create_session(BOB)
        session.redirecting.subscribe(handler)
        establishing = session.establish(OFFER)
        self.network.advance(3)
        if errors:
            self.failureResultOf(establishing, *errors)
        else:
            self.assertIs(self.successResultOf(establishing), session)
        return session

    def test_decided(self) -> None:
        """A handler says where to go: by what it returns, at once or later, or by what it calls (row:H7)."""

        async def later(redirecting: Redirecting) -> Iterable[str]:
            return ["sip:bob@c.example"]

        for handler in (
            lambda redirecting: ["sip:bob@c.example"],
            later,
            lambda redirecting: redirecting.follow(),
            lambda redirecting: redirecting.follow(["sip:bob@c.example"], headers=[("Subject", "again")]),
        ):
            self.run_until(self.decide(handler).terminate())
        self.assertEqual(len(self.taken), 4)

    def test_not_followed(self) -> None:
        """A handler that gives up, or that fails, makes the 302 the outcome (row:H7, fault:K1)."""

        def fails(redirecting: Redirecting) -> None:
            raise ZeroDivisionError

        async def fails_later(redirecting: Redirecting) -> Iterable[str]:
            raise ZeroDivisionError

        for handler in (lambda redirecting: redirecting.give_up(), lambda redirecting: (), fails_later):
            session = self.decide(handler, RequestFailed)
            self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.run_until(self.decide(fails).terminate())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_deferred(self) -> None:
        """The decision may come later, once; the application may also end the session meanwhile (row:H7)."""
        kept: list[Redirecting] = []

        def keep(redirecting: Redirecting) -> None:
            redirecting.defer()
            kept.append(redirecting)

        session = self.alice.create_session(BOB)
        session.redirecting.subscribe(keep)
        establishing = session.establish(OFFER)
        self.network.advance(5)
        self.assertIs(session.state, SignalingState.REDIRECTING)
        self.assertRaises(ValueError, kept[0].follow, ["tel:+1"])
        kept[0].follow()
        self.assertRaises(InvalidOperation, kept[0].give_up)
        self.run_until(establishing)
        self.run_until(session.terminate())
        other = self.alice.create_session(BOB)
        other.redirecting.subscribe(keep)
        establishing = other.establish(OFFER)
        self.network.advance(1)
        self.run_until(other.terminate())
        self.failureResultOf(establishing, SessionTerminated)
        self.assertRaises(InvalidOperation, kept[1].follow)

    def test_ended_meanwhile(self) -> None:
        """What handlers still do to decide is cancelled when the call is over, and that is no fault of theirs (row:H7,
        fault:K4)."""
        cancelled: list[object] = []

        async def decide(redirecting: Redirecting) -> list[str]:
            await Deferred(cancelled.append)
            return []

        session = self.alice.create_session(BOB)
        session.redirecting.subscribe(decide)
        session.redirecting.subscribe(lambda redirecting: Deferred(cancelled.append))
        establishing = session.establish(OFFER)
        self.network.advance(1)
        self.assertIs(session.state, SignalingState.REDIRECTING)
        self.run_until(session.terminate())
        self.failureResultOf(establishing, SessionTerminated)
        self.assertEqual(len(cancelled), 2)

    def test_ended_within(self) -> None:
        """A session that is ended as it hears of the redirection goes nowhere, and nothing is wrong with that (row:H7,
        fault:K5)."""
        session = self.alice.create_session(BOB)
        session.state_changed.subscribe(
            lambda event: session.terminate() if event.state.name == "REDIRECTING" else None
        )
        establishing = session.establish(OFFER)
        self.network.advance(2)
        self.failureResultOf(establishing, SessionTerminated)
        self.assertEqual(self.taken, [])

    def test_too_long(self) -> None:
        """A decision that never comes ends with the time that the call may ring (row:H7, row:H28)."""
        session = self.alice.create_session(BOB, max_ring=10)
        session.redirecting.subscribe(lambda redirecting: redirecting.defer())
        establishing = session.establish(OFFER)
        self.network.advance(11)
        self.failureResultOf(establishing)
        self.assertIs(session.state, SignalingState.DISCONNECTED)


@implementer(IOfferAnswer)
class Media:
    """Offers, and keeps what it hears.

    :ivar heard: the subject of each answer.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def get_offer(self, session: SignalingSession) -> str:
        """The offer."""
        return OFFER

    def get_answer(self, session: SignalingSession, offer: ContentDescription) -> str:
        """The answer."""
        return ANSWER

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> None:
        """The peer's."""
        self.heard.append(answer.text.partition("s=")[2].rstrip())


class ForkTests(CallTestCase):
    """An INVITE that rings at several places."""

    def serve(self, *steps: tuple[int, str]) -> Server:
        """Alice's INVITE is answered with these statuses, each with a tag; everything else with 200."""

        def answer(request: Request) -> Iterable[Response]:
            if request.method == "INVITE":
                return [self.response(request, status, tag) for status, tag in steps]
            return [] if request.method == "ACK" else [reply(request, 200)]

        server = Server(self.network, "s.example", "s.example", answer)
        self.addCleanup(server.stop)
        return server

    def response(self, request: Request, status: int, tag: str) -> Response:
        """One answer; a 200 describes the session, and so does a 183: each branch in its own way."""
        response = reply(request, status, CONTACT, tag=tag)
        if status in (183, 200):
            response.body = f"v=0\r\ns={tag}\r\n".encode()
            response.headers.remove("Content-Length")
            response.headers.add("Content-Type", "application/sdp")
            response.headers.add("Content-Length", str(len(response.body)))
        return response

    def test_whose_answer(self) -> None:
        """What counts is what the branch that won has said, and whoever made the offer hears each thing once (row:H10,
        row:H12)."""
        self.serve((183, "one"), (183, "two"), (200, "one"))
        media = Media()
        session = self.run_until(self.alice.invite(SERVED, media))
        self.assertEqual(session.remote_description.text, "v=0\r\ns=one\r\n")  # type: ignore[attr-defined]
        self.assertEqual(media.heard, ["one", "two", "one"])
        self.run_until(session.terminate())  # type: ignore[attr-defined]

    def test_forks(self) -> None:
        """Each branch is an early dialog of its own; the first 200 wins, the others are acknowledged and ended
        (row:H12, fault:D7)."""
        server = self.serve((180, "one"), (183, "two"), (180, "three"), (200, "two"), (200, "one"), (200, "four"))
        session = self.alice.create_session(SERVED)
        heard = Heard(session)
        self.run_until(session.establish(OFFER))
        self.network.advance(2)
        assert session.participant is not None
        self.assertEqual(session.participant.tag, "two")
        self.assertEqual(heard.told.count("forked"), 2)
        self.assertEqual(
            [each.response.status for each in heard.events if hasattr(each, "response")][:3], [180, 183, 180]
        )
        self.assertEqual(sorted(server.methods), ["ACK"] * 3 + ["BYE"] * 2 + ["INVITE"])
        ended = {request.to.tag for request in server.requests if request.method == "BYE"}
        self.assertEqual(ended, {"one", "four"})
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())

    def test_most_forks(self) -> None:
        """Fifty branches that all accept leave one session, and nothing else (fault:D7)."""
        server = self.serve(*((200, f"t{number}") for number in range(50)))
        session = self.run_until(self.alice.invite(SERVED, OFFER))
        self.network.advance(2)
        self.assertEqual(server.methods.count("BYE"), 49)
        self.assertEqual(self.living(self.alice)["sessions"], 1)
        self.assertEqual(self.living(self.alice)["dialogs"], 1)
        self.run_until(session.terminate())  # type: ignore[attr-defined]

    def test_all_refuse(self) -> None:
        """A final refusal ends every early dialog (row:H12, section 12.3)."""
        self.serve((180, "one"), (183, "two"), (603, "one"))
        session = self.alice.create_session(SERVED)
        establishing = session.establish(OFFER)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 603)
        self.assertNotIn("dialogs", self.living(self.alice))


class AckTests(CallTestCase):
    """Who sends the ACK."""

    def test_delayed(self) -> None:
        """With automatic_ack=False the application says when, and with which fields; the 200 comes again until then
        (row:H15)."""
        session, establishing = self.begin(automatic_ack=False)
        heard = Heard(session)
        self.watch(session)
        accepting = self.received[0].accept(ANSWER)
        self.network.advance(2)
        self.assertEqual(heard.told, ["invitation_accepted", "answer"])
        self.assertNoResult(establishing)
        heard.events[0].acknowledge(headers=[("Subject", "at last")])
        self.assertIs(self.successResultOf(establishing), session)
        self.run_until(accepting)
        self.assertGreater(self.lines.count("in 200 OK"), 1)
        self.assertRaises(InvalidOperation, session.acknowledge)
        self.run_until(session.terminate())

    def test_ended_instead(self) -> None:
        """A session that is given up instead is acknowledged and ended (row:H15, row:H16)."""
        session, establishing = self.begin(automatic_ack=False)
        self.watch(session)
        accepting = self.received[0].accept(ANSWER)
        self.network.advance(0.1)
        self.run_until(session.terminate())
        self.failureResultOf(establishing, SessionTerminated)
        self.network.advance(1)
        accepting.addErrback(lambda _: None)
        self.assertEqual(self.lines, ["in 200 OK", "out ACK", "out BYE", "in 200 OK"])

    def test_late_offer(self) -> None:
        """The answer to an offer in the 200 goes with it (row:H15, row:H22)."""
        session, establishing = self.begin(None, automatic_ack=False)
        session.offer_received.subscribe(lambda offer: offer.defer())
        accepting = self.received[0].accept(OFFER)
        self.network.advance(0.1)
        session.acknowledge(ANSWER)
        self.run_until(establishing)
        self.run_until(accepting)
        self.assertEqual(self.received[0].remote_description.body, ANSWER.encode())  # type: ignore[union-attr]
        self.run_until(session.terminate())
