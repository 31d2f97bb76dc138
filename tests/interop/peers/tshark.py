"""tshark: reads what we put on the wire with a decoder that shares nothing with ours."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, final

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Capture", "Decoded", "decode", "read", "write_messages"]

_LINKTYPE_UPPER_PDU = 252
_TAG_DISSECTOR = 12
_SEPARATOR = "|"
_NOTE = 0x400000
_FIELDS = (
    "frame.protocols sip.Method sip.r-uri sip.Status-Code sip.Call-ID sip.CSeq.seq sip.CSeq.method sip.from.tag "
    "sip.to.tag sip.from.addr sip.to.addr sip.Via.transport sip.Via.sent-by.address sip.Via.branch "
    "sip.Content-Type sip.Content-Length _ws.expert.severity _ws.expert.message"
).split()


@final
class Decoded:
    """One frame as tshark understood it.

    :ivar fields: the values of each of its fields; several where TCP brought several messages in one segment.
    :ivar complaints: what its experts found to note, to warn of or to call an error.
    """

    def __init__(self, line: str) -> None:
        values = [value.split(_SEPARATOR) if value else [] for value in line.split("\t")]
        self.fields = dict(zip(_FIELDS, values, strict=True))
        self.protocols = self.fields["frame.protocols"][0].split(":")
        found = zip(self.fields["_ws.expert.severity"], self.fields["_ws.expert.message"], strict=True)
        self.complaints = [text for severity, text in found if int(severity, 0) >= _NOTE]
        if "_ws.malformed" in self.protocols:
            self.complaints.append("malformed")

    def __getitem__(self, name: str) -> list[str]:
        return self.fields[name]


def write_messages(path: str, messages: Iterable[bytes]) -> None:
    """Write SIP messages into a capture file, each as a frame of its own without addresses."""
    tag = b"sip\0"
    head = struct.pack(">HH", _TAG_DISSECTOR, len(tag)) + tag + struct.pack(">HH", 0, 0)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, _LINKTYPE_UPPER_PDU))
        for number, message in enumerate(messages):
            frame = head + message
            file.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)


async def decode(reactor: Any, directory: str, path: str, ports: Iterable[int] = ()) -> list[Decoded]:
    """Every frame of a capture file that carries SIP, as tshark understands it.

    :param ports: UDP and TCP ports on which SIP is spoken.
    """
    arguments = ["-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E", f"aggregator={_SEPARATOR}"]
    for field in _FIELDS:
        arguments += ["-e", field]
    for port in ports:
        arguments += ["-d", f"udp.port=={port},sip", "-d", f"tcp.port=={port},sip"]
    program = await Peer(reactor, directory).run("tshark", arguments, {"HOME": directory}, 60.0)
    if program.exit_code != 0:
        raise PeerFailed(program.report())
    return [decoded for decoded in map(Decoded, program.output.splitlines()) if "sip" in decoded.protocols]


async def read(reactor: Any, directory: str, path: str, fields: Iterable[str]) -> list[dict[str, list[str]]]:
    """Every frame of a capture file as tshark takes it by itself, which ports say what included.

    :param fields: which of its fields to give, each with its values.
    """
    names = list(fields)
    arguments = ["-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E", f"aggregator={_SEPARATOR}"]
    for name in names:
        arguments += ["-e", name]
    program = await Peer(reactor, directory).run("tshark", arguments, {"HOME": directory}, 60.0)
    if program.exit_code != 0:
        raise PeerFailed(program.report())
    rows = [line.split("\t") for line in program.output.splitlines()]
    return [
        {name: value.split(_SEPARATOR) if value else [] for name, value in zip(names, row, strict=True)} for row in rows
    ]


class Capture(Peer):
    """What passes the loopback interface, written to a file by dumpcap."""

    packages = "tshark"
    programs = ("tshark", "dumpcap")

    @property
    def path(self) -> str:
        """The file; complete when :meth:`stop` is done."""
        return os.path.join(self.directory, "wire.pcap")

    async def start(self) -> None:
        """Start to capture."""
        await self.launch("dumpcap", "-q", "-P", "-i", "lo", "-w", self.path).find("^File: ")
