"""Several connections to one server, servers with several addresses, and servers that fail."""

from __future__ import annotations

from typing import Any

from sip_p2p.errors import ConnectionFailure, InvalidOperation, TlsFailure
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.pool.bundle import Bundle
from sip_p2p.transport.pool.dial import Dial
from sip_p2p.transport.pool.dialler import Dialler
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.target import Target
from tests.support import MemoryTestCase
from tests.transport.flow_bench import outgoing
from tests.transport.pool.test_pool import PoolTestCase
from tests.transport.sides import Side
from tests.transport.tls_pairs import party_credential


class SizeTests(PoolTestCase):
    """How many connections there are for one name at one server."""

    def use(self, flow: StreamFlow, number: int) -> None:
        """Have a request on a flow that nobody answers."""
        self.alice.driver.request(outgoing(number=number), flow, "caller")

    def found(self) -> StreamFlow:
        """The flow of the next request."""
        flow = self.alice.pool.find(self.tls)
        assert flow is not None
        return flow

    def test_one_by_default(self) -> None:
        """One connection serves all requests to a server, however many are under way (row:E2)."""
        flow = self.alice.connect(self.tls)
        for number in range(5):
            self.use(self.found(), number)
            self.assertIs(self.found(), flow)
        self.network.advance(1)
        self.assertEqual((self.alice.pool.size, self.dialled()), (1, 1))

    def test_grows_when_all_are_busy(self) -> None:
        """A bigger pool opens one connection more when all of them are busy, up to its size, and nobody waits for it
        (row:E2)."""
        self.alice.pool.size = 3
        self.alice.connect(self.tls)
        self.found()
        self.network.advance(1)
        self.assertEqual(len(self.alice.pool), 1)
        for number in range(1, 9):
            self.use(self.found(), number)
            self.found()
            self.network.advance(1)
            self.assertEqual(len(self.alice.pool), min(number + 1, 3))
        self.assertEqual(self.dialled(), 3)

    def test_in_turn(self) -> None:
        """The connections of one server are used in turn (row:E2)."""
        self.alice.pool.size = 3
        self.alice.connect(self.tls)
        for number in range(3):
            self.use(self.found(), number)
            self.found()
            self.network.advance(1)
        turns = [self.found() for _ in range(6)]
        self.assertEqual((len(set(turns[:3])), turns[:3]), (3, turns[3:]))

    def test_another_size_for_one(self) -> None:
        """One destination may have a size of its own (row:E2)."""
        self.alice.pool.set_size("B.example", 2)
        self.alice.connect(self.tls)
        self.use(self.found(), 1)
        self.found()
        self.network.advance(1)
        self.assertEqual((len(self.alice.pool), self.alice.pool.size), (2, 1))

    def test_not_shared(self) -> None:
        """With no sharing every lease has a connection of its own, and one that is free is used again (row:E3)."""
        self.alice.pool.size = None
        waiting = [self.alice.pool.connect(self.tls) for _ in range(3)]
        self.network.advance(1)
        flows = [self.successResultOf(each) for each in waiting]
        self.assertEqual((len(set(flows)), self.dialled()), (3, 3))
        leases = [flow.lease() for flow in flows]
        self.assertIsNone(self.alice.pool.find(self.tls))
        leases[1].release()
        self.assertIs(self.found(), flows[1])
        self.assertIs(self.successResultOf(self.alice.pool.connect(self.tls)), flows[1])

    def test_no_size(self) -> None:
        """What is no size is refused at once."""
        for size in (0, -1, 1.5, True, "2"):
            with self.assertRaises(ValueError):
                self.alice.pool.size = size  # type: ignore[assignment]
            with self.assertRaises(ValueError):
                self.alice.pool.set_size("b.example", size)  # type: ignore[arg-type]

    def test_growing_into_the_void(self) -> None:
        """Where no further connection can be had, what is there goes on being used, and it is tried ever more
        seldom (row:E2, fault:G6)."""
        self.alice.pool.size = 2
        flow = self.alice.connect(self.tls)
        self.use(flow, 1)
        self.network.run_until(self.bob.ports[0].stopListening())
        for _ in range(200):
            self.assertIs(self.found(), flow)
            self.network.advance(0.01)
        self.assertLess(self.dialled(), 8)
        self.assertTrue(flow.is_open)


