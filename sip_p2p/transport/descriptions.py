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
crl              files or folders with lists of revoked certificates, PEM or DER, with commas between them
revocation       ``soft`` or ``hard``: whether peers are refused of whom no list says anything; ``off`` does not look
staple           file with the authority's OCSP response on our certificate, DER
sni              files or folders with certificates and keys for callers that ask for a name that one of them proves
===============  ====================================================================================================

What a description leaves out comes from the :class:`~sip_p2p.transport.tls.TlsSettings` of the connection manager, and
follows them when they change. Without such settings (as a plugin) ``certKey`` and ``trustRoots`` must be given,
``mutual`` is yes, and everybody may connect whom ``trustRoots`` vouches for, unless ``allow`` says otherwise.

A colon, an equals sign or a backslash within a value is written with a backslash before it. Left out: WebSocket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString

from sip_p2p.transport.description_text import PREFIXES, Description
from sip_p2p.transport.listening import DatagramEndpoint, ListeningEndpoint, StreamEndpoint
from sip_p2p.transport.tls_listening import tls_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IStreamServerEndpoint

    from sip_p2p.transport.tls import TlsSettings

__all__ = ["ListeningEndpoint", "listening_endpoint", "plugin_endpoint"]

_TCP_KEYS = ("port", "interface", "backlog")
_UDP_KEYS = ("port", "interface")
_TLS, _TCP, _UDP = ("tls", "sips"), ("tcp", "sip"), ("udp",)
_REFUSED = {
    "ws": f"WebSocket is not there yet; the prefixes are {PREFIXES}",
    "wss": f"WebSocket is not there yet; the prefixes are {PREFIXES}",
    "ssl": "Twisted's ssl: cannot ask for the peer's certificate; use tls:",
}


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
        parsed = Description.parse(description)
        refusal = _REFUSED.get(parsed.prefix) or _refusal_within(parsed)
        if refusal:
            raise ValueError(refusal)
        if parsed.prefix in _UDP:
            return _udp_endpoint(reactor, description, parsed)
        if parsed.prefix in _TLS:
            return tls_endpoint(reactor, description, parsed, tls, handshake_timeout)
        return _stream_endpoint(reactor, description, parsed)
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
        if prefix in _TLS:
            return tls_endpoint(reactor, prefix, parsed, None, 5.0)
        port, interface, backlog = parsed.where(_TCP_KEYS)
        return TCP4ServerEndpoint(reactor, port, backlog, interface)
    except ValueError as error:
        raise ValueError(f"cannot listen on this {prefix!r} description: {error}") from error


def _refusal_within(parsed: Description) -> str:
    """Why a description that wraps another one is refused: Twisted would read the inner ``tls:`` as its own."""
    if parsed.prefix == "haproxy" and parsed.positional and parsed.positional[0].lower() in ("tls", "ssl", "sips"):
        return (
            f"haproxy: can wrap clear text only, not {parsed.positional[0]}:; let the proxy pass TLS through, to tls:"
        )
    return ""


def _udp_endpoint(reactor: Any, description: str, parsed: Description) -> ListeningEndpoint:
    port, interface, _ = parsed.where(_UDP_KEYS)
    return DatagramEndpoint(reactor, description, port, interface)


def _stream_endpoint(reactor: Any, description: str, parsed: Description) -> ListeningEndpoint:
    if parsed.prefix in _TCP:
        port, interface, backlog = parsed.where(_TCP_KEYS)
        return StreamEndpoint(reactor, description, TCP4ServerEndpoint(reactor, port, backlog, interface))
    try:
        endpoint = serverFromString(reactor, description)
    except Exception as error:
        # Twisted's parsers raise whatever their own code runs into: an unknown key is a TypeError, for one.
        raise ValueError(f"Twisted does not know what to make of it ({error}); the prefixes are {PREFIXES}") from error
    return StreamEndpoint(reactor, description, endpoint)
