"""Keep-alives: who is pinged and when, what was agreed, and what it means that nobody answers (RFC 5626, RFC 6223)."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import DatagramProtocol, Protocol, ServerFactory

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.outputs import TransactionFailed
from sip_p2p.sip.parse import parse_message
from sip_p2p.testing import Network
from sip_p2p.transport.keep_alive import KeepAlive, KeepAlives, hear_flow_timer
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.target import Target
from sip_p2p.transport.udp.stun import (
    BINDING_REQUEST,
    Binding,
    binding_error,
    binding_request,
    binding_response,
    parse_binding,
)
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import Bench, outgoing, request, statuses
from tests.transport.sides import Side

PING = b"\r\n\r\n"
HELD = Limits(idle_timeout=0, first_message_timeout=10_000, authenticated_first_message_timeout=10_000)


class Peer(Protocol):
    """A peer that keeps what it gets and says what a test says."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.is_lost = False
        self.pongs = False

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)
        if data == PING and self.pongs:
            self.say(b"\r\n")

    def say(self, data: bytes) -> None:
        """Write."""
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True

    @property
    def pings(self) -> int:
        """How many pings came."""
        return self.received.count(PING)


class Accepting(ServerFactory):
    """Keeps the one peer that it makes."""

    noisy = False
    peer: Peer

    def buildProtocol(self, addr: Any) -> Peer:
        self.peer = Peer()
        return self.peer


def reply(sent: bytes, keep: str | None = None) -> bytes:
    """A 200 to a request that was sent; *keep* is what its Via says of keep-alives."""
    asked = parse_message(sent)
    via = asked.headers["Via"]
    fields = "".join(f"{name}: {asked.headers[name]}\r\n" for name in ("From", "To", "Call-ID", "CSeq"))
    answered = via if keep is None else via.replace(";keep", f";keep={keep}")
    return f"SIP/2.0 200 OK\r\nVia: {answered}\r\n{fields}Content-Length: 0\r\n\r\n".encode()


class PolicyTests(SynchronousTestCase):
    """:class:`.KeepAlive`."""

    def test_usual(self) -> None:
        """The usual times are those that RFC 5626 recommends (row:E17, RFC 5626 section 4.4)."""
        policy = KeepAlive()
        self.assertEqual((policy.interval, policy.pong_timeout, policy.datagram_interval), (120.0, 10.0, 29.0))
        self.assertEqual((policy.pong_required, policy.hold), (False, False))
        self.assertEqual((policy.advice(True), policy.advice(False), KeepAlive(0).advice(True)), (120, 29, 120))

    def test_wrong(self) -> None:
        """Times that make no sense are refused at once."""
        for wrong in (
            {"interval": -1},
            {"interval": 1},
            {"interval": float("nan")},
            {"interval": 1e9},
            {"datagram_interval": 0},
            {"pong_timeout": 0},
            {"pong_timeout": float("inf")},
        ):
            with self.assertRaises(ValueError, msg=wrong):
                KeepAlive(**wrong)  # type: ignore[arg-type]


class KeepAliveTestCase(SynchronousTestCase):
    """Alice opens flows to a stranger who does what the test says."""

    policy = KeepAlive()

    def setUp(self) -> None:
        self.network = Network(delay=0.001)
        self.sides: list[Side] = []
        self.alice = self.side("a.example", self.policy)
        self.stranger = self.network.host()
        self.address = self.stranger.addresses[0]
        self.opened: list[Any] = []
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """End everything, and find nothing left."""
        for listening in self.opened:
            listening.stopListening()
        for side in self.sides:
            side.close()
            kept = side.keeper.keep_alives
            self.assertEqual(0 if kept is None else len(kept), 0)
        self.network.advance(10)
        self.network.assert_quiet()

    def side(self, name: str, keep_alive: KeepAlive | None, limits: Limits = HELD) -> Side:
        """One more side."""
        made = Side(self.network, name, tls=False, limits=limits, keep_alive=keep_alive)
        made.user.answers = made.answer
        self.sides.append(made)
        return made

    @property
    def kept(self) -> KeepAlives:
        """What Alice pings with."""
        kept = self.alice.keeper.keep_alives
        assert kept is not None
        return kept

    def dial(self) -> tuple[Any, Peer]:
        """Alice's flow to the stranger, and the stranger's end of it."""
        accepting = Accepting()
        self.opened.append(self.stranger.listenTCP(5060, accepting))
        flow = self.alice.connect(Target("tcp", self.address, 5060))
        self.network.advance(0.01)
        return flow, accepting.peer

    def agree(self, flow: Any, peer: Peer, keep: str) -> None:
        """Alice asks something, and the stranger answers and agrees."""
        self.alice.driver.request(outgoing("OPTIONS", 90), flow, "caller")
        self.network.advance(0.01)
        peer.say(reply(peer.received[-1], keep))
        self.network.advance(0.01)

    def until(self, condition: Any, most: float = 400.0) -> float:
        """How many seconds it takes until *condition* holds."""
        began = self.network.seconds()
        while not condition() and self.network.seconds() < began + most:
            self.network.advance(0.1)
        return self.network.seconds() - began

    def assert_between(self, least: float, value: float, most: float) -> None:
        """Fail unless *value* lies between the two."""
        self.assertTrue(least <= value <= most, value)


