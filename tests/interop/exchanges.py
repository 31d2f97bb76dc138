"""What is exchanged with every peer that can both ask and answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import ConnectionFailure, TlsFailure
from tests.interop.support import OUR_DOMAIN, TEXT, InteropTestCase

if TYPE_CHECKING:
    from sip_p2p import TlsFailureReason
    from tests.interop.support import Party

__all__ = ["ExchangeTestCase"]


class ExchangeTestCase(InteropTestCase):
    """Assertions about both directions with a peer that has ``uri``, ``request`` and ``saw``."""

    async def we_ask(self, party: Party, peer: Any, transport: str) -> None:
        """Our OPTIONS and MESSAGE get the peer's 200, and reach it as they were meant."""
        answer = await party.endpoint.request("OPTIONS", peer.uri(transport))
        self.assertEqual(answer.status, 200)
        self.assertEqual((await peer.saw("OPTIONS")).transport, transport)
        answer = await party.endpoint.send_message(peer.uri(transport), TEXT)
        self.assertEqual(answer.status, 200)
        seen = await peer.saw("MESSAGE")
        self.assertEqual((seen.uri, seen.transport), (peer.uri(transport), transport))
        self.assertEqual(seen.body.decode(), TEXT)

    async def it_asks(self, party: Party, peer: Any, transport: str, identity: str = "") -> None:
        """The peer's OPTIONS and MESSAGE get our 200, and reach our subscriber as they were meant."""
        uri = party.uri(transport, peer.host)
        self.assertEqual(await peer.request("OPTIONS", uri), 200)
        self.assertEqual(await peer.request("MESSAGE", uri, TEXT), 200)
        (event,) = party.received
        self.assertEqual(event.text, TEXT)
        self.assertEqual(event.peer.transport, transport.upper())
        self.assertEqual(event.peer.identity, identity)

    async def refused_by_us(self, party: Party, peer: Any, reason: TlsFailureReason) -> None:
        """We dial, and refuse the peer's certificate for *reason* before it sees a request."""
        failure = await self.failure_of(party.endpoint.send_message(peer.uri("tls"), TEXT), TlsFailure)
        self.assertIs(failure.reason, reason)
        self.assertIsNotNone(failure.certificate)
        self.assertFalse(peer.saw_any)

    async def refused_by_it(self, party: Party, peer: Any, reason: TlsFailureReason, alert: str) -> None:
        """We dial, and the peer refuses our certificate: late under TLS 1.3, and yet told as what it is."""
        failure = await self.failure_of(party.endpoint.send_message(peer.uri("tls"), TEXT), TlsFailure)
        self.assertIs(failure.reason, reason)
        self.assertEqual(failure.alert, alert)
        self.assertFalse(peer.saw_any)

    async def caller_refused(self, party: Party, peer: Any, reason: TlsFailureReason) -> None:
        """The peer dials, and we refuse its certificate for *reason* before an application hears of it."""
        status = await peer.request("MESSAGE", party.uri("tls"), TEXT)
        self.assertNotEqual(status, 200)
        self.assertIs((await party.failed).reason, reason)
        self.assertEqual(party.received, [])

    async def caller_refuses(self, party: Party, peer: Any) -> None:
        """The peer dials and refuses our certificate: no application hears of it."""
        status = await peer.request("MESSAGE", party.uri("tls"), TEXT)
        self.assertNotEqual(status, 200)
        self.assertEqual(party.received, [])

    async def unreachable(self, party: Party, uri: str) -> None:
        """Nobody listens at *uri*: a connection failure, no TLS failure."""
        failure = await self.failure_of(party.endpoint.send_message(uri, TEXT), ConnectionFailure)
        self.assertNotIsInstance(failure, TlsFailure)

    @property
    def our_domain(self) -> str:
        """The domain that our certificates prove."""
        return OUR_DOMAIN
