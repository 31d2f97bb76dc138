"""What an outbox does with its messages: those to one party one after the other, those to several at a time, each step
written down before the next one (RFC 3261 section 8.1.3.5).

A base class of :class:`~sip_p2p.endpoint.messaging.outbox.Outbox`, which says who is told what.
"""

from __future__ import annotations

import json
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from sip_p2p.endpoint.messaging import outbox_store as store
from sip_p2p.endpoint.messaging.outbox_entry import OutboxEntry, OutboxLimits, OutboxState
from sip_p2p.endpoint.messaging.outbox_policy import judge, pause_before
from sip_p2p.errors import SipError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from twisted.internet.interfaces import IDelayedCall

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.messaging.outbox_database import Database
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri

    Written: TypeAlias = tuple[OutboxEntry | None, bool]

__all__ = ["Sending", "lane_of"]

_log = Logger()

_STRIDE = 16
"""How many sequence numbers one attempt may need: it may be answered a challenge, or go to another server."""

_LONGEST_LOOK = 60.0
"""How long the clock on the wall is left unwatched, in seconds: somebody may set it."""

_TROUBLE_PAUSE = 5.0
"""How long a disk that takes nothing is left alone, in seconds."""

_AT_A_TIME = 100


def lane_of(uri: SipUri) -> str:
    """What makes two messages go one after the other: they are for one party."""
    return f"{uri.user or ''}@{uri.host.lower()}"


