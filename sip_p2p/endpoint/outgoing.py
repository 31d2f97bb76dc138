"""One request of an application, from the call to its outcome (RFC 3261 sections 8.1.2 to 8.1.3).

Its target is worked out, a flow is found or made, the transaction runs, and the ``Deferred`` fires once: with the final
response below 300, or with one of the exceptions of :mod:`sip_p2p.errors`. A repetition that the peer asks for happens
once. Cancelling it at any point gives up what is under way; a response that comes later is absorbed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.authentication.login import refusal_of
from sip_p2p.endpoint.delivery import Delivery, retry_after
from sip_p2p.endpoint.elsewhere import Elsewhere
from sip_p2p.errors import (
    AuthenticationFailed,
    ConnectionFailure,
    EndpointTerminated,
    OperationTimeout,
    PeerOverloaded,
    RequestFailed,
)
from sip_p2p.transport.keep_alive import hear_flow_timer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.outputs import ResponseReceived
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.target import Target

__all__ = ["Outgoing"]

RETRY_STATUSES = frozenset((413, 480, 486, 500, 503, 600, 603))
"""The responses in which Retry-After may stand (RFC 3261 section 20.33)."""


@final
class Outgoing(Delivery):
    """A request under way that an application sent by itself.

    :ivar done: fires with the outcome.
    """

    __slots__ = ("_alarm", "_elsewhere", "_retry", "_timeout", "done")

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        plan: RequestPlan,
        target: Target,
        through: IStreamClientEndpoint | None,
        timeout: float | None,
        retry_cap: float,
        family: AddressFamilyHint,
        redirects: int = 0,
    ) -> None:
        """
        :param through: the Twisted client endpoint to connect with; None leaves it to the target's name.
        :param timeout: how long all of it may take, in seconds; None leaves it to the transaction's own timer.
        :param retry_cap: the longest Retry-After that is waited for, once; 0 for none.
        :param family: which addresses may be used, and which come first.
        :param redirects: how many redirections may follow one another.
        """
        super().__init__(endpoint, plan, target, through, family)
        self._retry = retry_cap
        self._elsewhere = Elsewhere(endpoint, plan, redirects) if redirects else None
        self._timeout = timeout
        self._alarm: IDelayedCall | None = None
        self.done: Deferred[Response] = Deferred(lambda _: self._give_up())

    def start(self) -> None:
        """Begin."""
        if self._timeout is not None:
            self._alarm = self._manager.reactor.callLater(self._timeout, self._too_late)
        self._find_flow()

    def _answered(self, output: ResponseReceived) -> None:
        response = output.response
        if response.status < 300:
            wrong = "" if self._login is None else self._login.hear_success(response)
            if wrong:
                self._finish(Failure(AuthenticationFailed(response, self._login.realm if self._login else "", wrong)))
                return
            if self._plan.method == "REGISTER":
                hear_flow_timer(output.transaction.flow, response.headers.get("Flow-Timer"))
            self._finish(response)
            return
        self._refused_by_all(output)

    def _refused_by_all(self, output: ResponseReceived) -> None:
        """A final response that is no success: the outcome, unless the peer asks for a repetition, or redirects."""
        response = output.response
        if self._elsewhere is not None:
            self._elsewhere.hear(response, output.transaction.flow)
        delay = self._retry_delay(response)
        if delay is not None:
            self._retry = 0.0
            self._plan.cseq += 1
            self._again_in(self._manager.restraint.later(delay))
            return
        if self._goes_elsewhere():
            return
        self._finish(Failure(refusal_of(response, self._login) or RequestFailed(response)))

    def _retry_delay(self, response: Response) -> float | None:
        """How long to wait before the one repetition that the peer asked for (row F8), or None."""
        if self._retry <= 0 or response.status not in RETRY_STATUSES:
            return None
        delay = retry_after(response)
        return delay if delay is not None and delay <= self._retry else None

    def _exhausted(self, failure: Failure) -> None:
        if self._refusal is None and isinstance(failure.value, PeerOverloaded):
            delay = failure.value.retry_after
            if 0 < delay <= self._retry:
                # It was not sent: the one repetition is still to come.
                self._failure = None
                self._again_in(self._manager.restraint.later(delay))
                return
        super()._exhausted(failure)

    def _too_late(self) -> None:
        self._alarm = None
        words = f"{self._plan.method} {self._plan.uri}: no answer within {self._timeout:g} s"
        self._finish(Failure(OperationTimeout(words)))

    def endpoint_terminated(self) -> None:
        """The endpoint goes away before the outcome is known."""
        self._fail(Failure(EndpointTerminated("the endpoint was terminated")))

    def _give_up(self) -> None:
        """The application has cancelled the Deferred (row F9): non-INVITE requests cannot be called back (RFC 3261
        section 9.1)."""
        self._finished = True
        self._clean_up()

    def _fail(self, failure: Failure) -> None:
        # 8.1.3.4: a target that cannot be had, or does not answer, is followed by the next one.
        if failure.check(ConnectionFailure, OperationTimeout) is None or not self._goes_elsewhere():
            self._finish(failure)

    def _goes_elsewhere(self) -> bool:
        """8.1.3.4: whether the request is on its way to the next target that redirections have named."""
        elsewhere = self._elsewhere
        hop = None if elsewhere is None or self._finished else elsewhere.next()
        if elsewhere is None or hop is None:
            return False
        self._begin_elsewhere(elsewhere.plan, *hop)
        return True

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
        self._abandon()
        self._endpoint.outgoing_ended(self)
