"""The places where transactions stand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.outputs import Output
from sip_p2p.sip.transaction.base import Transaction, TransactionState
from sip_p2p.sip.transaction.table import Counters, TransactionTable
from sip_p2p.sip.transaction.timers import Timers
from tests.sip.transaction.support import datagrams, make_request, stream


class FlowTests(SynchronousTestCase):
    """The transactions of a flow."""

    def setUp(self) -> None:
        """An empty table."""
        self.outputs: list[Output] = []
        self.table = TransactionTable(self.outputs, Timers(), 10, 10_000)

    def test_a_flow_stands_as_long_as_a_transaction(self) -> None:
        """A flow is entered with its first transaction and leaves with its last. fault:C4 fault:C10"""
        flow, other = datagrams(), stream()
        one, two = (Transaction(key, make_request(), flow, TransactionState.TRYING) for key in ("one", "two"))
        three = Transaction("three", make_request(), other, TransactionState.TRYING)
        for transaction in (one, two, three):
            self.table.bind(transaction)
        self.assertEqual([list(living) for living in self.table.flows.values()], [[one, two], [three]])
        self.table.unbind(one)
        self.assertEqual(list(self.table.flows[flow]), [two])
        self.table.unbind(two)
        self.assertEqual(list(self.table.flows), [other])
        self.table.unbind(two)
        self.table.unbind(three)
        self.assertEqual(self.table.flows, {})

    def test_send(self) -> None:
        """What is sent is an output with its flow."""
        flow = datagrams()
        self.table.send(flow, b"octets")
        [sent] = self.outputs
        self.assertEqual((sent.flow, sent.data), (flow, b"octets"))


class CounterTests(SynchronousTestCase):
    """The totals."""

    def test_from_zero(self) -> None:
        """Every total begins at zero, and each is described."""
        counters = Counters()
        names = [name for name in dir(counters) if name[0] != "_"]
        self.assertIn("timeouts", names)
        for name in names:
            self.assertEqual(getattr(counters, name), 0)
            self.assertIn(f":ivar {name}:", Counters.__doc__ or "")
