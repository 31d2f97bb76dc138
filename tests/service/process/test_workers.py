"""A parent and its workers: on a clock with processes that are none, and real ones that are killed."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from sip_p2p import RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.service.process.shared_sockets import SharedSockets
from sip_p2p.service.process.supervision import Supervision
from sip_p2p.service.process.workers import SILENCE, SPARE, START, STEADY, Worker, Workers, worker_arguments
from sip_p2p.service.settings.options import Options
from sip_p2p.service.silence import silent_offer
from tests.service.support import COMMAND, TWISTD, Process, run
from tests.support import SynchronousTestCase, TestCase, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.service.process.worker import Seat


class Reactor(Clock):
    """A clock that runs from the start and binds nothing."""

    def callWhenRunning(self, callable: Any, *args: object, **kwargs: object) -> None:
        """It runs."""
        callable(*args, **kwargs)

    def callFromThread(self, callable: Any, *args: object, **kwargs: object) -> None:
        """There is one thread."""
        callable(*args, **kwargs)


class Child:
    """The process of a worker that is none."""

    def __init__(self, worker: Worker, seat: Seat) -> None:
        self.worker = worker
        self.seat = seat
        self.orders: list[str] = []
        self.is_killed = False
        self.is_gone = False
        worker.makeConnection(self)

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        """An order."""
        self.orders.append(f"{descriptor}:{data.decode().strip()}")

    def signalProcess(self, name: str) -> None:
        """The end."""
        if self.is_gone:
            raise ProcessExitedAlready
        self.is_killed = True

    def says(self, **fields: object) -> None:
        """A message to the parent, in two pieces."""
        text = "\n".join(f"{name}={value}" for name, value in fields.items()).encode() + b"\n\n"
        self.worker.childDataReceived(self.seat.words, text[:3])
        self.worker.childDataReceived(self.seat.words, text[3:])

    def ends(self, code: int | None = 1, number: int | None = None) -> None:
        """Its end."""
        self.is_gone = True
        reason: Exception = ProcessDone(0) if code == 0 else ProcessTerminated(code, number)
        self.worker.processEnded(Failure(reason))


class Heard:
    """A supervisor."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, **fields: str | int) -> bool:
        """Keep what it is told, without the times."""
        self.told.append(" ".join(name for name in fields if name not in ("STATUS", "MONOTONIC_USEC")))
        return True

    def close(self) -> None:
        """Nothing more comes."""
        self.told.append("closed")


