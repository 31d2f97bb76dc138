"""STUN Binding, as much as keeps a UDP flow alive (RFC 8489; RFC 5626 sections 4.4.2 and 8).

Octets in, values out: a request that asks under which address a peer sees us, and its answers. Of the attributes only
XOR-MAPPED-ADDRESS, MAPPED-ADDRESS, ERROR-CODE, UNKNOWN-ATTRIBUTES and FINGERPRINT mean something here; there are no
credentials, because the usage of RFC 5626 has none: what a keep-alive says about an address is never taken for more.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from typing import final

from sip_p2p.errors import MalformedMessage

__all__ = [
    "BINDING_ERROR",
    "BINDING_REQUEST",
    "BINDING_RESPONSE",
    "Binding",
    "binding_error",
    "binding_request",
    "binding_response",
    "parse_binding",
]

BINDING_REQUEST = 0x0001
BINDING_RESPONSE = 0x0101
BINDING_ERROR = 0x0111

_COOKIE = 0x2112A442
_COOKIE_OCTETS = _COOKIE.to_bytes(4, "big")
_HEADER = struct.Struct(">HHI12s")
_ATTRIBUTE = struct.Struct(">HH")
_FINGERPRINT_MASK = 0x5354554E

_MAPPED_ADDRESS = 0x0001
_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_FINGERPRINT = 0x8028
_MANDATORY_BELOW = 0x8000
_UNDERSTOOD = frozenset(
    # USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM and USERHASH: understood,
    # and of no use without a credential.
    (
        0x0006,
        0x0008,
        0x0014,
        0x0015,
        0x001C,
        0x001D,
        0x001E,
        _ERROR_CODE,
        _MAPPED_ADDRESS,
        _UNKNOWN_ATTRIBUTES,
        _XOR_MAPPED_ADDRESS,
    )
)
_MOST_ATTRIBUTES = 32


@final
class Binding:
    """One Binding message.

    :ivar kind: :data:`BINDING_REQUEST`, :data:`BINDING_RESPONSE` or :data:`BINDING_ERROR`.
    :ivar transaction: the 12 octets by which a response belongs to its request.
    :ivar mapped: under which address and port the responder saw the request come; None where it does not say.
    :ivar unknown: the attributes that must be understood and are not (RFC 8489 section 14).
    :ivar has_fingerprint: whether a FINGERPRINT stood at its end; it was right then.
    """

    __slots__ = ("has_fingerprint", "kind", "mapped", "transaction", "unknown")

    def __init__(self, kind: int, transaction: bytes) -> None:
        self.kind = kind
        self.transaction = transaction
        self.mapped: tuple[str, int] | None = None
        self.unknown: tuple[int, ...] = ()
        self.has_fingerprint = False


def parse_binding(data: bytes) -> Binding:
    """Read a Binding message.

    :raises MalformedMessage: for everything that is none: another method or class, a length that is not that of the
        datagram, a missing magic cookie, an attribute that does not fit, a wrong FINGERPRINT.
    """
    if len(data) < _HEADER.size:
        raise MalformedMessage("STUN: shorter than its header")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != _COOKIE:
        raise MalformedMessage("STUN: no magic cookie")
    if length + _HEADER.size != len(data) or length % 4:
        raise MalformedMessage("STUN: the length is not that of the datagram")
    if kind not in (BINDING_REQUEST, BINDING_RESPONSE, BINDING_ERROR):
        raise MalformedMessage(f"STUN: {kind:#06x} is not a Binding request or its answer")
    binding = Binding(kind, transaction)
    unknown: list[int] = []
    position = _HEADER.size
    seen = 0
    while position < len(data):
        if position + 4 > len(data) or binding.has_fingerprint or seen == _MOST_ATTRIBUTES:
            raise MalformedMessage("STUN: attributes that do not fit, too many, or one behind FINGERPRINT")
        name, size = _ATTRIBUTE.unpack_from(data, position)
        value = data[position + 4 : position + 4 + size]
        if len(value) != size:
            raise MalformedMessage("STUN: an attribute is longer than the message")
        if name == _FINGERPRINT:
            if value != _fingerprint(data[:position]):
                raise MalformedMessage("STUN: FINGERPRINT is wrong")
            binding.has_fingerprint = True
        elif name == _XOR_MAPPED_ADDRESS:
            binding.mapped = _address(_unmask(value, transaction))
        elif name == _MAPPED_ADDRESS and binding.mapped is None:
            binding.mapped = _address(value)
        elif name < _MANDATORY_BELOW and name not in _UNDERSTOOD:
            unknown.append(name)
        seen += 1
        position += 4 + size + -size % 4
    binding.unknown = tuple(unknown)
    return binding


def binding_request(transaction: bytes) -> bytes:
    """A Binding request of 28 octets.

    :param transaction: 12 octets that nobody can guess: whoever answers has seen the request.
    """
    return _message(BINDING_REQUEST, transaction, b"")


def binding_response(request: Binding, host: str, port: int) -> bytes:
    """The answer to *request*, which came from *host* and *port*: 40 octets, with an IPv6 address 52."""
    address = ipaddress.ip_address(host)
    plain = struct.pack(">BBH", 0, 1 if address.version == 4 else 2, port) + address.packed
    value = _unmask(plain, request.transaction)
    return _message(BINDING_RESPONSE, request.transaction, _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value)


def binding_error(request: Binding) -> bytes:
    """The answer to a *request* with attributes that we do not understand: 420, and up to eight of them (RFC 8489
    section 6.3.1)."""
    unknown = request.unknown[:8]
    names = struct.pack(f">{len(unknown)}H", *unknown)
    attributes = _ATTRIBUTE.pack(_ERROR_CODE, 4) + b"\0\0\x04\x14"
    attributes += _ATTRIBUTE.pack(_UNKNOWN_ATTRIBUTES, len(names)) + names + b"\0" * (-len(names) % 4)
    return _message(BINDING_ERROR, request.transaction, attributes)


def _message(kind: int, transaction: bytes, attributes: bytes) -> bytes:
    if len(transaction) != 12:
        raise ValueError("a STUN transaction is 12 octets")
    head = _HEADER.pack(kind, len(attributes) + 8, _COOKIE, transaction) + attributes
    return head + _ATTRIBUTE.pack(_FINGERPRINT, 4) + _fingerprint(head)


def _fingerprint(before: bytes) -> bytes:
    """RFC 8489 section 14.7: over all that stands before the attribute, whose own length the header counts already."""
    return (zlib.crc32(before) ^ _FINGERPRINT_MASK).to_bytes(4, "big")


def _unmask(value: bytes, transaction: bytes) -> bytes:
    """RFC 8489 section 14.2: port and address exclusive-ored with the cookie and the transaction, both ways."""
    mask = b"\0\0" + _COOKIE_OCTETS[:2] + _COOKIE_OCTETS + transaction
    return bytes(octet ^ other for octet, other in zip(value, mask, strict=False))


def _address(value: bytes) -> tuple[str, int]:
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        raise MalformedMessage("STUN: an address is not one")
    return str(ipaddress.ip_address(value[4:])), int.from_bytes(value[2:4], "big")
