"""Messages out of a byte stream: lengths, keep-alives, bounds, and that nothing depends on how the octets are cut."""

from __future__ import annotations

import time
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.framing import PING, PONG, StreamFramer
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import Unparsable, declared_length, parse_message
from tests.sip.harness import CoreBench, message
from tests.support import SynchronousTestCase, call_flows

OPTIONS = message("OPTIONS")
TEXT = message("MESSAGE", body=b"hello\r\n\r\nthere")


def feed(octets: bytes, size: int = 0, limits: MessageLimits | None = None) -> list[object]:
    """Feed *octets* in pieces of *size*, 0 for all at once."""
    framer = StreamFramer(limits)
    found: list[object] = []
    step = size or max(1, len(octets))
    for start in range(0, len(octets), step):
        found += framer.feed(octets[start : start + step])
    return found


def shape(found: list[object]) -> list[object]:
    """What was found, in a form that compares."""
    shapes: list[object] = []
    for item in found:
        if isinstance(item, (Request, Response)):
            shapes.append((item.start_line, list(item.headers), item.body))
        elif isinstance(item, Unparsable):
            shapes.append((item.error.status, item.method, item.loses_framing))
        else:
            shapes.append(item)
    return shapes


class FramingTests(SynchronousTestCase):
    """Where one message ends and the next begins."""

    def test_pipelined_messages(self) -> None:
        """Several messages in one delivery come out in order, bodies with empty lines and all (row:E21)."""
        found = feed(TEXT + OPTIONS + TEXT)
        self.assertEqual([item.method for item in found], ["MESSAGE", "OPTIONS", "MESSAGE"])  # type: ignore[attr-defined]
        self.assertEqual(found[0].body, b"hello\r\n\r\nthere")  # type: ignore[attr-defined]

    def test_every_cut_gives_the_same(self) -> None:
        """However a stream is cut, the same messages come out (fault:A8)."""
        octets = TEXT + b"\r\n\r\n" + OPTIONS + TEXT
        whole = shape(feed(octets))
        for size in (1, 2, 3, 5, 7, 64, 200):
            self.assertEqual(shape(feed(octets, size)), whole)
        for cut in range(1, len(octets)):
            framer = StreamFramer()
            self.assertEqual(shape(framer.feed(octets[:cut]) + framer.feed(octets[cut:])), whole)

    @given(st.lists(st.sampled_from([TEXT, OPTIONS, b"\r\n\r\n"]), max_size=6), st.data())
    @settings(max_examples=100, deadline=None)
    def test_random_cuts(self, parts: list[bytes], data: st.DataObject) -> None:
        """The property behind it, over random sequences and cuts."""
        octets = b"".join(parts)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
        framer = StreamFramer()
        found: list[object] = []
        for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
            found += framer.feed(octets[start:end])
        self.assertEqual(shape(found), shape(feed(octets)))

    def test_lengths_that_are_none(self) -> None:
        """Only one to ten ASCII digits are a Content-Length; anything else is 400 or 413, and ends the stream
        (fault:A3)."""
        values = [
            "-1", "+5", "5_0", "", " ", "5 5", "5,5", "0x10", "1e3", "5.0", "٥", "５", "99999999999", "9" * 5000, "-0",
            "5;", "\x005", "5\x0b", "4294967301", "2147483648", "18446744073709551616", "1" + "0" * 9, "5 \x85", "NaN",
            "five", "'5'", '"5"', "--5", "5-", "0b1", "½", "²", "5\u2028", "\u00a05", "1 0", "5\t5", "(5)", "=5", "5/1",
            "~5",
        ]  # fmt: skip
        self.assertGreaterEqual(len(values), 40)
        for value in values:
            octets = (
                "OPTIONS sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/TLS p;branch=z9hG4bKx\r\n"
                f"Content-Length: {value}\r\n\r\n"
            )
            (item, *rest) = feed(octets.encode("utf-8") + OPTIONS)
            assert isinstance(item, Unparsable), value
            self.assertIn(item.error.status, (400, 413), value)
            self.assertTrue(item.loses_framing)
            self.assertEqual(rest, [], f"something came after Content-Length {value!r}")

    def test_spellings_of_the_same_field(self) -> None:
        """Blanks before the colon, the compact form, any case and a folded value are the same Content-Length
        (fault:A5)."""
        for spelling in ("Content-Length : 5", "content-length\t:5", "l: 5", "L :\r\n 5", "CONTENT-LENGTH:\r\n\t5"):
            head = f"MESSAGE sip:user@example.com SIP/2.0\r\nCSeq: 1 MESSAGE\r\n{spelling}\r\n\r\n"
            (item,) = feed(head.encode() + b"hello")
            assert isinstance(item, Request), spelling
            self.assertEqual(item.body, b"hello")

    def test_two_lengths_smuggle_nothing(self) -> None:
        """Two Content-Length fields, equal or not, long or compact, end the stream before any body (fault:A5)."""
        for second in ("Content-Length: 0", "l: 5", "Content-Length : 4", "l:\r\n 0"):
            head = f"MESSAGE sip:user@example.com SIP/2.0\r\nContent-Length: 5\r\n{second}\r\n\r\n"
            found = feed(head.encode() + OPTIONS)
            self.assertEqual([type(item) for item in found], [Unparsable], second)

    def test_length_inside_a_multipart_means_nothing(self) -> None:
        """A Content-Length in a body part is body (fault:A5)."""
        body = b"--b\r\nContent-Length: 0\r\n\r\nx\r\n--b--\r\n"
        (item,) = feed(message("MESSAGE", body=body))
        self.assertEqual(item.body, body)  # type: ignore[attr-defined]

    def test_parser_and_framer_agree(self) -> None:
        """For a message that is whole, the framer and the datagram parser find the same end (fault:A5)."""
        for name, octets in call_flows(framed_only=True):
            if b"ontent-Length" not in octets and b"\r\nl:" not in octets:
                continue
            (item, *_) = feed(octets)
            if isinstance(item, Unparsable):
                with self.assertRaises(MalformedMessage, msg=name):
                    parse_message(octets)
            else:
                self.assertEqual(shape([item]), shape([parse_message(octets)]), name)

    @given(
        st.lists(
            st.sampled_from(
                [
                    "Content-Length: 5",
                    "l: 5",
                    "Content-Length: 0",
                    "Content-Length : 5",
                    "X: y",
                    " folded",
                    "Content-Lengthy: 9",
                    "content-length:5",
                    "Content-Length: 05",
                    "Content-Length: 5 ",
                    "Content-Length:\r\n 5",
                    "Subject: l: 5",
                ]
            ),
            max_size=4,
        )
    )
    @settings(max_examples=400, deadline=None)
    def test_against_a_slow_strict_reader(self, lines: list[str]) -> None:
        """A reader that goes line by line, the slow way, finds the same length as ours (fault:A5)."""
        head = "\r\n".join(["MESSAGE sip:user@example.com SIP/2.0", "CSeq: 1 MESSAGE", *lines])
        expected = slow_length(head)
        try:
            found: object = declared_length(parse_message((head + "\r\n\r\nhello").encode()).headers)
        except MalformedMessage:
            found = "refused"
        if expected == "refused" or found == "refused":
            self.assertEqual(found, expected)
        else:
            self.assertEqual(found, expected)

    def test_no_length_on_a_stream(self) -> None:
        """A stream message without Content-Length is answered 400 and ends the stream, whatever follows (fault:A4)."""
        octets = OPTIONS.replace(b"Content-Length: 0\r\n", b"")
        (item,) = feed(octets + OPTIONS)
        assert isinstance(item, Unparsable)
        self.assertEqual((item.error.status, item.loses_framing, item.method), (400, True, "OPTIONS"))


