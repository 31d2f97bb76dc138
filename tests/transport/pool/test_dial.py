"""One connection being made: what comes of it is told once, to everybody who waits."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sip_p2p.errors import ConnectionFailure
from sip_p2p.transport.pool.dial import Dial, fail_all
from sip_p2p.transport.target import Transport
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import Bench, Owner


class DialTests(SynchronousTestCase):
    """A dial without a network."""

    def setUp(self) -> None:
        self.ended: list[Any] = []
        server: Any = (Transport.TLS, "b.example", 5061, "b.example", None, None, 0)
        self.credential = "first"
        owner: Any = Owner(Bench().driver)
        self.dial = Dial(
            owner, Transport.TLS, server, lambda dial, outcome: self.ended.append(outcome), lambda: self.credential
        )

    def test_once(self) -> None:
        """Whatever happens to the connection later, its first outcome counts."""
        self.dial.failed(ConnectionFailure("refused"))
        self.dial.failed(ConnectionFailure("again"))
        self.dial.connection_ended(ConnectionFailure("closed"), None)
        (failure,) = self.ended
        self.assertEqual(str(failure.value), "refused")

    def test_ended_after_it_was_ready(self) -> None:
        """The end of a connection that carried messages is its flow's business."""
        flow: Any = object()
        self.dial.connection_ended(ConnectionFailure("closed"), flow)
        self.assertEqual(self.ended, [])
        self.dial.flow_ready(flow)
        self.assertEqual(self.ended, [flow])

    def test_given_up(self) -> None:
        """After it was given up there is no outcome."""
        self.dial.give_up()
        self.dial.failed(ConnectionFailure("refused"))
        self.assertEqual(self.ended, [])

    def test_credential(self) -> None:
        """It notes the credential that TLS begins with, not the one that was there before (row:D2)."""
        self.assertIsNone(self.dial.credential)
        self.credential = "second"
        self.dial.buildProtocol(None)
        self.assertEqual(self.dial.credential, "second")

    def test_a_failure_each(self) -> None:
        """Those who wait get a failure each, but for those who have given up meanwhile (fault:K5)."""
        waiting: list[Deferred[Any]] = [Deferred() for _ in range(3)]
        failures: list[Failure] = []
        waiting[0].addErrback(lambda failure: (failures.append(failure), waiting[1].cancel()))
        for each in waiting[1:]:
            each.addErrback(failures.append)
        fail_all(waiting, ConnectionFailure("refused"))
        self.assertEqual([failure.type for failure in failures], [ConnectionFailure, CancelledError, ConnectionFailure])
        self.assertIsNot(failures[0], failures[2])
