"""The ACK of a 2xx, from both its ends (RFC 3261 sections 13.2.2.4 and 13.3.1.4).

:class:`OwedAck` stands at the end that sends it: owed from the 2xx on, sent when the application is ready, and again
each time the 2xx comes again. :class:`AwaitedAck` stands at the other: it has the 2xx, and says it again until the ACK
comes. Each exists only while there is something to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded
from sip_p2p.sip.dialog.acknowledgement import AckDue, Acknowledgement
from sip_p2p.sip.outputs import SendMessage

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["AwaitedAck", "OwedAck"]

_MOST_KEPT = 4
_MOST_AWAITED = 4
_MOST_REPEATED = 64


@final
class OwedAck:
    """The ACK for one 2xx of the peer.

    :ivar cseq: the sequence number of the INVITE and of the ACK.
    :ivar response: the 2xx, until the ACK is on its way; None afterwards.
    :ivar until: when it is no longer kept, since the 2xx cannot come again (RFC 6026 section 7.2: timer M); None before
        it is on its way.
    :ivar older: the ACK of an earlier 2xx that may still come again; a few are kept.
    """

    __slots__ = ("_flow", "_octets", "_repeated", "cseq", "older", "response", "until")

    def __init__(self, cseq: int, response: Response | None, older: OwedAck | None = None) -> None:
        """
        :param response: None where the ACK is on its way already.
        """
        self.cseq = cseq
        self.older = older
        kept: OwedAck | None = self
        for _ in range(_MOST_KEPT - 1):
            kept = None if kept is None else kept.older
        if kept is not None:
            kept.older = None
        self.response = response
        self.until: float | None = None
        self._flow: Flow | None = None
        self._octets = b""
        self._repeated = 0

    @property
    def is_owed(self) -> bool:
        """Whether it waits for us."""
        return self.response is not None

    def leave(self, until: float) -> Response | None:
        """It is on its way, and is kept until then; return the 2xx, which is not."""
        response, self.response = self.response, None
        self.until = until
        return response

    def sent(self, octets: bytes, flow: Flow) -> None:
        """It left as *octets* on *flow*; or an older one did, that had to leave first."""
        if self.older is not None and self.older.is_leaving:
            self.older.sent(octets, flow)
        else:
            self._octets = octets
            self._flow = flow

    @property
    def is_leaving(self) -> bool:
        """Whether it, or an older one, is on its way and has not left yet."""
        return (self.until is not None and self._flow is None) or (self.older is not None and self.older.is_leaving)

    def find(self, cseq: int) -> OwedAck | None:
        """The one for the INVITE with *cseq*."""
        if self.cseq == cseq:
            return self
        return None if self.older is None else self.older.find(cseq)

    def kept(self, now: float) -> OwedAck | None:
        """What is kept still at *now*: the newer one left later, so with it go all that are older."""
        if self.until is not None and now >= self.until:
            return None
        if self.older is not None:
            self.older = self.older.kept(now)
        return self

    @property
    def next_deadline(self) -> float | None:
        """When the oldest is to be let go."""
        older = None if self.older is None else self.older.next_deadline
        return self.until if older is None else older

    def again(self, core: UserAgentCore) -> None:
        """13.2.2.4: the 2xx came again, so its ACK was lost. One that has not left yet needs no repetition.

        A 2xx comes a dozen times within 64*T1, whatever gets lost. Who sends it without end would have us send more
        than it does itself, and perhaps to somebody else.
        """
        if self._flow is not None and self._repeated < _MOST_REPEATED:
            self._repeated += 1
            core.say(SendMessage(self._flow, self._octets))


@final
class AwaitedAck:
    """A 2xx of ours to an INVITE or a re-INVITE, until it is acknowledged.

    :ivar cseq: the sequence number of the INVITE, which its ACK has too.
    :ivar is_first: whether it answered the INVITE that opened the session.
    :ivar is_overtaken: whether a later re-INVITE came.
    :ivar older: another 2xx that waits still: a re-INVITE can overtake the ACK (RFC 5407 section 3.1.4).
    """

    __slots__ = ("_machine", "_response", "_transaction", "cseq", "is_first", "is_overtaken", "older")

    def __init__(
        self,
        core: UserAgentCore,
        transaction: ServerTransaction,
        response: Response,
        now: float,
        is_first: bool,
        older: AwaitedAck | None,
    ) -> None:
        self.cseq = response.cseq.number
        self.is_first = is_first
        self.is_overtaken = False
        self.older = older
        self._transaction = transaction
        self._response = response
        self._machine = Acknowledgement(core.layer.timers)
        self._machine.start(now)

    @property
    def is_one_of_many(self) -> bool:
        """Whether so many wait that no peer has merely lost its ACKs."""
        count, waiting = 0, self.older
        while waiting is not None:
            count, waiting = count + 1, waiting.older
        return count + 1 >= _MOST_AWAITED

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`due` is to be called next, for this one or for an older one."""
        own = self._machine.next_deadline
        older = None if self.older is None else self.older.next_deadline
        return own if older is None or (own is not None and own < older) else older

    def due(self, core: UserAgentCore, now: float) -> bool:
        """Say the 2xx again if it is time to; return whether nobody will acknowledge it any more."""
        if self.older is not None and self.older.due(core, now):
            return True
        outcome = self._machine.due(now)
        if outcome is AckDue.REPEAT:
            try:
                # RFC 6026 section 7.1: the transaction passes it on as often as it is given. Nothing new is counted.
                core.layer.respond(self._transaction, self._response, now)
            except AlreadyResponded:
                # The flow that carried the INVITE is gone, and the transaction with it; the ACK may be under way.
                return False
        # RFC 6141 section 5.4: whoever sends another re-INVITE is there, and may have lost the 2xx with its address.
        return outcome is AckDue.GIVE_UP and not (self.is_overtaken and not self.is_first)

    def overtaken(self) -> None:
        """Another re-INVITE came."""
        self.is_overtaken = True
        if self.older is not None:
            self.older.overtaken()

    def kept(self) -> AwaitedAck | None:
        """What waits still, without what nobody will acknowledge any more."""
        older = self.older = None if self.older is None else self.older.kept()
        return self if self._machine.is_waiting else older

    def find(self, cseq: int) -> AwaitedAck | None:
        """The one that waits for the ACK with *cseq*."""
        if self.cseq == cseq:
            return self
        return None if self.older is None else self.older.find(cseq)

    def without(self, acknowledged: AwaitedAck) -> AwaitedAck | None:
        """What waits still, now that *acknowledged* does not."""
        if self is acknowledged:
            return self.older
        if self.older is not None:
            self.older = self.older.without(acknowledged)
        return self
