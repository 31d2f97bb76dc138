"""The rules for user agents (RFC 3261 section 8), between the transactions below and the application above.

:class:`UserAgentCore` is the whole of SIP for one set of flows. Its inputs are messages, the wishes of the application,
lost flows and the passing of time; its outputs are those of :mod:`sip_p2p.sip.outputs`. As UAS it answers everything
that an application need not see, by :mod:`sip_p2p.sip.uas_rules`; as UAC it completes a request and starts its
transaction. The machines of :mod:`sip_p2p.sip.dialog` act through it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.compose import Echo
from sip_p2p.sip.counters import KNOWN_METHODS, Counters, Traffic
from sip_p2p.sip.dialog.appointments import Appointments
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import InDialogRequestReceived
from sip_p2p.sip.dialog.incoming_invite import leads_on
from sip_p2p.sip.dialog.table import DialogTable
from sip_p2p.sip.directory import Directory
from sip_p2p.sip.event.awaiting import Awaiting
from sip_p2p.sip.framing import PING, PONG
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import (
    AckReceived,
    CloseFlow,
    Output,
    RequestAbandoned,
    RequestReceived,
    ResponseReceived,
    SendMessage,
)
from sip_p2p.sip.parse import Unparsable
from sip_p2p.sip.readings import only_via, warning_value
from sip_p2p.sip.shedding import DRAINING, NEW_WORK, NOTHING, Verdict, has_to_tag, verdict
from sip_p2p.sip.source import answer_hop, stamp_source
from sip_p2p.sip.transaction.finished import LIMIT_OCTETS
from sip_p2p.sip.transaction.invite_client import InviteClientTransaction
from sip_p2p.sip.transaction.layer import TransactionLayer
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.sip.uas_rules import UasRules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.transaction.layer import ClientTransaction, ServerTransaction

__all__ = ["UserAgentCore"]

_NOTHING: list[Output] = []
_NOT_CANCELLED = KNOWN_METHODS - {"ACK", "CANCEL", "INVITE"}


@final
class UserAgentCore:
    """RFC 3261 sections 8 and 17 for any number of parties that share their flows.

    All times are seconds on one monotonic scale of the caller's choice.

    :ivar appointments: when dialogs and INVITEs want to be called again.
    :ivar awaiting: who waits for a NOTIFY that makes its dialog.
    :ivar dialogs: the dialogs.
    :ivar directory: the parties and how requests find them.
    :ivar layer: the transactions.
    :ivar counters: totals.
    :ivar rules: what is looked at before an application sees a request.
    :ivar traffic: the same by method and status.
    :ivar tokens: where branches, tags and Call-IDs come from.
    :ivar redirect_to: while draining, the URIs where those are sent who would begin a session (302); 503 where none of
        them leads on.
    :ivar shedding: what is done without at the moment; one of the levels of :mod:`~sip_p2p.sip.shedding`.
    """

    __slots__ = (
        "_outputs",
        "_salt",
        "appointments",
        "awaiting",
        "counters",
        "dialogs",
        "directory",
        "layer",
        "redirect_to",
        "rules",
        "shedding",
        "tokens",
        "traffic",
    )

    def __init__(
        self,
        tokens: TokenSource,
        timers: Timers | None = None,
        *,
        transactions: int = 16384,
        finished_transactions: int = 1_000_000,
        finished_octets: int = LIMIT_OCTETS,
        dialogs: int = 65536,
    ) -> None:
        """
        :param tokens: where branches, tags and Call-IDs come from.
        :param transactions: how many transactions without a final response may live each way; more are answered 503.
        :param finished_transactions: how many finished ones may wait out their timers on UDP.
        :param finished_octets: how many octets these may hold altogether.
        :param dialogs: how many dialogs there may be before a peer can make no further one, and how many answered
            INVITEs may wait for an ACK or another 2xx, each way.
        """
        self._outputs: list[Output] = []
        self.tokens = tokens
        self._salt = tokens.token()
        self.layer = TransactionLayer(
            self._outputs,
            Timers() if timers is None else timers,
            limits_active=transactions,
            limits_finished=finished_transactions,
            limits_octets=finished_octets,
            limits_answered=dialogs,
        )
        self.appointments = Appointments()
        self.awaiting = Awaiting()
        self.dialogs = DialogTable(dialogs)
        self.directory = Directory()
        self.counters = Counters()
        self.traffic = Traffic()
        self.shedding = NOTHING
        self.redirect_to: tuple[str, ...] = ()
        self.rules = UasRules(self, transactions + finished_transactions)

    def bound(self, active: int, dialogs: int, finished: int, octets: int) -> None:
        """Let other limits hold from now on; what is there already stays. They are those of the constructor, in its
        order: transactions, dialogs, finished transactions and their octets."""
        self.layer.bound(active, dialogs, finished, octets)
        self.dialogs.limit = dialogs

    def receive_message(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Take a message that *flow* delivered."""
        if isinstance(message, Request):
            self._receive_request(message, flow, now)
            return
        self.counters.responses += 1
        counted = self.traffic.responses_in
        counted[message.status if message.status in counted else 0] += 1
        # 8.1.3.3: a second Via means that it was meant for somebody before us.
        via = only_via(message.headers)
        try:
            matched = via is not None and self.layer.receive_response(message, flow, now)
        except MalformedMessage:
            matched = False
        if not matched:
            self.counters.dropped_responses += 1
        elif via is not None and (";keep=" in via or ";oc=" in via):
            flow.heard_via(via)

    def receive(self, framed: object, flow: Flow, now: float) -> None:
        """Take whatever a framer found: a message, a keep-alive, or octets that are neither."""
        if type(framed) is Request:
            if not self.shedding or self._keeps(framed, flow, now):
                self._receive_request(framed, flow, now)
        elif type(framed) is Response:
            self.receive_message(framed, flow, now)
        elif framed is PING:
            # RFC 5626 sections 4.4.1 and 5.4: a single CRLF, at once.
            self.counters.pings += 1
            self._outputs.append(SendMessage(flow, b"\r\n"))
        elif isinstance(framed, Unparsable):
            self.receive_unparsable(framed, flow)
        elif framed is not PONG:
            raise TypeError(f"{framed!r} does not come from a framer")

    def _keeps(self, request: Request, flow: Flow, now: float) -> bool:
        """Whether *request* is to be dealt with though something is being shed; if not, all that is due is done."""
        judged = verdict(self.shedding, request, flow.reliable)
        if judged is Verdict.PASS:
            return True
        headers = request.headers
        try:
            if judged is Verdict.DROP and self.shedding == NEW_WORK and self.layer.knows(request, flow, now):
                # Sent again by a client that has not heard the answer: to repeat that is cheaper than what follows.
                return True
            via = stamp_source(request, flow.remote_host, flow.remote_port)
        except MalformedMessage:
            judged, via = Verdict.DROP, ""
        if judged is Verdict.DROP:
            self.counters.dropped_overloaded += 1
            return False
        if self.redirect_to and self.shedding == DRAINING and request.method == "INVITE":
            contacts = tuple(each for each in self.redirect_to if leads_on(request.uri_text, each))
            if contacts:
                self._refuse(headers, flow, 302, contacts=contacts)
                return False
        self.counters.refused_overloaded += 1
        if ";keep" in via or ";oc" in via:
            answer_hop(request, flow)
        # RFC 7339 section 5.10.2: who controls its own load would take a Retry-After for an order to send nothing.
        self._refuse(headers, flow, 503, retry=";oc" not in via)
        return False

    def receive_unparsable(self, item: Unparsable, flow: Flow) -> None:
        """Answer octets that are no message, when enough of a request could be read; close what cannot be framed any
        more."""
        self.counters.unparsable += 1
        if item.method is not None and item.method != "ACK" and "Via" in item.headers:
            self._refuse(item.headers, flow, item.error.status, warning=item.error.reason)
        else:
            self.counters.dropped_requests += 1
        if item.loses_framing and flow.reliable:
            self._outputs.append(CloseFlow(flow, item.error.reason))

    def flow_failed(self, flow: Flow, reason: BaseException, now: float) -> None:
        """*flow* is gone: whatever it carried ends now (section 17.1.4)."""
        self.layer.flow_failed(flow, reason, now)

    def request(self, request: Request, flow: Flow, now: float) -> ClientTransaction:
        """Send *request* on *flow* in a transaction of its own; its Via is added here (section 8.1.1.7).

        :raises InvalidOperation: to be tried again later, when too many requests wait for an answer already.
        :raises ValueError: when it cannot be written.
        """
        if self.layer.is_client_full:
            # Before the Via is there: the same request can be tried again.
            raise InvalidOperation("too many requests wait for an answer", retryable=True)
        request.headers.insert(0, "Via", self._via(flow))
        transaction = self.layer.request(request, flow, now)
        self._count_request(request.method)
        return transaction

    def cancel(
        self, transaction: ClientTransaction, fields: Iterable[tuple[str, str]], now: float
    ) -> ClientTransaction:
        """Ask the peer to give up *transaction*, an INVITE that has had a provisional response (section 9.1); its
        final response is what ends it, as ever.

        :param fields: further header fields of the CANCEL, already checked: Reason (RFC 3326) above all.
        :returns: the transaction of the CANCEL.
        :raises InvalidOperation: for what is no INVITE, before the first response, after the final one, and the second
            time.
        :raises ValueError: when a field cannot be written.
        """
        if not isinstance(transaction, InviteClientTransaction):
            raise InvalidOperation(f"only an INVITE can be cancelled, and this is a {transaction.method}")
        # The same flow, branch, Request-URI and Route: it has to find what it cancels, hop by hop.
        cancelling = self.layer.request(transaction.build_cancel(fields), transaction.flow, now)
        self._count_request("CANCEL")
        return cancelling

    def acknowledge(self, plan: RequestPlan, flow: Flow) -> bytes:
        """Send the ACK of a 2xx, made by *plan*, on *flow*: a transaction of its own without a response (section
        13.2.2.4).

        :returns: its octets, to be sent again as they are each time the 2xx comes again.
        :raises ValueError: when it cannot be written.
        """
        request = plan.build()
        # RFC 6223 section 4.3: no response could say what becomes of an offer.
        request.headers.insert(0, "Via", self._via(flow).replace(";keep", ""))
        octets = request.serialise()
        self._count_request("ACK")
        self._outputs.append(SendMessage(flow, octets))
        return octets

    def _via(self, flow: Flow) -> str:
        """8.1.1.7: the Via of a new transaction on *flow*."""
        return f"SIP/2.0/{flow.transport} {flow.sent_by};rport;branch={self.tokens.branch()}{flow.via_params}"

    def _count_request(self, method: str) -> None:
        counted = self.traffic.requests_out
        counted[method if method in counted else "other"] += 1

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Answer a request; provisional responses may come before the final one.

        :raises AlreadyResponded: after the final response, and after the transaction has ended otherwise.
        """
        status = response.status
        judgement = transaction.judgement
        if judgement is not None and judgement.proof is not None and status >= 200:
            if status < 300:
                # RFC 3261 section 20.6: who has shown to know the password is shown the same.
                response.headers.add(*judgement.proof.field(response.body))
            judgement.proof = None
        self.layer.respond(transaction, response, now)
        counted = self.traffic.responses_out
        counted[status if status in counted else 0] += 1
        if status >= 200 and transaction.flow.reliable and transaction.method != "INVITE":
            self.rules.forget(transaction)

    def _count_response(self, status: int) -> None:
        counted = self.traffic.responses_out
        counted[status if status in counted else 0] += 1

    def response(self, transaction: ServerTransaction, status: int, reason: str | None = None) -> Response:
        """Begin a response to *transaction*'s request, with what section 8.2.6 copies; it can be added to, then
        sent."""
        echo = transaction.echo
        if not echo.to_tag:
            echo.to_tag = self.tokens.tag()
        return echo.response(status, reason)

    def handle_timer(self, now: float) -> None:
        """Do what is due. A request that its application never answered is answered 500 in its place."""
        before = len(self._outputs)
        self.layer.handle_timer(now)
        self.appointments.handle_timer(now)
        for output in self._outputs[before:]:
            if isinstance(output, RequestAbandoned) and not output.transaction.is_final_sent:
                self.respond(output.transaction, self.response(output.transaction, 500), now)

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` is to be called next; None while nothing waits."""
        earliest = self.layer.next_deadline()
        appointed = self.appointments.next_deadline()
        return earliest if appointed is None or (earliest is not None and earliest < appointed) else appointed

    def say(self, output: Output) -> None:
        """Let a machine of this core say something, after all that was said before."""
        self._outputs.append(output)

    @property
    def has_dialog_to_tell(self) -> bool:
        """Whether what was said last is a response that may make a dialog (section 12.1). Until its user has heard it,
        a request in that dialog would find none: outputs are to be taken before the next message is given."""
        said = self._outputs[-1] if self._outputs else None
        return (
            type(said) is ResponseReceived and said.transaction.method == "INVITE" and 100 < said.response.status < 300
        )

    def take_outputs(self) -> list[Output]:
        """Everything said since the last call, in order."""
        taken = self._outputs
        if not taken:
            return _NOTHING
        outputs = taken[:]
        taken.clear()
        return outputs

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        self.counters.requests += 1
        counted = self.traffic.requests_in
        counted[request.method if request.method in counted else "other"] += 1
        headers = request.headers
        if "Via" not in headers.parallel_lists()[0]:
            self.counters.dropped_requests += 1
            return
        try:
            via = stamp_source(request, flow.remote_host, flow.remote_port)
            if ";keep" in via or ";oc" in via:
                answer_hop(request, flow)
            self.rules.check_syntax(request)
        except MalformedMessage as error:
            if request.method == "ACK":
                self.counters.dropped_requests += 1
            else:
                self._refuse(headers, flow, error.status, warning=error.reason)
            return
        if self._is_full_for(request, flow) and not self.layer.knows(request, flow, now):
            self.counters.refused_full += 1
            self.counters.refused_dialogs += self.layer.is_full_of_dialogs or self.dialogs.is_full
            self._refuse(headers, flow, 503, retry=True)
            return
        transaction = self.layer.receive_request(request, flow, now)
        if transaction is None:
            if request.method == "ACK":
                self._find_dialog_of_ack(request, flow)
            return
        if request.method == "CANCEL":
            self._cancel(transaction, request, now)
            return
        try:
            admitted = self.rules.admit(transaction, request, flow, now)
        except MalformedMessage as error:
            self.answer(transaction, error.status, now, warning=error.reason)
            return
        if isinstance(admitted, Dialog):
            self._outputs.append(InDialogRequestReceived(transaction, request, flow, admitted))
        elif admitted is not None:
            self._outputs.append(RequestReceived(transaction, request, flow, admitted))

    def _is_full_for(self, request: Request, flow: Flow) -> bool:
        """Whether there is no room for *request*, if it is a new one: for its transaction, or for a dialog of it."""
        if self.layer.is_full:
            return not self._makes_room(request, flow)
        # 11.2: OPTIONS is answered as an INVITE would be.
        if request.method not in ("INVITE", "OPTIONS") or request.to.tag is not None:
            return False
        return self.dialogs.is_full or self.layer.has_too_many_invites(flow)

    def _makes_room(self, request: Request, flow: Flow) -> bool:
        """Whether *request*, which came by *flow*, ends what is here: a call, ringing (9.2) or standing (15.1.2)."""
        if request.method == "CANCEL":
            return self.layer.find_invite(request, flow) is not None
        dialog = self.dialogs.find_for(request) if request.method == "BYE" else None
        return dialog is not None and dialog.may_come_from(flow)

    def _find_dialog_of_ack(self, ack: Request, flow: Flow) -> None:
        """Add to what the transactions have just said of *ack* whose it is; a stranger's is nobody's."""
        said = self._outputs[-1] if self._outputs else None
        if type(said) is AckReceived and said.request is ack:
            dialog = self.dialogs.find_for(ack)
            if dialog is not None and dialog.may_come_from(flow):
                dialog.flow = flow
                said.dialog = dialog

    def _cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """9.2: CANCEL ends an INVITE that has no final response yet, and has no effect on anything else."""
        invite = self.layer.find_invite(request, transaction.flow)
        if invite is None:
            # RFC 6665 section 4.6: what is no INVITE goes on as it was, and the CANCEL is answered all the same.
            is_known = self.layer.knows_as(request, transaction.flow, _NOT_CANCELLED, now)
            self.answer(transaction, 200 if is_known else 481, now)
            return
        # 9.2: the answers to INVITE and CANCEL should carry the same tag.
        if not invite.echo.to_tag:
            invite.echo.to_tag = self.tokens.tag()
        transaction.echo.to_tag = invite.echo.to_tag
        self.answer(transaction, 200, now)
        if not invite.is_final_sent:
            self.answer(invite, 487, now)
            self._outputs.append(RequestAbandoned(invite, "the caller cancelled it", request))

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        *,
        extra: tuple[tuple[str, str], ...] = (),
        warning: str = "",
    ) -> None:
        """A final response of our own, through the transaction."""
        if status >= 300:
            self.counters.refused_requests += 1
        response = self.response(transaction, status)
        for name, value in extra:
            response.headers.add(name, value)
        if warning:
            response.headers.add("Warning", warning_value(warning))
        self.respond(transaction, response, now)

    def _refuse(
        self,
        headers: Headers,
        flow: Flow,
        status: int,
        *,
        retry: bool = False,
        warning: str = "",
        contacts: tuple[str, ...] = (),
    ) -> None:
        """A final response of our own without a transaction (section 8.2.7): the same each time the same octets
        come.

        :param retry: name a time after which to try again; not the same for everybody, or all would come at once.
        :param contacts: URIs to try instead.
        """
        self.counters.refused_requests += 1
        echo = Echo(headers, has_to_tag(headers))
        seed = "\n".join(
            [self._salt, headers.get("Via") or "", headers.get("Call-ID") or "", headers.get("CSeq") or ""]
        )
        echo.to_tag = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        response = echo.response(status)
        if retry:
            response.headers.add("Retry-After", str(2 + int(echo.to_tag[:4], 16) % 7))
        if warning:
            response.headers.add("Warning", warning_value(warning))
        for contact in contacts:
            response.headers.add("Contact", f"<{contact}>")
        self._count_response(status)
        self._outputs.append(SendMessage(flow, response.serialise()))
