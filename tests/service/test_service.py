"""The service: its start, its work and its end, in the process of the tests and as ``twistd`` runs it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python import usage

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import RequestFailed
from sip_p2p.observe.trace import read_trace
from sip_p2p.service.applications import Application
from sip_p2p.service.applications.loader import ApplicationError
from sip_p2p.service.assembly import make
from sip_p2p.service.commands.calling import CallingOptions, place_call
from sip_p2p.service.commands.sending import AskOptions, SendOptions, perform
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.service import SipService, StartFailed
from sip_p2p.transport.dns.resolver import StaticResolver
from tests.service.support import COMMAND, TWIST, TWISTD, Process, keys, parsed, run
from tests.support import SynchronousTestCase, TestCase, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.service.applications import Answer

LISTEN = "tls:port=0:interface=127.0.0.1"


def identity(name: str = "a.example", user: str = "alice") -> tuple[str, ...]:
    """Who somebody is, and whose word they take."""
    folder = keys()
    return (
        "--uri", f"sip:{user}@{name}", "--certificate", str(folder / f"{name}.pem"), "--trust", str(folder / "ca.pem"),
    )  # fmt: skip


def port_is_free(port: int) -> bool:
    """Whether *port* of 127.0.0.1 can be bound at once."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Recorder(Application):
    """Remembers what it is told; ``message`` and ``stopped`` answer with what they are given."""

    methods = ("INFO",)

    def __init__(self) -> None:
        self.told: list[str] = []
        self.answer: Answer = None
        self.end: Deferred[None] | None = None
        self.came: Deferred[None] = Deferred()

    def started(self, endpoint: object) -> None:
        """Remember it."""
        self.told.append("started")

    def message(self, event: IncomingRequest) -> Answer:
        """Remember it, and answer as arranged."""
        self.told.append(f"message {event.text}")
        self.came.callback(None)
        return self.answer

    def request(self, event: IncomingRequest) -> Answer:
        """Remember it."""
        self.told.append(f"request {event.method}")
        return 204

    def stopped(self) -> Deferred[None] | None:
        """Remember it, and end as arranged."""
        self.told.append("stopped")
        return self.end


