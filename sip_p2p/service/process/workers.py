"""``--workers N``: a parent that keeps N processes of the service alive on the same listening sockets.

The parent speaks no SIP. It binds what all share and what each has for itself (:mod:`.shared_sockets`), starts the
workers (:mod:`.worker`), starts anew who dies, and passes on what it is told: SIGHUP, SIGTERM, a second SIGTERM. A
worker that dies once is started again after a second, one that keeps dying after ever more. One that gives no sign of
life is killed. A supervisor is told of the parent, in the same words as of a service that runs alone.

Nothing is handed from one worker to another: dialogs, transactions and connections live and die with their process.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, Any, cast, final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

from sip_p2p.observe.text import printable
from sip_p2p.service.process.signals import Signals
from sip_p2p.service.process.supervision import Supervision, asked_for
from sip_p2p.service.process.worker import SEAT, Seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IProcessTransport
    from twisted.python.failure import Failure

    from sip_p2p.service.process.logs import ServiceLog
    from sip_p2p.service.process.shared_sockets import SharedSockets
    from sip_p2p.service.process.signals import SignalReactor
    from sip_p2p.service.settings.options import Options

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "SILENCE", "SPARE", "START", "STEADY", "Worker", "Workers", "spawned"]

START = 60.0
"""The seconds in which a worker has to be ready."""

SILENCE = 30.0
"""After how many seconds without a sign of life a worker is killed."""

FIRST_PAUSE = 1.0
"""The seconds before a worker that died is started again; each further death doubles them."""

LONGEST_PAUSE = 60.0
"""The most of these seconds."""

STEADY = 60.0
"""A worker that was ready for so many seconds has not died at its start: the pauses begin anew."""

SPARE = 10.0
"""The seconds that a worker may need for its end beyond those for what is in flight; then it is killed."""

_TOO_LONG = "it did not end in time"

_MOST_OCTETS = 8192
"""What is kept of a message of a worker that has no end."""

_PROGRAM = (
    "import os; os.environ['LISTEN_PID'] = str(os.getpid()); "
    "import sys; from sip_p2p.service.process.worker import main; main(sys.argv[1:])"
)

_log = Logger("sip_p2p.service.process.workers")


@final
class Worker(ProcessProtocol):
    """One worker, over all the processes that it is in turn.

    :ivar number: which one, from 1.
    :ivar is_ready: whether it serves.
    :ivar is_alive: whether there is a process.
    :ivar deaths: how often its process has ended without being asked to.
    """

    def __init__(self, parent: Workers, number: int) -> None:
        self._parent = parent
        self._buffer = b""
        self._timer: IDelayedCall | None = None
        self._pause = FIRST_PAUSE
        self._ready_since = 0.0
        self.number = number
        self.is_ready = False
        self.is_alive = False
        self.deaths = 0

    @property
    def process(self) -> IProcessTransport:
        """The process."""
        return cast("IProcessTransport", self.transport)

    def start(self) -> None:
        """Start its process."""
        self._timer = None
        self._buffer = b""
        self.is_alive = True
        self._parent.spawn(self)
        self._give(START, "it was not ready in time")

    def order(self, word: str) -> None:
        """Tell it *word*, if it is there to hear it."""
        if self.is_alive:
            self.process.writeToChild(0, f"{word}\n".encode())

    def end(self) -> None:
        """Do not start it again, and ask it to end if there is a process."""
        if self.is_alive:
            self.order("stop")
            self._give(self._parent.stop_seconds + SPARE, _TOO_LONG)
        else:
            self._let_go()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Words of the worker."""
        *messages, rest = (self._buffer + data).split(b"\n\n")
        self._buffer = rest[-_MOST_OCTETS:]
        for each in messages:
            self._told(dict(line.split("=", 1) for line in each.decode("utf-8", "replace").split("\n") if "=" in line))

    def childConnectionLost(self, childFD: int) -> None:
        """It has closed a pipe; its end is what counts."""

    def processEnded(self, reason: Failure) -> None:
        """Its process is gone."""
        self._let_go()
        was_ready, self.is_ready, self.is_alive = self.is_ready, False, False
        lived = self._parent.reactor.seconds() - self._ready_since
        if was_ready and lived >= STEADY:
            self._pause = FIRST_PAUSE
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        self.deaths += not self._parent.is_stopping
        self._parent.died(self, how_it_ended(reason), pause)

    def start_later(self, pause: float) -> None:
        """Start it again after *pause* seconds."""
        self._timer = self._parent.reactor.callLater(pause, self.start)

    def _told(self, fields: dict[str, str]) -> None:
        if self._parent.is_stopping:
            seconds = fields.get("EXTEND_TIMEOUT_USEC", "")
            if "STOPPING" in fields and seconds.isascii() and seconds.isdigit():
                # Its file may say something else of a stop than when we started.
                self._give(int(seconds) / 1_000_000, _TOO_LONG)
                self._parent.may_take(int(seconds) / 1_000_000)
            return
        if "READY" in fields:
            if not self.is_ready:
                self.is_ready = True
                self._ready_since = self._parent.reactor.seconds()
            self._parent.became_ready(self)
        if self.is_ready:
            self._give(SILENCE, "it gives no sign of life")

    def _give(self, seconds: float, why: str) -> None:
        """Kill it unless something is heard of it within *seconds*."""
        self._let_go()
        self._timer = self._parent.reactor.callLater(seconds, self._kill, why)

    def _let_go(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _kill(self, why: str) -> None:
        self._timer = None
        _log.error("worker {number} is killed: {why}", number=self.number, why=why)
        try:
            self.process.signalProcess("KILL")
        except ProcessExitedAlready:
            return


@final
class Workers(Service):
    """The parent.

    :ivar stop_seconds: how long a worker may take for what is in flight.
    :ivar is_stopping: whether it has been asked to end.
    :ivar workers: all of them, in their order.
    :param sockets: what they listen on.
    :param spawn: starts a process for a worker, given the descriptors that it gets from 3 on.
    :param supervision: made with what tells the state in words; whoever is told how we are, or None.
    :param failed: called with one line, when none of them could ever start.
    """

    def __init__(
        self,
        reactor: Any,
        sockets: SharedSockets,
        spawn: Callable[[Worker, Seat, list[int], list[str]], IProcessTransport],
        *,
        stop_seconds: float,
        is_daemon: bool = False,
        supervise: Callable[[Callable[[], str]], Supervision | None] = lambda state: None,
        failed: Callable[[str], None],
        log: ServiceLog | None = None,
    ) -> None:
        self.reactor = reactor
        self.name = "sip-p2p"
        self.stop_seconds = stop_seconds
        self.is_stopping = False
        self._has_failed = False
        self.workers = tuple(Worker(self, number) for number in range(1, sockets.workers + 1))
        self._sockets = sockets
        self._spawn = spawn
        self._is_daemon = is_daemon
        self._supervision = supervise(self.state)
        self._failed = failed
        self._log_file = log
        self._is_bound = False
        self._has_served = False
        self._is_told = False
        self._reloading: set[Worker] = set()
        self._ended: list[Deferred[None]] = []
        self._signals = Signals(cast("SignalReactor", reactor), self.reload, self.hurry)

    def privilegedStartService(self) -> None:
        """Bind the sockets.

        :raises OSError: one cannot be had.
        :raises ValueError: systemd has not passed what it should have.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._bind()

    def startService(self) -> None:
        """Bind what is not bound yet, and start the workers once the reactor runs."""
        super().startService()  # type: ignore[no-untyped-call]
        self._bind()
        self._signals.started()
        self.reactor.callWhenRunning(self._start)

    def state(self) -> str:
        """How they are, in words."""
        ready = sum(worker.is_ready for worker in self.workers)
        deaths = sum(worker.deaths for worker in self.workers)
        words = f"{ready} of {len(self.workers)} workers serve"
        return f"{words}; {deaths} had to be started again" if deaths else words

    def spawn(self, worker: Worker) -> None:
        """Start a process for *worker*; called by itself."""
        descriptors = self._sockets.descriptors(worker.number)
        names = self._sockets.names()
        seat = Seat(
            worker.number, len(self.workers), self._sockets.descriptions(), 3 + len(descriptors), self._is_daemon
        )
        self._spawn(worker, seat, descriptors, names)

    def became_ready(self, worker: Worker) -> None:
        """A worker has started, or has read its files anew."""
        self._has_served = True
        self._reloading.discard(worker)
        if self._supervision is None or not all(each.is_ready for each in self.workers):
            return
        if not self._is_told:
            self._is_told = True
            self._supervision.started()
        elif not self._reloading:
            self._supervision.reload()

    def died(self, worker: Worker, how: str, pause: float) -> None:
        """The process of a worker has ended."""
        self._reloading.discard(worker)
        if self.is_stopping:
            self._end_if_alone()
        elif not self._has_served:
            if self._has_failed:
                # Several may end in one turn, and that none could start is told once.
                return
            self._has_failed = True
            self._failed(f"worker {worker.number} could not start: {how}")
        else:
            _log.error(
                "worker {number} has ended ({how}); it is started again in {pause} seconds",
                number=worker.number,
                how=how,
                pause=f"{pause:g}",
            )
            worker.start_later(pause)

    def reload(self) -> None:
        """Tell them all to read their files anew; SIGHUP does this."""
        if self._supervision is not None and self._is_told:
            self._supervision.reloading()
        try:
            if self._log_file is not None:
                self._log_file.reopen()
        except OSError as error:
            _log.error("the log cannot be opened anew: {error}", error=error.strerror)
        self._reloading = {worker for worker in self.workers if worker.is_ready}
        for worker in self.workers:
            worker.order("reload")

    def may_take(self, seconds: float) -> None:
        """A worker that stops may take *seconds*, and so may all of us; called by itself."""
        if self._supervision is not None:
            self._supervision.extend(seconds)

    def hurry(self) -> None:
        """While it stops: give up what is still in flight; a second SIGTERM or SIGINT does this."""
        for worker in self.workers:
            worker.order("hurry")

    def stopService(self) -> Deferred[None]:
        """Have them all end as a service of its own does, and wait for that. Every call waits for the same end."""
        ended: Deferred[None] = Deferred()
        self._ended.append(ended)
        if not self.is_stopping:
            super().stopService()  # type: ignore[no-untyped-call]
            self.is_stopping = True
            self._signals.stopping()
            if self._supervision is not None:
                self._supervision.stopping()
            for worker in self.workers:
                worker.end()
        self._end_if_alone()
        return ended

    def _bind(self) -> None:
        if not self._is_bound:
            self._is_bound = True
            self._sockets.bind(self.reactor)

    def _start(self) -> None:
        if self.is_stopping:
            return
        _log.info(
            "{count} workers listen on {places}",
            count=len(self.workers),
            places=", ".join(self._sockets.shared_addresses()),
        )
        for worker in self.workers:
            own = ", ".join(self._sockets.own_addresses(worker.number))
            if own:
                _log.info("worker {number} is reached alone on {own}", number=worker.number, own=own)
            worker.start()

    def _end_if_alone(self) -> None:
        if any(worker.is_alive for worker in self.workers):
            return
        self._sockets.close()
        self._signals.ended()
        supervision, self._supervision = self._supervision, None
        if supervision is not None:
            supervision.ended()
        ended, self._ended = self._ended, []
        for each in ended:
            each.callback(None)


def how_it_ended(reason: Failure) -> str:
    """The end of a process, in words."""
    if reason.check(ProcessDone):
        return "it left by itself"
    signal, code = getattr(reason.value, "signal", None), getattr(reason.value, "exitCode", None)
    return f"exit code {code}" if signal is None else f"signal {signal}"


def spawned(reactor: Any, arguments: Callable[[int], list[str]], folder: str) -> Callable[..., IProcessTransport]:
    """What starts a process for a worker: this very Python, ``twistd`` with the *arguments* of its number, in
    *folder*."""

    def spawn(worker: Worker, seat: Seat, descriptors: list[int], names: list[str]) -> IProcessTransport:
        environment = {**os.environ, SEAT: seat.text()}
        environment |= {"LISTEN_FDS": str(len(descriptors)), "LISTEN_FDNAMES": ":".join(names)}
        mapping: dict[int, Any] = {0: "w", 1: 1, 2: 2, seat.words: "r"}
        mapping |= {3 + index: descriptor for index, descriptor in enumerate(descriptors)}
        command = [sys.executable, "-c", _PROGRAM, *arguments(worker.number)]
        started = reactor.spawnProcess(worker, sys.executable, command, environment, folder, childFDs=mapping)
        return cast("IProcessTransport", started)

    return spawn


def make_workers(reactor: Any, options: Options) -> Workers:
    """The parent that *options* ask for."""
    stop_seconds = options.drain + options.finish_sessions

    def supervise(state: Callable[[], str]) -> Supervision | None:
        found = asked_for(os.environ)
        if found is None:
            return None
        messenger, watchdog = found
        return Supervision(reactor, messenger, watchdog=watchdog, stop_seconds=stop_seconds + SPARE, state=state)

    def failed(line: str) -> None:
        _log.critical("{line}", line=f"sip-p2p: {printable(line, 512)}")
        if sys.__stderr__ is not None and not options.is_daemon:
            print(f"sip-p2p: {line}", file=sys.__stderr__, flush=True)
        # twistd has no way to end with a code of one's own once the reactor runs.
        atexit.register(_leave, 1)
        reactor.stop()

    return Workers(
        reactor,
        options.shared,
        spawned(reactor, lambda number: worker_arguments(options, number), os.getcwd()),
        stop_seconds=stop_seconds,
        is_daemon=options.is_daemon,
        supervise=supervise,
        failed=failed,
        log=options.log,
    )


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def worker_arguments(options: Options, number: int) -> list[str]:
    """The command line of the worker *number*: that of the parent, in the foreground, with a log of its own where the
    parent has one."""
    return ["-n", "--pidfile=", *_log_arguments(options, number), "sip-p2p", *options.arguments]


def _log_arguments(options: Options, number: int) -> list[str]:
    parent: Any = options.parent or {}
    if parent.get("syslog"):
        return ["--syslog", f"--prefix={parent.get('prefix') or 'twisted'}"]
    if not options.logs_to_file:
        return []
    stem, extension = os.path.splitext(parent.get("logfile") or "twistd.log")
    return [f"--logfile={os.path.abspath(stem)}-{number}{extension}"]