class LeaseTests(PoolTestCase):
    """How long connections that we opened stay."""

    def setUp(self) -> None:
        super().setUp()
        # Bob waits for ever.
        self.bob.keeper.limits = Limits(idle_timeout=0, authenticated_first_message_timeout=1e6)

    def test_page_mode(self) -> None:
        """A connection that nobody holds is closed about a minute after its last use (row:E6)."""
        flow = self.alice.connect(self.tls)
        self.network.advance(55)
        self.assertTrue(flow.is_open)
        self.network.advance(15)
        self.assertTrue(flow.is_lost)

    def test_held(self) -> None:
        """One that somebody holds is never closed for idleness; when the last lets go, its time begins (row:E5)."""
        flow = self.alice.connect(self.tls)
        first, second = flow.lease(), flow.lease()
        self.network.advance(500)
        first.release()
        self.network.advance(500)
        self.assertTrue(flow.is_open)
        second.release()
        self.network.advance(50)
        self.assertTrue(flow.is_open)
        self.network.advance(20)
        self.assertTrue(flow.is_lost)

    def test_configured(self) -> None:
        """How long is the application's choice, also where nothing is idle too long otherwise (row:E6)."""
        for linger, idle, expected in (
            (5.0, 120.0, 5.0),
            (None, 120.0, 60.0),
            (None, 40.0, 40.0),
            (None, 0.0, 0.0),
            (5.0, 0.0, 5.0),
        ):
            self.alice.pool.linger = linger
            self.assertEqual(self.alice.pool.lingers(idle), expected)


class GroupTests(PoolTestCase):
    """A server of several addresses, as DNS gives them."""

    def group(self, *hosts: str, origin: str = "sip.b.example", port: int = 5061) -> list[Target]:
        """The addresses of one server of b.example."""
        return [Target("tls", "b.example", port).at(host, origin=origin) for host in hosts]

    def test_asked_is_remembered(self) -> None:
        """What was asked for leads to the connection from then on, without DNS (row:E1)."""
        asked = Target("tls", "b.example")
        flow = self.network.run_until(self.alice.pool.connect(self.group(self.bob.address, port=5061), None, asked))
        self.assertIs(self.alice.pool.find(asked), flow)
        self.assertEqual(flow.peer, "b.example")

    def test_a_port_is_another_question(self) -> None:
        """Where SRV led is no answer to who names a port: that is one process (RFC 3263 section 4.2)."""
        self.bob.listen("TLS", 5071)
        asked = Target("tls", "b.example")
        flow = self.network.run_until(self.alice.pool.connect(self.group(self.bob.address, port=5071), None, asked))
        self.assertIs(self.alice.pool.find(asked), flow)
        for port in (5061, 5072):
            self.assertIsNone(self.alice.pool.find(Target("tls", "b.example", port)))

    def test_same_address(self) -> None:
        """Another question that leads to the same address, for the same name, gets the same connection (row:E1)."""
        first, second = Target("tls", "b.example"), Target("tls", "b.example", 5061)
        group = self.group("10.9.9.9", self.bob.address)
        flow = self.network.run_until(self.alice.pool.connect(group, None, first))
        self.assertIs(self.successResultOf(self.alice.pool.connect(list(reversed(group)), None, second)), flow)
        self.assertIs(self.alice.pool.find(second), flow)

    def test_one_dial_whatever_the_order(self) -> None:
        """Those who wait for one server wait for one connection, in whatever order DNS gave its addresses
        (fault:G6)."""
        group = self.group(self.bob.address, "10.9.9.9")
        waiting = [self.alice.pool.connect(each, None, self.tls) for each in (group, list(reversed(group)), group)]
        self.assertEqual(self.alice.pool.dialling, 1)
        self.network.advance(1)
        self.assertEqual(len({self.successResultOf(each) for each in waiting}), 1)

    def test_never_another_name(self) -> None:
        """Whatever DNS says, the name to be proved is the one that was asked for (fault:G1, fault:J3)."""
        other = Target("tls", "evil.example").at(self.bob.address)
        with self.assertRaises(InvalidOperation):
            self.alice.pool.connect([other], None, self.tls)
        self.assertEqual(self.dialled(), 0)

    def test_never_less(self) -> None:
        """Nor may it lead from TLS to less (row:A5)."""
        clear = Target("tcp", "b.example", 5060).at(self.bob.address)
        with self.assertRaises(InvalidOperation):
            self.alice.pool.connect([clear], None, self.tls)
        with self.assertRaises(ValueError):
            self.alice.pool.connect([], None, self.tls)
        flow = self.network.run_until(self.alice.pool.connect([self.tls], None, self.tcp))
        self.assertEqual(flow.transport, "TLS")

    def test_other_address_of_the_same_server(self) -> None:
        """A name that is not proved at the first address is a failure of the server, not a reason to try the second
        (RFC 8305 section 5, row:D19)."""
        carol = Side(self.network, "c.example")
        self.addCleanup(carol.close)
        carol.listen("TLS", 5061)
        waiting = self.alice.pool.connect(self.group(carol.address, self.bob.address), None, self.tls)
        self.network.advance(5)
        self.failureResultOf(waiting, TlsFailure)
        self.assertEqual((self.dialled(), len(self.bob.keeper.connections)), (1, 0))

    def test_certificate_changed_while_dialling(self) -> None:
        """A connection made with another certificate than its key says is nobody's afterwards (row:D2, fault:G1)."""
        waiting = self.alice.pool.connect(self.tls)
        assert self.alice.settings is not None
        self.alice.settings.replace(credential=party_credential("new.example"))
        self.network.advance(1)
        flow = self.successResultOf(waiting)
        self.assertIsNone(self.alice.pool.find(self.tls))
        self.assertIsNot(self.alice.connect(self.tls), flow)


