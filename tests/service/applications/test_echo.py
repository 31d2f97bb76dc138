"""``echo`` between two parties: whom it answers, and what."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.from_policy import FromPolicy
from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager
from sip_p2p.errors import SessionTerminated
from sip_p2p.service.applications.echo import EchoApplication
from sip_p2p.service.happenings import Happening
from sip_p2p.service.silence import Silence
from sip_p2p.sip.dialog.description import ContentDescription
from tests.service.applications.support import ApplicationCase, setting
from tests.support import reactor


class EchoTests(ApplicationCase):
    """Over mutual TLS on loopback, and without it."""

    async def test_echo(self) -> None:
        """row:M14: ``echo`` sends the text back to whom the sender proved to be, after the answer."""
        _, theirs, _ = await self.pair(EchoApplication)
        back: Deferred[str] = Deferred()

        def echoed(event: object) -> None:
            back.callback(event.text)  # type: ignore[attr-defined]

        theirs.message_received.subscribe(echoed)
        response = await theirs.send_message("sip:user@a.example", "hello")
        self.assertEqual(response.status, 200)
        self.assertEqual(await back.addTimeout(5, reactor), "hello")

    async def test_echo_of_sessions(self) -> None:
        """row:M14: ``echo`` rings, answers each offer with itself, says in the session what it is told there, and makes
        an offer where none is made."""
        _, theirs, told = await self.pair(EchoApplication)
        first = ContentDescription("anything", "text/plain")
        session = theirs.create_session("sip:user@a.example")
        heard: list[object] = []
        session.provisional_response_received.subscribe(lambda event: heard.append(event.response.status))
        back: Deferred[str] = Deferred()
        session.message_received.subscribe(lambda event: back.callback(event.text))
        await session.establish(first)
        self.assertEqual((session.remote_description, heard), (first, [180]))
        other = ContentDescription(b"\xff", "application/x-odd")
        self.assertEqual(await session.renegotiate(other), other)
        await session.send_message("are you there?")
        self.assertEqual(await back.addTimeout(5, reactor), "are you there?")
        await session.terminate()
        late = await theirs.invite("sip:user@a.example", Silence(is_late=True))
        assert late.remote_description is not None
        self.assertIn("a=inactive", late.remote_description.text)
        await late.terminate()
        events = [each["event"] for each in told if each["event"].startswith(("session", "message"))]
        self.assertEqual(events[:5], ["session", "session-state", "session-state", "message", "session-state"])

    async def test_a_session_that_comes_to_nothing(self) -> None:
        """A session that ends before it is acknowledged is a line, and no failure in the log."""
        ours, theirs, told = await self.pair(EchoApplication)
        session = theirs.create_session("sip:user@a.example", automatic_ack=False)
        accepted: Deferred[object] = Deferred()
        session.invitation_accepted.subscribe(accepted.callback)
        establishing = session.establish("v=0\r\n")
        await accepted
        ours.connection_manager.sessions.abandon()
        self.assertEqual(told[-1]["event"], "session-failed")
        session.terminate()
        await self.assertFailure(establishing, SessionTerminated)  # type: ignore[misc]

    async def test_two_echoes_do_not_talk_for_ever(self) -> None:
        """An echo is not echoed."""
        ours, theirs, _ = await self.pair(EchoApplication)
        there = setting(clock=reactor)
        self.run_at(theirs, EchoApplication(there), there)
        done: Deferred[None] = Deferred()
        theirs.message_received.subscribe(lambda event: done.callback(None))
        await theirs.send_message("sip:user@a.example", "hello")
        await done.addTimeout(5, reactor)
        await ours.request("OPTIONS", "sip:user@b.example")
        (reason,) = (event.fields["reason"] for event in there.happenings.since(0) if event.event == "not-echoed")
        self.assertEqual(reason, "it is an echo")

    async def test_no_echo_to_somebody_else(self) -> None:
        """row:M13 fault:E7: a From that the sender has not proved, or a body without text, gets no echo, even where
        every From is let through."""
        _, theirs, events = await self.pair(EchoApplication, FromPolicy.any_from())
        liar = SipPeerToPeerEndpoint(
            "sip:liar@c.example", theirs.connection_manager, may_impersonate=lambda uri: True, catch_all=False
        )
        await liar.send_message("sip:user@a.example", "to c")
        await liar.send_message("sip:user@a.example", "to d", from_="sip:x@d.example")
        await theirs.send_message("sip:user@a.example", "", "text/plain")
        await theirs.send_message("sip:user@a.example", "<x/>", "application/im-iscomposing+xml")
        reasons = [event["reason"] for event in events if event["event"] == "not-echoed"]
        self.assertEqual(reasons, ["its sender has not proved the domain in From"] * 2 + ["it holds no text"] * 2)

    async def test_an_echo_that_does_not_arrive(self) -> None:
        """What became of an echo is an event as well."""
        failed: Deferred[Happening] = Deferred()
        given = setting(clock=reactor)
        given.happenings.follow(lambda event: failed.callback(event) if event.event == "echo-failed" else None)
        ours, theirs = await self.parties()
        self.run_at(ours, EchoApplication(given), given)
        await theirs.send_message("sip:user@a.example", "nobody takes the echo")
        event = await failed.addTimeout(5, reactor)
        self.assertEqual(event.fields["words"], "The peer answered 405 Method Not Allowed.")

    async def test_clear_text_is_echoed_to_its_own_address_only(self) -> None:
        """Clear text proves nothing: only a From that names the very address it came from gets its echo."""
        managers = [RealTimeServerTcpConnectionManager(reactor) for _ in range(2)]
        for manager in managers:
            self.addCleanup(manager.terminate)
            await manager.start_listening("udp:0:interface=127.0.0.1")
        ours = SipPeerToPeerEndpoint("sip:user@a.example", managers[0], default_transport="udp")
        given = setting(clock=reactor)
        self.run_at(ours, EchoApplication(given), given)
        theirs = SipPeerToPeerEndpoint("sip:user@b.example", managers[1], default_transport="udp")
        await theirs.send_message(f"sip:user@127.0.0.1:{managers[0].listening_port}", "hello")
        event = given.happenings.since(0)[-1]
        self.assertEqual(event.fields["reason"], "its sender has not proved the domain in From")
