"""Messages as packets: blocks, addresses, sequence numbers, checksums, and a file that outlives trouble."""

from __future__ import annotations

import os
import resource
import signal
import struct
from pathlib import Path
from typing import Any

from sip_p2p.observe.pcapng import PacketMaker, PcapngWriter, capture
from sip_p2p.observe.trace import TraceEvent
from tests.support import SynchronousTestCase

HEAD = "MESSAGE sip:bob@b.example SIP/2.0\r\nCall-ID: one\r\nCSeq: 1 MESSAGE\r\nContent-Length: 5"


def message(**fields: Any) -> TraceEvent:
    """One message that passed."""
    given: dict[str, Any] = {
        "direction": "out",
        "transport": "TLS",
        "address": "192.0.2.1:5061",
        "remote": "192.0.2.2:40000",
        "peer": "b.example",
        "head": HEAD,
        "length": 5,
        "body": b"hello",
        "flow": 7,
    }
    return TraceEvent("message", 1_700_000_000.25, **{**given, **fields})


def blocks(octets: bytes) -> list[tuple[int, bytes]]:
    """The blocks of a capture, each with its kind; their lengths are compared."""
    found = []
    while octets:
        kind, length = struct.unpack_from("<II", octets)
        assert length % 4 == 0 and octets[length - 4 : length] == octets[4:8], "the lengths of a block differ"
        found.append((kind, octets[8 : length - 4]))
        octets = octets[length:]
    return found


class Packet:
    """A packet as it stands in its block."""

    def __init__(self, block: bytes) -> None:
        self.interface, high, low, kept, self.length = struct.unpack_from("<IIIII", block)
        self.at = ((high << 32) + low) / 1_000_000
        self.frame = block[20 : 20 + kept]
        self.options = block[20 + kept + -kept % 4 :]


def packets(octets: bytes) -> list[Packet]:
    """The packets of a capture."""
    return [Packet(block) for kind, block in blocks(octets) if kind == 6]


