"""Name servers for tests, on the loopback interface: a real one over zones, and several that are broken."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.names import dns, server
from twisted.protocols.basic import Int16StringReceiver

from sip_p2p.testing.zones import Zones

__all__ = ["BrokenNameServer", "NameServer"]

reactor: Any = _reactor


class _Authority(server.DNSServerFactory):
    """Twisted's name server, with answers that do not fit into a datagram cut as RFC 1035 says."""

    noisy = False

    def sendReply(self, protocol: Any, message: Any, address: Any) -> None:
        """Over UDP at most 512 octets."""
        if address is not None and len(message.toStr()) > 512:
            message.answers, message.trunc = [], 1
        super().sendReply(protocol, message, address)


class NameServer:
    """A name server over UDP and TCP on one port.

    :ivar zones: what it knows.
    :ivar address: where it is.
    """

    def __init__(self, *records: str) -> None:
        self.zones = Zones(*records)
        factory = _Authority(authorities=[self.zones])
        self._tcp = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.address = ("127.0.0.1", self._tcp.getHost().port)
        self._udp = reactor.listenUDP(self.address[1], dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
        self._factory = factory

    async def stop(self) -> None:
        """Close its ports and connections."""
        for connection in list(self._factory.connections):
            connection.transport.abortConnection()
        await self._udp.stopListening()
        await self._tcp.stopListening()


class BrokenNameServer(DatagramProtocol):
    """A name server that answers by UDP with whatever the test makes of the question.

    :ivar answer: is given the question and gives the datagrams to send.
    :ivar questions: what was asked.
    """

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.questions: list[dns.Message] = []
        self._port = reactor.listenUDP(0, self, interface="127.0.0.1")
        self.address = ("127.0.0.1", self._port.getHost().port)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A question."""
        message = dns.Message()
        message.fromStr(datagram)
        self.questions.append(message)
        for reply in self.answer(message):
            assert self.transport is not None
            self.transport.write(reply, addr)

    async def stop(self) -> None:
        """Close its port."""
        await self._port.stopListening()


class TcpAnswers(Int16StringReceiver):
    """A name server's connection that does with a question what the test says."""

    factory: Any

    def stringReceived(self, string: bytes) -> None:
        """A question."""
        self.factory.answer(self, string)


class TcpAnswersFactory(Factory):
    """Makes such connections."""

    protocol = TcpAnswers
    noisy = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer
