"""The Twisted service behind ``twistd sip-p2p`` and ``twist sip-p2p``.

Life: the options are checked and everything that needs a file is read when the service is made; ports are bound in
``privilegedStartService``, before ``twistd`` gives up its privileges, and in ``startService`` where nobody called
that; a stop ends the listening, lets what is in flight finish within ``--drain``, closes every flow and leaves no port
behind. What cannot start says so in one line, with exit code 1.

Sessions are ended with BYE; ``--finish-sessions`` lets them go on for a while before, and new callers are sent to where
``--redirect-to`` says meanwhile.

A SIGTERM ends the process through that same stop; ``twistd`` then dies of the signal, as a supervisor expects. Whoever
asks a second time does not wait for what is in flight. A SIGHUP reads certificates, keys, authorities and revocation
lists anew and opens the log and the trace anew; connections live on, and what cannot be read leaves the old in use.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING, Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, FirstError, ensureDeferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from sip_p2p.errors import SipError
from sip_p2p.observe.text import printable
from sip_p2p.service.applications.loader import ApplicationError
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.lives.ledger import Ledger
from sip_p2p.service.process.signals import Signals
from sip_p2p.service.settings.options import Options
from sip_p2p.service.words import explain
from sip_p2p.transport.clock import use_monotonic_time

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from twisted.internet.interfaces import IReactorCore

    from sip_p2p.endpoint.messaging.outbox import Outbox
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.errors import TlsFailure
    from sip_p2p.observe.trace import Tap, TraceWriter
    from sip_p2p.service.applications.base import Application
    from sip_p2p.service.applications.running import RunningApplication
    from sip_p2p.service.parts import Part
    from sip_p2p.service.party import Party
    from sip_p2p.service.process.logs import ServiceLog
    from sip_p2p.service.process.signals import SignalReactor
    from sip_p2p.service.process.workers import Workers

__all__ = ["Options", "SipService", "StartFailed", "makeService"]


class StartFailed(SystemExit, Exception):
    """The service cannot start; the text is one line.

    ``twistd`` takes it as an exception, removes its pid file and tells the process that started a daemon; the
    interpreter takes it as the end of the program, with code 1 and without a traceback.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.code = 1


