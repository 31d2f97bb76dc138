"""The rules for user agents (RFC 3261 section 8), between the transactions below and the application above.

:class:`UserAgentCore` is the whole of SIP for one set of flows. Its inputs are messages, the wishes of the application,
lost flows and the passing of time; its outputs are those of :mod:`sip_p2p.sip.outputs`. As UAS it walks the checks of
section 8.2 in their order and answers everything that an application need not see; as UAC it completes a request and
starts its transaction. Dialogs are a later layer: until then a request with a To tag belongs to none, and gets 481.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.body import content_codings, parse_media_type
from sip_p2p.sip.compose import Echo
from sip_p2p.sip.counters import KNOWN_METHODS, Counters, Traffic
from sip_p2p.sip.dialog.appointments import Appointments
from sip_p2p.sip.directory import Directory
from sip_p2p.sip.fields import parse_contact, parse_max_forwards, parse_name_addrs, parse_tokens
from sip_p2p.sip.framing import PING, PONG
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import CloseFlow, Output, RequestAbandoned, RequestReceived, SendMessage
from sip_p2p.sip.parse import Unparsable
from sip_p2p.sip.readings import LONGEST_KEY, could_accept, is_optional, only_via, short_key, warning_value
from sip_p2p.sip.shedding import NEW_WORK, NOTHING, Verdict, verdict
from sip_p2p.sip.source import answer_hop, stamp_source
from sip_p2p.sip.transaction.finished import LIMIT_OCTETS
from sip_p2p.sip.transaction.layer import TransactionLayer
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.transaction.layer import ClientTransaction, ServerTransaction
    from sip_p2p.sip.uri import OpaqueUri, TelUri

__all__ = ["UserAgentCore"]

_SINGLE_FIELDS = frozenset(
    """
    Call-ID Content-Encoding Content-Length Content-Type CSeq Date Expires From Max-Forwards Min-Expires MIME-Version
    Organization Priority Reply-To Retry-After Server Subject Timestamp To User-Agent
    """.split()
)
_CHECKED_FIELDS = frozenset(("Contact", "Max-Forwards", "Record-Route", "Route"))
_URI_CACHE = 512
_NOTHING: list[Output] = []


@final
class UserAgentCore:
    """RFC 3261 sections 8 and 17 for any number of parties that share their flows.

    All times are seconds on one monotonic scale of the caller's choice.

    :ivar appointments: when dialogs and INVITEs want to be called again.
    :ivar directory: the parties and how requests find them.
    :ivar layer: the transactions.
    :ivar counters: totals.
    :ivar traffic: the same by method and status.
    :ivar shedding: what is done without at the moment; one of the levels of :mod:`~sip_p2p.sip.shedding`.
    """

    __slots__ = (
        "_merging",
        "_merging_limit",
        "_outputs",
        "_salt",
        "_tokens",
        "_uris",
        "appointments",
        "counters",
        "directory",
        "layer",
        "shedding",
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
        :param dialogs: how many answered INVITEs may wait for an ACK or another 2xx, each way.
        """
        self._outputs: list[Output] = []
        self._tokens = tokens
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
        self.directory = Directory()
        self.counters = Counters()
        self.traffic = Traffic()
        self.shedding = NOTHING
        self._merging: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._merging_limit = transactions + finished_transactions
        self._uris: dict[str, SipUri | TelUri | OpaqueUri] = {}

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
            # RFC 5626 section 4.4.1: a single CRLF, at once.
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
        via = f"SIP/2.0/{flow.transport} {flow.sent_by};rport;branch={self._tokens.branch()}{flow.via_params}"
        request.headers.insert(0, "Via", via)
        transaction = self.layer.request(request, flow, now)
        counted = self.traffic.requests_out
        counted[request.method if request.method in counted else "other"] += 1
        return transaction

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Answer a request; provisional responses may come before the final one.

        :raises AlreadyResponded: after the final response, and after the transaction has ended otherwise.
        """
        self.layer.respond(transaction, response, now)
        status = response.status
        counted = self.traffic.responses_out
        counted[status if status in counted else 0] += 1
        if status >= 200 and transaction.flow.reliable and transaction.method != "INVITE":
            self._merging.pop(transaction.merge_key, None)

    def _count_response(self, status: int) -> None:
        counted = self.traffic.responses_out
        counted[status if status in counted else 0] += 1

    def response(self, transaction: ServerTransaction, status: int, reason: str | None = None) -> Response:
        """Begin a response to *transaction*'s request, with what section 8.2.6 copies; it can be added to, then
        sent."""
        echo = transaction.echo
        if not echo.to_tag:
            echo.to_tag = self._tokens.tag()
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
            self._check_syntax(request)
        except MalformedMessage as error:
            if request.method == "ACK":
                self.counters.dropped_requests += 1
            else:
                self._refuse(headers, flow, error.status, warning=error.reason)
            return
        if self.layer.is_full and not self.layer.knows(request, flow, now):
            self.counters.refused_full += 1
            self.counters.refused_dialogs += self.layer.is_full_of_dialogs
            self._refuse(headers, flow, 503, retry=True)
            return
        transaction = self.layer.receive_request(request, flow, now)
        if transaction is None:
            return
        if request.method == "CANCEL":
            self._cancel(transaction, request, now)
            return
        try:
            profile = self._admit(transaction, request, flow, now)
        except MalformedMessage as error:
            self._answer(transaction, error.status, now, warning=error.reason)
            return
        if profile is not None:
            self._outputs.append(RequestReceived(transaction, request, flow, profile))

    def _check_syntax(self, request: Request) -> None:
        """Read what every request must have (section 8.1.1), and what would mislead if it were wrong.

        :raises MalformedMessage: with the status to answer.
        """
        names, values = request.headers.parallel_lists()
        if request.read_mandatory() is None:
            for name in _SINGLE_FIELDS:
                if names.count(name) > 1:
                    raise MalformedMessage(f"{name} stands {names.count(name)} times")
            request.from_  # noqa: B018 - reading it is the check
            request.to  # noqa: B018
        cseq = request.cseq
        if cseq.method != request.method:
            raise MalformedMessage(f"CSeq names {cseq.method!r} and the request line {request.method!r}")
        call_id = request.call_id
        if not call_id or " " in call_id or not call_id.isprintable():
            raise MalformedMessage("Call-ID is empty, or holds what no word may hold")
        request.use_uri(self._uri(request))
        for index, name in enumerate(names):
            if name in _CHECKED_FIELDS:
                if name == "Max-Forwards":
                    parse_max_forwards(values[index])
                elif name == "Contact":
                    parse_contact(values[index])
                else:
                    parse_name_addrs(values[index], name)

    def _uri(self, request: Request) -> SipUri | TelUri | OpaqueUri:
        """The Request-URI, parsed once for each of the few texts that a party is called by."""
        known = self._uris.get(request.uri_text)
        if known is None:
            known = request.uri
            if len(self._uris) >= _URI_CACHE:
                self._uris.clear()
            self._uris[request.uri_text] = known
        return known

    def _admit(self, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> Profile | None:
        """Walk section 8.2 in order; return the party that is to answer, or None where the answer has been given."""
        self.directory.check_scheme(request)
        profile = self.directory.find(request)
        if profile is None:
            self._answer(transaction, 404, now)
            return None
        refusal = "" if flow.sender_check is None else flow.sender_check.refusal(request, profile)
        if refusal:
            self._answer(transaction, 403, now, warning=refusal)
            return None
        if profile.authenticator is not None:
            challenge = profile.authenticator.challenge(request, flow)
            if challenge is not None:
                self._answer(transaction, 401, now, extra=tuple(challenge))
                return None
        # 8.2.1: the method comes first.
        method = request.method
        if not profile.allows(method) and method != "OPTIONS":
            self._answer(
                transaction, 405 if method in KNOWN_METHODS else 501, now, extra=(("Allow", profile.allow_value),)
            )
            return None
        # 12.2.2: a To tag names a dialog, and there is none.
        if transaction.echo.has_to_tag:
            self._answer(transaction, 481, now)
            return None
        if self._is_merged(transaction, request, now):
            self.counters.merged_requests += 1
            self._answer(transaction, 482, now)
            return None
        if not self._understands(transaction, request, profile, now):
            return None
        if method == "OPTIONS" and not profile.allows(method):
            flow.presents(request.via)
            self._answer_options(transaction, profile, now)
            return None
        return profile

    def _is_merged(self, transaction: ServerTransaction, request: Request, now: float) -> bool:
        """8.2.2.2: the same request by another path, while the first is still being worked on."""
        merging = self._merging
        while merging:
            oldest = next(iter(merging))
            if merging[oldest][0] > now:
                break
            del merging[oldest]
        # Two strangers' requests are never merged: the key names whose request it is, as far as that was verified.
        cseq = request.cseq
        flow = transaction.flow
        key = f"{request.call_id}\n{cseq.number} {cseq.method}\n{request.from_.tag}\n{flow.peer}"
        whose = transaction.key
        if len(key) > LONGEST_KEY:
            key = short_key(key)
        if len(whose) > LONGEST_KEY:
            whose = short_key(whose)
        transaction.merge_key = key
        present = merging.get(key)
        if present is not None and present[1] != whose:
            return True
        if len(merging) >= self._merging_limit:
            merging.popitem(last=False)
        merging[key] = (now + self.layer.timers.timeout, whose)
        return False

    def _understands(self, transaction: ServerTransaction, request: Request, profile: Profile, now: float) -> bool:
        """Sections 8.2.2.3 and 8.2.3: extensions that are required, and what the body is."""
        headers = request.headers
        names, _ = headers.parallel_lists()
        if "Require" in names:
            unsupported = [
                tag
                for value in headers.get_all("Require")
                for tag in parse_tokens(value, "Require")
                if tag.lower() not in profile.supported
            ]
            if unsupported:
                self._answer(transaction, 420, now, extra=(("Unsupported", ", ".join(unsupported)),))
                return False
        if request.method == "INVITE" and not could_accept(headers):
            self._answer(transaction, 406, now, warning="no session description is acceptable to the caller")
            return False
        if not request.body:
            return True
        if "Content-Encoding" in names and content_codings(headers.get_all("Content-Encoding")):
            self._answer(transaction, 415, now, extra=(("Accept-Encoding", "identity"),))
            return False
        content_type = headers.get("Content-Type")
        if content_type is None:
            raise MalformedMessage("a body without Content-Type")
        media_type = parse_media_type(content_type)
        if not profile.accepts(request.method, media_type.essence) and not is_optional(headers):
            self._answer(transaction, 415, now, extra=(("Accept", profile.accept_value_for(request.method)),))
            return False
        return True

    def _cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """9.2: CANCEL ends an INVITE that has no final response yet, and has no effect on anything else."""
        invite = self.layer.find_invite(request, transaction.flow)
        if invite is None:
            self._answer(transaction, 481, now)
            return
        # 9.2: the answers to INVITE and CANCEL should carry the same tag.
        if not invite.echo.to_tag:
            invite.echo.to_tag = self._tokens.tag()
        transaction.echo.to_tag = invite.echo.to_tag
        self._answer(transaction, 200, now)
        if not invite.is_final_sent:
            self._answer(invite, 487, now)
            self._outputs.append(RequestAbandoned(invite, "the caller cancelled it"))

    def _answer_options(self, transaction: ServerTransaction, profile: Profile, now: float) -> None:
        """11.2: what the party can do."""
        extra = (
            ("Allow", profile.allow_value),
            ("Accept", profile.accept_value),
            ("Accept-Encoding", "identity"),
            # 20.37: an empty Supported says that there are no extensions; a missing one says nothing.
            ("Supported", profile.supported_value),
        )
        self._answer(transaction, 200, now, extra=extra)

    def _answer(
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

    def _refuse(self, headers: Headers, flow: Flow, status: int, *, retry: bool = False, warning: str = "") -> None:
        """A final response of our own without a transaction (section 8.2.7): the same each time the same octets
        come.

        :param retry: name a time after which to try again; not the same for everybody, or all would come at once.
        """
        self.counters.refused_requests += 1
        to = headers.get("To")
        echo = Echo(headers, to is not None and ";tag=" in to.lower())
        seed = "\n".join(
            [self._salt, headers.get("Via") or "", headers.get("Call-ID") or "", headers.get("CSeq") or ""]
        )
        echo.to_tag = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        response = echo.response(status)
        if retry:
            response.headers.add("Retry-After", str(2 + int(echo.to_tag[:4], 16) % 7))
        if warning:
            response.headers.add("Warning", warning_value(warning))
        self._count_response(status)
        self._outputs.append(SendMessage(flow, response.serialise()))
