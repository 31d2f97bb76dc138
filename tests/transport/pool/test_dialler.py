"""One connection over whichever address of a server answers first (RFC 8305)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol

from sip_p2p.errors import ConnectionFailure
from sip_p2p.testing import Host, Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.pool.dialler import Dialler, alternate
from sip_p2p.transport.target import Target
from tests.support import SynchronousTestCase

SIX, OTHER_SIX, FOUR, OTHER_FOUR = "2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"


def targets(*hosts: str) -> list[Target]:
    """The addresses of one server."""
    return [Target("tcp", "b.example", 5060).at(host, origin="b.example") for host in hosts]


class AlternateTests(SynchronousTestCase):
    """The order of the attempts."""

    def test_order(self) -> None:
        """Families take turns, IPv6 first, each in its own order (RFC 8305 section 4)."""
        for given_order, order in (
            ((FOUR, OTHER_FOUR, SIX, OTHER_SIX), (SIX, FOUR, OTHER_SIX, OTHER_FOUR)),
            ((FOUR, SIX), (SIX, FOUR)),
            ((OTHER_FOUR, FOUR, SIX), (SIX, OTHER_FOUR, FOUR)),
            ((FOUR,), (FOUR,)),
            ((), ()),
        ):
            self.assertEqual([target.host for target in alternate(targets(*given_order))], list(order))

    @given(st.lists(st.sampled_from([SIX, OTHER_SIX, FOUR, OTHER_FOUR])))
    def test_nothing_lost(self, hosts: list[str]) -> None:
        """Every address comes once for each time that it was given."""
        self.assertEqual(sorted(target.host for target in alternate(targets(*hosts))), sorted(hosts))


class Heard(Protocol):
    """A connection that tells its factory of its end."""

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.lost += 1  # type: ignore[union-attr]


class Connections(Factory):
    """Keeps the connections that were made."""

    noisy = False
    protocol = Heard

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.lost = 0

    def buildProtocol(self, addr: Any) -> Any:
        connection = super().buildProtocol(addr)
        self.made.append(connection)
        return connection


class DiallerTestCase(SynchronousTestCase):
    """A client, and a server with addresses of both families."""

    def setUp(self) -> None:
        self.network = Network(delay=0.02)
        self.client = self.network.host("192.0.2.100", "2001:db8::100")
        self.connections = Connections()
        self.failures: list[Any] = []
        self.accepted = Connections()
        self.ports: list[Any] = []
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Nothing is left: no socket, no timer (fault:J2)."""
        for connection in self.connections.made:
            if connection.transport is not None:
                connection.transport.abortConnection()
        for port in self.ports:
            port.stopListening()
        self.network.advance(1)
        self.network.assert_quiet()

    def serve(self, *addresses: str, listens: bool = True, names: tuple[str, ...] = ()) -> Host:
        """A host, and whether it accepts connections."""
        host = self.network.host(*addresses, names=names)
        if listens:
            interface = "::" if any(":" in address for address in addresses) else ""
            self.ports.append(host.listenTCP(5060, self.accepted, interface=interface))
        return host

    def dial(self, *hosts: str, limits: Limits | None = None, group: list[Target] | None = None) -> Dialler:
        """Begin."""
        wanted = targets(*hosts) if group is None else group
        dialler = Dialler(self.client, limits or Limits(), wanted, self.connections, self.failures.append)  # type: ignore[arg-type]
        dialler.start()
        return dialler

    def connects(self) -> list[float]:
        """When each connection was asked for."""
        return [float(line.split(" ")[0]) for line in self.network.log if line.endswith(" connect")]


