"""Where a request goes: route sets, loose and strict routing, as a user agent does it (RFC 3261 section 12).

Values in, values out. What a proxy does with a Route (section 16) is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.name_addr import NameAddr
from sip_p2p.sip.uri import OpaqueUri, SipUri, TelUri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["RoutedRequest", "route_request", "route_set_of_callee", "route_set_of_caller"]


@final
class RoutedRequest:
    """How a request is addressed.

    :ivar request_uri: what stands in the request line.
    :ivar route: the Route values, topmost first.
    :ivar next_hop: the URI that names the element to send to (RFC 3263 resolves it).
    """

    __slots__ = ("next_hop", "request_uri", "route")

    def __init__(
        self,
        request_uri: SipUri | TelUri | OpaqueUri,
        route: list[NameAddr],
        next_hop: SipUri | TelUri | OpaqueUri,
    ) -> None:
        self.request_uri = request_uri
        self.route = route
        self.next_hop = next_hop


def route_request(route_set: Sequence[NameAddr], target: SipUri | TelUri | OpaqueUri) -> RoutedRequest:
    """Address a request for *target* through *route_set* (sections 8.1.2 and 12.2.1.1).

    :raises MalformedMessage: when the first URI of the route set is none (400).
    """
    address = target.as_request_uri() if isinstance(target, SipUri) else target
    if not route_set:
        return RoutedRequest(address, [], address)
    first = route_set[0].uri
    # 12.2.1.1: a first hop that routes loosely leaves the Request-URI alone.
    if not isinstance(first, SipUri) or first.lr:
        return RoutedRequest(address, list(route_set), first)
    # 12.2.1.1: a strict router expects itself in the Request-URI; the target waits at the end of Route.
    return RoutedRequest(first.as_request_uri(), [*route_set[1:], NameAddr(address)], first.as_request_uri())


def route_set_of_caller(record_route: Iterable[NameAddr]) -> list[NameAddr]:
    """The route set of the UAC: the Record-Route values of the response, last first (section 12.1.2)."""
    return list(record_route)[::-1]


def route_set_of_callee(record_route: Iterable[NameAddr]) -> list[NameAddr]:
    """The route set of the UAS: the Record-Route values of the request, in order (section 12.1.1)."""
    return list(record_route)