class ParentTests(SynchronousTestCase):
    """The parent, on a clock."""

    def setUp(self) -> None:
        """Three workers that are none."""
        self.reactor = Reactor()
        self.children: list[Child] = []
        self.failed: list[str] = []
        self.heard = Heard()
        self.parent = Workers(
            self.reactor,
            SharedSockets(["tcp:0:interface=127.0.0.1"], 3),
            self.spawn,
            stop_seconds=5.0,
            supervise=lambda state: Supervision(self.reactor, self.heard, stop_seconds=5.0, state=state),
            failed=self.failed.append,
        )
        # Twisted's own port has to exist to be shared; nothing is accepted here.
        self.parent.privilegedStartService()
        self.parent.startService()
        self.addCleanup(self.end)

    def spawn(self, worker: Worker, seat: Seat, descriptors: list[int], names: list[str]) -> Any:
        """A process that is none."""
        self.assertEqual((len(descriptors), seat.words), (len(names), 3 + len(descriptors)))
        child = Child(worker, seat)
        self.children.append(child)
        return child

    def end(self) -> None:
        """End everything."""
        ended = self.parent.stopService()
        for child in self.children:
            if not child.is_gone:
                child.ends(0)
        self.successResultOf(ended)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def all_ready(self) -> None:
        """Let all of them start well."""
        for child in self.children:
            child.says(READY=1, STATUS="well")

    def test_ready_when_all_are(self) -> None:
        """A supervisor hears that the parent is ready when every worker is."""
        self.assertEqual([(each.seat.number, each.seat.of) for each in self.children], [(1, 3), (2, 3), (3, 3)])
        for child in self.children[:2]:
            child.says(READY=1)
        self.assertEqual((self.heard.told, self.parent.state()), ([], "2 of 3 workers serve"))
        self.children[2].says(READY=1)
        self.assertEqual((self.heard.told, self.parent.state()), (["READY"], "3 of 3 workers serve"))

    def test_one_that_dies(self) -> None:
        """A worker that dies is started again after a second, then after two; one that was steady, after one again."""
        self.all_ready()
        self.children[1].ends(None, signal.SIGKILL)
        self.assertEqual(self.parent.state(), "2 of 3 workers serve; 1 had to be started again")
        self.reactor.advance(0.9)
        self.assertEqual(len(self.children), 3)
        self.reactor.advance(0.1)
        self.assertEqual(self.children[3].seat.number, 2)
        self.children[3].ends(1)
        self.reactor.advance(1.9)
        self.assertEqual(len(self.children), 4)
        self.reactor.advance(0.1)
        self.children[4].says(READY=1)
        for _ in range(int(STEADY)):
            self.reactor.advance(1)
            for child in self.children:
                child.says(WATCHDOG=1)
        self.children[4].ends(0)
        self.reactor.advance(1)
        self.assertEqual(len(self.children), 6)

    def test_one_that_keeps_dying(self) -> None:
        """The pauses grow to a minute and no further."""
        self.all_ready()
        pauses = []
        for _ in range(8):
            self.children[-1].ends(1)
            before = self.reactor.seconds()
            count = len(self.children)
            while len(self.children) == count:
                self.reactor.advance(0.5)
                for child in self.children[:2]:
                    child.says(WATCHDOG=1)
            pauses.append(self.reactor.seconds() - before)
        self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60])

    def test_one_without_life(self) -> None:
        """A worker that gives no sign of life for thirty seconds is killed; each sign gives it as much again."""
        self.all_ready()
        for child in self.children[1:]:
            self.reactor.callLater(SILENCE - 1, child.says, WATCHDOG=1)
        self.reactor.advance(SILENCE - 1)
        self.reactor.advance(2)
        self.assertEqual([child.is_killed for child in self.children], [True, False, False])

    def test_one_that_is_never_ready(self) -> None:
        """A worker that is not ready within a minute is killed; one that has gone by then is left alone."""
        for child in self.children[1:]:
            child.says(READY=1)
        self.children[0].is_gone = True
        for _ in range(4):
            self.reactor.advance(START / 4)
            for child in self.children[1:]:
                child.says(WATCHDOG=1)
        self.assertFalse(self.children[0].is_killed)
        self.children[0].is_gone = False
        self.children[0].ends(1)

    def test_a_start_that_fails(self) -> None:
        """Where no worker has ever served, the first that cannot start ends the parent: trying again would not help.
        That another one ends in the same turn is not told."""
        self.children[0].ends(1)
        self.children[1].ends(1)
        self.assertEqual(self.failed, ["worker 1 could not start: exit code 1"])
        self.reactor.advance(100)
        self.assertEqual(len(self.children), 3)

    def test_reload(self) -> None:
        """row:M15: SIGHUP is passed on, and a supervisor hears that it is done when every worker is; one that dies over
        it is not waited for."""
        self.all_ready()
        self.parent.reload()
        self.assertEqual([child.orders for child in self.children], [["0:reload"]] * 3)
        self.children[0].says(RELOADING=1)
        self.children[0].says(READY=1)
        self.assertEqual(self.heard.told, ["READY", "RELOADING"])
        self.children[1].ends(1)
        self.children[2].says(READY=1)
        self.reactor.advance(1)
        self.children[3].says(READY=1)
        self.assertEqual(self.heard.told, ["READY", "RELOADING", "READY"])

    def test_stop(self) -> None:
        """row:M15: a stop is passed on and waits for all; asking again hurries them; nobody is started any more."""
        self.all_ready()
        self.children[0].ends(1)
        ended = self.parent.stopService()
        self.parent.hurry()
        self.assertEqual([child.orders for child in self.children], [[], ["0:stop", "0:hurry"], ["0:stop", "0:hurry"]])
        self.children[1].ends(0)
        self.assertNoResult(ended)
        self.children[2].says(STOPPING=1)
        self.children[2].ends(0)
        self.successResultOf(ended)
        self.assertEqual(self.heard.told, ["READY", "STOPPING EXTEND_TIMEOUT_USEC", "closed"])
        self.reactor.advance(100)
        self.assertEqual(len(self.children), 3)

    def test_one_that_does_not_stop(self) -> None:
        """A worker that does not end within the time for what is in flight, and a little more, is killed."""
        self.all_ready()
        self.parent.stopService()
        self.reactor.advance(5 + SPARE - 1)
        self.assertFalse(self.children[0].is_killed)
        self.reactor.advance(1)
        self.assertEqual([child.is_killed for child in self.children], [True] * 3)

    def test_one_whose_file_says_something_else(self) -> None:
        """row:M15: a worker that was told of another time for its stop by its file since the start gets that time, and
        the supervisor hears of it."""
        self.all_ready()
        self.parent.stopService()
        self.children[0].says(STOPPING=1, EXTEND_TIMEOUT_USEC=40_000_000)
        self.children[1].says(STOPPING=1, EXTEND_TIMEOUT_USEC=30_000_000)
        self.children[2].says(STOPPING=1, EXTEND_TIMEOUT_USEC="soon")
        self.assertEqual(self.heard.told[-2:], ["STOPPING EXTEND_TIMEOUT_USEC", "EXTEND_TIMEOUT_USEC"])
        self.reactor.advance(39)
        self.assertEqual([child.is_killed for child in self.children], [False, True, True])
        self.reactor.advance(1)
        self.assertTrue(self.children[0].is_killed)

    def test_words_without_end(self) -> None:
        """A message without an end is not kept."""
        worker = self.children[0].worker
        for _ in range(100):
            worker.childDataReceived(5, b"x" * 4096)
        self.children[0].says(READY=1)
        self.assertFalse(worker.is_ready)
        self.children[0].says(READY=1)
        self.assertTrue(worker.is_ready)