class KeepAliveTests(SynchronousTestCase):
    """RFC 5626 section 4.4.1."""

    def test_ping_in_every_cut(self) -> None:
        """A double CRLF between messages is one ping, however it arrives (fault:A10)."""
        octets = OPTIONS + b"\r\n\r\n" + OPTIONS
        for cut in range(len(octets) + 1):
            framer = StreamFramer()
            found = framer.feed(octets[:cut]) + framer.feed(octets[cut:])
            self.assertEqual([item if item is PING else "m" for item in found], ["m", PING, "m"], cut)

    def test_ping_is_answered(self) -> None:
        """The answer to a ping is a single CRLF, at once (fault:A10)."""
        bench = CoreBench()
        (output,) = bench.over_stream(b"\r\n\r\n")
        self.assertEqual(output.data, b"\r\n")  # type: ignore[union-attr]

    def test_pong(self) -> None:
        """After a ping of ours a single CRLF is a pong at once; without one it is passed over before a message."""
        framer = StreamFramer()
        framer.pings_sent = 1
        self.assertEqual(framer.feed(b"\r\n"), [PONG])
        self.assertEqual(framer.feed(b"\r\n"), [])
        self.assertEqual(framer.feed(OPTIONS)[0], PONG)

    def test_pong_and_ping(self) -> None:
        """While a ping of ours waits for its pong a ping of the peer is still one, before it and behind it, and in
        every cut but that through its middle (fault:A10)."""
        for octets, expected in (
            (b"\r\n\r\n" + b"\r\n", [PING, PONG]),
            (b"\r\n" + OPTIONS + b"\r\n\r\n" + OPTIONS, [PONG, "m", PING, "m"]),
            (b"\r\n\r\n" + OPTIONS + b"\r\n" + OPTIONS, [PING, "m", PONG, "m"]),
            (OPTIONS + b"\r\n" + OPTIONS, ["m", PONG, "m"]),
        ):
            for cut in range(len(octets) + 1):
                if octets[:4] == b"\r\n\r\n" and cut in (2, 3):
                    continue
                framer = StreamFramer()
                framer.pings_sent = 1
                found = framer.feed(octets[:cut]) + framer.feed(octets[cut:])
                self.assertEqual([item if item in (PING, PONG) else "m" for item in found], expected, cut)

    def test_keep_alive_is_no_partial_message(self) -> None:
        """Half a ping does not start the clock for a message; the first octet of a message does (fault:A10)."""
        framer = StreamFramer()
        for piece in (b"\r", b"\n", b"\r"):
            framer.feed(piece)
            self.assertFalse(framer.is_partial)
        framer.feed(b"\nO")
        self.assertTrue(framer.is_partial)

    def test_bare_cr_between_messages(self) -> None:
        """A CR that is not followed by LF between messages ends the stream (fault:A11)."""
        (item,) = feed(b"\rX")
        self.assertIsInstance(item, Unparsable)


