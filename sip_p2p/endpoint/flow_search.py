"""From what is to be sent to the flow that carries it (RFC 3261 section 8.1.2, RFC 3263 section 4.3).

A flow that is open and proved the name is taken at once. Else it is looked up which servers there are, and they are
tried one after the other (:mod:`.failover`), each held to the same name. What is too large for UDP goes by TCP (RFC
3261 section 18.1.1). What is done with a flow once there is one is said by those who look for one: a request that wants
an answer (:mod:`.delivery`), and an ACK, which gets none (:mod:`.session.errands`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure

from sip_p2p.endpoint.failover import Candidates, may_fail_over
from sip_p2p.errors import ConnectionFailure, TlsFailure
from sip_p2p.transport.stream.browsers import MADE_UP
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.liveness import has_unread
from sip_p2p.transport.target import Target, Transport
from sip_p2p.transport.udp.datagram import MAX_UNSAFE_REQUEST

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.outputs import ResponseReceived
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["FlowSearch"]

# How often a quiet connection's unread octets are waited for before something is written to it all the same.
_MOST_LOOKS = 3


class FlowSearch:
    """Something of ours that needs a flow.

    A base class and no part, so that a request over an open flow costs one object. Whoever derives from it says what is
    done with the flow, in :meth:`_carry`, and what when there is none, in :meth:`_fail`.
    """

    __slots__ = (
        "_began",
        "_candidates",
        "_failure",
        "_family",
        "_finished",
        "_found",
        "_fragmented",
        "_large",
        "_looks",
        "_manager",
        "_plan",
        "_refusal",
        "_step",
        "_target",
        "_through",
    )

    def __init__(
        self,
        manager: RealTimeConnectionManager,
        plan: RequestPlan,
        target: Target,
        through: IStreamClientEndpoint | None,
        family: AddressFamilyHint,
    ) -> None:
        """
        :param plan: what is to be sent.
        :param target: where, and the name that is to be proved there.
        :param through: the Twisted client endpoint to connect with; None leaves it to the target's name.
        :param family: which addresses may be used, and which come first.
        """
        self._manager = manager
        self._plan = plan
        self._target = target
        self._through = through
        self._family = family
        self._candidates: Candidates | None = None
        self._found: StreamFlow | None = None
        self._failure: Failure | None = None
        # What the last server said that would not serve.
        self._refusal: ResponseReceived | None = None
        self._finished = False
        # What is too large for UDP goes by TCP, and would otherwise have gone to this target; unless TCP is refused.
        self._large: Target | None = None
        self._fragmented = False
        self._looks = 0
        self._began = 0.0
        self._step: Deferred[Any] | None = None

    def _carry(self, flow: LiveFlow) -> None:
        """Here is a flow."""
        raise TypeError("FlowSearch is abstract")

    def _fail(self, failure: Failure) -> None:
        """There is none."""
        raise TypeError("FlowSearch is abstract")

    def _exhausted(self, failure: Failure) -> None:
        """Every server was tried; *failure* says most of why none would do. :attr:`_refusal` may hold what one said."""
        self._fail(failure)

    def _find_flow(self) -> None:
        """Begin, or begin anew."""
        target = self._target
        if target.transport is Transport.UDP and not self._fragmented and self._is_too_large():
            # 18.1.1: what could be fragmented goes over a transport with congestion control.
            self._large = target
            target = self._target = target.over(Transport.TCP)
            target.has_transport = True
        manager = self._manager
        self._began = manager.driver.now()
        self._candidates = None
        self._found = None
        self._refusal = None
        if target.transport is not Transport.UDP:
            flow = manager.pool.find(target, self._through)
            if flow is not None and (not self._family.is_strict or self._family.takes(flow.remote_host)):
                if not self._is_to_be_read_first(flow):
                    self._found = flow
                    self._carry(flow)
                return
            self._the_candidates().is_elsewhere = flow is not None
        self._locate()

    def _begin_on_known_flow(self) -> None:
        """Begin, or begin anew, where it is known which flow is to carry it."""
        self._began = self._manager.driver.now()
        self._candidates = None
        self._found = None
        self._refusal = None

    def _is_to_be_read_first(self, flow: StreamFlow) -> bool:
        """Whether something waits on a quiet flow, perhaps its goodbye: then the reactor reads it before anything is
        written after it, and the search begins anew."""
        if self._looks < _MOST_LOOKS and not self._manager.is_busy(flow) and has_unread(flow.socket):
            self._looks += 1
            self._again_in(0)
            return True
        return False

    def _the_candidates(self) -> Candidates:
        """What may be tried, made when it is first needed: what an open flow carries never needs it."""
        candidates = self._candidates
        if candidates is None:
            manager = self._manager
            limits = manager.limits
            candidates = self._candidates = Candidates(
                self._target,
                self._family,
                manager.dead_targets,
                limits.failover_attempts,
                self._began + limits.failover_timeout,
                manager.keeper.limit_hit,
            )
            if self._found is not None:
                candidates.using(self._found)
        return candidates

    def _locate(self) -> None:
        """Find out which servers there are."""
        if self._through is not None:
            # Where it leads is the client endpoint's own business.
            self._located([self._target])
            return
        host = self._target.host
        if host.endswith(MADE_UP):
            # Whoever called itself so is not here (any more), and RFC 6761 section 6.4 keeps others from the name.
            words = f"{host} leads nowhere: names under .invalid are of browsers, and none of that name is connected"
            self._not_located(Failure(ConnectionFailure(words)))
            return
        try:
            locating = self._manager.resolver.resolve(self._target)
        except Exception:
            self._fail(Failure())
            return
        self._step = locating
        locating.addCallbacks(self._located, self._not_located)

    def _not_located(self, failure: Failure) -> None:
        """There is no server, or no other one than that which has failed."""
        self._step = None
        if self._failure is None:
            self._exhausted(failure)
        else:
            self._nobody_left()

    def _is_too_large(self) -> bool:
        request = self._plan.prepare()
        # What is not there yet: the Via with its branch, and the sent-by of the flow.
        return len(request.serialise()) + 128 + self._octets_added() > MAX_UNSAFE_REQUEST

    def _octets_added(self) -> int:
        """By how much more what is sent exceeds its plan. Here: by nothing."""
        return 0

    def _located(self, targets: list[Target]) -> None:
        self._step = None
        if self._finished:
            return
        try:
            self._the_candidates().located(targets)
        except ConnectionFailure:
            self._not_located(Failure())
            return
        self._try_next()

    def _try_next(self) -> None:
        """Try the next server, if there is one."""
        if self._finished:
            return
        candidates = self._the_candidates()
        manager = self._manager
        group = candidates.next(manager.driver.now())
        if group is None:
            self._nobody_left()
            return
        by_dns = group[0].transport is Transport.UDP and self._target.transport is not Transport.UDP
        if by_dns and not self._fragmented and self._is_too_large():
            # 18.1.1 again: it is DNS that has chosen UDP.
            self._large = self._target
            group = [each.over(Transport.TCP) for each in group]
        try:
            if group[0].transport is Transport.UDP:
                self._carry(manager.datagram_flow(group[0]))
                return
            elsewhere = candidates.is_elsewhere
            connecting = manager.pool.connect(group, self._through, self._target, elsewhere=elsewhere)
        except Exception:
            self._not_connected(Failure())
            return
        self._step = connecting
        connecting.addCallbacks(self._connected, self._not_connected)

    def _connected(self, flow: StreamFlow) -> None:
        self._step = None
        if not self._finished:
            self._carry(flow)

    def _not_connected(self, failure: Failure) -> None:
        self._step = None
        if may_fail_over(failure.value):
            self._fail_over(failure)
        else:
            self._fail(failure)

    def _fail_over(self, failure: Failure, retry_after: float | None = None) -> None:
        """The server that was tried did not serve: the next one (RFC 3263 section 4.3).

        :param retry_after: for how long it asked to be left alone.
        """
        if self._finished:
            return
        candidates = self._the_candidates()
        candidates.failed(retry_after)
        # Of several failures the one that says most is told: that somebody could not prove the name.
        if self._failure is None or not self._failure.check(TlsFailure):
            self._failure = failure
        if candidates.are_located:
            self._try_next()
        elif self._through is None:
            self._locate()
        else:
            self._nobody_left()

    def _nobody_left(self) -> None:
        """No server is left to try: what the last one said, or did not say, is the outcome."""
        if self._finished:
            return
        failure = self._failure
        may_fragment = self._plan.method != "MESSAGE"
        if self._large is not None and may_fragment and failure is not None and _is_refused(failure.value):
            # 18.1.1: whose TCP port is closed gets what is too large by UDP after all, in fragments. A MESSAGE must
            # not (RFC 3428 section 8).
            self._target, self._large = self._large, None
            self._fragmented = True
            self._failure = None
            self._find_flow()
            return
        self._exhausted(Failure(ConnectionFailure("there is no server to try")) if failure is None else failure)

    def _again_in(self, delay: float) -> None:
        """Begin anew in *delay* seconds, unless it is given up before."""
        again: Deferred[object] = Deferred()
        call = self._manager.reactor.callLater(delay, self._try_again)
        again.addErrback(lambda _: call.cancel() if call.active() else None)
        self._step = again

    def _try_again(self) -> None:
        self._step = None
        if not self._finished:
            self._find_flow()

    def _stop_searching(self) -> None:
        """Give up what is under way."""
        # A failure may know a frame of ours, which knows us.
        self._failure = None
        step, self._step = self._step, None
        if step is not None:
            step.addErrback(lambda _: None)
            step.cancel()


def _is_refused(error: BaseException | None) -> bool:
    """Whether nobody listens there, as far as a failed connection tells."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__
    return False
