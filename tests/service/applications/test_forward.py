"""``forward`` outside of sessions: messages and other requests, and what they are answered with."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import OperationTimeout, RequestFailed
from sip_p2p.service.assembly import make
from sip_p2p.service.happenings import Happening
from sip_p2p.service.silence import Silence, silent_answer
from sip_p2p.transport.dns.resolver import StaticResolver
from tests.service.applications.forwarding import MIDDLE, ForwardCase
from tests.service.applications.support import ApplicationCase
from tests.service.support import keys, parsed
from tests.support import reactor


class MessageTests(ForwardCase):
    """Requests that go on to Bob."""

    arguments = ("--forward-to", "sip:bob@b.example", "--forward-methods", "INFO, PUBLISH")

    def status_of(self, deferred: Deferred[Any]) -> int:
        """The final status."""
        try:
            response = self.run_until(deferred)
        except RequestFailed as failure:
            return failure.status
        status: int = response.status
        return status

    def test_a_message(self) -> None:
        """row:M14: a message goes on under our name, and its answer comes back: status, phrase, header fields; but not
        a body, which no 2xx to a MESSAGE has (RFC 3428 section 7)."""
        heard: list[Any] = []

        def answer(event: Any) -> Any:
            heard.append(event)
            response = event.response(202, "Later", headers=(("X-Queue", "3"),))
            response.headers.add("Content-Type", "text/plain")
            response.body = b"soon"
            return response

        self.bob.message_received.subscribe(answer)
        response = self.run_until(
            self.alice.send_message(
                MIDDLE, b"{}", "application/json", headers=(("Subject", "x"), ("Content-Disposition", "render"))
            )
        )
        self.assertEqual(
            (response.status, response.reason, response.headers.get("X-Queue"), response.body),
            (202, "Later", "3", b""),
        )
        (event,) = heard
        fields = ("From", "Reply-To", "Subject", "Content-Type", "Content-Disposition", "Max-Forwards")
        values = [event.request.headers.get(name) for name in fields]
        self.assertTrue(values[0].startswith("<sip:desk@m.example>"))
        self.assertEqual(values[1:], ["<sip:alice@a.example>", "x", "application/json", "render", "69"])
        (told,) = self.setting.happenings.since(0)
        self.assertEqual(
            (told.event, told.fields["method"], told.fields["status"], told.fields["forwarded_call_id"]),
            ("forwarded", "MESSAGE", 202, event.call_id),
        )

    def test_other_requests(self) -> None:
        """The requests that were named go on as well, and no others."""
        self.bob.handle("PUBLISH", lambda event: event.response(200, headers=(("SIP-ETag", "7"),)))
        response = self.run_until(self.alice.request("PUBLISH", MIDDLE, headers=(("Event", "presence"),)))
        self.assertEqual(response.headers.get("SIP-ETag"), "7")
        self.assertEqual(self.status_of(self.alice.request("NOTIFY", MIDDLE)), 405)

    def test_refusals(self) -> None:
        """row:G8: a refusal comes back with its status, but for those that are our own business."""
        answers = iter((486, 603, 404, 401, 407, 503, 302))
        self.bob.message_received.subscribe(lambda event: next(answers))
        statuses = [self.status_of(self.alice.send_message(MIDDLE, "x", retry_after="never")) for _ in range(7)]
        self.assertEqual(statuses, [486, 603, 404, 403, 403, 500, 302])

    def test_nobody_there(self) -> None:
        """Where the other party cannot be reached 502 says so, and 504 where it does not answer in time."""
        self.bob.message_received.subscribe(lambda event: Deferred())
        self.assertEqual(self.status_of(self.alice.send_message(MIDDLE, "x", retry_after="never")), 504)
        self.run_until(self.bob.connection_manager.terminate())
        self.assertEqual(self.status_of(self.alice.send_message(MIDDLE, "x", retry_after="never")), 502)

    def test_hops(self) -> None:
        """row:G8: what may take no further hop is answered 483."""
        self.assertEqual(self.status_of(self.alice.request("INFO", MIDDLE, max_forwards=0)), 483)

    def test_a_sender_that_is_gone(self) -> None:
        """Where the sender goes away, nobody waits for the answer."""
        self.bob.message_received.subscribe(lambda event: Deferred())
        sent = self.alice.send_message(MIDDLE, "x", timeout=1)
        self.network.advance(1.5)
        self.failureResultOf(sent, OperationTimeout)
        self.run_until(self.alice.connection_manager.terminate())
        self.network.advance(5)
        self.assertEqual(self.middle.requests_under_way, 0)

    def test_who_says_nothing_of_himself(self) -> None:
        """A sender who wants privacy is not named."""
        heard: list[Any] = []
        self.bob.message_received.subscribe(lambda event: heard.append(event.request.headers.get("Reply-To")))
        self.run_until(self.alice.send_message(MIDDLE, "x", headers=(("Privacy", "id"),)))
        self.run_until(self.alice.send_message(MIDDLE, "x", headers=(("Reply-To", "<sip:al@a.example>"),)))
        self.assertEqual(heard, [None, "<sip:al@a.example>"])


class UserTests(ForwardCase):
    """A target without a user."""

    arguments = ("--forward-to", "sip:b.example")

    def test_the_user_is_kept(self) -> None:
        """It stands for the user whom the request is for."""
        heard: list[str] = []
        self.bob.message_received.subscribe(lambda event: heard.append(event.request.uri_text))
        self.run_until(self.alice.send_message("sip:sales@m.example", "x"))
        self.assertEqual(heard, ["sip:sales@b.example"])


class RoundTests(ForwardCase):
    """Two that pass on to each other."""

    arguments = ("--forward-to", MIDDLE)

    def test_a_loop(self) -> None:
        """row:G8: a message that comes back is answered 482."""
        sent = self.alice.send_message(MIDDLE, "x")
        self.network.advance(2)
        self.assertEqual(self.failureResultOf(sent, RequestFailed).value.status, 482)


class SocketTests(ApplicationCase):
    """A service over mutual TLS on loopback, whose caller and callee are two ends of one party."""

    async def test_a_service(self) -> None:
        """row:M14: a message and a session go through a running service and come back, and the end of one ends the
        other."""
        theirs = await self.party("b.example", "a.example")
        folder = keys()
        service = make(
            reactor,
            parsed(
                "--uri", "sip:user@a.example", "--certificate", str(folder / "a.example.pem"),
                "--trust", str(folder / "ca.pem"), "--allow", "b.example", "--listen", "tls:port=0:interface=127.0.0.1",
                "--resolve", f"b.example=127.0.0.1:{theirs.connection_manager.listening_port}",
                "--application", "forward", "--forward-to", "sip:user@b.example",
            ),
        )  # fmt: skip
        self.addCleanup(service.stopService)
        happened: list[Happening] = []
        service.happenings.follow(happened.append)
        service.startService()
        table = {"a.example": ("127.0.0.1", service.manager.listening_port)}
        theirs.connection_manager.resolver = StaticResolver(table, theirs.connection_manager.resolver)
        theirs.message_received.subscribe(lambda event: event.response(202, f"Heard {event.text}"))
        response = await theirs.send_message("sip:user@a.example", "hello")
        self.assertEqual((response.status, response.reason), (202, "Heard hello"))

        over: Deferred[None] = Deferred()

        def received(session: SignalingSession) -> None:
            session.state_changed.subscribe(
                lambda change: over.callback(None) if change.state is SignalingState.DISCONNECTED else None
            )
            session.message_received.subscribe(lambda event: None)
            session.ring()
            session.accept(silent_answer(session.offer)).addErrback(over.errback)  # type: ignore[arg-type]

        theirs.session_received.subscribe(received)
        session = await theirs.invite("sip:user@a.example", Silence())
        self.assertEqual((await session.send_message("in it")).status, 200)
        await session.terminate()
        await over.addTimeout(5, reactor)
        told = [each.fields for each in happened if each.event == "forwarded"]
        self.assertEqual([each["method"] for each in told], ["MESSAGE", "INVITE"])
        self.assertEqual((told[1]["session"], told[1]["forwarded_session"]), (1, 2))
