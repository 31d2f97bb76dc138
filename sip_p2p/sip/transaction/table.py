"""The live transactions, the flows that they live on, and what they all share: timers, records, outputs, totals.

A machine that ends takes itself out of every place it stands in, here and in the queue of timers: nothing finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.outputs import SendMessage
from sip_p2p.sip.transaction.finished import FinishedTransactions
from sip_p2p.sip.transaction.timers import TimerQueue

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.outputs import Output
    from sip_p2p.sip.transaction.base import ClientTransaction, ServerTransaction, Transaction
    from sip_p2p.sip.transaction.invite_server import InviteServerTransaction
    from sip_p2p.sip.transaction.timers import Timers

__all__ = ["Counters", "TransactionTable"]


@final
class Counters:
    """Totals since the layer was made.

    :ivar requests_again: requests and ACKs that were absorbed as retransmissions.
    :ivar responses_again: final responses that were absorbed as retransmissions.
    :ivar requests_repeated: requests and ACKs of ours that were sent again.
    :ivar responses_repeated: responses of ours that were sent again.
    :ivar requests_malformed: requests that lack what they would be matched by.
    :ivar requests_refused: requests for which there was no room.
    :ivar requests_unsent: requests of ours for which there was no room.
    :ivar responses_malformed: responses that lack what they would be matched by.
    :ivar responses_unmatched: responses to nothing that we asked.
    :ivar responses_misdirected: responses whose top Via names another host (18.1.2).
    :ivar responses_forged: responses from a flow that may not speak for the party that was asked.
    :ivar responses_unexpected: responses that their transaction cannot use in its state.
    :ivar responses_unwanted: responses to a request that its user had abandoned.
    :ivar acks_unexpected: ACKs for an INVITE that has no final response.
    :ivar acks_missing: final responses to an INVITE that were never acknowledged (timer H).
    :ivar timeouts: requests of ours without a final response (timers B and F).
    :ivar unanswered: requests of a peer that our user never answered.
    :ivar flow_failures: transactions that ended because their flow was lost.
    """

    __slots__ = (
        "acks_missing",
        "acks_unexpected",
        "flow_failures",
        "requests_again",
        "requests_malformed",
        "requests_refused",
        "requests_repeated",
        "requests_unsent",
        "responses_again",
        "responses_forged",
        "responses_malformed",
        "responses_misdirected",
        "responses_repeated",
        "responses_unexpected",
        "responses_unmatched",
        "responses_unwanted",
        "timeouts",
        "unanswered",
    )

    def __init__(self) -> None:
        self.acks_missing = 0
        self.acks_unexpected = 0
        self.flow_failures = 0
        self.requests_again = 0
        self.requests_malformed = 0
        self.requests_refused = 0
        self.requests_repeated = 0
        self.requests_unsent = 0
        self.responses_again = 0
        self.responses_forged = 0
        self.responses_malformed = 0
        self.responses_misdirected = 0
        self.responses_repeated = 0
        self.responses_unexpected = 0
        self.responses_unmatched = 0
        self.responses_unwanted = 0
        self.timeouts = 0
        self.unanswered = 0


@final
class TransactionTable:
    """Where the machines stand.

    :ivar clients: our requests without a final response.
    :ivar accepted: our INVITEs that were answered with a 2xx, which more may follow.
    :ivar servers: requests that our user has not answered.
    :ivar inviting: how many of them are INVITEs, by whose they are.
    :ivar answered: INVITEs that our user has answered, and whose ACK, or another, may come.
    :ivar ack_keys: the key of an INVITE by the RFC 2543 key of its ACK.
    :ivar flows: the transactions of each flow, in the order of their beginning; no flow without one.
    :ivar outputs: where everything is said.
    """

    __slots__ = (
        "accepted",
        "ack_keys",
        "answered",
        "clients",
        "counters",
        "finished",
        "flows",
        "inviting",
        "outputs",
        "queue",
        "servers",
    )

    def __init__(self, outputs: list[Output], timers: Timers, limit_finished: int, limit_octets: int) -> None:
        self.outputs = outputs
        self.queue = TimerQueue(timers)
        self.finished = FinishedTransactions(timers, limit_finished, limit_octets)
        self.counters = Counters()
        self.clients: dict[str, ClientTransaction] = {}
        self.accepted: dict[str, ClientTransaction] = {}
        self.servers: dict[str, ServerTransaction] = {}
        self.inviting: dict[str, int] = {}
        self.answered: dict[str, InviteServerTransaction] = {}
        self.ack_keys: dict[str, str] = {}
        self.flows: dict[Flow, dict[Transaction, None]] = {}

    def send(self, flow: Flow, octets: bytes) -> None:
        """Have *octets* written to *flow*."""
        self.outputs.append(SendMessage(flow, octets))

    def invited(self, whose: str) -> None:
        """An INVITE of theirs waits for our user, who may take minutes."""
        self.inviting[whose] = self.inviting.get(whose, 0) + 1

    def not_inviting(self, whose: str) -> None:
        """One of theirs has its answer, or wants none any more."""
        left = self.inviting.pop(whose) - 1
        if left:
            self.inviting[whose] = left

    def bind(self, transaction: Transaction) -> None:
        """Enter *transaction* under its flow."""
        flow = transaction.flow
        living = self.flows.get(flow)
        if living is None:
            self.flows[flow] = {transaction: None}
        else:
            living[transaction] = None

    def unbind(self, transaction: Transaction) -> None:
        """Take *transaction* from its flow; a lost flow has gone before its transactions."""
        flow = transaction.flow
        living = self.flows.get(flow)
        if living is not None:
            living.pop(transaction, None)
            if not living:
                del self.flows[flow]
