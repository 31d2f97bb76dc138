r"""Where to listen, in one line: endpoint descriptions as Twisted writes them, with mutual TLS among them.

``tls:`` and ``udp:`` are ours. Twisted has no server description that names a certificate and asks for the peer's as
well, and none for UDP; a plugin of ours with the prefix ``tls`` would win or lose against Twisted's own by the order in
which things were installed. For other Twisted programs the same parser is a plugin under the prefixes ``sips`` and
``sip``: ``serverFromString(reactor, "sips:port=5061:certKey=a.pem:trustRoots=ca.pem")`` is mutual TLS for any factory.
Every other description goes to Twisted as it stands, but for ``ssl:``, which cannot ask for the peer's certificate.

===============  ====================================================================================================
key of ``tls``   what
===============  ====================================================================================================
port             0 to 65535, also as the first value without a name; 0 takes a free one
interface        the IP address to listen on; by default all of IPv4, ``\:\:`` for all of IPv6 and IPv4
backlog          how many connections may wait to be accepted; 50
certKey          PEM file with our certificate and its chain, and our key if it is not elsewhere
privateKey       PEM file with our key
extraCertChain   PEM file with further intermediate certificates
trustRoots       PEM file, or folder of PEM files, with the authorities that may vouch for peers
allow            who may connect: names, and ``.suffix`` for all below a domain, with commas between them
mutual           ``yes`` or ``no``: whether peers must show a certificate
===============  ====================================================================================================

What a description leaves out comes from the :class:`~sip_p2p.transport.tls.TlsSettings` of the connection manager, and
follows them when they change. Without such settings (as a plugin) ``certKey`` and ``trustRoots`` must be given,
``mutual`` is yes, and everybody may connect whom ``trustRoots`` vouches for, unless ``allow`` says otherwise.

A colon, an equals sign or a backslash within a value is written with a backslash before it. Left out: revocation lists,
certificates by server name, WebSocket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from sip_p2p.errors import TlsFailure
from sip_p2p.transport.credential import Credential, TrustAnchors
from sip_p2p.transport.datagram import LONGEST_DATAGRAM
from sip_p2p.transport.identity import TrustPolicy
from sip_p2p.transport.tls import TlsSettings, server_tls_factory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

__all__ = ["ListeningEndpoint", "listening_endpoint", "plugin_endpoint"]

_log = Logger()

_TLS_KEYS = (
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
_TCP_KEYS = ("port", "interface", "backlog")
_UDP_KEYS = ("port", "interface")
_TLS, _TCP, _UDP = ("tls", "sips"), ("tcp", "sip"), ("udp",)
_PREFIXES = "tls, tcp, udp, and Twisted's own: tcp6, unix, systemd, haproxy"
_REFUSED = {
    "ws": f"WebSocket is not there yet; the prefixes are {_PREFIXES}",
    "wss": f"WebSocket is not there yet; the prefixes are {_PREFIXES}",
    "ssl": "Twisted's ssl: cannot ask for the peer's certificate; use tls:",
}
_BACKLOG = 50


def listening_endpoint(
    reactor: Any, description: str, tls: TlsSettings | None = None, *, handshake_timeout: float = 5.0
) -> ListeningEndpoint:
    """What *description* describes, checked in full, and not listening yet.

    :param description: such as ``tls:port=5061:certKey=alice.pem``, ``udp:5060:interface=10.0.0.2``, or any
        description that Twisted knows.
    :param tls: what ``tls:`` falls back to for the keys that the description does not have.
    :param handshake_timeout: seconds that a peer has to finish the TLS handshake.
    :raises ValueError: the description is wrong: the message names the key, what is wrong about it, and the remedy.
    """
    try:
        parsed = _Description.parse(description)
        refusal = _REFUSED.get(parsed.prefix) or _refusal_within(parsed)
        if refusal:
            raise ValueError(refusal)
        if parsed.prefix in _UDP:
            return _udp_endpoint(reactor, description, parsed)
        if parsed.prefix in _TLS:
            return _tls_endpoint(reactor, description, parsed, tls, handshake_timeout)
        return _stream_endpoint(reactor, description, parsed)
    except ValueError as error:
        raise ValueError(f"cannot listen on {description!r}: {error}") from error


def plugin_endpoint(
    reactor: Any, prefix: str, positional: Sequence[str], values: Mapping[str, str]
) -> IStreamServerEndpoint:
    """What Twisted's :func:`~twisted.internet.endpoints.serverFromString` has taken apart for ``sips`` and ``sip``.

    :raises ValueError: as for :func:`listening_endpoint`.
    """
    parsed = _Description(prefix, list(positional), dict(values))
    try:
        if prefix in _TLS:
            return _tls_endpoint(reactor, prefix, parsed, None, 5.0)
        port, interface, backlog = parsed.where(_TCP_KEYS)
        return TCP4ServerEndpoint(reactor, port, backlog, interface)
    except ValueError as error:
        raise ValueError(f"cannot listen on this {prefix!r} description: {error}") from error


class ListeningEndpoint:
    """Somewhere to listen; a Twisted stream server endpoint, but for UDP.

    :ivar description: the description that it was made from.
    :ivar transport: as a Via writes it: ``TLS``, ``TCP`` or ``UDP``.
    """

    def __init__(self, reactor: Any, description: str, transport: str) -> None:
        self._reactor = reactor
        self.description = description
        self.transport = transport

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen.

        :param factory: a protocol factory; for UDP the :class:`~twisted.internet.protocol.DatagramProtocol` itself.
        :returns: the port, whose ``getHost()`` has the number that was taken for port 0. Fails with
            ``CannotListenError``.
        """
        raise TypeError("a listening endpoint is made by listening_endpoint()")

    def __repr__(self) -> str:
        return f"<ListeningEndpoint {self.description}>"


