"""Applications: loading them, what ``log`` writes, and whom ``echo`` answers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.from_policy import FromPolicy
from sip_p2p.endpoint.listener_watch import ListenerLost
from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager
from sip_p2p.errors import RequestFailed, SessionTerminated
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.application import (
    Application,
    ApplicationError,
    EchoApplication,
    LogApplication,
    load_application,
)
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.silence import Silence
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.transport.dns.resolver import StaticResolver
from sip_p2p.transport.load.overload import OverloadState
from sip_p2p.transport.tls.expiry import CertificateExpiring
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.service.support import keys
from tests.support import SynchronousTestCase, TestCase, reactor

MODULE = '''
from sip_p2p.service.application import Application

class Good(Application):
    """Does what it should."""
    methods = ("INFO",)

class Picky(Application):
    def __init__(self, wish):
        self.wish = wish

class Spelled(Application):
    methods = "INFO"

class Blank(Application):
    methods = ("IN FO",)

class Stack(Application):
    methods = ("ACK",)

class Twice(Application):
    methods = ["MESSAGE"]

class Other:
    pass

thing = 5
'''


class LoadTests(SynchronousTestCase):
    """:func:`load_application` finds a class, or says in one line why not."""

    def setUp(self) -> None:
        """A folder of modules that is the current one."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "sip_p2p_test_good.py").write_text(MODULE)
        (folder / "sip_p2p_test_broken.py").write_text("class :\n")
        (folder / "sip_p2p_test_raising.py").write_text("raise RuntimeError('two\\nlines')\n")
        (folder / "sip_p2p_test_needy.py").write_text("import sip_p2p_there_is_no_such_module\n")
        here, path, modules = os.getcwd(), list(sys.path), set(sys.modules)
        os.chdir(folder)

        def back() -> None:
            os.chdir(here)
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                if name.startswith("sip_p2p_test_"):
                    del sys.modules[name]

        self.addCleanup(back)

    def test_the_built_in_ones(self) -> None:
        """``log`` and ``echo`` need no module."""
        self.assertIs(type(load_application("log")), LogApplication)
        self.assertIs(type(load_application("echo")), EchoApplication)

    def test_a_class_of_the_users_own(self) -> None:
        """row:M14: a class is found in the current folder, with a colon or a dot."""
        for name in ("sip_p2p_test_good:Good", "sip_p2p_test_good.Good"):
            application = load_application(name)
            self.assertEqual((type(application).__name__, application.methods), ("Good", ("INFO",)))

    def test_what_cannot_be_loaded(self) -> None:
        """Each reason has its one line."""
        cases = {
            "Log": "Log is neither log nor echo nor a class such as package.module:Class",
            "a b:C": "a b:C is neither log nor echo",
            "x\x1b:C": "x\\x1b:C is neither log nor echo",
            ":C": ":C is neither log nor echo",
            "sip_p2p_test_none:C": "there is no module sip_p2p_test_none, neither installed nor in ",
            "sip_p2p_test_good.deeper:C": "there is no module sip_p2p_test_good.deeper, neither installed nor in ",
            "sip_p2p_test_good:Missing": "the module sip_p2p_test_good has no class Missing",
            "sip_p2p_test_good:Other": "sip_p2p_test_good:Other is not a class that derives from",
            "sip_p2p_test_good:thing": "sip_p2p_test_good:thing is not a class that derives from",
            "sip_p2p_test_good:Picky": "sip_p2p_test_good:Picky cannot be made without arguments: TypeError",
            "sip_p2p_test_good:Spelled": "sip_p2p_test_good:Spelled.methods is 'INFO': give a tuple of names",
            "sip_p2p_test_good:Blank": "sip_p2p_test_good:Blank.methods holds 'IN FO', which is no method",
            "sip_p2p_test_good:Stack": "sip_p2p_test_good:Stack.methods holds ACK, which no application answers",
            "sip_p2p_test_good:Twice": "sip_p2p_test_good:Twice.methods holds MESSAGE, which goes to message()",
            "sip_p2p_test_broken:C": "the module sip_p2p_test_broken cannot be imported: SyntaxError: ",
            "sip_p2p_test_raising:C": "the module sip_p2p_test_raising cannot be imported: RuntimeError: two\\nlines (",
            "sip_p2p_test_needy:C": "the module sip_p2p_test_needy cannot be imported: ModuleNotFoundError: ",
        }
        for name, expected in cases.items():
            with self.subTest(name):
                error = self.assertRaises(ApplicationError, load_application, name)
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())


class BaseTests(SynchronousTestCase):
    """:class:`Application` by itself."""

    def test_everything_may_be_left_out(self) -> None:
        """A class without methods accepts messages and answers other requests with 501."""
        application = Application()
        self.assertIsNone(application.message(None))  # type: ignore[arg-type]
        self.assertIsNone(application.session(None))  # type: ignore[arg-type]
        self.assertEqual(application.request(None), 501)  # type: ignore[arg-type]
        self.assertIsNone(application.stopped())


