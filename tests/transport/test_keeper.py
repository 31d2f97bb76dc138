"""The flows of one side: their deadlines, their bounds, and that nothing is left of them."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol, ServerFactory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sip_p2p import ConnectionFailure, RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.errors import AlreadyResponded
from sip_p2p.sip.outputs import RequestAbandoned
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.via import Via, parse_via
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.target import Target
from tests import support
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import outgoing, request, statuses
from tests.transport.sides import Side
from tests.transport.tls_pairs import party_credential

reactor: Any = _reactor


class Raw(Protocol):
    """A peer that keeps what it gets.

    :ivar reason: why the connection ended.
    """

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.reason = reason

    def send(self, data: bytes) -> None:
        """Say something."""
        assert self.transport is not None
        self.transport.write(data)


class KeeperTestCase(SynchronousTestCase):
    """Bob listens on TCP and TLS; a stranger dials him in clear text."""

    limits = Limits()

    def setUp(self) -> None:
        self.network = Network(delay=0.001)
        self.bob = Side(self.network, "b.example", limits=self.limits)
        self.bob.user.answers = self.bob.answer
        self.bob.listen("TCP", 5060)
        self.bob.listen("TLS", 5061)
        self.keeper = self.bob.keeper
        self.stranger = self.network.host()
        self.sides = [self.bob]
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """End everything, and find nothing left."""
        for side in self.sides:
            side.close()
        self.network.advance(10)
        self.network.assert_quiet()

    def side(self, name: str, limits: Limits | None = None) -> Side:
        """One more side."""
        self.sides.append(Side(self.network, name, limits=limits or Limits(idle_timeout=0)))
        return self.sides[-1]

    def raw(self, port: int = 5060, host: Any = None) -> Raw:
        """A connection of a stranger's."""
        endpoint = TCP4ClientEndpoint(host or self.stranger, self.bob.address, port)
        raw: Any = self.network.run_until(endpoint.connect(Factory.forProtocol(Raw)))
        self.network.advance(0.01)
        return raw

    def assert_between(self, least: float, value: float, most: float) -> None:
        """Fail unless *value* lies between the two."""
        self.assertTrue(least <= value <= most, value)

    def ended_after(self, raw: Raw, most: float) -> float:
        """How many seconds it takes until a stranger's connection is ended."""
        began = self.network.seconds()
        while raw.reason is None and self.network.seconds() < began + most:
            self.network.advance(0.25)
        return self.network.seconds() - began


class FirstMessageTests(KeeperTestCase):
    """How long a peer may say nothing."""

    def test_stranger(self) -> None:
        """A stranger who says nothing is cut off after ten seconds (row:E9, fault:H2)."""
        raw = self.raw()
        self.assert_between(9.9, self.ended_after(raw, 100), 10.3)
        assert raw.reason is not None
        self.assertIsNotNone(raw.reason.check(ConnectionLost))

    def test_verified(self) -> None:
        """A peer that has proved who it is has thirty (row:E9)."""
        alice = self.side("a.example")
        alice.connect(Target("tls", "b.example"))
        self.network.advance(29)
        self.assertEqual(len(self.bob.pool), 1)
        self.network.advance(2)
        self.assertEqual((len(self.bob.pool), len(alice.pool)), (0, 0))

    def test_dialled(self) -> None:
        """Whom we have dialled may say nothing for as long as he likes, up to the idle deadline (row:E9)."""
        alice = self.side("a.example", Limits())
        alice.listen("TCP", 5060)
        self.bob.connect(Target("tcp", "a.example"))
        self.network.advance(9)
        self.assertEqual(len(self.bob.pool), 1)

    def test_a_message_in_time(self) -> None:
        """One message is enough, also in the very instant in which the connection was made (row:E9)."""
        self.network.change(delay=0)
        raw = self.raw()
        raw.send(request("OPTIONS"))
        self.network.advance(100)
        self.assertEqual((statuses(raw.received), raw.reason), ([200], None))

    def test_keep_alives(self) -> None:
        """Keep-alives are answered, and are no message (row:E9, RFC 5626 section 4.4.1)."""
        raw = self.raw()
        for _ in range(8):
            raw.send(b"\r\n\r\n")
            self.network.advance(1)
        self.assertEqual(raw.received, b"\r\n" * 8)
        self.assertLess(self.ended_after(raw, 100), 3)


