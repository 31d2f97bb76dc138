"""The application's word on each connection, before any message (rows D23, D24).

Whoever was verified by TLS, or came by an explicit clear-text listener, may still be one with whom the application
wants nothing to do: a customer who has not paid, an address out of hours. :class:`Authorization` asks it for every
connection, accepted or dialled. The answer may be a ``bool``, a ``Deferred`` or a coroutine. Until it is there nothing
that the peer sends is looked at, and nothing is written to it; what it sends waits, and of more than a little no more
is read. So the end of the connection is noticed meanwhile. An accepted connection counts among the handshakes, whose
number is bounded. Only ``True`` is a yes: any other value, an exception, and an answer that is not there in time are a
no.

Left out: UDP, which has no connections.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine
from typing import TYPE_CHECKING, Protocol, TypeAlias, final

from twisted.internet.defer import Deferred

from sip_p2p.errors import ConnectionFailure, TlsFailure, TlsFailureReason
from sip_p2p.transport.clock import time_source
from sip_p2p.transport.throttle import ThrottledLog

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from sip_p2p.transport.stream.flow import StreamFlow
    from sip_p2p.transport.throttle import LogBounds

__all__ = ["Authorization", "Judge", "Question"]

Judge: TypeAlias = "Callable[[StreamFlow], object]"
"""Whether a connection is wanted: a ``bool``, or a ``Deferred`` or coroutine of one."""

_MUCH = 16384
"""With so many octets waiting, nothing more is read."""


class Undecided(Protocol):
    """A connection on which nothing may be said yet."""

    def pause(self) -> None:
        """Read nothing more from the peer."""

    def resume(self) -> None:
        """Read again."""

    def authorized(self, flow: StreamFlow, held: list[bytes]) -> None:
        """The connection is wanted; *held* came before that was known."""

    def denied(self, error: ConnectionFailure) -> None:
        """It is not: close it politely."""

    def abort(self) -> None:
        """Drop it."""


@final
class Authorization:
    """Asks one application about each connection.

    :ivar denied: how many connections were not wanted.
    :ivar late: how many of them because there was no answer in time.
    :ivar undecided: how many wait for their answer.
    :ivar log: where it says that the application failed.
    """

    __slots__ = ("_clock", "_judge", "denied", "late", "log", "undecided")

    def __init__(self, clock: IReactorTime, judge: Judge, log_bounds: LogBounds | None = None) -> None:
        """:param log_bounds: how much may be logged of what peers cause."""
        self._clock = clock
        self.log = ThrottledLog("sip_p2p.transport.stream.authorization", time_source(clock), log_bounds)
        self._judge = judge
        self.denied = 0
        self.late = 0
        self.undecided = 0

    def ask(self, connection: Undecided, flow: StreamFlow) -> Question:
        """Ask about a connection; its answer comes to *connection*, perhaps at once."""
        return Question(self, self._clock, connection, flow)

    def judge(self, flow: StreamFlow) -> bool | Deferred[object]:
        """What the application says."""
        try:
            answer = self._judge(flow)
        except Exception:
            self.log.failure("authorize raised, which is a no: {flow} is closed", flow=flow)
            return False
        if isinstance(answer, Deferred):
            return answer
        if iscoroutine(answer):
            return Deferred.fromCoroutine(answer)
        return answer is True


@final
class Question:
    """One connection that waits for its answer.

    :ivar is_open: whether the answer is still awaited.
    """

    __slots__ = (
        "_alarm",
        "_answer",
        "_authorization",
        "_clock",
        "_connection",
        "_flow",
        "_held",
        "_is_paused",
        "_octets",
        "_waits",
        "is_open",
    )

    def __init__(
        self, authorization: Authorization, clock: IReactorTime, connection: Undecided, flow: StreamFlow
    ) -> None:
        self._authorization = authorization
        self._clock = clock
        self._connection = connection
        self._flow = flow
        self._held: list[bytes] = []
        self._octets = 0
        self._alarm: IDelayedCall | None = None
        self._answer: Deferred[object] | None = None
        self._is_paused = False
        self._waits = False
        self.is_open = True

    def put(self) -> None:
        """Ask. An answer that is there at once costs the connection nothing."""
        answer = self._authorization.judge(self._flow)
        if isinstance(answer, bool):
            self._decide(answer, "authorize said no")
            return
        self._waits = True
        self._authorization.undecided += 1
        timeout = self._flow.limits.authorization_timeout
        self._alarm = self._clock.callLater(timeout, self._too_late, timeout)
        self._answer = answer
        answer.addCallbacks(self._answered, self._failed)

    def hold(self, data: bytes) -> None:
        """Keep what comes before the answer; not without bound."""
        self._octets += len(data)
        if self._octets > self._flow.limits.message.message + 65536:
            self._connection.abort()
            return
        self._held.append(data)
        if self._octets >= _MUCH and self._waits and not self._is_paused:
            self._is_paused = True
            self._connection.pause()

    def end(self) -> None:
        """The connection is gone: no answer matters any more."""
        self._close()
        self._stop_alarm()
        self._held.clear()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.cancel()

    def _close(self) -> None:
        """No answer is awaited any more."""
        if self.is_open:
            self.is_open = False
            self._authorization.undecided -= self._waits

    def _answered(self, answer: object) -> None:
        self._answer = None
        self._decide(answer is True, "authorize said no")

    def _failed(self, failure: Failure) -> None:
        self._answer = None
        if self.is_open:
            self._authorization.log.failure(
                "authorize failed, which is a no: {flow} is closed", failure, flow=self._flow
            )
            self._decide(False, "authorize failed")

    def _too_late(self, timeout: float) -> None:
        self._alarm = None
        answer, self._answer = self._answer, None
        self._authorization.late += 1
        self._decide(False, f"authorize gave no answer within {timeout:g} s")
        if answer is not None:
            answer.cancel()

    def _decide(self, is_wanted: bool, why: str) -> None:
        if not self.is_open:
            return
        self._close()
        self._stop_alarm()
        held, self._held = self._held, []
        if self._is_paused:
            # Also for a no: the peer's goodbye has to be read.
            self._connection.resume()
        if is_wanted:
            self._connection.authorized(self._flow, held)
            return
        self._authorization.denied += 1
        # Whoever does not say goodbye in its turn is not waited for long.
        self._alarm = self._clock.callLater(self._flow.limits.close_timeout, self._not_gone)
        self._connection.denied(_denial(self._flow, why))

    def _not_gone(self) -> None:
        self._alarm = None
        self._connection.abort()

    def _stop_alarm(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()


def _denial(flow: StreamFlow, why: str) -> ConnectionFailure:
    where = f"{flow.remote_host}:{flow.remote_port}"
    if flow.verified is None:
        return ConnectionFailure(f"{TlsFailureReason.AUTHORIZATION_DENIED.value}: {why} [{where}]")
    verified = flow.verified
    peer = f"{verified.matched} at {where}" if verified.matched else where
    return TlsFailure(TlsFailureReason.AUTHORIZATION_DENIED, peer, verified.certificate, detail=why)
