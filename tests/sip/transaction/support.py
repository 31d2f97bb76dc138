"""What the tests of the transactions share: messages, flows, and a layer whose words are easy to compare.

A table of a machine has one row for every pair of a state and an input: what follows over an unreliable transport,
and what over a reliable one. What follows is the next state and the outputs, in words::

    >INVITE  >ACK  >200     sent
    user:200                a response for the user
    user:ACK                an ACK for the user
    user:timeout  user:failed  user:abandoned
    !AlreadyResponded       an exception for the caller
    new                     a new transaction began
    counted:NAME            nothing but that a counter moved

and two words stand for themselves: ``absent``, a state that this kind of transport does not know, and ``idle``, a
timer that does not run in this state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import ConnectionFailure, InvalidOperation
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import (
    AckReceived,
    Output,
    RequestAbandoned,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.transaction.base import ClientTransaction, ServerTransaction, Transaction, TransactionState
from sip_p2p.sip.transaction.key import finished_client_key
from sip_p2p.sip.transaction.layer import TransactionLayer
from sip_p2p.sip.transaction.table import Counters
from sip_p2p.sip.transaction.timers import TimerLine, TimerName, Timers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ABSENT",
    "IDLE",
    "Bench",
    "Row",
    "ack_for",
    "counts",
    "datagrams",
    "make_request",
    "make_response",
    "stream",
    "words",
]

ABSENT = "absent"
IDLE = "idle"

Row = tuple[str, str, str, str]
"""State, input, what follows over an unreliable transport, and over a reliable one."""


def datagrams(host: str = "192.0.2.2", port: int = 5060) -> Flow:
    """A UDP flow to *host*."""
    return Flow("UDP", False, "192.0.2.1:5060", host, port)


def stream(host: str = "192.0.2.2", peer: str = "b.example") -> Flow:
    """A connection to *host* that proved to be *peer*'s."""
    return Flow("TLS", True, "a.example:5061", host, 5061, peer)


