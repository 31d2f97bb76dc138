"""All figures of a connection manager as Prometheus reads them: its text format, and OpenMetrics (row M10).

Nothing is counted here for each message but the latencies, which a :class:`~.transactions.TransactionWatch` tells; all
else is read where it arises when somebody asks. Names and labels stand in ``docs/metrics.rst``. What a peer can invent
makes no new series: methods that are not registered count as ``other``, and statuses as ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from sip_p2p import __version__
from sip_p2p.sip.counters import KNOWN_METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.flow_events import FlowOpened
    from sip_p2p.observe.transactions import TransactionRecord, TransactionWatch

__all__ = ["DURATION_BUCKETS", "HANDSHAKE_BUCKETS", "Latencies", "MetricsCollector"]

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 32.0, 60.0, 180.0)
"""The upper bounds of the latencies' buckets, in seconds; what takes longer is in the last one, without a bound."""

HANDSHAKE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The same of TLS handshakes."""

_COUNTED_SESSIONS = ("established", "in", "out")
_LIVE = {
    "connections": ("sip_p2p_connections", "Sockets that stand, with or without a flow."),
    "flows": ("sip_p2p_flows", "Connections that may carry messages."),
    "listeners": ("sip_p2p_listeners", "Places where the party listens."),
    "handshakes": ("sip_p2p_handshakes_under_way", "Accepted connections that carry nothing yet."),
    "dialling": ("sip_p2p_connections_being_made", "Outgoing connections that are being made."),
    "dialogs": ("sip_p2p_dialogs", "Dialogs, early ones among them."),
    "sessions": ("sip_p2p_sessions", "Sessions to whose peers something is to be said still."),
    "invitations": ("sip_p2p_invitations", "Sessions that do not stand yet."),
    "recovering": ("sip_p2p_sessions_recovering", "Sessions that have lost the way to their peers."),
    "requests": ("sip_p2p_requests_under_way", "Requests of ours that wait for their answer."),
    "unanswered": ("sip_p2p_requests_unanswered", "Requests of peers that wait for ours."),
    "queued_octets": ("sip_p2p_write_queue_octets", "Octets that wait to be written."),
    "partial_octets": ("sip_p2p_partial_octets", "Octets of messages that are not complete."),
    "timers": ("sip_p2p_timers", "Timers of transactions."),
}


@final
class Latencies:
    """One histogram.

    :ivar bounds: the upper bounds of its buckets, in seconds, ascending.
    :ivar counts: how many observations each bucket has, not cumulated; the last is of what is over every bound.
    :ivar total: the sum of all observations, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = DURATION_BUCKETS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Something took so long."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, as text, and how many took no longer, as Prometheus has them."""
        found: list[tuple[str, float]] = []
        count = 0
        for bound, here in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            count += here
            found.append((bound, count))
        return found