class PartialMessageTests(KeeperTestCase):
    """How long a message may take."""

    def test_trickle(self) -> None:
        """A message that was begun is finished within ten seconds, or the connection ends, however it trickles
        (fault:H2)."""
        raw = self.raw()
        raw.send(request("OPTIONS", 1))
        self.network.advance(1)
        octets = request(number=2, body=b"x" * 1000)
        began = self.network.seconds()
        for octet in octets:
            raw.send(bytes([octet]))
            self.network.advance(0.05)
            if raw.reason is not None:
                break
        self.assert_between(9.9, self.network.seconds() - began, 10.3)
        self.assertEqual(statuses(raw.received), [200])

    def test_from_the_start(self) -> None:
        """That also goes for the first message, which has no more time by being begun (fault:H2)."""
        raw = self.raw()
        self.network.advance(9)
        raw.send(b"OPTIONS")
        self.assertLess(self.ended_after(raw, 100), 2)

    def test_in_time(self) -> None:
        """A message that is complete in time ends its deadline, and the next one has a deadline of its own
        (fault:H2)."""
        raw = self.raw()
        for number in range(4):
            octets = request("OPTIONS", number)
            raw.send(octets[:20])
            self.network.advance(9)
            raw.send(octets[20:])
            self.network.advance(9)
        self.assertEqual((statuses(raw.received), raw.reason), ([200] * 4, None))

    def test_one_after_the_other(self) -> None:
        """A peer whose reads always end within a message is not slow (fault:H2)."""
        raw = self.raw()
        raw.send(request("OPTIONS", 0)[:20])
        for number in range(40):
            raw.send(request("OPTIONS", number)[20:] + request("OPTIONS", number + 1)[:20])
            self.network.advance(1)
        self.assertEqual((len(statuses(raw.received)), raw.reason), (40, None))
        self.assert_between(8.5, self.ended_after(raw, 100), 9.5)


class IdleTests(KeeperTestCase):
    """How long a connection is kept without use."""

    def test_closed(self) -> None:
        """A connection without messages is closed after 120 seconds and an eighth of that at most, in order, and by
        either side (row:E8)."""
        raw = self.raw()
        raw.send(request("OPTIONS"))
        self.assert_between(120, self.ended_after(raw, 1000), 135.3)
        assert raw.reason is not None
        self.assertIsNotNone(raw.reason.check(ConnectionDone))
        alice = self.side("a.example", Limits(idle_timeout=15))
        alice.connect(Target("tls", "b.example"))
        self.network.advance(18)
        self.assertEqual((len(alice.pool), len(self.bob.pool)), (0, 0))

    def test_used(self) -> None:
        """Messages and keep-alives put it off (row:E8, RFC 5626 section 4.4.1)."""
        raw = self.raw()
        raw.send(request("OPTIONS", 0))
        for number in range(1, 10):
            self.network.advance(100)
            raw.send(request("OPTIONS", number) if number % 2 else b"\r\n\r\n")
        self.network.advance(100)
        self.assertIsNone(raw.reason)

    def test_for_ever_from_now_on(self) -> None:
        """A connection of ours that is there when the pool is told to keep them for ever is kept, too (row:E6)."""
        alice = self.side("a.example", Limits(idle_timeout=15))
        alice.connect(Target("tls", "b.example"))
        alice.pool.linger = 0
        self.network.advance(18)
        self.assertEqual(len(alice.pool), 1)

    def test_never_while_a_transaction_lives(self) -> None:
        """A connection on which a request of ours waits for its answer is not idle (row:E7)."""
        silent = Factory.forProtocol(Raw)
        listening = self.stranger.listenTCP(5060, silent)
        self.addCleanup(listening.stopListening)
        alice = self.side("a.example", Limits(idle_timeout=4))
        flow = alice.connect(Target("tcp", self.stranger.addresses[0]))
        alice.driver.request(outgoing(), flow, "caller")
        self.network.advance(31)
        self.assertEqual((len(alice.pool), alice.user.names), (1, []))
        self.network.advance(6)
        self.assertEqual((len(alice.pool), alice.user.names), (0, ["TransactionTimedOut"]))

    def test_never_while_we_owe_an_answer(self) -> None:
        """A request that has no answer yet keeps its connection, and after the answer the peer has the whole time
        again (row:E7)."""
        carol = self.side("c.example", Limits(idle_timeout=4))
        carol.listen("TLS", 5061)
        alice = self.side("a.example")
        flow = alice.connect(Target("tls", "c.example"))
        alice.driver.request(outgoing(), flow, "caller")
        self.network.advance(20)
        carol.answer(carol.user.told[0])
        self.network.advance(3)
        self.assertEqual((alice.user.told[-1].response.status, len(carol.pool)), (200, 1))
        self.network.advance(2)
        self.assertEqual(len(carol.pool), 0)

    def test_off(self) -> None:
        """0 keeps a connection for ever (row:E8)."""
        alice, carol = self.side("a.example"), self.side("c.example")
        carol.listen("TLS", 5061)
        flow = alice.connect(Target("tls", "c.example"))
        alice.driver.request(outgoing(), flow, "caller")
        self.network.advance(1)
        carol.answer(carol.user.told[0])
        self.network.advance(1_000_000)
        self.assertEqual((len(alice.pool), len(carol.pool)), (1, 1))

    def test_no_goodbye(self) -> None:
        """A peer that does not end its side of what we have closed is cut off five seconds later (fault:G5)."""
        alice = self.side("a.example")
        flow: Any = alice.connect(Target("tls", "b.example"))
        alice.driver.request(outgoing("OPTIONS"), flow, "caller")
        self.network.advance(0.1)
        (accepted,) = self.bob.pool
        flow._transport.pauseProducing()
        accepted.close()
        self.network.advance(4)
        self.assertEqual(len(self.keeper.connections), 1)
        self.network.advance(2)
        self.assertEqual(len(self.keeper.connections), 0)
        flow._transport.resumeProducing()


