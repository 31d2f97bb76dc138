"""A request that goes over a flow, and what comes back (RFC 3261 sections 8.1.3 and 17.1).

The transaction is begun on the flow that was found. Where its server does not serve (503), does not answer, or was gone
before it could read the request, the next flow gets it with another branch, as the same request in every other way (RFC
3263 section 4.3). Who waits for the answer, and what else is done about one, is said by those who derive from it: a
request that an application sends by itself (:mod:`.outgoing`), and one that belongs to an INVITE or to a dialog
(:mod:`.session.errands`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from twisted.python.failure import Failure

from sip_p2p.endpoint.authentication.login import Login
from sip_p2p.endpoint.failover import may_fail_over
from sip_p2p.endpoint.flow_search import FlowSearch
from sip_p2p.errors import ConnectionFailure, OperationTimeout, RequestFailed, SipError, TlsFailure
from sip_p2p.sip.outputs import TransactionTimedOut
from sip_p2p.sip.privacy import is_anonymous
from sip_p2p.sip.transaction.base import TransactionState
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.liveness import IDEMPOTENT, was_never_read

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.outputs import ResponseReceived, TransactionFailed
    from sip_p2p.sip.transaction.base import ClientTransaction
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target

__all__ = ["WITHOUT_CONTACT", "Delivery", "retry_after"]

WITHOUT_CONTACT = frozenset(("BYE", "CANCEL", "INFO", "MESSAGE", "PRACK", "PUBLISH"))
"""RFC 3428 section 4 forbids a Contact in MESSAGE; the others have no use for one (RFC 3261 Table 2 and its
successors)."""

_TERMINATED = TransactionState.TERMINATED


class Delivery(FlowSearch):
    """A request under way, from the search for a flow to the final response."""

    __slots__ = ("_endpoint", "_heard", "_login", "_second", "_transaction", "_written")

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        plan: RequestPlan,
        target: Target,
        through: IStreamClientEndpoint | None,
        family: AddressFamilyHint,
    ) -> None:
        """
        :param endpoint: whose request it is.
        """
        super().__init__(endpoint.connection_manager, plan, target, through, family)
        self._endpoint = endpoint
        self._second = False
        self._heard = False
        self._written = 0.0
        self._transaction: ClientTransaction | None = None
        # What it answers to challenges; None where its party has nothing to answer with.
        credentials = endpoint.credentials
        self._login = Login(credentials, plan, self._manager) if credentials else None

    def _begin_elsewhere(self, plan: RequestPlan, target: Target, through: IStreamClientEndpoint | None) -> None:
        """Begin anew with another request, for somebody else."""
        self._abandon()
        self._plan = plan
        self._target = target
        self._through = through
        self._large = None
        self._fragmented = self._second = self._heard = False
        if self._login is not None:
            self._login = Login(self._endpoint.credentials, plan, self._manager)
        self._find_flow()

    def _progressed(self, output: ResponseReceived) -> None:
        """A provisional response; by itself it only tells that the peer is at work."""

    def _answered(self, output: ResponseReceived) -> None:
        """The final response, unless it is one that says to ask another server."""
        raise TypeError("Delivery is abstract")

    def _refused_by_all(self, output: ResponseReceived) -> None:
        """A 503, and no other server would serve either."""
        raise TypeError("Delivery is abstract")

    def _has_others(self) -> bool:
        """Whether another server may do what one will not."""
        return True

    def _contact_on(self, flow: LiveFlow) -> str:
        """The Contact of the request, if *flow* carries it."""
        plan = self._plan
        # RFC 5630 section 5.1.1: the first of the route counts as the Request-URI does.
        for_sips = plan.uri[:5].lower() == "sips:" or (bool(plan.routes) and "<sips:" in plan.routes[0].lower())
        return self._endpoint.contact_value(flow, for_sips=for_sips, names_nobody=is_anonymous(plan.from_))

    def _carry(self, flow: LiveFlow) -> None:
        plan = self._plan
        manager = self._manager
        overloaded = manager.restraint.refusal(flow, plan)
        if overloaded is not None:
            self._fail_over(Failure(overloaded), overloaded.retry_after)
            return
        self._written = 0.0
        if isinstance(flow, StreamFlow) and flow.opened < self._began:
            # One that was not made for this request may have been closed by the peer a moment ago.
            self._written = manager.driver.now()
            flow.measure(self._written)
        try:
            if plan.method not in WITHOUT_CONTACT:
                plan.contact = self._contact_on(flow)
            request = plan.build()
            self._endpoint.leaves(request, flow)
            if self._login is not None:
                self._login.sign(request, flow, self._target)
            transaction = manager.driver.request(request, flow, self)
        except Exception:
            self._fail(Failure())
            return
        if not self._finished and transaction.state is not _TERMINATED:
            # Else the flow was found gone when it was written to, and what follows from that has happened.
            self._transaction = transaction

    def response_received(self, output: ResponseReceived) -> None:
        """A response."""
        response = output.response
        self._endpoint.trust_domain.clean(response.headers, cast("LiveFlow", output.transaction.flow))
        if response.status < 200:
            self._heard = True
            self._progressed(output)
            return
        self._transaction = None
        if response.status == 503:
            wish = retry_after(response)
            if wish is not None:
                self._manager.restraint.asked(output.transaction.flow, wish)
            if self._has_others():
                self._refusal = output
                self._fail_over(Failure(RequestFailed(response)), wish)
                return
        if self._manager.dead_targets:
            self._the_candidates().served()
        if response.status in (401, 407) and self._goes_with_answer(output):
            return
        self._answered(output)

    def _goes_with_answer(self, output: ResponseReceived) -> bool:
        """Whether the challenges of a 401 or 407 are answered: the request is on its way once more (section 22)."""
        login, flow = self._login, cast("LiveFlow", output.transaction.flow)
        if login is None or self._finished or not self._may_be_sent_anew():
            return False
        if not login.is_challenged(output.response, flow, self._target) or not self._renumber():
            return False
        # Nobody is at work on it any more.
        self._heard = False
        if flow.is_open and (flow.reliable or not self._is_too_large()):
            # RFC 3263 section 4: with the server that has challenged it.
            self._carry(flow)
        else:
            self._find_flow()
        return True

    def _may_be_sent_anew(self) -> bool:
        """Whether whoever asked for the request still wants it."""
        return True

    def _renumber(self) -> bool:
        """Give the request the CSeq of another one (section 8.1.3.5); False where there is none left."""
        self._plan.cseq += 1
        return True

    def _octets_added(self) -> int:
        added = 0 if self._login is None else self._login.octets
        signer = self._endpoint.passport_signer
        return added if signer is None else added + signer.octets(self._plan.prepare())

    def _exhausted(self, failure: Failure) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            self._refused_by_all(refusal)
        else:
            self._fail(failure)

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
        return was_never_read(flow, self._written, self._manager.driver.now()) or self._may_be_read_twice()

    def _may_be_read_twice(self) -> bool:
        """Whether the request goes out again though the peer may have read it; one that does is another request."""
        if self._plan.method not in IDEMPOTENT or self._plan.dialog is not None:
            return False
        self._plan.cseq += 1
        return True

    def _is_undelivered(self, output: TransactionFailed, reason: SipError) -> bool:
        """Whether another server may have the request though the flow on which it was written is lost: nobody has read
        it, or it may be read twice."""
        flow = output.transaction.flow
        if not isinstance(flow, StreamFlow) or self._plan.method in IDEMPOTENT:
            return True
        # Whoever refuses our certificate has not listened to us.
        return isinstance(reason, TlsFailure) or was_never_read(flow, self._written, self._manager.driver.now())

    def _abandon(self) -> None:
        """Give up the search, and the wait for an answer."""
        self._stop_searching()
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._manager.driver.abandon(transaction)


def retry_after(response: Response) -> float | None:
    """The seconds of Retry-After, as far as they can be read (RFC 3261 section 20.33)."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    digits = value.partition(";")[0].partition("(")[0].strip(" \t")
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 6 else None
