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

__all__ = ["FinishedLine", "FinishedTransactions"]

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
    :ivar dropped: how many had to.
    """

    __slots__ = ("_lines", "d", "dropped", "i", "j", "k", "limit")

    def __init__(self, timers: Timers, limit: int) -> None:
        self.d = FinishedLine(timers.timer_d)
        self.i = FinishedLine(timers.t4)
        self.j = FinishedLine(timers.timeout)
        self.k = FinishedLine(timers.t4)
        self._lines = (self.j, self.k, self.i, self.d)
        self.limit = limit
        self.dropped = 0

    def __len__(self) -> int:
        return len(self.j.records) + len(self.k.records) + len(self.i.records) + len(self.d.records)

    def add(self, line: FinishedLine, key: str, octets: bytes, now: float) -> None:
        """Keep what is left of a transaction for as long as *line* says."""
        records = line.records
        for _ in range(_SWEPT_PER_ADDITION):
            if not records or next(iter(records.values()))[0] > now:
                break
            records.popitem(last=False)
        if key in records:
            del records[key]
        if len(self) >= self.limit:
            self._make_place()
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
                records.popitem(last=False)

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
        oldest.records.popitem(last=False)
        self.dropped += 1


def _find(line: FinishedLine, key: str, now: float) -> bytes | None:
    record = line.records.get(key)
    return None if record is None or record[0] <= now else record[1]
