"""Who is told what comes out of the core: requests go to the party that they are for, outcomes to whoever asked.

The driver's transaction user (RFC 3261 section 5) of one connection manager. What a peer may not ask is refused here,
before any application sees it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast, final

from sip_p2p.endpoint.delivery import Delivery
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.identity.admission import admit
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.transfer import referrals
from sip_p2p.sip.event.usage import EventEffect
from sip_p2p.sip.transaction.base import TransactionState
from sip_p2p.transport.flow import PAUSED_FOR_ANSWERS
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.throttle import ThrottledLog

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.replacing import Replacement
    from sip_p2p.sip.dialog.effects import InviteEffect
    from sip_p2p.sip.outputs import (
        AckReceived,
        RequestAbandoned,
        RequestReceived,
        ResponseReceived,
        TransactionFailed,
        TransactionTimedOut,
    )
    from sip_p2p.sip.transaction.base import ServerTransaction
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Dispatch"]

_FAR_TOO_MANY = 4


@final
class Dispatch:
    """The transaction user of one connection manager.

    :ivar heard: told of each request before an application is asked, with the session that it belongs to; those that
        make a session, or change one, are the session's to tell.
    :ivar waiting_answers: the requests that an application has been given and has not answered.
    """

    __slots__ = ("_failures_log", "_manager", "_parties", "_peers_log", "heard", "waiting_answers")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self.heard: Event[tuple[IncomingRequest, SignalingSession | None]] = Event()
        self.waiting_answers: dict[ServerTransaction, IncomingRequest] = {}
        self._parties: dict[ServerTransaction, RealTimeEndpoint] = {}
        self._peers_log: ThrottledLog | None = None
        self._failures_log: ThrottledLog | None = None

    @property
    def _log(self) -> ThrottledLog:
        log = self._peers_log
        if log is None:
            driver = self._manager.driver
            log = self._peers_log = ThrottledLog("sip_p2p.endpoint.dispatch", driver.now, driver.log_bounds)
        return log

    def handler_failed(self, method: str, failure: Failure) -> None:
        """A handler of the application raised, as it may do for every request that comes."""
        log = self._failures_log
        if log is None:
            driver = self._manager.driver
            log = self._failures_log = ThrottledLog("sip_p2p.endpoint.incoming", driver.now, driver.log_bounds)
        log.failure("a handler of {method} failed", failure, method=method[:32])

    def request_received(self, output: RequestReceived) -> None:
        """Hand a request to the party that it is for."""
        manager = self._manager
        incoming = IncomingRequest(manager, output)
        transaction = output.transaction
        if transaction.is_final_sent or transaction.state is TransactionState.TERMINATED:
            # It came in one delivery with its own CANCEL, or with the end of its flow: there is nothing left to ask.
            return
        flow = cast("LiveFlow", output.flow)
        if not flow.may_request:
            why = "allow= does not list it" if flow.peer else "it is clear text, and nobody listens for that"
            self._log.warn("{flow} may not send us a {method}: {why}", flow=flow, method=incoming.method[:32], why=why)
            incoming.respond(403)
            return
        if flow.unanswered and incoming.method != "INVITE" and self.has_too_many(flow):
            manager.keeper.limit_hit("pending_requests")
            incoming.respond(503, headers=(("Retry-After", str(random.randint(2, 8))),))
            return
        flow.presents(output.request.via)
        endpoint = cast("RealTimeEndpoint", output.profile.user)
        endpoint.trust_domain.clean(output.request.headers, flow)
        if admit(self, incoming, endpoint, output):
            self.give(incoming, endpoint, output)

    def give(self, incoming: IncomingRequest, endpoint: RealTimeEndpoint, output: RequestReceived) -> None:
        """Give a request that may be given to its party."""
        if incoming.method == "INVITE" and endpoint.takes_sessions:
            self._manager.sessions.received(output, endpoint, incoming.passport)
            return
        if self.heard:
            self.heard.tell((incoming, None))
        if incoming.method == "REFER" and endpoint.takes_referrals:
            referrals.received(incoming, endpoint)
            return
        endpoint.request_received(incoming)
        if not incoming.is_answered:
            self.wait_for(incoming, endpoint)

    def replacement_refused(self, replacement: Replacement) -> None:
        """Somebody who may not wanted to take the place of a session, or to be added to it."""
        self._log.warn(
            "{peer} may not {what} {session}: replaces_policy does not allow it",
            peer=replacement.peer,
            what="join" if replacement.is_join else "replace",
            session=replacement.session,
        )

    def wait_for(self, incoming: IncomingRequest, endpoint: RealTimeEndpoint) -> None:
        """An application has been given a request, and takes its time."""
        self.waiting_answers[incoming.transaction] = incoming
        self._parties[incoming.transaction] = endpoint
        self._owe(incoming.flow, incoming.method, 1)

    def waits_no_more(self, incoming: IncomingRequest) -> None:
        """What a request waited for is there, and its answer is not."""
        if self.waiting_answers.pop(incoming.transaction, None) is not None:
            self._parties.pop(incoming.transaction, None)
            self._owe(incoming.flow, incoming.method, -1)

    def invite_effect(self, effect: InviteEffect | EventEffect) -> None:
        """What a dialog, an INVITE or a subscription wants, or has to tell."""
        if isinstance(effect, EventEffect):
            self._manager.lives.effect(effect)
        else:
            self._manager.sessions.effect(effect)

    def request_answered(self, incoming: IncomingRequest) -> None:
        """A request that had to wait has its final answer."""
        if self.waiting_answers and self.waiting_answers.pop(incoming.transaction, None) is not None:
            self._parties.pop(incoming.transaction, None)
            self._owe(incoming.flow, incoming.transaction.method, -1)
            self._manager.drain_state.maybe_quiet()

    def request_abandoned(self, output: RequestAbandoned) -> None:
        """Nobody waits for this answer any more."""
        incoming = self.waiting_answers.get(output.transaction)
        if incoming is None:
            self._manager.sessions.abandoned(output)
            self._manager.drain_state.maybe_quiet()
            return
        self._log.info("{incoming} goes unanswered: {reason}", incoming=incoming, reason=output.reason)
        self.forget(incoming)

    def forget(self, incoming: IncomingRequest) -> None:
        """Nobody waits for the answer of *incoming* any more; nothing happens when it had one."""
        if self.waiting_answers.pop(incoming.transaction, None) is not None:
            self._parties.pop(incoming.transaction, None)
            self._owe(incoming.flow, incoming.transaction.method, -1)
            incoming.abandoned()
        self._manager.drain_state.maybe_quiet()

    def owes(self, endpoint: RealTimeEndpoint) -> bool:
        """Whether *endpoint* has been given a request and has not answered it."""
        return endpoint in self._parties.values()

    def _owe(self, flow: LiveFlow, method: str, answers: int) -> None:
        """So many answers more are owed on *flow*: over the mark nothing more is read from it until half are given.

        An INVITE may ring for minutes, and its CANCEL must be heard: it counts for nothing here. A connection on which
        we wait for answers ourselves is read all the same.
        """
        if method == "INVITE" or not isinstance(flow, StreamFlow):
            return
        flow.unanswered += answers
        mark = flow.limits.pending_requests
        if answers < 0:
            if flow.is_throttled and flow.unanswered <= mark // 2:
                flow.resume_reading(PAUSED_FOR_ANSWERS)
        elif flow.unanswered > mark and flow.is_open and not self._manager.core.layer.asks(flow):
            self._manager.keeper.limit_hit("pending_requests")
            flow.pause_reading(PAUSED_FOR_ANSWERS)

    def has_too_many(self, flow: LiveFlow, in_dialog: int = 0) -> bool:
        """Whether a peer from whom we cannot cease to read has far too many requests waiting.

        :param in_dialog: how many wait in the dialog of the next one, on whatever flows they came.
        """
        most = _FAR_TOO_MANY * self._manager.limits.pending_requests
        return in_dialog >= most or (isinstance(flow, StreamFlow) and flow.unanswered >= most)

    def ack_received(self, output: AckReceived) -> None:
        """An ACK for a 2xx of ours; outside of any dialog there is nothing that it could acknowledge."""
        if not self._manager.sessions.ack_received(output):
            self._log.info("an ACK for nothing from {flow}", flow=output.flow)

    def response_received(self, output: ResponseReceived) -> None:
        """Hand a response to whoever asked."""
        transaction = output.transaction
        user = transaction.user
        if isinstance(user, Delivery):
            user.response_received(output)
            status = output.response.status
            if status >= 300 or (status >= 200 and transaction.method != "INVITE"):
                # There is nothing more to tell, and whoever asked may know the transaction.
                transaction.user = None

    def transaction_ended(self, output: TransactionTimedOut | TransactionFailed) -> None:
        """Tell whoever asked that there will be no answer."""
        user, output.transaction.user = output.transaction.user, None
        if isinstance(user, Delivery):
            user.transaction_ended(output)
