"""What the machines have in common."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.message import Response
from sip_p2p.sip.transaction.base import ClientTransaction, ServerTransaction, Transaction, TransactionState
from sip_p2p.sip.transaction.invite_client import InviteClientTransaction
from sip_p2p.sip.transaction.invite_server import InviteServerTransaction
from sip_p2p.sip.transaction.non_invite_client import NonInviteClientTransaction
from sip_p2p.sip.transaction.non_invite_server import NonInviteServerTransaction
from sip_p2p.sip.transaction.timers import TimerName
from tests.sip.transaction.support import Bench, datagrams, make_request


class BaseTests(SynchronousTestCase):
    """The bases are no machines."""

    def test_inputs_are_the_machines(self) -> None:
        """Every input of a base refuses to be one."""
        table = Bench().layer.table
        request, flow, state = make_request(), datagrams(), TransactionState.TRYING
        plain = Transaction("key", request, flow, state)
        client = ClientTransaction("key", request, flow, state, "192.0.2.1:5060")
        server = ServerTransaction("key", request, flow, state)
        response = Response(200)
        for call in (
            lambda: plain.timer_fired(TimerName.A, table, 0),
            lambda: plain.flow_failed(OSError(), table),
            lambda: client.start(b"", table, 0),
            lambda: client.receive(response, table, 0),
            lambda: client.abandon(table, 0),
            lambda: server.start(table, 0),
            lambda: server.receive_again(flow, table, 0),
            lambda: server.respond(response, table, 0),
        ):
            self.assertRaises(TypeError, call)

    def test_every_machine_overrides_every_input(self) -> None:
        """A machine has a method of its own for each input of its base."""
        for machine in (
            InviteClientTransaction,
            NonInviteClientTransaction,
            InviteServerTransaction,
            NonInviteServerTransaction,
        ):
            for base in machine.__mro__[1:-1]:
                for name in vars(base):
                    if callable(getattr(base, name)) and not name.startswith("_") and name != "trying":
                        self.assertIn(name, vars(machine), machine)

    def test_slotted(self) -> None:
        """No instance of a machine has a dictionary of attributes."""
        for method in ("INVITE", "OPTIONS"):
            bench = Bench()
            for transaction in (bench.request(make_request(method)), bench.receive_new(make_request(method))):
                self.assertFalse(hasattr(transaction, "__dict__"))

    def test_words(self) -> None:
        """A transaction says in a log what it is and where it stands."""
        bench = Bench()
        self.assertEqual(repr(bench.request(make_request("INVITE"))), "<InviteClientTransaction INVITE calling>")
        self.assertEqual(repr(bench.receive_new(make_request())), "<NonInviteServerTransaction OPTIONS trying>")
