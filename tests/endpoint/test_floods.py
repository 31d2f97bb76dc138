"""Floods: what many, or one without measure, can do to a party, and that a good peer is served all the same."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from typing import Any, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent, globalLogPublisher

from sip_p2p import Limits, OverloadState
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.transaction.key import server_key
from sip_p2p.transport.load.overload import resident_memory
from tests.endpoint.support import Raw, StrangerTestCase, keep, octets
from tests.manual import ROOT
from tests.support import SynchronousTestCase


class FloodTestCase(StrangerTestCase):
    """Bob listens in clear text as well; afterwards a good peer is served and nothing is left."""

    limits = Limits()

    def setUp(self) -> None:
        """Bob's limits, and what he does with a message."""
        super().setUp()
        self.manager.limits = self.limits
        self.bob.message_received.subscribe(lambda event: None)

    def dial_many(self, count: int) -> None:
        """So many connections at once; whoever is not accepted waits."""
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        for _ in range(count):
            connecting = TCP4ClientEndpoint(self.stranger, self.address, 5060).connect(factory)
            connecting.addCallbacks(self.raw.append, lambda _: None)

    def assert_canary_lives(self) -> None:
        """A good peer is answered within a second of the network's time."""
        began = self.network.seconds()
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example", retry_after="never")), 200)
        self.assertLess(self.network.seconds() - began, 1)

    def assert_all_over(self) -> None:
        """Once the floods are over only the canary's connection is left, and then not even that."""
        self.hang_up()
        self.network.advance(40)
        self.assert_canary_lives()
        live = {name: count for name, count in self.manager.inventory().items() if count}
        self.assertEqual(live.keys() - {"deadlines"}, {"listeners", "connections", "flows"})
        self.assertEqual((live["connections"], live["flows"]), (1, 1))
        self.network.advance(200)
        live = {name: count for name, count in self.manager.inventory().items() if count}
        self.assertEqual(live, {"listeners": 2})


class ConnectionFloodTests(FloodTestCase):
    """Many connections."""

    def test_silent_handshakes(self) -> None:
        """Five hundred connections that never say hello take a share of the handshakes, and are gone after five
        seconds (fault:H1)."""
        for _ in range(500):
            self.dial(5061)
        self.assertEqual(self.manager.inventory()["handshakes"], 32)
        self.assert_canary_lives()
        self.network.advance(5.1)
        self.assertEqual(self.manager.inventory()["handshakes"], 0)
        self.assertGreater(self.manager.metrics()["limit_handshakes_per_address"], 400)
        self.assert_all_over()

    def test_trickles(self) -> None:
        """Five hundred that say a message an octet at a time are cut off ten seconds after its first, and meanwhile a
        good peer is served (fault:H2)."""
        self.manager.limits = Limits(connections_per_address=1000, connection_rate_per_address=0)
        self.manager.limits = self.manager.limits.replace(handshake_rate=0)
        self.dial_many(500)
        self.network.advance(1)
        for octet in octets()[:9]:
            for raw in self.raw:
                raw.send(bytes([octet]))
            self.network.advance(0.8)
            self.assert_canary_lives()
        self.assertEqual(self.manager.inventory()["flows"], 501)
        self.network.advance(4)
        self.assertEqual(self.manager.inventory()["flows"], 1)
        self.assert_canary_lives()
        self.assert_all_over()

    def test_handshakes_without_end(self) -> None:
        """A thousand connections a second are taken in at the pace that handshakes can be paid for; who is connected
        already is served as ever (fault:H4)."""
        self.manager.limits = Limits(handshake_rate=50, connection_rate_per_address=0, handshakes_per_address=10_000)
        self.assert_canary_lives()
        before = self.manager.metrics()["limit_handshake_rate"]
        accepted = 0
        for _ in range(40):
            self.dial_many(20)
            self.network.advance(0.05)
            accepted = max(accepted, self.manager.inventory()["connections"])
            self.assert_canary_lives()
        self.assertLess(accepted, 250)
        metrics = self.manager.metrics()
        self.assertGreater(metrics["limit_handshake_rate"], before + 2)
        self.assertGreater(metrics["accepting_pauses"], 2)
        self.hang_up()
        self.network.advance(20)
        self.assertEqual(self.manager.keeper.admission.is_paused, False)
        self.assert_all_over()