class Sending:
    """The messages of one outbox on their way; its attributes are described there."""

    def __init__(
        self,
        reactor: Any,
        endpoint: RealTimeEndpoint,
        database: Database,
        limits: OutboxLimits,
        wall_clock: Callable[[], float],
    ) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.waiting = 0
        self.octets = 0
        self.troubles = 0
        self._reactor = reactor
        self._clock = wall_clock
        self._database = database
        # When the first message to each party is due; None while one is on its way.
        self._lanes: dict[str, float | None] = {}
        self._due: list[tuple[float, str]] = []
        self._expires: float | None = None
        self._under_way = 0
        self._is_expiring = False
        self._alarm: IDelayedCall | None = None
        # What the disk has not taken, and is offered it again.
        self._offers: set[IDelayedCall] = set()

    @property
    def is_open(self) -> bool:
        """Whether it accepts messages, and sends them."""
        raise TypeError("Sending is abstract")

    def _tell(self, entry: OutboxEntry) -> None:
        """The application is to know what became of a message."""
        raise TypeError("Sending is abstract")

    def _maybe_closed(self) -> None:
        """Nothing is on its way any more, perhaps."""
        raise TypeError("Sending is abstract")

    def _begin(self, found: dict[str, Any]) -> None:
        """Go on where the last process has ended.

        :param found: what :func:`~sip_p2p.endpoint.messaging.outbox_store.prepare` has found.
        """
        self.waiting += found["messages"]
        self.octets += found["octets"]
        self._expires = found["expires"]
        for lane, due in found["lanes"]:
            self._schedule(lane, due)
        self._look()

    def _cease(self) -> None:
        """Begin nothing any more. What the disk has not taken until now is in the file as being sent, and is sent
        again."""
        self._set_alarm()
        offers, self._offers = self._offers, set()
        for call in offers:
            call.cancel()
        self._under_way -= len(offers)
        self._maybe_closed()

    def _release(self, octets: int) -> None:
        """A message does not wait any more."""
        self.waiting -= 1
        self.octets -= octets

    def _arrived(self, entry: OutboxEntry, lane: str) -> None:
        """A message waits."""
        if self._expires is None or entry.expires_at < self._expires:
            self._expires = entry.expires_at
        if lane not in self._lanes:
            self._schedule(lane, self._clock())
        self._look()

    # -- what is due ---------------------------------------------------------------------------------------------------

    def _schedule(self, lane: str, due: float) -> None:
        """The first message of *lane* is due then."""
        self._lanes[lane] = due
        heappush(self._due, (due, lane))

    def _hurry(self, lane: str) -> None:
        """The first message of *lane* is another one now."""
        if self._lanes.get(lane) is not None:
            self._schedule(lane, self._clock())
            self._look()

    def _look(self) -> None:
        """Send what is due, and look again when something will be."""
        now = self._clock()
        while self.is_open and self._due and self._due[0][0] <= now and self._under_way < self.limits.concurrency:
            due, lane = heappop(self._due)
            if self._lanes.get(lane) == due:
                self._lanes[lane] = None
                self._under_way += 1
                claiming = self._database.run(store.claim, lane, now)
                claiming.addCallbacks(self._claimed, self._not_claimed, (lane,), {}, (lane,))
        if self.is_open and not self._is_expiring and self._expires is not None and self._expires <= now:
            self._is_expiring = True
            expiring = self._database.run(store.expire, now, self.limits.keep, _AT_A_TIME)
            expiring.addCallbacks(self._have_expired, self._cannot_expire)
        self._set_alarm()

    def _set_alarm(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()
        if not self.is_open:
            return
        moments = []
        if self._due and self._under_way < self.limits.concurrency:
            moments.append(self._due[0][0])
        if self._expires is not None and not self._is_expiring:
            moments.append(self._expires)
        if moments:
            delay = min(max(min(moments) - self._clock(), 0.0), _LONGEST_LOOK)
            self._alarm = self._reactor.callLater(delay, self._time_has_come)

    def _time_has_come(self) -> None:
        self._alarm = None
        self._look()

    def _have_expired(self, found: tuple[list[OutboxEntry], float | None]) -> None:
        self._is_expiring = False
        expired, self._expires = found
        for entry in expired:
            self._release(len(entry.body))
            self._tell(entry)
            self._hurry(entry.lane)
        self._look()

    def _cannot_expire(self, failure: Failure) -> None:
        self._is_expiring = False
        self._trouble(failure)
        self._expires = self._clock() + _TROUBLE_PAUSE
        self._set_alarm()

    # -- one message ---------------------------------------------------------------------------------------------------

    def _claimed(self, found: tuple[OutboxEntry | None, float | None], lane: str) -> None:
        entry, due = found
        if entry is None:
            if due is None:
                del self._lanes[lane]
            self._over(lane, due)
            return
        now = self._clock()
        if entry.expires_at <= now:
            self._settle(entry, lane, OutboxState.EXPIRED, entry.status, entry.reason)
            return
        if not self.is_open:
            self._write(lane, store.postpone, entry.seq, now, entry.status, entry.reason, False)
            return
        try:
            sending = self.endpoint.send_message(
                entry.target,
                entry.body,
                entry.content_type,
                headers=[(name, value) for name, value in json.loads(entry.headers)],
                timeout=self.limits.attempt_timeout,
                retry_after="never",
                expires=entry.expires_at - now,
                call_id=entry.call_id,
                cseq=(entry.attempts - 1) * _STRIDE + 1,
            )
        except Exception:
            # Whatever somebody has written into the file stops this message, and no other.
            self._refused(Failure(), entry, lane)
            return
        sending.addCallbacks(self._delivered, self._refused, (entry, lane), {}, (entry, lane))

    def _not_claimed(self, failure: Failure, lane: str) -> None:
        """Nothing was sent, as it could not be written down before."""
        self._trouble(failure)
        self._over(lane, self._clock() + _TROUBLE_PAUSE)

    def _delivered(self, response: Response, entry: OutboxEntry, lane: str) -> None:
        self._settle(entry, lane, OutboxState.DELIVERED, response.status, f"{response.status} {response.reason}"[:256])

    def _refused(self, failure: Failure, entry: OutboxEntry, lane: str) -> None:
        judgement = judge(failure.value or SipError("for no reason"))
        if judgement.is_final:
            self._settle(entry, lane, OutboxState.FAILED, judgement.status, judgement.reason)
            return
        drawn = self.endpoint.connection_manager.tokens.number(1000) / 1000
        due = self._clock() + pause_before(entry.attempts, judgement.after, self.limits, drawn)
        if due >= entry.expires_at:
            # It has that long, and nothing more can be done in that time; until then it may be reported.
            due = entry.expires_at
        self._write(lane, store.postpone, entry.seq, due, judgement.status, judgement.reason, judgement.counts)

    def _settle(self, entry: OutboxEntry, lane: str, state: OutboxState, status: int, reason: str) -> None:
        self._write(lane, store.settle, entry.seq, state, status, reason, self._clock(), release=len(entry.body))

    def _write(self, lane: str, function: Callable[..., Written], *arguments: Any, release: int = 0) -> None:
        """Write down what came of an attempt, however often that has to be tried: what was answered once is not to be
        sent again."""
        writing = self._database.run(function, *arguments)
        writing.addCallbacks(
            self._written, self._not_written, (lane, release), {}, (lane, function, arguments, release)
        )

    def _written(self, found: tuple[OutboxEntry | None, bool], lane: str, release: int) -> None:
        entry, is_so = found
        if entry is None or not is_so:
            # A report has settled it meanwhile.
            self._over(lane, self._clock())
        elif entry.state is OutboxState.QUEUED:
            if self._expires is None or entry.expires_at < self._expires:
                self._expires = entry.expires_at
            self._over(lane, entry.due_at)
        else:
            self._release(release)
            self._tell(entry)
            self._over(lane, self._clock())

    def _not_written(
        self, failure: Failure, lane: str, function: Callable[..., Written], arguments: Any, release: int
    ) -> None:
        self._trouble(failure)
        if not self.is_open:
            self._over(lane, None)
            return

        def once_more() -> None:
            self._offers.discard(call)
            self._write(lane, function, *arguments, release=release)

        call = self._reactor.callLater(_TROUBLE_PAUSE, once_more)
        self._offers.add(call)

    def _over(self, lane: str, due: float | None) -> None:
        """Nothing of *lane* is on its way any more.

        :param due: when its next message is; None where there is none.
        """
        self._under_way -= 1
        if due is not None:
            self._schedule(lane, due)
        else:
            self._lanes.pop(lane, None)
        self._look()
        self._maybe_closed()

    def _trouble(self, failure: Failure) -> None:
        self.troubles += 1
        if self.troubles & (self.troubles - 1) == 0:
            # The first, the second, the fourth, ...: a full disk is full for long.
            _log.error("{outbox}: {error}", outbox=self, error=failure.value)
