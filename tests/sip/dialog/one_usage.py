"""One usage in a state of its own, and a peer that is played by hand.

:class:`OneUsage` lets two parties come to the state by themselves, then cuts the wires: whatever the usage hears from
there on, the test says. What follows is put in words: the state that comes next, what was sent (``>200``, ``>BYE``),
and what the application was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import ConnectionFailure, SipError
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import Errand
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.sip.dialog.usage import UsageState
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from tests.sip.dialog.pair import ANSWER, OFFER, Pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.sip.dialog.usage import InviteUsage
    from tests.sip.dialog.pair import Party

__all__ = ["INPUTS", "STATES", "OneUsage"]

STATES = (
    "early, we called",
    "early, we were called",
    "accepted, we called",
    "accepted, we were called",
    "confirmed",
    "we re-INVITE",
    "we UPDATE",
    "we wait after 491",
    "they re-INVITE",
    "they UPDATE",
    "they owe an ACK",
    "ending",
    "ended",
)
"""Confirmed is split by what is under way in it."""

INPUTS = (
    "BYE",
    "INVITE",
    "INVITE offer",
    "UPDATE",
    "UPDATE offer",
    "PRACK",
    "INFO",
    "INFO of a package",
    "MESSAGE",
    "ACK",
    "CANCEL",
    "180",
    "200",
    "408",
    "481",
    "488",
    "491",
    "500",
    "no response",
    "flow lost",
    "modify",
    "modify by UPDATE",
    "cancel",
    "refresh",
    "request",
    "answer",
    "decline",
    "progress",
    "bye",
    "time passes",
)

NEW = ContentDescription(b"v=0\r\ns=new\r\n")


class OneUsage:
    """A usage in *state*; UDP, so that nothing but time and words decides."""

    def __init__(self, state: str) -> None:
        self.pair = pair = Pair()
        # What time does to a session has tests of its own.
        pair.bob.options = AnswerOptions(session_timer=SessionTimerSettings(is_enabled=False))
        self.state = state
        is_callee = state in ("early, we were called", "accepted, we were called")
        self.party: Party = pair.bob if is_callee else pair.alice
        self._peer_cseq = 1000
        if state.startswith("early"):
            pair.bob.on_invite = lambda invitation: invitation.ring(pair.now)
        else:
            pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        if state == "accepted, we were called":
            pair.wires.lose = lambda what: what == "> ACK"
        self.call = pair.alice.call(CallOptions(automatic_ack=state != "accepted, we called"))
        pair.wait(1.0)
        self.usage: InviteUsage = self.party.usage
        if self.usage.state is UsageState.CONFIRMED:
            # Until the ACK is no longer kept, so that nothing is waited for.
            pair.wait(40.0)
        pair.wires.lose = lambda what: True
        self._prepare()
        self._forget()

    @classmethod
    def of(cls, pair: Pair, party: Party) -> OneUsage:
        """The usage of *party*, whatever state it has come to; the wires are for the caller to cut."""
        one = cls.__new__(cls)
        one.pair, one.party, one.usage, one.state = pair, party, party.usage, ""
        one._peer_cseq = 1000
        return one

    def _prepare(self) -> None:
        usage, pair = self.usage, self.pair
        preparations: dict[str, Callable[[], object]] = {
            "we re-INVITE": lambda: usage.modify(NEW, pair.now),
            "we UPDATE": lambda: usage.modify(NEW, pair.now, method="UPDATE"),
            "we wait after 491": lambda: self._refused(),
            "they re-INVITE": lambda: self.receive("INVITE", OFFER),
            "they UPDATE": lambda: self.receive("UPDATE", OFFER),
            "they owe an ACK": lambda: (self.receive("INVITE", OFFER), usage.answer(ANSWER, pair.now)),
            "ending": lambda: usage.bye(pair.now),
            "ended": lambda: self.receive("BYE"),
        }
        if self.state in preparations:
            preparations[self.state]()
            self.party.work()

    def _refused(self) -> None:
        self.usage.modify(NEW, self.pair.now)
        self.party.work()
        self.respond(491)

    def _forget(self) -> None:
        self.party.heard.clear()
        self.pair.sent.clear()

    # -- what a test can let happen ------------------------------------------------------------------------------------

    def give(self, what: str) -> str:
        """Let *what*, one of :data:`INPUTS`, happen; return what followed, or ``idle`` where it cannot happen."""
        error = ""
        try:
            if not self._do(what):
                return "idle"
        except SipError as raised:
            error = f" !{type(raised).__name__}"
        self.party.work()
        # A 100 goes out by itself where a re-INVITE is not answered at once, and says nothing here.
        sent = [f">{name}" for _, party, name in self.pair.sent if party is self.party and name != "100"]
        return " ".join([self.present, *sent, *(f"[{words}]" for words in self.party.heard)]) + error

    @property
    def present(self) -> str:
        """The state as it is now."""
        usage = self.usage
        words = usage.state.name.lower()
        under_way = []
        if usage.incoming is not None:
            under_way.append("they re-INVITE" if usage.incoming.method == "INVITE" else "they UPDATE")
        if usage.outgoing is not None and usage.outgoing.waits:
            under_way.append("we wait")
        elif usage.outgoing is not None:
            under_way.append("we re-INVITE" if usage.outgoing.method == "INVITE" else "we UPDATE")
        if usage.awaited_ack is not None:
            under_way.append("they owe an ACK")
        return f"{words}: {', '.join(under_way)};" if under_way else words

    def _do(self, what: str) -> bool:
        usage, now = self.usage, self.pair.now
        if what[:3].isdigit():
            return self.respond(int(what))
        wishes: dict[str, Callable[[], object]] = {
            "modify": lambda: usage.modify(NEW, now),
            "modify by UPDATE": lambda: usage.modify(NEW, now, method="UPDATE"),
            "cancel": lambda: usage.cancel_modification(now),
            "refresh": lambda: usage.refresh(now),
            "request": lambda: usage.request("MESSAGE", now, b"hello", "text/plain"),
            "answer": lambda: usage.answer(ANSWER, now),
            "decline": lambda: usage.decline(488, now),
            "progress": lambda: usage.progress(183, now),
            "bye": lambda: usage.bye(now),
            "UPDATE offer": lambda: self.receive("UPDATE", OFFER),
            "INVITE offer": lambda: self.receive("INVITE", OFFER),
            "INFO of a package": lambda: self.receive("INFO", None, ("Info-Package", "dtmf")),
        }
        if what in wishes:
            wishes[what]()
        elif what == "no response":
            return self._pass_time("timeout")
        elif what == "time passes":
            return self._pass_time("due")
        elif what == "flow lost":
            self.party.core.flow_failed(self.party.flow, ConnectionFailure("lost"), now)
        elif what == "CANCEL":
            return self._cancel()
        else:
            self.receive(what)
        return True

    def receive(self, method: str, body: ContentDescription | None = None, *fields: tuple[str, str]) -> None:
        """The peer sends *method* in the dialog."""
        usage = self.usage
        dialog = usage.dialog
        self._peer_cseq += 1
        cseq = self._peer_cseq
        if method == "ACK" and usage.awaited_ack is not None:
            cseq = usage.awaited_ack.cseq
        headers = Headers(
            [
                ("Via", f"SIP/2.0/UDP {self.pair.other(self.party).flow.sent_by};branch=z9hG4bKpeer{self._peer_cseq}"),
                ("Max-Forwards", "70"),
                ("From", f"{dialog.remote};tag={dialog.remote_tag}"),
                ("To", f"{dialog.local};tag={dialog.local_tag}"),
                ("Call-ID", dialog.call_id),
                ("CSeq", f"{cseq} {method}"),
                *fields,
            ]
        )
        if method in ("INVITE", "UPDATE"):
            headers.add("Contact", "<sip:moved@192.0.2.77>")
        if body is not None:
            headers.add("Content-Type", body.content_type)
        uri = self.party.contact_on(self.party.flow, False).strip("<>")
        self.request = Request(method, uri, headers, b"" if body is None else body.body)
        self.party.receive(self.request.serialise())

    def _cancel(self) -> bool:
        if self.usage.incoming is None or self.usage.incoming.method != "INVITE":
            return False
        headers = self.request.headers.copy()
        headers.set("CSeq", f"{self.request.cseq.number} CANCEL")
        headers.remove("Contact")
        headers.remove("Content-Type")
        self.party.receive(Request("CANCEL", self.request.uri_text, headers).serialise())
        return True

    def respond(self, status: int, body: ContentDescription | None = None, *fields: tuple[str, str]) -> bool:
        """The peer answers our last request in the dialog; False where none is under way."""
        last = self._last_request()
        if last is None:
            return False
        names = ("Via", "From", "To", "Call-ID", "CSeq")
        headers = Headers([(name, value) for name in names for value in last.headers.get_all(name)])
        if 100 < status < 300 and last.method in ("INVITE", "UPDATE"):
            headers.add("Contact", "<sip:moved@192.0.2.77>")
        if body is None and status == 200 and last.body and last.method in ("INVITE", "UPDATE"):
            body = ANSWER
        for name, value in fields:
            headers.add(name, value)
        if body is not None:
            headers.add("Content-Type", body.content_type)
            if body.disposition:
                headers.add("Content-Disposition", body.disposition)
        self._forget()
        self.party.receive(Response(status, None, headers, b"" if body is None else body.body).serialise())
        return True

    def _last_request(self) -> Request | None:
        """Our last request in the dialog that waits for its answer."""
        live = [
            transaction
            for transaction in self.party.core.layer.table.clients.values()
            if isinstance(transaction.user, Errand) and transaction.user.owner is self.usage
        ]
        return live[-1].request if live else None

    def _pass_time(self, which: str) -> bool:
        """Until our last request has timed out, or until the usage is called again."""
        pair, core = self.pair, self.party.core
        if which == "timeout":
            if self._last_request() is None:
                return False
            self._forget()
            pair.wait(31.9)
            self._forget()
            pair.wait(0.2)
            return True
        due = core.appointments.due_of(self.usage)
        if due is None:
            return False
        pair.wait(due - pair.now - 0.001)
        self._forget()
        pair.wait(0.002)
        return True
