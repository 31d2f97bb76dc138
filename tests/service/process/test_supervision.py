"""What a supervisor hears, on a socket as systemd's, and when."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from sip_p2p.service.applications import Application
from sip_p2p.service.assembly import make
from sip_p2p.service.process.supervision import (
    MOST_STATUS_CHARACTERS,
    NotifySocket,
    Supervision,
    asked_for,
    service_state,
)
from sip_p2p.service.settings.options import Options
from tests.service.support import TWISTD, Process, parsed
from tests.support import SynchronousTestCase, TestCase

if TYPE_CHECKING:
    from sip_p2p.service.service import SipService


class Heard:
    """A messenger that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, str | int]] = []
        self.is_closed = False

    def tell(self, **fields: str | int) -> bool:
        """Keep it."""
        self.told.append(fields)
        return True

    def close(self) -> None:
        """Nothing more comes."""
        self.is_closed = True

    def take(self) -> list[dict[str, str | int]]:
        """What has come since the last time."""
        told, self.told = self.told, []
        return told


class SocketTests(SynchronousTestCase):
    """The words on a real socket."""

    def listening(self, address: str) -> socket.socket:
        """Where a supervisor would listen."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(found.close)
        found.bind(address)
        found.settimeout(5)
        return found

    def path(self) -> str:
        """The name of a socket that is not there yet."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return str(Path(folder.name) / "notify")

    def messenger(self, address: str) -> NotifySocket:
        """The messenger to *address*."""
        made = NotifySocket(address)
        self.addCleanup(made.close)
        return made

    def test_a_path(self) -> None:
        """A message is one datagram with one assignment a line, and no value reaches another line."""
        address = self.path()
        supervisor = self.listening(address)
        self.assertTrue(self.messenger(address).tell(READY=1, STATUS="two\nREADY=0"))
        self.assertEqual(supervisor.recv(4096), b"READY=1\nSTATUS=two\\nREADY=0")

    def test_an_abstract_name(self) -> None:
        """A name behind @ is one of Linux's abstract names."""
        name = f"sip-p2p-test-{os.getpid()}"
        supervisor = self.listening("\0" + name)
        self.assertTrue(self.messenger("@" + name).tell(WATCHDOG=1))
        self.assertEqual(supervisor.recv(4096), b"WATCHDOG=1")

    def test_nobody_listens(self) -> None:
        """A supervisor that is gone is told of in the log, once, and delays nobody."""
        messenger = self.messenger(self.path())
        self.assertEqual([messenger.tell(READY=1), messenger.tell(READY=1)], [False, False])

    def test_one_that_does_not_read(self) -> None:
        """A supervisor that reads nothing delays nobody: what does not fit is lost."""
        address = self.path()
        self.listening(address)
        messenger = self.messenger(address)
        self.assertIn(False, [messenger.tell(WATCHDOG=1) for _ in range(10_000)])

    def test_what_is_no_address(self) -> None:
        """An address that is neither a path nor an abstract name is refused."""
        for address in ("vsock:2:1234", "notify", "@", "/"):
            self.assertRaises(ValueError, NotifySocket, address)


class EnvironmentTests(SynchronousTestCase):
    """What the environment says of a supervisor."""

    def found(self, **environment: str) -> tuple[float | None, dict[str, str]] | None:
        """The watchdog's seconds, and what is left of the environment."""
        found = asked_for(environment)
        if found is None:
            return None
        found[0].close()
        return found[1], environment

    def test_no_supervisor(self) -> None:
        """Without NOTIFY_SOCKET nobody is told, and an address of another kind is no supervisor."""
        self.assertIsNone(self.found(WATCHDOG_USEC="1000000"))
        self.assertIsNone(self.found(NOTIFY_SOCKET="vsock:2:1"))

    def test_a_watchdog(self) -> None:
        """WATCHDOG_USEC counts for the process that WATCHDOG_PID names; no child finds any of it."""
        mine = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
        self.assertEqual(self.found(**mine), (4.0, {"A": "b"}))
        self.assertEqual(self.found(**{**mine, "WATCHDOG_PID": "1"}), (None, {"A": "b"}))
        for wrong in ("", "soon", "0", "-1"):
            self.assertEqual(self.found(**{**mine, "WATCHDOG_USEC": wrong}), (None, {"A": "b"}))


def service(clock: Clock) -> SipService:
    """A service in clear text that listens nowhere."""
    options = Options()
    options.parseOptions(["--uri", "sip:bob@b.example", "--proxy", "tcp:127.0.0.1:9"])
    made = make(clock, options)
    made.application = Application()
    return made


