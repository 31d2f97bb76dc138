"""The transaction layer: which transaction a message belongs to, and the verbs of the user agent (RFC 3261 section 17).

Matching is by branch (17.1.3, 17.2.3), by the rules of RFC 2543 where the branch is not unique, and always by who
sent the message: a response counts only if its top Via names us (18.1.2) and it came from where the request went; a
request only finds the transaction of the same party.

What the layer cannot use it counts in :attr:`TransactionLayer.counters` and drops; no message makes it raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded, InvalidOperation, MalformedMessage
from sip_p2p.sip.outputs import AckReceived
from sip_p2p.sip.transaction.base import ClientTransaction, ServerTransaction, TransactionState
from sip_p2p.sip.transaction.finished import LIMIT_OCTETS
from sip_p2p.sip.transaction.invite_client import InviteClientTransaction
from sip_p2p.sip.transaction.invite_server import InviteServerTransaction, whose_invites
from sip_p2p.sip.transaction.key import client_key, finished_client_key, has_cookie, rfc2543_key, sent_by, server_key
from sip_p2p.sip.transaction.non_invite_client import NonInviteClientTransaction
from sip_p2p.sip.transaction.non_invite_server import NonInviteServerTransaction
from sip_p2p.sip.transaction.table import Counters, TransactionTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.outputs import Output
    from sip_p2p.sip.transaction.timers import Timers

__all__ = ["ClientTransaction", "Counters", "InviteServerTransaction", "ServerTransaction", "TransactionLayer"]


@final
class TransactionLayer:
    """Every transaction of one core.

    All times are seconds on one monotonic scale of the caller's choice.

    :ivar timers: the durations.
    :ivar table: where the machines stand; to look at, not to change.
    :ivar counters: totals.
    """

    __slots__ = ("_limit_active", "_limit_answered", "_outputs", "counters", "table", "timers")

    def __init__(
        self,
        outputs: list[Output],
        timers: Timers,
        limits_active: int = 16384,
        limits_finished: int = 1_000_000,
        limits_answered: int = 65536,
        limits_octets: int = LIMIT_OCTETS,
    ) -> None:
        """
        :param outputs: where everything is said; only ever appended to.
        :param limits_active: how many transactions may lack a final response, each way.
        :param limits_finished: how many finished ones may wait for retransmissions; beyond it the oldest is forgotten.
        :param limits_answered: how many INVITEs with a final response may wait for an ACK or another 2xx, each way.
        :param limits_octets: how many octets the finished ones may hold altogether; the same.
        :raises ValueError: when a limit is below 1.
        """
        if limits_active < 1 or limits_finished < 1 or limits_answered < 1 or limits_octets < 1:
            raise ValueError("a limit of transactions must be at least 1")
        self.timers = timers
        self._outputs = outputs
        self.table = TransactionTable(outputs, timers, limits_finished, limits_octets)
        self.counters = self.table.counters
        self._limit_active = limits_active
        self._limit_answered = limits_answered

    # -- what comes from a flow ----------------------------------------------------------------------------------------

    def receive_request(self, request: Request, flow: Flow, now: float) -> ServerTransaction | None:
        """Find the transaction of *request*, or begin it.

        :returns: the new transaction of a request that was not seen before. None for everything that needs no more
            doing: a retransmission, an ACK (which is an output of its own unless its transaction consumed it), and a
            request for which there is no room: see :attr:`is_full` and :meth:`knows`. For BYE and CANCEL there is
            room, since they make some: whoever calls turns away those that end nothing.
        """
        table = self.table
        method = request.method
        try:
            if method == "ACK":
                self._receive_ack(request, flow, now)
                return None
            key = server_key(request, flow, method)
        except MalformedMessage:
            table.counters.requests_malformed += 1
            return None
        live = table.servers.get(key) or table.answered.get(key)
        if live is not None:
            live.receive_again(flow, table, now)
            return None
        finished = table.finished.find_server(key, now)
        if finished is not None:
            # 17.2.2: Completed repeats its final response. 17.2.1: Confirmed is silent.
            table.counters.requests_again += 1
            if finished:
                table.counters.responses_repeated += 1
                table.send(flow, finished)
            return None
        if self.is_full and method not in _ENDS:
            table.counters.requests_refused += 1
            return None
        try:
            transaction = self._new_server(key, request, flow)
        except MalformedMessage:
            table.counters.requests_malformed += 1
            return None
        transaction.start(table, now)
        return transaction

    def _new_server(self, key: str, request: Request, flow: Flow) -> ServerTransaction:
        if request.method != "INVITE":
            return NonInviteServerTransaction(key, request, flow)
        ack_prefix = "" if has_cookie(request.via.branch) else rfc2543_key(request, flow, "ACK", "")
        return InviteServerTransaction(key, request, flow, ack_prefix)

    def _receive_ack(self, ack: Request, flow: Flow, now: float) -> None:
        """17.2.3: an ACK has the branch of its INVITE, unless it acknowledges a 2xx and is the user's."""
        table = self.table
        if has_cookie(ack.via.branch):
            key = server_key(ack, flow, "INVITE")
        else:
            ack_key = server_key(ack, flow, "ACK")
            key = table.ack_keys.get(ack_key, ack_key)
        invite = table.answered.get(key) or table.servers.get(key)
        if isinstance(invite, InviteServerTransaction):
            invite.receive_ack(ack, flow, table, now)
        elif table.finished.find_server(key, now) is not None:
            # 17.2.1: Confirmed absorbs further ACKs.
            table.counters.requests_again += 1
        else:
            self._outputs.append(AckReceived(ack, flow))

    def receive_response(self, response: Response, flow: Flow, now: float) -> bool:
        """Hand *response* to its transaction.

        :returns: False when there is none, or it may not have come by this flow or for us; it was counted and dropped.
        """
        table = self.table
        try:
            via = response.via
            method = response.cseq.method
        except MalformedMessage:
            table.counters.responses_malformed += 1
            return False
        branch = via.branch
        if branch is None:
            table.counters.responses_unmatched += 1
            return False
        key = client_key(branch, method)
        live = table.clients.get(key) or table.accepted.get(key)
        if live is None:
            return self._receive_late(finished_client_key(key, flow, sent_by(via)), response, flow, now)
        # 17.1.3 says nothing about where a response comes from; without this any peer could answer for any other.
        if live.flow is not flow and not live.flow.leads_to_same_peer(flow):
            table.counters.responses_forged += 1
            return False
        # 18.1.2: a response whose top Via names somebody else was never for us.
        if sent_by(via) != live.sent_by:
            table.counters.responses_misdirected += 1
            return False
        live.receive(response, table, now)
        return True

    def _receive_late(self, key: str, response: Response, flow: Flow, now: float) -> bool:
        """A response for a transaction that is only a record, if it is for any."""
        table = self.table
        octets = table.finished.find_client(key, now)
        if octets is None or flow.reliable:
            table.counters.responses_unmatched += 1
            return False
        if response.status < 200:
            # 17.1.1.2, 17.1.2.2: Completed has no use for a provisional response.
            table.counters.responses_unexpected += 1
            return True
        table.counters.responses_again += 1
        if octets and response.status >= 300:
            # 17.1.1.2: an INVITE's final response is acknowledged each time it comes.
            table.counters.requests_repeated += 1
            table.send(flow, octets)
        return True

    def flow_failed(self, flow: Flow, reason: BaseException, now: float) -> None:
        """*flow* is lost: every transaction on it ends now, and its user is told (17.1.4, 17.2.4).

        May come while outputs are being written, and any number of times for one flow.
        """
        table = self.table
        living = table.flows.pop(flow, None)
        if living is None:
            return
        table.counters.flow_failures += len(living)
        for transaction in living:
            transaction.flow_failed(reason, table)

    def requests_failed(self, flow: Flow, reason: BaseException) -> None:
        """What was sent on *flow* did not arrive: our requests on it end, and their users are told (17.1.4).

        What a peer has asked stays as it is (17.2.4 as RFC 6026 section 8.8 has it): it may be asked again.
        """
        table = self.table
        for living in tuple(table.flows.get(flow, ())):
            if isinstance(living, ClientTransaction):
                table.counters.flow_failures += 1
                living.flow_failed(reason, table)

    # -- what comes from the user --------------------------------------------------------------------------------------

    def request(self, request: Request, flow: Flow, now: float) -> ClientTransaction:
        """Send *request*, whose top Via stands already, and begin its transaction.

        :raises ValueError: when it lacks a field that it is matched by, or cannot be written.
        :raises InvalidOperation: for an ACK, which has no transaction; for a branch that is in use; and, to be tried
            again later, when too many requests wait for their responses.
        """
        method = request.method
        if method == "ACK":
            raise InvalidOperation("an ACK is not a transaction: it is sent as it is")
        if self.is_client_full and method != "CANCEL":
            # 9.1: a CANCEL makes room, and there is one for each INVITE at most.
            self.counters.requests_unsent += 1
            raise InvalidOperation("too many requests wait for a response", retryable=True)
        try:
            via = request.via
            branch = via.branch
            if branch is None:
                raise ValueError("the top Via of a request must have a branch")
            key = client_key(branch, method)
            table = self.table
            if key in table.clients or key in table.accepted:
                raise InvalidOperation(f"the branch {branch!r} belongs to another {method}")
            octets = request.serialise()
            transaction: ClientTransaction
            if method == "INVITE":
                transaction = InviteClientTransaction(key, request, flow, sent_by(via))
            else:
                transaction = NonInviteClientTransaction(key, request, flow, sent_by(via))
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        transaction.start(octets, table, now)
        return transaction

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Answer *transaction*.

        :raises AlreadyResponded: after its final response, and when it has ended without one.
        :raises InvalidOperation: for a response that RFC 4320 forbids.
        :raises ValueError: when *response* cannot be written.
        """
        if transaction.state is TransactionState.TERMINATED:
            raise AlreadyResponded(f"this {transaction.method} is over")
        transaction.respond(response, self.table, now)

    def abandon(self, transaction: ClientTransaction, now: float) -> None:
        """Nobody wants to know what becomes of *transaction*: no more outputs name it, and its :attr:`user` is let go.

        Nothing is sent to the peer. A response that still comes is absorbed; see
        :meth:`~sip_p2p.sip.transaction.invite_client.InviteClientTransaction.abandon` for what that means for an
        INVITE.
        """
        table = self.table
        live = table.clients.get(transaction.key) or table.accepted.get(transaction.key)
        if live is transaction and not transaction.is_abandoned:
            transaction.abandon(table, now)

    # -- what the user asks --------------------------------------------------------------------------------------------

    def find_invite(self, request: Request, flow: Flow) -> InviteServerTransaction | None:
        """The INVITE that *request*, a CANCEL that came by *flow*, wants to cancel (9.2).

        :returns: None also for an INVITE whose final response has been acknowledged.
        :raises MalformedMessage: when *request* lacks a field that it is matched by.
        """
        key = server_key(request, flow, "INVITE")
        invite = self.table.servers.get(key) or self.table.answered.get(key)
        return invite if isinstance(invite, InviteServerTransaction) else None

    def knows(self, request: Request, flow: Flow, now: float) -> bool:
        """Whether *request*, if it came by *flow*, is an ACK or would be absorbed: it needs room for neither.

        :raises MalformedMessage: when *request* lacks a field that it is matched by.
        """
        method = request.method
        if method == "ACK":
            return True
        return self.knows_as(request, flow, (method,), now)

    def knows_as(self, request: Request, flow: Flow, methods: Iterable[str], now: float) -> bool:
        """Whether there is a request of one of *methods* that *request*, if it came by *flow*, would be matched with.

        :raises MalformedMessage: when *request* lacks a field that it is matched by.
        """
        table = self.table
        for method in methods:
            key = server_key(request, flow, method)
            if key in table.servers or key in table.answered or table.finished.find_server(key, now) is not None:
                return True
        return False

    def is_busy(self, flow: Flow) -> bool:
        """Whether a transaction lives on *flow*, so that it is not to be closed for idleness."""
        return flow in self.table.flows

    def bound(self, active: int, answered: int, finished: int, octets: int) -> None:
        """Let other limits hold from now on; what is there already stays. They are named as in the constructor."""
        self._limit_active = active
        self._limit_answered = answered
        self.table.finished.limit = finished
        self.table.finished.limit_octets = octets

    def asks(self, flow: Flow) -> bool:
        """Whether a request of ours waits for its response on *flow*."""
        return any(isinstance(living, ClientTransaction) for living in self.table.flows.get(flow, ()))

    def answers(self, flow: Flow) -> bool:
        """Whether a peer's request, or an INVITE whose answer it may not have, lives on *flow*."""
        return any(isinstance(living, ServerTransaction) for living in self.table.flows.get(flow, ()))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another request from a peer: to be answered 503 without a transaction."""
        table = self.table
        return len(table.servers) >= self._limit_active or len(table.answered) >= self._limit_answered

    def has_too_many_invites(self, flow: Flow) -> bool:
        """Whether a further INVITE by *flow* is to be refused, since half of the room is taken by those of its sender
        that nobody has answered yet: they may ring for minutes, and others want to call, too."""
        waiting = self.table.inviting
        return bool(waiting) and waiting.get(whose_invites(flow), 0) > self._limit_active // 2

    @property
    def is_full_of_dialogs(self) -> bool:
        """Whether that is because too many answered INVITEs wait for their ACK."""
        return len(self.table.answered) >= self._limit_answered

    @property
    def is_client_full(self) -> bool:
        """Whether there is no room for another request of ours."""
        table = self.table
        return len(table.clients) >= self._limit_active or len(table.accepted) >= self._limit_answered

    # -- time ----------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Let everything that is due by *now* happen, in the order of the deadlines.

        A timer that repeats is started again from *now*: however late the call is, each message is retransmitted once.
        """
        table = self.table
        queue = table.queue
        for deadline, line, transaction in queue.due(now):
            if queue.take(line, transaction, deadline):
                transaction.timer_fired(line.name, table, now)
        table.finished.sweep(now)

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` has something to do; None while nothing waits."""
        table = self.table
        deadline = min(table.queue.next_deadline(), table.finished.next_deadline())
        return None if deadline == _NEVER else deadline

    def inventory(self) -> dict[str, int]:
        """How much there is of everything that must go away again: for metrics, and for tests that look for leaks."""
        table = self.table
        return {
            "clients": len(table.clients) + len(table.accepted),
            "servers": len(table.servers) + len(table.answered),
            "finished": len(table.finished),
            "timers": len(table.queue),
            "flows": len(table.flows),
            "ack_keys": len(table.ack_keys),
        }


_NEVER = float("inf")
_ENDS = ("BYE", "CANCEL")
