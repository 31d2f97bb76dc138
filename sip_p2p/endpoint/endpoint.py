"""The party: UCMA's ``RealTimeEndpoint`` and ``SipPeerToPeerEndpoint`` (groups A, B, F and G of the acceptance rows).

An endpoint is cheap: many can share one connection manager (row A17). It sends through its outbound proxy or straight
to whom a URI names, and is sent to by peers that the manager has verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from sip_p2p.endpoint.address import RealTimeAddress, to_sip_uri
from sip_p2p.endpoint.composition import PLAIN_TEXT, Composition
from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager, check_thread
from sip_p2p.endpoint.contact import ContactAddress
from sip_p2p.endpoint.events import EndpointState, Event, StateChanged, StateReason
from sip_p2p.endpoint.outgoing import Outgoing
from sip_p2p.endpoint.party_options import (
    compose_user_agent,
    parse_option_tags,
    parse_owner,
    parse_proxy,
    parse_transport,
)
from sip_p2p.errors import EndpointTerminated, InvalidOperation
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.headers import check_value
from sip_p2p.sip.profile import Profile
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.target import Transport

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.incoming import IncomingRequest, RequestHandler
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri, TelUri
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.proxy import ProxyConnector
    from sip_p2p.transport.target import Target

__all__ = ["RealTimeEndpoint", "SipPeerToPeerEndpoint"]

_SESSION_METHODS = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"))
_RETRY_CAP = 30.0

H = TypeVar("H", bound=Callable[..., Any])


class RealTimeEndpoint:
    """What every kind of endpoint can do; make a :class:`SipPeerToPeerEndpoint`.

    :ivar connection_manager: through which it is reached and reaches others.
    :ivar family: which addresses its requests use, unless one says otherwise (row E23).
    :ivar profile: what the core knows of it: its methods and extensions.
    :ivar application_context: for the application's own use (row A15).
    :ivar state_changed: told when peers can connect, or cannot any more (row B2).
    :ivar message_received: told of each MESSAGE; its handlers answer it (rows B6 to B9).
    """

    def __init__(
        self,
        owner_uri: str | SipUri | RealTimeAddress,
        connection_manager: RealTimeConnectionManager,
        *,
        default_transport: Transport | str | None = None,
        family: AddressFamilyHint | str | None = None,
        proxy: str | ProxyConnector | IStreamClientEndpoint | None = None,
        proxy_tls_name: str | None = None,
        display_name: str | None = None,
        default_headers: Iterable[tuple[str, str]] = (),
        user_agent: str | None = None,
        outbound: bool = True,
        catch_all: bool = True,
        instance_id: str | None = None,
        gruu: str | None = None,
        application_context: object = None,
        may_impersonate: Callable[[SipUri], bool] | None = None,
        supported: Iterable[str] = (),
        message_received: RequestHandler | None = None,
        handlers: Mapping[str, RequestHandler] | None = None,
    ) -> None:
        self.connection_manager = connection_manager
        self._owner = parse_owner(owner_uri)
        self.family = connection_manager.family if family is None else AddressFamilyHint.named(family)
        self.application_context = application_context
        transport = parse_transport(default_transport, connection_manager.default_prefix)
        connector = parse_proxy(proxy, proxy_tls_name, transport)
        self._outbound = outbound
        if not outbound and connector is not None:
            raise ValueError("an endpoint that does not send has no use for an outbound proxy")
        self._display_name = "" if display_name is None else check_value("the display name", display_name)
        self._composition = Composition(
            self._owner,
            self._display_name,
            transport,
            connector,
            default_headers,
            compose_user_agent(user_agent),
            may_impersonate,
        )
        self._contact = ContactAddress(self._owner, connection_manager, instance_id, gruu)
        self._state = EndpointState.DISCONNECTED
        self._terminated: Deferred[None] | None = None
        self._connected_waiters: list[Deferred[None]] = []
        self._outgoing: dict[Outgoing, None] = {}
        self._handlers: dict[str, RequestHandler] = {}
        self._log = Logger("sip_p2p.endpoint")
        bounds = connection_manager.driver.log_bounds
        self.state_changed: Event[StateChanged] = Event(log_bounds=bounds)
        self.message_received: Event[IncomingRequest] = Event(self._message_handlers_changed, log_bounds=bounds)
        self.profile = Profile(self, supported=parse_option_tags(supported))
        if connector is not None:
            self.profile.trusted_proxies = frozenset((connector.target.name,))
        if message_received is not None:
            self.message_received.subscribe(message_received)
        for method, handler in (handlers or {}).items():
            self.handle(method, handler)
        # From here on it can be found: nothing that can be wrong about the arguments comes later.
        connection_manager.register(self)
        directory = connection_manager.core.directory
        try:
            directory.add(self.profile, self._owner, self._contact.user, self._contact.routable)
        except ValueError:
            connection_manager.unregister(self)
            raise
        if catch_all and directory.fallback is None:
            directory.fallback = self.profile
        if connection_manager.is_listening:
            self.listening_changed(True, False, StateReason.LISTENING)

    @property
    def owner_uri(self) -> SipUri:
        """The address of record (row A12)."""
        return self._owner

    aor = owner_uri

    @property
    def display_name(self) -> str:
        """The name in our From; empty for none (row A13)."""
        return self._display_name

    @property
    def instance_id(self) -> str:
        """``urn:uuid:...``, the same over restarts when it was given (row A9, RFC 5626 section 4.1)."""
        return self._contact.instance_id

    @property
    def gruu(self) -> str | None:
        """The GRUU that was given, if any (row A10)."""
        routable = self._contact.routable
        return None if routable is None else str(routable)

    @property
    def default_transport(self) -> Transport:
        """What a request goes over when neither its URI nor ``sips:`` says (row A4)."""
        return self._composition.transport

    @property
    def proxy(self) -> ProxyConnector | None:
        """The outbound proxy."""
        return self._composition.proxy

    @property
    def user_agent(self) -> str:
        """The User-Agent that our requests carry; empty for none (row A14)."""
        return self._composition.user_agent

    @property
    def supported_extensions(self) -> set[str]:
        """The option tags that a peer may require; add to it what the application understands (row G10)."""
        return self.profile.supported

    @property
    def contact_uri(self) -> SipUri:
        """Where peers can reach exactly this endpoint (rows A11, G2): opaque user part, real host and port.

        While nothing listens it names the host alone; the Contact of a request then follows the flow that carries it.
        """
        return self._contact.uri(self._composition.transport)

    def contact_value(self, flow: LiveFlow, *, for_sips: bool = False) -> str:
        """The Contact for a message on *flow*: reachable over it, also when nothing listens (row C11).

        :param for_sips: whether the message is a request to a ``sips:`` URI, which wants one back (RFC 3261 section
            8.1.1.8).
        """
        return self._contact.value_on(flow, for_sips=for_sips)

    @property
    def contact(self) -> str:
        """:attr:`contact_uri` as a Contact value."""
        return self._contact.value(self.contact_uri)

    @property
    def state(self) -> EndpointState:
        """Whether peers can connect; one that only sends works while ``DISCONNECTED`` (row B4)."""
        return self._state

    def when_connected(self) -> Deferred[None]:
        """Fires as soon as peers can connect; fails with :class:`~sip_p2p.errors.EndpointTerminated` if they never
        will."""
        if self._terminated is not None:
            return fail(EndpointTerminated("the endpoint was terminated"))
        if self._state is EndpointState.CONNECTED:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._connected_waiters.append(waiting)
        return waiting

    def listening_changed(self, is_listening: bool, is_starting: bool, reason: StateReason) -> None:
        """The manager's listeners changed; called by the manager."""
        if self._terminated is not None:
            return
        if is_listening:
            self._become(EndpointState.CONNECTED, StateReason.LISTENING)
        elif is_starting:
            self._become(EndpointState.CONNECTING, reason)
        elif self._state is EndpointState.CONNECTED:
            self._become(EndpointState.DISCONNECTING, reason)
            self._become(EndpointState.DISCONNECTED, StateReason.NO_LISTENING_ADDRESSES)
        else:
            self._become(EndpointState.DISCONNECTED, reason)

    def _become(self, state: EndpointState, reason: StateReason) -> None:
        previous = self._state
        if previous is state:
            return
        self._state = state
        self.state_changed.tell(StateChanged(previous, state, reason))
        if state is EndpointState.CONNECTED:
            waiters, self._connected_waiters = self._connected_waiters, []
            for waiting in waiters:
                waiting.callback(None)

    @overload
    def handle(
        self, method: str, handler: RequestHandler, *, accept: Iterable[str] | None = None
    ) -> RequestHandler: ...

    @overload
    def handle(self, method: str, handler: None = None, *, accept: Iterable[str] | None = None) -> Callable[[H], H]: ...

    def handle(self, method: str, handler: RequestHandler | None = None, *, accept: Iterable[str] | None = None) -> Any:
        """Let *handler* answer every request with *method* (rows B12, F7); also a decorator. The last one given counts.

        :param method: any token; ``MESSAGE`` here takes precedence over :attr:`message_received`.
        :param accept: the media types that its bodies may have; others are answered 415 (row G11). None means any.
        :raises ValueError: when *method* is no token, or can have no answer outside of a session.
        """
        if TOKEN.fullmatch(method) is None:
            raise ValueError(f"{method!r} is not a method: it must be a token of RFC 3261 section 25.1")
        if method in ("ACK", "CANCEL"):
            raise ValueError(f"{method} is the stack's own business: it gets no answer from an application")
        if handler is None:

            def decorate(function: H) -> H:
                self.handle(method, function, accept=accept)
                return function

            return decorate
        if not callable(handler):
            raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
        self._handlers[method] = handler
        self.profile.allow(method, None if accept is None else tuple(accept))
        return handler

    def stop_handling(self, method: str) -> None:
        """Answer *method* with 405 again."""
        self._handlers.pop(method, None)
        if method != "MESSAGE" or not self.message_received:
            self.profile.disallow(method)

    def _message_handlers_changed(self) -> None:
        if self.message_received:
            self.profile.allow("MESSAGE")
        elif "MESSAGE" not in self._handlers:
            self.profile.disallow("MESSAGE")

    def request_received(self, incoming: IncomingRequest) -> None:
        """Give a request to its handlers; called by the manager."""
        handler = self._handlers.get(incoming.method)
        incoming.run(self.message_received.handlers if handler is None else (handler,))

    def send_message(
        self,
        target: str | SipUri | TelUri | RealTimeAddress,
        body: str | bytes,
        content_type: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        from_: str | SipUri | None = None,
        timeout: float | None = None,
        via: Target | None = None,
        family: AddressFamilyHint | str | None = None,
        retry_after: str = "once",
    ) -> Deferred[Response]:
        """Send a MESSAGE (RFC 3428, rows F1 to F5); the other arguments, *timeout* in seconds among them, are those of
        :meth:`request`.

        :param content_type: by default ``text/plain; charset=UTF-8`` for text; octets must say what they are.
        """
        if content_type is None and isinstance(body, str):
            content_type = PLAIN_TEXT
        return self.request(
            "MESSAGE",
            target,
            body=body,
            content_type=content_type,
            headers=headers,
            from_=from_,
            timeout=timeout,
            via=via,
            family=family,
            retry_after=retry_after,
        )

    def request(
        self,
        method: str,
        target: str | SipUri | TelUri | RealTimeAddress,
        *,
        body: str | bytes = b"",
        content_type: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        from_: str | SipUri | None = None,
        timeout: float | None = None,
        via: Target | None = None,
        family: AddressFamilyHint | str | None = None,
        retry_after: str = "once",
        unsafe_headers: bool = False,
        max_forwards: int = 70,
    ) -> Deferred[Response]:
        """Send a request of any method outside of a session, and wait for its final response (rows F1 to F9).

        :param target: the Request-URI, and the name that must be proved there.
        :param body: text goes out as UTF-8.
        :param headers: further header fields.
        :param from_: another From than the owner's, if ``may_impersonate`` allows it (row A16).
        :param timeout: how long all of it may take, in seconds; by default as long as the transaction (32 s) and its
            dialling.
        :param via: send it there instead of where *target* leads; its ``name`` is what must be proved (row E22).
        :param family: which addresses may be used, and which come first; by default the endpoint's (row E23).
        :param retry_after: ``once`` repeats the request after the Retry-After of a failure, up to 30 s; ``never`` does
            not.
        :param unsafe_headers: let *headers* name fields of the stack, for tools that test other stacks.
        :param max_forwards: how many hops it may take, 0 to 255; who passes a request on gives one less than it came
            with, and answers 483 where it came with 0 (row G8, RFC 7332).
        :returns: the final response below 300. Fails with :class:`~sip_p2p.errors.RequestFailed`,
            :class:`~sip_p2p.errors.OperationTimeout`, :class:`~sip_p2p.errors.ConnectionFailure` or
            :class:`~sip_p2p.errors.TlsFailure`, :class:`~sip_p2p.errors.EndpointTerminated`. It can be cancelled.
        :raises ValueError: for anything that cannot stand in a request.
        :raises RestrictedHeader: for a header field that the stack sets.
        :raises InvalidOperation: when this endpoint does not send, or *method* belongs to a session.
        """
        check_thread()
        if not self._outbound:
            raise InvalidOperation("this endpoint only receives: it was made with outbound=False")
        if method in _SESSION_METHODS:
            raise InvalidOperation(f"{method} belongs to a session and cannot be sent by itself")
        if retry_after not in ("once", "never"):
            raise ValueError(f"retry_after is 'once' or 'never', not {retry_after!r}")
        # Written so that a NaN, which is neither more nor less than anything, is refused as well.
        if timeout is not None and not timeout > 0:
            raise ValueError(f"a timeout of {timeout} s leaves no time")
        if not 0 <= max_forwards <= 255:
            raise ValueError(f"a request takes between 0 and 255 hops, not {max_forwards}")
        uri = to_sip_uri(target, self._owner.host)
        composition, tokens = self._composition, self.connection_manager.tokens
        plan = composition.plan(method, uri, body, content_type, headers, from_, tokens, unsafe_headers=unsafe_headers)
        plan.max_forwards = str(max_forwards)
        hop, through = composition.first_hop(uri, via, plan)
        plan.prepare()
        if self._terminated is not None or self.connection_manager.is_terminated:
            return fail(EndpointTerminated("the endpoint was terminated"))
        hint = self.family if family is None else AddressFamilyHint.named(family)
        outgoing = Outgoing(self, plan, hop, through, timeout, _RETRY_CAP if retry_after == "once" else 0.0, hint)
        self._outgoing[outgoing] = None
        outgoing.start()
        return outgoing.done

    def explain(self, target: str | SipUri | TelUri | RealTimeAddress) -> Deferred[list[str]]:
        """Where a request to *target* would go and why, a sentence a line (row E25); nothing is sent.

        :raises ValueError: for what is no target.
        """
        check_thread()
        uri = to_sip_uri(target, self._owner.host)
        hop, through = self._composition.first_hop(uri, None, None)
        manager = self.connection_manager
        said = [f"requests to {uri} go first to {hop!r}"]
        if self.proxy is not None:
            said.append("that is the outbound proxy, and it is the proxy's name that must be proved")
        flow = None if hop.transport is Transport.UDP else manager.pool.find(hop, through)
        if flow is not None:
            said.append(f"a connection is open and would be used without any look-up: {flow!r}")
        if through is not None:
            return succeed([*said, "a client endpoint of the application's own makes the connection"])
        explain = getattr(manager.resolver, "explain", None)
        if explain is None:
            return succeed([*said, f"{type(manager.resolver).__name__} does not say why"])
        found: Deferred[list[str]] = explain(hop)
        return found.addCallback(lambda reasons: said + reasons)

    def outgoing_ended(self, outgoing: Outgoing) -> None:
        """A request has its outcome; called by the request itself."""
        self._outgoing.pop(outgoing, None)
        self.connection_manager.drain_state.maybe_quiet()

    @property
    def requests_under_way(self) -> int:
        """How many of its requests have no outcome yet."""
        return len(self._outgoing)

    @property
    def is_terminated(self) -> bool:
        """Whether :meth:`terminate` was called."""
        return self._terminated is not None

    def terminate(self) -> Deferred[None]:
        """End this endpoint: requests under way fail, requests for it are answered 404; the manager and its flows live
        on.

        Idempotent: every call's Deferred fires when all of it is done, and that is when the requests that it had been
        given are answered, or ``limits.drain_timeout`` has passed (rows B13, B14).
        """
        if self._terminated is None:
            self._terminated = Deferred()
            for outgoing in tuple(self._outgoing):
                outgoing.endpoint_terminated()
            waiters, self._connected_waiters = self._connected_waiters, []
            for waiter in waiters:
                waiter.errback(EndpointTerminated("the endpoint was terminated"))
            self.connection_manager.core.directory.remove(self.profile)
            self.connection_manager.unregister(self)
            if self._state is not EndpointState.DISCONNECTED:
                self._become(EndpointState.DISCONNECTING, StateReason.TERMINATED_LOCALLY)
                self._become(EndpointState.DISCONNECTED, StateReason.TERMINATED_LOCALLY)
            self.connection_manager.drain_state.when_answered(self).chainDeferred(self._terminated)
        waiting: Deferred[None] = Deferred()
        self._terminated.addCallback(waiting.callback)
        return waiting

    def connection_manager_terminated(self) -> None:
        """The manager goes away, and the endpoint with it; called by the manager."""
        self.terminate()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._owner} {self._state.value}>"