class BoundTests(KeeperTestCase):
    """How many there may be."""

    limits = Limits(handshakes=3, connections_per_address=2, connections_per_identity=2, connections=4)

    def test_handshakes(self) -> None:
        """Accepted connections without a flow are counted exactly: neither flows nor dialled connections are among
        them, and one too many is dropped (fault:H1)."""
        silent = [self.raw(5061) for _ in range(3)]
        self.assertEqual(self.keeper.handshakes, 3)
        self.bob.pool.connect(Target("tls", "b.example")).addErrback(lambda _: None)
        self.network.advance(0.01)
        self.assertEqual((self.keeper.handshakes, self.keeper.refused), (3, 1))
        for raw in silent:
            self.assertIsNone(raw.reason)
        alice = self.side("a.example")
        waiting = alice.pool.connect(Target("tls", "b.example"))
        self.network.advance(0.1)
        self.failureResultOf(waiting, ConnectionFailure)
        self.assertEqual(self.keeper.handshakes, 3)
        self.network.advance(6)
        self.assertEqual((self.keeper.handshakes, len(self.keeper.connections)), (0, 0))
        alice.connect(Target("tls", "b.example"))
        self.network.advance(0.1)
        self.assertEqual((self.keeper.handshakes, len(self.bob.pool)), (0, 1))

    def test_handshakes_that_end_in_any_way(self) -> None:
        """However accepted connections end, none is left in the count."""
        for end in ("lose", "abort", "garbage"):
            raw: Any = self.raw(5061)
            self.assertEqual(self.keeper.handshakes, 1)
            if end == "garbage":
                raw.send(request())
            elif end == "lose":
                raw.transport.loseConnection()
            else:
                raw.transport.abortConnection()
            self.network.advance(0.1)
            self.assertEqual(self.keeper.handshakes, 0, end)
        self.assertEqual(len(self.bob.failures), 0)

    def test_address(self) -> None:
        """So many connections come from one address; others are not concerned, and when one ends another may come
        (fault:H3)."""
        kept = [self.raw(), self.raw()]
        refused = self.raw()
        self.assertIsNotNone(refused.reason)
        elsewhere = self.raw(host=self.network.host())
        self.assertEqual((len(self.bob.pool), elsewhere.reason), (3, None))
        first: Any = kept[0]
        first.transport.loseConnection()
        self.network.advance(0.1)
        self.assertIsNone(self.raw().reason)
        self.assertEqual((self.keeper.refused, self.keeper.handshakes), (1, 0))

    def test_loopback(self) -> None:
        """From the machine itself there may be any number (fault:H3)."""
        for _ in range(4):
            endpoint = TCP4ClientEndpoint(self.bob.host, "127.0.0.1", 5060)
            self.network.run_until(endpoint.connect(Factory.forProtocol(Raw)))
        self.network.advance(0.01)
        self.assertEqual((len(self.bob.pool), self.keeper.refused), (4, 0))

    def test_identity(self) -> None:
        """So many connections are one party's, wherever they come from (fault:H3)."""
        for number in range(3):
            side = self.side(f"n{number}.example")
            assert side.settings is not None
            side.settings.replace(credential=party_credential("a.example"))
            side.connect(Target("tls", "b.example"))
            self.network.advance(0.1)
        self.assertEqual((len(self.bob.pool), self.keeper.refused), (2, 1))
        self.assertEqual(len(self.sides[-1].pool), 0)

    def test_altogether(self) -> None:
        """So many are accepted altogether; those that we dial take nobody's place (fault:H3)."""
        alice = self.side("a.example")
        for port in (5060, 5062, 5063):
            alice.listen("TCP", port)
            self.bob.connect(Target("tcp", "a.example", port))
        kept = [self.raw(host=self.network.host()) for _ in range(5)]
        self.assertEqual([raw.reason is None for raw in kept], [True] * 4 + [False])

    def test_aliases(self) -> None:
        """A peer presents itself under a few names at most, and only under those that it proves (fault:G2)."""
        alice = self.side("a.example")
        alice.connect(Target("tls", "b.example"))
        self.network.advance(0.1)
        (flow,) = self.bob.pool
        for port in range(5061, 5100):
            for host in ("a.example", "victim.example"):
                flow.presents(top_via(f"{host}:{port}"))
        flow.presents(top_via("a.example"))
        self.assertEqual(flow.aliases, {("a.example", port) for port in range(5061, 5069)})

    def test_no_alias_in_clear_text(self) -> None:
        """Who has proved nothing has no alias (fault:G2)."""
        self.raw()
        (flow,) = self.bob.pool
        flow.presents(top_via("a.example:5061"))
        self.assertEqual(flow.aliases, set())


