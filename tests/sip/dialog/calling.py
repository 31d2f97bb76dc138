"""Alice calls, and a test is all the Bobs that there are: responses to her INVITE by hand, from any number of branches.

:class:`CallBench` is one half of a :class:`~tests.sip.dialog.pair.Pair`: what Alice sends reaches nobody, and is noted
in :attr:`CallBench.log` together with what her application hears, in the order in which it happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import OperationTimeout
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from tests.sip.dialog.pair import ANSWER, OFFER, Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.sip.dialog.call_options import CallOptions
    from sip_p2p.sip.dialog.client_invitation import ClientInvitation
    from sip_p2p.sip.outputs import Output
    from tests.sip.dialog.pair import Party

__all__ = ["ANSWER", "OFFER", "CallBench"]


class CallBench(Pair):
    """A caller, and what she says.

    :ivar log: ``>INVITE`` for what was sent, ``user:progress 180 new`` for what the application was told.
    :ivar call: her call.
    """

    def __init__(
        self,
        options: CallOptions | None = None,
        offer: ContentDescription | None = OFFER,
        *,
        reliable: bool = True,
        is_dialling: bool = False,
        is_started: bool = True,
        fields: Iterable[tuple[str, str]] = (),
        uri: str = "sip:bob@b.example",
    ) -> None:
        """
        :param is_dialling: whether no flow is there yet, so that nothing is sent.
        :param is_started: whether the call is made at once.
        """
        super().__init__(reliable=reliable)
        self.log: list[str] = []
        self.alice.on_effect = self._noted
        self.alice.is_dialling = is_dialling
        self.call: ClientInvitation = self.alice.prepare_call(options, offer, fields, uri)
        if is_started:
            self.do(lambda: self.call.start(self.now))

    def call_again(self) -> None:
        """Let Alice make another call; nothing is kept of what was before."""
        self.alice.forget()
        self.octets.clear()
        self.call = self.alice.call()

    def _noted(self, effect: Output) -> None:
        self.log.append(f"user:{self.alice.heard[-1]}")

    def send(self, sender: Party, octets: bytes) -> None:
        """What Alice sends is noted, and reaches nobody."""
        self.octets.append(octets)
        first = octets.split(b" ", 2)
        self.log.append(f">{(first[1] if first[0] == b'SIP/2.0' else first[0]).decode()}")

    def said(self) -> list[str]:
        """What has happened since the last time that this was asked."""
        log = self.log[:]
        self.log.clear()
        return log

    def requests(self, method: str) -> list[Request]:
        """Every request with *method* that Alice has sent, copies too."""
        found = []
        for octets in self.octets:
            message = parse_message(octets)
            if isinstance(message, Request) and message.method == method:
                found.append(message)
        return found

    def response(
        self,
        status: int,
        tag: str = "b1",
        description: ContentDescription | None = None,
        fields: Iterable[tuple[str, str]] = (),
        *,
        contact: str | None = "<sip:bob@b.example:5061;transport=tls>",
        to: Request | None = None,
    ) -> Response:
        """A response to Alice's last INVITE, or to another request of hers, from the branch with *tag*."""
        request = self.requests("INVITE")[-1] if to is None else to
        response = Response(status)
        headers = response.headers
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            value = request.headers[name]
            if name == "To" and tag and status > 100 and ";tag=" not in value:
                value = f"{value};tag={tag}"
            headers.add(name, value)
        if contact is not None and 100 < status < 300:
            headers.add("Contact", contact)
        for name, value in fields:
            headers.add(name, value)
        if description is not None:
            headers.add("Content-Type", description.content_type)
            response.body = description.body
        return response

    def reliable(
        self, rseq: int, status: int = 183, tag: str = "b1", description: ContentDescription | None = None
    ) -> Response:
        """A reliable provisional response of that branch."""
        return self.response(status, tag, description, [("Require", "100rel"), ("RSeq", str(rseq))])

    def answer(self, response: Response) -> list[str]:
        """Let Alice have *response*; return what comes of it."""
        self.log.clear()
        self.alice.receive(response.serialise())
        return self.said()

    def answer_together(self, *responses: Response, then: Callable[[], object] | None = None) -> list[str]:
        """Let Alice have all of *responses* in one delivery: none is told to anybody before all are read, and her
        application has done what it does *then*."""
        self.log.clear()
        for response in responses:
            self.alice.core.receive(parse_message(response.serialise()), self.alice.flow, self.now)
        if then is not None:
            then()
        self.alice.work()
        return self.said()

    def ask(self, method: str, tag: str = "b1", cseq: int = 1, fields: Iterable[tuple[str, str]] = ()) -> list[str]:
        """Let Alice have a request in the dialog with *tag*; return what comes of it."""
        invite = self.requests("INVITE")[-1]
        request = Request(
            method,
            "sip:alice@alice.example",
            [
                ("Via", f"SIP/2.0/TLS b.example:5061;branch=z9hG4bK{tag}{cseq}{method}"),
                ("Max-Forwards", "70"),
                ("From", f"{invite.headers['To']};tag={tag}"),
                ("To", invite.headers["From"]),
                ("Call-ID", invite.call_id),
                ("CSeq", f"{cseq} {method}"),
                *fields,
            ],
        )
        self.log.clear()
        self.alice.receive(request.serialise())
        return self.said()

    def state(self) -> str:
        """Where the call is: as it says, but that a dialog rings, and what is not sent yet is dialling."""
        state = self.call.state.value
        if state == "calling" and self.alice.held:
            return "dialling"
        return "ringing" if state == "proceeding" and self.call.usages else state

    def do(self, wish: Callable[[], object]) -> list[str]:
        """Let Alice's application do something; return what comes of it."""
        self.log.clear()
        try:
            wish()
        finally:
            self.alice.work()
        return self.said()

    def cancel(self, fields: Iterable[tuple[str, str]] = ()) -> list[str]:
        """Let Alice's application call no longer."""
        return self.do(lambda: self.call.cancel(self.now, fields))

    def hang_up(self) -> list[str]:
        """Let Alice's application end whatever session there is."""
        usages = [dialog.user for dialog in self.alice.dialogs]
        return self.do(lambda: [usage.bye(self.now) for usage in usages if usage is not None])

    def time_out(self) -> list[str]:
        """Let the attempt have no response within 64*T1; nothing where none is under way."""
        errand = self.call.errand
        reason = OperationTimeout("no final response")
        return [] if errand is None else self.do(lambda: self.call.errand_failed(errand, reason, self.now))

    def lose_flow(self) -> list[str]:
        """Let the flow go, or never come."""
        self.log.clear()
        if self.alice.held:
            self.alice.not_dialled()
        else:
            self.alice.lose_flow()
        return self.said()

    def time_is_up(self) -> list[str]:
        """Let what the call itself waits for come to pass."""
        due = self.alice.core.appointments.due_of(self.call)
        if due is None:
            return []
        self.now = due
        return self.do(lambda: self.call.handle_timer(due))

    def pass_by(self, seconds: float) -> list[str]:
        """Let time pass; return what comes of it."""
        self.log.clear()
        self.wait(seconds)
        return self.said()
