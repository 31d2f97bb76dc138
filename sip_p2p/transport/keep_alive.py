"""Keep-alives: CRLF on streams and STUN on UDP (RFC 5626 section 4.4), and the agreement about them (RFC 6223).

Whoever opened a flow pings it, so that what lies between keeps it open and its end is noticed. A peer's ping is always
answered. That a pong is missing means something only where the peer has agreed to answer: by ``keep=`` in the Via of a
response, by Flow-Timer, by a registration that follows RFC 5626, or by what we were told of it. Everywhere else it is
counted, and the flow stays.

WebSocket has pings of its own, which every peer must answer (RFC 6455 section 5.5.2, RFC 7118 section 6): there both
sides ping, and a missing pong ends the flow without any agreement.

Left out: STUN servers that are no SIP peers.
"""

from __future__ import annotations

import os
import random
import re
from typing import TYPE_CHECKING, cast, final

from sip_p2p.errors import ConnectionFailure, MalformedMessage
from sip_p2p.sip.via import parse_via
from sip_p2p.transport.alarms import Alarms
from sip_p2p.transport.throttle import ThrottledLog
from sip_p2p.transport.udp.stun import BINDING_ERROR, binding_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.driver import Driver
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.udp.stun import Binding

__all__ = ["OFFER", "USUAL", "KeepAlive", "KeepAlives", "hear_flow_timer"]

OFFER = ";keep"
"""What our Via says until the peer has answered (RFC 6223 section 4.3)."""

_ASKED = re.compile(r";keep(?=;|\Z)")
_STREAM_INTERVAL = 120.0
_DATAGRAM_INTERVAL = 29.0
_SHARE = 0.8
_SHORTEST = 5.0
_LONGEST = 86400.0
_STUN_FIRST_RETRY = 0.5
# RFC 8489 would double it further, and take 40 seconds. Where a third is lost, eight tries in ten seconds do as well.
_STUN_LONGEST_RETRY = 1.5


@final
class KeepAlive:
    """How the flows of a connection manager are kept alive.

    :ivar interval: the longest time between two pings on a connection that we opened, in seconds; each comes after a
        random 80 to 100 % of it (RFC 5626 section 4.4.1). 0 sends none where the peer has not asked for any.
    :ivar pong_timeout: how long an answer may take, in seconds (RFC 5626: 10).
    :ivar datagram_interval: the same as *interval* for UDP, where pings are sent only by agreement (RFC 5626 section
        4.4.2: 24 to 29 seconds).
    :ivar pong_required: whether every peer that we dial is known to answer: then a missing pong is the end of the
        connection, agreed or not. For an outbound proxy that supports RFC 5626.
    :ivar hold: whether a flow that we opened is kept, however long it is not used, while the peer answers pings: it can
        always reach us by it then.
    """

    __slots__ = ("datagram_interval", "hold", "interval", "pong_required", "pong_timeout")

    def __init__(
        self,
        interval: float = _STREAM_INTERVAL,
        pong_timeout: float = 10.0,
        *,
        datagram_interval: float = _DATAGRAM_INTERVAL,
        pong_required: bool = False,
        hold: bool = False,
    ) -> None:
        """
        :raises ValueError: for an interval below 5 seconds that is not 0, or over a day; and for a time without end or
            without beginning that an answer may take.
        """
        for name, value in (("interval", interval), ("datagram_interval", datagram_interval)):
            if not (_SHORTEST <= value <= _LONGEST or (value == 0 and name == "interval")):
                raise ValueError(f"{name}={value}: keep-alives come every {_SHORTEST:g} to {_LONGEST:g} seconds")
        if not 0 < pong_timeout <= _LONGEST:
            raise ValueError(f"pong_timeout={pong_timeout}: an answer takes some time, and not for ever")
        self.interval = interval
        self.pong_timeout = pong_timeout
        self.datagram_interval = datagram_interval
        self.pong_required = pong_required
        self.hold = hold

    def advice(self, reliable: bool) -> int:
        """What we recommend to a peer that offers keep-alives, in seconds (RFC 6223 section 4.4)."""
        return int(self.interval or _STREAM_INTERVAL) if reliable else int(self.datagram_interval)


