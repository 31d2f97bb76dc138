"""What the tests of registration share: a core, a binding of it, and a registrar that is no more than its answers."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p.errors import ConnectionFailure, SipError
from sip_p2p.sip.dialog.effects import Errand
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Response
from sip_p2p.sip.registration.binding import Binding, BindingChanged, RegisterWanted
from sip_p2p.sip.registration.order import RegisterOrder
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["CONTACT", "Bench", "answer", "make_flow"]

CONTACT = '<sip:alice-1@192.0.2.1:40000;transport=tls>;+sip.instance="<urn:uuid:1>"'
OTHER = "<sip:somebody@192.0.2.9>;expires=60"


def make_flow() -> Flow:
    """A connection to the registrar."""
    return Flow("TLS", True, "192.0.2.1:40000", "192.0.2.200", 5061, "example.com")


def answer(status: int, *fields: tuple[str, str]) -> Response:
    """A response of the registrar."""
    return Response(status, None, Headers(fields))


class Bench:
    """One binding, or several of one registration.

    :ivar now: the time.
    :ivar said: what the bindings have said since it was asked for last.
    """

    def __init__(self, count: int = 1, **options: Any) -> None:
        self.now = 1000.0
        self.core = UserAgentCore(CountingTokens())
        self.order = RegisterOrder("sip:example.com", "sip:alice@example.com", "<sip:alice@example.com>", **options)
        self.siblings: list[Binding] = []
        for number in range(1, count + 1):
            self.siblings.append(Binding(self.core, self.order, number, self.siblings))
        self.binding = self.siblings[0]
        self.errand: Errand | None = None
        self.wanted: list[RegisterWanted] = []

    def said(self) -> str:
        """What was said since the last call: ``>REGISTER`` for one that is to be sent, ``user:...`` for what is
        told."""
        words = []
        for output in self.core.take_outputs():
            if isinstance(output, RegisterWanted):
                self.wanted.append(output)
                self.errand = output.errand
                expires = dict(output.errand.plan.fields)["Expires"]
                words.append(">REGISTER 0" if expires == "0" else ">REGISTER")
            elif isinstance(output, BindingChanged):
                words.append(f"user:{output.state.name.lower()}")
        return " ".join(words)

    def reply(self, status: int, *fields: tuple[str, str], flow: Flow | None = None) -> None:
        """The registrar answers the last REGISTER; a 2xx that names no Contact grants what was asked for."""
        errand = cast("Errand", self.errand)
        number = f";reg-id={self.binding.reg_id}" if self.binding.use_outbound else ""
        errand.plan.contact = CONTACT + number
        over = flow or self.binding.flow or make_flow()
        owner = cast("Binding", errand.owner)
        owner.errand_answered(errand, answer(status, *fields), over, self.now)

    def grant(self, expires: int = 3600) -> None:
        """The registrar says yes."""
        number = f";reg-id={self.binding.reg_id}" if self.binding.use_outbound else ""
        self.reply(200, ("Contact", f"{CONTACT}{number};expires={expires}"))

    def fail(self, reason: SipError | None = None) -> None:
        """The last REGISTER has no answer."""
        errand = cast("Errand", self.errand)
        cast("Binding", errand.owner).errand_failed(errand, reason or ConnectionFailure("lost"), self.now)

    def wait(self, seconds: float) -> None:
        """Time passes, and what is due is done."""
        self.now += seconds
        self.core.appointments.handle_timer(self.now)

    def due(self) -> float | None:
        """In how many seconds something is due."""
        when = self.core.appointments.next_deadline()
        return None if when is None else when - self.now