class CommandLineTests(SynchronousTestCase):
    """How a worker is started."""

    def arguments(self, **parent: object) -> list[str]:
        """The command line of the second worker."""
        options = Options()
        options.parseOptions(
            ["--uri", "sip:bob@b.example", "--listen", "tcp:0", "--workers", "2", "--trace", "x-{worker}"]
        )
        options.parent = parent
        return worker_arguments(options, 2)

    def test_in_the_foreground(self) -> None:
        """A worker gets the command line of its parent as it was given, and its output goes where the parent's goes."""
        self.assertEqual(
            self.arguments(nodaemon=True, logfile=None),
            ["-n", "--pidfile=", "sip-p2p", "--uri", "sip:bob@b.example", "--listen", "tcp:0", "--workers", "2",
             "--trace", "x-{worker}"],
        )  # fmt: skip

    def test_with_a_log(self) -> None:
        """Where the parent logs to a file, each worker has one of its own beside it."""
        self.assertEqual(self.arguments(nodaemon=True, logfile="/x/party.log")[2], "--logfile=/x/party-2.log")
        self.assertEqual(self.arguments(nodaemon=False, logfile=None)[2], f"--logfile={os.getcwd()}/twistd-2.log")

    def test_with_syslog(self) -> None:
        """A parent that logs to syslog has workers that do."""
        self.assertEqual(self.arguments(nodaemon=False, syslog=True, prefix="sip")[2:4], ["--syslog", "--prefix=sip"])


