"""Name servers for tests, on the loopback interface: a real one over zones, and several that are broken."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.error import CannotListenError
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


def _listen_on_both(factory: Factory, protocol: DatagramProtocol) -> tuple[list[Any], int]:
    """The ports that listen, and the number of the last: over TCP and UDP alike it was free."""
    ports: list[Any] = []
    for _ in range(50):
        ports.append(reactor.listenTCP(0, factory, interface="127.0.0.1"))
        number: int = ports[-1].getHost().port
        with suppress(CannotListenError):
            ports.append(reactor.listenUDP(number, protocol, interface="127.0.0.1"))
            return ports, number
    raise AssertionError("no port is free for both")


class NameServer:
    """A name server over UDP and TCP on one port.

    :ivar zones: what it knows.
    :ivar address: where it is.
    """

    def __init__(self, *records: str) -> None:
        self.zones = Zones(*records)
        factory = _Authority(authorities=[self.zones])
        self._ports, port = _listen_on_both(factory, dns.DNSDatagramProtocol(factory))
        self.address = ("127.0.0.1", port)
        self._factory = factory

    async def stop(self) -> None:
        """Close its ports and connections."""
        for connection in list(self._factory.connections):
            connection.transport.abortConnection()
        for port in self._ports:
            await port.stopListening()


class BrokenNameServer(DatagramProtocol):
    """A name server that answers by UDP with whatever the test makes of the question.

    :ivar answer: is given the question and gives the datagrams to send.
    :ivar questions: what was asked.
    """

    def __init__(self, answer: Any, by_tcp: Factory | None = None) -> None:
        """
        :param by_tcp: what is there for TCP on the same port; nothing listens without it.
        """
        self.answer = answer
        self.questions: list[dns.Message] = []
        if by_tcp is None:
            self._ports = [reactor.listenUDP(0, self, interface="127.0.0.1")]
            port = self._ports[0].getHost().port
        else:
            self._ports, port = _listen_on_both(by_tcp, self)
        self.address = ("127.0.0.1", port)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A question."""
        message = dns.Message()
        message.fromStr(datagram)
        self.questions.append(message)
        for reply in self.answer(message):
            assert self.transport is not None
            self.transport.write(reply, addr)

    async def stop(self) -> None:
        """Close its ports."""
        for port in self._ports:
            await port.stopListening()


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
