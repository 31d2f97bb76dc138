"""The figures of the deliveries, held against the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics

from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.webhook.figures import WebhookFigures
from tests.service.webhook.support import status
from tests.service.webhook.test_deliverer import Rig
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PAGE = Path(__file__).parents[3] / "docs" / "webhooks.rst"
ROW = re.compile(r"^``(sip_p2p[a-z0-9_]*)``  +([a-z, -]+?)  +\S", re.MULTILINE)


class FiguresTests(SynchronousTestCase):
    """What is told of a hook that answers, and of one that does not."""

    def setUp(self) -> None:
        super().setUp()
        self.rig = Rig(self, lambda _: b"{}", status(404), lambda _: b"")
        self.registry = CollectorRegistry()
        self.registry.register(WebhookFigures(self.rig.deliverer, {"worker": "2"}))
        ask = self.rig.deliverer.ask
        self.successResultOf(ask("message", {}, bytes))
        self.failureResultOf(ask("message", {}, bytes), HookFailure)
        self.rig.happenings.emit("session-state", call_id="c1", state="connected")

    def families(self) -> dict[str, Metric]:
        """What a strict reader makes of it."""
        text = generate_open_metrics(self.registry).decode()  # type: ignore[no-untyped-call]
        return {family.name: family for family in read_open_metrics(text)}

    def test_what_became_of_them(self) -> None:
        """row:M10: questions are counted by their outcome, events by whether they were delivered."""
        value = self.registry.get_sample_value
        questions = {
            outcome: value("sip_p2p_webhook_questions_total", {"worker": "2", "outcome": outcome})
            for outcome in ("answered", *(kind.words for kind in FailureKind))
        }
        self.assertEqual({outcome for outcome, count in questions.items() if count}, {"answered", "refused"})
        self.assertNotIn(None, questions.values())
        self.assertEqual(value("sip_p2p_webhook_tries_total", {"worker": "2"}), 2)
        self.assertEqual(value("sip_p2p_webhook_events_total", {"worker": "2", "outcome": "delivered"}), 1)
        self.assertEqual(value("sip_p2p_webhook_left_alone", {"worker": "2"}), 0)
        self.assertIn(b"# TYPE sip_p2p_webhook_tries_total counter", generate_latest(self.registry))

    def test_every_name_is_explained(self) -> None:
        """docs/webhooks.rst names exactly the families that are told, each with its labels."""
        told = {
            name: set().union(*(sample.labels for sample in family.samples)) - {"worker"}
            for name, family in self.families().items()
        }
        explained = {
            match[1].removesuffix("_total"): set() if match[2] == "-" else set(match[2].split(", "))
            for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))
        }
        self.assertEqual(explained, told)
