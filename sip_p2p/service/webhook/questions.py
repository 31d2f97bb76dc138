"""A request that waits for the hook's answer: POSTed, tried again with the same id while there is time, and then given
up with a failure that has its stated SIP answer.

The time is that of the SIP transaction: a sender waits 64*T1, 32 seconds, for the answer to a request (RFC 3261 section
17.1.2.2), so whoever gets none from the hook is to hear of it before (``--webhook-patience``). So many deliveries are
under way at once (``--webhook-concurrency``), and so many more wait for one of these places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sip_p2p.service.webhook.failure import FailureKind, HookFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from sip_p2p.service.webhook.breaker import Breaker

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "MOST_WAITING", "Questions", "timed_out"]

T = TypeVar("T")

MOST_WAITING = 1024
"""How many requests wait for a place at most; one more is answered 503 at once."""

MOST_OCTETS = 32 * 1024 * 1024
"""How many octets these have at most, as they are POSTed; likewise."""

FIRST_PAUSE = 0.5
"""How many seconds there are before the second try; each further pause is twice as long."""

LONGEST_PAUSE = 4.0
"""The longest of these pauses, in seconds."""

_SHORTEST_TRY = 0.1


@final
class Questions:
    """Everything that waits for the hook's answer.

    :ivar tries: deliveries begun, those that were tried again included.
    :ivar waiting: how many wait for a place.
    :param send: POSTs once: given the delivery's id and its body.
    :param timeout: how long one try may take, in seconds.
    :param patience: how long all of them may take.
    :param concurrency: how many are under way at once.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        send: Callable[[str, bytes], Deferred[bytes]],
        breaker: Breaker,
        *,
        timeout: float,
        patience: float,
        concurrency: int,
        told: Callable[[bool], object] = lambda _: None,
    ) -> None:
        """
        :param told: is called when the breaker opens (True) and closes.
        """
        self._reactor = reactor
        self._send = send
        self._breaker = breaker
        self._timeout = timeout
        self._patience = patience
        self._places = concurrency
        self._told = told
        # Whose turn comes, and how many octets wait with it.
        self._queue: dict[Deferred[None], int] = {}
        self._octets = 0
        self._latest: float | None = None
        self._end: IDelayedCall | None = None
        self._under_way: dict[Deferred[Any], Deferred[Any]] = {}
        self.tries = 0

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._queue)

    def hurry(self, seconds: float) -> None:
        """Whoever asks has at most so many *seconds* left from now on: the party stops."""
        if self._latest is None:
            self._latest = self._reactor.seconds() + seconds
            self._end = self._reactor.callLater(seconds, self._too_late)

    def close(self) -> None:
        """There is no time left at all: what is still asked fails."""
        if self._latest is None:
            self._latest = self._reactor.seconds()
        if self._end is not None:
            self._end.cancel()
        self._too_late()

    def _too_late(self) -> None:
        self._end = None
        under_way, self._under_way = self._under_way, {}
        for asked, asking in under_way.items():
            if asked.called:
                # The place of one that was ended before came too late for it.
                continue
            # First the failure that has a SIP answer, then the end of what is under way, which nobody hears of.
            asked.errback(HookFailure(FailureKind.OUT_OF_TIME, "the party stops"))
            asking.cancel()

    def ask(self, delivery: str, body: bytes, read: Callable[[bytes], T]) -> Deferred[T]:
        """Ask the hook.

        :param delivery: the id of all tries.
        :param read: makes of the answer's body what it means; a ``ValueError`` is an answer that cannot be read.
        :returns: fires with what *read* made of it; fails with :class:`.HookFailure`. Cancelling it ends the try that
            is under way, and there is no further one.
        """
        asked: Deferred[T] = Deferred(self._cancelled)
        asking = Deferred.fromCoroutine(self._ask(delivery, body, read, asked))
        if not asking.called:
            self._under_way[asked] = asking

        def tell(outcome: T | Failure) -> None:
            self._under_way.pop(asked, None)
            if asked.called:
                return
            if isinstance(outcome, Failure):
                asked.errback(outcome)
            else:
                asked.callback(outcome)

        asking.addBoth(tell)
        return asked

    def _cancelled(self, asked: Deferred[Any]) -> None:
        """Nobody wants the answer any more."""
        asking = self._under_way.pop(asked, None)
        asked.errback(CancelledError())
        if asking is not None:
            asking.cancel()

    def _left(self, deadline: float) -> float:
        """The seconds until *deadline*, or until the party stops."""
        if self._latest is not None:
            deadline = min(deadline, self._latest)
        return deadline - self._reactor.seconds()

    async def _ask(self, delivery: str, body: bytes, read: Callable[[bytes], T], asked: Deferred[T]) -> T:
        deadline = self._reactor.seconds() + self._patience
        await self._take_place(deadline, len(body))
        try:
            pause = FIRST_PAUSE
            while True:
                try:
                    return self._read(await self._try(delivery, body, deadline), read)
                except HookFailure as failure:
                    if asked.called:
                        raise
                    wait = self._pause_after(failure, pause, deadline)
                await deferLater(self._reactor, wait)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self._leave_place()

    def _pause_after(self, failure: HookFailure, pause: float, deadline: float) -> float:
        """The seconds until the next try.

        :raises HookFailure: there will be none.
        """
        if failure.kind is FailureKind.LEFT_ALONE:
            # A hook that was started anew is back in a moment; for longer than that nobody is kept waiting.
            wait = failure.retry_after or 0.0
            if wait > LONGEST_PAUSE:
                raise failure
            wait = max(wait, _SHORTEST_TRY)
        elif failure.kind.is_retried:
            wait = max(pause, failure.retry_after or 0.0)
        else:
            raise failure
        if wait + _SHORTEST_TRY > self._left(deadline):
            raise failure
        return wait

    async def _try(self, delivery: str, body: bytes, deadline: float) -> bytes:
        """One delivery."""
        now = self._reactor.seconds()
        left = min(self._timeout, self._left(deadline))
        if left < _SHORTEST_TRY:
            raise HookFailure(FailureKind.OUT_OF_TIME)
        breaker = self._breaker
        if not breaker.begin(now):
            raise HookFailure(FailureKind.LEFT_ALONE, breaker.trouble, breaker.remaining(now))
        self.tries += 1
        try:
            trying = self._send(delivery, body)
            trying.addTimeout(left, self._reactor, onTimeoutCancel=timed_out)
            said = await trying
        except HookFailure as failure:
            self._account(failure)
            raise
        except BaseException:
            breaker.given_up()
            raise
        self._account(None)
        return said

    def _account(self, failure: HookFailure | None) -> None:
        if failure is None or not failure.kind.is_sick:
            if self._breaker.succeeded():
                self._told(False)
        elif self._breaker.failed(self._reactor.seconds(), str(failure)):
            self._told(True)

    def _read(self, said: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(said)
        except ValueError as error:
            raise HookFailure(FailureKind.UNREADABLE, str(error)) from None

    async def _take_place(self, deadline: float, octets: int) -> None:
        if self._places > 0:
            self._places -= 1
            return
        if len(self._queue) >= MOST_WAITING or self._octets + octets > MOST_OCTETS:
            raise HookFailure(FailureKind.OVERLOADED)
        turn: Deferred[None] = Deferred(self._out_of_queue)
        self._queue[turn] = octets
        self._octets += octets
        await turn.addTimeout(max(self._left(deadline), 0.0), self._reactor, onTimeoutCancel=_no_turn)

    def _leave_place(self) -> None:
        if not self._queue:
            self._places += 1
            return
        turn = next(iter(self._queue))
        self._out_of_queue(turn)
        turn.callback(None)

    def _out_of_queue(self, turn: Deferred[None]) -> None:
        self._octets -= self._queue.pop(turn, 0)


def timed_out(result: object, seconds: float) -> object:
    """The try took too long, whatever the HTTP client makes of being told so."""
    return Failure(HookFailure(FailureKind.TIMED_OUT, f"nothing within {round(seconds, 1):g} s"))


def _no_turn(result: object, seconds: float) -> object:
    return Failure(HookFailure(FailureKind.OVERLOADED, f"no place within {seconds:g} s"))
