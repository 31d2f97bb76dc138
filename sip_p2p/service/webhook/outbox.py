"""Events that the hook is told of: in order, tried again, and counted when they are lost.

Nobody waits for these, so there is more time than for a question. Events with one key (those of one session) go one
after the other in the order in which they happened; others overtake them. What cannot be delivered is lost in the end,
because a hook that is dead for hours must not fill the memory; every loss is counted and told.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, final

from twisted.internet.defer import CancelledError, Deferred, succeed

from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.webhook.questions import timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from sip_p2p.service.webhook.breaker import Breaker

__all__ = [
    "FIRST_PAUSE",
    "LONGEST_LIFE",
    "LONGEST_PAUSE",
    "MOST_EVENTS",
    "MOST_OCTETS",
    "MOST_TRIES",
    "SENDERS",
    "Letter",
    "Outbox",
]

MOST_EVENTS = 1024
"""How many events wait at most; a further one is lost."""

MOST_OCTETS = 16 * 1024 * 1024
"""How many octets they have at most, as peers write much of what is in some; likewise."""

MOST_TRIES = 10
"""How often an event is tried at most."""

LONGEST_LIFE = 600.0
"""For how many seconds an event is tried at most."""

FIRST_PAUSE = 1.0
"""How many seconds there are before the second try; each further pause is twice as long."""

LONGEST_PAUSE = 60.0
"""The longest of these pauses, in seconds."""

SENDERS = 4
"""How many are under way at once."""

_HURRIED_PAUSE = 0.5


@final
class Letter:
    """One event on its way.

    :ivar delivery: the id of all its tries.
    :ivar kind: its type.
    :ivar body: what is POSTed.
    :ivar key: with whom it keeps its order.
    """

    __slots__ = ("body", "delivery", "key", "kind", "posted_at", "tries")

    def __init__(self, delivery: str, kind: str, body: bytes, key: str, now: float) -> None:
        self.delivery = delivery
        self.kind = kind
        self.body = body
        self.key = key
        self.posted_at = now
        self.tries = 0


@final
class Outbox:
    """The events that the hook has not heard of yet.

    :ivar delivered: how many it has heard of.
    :ivar lost: how many it never will.
    :param send: POSTs once, given the delivery's id and its body.
    :param lose: is called with each that is lost, and why.
    :param timeout: how long one try may take, in seconds.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        send: Callable[[str, bytes], Deferred[bytes]],
        breaker: Breaker,
        lose: Callable[[Letter, str], object],
        *,
        timeout: float,
        told: Callable[[bool], object] = lambda _: None,
    ) -> None:
        self._reactor = reactor
        self._send = send
        self._breaker = breaker
        self._lose = lose
        self._timeout = timeout
        self._told = told
        # By key, those of it in their order; the first one is under way, waits for its next try, or may go.
        self._lines: dict[str, collections.deque[Letter]] = {}
        self._ready: collections.deque[str] = collections.deque()
        self._pauses: dict[str, IDelayedCall] = {}
        self._under_way: dict[str, Deferred[bytes]] = {}
        self._size = self._octets = 0
        self._emptied: list[Deferred[None]] = []
        self._is_hurried = False
        self._is_closed = False
        self.delivered = 0
        self.lost = 0

    def __len__(self) -> int:
        return self._size

    def put(self, letter: Letter) -> None:
        """Deliver *letter* as soon as it may be."""
        if self._is_closed:
            self._is_lost(letter, "the service has stopped")
            return
        if self._size >= MOST_EVENTS:
            self._is_lost(letter, f"{MOST_EVENTS} wait already")
            return
        if self._octets + len(letter.body) > MOST_OCTETS:
            self._is_lost(letter, f"{MOST_OCTETS} octets wait already")
            return
        self._size += 1
        self._octets += len(letter.body)
        line = self._lines.get(letter.key)
        if line is not None:
            line.append(letter)
            return
        self._lines[letter.key] = collections.deque([letter])
        self._ready.append(letter.key)
        self._go_on()

    def drain(self) -> Deferred[None]:
        """Try everything at once; fires when nothing waits any more. Cancelling it gives up what is left."""
        self._is_hurried = True
        if not self._size:
            return succeed(None)
        done: Deferred[None] = Deferred(lambda _: self.close())
        self._emptied.append(done)
        for key in list(self._pauses):
            self._pauses.pop(key).cancel()
            self._ready.append(key)
        self._go_on()
        return done

    def close(self) -> None:
        """Give up what is left; it is lost, and told."""
        self._is_closed = True
        for call in self._pauses.values():
            call.cancel()
        self._pauses.clear()
        self._ready.clear()
        for sending in list(self._under_way.values()):
            sending.cancel()
        self._under_way.clear()
        lines, self._lines = self._lines, {}
        for line in lines.values():
            for letter in line:
                self._is_lost(letter, "the service has stopped")
        self._size = self._octets = 0
        self._tell_emptied()

    def _go_on(self) -> None:
        while self._ready and len(self._under_way) < SENDERS:
            self._begin(self._ready.popleft())

    def _begin(self, key: str) -> None:
        """Try the first of one line, if the hook is to be asked at all."""
        now = self._reactor.seconds()
        letter = self._lines[key][0]
        if not self._breaker.begin(now):
            why = f"the hook has failed too often: {self._breaker.trouble}"
            self._not_now(letter, self._breaker.remaining(now), why)
            return
        letter.tries += 1
        trying = self._send(letter.delivery, letter.body)
        trying.addTimeout(self._timeout, self._reactor, onTimeoutCancel=timed_out)
        # Noted before its end is looked at, which may have come already.
        self._under_way[key] = trying
        trying.addBoth(self._tried, letter)

    def _tried(self, result: object, letter: Letter) -> None:
        """What came of one try."""
        failure = getattr(result, "value", None)
        if self._is_closed or isinstance(failure, CancelledError):
            self._breaker.given_up()
            return
        self._under_way.pop(letter.key, None)
        if not isinstance(failure, BaseException):
            self._settle(None)
            self.delivered += 1
            self._next(letter)
        else:
            error = failure if isinstance(failure, HookFailure) else HookFailure(FailureKind.UNREADABLE, str(failure))
            self._settle(error)
            if error.kind.is_retried or error.kind is FailureKind.TLS:
                pause = min(FIRST_PAUSE * 2 ** (letter.tries - 1), LONGEST_PAUSE)
                self._not_now(letter, max(pause, error.retry_after or 0.0), str(error))
            else:
                self._give_up(letter, str(error))
        self._go_on()

    def _settle(self, failure: HookFailure | None) -> None:
        if failure is None or not failure.kind.is_sick:
            if self._breaker.succeeded():
                self._told(False)
        elif self._breaker.failed(self._reactor.seconds(), str(failure)):
            self._told(True)

    def _not_now(self, letter: Letter, seconds: float, why: str) -> None:
        """Try *letter* again later, unless that was often or long enough."""
        age = self._reactor.seconds() - letter.posted_at
        if letter.tries >= MOST_TRIES or age + seconds > LONGEST_LIFE:
            self._give_up(letter, why)
            return
        if self._is_hurried:
            seconds = min(seconds, _HURRIED_PAUSE)
        self._pauses[letter.key] = self._reactor.callLater(max(seconds, 0.05), self._paused, letter.key)

    def _paused(self, key: str) -> None:
        del self._pauses[key]
        self._ready.append(key)
        self._go_on()

    def _give_up(self, letter: Letter, why: str) -> None:
        self._is_lost(letter, why)
        self._next(letter)

    def _next(self, letter: Letter) -> None:
        """*letter* is done with: the next of its line may go."""
        self._size -= 1
        self._octets -= len(letter.body)
        line = self._lines[letter.key]
        line.popleft()
        if line:
            self._ready.append(letter.key)
        else:
            del self._lines[letter.key]
        if not self._size:
            self._tell_emptied()

    def _is_lost(self, letter: Letter, why: str) -> None:
        self.lost += 1
        self._lose(letter, why)

    def _tell_emptied(self) -> None:
        emptied, self._emptied = self._emptied, []
        for done in emptied:
            if not done.called:
                done.callback(None)
