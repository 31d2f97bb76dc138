"""HEP packets: the chunks of one message."""

from __future__ import annotations

import struct

from sip_p2p.observe.hep import LARGEST_PACKET, HepEncoder
from sip_p2p.observe.trace import TraceEvent
from tests.observe.test_pcapng import HEAD, message
from tests.support import SynchronousTestCase


def chunks(packet: bytes) -> dict[int, bytes]:
    """The chunks of a packet by their kinds; the lengths are compared."""
    assert packet[:4] == b"HEP3" and struct.unpack_from(">H", packet, 4) == (len(packet),), "this is no packet"
    found, rest = {}, packet[6:]
    while rest:
        vendor, kind, length = struct.unpack_from(">HHH", rest)
        assert vendor == 0 and kind not in found, "another vendor, or a chunk twice"
        found[kind] = rest[6:length]
        rest = rest[length:]
    return found


class HepTests(SynchronousTestCase):
    """What a collector gets."""

    def test_a_message_over_ipv4(self) -> None:
        """Family, protocol, addresses, ports, time, kind, agent, password, Call-ID and the message."""
        found = chunks(HepEncoder(2001, "myhep").packet(message(direction="in")))
        self.assertEqual(
            found,
            {
                1: b"\x02",
                2: b"\x06",
                3: bytes([192, 0, 2, 2]),
                4: bytes([192, 0, 2, 1]),
                7: struct.pack(">H", 40000),
                8: struct.pack(">H", 5061),
                9: struct.pack(">I", 1_700_000_000),
                10: struct.pack(">I", 250_000),
                11: b"\x01",
                12: struct.pack(">I", 2001),
                14: b"myhep",
                15: HEAD.encode() + b"\r\n\r\nhello",
                17: b"one",
            },
        )

    def test_a_datagram_over_ipv6(self) -> None:
        """The addresses are chunks of their own, and without a password and a Call-ID there is no chunk for them."""
        event = message(
            transport="UDP", address="[2001:db8::1]:5060", remote="[2001:db8::2]:5060", head="OPTIONS", body=None
        )
        found = chunks(HepEncoder().packet(event))
        self.assertEqual((found[1], found[2], found[5][-1], found[6][-1]), (b"\x0a", b"\x11", 1, 2))
        self.assertEqual(set(found), {1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 15})
        self.assertEqual(found[15], b"OPTIONS\r\n\r\n")

    def test_a_large_message(self) -> None:
        """It is cut where a packet ends."""
        packet = HepEncoder().packet(message(body=b"x" * 100_000, length=100_000))
        self.assertLessEqual(len(packet), LARGEST_PACKET)
        self.assertTrue(chunks(packet)[15].startswith(HEAD.encode()))

    def test_notes(self) -> None:
        """They have no place there."""
        self.assertEqual(HepEncoder().packet(TraceEvent("note", 1.0, note="refused")), b"")

    def test_what_is_no_agent(self) -> None:
        """A number of more than 32 bits, or a password without end, is refused."""
        for arguments in ((-1,), (1 << 32,), (0, "x" * 1025)):
            self.assertRaises(ValueError, HepEncoder, *arguments)
