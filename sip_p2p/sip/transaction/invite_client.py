"""An INVITE of ours (RFC 3261 section 17.1.1, with RFC 6026 section 7.2).

::

    Calling --1xx--> Proceeding --2xx--------> Accepted  --M--> Terminated
       |                |       --3xx-6xx----> Completed --D--> Terminated
       +----2xx---------+----> Accepted
       +----3xx-6xx-----+----> Completed
       +----B (Calling only), flow lost -----> Terminated

The ACK for a final response of 300 and above is made here; the one for a 2xx is the user's (13.2.2.4). Accepted lasts
over every transport, because the 2xx responses of several forks, and their retransmissions, come end to end.
Completed is a record of :mod:`~sip_p2p.sip.transaction.finished` that holds the ACK; over a reliable transport D is
zero.

How long a callee may ring is the user's decision: nothing here ends Proceeding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.fields import split_values
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request
from sip_p2p.sip.outputs import ResponseReceived, TransactionFailed, TransactionTimedOut
from sip_p2p.sip.transaction.base import ClientTransaction, TransactionState
from sip_p2p.sip.transaction.key import finished_client_key
from sip_p2p.sip.transaction.timers import TimerName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.transaction.table import TransactionTable

__all__ = ["InviteClientTransaction"]

_CALLING = TransactionState.CALLING
_PROCEEDING = TransactionState.PROCEEDING
_ACCEPTED = TransactionState.ACCEPTED
_COMPLETED = TransactionState.COMPLETED
_TERMINATED = TransactionState.TERMINATED

_MAX_FORWARDS = "70"
_NOT_IN_CANCEL = ("Proxy-Require", "Require")


@final
class InviteClientTransaction(ClientTransaction):
    """Figure 5 as RFC 6026 section 8.4 redraws it."""

    __slots__ = ("_ack_fields", "_ack_uri", "_interval", "_octets")

    def __init__(self, key: str, request: Request, flow: Flow, sent_by: str) -> None:
        super().__init__(key, request, flow, _CALLING, sent_by)
        self._interval = 0
        self._octets = b""
        self._ack_uri = request.uri_text
        self._ack_fields = _fields_of_ack(request)

    def start(self, octets: bytes, table: TransactionTable, now: float) -> None:
        """17.1.1.2: send the request, start B, and A where the transport may lose it."""
        table.clients[self.key] = self
        table.bind(self)
        queue = table.queue
        queue.start(queue.b, self, now)
        if not self.flow.reliable:
            self._octets = octets
            queue.start(queue.a[0], self, now)
        table.send(self.flow, octets)

    def receive(self, response: Response, table: TransactionTable, now: float) -> None:
        """A response. In Completed they do not come here: the record absorbs them, and acknowledges again."""
        if self.state is _ACCEPTED:
            self._receive_when_accepted(response, table)
        elif response.status < 200:
            self._receive_provisional(response, table)
        elif response.status < 300:
            self._receive_2xx(response, table, now)
        else:
            self._receive_failure(response, table, now)

    def _receive_provisional(self, response: Response, table: TransactionTable) -> None:
        if self.state is _CALLING:
            # 17.1.1.2: the INVITE has arrived, so neither A nor B is needed. An abandoned one keeps B as its end.
            self.state = _PROCEEDING
            self._stop_retransmitting(table)
            if not self.is_abandoned:
                table.queue.cancel(table.queue.b, self)
        # 17.1.1.2: each provisional response goes to the user.
        self._report(response, table)

    def _receive_2xx(self, response: Response, table: TransactionTable, now: float) -> None:
        # RFC 6026 section 7.2: a 2xx moves Calling and Proceeding to Accepted.
        self._stop_timers(table)
        self.state = _ACCEPTED
        del table.clients[self.key]
        table.accepted[self.key] = self
        table.queue.start(table.queue.m, self, now)
        self._report(response, table)

    def _receive_failure(self, response: Response, table: TransactionTable, now: float) -> None:
        # 17.1.1.2: 300 to 699 is acknowledged from within the transaction, on the flow that carried the INVITE.
        ack = self._build_ack(response)
        self._leave(table)
        table.send(self.flow, ack)
        self._report(response, table)
        if self.flow.reliable:
            # D is zero: there are no retransmissions to wait for.
            self.state = _TERMINATED
            return
        self.state = _COMPLETED
        finished = table.finished
        finished.add(finished.d, finished_client_key(self.key, self.flow, self.sent_by), ack, now)

    def _receive_when_accepted(self, response: Response, table: TransactionTable) -> None:
        if 200 <= response.status < 300:
            # RFC 6026 section 7.2: every 2xx goes to the user, who acknowledges it, or acknowledges it again.
            self._report(response, table)
        else:
            # RFC 6026 section 8.4 has no such input here: another fork failed, or is late.
            table.counters.responses_unexpected += 1

    def timer_fired(self, name: TimerName, table: TransactionTable, now: float) -> None:
        """A, B or M."""
        if name is TimerName.A:
            self._timer_a(table, now)
        elif name is TimerName.B:
            self._timer_b(table)
        else:
            # RFC 6026 section 7.2: M ends Accepted; the user has had its outcome, and may know this transaction.
            self._leave(table)
            self.state = _TERMINATED
            self.user = None

    def _timer_a(self, table: TransactionTable, now: float) -> None:
        # 17.1.1.2: the interval doubles each time, without T2 as a limit. Only Calling has A running.
        queue = table.queue
        self._interval = min(self._interval + 1, len(queue.a) - 1)
        queue.start(queue.a[self._interval], self, now)
        table.counters.requests_repeated += 1
        table.send(self.flow, self._octets)

    def _timer_b(self, table: TransactionTable) -> None:
        # 17.1.1.2: nothing came back in Calling. In Proceeding B runs only for an abandoned INVITE (9.1).
        self._leave(table)
        self.state = _TERMINATED
        table.counters.timeouts += 1
        if not self.is_abandoned:
            table.outputs.append(TransactionTimedOut(self))

    def flow_failed(self, reason: BaseException, table: TransactionTable) -> None:
        """17.1.4: the user is told, unless it has had its outcome."""
        is_outcome_known = self.state is _ACCEPTED
        self._leave(table)
        self.state = _TERMINATED
        if not is_outcome_known and not self.is_abandoned:
            table.outputs.append(TransactionFailed(self, reason))

    def abandon(self, table: TransactionTable, now: float) -> None:
        """Retransmit no more; 64*T1 from the beginning, or from now where it rings, forget it as section 9.1 allows.

        A final response of 300 and above is still acknowledged. A 2xx is not: a user that may have made a phone ring
        sends CANCEL, and abandons nothing before it knows the outcome.
        """
        self.is_abandoned = True
        self.user = None
        if self.state is _CALLING:
            self._stop_retransmitting(table)
        elif self.state is _PROCEEDING:
            table.queue.start(table.queue.b, self, now)

    def _report(self, response: Response, table: TransactionTable) -> None:
        if self.is_abandoned:
            table.counters.responses_unwanted += 1
        else:
            table.outputs.append(ResponseReceived(self, response))

    def _build_ack(self, response: Response) -> bytes:
        """17.1.1.3: the ACK's To is the response's, with its tag; all else is the INVITE's."""
        headers = self._ack_fields.copy()
        names, values = headers.parallel_lists()
        # As it came: a quoted-pair may hide a NUL in it, which only our own words may not have.
        values[names.index("To")] = response.headers.get("To") or headers["To"]
        return Request.adopt("ACK", self._ack_uri, headers, b"").serialise()

    def build_cancel(self, fields: Iterable[tuple[str, str]]) -> Request:
        """9.1: the CANCEL of this INVITE: its Request-URI, Via, Route, From, To, Call-ID and sequence number, but not
        its Require.

        :param fields: further header fields, already checked; what requires something is left out.
        :raises InvalidOperation: before the first response, since it could overtake the INVITE; and after the final
            one, when it has no effect any more.
        """
        if self.state is not _PROCEEDING:
            raise InvalidOperation(f"an INVITE that is {self.state.value} cannot be cancelled (RFC 3261 section 9.1)")
        headers = self._ack_fields.copy()
        names, values = headers.parallel_lists()
        index = names.index("CSeq")
        values[index] = values[index].replace("ACK", "CANCEL")
        for name, value in fields:
            if name not in _NOT_IN_CANCEL:
                headers.add(name, value)
        return Request("CANCEL", self._ack_uri, headers)

    def _stop_retransmitting(self, table: TransactionTable) -> None:
        if not self.flow.reliable:
            queue = table.queue
            queue.cancel(queue.a[self._interval], self)
        self._octets = b""

    def _stop_timers(self, table: TransactionTable) -> None:
        self._stop_retransmitting(table)
        table.queue.cancel(table.queue.b, self)

    def _leave(self, table: TransactionTable) -> None:
        self._stop_timers(table)
        if self.state is _ACCEPTED:
            del table.accepted[self.key]
            table.queue.cancel(table.queue.m, self)
        else:
            del table.clients[self.key]
        table.unbind(self)


def _fields_of_ack(request: Request) -> Headers:
    """What an ACK copies from its INVITE (17.1.1.3), taken when the INVITE is sent."""
    headers = Headers()
    headers.add("Via", split_values(request.headers["Via"])[0])
    headers.add("Max-Forwards", _MAX_FORWARDS)
    for route in request.headers.get_all("Route"):
        headers.add("Route", route)
    headers.add("From", request.single("From"))
    headers.add("To", request.single("To"))
    headers.add("Call-ID", request.call_id)
    headers.add("CSeq", f"{request.cseq.number} ACK")
    return headers