class MessageFloodTests(FloodTestCase):
    """Many messages."""

    limits = Limits(write_buffer=32 * 1024, write_buffer_hard=128 * 1024)

    def test_reads_nothing(self) -> None:
        """A peer that sends a hundred thousand OPTIONS and reads nothing is not read from, and then cut off; what
        waited for it was bounded, and nobody else is harmed (fault:G8, row:E18)."""
        raw = self.dial()
        cast("Any", raw.transport).pauseProducing()
        most = 0
        sent = 0
        batch = b"".join(octets(number=number) for number in range(500))
        while sent < 100_000:
            raw.send(batch)
            sent += 500
            self.network.advance(0.01)
            most = max(most, self.manager.inventory()["queued_octets"])
            if sent % 20_000 == 0:
                self.assert_canary_lives()
        self.assertIn(most, range(32 * 1024, 256 * 1024))
        self.assertEqual(self.manager.inventory()["throttled"], 1)
        self.network.advance(31)
        metrics = self.manager.metrics()
        self.assertEqual(
            (metrics["limit_stall_timeout"], metrics["live_flows"], metrics["live_queued_octets"]), (1, 1, 0)
        )
        self.assert_all_over()

    def test_many_that_read_nothing(self) -> None:
        """Together such peers cannot hold more than one bound for all of them: the worst is cut off first
        (fault:G8)."""
        self.manager.limits = self.limits.replace(write_buffer_total=100 * 1024, connection_rate_per_address=0)
        batch = b"".join(octets(number=number) for number in range(700))
        for _ in range(20):
            raw = self.dial()
            cast("Any", raw.transport).pauseProducing()
            raw.send(batch)
            self.network.advance(0.05)
            self.assertLess(self.manager.inventory()["queued_octets"], 100 * 1024 + 1)
        self.assertGreater(self.manager.metrics()["limit_write_buffer_total"], 5)
        self.assert_canary_lives()
        self.network.advance(40)
        self.assert_all_over()

    def test_request_flood(self) -> None:
        """While ten times what can be served comes in, memory reaches a plateau, the rest gets 503, and what the
        application has begun is finished (fault:H5, row:E20)."""
        self.manager.limits = self.limits.replace(transactions=200, pending_requests=100_000)
        held: list[Any] = []
        self.bob.handle("INFO", keep(held))
        raw = self.dial()
        number = 0
        sizes = []
        for round_number in range(40):
            for _ in range(200):
                number += 1
                raw.send(octets("INFO", number))
            self.network.advance(0.05)
            for event in held[:20]:
                event.respond(200)
            del held[:20]
            self.assertLessEqual(self.manager.inventory()["servers"], 200)
            if round_number % 10 == 9:
                gc.collect()
                sizes.append(resident_memory())
        self.assertIs(self.manager.overload, OverloadState.REJECT_NON_ESSENTIAL)
        self.assertLess(sizes[-1] - sizes[1], 8 * 1024 * 1024)
        for event in held:
            event.respond(200)
        self.network.advance(10)
        self.assertIs(self.manager.overload, OverloadState.NORMAL)
        self.assertGreater(raw.received.count(b"SIP/2.0 200"), 100)
        metrics = self.manager.metrics()
        self.assertGreater(metrics["core_refused_overloaded"] + metrics["core_dropped_overloaded"], 5000)
        self.assert_canary_lives()
        self.assert_all_over()

    def test_log(self) -> None:
        """A hundred thousand bad messages leave less than a mebibyte in the log (fault:H6)."""
        written = [0]

        def observe(event: dict[str, Any]) -> None:
            written[0] += len(formatEvent(event)) + 60

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        raw = self.dial()
        cast("Any", raw).dataReceived = lambda data: None
        bad = octets().replace(b"CSeq: 1 OPTIONS", b"CSeq: x").replace(b"Call-ID: c1", b"Call-ID:")
        ack = octets("ACK")
        for _ in range(100):
            raw.send((bad * 9 + ack) * 100)
            self.network.advance(0.1)
        counted = self.manager.metrics()
        self.assertGreater(counted["core_requests"] + counted["core_unparsable"], 90_000)
        self.assertLess(written[0], 1024 * 1024)
        self.assert_canary_lives()

    def test_crafted_keys(self) -> None:
        """A hundred thousand keys of a peer's choice fall evenly into our tables, whose keys are text with a random
        hash (fault:H8)."""
        held: list[Any] = []
        self.manager.limits = Limits(pending_requests=200_000)
        self.bob.handle("INFO", keep(held))
        raw = self.dial()
        crafted = [octets("INFO", 2**61 - 1 + number * 2**20) for number in range(100_000)]
        raw.send(b"".join(crafted[:1000]))
        self.network.advance(0.06)
        servers = self.manager.core.layer.table.servers
        flow = next(iter(servers.values())).flow
        # What becomes of the first of them becomes of all; parsing their Via is enough to see it.
        ends = [data.index(b"\r\n", data.index(b"Via")) for data in crafted]
        keys = {
            server_key(parse_message(data[:end] + b"\r\n\r\n"), flow, "INFO")
            for data, end in zip(crafted, ends, strict=True)
        }
        self.assertEqual((len(servers), servers.keys() - keys, len(keys)), (1000, set(), 100_000))
        self.assertEqual({type(key) for key in keys}, {str})
        buckets: dict[int, int] = {}
        for key in keys:
            place = hash(key) & (2**17 - 1)
            buckets[place] = buckets.get(place, 0) + 1
        self.assertLess(max(buckets.values()), 20)
        self.assert_canary_lives()


