"""What happens to a service in a year: reloads, stops under load, crashes, pauses, full disks and taken ports.

Real processes, each with a deadline; the peer is a party in the process of the tests.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python import usage

from sip_p2p import RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint, StaticResolver, TrustPolicy
from sip_p2p.errors import ListenFailed, SipError
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.applications import Application
from sip_p2p.service.assembly import make
from sip_p2p.service.service import StartFailed
from sip_p2p.transport.trust.credential import Credential
from tests.service.support import TWISTD, Process, keys, parsed, run
from tests.service.test_service import identity, port_is_free
from tests.support import TestCase, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure


LISTEN = "tls:port=0:interface=127.0.0.1"


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ProcessCase(TestCase):
    """A service in a process of its own, and Bob, who talks to it."""

    timeout = 120

    def service(self, *arguments: str, program: tuple[str, ...] = (*TWISTD, "-n", "--pidfile=")) -> Process:
        """Alice's service."""
        return Process(self, program, "sip-p2p", *identity(), "--allow", "b.example", *arguments)

    async def port_of(self, service: Process) -> int:
        """Where it listens, when it does."""
        line = await deferToThread(service.wait_for, '"event": "started"')
        event = json.loads(line[line.index("{") :])
        return int(event["listening"][0]["address"].rpartition(":")[2])

    def bob(self, port: int) -> SipPeerToPeerEndpoint:
        """Bob, who finds Alice at *port*."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor, folder / "b.example.pem", trust=folder / "ca.pem", allow=TrustPolicy(["a.example"])
        )
        manager.resolver = StaticResolver({"a.example": ("127.0.0.1", port)}, manager.resolver)
        self.addCleanup(manager.terminate)
        return SipPeerToPeerEndpoint("sip:bob@b.example", manager)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* holds; the test's own deadline ends it otherwise."""
        while not condition():
            await deferLater(reactor, 0.02)


class ReloadTests(ProcessCase):
    """SIGHUP."""

    async def test_a_new_certificate(self) -> None:
        """row:M15 fault:F13: after SIGHUP new connections are shown the certificate that now stands in the file, a
        connection from before lives on, a broken file changes nothing, and a log that was moved away begins anew."""
        authority = CertificateAuthority.load(keys())
        folder, log = Path(self.mktemp()), Path(self.mktemp())
        folder.mkdir()
        path = authority.issue("a.example").write(folder)
        service = Process(
            self, (*TWISTD, "-n", "--pidfile=", f"--logfile={log}"), "sip-p2p", "--uri", "sip:alice@a.example",
            "--certificate", str(path), "--trust", str(keys() / "ca.pem"), "--allow", "b.example", "--listen", LISTEN,
        )  # fmt: skip
        port = await self.port_of(service)
        old, new = self.bob(port), self.bob(port)
        await old.request("OPTIONS", "sip:alice@a.example")
        newer = authority.issue("a.example")
        newer.write(folder, replace=True)
        log.rename(f"{log}.1")
        service.signal(signal.SIGHUP)
        await self.until(lambda: log.exists() and "reloaded" in log.read_text())
        await new.request("OPTIONS", "sip:alice@a.example")
        await old.request("OPTIONS", "sip:alice@a.example")
        [kept], [fresh] = old.connection_manager.pool, new.connection_manager.pool
        self.assertNotEqual(self.serial(kept), newer.certificate.serial_number)
        self.assertEqual(self.serial(fresh), newer.certificate.serial_number)
        path.write_text("nothing of use")
        service.signal(signal.SIGHUP)
        await self.until(lambda: log.read_text().count("] reloaded: ") == 2)
        last = self.bob(port)
        await last.request("OPTIONS", "sip:alice@a.example")
        [flow] = last.connection_manager.pool
        self.assertEqual(self.serial(flow), newer.certificate.serial_number)
        self.assertNotIn("Traceback", log.read_text())
        service.signal(signal.SIGTERM)
        await deferToThread(service.wait)

    @staticmethod
    def serial(flow: Any) -> int:
        """The serial number of the certificate that the other side has shown."""
        certificate: x509.Certificate = flow.verified.certificate
        return certificate.serial_number