class ProcessTests(TestCase):
    """Real processes."""

    timeout = 120

    def party(self, *arguments: str, workers: int = 2) -> Process:
        """A parent with workers in clear text on loopback."""
        return Process(
            self, (*TWISTD, "-n", "--pidfile="), "sip-p2p", "--uri", "sip:bob@b.example", "--listen",
            "tcp:0:interface=127.0.0.1", "--workers", str(workers), *arguments,
        )  # fmt: skip

    async def started(self, process: Process, sign: str = '"event": "started"') -> tuple[int, list[int]]:
        """The shared port, and the ports of their own, once both workers have given a *sign* that they serve."""
        line = await deferToThread(process.wait_for, "workers listen on")
        shared = int(line.rpartition(":")[2])
        lines = [await deferToThread(process.wait_for, "is reached alone") for _ in range(2)]
        own = [int(line.rpartition(":")[2]) for line in lines]
        for _ in range(2):
            await deferToThread(process.wait_for, sign)
        return shared, own

    async def send(self, port: int) -> dict[str, Any]:
        """Send a text to *port*, and what became of it."""
        done = await deferToThread(
            run, COMMAND, "send", "--json", "--uri", "sip:alice@a.example",
            f"sip:bob@127.0.0.1:{port};transport=tcp", "hello",
        )  # fmt: skip
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    @staticmethod
    def children(process: Process) -> list[int]:
        """The processes of the workers."""
        text = Path(f"/proc/{process.number}/task/{process.number}/children").read_text("ascii")
        return [int(each) for each in text.split()]

    async def test_a_worker_is_killed(self) -> None:
        """A worker that is killed leaves the shared port to the others and is started again on its own port, with its
        own instance id; the stop after that ends all of them and says nothing of trouble."""
        state = tempfile.mkdtemp()
        process = self.party("--state", state)
        shared, own = await self.started(process)
        self.assertEqual(len({shared, *own}), 3)
        for port in (shared, *own):
            said = await self.send(port)
            self.assertEqual(said["outcome"], "ok", (port, said))
        (first, _) = self.children(process)
        os.kill(first, signal.SIGKILL)
        await deferToThread(process.wait_for, "signal 9")
        self.assertEqual((await self.send(shared))["outcome"], "ok")
        again = json.loads(await deferToThread(process.wait_for, '"event": "started"'))
        self.assertTrue(any(f":{port};" in again["contact"] for port in own), again)
        for port in (shared, *own):
            said = await self.send(port)
            self.assertEqual(said["outcome"], "ok", (port, said))
        self.assertEqual(sorted(os.listdir(state)), ["worker-1", "worker-2"])
        process.signal(signal.SIGTERM)
        self.assertEqual(await deferToThread(process.wait), -signal.SIGTERM)
        self.assertNotIn("Traceback", process.errors() + "\n".join(process.lines))
        told = [json.loads(line[line.index("{") :]) for line in process.lines if '"event": "message"' in line]
        self.assertEqual({each["worker"] for each in told}, {1, 2})

    async def test_calls_of_a_worker_that_is_killed(self) -> None:
        """row:M15: the calls of a worker that is killed can be ended at once by who had them, as its port still takes
        connections; those of the other worker go on, and new ones come to be."""
        process = self.party("--application", "answer")
        shared, own = await self.started(process, "StreamFactory starting")
        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        alice = SipPeerToPeerEndpoint("sip:alice@a.example", manager)

        async def call(port: int) -> SignalingSession:
            return await alice.invite(f"sip:bob@127.0.0.1:{port};transport=tcp", silent_offer())

        lost, kept = [await call(port) for port in own]
        os.kill(self.children(process)[0], signal.SIGKILL)
        await deferToThread(process.wait_for, "signal 9")
        new = await call(shared)
        await kept.renegotiate(silent_offer())
        for session in (lost, kept, new):
            await session.terminate()
            self.assertEqual(session.state.name, "DISCONNECTED")
        process.signal(signal.SIGTERM)
        self.assertEqual(await deferToThread(process.wait), -signal.SIGTERM)
        self.assertNotIn("Traceback", process.errors() + "\n".join(process.lines))

    async def test_reload(self) -> None:
        """row:M15: SIGHUP to the parent has every worker read its files anew."""
        process = self.party()
        await self.started(process)
        process.signal(signal.SIGHUP)
        for _ in range(2):
            await deferToThread(process.wait_for, "reloaded")
        process.signal(signal.SIGTERM)
        await deferToThread(process.wait)

    async def test_an_orphan(self) -> None:
        """Workers whose parent is killed end by themselves, and give the port back."""
        process = self.party()
        await self.started(process)
        children = self.children(process)
        process.signal(signal.SIGKILL)
        await deferToThread(process.wait)

        def alive() -> list[int]:
            return [each for each in children if os.path.exists(f"/proc/{each}/cmdline") and stat(each) != "Z"]

        await self.until(lambda: not alive())

    async def test_a_start_that_fails(self) -> None:
        """Workers that cannot start end their parent with the exit code 1, and the line of why."""
        process = self.party("--application", "nosuchmodule.Application")
        self.assertEqual(await deferToThread(process.wait), 1)
        said = process.errors() + "\n".join(process.lines)
        self.assertIn("there is no module nosuchmodule", said)
        self.assertIn("could not start: exit code 1", said)
        self.assertNotIn("Traceback", said)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so, for as long as the test may take."""
        while not is_so():
            turn: Deferred[None] = Deferred()
            from twisted.internet import reactor

            reactor.callLater(0.05, turn.callback, None)  # type: ignore[attr-defined]
            await turn


def stat(process: int) -> str:
    """The state of a process, as one letter."""
    try:
        return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(") ")[2][:1]
    except OSError:
        return "Z"