class LifeTests(SynchronousTestCase):
    """The steps of a service's life, as a supervisor hears of them."""

    def supervised(self, watchdog: float | None = None, stop_seconds: float = 5.0) -> None:
        """A service whose supervisor only listens."""
        self.clock = Clock()
        self.heard = Heard()
        self.words = "well"
        self.service = service(self.clock)
        self.service.add_part(
            Supervision(self.clock, self.heard, watchdog=watchdog, stop_seconds=stop_seconds, state=lambda: self.words)
        )

    def test_a_whole_life(self) -> None:
        """row:M15: READY comes when everything has started, RELOADING with the time before files are read and READY
        after, STOPPING with the time that a stop may take, and then nothing more."""
        self.supervised()
        self.assertEqual(self.heard.take(), [])
        self.service.startService()
        self.assertEqual(self.heard.take(), [{"READY": 1, "STATUS": "well"}])
        self.service.reload()
        begun, done = self.heard.take()
        self.assertEqual((begun.pop("RELOADING"), done), (1, {"READY": 1, "STATUS": "well"}))
        self.assertGreater(int(begun["MONOTONIC_USEC"]), 0)
        self.successResultOf(self.service.stopService())
        stopping = {"STOPPING": 1, "EXTEND_TIMEOUT_USEC": 15_000_000, "STATUS": "stopping; well"}
        self.assertEqual((self.heard.take(), self.heard.is_closed), ([stopping], True))
        self.clock.advance(60)
        self.assertEqual(self.heard.take(), [])

    def test_another_time_for_a_stop(self) -> None:
        """row:M15: what a file says of a stop after SIGHUP is what a supervisor is asked for."""
        self.supervised()
        self.service.startService()
        wanted = parsed("--uri", "sip:bob@b.example", "--proxy", "tcp:127.0.0.1:9", "--finish-sessions", "40")
        self.service.configure(wanted, frozenset({"finish-sessions"}))
        self.heard.take()
        self.successResultOf(self.service.stopService())
        (stopping,) = self.heard.take()
        self.assertEqual(stopping["EXTEND_TIMEOUT_USEC"], 55_000_000)

    def test_signs_of_life(self) -> None:
        """A watchdog gets two signs of life in its time, also while the service stops slowly."""
        self.supervised(watchdog=4.0)
        self.service.startService()
        self.heard.take()
        self.clock.pump([2.0] * 3)
        self.assertEqual(self.heard.take(), [{"WATCHDOG": 1}] * 3)
        self.successResultOf(self.service.stopService())

    def test_the_state(self) -> None:
        """The state in words is told when it has changed, not oftener than every ten seconds, and cut where it is
        long."""
        self.supervised()
        self.service.startService()
        self.heard.take()
        self.words = "x" * 1000
        self.clock.advance(9)
        self.assertEqual(self.heard.take(), [])
        self.clock.advance(1)
        ((said),) = self.heard.take()
        self.assertEqual(list(said), ["STATUS"])
        self.assertLessEqual(len(str(said["STATUS"])), MOST_STATUS_CHARACTERS + 3)
        self.clock.advance(60)
        self.assertEqual(self.heard.take(), [])
        self.successResultOf(self.service.stopService())

    def test_the_words(self) -> None:
        """The state of a service says who it is, where it listens, and what it has to do."""
        made = service(Clock())
        self.assertEqual(service_state(made), "sip:bob@b.example only sends; 0 connections, 0 sessions")
        made.startService()
        self.successResultOf(made.stopService())


class ProcessTests(TestCase):
    """A real service under a supervisor that is the test."""

    timeout = 120

    async def lives(self, state: str, *more: str) -> None:
        """Let a service live from its start to its end, as a supervisor with a watchdog hears of it."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        address = f"{folder.name}/notify"
        supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(supervisor.close)
        supervisor.bind(address)
        supervisor.settimeout(20)
        process = Process(
            self, ("env", f"NOTIFY_SOCKET={address}", "WATCHDOG_USEC=500000", *TWISTD, "-n", "--pidfile="), "sip-p2p",
            "--uri", "sip:bob@b.example", "--listen", "tcp:0:interface=127.0.0.1", *more,
        )  # fmt: skip

        def hear(words: str) -> str:
            while True:
                text = supervisor.recv(4096).decode()
                if words in text:
                    return text

        self.assertIn(state, await deferToThread(hear, "READY=1"))
        await deferToThread(hear, "WATCHDOG=1")
        process.signal(signal.SIGHUP)
        self.assertRegex(await deferToThread(hear, "RELOADING=1"), r"MONOTONIC_USEC=\d+")
        await deferToThread(hear, "READY=1")
        process.signal(signal.SIGTERM)
        self.assertIn("EXTEND_TIMEOUT_USEC=", await deferToThread(hear, "STOPPING=1"))
        self.assertEqual(await deferToThread(process.wait), -signal.SIGTERM)

    async def test_one_process(self) -> None:
        """row:M15: a supervisor hears of a real service that it is ready and where it listens, that it lives, that it
        reads its files anew, and that it stops."""
        await self.lives("listens on TCP 127.0.0.1:")

    async def test_workers(self) -> None:
        """row:M15: a parent says the same of itself, and is ready when all its workers are."""
        await self.lives("2 of 2 workers serve", "--workers", "2")