USUAL = KeepAlive()
"""What holds unless an application wants something else."""


@final
class _Kept:
    """What is remembered of a flow that we ping."""

    __slots__ = (
        "active_at",
        "activity",
        "attempts",
        "heard",
        "interval",
        "is_agreed",
        "is_silent",
        "mapped",
        "pinged",
        "transaction",
    )

    def __init__(self, interval: float, now: float) -> None:
        self.interval = interval
        self.is_agreed = False
        # Whether the last ping was not answered.
        self.is_silent = False
        # When the ping was sent that waits for its answer; 0 while none does.
        self.pinged = 0.0
        self.attempts = 0
        # How many messages had come when it was sent.
        self.heard = 0
        self.transaction = b""
        self.mapped: tuple[str, int] | None = None
        self.activity = 0
        self.active_at = now


@final
class KeepAlives:
    """The keep-alives of one connection manager.

    :ivar policy: how.
    :ivar pings: how many were sent.
    :ivar pongs: how many were answered in time.
    :ivar missed: how many were not.
    :ivar agreed: how many flows' peers have agreed to answer.
    """

    __slots__ = ("_alarms", "_driver", "_idle_timeout", "_kept", "_log", "_lost", "agreed", "missed", "pings",
                 "policy", "pongs")  # fmt: skip

    def __init__(
        self,
        policy: KeepAlive,
        driver: Driver,
        lost: Callable[[LiveFlow, ConnectionFailure], None],
        idle_timeout: float = 0.0,
    ) -> None:
        """
        :param lost: called with a flow whose peer does not answer though it should.
        :param idle_timeout: for how long an unused UDP flow is pinged; 0 for always.
        """
        self.policy = policy
        self.pings = 0
        self.pongs = 0
        self.missed = 0
        self.agreed = 0
        self._driver = driver
        self._lost = lost
        self._idle_timeout = 0.0 if policy.hold else idle_timeout
        self._kept: dict[LiveFlow, _Kept] = {}
        self._alarms: Alarms[LiveFlow] = Alarms(self._due)
        self._log = ThrottledLog("sip_p2p.transport.keep_alive", driver.now, driver.log_bounds)
        driver.watch(self._alarms)

    def __len__(self) -> int:
        return len(self._kept)

    def flow_opened(self, flow: LiveFlow) -> None:
        """A flow may carry messages; where we opened it the peer is asked whether it answers pings."""
        flow.keep_alive = self
        # A browser does not ping by itself, and every end of a WebSocket answers pings (RFC 6455 section 5.5.2).
        is_websocket = flow.transport in ("WS", "WSS")
        if flow.is_incoming and not is_websocket:
            return
        if not flow.is_incoming and OFFER not in flow.via_params:
            flow.via_params += OFFER
        if flow.reliable and self.policy.interval and flow not in self._kept:
            now = self._driver.now()
            kept = self._kept[flow] = _Kept(self.policy.interval, now)
            kept.is_agreed = is_websocket
            self._ping_later(flow, kept, now)

    def flow_lost(self, flow: LiveFlow) -> bool:
        """A flow is gone; returns whether it was pinged."""
        if self._kept.pop(flow, None) is None:
            return False
        self._alarms.stop(flow)
        return True

    def waits_for(self, flow: LiveFlow, transaction: bytes) -> bool:
        """Whether a STUN request with this *transaction* was sent on *flow* and has no answer yet."""
        kept = self._kept.get(flow)
        return kept is not None and bool(kept.pinged) and bool(transaction) and kept.transaction == transaction

    @staticmethod
    def offered(flow: LiveFlow) -> None:
        """The first message has come back: who has not answered the offer by then never will."""
        if OFFER in flow.via_params:
            flow.via_params = _ASKED.sub("", flow.via_params)

    @staticmethod
    def offer_again(flow: LiveFlow) -> bool:
        """What is sent next offers it once more, until :meth:`offered` is called; returns whether there is anything new
        about that."""
        if OFFER in flow.via_params or (flow.is_incoming and flow.reliable):
            return False
        flow.via_params += OFFER
        return True

    def answer_via(self, flow: LiveFlow, text: str) -> str:
        """The peer's Via with what we recommend to it, where it asks (RFC 6223 section 4.4)."""
        if '"' in text:
            # Whatever stands in quotes there, it is not in the shape in which anybody asks.
            return text
        return _ASKED.sub(f";keep={self.policy.advice(flow.reliable)}", text, count=1)

    def heard_via(self, flow: LiveFlow, text: str) -> None:
        """A response says in our Via how often the peer wants to be pinged (RFC 6223 section 4.3)."""
        if flow.is_incoming and flow.reliable:
            # We have not asked.
            return
        try:
            value = parse_via(text).params.get("keep") or ""
        except MalformedMessage:
            return
        self.agree(flow, value)

    def agree(self, flow: LiveFlow, seconds: str) -> None:
        """The peer answers pings, and wants one every so many *seconds* at least; 0 leaves that to us (RFC 6223 section
        5, RFC 5626 section 4.4). Where it has said so before, the shorter time counts: both are kept then."""
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 9) or not flow.is_open:
            return
        now = self._driver.now()
        kept = self._kept.get(flow)
        policy = self.policy
        own = policy.interval or _STREAM_INTERVAL if flow.reliable else policy.datagram_interval
        interval = min(max(float(seconds), _SHORTEST), _LONGEST) if int(seconds) else own
        if kept is not None and kept.is_agreed and (not int(seconds) or interval >= kept.interval):
            return
        if kept is None:
            kept = self._kept[flow] = _Kept(interval, now)
        kept.interval = interval
        if not kept.is_agreed:
            kept.is_agreed = True
            self.agreed += 1
        self.offered(flow)
        if not kept.pinged:
            self._ping_later(flow, kept, now)

    def holds(self, flow: LiveFlow) -> bool:
        """Whether *flow* is not to be closed, however long nobody has used it: where that was asked for, and an
        accepted WebSocket, whose peer can be reached in no other way."""
        if not self.policy.hold and not flow.is_incoming:
            return False
        kept = self._kept.get(flow)
        return kept is not None and not kept.is_silent

    def pong(self, flow: LiveFlow) -> None:
        """The peer has answered a ping of ours."""
        kept = self._kept.get(flow)
        if kept is not None and kept.pinged:
            self.pongs += 1
            kept.is_silent = False
            self._ping_again(flow, kept)

    def bound(self, flow: LiveFlow, binding: Binding) -> bool:
        """A STUN response came on *flow*; False when no request of ours waits for it.

        RFC 5626 section 4.4.2: when the peer sees us under another address than before, the flow has failed, because
        what it sends to the old one leads to nobody. So it has when the answer is an error.
        """
        kept = self._kept.get(flow)
        if kept is None or not kept.pinged or binding.transaction != kept.transaction:
            return False
        if binding.kind == BINDING_ERROR:
            self.missed += 1
            where = f"{flow.remote_host}:{flow.remote_port}"
            self._lose(flow, ConnectionFailure(f"{where} refused a keep-alive"))
            return True
        before, seen = kept.mapped, binding.mapped
        if before is not None and seen is not None and seen != before:
            self.missed += 1
            why = f"we were {before[0]}:{before[1]} to {flow.remote_host}, and are {seen[0]}:{seen[1]} now"
            self._lose(flow, ConnectionFailure(f"the way back has changed: {why}"))
            return True
        kept.mapped = seen if before is None else before
        self.pong(flow)
        return True

    def _ping_later(self, flow: LiveFlow, kept: _Kept, since: float) -> None:
        # So that not all flows are pinged at once.
        share = random.uniform(_SHARE, 1.0)
        self._alarms.start(flow, since + kept.interval * share)
        self._driver.rearm()

    def _ping_again(self, flow: LiveFlow, kept: _Kept) -> None:
        """The time is that from ping to ping, whatever the answer took (RFC 5626 section 4.4)."""
        since, kept.pinged = kept.pinged, 0.0
        self._ping_later(flow, kept, since)

    def _due(self, flow: LiveFlow) -> None:
        kept = self._kept.get(flow)
        if kept is None or not flow.is_open:
            self._kept.pop(flow, None)
            return
        now = self._driver.now()
        if kept.pinged:
            if now >= kept.pinged + self.policy.pong_timeout:
                self._unanswered(flow, kept)
            else:
                self._send(flow, kept, now)
            return
        if not flow.reliable and self._is_unused(flow, kept, now):
            del self._kept[flow]
            flow.via_params += OFFER
            return
        kept.pinged = now
        kept.attempts = 0
        kept.heard = flow.messages
        kept.transaction = b"" if flow.reliable else os.urandom(12)
        self.pings += 1
        self._send(flow, kept, now)

    def _is_unused(self, flow: LiveFlow, kept: _Kept, now: float) -> bool:
        """Whether nobody has used a UDP flow, which has no end of its own, for so long that it need not be kept."""
        activity = flow.messages + flow.sent
        if activity != kept.activity:
            kept.activity = activity
            kept.active_at = now
        # Whoever holds it wants to be reached by it.
        return bool(self._idle_timeout) and not flow.leases and now - kept.active_at > self._idle_timeout

    def _send(self, flow: LiveFlow, kept: _Kept, now: float) -> None:
        """Ping; on UDP again and again until the answer is overdue (RFC 8489 section 6.2.1)."""
        overdue = kept.pinged + self.policy.pong_timeout
        next_look = overdue
        if not flow.reliable:
            next_look = min(overdue, now + min(_STUN_FIRST_RETRY * 2**kept.attempts, _STUN_LONGEST_RETRY))
            kept.attempts += 1
        self._alarms.start(flow, next_look)
        flow.ping(b"" if flow.reliable else binding_request(kept.transaction))

    def _unanswered(self, flow: LiveFlow, kept: _Kept) -> None:
        if flow.is_throttled or flow.messages != kept.heard:
            # We do not read what it says, or it says other things: it is there.
            self._ping_again(flow, kept)
            return
        self.missed += 1
        kept.is_silent = True
        if kept.is_agreed or self.policy.pong_required:
            where = f"{flow.remote_host}:{flow.remote_port}"
            why = f"{where} did not answer a keep-alive within {self.policy.pong_timeout:g} s"
            self._lose(flow, ConnectionFailure(why))
            return
        self._log.info("{flow}: no answer to a keep-alive, and none was promised", flow=flow)
        self._ping_again(flow, kept)

    def _lose(self, flow: LiveFlow, error: ConnectionFailure) -> None:
        self._log.info("{flow} is given up: {error}", flow=flow, error=str(error))
        self._lost(flow, error)


def hear_flow_timer(flow: Flow, value: str | None, *, is_outbound: bool = False) -> None:
    """A registrar says after how many seconds without a ping it takes *flow* for dead, so it answers them (RFC 5626
    section 4.4).

    :param value: the text of Flow-Timer; None where there is none.
    :param is_outbound: whether the registration follows RFC 5626: then pings are answered though nothing is said of how
        often they are wanted (sections 4.2.1 and 5.4).
    """
    keep_alive = getattr(flow, "keep_alive", None)
    if isinstance(keep_alive, KeepAlives) and (value is not None or is_outbound):
        keep_alive.agree(cast("LiveFlow", flow), "0" if value is None else value)
