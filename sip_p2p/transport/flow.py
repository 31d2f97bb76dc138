"""Live flows: what the core calls a :class:`~sip_p2p.sip.flow.Flow`, with something behind it to write to."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from sip_p2p.sip.flow import Flow
from sip_p2p.sip.overload import OFFER
from sip_p2p.transport.pool.lease import Lease

if TYPE_CHECKING:
    from sip_p2p.transport.keep_alive import KeepAlives
    from sip_p2p.transport.load.restraint import Restraint
    from sip_p2p.transport.trust.judgement import VerifiedPeer

__all__ = ["PAUSED_FOR_ANSWERS", "PAUSED_TO_WRITE", "LiveFlow"]

PAUSED_TO_WRITE = 1
"""Too much waits to be written to the peer."""

PAUSED_FOR_ANSWERS = 2
"""Too many of the peer's requests wait for our answer."""

_numbers = count(1)


class LiveFlow(Flow):
    """A flow that can be written to and closed.

    :ivar number: its place among all flows of this process, counted from 1: what logs, traces and the API call it.
    :ivar local_host: our own address on it.
    :ivar local_port: our own port.
    :ivar is_incoming: whether the peer opened it.
    :ivar verified: what TLS proved about the peer; None on clear text.
    :ivar is_open: False from the moment it is closed or lost.
    :ivar may_request: whether requests of the peer are for our applications; its responses always are.
    :ivar invited: how many have asked the peer to send its requests here, whatever else it may: registrations.
    :ivar messages: how many messages came; keep-alives are none.
    :ivar opened: when it came to carry messages, on the driver's scale.
    :ivar sent: how many messages were written, answers to keep-alives among them.
    :ivar keep_alive: what agrees on keep-alives with the peer; None where there are none.
    :ivar leases: how many hold it, so that it is not closed for idleness; see :meth:`lease`.
    :ivar restraint: what each side has asked the other to do less of; None where nobody asks.
    :ivar unanswered: how many of the peer's requests, INVITEs apart, an application has and has not answered.
    :ivar is_throttled: whether nothing is read from the peer at the moment (row E19).
    """

    __slots__ = (
        "_parts",
        "invited",
        "is_incoming",
        "is_open",
        "is_throttled",
        "keep_alive",
        "leases",
        "local_host",
        "local_port",
        "may_request",
        "messages",
        "number",
        "opened",
        "restraint",
        "sent",
        "unanswered",
        "verified",
    )

    def __init__(
        self,
        transport: str,
        reliable: bool,
        sent_by: str,
        local: tuple[str, int],
        remote: tuple[str, int],
        *,
        is_incoming: bool,
        verified: VerifiedPeer | None = None,
    ) -> None:
        identities = None if verified is None else verified.identities
        super().__init__(
            transport, reliable, sent_by, remote[0], remote[1], "" if identities is None else identities.key
        )
        self.number = next(_numbers)
        self.local_host, self.local_port = local
        self.is_incoming = is_incoming
        self.verified = verified
        self.is_open = True
        self.may_request = True
        self.invited = 0
        self.messages = 0
        self.opened = 0.0
        self.sent = 0
        self.keep_alive: KeepAlives | None = None
        self.leases = 0
        self.restraint: Restraint | None = None
        self.unanswered = 0
        self.is_throttled = False
        self._parts: list[bytes] = []

    def cork(self, data: bytes) -> bool:
        """Hold *data* for the flush at the end of the turn; True when it is the first."""
        self._parts.append(data)
        return len(self._parts) == 1

    def flush(self) -> None:
        """Write everything that was held, as one write where the transport has streams."""
        raise TypeError("LiveFlow is abstract")

    def resume_reading(self, reason: int) -> None:
        """This *reason* for not reading is gone. Here: what comes is always read."""

    def proves(self, host: str) -> bool:
        """Whether the peer's certificate proves *host*, a name or an address (RFC 5922 section 7)."""
        verified = self.verified
        if verified is None or verified.identities is None:
            return False
        return verified.identities.matches(host) is not None

    def answer_via(self, text: str) -> str:
        """What responses say in the place of the peer's own Via."""
        if self.keep_alive is not None and ";keep" in text:
            text = self.keep_alive.answer_via(self, text)
        if self.restraint is not None and ";oc" in text:
            text = self.restraint.answer_via(text)
        return text

    def heard_via(self, text: str) -> None:
        """A response says in our Via what the peer makes of what we offer."""
        if self.keep_alive is not None and ";keep=" in text:
            self.keep_alive.heard_via(self, text)
        if self.restraint is not None and ";oc=" in text and OFFER in self.via_params:
            self.restraint.heard_via(self, text)

    def ping(self, binding: bytes) -> None:
        """Send a keep-alive: on a stream two CRLF, on UDP *binding*, a STUN request."""
        raise TypeError("LiveFlow is abstract")

    def close(self) -> None:
        """Close it once what was written has left; nothing happens the second time (row E11)."""
        raise TypeError("LiveFlow is abstract")

    def abort(self) -> None:
        """Drop it at once, with whatever still waits to be written."""
        raise TypeError("LiveFlow is abstract")

    def lease(self) -> Lease:
        """Hold it: until the lease is released it is not closed for idleness (row E5)."""
        return Lease(self)

    def __repr__(self) -> str:
        direction = "from" if self.is_incoming else "to"
        who = f" ({self.peer})" if self.peer else ""
        return f"<{self.transport} flow {direction} {self.remote_host}:{self.remote_port}{who}>"