def top_via(sent_by: str) -> Via:
    """The top Via of a request that came from *sent_by*."""
    return parse_via(f"SIP/2.0/TLS {sent_by};branch=z9hG4bKx;rport;alias")


class AnswerTests(KeeperTestCase):
    """Which way an answer takes."""

    def setUp(self) -> None:
        super().setUp()
        self.held: list[Any] = []
        self.bob.user.answers = self.held.append

    def test_same_connection(self) -> None:
        """Each answer goes back on the connection that its request came by, though there are others to the same party
        (row:E15)."""
        peers = [self.raw() for _ in range(3)]
        for number, raw in enumerate(peers):
            raw.send(request(number=number))
        self.network.advance(0.1)
        for output in reversed(self.held):
            self.bob.answer(output)
        self.network.advance(0.1)
        for number, raw in enumerate(peers):
            self.assertEqual(statuses(raw.received), [200])
            self.assertIn(b"Call-ID: call-%d\r\n" % number, raw.received)

    def test_source(self) -> None:
        """received is always set, and rport where it was asked for, whatever the peer wrote there (row:E29)."""
        raw: Any = self.raw()
        host, port = raw.transport.getHost().host, raw.transport.getHost().port
        for number, via in enumerate(
            ("TCP peer.example", "TCP peer.example;rport", "TCP x.example;received=192.0.2.7")
        ):
            raw.send(request(number=number, via=via))
        self.network.advance(0.1)
        self.bob.user.answers = None
        for output in self.held:
            self.bob.answer(output)
        self.network.advance(0.1)
        found = [parse_message(head + b"\r\n\r\n").via for head in raw.received.split(b"\r\n\r\n") if head]
        self.assertEqual([via.received for via in found], [host] * 3)
        self.assertEqual([via.rport for via in found], [None, port, None])

    def test_closed_before_the_answer(self) -> None:
        """When the connection is gone there is no answer: none to the sent-by that the peer chose, by no transport
        (row:E15, fault:C3)."""
        victim = self.side("victim.example")
        for transport, port in (("TCP", 5060), ("TLS", 5061), ("UDP", 5060)):
            victim.listen(transport, port)
        raw: Any = self.raw()
        for number, via in enumerate(
            (
                "TCP victim.example:5060",
                "TLS victim.example",
                f"TCP {victim.address}:5060;rport",
                f"TCP peer.example;maddr={victim.address}",
                f"UDP {victim.address}",
            )
        ):
            raw.send(request(number=number, via=via))
        self.network.advance(0.1)
        raw.transport.abortConnection()
        self.network.advance(0.1)
        before = len(self.network.log)
        for output in self.held:
            self.assertRaises(AlreadyResponded, self.bob.answer, output)
        self.network.advance(60)
        self.assertEqual(list(self.network.log)[before:], [])
        self.assertEqual((len(self.held), len(victim.keeper.connections), victim.core.counters.responses), (5, 0, 0))
        abandoned = [output for output in self.bob.user.told if isinstance(output, RequestAbandoned)]
        self.assertEqual(len(abandoned), 5)

    def test_lost_while_it_is_written(self) -> None:
        """A connection that is reset under our answers takes nothing with it but its own (fault:C4, row:E13)."""
        other = self.raw()
        for round_ in range(20):
            raw: Any = self.raw()
            for number in range(10):
                raw.send(request("INVITE" if number % 2 else "MESSAGE", 100 * round_ + number))
            self.network.advance(0.002)
            raw.transport.abortConnection()
            self.network.settle()
            for output in self.held:
                try:
                    self.bob.answer(output)
                except AlreadyResponded:
                    continue
            self.held.clear()
            self.network.advance(0.1)
        self.assertEqual(sum(self.bob.core.layer.inventory().values()), 0)
        other.send(request("OPTIONS", 7777))
        self.network.advance(0.1)
        self.assertEqual(statuses(other.received), [200])


