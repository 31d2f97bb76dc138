"""The ACK of a 2xx at both its ends, as values; what a session does with it is in :mod:`.test_usage`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.dialog.acknowledging import AwaitedAck, OwedAck
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import RequestReceived, SendMessage
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.layer import ServerTransaction
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.harness import CoreBench, message

FLOW = Flow("UDP", False, "here.example", "192.0.2.9", 5060)
OK = Response(200)


class OwedTests(SynchronousTestCase):
    """What we owe."""

    def test_life(self) -> None:
        """It is owed, leaves, and goes again each time the 2xx does (13.2.2.4)."""
        core = UserAgentCore(CountingTokens())
        owed = OwedAck(7, OK)
        self.assertTrue(owed.is_owed)
        self.assertIs(owed.leave(32.0), OK)
        self.assertFalse(owed.is_owed)
        self.assertTrue(owed.is_leaving)
        owed.again(core)
        self.assertEqual(core.take_outputs(), [])
        owed.sent(b"ACK", FLOW)
        self.assertFalse(owed.is_leaving)
        owed.again(core)
        (said,) = core.take_outputs()
        assert isinstance(said, SendMessage)
        self.assertEqual((said.data, said.flow), (b"ACK", FLOW))

    def test_without_end(self) -> None:
        """Who sends its 2xx for ever gets no ACK for ever: fault:C6."""
        core = UserAgentCore(CountingTokens())
        owed = OwedAck(7, OK)
        owed.leave(32.0)
        owed.sent(b"ACK", FLOW)
        for _ in range(1000):
            owed.again(core)
        self.assertEqual(len(core.take_outputs()), 64)

    def test_several(self) -> None:
        """Each INVITE has its own; they leave in order, and are let go in order (RFC 5407 section 3.1.4)."""
        first = OwedAck(1, OK)
        first.leave(10.0)
        second = OwedAck(2, OK, first)
        second.leave(20.0)
        second.sent(b"ACK 1", FLOW)
        self.assertFalse(first.is_leaving)
        self.assertTrue(second.is_leaving)
        second.sent(b"ACK 2", FLOW)
        self.assertEqual((second.find(1), second.find(2), second.find(3)), (first, second, None))
        self.assertEqual(second.next_deadline, 10.0)
        self.assertIs(second.kept(9.0), second)
        self.assertIs(second.older, first)
        self.assertIs(second.kept(10.0), second)
        self.assertIs(second.older, None)
        self.assertIs(second.kept(20.0), None)

    def test_a_few(self) -> None:
        """However many INVITEs there are, a few ACKs are kept."""
        newest = None
        for cseq in range(100):
            newest = OwedAck(cseq, OK, newest)
        assert newest is not None
        self.assertEqual([cseq for cseq in range(100) if newest.find(cseq) is not None], [96, 97, 98, 99])


class AwaitedTests(SynchronousTestCase):
    """What the peer owes."""

    def setUp(self) -> None:
        """An INVITE that came."""
        self.bench = CoreBench()
        self.core = self.bench.core

    def invite(self, branch: str, cseq: int) -> tuple[ServerTransaction, Response]:
        """A transaction, and the 2xx that it was given at 0."""
        octets = message("INVITE", branch=branch, replace={"CSeq": f"{cseq} INVITE", "Call-ID": branch})
        received = [output for output in self.bench.over_udp(octets) if isinstance(output, RequestReceived)]
        transaction = received[0].transaction
        response = self.core.response(transaction, 200)
        self.core.respond(transaction, response, 0.0)
        self.core.take_outputs()
        return transaction, response

    def test_again_and_again(self) -> None:
        """The 2xx is said at T1, doubling to T2, and given up after 64*T1; it counts as one response: row:H34."""
        transaction, response = self.invite("z9hG4bKa", 1)
        awaited = AwaitedAck(self.core, transaction, response, 0.0, True, None)
        counted = dict(self.core.traffic.responses_out)
        said = []
        now = 0.0
        while awaited.next_deadline is not None:
            now = awaited.next_deadline
            gave_up = awaited.due(self.core, now)
            said += [now for output in self.core.take_outputs() if isinstance(output, SendMessage)]
        self.assertEqual(said, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual((now, gave_up), (32.0, True))
        self.assertEqual(self.core.traffic.responses_out, counted)

    def test_the_flow_is_gone(self) -> None:
        """A 2xx whose flow was lost is said no more, and waited for all the same: the ACK may come by another."""
        transaction, response = self.invite("z9hG4bKa", 1)
        awaited = AwaitedAck(self.core, transaction, response, 0.0, True, None)
        self.core.flow_failed(transaction.flow, ConnectionFailure("lost"), 0.1)
        self.assertFalse(awaited.due(self.core, 0.5))
        self.assertEqual(self.core.take_outputs(), [])
        self.assertTrue(awaited.due(self.core, 32.0))

    def test_two(self) -> None:
        """Two 2xx wait side by side, each with its own time and its own ACK (RFC 5407 section 3.1.4)."""
        older = AwaitedAck(self.core, *self.invite("z9hG4bKa", 1), 0.0, True, None)
        newer = AwaitedAck(self.core, *self.invite("z9hG4bKb", 2), 0.2, False, older)
        self.assertEqual((newer.find(1), newer.find(2), newer.find(3)), (older, newer, None))
        self.assertEqual(newer.next_deadline, 0.5)
        self.assertFalse(newer.due(self.core, 0.7))
        self.assertEqual(len(self.core.take_outputs()), 2)
        self.assertIs(newer.without(newer), older)
        self.assertIs(newer.without(older), newer)
        self.assertIs(newer.older, None)
        self.assertIs(newer.without(newer), None)

    def test_the_older_is_given_up(self) -> None:
        """When nobody acknowledges the older one, the session is over."""
        older = AwaitedAck(self.core, *self.invite("z9hG4bKa", 1), 0.0, True, None)
        newer = AwaitedAck(self.core, *self.invite("z9hG4bKb", 2), 20.0, False, older)
        self.assertTrue(newer.due(self.core, 32.0))
