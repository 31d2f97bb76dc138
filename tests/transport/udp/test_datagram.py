"""SIP on UDP: one message a datagram, and answers only to where a request really came from."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.outputs import TransactionFailed
from sip_p2p.sip.parse import parse_message
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.target import Target
from sip_p2p.transport.udp.datagram import DatagramFlow, DatagramPort
from tests.support import SynchronousTestCase, TestCase
from tests.transport.flow_bench import Bench, Owner, outgoing, request, statuses
from tests.transport.sides import Side


class Raw(DatagramProtocol):
    """A peer that keeps what it gets."""

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, tuple[str, int]]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))

    @property
    def statuses(self) -> list[int]:
        """The statuses of what came."""
        return [status for datagram, _ in self.received for status in statuses(datagram)]


class Tapped:
    """A tap that keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        self.seen.append((direction, data))


class DatagramTestCase(SynchronousTestCase):
    """Bob listens on UDP; a stranger has a few ports."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.bob = Side(self.network, "b.example", tls=False, limits=Limits(datagram_flows=4))
        self.bob.user.answers = self.bob.answer
        self.listening = self.bob.listen("UDP", 5060)
        self.port: DatagramPort = self.listening.protocol
        self.stranger = self.network.host()
        self.victim = self.network.host()
        self.opened: list[Any] = []
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """End everything, and find nothing left."""
        for listening in self.opened:
            listening.stopListening()
        self.bob.close()
        self.network.assert_quiet()

    def raw(self, port: int, host: Any = None) -> Raw:
        """A peer on this port."""
        raw = Raw()
        self.opened.append((host or self.stranger).listenUDP(port, raw))
        return raw

    def send(self, raw: Raw, data: bytes) -> None:
        """Send one datagram to Bob, and let time pass."""
        raw.transport.write(data, (self.bob.address, 5060))
        self.network.advance(0.1)


class ResponseTests(DatagramTestCase):
    """Where a response goes (RFC 3261 section 18.2.2, RFC 3581)."""

    def test_rport(self) -> None:
        """With rport the answer goes to the port that the request came from, and says which that was (fault:I4,
        row:E29, RFC 3581 section 4)."""
        asking, named = self.raw(40000), self.raw(5070)
        self.send(asking, request(via="UDP peer.example:5070;rport"))
        self.assertEqual((asking.statuses, named.statuses), ([200], []))
        via = parse_message(asking.received[0][0]).via
        self.assertEqual((via.rport, via.received), (40000, self.stranger.addresses[0]))

    def test_sent_by(self) -> None:
        """Without rport it goes to the port of sent-by, or to 5060, at the address that the request came from
        (fault:I4, row:E29)."""
        asking, named, usual = self.raw(40000), self.raw(5070), self.raw(5060)
        self.send(asking, request(number=1, via="UDP peer.example:5070"))
        self.assertEqual((asking.statuses, named.statuses, usual.statuses), ([], [200], []))
        via = parse_message(named.received[0][0]).via
        self.assertEqual((via.rport, via.received), (None, self.stranger.addresses[0]))
        for number, sent_by in ((2, "peer.example"), (3, "peer.example:0")):
            self.send(asking, request(number=number, via=f"UDP {sent_by}"))
        self.assertEqual((asking.statuses, usual.statuses), ([], [200, 200]))

    def test_spoofed_source(self) -> None:
        """What a Via claims never sends an answer to somebody else: not its sent-by, not its received, not its maddr
        (fault:I4, fault:C3)."""
        asking, attacked = self.raw(5060), self.raw(5060, self.victim)
        target = self.victim.addresses[0]
        for number, via in enumerate(
            (
                f"UDP {target}",
                f"UDP {target}:5060;rport",
                f"UDP peer.example;received={target}",
                f"UDP peer.example;maddr={target}",
                f"UDP peer.example;received={target};rport=5060",
            )
        ):
            self.send(asking, request(number=number, via=via))
        self.assertEqual((asking.statuses, attacked.received), ([200] * 5, []))
        for datagram, _ in asking.received:
            self.assertEqual(parse_message(datagram).via.received, self.stranger.addresses[0])

    def test_what_cannot_be_parsed(self) -> None:
        """A request that cannot be parsed is answered to where it came from; what is no request is not answered
        (fault:A1, row:E21)."""
        asking, named = self.raw(40000), self.raw(5070)
        self.send(asking, request(via="UDP peer.example:5070", body=b"x").replace(b"Length: 1", b"Length: 2"))
        self.assertEqual((asking.statuses, named.statuses), ([400], []))
        for octets in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
            b"\x00\x01\x00\x00!\x12\xa4\x42",
        ):
            self.send(asking, octets)
        self.send(asking, request("OPTIONS", 2, via="]["))
        self.assertEqual((asking.statuses, named.statuses), ([400, 400], []))

    def test_content_length(self) -> None:
        """What follows a body of the announced length is dropped; a body that is shorter is 400 (fault:I5)."""
        asking = self.raw(40000)
        octets = request(number=1, via="UDP peer.example;rport", body=b"12345")
        self.send(asking, octets + request(number=2, via="UDP peer.example;rport"))
        self.assertEqual([output.request.body for output in self.bob.user.told], [b"12345"])
        self.send(asking, request(number=3, via="UDP peer.example;rport", body=b"12345")[:-1])
        self.assertEqual(asking.statuses, [200, 400])

    def test_keep_alives(self) -> None:
        """Empty datagrams and line ends are counted and need no answer."""
        asking = self.raw(40000)
        for octets in (b"", b"\r\n\r\n", b"\r\n", b"\0"):
            self.send(asking, octets)
        self.assertEqual((asking.received, self.port.ignored, self.bob.core.counters.unparsable), ([], 4, 0))

    def test_retransmission(self) -> None:
        """A request that comes again is answered again, and shown to nobody (fault:I1, RFC 3261 section 17.2.2)."""
        asking = self.raw(40000)
        for _ in range(3):
            self.send(asking, request(via="UDP peer.example;rport"))
        self.assertEqual((asking.statuses, len(self.bob.user.told)), ([200] * 3, 1))
        self.assertEqual(len({datagram for datagram, _ in asking.received}), 1)
        self.network.advance(40)
        self.assertEqual(sum(self.bob.core.layer.inventory().values()), 0)

    def test_one_message_a_datagram(self) -> None:
        """What leaves in one turn leaves in a datagram each (RFC 3261 section 18.3)."""
        asking = self.raw(40000)
        held: list[Any] = []
        self.bob.user.answers = held.append
        for number in range(3):
            self.send(asking, request(number=number, via="UDP peer.example;rport"))
        for output in held:
            self.bob.answer(output)
        self.network.advance(0.1)
        self.assertEqual([statuses(datagram) for datagram, _ in asking.received], [[200]] * 3)

        def ask_back(output: Any) -> None:
            for number in (1, 2):
                self.bob.driver.request(outgoing(number=number), output.flow, "caller")

        self.bob.user.answers = ask_back
        self.send(asking, request(number=9, via="UDP peer.example;rport"))
        self.assertEqual(len(asking.received), 5)

    def test_tap(self) -> None:
        """A tap sees each datagram that is a message or wants to be one."""
        asking, tap = self.raw(40000), Tapped()
        self.bob.driver.add_tap(tap)
        octets = request(via="UDP peer.example;rport")
        self.send(asking, octets)
        self.send(asking, b"\r\n\r\n")
        self.assertEqual([direction for direction, _ in tap.seen], ["in", "out"])
        self.assertEqual((tap.seen[0][1], tap.seen[1][1]), (octets, asking.received[0][0]))


class SendingTests(DatagramTestCase):
    """What we send."""

    def test_flow(self) -> None:
        """A flow is a pair of addresses that proves nothing about anybody (row:E12)."""
        flow = self.bob.keeper.datagrams.flow_to(Target("udp", "10.9.9.9", 5070))
        self.assertIs(self.bob.keeper.datagrams.flow_to(Target("udp", "10.9.9.9", 5070)), flow)
        self.assertEqual((flow.transport, flow.reliable, flow.is_secure), ("UDP", False, False))
        self.assertEqual((flow.remote_host, flow.remote_port, flow.local_port), ("10.9.9.9", 5070, 5060))
        self.assertEqual((flow.peer, flow.verified), ("", None))

    def test_own_address(self) -> None:
        """A port that is bound to every address names the one from which it writes, never 0.0.0.0 (row:E28,
        fault:J8)."""
        flow = self.bob.keeper.datagrams.flow_to(Target("udp", self.stranger.addresses[0], 5070))
        self.assertEqual((flow.local_host, flow.sent_by), (self.bob.address, f"{self.bob.address}:5060"))
        self.assertNotIn("0.0.0.0", self.bob.keeper.datagrams.flow_to(Target("udp", "203.0.113.1")).sent_by)

    def test_from_the_port_that_listens(self) -> None:
        """A request leaves from the port that listens, and its answer is found (RFC 3581 section 4)."""
        asked = self.raw(5070)
        flow = self.bob.keeper.datagrams.flow_to(Target("udp", self.stranger.addresses[0], 5070))
        self.bob.driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        sent, source = asked.received[0]
        self.assertEqual(source, (self.bob.address, 5060))
        bench = Bench()
        answer = bench.reply(_Written(sent))  # type: ignore[arg-type]
        self.send(asked, answer)
        self.assertEqual(self.bob.user.names, ["ResponseReceived"])

    def test_forged_answer(self) -> None:
        """A response from another address than the one that was asked is nobody's (fault:C1, fault:I4)."""
        asked, forger = self.raw(5070), self.raw(5070, self.victim)
        flow = self.bob.keeper.datagrams.flow_to(Target("udp", self.stranger.addresses[0], 5070))
        self.bob.driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        answer = Bench().reply(_Written(asked.received[0][0]))  # type: ignore[arg-type]
        self.send(forger, answer)
        self.assertEqual(self.bob.user.told, [])
        self.send(asked, answer)
        self.assertEqual(self.bob.user.names, ["ResponseReceived"])

    def test_what_the_network_refuses(self) -> None:
        """A datagram that the system refuses, or that is too long for any, is lost like any other, and the next one
        goes out (fault:I3)."""
        asking = self.raw(5070)
        unreachable = self.bob.keeper.datagrams.flow_to(Target("udp", "fd00::9"))
        self.assertEqual(unreachable.local_host, "::")
        unreachable.cork(b"x")
        unreachable.flush()
        self.assertEqual(self.bob.keeper.datagrams.ignored, 1)
        flow = self.port.flow_to(self.stranger.addresses[0], 5070)
        for data in (b"x" * 70_000, b"after"):
            flow.cork(data)
        flow.flush()
        self.network.advance(0.1)
        self.assertEqual([datagram for datagram, _ in asking.received], [b"after"])
        self.assertEqual(self.port.ignored, 1)

    def test_ends(self) -> None:
        """Closing and aborting do nothing: UDP has no connection, and the address may be somebody else's next time
        (row:E11)."""
        flow = self.bob.keeper.datagrams.flow_to(Target("udp", "10.9.9.9"))
        flow.close()
        flow.abort()
        flow.close()
        self.assertTrue(flow.is_open)
        self.assertIs(self.bob.keeper.datagrams.flow_to(Target("udp", "10.9.9.9")), flow)

    def test_bounded(self) -> None:
        """So many peers are remembered; the one not heard of for longest gives way, and loses nothing by that."""
        kept = self.port.flow_to("10.9.9.0", 5060)
        for number in range(1, 4):
            self.port.flow_to(f"10.9.9.{number}", 5060)
        self.assertIs(self.port.flow_to("10.9.9.0", 5060), kept)
        self.port.flow_to("10.9.9.4", 5060)
        self.assertIs(self.port.flow_to("10.9.9.0", 5060), kept)
        asking = self.raw(40000)
        self.bob.user.answers = None
        self.send(asking, request(via="UDP peer.example;rport"))
        for number in range(10):
            self.port.flow_to(f"10.9.8.{number}", 5060)
        self.bob.answer(self.bob.user.told[0])
        self.network.advance(0.1)
        self.assertEqual(asking.statuses, [200])

    def test_leased(self) -> None:
        """A flow that somebody holds stays, however many others come, until it is let go (row:E5, row:C14)."""
        port = self.port
        held = [port.flow_to("10.3.3.3", number) for number in range(1, 4)]
        leases = [flow.lease() for flow in held]
        for number in range(100, 120):
            port.flow_to("10.3.3.4", number)
        self.assertEqual([port.flow_to("10.3.3.3", number) for number in range(1, 4)], held)
        held.append(port.flow_to("10.3.3.5", 1))
        leases.append(held[-1].lease())
        others = [port.flow_to("10.3.3.6", number) for number in range(1, 4)]
        self.assertEqual(port.flow_to("10.3.3.5", 1), held[-1])
        for lease in leases:
            lease.release()
        for number in range(200, 204):
            port.flow_to("10.3.3.4", number)
        self.assertNotIn(port.flow_to("10.3.3.3", 1), [*held, *others])

    def test_strangers_push_out_strangers(self) -> None:
        """However many come under invented addresses, those to whom we write are remembered, and nobody else is
        (fault:H5)."""
        ours = [self.port.flow_to(f"10.9.9.{number}", 5060) for number in range(3)]
        asking = self.raw(40000)
        for number in range(20):
            self.send(asking, request(via=f"UDP peer.example:{6000 + number}", number=number))
        self.assertEqual([self.port.flow_to(f"10.9.9.{number}", 5060) for number in range(3)], ours)
        self.port.flow_to("10.9.9.3", 5060)
        self.send(asking, request(via="UDP peer.example;rport", number=99))
        self.assertEqual(asking.statuses, [200])

    def test_no_descriptor_is_left(self) -> None:
        """Where no descriptor is left to find our own address with, what comes is dealt with all the same
        (fault:H3)."""
        asking = self.raw(40000)
        transport: Any = self.port.transport

        class Exhausted:
            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

            def createInternetSocket(self) -> Any:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.port.transport = Exhausted()
        self.send(asking, request(via="UDP peer.example;rport"))
        self.port.transport = transport
        self.assertEqual(asking.statuses, [200])

    def test_what_does_not_arrive(self) -> None:
        """An error ends our requests, and not the peer's: what it sends again is no new request, and has its answer
        (fault:I6, fault:C4, RFC 6026 section 8.8)."""
        self.bob.user.answers = None
        asking = self.raw(40000)
        asked = request(via="UDP peer.example;rport")
        self.send(asking, asked)
        flow = self.port.flow_to(self.stranger.addresses[0], 40000)
        self.bob.driver.request(outgoing(), flow, "caller")
        self.network.advance(0.1)
        sent = asking.received[0][0]
        for _ in range(3):
            self.port.unreachable(flow.address, sent, errno.ECONNREFUSED)
        self.assertEqual(self.bob.user.names, ["RequestReceived", "TransactionFailed"])
        self.send(asking, asked)
        self.assertEqual((flow.is_open, self.bob.lost, len(self.bob.user.told)), (True, [], 2))
        self.bob.answer(self.bob.user.told[0])
        self.network.advance(0.1)
        self.assertEqual(asking.statuses, [200])
        self.bob.driver.request(outgoing(number=2), flow, "caller")
        self.network.advance(0.1)
        for _ in range(2):
            self.port.unreachable(flow.address, asking.received[-1][0], errno.ECONNREFUSED)
        self.assertEqual((flow.is_open, self.bob.user.names[2:]), (False, ["TransactionFailed"]))

    def test_the_port_is_closed(self) -> None:
        """What a port carried fails when it is closed; afterwards nothing is written, and nobody minds (row:C8,
        fault:J2)."""
        flow = self.bob.keeper.datagrams.flow_to(Target("udp", "10.9.9.9"))
        self.bob.driver.request(outgoing(), flow, "caller")
        self.network.run_until(self.listening.stopListening())
        (ended,) = self.bob.user.told
        assert isinstance(ended, TransactionFailed)
        self.assertIsInstance(ended.reason, ConnectionFailure)
        self.assertFalse(flow.is_open)
        flow.cork(b"too late")
        flow.flush()
        self.assertEqual(sum(self.bob.core.layer.inventory().values()), 0)


class _Written:
    """Octets that were written, for :meth:`.Bench.reply`."""

    def __init__(self, octets: bytes) -> None:
        self.writes = [octets]


class FlowTests(SynchronousTestCase):
    """Without a network."""

    def test_repr(self) -> None:
        """A flow says in a log what it is."""
        bench = Bench()
        flow = DatagramFlow(DatagramPort(Owner(bench.driver)), "x", ("192.0.2.1", 5060), ("192.0.2.9", 5070))
        self.assertEqual(repr(flow), "<UDP flow to 192.0.2.9:5070>")


class RealPortTests(TestCase):
    """On a real socket."""

    async def test_room_for_what_comes_while_we_are_busy(self) -> None:
        """A UDP port asks the system for more room than it gives by itself; what it refuses is done without."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            by_itself = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        bench = Bench()
        port = reactor.listenUDP(0, DatagramPort(Owner(bench.driver)), interface="127.0.0.1")
        try:
            self.assertLess(port.maxThroughput, 65536)
            granted = port.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        finally:
            await port.stopListening()
        self.assertGreater(granted, by_itself)
