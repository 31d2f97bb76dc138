"""The party that can register: UCMA's ``SipEndpoint``, the sibling of ``SipPeerToPeerEndpoint``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from sip_p2p.endpoint.endpoint import RealTimeEndpoint
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.registration.arguments import (
    check_register_arguments,
    outbound_proxies,
    register_order,
    registrar_uri,
)
from sip_p2p.endpoint.registration.registration import Registration
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated, InvalidOperation
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.target import target_of

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.registration.arguments import RegisterArguments
    from sip_p2p.endpoint.registration.service_route import ServiceRoute
    from sip_p2p.endpoint.registration.states import RegistrationStateChanged
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.proxy import ProxyConnector
    from sip_p2p.transport.target import Target

__all__ = ["SipEndpoint"]

_SUPPORTED = ("gruu", "outbound", "path")


class SipEndpoint(RealTimeEndpoint):
    """A party of a domain that has a server: it registers there, and is reached through it.

    It can do everything that a :class:`~sip_p2p.endpoint.endpoint.SipPeerToPeerEndpoint` can, with the same arguments,
    and works as one until :meth:`register` is called. With the certificate of the server's domain proved, no listener
    is needed: what is for the party comes by the connection that it has opened.

    :ivar registration_changed: told each time that its registration stands in another way.
    """

    def __init__(
        self,
        owner_uri: str | SipUri | RealTimeAddress,
        connection_manager: RealTimeConnectionManager,
        **arguments: Any,
    ) -> None:
        """
        :param arguments: those of :class:`~sip_p2p.endpoint.endpoint.SipPeerToPeerEndpoint`.
        """
        bounds = connection_manager.driver.log_bounds
        self.registration_changed: Event[RegistrationStateChanged] = Event(log_bounds=bounds)
        self._registration: Registration | None = None
        super().__init__(owner_uri, connection_manager, **arguments)
        self._own_proxy = self._composition.proxy
        self._own_gruu = self._contact.routable
        self._own_trusted = self.profile.trusted_proxies
        self.profile.supported.update(_SUPPORTED)
        # RFC 5626 section 4.3, RFC 5627 section 4.4, RFC 3327 section 5.1: in all requests.
        self._composition.supported = ", ".join(_SUPPORTED)

    @property
    def registration(self) -> Registration | None:
        """Its registration; None before :meth:`register`, and when that is over."""
        return self._registration

    def register(
        self,
        registrar: str | SipUri | RealTimeAddress | None = None,
        *,
        expires: int = 3600,
        **arguments: Unpack[RegisterArguments],
    ) -> Deferred[Registration]:
        """Tell the registrar where we are, and go on telling: ``registration = await endpoint.register()``.

        The binding is refreshed before it runs out, made anew when its connection is lost, and removed when the
        endpoint, or the registration, is ended.

        :param registrar: its domain; by default that of the owner URI. Its name is what has to be proved there, unless
            a proxy is between.
        :param expires: for how many seconds a binding is wanted, 1 to 2**32 - 1; the registrar may decide otherwise.
        :param arguments: see :class:`~sip_p2p.endpoint.registration.arguments.RegisterArguments`.
        :returns: fires when the first binding stands. Fails with :class:`~sip_p2p.errors.RequestFailed`,
            :class:`~sip_p2p.errors.OperationTimeout`, :class:`~sip_p2p.errors.ConnectionFailure` or
            :class:`~sip_p2p.errors.EndpointTerminated`; unless ``keep_trying`` is said, nothing is tried after that.
            Cancelling it gives the registration up.
        :raises ValueError: for what is no address, no time or no proxy.
        :raises TypeError: for an argument that there is not.
        :raises RestrictedHeader: for a header field that the stack sets.
        :raises InvalidOperation: when this endpoint does not send, or is registered already.
        :raises EndpointTerminated: when it was terminated.
        """
        check_thread()
        if not self._outbound:
            raise InvalidOperation("this endpoint only receives: it was made with outbound=False")
        if self._terminated is not None or self.connection_manager.is_terminated:
            raise EndpointTerminated("the endpoint was terminated")
        if self._registration is not None:
            raise InvalidOperation("this endpoint has a registration: unregister() ends it")
        check_register_arguments(arguments)
        uri = registrar_uri(registrar, self._owner)
        hops = self._hops(uri, arguments)
        tokens = self.connection_manager.tokens
        plan = self._composition.plan(
            "REGISTER", uri, b"", None, arguments.get("headers", ()), None, tokens, unsafe_headers=False
        )
        order = register_order(uri, self._owner, plan.from_, plan.fields, expires, arguments)
        named = arguments.get("family")
        family = self.family if named is None else AddressFamilyHint.named(named)
        registration = Registration(self, uri, order, hops, family, arguments.get("gruu", "public"))
        self._registration = registration
        # RFC 3261 section 16: who serves the domain passes on what others send to us.
        self.profile.trusted_proxies = self._own_trusted | {target.name for target, _ in hops}
        return registration.start()

    def _hops(self, uri: SipUri, arguments: RegisterArguments) -> list[tuple[Target, ProxyConnector | None]]:
        """Where each binding goes first, and the proxy that is there.

        :raises ValueError: where one leads nowhere.
        """
        wanted = target_of(uri, self.default_transport)
        proxies = outbound_proxies(arguments["proxies"]) if "proxies" in arguments else []
        if not proxies and self._own_proxy is not None:
            proxies = [self._own_proxy]
        if not proxies:
            return [(wanted, None)]
        return [
            (each.first_hop(wanted.transport if uri.is_secure else each.target.transport), each) for each in proxies
        ]

    def binding_value(self, flow: LiveFlow, reg_id: int | None) -> str:
        """The Contact of a REGISTER on *flow*.

        :param reg_id: the number of the flow; None for none.
        """
        return self._contact.binding_on(flow, reg_id, for_sips=self._owner.is_secure)

    # -- what its registration says ------------------------------------------------------------------------------------

    @property
    def service_route(self) -> ServiceRoute | None:
        """By which proxies its requests go beside its own, as the registrar wants it (RFC 3608)."""
        return self._composition.service_route

    def registration_took_effect(
        self,
        service_route: ServiceRoute | None,
        gruu: SipUri | None,
        unnamed: SipUri | None,
        proxy: ProxyConnector | None,
    ) -> None:
        """What the registrar has granted holds from now on; called by the registration.

        :param unnamed: the GRUU for messages that name nobody.
        :param proxy: that of the preferred flow; None where no flow serves, or none of them leads through one.
        """
        self._composition.service_route = service_route
        self._composition.proxy = self._own_proxy if proxy is None else proxy
        self._contact.routable = self._own_gruu if self._own_gruu is not None or gruu is None else gruu
        self._contact.unnamed = unnamed

    def registration_over(self, registration: Registration) -> None:
        """There is no registration any more; called by it."""
        self.registration_took_effect(None, None, None, None)
        self.profile.trusted_proxies = self._own_trusted
        self._registration = None
