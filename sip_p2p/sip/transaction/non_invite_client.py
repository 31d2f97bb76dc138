"""A request of ours that is not an INVITE (RFC 3261 section 17.1.2).

::

    Trying --1xx--> Proceeding --2xx-6xx--> Completed --K--> Terminated
       |                |
       +----2xx-6xx-----+---- (straight to Completed)
       +----F, flow lost+---> Terminated

Over an unreliable transport timer E retransmits, and Completed is a record of
:mod:`~sip_p2p.sip.transaction.finished` for as long as timer K runs; over a reliable one K is zero, so the final
response ends the transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.outputs import ResponseReceived, TransactionFailed, TransactionTimedOut
from sip_p2p.sip.transaction.base import ClientTransaction, TransactionState
from sip_p2p.sip.transaction.key import finished_client_key
from sip_p2p.sip.transaction.timers import TimerName

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.transaction.table import TransactionTable

__all__ = ["NonInviteClientTransaction"]

_TRYING = TransactionState.TRYING
_PROCEEDING = TransactionState.PROCEEDING
_COMPLETED = TransactionState.COMPLETED
_TERMINATED = TransactionState.TERMINATED


@final
class NonInviteClientTransaction(ClientTransaction):
    """Figure 6."""

    __slots__ = ("_interval", "_octets")

    def __init__(self, key: str, request: Request, flow: Flow, sent_by: str) -> None:
        super().__init__(key, request, flow, _TRYING, sent_by)
        self._interval = 0
        self._octets = b""

    def start(self, octets: bytes, table: TransactionTable, now: float) -> None:
        """17.1.2.2: send the request, start F, and E where the transport may lose it."""
        table.clients[self.key] = self
        table.bind(self)
        queue = table.queue
        queue.start(queue.f, self, now)
        if not self.flow.reliable:
            self._octets = octets
            queue.start(queue.e[0], self, now)
        table.send(self.flow, octets)

    def receive(self, response: Response, table: TransactionTable, now: float) -> None:
        """A response. In Completed they do not come here: the record absorbs them."""
        if response.status < 200:
            # 17.1.2.2: a provisional response moves Trying to Proceeding; in both the user sees it.
            self.state = _PROCEEDING
            if self.is_abandoned:
                table.counters.responses_unwanted += 1
            else:
                table.outputs.append(ResponseReceived(self, response))
            return
        # 17.1.2.2: a final response ends Trying and Proceeding alike.
        self._leave(table)
        if self.is_abandoned:
            table.counters.responses_unwanted += 1
        else:
            table.outputs.append(ResponseReceived(self, response))
        if self.flow.reliable:
            # K is zero: there are no retransmissions to wait for.
            self.state = _TERMINATED
            return
        self.state = _COMPLETED
        finished = table.finished
        finished.add(finished.k, finished_client_key(self.key, self.flow, self.sent_by), b"", now)

    def timer_fired(self, name: TimerName, table: TransactionTable, now: float) -> None:
        """E or F."""
        if name is TimerName.E:
            self._timer_e(table, now)
        else:
            self._timer_f(table)

    def _timer_e(self, table: TransactionTable, now: float) -> None:
        queue = table.queue
        last = len(queue.e) - 1
        if self.state is _TRYING:
            # 17.1.2.2: the interval doubles until it is T2.
            self._interval = min(self._interval + 1, last)
        else:
            # 17.1.2.2: after a provisional response it is T2 at once.
            self._interval = last
        queue.start(queue.e[self._interval], self, now)
        table.counters.requests_repeated += 1
        table.send(self.flow, self._octets)

    def _timer_f(self, table: TransactionTable) -> None:
        # 17.1.2.2: no final response in Trying or Proceeding.
        self._leave(table)
        self.state = _TERMINATED
        table.counters.timeouts += 1
        if not self.is_abandoned:
            table.outputs.append(TransactionTimedOut(self))

    def flow_failed(self, reason: BaseException, table: TransactionTable) -> None:
        """17.1.4: the user is told, and treats it as a 503."""
        self._leave(table)
        self.state = _TERMINATED
        if not self.is_abandoned:
            table.outputs.append(TransactionFailed(self, reason))

    def abandon(self, table: TransactionTable, now: float) -> None:
        """Retransmit no more, and wait for F only to know a late response when it comes."""
        self.is_abandoned = True
        self.user = None
        self._stop_retransmitting(table)

    def _stop_retransmitting(self, table: TransactionTable) -> None:
        if not self.flow.reliable:
            queue = table.queue
            queue.cancel(queue.e[self._interval], self)

    def _leave(self, table: TransactionTable) -> None:
        del table.clients[self.key]
        table.unbind(self)
        table.queue.cancel(table.queue.f, self)
        self._stop_retransmitting(table)
        self._octets = b""
