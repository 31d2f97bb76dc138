"""Messages for a Homer server: HEP, the encapsulation that SIP captures travel in (version 3, also called EEP).

One packet holds one message with the addresses of its flow, its time, and the Call-ID by which Homer puts the messages
of one call together. Everything is a chunk of the vendor 0, as every collector reads them.

What is sent has passed the same redaction as a trace. A body that is withheld is missing, while Content-Length still
tells of it; a collector reads SIP as datagrams, where a message ends with its packet.

Left out: compressed payloads, reports on media, versions 1 and 2. What sends is
:mod:`sip_p2p.service.instruments.hep_sender`.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, final

from sip_p2p.observe.pcapng import packet_addresses

if TYPE_CHECKING:
    from sip_p2p.observe.trace import TraceEvent

__all__ = ["LARGEST_PACKET", "HepEncoder"]

LARGEST_PACKET = 60_000
"""How many octets a packet has at most; a larger message is cut. The format, and a datagram, end at 65535."""

_FAMILY, _PROTOCOL = 0x01, 0x02
_SOURCE, _TARGET = {4: 0x03, 6: 0x05}, {4: 0x04, 6: 0x06}
_SOURCE_PORT, _TARGET_PORT = 0x07, 0x08
_SECONDS, _MICROSECONDS = 0x09, 0x0A
_KIND, _AGENT, _PASSWORD, _PAYLOAD, _CORRELATION = 0x0B, 0x0C, 0x0E, 0x0F, 0x11
_SIP = 1
# As Linux numbers them, whatever this system does.
_FAMILIES = {4: 2, 6: 10}
_LONGEST_TEXT = 1024


@final
class HepEncoder:
    """Makes packets.

    :param agent: the number by which the collector knows us, of 32 bits.
    :param password: what the collector wants to see; empty for nothing. It goes in clear text, also over UDP and TCP.
    """

    def __init__(self, agent: int = 0, password: str = "") -> None:
        """
        :raises ValueError: *agent* has more than 32 bits, or *password* more than 1024 octets.
        """
        if not 0 <= agent <= 0xFFFFFFFF:
            raise ValueError("the number of a capture agent is one from 0 to 4294967295")
        secret = password.encode("utf-8")
        if len(secret) > _LONGEST_TEXT:
            raise ValueError(f"the password of a collector has at most {_LONGEST_TEXT} octets")
        self._agent = _chunk(_AGENT, struct.pack(">I", agent))
        self._password = _chunk(_PASSWORD, secret) if secret else b""

    def packet(self, event: TraceEvent) -> bytes:
        """The packet of one message; empty for a note, which HEP has no place for."""
        if event.kind != "message":
            return b""
        local, remote = packet_addresses(event)
        here, there = (local, event.local_port), (remote, event.remote_port)
        source, target = (here, there) if event.direction == "out" else (there, here)
        version = local.version
        at = max(int(event.at * 1_000_000), 0)
        chunks = [
            _chunk(_FAMILY, bytes((_FAMILIES[version],))),
            _chunk(_PROTOCOL, bytes((socket.IPPROTO_UDP if event.transport == "UDP" else socket.IPPROTO_TCP,))),
            _chunk(_SOURCE[version], source[0].packed),
            _chunk(_TARGET[version], target[0].packed),
            _chunk(_SOURCE_PORT, struct.pack(">H", source[1])),
            _chunk(_TARGET_PORT, struct.pack(">H", target[1])),
            _chunk(_SECONDS, struct.pack(">I", at // 1_000_000 & 0xFFFFFFFF)),
            _chunk(_MICROSECONDS, struct.pack(">I", at % 1_000_000)),
            _chunk(_KIND, bytes((_SIP,))),
            self._agent,
            self._password,
        ]
        call_id = event.field("Call-ID").encode("utf-8", "backslashreplace")[:_LONGEST_TEXT]
        if call_id:
            chunks.append(_chunk(_CORRELATION, call_id))
        head = b"".join(chunks)
        payload = event.head.encode("utf-8", "backslashreplace") + b"\r\n\r\n" + (event.body or b"")
        whole = head + _chunk(_PAYLOAD, payload[: LARGEST_PACKET - len(head) - 12])
        return b"HEP3" + struct.pack(">H", len(whole) + 6) + whole


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack(">HHH", 0, kind, len(value) + 6) + value