class FailureTests(PoolTestCase):
    """A server that cannot be reached."""

    def test_one_dial(self) -> None:
        """A thousand requests for a dead server make one dial, and those that come a moment later none: each hears the
        reason, and when it is tried again (fault:G6)."""
        dead = Target("tcp", "b.example", 9)
        for _ in range(2):
            waiting = [self.alice.pool.connect(dead) for _ in range(1000)]
            self.network.advance(0.1)
            for each in waiting:
                failure = self.failureResultOf(each, ConnectionFailure)
                self.assertIn("Connection was refused", str(failure.value))
            self.assertEqual(self.dialled(), 1)
        self.assertTrue(0 < failure.value.retry_after < 0.5)

    def test_ever_more_seldom(self) -> None:
        """Asked every tenth of a second for ten minutes, a dead server is dialled ever more seldom (fault:G6)."""
        dead = Target("tcp", "b.example", 9)
        for _ in range(6000):
            self.alice.pool.connect(dead).addErrback(lambda _: None)
            self.network.advance(0.1)
        self.assertTrue(20 <= self.dialled() <= 50, self.dialled())

    def test_back(self) -> None:
        """A server that is back is reached again, and its next failure counts from the beginning (fault:G6)."""
        late = Target("tcp", "b.example", 5070)
        for _ in range(5):
            self.alice.pool.connect(late).addErrback(lambda _: None)
            self.network.advance(40)
        listening = self.bob.listen("TCP", 5070)
        self.network.advance(40)
        flow = self.alice.connect(late)
        flow.close()
        self.network.run_until(listening.stopListening())
        self.network.advance(1)
        waiting = [self.alice.pool.connect(late)]
        self.network.advance(0.1)
        waiting.append(self.alice.pool.connect(late))
        for each in waiting:
            failure = self.failureResultOf(each, ConnectionFailure)
        self.assertTrue(0 < failure.value.retry_after <= 0.5)

    def test_others_are_not_touched(self) -> None:
        """That one name fails at an address says nothing of another name there (fault:G1, fault:G6)."""
        self.network.name("c.example", self.bob.address)
        with self.assertRaises(TlsFailure):
            self.alice.connect(Target("tls", "c.example"))
        self.assertEqual(self.alice.connect(self.tls).peer, "b.example")
        with self.assertRaises(TlsFailure) as caught:
            self.alice.connect(Target("tls", "c.example"))
        self.assertGreater(caught.exception.retry_after, 0)
        self.assertEqual((self.alice.pool.resting, self.alice.pool.wait_for(self.tls)), (1, 0.0))
        self.alice.pool.forget_failures()
        self.assertEqual((self.alice.pool.resting, self.alice.pool.wait_for(Target("tls", "c.example"))), (0, 0.0))

    def test_own_mistakes(self) -> None:
        """What fails because of us is not held against the server."""
        clear = Side(self.network, "d.example", tls=False)
        self.addCleanup(clear.close)
        self.failureResultOf(clear.pool.connect(self.tls), InvalidOperation)
        self.assertEqual(clear.pool.resting, 0)

    def test_bounded(self) -> None:
        """However many servers fail, so many are remembered (fault:G6)."""
        self.alice.keeper.limits = Limits(failures_remembered=5)
        for port in range(1, 30):
            self.alice.pool.connect(Target("tcp", "b.example", port)).addErrback(lambda _: None)
        self.network.advance(0.1)
        self.assertEqual(self.alice.pool.resting, 5)

    def test_refused_late(self) -> None:
        """A refusal of our certificate that comes after the handshake counts as a failure, too (row:D19,
        fault:G6)."""
        assert self.bob.settings is not None and self.alice.settings is not None
        from sip_p2p.transport.trust.identity import TrustPolicy

        self.bob.settings.replace(policy=TrustPolicy(["nobody.example"]))
        told: list[Any] = []
        for _ in range(100):
            self.alice.pool.connect(self.tls).addErrback(told.append)
            self.network.advance(0.02)
        self.network.advance(1)
        self.assertLess(self.dialled(), 8)
        for failure in told:
            self.assertIsNotNone(failure.check(TlsFailure))