@final
class _DatagramEndpoint(ListeningEndpoint):
    """A UDP port."""

    def __init__(self, reactor: Any, description: str, port: int, interface: str) -> None:
        super().__init__(reactor, description, "UDP")
        self._port = port
        self._interface = interface

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        return execute(
            self._reactor.listenUDP, self._port, factory, interface=self._interface, maxPacketSize=LONGEST_DATAGRAM
        )


@implementer(IStreamServerEndpoint)
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


@implementer(IStreamServerEndpoint)
@final
class _TwistedEndpoint(ListeningEndpoint):
    """What Twisted makes of a description."""

    def __init__(self, reactor: Any, description: str, endpoint: IStreamServerEndpoint) -> None:
        super().__init__(reactor, description, "TCP")
        self._endpoint = endpoint

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        return self._endpoint.listen(factory)


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


@final
class _Description:
    """A description taken apart.

    :ivar prefix: what stands before the first colon.
    :ivar positional: the values without a name.
    :ivar values: the values with one.
    """

    __slots__ = ("positional", "prefix", "values")

    def __init__(self, prefix: str, positional: list[str], values: dict[str, str]) -> None:
        self.prefix = prefix
        self.positional = positional
        self.values = values

    @classmethod
    def parse(cls, text: str) -> _Description:
        """Take *text* apart by Twisted's rules of quoting.

        :raises ValueError: a key is repeated, or the text ends in a backslash.
        """
        prefix, *parts = _parts(text)
        if len(prefix) > 1 or not prefix[0]:
            raise ValueError(f"it has no prefix: begin with one of {_PREFIXES}")
        positional: list[str] = []
        values: dict[str, str] = {}
        for part in parts:
            if len(part) == 1:
                positional.append(part[0])
            elif part[0] in values:
                raise ValueError(f"{part[0]} stands twice: remove one of them")
            else:
                values[part[0]] = part[1]
        return cls(prefix[0].lower(), positional, values)

    def where(self, known: tuple[str, ...]) -> tuple[int, str, int]:
        """Port, interface and backlog, all keys being among *known*.

        :raises ValueError: they are not, or a value is none.
        """
        for key in self.values:
            if key not in known:
                raise ValueError(f"{self.prefix}: has no key {key!r}: it has {', '.join(known)}")
        if len(self.positional) > 1:
            raise ValueError(
                f"what is {self.positional[1]!r} for? Only the port may stand without a key, and a colon inside a "
                "value has a backslash before it"
            )
        interface = self.values.get("interface", "")
        if interface and not isIPAddress(interface) and not isIPv6Address(interface):
            raise ValueError(
                f"interface={interface} is not an IP address: give one, with a backslash before each colon in it"
            )
        backlog = _number("backlog", self.values.get("backlog", str(_BACKLOG)), 1)
        return self.port(), interface, backlog

    def port(self) -> int:
        """The port, by name or by place.

        :raises ValueError: it is missing, given twice, or no port.
        """
        named = self.values.get("port")
        if self.positional and named is not None:
            raise ValueError(f"port stands twice, as {self.positional[0]!r} and as port={named}: remove one of them")
        text = self.positional[0] if self.positional else named
        if text is None:
            raise ValueError(f"port is missing: write {self.prefix}:port=5061, or port=0 for any that is free")
        return _number("port", text, 0)

    def path(self, key: str) -> str | None:
        """The file under *key*.

        :raises ValueError: the value is empty.
        """
        value = self.values.get(key)
        if value == "" or (value is not None and "\0" in value):
            raise ValueError(f"{key} is not the name of a file: give one, or leave {key} out")
        return value


