"""UDP from end to end: loss and disorder, errors of the network, sizes, and what strangers can have us send."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol

from sip_p2p import ConnectionFailure, OperationTimeout, RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.sip.parse import parse_message
from sip_p2p.testing import Network
from sip_p2p.transport.udp.stun import binding_request, parse_binding
from tests.support import SynchronousTestCase, torture_messages
from tests.transport.flow_bench import request, statuses

ERROR_REFUSED = 111


class Raw(DatagramProtocol):
    """A peer that keeps what it gets, and may answer it."""

    noisy = False

    def __init__(self, answers: Any = None) -> None:
        self.received: list[tuple[bytes, tuple[str, int]]] = []
        self.answers = answers

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))
        if self.answers is not None:
            self.answers(datagram, addr)

    @property
    def octets(self) -> int:
        """How many octets came."""
        return sum(len(datagram) for datagram, _ in self.received)


def reply(sent: bytes) -> bytes:
    """A 200 to a request."""
    asked = parse_message(sent)
    fields = "".join(f"{name}: {asked.headers[name]}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
    return f"SIP/2.0 200 OK\r\n{fields}Content-Length: 0\r\n\r\n".encode()


class UdpTestCase(SynchronousTestCase):
    """Alice and Bob talk by UDP; there is a stranger, too."""

    seed = 0

    def setUp(self) -> None:
        self.network = Network(seed=self.seed, delay=0.02)
        self.alice = self.party("alice", "a.example")
        self.bob = self.party("bob", "b.example")
        self.stranger = self.network.host()
        self.opened: list[Any] = []
        self.heard: list[str] = []
        self.bob.message_received.subscribe(lambda event: self.heard.append(event.text))
        self.addCleanup(self.finish)

    def party(self, user: str, domain: str, listen: str | None = "udp:5060") -> SipPeerToPeerEndpoint:
        """A party that listens on UDP, or on nothing."""
        network = self.network
        host = network.find(domain) or network.host(names=[domain])
        manager = RealTimeServerTcpConnectionManager(host)
        party = SipPeerToPeerEndpoint(f"sip:{user}@{domain}", manager, default_transport="udp")
        if listen is not None:
            network.run_until(manager.start_listening(listen))
        self.addCleanup(lambda: network.run_until(manager.terminate()))
        return party

    def finish(self) -> None:
        """The stranger goes."""
        for port in self.opened:
            port.stopListening()

    def raw(self, port: int, answers: Any = None) -> Raw:
        """A port of the stranger's."""
        raw = Raw(answers)
        self.opened.append(self.stranger.listenUDP(port, raw))
        return raw

    def say(self, raw: Raw, data: bytes) -> None:
        """The stranger says something to Bob."""
        transport: Any = raw.transport
        transport.write(data, (self.network.addresses_of("b.example")[0], 5060))
        self.network.advance(0.1)

    def outcome(self, sending: Deferred[Any]) -> object:
        """The status of the final response, or the kind of the failure."""
        try:
            return self.network.run_until(sending).status
        except Exception as error:
            return type(error)

    def live(self, party: SipPeerToPeerEndpoint) -> int:
        """How many transactions a party has, finished ones among them."""
        return sum(party.connection_manager.core.layer.inventory().values())

    def assert_serves(self) -> None:
        """Fail unless a good peer is served, and nothing is left of what was."""
        self.assertEqual(self.outcome(self.alice.request("OPTIONS", "sip:bob@b.example", timeout=1)), 200)
        self.network.advance(64)
        self.assertEqual((self.live(self.alice), self.live(self.bob)), (0, 0))


