"""What every party has, whether it sends, is sent to, or both: who it is, how it is reached, who answers, and its
end (groups A, B and G of the acceptance rows). What it can send stands in :mod:`.endpoint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from twisted.internet.defer import Deferred, fail, succeed

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.authentication.authenticator import bounded
from sip_p2p.endpoint.authentication.credentials import Credentials
from sip_p2p.endpoint.composition import Composition
from sip_p2p.endpoint.contact import ContactAddress
from sip_p2p.endpoint.events import EndpointState, Event, StateChanged, StateReason
from sip_p2p.endpoint.identity.trust_domain import TrustDomain
from sip_p2p.endpoint.party_options import (
    compose_user_agent,
    parse_info_packages,
    parse_methods,
    parse_option_tags,
    parse_owner,
    parse_proxy,
    parse_transport,
)
from sip_p2p.endpoint.subscription.registry import EventPackages
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.endpoint.transfer.referring_party import ReferringParty
from sip_p2p.errors import EndpointTerminated, InvalidOperation
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.sip.headers import check_value
from sip_p2p.sip.profile import STACK_EXTENSIONS, Profile
from sip_p2p.transport.dns.family import AddressFamilyHint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.identity.signer import PassportSigner
    from sip_p2p.endpoint.identity.verifier import PassportVerifier
    from sip_p2p.endpoint.incoming import IncomingRequest, RequestHandler
    from sip_p2p.endpoint.outgoing import Outgoing
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.subscription.package import EventPackage
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.endpoint.transfer.replacing import ReplacesPolicy
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.preferences import FeatureParameters
    from sip_p2p.sip.profile import Authenticator
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.proxy import ProxyConnector
    from sip_p2p.transport.target import Target, Transport

__all__ = ["SESSION_METHODS", "Party"]

SESSION_METHODS = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"))
"""What only a session sends."""

H = TypeVar("H", bound=Callable[..., Any])


class Party(ReferringParty):
    """What a :class:`~sip_p2p.endpoint.endpoint.RealTimeEndpoint` is before it sends anything: its arguments and
    attributes are described there and at :class:`~sip_p2p.endpoint.endpoint.SipPeerToPeerEndpoint`."""

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
        shares_owner_uri: bool = False,
        answer_options: AnswerOptions | None = None,
        session_methods: Iterable[str] = ("INFO", "MESSAGE"),
        info_packages: Iterable[str] = (),
        packages: Iterable[EventPackage] = (),
        replaces_policy: ReplacesPolicy | None = None,
        message_received: RequestHandler | None = None,
        session_received: Callable[[SignalingSession], Any] | None = None,
        handlers: Mapping[str, RequestHandler] | None = None,
        credentials: Credentials | None = None,
        authenticator: Authenticator | None = None,
        trusted_identities: Iterable[str] = (),
        passport_signer: PassportSigner | None = None,
        passport_verifier: PassportVerifier | None = None,
    ) -> None:
        self.connection_manager = connection_manager
        self.trust_domain = TrustDomain(trusted_identities)
        self.passport_signer = passport_signer
        self.passport_verifier = passport_verifier
        self._owner = parse_owner(owner_uri)
        self.family = connection_manager.family if family is None else AddressFamilyHint.named(family)
        self.application_context = application_context
        self.credentials = Credentials() if credentials is None else credentials
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
        bounds = connection_manager.driver.log_bounds
        self.state_changed: Event[StateChanged] = Event(log_bounds=bounds)
        self.message_received: Event[IncomingRequest] = Event(self._message_handlers_changed, log_bounds=bounds)
        self.session_received: Event[SignalingSession] = Event(self._session_handlers_changed, log_bounds=bounds)
        self.refer_received: Event[IncomingReferral] = Event(self._refer_handlers_changed, log_bounds=bounds)
        self.answer_options = (
            AnswerOptions(session_timer=SessionTimerSettings()) if answer_options is None else answer_options
        )
        self.replaces_policy = replaces_policy
        self._session_methods = SESSION_METHODS.union(parse_methods(session_methods))
        self.profile = self._make_profile(supported, info_packages, connector)
        self.packages = EventPackages(cast("RealTimeEndpoint", self), packages)
        self.profile.authenticator = bounded(authenticator, connection_manager)
        self._take_handlers(message_received, session_received, handlers or {})
        # From here on it can be found: nothing that can be wrong about the arguments comes later.
        self._enter(shares_owner_uri, catch_all)

    def _take_handlers(
        self,
        message_received: RequestHandler | None,
        session_received: Callable[[SignalingSession], Any] | None,
        handlers: Mapping[str, RequestHandler],
    ) -> None:
        """The first handlers (row M9)."""
        if message_received is not None:
            self.message_received.subscribe(message_received)
        for method, handler in handlers.items():
            self.handle(method, handler)
        if session_received is not None:
            self.session_received.subscribe(session_received)

    def _make_profile(
        self, supported: Iterable[str], info_packages: Iterable[str], connector: ProxyConnector | None
    ) -> Profile:
        """What the core knows of it."""
        profile = Profile(self, supported=(*STACK_EXTENSIONS, *parse_option_tags(supported)))
        if self.answer_options.reliable == "off":
            # RFC 3262 section 3: whoever requires it is refused, so nobody is told that it is understood.
            profile.supported.discard("100rel")
        profile.features = self._contact.features
        profile.instance_id = self._contact.instance_id
        profile.info_packages = parse_info_packages(info_packages)
        profile.contact, profile.anonymous_contact = self._contact.in_dialog, self._contact.in_anonymous_dialog
        if connector is not None:
            profile.trusted_proxies = frozenset((connector.target.name,))
        return profile

    def _enter(self, shares_owner_uri: bool, catch_all: bool) -> None:
        """Let it be found.

        :raises ValueError: when the manager serves another party with its URI.
        """
        manager, whole = self.connection_manager, cast("RealTimeEndpoint", self)
        manager.register(whole)
        directory = manager.core.directory
        try:
            directory.add(
                self.profile, self._owner, self._contact.user, self._contact.routable, shares=shares_owner_uri
            )
        except ValueError:
            manager.unregister(whole)
            raise
        if catch_all and directory.fallback is None:
            directory.fallback = self.profile
        if manager.is_listening:
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
        """The option tags that a peer may require (rows A19, G10): what the stack does by itself, which is
        :data:`~sip_p2p.sip.profile.STACK_EXTENSIONS`, and what the application has added.

        It can be changed at any time. Whoever requires anything else is answered 420.
        """
        return self.profile.supported

    @property
    def feature_parameters(self) -> FeatureParameters:
        """What our Contact says of us besides where we are: ``audio``, ``automata``, ``isfocus``, ... (row A18, RFC
        3840).

        It can be changed at any time. A request whose caller insists on something else (Accept-Contact with
        ``require``, Reject-Contact) is answered 480 (RFC 3841 section 6).
        """
        return self._contact.features

    @property
    def contact_uri(self) -> SipUri:
        """Where peers can reach exactly this endpoint (rows A11, G2): opaque user part, real host and port.

        While nothing listens it names the host alone; the Contact of a request then follows the flow that carries it.
        """
        return self._contact.uri(self._composition.transport)

    def contact_value(self, flow: LiveFlow, *, for_sips: bool = False, names_nobody: bool = False) -> str:
        """The Contact for a message on *flow*: reachable over it, also when nothing listens (row C11).

        :param for_sips: whether the message is a request to a ``sips:`` URI, which wants one back (RFC 3261 section
            8.1.1.8).
        :param names_nobody: whether it is to say where we are, and not who (RFC 3323 section 4.1.1.2).
        """
        return self._contact.value_on(flow, for_sips=for_sips, names_nobody=names_nobody)

    def leaves(self, request: Request, flow: LiveFlow) -> None:
        """A request of ours is about to go out on *flow*: without what its peer may not see (RFC 3325), and signed
        where that is ours to do (RFC 8224).

        :raises InvalidOperation: when it cannot be signed as it is.
        """
        self.trust_domain.clean(request.headers, flow)
        if self.passport_signer is not None:
            self.passport_signer.sign(request)

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
        is_taken = {
            "MESSAGE": bool(self.message_received),
            "INVITE": bool(self.session_received),
            "REFER": bool(self.refer_received),
            "SUBSCRIBE": bool(self.packages),
        }
        if is_taken.get(method):
            self.profile.allow(method)
        else:
            self.profile.disallow(method)

    def _message_handlers_changed(self) -> None:
        if self.message_received:
            self.profile.allow("MESSAGE")
        elif "MESSAGE" not in self._handlers:
            self.profile.disallow("MESSAGE")

    def _session_handlers_changed(self) -> None:
        if self.session_received:
            self.has_sessions()
            self.profile.allow("INVITE")
        elif "INVITE" not in self._handlers:
            self.profile.disallow("INVITE")

    def event_packages_changed(self) -> None:
        """An event package was added or removed; called by :attr:`packages`."""
        if self.profile.event_packages:
            self.profile.allow("SUBSCRIBE")
        elif "SUBSCRIBE" not in self._handlers:
            self.profile.disallow("SUBSCRIBE")

    def has_sessions(self) -> None:
        """From now on it says that it takes what belongs to sessions (RFC 3261 section 13.2.1: Allow), and to what is
        subscribed to or referred in them (RFC 5589 section 6)."""
        if not self.profile.in_dialogs:
            self.profile.allow_in_dialogs(self._session_methods | {"NOTIFY"})

    @property
    def takes_sessions(self) -> bool:
        """Whether a peer's INVITE becomes a session; a handler of :meth:`handle` comes before that."""
        return bool(self.session_received) and "INVITE" not in self._handlers

    def request_received(self, incoming: IncomingRequest) -> None:
        """Give a request to its handlers; called by the manager."""
        handler = self._handlers.get(incoming.method)
        if handler is None and incoming.method == "SUBSCRIBE":
            handler = self.packages.received
        incoming.run(self.message_received.handlers if handler is None else (handler,))

    def first_hop(self, plan: RequestPlan, via: Target | None = None) -> tuple[Target, IStreamClientEndpoint | None]:
        """Where the request of *plan*, which belongs to no dialog, goes first, and the client endpoint that leads there
        if one has to; it gets a Route to the outbound proxy.

        :param via: send it there instead (row E22).
        :raises ValueError: when it leads nowhere, or *via* gives up the TLS that it asks for.
        """
        return self._composition.first_hop(to_sip_uri(plan.uri, self._owner.host), via, plan)

    def compose(
        self, method: str, uri: SipUri, *, headers: Iterable[tuple[str, str]] = (), from_: str | SipUri | None = None
    ) -> RequestPlan:
        """Begin a request in no dialog, with a Call-ID and a tag of its own, for what lives on beside sessions.

        :raises ValueError: for header fields that cannot be.
        :raises InvalidOperation: when this endpoint does not send, or may not send with this From.
        :raises EndpointTerminated: when it was terminated.
        """
        if not self._outbound:
            raise InvalidOperation("this endpoint only receives: it was made with outbound=False")
        manager = self.connection_manager
        if self._terminated is not None or manager.is_terminated:
            raise EndpointTerminated("the endpoint was terminated")
        return self._composition.plan(method, uri, b"", None, headers, from_, manager.tokens, unsafe_headers=False)

    def outgoing_ended(self, outgoing: Outgoing) -> None:
        """A request has its outcome; called by the request itself."""
        self._outgoing.pop(outgoing, None)
        self.connection_manager.drain_state.maybe_quiet(cast("RealTimeEndpoint", self))

    @property
    def requests_under_way(self) -> int:
        """How many of its requests have no outcome yet."""
        return len(self._outgoing)

    @property
    def sessions(self) -> tuple[SignalingSession, ...]:
        """Its sessions, the oldest first, those among them that are over and have a last word to say to their peers."""
        return self.connection_manager.sessions.of(cast("RealTimeEndpoint", self))

    @property
    def is_terminated(self) -> bool:
        """Whether :meth:`terminate` was called."""
        return self._terminated is not None

    def terminate(self) -> Deferred[None]:
        """End this endpoint: its sessions are ended, its requests under way fail, requests for it are answered 404; the
        manager and its flows live on.

        Idempotent: every call's Deferred fires when all of it is done, and that is when the requests that it had been
        given are answered and the last word of its sessions is said, or ``limits.drain_timeout`` has passed (rows B13,
        B14).
        """
        check_thread()
        if self._terminated is None:
            self._terminated = Deferred()
            manager, whole = self.connection_manager, cast("RealTimeEndpoint", self)
            manager.sessions.terminate(whole)
            manager.lives.end(whole)
            for outgoing in tuple(self._outgoing):
                outgoing.endpoint_terminated()
            waiters, self._connected_waiters = self._connected_waiters, []
            for waiter in waiters:
                waiter.errback(EndpointTerminated("the endpoint was terminated"))
            manager.core.directory.remove(self.profile)
            manager.unregister(whole)
            if self._state is not EndpointState.DISCONNECTED:
                self._become(EndpointState.DISCONNECTING, StateReason.TERMINATED_LOCALLY)
                self._become(EndpointState.DISCONNECTED, StateReason.TERMINATED_LOCALLY)
            manager.drain_state.when_answered(whole).chainDeferred(self._terminated)
        waiting: Deferred[None] = Deferred()
        self._terminated.addCallback(waiting.callback)
        return waiting

    def connection_manager_terminated(self) -> None:
        """The manager goes away, and the endpoint with it; called by the manager."""
        self.terminate()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._owner} {self._state.value}>"
