"""One publication of ours, whose compositor is played by hand.

:class:`Bench` has a core and a machine. What the machine says is put in words: ``>initial``, ``>refresh``, ``>modify``
and ``>remove`` are PUBLISHes by Table 1 of RFC 3903 section 4.1, and ``[told 200]`` what the application hears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.event.publisher import PublicationOver, PublicationState, PublishEnded, Publisher
from sip_p2p.sip.message import Request
from tests.sip.dialog.dialogs import ALICE, tls
from tests.sip.event.playing import MachineBench

if TYPE_CHECKING:
    pass

__all__ = ["Bench"]


class Bench(MachineBench):
    """A publication of Alice's.

    :ivar publisher: the machine.
    :ivar told: the effects for the application.
    """

    def __init__(self, expires: int = 3600) -> None:
        super().__init__(tls("a.example"))
        plan = RequestPlan("PUBLISH", ALICE, f"<{ALICE}>", "at", "call")
        plan.fields = [("X-A", "b")]
        plan.cseq = 0
        self.publisher = Publisher(self.core, plan, "presence", expires)
        self.told: list[PublishEnded | PublicationOver] = []
        self._tags = 0

    def publish(self, body: bytes = b"open") -> None:
        """The application publishes."""
        self.publisher.publish(body, "text/plain", self.now)
        self.look()

    def answer(self, status: int, *fields: tuple[str, str]) -> None:
        """The PUBLISH that is under way is answered; a 2xx has an entity-tag of its own unless *fields* say one."""
        if status < 300 and not any(name == "SIP-ETag" for name, _ in fields):
            self._tags += 1
            fields = (*fields, ("SIP-ETag", f"tag{self._tags}"))
        self.answered(status, fields)

    def fail(self) -> None:
        """There is no response to the PUBLISH that is under way."""
        self.failed()

    def wait(self, seconds: float) -> None:
        """Time passes, and what is due is done when it is due."""
        self.pass_time(seconds)

    def _words_of(self, request: Request) -> str:
        return kind_of(request)

    def _hear(self, output: object) -> None:
        if isinstance(output, PublishEnded):
            self.told.append(output)
            self._said.append(f"[told {'nothing' if output.response is None else output.response.status}]")
        elif isinstance(output, PublicationOver):
            self.told.append(output)
            self._said.append("[removed]" if output.is_removed else "[ended]")

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
