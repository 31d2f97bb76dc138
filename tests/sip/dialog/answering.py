"""Bob is called, and a test is the Alice that there is: her INVITE, and what follows it, by hand.

:class:`AnswerBench` is the other half of a :class:`~tests.sip.dialog.pair.Pair`: what Bob sends reaches nobody, and is
noted in :attr:`AnswerBench.log` together with what his application hears, in the order in which it happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.sip.dialog.server_invitation import ServerInvitation, ServerInvitationState
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from tests.sip.dialog.pair import ANSWER, OFFER, Pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.outputs import Output
    from tests.sip.dialog.pair import Party

__all__ = ["ANSWER", "OFFER", "AnswerBench"]


class AnswerBench(Pair):
    """Somebody who is called, and what he says.

    :ivar log: ``>180`` for what was sent, ``user:ended 487`` for what the application was told.
    :ivar responses: the responses that he sent, as they were written.
    :ivar requests: the requests.
    """

    def __init__(
        self,
        options: AnswerOptions | None = None,
        offer: ContentDescription | None = OFFER,
        *,
        reliable: bool = True,
        supported: str = "100rel, timer, 199",
        fields: dict[str, str] | None = None,
        drop: tuple[str, ...] = (),
        on_invite: Callable[[ServerInvitation], object] | None = None,
    ) -> None:
        """
        :param supported: what Alice can do.
        :param fields: what else her INVITE has, or has in the place of what it would have.
        :param drop: what it lacks.
        """
        super().__init__(reliable=reliable)
        if options is not None:
            self.bob.options = options
        if on_invite is not None:
            self.bob.on_invite = on_invite
        self.log: list[str] = []
        self.responses: list[Response] = []
        self.requests: list[Request] = []
        self.bob.on_effect = self._noted
        self._supported = supported
        self._offer = offer
        self._fields = fields or {}
        self._drop = drop
        self._cseq = 1
        self.invite()

    def _noted(self, effect: Output) -> None:
        self.log.append(f"user:{self.bob.heard[-1]}")

    def send(self, sender: Party, octets: bytes) -> None:
        """What Bob sends is noted, and reaches nobody."""
        self.octets.append(octets)
        message = parse_message(octets)
        if isinstance(message, Response):
            self.responses.append(message)
            self.log.append(f">{message.status}")
        else:
            assert isinstance(message, Request)
            self.requests.append(message)
            self.log.append(f">{message.method}")

    def said(self) -> list[str]:
        """What has happened since the last time that this was asked."""
        said, self.log = self.log, []
        return said

    def do(self, wish: Callable[[], object]) -> list[str]:
        """Let Bob's application do something; return what comes of it."""
        self.log.clear()
        try:
            wish()
        finally:
            self.bob.work()
        return self.said()

    def moment(self, when: float) -> list[str]:
        """What happens at *when*, and not before."""
        self.wait(when - self.now - 0.001)
        self.said()
        self.wait(0.002)
        return self.said()

    @property
    def call(self) -> ServerInvitation:
        """The call that came in."""
        return self.bob.calls[-1]

    @property
    def tag(self) -> str:
        """Bob's tag in his last response; before that one of nobody's."""
        return (self.responses[-1].to.tag if self.responses else None) or "nobody"

    @property
    def state(self) -> str:
        """Where the call is, as it says; but it is reliable while a session description waits for its PRACK."""
        call = self.call
        is_reliable = any(usage.offer_answer.holds_2xx for usage in call.usages)
        return "reliable" if is_reliable and call.state is ServerInvitationState.RINGING else call.state.name.lower()

    # -- what Alice does -----------------------------------------------------------------------------------------------

    def invite(self) -> None:
        """Her INVITE, and the same one again."""
        body = b"" if self._offer is None else self._offer.body
        contact = "sip:alice@alice.example:5061;transport=tls" if self.bob.flow.reliable else "sip:alice@192.0.2.1"
        fields = {"Contact": f"<{contact}>", "Supported": self._supported, "Allow": "INVITE, ACK, BYE, UPDATE, PRACK"}
        self._write("INVITE", 1, "", "z9hG4bKinvite", {**fields, **self._fields}, body)

    def cancel(self, branch: str = "z9hG4bKinvite") -> None:
        """Her CANCEL; with the branch of the INVITE it is for that."""
        self._write("CANCEL", 1, "", branch)

    def prack(self, rseq: int | None = None, tag: str = "", body: bytes = b"", rack: str = "") -> None:
        """Her PRACK, by default for the last reliable response."""
        reliable = [response for response in self.responses if "RSeq" in response.headers]
        number = rseq if rseq is not None else int(reliable[-1].headers["RSeq"]) if reliable else 1
        tag = tag or (reliable[-1].to.tag if reliable else None) or self.tag
        self.request("PRACK", tag, body, {"RAck": rack or f"{number} 1 INVITE"})

    def request(self, method: str, tag: str = "", body: bytes = b"", fields: dict[str, str] | None = None) -> None:
        """Any other request of hers in the dialog with Bob's *tag*, by default that of his last response."""
        self._cseq += 1
        self._write(method, self._cseq, tag or self.tag, f"z9hG4bKr{self._cseq}", fields or {}, body)

    def ack(self, tag: str = "", cseq: int = 1, body: bytes = b"", branch: str = "z9hG4bKack") -> None:
        """Her ACK of a 2xx; with the branch of the INVITE it is that of a refusal."""
        self._write("ACK", cseq, tag or self.tag, branch, {}, body)

    def _write(
        self,
        method: str,
        cseq: int,
        tag: str,
        branch: str,
        fields: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        flow = self.bob.flow
        transport = flow.transport
        all_fields = {
            "Via": f"SIP/2.0/{transport} {'alice.example:5061' if flow.reliable else '192.0.2.1'};branch={branch}",
            "Max-Forwards": "70",
            "From": "<sip:alice@alice.example>;tag=at",
            "To": f"<sip:bob@bob.example>{f';tag={tag}' if tag else ''}",
            "Call-ID": "call-1",
            "CSeq": f"{cseq} {method}",
            **(fields or {}),
        }
        if body:
            all_fields.setdefault("Content-Type", "application/sdp")
        lines = [f"{name}: {value}" for name, value in all_fields.items() if name not in self._drop]
        head = "\r\n".join([f"{method} sip:bob@bob.example SIP/2.0", *lines, f"Content-Length: {len(body)}", "", ""])
        self.bob.receive(head.encode("utf-8", "surrogateescape") + body)
