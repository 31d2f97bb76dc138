"""Which flow a request takes: one connection for everybody who waits, and never one that proved another name."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.python.failure import Failure

from sip_p2p.errors import ConnectionFailure, EndpointTerminated, InvalidOperation, TlsFailure, TlsFailureReason
from sip_p2p.sip.outputs import TransactionFailed
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.target import Target
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import outgoing, request
from tests.transport.sides import Side
from tests.transport.tls_pairs import party_credential


class PoolTestCase(SynchronousTestCase):
    """Alice, who dials, and Bob, who listens on TLS and TCP."""

    def setUp(self) -> None:
        self.network = Network(delay=0.02)
        self.alice = Side(self.network, "a.example")
        self.bob = Side(self.network, "b.example")
        self.bob.listen("TLS", 5061)
        self.bob.listen("TCP", 5060)
        self.tls, self.tcp = Target("tls", "b.example"), Target("tcp", "b.example")
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """End both, and find nothing left."""
        self.alice.close()
        self.bob.close()
        self.network.assert_quiet()

    def dialled(self) -> int:
        """How many connections were asked for."""
        return sum(line.endswith(" connect") for line in self.network.log)


class DialTests(PoolTestCase):
    """Connections that we make."""

    def test_one_for_all(self) -> None:
        """However many wait for a target, one connection is made, and all of them get it (row:E1)."""
        waiting = [self.alice.pool.connect(Target("tls", "b.example")) for _ in range(50)]
        self.assertEqual(self.alice.pool.dialling, 1)
        self.network.advance(1)
        flows = [self.successResultOf(each) for each in waiting]
        self.assertEqual((len(set(flows)), self.dialled(), self.alice.pool.dialling), (1, 1, 0))
        self.assertEqual((len(self.alice.pool), list(self.alice.pool)), (1, flows[:1]))

    def test_kept(self) -> None:
        """A connection is used again, with its port written out or not, and in whatever case (row:E1)."""
        flow = self.alice.connect(self.tls)
        for target in (self.tls, Target("tls", "b.example", 5061), Target("TLS", "B.example")):
            self.assertIs(self.successResultOf(self.alice.pool.connect(target)), flow)
            self.assertIs(self.alice.pool.find(target), flow)
        self.assertEqual(self.dialled(), 1)

    def test_not_shared_by_two_names(self) -> None:
        """Two names at one address never share a connection, and each must be proved (fault:G1, row:D14)."""
        self.network.name("c.example", self.bob.address)
        flow = self.alice.connect(self.tls)
        other = Target("tls", "c.example")
        self.assertIsNone(self.alice.pool.find(other))
        with self.assertRaises(TlsFailure) as caught:
            self.alice.connect(other)
        self.assertIs(caught.exception.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        by_address = self.tls.at(self.bob.address)
        self.assertIsNone(self.alice.pool.find(by_address.at(self.bob.address, 5062)))
        self.assertIs(self.alice.pool.find(by_address), flow, "the same address, and the same name proved")
        self.assertIsNone(self.alice.pool.find(other.at(self.bob.address)))

    def test_not_shared_by_two_credentials(self) -> None:
        """After our certificate has changed a new connection is made with it; the old one lives on (row:D2,
        fault:G1)."""
        before = self.alice.connect(self.tls)
        assert self.alice.settings is not None
        self.alice.settings.replace(credential=party_credential("new.example"))
        self.assertIsNone(self.alice.pool.find(self.tls))
        after = self.alice.connect(self.tls)
        self.assertIsNot(after, before)
        self.assertTrue(before.is_open)
        self.network.advance(0.1)
        self.assertEqual(sorted(flow.peer for flow in self.bob.pool), ["a.example", "new.example"])

    def test_not_shared_by_two_transports(self) -> None:
        """A request for TCP takes no TLS connection, and one for TLS no TCP connection (row:A5)."""
        secure, clear = self.alice.connect(self.tls), self.alice.connect(self.tcp)
        self.assertEqual((secure.transport, clear.transport), ("TLS", "TCP"))
        self.assertIsNone(self.alice.pool.find(Target("tls", "b.example", 5060)))
        self.assertIsNone(self.alice.pool.find(Target("tcp", "b.example", 5061)))

    def test_nobody_there(self) -> None:
        """Who waits for a connection that cannot be made is told where, each with a failure of his own (row:F4)."""
        for target, words in (
            (Target("tcp", "b.example", 9), "could not connect to b.example:9"),
            (Target("tls", "nobody.example"), "nobody.example:5061"),
        ):
            waiting = [self.alice.pool.connect(target) for _ in range(2)]
            self.network.advance(1)
            failures = [self.failureResultOf(each, ConnectionFailure) for each in waiting]
            self.assertIn(words, str(failures[0].value))
            self.assertIsNot(failures[0], failures[1])
            self.assertEqual(self.alice.pool.dialling, 0)

    def test_no_answer(self) -> None:
        """A connection that is not made in time is given up (row:F4)."""
        self.network.partition(self.alice.host, self.bob.host)
        waiting = self.alice.pool.connect(self.tcp)
        self.network.advance(9.9)
        self.assertNoResult(waiting)
        self.network.advance(0.2)
        self.assertIn("in time", str(self.failureResultOf(waiting, ConnectionFailure).value))

    def test_lost_in_the_handshake(self) -> None:
        """A connection that ends before the peer is verified fails with the reason of TLS (row:D19)."""
        waiting = self.alice.pool.connect(Target("tls", "b.example", 5060))
        self.network.advance(10)
        self.failureResultOf(waiting, TlsFailure)
        self.assertEqual((len(self.alice.pool), len(self.alice.keeper.connections)), (0, 0))

    def test_without_a_certificate(self) -> None:
        """What cannot be secured is not dialled in clear: the caller's mistake comes back to the caller (row:A5)."""
        clear = Side(self.network, "d.example", tls=False)
        self.addCleanup(clear.close)
        self.failureResultOf(clear.pool.connect(self.tls), InvalidOperation)
        self.assertEqual((clear.pool.dialling, self.dialled()), (0, 0))

    def test_datagrams(self) -> None:
        """What is no connection is refused, not spoken over another transport (row:A4)."""
        self.assertRaises(InvalidOperation, self.alice.pool.connect, Target("udp", "b.example", 5060))
        self.network.advance(1)
        self.assertEqual(self.dialled(), 0)

    def test_through_an_endpoint(self) -> None:
        """A client endpoint that is given makes the connection; the name is proved through it all the same
        (row:A6)."""
        endpoint = TCP4ClientEndpoint(self.alice.host, self.bob.address, 5061)
        flow = self.network.run_until(self.alice.pool.connect(self.tls, endpoint))
        self.assertEqual(flow.peer, "b.example")
        failing = self.alice.pool.connect(
            Target("tls", "c.example"), HostnameEndpoint(self.alice.host, "b.example", 5061)
        )
        self.network.advance(1)
        self.failureResultOf(failing, TlsFailure)

    def test_endpoint_that_raises(self) -> None:
        """A client endpoint that raises or fails in its own way is a connection failure that quotes it."""

        class Odd:
            def connect(self, factory: Any) -> Any:
                raise ZeroDivisionError("odd")

        waiting: Any = self.alice.pool.connect(self.tcp, Odd())  # type: ignore[arg-type]
        self.assertIn("ZeroDivisionError: odd", str(self.failureResultOf(waiting, ConnectionFailure).value))

    def test_lost_and_made_anew(self) -> None:
        """When the peer closes, what was pending fails at once and the next request makes a new connection
        (row:E13, fault:C4)."""
        flow = self.alice.connect(self.tls)
        self.alice.driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        (accepted,) = self.bob.pool
        accepted.close()
        self.network.advance(0.1)
        (ended,) = self.alice.user.told
        assert isinstance(ended, TransactionFailed)
        self.assertIsInstance(ended.reason, ConnectionFailure)
        self.assertEqual((len(self.alice.pool), self.alice.pool.find(self.tls), flow.is_open), (0, None, False))
        self.assertIsNot(self.alice.connect(self.tls), flow)

    def test_closed_by_us(self) -> None:
        """A flow that is being closed is not used any more, though it is not gone yet (row:E11)."""
        flow = self.alice.connect(self.tls)
        flow.close()
        self.assertIsNone(self.alice.pool.find(self.tls))
        self.assertIsNot(self.alice.connect(self.tls), flow)
        self.network.advance(1)
        self.assertEqual(len(self.alice.pool), 1)