class PredictableHashTests(SynchronousTestCase):
    """A process with its hashes in everybody's hand."""

    def test_warning(self) -> None:
        """Who switches the randomness of hashes off is told what that means (fault:H8)."""
        program = (
            "import sys\n"
            "from twisted.internet.task import Clock\n"
            "from twisted.logger import globalLogBeginner, textFileLogObserver\n"
            "from sip_p2p import RealTimeServerTcpConnectionManager\n"
            "globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)\n"
            "RealTimeServerTcpConnectionManager(Clock())\n"
        )
        for seed, warned in (("0", True), ("random", False)):
            found = subprocess.run(
                [sys.executable, "-c", program],
                env=os.environ | {"PYTHONHASHSEED": seed},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual("PYTHONHASHSEED=0" in found.stdout, warned, found.stdout)


_FEW_DESCRIPTORS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from twisted.internet import reactor
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from sip_p2p import RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint

async def main(reactor):
    manager = RealTimeServerTcpConnectionManager(reactor)
    party = SipPeerToPeerEndpoint("sip:bob@127.0.0.1", manager)
    await manager.start_listening("tcp:port=0:interface=127.0.0.1")
    print(manager.listening_port, flush=True)
    peer = (await deferToThread(sys.stdin.readline)).strip()
    for _ in range(3):
        response = await party.request("OPTIONS", f"sip:peer@127.0.0.1:{peer};transport=tcp", timeout=50)
        print("dialled", response.status, manager.metrics()["accepting_pauses"] > 0, flush=True)
        for flow in list(manager.pool):
            if not flow.is_incoming:
                flow.close()
        await deferToThread(sys.stdin.readline)
    print("live", manager.inventory()["flows"], flush=True)
    await manager.terminate()

react(main)
"""


class DescriptorTests(SynchronousTestCase):
    """A process with few descriptors."""

    def is_served(self, port: int) -> bool:
        """Whether a good peer gets its answer; it may have come in one moment with too many of the flood."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as good:
                good.sendall(octets())
                return b"SIP/2.0" in good.recv(4096)
        except OSError:
            return False

    def test_two_thousand_connections(self) -> None:
        """With 64 descriptors and 2000 connections that want in, accepting pauses, dialling goes on, and when the flood
        is over peers are served again (fault:H3)."""
        answers = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(answers.close)
        program = subprocess.Popen(
            [sys.executable, "-c", _FEW_DESCRIPTORS],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        out, into = cast("Any", program.stdout), cast("Any", program.stdin)
        port = int(out.readline())
        flood: list[socket.socket] = []
        self.addCleanup(lambda: [one.close() for one in flood])
        for _ in range(2000):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            flood.append(one)
            if len(flood) > 400:
                flood.pop(0).close()
        into.write(f"{answers.getsockname()[1]}\n")
        into.flush()
        for number in range(3):
            answers.settimeout(60)
            connection, _ = answers.accept()
            connection.settimeout(60)
            asked = connection.recv(65536)
            connection.sendall(b"SIP/2.0 200 OK\r\n" + asked.partition(b"\r\n")[2])
            self.assertEqual(out.readline().split(), ["dialled", "200", "True"])
            connection.close()
            if number == 1:
                for one in flood:
                    one.close()
                flood.clear()
                self.assertTrue(any(self.is_served(port) for _ in range(100)))
            into.write("\n")
            into.flush()
        self.assertEqual(out.readline().split()[0], "live")
