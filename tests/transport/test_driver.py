"""The driver: what the core says is done in order, in one write a flow and turn, by one delayed call."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, InvalidOperation
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.framing import PING
from sip_p2p.sip.outputs import RequestReceived, ResponseReceived, TransactionFailed, TransactionTimedOut
from sip_p2p.sip.parse import MalformedMessage, parse_message, salvage
from sip_p2p.transport.deadlines import Deadlines
from sip_p2p.transport.driver import Driver
from sip_p2p.transport.flow import LiveFlow
from tests.support import MemoryTestCase, TestCase
from tests.transport.flow_bench import Bench, CountedFlow, StreamBench, outgoing, request, statuses

DAY = 86400.0


class OutputTests(SynchronousTestCase):
    """What the core says, carried out."""

    def setUp(self) -> None:
        self.bench = Bench()
        self.user = self.bench.user
        self.driver = self.bench.driver

    def test_one_write_a_turn(self) -> None:
        """All that one delivery gives rise to leaves in one write, in the order of the requests."""
        flow = CountedFlow()
        self.user.answers = self.bench.answer
        self.bench.receive(flow, *(request(number=number) for number in range(20)))
        (written,) = flow.writes
        self.assertEqual(statuses(written), [200] * 20)
        positions = [written.index(b"Call-ID: call-%d\r\n" % number) for number in range(20)]
        self.assertEqual(positions, sorted(positions))

    def test_turn(self) -> None:
        """What several flows bring in one turn is dealt with at its end, in order, and each of them is written to
        once."""
        log: list[str] = []
        flow, other = CountedFlow(1, log=log), CountedFlow(2, log=log)
        self.user.answers = self.bench.answer
        for number, each in enumerate((flow, other, flow)):
            self.driver.received(each, [parse_message(request(number=number))])
        self.assertEqual((self.user.told, len(self.bench.calls())), ([], 1))
        self.bench.end_turn()
        self.assertEqual([output.request.call_id for output in self.user.told], ["call-0", "call-1", "call-2"])
        self.assertEqual(log, ["write 1", "write 2"])
        self.assertEqual((statuses(flow.writes[0]), statuses(other.writes[0])), ([200, 200], [200]))

    def test_dialog_before_its_requests(self) -> None:
        """RFC 3261 section 13.2.2: what makes a dialog is told before a request behind it, which may belong to that
        dialog, is looked at."""
        for number, (method, status, looked_at) in enumerate(
            (("INVITE", 180, 0), ("INVITE", 200, 0), ("INVITE", 100, 1), ("INVITE", 486, 1), ("MESSAGE", 200, 1))
        ):
            flow = CountedFlow()
            before = self.bench.core.counters.requests
            seen: list[int] = []
            self.user.hears = lambda output, s=seen, b=before: s.append(self.bench.core.counters.requests - b)
            self.driver.request(outgoing(method, number), flow, "caller")
            self.bench.receive(flow, self.bench.reply(flow, status), request(number=number))
            self.assertEqual(seen, [looked_at], (method, status))

    def test_turn_that_brings_much(self) -> None:
        """What a turn brings is not let grow without bound: many messages do not wait for its end (fault:A7)."""
        flow = CountedFlow()
        self.user.answers = self.bench.answer
        many = [parse_message(request(number=number)) for number in range(513)]
        self.driver.received(flow, many)
        self.assertEqual((len(statuses(flow.writes[0])), len(self.bench.calls())), (513, 0))

    def test_lost_at_once(self) -> None:
        """A request is heard of although its flow is lost in the turn that brought it (fault:C4)."""
        flow = CountedFlow()
        self.driver.received(flow, [parse_message(request())])
        self.driver.flow_failed(flow, ConnectionFailure("gone"))
        self.assertEqual(self.user.names, ["RequestReceived", "RequestAbandoned"])

    def test_in_time(self) -> None:
        """A response that came before its timer ran out counts, although both are looked at in one turn."""
        flow = CountedFlow()
        self.driver.request(outgoing(), flow, "caller")
        reply = self.bench.reply(flow)
        self.bench.clock.rightNow += 3600.0
        self.driver.received(flow, [parse_message(reply)])
        self.bench.end_turn()
        self.assertEqual(self.user.names, ["ResponseReceived"])

    def test_what_the_core_cannot_take(self) -> None:
        """A fault of ours with one flow's messages is logged, costs that flow, and reaches no other."""
        flow, other = CountedFlow(1), CountedFlow(2)
        self.user.answers = self.bench.answer
        self.driver.received(flow, [object()])
        self.driver.received(other, [parse_message(request())])
        self.bench.end_turn()
        self.assertEqual((flow.log, statuses(other.writes[0])), (["abort 1"], [200]))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_one_write_each(self) -> None:
        """Of two flows that one turn touches each is written to once, the first touched first."""
        log: list[str] = []
        flow, other = CountedFlow(1, log=log), CountedFlow(2, log=log)

        def forward(output: RequestReceived) -> None:
            self.driver.request(outgoing(number=len(self.user.told)), other, "forwarder")
            self.bench.answer(output)

        self.user.answers = forward
        self.bench.receive(flow, request(number=1), request(number=2))
        self.assertEqual(log, ["write 2", "write 1"])
        self.assertEqual(len(other.writes[0].split(b"MESSAGE sip:user@example.com")), 3)
        self.assertEqual(statuses(flow.writes[0]), [200, 200])

    def test_one_write_on_a_transport(self) -> None:
        """The transport of a connection sees one write for a delivery of many requests, and none for no answer."""
        bench = StreamBench()
        bench.user.answers = bench.answer
        protocol, wire = bench.connect()
        protocol.dataReceived(b"".join(request(number=number) for number in range(30)))
        bench.end_turn()
        self.assertEqual([statuses(data) for data in wire.writes], [[200] * 30])
        protocol.dataReceived(b"\r\n")
        protocol.dataReceived(request("ACK", 31))
        bench.end_turn()
        self.assertEqual(len(wire.writes), 1)

    def test_order(self) -> None:
        """The user hears of requests, responses and ends in the order in which they came about."""
        flow = CountedFlow()
        self.driver.request(outgoing(), flow, "caller")
        reply = self.bench.reply(flow)
        self.bench.receive(flow, request(number=1), reply, request(number=2))
        self.driver.flow_failed(flow, ConnectionFailure("gone"))
        self.assertEqual(
            self.user.names,
            ["RequestReceived", "ResponseReceived", "RequestReceived", "RequestAbandoned", "RequestAbandoned"],
        )

    def test_user_is_known_before_anything_is_written(self) -> None:
        """A write that finds the flow gone fails the transaction, and its user is told already (fault:C4, row:E13)."""
        flow = CountedFlow()
        flow.on_flush = lambda: self.driver.flow_failed(flow, ConnectionFailure("reset"))
        transaction = self.driver.request(outgoing(), flow, "caller")
        (ended,) = self.user.told
        assert isinstance(ended, TransactionFailed)
        self.assertIs(ended.transaction, transaction)
        self.assertEqual((ended.transaction.user, str(ended.reason)), ("caller", "reset"))
        self.assertEqual(sum(self.bench.core.layer.inventory().values()), 0)

    def test_refused_request(self) -> None:
        """A request that the core does not take is raised to the caller, and nothing is written or kept."""
        flow = CountedFlow()
        self.assertRaises(InvalidOperation, self.driver.request, outgoing("ACK"), flow, "caller")
        self.assertEqual((flow.writes, sum(self.bench.core.layer.inventory().values())), ([], 0))

    def test_asked_again_from_within(self) -> None:
        """What the user asks for while it is being told is done after that, in order, and in the same write
        (fault:K5)."""
        flow = CountedFlow()
        heard: list[str] = []

        def answer(output: RequestReceived) -> None:
            heard.append("begin")
            self.bench.answer(output)
            self.driver.request(outgoing(number=len(heard)), flow, "caller")
            self.driver.drain()
            self.assertEqual(flow.writes, [])
            heard.append("end")

        self.user.answers = answer
        self.bench.receive(flow, request(number=1), request(number=2))
        self.assertEqual(heard, ["begin", "end", "begin", "end"])
        (written,) = flow.writes
        kinds = [line.split()[0] for line in written.split(b"\r\n") if b"SIP/2.0" in line and b"Via" not in line]
        self.assertEqual(kinds, [b"SIP/2.0", b"MESSAGE", b"SIP/2.0", b"MESSAGE"])

    def test_lost_from_within(self) -> None:
        """A flow that is lost while its request is being handled takes the request with it, and nothing is written
        after that (fault:K5, fault:C4)."""
        flow = CountedFlow()

        def lose(output: RequestReceived) -> None:
            self.driver.flow_failed(flow, ConnectionFailure("reset"))
            self.assertRaises(InvalidOperation, self.bench.answer, output)

        self.user.answers = lose
        self.bench.receive(flow, request(number=1))
        self.assertEqual(self.user.names, ["RequestReceived", "RequestAbandoned"])
        self.assertEqual((flow.writes, self.flushLoggedErrors()), ([], []))

    def test_raising_user(self) -> None:
        """A user that raises is logged, once each time, and everybody else is served (fault:K1)."""
        flow = CountedFlow()

        def raising(output: RequestReceived) -> None:
            if output.request.call_id == "call-2":
                raise ZeroDivisionError
            self.bench.answer(output)

        self.user.answers = raising
        self.bench.receive(flow, *(request(number=number) for number in (1, 2, 3)))
        self.assertEqual(statuses(flow.writes[0]), [200, 200])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.bench.receive(flow, request(number=4))
        self.assertEqual(len(flow.writes), 2)

    def test_raising_when_told_of_an_end(self) -> None:
        """A user that raises on the end of one transaction still hears of the others (fault:K1)."""
        flow = CountedFlow()
        for number in range(3):
            self.driver.request(outgoing(number=number), flow, number)

        def raising(output: TransactionFailed) -> None:
            raise ValueError(output.transaction.user)

        self.user.hears = raising
        self.driver.flow_failed(flow, ConnectionFailure("reset"))
        self.assertEqual([output.transaction.user for output in self.user.told], [0, 1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_raising_flow(self) -> None:
        """A flow whose write raises is logged and dropped; the other flows of that turn, and it itself, can go on."""
        log: list[str] = []
        bad, good = CountedFlow(1, log=log), CountedFlow(2, log=log)

        def fail() -> None:
            bad.on_flush = None
            raise RuntimeError("no such buffer")

        bad.on_flush = fail

        def both(output: RequestReceived) -> None:
            self.bench.answer(output)
            self.driver.request(outgoing(), good, "caller")

        self.user.answers = both
        self.bench.receive(bad, request(number=1))
        self.assertEqual(log, ["abort 1", "write 2"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.user.answers = self.bench.answer
        self.bench.receive(bad, request(number=2))
        self.assertEqual(log[2:], ["write 1"])

    def test_close(self) -> None:
        """What was said before a flow is closed is written first; the flow is closed once (row:E11, fault:A4)."""
        flow = CountedFlow()
        self.user.answers = self.bench.answer
        broken = request(number=2).replace(b"Content-Length: 1", b"Content-Length: x")
        unparsable = salvage(broken, MalformedMessage("Content-Length"), loses_framing=True)
        self.driver.received(flow, [parse_message(request(number=1)), unparsable])
        self.bench.end_turn()
        self.assertEqual(flow.log, ["write 40000", "close 40000"])
        self.assertEqual(statuses(flow.writes[0]), [400, 200])

    def test_keep_alive(self) -> None:
        """A ping is answered at once, together with everything else of that delivery (RFC 5626 section 5.4)."""
        flow = CountedFlow()
        self.user.answers = self.bench.answer
        self.driver.received(flow, [PING, parse_message(request())])
        self.bench.end_turn()
        (written,) = flow.writes
        self.assertTrue(written.startswith(b"\r\nSIP/2.0 200"))

    def test_acknowledgement_and_provisional_response(self) -> None:
        """An ACK for nothing and a provisional response reach the user, too."""
        flow = CountedFlow()
        transaction = self.driver.request(outgoing(), flow, "caller")
        self.bench.receive(flow, request("ACK", 1), self.bench.reply(flow, 180))
        self.assertEqual(self.user.names, ["AckReceived", "ResponseReceived"])
        response = self.user.told[1]
        assert isinstance(response, ResponseReceived)
        self.assertIs(response.transaction, transaction)

    def test_abandoned(self) -> None:
        """Of a request that was abandoned nothing is told any more; its response is absorbed (row:F9)."""
        flow = CountedFlow()
        transaction = self.driver.request(outgoing(), flow, "caller")
        self.driver.abandon(transaction)
        self.bench.receive(flow, self.bench.reply(flow))
        self.assertEqual(self.user.told, [])
        self.assertEqual(self.bench.core.layer.inventory()["clients"], 0)


class Tapped:
    """A tap that keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, float]] = []

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        self.seen.append((direction, data, now))


class Raising:
    """A tap that raises."""

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        raise ZeroDivisionError


class TapTests(SynchronousTestCase):
    """Who looks on."""

    def test_every_message(self) -> None:
        """A tap sees each message that is sent, one by one though they leave together, at the time of day."""
        bench, flow, tap = Bench(), CountedFlow(), Tapped()
        bench.user.answers = bench.answer
        self.assertFalse(bench.driver.is_tapped)
        bench.driver.add_tap(tap)
        self.assertTrue(bench.driver.is_tapped)
        bench.receive(flow, request(number=1), request(number=2))
        self.assertEqual([direction for direction, _, _ in tap.seen], ["out", "out"])
        self.assertEqual(b"".join(data for _, data, _ in tap.seen), flow.writes[0])
        self.assertGreater(tap.seen[0][2], 1.6e9)
        bench.driver.remove_tap(tap)
        bench.driver.remove_tap(tap)
        bench.receive(flow, request(number=3))
        self.assertEqual(len(tap.seen), 2)

    def test_raising(self) -> None:
        """A tap that raises is logged; messages go their way, and other taps see them (fault:K1)."""
        bench, flow, tap = Bench(), CountedFlow(), Tapped()
        bench.user.answers = bench.answer
        bench.driver.add_tap(Raising())
        bench.driver.add_tap(tap)
        bench.receive(flow, request())
        self.assertEqual(statuses(flow.writes[0]), [200])
        self.assertEqual(len(tap.seen), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TimeTests(SynchronousTestCase):
    """The one delayed call."""

    def setUp(self) -> None:
        self.bench = Bench()
        self.driver = self.bench.driver
        self.clock = self.bench.clock
        self.flow = CountedFlow()

    def monotonic(self) -> Clock:
        """Keep the deadlines on a clock of their own; the reactor's is then the wall clock."""
        clock = Clock()
        self.driver.now = clock.seconds
        return clock

    def test_one_call(self) -> None:
        """However many transactions wait there is one delayed call, for the earliest of their deadlines."""
        for number in range(100):
            self.driver.request(outgoing(number=number), self.flow, number)
            self.clock.advance(0.01)
        self.assertEqual(len(self.bench.calls()), 1)
        self.clock.pump([0.25] * 200)
        self.assertEqual(self.bench.user.names, ["TransactionTimedOut"] * 100)

    def test_timeout(self) -> None:
        """A request without an answer times out after 32 seconds, neither before nor after (row:F3)."""
        transaction = self.driver.request(outgoing(), self.flow, "caller")
        self.clock.advance(31.99)
        self.assertEqual(self.bench.user.told, [])
        self.clock.advance(0.01)
        (ended,) = self.bench.user.told
        assert isinstance(ended, TransactionTimedOut)
        self.assertIs(ended.transaction, transaction)

    def test_nothing_is_left(self) -> None:
        """When the last transaction has ended and its alarm has passed there is no delayed call any more
        (fault:J2)."""
        self.driver.request(outgoing(), self.flow, "caller")
        self.bench.receive(self.flow, self.bench.reply(self.flow))
        self.clock.advance(64)
        self.assertEqual((self.bench.calls(), sum(self.bench.core.layer.inventory().values())), ([], 0))

    def test_retransmissions(self) -> None:
        """Over UDP a request is sent again after 0.5, 1.5, 3.5 and 7.5 seconds and so on; over a connection never
        (fault:C8, RFC 3261 section 17.1.2.2)."""
        datagrams = CountedFlow(1, reliable=False)
        self.driver.request(outgoing(number=1), self.flow, "caller")
        self.driver.request(outgoing(number=2), datagrams, "caller")
        sent: list[float] = []
        datagrams.on_flush = lambda: sent.append(round(self.clock.seconds(), 3))
        self.clock.pump([0.5] * 66)
        self.assertEqual(sent, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(len(self.flow.writes), 1)

    def test_answers_to_invite(self) -> None:
        """A final response to an INVITE that is never acknowledged is repeated over UDP, and leaves once over a
        connection (fault:C8, RFC 3261 section 17.2.1)."""
        self.bench.user.answers = lambda output: self.bench.answer(output, 486)
        datagrams = CountedFlow(1, reliable=False)
        self.bench.receive(self.flow, request("INVITE", 1))
        self.bench.receive(datagrams, request("INVITE", 2))
        self.clock.pump([0.5] * 80)
        self.assertEqual([statuses(data) for data in self.flow.writes], [[486]])
        self.assertEqual(len(datagrams.writes), 11)
        self.assertEqual((self.bench.calls(), sum(self.bench.core.layer.inventory().values())), ([], 0))

    def test_early_alarm(self) -> None:
        """An alarm that rings early, because the wall clock was set ahead, fires nothing and is set again
        (fault:J1)."""
        monotonic = self.monotonic()
        self.driver.request(outgoing(), self.flow, "caller")
        monotonic.advance(2)
        self.clock.advance(DAY)
        self.assertEqual(self.bench.user.told, [])
        self.assertEqual(self.bench.calls(), [DAY + 30])
        monotonic.advance(30)
        self.clock.advance(30)
        self.assertEqual(self.bench.user.names, ["TransactionTimedOut"])

    def test_clock_set_back(self) -> None:
        """An alarm that a clock set back would keep from ringing is set again with the next message (fault:J1)."""
        monotonic = self.monotonic()
        self.clock.advance(2 * DAY)
        self.driver.request(outgoing(number=1), self.flow, "caller")
        self.clock.rightNow -= DAY
        monotonic.advance(2)
        self.bench.receive(self.flow, request("OPTIONS"))
        self.assertEqual(self.bench.calls(), [DAY + 30])
        monotonic.advance(30)
        self.clock.advance(30)
        self.assertEqual(self.bench.user.names, ["TransactionTimedOut"])

    def test_clock_set_back_with_deadlines(self) -> None:
        """The same goes for the deadlines of flows, whether transactions wait or not (fault:J1)."""
        for waits in (False, True):
            self.setUp()
            monotonic = self.monotonic()
            self.clock.advance(2 * DAY)
            expired: list[LiveFlow] = []
            deadlines: Deadlines[LiveFlow] = Deadlines(10.0, expired.append)
            self.driver.watch(deadlines)
            deadlines.start(self.flow, monotonic.seconds())
            self.driver.rearm()
            if waits:
                self.driver.request(outgoing(), self.flow, "caller")
            self.clock.rightNow -= DAY
            monotonic.advance(2)
            self.bench.receive(CountedFlow(2), request("OPTIONS"))
            self.assertEqual(self.bench.calls(), [DAY + 8])
            monotonic.advance(8)
            self.clock.advance(8)
            self.assertEqual(expired, [self.flow])

    def test_clock_set_back_in_the_middle_of_a_turn(self) -> None:
        """What came when the clock was set back is dealt with at the end of the next turn that brings something, not a
        day later (fault:J1)."""
        self.bench.user.answers = self.bench.answer
        self.clock.advance(2 * DAY)
        self.driver.received(self.flow, [parse_message(request(number=1))])
        self.clock.rightNow -= DAY
        self.bench.end_turn()
        self.assertEqual(self.flow.writes, [])
        self.driver.received(self.flow, [parse_message(request(number=2))])
        self.bench.end_turn()
        self.assertEqual([statuses(data) for data in self.flow.writes], [[200, 200]])

    def test_late_alarm(self) -> None:
        """After a reactor that was blocked each repeated timer fires once, not once for each time it missed
        (fault:K3)."""
        datagrams = CountedFlow(reliable=False)
        self.driver.request(outgoing(), datagrams, "caller")
        self.clock.advance(7)
        self.assertEqual(len(datagrams.writes), 2)

    def test_deadlines(self) -> None:
        """Deadlines of flows are served by the same call; a flow that has failed has none any more."""
        expired: list[LiveFlow] = []
        deadlines: Deadlines[LiveFlow] = Deadlines(5.0, expired.append)
        self.driver.watch(deadlines)
        other = CountedFlow(2)
        deadlines.start(self.flow, 0.0)
        deadlines.start(other, 0.0)
        self.driver.rearm()
        self.assertEqual(self.bench.calls(), [5.0])
        self.driver.request(outgoing(), self.flow, "caller")
        self.assertEqual(self.bench.calls(), [5.0])
        self.driver.flow_failed(other, ConnectionFailure("gone"))
        self.clock.advance(5.0)
        self.assertEqual(expired, [self.flow])

    def test_deadline_that_ends_its_flow(self) -> None:
        """What a deadline does to its flow is carried out in the same turn."""
        deadlines: Deadlines[LiveFlow] = Deadlines(
            5.0, lambda flow: self.driver.flow_failed(flow, ConnectionFailure("too slow"))
        )
        self.driver.watch(deadlines)
        self.driver.request(outgoing(), self.flow, "caller")
        deadlines.start(self.flow, 0.0)
        self.driver.rearm()
        self.clock.advance(5.0)
        self.assertEqual(self.bench.user.names, ["TransactionFailed"])

    def test_raising_deadline(self) -> None:
        """A deadline whose consequence raises is logged, and the alarm is set for the others (fault:J2)."""
        expired: list[LiveFlow] = []

        def expire(flow: LiveFlow) -> None:
            expired.append(flow)
            if len(expired) == 1:
                raise RuntimeError

        deadlines: Deadlines[LiveFlow] = Deadlines(5.0, expire)
        self.driver.watch(deadlines)
        other = CountedFlow(2)
        deadlines.start(self.flow, 0.0)
        deadlines.start(other, 0.0)
        self.driver.rearm()
        self.driver.request(outgoing(), self.flow, "caller")
        self.clock.advance(5.0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.clock.advance(0)
        self.assertEqual(expired, [self.flow, other])
        self.assertEqual(len(self.bench.calls()), 1)
        self.clock.advance(27)
        self.assertEqual(self.bench.user.names, ["TransactionTimedOut"])

    def test_begun_while_outputs_are_carried_out(self) -> None:
        """A deadline that is begun while the user is being told is armed when that is over."""
        deadlines: Deadlines[LiveFlow] = Deadlines(1.0, lambda flow: None)
        self.driver.watch(deadlines)

        def begin(output: RequestReceived) -> None:
            deadlines.start(self.flow, 0.0)
            self.driver.rearm()
            self.assertEqual(self.bench.calls(), [])

        self.bench.user.answers = begin
        self.bench.receive(self.flow, request())
        self.assertEqual(self.bench.calls(), [1.0])

    def test_stop(self) -> None:
        """After stop() there is no delayed call, whatever still happens; stopping twice is harmless (fault:J2)."""
        self.driver.request(outgoing(number=1), self.flow, "caller")
        self.driver.received(self.flow, [parse_message(request())])
        self.assertEqual(len(self.bench.calls()), 2)
        self.driver.stop()
        self.driver.stop()
        self.assertEqual(self.bench.calls(), [])
        self.driver.request(outgoing(number=2), self.flow, "caller")
        self.bench.receive(self.flow, request())
        self.driver.flow_failed(self.flow, ConnectionFailure("gone"))
        self.assertEqual(self.bench.calls(), [])
        self.assertEqual(self.bench.user.names, ["TransactionFailed", "TransactionFailed"])


class AloneTests(TestCase):
    """On the reactor itself: turns that bring one delivery."""

    def setUp(self) -> None:
        self.bench = Bench()
        self.bench.driver = self.driver = Driver(reactor, self.bench.core, self.bench.user)
        self.bench.user.answers = self.bench.answer
        self.addCleanup(self.driver.stop)
        self.flow = CountedFlow()

    async def alone(self) -> bool:
        """A delivery in a turn of its own: whether it was answered before the turn was over."""
        before = len(self.flow.writes)
        self.driver.received(self.flow, [parse_message(request(number=len(self.bench.user.told)))])
        at_once = len(self.flow.writes) > before
        await deferLater(reactor, 0.001)
        self.assertEqual(len(self.flow.writes), before + 1)
        return at_once

    async def test_alone(self) -> None:
        """When turn after turn brought one delivery, the next one is dealt with at once."""
        self.assertEqual([await self.alone() for _ in range(10)], [False] * 8 + [True] * 2)

    async def test_in_company(self) -> None:
        """Deliveries that come close together wait for the end of their turn again, and leave in one write."""
        for _ in range(20):
            while not await self.alone():
                pass
            before = len(self.flow.writes)
            for number in range(5):
                self.driver.received(self.flow, [parse_message(request(number=1000 + number))])
            await deferLater(reactor, 0.001)
            if len(self.flow.writes) - before == 2 and not await self.alone():
                return
        self.fail("each delivery was written by itself")

    def test_on_a_clock(self) -> None:
        """On a clock that a test advances every delivery waits for the end of its turn."""
        bench = Bench()
        for number in range(20):
            bench.driver.received(self.flow, [parse_message(request(number=number))])
            self.assertEqual(len(bench.user.told), number)
            bench.end_turn()


class MemoryTests(MemoryTestCase):
    """What is left of it."""

    def test_no_growth(self) -> None:
        """Requests that are answered, and flows that come and go, leave nothing behind (fault:C10)."""
        bench = Bench()
        bench.user.answers = bench.answer
        octets = parse_message

        def turn() -> None:
            flow = CountedFlow()
            bench.driver.received(flow, [octets(request(number=number)) for number in range(3)])
            bench.driver.flow_failed(flow, ConnectionFailure("gone"))
            bench.user.told.clear()

        self.assert_no_growth(turn, rounds=300, warm_up=100)
        self.assertEqual(sum(bench.core.layer.inventory().values()), 0)

    def test_no_cycles(self) -> None:
        """What a request, its answer and the loss of its flow leave goes without the garbage collector
        (fault:K9)."""
        bench = Bench()

        def turn() -> None:
            flow = CountedFlow()
            bench.receive(flow, request(number=1), request(number=2))
            bench.answer(bench.user.told[0])
            bench.driver.request(outgoing(), flow, None)
            bench.driver.flow_failed(flow, ConnectionFailure("gone"))
            bench.user.told.clear()

        turn()
        self.assert_no_cycles(turn)
