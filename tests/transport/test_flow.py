"""What every flow has, whatever carries it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.overload import OFFER
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.restraint import Restraint
from sip_p2p.transport.trust.identity import PeerIdentities
from tests.transport.flow_bench import CountedFlow


class Proof:
    """What TLS proved about a peer, as far as a flow looks at it."""

    def __init__(self, *domains: str) -> None:
        self.identities = PeerIdentities(domains)


def live(transport: str = "TLS", verified: Any = None, *, is_incoming: bool = True) -> LiveFlow:
    """A flow without anything behind it."""
    ends = ("192.0.2.1", 5061), ("192.0.2.9", 40000)
    return LiveFlow(transport, True, "us.example:5061", *ends, is_incoming=is_incoming, verified=verified)


class LiveFlowTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.flow.LiveFlow`."""

    def test_what_it_knows(self) -> None:
        """A flow knows both its ends, its transport, who opened it and what was proved about the peer (row:E12)."""
        verified = Proof("peer.example", "other.example")
        flow = live(verified=verified)
        self.assertIsInstance(flow, Flow)
        self.assertEqual((flow.local_host, flow.local_port), ("192.0.2.1", 5061))
        self.assertEqual((flow.remote_host, flow.remote_port), ("192.0.2.9", 40000))
        self.assertEqual((flow.transport, flow.sent_by, flow.is_incoming), ("TLS", "us.example:5061", True))
        self.assertIs(flow.verified, verified)
        self.assertEqual(flow.peer, "other.example peer.example")
        self.assertTrue(flow.is_open)

    def test_numbers(self) -> None:
        """No two flows of a process have the same number, and a later one has a higher."""
        first, second = live("TCP"), live("UDP")
        self.assertGreater(first.number, 0)
        self.assertEqual(second.number, first.number + 1)

    def test_nothing_proved(self) -> None:
        """A flow on which nothing was proved has no peer that it could be taken for (fault:E7)."""
        self.assertEqual(live("TCP").peer, "")
        self.assertFalse(live("TCP").leads_to_same_peer(live("TCP")))
        nameless = Proof()
        nameless.identities = None  # type: ignore[assignment]
        self.assertEqual(live(verified=nameless).peer, "")

    def test_what_it_proves(self) -> None:
        """A flow proves the names of its peer's certificate, each for exactly itself, and without one it proves nothing
        (fault:D1)."""
        flow = live(verified=Proof("peer.example"))
        for host, proved in (("peer.example", True), ("PEER.example.", True), ("sub.peer.example", False), ("", False)):
            self.assertEqual(flow.proves(host), proved, host)
        self.assertFalse(live("TCP").proves("peer.example"))
        nameless = Proof()
        nameless.identities = None  # type: ignore[assignment]
        self.assertFalse(live(verified=nameless).proves("peer.example"))

    def test_security(self) -> None:
        """TLS and secure WebSocket are secure, and nothing else is."""
        self.assertEqual(
            [live(each).is_secure for each in ("TLS", "WSS", "TCP", "UDP", "WS")], [True] * 2 + [False] * 3
        )

    def test_held_until_the_end_of_the_turn(self) -> None:
        """What is held is written together; only the first tells that there is something to write."""
        flow = CountedFlow()
        self.assertEqual([flow.cork(data) for data in (b"a", b"b", b"c")], [True, False, False])
        flow.flush()
        self.assertEqual(flow.writes, [b"abc"])
        self.assertTrue(flow.cork(b"d"))

    def test_repr(self) -> None:
        """In a log a flow says what it is, which way it was opened, where it leads and to whom."""
        self.assertEqual(repr(live("TCP")), "<TCP flow from 192.0.2.9:40000>")
        outgoing = live(verified=Proof("peer.example"), is_incoming=False)
        self.assertEqual(repr(outgoing), "<TLS flow to 192.0.2.9:40000 (peer.example)>")

    def test_abstract(self) -> None:
        """How a flow is written to and ended is up to what carries it."""
        flow = live()
        for call in (flow.flush, flow.close, flow.abort):
            self.assertRaises(TypeError, call)

    def test_wish_that_nobody_asked_for(self) -> None:
        """A peer that was not offered to say how much it wants is not heard when it does (row:E20, RFC 7339 section
        5.1)."""
        plan = RequestPlan("MESSAGE", "sip:b@b.example", "<sip:a@a.example>", "t", "c")
        for offer, is_held_back in (("", False), (OFFER, True)):
            flow = live(is_incoming=False)
            flow.via_params += offer
            flow.restraint = Restraint(lambda: 0.0, Limits(), lambda: 0)
            flow.heard_via("SIP/2.0/TLS us.example;branch=z9hG4bKx;oc=100;oc-validity=3600000;oc-seq=1.1")
            self.assertIs(flow.restraint.refusal(flow, plan) is not None, is_held_back)