class StreamTests(KeepAliveTestCase):
    """On connections."""

    def test_pings(self) -> None:
        """A connection that we opened is pinged after a random 80 to 100 % of the interval, again and again (row:E17,
        RFC 5626 section 4.4.1)."""
        _, peer = self.dial()
        peer.pongs = True
        pauses = [round(self.until(lambda count=count: peer.pings > count), 1) for count in range(6)]
        for pause in pauses:
            self.assert_between(95.9, pause, 120.2)
        self.assertGreater(len(set(pauses)), 1)
        # The last pong may be on its way.
        self.network.advance(0.1)
        self.assertEqual((self.kept.pings, self.kept.pongs, self.kept.missed), (6, 6, 0))

    def test_no_answer(self) -> None:
        """That a ping is not answered by somebody who never said that it would be is counted, and is the end of nothing
        (row:E17, fault:G5, RFC 5626 section 4.4.1)."""
        flow, peer = self.dial()
        self.network.advance(1000)
        self.assertGreater(peer.pings, 6)
        # The last one may still have time.
        self.assertIn(self.kept.pings - self.kept.missed, (0, 1))
        self.assertEqual(self.kept.pongs, 0)
        self.assertTrue(flow.is_open)
        self.alice.driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        peer.say(b"\r\n" + reply(peer.received[-1]))
        self.network.advance(0.1)
        self.assertEqual(self.alice.user.names, ["ResponseReceived"])

    def test_agreed(self) -> None:
        """Who has agreed is pinged as often as it asks, and has ten seconds to answer: then the flow is lost, and with
        it at once, and for that reason, what was on it (row:E17, fault:G5, RFC 6223 section 4.3)."""
        flow, peer = self.dial()
        peer.pongs = True
        self.agree(flow, peer, "30")
        self.assertEqual(self.kept.agreed, 1)
        self.assert_between(23.9, self.until(lambda: peer.pings > 0), 30.2)
        self.assert_between(23.9, self.until(lambda: peer.pings > 1), 30.2)
        self.network.advance(0.1)
        self.alice.user.told.clear()
        self.network.half_open(self.stranger)
        pings = self.kept.pings
        self.until(lambda: self.kept.pings > pings)
        self.alice.driver.request(outgoing(number=2), flow, "caller")
        self.assert_between(9.8, self.until(lambda: not flow.is_open), 10.2)
        self.network.advance(0.01)
        (ended,) = self.alice.user.told
        assert isinstance(ended, TransactionFailed)
        self.assertIsInstance(ended.reason, ConnectionFailure)
        self.assertIn("did not answer a keep-alive within 10 s", str(ended.reason))
        [(lost, reason, on_it)] = self.alice.lost
        self.assertEqual((lost, reason, on_it), (flow, ended.reason, 1))
        self.assertEqual(len(self.alice.pool), 0)
        peer.transport.abortConnection()  # type: ignore[union-attr]

    def test_other_words_count(self) -> None:
        """Who says other things while a pong is overdue is there (fault:G5)."""
        flow, peer = self.dial()
        self.agree(flow, peer, "30")
        self.until(lambda: peer.pings > 0)
        self.network.advance(5)
        peer.say(request("OPTIONS", via="TCP peer.example;rport"))
        self.network.advance(20)
        self.assertTrue(flow.is_open)
        self.assertEqual(self.kept.missed, 0)

    def test_agreement(self) -> None:
        """A number of seconds is an agreement, and 0 leaves the number to us; everything else is none (row:E17, RFC
        6223 sections 4.3 and 5)."""
        flow, _ = self.dial()
        for value in ("", "x", "-1", "+5", "1.5", "\u0663", "9" * 10):
            self.kept.agree(flow, value)
            self.kept.heard_via(flow, f"SIP/2.0/TCP h;branch=z9hG4bKx;keep={value}")
        self.kept.heard_via(flow, "SIP/2.0/TCP ]")
        self.assertEqual(self.kept.agreed, 0)
        self.kept.heard_via(flow, "SIP/2.0/TCP h;branch=z9hG4bKx;keep=0")
        self.assertEqual(self.kept.agreed, 1)
        began = self.kept.pings
        self.assert_between(95.9, self.until(lambda: self.kept.pings > began), 120.2)

    def test_agreed_again(self) -> None:
        """Of several agreements about one flow the one that wants the most pings counts, so that all of them are kept,
        and it is one flow (row:E17, RFC 5626 section 4.4)."""
        flow, peer = self.dial()
        peer.pongs = True
        for value, least, most in (("60", 47.9, 60.2), ("20", 15.9, 20.2), ("60", 15.9, 20.2), ("0", 15.9, 20.2)):
            self.kept.agree(flow, value)
            self.network.advance(61)
            began = peer.pings
            self.until(lambda began=began: peer.pings > began)
            self.assert_between(least, self.until(lambda began=began: peer.pings > began + 1), most)
        self.assertEqual(self.kept.agreed, 1)

    def test_pongs_take_their_time(self) -> None:
        """The time is that from ping to ping, however long an answer takes (row:E17, RFC 5626 section 4.4)."""
        flow, peer = self.dial()
        self.kept.agree(flow, "30")
        for _ in range(4):
            began = peer.pings
            self.until(lambda began=began: peer.pings > began)
            self.network.advance(8)
            peer.say(b"\r\n")
            self.assert_between(15.9, self.until(lambda began=began: peer.pings > began + 1), 22.2)
            self.network.advance(8)
            peer.say(b"\r\n")

    def test_as_often_as_that(self) -> None:
        """However often a peer wants to be pinged, it is not more often than every four seconds (fault:I2)."""
        flow, peer = self.dial()
        peer.pongs = True
        self.agree(flow, peer, "1")
        self.network.advance(60)
        self.assert_between(11, peer.pings, 16)

    def test_offer(self) -> None:
        """Our requests offer keep-alives until the first message has come back, on connections that we opened, and not
        a second time (row:E17, RFC 6223 section 4.3)."""
        flow, peer = self.dial()
        for number in (1, 2):
            self.alice.driver.request(outgoing("OPTIONS", number), flow, "caller")
        self.network.advance(0.01)
        first, second = (b"OPTIONS" + part for part in b"".join(peer.received).split(b"OPTIONS sip")[1:])
        self.assertIn(b";keep\r\n", first)
        self.assertIn(b";keep\r\n", second)
        peer.say(reply(b"OPTIONS sip" + first[7:]))
        self.network.advance(0.01)
        self.alice.driver.request(outgoing("OPTIONS", 3), flow, "caller")
        self.network.advance(0.01)
        self.assertNotIn(b"keep", peer.received[-1])
        self.assertEqual(self.kept.agreed, 0)

    def test_both_of_us(self) -> None:
        """Two of us agree with the first request, and on the advice of the one that was dialled (row:E17, RFC 6223
        section 4.4)."""
        bob = self.side("b.example", KeepAlive(60))
        bob.listen("TCP", 5060)
        flow = self.alice.connect(Target("tcp", "b.example"))
        self.alice.driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        self.assertEqual(self.kept.agreed, 1)
        self.assert_between(47.8, self.until(lambda: self.kept.pongs > 0), 60.2)
        self.assertEqual(bob.core.counters.pings, 1)
        self.network.advance(1000)
        kept = bob.keeper.keep_alives
        assert kept is not None
        self.assertEqual((kept.pings, kept.agreed, len(bob.pool)), (0, 0, 1))

    def test_offer_of_the_peer(self) -> None:
        """A peer's offer is answered with our advice, also where we opened the connection; without keep-alives it is
        left as it came, and pings are answered all the same (row:E17, RFC 6223 section 4.4)."""
        for number, (policy, answered) in enumerate(((KeepAlive(77), b";keep=77;"), (None, b";keep;"))):
            bob = self.side(f"b{number}.example", policy)
            bob.listen("TCP", 5060)
            accepting = Accepting()
            self.opened.append(self.stranger.listenTCP(5060 + number, accepting))
            bob.connect(Target("tcp", self.address, 5060 + number))
            self.network.advance(0.01)
            accepting.peer.say(request("OPTIONS", via="TCP peer.example;keep") + PING)
            self.network.advance(0.01)
            octets = b"".join(accepting.peer.received)
            self.assertEqual(statuses(octets), [200])
            self.assertIn(answered, octets)
            self.assertTrue(octets.endswith(PING + b"\r\n"), octets)

    def test_quoted(self) -> None:
        """A Via that only quotes the word is left alone."""
        flow, _ = self.dial()
        text = 'SIP/2.0/TCP h;branch=z9hG4bKx;x=";keep"'
        self.assertEqual(self.kept.answer_via(flow, text), text)
        self.assertEqual(self.kept.answer_via(flow, "SIP/2.0/TCP h;keeper=1"), "SIP/2.0/TCP h;keeper=1")

    def test_held_up_by_ourselves(self) -> None:
        """While we read nothing from a peer its silence is our own doing (fault:G5)."""
        flow, peer = self.dial()
        self.agree(flow, peer, "30")
        flow.pause_reading(1)
        self.network.advance(100)
        self.assertTrue(flow.is_open)
        self.assertEqual(self.kept.missed, 0)
        flow.resume_reading(1)
        # When the last ping went is drawn, and what is left of the wait for its pong with it.
        self.assertGreater(self.until(lambda: not flow.is_open), 0)

    def test_flow_timer(self) -> None:
        """What a registrar says with Flow-Timer is an agreement, too (row:E17, RFC 5626 section 4.4)."""
        flow, peer = self.dial()
        hear_flow_timer(flow, None)
        hear_flow_timer(self.alice.keeper.datagrams.flow_to(Target("udp", "10.9.9.9")), "x")
        self.assertEqual(self.kept.agreed, 0)
        hear_flow_timer(flow, "50", is_outbound=True)
        self.assert_between(39.9, self.until(lambda: peer.pings > 0), 50.2)
        self.assert_between(9.8, self.until(lambda: peer.is_lost), 10.2)

    def test_outbound(self) -> None:
        """A registrar that follows RFC 5626 answers pings, and leaves to us how often where it says nothing of it
        (row:E17, RFC 5626 sections 4.2.1 and 4.4.1)."""
        flow, peer = self.dial()
        hear_flow_timer(flow, None, is_outbound=True)
        self.assertEqual(self.kept.agreed, 1)
        self.assert_between(95.9, self.until(lambda: peer.pings > 0), 120.2)
        self.assert_between(9.8, self.until(lambda: peer.is_lost), 10.2)


