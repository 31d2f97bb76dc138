r"""Where to listen, in one line: endpoint descriptions as Twisted writes them, with mutual TLS among them.

``tls:``, ``udp:``, ``ws:`` and ``wss:`` are ours. Twisted has no server description that names a certificate and asks
for the peer's as well, and none for UDP; a plugin of ours with the prefix ``tls`` would win or lose against Twisted's
own by the order in which things were installed. For other Twisted programs the same parser is a plugin under the
prefixes ``sips`` and ``sip``: ``serverFromString(reactor, "sips:port=5061:certKey=a.pem:trustRoots=ca.pem")`` is mutual
TLS for any factory. ``systemd:`` and ``haproxy:`` are read here, too, because what they carry may be TLS by our rules.
Every other description goes to Twisted as it stands, but for ``ssl:``, which cannot ask for the peer's certificate.

===============  ====================================================================================================
key of ``tls``   what
===============  ====================================================================================================
port             0 to 65535, also as the first value without a name; 0 takes a free one
interface        the IP address to listen on; by default all of IPv4, ``\:\:`` for all of IPv6 and IPv4
backlog          how many connections may wait in the system to be accepted; 1024
systemd          in the place of these: the number or name of a listening socket that was passed to this process
certKey          PEM file with our certificate and its chain, and our key if it is not elsewhere
privateKey       PEM file with our key
extraCertChain   PEM file with further intermediate certificates
trustRoots       PEM file, or folder of PEM files, with the authorities that may vouch for peers
allow            who may connect: names, and ``.suffix`` for all below a domain, with commas between them
mutual           ``yes`` or ``no``: whether peers must show a certificate
crl              files or folders with lists of revoked certificates, PEM or DER, with commas between them
revocation       ``soft`` or ``hard``: whether peers are refused of whom no list says anything; ``off`` does not look
staple           file with the authority's OCSP response on our certificate, DER
sni              files or folders with certificates and keys for callers that ask for a name that one of them proves
===============  ====================================================================================================

What a description leaves out comes from the :class:`~sip_p2p.transport.tls.settings.TlsSettings` of the connection
manager, and follows them when they change. Without such settings (as a plugin) ``certKey`` and ``trustRoots`` must be
given, ``mutual`` is yes, and everybody may connect whom ``trustRoots`` vouches for, unless ``allow`` says otherwise.

``tcp:`` has the first four of these keys, ``udp:`` the first two. ``ws:`` has those of ``tcp:``, ``wss:`` those of
``tls:``, and both have two more (RFC 7118):

===============  ====================================================================================================
key of ``ws``    meaning
===============  ====================================================================================================
path             the only resource that there is, such as ``/sip``; by default any
origins          whose web pages may connect: ``https\://chat.example``, ``null`` for files, ``*`` for all, with commas
                 between them; by default pages of the host that they connect to
===============  ====================================================================================================

``systemd:index=0`` and ``systemd:name=sip`` are ``tcp:systemd=0`` and ``tcp:systemd=sip``.

``haproxy:`` stands before any description of connections and reads a PROXY header (version 1 or 2) first:
``haproxy:tls:port=5061:proxies=10.0.0.7``. ``proxies`` are the IP addresses and networks whose headers are believed,
with commas between them; by default those of this machine. Nobody else can connect there.

A colon, an equals sign or a backslash within a value is written with a backslash before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.endpoints import serverFromString

from sip_p2p.transport.listening.description_text import PREFIXES, Description
from sip_p2p.transport.listening.endpoints import DatagramEndpoint, ListeningEndpoint, StreamEndpoint, TcpSource
from sip_p2p.transport.listening.inherited import InheritedSocket
from sip_p2p.transport.listening.proxied import ProxiedFactory, Proxies
from sip_p2p.transport.listening.tls_layer import TLS_KEYS, tls_layer
from sip_p2p.transport.stream.websocket_frames import WebSocketRules
from sip_p2p.transport.tls.settings import HTTP_PROTOCOL, SIP_PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twisted.internet.interfaces import IStreamServerEndpoint

    from sip_p2p.transport.listening.endpoints import Layer, Patience, Source
    from sip_p2p.transport.throttle import LogBounds
    from sip_p2p.transport.tls.settings import TlsSettings

__all__ = ["ListeningEndpoint", "listening_endpoint", "plugin_endpoint"]

_TCP_KEYS = ("port", "interface", "backlog", "systemd")
_UDP_KEYS = ("port", "interface")
_WS_KEYS = ("path", "origins")
_TLS, _TCP, _UDP = ("tls", "sips"), ("tcp", "sip"), ("udp",)
_WS, _WSS = ("ws",), ("wss",)
_SSL = "Twisted's ssl: cannot ask for the peer's certificate; use tls:"


def listening_endpoint(
    reactor: Any,
    description: str,
    tls: TlsSettings | None = None,
    *,
    handshake_timeout: float | Callable[[], float] = 5.0,
    handshakes: int | Callable[[], int] = 256,
    log_bounds: LogBounds | None = None,
) -> ListeningEndpoint:
    """What *description* describes, checked in full, and not listening yet.

    :param description: such as ``tls:port=5061:certKey=alice.pem``, ``udp:5060:interface=10.0.0.2``, or any
        description that Twisted knows.
    :param tls: what ``tls:`` and ``wss:`` fall back to for the keys that the description does not have.
    :param handshake_timeout: seconds that a peer has to finish the TLS handshake, and a proxy to send its header; or
        what tells them for each connection.
    :param handshakes: how many connections may wait for their PROXY header; more are dropped. Or what tells it.
    :param log_bounds: how much may be logged of what peers cause.
    :raises ValueError: the description is wrong: the message names the key, what is wrong about it, and the remedy.
    """
    try:
        parsed = Description.parse(description)
        if parsed.prefix in _UDP:
            port, interface, _ = parsed.where(_UDP_KEYS)
            return DatagramEndpoint(reactor, description, port, interface)
        layers: list[Layer] = []
        if parsed.prefix == "haproxy":
            layers.append(_proxied(reactor, parsed, handshake_timeout, handshakes, log_bounds))
            parsed = parsed.within("proxies")
        return _stream_endpoint(reactor, description, parsed, tls, handshake_timeout, layers)
    except ValueError as error:
        raise ValueError(f"cannot listen on {description!r}: {error}") from error


def plugin_endpoint(
    reactor: Any, prefix: str, positional: Sequence[str], values: Mapping[str, str]
) -> IStreamServerEndpoint:
    """What Twisted's :func:`~twisted.internet.endpoints.serverFromString` has taken apart for ``sips`` and ``sip``.

    :raises ValueError: as for :func:`listening_endpoint`.
    """
    parsed = Description(prefix, list(positional), dict(values))
    try:
        return _stream_endpoint(reactor, prefix, parsed, None, 5.0, [])
    except ValueError as error:
        raise ValueError(f"cannot listen on this {prefix!r} description: {error}") from error


def _stream_endpoint(
    reactor: Any,
    description: str,
    parsed: Description,
    tls: TlsSettings | None,
    timeout: Patience,
    outer: list[Layer],
) -> StreamEndpoint:
    """Connections, what is spoken on them, and what stands between: TLS, and around it what *outer* has."""
    prefix = parsed.prefix
    if prefix == "ssl":
        raise ValueError(_SSL)
    if prefix in (*_UDP, "haproxy"):
        raise ValueError(f"haproxy: has connections to pass on, not {prefix}:")
    is_websocket, is_secure = prefix in (*_WS, *_WSS), prefix in (*_TLS, *_WSS)
    keys = _TCP_KEYS + (_WS_KEYS if is_websocket else ()) + (TLS_KEYS if is_secure else ())
    if prefix == "systemd":
        source: Source = _systemd_source(reactor, parsed)
    elif prefix in (*_TLS, *_TCP, *_WS, *_WSS):
        source = _source(reactor, parsed, keys)
    else:
        source = _twisted_source(reactor, parsed)
    websocket = None
    transport = "TLS" if is_secure else "TCP"
    if is_websocket:
        transport = prefix.upper()
        websocket = WebSocketRules(parsed.values.get("path", ""), parsed.listed("origins"))
    layers: list[Layer] = []
    if is_secure:
        protocol = HTTP_PROTOCOL if is_websocket else SIP_PROTOCOL
        layers.append(tls_layer(reactor, description, parsed, tls, timeout, protocol))
    return StreamEndpoint(reactor, description, transport, source, [*layers, *outer], websocket)


def _source(reactor: Any, parsed: Description, keys: tuple[str, ...]) -> Source:
    """A port of our own, or one that systemd has opened."""
    name = parsed.values.get("systemd")
    if name is None:
        return TcpSource(reactor, *parsed.where(keys))
    parsed.check_keys(keys)
    for key in ("port", "interface", "backlog"):
        if parsed.positional or key in parsed.values:
            raise ValueError("systemd= names a socket that has its port already: leave port, interface and backlog out")
    return InheritedSocket(reactor, name)


def _systemd_source(reactor: Any, parsed: Description) -> Source:
    """``systemd:index=0`` or ``systemd:name=sip``; Twisted wants ``domain=`` as well, which the socket tells itself."""
    parsed.check_keys(("domain", "index", "name"))
    given = [parsed.values[key] for key in ("index", "name") if key in parsed.values]
    if len(given) != 1 or parsed.positional:
        raise ValueError("systemd: wants index= or name=, and one of them only")
    return InheritedSocket(reactor, given[0])


def _twisted_source(reactor: Any, parsed: Description) -> Source:
    try:
        return cast("Source", serverFromString(reactor, parsed.text()))
    except Exception as error:
        # Twisted's parsers raise whatever their own code runs into: an unknown key is a TypeError, for one.
        raise ValueError(f"Twisted does not know what to make of it ({error}); the prefixes are {PREFIXES}") from error


def _proxied(
    reactor: Any, parsed: Description, timeout: Patience, most: int | Callable[[], int], log_bounds: LogBounds | None
) -> Layer:
    """The reading of PROXY headers."""
    listed = parsed.listed("proxies")
    try:
        proxies = Proxies() if listed is None else Proxies(listed)
    except ValueError as error:
        raise ValueError(f"proxies= takes IP addresses and networks, with commas between: {error}") from error

    def behind(factory: Any) -> Any:
        return ProxiedFactory(reactor, factory, proxies, timeout, most, log_bounds)

    return behind