class LossTests(UdpTestCase):
    """Datagrams that get lost, come twice, and come in any order."""

    def exchange(self, seed: int, count: int) -> None:
        """*count* messages each way, and each is shown to an application exactly once."""
        self.network = Network(
            seed=seed, delay=0.02, jitter=0.03, loss=0.3, duplicate=0.1, reorder=0.2, reorder_delay=0.4
        )
        alice, bob = self.party("alice", "c.example"), self.party("bob", "d.example")
        heard: Counter[str] = Counter()
        for party in (alice, bob):
            party.message_received.subscribe(lambda event: heard.update([event.text]))
        chance = random.Random(seed)
        results: list[Any] = []

        def send(number: int) -> None:
            sender, target = (alice, "bob@d.example") if number % 2 else (bob, "alice@c.example")
            sender.send_message(f"sip:{target}", f"m{number}").addBoth(results.append)

        for number in range(count):
            self.network.clock.callLater(chance.uniform(0, 20), send, number)
        self.network.advance(20 + 64)
        # Of eleven tries all must miss for one to fail; no seed here has that.
        self.assertEqual([result.status for result in results], [200] * count)
        self.assertEqual(set(heard.values()), {1})
        self.assertEqual(len(heard), count)
        self.assertEqual((self.live(alice), self.live(bob)), (0, 0))
        layer = alice.connection_manager.core.layer.counters
        self.assertGreater(layer.requests_repeated, 0)
        self.assertGreater(layer.requests_again, 0)
        self.assertGreater(layer.responses_again + layer.responses_unmatched, 0)

    def test_thirty_percent(self) -> None:
        """With a third of all datagrams lost, a tenth doubled and a fifth late, 600 messages each arrive exactly once
        and are answered, and 32 seconds later nothing is left of them (fault:I1, row:C14, RFC 3261 section 17)."""
        for seed in (1, 2, 3):
            self.exchange(seed, 200)

    def test_one_after_another(self) -> None:
        """The same one by one: each request of a conversation finds its answer (fault:I1)."""
        self.network.change(loss=0.3, duplicate=0.3, jitter=0.05)
        for number in range(40):
            self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", f"m{number}")), 200)
        self.assertEqual(self.heard, [f"m{number}" for number in range(40)])

    def test_all_is_lost(self) -> None:
        """When nothing arrives, the request is given up after 64 times T1, and after eleven tries (fault:I1, RFC 3261
        section 17.1.2.2)."""
        tries: list[float] = []

        def drop(datagram: Any) -> bool:
            tries.append(self.network.seconds())
            return True

        self.network.drop = drop
        self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", "x")), OperationTimeout)
        pauses = [round(later - earlier, 1) for earlier, later in itertools.pairwise(tries)]
        self.assertEqual(pauses, [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0])
        self.assertEqual(round(self.network.seconds() - tries[0], 1), 32.0)
        self.network.drop = None
        self.assert_serves()

    def test_only_answers_are_lost(self) -> None:
        """When the answers get lost the request comes again, is answered again and shown to nobody again (fault:I1, RFC
        3261 section 17.2.2)."""
        lost: list[Any] = []
        self.network.drop = lambda datagram: (
            datagram.data.startswith(b"SIP/2.0") and len(lost) < 4 and not lost.append(datagram.data)
        )
        self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", "x")), 200)
        self.assertEqual((self.heard, len(set(lost)), len(lost)), (["x"], 1, 4))
        self.assert_serves()


