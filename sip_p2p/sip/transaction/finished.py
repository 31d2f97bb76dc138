"""Transactions that only wait for stragglers: timers D, I, J and K over unreliable transports (RFC 3261 Table 4).

At 3 000 datagrams a second there are 10**5 of them, for 32 s each, and the cyclic garbage collector would walk
through every object that they hold again and again. So a finished transaction is not an object any more: it is a key
and a ``(deadline, octets)``, which the collector leaves alone. The octets are what a straggler is to be answered
with, if anything.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.sip.transaction.timers import Timers

__all__ = ["LIMIT_OCTETS", "FinishedLine", "FinishedTransactions"]

LIMIT_OCTETS = 256 * 1024 * 1024
"""Room for a million ordinary responses, and not for a million of 16 KiB each, which the sender alone decides about."""

_SWEEP_DELAY = 1.0
_SWEPT_PER_ADDITION = 2


@final
class FinishedLine:
    """The records of one duration, in the order of their deadlines."""

    __slots__ = ("duration", "records")

    def __init__(self, duration: float) -> None:
        self.duration = duration
        self.records: OrderedDict[str, tuple[float, bytes]] = OrderedDict()


@final
class FinishedTransactions:
    """All records. One that has run out is found by nothing; its memory is given back up to a second later.

    :ivar d: INVITE clients, with the ACK for a retransmitted final response.
    :ivar i: INVITE servers that had their ACK; nothing is sent.
    :ivar j: other servers, with their final response.
    :ivar k: other clients; nothing is sent.
    :ivar limit: how many records there may be, at least one; the one nearest to its end makes place for a new one.
    :ivar limit_octets: how many octets they may hold, keys included; the same.
    :ivar octets: how many they hold.
    :ivar dropped: how many had to make place because there were too many.
    :ivar dropped_octets: how many because they held too much.
    """

    __slots__ = ("_lines", "d", "dropped", "dropped_octets", "i", "j", "k", "limit", "limit_octets", "octets")

    def __init__(self, timers: Timers, limit: int, limit_octets: int = LIMIT_OCTETS) -> None:
        self.d = FinishedLine(timers.timer_d)
        self.i = FinishedLine(timers.t4)
        self.j = FinishedLine(timers.timeout)
        self.k = FinishedLine(timers.t4)
        self._lines = (self.j, self.k, self.i, self.d)
        self.limit = limit
        self.limit_octets = limit_octets
        self.octets = 0
        self.dropped = 0
        self.dropped_octets = 0

    def __len__(self) -> int:
        return len(self.j.records) + len(self.k.records) + len(self.i.records) + len(self.d.records)

    def add(self, line: FinishedLine, key: str, octets: bytes, now: float) -> None:
        """Keep what is left of a transaction for as long as *line* says."""
        records = line.records
        for _ in range(_SWEPT_PER_ADDITION):
            if not records or next(iter(records.values()))[0] > now:
                break
            self._forget_first(records)
        before = records.pop(key, None)
        if before is not None:
            self.octets -= len(key) + len(before[1])
        size = len(key) + len(octets)
        while len(self) >= self.limit:
            self.dropped += 1
            self._make_place()
        while self.octets + size > self.limit_octets and self.octets:
            self.dropped_octets += 1
            self._make_place()
        self.octets += size
        records[key] = (now + line.duration, octets)

    def find_server(self, key: str, now: float) -> bytes | None:
        """What a retransmitted request or ACK is to be answered with, empty for nothing; None without a record."""
        return _find(self.j, key, now) if key in self.j.records else _find(self.i, key, now)

    def find_client(self, key: str, now: float) -> bytes | None:
        """What a retransmitted response is to be answered with, empty for nothing; None without a record."""
        return _find(self.k, key, now) if key in self.k.records else _find(self.d, key, now)

    def next_deadline(self) -> float:
        """When :meth:`sweep` should be called: a while after the first record has run out, to sweep many at once."""
        earliest = math.inf
        for line in self._lines:
            records = line.records
            if records:
                earliest = min(earliest, next(iter(records.values()))[0])
        return earliest + _SWEEP_DELAY

    def sweep(self, now: float) -> None:
        """Forget every record that has run out."""
        for line in self._lines:
            records = line.records
            while records and next(iter(records.values()))[0] <= now:
                self._forget_first(records)

    def clear(self) -> None:
        """Forget every record: nothing is retransmitted to us any more."""
        for line in self._lines:
            line.records.clear()
        self.octets = 0

    def _make_place(self) -> None:
        oldest = self.j
        earliest = math.inf
        for line in self._lines:
            records = line.records
            if records:
                deadline = next(iter(records.values()))[0]
                if deadline < earliest:
                    earliest = deadline
                    oldest = line
        self._forget_first(oldest.records)

    def _forget_first(self, records: OrderedDict[str, tuple[float, bytes]]) -> None:
        key, record = records.popitem(last=False)
        self.octets -= len(key) + len(record[1])


def _find(line: FinishedLine, key: str, now: float) -> bytes | None:
    record = line.records.get(key)
    return None if record is None or record[0] <= now else record[1]
