"""Figures of a core."""

from __future__ import annotations

from sip_p2p.sip.counters import KNOWN_METHODS, Counters, Traffic
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.test_shedding import request
from tests.support import SynchronousTestCase


class TrafficTests(SynchronousTestCase):
    """Messages by method and status."""

    def test_names(self) -> None:
        """The names are there from the start, with nought (row:M10)."""
        figures = Traffic().figures()
        self.assertEqual(set(figures.values()), {0})
        for name in ("requests_in_message", "requests_out_other", "responses_in_200", "responses_out_other"):
            self.assertIn(name, figures)
        self.assertEqual(sum(name.startswith("requests_in_") for name in figures), len(KNOWN_METHODS) + 1)

    def test_bounded(self) -> None:
        """A peer can invent methods, but no more figures (row:M10, fault:H7)."""
        core = UserAgentCore(CountingTokens())
        flow = Flow("TLS", True, "us.example", "192.0.2.9", 4000)
        before = set(core.traffic.figures())
        for number in range(100):
            core.receive(request(f"X{number}", number), flow, 0.0)
        core.receive(request("MESSAGE", 100), flow, 0.0)
        figures = core.traffic.figures()
        self.assertEqual((figures["requests_in_other"], figures["requests_in_message"]), (100, 1))
        self.assertEqual(figures["responses_out_404"], 101)
        self.assertEqual(set(figures), before)

    def test_counters(self) -> None:
        """Every counter begins with nought."""
        counters = Counters()
        self.assertEqual({getattr(counters, name) for name in Counters.__slots__}, {0})