class UnreachableTests(UdpTestCase):
    """What ICMP and the system say."""

    def test_nobody_there(self) -> None:
        """A request to a port that nobody has fails at once, with the address, and not after 32 seconds (fault:I6,
        row:C14, RFC 3261 section 18.4)."""
        began = self.network.seconds()
        failing = self.alice.send_message("sip:bob@b.example:9", "x")
        with self.assertRaises(ConnectionFailure) as caught:
            self.network.run_until(failing)
        self.assertLess(self.network.seconds() - began, 0.1)
        self.assertIn("nobody is at 10.0.0.2:9 by UDP", str(caught.exception))
        self.assert_serves()

    def test_others_are_not_hurt(self) -> None:
        """The error of one peer costs the others nothing: not what is under way, and not the datagram with which it is
        told (fault:I6)."""
        answers = [self.alice.send_message("sip:bob@b.example", f"m{number}") for number in range(5)]
        failing = [self.alice.send_message(f"sip:bob@b.example:{number}", "x") for number in range(9, 19)]
        self.network.advance(0.0401)
        answers += [self.alice.send_message("sip:bob@b.example", f"n{number}") for number in range(5)]
        self.network.advance(0.1)
        self.assertEqual([self.outcome(each) for each in failing], [ConnectionFailure] * 10)
        self.assertEqual([self.outcome(each) for each in answers], [200] * 10)
        self.assertEqual(self.alice.connection_manager.core.layer.counters.requests_repeated, 0)
        self.assert_serves()

    def test_gone_away(self) -> None:
        """A peer that was there and is not any more is noticed with the first retransmission (fault:I6, fault:G5)."""
        self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", "x")), 200)
        self.network.run_until(self.bob.connection_manager.stop_listening())
        began = self.network.seconds()
        self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", "y")), ConnectionFailure)
        self.assertLess(self.network.seconds() - began, 0.7)
        self.network.run_until(self.bob.connection_manager.start_listening("udp:5060"))
        self.assert_serves()

    def test_back_in_time(self) -> None:
        """A peer that restarts between a request and its first retransmission has lost nothing (fault:I6)."""
        self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", "x")), 200)
        self.network.run_until(self.bob.connection_manager.stop_listening())
        sending = self.alice.send_message("sip:bob@b.example", "y")
        self.network.advance(0.2)
        self.network.run_until(self.bob.connection_manager.start_listening("udp:5060"))
        self.assertEqual(self.outcome(sending), 200)

    def test_forged_errors(self) -> None:
        """A storm of errors that quote nothing, or nothing of ours, ends nothing; nor do those that quote a request on
        a flow on which answers come (fault:I6, RFC 5927)."""
        manager = self.alice.connection_manager
        listening: Any = manager.listeners[0]
        port = listening._factory
        bob = self.network.addresses_of("b.example")[0], 5060
        sent: list[bytes] = []

        def storm(datagram: Any) -> bool:
            if datagram.destination == bob:
                sent.append(datagram.data)
            for quote in (b"", b"\x00" * 8, b"\x00\x01" + b"x" * 30, b"MESSAGE", sent[0][:28]):
                port.unreachable(bob, quote, ERROR_REFUSED)
            port.unreachable(bob, sent[0].replace(b"branch=z9hG4bK", b"branch=z9hG4bKguessed"), ERROR_REFUSED)
            port.unreachable(("192.0.2.77", 5060), sent[0], ERROR_REFUSED)
            return False

        self.network.drop = storm
        for number in range(20):
            self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", f"m{number}")), 200)
        self.assertGreater(port.forged, 200)

        def echo(datagram: Any) -> bool:
            if datagram.destination == bob:
                port.unreachable(bob, datagram.data, ERROR_REFUSED)
            return False

        self.network.drop = echo
        for number in range(20):
            self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", f"n{number}")), 200)
        self.network.drop = None
        self.assert_serves()

    def test_no_way(self) -> None:
        """That nothing leads to an address is known at once (fault:I6)."""
        began = self.network.seconds()
        self.network.name("six.example", "fd00::99")
        self.assertEqual(
            self.outcome(self.alice.send_message("sip:x@six.example;transport=udp", "x")), ConnectionFailure
        )
        self.assertEqual(self.network.seconds(), began)

    def test_closed_port(self) -> None:
        """What was on a port fails when it is closed, also on flows that others have pushed out (row:C8, row:C14)."""
        manager = self.alice.connection_manager
        quiet = self.raw(5070)
        sending = self.alice.send_message(f"sip:x@{self.stranger.addresses[0]}:5070", "x")
        self.network.advance(0.1)
        listening: Any = manager.listeners[0]
        for number in range(manager.limits.datagram_flows + 10):
            listening._factory.flow_to(f"10.9.{number // 250}.{number % 250}", 5060)
        self.network.run_until(manager.stop_listening())
        self.assertEqual(self.outcome(sending), ConnectionFailure)
        self.assertEqual(len(quiet.received), 1)


