"""Tests of :mod:`sip_p2p.endpoint.subscription.registry`: who may subscribe to what, and what others hear."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import EventPackage, Limits, SipPeerToPeerEndpoint, Verdict
from sip_p2p.errors import SipError
from sip_p2p.sip.message import Response
from tests.endpoint.session.calls import ANSWER, BOB, OFFER
from tests.endpoint.subscription.serving import Board, OpenBoard, SubscriberTestCase
from tests.endpoint.support import PartyTestCase


class RegistryTests(PartyTestCase):
    """The packages of a party."""

    def test_add(self) -> None:
        """A party with packages takes SUBSCRIBE, says so in Allow and Allow-Events, and again takes none without them.
        row:J9 row:J10"""
        packages = self.bob.packages
        board = Board()
        self.assertFalse(self.bob.profile.allows("SUBSCRIBE"))
        self.assertIs(packages.add(board), board)
        self.assertTrue(self.bob.profile.allows("SUBSCRIBE"))
        self.assertEqual((list(packages), packages.get("x-board"), len(packages)), ([board], board, 1))
        self.assertIn(board, packages)
        self.assertEqual(repr(packages), "<EventPackages x-board>")
        response: Any = self.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertEqual(response.headers.get("Allow-Events"), "x-board")
        self.assertIn("SUBSCRIBE", response.headers.get("Allow"))
        packages.remove(board)
        self.assertFalse(self.bob.profile.allows("SUBSCRIBE"))
        response = self.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertIsNone(response.headers.get("Allow-Events"))

    def test_wrong(self) -> None:
        """A package that cannot be is refused when it is added, and one that is not here when it is removed."""

        class Nameless(EventPackage):
            name = "no token"

        class Typeless(EventPackage):
            name = "x-typeless"
            content_types = ("text",)

        class Hasty(EventPackage):
            name = "x-hasty"
            default_expires = 5

        for package in (Nameless(), Typeless(), Hasty(), EventPackage()):
            self.assertRaises(ValueError, self.bob.packages.add, package)
        board = self.bob.packages.add(Board())
        self.assertRaises(ValueError, self.bob.packages.add, Board())
        self.bob.packages.remove(board)
        self.assertRaises(ValueError, self.bob.packages.remove, board)

    def test_in_the_constructor(self) -> None:
        """``packages=`` adds the first ones."""
        board = Board()
        party = SipPeerToPeerEndpoint("sip:carol@b.example", self.bob.connection_manager, packages=[board])
        self.assertEqual(list(party.packages), [board])
        self.run_until(party.terminate())

    def test_handlers_come_first(self) -> None:
        """A handler that the application gave for SUBSCRIBE comes before the packages, and they come back when it goes.
        row:J9"""
        self.bob.packages.add(Board())
        self.bob.handle("SUBSCRIBE", lambda incoming: 488)
        self.assertEqual(self.status_of(self.alice.request("SUBSCRIBE", "sip:bob@b.example")), 488)
        self.bob.stop_handling("SUBSCRIBE")
        self.assertEqual(self.status_of(self.alice.request("SUBSCRIBE", "sip:bob@b.example")), 489)
        self.bob.packages.remove(next(iter(self.bob.packages)))
        self.assertEqual(self.status_of(self.alice.request("SUBSCRIBE", "sip:bob@b.example")), 405)

    def test_two_parties_one_package(self) -> None:
        """One package may serve several parties, and to leave one of them ends the subscriptions there only."""
        board = Board()
        self.bob.packages.add(board)
        carol = self.network.party("sip:carol@c.example", packages=[board])
        for target in ("sip:bob@b.example", "sip:carol@c.example"):
            self.run_until(self.alice.subscribe(target, "x-board", retry="never"))
        self.assertEqual(len(board.subscribers), 2)
        carol.packages.remove(board)
        self.network.advance(1)
        self.assertEqual([each.endpoint for each in board.subscribers], [self.bob])
        self.assertEqual(board.log[-1], "ended noresource")
        self.assertEqual(self.bob.packages.subscriptions, board.subscribers)


class RefusalTests(SubscriberTestCase):
    """Whoever may not subscribe is told so, and leaves nothing behind."""

    def test_unknown_event(self) -> None:
        """8.3.2: an event that is not here is answered 489 with those that are; so is a SUBSCRIBE without one.
        row:J10 fault:D4"""
        for number, event in enumerate(("presence", "", "X-BOARD")):
            self.subscribe(event, call=f"c{number}")
        answers: list[Any] = self.hear()
        self.assertEqual([answer.status for answer in answers], [489] * 3)
        self.assertEqual([answer.headers.get("Allow-Events") for answer in answers], ["x-board"] * 3)

    def test_malformed(self) -> None:
        """What cannot be read is answered 400, what is too short 423, and a body that we do not have 406. row:J10"""
        self.subscribe("no token")
        self.subscribe(expires=5, call="c2")
        self.subscribe(fields="Accept: application/pidf+xml\r\n", call="c3")
        self.subscribe(fields="Accept: text\r\n", call="c4")
        answers: list[Any] = self.hear()
        self.assertEqual([answer.status for answer in answers], [400, 423, 406, 400])
        self.assertEqual(answers[1].headers.get("Min-Expires"), "10")
        self.assertEqual(answers[2].headers.get("Accept"), "text/plain, application/x-board")
        self.assertEqual((self.board.subscribers, len(self.manager.core.dialogs)), ((), 0))

    def test_strangers_are_refused(self) -> None:
        """4.2.1.3: by default nobody may know who has not proved its From. row:J9 fault:D4"""
        closed = self.bob.packages.add(type("Closed", (Board,), {"name": "x-closed"})())
        self.subscribe("x-closed")
        self.assertEqual(self.statuses(), [403])
        self.run_until(self.alice.subscribe("sip:bob@b.example", "x-closed"))
        self.assertEqual(len(closed.subscribers), 1)

    def test_another_name(self) -> None:
        """A verified party that speaks in somebody else's name may not know either. fault:D4"""
        self.bob.packages.add(type("Closed", (Board,), {"name": "x-closed"})())
        mallory = self.network.party("sip:mallory@m.example", may_impersonate=lambda uri: True)
        failure = self.failureResultOf(mallory.subscribe("sip:bob@b.example", "x-closed", from_="sip:alice@a.example"))
        self.assertTrue(failure.check(SipError))

    def failureResultOf(self, deferred: Any, *kinds: Any) -> Any:
        """After some time."""
        self.network.advance(5)
        return super().failureResultOf(deferred, *kinds)

    def test_verdicts(self) -> None:
        """4.2.1.3: a package refuses with the status it likes, says when to come again, answers with a bool, or later;
        what is no verdict is a mistake of ours, answered 500."""

        async def later() -> bool:
            return False

        verdicts: list[tuple[Any, int, str | None]] = [
            (Verdict.reject(603), 603, None),
            (Verdict.reject(480, retry_after=60), 480, "60"),
            (False, 403, None),
            (later(), 403, None),
            ("yes", 500, None),
        ]
        for number, (verdict, status, retry_after) in enumerate(verdicts):
            self.board.authorise = lambda request, said=verdict: said  # type: ignore[method-assign,misc]
            self.subscribe(call=f"c{number}")
            [answer] = self.hear()
            assert isinstance(answer, Response)
            self.assertEqual((answer.status, answer.headers.get("Retry-After")), (status, retry_after))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertRaises(ValueError, Verdict.reject, 302)
        self.assertEqual((repr(Verdict.pending()), repr(Verdict.reject())), ("<Verdict 200 pending>", "<Verdict 403>"))

    def test_failing_package(self) -> None:
        """A package that raises is logged and answered 500, and where it raises later harms nothing."""

        def raises(*_: object) -> None:
            raise RuntimeError("of the package")

        for name in ("authorise", "subscribed", "state", "ended", "refreshed"):
            board = type("Failing", (OpenBoard,), {"name": f"x-{name}", name: raises})()
            self.bob.packages.add(board)
            self.subscribe(f"x-{name}", call=name)
            if name == "authorise":
                self.assertEqual(self.statuses(), [500])
                continue
            [answer, _] = self.hear()
            self.assertIsInstance(answer, Response)
            self.messages.clear()
            [subscription] = board.subscribers
            subscription.terminate("noresource")
            self.network.advance(40)
            self.assertEqual(board.subscribers, ())
        self.assertGreaterEqual(len(self.flushLoggedErrors(RuntimeError)), 4)

    def test_decided_late(self) -> None:
        """A decision may take its time; the answer limit holds, and what is decided after it has no effect."""
        cancelled: list[object] = []
        waiting: list[Deferred[bool]] = [Deferred(), Deferred(cancelled.append)]
        self.board.authorise = lambda request: waiting[len(self.board.log)]  # type: ignore[method-assign]
        self.subscribe()
        self.assertEqual(self.manager.inventory()["unanswered"], 1)
        waiting[0].callback(True)
        self.assertEqual([type(message).__name__ for message in self.hear()], ["Response", "Request"])
        self.subscribe(call="c2")
        self.network.advance(30)
        self.assertEqual(cancelled, [waiting[1]])
        self.assertEqual(self.statuses()[-1], 500)
        self.assertEqual(self.manager.inventory()["unanswered"], 0)

    def test_subscriber_gone(self) -> None:
        """A subscriber whose connection is lost before the decision makes no subscription."""
        cancelled: list[object] = []
        waiting: Deferred[bool] = Deferred(cancelled.append)
        self.board.authorise = lambda request: waiting  # type: ignore[method-assign]
        self.subscribe()
        self.hang_up()
        self.assertEqual(cancelled, [waiting])
        self.assertEqual(self.board.subscribers, ())

    def test_party_gone(self) -> None:
        """A party that ends before the decision refuses."""
        waiting: Deferred[bool] = Deferred()
        self.board.authorise = lambda request: waiting  # type: ignore[method-assign]
        self.subscribe()
        self.bob.terminate()
        waiting.callback(True)
        self.assertEqual(self.statuses(), [480])

    def test_foreign_methods(self) -> None:
        """BENOTIFY, SERVICE and NEGOTIATE of other vendors are unknown methods to us, are answered so, and are never
        sent; a NOTIFY that nobody asked for is answered 405 or 481. row:J13 fault:D4"""
        for number, method in enumerate(("BENOTIFY", "SERVICE", "NEGOTIATE", "NOTIFY")):
            self.subscribe(method=method, call=f"m{number}")
        self.subscribe(method="NOTIFY", call="m9", to_tag="nobody")
        self.assertEqual(self.statuses(), [501, 501, 501, 405, 481])

    def test_within_nothing(self) -> None:
        """A SUBSCRIBE with a tag of a dialog that there is not is answered 481. fault:D4"""
        self.subscribe(to_tag="nobody")
        self.assertEqual(self.statuses(), [481])


