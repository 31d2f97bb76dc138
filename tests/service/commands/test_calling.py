"""``sip-p2p call``: what it tells, and the exit code of each way a call can go."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet import defer
from twisted.internet.protocol import Factory, Protocol
from twisted.python import usage

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager
from sip_p2p.service.applications.echo import EchoApplication
from sip_p2p.service.commands.calling import CallingOptions, place_call
from sip_p2p.service.words import ExitCode
from sip_p2p.sip.dialog.description import ContentDescription
from tests.service.applications.support import setting
from tests.service.support import COMMAND, keys, run
from tests.support import SynchronousTestCase, TestCase, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.endpoint.session.session import SignalingSession

URI = ("--uri", "sip:bob@b.example")
TO = "sip:alice@a.example"


def parsed(*arguments: str) -> CallingOptions:
    """The options of a call."""
    options = CallingOptions()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What the command takes."""

    def test_usual(self) -> None:
        """Without options it rings for a minute and stays for five seconds."""
        options = parsed(*URI, TO)
        self.assertEqual((options.max_ring, options.seconds, options.max_redirects), (60.0, 5.0, 5))
        self.assertEqual((options.reliable, options.session_timer.interval), ("supported", 1800))
        self.assertIsNone(parsed(*URI, TO, "--seconds", "none").seconds)

    def test_a_body(self) -> None:
        """A file is SDP unless something else is said of it."""
        path = Path(self.mktemp())
        path.write_bytes(b"v=0")
        self.assertEqual(parsed(*URI, TO, "--body", str(path)).content_type, "application/sdp")
        options = parsed(*URI, TO, "--body", str(path), "--content-type", "text/plain", "-H", "Subject: x")
        self.assertEqual(
            (options.body, options.content_type, options.headers), (b"v=0", "text/plain", [("Subject", "x")])
        )

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for arguments, expected in (
            (URI, "call needs one peer"),
            ((*URI, TO, TO), "call needs one peer"),
            ((TO,), "--uri is missing"),
            ((*URI, "http://x"), "'http://x' is neither a sip, a sips nor a tel URI"),
            ((*URI, TO, "--seconds", "x"), "--seconds x is not a number of seconds"),
            ((*URI, TO, "--max-ring", "0"), "--max-ring 0 is not a number of seconds"),
            ((*URI, TO, "--max-redirects", "-1"), "--max-redirects -1 is not a number from 0 to 99"),
            ((*URI, TO, "--reliable", "x"), "--reliable x is neither"),
            ((*URI, TO, "--session-timer", "5"), "--session-timer 5 is not a whole number of seconds"),
            ((*URI, TO, "--content-type", "a/b"), "--content-type is given without --body"),
            ((*URI, TO, "--body", "/there/is/none"), "/there/is/none: No"),
            ((*URI, TO, "--body", "/dev/null"), "/dev/null is empty"),
            ((*URI, TO, "--body", "x", "--content-type", "text"), "--content-type text is not a media type"),
            ((*URI, TO, "--header", "Via: x"), "--header Via: x cannot be sent"),
        ):
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, CallingOptions().parseOptions, list(arguments))
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())

    def test_a_body_that_cannot_be_one(self) -> None:
        """A multipart body without parts describes nothing."""
        path = Path(self.mktemp())
        path.write_bytes(b"x")
        options = parsed(*URI, TO, "--body", str(path), "--content-type", "multipart/mixed")
        error = self.assertRaises(usage.UsageError, getattr, options, "source")
        self.assertTrue(str(error).startswith("--body: multipart/mixed: no boundary"), str(error))