class RequiredTests(KeepAliveTestCase):
    """Where every peer is known to answer."""

    policy = KeepAlive(pong_required=True)

    def test_no_answer(self) -> None:
        """No answer is the end of the flow, though nothing was agreed (row:E17, fault:G5)."""
        _, peer = self.dial()
        self.assert_between(105, self.until(lambda: peer.is_lost), 131)
        self.assertIn("keep-alive", str(self.alice.lost[0][1]))


class IdleTests(KeepAliveTestCase):
    """Keep-alives and idleness."""

    def dialled(self, policy: KeepAlive | None) -> tuple[Side, Side]:
        """Carol has written to Bob once; both close what is idle."""
        sides = self.side("c.example", policy, Limits()), self.side("d.example", KeepAlive(), Limits())
        sides[1].listen("TCP", 5060)
        flow = sides[0].connect(Target("tcp", "d.example"))
        sides[0].driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        return sides

    def test_idle(self) -> None:
        """A flow that is used for nothing but keep-alives is closed by the one that opened it (row:E8)."""
        carol, bob = self.dialled(KeepAlive())
        self.network.advance(300)
        self.assertEqual((len(carol.pool), len(bob.pool)), (0, 0))

    def test_held(self) -> None:
        """Where flows are to be held, an answered ping holds them, on both sides (row:E8, row:E17)."""
        carol, bob = self.dialled(KeepAlive(hold=True))
        self.network.advance(2000)
        self.assertEqual((len(carol.pool), len(bob.pool)), (1, 1))