class EndTests(KeeperTestCase):
    """When everything ends."""

    def test_close(self) -> None:
        """Flows end in order, handshakes at once, and nobody is let in any more; afterwards there is no delayed call
        (fault:J2, row:E27)."""
        alice = self.side("a.example")
        flow = alice.connect(Target("tls", "b.example"))
        silent, stranger = self.raw(5061), self.raw()
        closing = self.keeper.close()
        self.assertNoResult(closing)
        late = self.raw()
        self.network.advance(0.5)
        self.assertIsNone(self.successResultOf(closing))
        self.assertEqual((len(self.keeper.connections), self.keeper.handshakes), (0, 0))
        self.assertEqual([raw.reason is not None for raw in (silent, stranger, late)], [True] * 3)
        self.assertFalse(flow.is_open)
        self.bob.driver.stop()
        self.assertEqual(self.bob.host.getDelayedCalls(), [])

    def test_close_with_a_mute_peer(self) -> None:
        """A peer that does not end its side is not waited for longer than a second (fault:J2)."""
        alice = self.side("a.example")
        flow: Any = alice.connect(Target("tls", "b.example"))
        self.network.advance(0.1)
        flow._transport.pauseProducing()
        closing = self.keeper.close()
        self.network.advance(0.9)
        self.assertNoResult(closing)
        self.network.advance(0.2)
        self.assertIsNone(self.successResultOf(closing))
        flow._transport.resumeProducing()

    def test_nothing_to_close(self) -> None:
        """Without connections the end comes at once."""
        self.assertIsNone(self.successResultOf(self.keeper.close()))

    def test_tls_failure(self) -> None:
        """A flow that TLS ends is reported as a failure of TLS (row:D22)."""
        carol = self.side("c.example")
        carol.listen("TLS", 5061)
        assert carol.settings is not None
        carol.settings.replace(policy=type(carol.settings.policy)(["nobody.example"]))
        waiting = self.bob.pool.connect(Target("tls", "c.example"))
        self.network.advance(1)
        flow = self.successResultOf(waiting)
        self.assertFalse(flow.is_open)
        self.assertEqual(len(self.bob.failures), 1)


class _Accepting(ServerFactory):
    """Accepts, and resets as soon as something comes."""

    noisy = False

    def __init__(self) -> None:
        self.accepted = 0

    def buildProtocol(self, addr: Any) -> Any:
        self.accepted += 1
        protocol: Any = Protocol()
        protocol.dataReceived = lambda data: protocol.transport.abortConnection()
        return protocol


