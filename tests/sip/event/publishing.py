"""One publication of ours, whose compositor is played by hand.

:class:`Bench` has a core and a machine. What the machine says is put in words: ``>initial``, ``>refresh``, ``>modify``
and ``>remove`` are PUBLISHes by Table 1 of RFC 3903 section 4.1, and ``[told 200]`` what the application hears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import OperationTimeout
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.effects import RequestUnwanted, RequestWanted
from sip_p2p.sip.event.publisher import PublicationOver, PublicationState, PublishEnded, Publisher
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.dialog.dialogs import ALICE, tls

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.effects import Errand

__all__ = ["Bench"]


class Bench:
    """A publication of Alice's.

    :ivar now: the time.
    :ivar publisher: the machine.
    :ivar sent: the PUBLISHes that were wanted, as they would go.
    :ivar told: the effects for the application.
    """

    def __init__(self, expires: int = 3600) -> None:
        self.now = 100.0
        self.core = UserAgentCore(CountingTokens())
        plan = RequestPlan("PUBLISH", ALICE, f"<{ALICE}>", "at", "call")
        plan.fields = [("X-A", "b")]
        plan.cseq = 0
        self.publisher = Publisher(self.core, plan, "presence", expires)
        self.flow = tls("a.example")
        self.sent: list[Request] = []
        self.told: list[PublishEnded | PublicationOver] = []
        self.errand: Errand | None = None
        self._said: list[str] = []
        self._tags = 0

    def publish(self, body: bytes = b"open") -> None:
        """The application publishes."""
        self.publisher.publish(body, "text/plain", self.now)
        self.look()

    def answer(self, status: int, *fields: tuple[str, str]) -> None:
        """The PUBLISH that is under way is answered; a 2xx has an entity-tag of its own unless *fields* say one."""
        errand, self.errand = self.errand, None
        assert errand is not None
        if status < 300 and not any(name == "SIP-ETag" for name, _ in fields):
            self._tags += 1
            fields = (*fields, ("SIP-ETag", f"tag{self._tags}"))
        self.publisher.errand_answered(errand, Response(status, None, list(fields)), self.flow, self.now)
        self.look()

    def fail(self) -> None:
        """There is no response to the PUBLISH that is under way."""
        errand, self.errand = self.errand, None
        assert errand is not None
        self.publisher.errand_failed(errand, OperationTimeout("no answer"), self.now)
        self.look()

    def wait(self, seconds: float) -> None:
        """Time passes, and what is due is done when it is due."""
        end = self.now + seconds
        while (due := self.core.appointments.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.core.handle_timer(self.now)
            self.look()
        self.now = end

    def look(self) -> None:
        """Take what was said."""
        for output in self.core.take_outputs():
            if isinstance(output, RequestWanted):
                assert self.errand is None, "one PUBLISH at a time"
                self.errand = output.errand
                self.sent.append(output.errand.plan.build())
                self._said.append(f">{kind_of(self.sent[-1])}")
            elif isinstance(output, RequestUnwanted):
                assert output.errand is self.errand
                self.errand = None
                self._said.append("[unwanted]")
            elif isinstance(output, PublishEnded):
                self.told.append(output)
                self._said.append(f"[told {'nothing' if output.response is None else output.response.status}]")
            elif isinstance(output, PublicationOver):
                self.told.append(output)
                self._said.append("[removed]" if output.is_removed else "[ended]")

    def said(self) -> str:
        """What was said since the last call."""
        self.look()
        said, self._said = self._said, []
        return " ".join(said)

    @property
    def state(self) -> str:
        """Where the machine is, in the words of its table."""
        publisher = self.publisher
        if publisher.state is not PublicationState.ASKING:
            return publisher.state.name.lower()
        name = "asking again" if publisher.etag else "asking"
        return f"{name}, leaving" if publisher.is_leaving else name


def kind_of(request: Request) -> str:
    """What a PUBLISH does (Table 1)."""
    if request.headers["Expires"] == "0":
        return "remove"
    if "SIP-If-Match" not in request.headers:
        return "initial"
    return "modify" if request.body else "refresh"