class TalkTests(TestCase):
    """``log`` and ``echo`` between two parties over mutual TLS on loopback."""

    async def party(self, name: str, peer: str, from_policy: FromPolicy | None = None) -> SipPeerToPeerEndpoint:
        """``sip:user@NAME``, listening, open for *peer*."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor,
            folder / f"{name}.pem",
            trust=folder / "ca.pem",
            allow=TrustPolicy.parse([peer]),
            from_policy=from_policy,
        )
        self.addCleanup(manager.terminate)
        await manager.start_listening("tls:port=0:interface=127.0.0.1")
        return SipPeerToPeerEndpoint(f"sip:user@{name}", manager)

    async def pair(
        self, application: Application, from_policy: FromPolicy | None = None
    ) -> tuple[SipPeerToPeerEndpoint, SipPeerToPeerEndpoint]:
        """A party that runs *application*, and one that talks to it."""
        ours = await self.party("a.example", "b.example", from_policy)
        theirs = await self.party("b.example", "a.example")
        table = {each.aor.host: ("127.0.0.1", each.connection_manager.listening_port) for each in (ours, theirs)}
        for each in (ours, theirs):
            each.connection_manager.resolver = StaticResolver(table, each.connection_manager.resolver)
        ours.message_received.subscribe(application.message)
        application.started(ours)
        return ours, theirs

    async def test_log(self) -> None:
        """row:M14: ``log`` accepts a message and writes who was proved to have sent it, what it said, and the end."""
        written: list[str] = []
        application = LogApplication(JsonLines(written.append))
        ours, theirs = await self.pair(application)
        response = await theirs.send_message("sip:user@a.example", "hello\x1b")
        await theirs.send_message("sip:user@a.example", b"\xff", "text/plain; charset=UTF-8")
        await ours.connection_manager.terminate()
        application.stopped()
        self.assertEqual(response.status, 200)
        events = [json.loads(line) for line in written]
        self.assertEqual(
            [event["event"] for event in events], ["started", "message", "message", "state", "state", "stopped"]
        )
        started, message, odd = events[:3]
        self.assertEqual((started["uri"], started["state"]), ("sip:user@a.example", "connected"))
        self.assertEqual(
            (message["peer"], message["identities"], message["text"]), ("b.example", ["b.example"], "hello\x1b")
        )
        self.assertTrue(message["tls_version"].startswith("TLSv1."))
        self.assertEqual((odd["body_base64"], "text" in odd), ("/w==", False))

    async def test_log_of_what_an_operator_should_know(self) -> None:
        """row:M14: certificates that run out, listeners that are lost and overload are lines of ``log`` as well."""
        written: list[str] = []
        ours, _ = await self.pair(LogApplication(JsonLines(written.append)))
        manager = ours.connection_manager
        assert isinstance(manager, RealTimeServerTlsConnectionManager)
        issued = CertificateAuthority.load(keys()).issue("a.example")
        manager.certificate_expiring.tell(CertificateExpiring(issued.certificate, "our certificate", 3.5))
        manager.listener_lost.tell(ListenerLost(manager.listeners[0], "it was shut down", 1.0))
        manager.overload = OverloadState.REJECT_NEW_WORK
        _, expiring, lost, overload = (json.loads(line) for line in written)
        self.assertEqual((expiring["event"], expiring["days_left"]), ("certificate-expiring", 3.5))
        self.assertIn("our certificate expires in 3 days", expiring["words"])
        self.assertEqual((lost["event"], lost["reason"], lost["retry_in"]), ("listener-lost", "it was shut down", 1.0))
        self.assertEqual(lost["transport"], "TLS")
        self.assertEqual(
            (overload["event"], overload["state"], overload["previous_state"]),
            ("overload", "reject_new_work", "normal"),
        )

    async def test_echo(self) -> None:
        """row:M14: ``echo`` sends the text back to whom the sender proved to be, after the answer."""
        written: list[str] = []
        _, theirs = await self.pair(EchoApplication(JsonLines(written.append)))
        back: Deferred[str] = Deferred()

        def echoed(event: object) -> None:
            back.callback(event.text)  # type: ignore[attr-defined]

        theirs.message_received.subscribe(echoed)
        response = await theirs.send_message("sip:user@a.example", "hello")
        self.assertEqual(response.status, 200)
        self.assertEqual(await back.addTimeout(5, reactor), "hello")

    async def test_log_refuses_sessions(self) -> None:
        """row:M14: ``log`` writes who called whom and with what, and refuses with 480."""
        written: list[str] = []
        application = LogApplication(JsonLines(written.append))
        ours, theirs = await self.pair(application)
        ours.session_received.subscribe(application.session)
        with self.assertRaises(RequestFailed) as caught:
            await theirs.invite("sip:user@a.example", ContentDescription(b"\xff", "application/x-odd"))
        self.assertEqual(caught.exception.status, 480)
        _, session, state = map(json.loads, written)
        self.assertEqual((session["event"], session["peer"]), ("session", "b.example"))
        self.assertEqual((session["offer_base64"], session["content_type"]), ("/w==", "application/x-odd"))
        self.assertEqual((state["event"], state["call_id"]), ("session-state", session["call_id"]))
        self.assertEqual((state["state"], state["reason"]), ("disconnected", "terminated_locally"))

    async def test_echo_of_sessions(self) -> None:
        """row:M14: ``echo`` rings, answers each offer with itself, says in the session what it is told there, and makes
        an offer where none is made."""
        written: list[str] = []
        application = EchoApplication(JsonLines(written.append))
        ours, theirs = await self.pair(application)
        ours.session_received.subscribe(application.session)
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
        events = [json.loads(line)["event"] for line in written]
        self.assertEqual(events[1:6], ["session", "session-state", "session-state", "message", "session-state"])

    async def test_a_session_that_comes_to_nothing(self) -> None:
        """A session that ends before it is acknowledged is a line, and no failure in the log."""
        written: list[str] = []
        application = EchoApplication(JsonLines(written.append))
        ours, theirs = await self.pair(application)
        ours.session_received.subscribe(application.session)
        session = theirs.create_session("sip:user@a.example", automatic_ack=False)
        accepted: Deferred[object] = Deferred()
        session.invitation_accepted.subscribe(accepted.callback)
        establishing = session.establish("v=0\r\n")
        await accepted
        ours.connection_manager.sessions.abandon()
        self.assertEqual(json.loads(written[-1])["event"], "session-failed")
        session.terminate()
        await self.assertFailure(establishing, SessionTerminated)  # type: ignore[misc]

    async def test_two_echoes_do_not_talk_for_ever(self) -> None:
        """An echo is not echoed."""
        here: list[str] = []
        there: list[str] = []
        ours, theirs = await self.pair(EchoApplication(JsonLines(here.append)))
        other = EchoApplication(JsonLines(there.append))
        theirs.message_received.subscribe(other.message)
        other.started(theirs)
        done: Deferred[None] = Deferred()
        theirs.message_received.subscribe(lambda event: done.callback(None))
        await theirs.send_message("sip:user@a.example", "hello")
        await done.addTimeout(5, reactor)
        await ours.request("OPTIONS", "sip:user@b.example")
        events = [json.loads(line) for line in there]
        self.assertEqual([event["event"] for event in events], ["started", "message", "not-echoed"])
        self.assertEqual(events[2]["reason"], "it is an echo")

    async def test_no_echo_to_somebody_else(self) -> None:
        """row:M13 fault:E7: a From that the sender has not proved, or a body without text, gets no echo, even where
        every From is let through."""
        written: list[str] = []
        _, theirs = await self.pair(EchoApplication(JsonLines(written.append)), FromPolicy.any_from())
        liar = SipPeerToPeerEndpoint(
            "sip:liar@c.example", theirs.connection_manager, may_impersonate=lambda uri: True, catch_all=False
        )
        await liar.send_message("sip:user@a.example", "to c")
        await liar.send_message("sip:user@a.example", "to d", from_="sip:x@d.example")
        await theirs.send_message("sip:user@a.example", "", "text/plain")
        await theirs.send_message("sip:user@a.example", "<x/>", "application/im-iscomposing+xml")
        reasons = [event["reason"] for event in map(json.loads, written) if event["event"] == "not-echoed"]
        self.assertEqual(reasons, ["its sender has not proved the domain in From"] * 2 + ["it holds no text"] * 2)

    async def test_an_echo_that_does_not_arrive(self) -> None:
        """What became of an echo is an event as well."""
        failed: Deferred[str] = Deferred()

        def write(line: str) -> None:
            if '"echo-failed"' in line:
                failed.callback(line)

        _, theirs = await self.pair(EchoApplication(JsonLines(write)))
        await theirs.send_message("sip:user@a.example", "nobody takes the echo")
        event = json.loads(await failed.addTimeout(5, reactor))
        self.assertEqual(event["words"], "The peer answered 405 Method Not Allowed.")

    async def test_clear_text_is_echoed_to_its_own_address_only(self) -> None:
        """Clear text proves nothing: only a From that names the very address it came from gets its echo."""
        written: list[str] = []
        managers = [RealTimeServerTcpConnectionManager(reactor) for _ in range(2)]
        for manager in managers:
            self.addCleanup(manager.terminate)
            await manager.start_listening("udp:0:interface=127.0.0.1")
        ours = SipPeerToPeerEndpoint("sip:user@a.example", managers[0], default_transport="udp")
        application = EchoApplication(JsonLines(written.append))
        ours.message_received.subscribe(application.message)
        application.started(ours)
        theirs = SipPeerToPeerEndpoint("sip:user@b.example", managers[1], default_transport="udp")
        await theirs.send_message(f"sip:user@127.0.0.1:{managers[0].listening_port}", "hello")
        event = json.loads(written[-1])
        self.assertEqual(event["reason"], "its sender has not proved the domain in From")