@final
class MetricsCollector(Collector):
    """The figures of one connection manager, in a registry of its own.

    :ivar registry: the registry; further collectors may be registered there.
    :param manager: whose figures.
    :param watch: who tells of the transactions; without it there are no latencies.
    :param labels: further labels that every series has, such as ``worker``.
    """

    content_type = CONTENT_TYPE_LATEST
    open_metrics_type = openmetrics.CONTENT_TYPE_LATEST

    def __init__(
        self,
        manager: RealTimeConnectionManager,
        watch: TransactionWatch | None = None,
        *,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._manager = manager
        self._labels = dict(labels or {})
        self._durations: dict[tuple[str, str], Latencies] = {}
        self._provisional: dict[str, Latencies] = {}
        self._outcomes: dict[tuple[str, str, str], int] = {}
        self._handshakes: dict[tuple[str, str], Latencies] = {}
        self._leave: Callable[[], None] | None = None if watch is None else watch.follow(self._ended)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def render(self, *, open_metrics: bool = False) -> bytes:
        """Everything, in Prometheus' text format, or as OpenMetrics 1.0 has it."""
        if open_metrics:
            return openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call, no-any-return]
        return generate_latest(self.registry)

    def close(self) -> None:
        """Follow nothing any more."""
        if self._leave is not None:
            self._leave()
            self._leave = None

    def flow_opened(self, opened: FlowOpened) -> None:
        """A flow may carry messages: how long did its handshake take?"""
        verified = opened.flow.verified
        if verified is None:
            return
        key = ("out" if verified.is_client else "in", "resumed" if verified.was_resumed else "full")
        found = self._handshakes.get(key)
        if found is None:
            found = self._handshakes[key] = Latencies(HANDSHAKE_BUCKETS)
        found.observe(verified.handshake_seconds)

    def _ended(self, record: TransactionRecord) -> None:
        method = record.method if record.method in KNOWN_METHODS else "other"
        key = (record.direction, method)
        if record.status is None:
            outcome = (*key, record.outcome)
            self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
            return
        found = self._durations.get(key)
        if found is None:
            found = self._durations[key] = Latencies()
        found.observe(record.duration)
        if record.provisional is not None and method == "INVITE":
            first = self._provisional.get(record.direction)
            if first is None:
                first = self._provisional[record.direction] = Latencies()
            first.observe(record.provisional)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are looked at when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family of figures."""
        figures = self._manager.metrics()
        yield self._info()
        yield from self._messages()
        yield from self._connections(figures)
        yield from self._sessions(figures)
        yield from self._security(figures)
        yield from self._latencies()
        yield from self._bounds(figures)
        for name, (full_name, words) in _LIVE.items():
            yield self._gauge(full_name, words, [((), figures[f"live_{name}"])])

    def _info(self) -> Metric:
        family = InfoMetricFamily("sip_p2p", "The version that runs.", labels=[*self._labels])
        family.add_metric([*self._labels.values()], {"version": __version__})
        return family

    def _counter(
        self, name: str, words: str, rows: Iterable[tuple[tuple[str, ...], float]], labels: tuple[str, ...] = ()
    ) -> Metric:
        family = CounterMetricFamily(name, words, labels=[*self._labels, *labels])
        for values, figure in rows:
            family.add_metric([*self._labels.values(), *values], figure)
        return family

    def _gauge(
        self, name: str, words: str, rows: Iterable[tuple[tuple[str, ...], float]], labels: tuple[str, ...] = ()
    ) -> Metric:
        family = GaugeMetricFamily(name, words, labels=[*self._labels, *labels])
        for values, figure in rows:
            family.add_metric([*self._labels.values(), *values], figure)
        return family

    def _histogram(
        self, name: str, words: str, rows: Iterable[tuple[tuple[str, ...], Latencies]], labels: tuple[str, ...]
    ) -> Metric:
        family = HistogramMetricFamily(name, words, labels=[*self._labels, *labels])
        for values, found in rows:
            family.add_metric([*self._labels.values(), *values], found.buckets(), found.total)
        return family

    def _messages(self) -> Iterator[Metric]:
        traffic = self._manager.core.traffic
        requests = [
            ((direction, method), count)
            for direction, counts in (("in", traffic.requests_in), ("out", traffic.requests_out))
            for method, count in counts.items()
        ]
        yield self._counter("sip_p2p_requests", "Requests, sent again ones apart.", requests, ("direction", "method"))
        # Nobody ever sees most of the registered statuses.
        responses = [
            ((direction, str(status or "other")), count)
            for direction, counts in (("in", traffic.responses_in), ("out", traffic.responses_out))
            for status, count in counts.items()
            if count
        ]
        yield self._counter(
            "sip_p2p_responses", "Responses, sent again ones apart.", responses, ("direction", "status")
        )

    def _connections(self, figures: Mapping[str, int]) -> Iterator[Metric]:
        opened = [((direction,), figures[f"connections_{direction}"]) for direction in ("in", "out")]
        yield self._counter(
            "sip_p2p_connections_opened", "Connections that came to carry messages.", opened, ("direction",)
        )
        kept = [
            ((name.removeprefix("keep_alive_"),), count)
            for name, count in figures.items()
            if name.startswith("keep_alive_")
        ]
        yield self._counter("sip_p2p_keep_alives", "Keep-alives, and what became of them.", kept, ("event",))
        dropped = [((name,), figures[f"datagrams_{name}"]) for name in ("ignored", "forged")]
        yield self._counter("sip_p2p_datagrams_dropped", "Datagrams that nothing came of.", dropped, ("reason",))
        for name, words in (
            ("connections_dialled", "Connections that we began to make."),
            ("connections_lost", "Connections that ended without a goodbye, and not by us."),
            ("connections_refused", "Accepted connections that were one too many."),
            ("throttled", "How often nothing was read from a peer for a while."),
            ("held_back", "Requests that were not sent because their peer had asked for fewer."),
        ):
            yield self._counter(f"sip_p2p_{name}", words, [((), figures[name])])

    def _sessions(self, figures: Mapping[str, int]) -> Iterator[Metric]:
        begun = [((direction,), figures[f"sessions_{direction}"]) for direction in ("in", "out")]
        yield self._counter("sip_p2p_sessions_begun", "Sessions that were offered to somebody.", begun, ("direction",))
        yield self._counter(
            "sip_p2p_sessions_established", "Sessions that came to stand.", [((), figures["sessions_established"])]
        )
        live = [(("client",), figures["live_clients"]), (("server",), figures["live_servers"])]
        yield self._gauge("sip_p2p_transactions", "Transactions that live.", live, ("side",))
        problems = [
            ((name.removeprefix("transactions_"),), count)
            for name, count in figures.items()
            if name.startswith("transactions_")
        ]
        yield self._counter("sip_p2p_transaction_events", "What happened to transactions.", problems, ("event",))
        events = [((name.removeprefix("core_"),), count) for name, count in figures.items() if name.startswith("core_")]
        yield self._counter("sip_p2p_core_events", "What the core did with what came.", events, ("event",))

    def _security(self, figures: Mapping[str, int]) -> Iterator[Metric]:
        failures = [
            ((name.removeprefix("tls_failures_"),), count)
            for name, count in figures.items()
            if name.startswith("tls_failures_")
        ]
        yield self._counter("sip_p2p_tls_failures", "TLS connections that came to nothing.", failures, ("reason",))
        yield self._counter(
            "sip_p2p_senders_refused", "Requests answered 403 for their From.", [((), figures["senders_refused"])]
        )
        if "tls_handshakes" in figures:
            kinds = [(("full",), figures["tls_handshakes"]), (("resumed",), figures["tls_resumptions"])]
            yield self._counter("sip_p2p_tls_handshakes", "Completed TLS handshakes.", kinds, ("kind",))
            yield self._counter(
                "sip_p2p_certificate_reloads",
                "How often files of certificates were read anew.",
                [((), figures["certificate_reloads"])],
            )
            yield self._gauge(
                "sip_p2p_certificate_troubles",
                "Files of certificates that cannot be used as they are now.",
                [((), figures["certificate_troubles"])],
            )
        days = [
            ((name.removeprefix("certificate_days_left").removeprefix("_") or "own",), count)
            for name, count in figures.items()
            if name.startswith("certificate_days_left")
        ]
        if "trust_days_left" in figures:
            days.append((("trust",), figures["trust_days_left"]))
        yield self._gauge(
            "sip_p2p_certificate_days_left", "Days for which certificates are valid still.", days, ("certificate",)
        )

    def _latencies(self) -> Iterator[Metric]:
        yield self._histogram(
            "sip_p2p_transaction_seconds",
            "From a request to its final response.",
            self._durations.items(),
            ("direction", "method"),
        )
        yield self._histogram(
            "sip_p2p_invite_progress_seconds",
            "From an INVITE to its first provisional response, 100 apart.",
            [((direction,), found) for direction, found in self._provisional.items()],
            ("direction",),
        )
        yield self._histogram(
            "sip_p2p_tls_handshake_seconds",
            "From a connection to its proved peer.",
            self._handshakes.items(),
            ("direction", "kind"),
        )
        yield self._counter(
            "sip_p2p_transactions_ended",
            "Transactions that ended, by how.",
            [
                *(((*key, "answered"), sum(found.counts)) for key, found in self._durations.items()),
                *self._outcomes.items(),
            ],
            ("direction", "method", "outcome"),
        )

    def _bounds(self, figures: Mapping[str, int]) -> Iterator[Metric]:
        reached = [
            ((name.removeprefix("limit_"),), count) for name, count in figures.items() if name.startswith("limit_")
        ]
        yield self._counter("sip_p2p_limit_reached", "How often a bound was reached.", reached, ("limit",))
        yield self._gauge(
            "sip_p2p_overload_state",
            "0: all is done; 1 and 2: new work is refused.",
            [((), figures["overload_state"])],
        )
        yield self._counter(
            "sip_p2p_overload_changes", "How often that became another.", [((), figures["overload_changes"])]
        )
        yield self._counter(
            "sip_p2p_log_lines_withheld", "Lines that were too many for the log.", [((), figures["log_lines_withheld"])]
        )