class SizeTests(UdpTestCase):
    """What is too large (RFC 3261 section 18.1.1)."""

    def test_tcp_is_refused(self) -> None:
        """A request over 1300 octets goes over TCP, and where nobody listens there by UDP after all (row:E30,
        fault:I3)."""
        carol = self.party("carol", "c.example", "udp:5060")
        seen: list[tuple[str, int]] = []
        carol.handle("NOTE", lambda event: seen.append((event.peer.transport, len(event.text))))
        self.assertEqual(self.outcome(self.alice.request("NOTE", "sip:carol@c.example", body="x" * 3000)), 200)
        self.network.run_until(carol.connection_manager.start_listening("tcp:5060"))
        self.network.advance(700)
        self.assertEqual(self.outcome(self.alice.request("NOTE", "sip:carol@c.example", body="x" * 3000)), 200)
        self.assertEqual(seen, [("UDP", 3000), ("TCP", 3000)])

    def test_messages_are_not_fragmented(self) -> None:
        """A MESSAGE over 1300 octets never goes by UDP: where nobody takes it by TCP it fails, and the next one that
        is short enough arrives (RFC 3428 section 8, row:F13)."""
        carol = self.party("carol", "c.example", "udp:5060")
        seen: list[tuple[str, int]] = []
        carol.message_received.subscribe(lambda event: seen.append((event.peer.transport, len(event.text))))
        sending = self.alice.send_message("sip:carol@c.example", "x" * 3000)
        self.assertEqual(self.outcome(sending), ConnectionFailure)
        self.assertEqual(self.outcome(self.alice.send_message("sip:carol@c.example", "x" * 300)), 200)
        self.assertEqual(seen, [("UDP", 300)])

    def test_neither(self) -> None:
        """Where neither is there the outcome is one failure, at once (row:E30, fault:I3)."""
        sending = self.alice.send_message("sip:bob@b.example:9", "x" * 3000)
        self.assertEqual(self.outcome(sending), ConnectionFailure)

    def test_fragments_are_dropped(self) -> None:
        """Where fragments are dropped on the way and TCP is refused, the request is given up in time (fault:I3)."""
        self.network.change(fragments=False)
        self.assertEqual(
            self.outcome(self.alice.request("OPTIONS", "sip:bob@b.example", body="x" * 3000)), OperationTimeout
        )
        self.assertEqual(self.outcome(self.alice.send_message("sip:bob@b.example", "x" * 300)), 200)


