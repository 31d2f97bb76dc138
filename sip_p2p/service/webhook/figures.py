"""What has become of the deliveries, for Prometheus: figures beside those of the party (row M10).

Names and labels stand in ``docs/webhooks.rst``. Every way to fail has its series from the beginning, so that an alarm
can wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from sip_p2p.service.webhook.deliverer import Deliverer

__all__ = ["WebhookFigures"]


@final
class WebhookFigures(Collector):
    """The figures of one deliverer.

    :param labels: further labels that every series has, such as ``worker``.
    """

    def __init__(self, deliverer: Deliverer, labels: Mapping[str, str]) -> None:
        self._deliverer = deliverer
        self._labels = dict(labels)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are looked at when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family of figures."""
        counters = self._deliverer.counters
        outcomes = {"answered": counters["answered"]}
        outcomes |= {kind.words: count for kind, count in self._deliverer.failures.items()}
        yield self._counter("questions", "Requests that the hook was asked about, by what came of it.", outcomes)
        events = {name: counters[name] for name in ("delivered", "lost")}
        yield self._counter("events", "Events that the hook was told of, or never heard of.", events)
        yield self._plain(CounterMetricFamily, "tries", "Deliveries of questions, those that came again too.", counters)
        yield self._plain(GaugeMetricFamily, "waiting", "Questions that wait for a place.", counters)
        yield self._plain(GaugeMetricFamily, "queued", "Events that are not delivered yet.", counters)
        yield self._plain(GaugeMetricFamily, "left_alone", "1 while the hook is left alone.", counters)

    def _counter(self, name: str, words: str, outcomes: Mapping[str, int]) -> Metric:
        family = CounterMetricFamily(f"sip_p2p_webhook_{name}", words, labels=[*self._labels, "outcome"])
        for outcome, count in outcomes.items():
            family.add_metric([*self._labels.values(), outcome], count)
        return family

    def _plain(
        self,
        kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        words: str,
        counters: Mapping[str, int],
    ) -> Metric:
        family = kind(f"sip_p2p_webhook_{name}", words, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), counters[name])
        return family
