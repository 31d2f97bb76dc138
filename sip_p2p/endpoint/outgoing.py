"""One request of an application, from the call to its outcome (RFC 3261 sections 8.1.2 to 8.1.3).

Its target is worked out, a flow is found or made, the transaction runs, and the ``Deferred`` fires once: with the final
response below 300, or with one of the exceptions of :mod:`sip_p2p.errors`. Where a server does not serve, the next one
gets the request with another branch (RFC 3263 section 4.3, :mod:`.failover`). Cancelling it at any point gives up what
is under way; a response that comes later is absorbed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure

from sip_p2p.endpoint.failover import Candidates, may_fail_over
from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    OperationTimeout,
    PeerOverloaded,
    RequestFailed,
    SipError,
    TlsFailure,
)
from sip_p2p.sip.outputs import TransactionTimedOut
from sip_p2p.transport.keep_alive import hear_flow_timer
from sip_p2p.transport.stream.browsers import MADE_UP
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.liveness import IDEMPOTENT, has_unread, was_never_read
from sip_p2p.transport.target import Target, Transport
from sip_p2p.transport.udp.datagram import MAX_UNSAFE_REQUEST

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.outputs import ResponseReceived, TransactionFailed
    from sip_p2p.sip.transaction.base import ClientTransaction
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Outgoing"]

_WITHOUT_CONTACT = frozenset(("BYE", "CANCEL", "INFO", "MESSAGE", "PRACK", "PUBLISH"))
"""RFC 3428 section 4 forbids a Contact in MESSAGE; the others have no use for one (RFC 3261 Table 2 and its
successors)."""

# How often a quiet connection's unread octets are waited for before a request is written to it all the same.
_MOST_LOOKS = 3

RETRY_STATUSES = frozenset((413, 480, 486, 500, 503, 600, 603))
"""The responses in which Retry-After may stand (RFC 3261 section 20.33)."""


@final
class Outgoing:
    """A request under way.

    :ivar done: fires with the outcome.
    """

    __slots__ = (
        "_alarm",
        "_began",
        "_candidates",
        "_endpoint",
        "_failure",
        "_family",
        "_finished",
        "_found",
        "_fragmented",
        "_heard",
        "_large",
        "_looks",
        "_plan",
        "_refusal",
        "_retry",
        "_second",
        "_step",
        "_target",
        "_through",
        "_timeout",
        "_transaction",
        "_written",
        "done",
    )

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        plan: RequestPlan,
        target: Target,
        through: IStreamClientEndpoint | None,
        timeout: float | None,
        retry_cap: float,
        family: AddressFamilyHint,
    ) -> None:
        """
        :param through: the Twisted client endpoint to connect with; None leaves it to the target's name.
        :param timeout: how long all of it may take, in seconds; None leaves it to the transaction's own timer.
        :param retry_cap: the longest Retry-After that is waited for, once; 0 for none.
        :param family: which addresses may be used, and which come first.
        """
        self._endpoint = endpoint
        self._plan = plan
        self._target = target
        self._through = through
        self._retry = retry_cap
        self._timeout = timeout
        self._family = family
        self._candidates: Candidates | None = None
        self._found: StreamFlow | None = None
        self._failure: Failure | None = None
        self._refusal: Response | None = None
        self._finished = False
        # What is too large for UDP goes by TCP, and would otherwise have gone to this target; unless TCP is refused.
        self._large: Target | None = None
        self._fragmented = False
        self._second = False
        self._heard = False
        self._looks = 0
        self._began = 0.0
        self._written = 0.0
        self._step: Deferred[Any] | None = None
        self._transaction: ClientTransaction | None = None
        self._alarm: IDelayedCall | None = None
        self.done: Deferred[Response] = Deferred(lambda _: self._give_up())

    def start(self) -> None:
        """Begin."""
        if self._timeout is not None:
            self._alarm = self._endpoint.connection_manager.reactor.callLater(self._timeout, self._too_late)
        self._find_flow()

    def _find_flow(self) -> None:
        target = self._target
        if target.transport is Transport.UDP and not self._fragmented and self._is_too_large():
            # 18.1.1: what could be fragmented goes over a transport with congestion control.
            self._large = target
            target = self._target = target.over(Transport.TCP)
            target.has_transport = True
        manager = self._endpoint.connection_manager
        self._began = manager.driver.now()
        self._candidates = None
        self._found = None
        self._refusal = None
        if target.transport is not Transport.UDP:
            flow = manager.pool.find(target, self._through)
            if flow is not None and (not self._family.is_strict or self._family.takes(flow.remote_host)):
                if self._looks < _MOST_LOOKS and not manager.is_busy(flow) and has_unread(flow.socket):
                    # Perhaps its goodbye: let the reactor read it before anything is written after it.
                    self._looks += 1
                    self._again_in(0)
                    return
                self._found = flow
                self._send(flow)
                return
            self._the_candidates().is_elsewhere = flow is not None
        self._locate()

    def _the_candidates(self) -> Candidates:
        """What may be tried, made when it is first needed: a request that an open flow serves never needs it."""
        candidates = self._candidates
        if candidates is None:
            manager = self._endpoint.connection_manager
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
            locating = self._endpoint.connection_manager.resolver.resolve(self._target)
        except Exception:
            self._fail(Failure())
            return
        self._step = locating
        locating.addCallbacks(self._located, self._not_located)

    def _not_located(self, failure: Failure) -> None:
        """There is no server, or no other one than that which has failed."""
        self._step = None
        if self._failure is None:
            self._fail(failure)
        else:
            self._nobody_left()

    def _is_too_large(self) -> bool:
        request = self._plan.prepare()
        # What is not there yet: the Via with its branch, and the sent-by of the flow.
        return len(request.serialise()) + 128 > MAX_UNSAFE_REQUEST

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
        """Send it to the next server, if there is one."""
        if self._finished:
            return
        candidates = self._the_candidates()
        manager = self._endpoint.connection_manager
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
                self._send(manager.datagram_flow(group[0]))
                return
            elsewhere = candidates.is_elsewhere
            connecting = manager.pool.connect(group, self._through, self._target, elsewhere=elsewhere)
        except Exception:
            self._not_connected(Failure())
            return
        self._step = connecting
        connecting.addCallbacks(self._send, self._not_connected)

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
        failure = self._failure
        if self._large is not None and failure is not None and not self._finished and _is_refused(failure.value):
            # 18.1.1: whose TCP port is closed gets what is too large by UDP after all, in fragments.
            self._target, self._large = self._large, None
            self._fragmented = True
            self._failure = None
            self._find_flow()
            return
        refusal, self._refusal = self._refusal, None
        if refusal is not None and not self._finished:
            self._refused(refusal)
            return
        failure = self._failure
        if failure is not None and isinstance(failure.value, PeerOverloaded) and not self._finished:
            delay = failure.value.retry_after
            if 0 < delay <= self._retry:
                # It was not sent: the one repetition is still to come.
                self._failure = None
                self._again_in(self._endpoint.connection_manager.restraint.later(delay))
                return
        self._fail(Failure(ConnectionFailure("there is no server to try")) if failure is None else failure)

    def _send(self, flow: LiveFlow) -> None:
        self._step = None
        if self._finished:
            return
        plan = self._plan
        overloaded = self._endpoint.connection_manager.restraint.refusal(flow, plan)
        if overloaded is not None:
            self._fail_over(Failure(overloaded), overloaded.retry_after)
            return
        self._written = 0.0
        if isinstance(flow, StreamFlow) and flow.opened < self._began:
            # One that was not made for this request may have been closed by the peer a moment ago.
            self._written = self._endpoint.connection_manager.driver.now()
            flow.measure(self._written)
        try:
            if plan.method not in _WITHOUT_CONTACT:
                plan.contact = self._endpoint.contact_value(flow, for_sips=plan.uri.lower().startswith("sips:"))
            request = plan.build()
            transaction = self._endpoint.connection_manager.driver.request(request, flow, self)
        except Exception:
            self._fail(Failure())
            return
        if not self.done.called:
            self._transaction = transaction

    def response_received(self, output: ResponseReceived) -> None:
        """A response; provisional ones only tell that the peer is at work."""
        response = output.response
        if response.status < 200:
            self._heard = True
            return
        self._transaction = None
        if response.status == 503:
            self._refusal = response
            wish = self._wish_of(response)
            if wish is not None:
                self._endpoint.connection_manager.restraint.asked(output.transaction.flow, wish)
            self._fail_over(Failure(RequestFailed(response)), wish)
            return
        if self._endpoint.connection_manager.dead_targets:
            self._the_candidates().served()
        if response.status < 300:
            if self._plan.method == "REGISTER":
                hear_flow_timer(output.transaction.flow, response.headers.get("Flow-Timer"))
            self._finish(response)
            return
        self._refused(response)

    def _refused(self, response: Response) -> None:
        """A final response that is no success: the outcome, unless the peer asks for a repetition."""
        delay = self._retry_delay(response)
        if delay is not None:
            self._retry = 0.0
            self._plan.cseq += 1
            self._again_in(self._endpoint.connection_manager.restraint.later(delay))
            return
        self._finish(Failure(RequestFailed(response)))

    def _retry_delay(self, response: Response) -> float | None:
        """How long to wait before the one repetition that the peer asked for (row F8), or None."""
        if self._retry <= 0 or response.status not in RETRY_STATUSES:
            return None
        delay = self._wish_of(response)
        return delay if delay is not None and delay <= self._retry else None

    @staticmethod
    def _wish_of(response: Response) -> float | None:
        """The seconds of Retry-After, as far as they can be read."""
        value = response.headers.get("Retry-After")
        if value is None:
            return None
        digits = value.partition(";")[0].partition("(")[0].strip(" \t")
        return float(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 6 else None

    def _again_in(self, delay: float) -> None:
        """Begin anew in *delay* seconds, unless the request is given up before."""
        again: Deferred[object] = Deferred()
        call = self._endpoint.connection_manager.reactor.callLater(delay, self._try_again)
        again.addErrback(lambda _: call.cancel() if call.active() else None)
        self._step = again

    def _try_again(self) -> None:
        self._step = None
        if not self._finished:
            self._find_flow()

    def transaction_ended(self, output: TransactionTimedOut | TransactionFailed) -> None:
        """There will be no final response."""
        self._transaction = None
        if isinstance(output, TransactionTimedOut):
            words = f"no final response to {self._plan.method} {self._plan.uri} in time"
            self._ended(Failure(OperationTimeout(words)), may_go_on=True)
            return
        if self._may_go_again(output.transaction.flow):
            self._second = True
            self._find_flow()
            return
        reason = output.reason
        if not isinstance(reason, SipError):
            reason = ConnectionFailure(f"the flow was lost: {reason}")
        self._ended(Failure(reason), may_go_on=may_fail_over(reason) and self._is_undelivered(output, reason))

    def _ended(self, failure: Failure, *, may_go_on: bool) -> None:
        """A transaction ended without a final response. Whoever has answered at all is at work, and nobody else is
        asked to do the same."""
        if may_go_on and not self._heard and not self._finished:
            self._fail_over(failure)
        else:
            self._fail(failure)

    def _may_go_again(self, flow: Flow) -> bool:
        """Whether the request goes out a second time, on another flow and with another branch: the one it was written
        to was there before it, has ended, and the peer cannot have read the request or may read it twice.

        One that cannot have been read stays the same request in every other way, so that a peer that is busy with the
        first one after all knows the second for it (section 8.2.2.2). One that may be read twice is another request.
        """
        if self._second or self._heard or not self._written or self._finished:
            return False
        if not isinstance(flow, StreamFlow) or flow.is_ended_by_us:
            return False
        if was_never_read(flow, self._written, self._endpoint.connection_manager.driver.now()):
            return True
        if self._plan.method in IDEMPOTENT:
            self._plan.cseq += 1
            return True
        return False

    def _is_undelivered(self, output: TransactionFailed, reason: SipError) -> bool:
        """Whether another server may have the request though the flow on which it was written is lost: nobody has read
        it, or it may be read twice."""
        flow = output.transaction.flow
        if not isinstance(flow, StreamFlow) or self._plan.method in IDEMPOTENT:
            return True
        # Whoever refuses our certificate has not listened to us.
        return isinstance(reason, TlsFailure) or was_never_read(
            flow, self._written, self._endpoint.connection_manager.driver.now()
        )

    def _too_late(self) -> None:
        self._alarm = None
        self._fail(
            Failure(OperationTimeout(f"{self._plan.method} {self._plan.uri}: no answer within {self._timeout:g} s"))
        )

    def endpoint_terminated(self) -> None:
        """The endpoint goes away before the outcome is known."""
        self._fail(Failure(EndpointTerminated("the endpoint was terminated")))

    def _give_up(self) -> None:
        """The application has cancelled the Deferred (row F9): non-INVITE requests cannot be called back (RFC 3261
        section 9.1)."""
        self._finished = True
        self._clean_up()

    def _fail(self, failure: Failure) -> None:
        self._finish(failure)

    def _finish(self, outcome: Response | Failure) -> None:
        if self._finished:
            return
        self._finished = True
        self._clean_up()
        if isinstance(outcome, Failure):
            self.done.errback(outcome)
        else:
            self.done.callback(outcome)

    def _clean_up(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        # A failure may know a frame of ours, which knows us.
        self._failure = None
        step, self._step = self._step, None
        if step is not None:
            step.addErrback(lambda _: None)
            step.cancel()
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._endpoint.connection_manager.driver.abandon(transaction)
        self._endpoint.outgoing_ended(self)


def _is_refused(error: BaseException | None) -> bool:
    """Whether nobody listens there, as far as a failed connection tells."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__
    return False
