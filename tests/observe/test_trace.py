"""The tap, its ring, the file of JSON lines and their reader."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.redact import BodyPolicy
from sip_p2p.observe.trace import Tap, TraceError, TraceEvent, TraceWriter, read_trace
from sip_p2p.sip.flow import Flow
from sip_p2p.transport.flow import LiveFlow
from tests.support import SynchronousTestCase

MESSAGE = (
    b"MESSAGE sip:bob@b.example SIP/2.0\r\n"
    b"v: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
    b"f: <sip:alice@a.example>;tag=1\r\n"
    b"t: <sip:bob@b.example>\r\n"
    b"i: call1\r\n"
    b"CSeq: 1 MESSAGE\r\n"
    b'Authorization: Digest username="alice", response="hunter2"\r\n'
    b"Content-Type: text/plain\r\n"
    b"Content-Length: 13\r\n\r\n"
    b"meet at seven"
)


def flow() -> Flow:
    """A TLS connection to b.example."""
    return Flow("TLS", True, "a.example:5061", "192.0.2.7", 5061, "b.example")


class TapTests(SynchronousTestCase):
    """What the tap keeps of a message."""

    def test_a_message_becomes_an_event(self) -> None:
        """Direction, flow, identity, times and head are kept; compact field names are understood."""
        tap = Tap()
        tap.message("out", flow(), MESSAGE, 12.5)
        (event,) = tap.events()
        self.assertEqual((event.kind, event.direction, event.at), ("message", "out", 12.5))
        self.assertEqual(event.time, "1970-01-01T00:00:12.500Z")
        self.assertEqual(
            (event.transport, event.local, event.remote, event.peer),
            ("TLS", "a.example:5061", "192.0.2.7:5061", "b.example"),
        )
        self.assertEqual(event.start_line, "MESSAGE sip:bob@b.example SIP/2.0")
        self.assertEqual(event.method, "MESSAGE")
        self.assertEqual(event.field("Call-ID"), "call1")
        self.assertEqual(event.field("Subject"), "")
        self.assertEqual(event.length, 13)

    def test_credentials_and_bodies_are_withheld(self) -> None:
        """row:M11 fault:B5: by default neither the password's digest nor what the people said is kept anywhere."""
        tap = Tap()
        tap.message("in", flow(), MESSAGE, 0.0)
        (event,) = tap.events()
        self.assertNotIn("hunter2", event.to_json())
        self.assertNotIn("seven", event.to_json())
        self.assertIsNone(event.body)
        self.assertIn("Authorization: Digest (withheld)", event.head)

    def test_where_it_passed(self) -> None:
        """An event has its number, that of its flow, and both addresses; those of IPv6 lose their brackets."""
        live = LiveFlow("TLS", True, "a.example", ("2001:db8::1", 40000), ("2001:db8::2", 5061), is_incoming=True)
        tap = Tap()
        for _ in range(2):
            tap.message("in", live, MESSAGE, 0.0)
        event = TraceEvent.from_json(tap.events()[1].to_json())
        self.assertEqual((event.number, event.flow, event.address), (2, live.number, "[2001:db8::1]:40000"))
        self.assertEqual((event.local_host, event.local_port), ("2001:db8::1", 40000))
        self.assertEqual((event.remote_host, event.remote_port), ("2001:db8::2", 5061))
        for text in ("", "nowhere", "host:", "host:port", ":5061", "host:123456"):
            other = TraceEvent("note", 0.0, address=text, remote=text)
            self.assertEqual((other.local_host, other.local_port, other.remote_host, other.remote_port), ("", 0, "", 0))

    def test_bodies_by_policy(self) -> None:
        """row:M11: a policy keeps bodies of some types; credentials are withheld all the same."""
        tap = Tap(bodies=BodyPolicy("text/plain"))
        tap.message("in", flow(), MESSAGE, 0.0)
        (event,) = tap.events()
        self.assertEqual(event.body, b"meet at seven")
        self.assertNotIn("hunter2", event.to_json())

    def test_secrets_are_kept_when_asked_for(self) -> None:
        """row:M11: ``secrets=True`` keeps the message as it was."""
        tap = Tap(secrets=True)
        tap.message("in", flow(), MESSAGE, 0.0)
        (event,) = tap.events()
        self.assertEqual(f"{event.head}\r\n\r\n".encode() + (event.body or b""), MESSAGE)

    def test_the_ring_is_bounded(self) -> None:
        """The oldest event leaves when the ring is full."""
        tap = Tap(capacity=2)
        for number in range(5):
            tap.note(str(number), float(number))
        self.assertEqual([event.note for event in tap.events()], ["3", "4"])

    def test_a_large_message_is_clipped(self) -> None:
        """No event holds more than ``max_octets``, and it says that it was clipped."""
        tap = Tap(max_octets=64, secrets=True)
        tap.message("in", flow(), MESSAGE, 0.0)
        tap.message("in", flow(), b"OPTIONS sip:b SIP/2.0\r\n\r\n" + b"x" * 100, 0.0)
        first, second = tap.events()
        self.assertEqual((len(first.head), first.body, first.clipped), (64, b"", True))
        self.assertEqual((second.length, second.body, second.clipped), (100, b"x" * 43, True))

    def test_what_is_clipped_was_redacted_before(self) -> None:
        """fault:B5: a password that the clipping would cut in two is withheld all the same."""
        tap = Tap(max_octets=16)
        tap.message("in", flow(), b"X sip:alice:hunter2@a.example SIP/2.0\r\n\r\n", 0.0)
        self.assertEqual(tap.events()[0].head, "X sip:alice:***@")

    def test_ipv6_addresses_have_brackets(self) -> None:
        """A remote address with colons can still be told from its port."""
        tap = Tap(local="me")
        tap.message("in", Flow("UDP", False, "h", "2001:db8::1", 5060), b"X sip:b SIP/2.0\r\n\r\n", 0.0)
        event = tap.events()[0]
        self.assertEqual((event.remote, event.local), ("[2001:db8::1]:5060", "me"))

    def test_a_response_has_its_requests_method(self) -> None:
        """A response's method is its CSeq's; where there is none it is empty."""
        tap = Tap()
        tap.message("in", flow(), b"SIP/2.0 200 OK\r\nCSeq: 4 INFO\r\n\r\n", 0.0)
        tap.message("in", flow(), b"SIP/2.0 200 OK\r\n\r\n", 0.0)
        self.assertEqual([event.method for event in tap.events()], ["INFO", ""])

    @given(st.binary(max_size=300))
    def test_any_octets_can_be_traced(self, data: bytes) -> None:
        """Whatever a peer sends, the tap takes it and its line can be read back."""
        for secrets in (False, True):
            tap = Tap(secrets=secrets, max_octets=100)
            tap.message("in", flow(), data, 1.0)
            (event,) = tap.events()
            line = event.to_json()
            self.assertTrue(line.isascii())
            self.assertEqual(len(line.splitlines()), 1)
            if event.head:
                self.assertEqual(TraceEvent.from_json(line).to_json(), line)


