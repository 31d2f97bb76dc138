"""The outbound proxy: the first hop of everything that an endpoint sends (RFC 3261 sections 8.1.2 and 16.12).

The Request-URI stays what the user asked for; the proxy goes into a Route with ``lr``, and the connection to it is made
and verified by *its* name. How the connection is made is up to a Twisted client endpoint, so that it can lead through
anything that Twisted can lead through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation
from sip_p2p.transport.target import Target, Transport
from sip_p2p.transport.trust.identity import normalise_name

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

__all__ = ["ProxyConnector", "route_value"]

# The last of the three forms of a host is an IPv6 address without its brackets; nothing can be told of a port then.
_PROXY = re.compile(
    r"(?:(udp|tcp|tls|ws|wss):)?(\[[^\[\]]+\]|[^\[\]:]+|[^\[\]:]*:[^\[\]]*:[^\[\]]*)(?::([0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)


@final
class ProxyConnector:
    """An outbound proxy.

    :ivar target: where it is, and the name that its certificate must prove.
    :ivar endpoint: the Twisted client endpoint that makes the TCP connection; None leaves it to the name.
    """

    __slots__ = ("endpoint", "target")

    def __init__(self, target: Target, endpoint: IStreamClientEndpoint | None = None) -> None:
        self.target = target
        self.endpoint = endpoint

    @classmethod
    def parse(
        cls, text: str, tls_name: str | None = None, endpoint: IStreamClientEndpoint | None = None
    ) -> ProxyConnector:
        """A proxy from ``host``, ``host:port`` or ``transport:host:port``; TLS unless the text says otherwise.

        :param tls_name: what the proxy's certificate must prove; by default its host name (row A7).
        :raises ValueError: when the text is none of these.
        """
        form = _PROXY.fullmatch(text.strip())
        if form is None:
            raise ValueError(
                f"{text!r} is not a proxy: write host, host:port or transport:host:port, such as tls:proxy.example:5061"
            )
        kind, host, port = form.groups()
        transport = Transport.named(kind or "tls")
        try:
            target = Target(transport, normalise_name(host), None if port is None else int(port), tls_name)
        except ValueError as error:
            raise ValueError(f"{text!r} is not a proxy: {error}") from None
        if tls_name is not None:
            if not transport.is_secure:
                raise ValueError(f"{text!r}: a certificate name has no meaning for a proxy without TLS")
            try:
                normalise_name(tls_name)
            except ValueError as error:
                raise ValueError(f"the proxy's certificate cannot prove this name: {error}") from None
        return cls(target, endpoint)

    def first_hop(self, wanted: Transport) -> Target:
        """The target for a request that asks for *wanted*: TLS is never given up on the way to the proxy (RFC 5630, row
        A5).

        :raises InvalidOperation: when TLS is asked for and the proxy can only be had over UDP.
        """
        if not wanted.is_secure or self.target.transport.is_secure:
            return self.target
        if self.target.transport is Transport.UDP:
            raise InvalidOperation("the request needs TLS and the outbound proxy is configured for UDP")
        return self.target.over(self.target.transport.over_tls)

    @property
    def route(self) -> str:
        """The Route value that leads through it."""
        return route_value(self.target)


def route_value(target: Target, *, is_sips: bool = False) -> str:
    """``<sip:host:port;transport=x;lr>`` for a hop.

    :param is_sips: whether it stands beside a ``sips:`` Request-URI: then it is a ``sips:`` URI itself (RFC 5630
        section 5.1.1), and the hop one with TLS.
    """
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = f":{target.port}" if target.has_port else ""
    if is_sips:
        return f"<sips:{host}{port}{';transport=ws' if target.transport is Transport.WSS else ''};lr>"
    return f"<sip:{host}{port};transport={target.transport.value.lower()};lr>"