class LimitTests(SubscriberTestCase):
    """How many there may be."""

    limits = {"subscriptions": 2, "subscriptions_per_identity": 2}  # noqa: RUF012

    def test_altogether(self) -> None:
        """One more than there may be is answered 500 with Retry-After, which speaks for this request alone, and is
        counted; there is room again when one has gone. fault:D6"""
        self.run_until(self.alice.subscribe("sip:bob@b.example", "x-board"))
        self.subscribe()
        self.answer()
        self.subscribe(call="c2")
        [refusal] = [message for message in self.hear() if isinstance(message, Response)]
        self.assertEqual(refusal.status, 500)
        self.assertLessEqual(30, int(refusal.headers.get("Retry-After") or 0))
        self.assertEqual(self.bob.connection_manager.metrics()["limit_subscriptions"], 1)
        self.board.subscribers[0].terminate("noresource")
        self.network.advance(1)
        self.subscribe(call="c3")
        self.assertIn(200, self.statuses())

    def test_of_one(self) -> None:
        """One who takes all that one may have leaves room for others. fault:D6"""
        self.manager.limits = Limits(subscriptions=10, subscriptions_per_identity=2)
        for number in range(4):
            self.subscribe(call=f"c{number}")
            self.answer()
        statuses = [message.status for message in self.messages if isinstance(message, Response)]
        self.assertEqual(statuses, [200, 200, 500, 500])
        self.run_until(self.alice.subscribe("sip:bob@b.example", "x-board"))
        self.assertEqual(self.manager.metrics()["limit_subscriptions_per_identity"], 2)

    def test_dialogs(self) -> None:
        """A subscription takes a dialog, and none where there may be no more."""
        self.manager.limits = Limits(dialogs=1)
        self.subscribe()
        self.answer()
        self.subscribe(call="c2")
        self.assertEqual(self.statuses(), [500])
        self.assertEqual(self.manager.metrics()["limit_dialogs"], 1)

    def test_fetches(self) -> None:
        """A flood of fetches, whose NOTIFYs nobody answers, holds no more than the limit, and nothing for long.
        fault:D6"""
        self.manager.limits = Limits(subscriptions_per_identity=5)
        for number in range(20):
            self.subscribe(expires=0, call=f"c{number}")
        self.assertEqual(len(self.board.subscribers), 5)
        self.network.advance(40)
        self.assertEqual((len(self.board.subscribers), len(self.manager.core.dialogs)), (0, 0))
        self.hear()


