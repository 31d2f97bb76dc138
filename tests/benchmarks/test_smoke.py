"""Every benchmark in its smallest form: that it runs, measures and prints. How fast anything is, no test judges."""

from __future__ import annotations

from array import array

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks import (
    calls,
    canary,
    console,
    dialogs,
    endurance,
    exchange,
    handshakes,
    idle,
    kamailio,
    keeping,
    looking,
    memory,
    notifications,
    parse,
    processes,
    proofs,
    sending,
    transactions,
    webhooks,
    workers,
)
from benchmarks.call_wording import Calls
from benchmarks.report import Goal, goals_table, machine, speed
from benchmarks.setting import SMOKE, Setting
from benchmarks.wording import Wording, WrongAnswer


class InProcessTests(SynchronousTestCase):
    """Figures that need no server."""

    def test_parsing(self) -> None:
        """Parsing, serialising and framing are measured, and the INVITE has the size that its goal names."""
        timed = parse.measure_parsing(SMOKE)
        self.assertEqual(len(parse.INVITE), 714)
        self.assertIn("INVITE parsed", parse.tables(timed))
        self.assertEqual(len(parse.goals(timed)), 1)

    def test_transactions(self) -> None:
        """Each transaction runs from its first message to its last over a reliable and an unreliable transport."""
        timed = transactions.measure_transactions(SMOKE)
        self.assertEqual(len(timed), 14)
        self.assertIn("INVITE sent, 486, ACK", transactions.tables(timed))

    def test_handshakes(self) -> None:
        """Connections in full and resumed ones are measured, over either TLS protocol."""
        with Setting(SMOKE) as setting:
            for stock_tls in (False, True):
                measured = handshakes.measure_handshakes(setting, stock_tls=stock_tls)
                kinds = ["in full", "resumed", "in full, OpenSSL alone", "resumed, OpenSSL alone"]
                self.assertEqual([each.kind for each in measured], kinds * 2)
                self.assertIn("TLSv1.3, resumed", handshakes.tables(measured))
                self.assertEqual(len(handshakes.goals(measured)), 2)

    def test_machine(self) -> None:
        """A report names the interpreter, the libraries and how steady the machine is."""
        self.assertIn("Twisted", machine())
        self.assertIn("ms", speed())

    def test_verdicts(self) -> None:
        """A goal is met, missed or said not to have been measured, and why."""
        text = goals_table([Goal("a", 1, 2, "us"), Goal("b", 3, 2, "us"), Goal("c", None, 2, "us", "no such program")])
        self.assertIn("met", text)
        self.assertIn("missed", text)
        self.assertIn("not measured: no such program", text)


class LoadTests(SynchronousTestCase):
    """What the load generator takes for an answer."""

    def setUp(self) -> None:
        self.wording = Wording("tcp")
        self.sent: dict[bytes, float] = {}
        template = self.wording.template(("127.0.0.1", 5060), "bob.example")
        (self.request,) = self.wording.requests(template, 1, self.sent)
        head = self.request.partition(b"\r\nMax-Forwards")[0].partition(b"\r\n")[2]
        self.answer = b"SIP/2.0 200 OK\r\n" + head + b"\r\nContent-Length: 0\r\n\r\n"

    def test_right(self) -> None:
        """A 200 with the branch, Call-ID and CSeq of a request is its answer; what follows is left."""
        count, rest = self.wording.answers(self.answer + b"SIP/2.0", self.sent, array("d"))
        self.assertEqual((count, rest, self.sent), (1, b"SIP/2.0", {}))

    def test_incomplete(self) -> None:
        """Half an answer is none yet."""
        count, rest = self.wording.answers(self.answer[:-2], self.sent, array("d"))
        self.assertEqual((count, rest), (0, self.answer[:-2]))

    def test_with_body(self) -> None:
        """The body of an answer belongs to it, however Content-Length is written."""
        answer = self.answer.replace(b"Content-Length: 0", b"l:  4") + b"body"
        self.assertEqual(self.wording.answers(answer, self.sent, array("d")), (1, b""))

    def test_wrong(self) -> None:
        """Another status, branch, Call-ID or CSeq, and the same answer twice, end the run."""
        changes = [
            (b" 200 ", b" 500 "),
            (b"z9hG4bK", b"z9hG4bL"),
            (b"Call-ID: ", b"Call-ID: x"),
            (b"CSeq: ", b"CSeq: 1"),
        ]
        for old, new in changes:
            sent = dict(self.sent)
            self.assertRaises(WrongAnswer, self.wording.answers, self.answer.replace(old, new), sent, array("d"))
        self.assertRaises(WrongAnswer, self.wording.answers, self.answer * 2, self.sent, array("d"))