class WriterTests(SynchronousTestCase):
    """The file of JSON lines."""

    def test_opened_anew(self) -> None:
        """A trace that was moved away, or that a full disk has ended, begins anew when it is opened again (row:M15,
        fault:J10)."""
        path = self.mktemp()
        os.symlink("/dev/full", path)
        writer = TraceWriter(path)
        self.addCleanup(writer.close)
        for _ in range(3):
            writer.write(TraceEvent("note", 1.0, note="lost"))
        self.assertEqual(writer.lost, 3)
        os.unlink(path)
        writer.reopen()
        writer.write(TraceEvent("note", 2.0, note="kept"))
        os.rename(path, f"{path}.old")
        writer.reopen()
        writer.write(TraceEvent("note", 3.0, note="anew"))
        with open(path) as new, open(f"{path}.old") as old:
            self.assertEqual((new.read().count("anew"), old.read().count("kept")), (1, 1))

    def test_half_a_line(self) -> None:
        """fault:J10: a disk that takes half a line leaves none of it, and what comes after room was made can be
        read."""
        path = self.mktemp()
        program = """if True:
            import os, resource, sys
            from sip_p2p.observe.trace import TraceEvent, TraceWriter
            path = sys.argv[1]
            writer = TraceWriter(path)
            event = TraceEvent("note", 1.0, note="x" * 100)
            writer.write(event)
            before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 20, most))
            writer.write(event)
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
            writer.reopen()
            writer.write(event)
            print(writer.lost)
        """
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, env=environment, check=True)
        with open(path, "rb") as lines:
            self.assertEqual((len(list(read_trace(lines))), done.stdout), (2, b"1\n"))

    def test_one_line_an_event(self) -> None:
        """row:M11: the file has one JSON object a line, is for its owner only, and holds no secret."""
        path = self.mktemp()
        writer = TraceWriter(path)
        tap = Tap(writer=writer)
        tap.message("out", flow(), MESSAGE, 1.0)
        tap.note("refused", 2.0, remote="192.0.2.9:1")
        writer.close()
        with open(path, encoding="ascii") as file:
            text = file.read()
        self.assertEqual([json.loads(line)["kind"] for line in text.splitlines()], ["message", "note"])
        self.assertNotIn("hunter2", text)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, "rb") as lines:
            self.assertEqual([event.to_json() for event in read_trace(lines)], text.splitlines())

    def test_an_existing_file_is_carried_on(self) -> None:
        """A second run appends."""
        path = self.mktemp()
        for number in (1, 2):
            writer = TraceWriter(path)
            writer.write(TraceEvent("note", float(number), note="run"))
            writer.close()
        with open(path, "rb") as lines:
            self.assertEqual([event.at for event in read_trace(lines)], [1.0, 2.0])

    def test_the_file_is_bounded(self) -> None:
        """At its bound the file becomes NAME.1, which replaces the one before."""
        path = self.mktemp()
        writer = TraceWriter(path, max_file_octets=200)
        for number in range(20):
            writer.write(TraceEvent("note", float(number), note="x" * 40))
        writer.close()
        self.assertLessEqual(os.path.getsize(path), 200)
        self.assertLessEqual(os.path.getsize(f"{path}.1"), 200)
        with open(path, "rb") as lines:
            self.assertEqual(list(read_trace(lines))[-1].at, 19.0)

    def test_a_path_that_cannot_be_written(self) -> None:
        """It is an error at the start, not at the first message."""
        with self.assertRaises(OSError):
            TraceWriter(os.path.join(self.mktemp(), "missing", "trace"))

    def test_a_full_disk_ends_the_trace_and_nothing_else(self) -> None:
        """fault:J10: an error while writing is logged once and counted; the tap goes on."""
        writer = TraceWriter("/dev/full")
        tap = Tap(writer=writer)
        for number in range(3):
            tap.note("x", float(number))
        self.assertEqual(writer.lost, 3)
        self.assertEqual(len(tap.events()), 3)
        writer.close()

    def test_a_bound_that_is_none(self) -> None:
        """A size of zero is refused at once."""
        with self.assertRaises(ValueError):
            TraceWriter(self.mktemp(), max_file_octets=0)


