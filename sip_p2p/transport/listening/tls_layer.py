"""TLS on a listening port: what the keys of a description say, and what they leave to the connection manager.

What a description leaves out comes from the manager's :class:`~sip_p2p.transport.tls.settings.TlsSettings`, and follows
them when they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.protocol import Factory
from twisted.logger import Logger

from sip_p2p.errors import TlsFailure
from sip_p2p.transport.listening.settings import (
    ListenerSettings,
    given_credential,
    given_revocation,
    given_server_names,
    given_trust,
)
from sip_p2p.transport.tls.settings import SIP_PROTOCOL, TlsSettings, server_tls_factory
from sip_p2p.transport.trust.identity import TrustPolicy

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

    from sip_p2p.transport.listening.description_text import Description
    from sip_p2p.transport.listening.endpoints import Patience

__all__ = ["TLS_KEYS", "TlsLayer", "tls_layer"]

_log = Logger()

TLS_KEYS = (
    "certKey",
    "privateKey",
    "extraCertChain",
    "trustRoots",
    "allow",
    "mutual",
    "crl",
    "revocation",
    "staple",
    "sni",
)
"""The keys that ``tls:`` has beyond those of ``tcp:``."""


@final
class TlsLayer:
    """TLS between connections and a factory."""

    __slots__ = ("_description", "_protocol", "_reactor", "_settings", "_timeout")

    def __init__(
        self, reactor: Any, description: str, settings: ListenerSettings, timeout: Patience, application_protocol: bytes
    ) -> None:
        self._reactor = reactor
        self._description = description
        self._settings = settings
        self._timeout = timeout
        self._protocol = application_protocol

    def __call__(self, factory: Any) -> Any:
        """A factory for the connections, around the one for what is spoken on them."""
        settings = self._settings.refresh()
        if not settings.need_mutual_tls:
            _log.warn(
                "{description}: peers without a certificate are accepted, and are nobody in particular",
                description=self._description,
            )
        secured = server_tls_factory(settings, factory, self._reactor, self._timeout, self._protocol)
        return _FollowingFactory(secured, self._settings)


@final
class _FollowingFactory(Factory):
    """Brings a listener's settings up to date before each connection."""

    noisy = False

    def __init__(self, secured: IProtocolFactory, settings: ListenerSettings) -> None:
        self._secured = secured
        self._settings = settings

    def logPrefix(self) -> str:
        """What the reactor's log calls it."""
        return "TLS"

    def doStart(self) -> None:
        """Listening has begun."""
        self._settings.start()
        self._secured.doStart()

    def doStop(self) -> None:
        """Listening has ended."""
        self._settings.stop()
        self._secured.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """The TLS protocol for a connection."""
        self._settings.refresh()
        return self._secured.buildProtocol(addr)


def tls_layer(
    reactor: Any,
    description: str,
    parsed: Description,
    tls: TlsSettings | None,
    timeout: Patience,
    application_protocol: bytes = SIP_PROTOCOL,
) -> TlsLayer:
    """TLS as *parsed* says and as *tls* says for the rest.

    :param timeout: the seconds from the connection to the verified peer, or what tells them for each.
    :param application_protocol: what ALPN calls that which is spoken here.
    :raises ValueError: a key is wrong, or missing.
    """
    credential = given_credential(parsed)
    if credential is None and (tls is None or tls.credential is None):
        raise ValueError("certKey is missing: name the PEM file with the certificate to listen with")
    trust = given_trust(parsed)
    mutual = parsed.values.get("mutual", "no" if tls is not None and not tls.need_mutual_tls else "yes")
    if mutual not in ("yes", "no"):
        raise ValueError(f"mutual={mutual} is neither yes nor no")
    policy = _policy(parsed)
    if policy is not None and mutual == "no":
        raise ValueError("allow cannot keep out peers that show no certificate, and mutual is no: remove one of them")
    if policy is None and tls is None:
        policy = TrustPolicy.any_authenticated()
    given = {
        "credential": credential,
        "anchors": trust,
        "policy": policy,
        "revocation": given_revocation(parsed),
        "server_certificates": given_server_names(parsed),
    }
    try:
        settings = ListenerSettings(reactor, description, tls, given, mutual == "yes")
    except TlsFailure as failure:
        raise ValueError(f"certKey: {failure.detail}") from failure
    return TlsLayer(reactor, description, settings, timeout, application_protocol)


def _policy(parsed: Description) -> TrustPolicy | None:
    names = parsed.values.get("allow")
    if names is None:
        return None
    listed = [name.strip() for name in names.split(",")]
    if not all(listed):
        raise ValueError(f"allow={names} has an empty name in it: give names with commas between them")
    try:
        return TrustPolicy.parse(listed)
    except ValueError as error:
        raise ValueError(f"allow={names}: {error}") from error