class Told(io.StringIO):
    """A stream that tells of each line."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__()
        self._tell = tell

    def write(self, text: str) -> int:
        """Tell of it."""
        self._tell(text)
        return len(text)


class ServiceTests(TestCase):
    """On the reactor of the tests."""

    def made(self, *arguments: str, application: Application | None = None) -> SipService:
        """A service, ended with the test; what its application writes, nobody reads."""
        service = make(reactor, parsed(*arguments), lines=JsonLines(len))
        if application is not None:
            service.application = application
        self.addCleanup(service.stopService)
        return service

    def logged(self) -> list[str]:
        """The lines that the service's log gets from now on."""
        lines: list[str] = []

        def observe(event: dict[str, object]) -> None:
            if str(event.get("log_namespace", "")).startswith("sip_p2p.service"):
                level = event["log_level"]
                assert isinstance(level, type(LogLevel.info))
                lines.append(f"{level.name} " + str(event["log_format"]).format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return lines

    async def ask(self, service: SipService, *arguments: str, text: str = "") -> int:
        """What a request from b.example comes to: the exit code."""
        to = ("--resolve", f"a.example=127.0.0.1:{service.manager.listening_port}", "--timeout", "5")
        options = SendOptions() if text else AskOptions()
        rest = ("sip:alice@a.example", text) if text else ("sip:alice@a.example",)
        options.parseOptions([*identity("b.example", "bob"), *to, *arguments, *rest])
        return int((await perform(reactor, options)).code)

    async def asked_in_vain(self, drain: str) -> tuple[SipService, Recorder, Deferred[int]]:
        """A service, its application, which neither answers what it was asked nor stops, and how the asking ends.

        :param drain: how long the service waits when it is stopped.
        """
        application = Recorder()
        application.answer = Deferred()
        application.end = Deferred()
        service = self.made(
            *identity(), "--listen", LISTEN, "--allow", "b.example", "--drain", drain, application=application
        )
        service.startService()
        asked = Deferred.fromCoroutine(self.ask(service, text="hello"))
        await application.came
        return service, application, asked

    async def test_its_life(self) -> None:
        """row:M14 row:E27: it listens, tells its real port, answers, and leaves no port or delayed call behind."""
        # trial's own deadline for this test is set after the first turn.
        await deferLater(reactor, 0)
        before = len(reactor.getDelayedCalls())
        application = Recorder()
        lines = self.logged()
        service = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", application=application)
        service.privilegedStartService()
        service.startService()
        port = service.manager.listening_port
        self.assertEqual(lines, [f"info sip:alice@a.example listens on tls 127.0.0.1:{port}"])
        self.assertEqual(await self.ask(service), 0)
        self.assertEqual(await self.ask(service, text="hello"), 0)
        await service.stopService()
        self.assertTrue(port_is_free(port))
        self.assertEqual(application.told, ["started", "message hello", "stopped"])
        self.assertEqual({name: count for name, count in service.manager.inventory().items() if count}, {})
        self.assertEqual(len(reactor.getDelayedCalls()), before, reactor.getDelayedCalls())

    async def test_delayed_calls_come_and_go(self) -> None:
        """fault:J2: ten lives of a service leave as many delayed calls as there were."""
        # trial's own deadline for this test is set after the first turn.
        await deferLater(reactor, 0)
        before = len(reactor.getDelayedCalls())
        for _ in range(10):
            service = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", application=Recorder())
            service.startService()
            self.assertEqual(await self.ask(service), 0)
            await service.stopService()
        self.assertEqual(len(reactor.getDelayedCalls()), before, reactor.getDelayedCalls())

    async def test_other_methods(self) -> None:
        """An application gets the methods that it names, and no others."""
        application = Recorder()
        service = self.made(*identity(), "--listen", LISTEN, application=application)
        service.startService()
        asking = self.made(*identity("b.example", "bob"), application=Recorder())
        asking.startService()
        service.manager.set_trust_policy("b.example")
        target = f"sip:alice@a.example:{service.manager.listening_port}"
        asking.manager.resolver = _Here()
        self.assertEqual((await asking.endpoint.request("INFO", target)).status, 204)
        self.assertEqual(application.told, ["started", "request INFO"])

    async def test_an_application_that_is_asked(self) -> None:
        """row:D23 row:M14: an application with an ``authorize`` of its own is asked about each connection, and its no
        is one; others are not asked."""
        folder = self.mktemp()
        os.mkdir(folder)
        Path(folder, "choosy.py").write_text(
            "from sip_p2p.service.applications import Application\n"
            "class Choosy(Application):\n"
            "    asked = []\n"
            "    def authorize(self, connection):\n"
            "        self.asked.append(connection.peer.identity)\n"
            "        return len(self.asked) > 1\n"
        )
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        service = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", "--application", "choosy:Choosy")
        service.startService()
        self.assertNotEqual(await self.ask(service), 0)
        self.assertEqual(await self.ask(service), 0)
        self.assertEqual(service.application.asked, ["b.example"] * 2)  # type: ignore[attr-defined]

    async def calling(self, service: SipService, *arguments: str) -> Deferred[int]:
        """A call from b.example that stands; fires with the exit code that it comes to."""
        options = CallingOptions()
        to = ("--resolve", f"a.example=127.0.0.1:{service.manager.listening_port}", "--seconds", "none")
        options.parseOptions([*identity("b.example", "bob"), *to, *arguments, "sip:alice@a.example"])
        ready: Deferred[None] = Deferred()

        def told(line: str) -> None:
            if line.startswith("answered"):
                # Not from within: the call goes on first.
                reactor.callLater(0, ready.callback, None)

        out = Told(told)
        call = Deferred.fromCoroutine(place_call(reactor, options, out, out)).addCallback(int)
        call.addErrback(lambda failure: failure if ready.called else ready.errback(failure))
        await ready
        return call

    async def test_sessions_reach_the_application(self) -> None:
        """row:M14: INVITE goes to an application that has a method for it, and is answered 405 where none has."""
        service = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", "--application", "echo")
        service.startService()
        call = await self.calling(service)
        self.assertIn("INVITE", service.endpoint.profile.allow_value)
        call.cancel()
        await self.assertFailure(call, CancelledError)  # type: ignore[misc]
        plain = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", application=Recorder())
        plain.startService()
        self.assertNotIn("INVITE", plain.endpoint.profile.allow_value)

    async def test_a_stop_hangs_up(self) -> None:
        """row:B13: a stop ends sessions with BYE, within the drain time."""
        service = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", "--application", "echo")
        service.startService()
        call = await self.calling(service)
        stopped = service.stopService()
        self.assertEqual(await call, 0)
        await stopped

    async def test_a_stop_that_lets_sessions_finish(self) -> None:
        """row:B15: with ``--finish-sessions`` a stop waits for them, new callers are sent elsewhere meanwhile, and
        whoever asks again ends them."""
        service = self.made(
            *identity(), "--listen", LISTEN, "--allow", "b.example", "--application", "echo",
            "--finish-sessions", "60", "--redirect-to", "sip:alice@c.example",
        )  # fmt: skip
        service.startService()
        manager = RealTimeServerTlsConnectionManager(
            reactor, keys() / "b.example.pem", trust=keys() / "ca.pem", allow=["a.example"]
        )
        self.addCleanup(manager.terminate)
        port = service.manager.listening_port
        manager.resolver = StaticResolver({"a.example": ("127.0.0.1", port)}, manager.resolver)
        bob = SipPeerToPeerEndpoint("sip:bob@b.example", manager)
        session = await bob.invite("sip:alice@a.example", "v=0\r\n")
        stopped = service.stopService()
        with self.assertRaises(RequestFailed) as caught:
            await bob.invite("sip:alice@a.example", "v=0\r\n", max_redirects=0)
        self.assertEqual(caught.exception.response.headers["Contact"], "<sip:alice@c.example>")
        self.assertTrue(port_is_free(port))
        await session.renegotiate("v=0\r\ns=-\r\n")
        self.assertEqual((session.state.name, stopped.called), ("CONNECTED", False))
        service.hurry()
        await stopped
        self.assertEqual(session.state.name, "DISCONNECTED")

    async def test_hurry(self) -> None:
        """row:M15: asked to stop again, the service gives up what is in flight and what the application still does."""
        service, application, asked = await self.asked_in_vain("600")
        stopped = service.stopService()
        service.hurry()
        self.assertEqual(await asked, 4)
        while "stopped" not in application.told:
            await deferLater(reactor, 0.01)
        service.hurry()
        await stopped
        self.flushLoggedErrors()

    async def test_reload_without_files(self) -> None:
        """row:M15: a reload where nothing has changed says so, and in clear text there is nothing to read."""
        for arguments in (identity(), ("--uri", "sip:a@a.example", "--listen", "tcp:0:interface=127.0.0.1")):
            service = self.made(*arguments, application=Recorder())
            service.startService()
            lines = self.logged()
            service.reload()
            self.assertEqual(lines, ["info reloaded: nothing has changed"])
            await service.stopService()

    async def test_a_trace_that_was_moved_away(self) -> None:
        """row:M15 fault:J10: a reload opens the trace anew, and says so where it cannot."""
        folder = Path(self.mktemp())
        folder.mkdir()
        service = self.made(*identity(), "--trace", str(folder / "trace"), application=Recorder())
        service.startService()
        (folder / "trace").rename(folder / "old")
        service.reload()
        self.assertTrue((folder / "trace").exists())
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        lines = self.logged()
        service.reload()
        self.assertIn("error the trace cannot be opened anew: No such file or directory", lines)

    async def test_only_sending(self) -> None:
        """row:B4: without --listen it starts, says so, and can send."""
        lines = self.logged()
        service = self.made(*identity(), application=Recorder())
        service.startService()
        self.assertEqual(lines, ["info sip:alice@a.example only sends: there is no --listen"])
        await service.stopService()

    async def test_what_is_in_flight_is_finished(self) -> None:
        """fault:J6: a stop waits for an answer that the application still owes, and the peer gets it."""
        application = Recorder()
        answer: Deferred[int] = Deferred()
        application.answer = answer
        service = self.made(*identity(), "--listen", LISTEN, "--allow", "b.example", application=application)
        service.startService()
        port = service.manager.listening_port
        asked = Deferred.fromCoroutine(self.ask(service, text="hello"))
        await application.came
        stopped = service.stopService()
        again = service.stopService()
        self.assertEqual((stopped.called, service.manager.is_listening), (False, False))
        answer.callback(202)
        self.assertEqual(await asked, 0)
        await stopped
        await again
        self.assertTrue(port_is_free(port))

    async def test_the_drain_has_an_end(self) -> None:
        """fault:J6: an application that never answers, and never stops, is waited for as long as --drain says."""
        service, _, asked = await self.asked_in_vain("0.2")
        started = reactor.seconds()
        await service.stopService()
        self.assertLess(reactor.seconds() - started, 3.0)
        self.assertEqual(await asked, 4)
        self.flushLoggedErrors()

    async def test_an_application_that_fails_at_the_end(self) -> None:
        """fault:K1: an exception in ``stopped`` is logged and does not keep the service from ending."""

        class Failing(Recorder):
            """Raises at the end."""

            def stopped(self) -> None:
                """Raise."""
                raise RuntimeError("at the end")

        service = self.made(*identity(), application=Failing())
        service.startService()
        await service.stopService()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_an_application_that_fails_at_the_start(self) -> None:
        """fault:K1: an exception in ``started`` is logged, and the start fails with one line that holds it."""

        class Failing(Recorder):
            """Raises at the start."""

            def started(self, endpoint: object) -> None:
                """Raise."""
                raise RuntimeError("two\nlines")

        service = self.made(*identity(), "--listen", LISTEN, application=Failing())
        service.privilegedStartService()
        error = self.assertRaises(StartFailed, service.startService)
        self.assertEqual(str(error), "sip-p2p: the application failed at its start: RuntimeError: two\\nlines")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        await service.stopService()
        self.assertFalse(service.manager.is_listening)

    async def test_privileges(self) -> None:
        """Ports are bound before privileges are given up, and the application is told after."""
        application = Recorder()
        service = self.made(*identity(), "--listen", LISTEN, application=application)
        service.privilegedStartService()
        self.assertEqual((service.manager.is_listening, application.told), (True, []))
        service.startService()
        self.assertEqual(application.told, ["started"])

    async def test_trace(self) -> None:
        """row:M11 fault:B5: the trace holds what passed and who was refused, and neither text nor credential."""
        path = self.mktemp()
        service = self.made(
            *identity(), "--listen", LISTEN, "--allow", "b.example", "--trace", path, application=Recorder()
        )
        service.startService()
        self.logged()
        self.assertEqual(await self.ask(service, text="meet at seven"), 0)
        other = keys() / "other" / "b.example.pem"
        options = AskOptions()
        port = service.manager.listening_port
        options.parseOptions(
            ["--uri", "sip:bob@b.example", "--certificate", str(other), "--trust", str(keys() / "ca.pem"),
             "--resolve", f"a.example=127.0.0.1:{port}", "sip:alice@a.example"]
        )  # fmt: skip
        self.assertEqual((await perform(reactor, options)).code, 5)
        await service.stopService()
        content = Path(path).read_text()
        events = list(read_trace(content.splitlines()))
        self.assertEqual(
            [event.start_line or event.note.partition(".")[0] for event in events],
            [
                "MESSAGE sip:alice@a.example SIP/2.0",
                "SIP/2.0 200 OK",
                "TLS: The peer's certificate was not issued by an authority that we trust",
            ],
        )
        self.assertEqual((events[0].peer, events[0].local, events[0].direction), ("b.example", "a.example", "in"))
        self.assertNotIn("seven", content)

    async def test_secrets_in_the_trace(self) -> None:
        """row:M11: the long option keeps bodies, and is a warning in the log of every start."""
        path = self.mktemp()
        lines = self.logged()
        service = self.made(
            *identity(), "--listen", LISTEN, "--allow", "b.example", "--trace", path, "--trace-with-secrets",
            application=Recorder(),
        )  # fmt: skip
        self.assertTrue(lines[0].startswith("warn --trace-with-secrets: "), lines)
        service.startService()
        await self.ask(service, text="meet at seven")
        await service.stopService()
        self.assertIn("meet at seven", Path(path).read_text())

    async def test_a_certificate_for_another_name(self) -> None:
        """row:D11: who listens with a certificate that does not prove the domain of --uri is warned at each start."""
        lines = self.logged()
        self.made("--uri", "sip:alice@c.example", *identity()[2:])
        self.assertEqual(lines, [])
        self.made("--uri", "sip:alice@c.example", *identity()[2:], "--listen", LISTEN)
        self.assertTrue(lines[0].startswith("warn the certificate proves a.example and not c.example, "), lines)

    async def test_instance_id(self) -> None:
        """row:A9: with --state the instance id is the same after a restart, without it a new one."""
        state = self.mktemp()
        ids = [self.made(*identity(), "--state", state).endpoint.instance_id for _ in range(2)]
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(self.made(*identity()).endpoint.instance_id, ids[0])

    async def test_a_port_that_is_taken(self) -> None:
        """row:C6: a port that cannot be bound is one line, and what was bound before it is let go."""
        first = self.made(*identity(), "--listen", LISTEN, application=Recorder())
        first.startService()
        taken = f"tls:port={first.manager.listening_port}:interface=127.0.0.1"
        second = self.made(*identity(), "--listen", LISTEN, "--listen", taken, application=Recorder())
        error = self.assertRaises(StartFailed, second.startService)
        self.assertTrue(str(error).startswith(f"sip-p2p: cannot listen on {taken}: "), str(error))
        self.assertEqual((error.code, isinstance(error, Exception), isinstance(error, SystemExit)), (1, True, True))
        await second.stopService()
        self.assertFalse(second.manager.is_listening)

    async def test_a_description_that_is_none(self) -> None:
        """row:M14: a wrong description is one line at the start."""
        service = self.made(*identity(), "--listen", "tls:port=x", application=Recorder())
        error = self.assertRaises(StartFailed, service.privilegedStartService)
        self.assertTrue(str(error).startswith("sip-p2p: cannot listen on 'tls:port=x': "), str(error))

    async def test_what_cannot_be_made(self) -> None:
        """row:M14: what the options name and is not there is an error before anything is bound."""
        file = self.mktemp()
        Path(file).write_bytes(b"")
        for error, arguments in (
            (usage.UsageError, ("--uri", "sip:alice@a.example")),
            (usage.UsageError, ("--uri", "sip:alice@a.example", "--certificate", file, "--trust", file)),
            (ApplicationError, (*identity(), "--application", "nothing")),
            (OSError, (*identity(), "--trace", os.path.join(file, "x"))),
            (OSError, (*identity(), "--state", file)),
        ):
            with self.subTest(arguments), self.assertRaises(error):
                make(reactor, parsed(*arguments))


class _Here:
    """A resolver for which every name is on this machine."""

    def resolve(self, target: object) -> Deferred[list[object]]:
        """The same target on loopback."""
        found: Deferred[list[object]] = Deferred()
        found.callback([target.at("127.0.0.1")])  # type: ignore[attr-defined]
        return found


SLOW = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from sip_p2p.service.applications import Application

class Slow(Application):
    def message(self, event):
        print("working", flush=True)
        return deferLater(reactor, 0.5, lambda: 202)
"""


class ProcessTests(SynchronousTestCase):
    """What ``twistd`` and ``twist`` really do, in processes of their own."""

    def twistd(self, *arguments: str, folders: tuple[str, ...] = ()) -> Process:
        """``twistd -n sip-p2p`` with a pid file of its own."""
        return Process(self, TWISTD, "-n", f"--pidfile={self.mktemp()}", "sip-p2p", *arguments, folders=folders)

    def port_of(self, process: Process) -> int:
        """The port that the service says it listens on."""
        return int(process.wait_for(" listens on tls ").rpartition(":")[2])

    def test_sigterm_drains(self) -> None:
        """row:M14 fault:J6: SIGTERM lets a request in flight be answered, frees the port, and ends the process."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "sip_p2p_test_slow.py").write_text(SLOW)
        service = self.twistd(
            *identity(), "--listen", LISTEN, "--allow", "b.example", "--application", "sip_p2p_test_slow:Slow",
            folders=(str(folder),),
        )  # fmt: skip
        port = self.port_of(service)
        asking = Process(
            self, COMMAND, "send", *identity("b.example", "bob"), "--resolve", f"a.example=127.0.0.1:{port}",
            "sip:alice@a.example", "hello",
        )  # fmt: skip
        service.wait_for("working")
        service.signal(signal.SIGTERM)
        self.assertEqual(asking.wait(), 0, asking.errors())
        self.assertTrue(asking.lines[0].startswith("202 Accepted from a.example at 127.0.0.1:"), asking.lines)
        self.assertEqual(service.wait(), -signal.SIGTERM)
        self.assertTrue(port_is_free(port))
        self.assertEqual(service.errors(), "")

    def test_two_processes_over_mutual_tls(self) -> None:
        """row:M14: the command asks the service, the service logs who it was, one JSON line an event."""
        service = self.twistd(*identity(), "--listen", LISTEN, "--allow", "b.example", "--application", "log")
        port = self.port_of(service)
        to = (*identity("b.example", "bob"), "--resolve", f"a.example=127.0.0.1:{port}", "sip:alice@a.example")
        self.assertEqual(run(COMMAND, "options", *to).returncode, 0)
        sent = run(COMMAND, "send", "--json", *to, "Grüße\n{}")
        self.assertEqual((sent.returncode, json.loads(sent.stdout)["status"]), (0, 200))
        event = json.loads(service.wait_for('"event": "message"'))
        self.assertEqual((event["text"], event["peer"]), ("Grüße\n{}", "b.example"))
        stranger = str(keys() / "other" / "b.example.pem")
        refused = run(COMMAND, "options", "--uri", "sip:bob@b.example", "--certificate", stranger, *to[4:])
        self.assertEqual(refused.returncode, 5)
        self.assertTrue(refused.stderr.startswith("sip-p2p: The peer refused our certificate."), refused.stderr)
        service.wait_for('"event": "tls-failure"')

    def test_secrets_stay_out_of_logs(self) -> None:
        """fault:B5: neither the log, the events nor the trace of a service hold a credential that was sent to it."""
        trace = self.mktemp()
        service = self.twistd(*identity(), "--listen", LISTEN, "--allow", "b.example", "--trace", trace)
        port = self.port_of(service)
        for method in ("MESSAGE", "OPTIONS", "INFO"):
            done = run(
                COMMAND, "request", method, *identity("b.example", "bob"), "--resolve", f"a.example=127.0.0.1:{port}",
                "sip:alice@a.example", "--header", 'Authorization: Digest username="bob", response="hunter2"',
                "--header", "Proxy-Authorization: Bearer hunter2",
            )  # fmt: skip
            self.assertIn(done.returncode, (0, 2), done.stderr)
        service.signal(signal.SIGTERM)
        service.wait()
        content = Path(trace).read_text()
        self.assertEqual(content.count("Authorization: Digest (withheld)"), 3)
        self.assertNotIn("hunter2", "\n".join((content, *service.lines, service.errors())))

    def test_what_peers_write_does_not_drive_the_terminal(self) -> None:
        """fault:B4: controls that a peer sends neither end a line of the log nor reach a terminal as they are."""
        service = self.twistd("--uri", "sip:alice@a.example", "--listen", "tcp:0:interface=127.0.0.1")
        port = int(service.wait_for(" listens on tcp ").rpartition(":")[2])
        message = (
            b"MESSAGE sip:alice@a.example SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
            b'From: "\xc2\x9b2J\xe2\x80\xae" <sip:x@h>;tag=1\r\nTo: <sip:alice@a.example>\r\nCall-ID: y\r\n'
            b"CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n"
            b"a\r\nforged entry\x1b[1m\x00"
        )
        for data, answer in (
            (message, b"SIP/2.0 200 "),
            (message.replace(b"\xc2\x9b", b"\x1b["), b"SIP/2.0 400 "),
            (message.replace(b"Call-ID: y", b"Call-ID: \x1b]0;x\x07"), b"SIP/2.0 "),
            (b"\x1b[2J\x1b]0;x\x07 what\r\n\r\n", b""),
        ):
            with socket.create_connection(("127.0.0.1", port), 20) as peer:
                peer.sendall(data)
                received = peer.recv(4096)
                self.assertTrue(received.startswith(answer), (data, received))
        service.signal(signal.SIGTERM)
        service.wait()
        self.assertTrue(any('"event": "message"' in line for line in service.lines), service.lines)
        for line in service.lines:
            self.assertTrue(line.isprintable() and not line.startswith("forged"), line)

    def test_a_daemon(self) -> None:
        """row:M14: a daemon keeps the events of ``log`` in its log file, and SIGTERM ends it as it should."""
        log, pidfile = self.mktemp(), self.mktemp()
        done = run(
            TWISTD, f"--pidfile={pidfile}", f"--logfile={log}", "sip-p2p", "--uri", "sip:alice@a.example",
            "--listen", "tcp:0:interface=127.0.0.1",
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid = int(Path(pidfile).read_text())
        started = Path(log).read_text()
        port = int(started.partition(" listens on tcp 127.0.0.1:")[2].partition("\n")[0])
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            os.kill(pid, signal.SIGTERM)
            self.assertEqual(peer.recv(1), b"")
        self.assertTrue(port_is_free(port))
        self.assertIn('[sip_p2p.service.events#info] {"time": "', started)
        self.assertIn('"event": "started"', started)

    def test_mistakes_under_twistd_and_twist(self) -> None:
        """row:M14: a mistake is one line on standard error and exit code 1, under both programs."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        pidfile = self.mktemp()
        mistakes = (
            (("--frob",), "sip-p2p: option --frob not recognized"),
            (("--uri", "sip:a@b", "--listen", "tls:0"), "sip-p2p: --certificate is missing"),
            (
                ("--uri", "sip:a@b", "--listen", f"tcp:{port}:interface=127.0.0.1"),
                f"sip-p2p: cannot listen on tcp:{port}:interface=127.0.0.1: ",
            ),
        )
        programs = ((*TWISTD, "-n", f"--pidfile={pidfile}"), TWIST)
        cases = [(program, *mistake) for mistake in mistakes for program in programs]
        # Nearly all of it is waiting for interpreters to start.
        with ThreadPoolExecutor(len(cases)) as threads:
            ended = list(threads.map(lambda case: run(case[0], "sip-p2p", *case[1]), cases))
        for (program, arguments, expected), done in zip(cases, ended, strict=True):
            with self.subTest(arguments=arguments, program=program[2][:40]):
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done)
                self.assertTrue(done.stderr.startswith(expected), done.stderr)
        self.assertFalse(os.path.exists(pidfile))

    def test_check(self) -> None:
        """row:M14: --check explains on standard output, binds nothing, and leaves with 0 or 1."""
        good = run(TWISTD, "-n", "sip-p2p", *identity(), "--listen", LISTEN, "--check")
        self.assertEqual((good.returncode, good.stderr), (0, ""))
        self.assertTrue(good.stdout.endswith("It would start.\n"), good.stdout)
        bad = run(TWISTD, "-n", "sip-p2p", *identity()[:4], "--check")
        self.assertEqual((bad.returncode, bad.stderr), (1, ""))

    def test_a_daemon_that_cannot_start(self) -> None:
        """row:M14: who starts a daemon learns why it did not start, and the log says it in full."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        log, pidfile = self.mktemp(), self.mktemp()
        done = run(
            TWISTD, f"--pidfile={pidfile}", f"--logfile={log}", "sip-p2p", "--uri", "sip:a@b",
            "--listen", f"tcp:{port}:interface=127.0.0.1",
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot listen on tcp:{port}", done.stderr)
        self.assertIn(f"sip-p2p: cannot listen on tcp:{port}:interface=127.0.0.1: ", Path(log).read_text())
        self.assertFalse(os.path.exists(pidfile))