class RaceTests(DiallerTestCase):
    """Several addresses."""

    def test_first_that_answers(self) -> None:
        """Where IPv6 leads nowhere, IPv4 is tried a quarter of a second later and wins; the other attempt is given up
        (RFC 8305 section 5)."""
        six = self.serve(SIX)
        self.serve(FOUR)
        self.network.partition(self.client, six)
        dialler = self.dial(FOUR, SIX)
        self.network.advance(0.24)
        self.assertEqual((len(self.connects()), self.connections.made), (1, []))
        self.network.advance(0.1)
        self.assertEqual((self.connects(), len(self.connections.made)), ([0.0, 0.25], 1))
        assert dialler.winner is not None
        self.assertEqual((dialler.winner.host, dialler.winner.name), (FOUR, "b.example"))
        self.network.heal()
        self.network.advance(5)
        self.assertEqual((len(self.connections.made), len(self.accepted.made), self.failures), (1, 1, []))

    def test_best_is_enough(self) -> None:
        """Where the first address answers in time no other is tried."""
        self.serve(SIX, FOUR)
        dialler = self.dial(FOUR, SIX)
        self.network.advance(1)
        assert dialler.winner is not None
        self.assertEqual((dialler.winner.host, dialler.attempts, len(self.connects())), (SIX, 1, 1))

    def test_refused(self) -> None:
        """Where one address refuses, the next is tried at once (RFC 8305 section 5)."""
        self.serve(SIX, listens=False)
        self.serve(FOUR)
        self.dial(SIX, FOUR)
        self.network.advance(0.1)
        self.assertEqual((self.connects(), len(self.connections.made)), ([0.0, 0.04], 1))

    def test_two_at_once(self) -> None:
        """Where two are connected in the same moment, one of them is used and the other is gone."""
        self.serve(SIX)
        self.serve(FOUR)
        self.network.link(self.client, SIX, delay=0.145)
        self.dial(SIX, FOUR)
        self.network.advance(2)
        self.assertEqual((len(self.connections.made), self.connections.lost), (1, 0))
        self.assertEqual(len(self.accepted.made) - self.accepted.lost, 1)

    def test_nobody(self) -> None:
        """Where none answers, the failure says so, and how many were tried (row:F4)."""
        self.serve(SIX, FOUR, listens=False)
        self.dial(SIX, FOUR)
        self.network.advance(1)
        (failure,) = self.failures
        self.assertIsInstance(failure, ConnectionFailure)
        self.assertIn("could not connect to b.example:5060: Connection was refused", str(failure))
        self.assertIn("(and 1 more of its addresses)", str(failure))

    def test_in_time(self) -> None:
        """All of it has one time; then everything that is under way is given up (row:F4)."""
        for address in (SIX, FOUR):
            self.network.partition(self.client, self.serve(address))
        self.dial(SIX, FOUR)
        self.network.advance(9.9)
        self.assertEqual((self.failures, len(self.connects())), ([], 2))
        self.network.advance(0.2)
        self.assertEqual(
            [str(failure) for failure in self.failures],
            ["could not connect to b.example:5060: no connection in time (and 1 more of its addresses)"],
        )

    def test_bounded(self) -> None:
        """A server with very many addresses is tried at a few of them (fault:J3)."""
        self.serve(OTHER_FOUR, listens=False)
        self.dial(*[f"192.0.2.{number}" for number in range(2, 99)], limits=Limits(attempts=3))
        self.network.advance(5)
        self.assertEqual((len(self.connects()), len(self.failures)), (3, 1))

    def test_given_up(self) -> None:
        """Who gives up is told nothing, and nothing goes on, at whatever stage."""
        for address in (SIX, FOUR):
            self.network.partition(self.client, self.serve(address))
        for passed in (0, 0.1, 0.3):
            dialler = self.dial(SIX, FOUR)
            self.network.advance(passed)
            dialler.give_up()
            dialler.give_up()
            self.network.advance(0.01)
            self.assertEqual(self.client.getDelayedCalls(), [])
        self.network.heal()
        self.network.advance(20)
        self.assertEqual((self.failures, self.connections.made), ([], []))


class NameTests(DiallerTestCase):
    """Targets that still have a name."""

    def test_looked_up(self) -> None:
        """A name is looked up and its addresses raced; the name to be proved stays."""
        self.serve(SIX, FOUR, names=("b.example",))
        dialler = self.dial(group=[Target("tcp", "b.example", 5060)])
        self.network.advance(1)
        assert dialler.winner is not None
        self.assertEqual(
            (dialler.winner.host, dialler.winner.name, dialler.winner.origin), (SIX, "b.example", "b.example")
        )

    def test_unknown(self) -> None:
        """A name without an address is a failure that names it (fault:J3)."""
        self.dial(group=[Target("tcp", "nobody.example", 5060)])
        self.network.advance(1)
        self.assertIn("nobody.example:5060: there is no address", str(self.failures[0]))

    def test_slow(self) -> None:
        """Looking up takes part of the time; an answer that comes later is not listened to (fault:J3)."""
        self.serve(FOUR, names=("b.example",))
        self.network.name_delay = 11
        self.dial(group=[Target("tcp", "b.example", 5060)])
        given_up = self.dial(group=[Target("tcp", "b.example", 5060)])
        self.network.advance(5)
        given_up.give_up()
        self.network.advance(5.1)
        self.assertIn("in time", str(self.failures[0]))
        self.network.advance(5)
        self.assertEqual((len(self.failures), self.connects()), (1, []))


class ThroughTests(DiallerTestCase):
    """A client endpoint of the application's."""

    def dial_through(self, endpoint: Any) -> Dialler:
        """Begin."""
        dialler = Dialler(self.client, Limits(), targets(FOUR), self.connections, self.failures.append)  # type: ignore[arg-type]
        dialler.start_through(endpoint)
        return dialler

    def test_made(self) -> None:
        """It makes the connection as it likes (row:A6)."""
        self.serve(OTHER_FOUR, names=("elsewhere.example",))
        dialler = self.dial_through(HostnameEndpoint(self.client, "elsewhere.example", 5060))
        self.network.advance(1)
        assert dialler.winner is not None
        self.assertEqual((dialler.winner.host, len(self.connections.made)), (FOUR, 1))

    def test_fails(self) -> None:
        """What it fails with is a connection failure that quotes it (row:A6)."""

        class Odd:
            def connect(self, factory: Any) -> Any:
                raise ZeroDivisionError("odd")

        self.dial_through(Odd())
        self.assertIn("ZeroDivisionError: odd", str(self.failures[0]))

    def test_given_up(self) -> None:
        """It is told when nobody waits any more (row:A6)."""
        self.network.partition(self.client, self.serve(OTHER_FOUR, names=("elsewhere.example",)))
        dialler = self.dial_through(HostnameEndpoint(self.client, "elsewhere.example", 5060))
        self.network.advance(1)
        dialler.give_up()
        self.network.advance(0.01)
        self.assertEqual((self.client.getDelayedCalls(), self.failures), ([], []))
