"""One registration of a party: the bindings that it has at its registrar, each over a flow of its own (RFC 3261 section
10, RFC 5626).

The machine of each binding says what is to be sent and when; here it gets its flow, and what the registrar has granted
takes effect: requests for us may come by the flow that we opened, our Contact is the GRUU, our requests go by the
Service-Route. All of that is undone when the registration is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.defer import Deferred, fail, succeed

from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.registration.register_run import RegisterRun
from sip_p2p.endpoint.registration.service_route import ServiceRoute
from sip_p2p.endpoint.registration.states import RegistrationState, RegistrationStateChanged, state_of
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import ConnectionFailure, EndpointTerminated
from sip_p2p.sip.registration.binding import Binding, BindingChanged, BindingState, RegisterWanted
from sip_p2p.transport.keep_alive import hear_flow_timer
from sip_p2p.transport.proxy import route_value

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.name_addr import NameAddr
    from sip_p2p.sip.outputs import ResponseReceived
    from sip_p2p.sip.registration.granted import Granted
    from sip_p2p.sip.registration.order import RegisterOrder
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.pool.lease import Lease
    from sip_p2p.transport.proxy import ProxyConnector
    from sip_p2p.transport.target import Target

__all__ = ["Registration"]

_SETTLED = (BindingState.WAITING, BindingState.OVER)


@final
class Registration:
    """Where one party is registered, from :meth:`.SipEndpoint.register` to its end.

    :ivar kind: ``registrations``, as which it is counted.
    :ivar endpoint: whose it is.
    :ivar registrar: the domain that was asked: the Request-URI of its REGISTERs.
    :ivar family: which addresses its flows use.
    :ivar state_changed: told each time that it stands in another way.
    :ivar error: what went wrong last; None while it stands.
    """

    __slots__ = (
        "_bindings",
        "_done",
        "_gruu",
        "_hops",
        "_is_over",
        "_leases",
        "_order",
        "_party",
        "_runs",
        "_state",
        "_waiting",
        "endpoint",
        "error",
        "family",
        "kind",
        "registrar",
        "state_changed",
    )

    def __init__(
        self,
        endpoint: SipEndpoint,
        registrar: SipUri,
        order: RegisterOrder,
        hops: list[tuple[Target, ProxyConnector | None]],
        family: AddressFamilyHint,
        gruu: str,
    ) -> None:
        """
        :param hops: where each binding goes first, and the proxy that is there, if one is.
        :param gruu: ``public``, ``temporary`` or ``off``.
        """
        manager = endpoint.connection_manager
        self.kind = "registrations"
        self.endpoint: RealTimeEndpoint = endpoint
        self._party = endpoint
        self.registrar = registrar
        self.family = family
        self.state_changed: Event[RegistrationStateChanged] = Event(log_bounds=manager.driver.log_bounds)
        self.error: BaseException | None = None
        self._order = order
        self._hops = hops
        self._gruu = gruu
        self._state = RegistrationState.IDLE
        self._is_over = False
        self._done: Deferred[Registration] | None = None
        self._waiting: list[Deferred[Any]] = []
        self._runs: dict[Binding, RegisterRun] = {}
        self._leases: dict[Binding, Lease] = {}
        self._bindings: list[Binding] = []
        for number in range(1, len(hops) + 1):
            binding = Binding(manager.core, order, number, self._bindings)
            binding.user = self
            self._bindings.append(binding)

    # -- what an application sees --------------------------------------------------------------------------------------

    @property
    def state(self) -> RegistrationState:
        """How it stands, over all of its flows."""
        return self._state

    @property
    def is_registered(self) -> bool:
        """Whether the registrar knows, as far as we do, where we are."""
        return bool(self._standing())

    @property
    def expires(self) -> float:
        """For how many seconds the first binding to run out still stands; 0 where none does. It is refreshed before."""
        now = self.endpoint.connection_manager.driver.now()
        return min((binding.expires_at - now for binding in self._standing()), default=0.0)

    @property
    def flows(self) -> tuple[LiveFlow, ...]:
        """The flows by which requests for us come, the preferred one first."""
        return tuple(cast("LiveFlow", binding.flow) for binding in self._standing())

    @property
    def is_outbound(self) -> bool:
        """Whether the registrar follows RFC 5626: what is for us comes by our own flows, and by another one when one
        fails."""
        return any(binding.granted is not None and binding.granted.is_outbound for binding in self._standing())

    @property
    def other_contacts(self) -> tuple[NameAddr, ...]:
        """The bindings of the other devices of this address of record, as far as the registrar tells of them; our own
        other flows among them."""
        granted = self._granted()
        return () if granted is None else granted.others

    @property
    def path(self) -> tuple[str, ...]:
        """By which proxies what is for us comes from the registrar (RFC 3327)."""
        granted = self._granted()
        return () if granted is None else granted.path

    @property
    def service_route(self) -> tuple[str, ...]:
        """By which proxies our requests go, as the registrar wants it (RFC 3608)."""
        granted = self._granted()
        return () if granted is None else granted.service_route

    @property
    def public_gruu(self) -> SipUri | None:
        """Where exactly this device is reached by everybody (RFC 5627); None where the registrar gave none."""
        granted = self._granted()
        return None if granted is None else granted.public_gruu

    @property
    def temporary_gruu(self) -> SipUri | None:
        """The same without telling who it is; another one after each refresh."""
        granted = self._granted()
        return None if granted is None else granted.temporary_gruu

    def when_registered(self) -> Deferred[Registration]:
        """Fires as soon as it stands; fails with what ended it, or with :class:`~sip_p2p.errors.EndpointTerminated`,
        when it never will."""
        if self._is_over:
            return fail(self._why_over())
        if self.is_registered:
            return succeed(self)
        waiting: Deferred[Registration] = Deferred(self._forget)
        self._waiting.append(waiting)
        return waiting

    def refresh(self) -> None:
        """Ask for all bindings again now, and not only when they are due."""
        check_thread()
        manager = self.endpoint.connection_manager
        for binding in tuple(self._bindings):
            binding.refresh(manager.driver.now())
        manager.driver.drain()

    def unregister(self) -> Deferred[None]:
        """Ask the registrar to forget us; only our own bindings are removed (RFC 3261 section 10.2.2).

        Fires when all of it is over, whatever the registrar has said. Idempotent.
        """
        check_thread()
        if self._is_over:
            return succeed(None)
        ended: Deferred[None] = Deferred(self._forget)
        self._waiting.append(ended)
        self.end()
        self.endpoint.connection_manager.driver.drain()
        # What fails those who wait for it to stand is what this one waits for.
        return ended.addErrback(lambda _: None)

    # -- a life --------------------------------------------------------------------------------------------------------

    def start(self) -> Deferred[Registration]:
        """Ask the registrar; called by the endpoint. Cancelling it gives the registration up."""
        manager = self.endpoint.connection_manager
        done = self._done = Deferred(self._given_up)
        manager.lives.add(self)
        for binding in tuple(self._bindings):
            binding.start(manager.driver.now())
        manager.driver.drain()
        return done

    def _given_up(self, _: object) -> None:
        """Whoever waits for it to stand wants it no more."""
        self.end()
        self.endpoint.connection_manager.driver.drain()

    @property
    def flow(self) -> Flow | None:
        """What its first binding is bound to; None where none is bound."""
        return next((binding.flow for binding in self._bindings if binding.flow is not None), None)

    def end(self) -> None:
        """Say the last word to the registrar."""
        now = self.endpoint.connection_manager.driver.now()
        for binding in tuple(self._bindings):
            binding.end(now)

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left: the registrar forgets us when the bindings run out."""
        self._abandon(error)

    def _abandon(self, error: BaseException) -> None:
        for run in tuple(self._runs.values()):
            run.give_up()
        manager = self.endpoint.connection_manager
        for binding in tuple(self._bindings):
            binding.abandon(error, manager.driver.now())
        manager.driver.drain()

    def take(self, effect: Any) -> None:
        """What a binding says."""
        if isinstance(effect, RegisterWanted):
            self._send(cast("Binding", effect.owner), effect.errand, cast("LiveFlow | None", effect.flow))
        elif isinstance(effect, BindingChanged):
            self._changed(cast("Binding", effect.owner), effect)

    # -- REGISTERs on their way ----------------------------------------------------------------------------------------

    def _send(self, binding: Binding, errand: Errand, flow: LiveFlow | None) -> None:
        target, proxy = self._hops[binding.reg_id - 1]
        if proxy is not None:
            errand.plan.routes = [route_value(target, is_sips=errand.plan.uri[:5].lower() == "sips:")]
        run = self._runs[binding] = RegisterRun(
            self, binding, errand, target, None if proxy is None else proxy.endpoint
        )
        run.start(flow)

    def contact_on(self, flow: LiveFlow, binding: Binding) -> str:
        """The Contact of a REGISTER of *binding* on *flow*; asked by the run."""
        number = binding.reg_id if binding.use_outbound else None
        return self._party.binding_value(flow, number)

    def serves_other(self, flow: LiveFlow, binding: Binding) -> bool:
        """Whether another binding is bound to *flow*, or being asked for by it; asked by the run."""
        return any(other is not binding and other.flow is flow for other in self._bindings) or any(
            other is not binding and run.flow is flow for other, run in self._runs.items()
        )

    def answered(self, errand: Errand, output: ResponseReceived) -> None:
        """A final response came; called by the run."""
        manager = self.endpoint.connection_manager
        errand.owner.errand_answered(errand, output.response, output.transaction.flow, manager.driver.now())
        manager.driver.drain()

    def failed(self, errand: Errand, reason: BaseException) -> None:
        """There will be none; called by the run."""
        manager = self.endpoint.connection_manager
        errand.owner.errand_failed(errand, reason, manager.driver.now())
        manager.driver.drain()

    def run_ended(self, binding: Binding, run: RegisterRun) -> None:
        """One is over; called by the run."""
        if self._runs.get(binding) is run:
            del self._runs[binding]

    def flow_lost(self, flow: LiveFlow, reason: BaseException) -> None:
        """A flow that a binding is bound to is gone; called by the bonds."""
        if not isinstance(reason, ConnectionFailure):
            reason = ConnectionFailure(f"the flow was lost: {reason}")
        manager = self.endpoint.connection_manager
        for binding in tuple(self._bindings):
            if binding.flow is flow:
                binding.flow_lost(flow, reason, manager.driver.now())
                self._hold(binding)
                self._take_effect()
        manager.driver.drain()

    # -- what was granted takes effect ---------------------------------------------------------------------------------

    def _standing(self) -> list[Binding]:
        now = self.endpoint.connection_manager.driver.now()
        return [binding for binding in self._bindings if binding.stands(now)]

    def _granted(self) -> Granted | None:
        """What the registrar has said last of the preferred binding, also while that is made anew."""
        for binding in self._standing() or self._bindings:
            if binding.granted is not None:
                return binding.granted
        return None

    def _changed(self, binding: Binding, effect: BindingChanged) -> None:
        state = effect.state
        if state is BindingState.REGISTERED:
            self.error = None
            if binding.flow is not None and binding.granted is not None:
                granted = binding.granted
                hear_flow_timer(binding.flow, granted.flow_timer, is_outbound=granted.is_outbound)
        elif effect.reason is not None:
            self.error = effect.reason
        self._hold(binding)
        self._take_effect()
        if state in _SETTLED:
            self._maybe_give_up()
        self._become(state_of(each.state for each in self._bindings), effect.reason)
        if state is BindingState.REGISTERED:
            self._tell_waiting()

    def _hold(self, binding: Binding) -> None:
        """See that *binding* holds the flow that it is bound to, and no other."""
        manager = self.endpoint.connection_manager
        flow = cast("LiveFlow | None", binding.flow)
        lease = self._leases.get(binding)
        if lease is not None:
            if lease.flow is flow:
                return
            del self._leases[binding]
            lease.release()
            manager.bonds.untie(lease.flow, self)
            lease.flow.invited -= 1
            if not lease.flow.invited and lease.flow.is_open:
                lease.flow.may_request = manager.may_request(lease.flow)
        if flow is None:
            return
        if not flow.is_open:
            # It has ended since the answer came by it.
            binding.flow_lost(flow, ConnectionFailure("the flow was lost"), manager.driver.now())
        else:
            self._leases[binding] = flow.lease()
            manager.bonds.tie(flow, self)
            # What is for us comes by this very flow, whoever may connect to us otherwise: we have asked for it.
            flow.invited += 1
            flow.may_request = True

    def _take_effect(self) -> None:
        """Let our requests go as the registrar wants, and our Contact be what it has given."""
        standing = self._standing()
        granted = self._granted()
        service_route = None
        if granted is not None and granted.service_route:
            flow = cast("LiveFlow | None", standing[0].flow) if standing else None
            before = self._party.service_route
            is_secure = before is not None and before.is_secure if flow is None else flow.is_secure
            service_route = ServiceRoute(granted.service_route, is_secure)
        gruu = unnamed = None
        if granted is not None and self._gruu != "off":
            unnamed = granted.temporary_gruu
            gruu = granted.public_gruu if self._gruu == "public" else unnamed
        proxy = self._hops[standing[0].reg_id - 1][1] if standing else None
        self._party.registration_took_effect(service_route, gruu, unnamed, proxy)

    # -- what is told --------------------------------------------------------------------------------------------------

    def _maybe_give_up(self) -> None:
        """The first attempt came to nothing on every flow: that is the outcome, unless it is to go on."""
        done = self._done
        if done is None or self._order.keeps_trying:
            return
        if all(binding.state in _SETTLED for binding in self._bindings):
            self._abandon(self._why_over())

    def _become(self, state: RegistrationState, reason: BaseException | None) -> None:
        previous, self._state = self._state, state
        if previous is state or self._is_over:
            return
        if state is RegistrationState.TERMINATED:
            self._over()
        change = RegistrationStateChanged(self, previous, state, reason)
        self.state_changed.tell(change)
        self._party.registration_changed.tell(change)

    def _over(self) -> None:
        """Nothing more is sent for it."""
        self._is_over = True
        manager = self.endpoint.connection_manager
        for run in tuple(self._runs.values()):
            run.give_up()
        for binding in self._bindings:
            binding.user = None
        self._bindings.clear()
        self._party.registration_over(self)
        manager.lives.gone(self)
        error = self._why_over()
        self._fire(lambda waiting: waiting.errback(error))

    def _tell_waiting(self) -> None:
        self._fire(lambda waiting: waiting.callback(self))

    def _fire(self, how: Any) -> None:
        done, self._done = self._done, None
        waiting, self._waiting = self._waiting, []
        for each in (done, *waiting):
            if each is not None and not each.called:
                how(each)

    def _forget(self, waiting: Deferred[Any]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def _why_over(self) -> BaseException:
        return EndpointTerminated("the registration is over") if self.error is None else self.error

    def __repr__(self) -> str:
        return f"<Registration of {self.endpoint.owner_uri} at {self.registrar}, {self._state.value}>"
