"""A flow over one connection, and what it needs of whoever keeps it (RFC 3261 section 18).

What is written to a peer that does not read waits here, within bounds; what comes from it is read by
:mod:`sip_p2p.transport.stream.protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final
from typing import Protocol as StructuralProtocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from sip_p2p.transport.flow import PAUSED_TO_WRITE, LiveFlow
from sip_p2p.transport.stream.alias import learn_alias
from sip_p2p.transport.stream.liveness import fastest_round_trip, socket_below

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IConsumer, IReactorTime, ITCPTransport

    from sip_p2p.errors import ConnectionFailure
    from sip_p2p.sip.framing import StreamFramer
    from sip_p2p.sip.via import Via
    from sip_p2p.transport.driver import Driver
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.load.restraint import Restraint
    from sip_p2p.transport.load.shared_octets import SharedOctets
    from sip_p2p.transport.stream.authorization import Authorization
    from sip_p2p.transport.stream.browsers import Browsers
    from sip_p2p.transport.stream.protocol import StreamProtocol
    from sip_p2p.transport.trust.judgement import VerifiedPeer

__all__ = ["FlowOwner", "Responses", "StreamFlow"]


_MEASURED_FOR = 0.01
# Each call of frozenset() makes one of its own, and each minus a number: most flows need neither.
_NEVER = -_MEASURED_FOR
_NO_ALIASES: frozenset[tuple[str, int]] = frozenset()


class FlowOwner(StructuralProtocol):
    """Whoever keeps the flows of one side: the connection manager, through its pool."""

    limits: Limits
    driver: Driver
    write_queues: SharedOctets
    partial: SharedOctets
    restraint: Restraint | None
    authorization: Authorization | None
    browsers: Browsers
    reactor: IReactorTime

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names on a flow with this local address."""

    def connection_made(self, connection: StreamProtocol) -> bool:
        """A TCP connection stands; False when it is one too many and is to be dropped at once."""

    def connection_ended(self, connection: StreamProtocol) -> None:
        """A TCP connection is gone, whether it ever became a flow or not."""

    def flow_opened(self, flow: StreamFlow) -> None:
        """A flow may carry messages from now on."""

    def flow_active(self, flow: StreamFlow, partial: bool) -> None:
        """Something came; *partial* tells whether a message is still incomplete."""

    def flow_answers(self, flow: StreamFlow) -> None:
        """The peer has answered a keep-alive."""

    def flow_closing(self, flow: StreamFlow) -> None:
        """We have closed the flow, and it is not gone yet."""

    def flow_lost(self, flow: StreamFlow, reason: BaseException) -> None:
        """The flow is gone."""

    def flow_stalled(self, flow: StreamFlow, waits: bool) -> None:
        """The flow's transport has begun to have no room, or has had some; *waits* tells whether something is left."""

    def flow_throttled(self, flow: StreamFlow) -> None:
        """Nothing more is read from the peer, or again."""

    def limit_hit(self, name: str) -> None:
        """A bound of :class:`~sip_p2p.transport.limits.Limits` was reached."""

    def has_room(self) -> bool:
        """Whether one more connection may be accepted at all."""

    def refusal(self, flow: StreamFlow) -> str:
        """Why this flow is one too many; the empty string when it is welcome."""

    def connection_denied(self, error: ConnectionFailure) -> None:
        """The application wants nothing of this connection, or it opened no WebSocket where it had to."""


