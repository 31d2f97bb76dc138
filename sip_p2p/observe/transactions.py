"""Transactions as they pass: what was asked, what was answered, and how long that took.

::

    watch = TransactionWatch()
    manager.add_tap(watch)
    watch.follow(lambda record: print(record.method, record.status, record.duration))

A watch looks at the messages alone, in both directions: a request begins a record, its final response ends one, by the
branch of the Via, the method and, for requests of peers, the flow (RFC 3261 section 17). It takes no part in anything
and knows no timers: :meth:`TransactionWatch.expire` gives up what has waited for longer than any transaction may, and
:meth:`TransactionWatch.flow_ended` what was on a flow that is gone. ACK is no transaction here (its INVITE is), and
what the transactions below answer themselves counts like every other answer.

Everything is bounded: how many records are open at a time, and how many that have ended are remembered so that what is
sent once more by UDP is no new transaction. Whoever follows has to be quick.
"""

from __future__ import annotations

import collections
import json
import re
import time
from typing import TYPE_CHECKING, Literal, final

from sip_p2p.observe.redact import split_message, without_passwords
from sip_p2p.observe.text import host_and_port, in_words
from sip_p2p.transport.throttle import LogBounds, ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Outcome", "TransactionRecord", "TransactionWatch"]

_Key = tuple[int, bytes, bytes]

Outcome = Literal["answered", "unanswered", "flow-lost", "displaced"]

PATIENCE = 40.0
"""For how many seconds a request may be without any response: longer than timers B, F and H (RFC 3261 section 17)."""

RINGING_PATIENCE = 660.0
"""For how many seconds an INVITE may be without its final response after the last provisional one."""

_REMEMBERED_FOR = 32.0
_LONGEST_TEXT = 256

_MOST_KEPT = 2048
_BRANCH = re.compile(rb"[\r\n](?:via|v)[ \t]*:[^\r\n]*?;[ \t]*branch[ \t]*=[ \t]*([^;, \t\r\n]+)", re.IGNORECASE)
_CSEQ = re.compile(rb"[\r\n]cseq[ \t]*:[ \t]*[0-9]+[ \t]+([^ \t\r\n]+)", re.IGNORECASE)


