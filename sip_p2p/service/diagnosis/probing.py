"""A look at a port, for ``sip-p2p doctor``: what answers there, and what TLS there asks for.

These probes trust nobody and tell nothing: they send a ``ClientHello``, a keep-alive or an OPTIONS without any content,
look at what comes back, and hang up. Nothing that the program does otherwise goes this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from sip_p2p.transport.trust.identity import is_ip_address

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTCP, IReactorTime
    from twisted.python.failure import Failure

__all__ = ["TlsLook", "dial", "first_octets", "look_at_tls"]

_ENOUGH = 16384
_PING = b"\r\n\r\n"


class _Listening(Protocol):
    """Gathers what comes, until there is enough of it or the peer hangs up."""

    def __init__(self) -> None:
        self.received = b""
        self.done: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Something came."""
        self.received += data[: _ENOUGH - len(self.received)]
        if not self.done.called:
            self.done.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Nothing more will come."""
        if not self.done.called:
            self.done.callback(None)


@final
class TlsLook:
    """What a TLS port has shown to somebody without a certificate.

    :ivar is_tls: whether the handshake came to its end.
    :ivar admits_anybody: whether the connection was still there a moment after that, without a certificate of ours.
    :ivar certificate: what it showed.
    :ivar version: such as ``TLSv1.3``.
    :ivar application_protocol: what ALPN agreed on; empty for nothing.
    """

    __slots__ = ("admits_anybody", "application_protocol", "certificate", "is_tls", "version")

    def __init__(self) -> None:
        self.is_tls = False
        self.admits_anybody = False
        self.certificate: x509.Certificate | None = None
        self.version = ""
        self.application_protocol = ""


class _Looking(Protocol):
    """A TLS client that believes everything and says nothing."""

    def __init__(self, name: str) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        # Whatever speaks there: SIP, or SIP over WebSocket.
        context.set_alpn_protos([b"sip/2", b"http/1.1"])
        self._tls = SSL.Connection(context, None)
        self._tls.set_connect_state()
        if name and not is_ip_address(name):
            self._tls.set_tlsext_host_name(name.encode("ascii"))
        self.look = TlsLook()
        self.done: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Begin."""
        self._advance()

    def dataReceived(self, data: bytes) -> None:
        """Go on."""
        try:
            self._tls.bio_write(data)
            self._advance()
        except SSL.Error:
            self._end()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The peer has hung up: it wants a certificate, or something else than TLS."""
        if not self.done.called:
            self.look.admits_anybody = False
        self._end()

    def _advance(self) -> None:
        if not self.look.is_tls:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                self._flush()
                return
            except SSL.Error:
                self._flush()
                self._end()
                return
            self._finished()
        self._flush()
        try:
            while self._tls.recv(4096):
                # It answers somebody without a certificate.
                self._end()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self.look.admits_anybody = False
            self._end()

    def _finished(self) -> None:
        look = self.look
        look.is_tls = look.admits_anybody = True
        shown = self._tls.get_peer_certificate()
        look.certificate = None if shown is None else shown.to_cryptography()
        look.version = self._tls.get_protocol_version_name()
        look.application_protocol = self._tls.get_alpn_proto_negotiated().decode("ascii", "replace")
        # In TLS 1.3 a refusal comes only now, as the answer to the first thing that is said.
        self._tls.send(_PING)

    def _flush(self) -> None:
        try:
            cast("Any", self.transport).write(self._tls.bio_read(65536))
        except SSL.WantReadError:
            return

    def _end(self) -> None:
        if not self.done.called:
            self.done.callback(None)


def dial(reactor: IReactorTime, protocol: Protocol, host: str, port: int, timeout: float) -> Deferred[Any]:
    """Connect *protocol* to an address; fails as Twisted's endpoints do.

    :param timeout: seconds until nothing is expected any more.
    """
    factory = Factory.forProtocol(lambda: protocol)
    factory.noisy = False
    kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
    endpoint = kind(cast("IReactorTCP", reactor), host, port, timeout=timeout)
    return cast("Deferred[Any]", endpoint.connect(factory))


async def first_octets(reactor: IReactorTime, host: str, port: int, said: bytes, timeout: float) -> bytes:
    """What comes first when *said* is sent there; empty when nothing does.

    :raises Exception: what Twisted's endpoints raise for a connection that cannot be had.
    """
    listening = _Listening()
    await dial(reactor, listening, host, port, timeout)
    transport = cast("Any", listening.transport)
    transport.write(said)
    await _patiently(reactor, listening.done, timeout)
    transport.abortConnection()
    return listening.received


async def look_at_tls(reactor: IReactorTime, host: str, port: int, name: str, timeout: float) -> TlsLook:
    """What a TLS port shows to somebody without a certificate, who asks for *name*.

    :raises Exception: what Twisted's endpoints raise for a connection that cannot be had.
    """
    looking = _Looking(name)
    await dial(reactor, looking, host, port, timeout)
    await _patiently(reactor, looking.done, min(timeout, 2.0))
    cast("Any", looking.transport).abortConnection()
    return looking.look


async def _patiently(reactor: IReactorTime, done: Deferred[None], seconds: float) -> None:
    """Wait for *done*, and not for longer than *seconds*."""

    def ring() -> None:
        if not done.called:
            done.callback(None)

    alarm = reactor.callLater(seconds, ring)
    await done
    if alarm.active():
        alarm.cancel()