class BoundTests(SynchronousTestCase):
    """What a peer may make us hold."""

    def test_head_without_end(self) -> None:
        """A head over its limit is 513 as soon as it is, with nothing more kept (fault:A7)."""
        framer = StreamFramer(MessageLimits(head=4096, line=1024))
        found: list[object] = list(
            framer.feed(b"OPTIONS sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/TLS p;branch=z9hG4bKx\r\n")
        )
        fed = 0
        while not found and fed < 100_000:
            found += framer.feed(b"X-1: y\r\n" * 64)
            fed += 512
        (item,) = found
        assert isinstance(item, Unparsable)
        self.assertEqual(item.error.status, 513)
        self.assertLess(fed, 8192)
        self.assertEqual(framer.buffered, 0)
        self.assertEqual(framer.feed(OPTIONS), [])

    def test_too_many_and_too_long(self) -> None:
        """Field count, Via count, field length, start line length and fold length each have their bound (fault:A7)."""
        cases = {
            "fields": (message("OPTIONS", extra="\r\nX: y" * 200), 400),
            "vias": (message("OPTIONS", extra="\r\nVia: SIP/2.0/TLS p;branch=z9hG4bKy" * 70), 400),
            "routes": (message("OPTIONS", extra="\r\nRoute: <sip:p;lr>" * 70), 400),
            "params": (message("OPTIONS", extra="\r\nContact: <sip:p>" + ";p" * 71), 400),
            "line": (message("OPTIONS", extra="\r\nX: " + "y" * 5000), 400),
            "folds": (message("OPTIONS", extra="\r\nX: y" + "\r\n y" * 120 + "\r\n " + "y" * 4000), 400),
            "uri": (message("OPTIONS", "sip:" + "u" * 5000 + "@example.com"), 414),
        }
        for name, (octets, status) in cases.items():
            (item, *_) = feed(octets)
            assert isinstance(item, Unparsable), name
            self.assertEqual(item.error.status, status, name)

    def test_announced_body_is_not_allocated(self) -> None:
        """A thousand connections that announce a body and send none hold next to nothing (fault:A6)."""
        head = message("MESSAGE", extra="").replace(b"Content-Length: 0", b"Content-Length: 49152")
        tracemalloc.start()
        try:
            framers = [StreamFramer() for _ in range(1000)]
            for framer in framers:
                framer.feed(head)
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(size, 10 * 1024 * 1024)
        self.assertTrue(all(framer.is_partial for framer in framers))

    def test_body_over_the_limit(self) -> None:
        """A body over its limit is 413 before any of it is read (row:E21, fault:A6)."""
        head = message("MESSAGE").replace(b"Content-Length: 0", b"Content-Length: 49153")
        (item,) = feed(head)
        assert isinstance(item, Unparsable)
        self.assertEqual((item.error.status, item.method), (413, "MESSAGE"))

    def test_time_is_linear(self) -> None:
        """Twice the octets cost about twice the time, for trickles, folds, commas, quotes and parameters (fault:A8)."""
        limits = MessageLimits(
            message=2**22, head=2**21, line=2**20, fields=2**17, body=2**21, vias=2**16, routes=2**16
        )
        inputs = {
            "trickle": lambda n: (OPTIONS[:-4] + b"\r\nX: " + b"y" * n + b"\r\n\r\n", 1),
            "folds": lambda n: (OPTIONS[:-4] + b"\r\nX: y" + b"\r\n y" * (n // 4) + b"\r\n\r\n", 0),
            "blanks": lambda n: (OPTIONS[:-4] + b"\r\nX: " + b" " * n + b"y\r\n\r\n", 0),
            "fields": lambda n: (OPTIONS[:-4] + b"\r\nX: y" * (n // 6) + b"\r\n\r\n", 0),
            "body": lambda n: (message("MESSAGE", body=b"y" * n), 1),
        }
        for name, build in inputs.items():
            times = []
            for n in (20_000, 40_000, 80_000):
                octets, size = build(n)
                times.append(min(cpu_time(octets, size, limits) for _ in range(3)))
            # Four times the input: linear is 4, quadratic is 16.
            self.assertLess(times[2], 9 * times[0] + 0.002, f"{name}: {times}")

    def test_foreign_protocols(self) -> None:
        """What opens like another protocol ends the stream at its first line, without an answer (fault:A15)."""
        openings = [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00", b"SSH-2.0-OpenSSH_9.2\r\n",
            b"EHLO x\r\n", b"HELO x\r\n", b"USER x\r\n", b"\x00\x01\x00\x00", b"\x80\x2e\x01", b"RTSP/1.0 200 OK\r\n",
            b"OPTIONS rtsp://x RTSP/1.0\r\n", b"\x05\x01\x00", b"\x04\x01\x00\x50", b"*1\r\n$4\r\nPING\r\n",
            b"{\"a\":1}\r\n", b"<?xml version=\"1.0\"?>\r\n", b"CONNECT x:443 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n",
            b"HEP3\x00\x06\r\n", b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n",
        ]  # fmt: skip
        self.assertGreaterEqual(len(openings), 20)
        for opening in openings:
            bench = CoreBench()
            outputs = bench.over_stream(opening)
            names = [type(output).__name__ for output in outputs if getattr(output, "data", None) != b"\r\n"]
            self.assertEqual(names, ["CloseFlow"], opening)
            self.assertEqual(bench.core.counters.unparsable, 1)


def slow_length(head: str) -> object:
    """Content-Length as somebody in no hurry would read it, from the grammar and nothing else."""
    fields: list[list[str]] = []
    for line in head.split("\r\n")[1:]:
        if line[:1] in (" ", "\t"):
            fields[-1].append(line)
        else:
            fields.append([line])
    found: list[str] = []
    for lines in fields:
        text = " ".join(part.strip(" \t") for part in lines)
        if ":" not in text:
            return "refused"
        name, value = text.split(":", 1)
        if name.strip(" \t").lower() in ("content-length", "l"):
            found.append(value.strip(" \t"))
    if not found:
        return None
    if len(found) > 1 or not found[0] or any(character not in "0123456789" for character in found[0]):
        return "refused"
    # The body of the example has five octets: more would be refused by the parser for want of them.
    return int(found[0]) if int(found[0]) <= 5 else "refused"


def cpu_time(octets: bytes, size: int, limits: MessageLimits) -> float:
    """CPU seconds to frame *octets*, in pieces of 1 KiB (size 1) or at once."""
    step = 1024 if size else len(octets)
    framer = StreamFramer(limits)
    started = time.process_time()
    for start in range(0, len(octets), step):
        framer.feed(octets[start : start + step])
    return time.process_time() - started