class StreamFlow(LiveFlow):
    """A flow over one connection.

    :ivar last_used: when it was last in use, on the driver's scale: a message came, or at a look for idle flows
        something held it.
    :ivar is_silent: whether none has come yet.
    :ivar is_partial: whether one has begun and is not complete.
    :ivar is_lost: whether the connection has ended.
    :ivar socket: what it is at the bottom; None where that cannot be told.
    :ivar round_trip: see :func:`~sip_p2p.transport.stream.liveness.fastest_round_trip`.
    :ivar is_ended_by_us: whether we closed or aborted it.
    :ivar is_ended_in_order: whether the peer closed it in the orderly way.
    :ivar aliases: the sent-by values under which the peer presented itself here and which its certificate covers.
    :ivar last_alias: the last such value that was looked at, covered or not.
    :ivar limits: the bounds that held when it was opened; a change is for those that come later (row E10).
    :ivar framer: what cuts its octets into messages.
    :ivar first_address: where the connection comes from, as it was counted when it was accepted.
    :ivar held: octets of a message that is not complete.
    :ivar queued: octets that wait here because the transport has no room for them.
    """

    __slots__ = (
        "_is_stalled",
        "_measured",
        "_owner",
        "_paused_for",
        "_transport",
        "_waiting",
        "_write",
        "aliases",
        "first_address",
        "framer",
        "held",
        "is_ended_by_us",
        "is_ended_in_order",
        "is_lost",
        "is_partial",
        "is_silent",
        "key",
        "last_alias",
        "last_used",
        "limits",
        "queued",
        "round_trip",
        "socket",
    )

    def __init__(
        self,
        owner: FlowOwner,
        protocol_transport: ITCPTransport,
        transport: str,
        sent_by: str,
        local: tuple[str, int],
        remote: tuple[str, int],
        *,
        is_incoming: bool,
        verified: VerifiedPeer | None,
    ) -> None:
        super().__init__(transport, True, sent_by, local, remote, is_incoming=is_incoming, verified=verified)
        self._owner = owner
        self._transport = protocol_transport
        self._write: Callable[[bytes], None] = getattr(protocol_transport, "write_at_once", protocol_transport.write)
        self._paused_for = 0
        self._is_stalled = False
        self._measured = _NEVER
        self._waiting: list[bytes] | None = None
        self.queued = 0
        self.held = 0
        self.first_address = ""
        self.limits = owner.limits
        self.is_lost = False
        self.is_ended_by_us = False
        self.is_ended_in_order = False
        self.socket = socket_below(protocol_transport)
        self.round_trip = fastest_round_trip(self.socket)
        self.last_used = 0.0
        self.is_silent = True
        self.is_partial = False
        # Most flows have none, and ten thousand empty sets of their own would be two megabytes.
        self.aliases = _NO_ALIASES
        self.last_alias: tuple[str, int] | None = None
        self.key: object = None
        self.framer: StreamFramer | None = None

    def flush(self) -> None:
        """One write for the whole turn.

        What the transport has no room for waits here. While too much waits nothing more is read from the peer, which
        could only make us owe it more; over the hard limit it is cut off.
        """
        parts = self._parts
        if not parts:
            return
        self.sent += len(parts)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if not self.is_open:
            return
        if not self._is_stalled:
            self._write(data)
            return
        waits = self.queued + len(data)
        limits = self.limits
        if waits > limits.write_buffer_hard:
            self._owner.limit_hit("write_buffer_hard")
            self.abort()
            return
        if not self.queued:
            self._owner.flow_stalled(self, True)
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(data)
        self._holds(waits)
        if waits > limits.write_buffer and self.is_open:
            self.pause_reading(PAUSED_TO_WRITE)

    def _holds(self, octets: int) -> None:
        """So much waits from now on."""
        self.queued = octets
        self._owner.write_queues.holds(self, octets)

    def pause_reading(self, reason: int) -> None:
        """Read nothing more from the peer until this *reason*, and every other, is gone.

        :param reason: one of the bits ``PAUSED_...`` of :mod:`sip_p2p.transport.flow`.
        """
        before = self._paused_for
        self._paused_for = before | reason
        if not before:
            cast("IPushProducer", self._transport).pauseProducing()
            self.is_throttled = True
            self._owner.flow_throttled(self)

    def resume_reading(self, reason: int) -> None:
        """This *reason* for not reading is gone; nothing happens when it was none."""
        if not self._paused_for:
            return
        self._paused_for &= ~reason
        if not self._paused_for:
            self.is_throttled = False
            if not self.is_lost:
                cast("IPushProducer", self._transport).resumeProducing()
                self._owner.flow_throttled(self)

    def measure(self, now: float) -> None:
        """Ask the system again how fast the way is: the first packets of a connection may have been slow ones.

        Of requests that follow each other within milliseconds one asks for all.
        """
        if now - self._measured < _MEASURED_FOR:
            return
        self._measured = now
        seconds = fastest_round_trip(self.socket)
        if seconds and (seconds < self.round_trip or not self.round_trip):
            self.round_trip = seconds

    def presents(self, via: Via) -> None:
        """The peer says where it is; it is believed as far as it has proved it (RFC 5923)."""
        if self.peer and self.is_incoming:
            learn_alias(self, via)

    def close(self) -> None:
        """Close it once what was written has left."""
        self.flush()
        if not self.is_open:
            return
        self.is_open = False
        self.is_ended_by_us = True
        self._is_stalled = False
        self._write_waiting()
        # The peer's goodbye has to be read.
        self.resume_reading(self._paused_for)
        # TLS waits for a registered producer to finish before it says goodbye, and ours never does by itself.
        cast("IConsumer", self._transport).unregisterProducer()
        self._owner.flow_closing(self)
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        """End the connection once everything has left."""
        self._transport.loseConnection()

    def abort(self) -> None:
        """Drop the connection at once; nothing happens when it has ended."""
        self.is_open = False
        self.is_ended_by_us = self.is_ended_by_us or not self.is_lost
        if self._waiting:
            self._waiting.clear()
        if self.queued:
            self._holds(0)
        if self.held:
            self.held = 0
            self._owner.partial.holds(self, 0)
        if not self.is_lost:
            self._transport.abortConnection()

    def ping(self, binding: bytes) -> None:
        """Send two CRLF; a single one is a pong from now on (RFC 5626 section 4.4.1)."""
        if self.framer is not None:
            self.framer.pings_sent = 1
        self.cork(b"\r\n\r\n")
        self.flush()

    def peer_stalled(self) -> None:
        """The transport's buffer is full: what is written from now on waits here."""
        self._is_stalled = True

    def peer_reads_again(self) -> None:
        """The transport's buffer is empty: write what waited, as far as there is room, and read on when all has
        left."""
        self._is_stalled = False
        if self.is_open:
            self._write_waiting()

    def _write_waiting(self) -> None:
        waiting = self._waiting
        if not waiting:
            return
        written = 0
        left = self.queued
        for data in waiting:
            written += 1
            left -= len(data)
            self._write(data)
            if self._is_stalled and self.is_open:
                break
        if not waiting:
            # The write found the connection gone.
            return
        del waiting[:written]
        self._holds(left)
        self._owner.flow_stalled(self, bool(waiting))
        if left <= self.limits.write_buffer // 4:
            self.resume_reading(PAUSED_TO_WRITE)


@implementer(IPushProducer)
@final
class Responses:
    """What the transport pauses when its write buffer is full: our answers, by not reading more requests."""

    __slots__ = ("_flow",)

    def __init__(self, flow: StreamFlow) -> None:
        self._flow = flow

    def pauseProducing(self) -> None:
        """The transport's buffer is over its high-water mark."""
        self._flow.peer_stalled()

    def resumeProducing(self) -> None:
        """It has room again."""
        self._flow.peer_reads_again()

    def stopProducing(self) -> None:
        """The connection is ending; connectionLost tells the rest."""
        self._flow.is_open = False
