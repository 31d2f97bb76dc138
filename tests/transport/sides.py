"""Two sides of a network in memory: each a host with a core, a driver and its flows, without the facade above."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from sip_p2p.errors import InvalidOperation, TlsFailure
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore
from sip_p2p.testing import Network
from sip_p2p.transport.driver import Driver
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.keep_alive import KeepAlive
from sip_p2p.transport.keeper import FlowKeeper
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.protocol import StreamFactory
from sip_p2p.transport.target import Target
from sip_p2p.transport.tls.settings import TlsSettings, client_tls_factory, server_tls_factory
from sip_p2p.transport.udp.datagram import DatagramPort
from tests.transport.flow_bench import User
from tests.transport.tls_pairs import settings

__all__ = ["Side"]


class Side:
    """One host, and what a connection manager has below its facade.

    :ivar failures: the TLS failures that were reported.
    """

    def __init__(
        self,
        network: Network,
        *names: str,
        limits: Limits | None = None,
        tls: bool = True,
        keep_alive: KeepAlive | None = None,
    ) -> None:
        self.network = network
        self.host = network.host(names=names)
        self.address = self.host.addresses[0]
        self.limits = Limits() if limits is None else limits
        self.core = UserAgentCore(CountingTokens(f"{names[0]}."))
        self.core.directory.add(Profile("party", ("MESSAGE",)), SipUri.parse("sip:user@example.com"), "token")
        self.user = User()
        self.driver = Driver(self.host, self.core, self.user)
        self.settings: TlsSettings | None = settings(names[0]) if tls else None
        self.requests_allowed = True
        self.failures: list[TlsFailure] = []
        self.throttled: list[tuple[StreamFlow, bool]] = []
        self.opened: list[LiveFlow] = []
        self.lost: list[tuple[LiveFlow, BaseException, int]] = []
        self.keeper = FlowKeeper(self.host, self.limits, self.driver, self, keep_alive)
        self.pool = self.keeper.pool
        self.ports: list[Any] = []

    # What the keeper asks

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        return f"{local[0]}:{local[1]}"

    def secure(self, target: Target, factory: IProtocolFactory) -> IProtocolFactory:
        if self.settings is None:
            raise InvalidOperation("there is no certificate")
        return client_tls_factory(self.settings, target.name, factory, self.host, self.limits.handshake_timeout)

    def local_credential(self) -> object:
        return None if self.settings is None else self.settings.credential

    def sender_check(self, flow: StreamFlow) -> None:
        """From stays a claim."""

    def may_request(self, flow: StreamFlow) -> bool:
        return self.requests_allowed

    def offers_alias(self, flow: StreamFlow) -> bool:
        return False

    def tls_failure(self, failure: TlsFailure) -> None:
        self.failures.append(failure)

    def tell_opened(self, flow: LiveFlow) -> None:
        self.opened.append(flow)

    def tell_lost(self, flow: LiveFlow, reason: BaseException, transactions: tuple[object, ...]) -> None:
        self.lost.append((flow, reason, len(transactions)))

    def flow_throttled(self, flow: StreamFlow) -> None:
        self.throttled.append((flow, flow.is_throttled))

    def is_busy(self, flow: StreamFlow) -> bool:
        return self.core.layer.is_busy(flow)

    # What a test does

    def listen(self, transport: str, port: int) -> Any:
        """Accept connections or datagrams."""
        listening: Any
        if transport == "UDP":
            datagrams = DatagramPort(self.keeper)
            listening = self.host.listenUDP(port, datagrams)
            self.keeper.datagrams.listens_on(datagrams, listening.getHost().host)
        else:
            factory: Any = StreamFactory(self.keeper, transport, is_incoming=True)
            if transport == "TLS":
                assert self.settings is not None
                factory = server_tls_factory(self.settings, factory, self.host, self.limits.handshake_timeout)
            listening = self.host.listenTCP(port, factory)
        self.ports.append(listening)
        return listening

    def answer(self, output: Any, status: int = 200) -> None:
        """Answer a request, as a handler would."""
        self.driver.respond(output.transaction, self.core.response(output.transaction, status))

    def connect(self, target: Target) -> StreamFlow:
        """The flow to *target*."""
        return self.network.run_until(self.pool.connect(target))

    def close(self) -> None:
        """End everything, and let time pass until it has."""
        for port in self.ports:
            self.network.run_until(port.stopListening() or self._nothing())
        self.network.run_until(self.keeper.close())
        self.driver.stop()

    async def _nothing(self) -> None:
        """For a port that stops at once."""
