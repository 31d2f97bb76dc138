"""The floor: the least that a Twisted program can do and still answer, to measure ours against.

A bare ``Protocol`` that finds messages by their Content-Length and answers each with a canned 200, into which it
copies the lines from Via to CSeq, which the load generator puts in one piece. Nothing is parsed, checked, kept or
timed; TLS is Twisted's own. All that one ``dataReceived`` asks for is answered in one write.
"""

from __future__ import annotations

import argparse
import gc
import json
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import reactor, ssl
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.stdio import StandardIO
from zope.interface import implementer

from benchmarks.lifeline import Lifeline

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITCPTransport, IUDPTransport

__all__ = ["FloorDatagrams", "FloorStream", "main"]

_LENGTH = b"\r\nContent-Length: "


def _answer_whole(data: bytes, start: int, end: int) -> bytes:
    """For senders that mix other fields with those from Via to CSeq: all but Content-Length is copied."""
    copied = data[data.find(b"\r\n", start, end) : data.find(_LENGTH, start, end)]
    return b"SIP/2.0 200 OK" + copied + b"\r\nContent-Length: 0\r\n\r\n"


def _answer(data: bytes, start: int, end: int) -> bytes:
    copied = data[data.find(b"\r\n", start, end) : data.find(b"\r\nMax-Forwards", start, end)]
    return b"SIP/2.0 200 OK" + copied + b"\r\nContent-Length: 0\r\n\r\n"


class FloorStream(Protocol):
    """Answers on a TCP or TLS connection."""

    answer = staticmethod(_answer)

    def connectionMade(self) -> None:
        transport = cast("ITCPTransport", self.transport)
        transport.setTcpNoDelay(True)
        self._write = transport.write
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        answers = []
        answer = self.answer
        start = 0
        while True:
            end = data.find(b"\r\n\r\n", start)
            if end < 0:
                break
            at = data.find(_LENGTH, start, end) + len(_LENGTH)
            after = end + 4 + int(data[at : data.find(b"\r\n", at)])
            if after > len(data):
                break
            answers.append(answer(data, start, end))
            start = after
        self._rest = data[start:]
        if answers:
            self._write(b"".join(answers))


@implementer(IProtocolNegotiationFactory)
class FloorFactory(Factory):
    """A server of Twisted's that is asked by ALPN for what it has not named ends the handshake."""

    def acceptableProtocols(self) -> list[bytes]:
        return [b"sip/2"]


class FloorDatagrams(DatagramProtocol):
    """Answers each datagram."""

    answer = staticmethod(_answer)

    def startProtocol(self) -> None:
        self._write = cast("IUDPTransport", self.transport).write

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self._write(self.answer(datagram, 0, len(datagram)), addr)


def main() -> None:
    """Listen on a free port for each transport, print the ports as JSON, and serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    parser.add_argument("--whole", action="store_true", help="copy all fields, whatever their order")
    options = parser.parse_args()
    if options.whole:
        FloorStream.answer = FloorDatagrams.answer = staticmethod(_answer_whole)
    with open(options.certificate, "rb") as file:
        certificate = ssl.PrivateCertificate.loadPEM(file.read())
    with open(options.trust, "rb") as file:
        authority = ssl.Certificate.loadPEM(file.read())
    factory = FloorFactory.forProtocol(FloorStream)
    loop: Any = reactor
    ports = {
        "tls": loop.listenSSL(0, factory, certificate.options(authority), backlog=512, interface="127.0.0.1"),
        "tcp": loop.listenTCP(0, factory, backlog=512, interface="127.0.0.1"),
        "udp": loop.listenUDP(0, FloorDatagrams(), interface="127.0.0.1"),
    }
    StandardIO(Lifeline())
    gc.collect()
    gc.freeze()
    print(json.dumps({name: port.getHost().port for name, port in ports.items()}), flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