def _parts(text: str) -> list[list[str]]:
    """The parts between unquoted colons, each split at its first unquoted equals sign."""
    parts: list[list[str]] = [[""]]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            quoted = next(characters, None)
            if quoted is None:
                raise ValueError("it ends in a backslash: write two for one that is meant")
            parts[-1][-1] += quoted
        elif character == ":":
            parts.append([""])
        elif character == "=" and len(parts[-1]) == 1:
            parts[-1].append("")
        else:
            parts[-1][-1] += character
    return parts


def _number(key: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= 65535):
        raise ValueError(f"{key}={text} is not a number from {least} to 65535")
    return int(text)


def _refusal_within(parsed: _Description) -> str:
    """Why a description that wraps another one is refused: Twisted would read the inner ``tls:`` as its own."""
    if parsed.prefix == "haproxy" and parsed.positional and parsed.positional[0].lower() in ("tls", "ssl", "sips"):
        return (
            f"haproxy: can wrap clear text only, not {parsed.positional[0]}:; let the proxy pass TLS through, to tls:"
        )
    return ""


def _udp_endpoint(reactor: Any, description: str, parsed: _Description) -> ListeningEndpoint:
    port, interface, _ = parsed.where(_UDP_KEYS)
    return _DatagramEndpoint(reactor, description, port, interface)


def _stream_endpoint(reactor: Any, description: str, parsed: _Description) -> ListeningEndpoint:
    if parsed.prefix in _TCP:
        port, interface, backlog = parsed.where(_TCP_KEYS)
        return _TwistedEndpoint(reactor, description, TCP4ServerEndpoint(reactor, port, backlog, interface))
    try:
        endpoint = serverFromString(reactor, description)
    except Exception as error:
        # Twisted's parsers raise whatever their own code runs into: an unknown key is a TypeError, for one.
        raise ValueError(f"Twisted does not know what to make of it ({error}); the prefixes are {_PREFIXES}") from error
    return _TwistedEndpoint(reactor, description, endpoint)


def _tls_endpoint(
    reactor: Any, description: str, parsed: _Description, tls: TlsSettings | None, timeout: float
) -> _TlsEndpoint:
    where = parsed.where(_TLS_KEYS)
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


def _credential(parsed: _Description) -> Credential | None:
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


def _trust(parsed: _Description) -> TrustAnchors | None:
    path = parsed.path("trustRoots")
    if path is None:
        return None
    try:
        return TrustAnchors.from_files(path)
    except ValueError as error:
        raise ValueError(f"trustRoots={path}: {error}") from error


def _policy(parsed: _Description) -> TrustPolicy | None:
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
