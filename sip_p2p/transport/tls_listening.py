"""TLS on a listening port: what the keys of a description say, and what they leave to the connection manager.

What a description leaves out comes from the manager's :class:`~sip_p2p.transport.tls.TlsSettings`, and follows them
when they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.defer import Deferred, execute
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from sip_p2p.errors import TlsFailure
from sip_p2p.transport.credential import Credential, TrustAnchors
from sip_p2p.transport.identity import TrustPolicy
from sip_p2p.transport.listening import ListeningEndpoint
from sip_p2p.transport.tls import TlsSettings, server_tls_factory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

    from sip_p2p.transport.description_text import Description

__all__ = ["TLS_KEYS", "tls_endpoint"]

_log = Logger()

TLS_KEYS = (
    "port",
    "interface",
    "backlog",
    "certKey",
    "privateKey",
    "extraCertChain",
    "trustRoots",
    "allow",
    "mutual",
)
"""The keys of ``tls:``."""


@final
class _TlsEndpoint(ListeningEndpoint):
    """A TCP port with TLS on it."""

    def __init__(
        self, reactor: Any, description: str, where: tuple[int, str, int], settings: _Settings, timeout: float
    ) -> None:
        super().__init__(reactor, description, "TLS")
        self._port, self._interface, self._backlog = where
        self._settings = settings
        self._timeout = timeout

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        settings = self._settings.refresh()
        if not settings.need_mutual_tls:
            _log.warn(
                "{description}: peers without a certificate are accepted, and are nobody in particular",
                description=self.description,
            )
        secured = server_tls_factory(settings, factory, self._reactor, self._timeout)
        following = _FollowingFactory(secured, self._settings)
        return execute(self._reactor.listenTCP, self._port, following, backlog=self._backlog, interface=self._interface)


@final
class _Settings:
    """The TLS settings of one listener: what its description says, and for the rest what the manager's say by now."""

    __slots__ = ("_base", "_credential", "_own", "_policy", "_seen", "_trust")

    def __init__(
        self,
        base: TlsSettings | None,
        credential: Credential | None,
        trust: TrustAnchors | None,
        policy: TrustPolicy | None,
        mutual: bool,
    ) -> None:
        self._base = base
        self._credential = credential
        self._trust = trust
        self._policy = policy
        self._own: TlsSettings | None = None
        self._seen = self._parts()
        overrides = credential is not None or trust is not None or policy is not None
        if base is None or overrides or mutual is not base.need_mutual_tls:
            own_credential, own_trust, own_policy = self._seen
            if own_trust is None:
                raise ValueError("trustRoots is missing: name the PEM file or folder of the authorities you trust")
            on_failure = None if base is None else base.on_failure
            self._own = TlsSettings(
                own_credential, own_trust, own_policy, need_mutual_tls=mutual, on_failure=on_failure
            )

    def refresh(self) -> TlsSettings:
        """The settings for the next connection."""
        own, base = self._own, self._base
        if own is None:
            return cast("TlsSettings", base)
        parts = self._parts()
        if parts != self._seen:
            self._seen = parts
            own.replace(credential=parts[0], anchors=parts[1], policy=parts[2])
        return own

    def _parts(self) -> tuple[Credential | None, TrustAnchors | None, TrustPolicy | None]:
        base = self._base
        if base is None:
            return self._credential, self._trust, self._policy
        return self._credential or base.credential, self._trust or base.anchors, self._policy or base.policy


@final
class _FollowingFactory(Factory):
    """Brings a listener's settings up to date before each connection."""

    noisy = False

    def __init__(self, secured: IProtocolFactory, settings: _Settings) -> None:
        self._secured = secured
        self._settings = settings

    def doStart(self) -> None:
        """Listening has begun."""
        self._secured.doStart()

    def doStop(self) -> None:
        """Listening has ended."""
        self._secured.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """The TLS protocol for a connection."""
        self._settings.refresh()
        return self._secured.buildProtocol(addr)


def tls_endpoint(
    reactor: Any, description: str, parsed: Description, tls: TlsSettings | None, timeout: float
) -> ListeningEndpoint:
    """A TCP port with TLS on it, as *parsed* says and as *tls* says for the rest.

    :raises ValueError: a key is wrong, or missing.
    """
    where = parsed.where(TLS_KEYS)
    credential = _credential(parsed)
    if credential is None and (tls is None or tls.credential is None):
        raise ValueError("certKey is missing: name the PEM file with the certificate to listen with")
    trust = _trust(parsed)
    mutual = parsed.values.get("mutual", "no" if tls is not None and not tls.need_mutual_tls else "yes")
    if mutual not in ("yes", "no"):
        raise ValueError(f"mutual={mutual} is neither yes nor no")
    policy = _policy(parsed)
    if policy is not None and mutual == "no":
        raise ValueError("allow cannot keep out peers that show no certificate, and mutual is no: remove one of them")
    if policy is None and tls is None:
        policy = TrustPolicy.any_authenticated()
    try:
        settings = _Settings(tls, credential, trust, policy, mutual == "yes")
    except TlsFailure as failure:
        raise ValueError(f"certKey: {failure.detail}") from failure
    return _TlsEndpoint(reactor, description, where, settings, timeout)


def _credential(parsed: Description) -> Credential | None:
    certificate, key = parsed.path("certKey"), parsed.path("privateKey")
    chain = parsed.path("extraCertChain")
    if certificate is None:
        for name, value in (("privateKey", key), ("extraCertChain", chain)):
            if value is not None:
                raise ValueError(f"{name} is given without certKey: give the certificate that it belongs to")
        return None
    try:
        return Credential.from_files(certificate, key, () if chain is None else (chain,))
    except TlsFailure as failure:
        named = [f"{name}={value}" for name, value in (("privateKey", key), ("extraCertChain", chain)) if value]
        raise ValueError(f"{', '.join([f'certKey={certificate}', *named])}: {failure.detail}") from failure


def _trust(parsed: Description) -> TrustAnchors | None:
    path = parsed.path("trustRoots")
    if path is None:
        return None
    try:
        return TrustAnchors.from_files(path)
    except ValueError as error:
        raise ValueError(f"trustRoots={path}: {error}") from error


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
