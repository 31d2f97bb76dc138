"""Messages as packets: a capture file that Wireshark and tshark read as SIP, and so does what else reads captures.

What passes over TLS cannot be captured, so the packets are made here from the messages themselves: IPv4 (RFC 791) or
IPv6 (RFC 8200) with the addresses of the flow, TCP (RFC 9293) or UDP (RFC 768) with its ports, sequence numbers and
checksums, as if it had passed in the clear. The transport that it really was and the identity that the peer has proved
stand in the comment of each packet, its direction in its flags. The format is draft-ietf-opsawg-pcapng.

Such programs go by the port. On those of SIP, on 443 and on high ones they find SIP by themselves; on all others, and
for WebSocket, where it would be frames and no stream of SIP, they would look for something else. Those messages are
written in the other form that Wireshark has (``LINKTYPE_WIRESHARK_UPPER_PDU``): the message, the word that it is SIP,
the addresses and ports. libpcap, and with it tcpdump and sngrep, reads files of one form only; the second one is
announced in a file when it is first needed, so most files hold one.

A body that is withheld leaves a packet that is cut, as captures with a snapshot length have them: its length is that of
the whole. A message larger than a packet may be goes into several TCP segments; as a datagram it is cut.

Left out: notes, which are no packets; handshakes of TCP and empty acknowledgements, which nobody has seen.
"""

from __future__ import annotations

import collections
import functools
import ipaddress
import os
import struct
from typing import TYPE_CHECKING, TypeAlias, final

from twisted.logger import Logger

from sip_p2p.observe.private_file import MOST_OCTETS, PrivateFile
from sip_p2p.observe.text import printable
from sip_p2p.observe.trace import TraceEvent

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["MEDIA_TYPE", "PacketMaker", "PcapngWriter", "capture", "packet_addresses"]

MEDIA_TYPE = "application/x-pcapng"
"""What a capture is called over HTTP; IANA has no other name for it."""

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_LINK_RAW, _LINK_UPPER_PDU = 101, 252
_COMMENT, _FLAGS, _USER_APPLICATION, _INTERFACE_NAME = 1, 2, 4, 2
_UPPER_DISSECTOR, _UPPER_PORT_TYPE, _UPPER_SOURCE_PORT, _UPPER_TARGET_PORT = 12, 24, 25, 26
_UPPER_ADDRESSES = {4: (20, 21), 6: (22, 23)}
_UPPER_PORT_TYPES = {6: 2, 17: 3}
_TCP, _UDP = 6, 17
_LARGEST_PAYLOAD = 65_000
# What is said to be missing of a message makes no more packets than this.
_MOST_MISSING = 16 * 1024 * 1024
_LATEST = 2**64 - 1
_PUSH_AND_ACK = 0x18

# On these ports, and from 10000 on, tshark reads a stream of SIP as SIP; some of those between belong to others.
_SIP_PORTS = frozenset({443, *range(5060, 5100)} - {5066, 5084, 5094})
_FIRST_HIGH_PORT = 10_000

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_log = Logger()


