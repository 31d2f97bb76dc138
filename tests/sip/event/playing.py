"""One machine whose peer is played by hand: what its benches share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import OperationTimeout
from sip_p2p.sip.dialog.effects import RequestUnwanted, RequestWanted
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import SendMessage
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.user_agent import UserAgentCore

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.flow import Flow

__all__ = ["MachineBench"]


class MachineBench:
    """A core, a flow, and the one request that the machine has under way.

    :ivar now: the time.
    :ivar errand: the request under way.
    :ivar sent: the requests that were wanted, as they would go.
    :ivar answers: the responses that were sent.
    """

    def __init__(self, flow: Flow) -> None:
        self.now = 100.0
        self.core = UserAgentCore(CountingTokens())
        self.flow = flow
        self.errand: Errand | None = None
        self.sent: list[Request] = []
        self.answers: list[Response] = []
        self._said: list[str] = []

    def answered(self, status: int, fields: tuple[tuple[str, str], ...]) -> None:
        """The request under way is answered."""
        errand = self._over()
        errand.owner.errand_answered(errand, Response(status, None, list(fields)), self.flow, self.now)
        self.look()

    def failed(self, reason: BaseException | None = None) -> None:
        """There is no response to the request under way."""
        errand = self._over()
        errand.owner.errand_failed(errand, OperationTimeout("no answer") if reason is None else reason, self.now)
        self.look()

    def _over(self) -> Errand:
        errand, self.errand = self.errand, None
        assert errand is not None
        return errand

    def pass_time(self, seconds: float) -> None:
        """Time passes, and what is due is done when it is due."""
        end = self.now + seconds
        while (due := self.core.appointments.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.core.handle_timer(self.now)
            self.look()
        self.now = end

    def look(self) -> None:
        """Take what was said, and do what the facade does."""
        while outputs := self.core.take_outputs():
            for output in outputs:
                self._take(output)

    def said(self) -> str:
        """What was said since the last call."""
        self.look()
        said, self._said = self._said, []
        return " ".join(said)

    def _take(self, output: object) -> None:
        if isinstance(output, SendMessage):
            message = parse_message(output.data)
            assert isinstance(message, Response)
            self.answers.append(message)
            self._said.append(f">{message.status}")
        elif isinstance(output, RequestWanted):
            assert self.errand is None, "one request at a time"
            self.errand = output.errand
            self.sent.append(output.errand.plan.build())
            self._said.append(f">{self._words_of(self.sent[-1])}")
        elif isinstance(output, RequestUnwanted):
            assert output.errand is self.errand
            self.errand = None
            self._said.append("[unwanted]")
        else:
            self._hear(output)

    def _words_of(self, request: Request) -> str:
        """What is said of a request that is wanted."""
        raise TypeError("_words_of is abstract")

    def _hear(self, output: object) -> None:
        """Something else was said."""
        raise TypeError("_hear is abstract")