class ResetTests(support.TestCase):
    """Real sockets, and peers that reset them."""

    ROUNDS = 300

    async def until(self, condition: Any) -> None:
        """Wait, but not for ever, until *condition* holds."""
        for _ in range(5000):
            if condition():
                return
            await deferLater(reactor, 0.001)
        self.fail("it never came about")

    async def test_requests_then_reset(self) -> None:
        """Ten requests and a reset, a few hundred times, before, while and after they are answered, leave no
        transaction, flow, descriptor or delayed call (fault:C4, fault:J2)."""
        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        party = SipPeerToPeerEndpoint("sip:user@example.com", manager)
        held: list[Any] = []

        def handle(event: Any) -> Any:
            # Some are answered at once, some provisionally, some never; some answers come after the reset.
            held.append(event)
            number = len(held) % 4
            if number == 0:
                return 200
            if number == 1:
                event.respond(180 if event.method == "INVITE" else 100)
            return Deferred() if number == 2 else event.defer()

        party.message_received.subscribe(handle)
        party.handle("INVITE", handle)
        listener = await manager.start_listening("tcp:port=0:interface=127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", listener.port)
        for round_ in range(self.ROUNDS):
            raw: Any = await endpoint.connect(Factory.forProtocol(Raw))
            requests = [
                request("INVITE" if number % 2 else "MESSAGE", 10 * round_ + number, via="TCP 127.0.0.1;rport")
                for number in range(10)
            ]
            raw.transport.write(b"".join(requests))
            if round_ % 3:
                await self.until(lambda: len(held) >= 10)
            raw.transport.abortConnection()
            if round_ % 3 == 1:
                await self.until(lambda: not manager.inventory()["flows"])
            for event in held:
                if not event.is_answered:
                    event.respond(486)
            held.clear()
        await self.until(lambda: not manager.inventory()["connections"])
        left = {name: count for name, count in manager.inventory().items() if count}
        self.assertEqual(left, {"listeners": 1})
        self.assertGreater(manager.core.counters.requests, 10 * self.ROUNDS // 2)
        await manager.terminate()
        # trial has one call of its own, for the timeout of this test.
        self.assertEqual([call for call in reactor.getDelayedCalls() if "onTimeout" not in repr(call)], [])

    async def test_peer_that_resets(self) -> None:
        """Requests of ours to a peer that resets fail at once, each with a connection failure, and the next one dials
        anew (row:E13, fault:C4)."""
        factory = _Accepting()
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        party = SipPeerToPeerEndpoint("sip:user@example.com", manager)
        target = f"sip:peer@127.0.0.1:{listening.getHost().port};transport=tcp"
        began = reactor.seconds()
        for round_ in range(1, 31):
            sending = [party.send_message(target, "x") for _ in range(10)]
            for each in sending:
                await self.assertFailure(each, ConnectionFailure)
            self.assertEqual(factory.accepted, round_)
        self.assertLess(reactor.seconds() - began, 20)
        self.assertEqual(sum(manager.inventory().values()), 0)
        await manager.terminate()

    async def test_bound_to_all_addresses(self) -> None:
        """A port 0 on every address is reported as it is bound, and Contact and Via name it and an address that can be
        reached, never 0.0.0.0 (row:C2, row:C3, row:E28, fault:J8)."""
        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        party = SipPeerToPeerEndpoint("sip:user@example.com", manager)
        seen: list[Any] = []
        party.handle("PING", lambda event: seen.append(event.request))
        tcp, udp = await manager.listen_all(["tcp:port=0", "udp:port=0"])
        self.assertNotIn(0, (tcp.port, udp.port))
        for listener in (tcp, udp):
            uri = f"sip:user@127.0.0.1:{listener.port};transport={listener.transport.lower()}"
            await party.request("PING", uri)
            last = seen[-1]
            self.assertEqual((last.via.host, last.via.port), ("127.0.0.1", listener.port))
            self.assertIn(f"@127.0.0.1:{listener.port};", last.headers["Contact"])
            self.assertNotIn("0.0.0.0", "".join(last.headers.get_all("Contact")))
        await manager.terminate()


class FlowAfterEndTests(KeeperTestCase):
    """What was a flow."""

    def test_harmless(self) -> None:
        """Whatever is done to a flow after its end does no harm, and starts no deadline (row:E11, fault:J2)."""
        alice = self.side("a.example")
        flow: StreamFlow = alice.connect(Target("tls", "b.example"))
        self.network.advance(0.1)
        self.network.cut(alice.host, self.bob.host)
        self.network.advance(0.1)
        flow.close()
        flow.abort()
        flow.cork(b"x")
        flow.flush()
        self.network.advance(0.1)
        self.assertEqual((len(alice.pool), alice.host.getDelayedCalls()), (0, []))
