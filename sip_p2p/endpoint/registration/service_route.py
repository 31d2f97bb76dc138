"""The proxies that a registrar wants our requests to go by (RFC 3608 section 6.1, RFC 5630 section 5.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from sip_p2p.sip.fields import parse_name_addr
from sip_p2p.sip.name_addr import NameAddr
from sip_p2p.transport.target import Transport, target_of

if TYPE_CHECKING:
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.target import Target

__all__ = ["ServiceRoute"]


@final
class ServiceRoute:
    """A Service-Route that counts for the requests of one party.

    :ivar values: the Route values, topmost first; one at least.
    :ivar is_secure: whether it was said over TLS: then the way to it has TLS as well.
    """

    __slots__ = ("_first", "is_secure", "values")

    def __init__(self, values: tuple[str, ...], is_secure: bool) -> None:
        """
        :param values: as :attr:`~sip_p2p.sip.registration.granted.Granted.service_route` has them.
        """
        self.values = values
        self.is_secure = is_secure
        self._first = cast("SipUri", parse_name_addr(values[0], "Service-Route").uri)

    def first_hop(self, default: Transport, asks_for_tls: bool) -> Target:
        """Where a request goes first that goes through no other proxy before.

        :param default: the transport where the route names none.
        :param asks_for_tls: whether the request wants TLS on every hop.
        :raises ValueError: when the route names a transport that there is not.
        """
        target = target_of(self._first, default)
        if (self.is_secure or asks_for_tls) and not target.transport.is_secure:
            return target.over(target.transport.over_tls)
        return target

    def after(self, hop: Target) -> tuple[str, ...]:
        """The values that follow the Route to *hop*, the outbound proxy: all, unless the first is that proxy itself."""
        first = self._first
        host = first.host.strip("[]").lower()
        is_hop = host in (hop.host, hop.name) and first.port in (None, hop.port)
        return self.values[1:] if is_hop else self.values

    def to_sips(self) -> ServiceRoute:
        """The same route for a request to a ``sips:`` URI, beside which no ``sip:`` one may stand."""
        return ServiceRoute(
            tuple(_sips(parse_name_addr(value, "Service-Route")) for value in self.values), self.is_secure
        )

    def __repr__(self) -> str:
        return f"<ServiceRoute {', '.join(self.values)}>"


def _sips(hop: NameAddr) -> str:
    """*hop* as a ``sips:`` URI; UDP, which carries no TLS, stands there no more."""
    uri = cast("SipUri", hop.uri)
    params = {name: value for name, value in uri.params.items() if name != "transport" or uri.transport != "udp"}
    return str(NameAddr(uri.replace(scheme="sips", params=params), hop.display_name, hop.params))
