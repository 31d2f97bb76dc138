"""Transactions as spans of OpenTelemetry; needs the extra ``opentelemetry``.

Every transaction that a :class:`~.transactions.TransactionWatch` tells of is one span. The trace that it belongs to is
that of its Call-ID, so that both parties, and whoever else knows the Call-ID, tell of the same trace without a header
of their own. A session is a span as well, from its INVITE to its BYE, and what happens in it is below it.

There is no agreed vocabulary for SIP: the attributes that begin with ``sip.`` are named here, those that begin with
``network.`` are OpenTelemetry's. What the service exports to, and how, stands in the environment as OpenTelemetry has
it (``OTEL_EXPORTER_OTLP_ENDPOINT`` and the like). Spans leave in a thread of the SDK; when the collector is slower than
the spans come, those that do not fit in its queue are lost, and nothing else.
"""

from __future__ import annotations

import collections
import hashlib
import random
import threading
from typing import TYPE_CHECKING, final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from sip_p2p import __version__
from sip_p2p.observe.text import printable
from sip_p2p.sip.counters import KNOWN_METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from sip_p2p.observe.transactions import TransactionRecord

__all__ = ["MOST_SESSIONS", "SpanTeller", "trace_id_of"]

MOST_SESSIONS = 4096
"""How many sessions may be open at a time; the span of the oldest is ended when there are more."""

_NANOSECONDS = 1_000_000_000


def trace_id_of(call_id: str) -> int:
    """The trace that a Call-ID belongs to: the first 16 octets of the SHA-256 of its UTF-8."""
    return int.from_bytes(hashlib.sha256(call_id.encode("utf-8", "surrogateescape")).digest()[:16], "big") or 1


@final
class _CallIds(IdGenerator):
    """Gives the next trace the number that belongs to its Call-ID.

    :ivar trace: that number.
    """

    def __init__(self) -> None:
        self.trace = 1
        self._random = random.SystemRandom()

    def generate_span_id(self) -> int:
        """A number that no other span of the trace has."""
        return self._random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """The number of the trace that is begun."""
        return self.trace


@final
class SpanTeller:
    """Makes spans of the records of a watch: ``watch.follow(teller.told)``.

    :param processor: where the spans go.
    :param resource: who tells them; by default what the environment says.
    :param sessions: how many sessions may be open at a time.
    :param give_up: what ends an export that does not come to its end by itself; called in a thread.
    """

    def __init__(
        self,
        processor: SpanProcessor,
        *,
        resource: Resource | None = None,
        sessions: int = MOST_SESSIONS,
        give_up: Callable[[], object] | None = None,
    ) -> None:
        self._ids = _CallIds()
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("sip_p2p", __version__)
        self._most_sessions = sessions
        self._give_up = give_up
        self._sessions: collections.OrderedDict[str, Span] = collections.OrderedDict()

    @classmethod
    def to_collector(cls, party: str) -> SpanTeller:
        """One that exports to a collector over HTTP, as ``OTEL_EXPORTER_OTLP_...`` in the environment say.

        :param party: the URI of the party, an attribute of everything that it tells.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # What the environment says comes after what is given here, and wins.
        who = Resource({"service.name": "sip-p2p", "service.version": __version__, "sip.party": party})
        exporter = OTLPSpanExporter()
        return cls(BatchSpanProcessor(exporter), resource=who.merge(Resource.create()), give_up=exporter.shutdown)

    def told(self, record: TransactionRecord) -> None:
        """A transaction has ended."""
        call_id = record.call_id
        self._ids.trace = trace_id_of(call_id)
        ended = _nanoseconds(record.started + record.duration)
        session = self._sessions.get(call_id)
        is_accepted = record.status is not None and 200 <= record.status < 300
        if session is None and record.method == "INVITE" and is_accepted:
            session = self._begin(record, call_id)
        span = self._tracer.start_span(
            record.method if record.method in KNOWN_METHODS else "other",
            None if session is None else set_span_in_context(session),
            SpanKind.CLIENT if record.direction == "out" else SpanKind.SERVER,
            _attributes(record),
            start_time=_nanoseconds(record.started),
        )
        if record.status is None or 500 <= record.status < 600:
            span.set_status(Status(StatusCode.ERROR, record.outcome if record.status is None else str(record.status)))
        span.end(ended)
        if session is not None and record.method == "BYE":
            del self._sessions[call_id]
            session.end(ended)

    def _begin(self, record: TransactionRecord, call_id: str) -> Span:
        session = self._tracer.start_span(
            "session", attributes=_attributes(record), start_time=_nanoseconds(record.started)
        )
        self._sessions[call_id] = session
        if len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)[1].end()
        return session

    def close(self, patience: float = 3.0) -> None:
        """End the sessions that are open, at this moment, and send what waits.

        It blocks, so it is not for the reactor's thread.

        :param patience: how many seconds that may take; then what has not left is lost.
        """
        while self._sessions:
            self._sessions.popitem()[1].end()
        timer = None if self._give_up is None else threading.Timer(patience, self._give_up)
        if timer is not None:
            timer.start()
        self._provider.shutdown()
        if timer is not None:
            timer.cancel()


def _attributes(record: TransactionRecord) -> dict[str, AttributeValue]:
    host, port = record.remote_host, record.remote_port
    found: dict[str, AttributeValue] = {
        "sip.method": printable(record.method),
        "sip.call_id": printable(record.call_id),
        "sip.from": printable(record.from_),
        "sip.to": printable(record.to),
        "sip.flow": record.flow,
        "sip.outcome": record.outcome,
        "network.peer.address": host,
        "network.peer.port": port,
        "network.transport": "udp" if record.transport == "UDP" else "tcp",
        "network.protocol.name": "sip",
        "sip.transport": record.transport,
    }
    if record.status is not None:
        found["sip.status"] = record.status
    if record.peer:
        found["sip.peer"] = record.peer
    if record.retransmissions:
        found["sip.retransmissions"] = record.retransmissions
    return found


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
