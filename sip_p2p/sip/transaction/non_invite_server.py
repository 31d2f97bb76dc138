"""A peer's request that is neither INVITE nor ACK (RFC 3261 section 17.2.2, with RFC 4320).

::

    Trying --100--> Proceeding --final--> Completed --J--> Terminated
       |                |
       +-----final------+---- (straight to Completed)
       +---expiry, flow lost---> Terminated

RFC 4320 narrows what the user may say: 100 is the only provisional response, never before the client's Timer E has
reached T2 where the transport may lose messages, and 408 is no response at all. A silent user is covered for: 100
goes out when that time has come; at the answer deadline the request is reported as abandoned, and can still be
answered; at 64*T1 the client has given up, and so does the transaction, in silence.

Over an unreliable transport Completed is a record of :mod:`~sip_p2p.sip.transaction.finished` for as long as timer J
runs; over a reliable one J is zero, so the final response ends the transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded, InvalidOperation
from sip_p2p.sip.outputs import RequestAbandoned
from sip_p2p.sip.transaction.base import ServerTransaction, TransactionState
from sip_p2p.sip.transaction.timers import TimerLine, TimerName

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.transaction.table import TransactionTable

__all__ = ["NonInviteServerTransaction"]

_TRYING = TransactionState.TRYING
_PROCEEDING = TransactionState.PROCEEDING
_COMPLETED = TransactionState.COMPLETED
_TERMINATED = TransactionState.TERMINATED


@final
class NonInviteServerTransaction(ServerTransaction):
    """Figure 8."""

    __slots__ = ("_provisional", "_waits_in")

    def __init__(self, key: str, request: Request, flow: Flow) -> None:
        super().__init__(key, request, flow, _TRYING)
        self._provisional = b""
        self._waits_in: TimerLine | None = None

    def start(self, table: TransactionTable, now: float) -> None:
        """17.2.2: the transaction begins when the request has been handed to the user."""
        table.servers[self.key] = self
        table.bind(self)
        self._wait(table.queue.trying, table, now)

    def receive_again(self, flow: Flow, table: TransactionTable, now: float) -> None:
        """The request, retransmitted. In Completed it does not come here: the record answers it."""
        table.counters.requests_again += 1
        if self.state is _PROCEEDING:
            # 17.2.2: Proceeding repeats its last provisional response; Trying has none, and is silent.
            table.counters.responses_repeated += 1
            table.send(flow, self._provisional)

    def respond(self, response: Response, table: TransactionTable, now: float) -> None:
        """The user's response.

        :raises AlreadyResponded: in Completed and Terminated.
        :raises InvalidOperation: for a response that RFC 4320 forbids: a provisional one but 100, or 408.
        :raises ValueError: when the response cannot be written.
        """
        if self.state is not _TRYING and self.state is not _PROCEEDING:
            raise AlreadyResponded(f"this {self.method} can have no response any more")
        status = response.status
        if status < 200:
            if status != 100:
                raise InvalidOperation(
                    f"{status} cannot answer {self.method}: 100 is all that RFC 4320 allows before the end"
                )
            self._respond_provisionally(response.serialise(), table)
            return
        if status == 408:
            raise InvalidOperation(
                f"408 cannot answer {self.method}: RFC 4320 wants silence instead, or another response"
            )
        octets = response.serialise()
        # 17.2.2: a final response ends Trying and Proceeding alike.
        self._leave(table)
        self.is_final_sent = True
        table.send(self.flow, octets)
        if self.flow.reliable:
            # J is zero: there are no retransmissions to answer.
            self.state = _TERMINATED
            return
        self.state = _COMPLETED
        table.finished.add(table.finished.j, self.key, octets, now)

    def _respond_provisionally(self, octets: bytes, table: TransactionTable) -> None:
        if self.state is _TRYING and not self.flow.reliable:
            # RFC 4320 section 4.1: too early over an unreliable transport. The timer sends one when it is time.
            return
        # 17.2.2: in Trying and in Proceeding alike.
        self.state = _PROCEEDING
        self._provisional = octets
        table.send(self.flow, octets)

    def timer_fired(self, name: TimerName, table: TransactionTable, now: float) -> None:
        """TRYING, ANSWER or EXPIRY: each follows the one before it."""
        self._waits_in = None
        if name is TimerName.TRYING:
            self._timer_trying(table, now)
        elif name is TimerName.ANSWER:
            # The user has been silent too long. The report comes while an answer can still reach the client.
            table.counters.unanswered += 1
            self._wait(table.queue.expiry, table, now)
            table.outputs.append(RequestAbandoned(self, "it was not answered in time"))
        else:
            # RFC 4320 section 4.2: the client has given up, and a response now would only be noise.
            self._leave(table)
            self.state = _TERMINATED

    def _timer_trying(self, table: TransactionTable, now: float) -> None:
        self._wait(table.queue.answer, table, now)
        if self.state is _TRYING:
            # RFC 4320 section 4.1: the client's Timer E has reached T2 and the user is silent.
            self.state = _PROCEEDING
            self._provisional = self.trying().serialise()
            table.send(self.flow, self._provisional)

    def flow_failed(self, reason: BaseException, table: TransactionTable) -> None:
        """17.2.4: no response can leave any more; the user is told, if it has not heard that it was too slow."""
        is_known = self._waits_in is table.queue.expiry
        self._leave(table)
        self.state = _TERMINATED
        if not is_known:
            table.outputs.append(RequestAbandoned(self, f"its flow was lost: {reason}"))

    def _wait(self, line: TimerLine, table: TransactionTable, now: float) -> None:
        self._waits_in = line
        table.queue.start(line, self, now)

    def _leave(self, table: TransactionTable) -> None:
        del table.servers[self.key]
        table.unbind(self)
        if self._waits_in is not None:
            table.queue.cancel(self._waits_in, self)
            self._waits_in = None
        self._provisional = b""