def checksum(data: bytes) -> int:
    """The sum that RFC 1071 wants to be all ones where the checksum is right."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class PacketTests(SynchronousTestCase):
    """What a message becomes."""

    def test_a_file_that_somebody_has_made_up(self) -> None:
        """What no message has, and a line of a trace may say all the same, makes packets of bounded size and number."""
        made_up = message(length=10**30, head="SIP/2.0 200 \ud800", address="h:99999999", remote="[::1", body=None)
        made_up.at = 1e14
        for transport in ("TLS", "UDP", "WSS"):
            made_up.transport = transport
            found = packets(capture((made_up,)))
            self.assertTrue(0 < len(found) < 300, transport)
            self.assertIn(b"SIP/2.0 200 \\ud800", found[0].frame)

    def test_a_capture_begins_with_its_section_and_one_interface(self) -> None:
        """A section header, an interface of raw IP, and nothing more where nothing passed."""
        (section, first), (interface, second) = blocks(capture(()))
        self.assertEqual((section, interface), (0x0A0D0D0A, 1))
        self.assertEqual(first[:8], struct.pack("<IHH", 0x1A2B3C4D, 1, 0))
        self.assertEqual(struct.unpack_from("<H", second), (101,))

    def test_tcp_over_ipv4(self) -> None:
        """A message over TLS is TCP in the clear between the addresses of its flow, with checksums that hold."""
        (packet,) = packets(capture([message()]))
        frame = packet.frame
        self.assertEqual((packet.at, packet.length, packet.interface), (1_700_000_000.25, len(frame), 0))
        self.assertEqual((frame[0], frame[9]), (0x45, 6))
        self.assertEqual(struct.unpack_from(">H", frame, 2), (len(frame),))
        self.assertEqual(frame[12:20], bytes([192, 0, 2, 1, 192, 0, 2, 2]))
        self.assertEqual(struct.unpack_from(">HH", frame, 20), (5061, 40000))
        self.assertEqual(frame[40:], HEAD.encode() + b"\r\n\r\nhello")
        self.assertEqual(checksum(frame[:20]), 0xFFFF)
        pseudo = frame[12:20] + struct.pack(">BBH", 0, 6, len(frame) - 20)
        self.assertEqual(checksum(pseudo + frame[20:]), 0xFFFF)

    def test_udp_over_ipv6(self) -> None:
        """What comes by UDP from an IPv6 address is such a datagram, its checksum too."""
        event = message(transport="UDP", direction="in", address="[2001:db8::1]:5060", remote="[2001:db8::2]:5060")
        (packet,) = packets(capture([event]))
        frame = packet.frame
        self.assertEqual((frame[0] >> 4, frame[6], frame[23], frame[39]), (6, 17, 2, 1))
        self.assertEqual(struct.unpack_from(">HHH", frame, 40), (5060, 5060, len(frame) - 40))
        self.assertEqual(checksum(frame[8:40] + struct.pack(">IHBB", len(frame) - 40, 0, 0, 17) + frame[40:]), 0xFFFF)

    def test_sequence_numbers(self) -> None:
        """Each direction of a connection counts its octets, and acknowledges those of the other."""
        there, back, again = (
            struct.unpack_from(">II", packet.frame, 24)
            for packet in packets(capture([message(), message(direction="in"), message()]))
        )
        size = len(HEAD) + 9
        self.assertEqual(back, (there[1], (there[0] + size) & 0xFFFFFFFF))
        self.assertEqual(again, ((there[0] + size) & 0xFFFFFFFF, (there[1] + size) & 0xFFFFFFFF))

    def test_connections_that_are_remembered_are_bounded(self) -> None:
        """Beyond the bound the connection that was silent for longest begins with numbers of another time."""
        maker = PacketMaker(flows=1)
        maker.begin()
        first = message()
        maker.packets(first)
        maker.packets(message(remote="192.0.2.3:40000"))
        first.at += 100
        (packet,) = packets(maker.packets(first))
        self.assertEqual(struct.unpack_from(">I", packet.frame, 24), (1_700_000_100_250_000 // 4 & 0xFFFFFFFF,))

    def test_a_withheld_body(self) -> None:
        """A packet without its body is cut, and says how long it was; the next goes on behind it (row:M11)."""
        cut, following = packets(capture([message(body=None), message()]))
        self.assertEqual((len(cut.frame), cut.length), (40 + len(HEAD) + 4, 40 + len(HEAD) + 9))
        self.assertEqual(struct.unpack_from(">H", cut.frame, 2), (40 + len(HEAD) + 9,))
        one, other = (struct.unpack_from(">I", packet.frame, 24)[0] for packet in (cut, following))
        self.assertEqual((other - one) & 0xFFFFFFFF, len(HEAD) + 9)
        self.assertIn(b"body of 5 octets withheld", cut.options)

    def test_a_large_message(self) -> None:
        """What is larger than a packet is several segments of TCP, and a datagram that is cut."""
        body = b"x" * 100_000
        large = {"length": len(body), "body": body}
        segments = packets(capture([message(**large)]))
        self.assertEqual(b"".join(each.frame[40:] for each in segments), HEAD.encode() + b"\r\n\r\n" + body)
        (datagram,) = packets(capture([message(transport="UDP", **large)]))
        self.assertEqual(len(datagram.frame), 65_000 + 28)

    def test_ports_of_other_protocols(self) -> None:
        """Where something else is expected, and for WebSocket, the message says itself that it is SIP."""
        for event in (
            message(address="192.0.2.1:80"),
            message(transport="WSS"),
            message(transport="WS", address="[2001:db8::1]:5061", remote="[2001:db8::2]:40000"),
        ):
            with self.subTest(event.address, transport=event.transport):
                octets = capture([event])
                kinds = [struct.unpack_from("<H", block)[0] for kind, block in blocks(octets) if kind == 1]
                self.assertEqual(kinds, [101, 252])
                (packet,) = packets(octets)
                self.assertEqual(packet.interface, 1)
                self.assertTrue(packet.frame.startswith(b"\0\x0c\0\x04sip\0"))
                self.assertTrue(packet.frame.endswith(HEAD.encode() + b"\r\n\r\nhello"))

    def test_who_the_peer_is(self) -> None:
        """The comment names the identity that was proved, the transport and the flow; the flags say the direction."""
        (packet,) = packets(capture([message(direction="in")]))
        self.assertIn(b"TLS; the peer: proved to be b.example; flow 7", packet.options)
        self.assertIn(struct.pack("<HHI", 2, 4, 1), packet.options)
        (packet,) = packets(capture([message(peer="", transport="TCP")]))
        self.assertIn(b"TCP; the peer: nobody in particular", packet.options)

    def test_addresses_that_are_not_known(self) -> None:
        """A trace of before has no address of ours: it is the unspecified one, of the peer's family."""
        cases = {
            ("", "192.0.2.2:5060"): b"\0\x14\0\x04" + bytes(4) + b"\0\x15\0\x04" + bytes([192, 0, 2, 2]),
            ("192.0.2.1:5060", ""): b"\0\x14\0\x04" + bytes([192, 0, 2, 1]) + b"\0\x15\0\x04" + bytes(4),
            ("[::]:5060", "192.0.2.2:5060"): bytes(4) + bytes([192, 0, 2, 2]),
            ("[::ffff:192.0.2.1]:5060", "192.0.2.2:5060"): bytes([192, 0, 2, 1, 192, 0, 2, 2]),
        }
        for (address, remote), expected in cases.items():
            with self.subTest(address, remote=remote):
                maker = PacketMaker()
                maker.begin()
                octets = maker.packets(message(address=address, remote=remote))
                self.assertIn(expected, octets)

    def test_notes_are_no_packets(self) -> None:
        """A note leaves nothing; a maker that was not begun says so."""
        self.assertEqual(packets(capture([TraceEvent("note", 1.0, note="refused")])), [])
        self.assertRaises(ValueError, PacketMaker().packets, message())