class GivingUpTests(PoolTestCase):
    """Who waits may stop waiting."""

    def test_one_of_several(self) -> None:
        """When one of those who wait gives up, the others get their connection."""
        waiting = [self.alice.pool.connect(self.tls) for _ in range(3)]
        waiting[1].cancel()
        self.failureResultOf(waiting[1], CancelledError)
        self.network.advance(1)
        self.assertIs(self.successResultOf(waiting[0]), self.successResultOf(waiting[2]))
        self.assertEqual(self.dialled(), 1)

    def test_all_while_connecting(self) -> None:
        """When nobody waits any more the connection is not made."""
        for waiting in [self.alice.pool.connect(self.tls) for _ in range(2)]:
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.alice.pool.dialling, 0)
        self.network.advance(1)
        self.assertEqual((len(self.alice.keeper.connections), len(self.bob.keeper.connections)), (0, 0))

    def test_all_in_the_handshake(self) -> None:
        """A connection in its handshake is dropped when nobody waits for it any more."""
        waiting = self.alice.pool.connect(self.tls)
        self.network.advance(0.05)
        self.assertEqual(len(self.alice.keeper.connections), 1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.network.advance(1)
        self.assertEqual((len(self.alice.keeper.connections), len(self.bob.keeper.connections)), (0, 0))
        self.assertEqual(len(self.alice.pool), 0)

    def test_asked_again(self) -> None:
        """Who asks again after everybody has given up gets a connection of his own."""
        waiting = self.alice.pool.connect(self.tls)
        self.network.advance(0.05)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        flow = self.alice.connect(self.tls)
        self.network.advance(1)
        self.assertEqual(list(self.alice.pool), [flow])
        self.assertIs(self.alice.pool.find(self.tls), flow)

    def test_each_other(self) -> None:
        """Who is told of a failure, or of success, may give up the others that wait for the same connection
        (fault:K5)."""
        for target in (Target("tcp", "b.example", 9), self.tls):
            waiting = [self.alice.pool.connect(target) for _ in range(3)]
            outcomes: list[list[Any]] = [[], [], []]

            def give_up(result: Any, waiting: list[Deferred[StreamFlow]] = waiting) -> Any:
                for each in waiting:
                    each.cancel()
                return result

            waiting[0].addBoth(give_up)
            for each, outcome in zip(waiting, outcomes, strict=True):
                each.addBoth(outcome.append)
            self.network.advance(1)
            self.assertEqual([len(outcome) for outcome in outcomes], [1, 1, 1])
            for outcome in outcomes[1:]:
                assert isinstance(outcome[0], Failure)
                self.assertIsNotNone(outcome[0].check(CancelledError))
            self.assertEqual(self.alice.pool.dialling, 0)

    def test_close(self) -> None:
        """When the pool closes, who waits is told, dials end, and nothing is dialled any more (row:B14)."""
        waiting = [
            self.alice.pool.connect(self.tls),
            self.alice.pool.connect(self.tcp),
            self.alice.pool.connect(self.tls),
        ]
        told: list[Any] = []
        waiting[0].addErrback(lambda failure: (told.append(failure), waiting[2].cancel()))
        waiting[2].addErrback(told.append)
        self.alice.pool.close()
        self.assertEqual(len(told), 2)
        self.failureResultOf(waiting[1], EndpointTerminated)
        self.assertRaises(EndpointTerminated, self.alice.pool.connect, self.tls)
        self.network.advance(1)
        self.assertEqual(len(self.alice.keeper.connections), 0)

    def test_close_in_the_handshake(self) -> None:
        """A connection whose handshake is under way when the pool closes is dropped with it."""
        waiting = self.alice.pool.connect(self.tls)
        self.network.advance(0.05)
        self.alice.pool.close()
        self.failureResultOf(waiting, EndpointTerminated)
        self.network.advance(1)
        self.assertEqual((len(self.alice.pool), len(self.alice.keeper.connections)), (0, 0))


class IncomingTests(PoolTestCase):
    """Connections that the peer has made."""

    def setUp(self) -> None:
        super().setUp()
        self.outgoing = self.alice.connect(self.tls)
        self.network.advance(0.1)
        (self.accepted,) = self.bob.pool

    def test_proved_name(self) -> None:
        """A peer that dialled us is reached over its own connection, by the name that it proved (row:C11)."""
        self.assertIs(self.bob.pool.find(Target("tls", "a.example")), self.accepted)
        self.assertIs(self.bob.pool.find(Target("tls", "A.Example")), self.accepted)
        self.assertIs(self.bob.connect(Target("tls", "a.example")), self.accepted)
        self.assertEqual(self.dialled(), 1)
        self.assertEqual((self.bob.pool.count_of_peer("a.example"), self.bob.pool.count_of_peer("x")), (1, 0))

    def test_other_names(self) -> None:
        """It is used for no other name, though that led to the same address (fault:G1, fault:G3)."""
        self.network.name("c.example", self.alice.address)
        for name in ("c.example", self.alice.address, "example", "b.example"):
            self.assertIsNone(self.bob.pool.find(Target("tls", name)), name)
        self.assertIsNone(self.bob.pool.find(Target("tls", self.alice.address, None, "c.example")))

    def test_port(self) -> None:
        """A request that names a port means one process: only a flow that presented itself so is used
        (RFC 5923 section 8, fault:G2)."""
        target = Target("tls", "a.example", 5071)
        self.assertIsNone(self.bob.pool.find(target))
        self.alice.driver.request(outgoing(), self.outgoing, "caller")
        self.network.advance(0.1)
        self.accepted.presents(self.alias("a.example:5071").via)
        self.assertIs(self.bob.pool.find(target), self.accepted)
        self.assertIsNone(self.bob.pool.find(Target("tls", "a.example", 5072)))

    def test_alias_of_somebody_else(self) -> None:
        """A sent-by that its certificate does not cover is nobody's alias (fault:G2)."""
        self.accepted.presents(self.alias("victim.example:5061").via)
        self.assertEqual(self.accepted.aliases, set())
        self.assertIsNone(self.bob.pool.find(Target("tls", "victim.example", 5061)))

    def alias(self, sent_by: str) -> Any:
        """A request that came from *sent_by*."""
        from sip_p2p.sip.parse import parse_message

        return parse_message(request(via=f"TLS {sent_by};rport;alias"))

    def test_never_less(self) -> None:
        """A request for TCP does not go over it, and a clear connection serves no name at all (row:A5, fault:G3)."""
        self.assertIsNone(self.bob.pool.find(Target("tcp", "a.example")))
        clear = self.alice.connect(self.tcp)
        self.network.advance(0.1)
        self.assertEqual(len(self.bob.pool), 2)
        self.outgoing.close()
        self.network.advance(0.1)
        (left,) = self.bob.pool
        self.assertEqual((left.transport, clear.is_open), ("TCP", True))
        for transport in ("tcp", "tls"):
            self.assertIsNone(self.bob.pool.find(Target(transport, "a.example")))

    def test_gone(self) -> None:
        """When the peer has closed it there is no way to the peer but to dial (row:E13)."""
        self.outgoing.close()
        self.network.advance(0.1)
        self.assertIsNone(self.bob.pool.find(Target("tls", "a.example")))
        self.assertEqual((len(self.bob.pool), self.bob.pool.count_of_peer("a.example")), (0, 0))

    def test_closed_by_us(self) -> None:
        """One that we are closing is passed over for another of the same peer."""
        assert self.alice.settings is not None
        again = Side(self.network, "a2.example")
        self.addCleanup(again.close)
        assert again.settings is not None
        again.settings.replace(credential=party_credential("a.example"))
        again.connect(self.tls)
        self.network.advance(0.1)
        self.assertEqual(self.bob.pool.count_of_peer("a.example"), 2)
        self.accepted.close()
        other = self.bob.pool.find(Target("tls", "a.example"))
        self.assertIsNotNone(other)
        self.assertIsNot(other, self.accepted)

    def test_of_one_party(self) -> None:
        """What goes back to one party takes the latest connection that it has opened, and no other party's (row:H32,
        fault:G3)."""
        pool = self.bob.pool
        self.assertIs(pool.opened_by("a.example"), self.accepted)
        for key in ("b.example", "a.example x.example", "example"):
            self.assertIsNone(pool.opened_by(key))
        again = Side(self.network, "a2.example")
        self.addCleanup(again.close)
        assert again.settings is not None
        again.settings.replace(credential=party_credential("a.example"))
        again.connect(self.tls)
        self.network.advance(0.1)
        latest = pool.opened_by("a.example")
        self.assertIsNot(latest, self.accepted)
        assert latest is not None
        latest.close()
        self.assertIs(pool.opened_by("a.example"), self.accepted)

    def test_what_we_dialled(self) -> None:
        """A connection that we made is used only for the name that it was made for."""
        self.assertIsNone(self.alice.pool.find(Target("tls", self.bob.address)))
        self.assertIsNone(self.alice.pool.find(Target("tls", "b.example", 5062)))


class LimitTests(SynchronousTestCase):
    """What bounds the pool."""

    def test_many_peers(self) -> None:
        """However many peers are connected, finding one does not look at the others."""
        network = Network()
        bob = Side(network, "b.example", limits=Limits(idle_timeout=0))
        bob.listen("TLS", 5061)
        asked: list[str] = []
        for number in range(8):
            side = Side(network, f"p{number}.example")
            side.connect(Target("tls", "b.example"))
            self.addCleanup(side.close)
        self.addCleanup(bob.close)
        network.settle()
        for flow in bob.pool:
            verified = flow.verified
            assert verified is not None and verified.identities is not None
            flow.verified = Watched(verified, asked)  # type: ignore[assignment]
        found = bob.pool.find(Target("tls", "p7.example"))
        assert found is not None
        self.assertEqual(found.peer, "p7.example")
        self.assertLessEqual(len(asked), 1)


class Watched:
    """What is known of a peer, telling when it is looked at."""

    def __init__(self, verified: Any, asked: list[str]) -> None:
        self._verified = verified
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        if name == "identities":
            self._asked.append(name)
        return getattr(self._verified, name)
