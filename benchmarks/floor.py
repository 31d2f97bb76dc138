"""The floor: the least that a Twisted program can do and still answer, to measure ours against.

A bare ``Protocol`` that finds messages by their Content-Length and answers each with a canned 200, into which it
copies the lines from Via to CSeq, which the load generator puts in one piece. Nothing is parsed, checked, kept or
timed; TLS is Twisted's own. All that one ``dataReceived`` asks for is answered in one write. A call is answered in the
same way, with 180 and 200, and with 200 to its BYE.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import reactor, ssl
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.stdio import StandardIO
from zope.interface import implementer

from benchmarks.call_wording import ANSWER, SDP_TYPE
from benchmarks.lifeline import Lifeline

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITCPTransport, IUDPTransport

__all__ = ["FloorDatagrams", "FloorStream", "main"]

Answer = Callable[[bytes, int, int], tuple[bytes, ...]]
"""From what was read, with where the head of a message begins and ends in it, to the messages that are written."""

_LENGTH = b"\r\nContent-Length: "
_COPIED = (b"\r\nVia: ", b"\r\nFrom: ", b"\r\nCall-ID: ", b"\r\nCSeq: ", b"\r\nTo: ")
_WITH_ANSWER = b"\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (SDP_TYPE, len(ANSWER), ANSWER)


def _answer_whole(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    """For senders that mix other fields with those from Via to CSeq: all but Content-Length is copied."""
    copied = data[data.find(b"\r\n", start, end) : data.find(_LENGTH, start, end)]
    return (b"SIP/2.0 200 OK" + copied + b"\r\nContent-Length: 0\r\n\r\n",)


def _answer(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    copied = data[data.find(b"\r\n", start, end) : data.find(b"\r\nMax-Forwards", start, end)]
    return (b"SIP/2.0 200 OK" + copied + b"\r\nContent-Length: 0\r\n\r\n",)


def _answer_call(contact: bytes, data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    """A call: 180 and 200 to INVITE, nothing to ACK, 200 to BYE. What is copied ends with To."""
    copied = data[data.find(b"\r\n", start, end) : data.find(b"\r\nMax-Forwards", start, end)]
    return _call_answers(contact, data, start, copied)


def _answer_call_whole(contact: bytes, data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    """The same for callers that mix other fields with those that are copied."""
    copied = b""
    for name in _COPIED:
        at = data.find(name, start, end)
        copied += data[at : data.find(b"\r\n", at + 2, end)]
    return _call_answers(contact, data, start, copied)


def _call_answers(contact: bytes, data: bytes, start: int, copied: bytes) -> tuple[bytes, ...]:
    method = data[start : start + 3]
    if method == b"INV":
        head = b"%b;tag=floor\r\nContact: <%b>" % (copied, contact)
        ringing = b"SIP/2.0 180 Ringing%b\r\nContent-Length: 0\r\n\r\n" % head
        return ringing, b"SIP/2.0 200 OK%b%b" % (head, _WITH_ANSWER)
    return () if method == b"ACK" else (b"SIP/2.0 200 OK%b\r\nContent-Length: 0\r\n\r\n" % copied,)


class FloorStream(Protocol):
    """Answers on a TCP or TLS connection."""

    def connectionMade(self) -> None:
        self._answer = cast("FloorFactory", self.factory).answer
        transport = cast("ITCPTransport", self.transport)
        transport.setTcpNoDelay(True)
        self._write = transport.write
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        answers: list[bytes] = []
        answer = self._answer
        start = 0
        while True:
            end = data.find(b"\r\n\r\n", start)
            if end < 0:
                break
            at = data.find(_LENGTH, start, end) + len(_LENGTH)
            after = end + 4 + int(data[at : data.find(b"\r\n", at)])
            if after > len(data):
                break
            answers += answer(data, start, end)
            start = after
        self._rest = data[start:]
        if answers:
            self._write(b"".join(answers))


@implementer(IProtocolNegotiationFactory)
class FloorFactory(Factory):
    """A server of Twisted's that is asked by ALPN for what it has not named ends the handshake."""

    protocol = FloorStream

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def acceptableProtocols(self) -> list[bytes]:
        return [b"sip/2"]


class FloorDatagrams(DatagramProtocol):
    """Answers each datagram."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def startProtocol(self) -> None:
        self._write = cast("IUDPTransport", self.transport).write

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        for message in self.answer(datagram, 0, len(datagram)):
            self._write(message, addr)


def main() -> None:
    """Listen on a free port for each transport, print the ports as JSON, and serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    parser.add_argument("--whole", action="store_true", help="copy all fields, whatever their order")
    parser.add_argument("--calls", action="store_true", help="answer calls instead of requests")
    options = parser.parse_args()
    with open(options.certificate, "rb") as file:
        certificate = ssl.PrivateCertificate.loadPEM(file.read())
    with open(options.trust, "rb") as file:
        authority = ssl.Certificate.loadPEM(file.read())
    answer = _answer_whole if options.whole else _answer
    secure, clear, datagrams = FloorFactory(answer), FloorFactory(answer), FloorDatagrams(answer)
    loop: Any = reactor
    ports = {
        "tls": loop.listenSSL(0, secure, certificate.options(authority), backlog=512, interface="127.0.0.1"),
        "tcp": loop.listenTCP(0, clear, backlog=512, interface="127.0.0.1"),
        "udp": loop.listenUDP(0, datagrams, interface="127.0.0.1"),
    }
    if options.calls:
        call = _answer_call_whole if options.whole else _answer_call
        answering: dict[str, FloorFactory | FloorDatagrams] = {"tls": secure, "tcp": clear, "udp": datagrams}
        for name, each in answering.items():
            contact = f"sip:bob@127.0.0.1:{ports[name].getHost().port};transport={name}"
            each.answer = partial(call, contact.encode())
    StandardIO(Lifeline())
    gc.collect()
    gc.freeze()
    print(json.dumps({name: port.getHost().port for name, port in ports.items()}), flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