class FileTests(SynchronousTestCase):
    """The file."""

    def writer(self, **options: Any) -> PcapngWriter:
        """A file of this test."""
        writer = PcapngWriter(self.mktemp(), **options)
        self.addCleanup(writer.close)
        return writer

    def test_it_is_for_its_owner_and_gone_on_with(self) -> None:
        """Nobody else may read it; opened anew, another section begins behind the first."""
        writer = self.writer()
        writer.write(message())
        writer.reopen()
        writer.write(message())
        self.assertEqual(os.stat(writer.path).st_mode & 0o777, 0o600)
        kinds = [kind for kind, _ in blocks(Path(writer.path).read_bytes())]
        self.assertEqual(kinds, [0x0A0D0D0A, 1, 6, 0x0A0D0D0A, 1, 6])

    def test_it_is_bounded(self) -> None:
        """At its bound it becomes the one before, and both are whole captures."""
        writer = self.writer(max_file_octets=400)
        for _ in range(3):
            writer.write(message())
        for path in (writer.path, f"{writer.path}.1"):
            self.assertEqual(blocks(Path(path).read_bytes())[0][0], 0x0A0D0D0A)
        self.assertEqual(writer.lost, 0)
        self.assertRaises(ValueError, PcapngWriter, writer.path, max_file_octets=0)

    def test_a_full_disk(self) -> None:
        """What does not fit is cut off again, said once and counted; opened anew it goes on."""
        # Larger than any log of the tests, which the limit holds for as well.
        size = 1 << 32
        path = self.mktemp()
        with open(path, "wb") as file:
            file.truncate(size)
        writer = PcapngWriter(path, max_file_octets=2 * size)
        self.addCleanup(writer.close)
        writer.write(message())
        whole = os.stat(path).st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 50, before[1]))
        try:
            writer.write(message())
            writer.write(message())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        self.assertEqual(os.stat(path).st_size, whole)
        self.assertEqual(writer.lost, 2)
        writer.reopen()
        writer.write(message())
        with open(path, "rb") as file:
            file.seek(size)
            self.assertEqual(len(packets(file.read())), 2)

    def test_a_path_that_cannot_be_written(self) -> None:
        """It is an error at once."""
        self.assertRaises(OSError, PcapngWriter, os.path.join(self.mktemp(), "missing", "file"))
        if os.path.exists("/dev/full"):
            error = self.assertRaises(OSError, PcapngWriter, "/dev/full")
            self.assertEqual(error.filename, "/dev/full")
