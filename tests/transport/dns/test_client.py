"""One question to real name servers on the loopback interface, good ones and broken ones."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryRefusedError, DNSServerError

from sip_p2p.transport.dns.client import DnsClient
from tests.support import SynchronousTestCase, TestCase
from tests.transport.name_servers import BrokenNameServer, NameServer, TcpAnswersFactory, reactor

NAME = "b.example"


def question(name: str = NAME, kind: int = dns.A) -> dns.Query:
    """What is asked."""
    return dns.Query(name.encode(), kind, dns.IN)


def response(asked: dns.Message, address: str = "10.0.0.1", **changes: Any) -> bytes:
    """An answer to *asked*, with whatever is wrong about it."""
    answer = dns.Message(asked.id, answer=1, recAv=1)
    answer.queries = changes.pop("queries", asked.queries)
    name = answer.queries[0].name.name if answer.queries else NAME.encode()
    answer.answers = [dns.RRHeader(name, dns.A, dns.IN, 60, dns.Record_A(address))]
    for name, value in changes.items():
        setattr(answer, name, value)
    return answer.toStr()


class ClientTestCase(TestCase):
    """A client, and the name servers that it asks."""

    def setUp(self) -> None:
        """None yet."""
        self.servers: list[Any] = []

    async def tearDown(self) -> None:
        """Everything is closed again."""
        for each in self.servers:
            await each.stop()
        await super().tearDown()

    def broken(self, answer: Any) -> BrokenNameServer:
        """A name server that answers as it is told."""
        self.servers.append(BrokenNameServer(answer))
        return self.servers[-1]

    def good(self, *records: str) -> NameServer:
        """One that knows *records*."""
        self.servers.append(NameServer(*records))
        return self.servers[-1]

    async def addresses(self, *servers: Any, schedule: tuple[float, ...] = (0.1, 0.1)) -> list[str]:
        """What is found for the name."""
        client = DnsClient(reactor, [each.address for each in servers], schedule)
        answers, _, _ = await client.query(question())
        return [each.payload.dottedQuad() for each in answers]


class GoodServerTests(ClientTestCase):
    """A real name server."""

    async def test_answer(self) -> None:
        """A question is asked by UDP and answered (row:E25)."""
        self.assertEqual(await self.addresses(self.good("b.example A 10.0.0.1")), ["10.0.0.1"])

    async def test_no_such_name(self) -> None:
        """That there is no such name is an answer, and no other name server is asked (fault:J3)."""
        one, two = self.good("c.example A 10.0.0.1"), self.good("b.example A 10.0.0.1")
        with self.assertRaises(DNSNameError):
            await self.addresses(one, two)
        self.assertEqual(list(two.zones.asked), [])

    async def test_truncated(self) -> None:
        """What does not fit into a datagram is asked for again by TCP (row:E25, RFC 7766)."""
        server = self.good(*(f"b.example A 10.0.0.{n}" for n in range(1, 101)))
        self.assertEqual(len(await self.addresses(server)), 100)
        self.assertEqual(list(server.zones.asked), ["A b.example", "A b.example"])

    async def test_default_servers(self) -> None:
        """Without more those of the machine are asked, and nothing is before that is needed (row:E25)."""
        self.assertTrue(DnsClient(reactor).servers)
        self.assertEqual(DnsClient(reactor, [("192.0.2.1", 53)]).servers, [("192.0.2.1", 53)])


class BrokenServerTests(ClientTestCase):
    """Name servers that are of no use."""

    async def test_silence(self) -> None:
        """One that says nothing is passed over for the next one; nobody at all is a timeout (fault:J3)."""
        silent = self.broken(lambda asked: [])
        self.assertEqual(await self.addresses(silent, self.good("b.example A 10.0.0.1")), ["10.0.0.1"])
        with self.assertRaises(DeferredTimeout):
            await self.addresses(silent)
        self.assertEqual(len({asked.id for asked in silent.questions}), len(silent.questions))

    async def test_failing(self) -> None:
        """One that fails or refuses is passed over for the next one; what all of them say is the outcome
        (fault:J3)."""
        for code, error in ((dns.ESERVER, DNSServerError), (dns.EREFUSED, DNSQueryRefusedError)):
            broken = self.broken(lambda asked, code=code: [response(asked, rCode=code, answers=[])])
            self.assertEqual(await self.addresses(broken, self.good("b.example A 10.0.0.1")), ["10.0.0.1"])
            with self.assertRaises(error):
                await self.addresses(broken)

    async def test_nobody_there(self) -> None:
        """A port where nobody listens is known at once, without waiting (fault:J3)."""
        gone = self.broken(lambda asked: [])
        await gone.stop()
        self.servers.remove(gone)
        found = await self.addresses(gone, self.good("b.example A 10.0.0.1"), schedule=(60.0,))
        self.assertEqual(found, ["10.0.0.1"])

    async def test_forgeries(self) -> None:
        """Garbage, another identifier, another question, a question instead of an answer: none of them counts, and the
        true answer behind them does (fault:J3, RFC 5452)."""

        def answer(asked: dns.Message) -> list[bytes]:
            other = [dns.Query(b"victim.example", dns.A, dns.IN)]
            return [
                b"",
                b"\x00" * 5,
                response(asked)[:20],
                # A name that points at itself.
                response(asked)[:12] + b"\xc0\x0c" * 20,
                response(asked, "10.6.6.6", id=asked.id ^ 1),
                response(asked, "10.6.6.6", answer=0),
                response(asked, "10.6.6.6", opCode=5),
                response(asked, "10.6.6.6", queries=other),
                response(asked, "10.6.6.6", queries=[dns.Query(NAME.encode(), dns.AAAA, dns.IN)]),
                response(asked, "10.6.6.6", queries=[]),
                response(asked, "10.0.0.1", queries=[dns.Query(b"B.Example", dns.A, dns.IN)]),
            ]

        self.assertEqual(await self.addresses(self.broken(answer)), ["10.0.0.1"])

    async def test_guessing(self) -> None:
        """An attempt that is showered with forgeries is given up, and the next has another identifier and port
        (fault:J3)."""
        forged = self.broken(lambda asked: [response(asked, "10.6.6.6", id=asked.id ^ n) for n in range(1, 100)])
        found = await self.addresses(forged, self.good("b.example A 10.0.0.1"), schedule=(60.0,))
        self.assertEqual(found, ["10.0.0.1"])

    async def test_from_elsewhere(self) -> None:
        """An answer that does not come from the name server that was asked is never seen (fault:J3)."""
        stranger = self.broken(lambda asked: [])
        reached: list[Any] = []

        class Elsewhere(BrokenNameServer):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                message = dns.Message()
                message.fromStr(datagram)
                reached.append(addr)
                assert stranger.transport is not None
                stranger.transport.write(response(message, "10.6.6.6"), addr)

        server = Elsewhere(lambda asked: [])
        self.servers.append(server)
        with self.assertRaises(DeferredTimeout):
            await self.addresses(server)
        self.assertEqual(len({port for _, port in reached}), 2)

    async def test_tcp_that_is_none(self) -> None:
        """A truncated answer whose TCP connection is refused, closed or silent leads on to the next name server
        (fault:J3)."""
        for behaviour in (None, lambda each, _: each.transport.loseConnection(), lambda each, _: None):
            by_tcp = None if behaviour is None else TcpAnswersFactory(behaviour)
            cut = BrokenNameServer(lambda asked: [response(asked, trunc=1)], by_tcp)
            self.servers.append(cut)
            self.assertEqual(await self.addresses(cut, self.good("b.example A 10.0.0.1")), ["10.0.0.1"])


class EndTests(SynchronousTestCase):
    """What is left of a question."""

    def test_given_up(self) -> None:
        """A question that is given up leaves neither port nor timer (fault:J2, fault:J3)."""

        class Reactor(MemoryReactorClock):
            def __init__(self) -> None:
                super().__init__()
                self.closed = 0

            def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
                outer = self

                class Port:
                    def stopListening(self) -> None:
                        outer.closed += 1

                return Port()

        made = Reactor()
        asking = DnsClient(made, [("192.0.2.1", 53)]).query(question())
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual((made.closed, made.getDelayedCalls()), (1, []))

    def test_no_way(self) -> None:
        """A name server to which there is no way costs nothing but its first turn, whatever the schedule: its port is
        closed again at once, and it is not asked again in the same breath (fault:J2, fault:J3, fault:H3)."""

        class Reactor(MemoryReactorClock):
            closed = 0

            def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
                outer = self

                class Port:
                    def connect(self, host: str, port: int) -> None:
                        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

                    def stopListening(self) -> None:
                        outer.closed += 1

                made = Port()
                protocol.makeConnection(made)
                return made

        made = Reactor()
        asking = DnsClient(made, [("2001:db8::1", 53), ("192.0.2.1", 53)], (1.0, 2.0, 4.0)).query(question())
        self.assertIn("unreachable", str(self.failureResultOf(asking, OSError).value))
        self.assertEqual((made.closed, made.getDelayedCalls()), (2, []))

    def test_no_port(self) -> None:
        """Where no port can be had at all, that is the failure (fault:J3)."""

        class Reactor(Clock):
            def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
                raise OSError("no descriptor is left")

        asking = DnsClient(Reactor(), [("192.0.2.1", 53)]).query(question())
        self.assertIn("descriptor", str(self.failureResultOf(asking, OSError).value))