class CallCase(TestCase):
    """A party on loopback, and calls to it."""

    async def alice(
        self, received: Callable[[SignalingSession], object] | None = None, user: str = "alice"
    ) -> SipPeerToPeerEndpoint:
        """``sip:alice@a.example`` over mutual TLS, with *received* for her sessions."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor, folder / "a.example.pem", trust=folder / "ca.pem", allow=["b.example"]
        )
        self.addCleanup(manager.terminate)
        await manager.start_listening("tls:port=0:interface=127.0.0.1")
        return SipPeerToPeerEndpoint(f"sip:{user}@a.example", manager, session_received=received)

    def arguments(self, endpoint: SipPeerToPeerEndpoint, trust: str = "ca.pem") -> tuple[str, ...]:
        """Who we are, and where a.example is."""
        folder = keys()
        return (
            *URI, "--certificate", str(folder / "b.example.pem"), "--trust", str(folder / trust),
            "--resolve", f"a.example=127.0.0.1:{endpoint.connection_manager.listening_port}",
        )  # fmt: skip

    async def called(self, *arguments: str) -> tuple[ExitCode, str, str]:
        """Call: exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        code = await place_call(reactor, parsed(*arguments), out, err)
        return code, out.getvalue(), err.getvalue()

    async def outcome(self, received: Callable[[SignalingSession], object], *more: str) -> tuple[ExitCode, str, str]:
        """What a call to a party comes to that does *received* with it."""
        alice = await self.alice(received)
        staying = () if "--seconds" in more else ("--seconds", "0")
        return await self.called(*self.arguments(alice), *staying, *more, TO)


class AnsweredTests(CallCase):
    """Calls that are answered."""

    async def test_the_echo(self) -> None:
        """The call rings and is answered with what was offered, by whom was proved; then it is hung up: code 0."""
        code, out, err = await self.outcome(EchoApplication(setting()).session)
        self.assertEqual((code, err), (ExitCode.OK, ""))
        lines = out.splitlines()
        self.assertEqual(lines[:2], [f"calling {TO}", "180 Ringing"])
        self.assertTrue(lines[2].startswith("answered from a.example at 127.0.0.1:"), lines[2])
        self.assertEqual((lines[3], lines[-2]), ("  v=0", "  a=inactive"))
        self.assertTrue(lines[-1].startswith("hanging up after 0."), lines[-1])

    async def test_json(self) -> None:
        """``--json`` has each event as one object, the last with the exit code."""
        path = Path(self.mktemp())
        path.write_bytes(b"hello")
        echo = EchoApplication(setting())
        code, out, _ = await self.outcome(echo.session, "--json", "--body", str(path), "--content-type", "text/plain")
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([each["event"] for each in events], ["calling", "progress", "answered", "hung-up", "ended"])
        answered, ended = events[2], events[-1]
        self.assertEqual((answered["body"], answered["peer"]["identity"]), ("hello", "a.example"))
        self.assertEqual((code, ended["exit"], ended["outcome"]), (0, 0, "ok"))
        self.assertTrue(out.isascii())

    async def test_a_late_offer(self) -> None:
        """row:H22: with ``--late-offer`` the peer offers, and silence is the answer."""
        heard: list[ContentDescription | None] = []

        async def received(session: SignalingSession) -> None:
            self.assertIsNone(session.offer)
            offer = (
                "v=0\r\no=- 1 1 IN IP4 a.example\r\ns=-\r\nc=IN IP4 a.example\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
            )
            await session.accept(offer)
            heard.append(session.remote_description)

        code, out, _ = await self.outcome(received, "--late-offer")
        self.assertEqual(code, ExitCode.OK)
        self.assertIn("  m=audio 4000 RTP/AVP 8\n", out)
        assert heard[0] is not None
        self.assertIn("m=audio 9 RTP/AVP 8\r\n", heard[0].text)

    async def test_the_peer_hangs_up(self) -> None:
        """row:H17: a BYE of the peer's ends the call well, and its reason is told."""

        async def received(session: SignalingSession) -> None:
            await session.accept(session.offer)
            session.terminate(reason="Q.850;cause=16")

        code, out, err = await self.outcome(received, "--seconds", "none")
        self.assertEqual((code, err), (ExitCode.OK, ""))
        self.assertRegex(out, r"\nthe peer hung up after [0-9.]+ s, saying Q.850;cause=16\n\Z")

    async def test_what_is_said_in_it(self) -> None:
        """fault:B4: a message in the call is one line, whatever it holds."""

        async def received(session: SignalingSession) -> None:
            await session.accept(session.offer)
            await session.send_message("a\x1b[2J\nb")
            session.terminate()

        code, out, _ = await self.outcome(received, "--seconds", "none")
        self.assertEqual(code, ExitCode.OK)
        self.assertIn("\nmessage: a\\x1b[2J\\nb\n", out)

    async def test_elsewhere(self) -> None:
        """row:H7: a redirection is told and followed."""

        async def accept(session: SignalingSession) -> None:
            await session.accept(session.offer)

        alice = await self.alice(lambda session: session.redirect(["sip:desk@a.example"]))
        SipPeerToPeerEndpoint("sip:desk@a.example", alice.connection_manager, session_received=accept, catch_all=False)
        code, out, _ = await self.called(*self.arguments(alice), "--seconds", "0", TO)
        self.assertEqual(code, ExitCode.OK, out)
        self.assertIn("\n302 Moved Temporarily: trying sip:desk@a.example\nanswered from a.example", out)

    async def test_clear_text(self) -> None:
        """Clear text works where the URI asks for it, with BYE in the other direction, and says that nobody was
        verified."""

        async def received(session: SignalingSession) -> None:
            await session.accept(session.offer)
            session.terminate()

        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        SipPeerToPeerEndpoint(TO, manager, session_received=received)
        for transport in ("tcp", "udp"):
            listener = await manager.start_listening(f"{transport}:0:interface=127.0.0.1")
            target = f"sip:alice@127.0.0.1:{listener.port};transport={transport}"
            code, out, _ = await self.called(*URI, "--seconds", "none", target)
            self.assertEqual(code, ExitCode.OK)
            self.assertIn(f" over {transport.upper()}, unverified\n", out)
            self.assertIn("the peer hung up", out)


