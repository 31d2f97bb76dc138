"""STUN Binding messages, with the vectors of RFC 5769."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.transport.udp.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_RESPONSE,
    binding_error,
    binding_request,
    binding_response,
    parse_binding,
)
from tests.support import SynchronousTestCase

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")

SAMPLE_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1"
    "51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
"""RFC 5769 section 2.1."""

SAMPLE_IPV4_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599"
    "fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
"""RFC 5769 section 2.2."""

SAMPLE_IPV6_RESPONSE = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5"
    "bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
"""RFC 5769 section 2.3."""


class VectorTests(SynchronousTestCase):
    """RFC 5769."""

    def test_request(self) -> None:
        """The sample request is read, its FINGERPRINT is right, and PRIORITY is found to be none of ours (row:E17, RFC
        5769 section 2.1)."""
        binding = parse_binding(SAMPLE_REQUEST)
        self.assertEqual((binding.kind, binding.transaction), (BINDING_REQUEST, TRANSACTION))
        self.assertEqual((binding.mapped, binding.unknown, binding.has_fingerprint), (None, (0x0024,), True))

    def test_responses(self) -> None:
        """The sample responses name the addresses that the RFC says (row:E17, RFC 5769 sections 2.2 and 2.3)."""
        four, six = parse_binding(SAMPLE_IPV4_RESPONSE), parse_binding(SAMPLE_IPV6_RESPONSE)
        self.assertEqual((four.kind, four.mapped), (BINDING_RESPONSE, ("192.0.2.1", 32853)))
        self.assertEqual((six.kind, six.mapped), (BINDING_RESPONSE, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)))
        self.assertTrue(four.has_fingerprint and six.has_fingerprint)

    def test_one_wrong_octet(self) -> None:
        """An octet that was changed anywhere before the value of FINGERPRINT or in it makes a message none
        (fault:I7)."""
        for sample in (SAMPLE_REQUEST, SAMPLE_IPV4_RESPONSE, SAMPLE_IPV6_RESPONSE):
            for index in (*range(len(sample) - 8), *range(len(sample) - 4, len(sample))):
                changed = bytearray(sample)
                changed[index] ^= 0x55
                with self.assertRaises(MalformedMessage, msg=index):
                    parse_binding(bytes(changed))


class RoundTests(SynchronousTestCase):
    """What we write ourselves."""

    def test_request_and_response(self) -> None:
        """A request and its response belong together, and the response names the source that it is given (row:E17)."""
        octets = binding_request(TRANSACTION)
        request = parse_binding(octets)
        self.assertEqual((request.kind, request.transaction, len(octets)), (BINDING_REQUEST, TRANSACTION, 28))
        for host, port, size in (("192.0.2.1", 32853, 40), ("2001:db8::7", 1, 52)):
            octets = binding_response(request, host, port)
            response = parse_binding(octets)
            self.assertEqual((response.mapped, response.transaction), ((host, port), TRANSACTION))
            self.assertEqual((len(octets), response.has_fingerprint), (size, True))

    def test_error(self) -> None:
        """What a request wants understood and is not is named in a 420, which is no larger than twice the request
        (fault:I2, RFC 8489 section 6.3.1)."""
        octets = binding_error(parse_binding(SAMPLE_REQUEST))
        error = parse_binding(octets)
        self.assertEqual((error.kind, error.transaction), (BINDING_ERROR, TRANSACTION))
        self.assertIn(b"\x04\x14", octets)
        self.assertIn(b"\x00\x24", octets)
        many = b"".join(bytes((0, 0x70 + number, 0, 0)) for number in range(16))
        head = b"\x00\x01" + len(many).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + TRANSACTION
        request = parse_binding(head + many)
        self.assertEqual(len(request.unknown), 16)
        self.assertLess(len(binding_error(request)), 2 * len(head + many))

    def test_transaction(self) -> None:
        """A transaction of another length is our own mistake."""
        with self.assertRaises(ValueError):
            binding_request(b"short")


class MalformedTests(SynchronousTestCase):
    """What is no Binding message."""

    def test_shapes(self) -> None:
        """A wrong cookie, method, class or length, and attributes that do not fit, are refused (fault:I7)."""
        head = bytes.fromhex("00010000 2112a442") + TRANSACTION
        parse_binding(head)
        for octets in (
            b"",
            head[:19],
            head + b"\0",
            bytes.fromhex("00010000 2112a443") + TRANSACTION,
            bytes.fromhex("00020000 2112a442") + TRANSACTION,
            bytes.fromhex("00110000 2112a442") + TRANSACTION,
            bytes.fromhex("00010004 2112a442") + TRANSACTION,
            bytes.fromhex("00010002 2112a442") + TRANSACTION + b"\0\0",
            bytes.fromhex("00010004 2112a442") + TRANSACTION + bytes.fromhex("80220001"),
            bytes.fromhex("01010008 2112a442") + TRANSACTION + bytes.fromhex("00200004 00010000"),
            bytes.fromhex("0101000c 2112a442") + TRANSACTION + bytes.fromhex("00200008 00020000 00000000"),
            binding_request(TRANSACTION)[:3] + b"\x0c" + binding_request(TRANSACTION)[4:] + bytes.fromhex("80220000"),
            bytes.fromhex("00010100 2112a442") + TRANSACTION + bytes.fromhex("80220000") * 64,
        ):
            with self.assertRaises(MalformedMessage, msg=octets.hex()):
                parse_binding(octets)

    def test_old_address(self) -> None:
        """MAPPED-ADDRESS serves where no XOR-MAPPED-ADDRESS stands, and is passed over where one does (RFC 8489 section
        14.1)."""
        head = b"\x01\x01\x00\x0c\x21\x12\xa4\x42" + TRANSACTION
        old = bytes.fromhex("00010008 0001 13c4 c0000209")
        self.assertEqual(parse_binding(head + old).mapped, ("192.0.2.9", 5060))
        both = bytes.fromhex("01010018 2112a442") + TRANSACTION + SAMPLE_IPV4_RESPONSE[36:48] + old
        self.assertEqual(parse_binding(both).mapped, ("192.0.2.1", 32853))

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=80), st.booleans())
    def test_anything(self, octets: bytes, framed: bool) -> None:
        """Whatever comes, it is a Binding message or malformed, and nothing else happens (fault:I7)."""
        data = octets
        if framed:
            octets += b"\0" * (-len(octets) % 4)
            data = b"\x00\x01" + len(octets).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + TRANSACTION + octets
        try:
            binding = parse_binding(data)
        except MalformedMessage:
            return
        self.assertEqual(len(binding.transaction), 12)