class InDialogTests(PartyTestCase):
    """Subscriptions in the dialog of a session (section 4.5.2)."""

    def test_shares_the_dialog(self) -> None:
        """A SUBSCRIBE in a session's dialog makes a subscription there, whose end leaves the session alone."""
        board = self.bob.packages.add(Board("hello"))
        incoming: list[Any] = []

        def answer(session: Any) -> None:
            incoming.append(session)
            session.accept(ANSWER)

        self.bob.session_received.subscribe(answer)
        session: Any = self.run_until(self.alice.invite(BOB, OFFER))
        subscription: Any = self.run_until(session.subscribe("x-board"))
        [server] = board.subscribers
        self.assertEqual(len(self.bob.connection_manager.core.dialogs), 1)
        server.terminate("noresource")
        self.network.advance(2)
        self.assertEqual((board.subscribers, len(self.bob.connection_manager.core.dialogs)), ((), 1))
        self.assertEqual(incoming[0].state.name, "CONNECTED")
        del subscription
        self.run_until(session.terminate())

    def test_unknown_event(self) -> None:
        """An event that is not here is answered 489 there as well, and a party without packages answers as ever."""
        self.bob.session_received.subscribe(lambda session: session.accept(ANSWER))
        session: Any = self.run_until(self.alice.invite(BOB, OFFER))
        for package, status in ((None, 405), (Board(), 489)):
            if package is not None:
                self.bob.packages.add(package)
            failure = self.failing(session.request("SUBSCRIBE", headers=[("Event", "presence")]))
            self.assertEqual(failure.value.status, status)
        self.run_until(session.terminate())

    def failing(self, deferred: Any) -> Any:
        """Its failure, after some time."""
        self.network.advance(2)
        return self.failureResultOf(deferred)