class StopTests(ProcessCase):
    """SIGTERM and SIGINT."""

    async def test_under_load(self) -> None:
        """fault:J11 fault:J6: of the messages that come while a daemon is told to stop, every one that its application
        was given is answered, and the pid file and the port are free afterwards."""
        log, pidfile = Path(self.mktemp()), Path(self.mktemp())
        port = free_port()
        done = await deferToThread(
            run, TWISTD, f"--pidfile={pidfile}", f"--logfile={log}", "sip-p2p", *identity(), "--allow", "b.example",
            "--listen", f"tls:port={port}:interface=127.0.0.1",
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        process = int(pidfile.read_text())
        self.addCleanup(self.kill, process)
        bob = self.bob(port)
        await bob.request("OPTIONS", "sip:alice@a.example")
        answered: list[str] = []
        failed: list[Failure] = []

        def send(number: int) -> Deferred[None]:
            sent = bob.send_message("sip:alice@a.example", f"number {number}", retry_after="never")
            return sent.addCallbacks(lambda _: answered.append(f"number {number}"), self.note(failed))

        waiting = [send(number) for number in range(400)]
        await self.until(lambda: len(answered) > 20)
        os.kill(process, signal.SIGTERM)
        waiting += [send(number) for number in range(400, 800)]
        await gatherResults(waiting)
        await self.until(lambda: not pidfile.exists())
        self.assertTrue(port_is_free(port))
        events = [line.partition("] ")[2] for line in log.read_text().splitlines() if '"event": "message"' in line]
        given = {json.loads(event)["text"] for event in events}
        self.assertEqual(given - set(answered), set())
        self.assertGreater(len(given), 20)
        self.assertNotIn("Traceback", log.read_text())

    @staticmethod
    def note(failed: list[Failure]) -> Callable[[Failure], None]:
        """Keep a failure of ours, and let no other through."""

        def keep(failure: Failure) -> None:
            failure.trap(SipError)
            failed.append(failure)

        return keep

    @staticmethod
    def kill(process: int) -> None:
        """End the daemon that the test has started, if it still runs."""
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def test_twice(self) -> None:
        """row:M15: a second SIGTERM does not wait for what is in flight, however long --drain is."""
        folder = self.mktemp()
        os.mkdir(folder)
        Path(folder, "slow.py").write_text(
            "from twisted.internet.defer import Deferred\n"
            "from sip_p2p.service.applications.log import LogApplication\n"
            "class Slow(LogApplication):\n"
            "    def message(self, event):\n"
            "        super().message(event)\n"
            "        return Deferred()\n"
        )
        service = Process(
            self, (*TWISTD, "-n", "--pidfile="), "sip-p2p", *identity(), "--allow", "b.example", "--listen", LISTEN,
            "--application", "slow:Slow", "--drain", "600", folders=(folder,),
        )  # fmt: skip
        port = await self.port_of(service)
        failed: list[Failure] = []
        asked = self.bob(port).send_message("sip:alice@a.example", "x").addErrback(self.note(failed))
        await deferToThread(service.wait_for, '"event": "message"')
        service.signal(signal.SIGTERM)
        await deferToThread(service.wait_for, "has 600 seconds")
        service.signal(signal.SIGTERM)
        await deferToThread(service.wait)
        await asked
        self.assertEqual(len(failed), 1)
        self.assertNotIn("Traceback", service.errors() + "".join(service.lines))

    async def test_two_signals_at_once(self) -> None:
        """row:M15: SIGTERM and SIGINT that come together are one wish to stop, and nothing is said of it."""
        service = Process(
            self, (*TWISTD, "-n", "--pidfile="), "sip-p2p", *identity(), "--allow", "b.example", "--listen", LISTEN
        )
        await deferToThread(service.wait_for, "listens on tls")
        service.signal(signal.SIGSTOP)
        service.signal(signal.SIGTERM)
        service.signal(signal.SIGINT)
        service.signal(signal.SIGCONT)
        await deferToThread(service.wait)
        said = service.errors() + "".join(service.lines)
        self.assertNotIn("ReactorNotRunning", said)
        self.assertNotIn("Traceback", said)


class RestartTests(ProcessCase):
    """A peer that is there again, and one that was away for a while."""

    async def test_killed(self) -> None:
        """fault:J5: when the process of a peer is killed and a new one takes its place, the next request reaches the
        new one."""
        port = free_port()
        listen = ("--listen", f"tls:port={port}:interface=127.0.0.1")
        first = self.service(*listen)
        await self.port_of(first)
        bob = self.bob(port)
        self.assertEqual((await bob.send_message("sip:alice@a.example", "x")).status, 200)
        first.signal(signal.SIGKILL)
        await deferToThread(first.wait)
        second = self.service(*listen)
        await self.port_of(second)
        response = await bob.send_message("sip:alice@a.example", "here again", timeout=20)
        self.assertEqual(response.status, 200)
        second.signal(signal.SIGTERM)
        await deferToThread(second.wait)

    async def test_stopped_and_continued(self) -> None:
        """fault:J9: a process that is stopped for a moment and goes on answers what came meanwhile, once each, and the
        connections from before still carry messages."""
        service = self.service("--listen", LISTEN)
        port = await self.port_of(service)
        bob = self.bob(port)
        await bob.send_message("sip:alice@a.example", "before")
        service.signal(signal.SIGSTOP)
        waiting = [bob.send_message("sip:alice@a.example", f"while {number}") for number in range(20)]
        await deferLater(reactor, 1.5)
        self.assertFalse(any(each.called for each in waiting))
        service.signal(signal.SIGCONT)
        self.assertEqual({response.status for response in await gatherResults(waiting)}, {200})
        self.assertEqual((await bob.send_message("sip:alice@a.example", "after")).status, 200)
        self.assertEqual(len(list(bob.connection_manager.pool)), 1)
        service.signal(signal.SIGTERM)
        await deferToThread(service.wait)
        said = [json.loads(line)["text"] for line in service.lines if '"event": "message"' in line]
        self.assertEqual(sorted(said), sorted({"before", "after"} | {f"while {number}" for number in range(20)}))


class DiskTests(ProcessCase):
    """Files that cannot be read or written."""

    async def test_full_disk(self) -> None:
        """fault:J10: with a full disk under its trace, its log and its standard output a service says so and goes on
        answering, and ends without a traceback."""
        full = Path(self.mktemp())
        full.symlink_to("/dev/full")
        log = Path(self.mktemp())
        port = free_port()
        with open("/dev/full", "wb") as nowhere:
            service = Process(
                self, (*TWISTD, "-n", "--pidfile=", f"--logfile={log}"), "sip-p2p", *identity(), "--allow",
                "b.example", "--listen", f"tls:port={port}:interface=127.0.0.1", "--trace", str(full), stdout=nowhere,
            )  # fmt: skip
            await self.until(lambda: log.exists() and "listens on" in log.read_text())
            bob = self.bob(port)
            for number in range(5):
                self.assertEqual((await bob.send_message("sip:alice@a.example", f"{number}")).status, 200)
            service.signal(signal.SIGTERM)
            await deferToThread(service.wait)
        text = log.read_text()
        self.assertEqual(text.count("ends here: No space left on device"), 1, text)
        self.assertEqual(text.count("events are not written"), 1, text)
        self.assertNotIn("Traceback", text + service.errors())
        self.assertNotIn("Exception", service.errors())

    async def test_full_log(self) -> None:
        """fault:J10: with a full disk under its log a service says so once on standard error and goes on answering."""
        log = Path(self.mktemp())
        log.symlink_to("/dev/full")
        service = Process(
            self, (*TWISTD, "-n", "--pidfile=", f"--logfile={log}"), "sip-p2p", *identity(), "--allow", "b.example",
            "--listen", LISTEN,
        )  # fmt: skip
        port = await self.port_of(service)
        self.assertEqual((await self.bob(port).send_message("sip:alice@a.example", "x")).status, 200)
        service.signal(signal.SIGTERM)
        await deferToThread(service.wait)
        self.assertEqual(
            service.errors(), f"sip-p2p: the log {log.absolute()} cannot be written: No space left on device\n"
        )


class StartTests(TestCase):
    """What keeps a service from starting, and what is only worth a warning."""

    async def test_all_or_nothing(self) -> None:
        """fault:J7: when one of several places cannot be bound, the start fails with one line that names it, and none
        of the others stays bound."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, free = taken.getsockname()[1], free_port()
        for order in ((free, port), (port, free)):
            places = [part for each in order for part in ("--listen", f"tls:port={each}:interface=127.0.0.1")]
            service = make(reactor, parsed(*identity(), *places))
            error = self.assertRaises(StartFailed, service.privilegedStartService)
            self.assertIn(f"cannot listen on tls:port={port}:interface=127.0.0.1: ", str(error))
            self.assertEqual(str(error).count("\n"), 0)
            await service.manager.terminate()
            self.assertTrue(port_is_free(free))

    async def test_listening_again(self) -> None:
        """fault:J7: a port that was taken while we did not listen is an error for who asks to listen again, the party
        goes on sending, and listens again when the port is free."""
        service = make(reactor, parsed(*identity(), "--listen", LISTEN))
        self.addCleanup(service.stopService)
        service.application = Application()
        service.startService()
        manager = service.manager
        port = manager.listening_port
        await manager.stop_listening()
        taken = socket.socket()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        again = f"tls:port={port}:interface=127.0.0.1"
        try:
            failed = await self.assertFailure(manager.start_listening(again), ListenFailed)
            self.assertIn("cannot listen on", str(failed))
            self.assertEqual((manager.is_listening, manager.is_terminated), (False, False))
        finally:
            taken.close()
        await manager.start_listening(again)
        self.assertEqual(manager.listening_port, port)

    def test_a_key_that_cannot_be_read(self) -> None:
        """fault:J10: a key that is a folder, is missing or holds something else is one line that names the file."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "odd.pem").write_text("something else")
        arguments = identity()
        for path in (folder, folder / "missing.pem", folder / "odd.pem"):
            error = self.assertRaises(
                usage.UsageError, make, reactor, parsed(*arguments, "--private-key", str(path), "--listen", LISTEN)
            )
            self.assertIn(str(path), str(error))
            self.assertEqual(str(error).count("\n"), 0)

    def test_a_key_that_everybody_can_read(self) -> None:
        """fault:J10: a private key that others may read is used, and the log warns with what to do."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = CertificateAuthority.load(keys()).issue("a.example").write(folder)
        for mode, count in ((0o644, 1), (0o600, 0)):
            path.chmod(mode)
            lines: list[str] = []
            self.observe(lines)
            service = make(reactor, parsed(*identity()[:2], "--certificate", str(path), *identity()[4:]))
            self.addCleanup(service.stopService)
            self.assertEqual(sum("chmod 600" in line for line in lines), count, lines)
        self.assertIsInstance(Credential.from_files(path), Credential)

    def observe(self, lines: list[str]) -> None:
        """Keep what is logged from now on."""
        from twisted.logger import formatEvent, globalLogPublisher

        def keep(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