class SipService(Service):
    """A party as a service.

    :ivar manager: the connection manager.
    :ivar endpoint: the party.
    :ivar happenings: where what happens is told, to whoever follows it.
    :ivar ledger: what lives on beside sessions.
    :ivar outbox: messages that are kept until they are delivered; None for none.
    :param party: who it is; it is ended with the service, which can therefore be started once.
    :param application: what to do with what arrives.
    :param listen: where to listen.
    :param trace: where to write what passes.
    :param drain: how long a stop may take, in seconds, once sessions are ended.
    :param finish_sessions: how long a stop lets sessions go on before, in seconds.
    :param redirect_to: where those are sent meanwhile who would begin a session.
    :param owns_process: True where nothing else lives in the process: its clock and its garbage collector are ours
        then.
    :param logs_to_file: whether a failed start should stand in the log, too: it is not on the terminal.
    :param log: the log file, where it is ours to open anew.
    :param happenings: where what happens is told.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        party: Party,
        application: RunningApplication,
        *,
        listen: tuple[str, ...] = (),
        trace: TraceWriter | None = None,
        tap: Tap | None = None,
        drain: float = 5.0,
        finish_sessions: float = 0.0,
        redirect_to: tuple[str, ...] = (),
        owns_process: bool = False,
        logs_to_file: bool = False,
        log: ServiceLog | None = None,
        happenings: Happenings | None = None,
    ) -> None:
        self._reactor = reactor
        self._party = party
        self._log_file = log
        self._signals = Signals(cast("SignalReactor", reactor), self.reload, self.hurry)
        self._running = application
        self._listen = listen
        self._trace = trace
        self._tap = tap
        self._drain = drain
        self._finish_sessions = finish_sessions
        self._redirect_to = redirect_to
        self._owns_process = owns_process
        self._logs_to_file = logs_to_file
        self._is_started = False
        self._is_told = False
        self._listening: Deferred[None] | None = None
        self._stopping: Deferred[None] | None = None
        self._last: Deferred[None] | None = None
        self.happenings = happenings or Happenings()
        self.ledger = Ledger(self.happenings, party.endpoint)
        self.outbox: Outbox | None = None
        self._parts: tuple[Part, ...] = (self.ledger,)
        self._log = Logger("sip_p2p.service")
        self.manager = party.manager
        self.endpoint = party.endpoint
        self.name = "sip-p2p"

    @property
    def application(self) -> Application:
        """What to do with what arrives; another may be set before the service starts."""
        return self._running.application

    @application.setter
    def application(self, application: Application) -> None:
        self._running.application = application

    def begun_by_itself(self, subscription: Subscription) -> None:
        """A subscription of the options has begun: the application is told."""
        self.application.subscribed(subscription)

    def add_part(self, part: Part) -> None:
        """Let *part* live as long as the service does; before it is started."""
        self._parts = (*self._parts, part)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What lives beside the party, in the order in which it was added."""
        return self._parts

    def privilegedStartService(self) -> None:
        """Bind the ports.

        :raises StartFailed: when one cannot be bound.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listen_once()

    def startService(self) -> None:
        """Run: bind the ports if that is still to be done, and tell the application.

        :raises StartFailed: when a port cannot be bound, or the application fails.
        """
        if self._owns_process:
            use_monotonic_time(self._reactor)
            # Before a supervisor hears that we are ready: it may send SIGHUP at once.
            self._signals.started()
        super().startService()  # type: ignore[no-untyped-call]
        failed: list[StartFailed] = []
        self._listen_once().addCallback(self._tell_application).addErrback(self._note_failure, failed)
        if failed:
            self._signals.ended()
            raise failed[0]
        self._is_started = True
        if self._owns_process:
            # What was made so far stays for ever: the collector need not look at it again.
            gc.collect()
            gc.freeze()

    def _listen_once(self) -> Deferred[None]:
        """Bind the ports, the first time; what Twisted itself listens on is bound when this returns.

        :raises StartFailed: when one cannot be bound.
        """
        if self._listening is not None:
            return self._listening
        self._running.attach(self.endpoint)
        self.manager.tls_failed.subscribe(self._refused)
        if self._tap is not None:
            self.manager.add_tap(self._tap)
        failed: list[StartFailed] = []
        try:
            bound = [part.listen() for part in self._parts]
            started = [self.manager.start_listening(description) for description in self._listen]
        except (SipError, ValueError) as error:
            raise self._start_failed(error) from None
        everything: list[Deferred[Any]] = [*started, *(waiting for waiting in bound if waiting is not None)]
        self._listening = gatherResults(everything, consumeErrors=True).addCallbacks(self._bound, self._not_bound)
        self._listening.addErrback(self._note_failure, failed)
        if failed:
            raise failed[0]
        return self._listening

    def _bound(self, _: object) -> None:
        for listener in self.manager.listeners:
            host, port = listener.address
            self._log.info(
                "{uri} listens on {transport} {host}:{port}",
                uri=str(self.endpoint.aor),
                transport=listener.transport.lower(),
                host=f"[{host}]" if ":" in host else host,
                port=port,
            )
        if not self._listen:
            self._log.info("{uri} only sends: there is no --listen", uri=str(self.endpoint.aor))

    def _not_bound(self, failure: Failure) -> Failure:
        first = failure.value
        return Failure(self._start_failed(first.subFailure.value if isinstance(first, FirstError) else first))

    def _tell_application(self, _: object) -> None:
        if self.manager.is_terminated:
            return
        self._is_told = True
        try:
            self.application.started(self.endpoint)
        except Exception as error:
            self._log.failure("the application failed at its start")
            words = f"the application failed at its start: {type(error).__name__}: {error}"
            raise self._start_failed(words) from error
        for part in self._parts:
            part.started()

    def _note_failure(self, failure: Failure, failed: list[StartFailed]) -> None:
        """A start that failed: raised by whoever is still starting, the end of the process for one that comes late."""
        failure.trap(StartFailed)
        if self._is_started:
            self._log.critical("{line}", line=str(failure.value))
            cast("IReactorCore", self._reactor).stop()
        else:
            failed.append(cast("StartFailed", failure.value))

    def _start_failed(self, error: BaseException | str | None) -> StartFailed:
        # What was bound before the one that failed is not kept.
        self.manager.terminate()
        line = f"sip-p2p: {printable(str(error), 512)}"
        if self._logs_to_file:
            self._log.critical("{line}", line=line)
        return _told(line) if self._owns_process else StartFailed(line)

    def _refused(self, failure: TlsFailure) -> None:
        """Put a refused connection between the messages of the trace."""
        if self._tap is not None:
            self._tap.note(f"TLS: {explain(failure).what}", time.time(), remote=failure.peer)

    def reload(self) -> list[str]:
        """Read every file anew that may have changed, and open anew what is written to; SIGHUP does this.

        What cannot be read leaves in use what was read before, and the log says so. Open connections live on.

        :returns: what has changed, in words.
        """
        for part in self._parts:
            part.reloading()
        for what, written in (("log", self._log_file), ("trace", self._trace)):
            try:
                if written is not None:
                    written.reopen()
            except OSError as error:
                self._log.error("the {what} cannot be opened anew: {error}", what=what, error=error.strerror)
        changes = self._party.reload() + self._running.reload()
        for part in self._parts:
            changes += part.reload()
        self._log.info("reloaded: {said}", said=printable("; ".join(changes) or "nothing has changed", 512))
        self.happenings.emit("reloaded", changes=changes)
        return changes

    def configure(self, options: Options, changed: frozenset[str]) -> set[str]:
        """Let every part take over what it can of *options*, of which those named in *changed* are others than before.

        :returns: the names of those that were taken over.
        """
        return set().union(*(part.configure(options, changed) for part in self._parts))

    def set_stop(self, drain: float, finish_sessions: float, redirect_to: tuple[str, ...]) -> None:
        """How a stop goes that begins from now on; the arguments are those of the constructor."""
        self._drain, self._finish_sessions, self._redirect_to = drain, finish_sessions, redirect_to

    def hurry(self) -> None:
        """While it stops: give up what is still in flight; a second SIGTERM or SIGINT does this. Where sessions were to
        go on, they are ended politely first, and asking once more does not wait for that either."""
        self._log.info("asked to stop again: what is in flight is given up")
        self.manager.drain_state.hurry()
        last, self._last = self._last, None
        if last is not None:
            last.cancel()

    def stopService(self) -> Deferred[None]:
        """Stop listening, finish what is in flight within the drain time, close everything.

        Every call waits for the same end.
        """
        waiting: Deferred[None] = Deferred()
        if self._stopping is None:
            super().stopService()  # type: ignore[no-untyped-call]
            if self._owns_process and self._is_started:
                self._signals.stopping()
            for part in self._parts:
                part.stopping()
            self._stopping = self._let_finish().addCallback(self._terminate)

        def done(result: None) -> None:
            waiting.callback(None)
            return result

        self._stopping.addCallback(done)
        return waiting

    def _let_finish(self) -> Deferred[None]:
        """Take nothing new, and let the sessions go on for as long as they may."""
        if not self._finish_sessions and not self._redirect_to:
            return succeed(None)
        if self._finish_sessions and len(self.manager.sessions):
            words = "stopping: {count} sessions may go on for {drain} seconds"
            self._log.info(words, count=len(self.manager.sessions), drain=f"{self._finish_sessions:g}")
        return self.manager.drain(self._finish_sessions, redirect_to=self._redirect_to)

    def _terminate(self, _: object) -> Deferred[None]:
        self._log.info("stopping: what is in flight has {drain} seconds", drain=f"{self._drain:g}")
        latest = self._reactor.seconds() + self._drain
        return self.manager.terminate().addCallback(lambda _: self._terminated(latest))

    def _terminated(self, latest: float) -> Deferred[None]:
        try:
            last = _as_deferred(self.application.stopped() if self._is_told else None)
        except Exception:
            last = succeed(None)
            self._log.failure("the application failed while it stopped")
        self._last = last
        last.addTimeout(max(latest - self._reactor.seconds(), 0.1), self._reactor)
        last.addErrback(self._late)
        last.addBoth(self._end_parts)
        return last.addBoth(self._ended)

    def _late(self, failure: Failure) -> None:
        self._log.failure("the application did not stop as it should", failure=failure)

    def _end_parts(self, _: object) -> Deferred[Any]:
        """What stands beside the party ends after it, the last one first."""
        ending = [maybeDeferred(part.ended) for part in reversed(self._parts)]
        return gatherResults(ending, consumeErrors=True).addErrback(self._end_failed)

    def _end_failed(self, failure: Failure) -> None:
        first = cast("FirstError", failure.value).subFailure
        self._log.failure("something beside the party did not end as it should", failure=first)

    def _ended(self, _: object) -> None:
        self._last = None
        self._signals.ended()
        if self._tap is not None:
            self.manager.remove_tap(self._tap)
        if self._trace is not None:
            self._trace.close()


def makeService(options: Options) -> SipService | Workers:
    """The service that *options* describe, or the parent of its workers; for ``twistd`` and ``twist``.

    :raises StartFailed: one line, when it cannot be made.
    """
    from twisted.internet import reactor

    from sip_p2p.service.assembly import make

    if options.workers > 1 and options.seat is None:
        from sip_p2p.service.process.workers import make_workers

        return make_workers(reactor, options)
    try:
        return make(cast("IReactorTime", reactor), options, owns_process=True)
    except (usage.UsageError, ApplicationError, OSError, ValueError) as error:
        raise _told(f"sip-p2p: {printable(_line(error), 512)}") from None


def _told(line: str) -> StartFailed:
    """Put *line* where the person at the terminal sees it: by now the log may have taken standard error over."""
    if sys.__stderr__ is not None:
        print(line, file=sys.__stderr__, flush=True)
    return StartFailed(line)


def _as_deferred(result: Awaitable[None] | None) -> Deferred[None]:
    if result is None:
        return succeed(None)
    return result if isinstance(result, Deferred) else ensureDeferred(result)  # type: ignore[arg-type]


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or type(error).__name__}"
    return str(error)