@final
class TransactionRecord:
    """One transaction.

    :ivar method: of its request, as it was written; at most 32 characters of it.
    :ivar direction: ``in`` when the peer asked, ``out`` when we did.
    :ivar flow: the number of the flow on which the request went.
    :ivar transport: such as ``TLS``.
    :ivar remote_host: the address of the other side, without brackets.
    :ivar remote_port: its port.
    :ivar peer: the identity that the other side has proved; empty where there is none.
    :ivar started: when the request passed for the first time, in seconds since 1970.
    :ivar provisional: how many seconds after that the first provisional response passed, 100 apart; None without one.
    :ivar duration: how many seconds after it the record ended.
    :ivar retransmissions: how often the request passed again.
    :ivar status: of the final response; None where none passed.
    :ivar outcome: ``answered``; ``unanswered`` in time; ``flow-lost``; or ``displaced``: there were too many others.
    """

    __slots__ = (
        "_data",
        "direction",
        "duration",
        "flow",
        "latest",
        "method",
        "outcome",
        "peer",
        "provisional",
        "remote_host",
        "remote_port",
        "retransmissions",
        "started",
        "status",
        "transport",
    )

    def __init__(
        self,
        direction: Literal["in", "out"],
        method: str,
        flow: LiveFlow,
        data: bytes,
        now: float,
    ) -> None:
        self.direction: Literal["in", "out"] = direction
        self.method = method
        self.flow = flow.number
        self.transport = flow.transport
        self.remote_host = flow.remote_host
        self.remote_port = flow.remote_port
        self.peer = flow.peer
        # Most records are only counted, so it is read when somebody asks.
        self._data = data if len(data) <= _MOST_KEPT else data[: max(0, data.rfind(b"\n", 0, _MOST_KEPT))]
        self.started = self.latest = now
        self.provisional: float | None = None
        self.duration = 0.0
        self.retransmissions = 0
        self.status: int | None = None
        self.outcome: Outcome = "unanswered"

    @property
    def remote(self) -> str:
        """The address of the other side, ``host:port``."""
        return host_and_port(self.remote_host, self.remote_port)

    @property
    def call_id(self) -> str:
        """The Call-ID; empty where the request has none."""
        return self._field("call-id", "i")

    @property
    def from_(self) -> str:
        """What the request says in From, without a password."""
        return self._field("from", "f")

    @property
    def to(self) -> str:
        """What the request says in To, without a password."""
        return self._field("to", "t")

    def _field(self, name: str, short: str) -> str:
        head, _ = split_message(self._data)
        # As the parser does: what Python takes for the end of a line besides is text that a peer may write.
        for line in head.split("\r\n")[1:]:
            found, colon, value = line.partition(":")
            if colon and found.strip(" \t").lower() in (name, short):
                return without_passwords(value.strip(" \t"))[:_LONGEST_TEXT]
        return ""

    def as_json(self) -> dict[str, object]:
        """The record as one object, of values that JSON can hold; what it does not have is left out.

        ``time`` is when the request passed first, ``duration`` and ``provisional`` are seconds after that.
        """
        fields: dict[str, object] = {
            "time": in_words(self.started),
            "method": self.method,
            "direction": self.direction,
            "outcome": self.outcome,
        }
        if self.status is not None:
            fields["status"] = self.status
        fields["duration"] = round(self.duration, 6)
        if self.provisional is not None:
            fields["provisional"] = round(self.provisional, 6)
        if self.retransmissions:
            fields["retransmissions"] = self.retransmissions
        for name, value in (("call_id", self.call_id), ("from", self.from_), ("to", self.to), ("peer", self.peer)):
            if value:
                fields[name] = value
        return fields | {"transport": self.transport, "address": self.remote, "flow": self.flow}

    def to_json(self) -> str:
        """The record as one line, in ASCII."""
        return json.dumps(self.as_json())

    def __repr__(self) -> str:
        status = "" if self.status is None else f" {self.status}"
        return f"<TransactionRecord {self.direction} {self.method} {self.outcome}{status}>"