class SipPeerToPeerEndpoint(RealTimeEndpoint):
    """A party that needs no registrar: it listens for its peers, dials them or sends through a proxy, and knows who
    they are.

    Three kinds of application, one class: with listeners and perhaps a proxy it does both; with ``outbound=False`` it
    only receives, and sending raises; without a listener it only sends, and nobody can connect to it.

    :ivar message_received: told of each MESSAGE; its handlers answer it (rows B6 to B9).
    :ivar state_changed: told when peers can connect, or cannot any more (row B2).
    :ivar connection_manager: through which it is reached and reaches others.
    :param owner_uri: who it is: ``sip:user@domain``, without a port (row A2).
    :param connection_manager: its listeners, flows and proofs of identity.
    :param default_transport: for targets that name none; by default the manager's own, TLS or TCP.
    :param family: ``all``, ``v4``, ``v6``, ``prefer-v4`` or ``prefer-v6``; by default the manager's (row E23).
    :param proxy: the outbound proxy: ``host``, ``host:port``, ``transport:host:port``; a :class:`ProxyConnector`; or a
        Twisted client endpoint, together with *proxy_tls_name*.
    :param proxy_tls_name: what the proxy's certificate must prove, if not its host name (row A7).
    :param display_name: goes into From (row A13).
    :param default_headers: header fields for every request (row A8).
    :param user_agent: the application's part of User-Agent; an empty string sends no User-Agent (row A14).
    :param outbound: False for an endpoint that only receives (row B5).
    :param catch_all: take requests that name nobody that the manager serves, if no other endpoint does already (row
        G3).
    :param instance_id: ``urn:uuid:...``; give the same after a restart (row A9).
    :param gruu: a globally routable URI to use for Contact (row A10).
    :param application_context: for the application's own use (row A15).
    :param may_impersonate: asked before a request goes out with another From (row A16).
    :param supported: option tags that peers may require (row G10).
    :param message_received: a first handler for :attr:`message_received` (row M9).
    :param handlers: handlers by method, as for :meth:`handle` (row M9).
    :raises ValueError: for an owner URI with a port, or one that the manager serves already; for a wrong proxy, header
        or name.
    :raises EndpointTerminated: when the manager has been terminated.
    """
