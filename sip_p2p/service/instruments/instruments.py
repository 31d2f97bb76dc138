"""The instruments of a service: what looks at the wire while it runs, and what is made of that.

Each is there only where it was asked for. With none of them the driver has no tap, and a message costs what it costs
without this module.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast, final

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from sip_p2p.observe.metrics import MetricsCollector
from sip_p2p.observe.recorder import Recorder
from sip_p2p.observe.text import printable
from sip_p2p.observe.transactions import TransactionWatch
from sip_p2p.service.parts import Part
from sip_p2p.service.process.worker import this_seat
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.flow_events import FlowLost
    from sip_p2p.errors import TlsFailure
    from sip_p2p.observe.spans import SpanTeller
    from sip_p2p.observe.transactions import TransactionRecord
    from sip_p2p.service.happenings import Happenings
    from sip_p2p.service.settings.options import Options
    from sip_p2p.transport.driver import Tap

__all__ = ["Instruments"]

_BETWEEN_LOOKS = 5.0
_transactions = Logger("sip_p2p.service.transactions")


@final
class Instruments(Part):
    """What looks at one connection manager.

    :ivar recorder: what passed lately; None where nothing is recorded.
    :ivar watch: the transactions; None where nobody wants to know of them.
    :ivar collector: all figures, for Prometheus; without a watch there are no latencies among them.
    :ivar labels: what every figure has, such as ``worker``.
    :ivar further: the counters of what stands beside the party, by its name.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        manager: RealTimeConnectionManager,
        *,
        recorder: Recorder | None = None,
        watch: TransactionWatch | None = None,
        happenings: Happenings | None = None,
        spans: Callable[[], SpanTeller] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        :param happenings: where each transaction is told, besides a line in the log; None for neither. It needs a
            *watch*, and so does the next.
        :param spans: what makes the one who tells OpenTelemetry, when the process is the one that stays.
        :param clock: seconds since 1970.
        """
        self.recorder = recorder
        self.watch = watch
        seat = this_seat()
        self.labels = {} if seat is None else {"worker": str(seat.number)}
        self.collector = MetricsCollector(manager, watch, labels=self.labels)
        self.further: dict[str, Callable[[], Mapping[str, int]]] = {}
        self._manager = manager
        self._clock = clock
        self._taps: tuple[Tap, ...] = tuple(tap for tap in (recorder, watch) if tap is not None)
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._happenings = happenings
        self._make_spans = spans
        self._spans: SpanTeller | None = None
        if watch is not None and happenings is not None:
            watch.follow(self._transaction_ended)

    @classmethod
    def from_options(
        cls, reactor: IReactorTime, manager: RealTimeConnectionManager, options: Options, happenings: Happenings
    ) -> Instruments:
        """Those that *options* ask for.

        :param happenings: where transactions are told, if that is asked for.
        """
        uri = options.uri
        local = "" if uri is None else uri.host
        spans = _spans_of(str(uri)) if options["opentelemetry"] else None
        recorder = Recorder(options.record, bodies=options.keep_bodies, local=local) if options.record else None
        is_watched = bool(options.http_places or options["transaction-log"] or options["opentelemetry"])
        return cls(
            reactor,
            manager,
            recorder=recorder,
            watch=TransactionWatch() if is_watched else None,
            happenings=happenings if options["transaction-log"] else None,
            spans=spans,
        )

    def listen(self) -> None:
        """Look from before the first message on."""
        manager = self._manager
        for tap in self._taps:
            manager.add_tap(tap)
        if self._taps:
            manager.flow_lost.subscribe(self._flow_lost)
        if self.recorder is not None:
            manager.tls_failed.subscribe(self._refused)
        if self.watch is not None:
            manager.flow_opened.subscribe(self.collector.flow_opened)

    def started(self) -> None:
        """Look now and then for what nobody answers, and begin to tell OpenTelemetry."""
        if self.watch is None:
            return
        self._looking.start(_BETWEEN_LOOKS, now=False)
        if self._make_spans is not None:
            self._spans = self._make_spans()
            self.watch.follow(self._spans.told)

    def ended(self) -> Deferred[None] | None:
        """Look at nothing any more; what OpenTelemetry is still to hear leaves in a thread."""
        if self._looking.running:
            self._looking.stop()
        for tap in self._taps:
            self._manager.remove_tap(tap)
        self.collector.close()
        spans, self._spans = self._spans, None
        return None if spans is None else deferToThread(spans.close)

    def _look(self) -> None:
        cast("TransactionWatch", self.watch).expire(self._clock())

    def _flow_lost(self, lost: FlowLost) -> None:
        now = self._clock()
        if self.recorder is not None:
            self.recorder.flow_ended(lost.flow.number, printable(str(lost.reason), 512), now)
        if self.watch is not None:
            self.watch.flow_ended(lost.flow.number, now)

    def _refused(self, failure: TlsFailure) -> None:
        if self.recorder is not None:
            self.recorder.note(f"TLS: {explain(failure).what}", self._clock(), remote=failure.peer)

    def _transaction_ended(self, record: TransactionRecord) -> None:
        fields = record.as_json()
        log_transaction(record, fields)
        if self._happenings is not None:
            self._happenings.emit("transaction", **{name: fields[name] for name in fields if name != "time"})


def _spans_of(party: str) -> Callable[[], SpanTeller]:
    """What makes the one who tells OpenTelemetry; it starts a thread, which a process that forks away would lose."""
    # An extra: nobody else needs it.
    from sip_p2p.observe.spans import SpanTeller

    return lambda: SpanTeller.to_collector(party)


def log_transaction(record: TransactionRecord, fields: dict[str, object]) -> None:
    """One line in the log for one transaction; *fields* are its JSON form, which the event of the log has as well."""
    result = str(record.status) if record.status is not None else record.outcome
    _transactions.info(
        "{method} {direction} {result} in {milliseconds} ms, {transport} {address} {who}, Call-ID {call_id_text}",
        result=result,
        milliseconds=f"{record.duration * 1000:.1f}",
        who=printable(record.peer or "nobody proved"),
        call_id_text=printable(record.call_id),
        transaction=fields,
        method=printable(record.method),
        direction=record.direction,
        transport=record.transport.lower(),
        address=record.remote,
    )