@final
class TransactionWatch:
    """A tap that follows transactions: ``manager.add_tap(watch)``.

    :param capacity: how many may be open at a time; the oldest gives way, as ``displaced``.
    :param remembered: how many that have ended are remembered by UDP; what the oldest is sent once more counts anew.
    """

    __slots__ = ("_capacity", "_finished", "_followers", "_log", "_open", "_remembered", "displaced", "unreadable")

    def __init__(self, capacity: int = 16384, remembered: int = 16384) -> None:
        if capacity < 1 or remembered < 0:
            raise ValueError("a watch has room for at least one transaction")
        self._capacity = capacity
        self._remembered = remembered
        self._open: dict[_Key, TransactionRecord] = {}
        self._finished: collections.OrderedDict[_Key, float] = collections.OrderedDict()
        self._followers: tuple[Callable[[TransactionRecord], object], ...] = ()
        self._log = ThrottledLog("sip_p2p.observe.transactions", time.monotonic, LogBounds())
        self.displaced = 0
        self.unreadable = 0

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def follow(self, follower: Callable[[TransactionRecord], object]) -> Callable[[], None]:
        """Call *follower* with every record that ends from now on; what it raises is logged, and harms nobody.

        :returns: what ends that; it may be called more than once.
        """
        self._followers = (*self._followers, follower)

        def leave() -> None:
            self._followers = tuple(each for each in self._followers if each is not follower)

        return leave

    def message(self, direction: str, flow: LiveFlow, data: bytes, now: float) -> None:
        """One message passed *flow* at *now*, seconds since 1970; *data* is all of it."""
        if data[:8].upper() == b"SIP/2.0 ":
            if data[8:11] != b"100":
                self._response(direction, flow, data, now)
        elif not data.startswith(b"ACK "):
            self._request(direction, flow, data, now)

    def _request(self, direction: str, flow: LiveFlow, data: bytes, now: float) -> None:
        branch = _branch(data)
        method = data[: data.find(b" ", 0, 64)]
        if not branch:
            self.unreadable += 1
            return
        # Flows count from 1, so 0 is for what we ask. The branches of peers are theirs to choose, and two of them may
        # choose the same.
        key = (0 if direction == "out" else flow.number, branch, method)
        record = self._open.get(key)
        if record is not None:
            record.retransmissions += 1
            return
        if key in self._finished:
            return
        if len(self._open) >= self._capacity:
            self.displaced += 1
            oldest = next(iter(self._open))
            self._end(oldest, self._open[oldest], "displaced", now)
        self._open[key] = TransactionRecord(
            "out" if direction == "out" else "in",
            method[:32].decode("utf-8", "backslashreplace"),
            flow,
            data,
            now,
        )

    def _response(self, direction: str, flow: LiveFlow, data: bytes, now: float) -> None:
        key = (flow.number if direction == "out" else 0, _branch(data), _method_of_response(data))
        record = self._open.get(key)
        if record is None:
            return
        try:
            status = int(data[8:11])
        except ValueError:
            return
        if status < 200:
            record.latest = now
            if record.provisional is None:
                record.provisional = max(0.0, now - record.started)
            return
        record.status = status
        if not flow.reliable:
            self._remember(key, now)
        self._end(key, record, "answered", now)

    def _remember(self, key: _Key, now: float) -> None:
        finished = self._finished
        finished[key] = now
        if len(finished) > self._remembered:
            finished.popitem(last=False)

    def _end(self, key: _Key, record: TransactionRecord, outcome: Outcome, now: float) -> None:
        del self._open[key]
        record.outcome = outcome
        # The wall clock may have been set back meanwhile.
        record.duration = max(0.0, now - record.started)
        for follower in self._followers:
            try:
                follower(record)
            except Exception:
                self._log.failure("who follows the transactions failed")

    def flow_ended(self, flow: int, now: float) -> None:
        """The flow with the number *flow* is gone, and no answer comes by it any more."""
        for key, record in list(self._open.items()):
            if record.flow == flow:
                self._end(key, record, "flow-lost", now)

    def expire(self, now: float) -> None:
        """Give up what has waited for too long, and forget what nothing more will come for."""
        finished = self._finished
        while finished and next(iter(finished.values())) < now - _REMEMBERED_FOR:
            finished.popitem(last=False)
        overdue = []
        for key, record in self._open.items():
            # They stand in the order of their beginning.
            if record.started > now - PATIENCE:
                break
            if record.provisional is None or record.latest < now - RINGING_PATIENCE:
                overdue.append((key, record))
        for key, record in overdue:
            self._end(key, record, "unanswered", now)


def _branch(data: bytes) -> bytes:
    """The branch of the first Via; empty where there is none."""
    # As nearly everybody writes it, found in a fifth of the time. A line that ends with the branch gives it, too.
    via = data.find(b"\r\nVia: ")
    if via >= 0:
        line_end = data.find(b"\r\n", via + 2)
        start = data.find(b";branch=", via, line_end) + 8
        if start >= 8:
            end = data.find(b";", start, line_end)
            return data[start : line_end if end < 0 else end]
    found = _BRANCH.search(data)
    return b"" if found is None else found[1]


def _method_of_response(data: bytes) -> bytes:
    start = data.find(b"\r\nCSeq: ") + 8
    if start >= 8:
        end = data.find(b"\r\n", start)
        blank = data.rfind(b" ", start, end)
        if blank >= 0 and end - blank > 1:
            return data[blank + 1 : end]
    found = _CSEQ.search(data)
    return b"" if found is None else found[1]