class NotAnsweredTests(CallCase):
    """Calls that come to nothing."""

    async def test_refusals(self) -> None:
        """row:H5: busy, unavailable and refused have codes of their own, and the words of the status."""
        for status, expected in (
            (486, ExitCode.BUSY),
            (600, ExitCode.BUSY),
            (480, ExitCode.NO_ANSWER),
            (603, ExitCode.REFUSED),
            (404, ExitCode.REFUSED),
        ):
            with self.subTest(status):
                alice = await self.alice(lambda session, status=status: session.reject(status))  # type: ignore[misc]
                code, _, err = await self.called(*self.arguments(alice), TO)
                self.assertEqual(code, expected)
                self.assertTrue(err.startswith(f"sip-p2p: The peer answered {status} "), err)

    async def test_nobody_answers(self) -> None:
        """row:H28: what rings for too long is cancelled, and has a code of its own."""
        sessions: list[SignalingSession] = []

        def ring(session: SignalingSession) -> None:
            session.ring()
            sessions.append(session)

        code, out, err = await self.outcome(ring, "--max-ring", "0.3")
        self.assertEqual((code, out.splitlines()[1]), (ExitCode.NO_ANSWER, "180 Ringing"))
        self.assertEqual(err, "sip-p2p: It rang, and nobody answered.\n         --max-ring waits longer.\n")
        self.assertTrue(sessions[0].is_over)

    async def test_nobody_says_anything(self) -> None:
        """A peer that says nothing at all is code 3, as with the other commands."""
        silent = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        target = f"sip:alice@127.0.0.1:{silent.getHost().port};transport=tcp"
        options = parsed(*URI, "--max-ring", "0.2", target)
        options.limits = options.limits.replace(drain_timeout=0.2)
        err = io.StringIO()
        code = await place_call(reactor, options, io.StringIO(), err)
        self.assertEqual(code, ExitCode.TIMEOUT)
        self.assertTrue(err.getvalue().startswith("sip-p2p: No answer to the call came in time.\n"), err.getvalue())

    async def test_no_connection(self) -> None:
        """Nobody there is code 4."""
        manager = RealTimeServerTcpConnectionManager(reactor)
        listener = await manager.start_listening("tcp:0:interface=127.0.0.1")
        await manager.terminate()
        code, _, err = await self.called(*URI, f"sip:alice@127.0.0.1:{listener.port};transport=tcp")
        self.assertEqual(code, ExitCode.CONNECTION)
        self.assertTrue(err.startswith("sip-p2p: No connection to the peer: could not connect to 127.0.0.1"), err)

    async def test_tls(self) -> None:
        """row:D14: a peer that we do not trust is code 5, with the reason as JSON."""
        alice = await self.alice()
        code, out, err = await self.called(*self.arguments(alice, "other/ca.pem"), "--json", TO)
        ended = json.loads(out.splitlines()[-1])
        self.assertEqual((code, ended["outcome"], ended["tls_failure"]), (5, "tls", "UNTRUSTED_REMOTE_CERTIFICATE"))
        self.assertTrue(ended["words"] and ended["remedy"] and not err)

    async def test_no_sessions_there(self) -> None:
        """Whoever takes no sessions refuses."""
        code, _, err = await self.called(*self.arguments(await self.alice()), TO)
        self.assertEqual(code, ExitCode.REFUSED)
        self.assertTrue(err.startswith("sip-p2p: The peer answered 405 Method Not Allowed."), err)

    async def test_a_header_that_only_the_invite_knows(self) -> None:
        """A field that cannot stand in an INVITE is wrong usage, in one line."""
        alice = await self.alice()
        with self.assertRaises(usage.UsageError) as caught:
            await self.called(*self.arguments(alice), "--header", "Supported: (", TO)
        self.assertTrue(str(caught.exception).startswith("--header: Supported: not a token"), str(caught.exception))