class ForgettingTests(MemoryTestCase):
    """What is left of connections that are gone."""

    def test_nothing(self) -> None:
        """Of connections that were lost, in whatever way, the pool keeps nothing (fault:C10, fault:J2)."""
        network = Network(delay=0.02)
        alice, bob = Side(network, "a.example"), Side(network, "b.example")
        bob.listen("TLS", 5061)
        alice.pool.size = 2
        for number in range(6):
            target = Target("tls", "b.example", 5061 if number % 2 else None)
            flow = alice.connect(target)
            alice.driver.request(outgoing(number=number), flow, "caller")
            alice.pool.find(target)
            network.advance(0.2)
            network.cut(alice.host, bob.host)
            network.advance(0.2)
        for user in (alice.user, bob.user):
            user.told.clear()
        for side in (alice, bob):
            side.opened.clear()
            side.lost.clear()
        del flow
        # The hosts of the network in memory forget the calls that were made.
        network.inventory()
        self.assert_none_alive(StreamFlow, Bundle, Dial, Dialler)
        alice.close()
        bob.close()


class EarlierPeerTests(PoolTestCase):
    """Two connections of one peer (RFC 5923)."""

    def test_first_one_counts(self) -> None:
        """A later connection takes no alias over from an earlier one; when the first is gone, it serves (fault:G4)."""
        from sip_p2p.sip.parse import parse_message
        from tests.transport.flow_bench import request

        place = Target("tls", "a.example", 5061)
        self.alice.connect(self.tls)
        self.network.advance(0.1)
        (first,) = self.bob.pool
        twin = Side(self.network, "twin.example")
        self.addCleanup(twin.close)
        assert twin.settings is not None
        twin.settings.replace(credential=party_credential("a.example"))
        twin.connect(self.tls)
        self.network.advance(0.1)
        (_, second) = self.bob.pool
        presented: Any = parse_message(request(via="TLS a.example:5061;rport;alias"))
        first.presents(presented.via)
        second.presents(presented.via)
        self.assertIs(self.bob.pool.find(place), first)
        first.abort()
        self.network.advance(0.1)
        self.assertIs(self.bob.pool.find(place), second)
        second.abort()
        self.network.advance(0.1)
        self.assertIsNone(self.bob.pool.find(place))
