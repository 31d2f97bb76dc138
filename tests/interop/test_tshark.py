"""tshark reads what we put on the wire: it finds nothing to complain of, and understands what we meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol

from sip_p2p import RequestFailed
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from tests.interop.namespace import PrivateNetwork
from tests.interop.peers import tshark
from tests.interop.peers.program import until
from tests.interop.support import OUR_DOMAIN, TEXT, InteropTestCase, Party

if TYPE_CHECKING:
    from collections.abc import Iterable

ON_LOOPBACK = "port=0:interface=127.0.0.1"

#: Requests that we answer with something else than 200, each with what makes it so.
REFUSED = {
    400: ("MESSAGE sip:alice@a.example SIP/2.0", ("CSeq: 1 OPTIONS",)),
    405: ("PUBLISH sip:alice@a.example SIP/2.0", ("CSeq: 1 PUBLISH",)),
    416: ("MESSAGE http://a.example/ SIP/2.0", ("CSeq: 1 MESSAGE",)),
    420: ("MESSAGE sip:alice@a.example SIP/2.0", ("CSeq: 1 MESSAGE", "Require: teleportation")),
    481: ("MESSAGE sip:alice@a.example SIP/2.0", ("CSeq: 1 MESSAGE",)),
    505: ("MESSAGE sip:alice@a.example SIP/3.0", ("CSeq: 1 MESSAGE",)),
}


class Sent:
    """A tap that keeps what a manager sends."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
        """Keep *data*, if it goes out."""
        if direction == "out":
            self.messages.append(bytes(data))