class EndTests(CallCase):
    """Calls that end otherwise than by hanging up."""

    async def test_lost(self) -> None:
        """row:H32: a call whose peer is gone without a word is lost: a code of its own."""

        async def received(session: SignalingSession) -> None:
            await session.accept(session.offer)
            # As if its process had died: it forgets the session, and its ports and connections close.
            manager = session.endpoint.connection_manager
            manager.sessions.abandon()
            manager.terminate()

        code, out, err = await self.outcome(received, "--seconds", "none", "--limit", "recovery_timeout=0.5")
        self.assertEqual(code, ExitCode.LOST)
        self.assertIn("\nthe way to the peer: ", out)
        self.assertRegex(err, r"\Asip-p2p: The call was lost after [0-9.]+ s: ")

    async def interrupted(self, ring: bool) -> tuple[str, list[str]]:
        """Interrupt a call while it rings, or while it stands: what was told, and why the peer's session ended."""
        reasons: list[str] = []
        ready: defer.Deferred[None] = defer.Deferred()

        async def received(session: SignalingSession) -> None:
            session.state_changed.subscribe(lambda event: reasons.append(event.reason.name))
            session.ring()
            if not ring:
                await session.accept(session.offer)
            reactor.callLater(0.05, ready.callback, None)

        alice = await self.alice(received)
        out = io.StringIO()
        options = parsed(*self.arguments(alice), "--seconds", "none", TO)
        work = defer.Deferred.fromCoroutine(place_call(reactor, options, out, out))
        await ready
        work.cancel()
        try:
            await work
        except defer.CancelledError:
            reasons.append("cancelled")
        return out.getvalue(), reasons

    async def test_interrupted(self) -> None:
        """row:H16 row:H17: an interrupt cancels a call that rings, and hangs up one that stands."""
        for ring, reason in ((True, "CANCELED"), (False, "TERMINATED_REMOTELY")):
            out, reasons = await self.interrupted(ring)
            self.assertIn("interrupted: hanging up\n", out)
            self.assertIn(reason, reasons)


class CommandTests(SynchronousTestCase):
    """The command in a process of its own."""

    def test_it_is_there(self) -> None:
        """Its help names the exit codes' command, and a mistake has its line and code 1."""
        done = run(COMMAND, "call", "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--max-ring=", done.stdout)
        done = run(COMMAND, "call", "--uri", "sip:b@b.example")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("sip-p2p: call needs one peer"), done.stderr)
