"""What a watch makes of the messages that pass."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.transactions import PATIENCE, RINGING_PATIENCE, TransactionRecord, TransactionWatch
from sip_p2p.testing import Network
from sip_p2p.transport.flow import LiveFlow
from tests.support import SynchronousTestCase


def flow(transport: str = "TLS") -> LiveFlow:
    """A flow from 192.0.2.1 to b.example."""
    made = LiveFlow(
        transport, transport != "UDP", "a.example", ("192.0.2.1", 40000), ("192.0.2.7", 5061), is_incoming=True
    )
    made.peer = "" if transport == "UDP" else "b.example"
    return made


def request(method: str = "MESSAGE", branch: str = "z9hG4bK1", call_id: str = "call1") -> bytes:
    """A request."""
    return (
        f"{method} sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch={branch};rport\r\n"
        f"From: <sip:alice:hunter2@a.example>;tag=1\r\nTo: <sip:bob@b.example>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def response(status: int = 200, method: str = "MESSAGE", branch: str = "z9hG4bK1") -> bytes:
    """A response to it."""
    return (
        f"SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/TLS a.example;branch={branch};rport=5061;received=192.0.2.7\r\n"
        f"Call-ID: call1\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


class WatchCase(SynchronousTestCase):
    """A watch, and what it told."""

    def setUp(self) -> None:
        super().setUp()
        self.watch = TransactionWatch()
        self.told: list[TransactionRecord] = []
        self.watch.follow(self.told.append)
        self.flow = flow()

    def seen(self) -> list[tuple[str, str, int | None]]:
        """Direction, outcome and status of what was told."""
        return [(record.direction, record.outcome, record.status) for record in self.told]


class RecordTests(WatchCase):
    """From a request to its final response."""

    def test_what_looks_like_the_end_of_a_line(self) -> None:
        """fault:B4: a peer cannot put another Call-ID into the text of a field."""
        forged = request().replace(b"Via:", "Subject: a\u2028Call-ID: forged\x0bFrom: forged\r\nVia:".encode())
        self.watch.message("in", self.flow, forged, 10.0)
        self.watch.message("out", self.flow, response(), 10.25)
        (record,) = self.told
        self.assertEqual((record.call_id, record.from_), ("call1", "<sip:alice:***@a.example>;tag=1"))

    def test_a_transaction_of_ours(self) -> None:
        """row:M10: a request that goes out and its answer are one record, with who, where and how long."""
        self.watch.message("out", self.flow, request(), 10.0)
        self.watch.message("in", self.flow, response(202), 10.25)
        (record,) = self.told
        self.assertEqual((record.method, record.status, record.duration, record.started), ("MESSAGE", 202, 0.25, 10.0))
        self.assertEqual(
            json.loads(record.to_json()),
            {
                "time": "1970-01-01T00:00:10.000Z",
                "method": "MESSAGE",
                "direction": "out",
                "outcome": "answered",
                "status": 202,
                "duration": 0.25,
                "call_id": "call1",
                "from": "<sip:alice:***@a.example>;tag=1",
                "to": "<sip:bob@b.example>",
                "peer": "b.example",
                "transport": "TLS",
                "address": "192.0.2.7:5061",
                "flow": self.flow.number,
            },
        )

    def test_a_transaction_of_the_peer(self) -> None:
        """The same the other way around; the same branch on another flow is another transaction."""
        other = flow()
        self.watch.message("in", self.flow, request(), 0.0)
        self.watch.message("in", other, request(), 0.0)
        self.watch.message("out", other, response(404), 1.0)
        self.assertEqual(self.seen(), [("in", "answered", 404)])
        self.assertEqual(len(self.watch), 1)

    def test_an_invite(self) -> None:
        """Its first provisional response but 100 is noted; CANCEL is a transaction of its own, and ACK is none."""
        self.watch.message("in", self.flow, request("INVITE"), 0.0)
        for moment, status in ((0.1, 100), (0.5, 180), (2.0, 183)):
            self.watch.message("out", self.flow, response(status, "INVITE"), moment)
        self.watch.message("in", self.flow, request("CANCEL"), 3.0)
        self.watch.message("out", self.flow, response(200, "CANCEL"), 3.0)
        self.watch.message("out", self.flow, response(487, "INVITE"), 3.0)
        self.watch.message("in", self.flow, request("ACK"), 3.1)
        self.assertEqual([(each.method, each.status) for each in self.told], [("CANCEL", 200), ("INVITE", 487)])
        self.assertEqual((self.told[1].provisional, self.told[1].duration), (0.5, 3.0))
        self.assertEqual(len(self.watch), 0)

    def test_both_spellings(self) -> None:
        """Compact and unusual spellings of the fields make no difference."""
        self.watch.message(
            "in", self.flow, request().replace(b"Via: ", b"v :\t").replace(b";branch=", b" ; Branch = "), 0.0
        )
        self.watch.message("out", self.flow, response().replace(b"\r\nCSeq: 1 ", b"\r\ncseq:1\t"), 0.0)
        self.assertEqual(self.seen(), [("in", "answered", 200)])

    def test_the_branch_at_the_end_of_its_line(self) -> None:
        """A Via whose last parameter is the branch is matched with its answer."""
        self.watch.message("out", self.flow, request().replace(b";rport", b""), 0.0)
        self.watch.message("in", self.flow, response().replace(b";rport=5061;received=192.0.2.7", b""), 0.0)
        self.assertEqual(self.seen(), [("out", "answered", 200)])

    def test_retransmissions_by_udp(self) -> None:
        """A request that comes again is counted, and one that comes after its answer is no new transaction."""
        udp = flow("UDP")
        for moment in (0.0, 0.5, 1.5):
            self.watch.message("in", udp, request(), moment)
        self.watch.message("out", udp, response(), 2.0)
        self.watch.message("in", udp, request(), 2.5)
        self.watch.message("out", udp, response(), 2.5)
        self.assertEqual([record.retransmissions for record in self.told], [2])
        self.assertEqual(len(self.watch), 0)
        self.watch.expire(40.0)
        self.watch.message("in", udp, request(), 40.0)
        self.assertEqual(len(self.watch), 1)

    def test_a_clock_that_is_set_back(self) -> None:
        """No transaction takes less than no time."""
        self.watch.message("out", self.flow, request("INVITE"), 10.0)
        self.watch.message("in", self.flow, response(180, "INVITE"), 9.0)
        self.watch.message("in", self.flow, response(200, "INVITE"), 8.0)
        self.assertEqual((self.told[0].provisional, self.told[0].duration), (0.0, 0.0))


class EndTests(WatchCase):
    """Transactions that come to no final response."""

    def test_no_answer(self) -> None:
        """What no transaction may wait for is given up; an INVITE that rings may wait longer."""
        self.watch.message("out", self.flow, request("INVITE", "z9hG4bK1"), 0.0)
        self.watch.message("out", self.flow, request("MESSAGE", "z9hG4bK2"), 0.0)
        self.watch.message("in", self.flow, response(180, "INVITE", "z9hG4bK1"), 30.0)
        self.watch.expire(PATIENCE - 1)
        self.assertEqual(self.told, [])
        self.watch.expire(PATIENCE)
        self.assertEqual([(each.method, each.outcome) for each in self.told], [("MESSAGE", "unanswered")])
        self.watch.expire(30.0 + RINGING_PATIENCE)
        self.assertEqual(len(self.told), 1)
        self.watch.expire(30.1 + RINGING_PATIENCE)
        self.assertEqual(self.seen()[1:], [("out", "unanswered", None)])

    def test_a_flow_that_is_gone(self) -> None:
        """What was on it ends with it, and nothing else does."""
        other = flow()
        self.watch.message("out", self.flow, request(branch="z9hG4bK1"), 0.0)
        self.watch.message("in", other, request(branch="z9hG4bK2"), 0.0)
        self.watch.flow_ended(self.flow.number, 3.0)
        self.assertEqual(self.seen(), [("out", "flow-lost", None)])
        self.assertEqual((self.told[0].duration, len(self.watch)), (3.0, 1))

    def test_too_many(self) -> None:
        """The oldest gives way, and is told as displaced."""
        watch = TransactionWatch(capacity=2)
        watch.follow(self.told.append)
        for number in range(3):
            watch.message("in", self.flow, request(branch=f"z9hG4bK{number}"), 0.0)
        self.assertEqual((self.seen(), len(watch), watch.displaced), ([("in", "displaced", None)], 2, 1))

    def test_bounds_that_are_none(self) -> None:
        """A watch without room is refused."""
        self.assertRaises(ValueError, TransactionWatch, 0)
        self.assertRaises(ValueError, TransactionWatch, 1, -1)

    def test_what_is_remembered_is_bounded(self) -> None:
        """Of what has ended by UDP only so much is remembered; the oldest counts anew when it comes again."""
        watch = TransactionWatch(remembered=1)
        watch.follow(self.told.append)
        udp = flow("UDP")
        for number in (1, 2, 1):
            watch.message("in", udp, request(branch=f"z9hG4bK{number}"), 0.0)
            watch.message("out", udp, response(branch=f"z9hG4bK{number}"), 0.0)
        self.assertEqual(len(self.told), 3)

    def test_who_follows_harms_nobody(self) -> None:
        """A follower that raises is logged; one that has left hears nothing more."""
        self.watch.follow(lambda record: 1 / 0)
        late: list[TransactionRecord] = []
        leave = self.watch.follow(late.append)
        leave()
        leave()
        self.watch.message("out", self.flow, request(), 0.0)
        self.watch.message("in", self.flow, response(), 0.0)
        self.assertEqual((len(self.told), late), (1, []))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class OddTests(WatchCase):
    """What peers may send."""

    def test_without_a_branch(self) -> None:
        """A request without one is counted, and watched no further."""
        self.watch.message("in", self.flow, b"OPTIONS sip:b SIP/2.0\r\nCall-ID: 1\r\n\r\n", 0.0)
        self.assertEqual((len(self.watch), self.watch.unreadable), (0, 1))

    def test_answers_to_nothing(self) -> None:
        """A response that answers nothing, or cannot be read, changes nothing."""
        self.watch.message("out", self.flow, request(), 0.0)
        for odd in (response(branch="z9hG4bKother"), response(method="INFO"), b"SIP/2.0 2x0 OK\r\n\r\n", b"SIP/2.0 "):
            self.watch.message("in", self.flow, odd, 0.0)
        self.watch.message("in", self.flow, response().replace(b"SIP/2.0 200", b"SIP/2.0 2x0"), 0.0)
        self.assertEqual((self.told, len(self.watch)), ([], 1))

    def test_a_large_request_holds_little(self) -> None:
        """Of a request no more than two kilobytes are held, and no half of a line is shown of it."""
        long = b"From: <sip:alice:hunter2@" + b"a" * 3000 + b".example>\r\n"
        data = request().replace(b"From: <sip:alice:hunter2@a.example>;tag=1\r\n", long)
        self.watch.message("out", self.flow, data, 0.0)
        self.watch.message("in", self.flow, response(), 0.0)
        self.assertEqual((self.told[0].from_, self.told[0].call_id), ("", ""))

    @given(st.lists(st.tuples(st.sampled_from(["in", "out"]), st.binary(max_size=120)), max_size=8))
    def test_any_octets_may_pass(self, messages: list[tuple[str, bytes]]) -> None:
        """Nothing that passes makes it raise, nor what it tells of that."""
        watch = TransactionWatch(capacity=2)
        watch.follow(lambda record: record.to_json())
        for direction, data in messages:
            for prefix in (b"", b"SIP/2.0 200 ", b"X \r\nVia: ;branch="):
                watch.message(direction, self.flow, prefix + data, 0.0)
        watch.expire(1000.0)
        self.assertEqual(len(watch), 0)


class PartyTests(SynchronousTestCase):
    """Two parties."""

    def test_what_passes_between_two_parties(self) -> None:
        """row:M10: each side's watch tells of the same transactions, one as asked and the other as answered."""
        network = Network(delay=0.02)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        told: dict[str, list[TransactionRecord]] = {"alice": [], "bob": []}
        for name, party in (("alice", alice), ("bob", bob)):
            watch = TransactionWatch()
            watch.follow(told[name].append)
            party.connection_manager.add_tap(watch)
        network.run_until(alice.send_message("sip:bob@b.example", "hello"))
        network.run_until(alice.request("OPTIONS", "sip:bob@b.example"))
        for name, direction in (("alice", "out"), ("bob", "in")):
            seen = [(each.direction, each.method, each.outcome) for each in told[name]]
            self.assertEqual(seen, [(direction, "MESSAGE", "answered"), (direction, "OPTIONS", "answered")])
        self.assertEqual([each.call_id for each in told["alice"]], [each.call_id for each in told["bob"]])
        network.finish()