class CallWordingTests(SynchronousTestCase):
    """What a load of calls says, and what it takes for an answer."""

    def setUp(self) -> None:
        self.calls = Calls("tcp", ("127.0.0.1", 5060), "bob.example")
        (self.invite,) = self.calls.begin(1)

    def answer(self, request: bytes, status: bytes, fields: bytes = b"") -> tuple[list[bytes], int]:
        """Let the load have an answer to *request*."""
        head = request.partition(b"\r\nMax-Forwards")[0].partition(b"\r\n")[2]
        octets = b"SIP/2.0 " + status + b"\r\n" + head + fields + b"\r\nContent-Length: 0\r\n\r\n"
        return self.calls.receive(octets, array("d"))

    def test_call(self) -> None:
        """A call rings, is accepted, acknowledged and ended where its Contact says, and counts once."""
        accepted = b";tag=t\r\nContact: <sip:bob@127.0.0.1:5061>"
        self.assertEqual(self.answer(self.invite, b"180 Ringing", accepted), ([], 0))
        (ack, bye), count = self.answer(self.invite, b"200 OK", accepted)
        self.assertEqual(count, 0)
        for message, method in ((ack, b"ACK"), (bye, b"BYE")):
            self.assertTrue(message.startswith(method + b" sip:bob@127.0.0.1:5061 SIP/2.0\r\n"), message)
            self.assertIn(b"\r\nTo: <sip:bob@bob.example>;tag=t\r\n", message)
        self.assertEqual(self.calls.again(), [bye])
        self.assertEqual(self.answer(bye, b"200 OK"), ([], 1))
        self.assertEqual((self.calls.sent, self.calls.again()), ({}, []))

    def test_wrong(self) -> None:
        """A refusal, an acceptance that did not ring, or names no dialog, and a stranger's answer end the run."""
        self.assertRaises(WrongAnswer, self.answer, self.invite, b"486 Busy Here", b";tag=t")
        self.assertRaises(WrongAnswer, self.answer, self.invite, b"200 OK", b";tag=t")
        self.answer(self.invite, b"180 Ringing", b";tag=t")
        self.assertRaises(WrongAnswer, self.answer, self.invite, b"200 OK")
        self.assertRaises(WrongAnswer, self.answer, self.invite.replace(b"z9hG4bK", b"z9hG4bL"), b"180 Ringing")


