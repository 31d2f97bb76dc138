"""Servers of few words, and whoever hears what became of an errand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory, Protocol

from sip_p2p import RealTimeServerTlsConnectionManager
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.effects import Errand, Purpose
from sip_p2p.sip.framing import PING, StreamFramer
from sip_p2p.sip.message import Request, Response
from sip_p2p.transport.tls.settings import server_tls_factory
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy

if TYPE_CHECKING:
    from sip_p2p import SipPeerToPeerEndpoint
    from sip_p2p.sip.flow import Flow
    from sip_p2p.testing import Network

__all__ = ["Owner", "Server", "errand", "reply"]


def reply(request: Request, status: int, *fields: tuple[str, str], tag: str = "bt", body: bytes = b"") -> Response:
    """A response to *request*; a body is SDP."""
    headers = [(name, value) for name, value in request.headers if name in ("Via", "From", "Call-ID", "CSeq")]
    to = request.headers["To"]
    headers.append(("To", to if ";tag=" in to or status == 100 else f"{to};tag={tag}"))
    if body:
        headers.append(("Content-Type", "application/sdp"))
    return Response(status, None, [*headers, *fields], body)


class _Connection(Protocol):
    """One connection of a server."""

    def connectionMade(self) -> None:
        self.framer = StreamFramer()
        self.has_hung_up = False
        self.server.connections.append(self)

    @property
    def server(self) -> Server:
        """Whose it is."""
        return self.factory.server  # type: ignore[union-attr, no-any-return]

    def dataReceived(self, data: bytes) -> None:
        if self.has_hung_up:
            return
        for message in self.framer.feed(data):
            if message is PING:
                # RFC 5626 section 4.4.1.
                self.send(b"\r\n")
            elif isinstance(message, Request):
                self.server.requests.append(message)
                for response in self.server.answer(message):
                    self.send(response.serialise())

    def send(self, data: bytes) -> None:
        """Say it."""
        assert self.transport is not None
        self.transport.write(data)  # type: ignore[call-arg]

    def hang_up(self) -> None:
        """Close it in order, and read nothing more."""
        self.has_hung_up = True
        assert self.transport is not None
        self.transport.loseConnection()


class Server:
    """A TLS server that proves a name, keeps what it is asked, and answers as it is told.

    :ivar requests: everything that came, ACKs too.
    :ivar connections: one for each connection.
    :ivar answer: gives the responses to one request; by default there are none.
    """

    def __init__(
        self,
        network: Network,
        host: str,
        proves: str,
        answer: Callable[[Request], Iterable[Response]] = lambda request: (),
        port: int = 5061,
    ) -> None:
        """
        :param host: the host that it listens on, which is made where there is none.
        :param proves: the names in its certificate.
        """
        self.requests: list[Request] = []
        self.connections: list[_Connection] = []
        self.answer = answer
        reactor = network.find(host) or network.host(names=[host])
        self._manager = RealTimeServerTlsConnectionManager(
            reactor,
            Credential.from_pem(network.authority.issue(*proves.split(" ")).pem),
            trust=TrustAnchors.from_pem(network.authority.pem),
            allow=TrustPolicy.any_authenticated(),
        )
        factory: Any = Factory.forProtocol(_Connection)
        factory.server = self
        settings: Any = self._manager.tls_settings()
        self._port = reactor.listenTCP(port, server_tls_factory(settings, factory, reactor, 5))
        self._network = network

    @property
    def methods(self) -> list[str]:
        """What came."""
        return [request.method for request in self.requests]

    def stop(self) -> None:
        """Listen no longer, and hang up."""
        self._network.run_until(self._port.stopListening())
        for connection in self.connections:
            connection.hang_up()
        self._network.run_until(self._manager.terminate())


class Owner:
    """Hears what becomes of errands, and of ACKs.

    :ivar heard: the status of each response, and the exception of each failure.
    :ivar flows: the flow of each response, and of each ACK.
    :ivar octets: the ACKs.
    """

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.responses: list[Response] = []
        self.flows: list[Flow] = []
        self.octets: list[bytes] = []

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response came."""
        self.heard.append(response.status)
        self.responses.append(response)
        self.flows.append(flow)

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """There will be none."""
        self.heard.append(type(reason))

    def ack_sent(self, octets: bytes, flow: Flow) -> None:
        """The ACK left."""
        self.octets.append(octets)
        self.flows.append(flow)


def errand(owner: Owner, party: SipPeerToPeerEndpoint, uri: str = "sip:bob@b.example") -> Errand:
    """An INVITE of *party* to *uri*."""
    tokens = party.connection_manager.tokens
    plan = RequestPlan("INVITE", uri, f"<{party.owner_uri}>", tokens.tag(), tokens.call_id())
    return Errand(owner, plan, Purpose.INVITE)
