"""Server-sent events (WHATWG HTML, section 9.2): what happens, told to who asks for as long as they listen.

Nothing is buffered without bound: while a follower does not take what was written, events wait for it up to
:data:`MOST_WAITING` and :data:`MOST_WAITING_OCTETS`; one more, or :data:`PATIENCE` seconds without progress, and it is
dropped. It may come back and say by ``Last-Event-ID`` what it has seen. What it has missed is read from where it is
kept only as fast as the follower takes it.
"""

from __future__ import annotations

import collections
import json
from typing import TYPE_CHECKING, Any, final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from sip_p2p.service.http.exchange import begin
from sip_p2p.service.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.http.channel import ControlRequest

    Told: TypeAlias = tuple[str, object, int | None]

__all__ = [
    "EVENT_STREAM",
    "KEEP_ALIVE",
    "MOST_FOLLOWERS",
    "MOST_WAITING",
    "MOST_WAITING_OCTETS",
    "PATIENCE",
    "EventStream",
    "Followers",
]

EVENT_STREAM = "text/event-stream"

MOST_FOLLOWERS = 32
"""Streams at a time; more are answered 429."""

MOST_WAITING = 1024
"""Events that wait for one follower to read on; then it is dropped."""

MOST_WAITING_OCTETS = 1024 * 1024
"""The same in octets."""

PATIENCE = 30.0
"""Seconds that a follower may leave unread what was written to it; then it is dropped."""

KEEP_ALIVE = 15.0
"""Seconds between two lines that mean nothing, so that nobody in between takes a quiet stream for a dead one."""

_RETRY = 2000


@final
class Followers:
    """The streams of one service.

    :ivar dropped: how many followers did not read.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self.reactor = reactor
        self.dropped = 0
        self._streams: dict[EventStream, None] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def open(
        self, request: ControlRequest, leave: Callable[[], object], missed: Iterator[Told] | None = None
    ) -> EventStream:
        """Begin a stream as the answer to *request*.

        :param leave: called once when it has ended, whoever ended it.
        :param missed: what comes before anything else, looked up as it is taken: what is sent before its end is left to
            it.
        :raises Problem: there are too many.
        """
        if len(self._streams) >= MOST_FOLLOWERS:
            raise Problem(
                "too-many",
                f"There are {MOST_FOLLOWERS} followers already.",
                headers=[("Retry-After", "10")],
            )
        stream = EventStream(self, request, leave, missed)
        self._streams[stream] = None
        stream.start()
        return stream

    def gone(self, stream: EventStream) -> None:
        """A stream has ended."""
        self._streams.pop(stream, None)

    def close(self) -> None:
        """End them all, as the service does."""
        for stream in tuple(self._streams):
            stream.end()


@implementer(IPushProducer)
@final
class EventStream:
    """One stream; a push producer, so that the connection says when it takes no more."""

    def __init__(
        self,
        followers: Followers,
        request: ControlRequest,
        leave: Callable[[], object],
        missed: Iterator[Told] | None,
    ) -> None:
        self._followers = followers
        self._request: Any = request
        self._leave: Callable[[], object] | None = leave
        self._missed = missed
        self._waiting: collections.deque[bytes] = collections.deque()
        self._octets = 0
        self._paused_at: float | None = None
        self._timer: Any = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._leave is None

    def start(self) -> None:
        """Write the head, and how soon to come back when the connection is lost."""
        request = self._request
        request.notifyFinish().addBoth(lambda _: self._ended())
        begin(request, 200, EVENT_STREAM, (("X-Accel-Buffering", "no"),))
        request.registerProducer(self, True)
        self._tick()
        self._put(f"retry: {_RETRY}\n\n".encode("ascii"))
        self._catch_up()

    def send(self, event: str, value: object, number: int | None = None) -> None:
        """One event: its kind, its number for ``Last-Event-ID``, and *value* as JSON.

        While it is still told what it has missed nothing is done: this event is among that, too.
        """
        if self._missed is None:
            self._send(event, value, number)

    def _catch_up(self) -> None:
        while self._flows and self._missed is not None:
            told = next(self._missed, None)
            if told is None:
                self._missed = None
            else:
                self._send(*told)

    def _send(self, event: str, value: object, number: int | None) -> None:
        head = f"event: {event}\n" if number is None else f"id: {number}\nevent: {event}\n"
        self._put(f"{head}data: {json.dumps(value)}\n\n".encode("ascii"))

    def _put(self, octets: bytes) -> None:
        if self.is_over:
            return
        if self._paused_at is None:
            self._request.write(octets)
            return
        self._waiting.append(octets)
        self._octets += len(octets)
        if len(self._waiting) > MOST_WAITING or self._octets > MOST_WAITING_OCTETS:
            self._drop()

    def _tick(self) -> None:
        reactor = self._followers.reactor
        self._timer = None
        if self._paused_at is None:
            self._request.write(b": \n\n")
        elif reactor.seconds() - self._paused_at >= PATIENCE:
            self._drop()
            return
        if not self.is_over:
            self._timer = reactor.callLater(KEEP_ALIVE, self._tick)

    def _drop(self) -> None:
        """It does not read."""
        self._followers.dropped += 1
        self._ended()
        self._request.channel.abort()

    def end(self) -> None:
        """There is nothing more to come."""
        if not self.is_over:
            self._ended()
            self._request.unregisterProducer()
            self._request.finish()

    def _ended(self) -> None:
        leave, self._leave = self._leave, None
        if leave is None:
            return
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._waiting.clear()
        self._followers.gone(self)
        leave()

    @property
    def _flows(self) -> bool:
        return self._paused_at is None and not self.is_over

    def pauseProducing(self) -> None:
        """The connection takes no more at the moment."""
        if self._paused_at is None:
            self._paused_at = self._followers.reactor.seconds()

    def resumeProducing(self) -> None:
        """It takes more again: first what has waited."""
        self._paused_at = None
        while self._flows and self._waiting:
            octets = self._waiting.popleft()
            self._octets -= len(octets)
            self._request.write(octets)
        self._catch_up()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._ended()
