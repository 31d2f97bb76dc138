"""Provisional responses that arrive: RSeq, RAck and the retransmission until PRACK (RFC 3262 sections 3, 4 and 7).

:class:`ReliableSender` is the callee's half, one for each early dialog, :class:`ReliableReceiver` the caller's. Neither
sends anything: what is to be sent is what their methods return.

Left out: offers and answers in these messages (:mod:`~sip_p2p.sip.dialog.offer_answer`), and the PRACK itself, which is
a request like any other of the dialog.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.abnf import TOKEN_CHARS, parse_number
from sip_p2p.sip.fields import CSeq, parse_tokens

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.transaction.timers import Timers

__all__ = [
    "MOST_PRACKS", "OPTION_TAG", "RAck", "ReliableReceiver", "ReliableSender", "first_rseq", "parse_rack", "rseq_of",
]  # fmt: skip

OPTION_TAG = "100rel"
"""The option tag of this extension (section 8.1)."""

MOST_PRACKS = 16
"""How many PRACKs of one early dialog may wait for their responses. A peer that sends reliable responses without end,
and answers none of the PRACKs, would otherwise use up the room for our requests; what it sends beyond that is taken
when it comes again."""

_LARGEST_FIRST_RSEQ = 2**31 - 1
_LARGEST_RSEQ = 2**32 - 1
_LONGEST_QUEUE = 16
_RACK = re.compile(rf"[ \t]*([0-9]+)[ \t]+([0-9]+)[ \t]+([{TOKEN_CHARS}]+)[ \t]*")


@final
class RAck:
    """A RAck value (section 7.2): which reliable provisional response a PRACK acknowledges.

    :ivar rseq: its RSeq.
    :ivar cseq: its CSeq.
    """

    __slots__ = ("cseq", "rseq")

    def __init__(self, rseq: int, cseq: CSeq) -> None:
        """
        :raises ValueError: when *rseq* is not between 1 and 2**32 - 1.
        """
        if not 1 <= rseq <= _LARGEST_RSEQ:
            raise ValueError(f"{rseq} is no RSeq: 1 to 2**32 - 1")
        self.rseq = rseq
        self.cseq = cseq

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RAck):
            return NotImplemented
        return self.rseq == other.rseq and self.cseq == other.cseq

    def __hash__(self) -> int:
        return hash((self.rseq, self.cseq))

    def __repr__(self) -> str:
        return f"<RAck {self}>"


def parse_rack(value: str) -> RAck:
    """Parse a RAck value.

    :raises MalformedMessage: when it is not two numbers in their bounds and a method (400).
    """
    match = _RACK.fullmatch(value)
    if match is None:
        raise MalformedMessage(f"RAck: not two numbers and a method: {value[:64]!r}")
    try:
        return RAck(parse_number(match[1], _LARGEST_RSEQ), CSeq(parse_number(match[2], _LARGEST_RSEQ), match[3]))
    except ValueError as error:
        raise MalformedMessage(f"RAck: {error}") from None


def rseq_of(response: Response) -> int:
    """The RSeq of a provisional response that was sent reliably; 0 for any other.

    A response is reliable when it is 101 to 199 and requires 100rel (section 4). One that requires it and has no RSeq,
    or none that can be read, cannot be acknowledged and is taken for an unreliable one.
    """
    if not 100 < response.status < 200:
        return 0
    headers = response.headers
    value = headers.get("RSeq")
    if value is None:
        return 0
    try:
        required = [tag.lower() for field in headers.get_all("Require") for tag in parse_tokens(field, "Require")]
        return parse_number(value.strip(" \t"), _LARGEST_RSEQ) if OPTION_TAG in required else 0
    except (MalformedMessage, ValueError):
        return 0


def first_rseq(tokens: TokenSource) -> int:
    """Where the RSeq of a dialog starts: 1 to 2**31 - 1, any of them as likely as any other (section 3)."""
    return 1 + tokens.number(_LARGEST_FIRST_RSEQ)


@final
class ReliableSender:
    """The reliable provisional responses to one INVITE in one early dialog, one at a time.

    :ivar has_given_up: whether a response was not acknowledged within 64*T1; the INVITE is to be refused with a 5xx.
    """

    __slots__ = (
        "_cseq",
        "_deadline",
        "_interval",
        "_is_stopped",
        "_next_rseq",
        "_queue",
        "_timers",
        "_unacknowledged",
        "has_given_up",
    )

    def __init__(self, cseq: CSeq, first: int, timers: Timers) -> None:
        """
        :param cseq: the INVITE's.
        :param first: the RSeq to start with (:func:`first_rseq`).
        """
        self.has_given_up = False
        self._cseq = cseq
        self._next_rseq = first
        self._timers = timers
        # The first of the queue is the one that is out, while there is one.
        self._queue: list[Response] = []
        self._unacknowledged = 0
        self._is_stopped = False
        self._interval = 0.0
        # When to send it again, and when to give up.
        self._deadline: tuple[float, float] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a response waits for its PRACK, or for its turn."""
        return bool(self._queue)

    @property
    def is_out(self) -> bool:
        """Whether a response that was sent waits for its PRACK, also after :meth:`stop`."""
        return self._unacknowledged != 0

    @property
    def is_full(self) -> bool:
        """Whether too many wait already."""
        return len(self._queue) >= _LONGEST_QUEUE

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`due` is to be called next; None while nothing waits for its PRACK."""
        return None if self._deadline is None else min(self._deadline)

    def send(self, response: Response, now: float) -> Response | None:
        """Send *response* reliably: it gets its Require here, and its RSeq when its turn comes.

        :returns: the response, when it is to be sent now; None while another one waits for its PRACK. Then
            :meth:`following` gives it.
        :raises ValueError: when it is no provisional response from 101 to 199.
        :raises InvalidOperation: after :meth:`stop`, and to be tried again later when too many wait already.
        """
        if not 100 < response.status < 200:
            raise ValueError(f"only 101 to 199 can be sent reliably, not {response.status} (RFC 3262 section 3)")
        if self._is_stopped:
            raise InvalidOperation("after the final response no provisional one can follow")
        if len(self._queue) >= _LONGEST_QUEUE:
            raise InvalidOperation("too many provisional responses wait to be acknowledged", retryable=True)
        response.headers.add("Require", OPTION_TAG)
        self._queue.append(response)
        # Section 3: no second one before the first was acknowledged.
        return self._start(now) if len(self._queue) == 1 else None

    def prack(self, request: Request) -> int:
        """The peer's PRACK came.

        :returns: 200, and the response that it names is not sent again; 481 where it names none that waits (section
            3); 400 where its RAck cannot be read.
        """
        try:
            rack = parse_rack(request.single("RAck"))
        except MalformedMessage as error:
            return error.status
        if not self._unacknowledged or rack.rseq != self._unacknowledged or rack.cseq != self._cseq:
            return 481
        self._unacknowledged = 0
        self._deadline = None
        if self._queue:
            del self._queue[0]
        return 200

    def following(self, now: float) -> Response | None:
        """After a PRACK: the response whose turn it is, to be sent now; None where none waits."""
        return self._start(now) if self._queue and not self._unacknowledged else None

    def due(self, now: float) -> Response | None:
        """The response to send again at *now*, or None; see :attr:`has_given_up` then."""
        if self._deadline is None or now < min(self._deadline):
            return None
        end = self._deadline[1]
        if now >= end:
            # Section 3: after 64*T1 the INVITE is refused with a 5xx.
            self.has_given_up = True
            self.stop()
            self._unacknowledged = 0
            return None
        # Section 3: over every transport, and the doubling does not end at T2.
        self._interval *= 2
        self._deadline = (now + self._interval, end)
        return self._queue[0]

    def stop(self) -> None:
        """The final response goes out: nothing is sent again, and what waited for its turn never will be; the PRACK for
        what is out is still known (section 3)."""
        self._queue.clear()
        self._deadline = None
        self._is_stopped = True

    def _start(self, now: float) -> Response:
        response = self._queue[0]
        self._unacknowledged = self._next_rseq
        self._next_rseq += 1
        response.headers.add("RSeq", str(self._unacknowledged))
        self._interval = self._timers.t1
        self._deadline = (now + self._interval, now + self._timers.timeout)
        return response


@final
class ReliableReceiver:
    """The reliable provisional responses of one callee to our INVITE: each is taken once, in order.

    :ivar dropped: how many came again or out of order.
    """

    __slots__ = ("_last", "dropped")

    def __init__(self) -> None:
        self._last = 0
        self.dropped = 0

    def received(self, response: Response) -> RAck | None:
        """A reliable provisional response came: one with an :func:`rseq_of`.

        :returns: what its PRACK has to say in RAck. None: it is not to be acknowledged and not to be looked at further
            (section 4): it came before, or one before it is still missing and the peer will send both again.
        :raises MalformedMessage: when its CSeq cannot be read.
        """
        rseq = rseq_of(response)
        if rseq == 0 or (self._last and rseq != self._last + 1):
            self.dropped += 1
            return None
        rack = RAck(rseq, response.cseq)
        self._last = rseq
        return rack
