"""A peer's INVITE (RFC 3261 section 17.2.1, with RFC 6026 section 7.1).

::

    Proceeding --2xx------> Accepted  --L--------> Terminated
        |      --3xx-6xx--> Completed --ACK------> Confirmed --I--> Terminated
        |                       +-----H, flow lost---------------> Terminated
        +------flow lost-----------------------------------------> Terminated

100 goes out after 200 ms of the user's silence. Responses of 300 and above are retransmitted here (timer G,
unreliable transports only); a 2xx is the user's to retransmit, by giving it again, until the ACK comes or 64*T1 have
passed (13.3.1.4). Confirmed is a record of :mod:`~sip_p2p.sip.transaction.finished` that absorbs further ACKs; over a
reliable transport I is zero.

When the user has to answer is its own decision: nothing here ends Proceeding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded, MalformedMessage
from sip_p2p.sip.outputs import AckReceived, RequestAbandoned
from sip_p2p.sip.transaction.base import ServerTransaction, TransactionState
from sip_p2p.sip.transaction.timers import TimerName

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.transaction.table import TransactionTable

__all__ = ["InviteServerTransaction", "whose_invites"]

_PROCEEDING = TransactionState.PROCEEDING
_ACCEPTED = TransactionState.ACCEPTED
_COMPLETED = TransactionState.COMPLETED
_CONFIRMED = TransactionState.CONFIRMED
_TERMINATED = TransactionState.TERMINATED


@final
class InviteServerTransaction(ServerTransaction):
    """Figure 7 as RFC 6026 section 8.6 redraws it."""

    __slots__ = ("_ack_key", "_ack_prefix", "_interval", "_octets", "_whose")

    def __init__(self, key: str, request: Request, flow: Flow, ack_prefix: str) -> None:
        """
        :param ack_prefix: the RFC 2543 key of its ACK but for the To tag; empty where the branch leads the ACK here.
        """
        super().__init__(key, request, flow, _PROCEEDING)
        self._octets = b""
        self._interval = 0
        self._whose = whose_invites(flow)
        self._ack_prefix = ack_prefix
        self._ack_key = ""

    def start(self, table: TransactionTable, now: float) -> None:
        """17.2.1: the user has 200 ms before a 100 goes out in its place."""
        table.servers[self.key] = self
        table.invited(self._whose)
        table.bind(self)
        table.queue.start(table.queue.provisional, self, now)

    def receive_again(self, flow: Flow, table: TransactionTable, now: float) -> None:
        """The INVITE, retransmitted. In Confirmed it does not come here: the record absorbs it."""
        table.counters.requests_again += 1
        if self.state is _ACCEPTED:
            # RFC 6026 section 7.1: absorbed; the user retransmits its 2xx by itself.
            return
        if self._octets:
            # 17.2.1: Proceeding repeats the last provisional response, if there is one, and Completed the final one.
            table.counters.responses_repeated += 1
            table.send(flow, self._octets)

    def receive_ack(self, ack: Request, flow: Flow, table: TransactionTable, now: float) -> None:
        """An ACK that names this transaction. In Confirmed it does not come here: the record absorbs it."""
        if self.state is _COMPLETED:
            # 17.2.1: the response has arrived; the ACK goes no further.
            self._leave(table)
            if self.flow.reliable:
                # I is zero: no further ACK is to be expected.
                self.state = _TERMINATED
                return
            self.state = _CONFIRMED
            finished = table.finished
            finished.add(finished.i, self.key, b"", now)
            if self._ack_key:
                finished.add(finished.i, self._ack_key, b"", now)
        elif self.state is _ACCEPTED:
            # RFC 6026 section 7.1: an ACK in Accepted is the user's.
            table.outputs.append(AckReceived(ack, flow))
        else:
            # Figure 7 has no ACK in Proceeding: there is nothing to acknowledge.
            table.counters.acks_unexpected += 1

    def respond(self, response: Response, table: TransactionTable, now: float) -> None:
        """The user's response.

        :raises AlreadyResponded: after the final response, but for a 2xx again after a 2xx, and in Terminated.
        :raises ValueError: when the response cannot be written.
        """
        status = response.status
        if self.state is _ACCEPTED and 200 <= status < 300:
            # RFC 6026 section 7.1: the user retransmits its 2xx, or another fork's arrives at a proxy.
            table.send(self.flow, response.serialise())
            return
        if self.state is not _PROCEEDING:
            raise AlreadyResponded("this INVITE can have no further response")
        octets = response.serialise()
        table.queue.cancel(table.queue.provisional, self)
        table.send(self.flow, octets)
        if status < 200:
            # 17.2.1: any number of provisional responses; a retransmitted INVITE is given the last of them.
            self._octets = octets
        elif status < 300:
            # RFC 6026 section 7.1: a 2xx moves Proceeding to Accepted, and is not kept.
            self._become_answered(table)
            self.state = _ACCEPTED
            self._octets = b""
            # Accepted lasts for 64*T1, however short the call is: only what another 2xx needs is kept.
            self.request = self.echo.shorten(self.request)
            table.queue.start(table.queue.l, self, now)
        else:
            self._complete(response, octets, table, now)

    def _complete(self, response: Response, octets: bytes, table: TransactionTable, now: float) -> None:
        # 17.2.1: 300 to 699 moves Proceeding to Completed, where H waits for the ACK and G retransmits meanwhile.
        self._become_answered(table)
        self.state = _COMPLETED
        self._octets = octets
        table.queue.start(table.queue.h, self, now)
        if not self.flow.reliable:
            table.queue.start(table.queue.g[0], self, now)
        if self._ack_prefix:
            # 17.2.3: without a unique branch the ACK is known by the To tag of this response.
            self._ack_key = self._ack_prefix + _to_tag(response)
            table.ack_keys[self._ack_key] = self.key

    def timer_fired(self, name: TimerName, table: TransactionTable, now: float) -> None:
        """PROVISIONAL, G, H or L."""
        if name is TimerName.PROVISIONAL:
            # 17.2.1: the user has said nothing, and the caller must not go on retransmitting.
            self._octets = self.trying().serialise()
            table.send(self.flow, self._octets)
        elif name is TimerName.G:
            self._timer_g(table, now)
        else:
            # 17.2.1: H, and the ACK never came. RFC 6026 section 7.1: L, and nothing more is to be expected.
            if name is TimerName.H:
                table.counters.acks_missing += 1
            self._leave(table)
            self.state = _TERMINATED

    def _timer_g(self, table: TransactionTable, now: float) -> None:
        # 17.2.1: the interval doubles until it is T2.
        queue = table.queue
        self._interval = min(self._interval + 1, len(queue.g) - 1)
        queue.start(queue.g[self._interval], self, now)
        table.counters.responses_repeated += 1
        table.send(self.flow, self._octets)

    def flow_failed(self, reason: BaseException, table: TransactionTable) -> None:
        """17.2.4: no response can leave any more; the user is told if it had not given its own.

        RFC 6026 section 8.8 keeps the state where a response was not delivered, for the copies of the request that may
        follow. Here they have no way to come by; what a datagram meets is for
        :meth:`~sip_p2p.sip.transaction.layer.TransactionLayer.requests_failed`.
        """
        is_unanswered = self.state is _PROCEEDING
        self._leave(table)
        self.state = _TERMINATED
        if is_unanswered:
            table.outputs.append(RequestAbandoned(self, f"its flow was lost: {reason}"))

    def _become_answered(self, table: TransactionTable) -> None:
        self.is_final_sent = True
        del table.servers[self.key]
        table.not_inviting(self._whose)
        table.answered[self.key] = self

    def _leave(self, table: TransactionTable) -> None:
        queue = table.queue
        if self.state is _PROCEEDING:
            del table.servers[self.key]
            table.not_inviting(self._whose)
            queue.cancel(queue.provisional, self)
        else:
            del table.answered[self.key]
            if self.state is _COMPLETED:
                queue.cancel(queue.h, self)
                if not self.flow.reliable:
                    queue.cancel(queue.g[self._interval], self)
                table.ack_keys.pop(self._ack_key, None)
            else:
                queue.cancel(queue.l, self)
        table.unbind(self)
        self._octets = b""


def whose_invites(flow: Flow) -> str:
    """Who may be the sender of what comes by *flow*: a verified party, or the address of a connection. Datagrams can
    bear any address, and count as one sender's."""
    return flow.peer or (flow.remote_host if flow.reliable else "")


def _to_tag(response: Response) -> str:
    """The To tag that the ACK will bear, empty where the response has none."""
    try:
        return response.to.tag or ""
    except MalformedMessage:
        return ""