class StrangerTests(UdpTestCase):
    """What anybody can have us send."""

    def test_amplification(self) -> None:
        """Whatever a stranger sends, under whatever name, no more comes back than five times its octets (fault:I2)."""
        self.bob.handle("INFO", lambda event: event.response(200, body="x" * 5000, content_type="text/plain"))
        self.bob.handle("INVITE", lambda event: event.response(486))
        raw = self.raw(5070)
        sent = 0
        short = b"OPTIONS sip:b SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bKx\r\nt:<sip:b>\r\nf:<sip:a>;tag=1\r\ni:1\r\n"
        for number, data in enumerate(
            (
                request("INFO", 1, via="UDP peer.example:5070"),
                request("INVITE", 2, via="UDP peer.example:5070"),
                short + b"CSeq:1 OPTIONS\r\nl:0\r\n\r\n",
                short + b"CSeq:1 OPTIONS\r\nl:9\r\n\r\n",
                short + b"\r\n",
                b"x sip:b SIP/2.0\r\nv:SIP/2.0/UDP a\r\n\r\n",
                binding_request(b"x" * 12),
                binding_request(b"x" * 12)[:2] + b"\0\0" + binding_request(b"x" * 12)[4:20],
            )
        ):
            host = self.network.host()
            raw = Raw()
            self.opened.append(host.listenUDP(5070, raw))
            self.opened.append(host.listenUDP(5060, elsewhere := Raw()))
            transport: Any = raw.transport
            transport.write(data, (self.network.addresses_of("b.example")[0], 5060))
            self.network.advance(40)
            self.assertLessEqual(raw.octets + elsewhere.octets, 5 * len(data), number)
            sent += len(raw.received) + len(elsewhere.received)
        self.assertGreater(sent, 5)
        self.assertGreater(self.bob.connection_manager.keeper.hits["datagram_amplification"], 0)
        self.assert_serves()

    def test_paid_for(self) -> None:
        """Who sends more is owed more, and whom we have written to first is owed what we like (fault:I2)."""
        self.bob.handle("INFO", lambda event: event.response(200, body="x" * 800, content_type="text/plain"))
        asking = self.raw(5070)
        for number in range(5):
            self.say(asking, request("INFO", number, via="UDP peer.example:5070"))
        self.assertEqual(len([1 for datagram, _ in asking.received if len(datagram) > 800]), 5)
        known = self.raw(5080)
        known.answers = lambda data, _: None
        self.bob.handle("INFO", lambda event: event.response(200, body="x" * 7000, content_type="text/plain"))
        self.bob.request("OPTIONS", f"sip:x@{self.stranger.addresses[0]}:5080", timeout=1).addErrback(lambda _: None)
        self.network.advance(0.1)
        self.say(known, request("INFO", 9, via="UDP peer.example:5080"))
        self.assertGreater(max(len(datagram) for datagram, _ in known.received), 7000)
        self.network.advance(2)

    def test_stun_is_answered(self) -> None:
        """A Binding request is answered with the address that it came from, and everything that is none is dropped
        (row:E17, fault:I7, RFC 5626 section 8)."""
        asking = self.raw(40000)
        self.say(asking, binding_request(b"transaction!"))
        answer = parse_binding(asking.received[0][0])
        self.assertEqual(answer.mapped, (self.stranger.addresses[0], 40000))
        self.assertEqual(answer.transaction, b"transaction!")
        before = self.bob.connection_manager.metrics()["datagrams_ignored"]
        whole = binding_request(b"transaction!")
        for cut in (whole[:-1], whole[:19], whole[:2] + b"\xff\xff" + whole[4:], b"\x01\x11" + whole[2:], b"\x01"):
            self.say(asking, cut)
        self.assertEqual(len(asking.received), 1)
        self.assertEqual(self.bob.connection_manager.metrics()["datagrams_ignored"] - before, 5)
        self.assert_serves()

    def test_crafted(self) -> None:
        """Every torture message, cut anywhere, with octets changed, and noise: what is answered at all is answered as a
        request is, nothing is logged as a failure, and the next good peer is served (fault:I7, fault:I5)."""
        chance = random.Random(7)
        asking = self.raw(40000)
        transport: Any = asking.transport
        bob = self.network.addresses_of("b.example")[0], 5060
        corpus = [item.data for item in torture_messages("rfc4475")] + [binding_request(b"x" * 12)]
        for data in corpus:
            for _ in range(12):
                changed = bytearray(data[: chance.randrange(len(data) + 1)])
                for _ in range(chance.randrange(4)):
                    if changed:
                        changed[chance.randrange(len(changed))] = chance.randrange(256)
                transport.write(bytes(changed), bob)
            self.network.advance(0.05)
        for size in (0, 1, 2, 20, 1400, 65507):
            transport.write(chance.randbytes(size), bob)
            transport.write(b"\r" * size, bob)
        self.network.advance(40)
        for datagram, _ in asking.received:
            self.assertTrue(statuses(datagram) or parse_binding(datagram))
        self.assert_serves()

    def test_lengths(self) -> None:
        """What follows the announced body is dropped, and a body that is cut off is refused with 400 and shown to
        nobody (fault:I5, RFC 3261 section 18.3)."""
        asking = self.raw(40000)
        whole = request(body=b"twelve chars", via="UDP peer.example;rport")
        self.say(asking, whole + b"MESSAGE more")
        self.say(asking, request(number=2, body=b"twelve chars", via="UDP peer.example;rport")[:-1])
        self.assertEqual([statuses(datagram) for datagram, _ in asking.received], [[200], [400]])
        self.assertEqual(self.heard, ["twelve chars"])
        self.assert_serves()

    def test_pushed_out(self) -> None:
        """Strangers under thousands of names push no flow out on which one of our requests waits (fault:I4)."""
        manager = self.bob.connection_manager
        quiet = self.raw(5070)
        sending = self.bob.send_message(f"sip:x@{self.stranger.addresses[0]}:5070", "x")
        self.network.advance(0.1)
        listening: Any = manager.listeners[0]
        for number in range(manager.limits.datagram_flows + 50):
            listening._factory.datagramReceived(b"noise", (f"10.9.{number // 250}.{number % 250}", 5060))
        self.network.advance(0.01)
        asked, source = quiet.received[0]
        transport: Any = quiet.transport
        transport.write(reply(asked), source)
        self.assertEqual(self.outcome(sending), 200)
        self.assertGreater(manager.keeper.hits["datagram_flows"], 0)


class RegistrarTests(UdpTestCase):
    """What a registrar says of keep-alives."""

    def test_flow_timer(self) -> None:
        """Flow-Timer in the answer to a REGISTER is an agreement about keep-alives; elsewhere it says nothing (row:E17,
        RFC 5626 section 4.4)."""
        for method, pinged in (("OPTIONS", False), ("REGISTER", True)):
            port = 5070 + pinged
            registrar = self.raw(port)
            transport: Any = registrar.transport
            registrar.answers = lambda data, source, wire=transport: (
                data[0] > 1
                and wire.write(reply(data).replace(b"Content-Length", b"Flow-Timer: 20\r\nContent-Length"), source)
            )
            sending = self.alice.request(method, f"sip:{self.stranger.addresses[0]}:{port}")
            self.assertEqual(self.outcome(sending), 200)
            self.network.advance(21)
            self.assertEqual(any(data[0] < 2 for data, _ in registrar.received), pinged)
