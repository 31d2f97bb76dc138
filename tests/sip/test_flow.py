"""Tests of what SIP knows of a flow."""

from __future__ import annotations

from sip_p2p.sip.flow import Flow
from sip_p2p.sip.via import parse_via
from tests.support import SynchronousTestCase


def flow(transport: str = "TLS", host: str = "192.0.2.1", port: int = 5061, peer: str = "") -> Flow:
    """A flow to somebody."""
    return Flow(transport, transport != "UDP", "us.example:5061", host, port, peer)


class HookTests(SynchronousTestCase):
    """What the core tells a flow."""

    def test_presents(self) -> None:
        """A flow that nobody keeps makes nothing of where the peer says it is (RFC 5923 section 8)."""
        flow().presents(parse_via("SIP/2.0/TLS a.example:5061;alias;branch=z9hG4bKx"))


class SamePeerTests(SynchronousTestCase):
    """Whose word counts for whom."""

    def test_itself(self) -> None:
        """A flow leads to the same party as itself, whoever that is."""
        for transport in ("UDP", "TCP", "TLS"):
            one = flow(transport)
            self.assertTrue(one.leads_to_same_peer(one))

    def test_same_verified_identity(self) -> None:
        """Two flows on which the same identity was proved lead to one party, wherever they come from (fault:C1)."""
        one, two = flow(peer="b.example"), flow(host="192.0.2.2", port=40000, peer="b.example")
        self.assertTrue(one.leads_to_same_peer(two))
        self.assertTrue(two.leads_to_same_peer(one))

    def test_another_identity(self) -> None:
        """Another identity at the same address is another party (fault:C1, fault:G1)."""
        self.assertFalse(flow(peer="b.example").leads_to_same_peer(flow(peer="c.example")))

    def test_proved_and_unproved(self) -> None:
        """What came without proof never speaks for who has proved something, in neither direction (fault:C1)."""
        proved = flow(peer="b.example")
        for transport in ("TLS", "TCP", "UDP"):
            self.assertFalse(proved.leads_to_same_peer(flow(transport)), transport)
            self.assertFalse(flow(transport).leads_to_same_peer(proved), transport)

    def test_clear_text(self) -> None:
        """On UDP, where nothing is proved, the address counts; on TCP only the very connection does (fault:C1)."""
        self.assertTrue(flow("UDP", port=1).leads_to_same_peer(flow("UDP", port=2)))
        self.assertFalse(flow("UDP").leads_to_same_peer(flow("UDP", host="192.0.2.2")))
        self.assertFalse(flow("TCP").leads_to_same_peer(flow("TCP")))
        self.assertFalse(flow("TCP").leads_to_same_peer(flow("UDP")))
        self.assertFalse(flow("UDP").leads_to_same_peer(flow("TCP")))

    def test_says_nothing_of_itself(self) -> None:
        """By itself a flow offers nothing in its Via, leaves a peer's as it came and hears nothing (row:E17)."""
        one = flow()
        self.assertEqual(one.via_params, "")
        self.assertEqual(one.answer_via("SIP/2.0/TLS h;keep"), "SIP/2.0/TLS h;keep")
        one.heard_via("SIP/2.0/TLS us.example:5061;keep=30")
        self.assertEqual(one.via_params, "")

    def test_attributes(self) -> None:
        """A flow has what the core needs and room for nothing else."""
        one = flow("UDP", peer="")
        self.assertEqual(
            (one.transport, one.reliable, one.sent_by, one.remote_host, one.remote_port, one.peer),
            ("UDP", False, "us.example:5061", "192.0.2.1", 5061, ""),
        )
        with self.assertRaises(AttributeError):
            one.socket = None  # type: ignore[attr-defined]