class PacketMaker:
    """Turns the events of one capture into its blocks, one after another.

    :param flows: of how many TCP connections the sequence numbers are remembered; one that was forgotten goes on with
        numbers further on.
    """

    def __init__(self, flows: int = 4096) -> None:
        self._flows = flows
        self._sequences: collections.OrderedDict[tuple[bytes, int, bytes, int], list[int]] = collections.OrderedDict()
        self._forms: list[int] = []

    def begin(self) -> bytes:
        """What a capture begins with; asked for once more, another section of the same file begins."""
        self._forms = [_LINK_RAW]
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(_USER_APPLICATION, b"sip_p2p") + _option(0, b"")
        return _block(_SECTION, section) + _interface(_LINK_RAW)

    def packets(self, event: TraceEvent) -> bytes:
        """The blocks of one event; none for a note.

        :raises ValueError: when there was no :meth:`begin`.
        """
        if not self._forms:
            raise ValueError("a capture begins with begin()")
        if event.kind != "message":
            return b""
        local, remote = packet_addresses(event)
        here = (local, event.local_port)
        there = (remote, event.remote_port)
        source, target = (here, there) if event.direction == "out" else (there, here)
        data = event.head.encode("utf-8", "backslashreplace") + b"\r\n\r\n"
        size = len(data) + min(event.length, len(event.body or b"") + _MOST_MISSING)
        data += event.body or b""
        comment = _option(_COMMENT, _comment(event).encode("utf-8", "backslashreplace")[:4096])
        options = comment + _option(_FLAGS, struct.pack("<I", 2 if event.direction == "out" else 1)) + _option(0, b"")
        microseconds = min(max(int(event.at * 1_000_000), 0), _LATEST)
        protocol = _UDP if event.transport == "UDP" else _TCP
        if event.transport in ("WS", "WSS") or not _is_found(source[1], target[1]):
            return self._upper_pdu(source, target, protocol, data, size, microseconds, options)
        blocks = []
        if protocol == _UDP:
            size = min(size, _LARGEST_PAYLOAD)
            blocks.append((_udp(source, target, data[:size], size), size - len(data[:size])))
        else:
            for start in range(0, size, _LARGEST_PAYLOAD):
                part = min(size - start, _LARGEST_PAYLOAD)
                kept = data[start : start + part]
                blocks.append((self._tcp(source, target, kept, part, microseconds), part - len(kept)))
        return b"".join(_packet(0, microseconds, frame, missing, options) for frame, missing in blocks)

    def _tcp(
        self, source: tuple[_Address, int], target: tuple[_Address, int], data: bytes, size: int, microseconds: int
    ) -> bytes:
        """One segment of *size* octets, of which *data* are kept."""
        one, other = (source[0].packed, source[1]), (target[0].packed, target[1])
        first, second = sorted((one, other))
        key = (*first, *second)
        numbers = self._sequences.get(key)
        if numbers is None:
            # RFC 9293 section 3.4.1 takes the first number from a clock: connections that use a pair of ports again
            # do not repeat the numbers of the one before.
            numbers = [(microseconds // 4) & 0xFFFFFFFF] * 2
            self._sequences[key] = numbers
            if len(self._sequences) > self._flows:
                self._sequences.popitem(last=False)
        else:
            self._sequences.move_to_end(key)
        side = 0 if one == first else 1
        sequence, acknowledged = numbers[side], numbers[1 - side]
        numbers[side] = (sequence + size) & 0xFFFFFFFF
        ports = struct.pack(">HHIIBB", source[1], target[1], sequence, acknowledged, 0x50, _PUSH_AND_ACK)
        checksum = _checksum(_pseudo(source[0], target[0], _TCP, 20 + size) + ports + b"\xff\xff\0\0\0\0" + data)
        head = ports + struct.pack(">HHH", 0xFFFF, checksum, 0)
        return _ip(source[0], target[0], _TCP, 20 + size) + head + data

    def _upper_pdu(
        self,
        source: tuple[_Address, int],
        target: tuple[_Address, int],
        protocol: int,
        data: bytes,
        size: int,
        microseconds: int,
        options: bytes,
    ) -> bytes:
        """The message itself, after what it is and between whom it passed."""
        announced = b""
        if _LINK_UPPER_PDU not in self._forms:
            self._forms.append(_LINK_UPPER_PDU)
            announced = _interface(_LINK_UPPER_PDU)
        from_tag, to_tag = _UPPER_ADDRESSES[source[0].version]
        head = (
            _tag(_UPPER_DISSECTOR, b"sip\0")
            + _tag(from_tag, source[0].packed)
            + _tag(to_tag, target[0].packed)
            + _tag(_UPPER_PORT_TYPE, struct.pack(">I", _UPPER_PORT_TYPES[protocol]))
            + _tag(_UPPER_SOURCE_PORT, struct.pack(">I", source[1]))
            + _tag(_UPPER_TARGET_PORT, struct.pack(">I", target[1]))
            + _tag(0, b"")
        )
        return announced + _packet(1, microseconds, head + data, size - len(data), options)


def capture(events: Iterable[TraceEvent]) -> bytes:
    """A whole capture of *events*, in their order."""
    maker = PacketMaker()
    return maker.begin() + b"".join(map(maker.packets, events))


@final
class PcapngWriter(PrivateFile[TraceEvent]):
    """A capture file, mode 0600, gone on with where there is one, and kept below a bound.

    :param max_file_octets: at this size the file becomes ``NAME.1``, in the place of the one before, and a new one is
        begun.
    :raises OSError: when the file cannot be opened.
    """

    ends = "the capture {path} ends here: {error}"
    log = _log

    def __init__(self, path: str, *, max_file_octets: int = MOST_OCTETS) -> None:
        self._maker = PacketMaker()
        super().__init__(path, max_file_octets=max_file_octets)

    def _begin(self, found: os.stat_result) -> None:
        # A section of its own, behind what may be there already.
        self._add(self._maker.begin())

    def _append(self, item: TraceEvent) -> None:
        # Before the packet is made: it counts on what the file has told of itself.
        self._make_room(1)
        self._add(self._maker.packets(item))


def _is_found(source: int, target: int) -> bool:
    """Whether SIP is found on these ports without a word: the lower one is asked first."""
    lower = min(source, target)
    return lower in _SIP_PORTS or lower >= _FIRST_HIGH_PORT


def _comment(event: TraceEvent) -> str:
    who = f"proved to be {printable(event.peer)}" if event.peer else "nobody in particular"
    words = f"{printable(event.transport)}; the peer: {who}"
    if event.flow:
        words += f"; flow {event.flow}"
    if event.clipped:
        return f"{words}; cut: larger than what is kept"
    return words if event.body is not None or not event.length else f"{words}; body of {event.length} octets withheld"


def packet_addresses(event: TraceEvent) -> tuple[_Address, _Address]:
    """Ours and the peer's, in one family; the unspecified address where one is not known."""
    local, remote = _address(event.local_host), _address(event.remote_host)
    if local is None or remote is None:
        known = local or remote
        unspecified = ipaddress.ip_address("::" if known is not None and known.version == 6 else "0.0.0.0")
        return local or unspecified, remote or unspecified
    if local.version == remote.version:
        return local, remote
    # A socket of both families that was not told which one of ours the datagram came to.
    return ipaddress.ip_address("0.0.0.0" if remote.version == 4 else "::"), remote


@functools.lru_cache(maxsize=256)
def _address(host: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def _udp(source: tuple[_Address, int], target: tuple[_Address, int], data: bytes, size: int) -> bytes:
    """One datagram of *size* octets, of which *data* are kept."""
    ports = struct.pack(">HHH", source[1], target[1], 8 + size)
    # 0 would say that there is no checksum.
    checksum = _checksum(_pseudo(source[0], target[0], _UDP, 8 + size) + ports + b"\0\0" + data) or 0xFFFF
    return _ip(source[0], target[0], _UDP, 8 + size) + ports + struct.pack(">H", checksum) + data


def _ip(source: _Address, target: _Address, protocol: int, length: int) -> bytes:
    if source.version == 6:
        return struct.pack(">IHBB", 0x60000000, length, protocol, 64) + source.packed + target.packed
    start = struct.pack(">BBHHHBB", 0x45, 0, 20 + length, 0, 0x4000, 64, protocol)
    checksum = _checksum(start + b"\0\0" + source.packed + target.packed)
    return start + struct.pack(">H", checksum) + source.packed + target.packed


def _pseudo(source: _Address, target: _Address, protocol: int, length: int) -> bytes:
    layout = ">IBBBB" if source.version == 6 else ">BBH"
    rest = (length, 0, 0, 0, protocol) if source.version == 6 else (0, protocol, length)
    return source.packed + target.packed + struct.pack(layout, *rest)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    # What is summed with the carry brought round is the remainder of the whole as one number; only of nothing but zeros
    # is the sum 0.
    number = int.from_bytes(data + b"\0" * (len(data) % 2))
    return ~(number % 0xFFFF or (0xFFFF if number else 0)) & 0xFFFF


def _block(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def _interface(link: int) -> bytes:
    name = b"sip" if link == _LINK_RAW else b"sip (by its name)"
    return _block(_INTERFACE, struct.pack("<HHI", link, 0, 0) + _option(_INTERFACE_NAME, name) + _option(0, b""))


def _tag(code: int, value: bytes) -> bytes:
    return struct.pack(">HH", code, len(value)) + value


def _packet(interface: int, microseconds: int, frame: bytes, missing: int, options: bytes) -> bytes:
    """A packet of which *missing* octets were not kept."""
    length = len(frame)
    head = struct.pack("<IIIII", interface, microseconds >> 32, microseconds & 0xFFFFFFFF, length, length + missing)
    return _block(_PACKET, head + frame + b"\0" * (-length % 4) + options)