class ReaderTests(SynchronousTestCase):
    """:func:`read_trace` names the line that it cannot read."""

    GOOD = '{"kind": "message", "at": 1, "direction": "out", "head": "OPTIONS sip:b SIP/2.0"}'

    def test_bad_lines_are_named(self) -> None:
        """Each kind of damage has its words and its line number."""
        cases = {
            "{": "not JSON",
            "[1]": "not a JSON object",
            "[" * 100_000: "not JSON",
            '{"kind": "x"}': "its kind",
            '{"kind": "note"}': "its time",
            '{"kind": "note", "at": true}': "its time",
            '{"kind": "note", "at": NaN}': "its time",
            '{"kind": "note", "at": 1e999}': "its time",
            '{"kind": "note", "at": 1, "note": 5}': "its note is not text",
            '{"kind": "message", "at": 1}': "without a head",
            '{"kind": "message", "at": 1, "head": "X", "direction": "up"}': "its direction",
            '{"kind": "message", "at": 1, "head": "X", "length": -1}': "its length",
            '{"kind": "message", "at": 1, "head": "X", "body_base64": "*"}': "not base64",
        }
        for line, reason in cases.items():
            with self.subTest(line[:60]):
                error = self.assertRaises(TraceError, list, read_trace([self.GOOD, "", line], "t.jsonl"))
                self.assertEqual(error.line, 3)
                self.assertTrue(str(error).startswith("t.jsonl:3: not a line of a trace: "), str(error))
                self.assertIn(reason, error.reason)

    def test_bad_lines_can_be_passed_over(self) -> None:
        """With somebody to tell, reading goes on behind the bad line."""
        refused: list[TraceError] = []
        lines = io.BytesIO(f"{self.GOOD}\n\xff\n{self.GOOD}\n".encode("latin-1"))
        events = list(read_trace(lines, refused=refused.append))
        self.assertEqual(len(events), 2)
        self.assertEqual([error.line for error in refused], [2])

    def test_unknown_keys_are_ignored(self) -> None:
        """A later version may say more."""
        (event,) = read_trace(['{"kind": "note", "at": 1.5, "note": "n", "mood": "fine"}'])
        self.assertEqual((event.at, event.note), (1.5, "n"))

    def test_bodies_survive(self) -> None:
        """Text and other octets come back as they were."""
        for body in (b"text", "汉".encode(), b"\xff\x00"):
            event = TraceEvent("message", 0.0, head="X", body=body, length=len(body))
            self.assertEqual(TraceEvent.from_json(event.to_json()).body, body)
