"""The figures, as Prometheus reads them, held against the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from sip_p2p.errors import RequestFailed, TlsFailureReason
from sip_p2p.observe.metrics import DURATION_BUCKETS, Latencies, MetricsCollector
from sip_p2p.observe.transactions import TransactionWatch
from sip_p2p.testing import Network
from tests.manual import blocks
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from sip_p2p import SipPeerToPeerEndpoint

PAGE = Path(__file__).parents[2] / "docs" / "metrics.rst"
ROW = re.compile(r"^``(sip_p2p[a-z0-9_]*)``  +([a-z, -]+?)  +\S", re.MULTILINE)
FREE = {"le", "worker"}


class LatenciesTests(SynchronousTestCase):
    """A histogram."""

    def test_what_is_on_a_bound_is_below_it(self) -> None:
        """Prometheus counts what is no more than the bound, and every bucket those below it."""
        found = Latencies((1.0, 2.0))
        for seconds in (0.5, 1.0, 1.5, 9.0):
            found.observe(seconds)
        self.assertEqual(found.buckets(), [("1.0", 2), ("2.0", 3), ("+Inf", 4)])
        self.assertEqual(found.total, 12.0)


class ScrapeTests(SynchronousTestCase):
    """Two parties that talk, and what is read of one of them."""

    def setUp(self) -> None:
        super().setUp()
        self.network = Network(delay=0.02)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.bob.message_received.subscribe(lambda event: None)
        self.collector = self.observed(self.bob)

    def observed(self, party: SipPeerToPeerEndpoint, **labels: str) -> MetricsCollector:
        """The figures of *party*, whose transactions are watched."""
        manager = party.connection_manager
        watch = TransactionWatch()
        manager.add_tap(watch)
        collector = MetricsCollector(manager, watch, labels=labels)
        manager.flow_opened.subscribe(collector.flow_opened)
        return collector

    def talk(self) -> None:
        """A message that is taken, and two requests that are refused."""
        self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        for method in ("INFO", "WHATEVER"):
            self.refused(method)

    def refused(self, method: str) -> None:
        """A request that bob does not know."""
        asked = self.alice.request(method, "sip:bob@b.example")
        self.network.run_until(asked.addErrback(lambda failure: failure.trap(RequestFailed)))

    def scraped(self, collector: MetricsCollector | None = None) -> dict[str, Metric]:
        """The families, by name."""
        text = (collector or self.collector).render().decode()
        return {family.name: family for family in read_text(text)}

    def value(self, name: str, **labels: str) -> float:
        """One sample."""
        for family in self.scraped().values():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        raise AssertionError(f"no {name} {labels}")

    def test_what_was_said_is_counted(self) -> None:
        """row:M10: messages by method and status, connections, handshakes and latencies, in both directions."""
        self.talk()
        self.assertEqual(self.value("sip_p2p_requests_total", direction="in", method="MESSAGE"), 1)
        self.assertEqual(self.value("sip_p2p_requests_total", direction="in", method="other"), 1)
        self.assertEqual(self.value("sip_p2p_responses_total", direction="out", status="200"), 1)
        self.assertEqual(self.value("sip_p2p_connections_opened_total", direction="in"), 1)
        self.assertEqual(self.value("sip_p2p_connections"), 1)
        self.assertEqual(self.value("sip_p2p_tls_handshakes_total", kind="full"), 1)
        self.assertEqual(self.value("sip_p2p_tls_handshake_seconds_count", direction="in", kind="full"), 1)
        self.assertEqual(self.value("sip_p2p_transaction_seconds_count", direction="in", method="MESSAGE"), 1)
        self.assertEqual(
            self.value("sip_p2p_transactions_ended_total", direction="in", method="other", outcome="answered"), 1
        )
        self.assertGreater(self.value("sip_p2p_certificate_days_left", certificate="own"), 300)
        self.network.finish()

    def test_both_formats(self) -> None:
        """row:M10: the same families are valid as Prometheus' text format and, strictly read, as OpenMetrics."""
        self.talk()
        strict = {family.name for family in read_open_metrics(self.collector.render(open_metrics=True).decode())}
        self.assertEqual(strict, {"sip_p2p" if name == "sip_p2p_info" else name for name in self.scraped()})
        self.network.finish()

    def test_every_name_is_explained(self) -> None:
        """row:M10: docs/metrics.rst names exactly the families that are told, each with its labels."""
        self.talk()
        told = {
            name: set().union(*(sample.labels for sample in family.samples)) - FREE
            for name, family in self.scraped().items()
            if name.startswith("sip_p2p")
        }
        explained = {
            match[1].removesuffix("_total"): set() if match[2] == "-" else set(match[2].split(", "))
            for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))
        }
        self.assertEqual(set(explained), set(told))
        for name, labels in told.items():
            if self.scraped()[name].samples:
                self.assertEqual(explained[name], labels, name)
        self.network.finish()

    def test_the_program_of_the_page(self) -> None:
        """The program of docs/metrics.rst makes the page that it says."""
        names: dict[str, object] = {}
        (program,) = blocks(PAGE, "python")
        exec(program, names)
        self.assertIn(b"sip_p2p_info{", names["page"])  # type: ignore[arg-type]
        self.network.finish()

    def test_what_peers_invent_makes_no_series(self) -> None:
        """row:M10: however many methods a peer invents, the number of series stays the same."""
        self.talk()
        before = sum(len(family.samples) for family in self.scraped().values())
        for number in range(20):
            self.refused(f"X{number}")
        self.assertEqual(sum(len(family.samples) for family in self.scraped().values()), before)
        self.network.finish()

    def test_refusals_by_reason(self) -> None:
        """row:M10: refused identities are counted by reason; every reason is there from the beginning."""
        reasons = {sample.labels["reason"] for sample in self.scraped()["sip_p2p_tls_failures"].samples}
        self.assertEqual(reasons, {reason.name.lower() for reason in TlsFailureReason})
        self.network.finish()

    def test_further_labels(self) -> None:
        """What is given as a label, such as the number of a worker, stands in every series of ours."""
        for family in self.scraped(self.observed(self.alice, worker="3")).values():
            for sample in family.samples:
                if sample.name.startswith("sip_p2p"):
                    self.assertEqual(sample.labels["worker"], "3")
        self.network.finish()

    def test_nothing_is_followed_after_the_end(self) -> None:
        """A collector that is closed counts nothing more; closing it twice is one time."""
        self.collector.close()
        self.collector.close()
        self.talk()
        self.assertEqual(self.scraped()["sip_p2p_transaction_seconds"].samples, [])
        self.network.finish()

    def test_the_buckets_are_those_of_sip(self) -> None:
        """A transaction that takes as long as timer B lets it is told from one that nobody waits for."""
        self.assertIn(32.0, DURATION_BUCKETS)
        self.network.finish()
