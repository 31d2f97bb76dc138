"""A stub resolver: one question to the name servers, by UDP and, where the answer does not fit, by TCP (RFC 1035, RFC
5452).

The messages are those of twisted.names. Its own client is not used, because a lookup that it began cannot be ended, it
goes on with an answer to another question than the one that was asked, keeps its TCP connection and its timer for ever,
and stays with a name server that fails. Here each attempt has a port of its own, which the system picks at random and
which is connected to the name server, and a random identifier; an answer counts only when it comes from there and
repeats identifier and question. What else comes is passed over, and the attempt goes on.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryRefusedError, DNSServerError, DNSUnknownError
from twisted.protocols.basic import Int16StringReceiver

from sip_p2p.transport.dns.name_servers import ResolverConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

__all__ = ["DnsClient"]

_SCHEDULE = (1.0, 2.0, 3.0)
"""How long each round of attempts waits for each name server, in seconds."""

_LONGEST_DATAGRAM = 8192
_MOST_STRANGERS = 64
"""So many answers that are none, and an attempt is over: somebody is guessing."""

_ERRORS = {dns.EREFUSED: DNSQueryRefusedError, dns.ESERVER: DNSServerError}


@final
class DnsClient:
    """Asks name servers; one of those things that ``IResolver`` describes, as far as :meth:`query`."""

    def __init__(
        self,
        reactor: IReactorTime,
        servers: Iterable[tuple[str, int]] | None = None,
        schedule: Sequence[float] = _SCHEDULE,
    ) -> None:
        """
        :param servers: addresses and ports of name servers that recurse; by default those of ``/etc/resolv.conf``,
            which is read again when it has changed.
        :param schedule: how long each round waits for each name server, in seconds.
        """
        self._reactor = reactor
        self._servers = None if servers is None else list(servers)
        self._configuration = ResolverConfiguration()
        self._schedule = tuple(schedule)

    @property
    def servers(self) -> list[tuple[str, int]]:
        """Who is asked, first the first."""
        return list(self._configuration.name_servers() if self._servers is None else self._servers)

    def query(self, query: dns.Query, timeout: Sequence[float] | None = None) -> Deferred[Any]:
        """Ask *query*.

        :param timeout: another schedule for this question.
        :returns: the answers, the authority and the additional records. Fails with an exception of
            ``twisted.names.error``, whose first argument is the response, or with ``TimeoutError``. Cancelling it
            leaves neither port, connection nor timer behind.
        """
        rounds = self._schedule if timeout is None else timeout
        attempts = [(server, seconds) for seconds in rounds for server in self.servers]
        return _Asking(self._reactor, query, attempts).start()


@final
class _Asking:
    """One question, until it is answered."""

    def __init__(self, reactor: IReactorTime, query: dns.Query, attempts: list[tuple[tuple[str, int], float]]) -> None:
        self._reactor: Any = reactor
        self._query = query
        self._attempts = attempts[::-1]
        self._error: BaseException = DeferredTimeout(f"no name server answered: {query.name}")
        self._alarm: IDelayedCall | None = None
        self._port: Any = None
        self._datagrams: _Datagrams | None = None
        self._connecting: Deferred[Any] | None = None
        self._connection: _TcpConnection | None = None
        self._server = ("", 0)
        self._strangers = 0
        self._done: Deferred[Any] = Deferred(lambda _: self._clean_up())
        self.message = dns.Message()

    def start(self) -> Deferred[Any]:
        """Begin with the first attempt."""
        self.next()
        return self._done

    def next(self, _: object = None) -> None:
        """Give up this attempt and begin the next one, if any is left."""
        self._clean_up()
        if not self._attempts:
            self._done.errback(self._error)
            return
        self._server, seconds = self._attempts.pop()
        self._strangers = 0
        self._new_message()
        self._alarm = self._reactor.callLater(seconds, self.next)
        self._datagrams = _Datagrams(self, self._server)
        try:
            interface = "::" if ":" in self._server[0] else ""
            self._port = self._reactor.listenUDP(
                0, self._datagrams, interface=interface, maxPacketSize=_LONGEST_DATAGRAM
            )
            self._datagrams.ask()
        except Exception as error:
            self._error = error
            # A port closes with the reactor's next turn: whoever tries in vain all at once holds them all until then.
            self._attempts = [attempt for attempt in self._attempts if attempt[0] != self._server]
            self.next()

    def _new_message(self) -> None:
        self.message = dns.Message(secrets.randbits(16), recDes=1)
        self.message.queries = [self._query]

    def received(self, data: bytes) -> None:
        """Something came from where an answer is awaited."""
        response = dns.Message()
        try:
            response.fromStr(data)
        except Exception:
            # Octets of a stranger: whatever they break in the decoder, they are no answer.
            self._stranger()
            return
        if not self._answers(response):
            self._stranger()
        elif response.trunc and self._connecting is None:
            self._ask_by_tcp()
        elif response.rCode == dns.OK and not response.trunc:
            self._clean_up()
            self._done.callback((response.answers, response.authority, response.additional))
        elif response.rCode == dns.ENAME:
            self._clean_up()
            self._done.errback(DNSNameError(response))
        else:
            self._error = _ERRORS.get(response.rCode, DNSUnknownError)(response)
            self.next()

    def _answers(self, response: dns.Message) -> bool:
        """Whether *response* repeats what was asked (RFC 5452 section 9.1)."""
        if not response.answer or response.opCode != 0 or response.id != self.message.id:
            return False
        if len(response.queries) != 1:
            return False
        asked, repeated = self._query, response.queries[0]
        same_name = asked.name.name.lower() == repeated.name.name.lower()
        return same_name and (asked.type, asked.cls) == (repeated.type, repeated.cls)

    def _stranger(self) -> None:
        self._strangers += 1
        if self._strangers >= _MOST_STRANGERS:
            self.next()

    def _ask_by_tcp(self) -> None:
        """The answer does not fit into a datagram (RFC 7766)."""
        self._close_port()
        self._new_message()
        endpoint = TCP6ClientEndpoint if ":" in self._server[0] else TCP4ClientEndpoint
        connecting = endpoint(self._reactor, *self._server).connect(cast("Any", _TcpFactory(self)))
        self._connecting = connecting
        connecting.addErrback(self._no_tcp)

    def _no_tcp(self, failure: Failure) -> None:
        if self._connecting is not None:
            self._error = cast("BaseException", failure.value)
            self.next()

    def connected(self, connection: _TcpConnection) -> None:
        """The TCP connection stands."""
        self._connection = connection
        connection.sendString(self.message.toStr())  # type: ignore[no-untyped-call]

    def _close_port(self) -> None:
        port, self._port = self._port, None
        if self._datagrams is not None:
            self._datagrams.asking = None
        if port is not None:
            port.stopListening()

    def _clean_up(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()
        self._close_port()
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        connection, self._connection = self._connection, None
        if connection is not None and connection.transport is not None:
            connection.asking = None
            cast("Any", connection.transport).abortConnection()


@final
class _Datagrams(DatagramProtocol):
    """The UDP port of one attempt."""

    def __init__(self, asking: _Asking, server: tuple[str, int]) -> None:
        self.asking: _Asking | None = asking
        self._server = server

    def ask(self) -> None:
        """Ask; connected, so that nobody else's datagrams come here, and a refusal does.

        :raises OSError: when there is no way to the name server.
        """
        transport: Any = self.transport
        if transport is not None and self.asking is not None:
            transport.connect(*self._server)
            transport.write(self.asking.message.toStr())

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """What may be the answer."""
        if self.asking is not None:
            self.asking.received(datagram)

    def connectionRefused(self) -> None:
        """Nobody listens there: the next one."""
        self.stopProtocol()

    def stopProtocol(self) -> None:
        """The port is gone; where we have not closed it, the reactor took a refusal for its end."""
        asking, self.asking = self.asking, None
        if asking is not None:
            asking.next()


@final
class _TcpFactory(Factory):
    """Makes the one connection of an attempt."""

    noisy = False

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def buildProtocol(self, addr: object) -> _TcpConnection:
        """The connection."""
        return _TcpConnection(self._asking)


@final
class _TcpConnection(Int16StringReceiver):
    """The TCP connection of one attempt."""

    def __init__(self, asking: _Asking) -> None:
        self.asking: _Asking | None = asking

    def connectionMade(self) -> None:
        """Ask."""
        if self.asking is not None:
            self.asking.connected(self)

    def stringReceived(self, string: bytes) -> None:
        """What may be the answer."""
        if self.asking is not None:
            self.asking.received(string)

    def connectionLost(self, reason: Any = None) -> None:
        """No answer will come this way."""
        asking, self.asking = self.asking, None
        if asking is not None:
            asking.next()