class ServerTests(SynchronousTestCase):
    """Figures of servers in processes of their own."""

    def setUp(self) -> None:
        self.setting = Setting(SMOKE)
        self.addCleanup(self.setting.__exit__, None, None, None)

    def test_exchange(self) -> None:
        """A few dozen messages in each case over each transport are answered by the floor and by ours."""
        figures = exchange.measure_exchanges(self.setting, servers=("floor", "ours", "stock"))
        self.assertEqual(len(figures), 13)
        self.assertIn("ours/floor", exchange.tables(figures))
        self.assertIn("ours/stock", exchange.tables(figures))
        self.assertEqual(len(exchange.goals(figures)), 4)
        for each in figures:
            # So few may take no CPU time that the system counts: that they were answered is what is looked at.
            self.assertEqual({result.count for result in each.results.values()}, {SMOKE.count})

    def test_before(self) -> None:
        """The server of another checkout takes its turns beside ours."""
        figures = exchange.measure_exchanges(
            self.setting, ("tls",), exchange.CASES[:1], ("ours",), before=processes.ROOT
        )
        self.assertEqual(
            {name: result.count for name, result in figures[0].results.items()},
            {"ours": SMOKE.count, "before": SMOKE.count},
        )
        self.assertIn("ours/before", exchange.tables(figures))

    def test_kamailio(self) -> None:
        """Kamailio answers over all transports, and all of it is gone afterwards."""
        if kamailio.find() is None:
            raise SkipTest("kamailio and kamailio-tls-modules are not installed")
        figures = exchange.measure_exchanges(self.setting, cases=exchange.CASES[:1], servers=("Kamailio",))
        self.assertEqual([each.results["Kamailio"].count for each in figures], [SMOKE.count] * 3)

    def test_sending(self) -> None:
        """Our sending side has every request of each turn answered over each transport."""
        sent = sending.measure_sending(self.setting)
        self.assertEqual([each.count for each in sent], [SMOKE.count] * 9)
        self.assertIn("64 in flight", sending.tables(sent))

    def test_calls(self) -> None:
        """Every call of each turn is set up and taken down over each transport, called by us and calling us."""
        figures = calls.measure_calls(self.setting)
        self.assertEqual(len(figures), 12)
        for each in figures:
            self.assertEqual(each.counts, {"floor": SMOKE.count, "ours": SMOKE.count}, (each.side, each.transport))
        self.assertIn("called, mutual TLS, 16 under way", calls.tables(figures))

    def test_dialogs(self) -> None:
        """Dialogs are held on both sides, and calls follow each other until all have ended."""
        held, growth = dialogs.measure_dialogs(self.setting)
        self.assertEqual([(each.side, each.count) for each in held], [("calling", 20), ("called", 20)] * 2)
        self.assertEqual([each.count for each in growth], [100, 100])
        self.assertIn("mutual TLS, calling", dialogs.tables(held, growth))
        self.assertEqual(len(dialogs.goals(held, growth)), 8)

    def test_notifications(self) -> None:
        """Every subscriber is told of each change, in each case, and subscriptions are held on both sides."""
        told, held = notifications.measure_notifications(self.setting)
        self.assertEqual([(each.transport, each.connections) for each in told], list(notifications.CASES))
        self.assertEqual({(each.subscribers, each.count) for each in told}, {(6, 6)})
        self.assertEqual([(each.side, each.count) for each in held], [("notifier", 20), ("subscriber", 20)])
        self.assertIn("mutual TLS, 50 connections", notifications.tables(told, held))
        self.assertEqual(len(notifications.goals(held)), 2)

    def test_proofs(self) -> None:
        """Credentials of each algorithm and a signature are made and judged."""
        timed = proofs.measure_proofs(self.setting)
        self.assertEqual(len(timed), 3 * len(proofs.ALGORITHMS) + 2)
        self.assertIn("PASSporT: signature judged", proofs.tables(timed))

    def test_keeping(self) -> None:
        """Messages are kept and delivered with each window, and the disk is tried alone."""
        kept, commits = keeping.measure_keeping(self.setting)
        self.assertEqual([(each.window, each.count) for each in kept], [(window, 24) for window in keeping.WINDOWS])
        self.assertGreater(commits, 0)
        self.assertIn("16 under way", keeping.tables(kept, commits))

    def test_canary(self) -> None:
        """A good peer is timed without an attack and under each, and answered every time."""
        songs = canary.measure_canary(self.setting)
        self.assertEqual(
            [(each.attack, each.unanswered) for each in songs], [("", 0), ("handshakes", 0), ("trickles", 0)]
        )
        self.assertTrue(all(each.latencies for each in songs))
        self.assertGreater(songs[1].told["answered"], 0)
        self.assertGreater(songs[2].told["octets"], 0)
        self.assertIn("trickle", canary.tables(songs))
        self.assertEqual(len(canary.goals(songs)), 2)

    def test_endurance(self) -> None:
        """A load that paces itself is answered over UDP, and what was answered is held."""
        endured = endurance.measure_endurance(self.setting)
        self.assertEqual(endured.told["sent"], endured.told["answered"])
        self.assertGreater(endured.told["sent"], 0)
        self.assertIn("held", endurance.tables(endured))
        self.assertEqual(len(endurance.goals(endured)), 2)

    def test_idle(self) -> None:
        """Peers of several processes are held at a time, and their pings answered."""
        peers = idle.measure_idle(self.setting)
        self.assertEqual((peers.count, peers.pongs), (SMOKE.idle, SMOKE.idle))
        self.assertIn("KiB each", idle.tables(peers))
        self.assertEqual(len(idle.goals(peers)), 1)

    def test_webhooks(self) -> None:
        """Deliveries are measured alone and with SIP that waits for them, over either scheme, with each window."""
        found = webhooks.measure_webhooks(self.setting)
        self.assertEqual([each.window for each in found], list(webhooks.WINDOWS) * 6)
        self.assertEqual({each.count for each in found}, {SMOKE.count})
        self.assertEqual(len([each for each in found if each.latency is not None]), 6)
        self.assertIn("MESSAGE, https", webhooks.tables(found))

    def test_looking(self) -> None:
        """Services that look at the wire in every way, and one that does not, answer the same requests."""
        figures = looking.measure_looking(self.setting, before=processes.ROOT)
        for each in figures:
            counts = {name: result.count for name, result in each.results.items()}
            self.assertEqual(counts, dict.fromkeys([*looking.KINDS, looking.BEFORE], SMOKE.count))
        self.assertIn("--pcapng", looking.tables(figures))

    def test_console(self) -> None:
        """A service holds connections, is asked for everything that the console shows, and is followed."""
        found = console.measure_console(self.setting)
        self.assertEqual([each.path for each in found.asked], list(console.PATHS))
        self.assertTrue(all(each.octets for each in found.asked))
        self.assertEqual([each.standing for each in found.followed], list(console.FOLLOWERS))
        self.assertTrue(all(each.events > 0 for each in found.followed if each.followers))
        self.assertIn("4 flows", console.tables(found))
        self.assertEqual(len(console.goals(found)), 2)

    def test_workers(self) -> None:
        """One process and two that share a port answer everything."""
        found = workers.measure_workers(self.setting)
        self.assertEqual([each.workers for each in found], list(workers.WORKERS))
        self.assertEqual(len({each.count for each in found}), 1)
        self.assertIn("in flight on each", workers.tables(found))

    def test_memory(self) -> None:
        """Connections are held, transactions left unanswered, and sizes followed."""
        held, growth = memory.measure_memory(self.setting)
        self.assertEqual(len(held), 4)
        self.assertEqual(len(growth), 2)
        self.assertIn("blocks each", memory.tables(held, growth))
        self.assertEqual(len(memory.goals(held, growth)), 5)