class Listening(DatagramProtocol):
    """A UDP peer that keeps what it gets, and answers STUN as the test says."""

    noisy = False

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.bindings: list[Binding] = []
        self.source: tuple[str, int] = ("", 0)
        self.mapped: tuple[str, int] | None = None
        self.answers = True

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.source = addr
        if datagram[0] > 1:
            self.messages.append(datagram)
            return
        binding = parse_binding(datagram)
        self.bindings.append(binding)
        if self.answers and binding.kind == BINDING_REQUEST:
            self.say(binding_response(binding, *(self.mapped or addr[:2])))

    def say(self, data: bytes) -> None:
        """Write to whoever wrote last."""
        assert self.transport is not None
        self.transport.write(data, self.source)


class DatagramTests(KeepAliveTestCase):
    """STUN on UDP."""

    def setUp(self) -> None:
        super().setUp()
        self.peer = Listening()
        self.opened.append(self.stranger.listenUDP(5060, self.peer))
        self.alice.listen("UDP", 5060)
        self.flow = self.alice.keeper.datagrams.flow_to(Target("udp", self.address, 5060))

    def ask(self, keep: str | None) -> None:
        """Alice asks something, and the peer answers."""
        self.alice.driver.request(outgoing("OPTIONS", 90), self.flow, "caller")
        self.network.advance(0.01)
        self.peer.say(reply(self.peer.messages[-1], keep))
        self.network.advance(0.01)

    def test_only_by_agreement(self) -> None:
        """UDP peers that have not agreed are never pinged (row:E17, RFC 6223)."""
        self.ask(None)
        self.assertIn(b";keep\r\n", self.peer.messages[0])
        self.network.advance(1000)
        self.assertEqual(self.peer.bindings, [])
        self.ask(None)
        self.assertNotIn(b"keep", self.peer.messages[-1])

    def test_pings(self) -> None:
        """By agreement a Binding request with FINGERPRINT goes out every 24 to 29 seconds or so, and its answer is
        taken (row:E17, RFC 5626 section 4.4.2)."""
        self.ask("0")
        for count in range(3):
            pause = self.until(lambda count=count: len(self.peer.bindings) > count)
            self.assert_between(23, pause, 29.2)
        self.assertTrue(all(binding.has_fingerprint for binding in self.peer.bindings))
        self.assertEqual(len({binding.transaction for binding in self.peer.bindings}), 3)
        # The last answer may be on its way.
        self.network.advance(0.01)
        self.assertEqual((self.kept.pings, self.kept.pongs), (3, 3))

    def test_lost_on_the_way(self) -> None:
        """A request or answer that is lost is sent again, sooner and later, and nothing comes of it (fault:I1, RFC 8489
        section 6.2.1)."""
        self.ask("20")
        self.peer.answers = False
        self.until(lambda: len(self.peer.bindings) == 4)
        self.assertEqual(len({binding.transaction for binding in self.peer.bindings}), 1)
        self.peer.answers = True
        self.network.advance(60)
        self.assertTrue(self.flow.is_open)
        self.assertEqual(self.kept.missed, 0)

    def test_no_answer(self) -> None:
        """Who has agreed and does not answer for ten seconds has lost the flow, and what was on it (row:E17,
        fault:G5)."""
        self.ask("20")
        self.peer.answers = False
        self.until(lambda: bool(self.peer.bindings))
        self.alice.user.told.clear()
        self.alice.driver.request(outgoing(number=2), self.flow, "caller")
        self.assert_between(9.7, self.until(lambda: not self.flow.is_open), 10.2)
        self.assertIn("did not answer a keep-alive", str(self.alice.user.told[0].reason))
        self.assertEqual([on_it for _, _, on_it in self.alice.lost], [1])
        again = self.alice.keeper.datagrams.flow_to(Target("udp", self.address, 5060))
        self.assertIsNot(again, self.flow)
        self.assertTrue(again.is_open)

    def test_seen_elsewhere(self) -> None:
        """When the peer sees us under another address than before, the flow has failed (row:E17, RFC 5626 section
        4.4.2)."""
        self.ask("20")
        self.until(lambda: self.kept.pongs == 2)
        self.peer.mapped = ("203.0.113.9", 4242)
        self.until(lambda: not self.flow.is_open)
        [(lost, reason, _)] = self.alice.lost
        self.assertIs(lost, self.flow)
        self.assertIn("203.0.113.9:4242", str(reason))

    def test_error(self) -> None:
        """A Binding error response is the end of the flow (row:E17, RFC 5626 section 4.4.2)."""
        self.ask("20")
        self.peer.answers = False
        self.until(lambda: bool(self.peer.bindings))
        self.peer.say(binding_error(self.peer.bindings[-1]))
        self.network.advance(0.1)
        self.assertFalse(self.flow.is_open)
        self.assertIn("refused a keep-alive", str(self.alice.lost[0][1]))
        self.assertEqual((self.kept.pongs, self.kept.missed), (0, 1))

    def test_outbound_registrar(self) -> None:
        """One that has granted a registration by the rules of RFC 5626 is pinged, though nothing else was said
        (row:E17, RFC 5626 section 4.4.2)."""
        hear_flow_timer(self.flow, None, is_outbound=True)
        for count in range(2):
            pause = self.until(lambda count=count: len(self.peer.bindings) > count)
            self.assert_between(23, pause, 29.2)

    def test_forged_answers(self) -> None:
        """An answer that belongs to no request of ours, or comes from elsewhere, changes nothing (fault:I4,
        fault:I7)."""
        self.ask("20")
        forger = Listening()
        self.opened.append(self.network.host().listenUDP(5060, forger))
        forger.source = (self.alice.address, 5060)
        self.peer.answers = False
        self.until(lambda: bool(self.peer.bindings))
        waiting = self.peer.bindings[-1]
        forger.say(binding_response(waiting, "203.0.113.9", 1))
        for transaction in (b"x" * 12, waiting.transaction[::-1]):
            self.peer.say(binding_response(parse_binding(binding_request(transaction)), "203.0.113.9", 1))
        self.network.advance(0.1)
        self.assertEqual((self.kept.pongs, self.alice.keeper.datagrams.ignored), (0, 3))
        self.peer.say(binding_response(waiting, self.alice.address, 5060))
        self.network.advance(0.1)
        self.assertEqual(self.kept.pongs, 1)
        self.assertTrue(self.flow.is_open)

    def test_unused(self) -> None:
        """A UDP flow that nobody uses is not pinged for ever; the next request offers it again (row:E8, row:E17)."""
        carol = self.side("c.example", KeepAlive(), Limits(idle_timeout=100))
        carol.listen("UDP", 5060)
        flow = carol.keeper.datagrams.flow_to(Target("udp", self.address, 5060))
        carol.driver.request(outgoing("OPTIONS", 7), flow, "caller")
        self.network.advance(0.01)
        self.peer.say(reply(self.peer.messages[-1], "20"))
        self.network.advance(300)
        self.assert_between(4, len(self.peer.bindings), 8)
        carol.driver.request(outgoing("OPTIONS", 8), flow, "caller")
        self.network.advance(0.01)
        self.assertIn(b";keep\r\n", self.peer.messages[-1])

    def test_leased(self) -> None:
        """A UDP flow that somebody holds, to be reached by it, is pinged as long as that (row:E5, row:E17)."""
        carol = self.side("c.example", KeepAlive(), Limits(idle_timeout=100))
        carol.listen("UDP", 5060)
        flow = carol.keeper.datagrams.flow_to(Target("udp", self.address, 5060))
        lease = flow.lease()
        carol.driver.request(outgoing("OPTIONS", 7), flow, "caller")
        self.network.advance(0.01)
        self.peer.say(reply(self.peer.messages[-1], "20"))
        self.network.advance(300)
        self.assert_between(14, len(self.peer.bindings), 20)
        lease.release()
        self.network.advance(300)
        self.assert_between(14, len(self.peer.bindings), 22)


class ShapeTests(SynchronousTestCase):
    """Without a network."""

    def test_off(self) -> None:
        """A flow without keep-alives leaves every Via alone (row:E17)."""
        bench = Bench()
        flow = Side(Network(), "x.example", tls=False).keeper
        self.assertIsNone(flow.keep_alives)
        self.assertEqual(bench.calls(), [])
