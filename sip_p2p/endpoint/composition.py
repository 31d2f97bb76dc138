"""From the arguments of a call to the request that goes out and the place that it goes to first (RFC 3261 sections
8.1.1 and 8.1.2).

No look-up is made here, and nothing is sent.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.party_options import name_addr
from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.abnf import octets_of
from sip_p2p.sip.compose import RequestPlan, application_fields
from sip_p2p.sip.dates import format_date
from sip_p2p.sip.privacy import ANONYMOUS, TELLING_FIELDS, hides_user, privacy_fields
from sip_p2p.transport.proxy import route_value
from sip_p2p.transport.target import Target, Transport, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.registration.service_route import ServiceRoute
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.proxy import ProxyConnector

__all__ = ["PLAIN_TEXT", "Composition", "expiry_fields"]

PLAIN_TEXT = "text/plain; charset=UTF-8"
"""The type of a text that comes without one."""


def expiry_fields(expires: float, now: float) -> list[tuple[str, str]]:
    """Expires, and the Date that it counts from (RFC 3428 sections 4 and 7).

    :param expires: in seconds; a part of one counts as a whole one.
    :param now: seconds since 1970.
    :raises ValueError: when it is not between 0 and 2**32 - 1.
    """
    if not 0 <= expires < 2**32:
        raise ValueError(f"a message that expires in {expires} s")
    return [("Expires", str(ceil(expires))), ("Date", format_date(now))]


@final
class Composition:
    """What all requests of one party have in common.

    :ivar owner: its address of record.
    :ivar transport: what a request goes over when neither its URI nor ``sips:`` says.
    :ivar proxy: the outbound proxy, or None.
    :ivar service_route: by which proxies a registrar wants requests to go, or None (RFC 3608).
    :ivar supported: the Supported of its requests, where nothing else says what that is; empty for none.
    :ivar user_agent: the User-Agent; empty for none.
    """

    __slots__ = (
        "_default_fields",
        "_from",
        "_may_impersonate",
        "owner",
        "proxy",
        "service_route",
        "supported",
        "transport",
        "user_agent",
    )

    def __init__(
        self,
        owner: SipUri,
        display_name: str,
        transport: Transport,
        proxy: ProxyConnector | None,
        default_headers: Iterable[tuple[str, str]],
        user_agent: str,
        may_impersonate: Callable[[SipUri], bool] | None,
    ) -> None:
        """
        :raises RestrictedHeader: for a default header field that the stack sets.
        :raises ValueError: for one that is none.
        """
        self.owner = owner
        self.transport = transport
        self.proxy = proxy
        self.service_route: ServiceRoute | None = None
        self.supported = ""
        self.user_agent = user_agent
        self._from = name_addr(display_name, str(owner))
        self._default_fields = application_fields(default_headers)
        self._may_impersonate = may_impersonate

    def plan(
        self,
        method: str,
        uri: SipUri,
        body: str | bytes,
        content_type: str | None,
        headers: Iterable[tuple[str, str]],
        from_: str | SipUri | None,
        tokens: TokenSource,
        *,
        unsafe_headers: bool,
        privacy: str | Iterable[str] | None = None,
    ) -> RequestPlan:
        """The plan of a request to *uri*; the arguments are those of
        :meth:`~sip_p2p.endpoint.endpoint.RealTimeEndpoint.request`."""
        wishes = [privacy] if isinstance(privacy, str) else list(privacy or ())
        if from_ == ANONYMOUS:
            # What belongs to a session in which we have no name.
            wishes, from_ = [*wishes, "user"], None
        asked = privacy_fields(wishes)
        is_unnamed = hides_user(wishes)
        if is_unnamed and from_ is not None:
            raise ValueError("who wants to remain unnamed has no From of its own")
        value = ANONYMOUS if is_unnamed else self._from_value(from_)
        plan = RequestPlan(method, str(uri.as_request_uri()), value, tokens.tag(), tokens.call_id())
        plan.body = octets_of(body)
        plan.content_type = PLAIN_TEXT if content_type is None and isinstance(body, str) and body else content_type
        plan.fields = self._fields(headers, restricted=not unsafe_headers, tells=not is_unnamed) + asked
        if self.supported and method != "REGISTER":
            named = {name.lower() for name, _ in plan.fields}
            if named.isdisjoint(("supported", "k")):
                plan.fields.append(("Supported", self.supported))
        return plan

    def _from_value(self, from_: str | SipUri | None) -> str:
        if from_ is None:
            return self._from
        uri = to_sip_uri(from_)
        if uri != self.owner and (self._may_impersonate is None or not self._may_impersonate(uri)):
            raise InvalidOperation(f"this endpoint may not send as {uri}: may_impersonate does not allow it")
        return f"<{uri}>"

    def _fields(self, headers: Iterable[tuple[str, str]], *, restricted: bool, tells: bool) -> list[tuple[str, str]]:
        """
        :param tells: whether those may stand there that tell of the user (RFC 3323 section 5.3); what a call is given
            of them is its own affair.
        """
        own = application_fields(headers, restricted=restricted)
        named = {name.lower() for name, _ in own}
        fields = [(name, value) for name, value in self._default_fields if name.lower() not in named]
        if self.user_agent and "user-agent" not in named:
            fields.append(("User-Agent", self.user_agent))
        if not tells:
            fields = [(name, value) for name, value in fields if name.lower() not in TELLING_FIELDS]
        return fields + own

    def first_hop(
        self, uri: SipUri, via: Target | None, plan: RequestPlan | None
    ) -> tuple[Target, IStreamClientEndpoint | None]:
        """Where the request goes first (rows A5, A6, E22, E26): *via*, the proxy, or where the URI leads.

        :param plan: the request, which gets a Route to the proxy; None where there is none to be sent.
        :raises ValueError: where TLS is needed on every hop, and *via* has none.
        :raises TypeError: when *via* is no target.
        """
        wanted = target_of(uri, self.transport)
        if via is not None:
            if not isinstance(via, Target):
                raise TypeError(f"via is a Target, not {type(via).__name__}")
            if wanted.transport.is_secure and uri.is_secure and not via.transport.is_secure:
                raise ValueError(f"{uri} needs TLS on every hop, and {via!r} has none (RFC 5630)")
            return via, None
        proxy = self.proxy
        # RFC 3608 section 6.1: it is for whatever is asked of the domain, and not for REGISTER.
        route = None if plan is not None and plan.method == "REGISTER" else self.service_route
        if route is not None and uri.is_secure:
            route = route.to_sips()
        asks_for_tls = uri.is_secure or (uri.transport or "").lower() in ("tls", "wss")
        if proxy is None:
            if route is None:
                return wanted, None
            if plan is not None:
                plan.routes = list(route.values)
            return route.first_hop(self.transport, asks_for_tls), None
        hop = proxy.first_hop(Transport.TLS if asks_for_tls else proxy.target.transport)
        if plan is not None:
            plan.routes = [route_value(hop, is_sips=uri.is_secure), *(() if route is None else route.after(hop))]
        return hop, proxy.endpoint