def make_request(
    method: str = "OPTIONS",
    branch: str | None = "z9hG4bKone",
    *,
    sent_by: str = "192.0.2.1:5060",
    transport: str = "UDP",
    call_id: str = "call",
    cseq: int = 1,
    to_tag: str = "",
    uri: str = "sip:b@b.example",
    fields: Sequence[tuple[str, str]] = (),
) -> Request:
    """A request; without a branch it is one of RFC 2543."""
    via = f"SIP/2.0/{transport} {sent_by}" + ("" if branch is None else f";branch={branch}")
    headers = Headers(
        [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", "<sip:a@a.example>;tag=caller"),
            ("To", f"<{uri}>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
            *fields,
        ]
    )
    return Request(method, uri, headers)


def make_response(request: Request, status: int, to_tag: str = "callee") -> Response:
    """A response to *request*, with what section 8.2.6.2 copies."""
    names = ("Via", "From", "Call-ID", "CSeq")
    headers = Headers([(name, value) for name in names for value in request.headers.get_all(name)])
    headers.add(
        "To",
        request.headers["To"] + (f";tag={to_tag}" if status > 100 and ";tag=" not in request.headers["To"] else ""),
    )
    return Response(status, None, headers)


def ack_for(request: Request, response: Response) -> Request:
    """The ACK for a final response of 300 and above, as a client transaction makes it."""
    headers = Headers([(name, request.headers[name]) for name in ("Via", "From", "Call-ID")])
    headers.add("To", response.headers["To"])
    headers.add("CSeq", f"{request.cseq.number} ACK")
    return Request("ACK", request.uri_text, headers)


def words(outputs: list[Output]) -> list[str]:
    """The outputs, each in a word."""
    return [_word(output) for output in outputs]


def _word(output: Output) -> str:
    if isinstance(output, SendMessage):
        first, second, *_ = output.data.split(b" ", 2)
        return ">" + (second if first == b"SIP/2.0" else first).decode("ascii")
    if isinstance(output, ResponseReceived):
        return f"user:{output.response.status}"
    kinds = {
        AckReceived: "user:ACK",
        RequestAbandoned: "user:abandoned",
        TransactionFailed: "user:failed",
        TransactionTimedOut: "user:timeout",
    }
    return kinds[type(output)]


def counts(counters: Counters) -> dict[str, int]:
    """The counters that have moved."""
    return {name: value for name in dir(counters) if name[0] != "_" and (value := getattr(counters, name))}


class Bench:
    """One layer, one flow and one time.

    :ivar now: the time; tests move it.
    """

    def __init__(self, reliable: bool = False, timers: Timers | None = None) -> None:
        self.outputs: list[Output] = []
        self.layer = TransactionLayer(self.outputs, Timers() if timers is None else timers)
        self.flow = stream() if reliable else datagrams()
        self.now = 0.0

    def said(self) -> list[str]:
        """What was said since the last call, in words."""
        said = words(self.outputs)
        self.outputs.clear()
        return said

    def sent(self) -> list[bytes]:
        """The octets that were sent since the last call; everything else is forgotten."""
        sent = [output.data for output in self.outputs if isinstance(output, SendMessage)]
        self.outputs.clear()
        return sent

    def request(self, request: Request) -> ClientTransaction:
        """Send *request*."""
        return self.layer.request(request, self.flow, self.now)

    def response(self, response: Response, flow: Flow | None = None) -> bool:
        """Receive *response*."""
        return self.layer.receive_response(response, self.flow if flow is None else flow, self.now)

    def receive(self, request: Request, flow: Flow | None = None) -> ServerTransaction | None:
        """Receive *request*."""
        return self.layer.receive_request(request, self.flow if flow is None else flow, self.now)

    def receive_new(self, request: Request) -> ServerTransaction:
        """Receive *request*, which was not seen before."""
        transaction = self.receive(request)
        assert transaction is not None
        return transaction

    def respond(self, transaction: ServerTransaction, status: int) -> None:
        """Answer with *status*."""
        self.layer.respond(transaction, make_response(transaction.request, status), self.now)

    def fail(self) -> None:
        """Lose the flow."""
        self.layer.flow_failed(self.flow, ConnectionFailure("reset"), self.now)

    def wait_until(self, end: float) -> list[tuple[float, list[str]]]:
        """Let time pass as a driver does, and return when something was said, and what."""
        said = []
        while (deadline := self.layer.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.layer.handle_timer(self.now)
            if happened := self.said():
                said.append((self.now, happened))
        self.now = end
        return said

    def is_live(self, transaction: Transaction) -> bool:
        """Whether the transaction stands in any table."""
        table = self.layer.table
        tables = (table.clients, table.accepted, table.servers, table.answered)
        return any(found is transaction for living in tables for found in living.values())

    def state(self, transaction: Transaction) -> str:
        """The transaction's state, and that it is where a transaction in that state has to be."""
        finished = self.layer.table.finished
        key = transaction.key
        if isinstance(transaction, ClientTransaction):
            key = finished_client_key(key, transaction.flow, transaction.sent_by)
            is_kept = finished.find_client(key, self.now) is not None
        else:
            is_kept = finished.find_server(key, self.now) is not None
        if self.is_live(transaction):
            assert not is_kept, "live and finished at the same time"
            return transaction.state.value
        if is_kept:
            assert transaction.state in (TransactionState.COMPLETED, TransactionState.CONFIRMED), transaction.state
            return transaction.state.value
        assert len(self.layer.table.queue) == 0, "an ended transaction has a timer"
        assert not self.layer.table.flows, "an ended transaction has a flow"
        return "terminated"

    def fire(self, transaction: Transaction, timer: str) -> bool:
        """Let one timer of *transaction* run out, and no other; False when it does not run."""
        if timer in ("D", "I", "J", "K"):
            return self._expire(transaction, timer)
        queue = self.layer.table.queue
        for line in _lines(queue):
            if line.name is TimerName[timer] and transaction in line.entries:
                deadline = line.entries[transaction]
                assert queue.take(line, transaction, deadline)
                self.now = deadline
                transaction.timer_fired(line.name, self.layer.table, self.now)
                return True
        return False

    def _expire(self, transaction: Transaction, timer: str) -> bool:
        finished = self.layer.table.finished
        line = {"D": finished.d, "I": finished.i, "J": finished.j, "K": finished.k}[timer]
        if not line.records:
            return False
        [(deadline, _)] = line.records.values()
        self.now = deadline
        self.layer.handle_timer(self.now)
        return True

    def outcome(self, transaction: Transaction, action: Action) -> str:
        """Do *action* and describe what follows as the tables do."""
        before = counts(self.layer.counters)
        try:
            result = action()
        except InvalidOperation as error:
            said = [f"!{type(error).__name__}"]
        else:
            if result == IDLE:
                assert not self.outputs
                return IDLE
            said = ["new"] if result == "new" else []
        said = self.said() + said
        after = counts(self.layer.counters)
        if not said:
            said = [f"counted:{name}" for name, value in after.items() if value != before.get(name, 0)]
        state = transaction.state.value if said == ["new"] else self.state(transaction)
        return " ".join([state, *said])


if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[], object]


def _lines(queue: object) -> list[TimerLine]:
    found: list[TimerLine] = []
    for name in "a b e f g h l m provisional trying answer expiry".split():
        line = getattr(queue, name)
        found.extend(line if isinstance(line, list) else [line])
    return found