class Caller(DatagramProtocol):
    """A socket that sends what it is told to and hands out what comes back."""

    transport: Any

    def __init__(self) -> None:
        self.waiting: Deferred[bytes] | None = None

    def ask(self, data: bytes, address: tuple[str, int]) -> Deferred[bytes]:
        """Send *data*; fires with the next datagram."""
        self.waiting = Deferred()
        self.transport.write(data, address)
        return self.waiting

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """The answer."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(datagram)


def tapped(*parties: Party) -> Sent:
    """What *parties* send from now on."""
    sent = Sent()
    for party in parties:
        party.manager.add_tap(sent)
    return sent


def holds(path: str, data: bytes) -> bool:
    """Whether the file has *data* somewhere in it."""
    with open(path, "rb") as file:
        return data in file.read()


class TsharkTests(InteropTestCase):
    """Everything that we emit."""

    needs = (tshark.Capture,)

    async def decoded(self, messages: Iterable[bytes]) -> list[tshark.Decoded]:
        """What tshark makes of *messages*, each by itself."""
        folder = self.folder()
        path = os.path.join(folder, "sent.pcap")
        tshark.write_messages(path, messages)
        return await tshark.decode(reactor, folder, path)

    async def assert_understood(self, messages: list[bytes]) -> None:
        """tshark has no complaint about any of *messages* and reads in them what our own parser does."""
        decoded = await self.decoded(messages)
        self.assertEqual(len(decoded), len(messages))
        for frame, data in zip(decoded, messages, strict=True):
            self.assertEqual(frame.complaints, [], data)
            message = parse_message(data, MessageLimits())
            self.assertEqual(self.as_decoded(message), self.shown(frame), data)

    def as_decoded(self, message: Request | Response) -> dict[str, list[str]]:
        """The fields of a message as our parser reads them, under tshark's names."""
        vias = message.vias()
        content_type = message.headers.get("Content-Type")
        fields = {
            "sip.Call-ID": [message.call_id],
            "sip.CSeq.seq": [str(message.cseq.number)],
            "sip.CSeq.method": [message.cseq.method],
            "sip.from.tag": [message.from_.tag] if message.from_.tag else [],
            "sip.to.tag": [message.to.tag] if message.to.tag else [],
            "sip.from.addr": [message.from_.uri_text],
            "sip.to.addr": [message.to.uri_text],
            "sip.Via.transport": [via.transport for via in vias],
            "sip.Via.sent-by.address": [via.host for via in vias],
            "sip.Via.branch": [via.branch for via in vias],
            "sip.Content-Type": [] if content_type is None else [content_type],
            "sip.Content-Length": [str(len(message.body))],
        }
        if isinstance(message, Request):
            fields |= {"sip.Method": [message.method], "sip.r-uri": [message.uri_text], "sip.Status-Code": []}
        else:
            fields |= {"sip.Method": [], "sip.r-uri": [], "sip.Status-Code": [str(message.status)]}
        return fields

    def shown(self, frame: tshark.Decoded) -> dict[str, list[str]]:
        """The same fields as tshark reads them."""
        names = (
            "sip.Call-ID sip.CSeq.seq sip.CSeq.method sip.from.tag sip.to.tag sip.from.addr sip.to.addr "
            "sip.Via.transport sip.Via.sent-by.address sip.Via.branch sip.Content-Type sip.Content-Length "
            "sip.Method sip.r-uri sip.Status-Code"
        )
        return {name: frame[name] for name in names.split()}

    async def test_it_does_complain(self) -> None:
        """The yardstick measures: a port that is none in Via is complained of."""
        message = (
            b"OPTIONS sip:b@b.example SIP/2.0\r\nVia: SIP/2.0/TCP a.example:123456;branch=z9hG4bK1\r\n"
            b"From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        (frame,) = await self.decoded([message])
        self.assertEqual(len(frame.complaints), 1)

    async def converse(self, asking: Party, uri: str) -> None:
        """All that an endpoint says of its own accord: OPTIONS, texts, other bodies, other headers, other methods."""
        endpoint = asking.endpoint
        await endpoint.request("OPTIONS", uri)
        await endpoint.send_message(uri, TEXT)
        # (No NUL: tshark shows a message as a string, and wonders about what follows one.)
        await endpoint.send_message(uri, b"\xff\xfe\r\n\r\n\x01", content_type="application/octet-stream")
        await endpoint.send_message(uri, "with headers", headers=[("Subject", "Grüße"), ("Priority", "urgent")])
        with self.assertRaises(RequestFailed):
            await endpoint.request("PUBLISH", uri, body="x", content_type="text/plain", headers=[("Event", "presence")])

    async def test_clear_text(self) -> None:
        """What two endpoints say to each other over UDP and TCP is understood field by field (row:F1, row:A13)."""
        for transport in ("udp", "tcp"):
            answering = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
            asking = await self.clear_text_party(display_name='Alice "the" \\ Grüße')
            sent = tapped(answering, asking)
            await self.converse(asking, answering.uri(transport))
            self.assertGreaterEqual(len(sent.messages), 10)
            await self.assert_understood(sent.messages)

    async def test_tls(self) -> None:
        """What two endpoints say to each other over TLS is understood field by field (row:F1)."""
        answering = await self.tls_party(f"tls:{ON_LOOPBACK}", allow=[OUR_DOMAIN])
        asking = await self.tls_party(proxy=f"tls:127.0.0.1:{answering.manager.listening_port}")
        sent = tapped(answering, asking)
        await self.converse(asking, f"sip:alice@{OUR_DOMAIN}")
        self.assertGreaterEqual(len(sent.messages), 10)
        await self.assert_understood(sent.messages)

    async def test_refusals(self) -> None:
        """Every refusal of the stack's own is understood field by field (row:B9, row:G10)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        caller = Caller()
        port = reactor.listenUDP(0, caller, "127.0.0.1")
        self.stop_later(port.stopListening)
        answers = []
        for status, (start, lines) in REFUSED.items():
            head = (
                start,
                f"Via: SIP/2.0/UDP 127.0.0.1:{port.getHost().port};branch=z9hG4bK{status};rport",
                'From: "O\'Neil" <sip:bob@b.example>;tag=from',
                "To: <sip:alice@a.example>" + (";tag=gone" if status == 481 else ""),
                f"Call-ID: refused-{status}@b.example",
                "Max-Forwards: 70",
                *lines,
                "Content-Length: 0",
            )
            data = "\r\n".join((*head, "", "")).encode()
            answer = await caller.ask(data, ("127.0.0.1", party.manager.listening_port))
            self.assertEqual(int(answer.split(b" ")[1]), status, answer)
            answers.append(answer)
        await self.assert_understood(answers)


class WireTests(InteropTestCase):
    """Packets as they pass the interface, not as we think that we wrote them."""

    needs = (tshark.Capture, PrivateNetwork)

    async def test_packets(self) -> None:
        """Each request and response over UDP and TCP is found in the captured packets, none malformed (row:C14)."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()
        capture = self.peer(tshark.Capture)
        await capture.start()
        ports, sent = [], []
        for transport in ("udp", "tcp"):
            answering = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
            asking = await self.clear_text_party()
            ports.append(answering.manager.listening_port)
            sent.append(tapped(answering, asking))
            for number in range(5):
                await asking.endpoint.send_message(answering.uri(transport), f"{TEXT} {number}")
            await asking.endpoint.request("OPTIONS", answering.uri(transport))
        await until(reactor, lambda: holds(capture.path, sent[-1].messages[-1]), 10.0, "the last packet in the file")
        await capture.stop()
        frames = await tshark.decode(reactor, self.folder(), capture.path, ports)
        self.assertEqual([frame.complaints for frame in frames if frame.complaints], [])
        methods = [method for frame in frames for method in frame["sip.Method"]]
        statuses = [status for frame in frames for status in frame["sip.Status-Code"]]
        self.assertEqual((methods, statuses), ((["MESSAGE"] * 5 + ["OPTIONS"]) * 2, ["200"] * 12))
