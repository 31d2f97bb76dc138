"""What went over each flow lately, in memory: a bounded ring a flow, asked and followed by whoever wants to see.

::

    recorder = Recorder()
    manager.add_tap(recorder)
    ...
    for event in recorder.events(call_id="a84b4c76e66710"):
        print(event.start_line)

A message costs as little as can be when it passes: its octets are kept as they are, without the body unless a policy
wants it, and what can be read of them is read when somebody asks. Secrets are taken out then, and there is no way to
the octets but through that; the memory of the process holds credentials for as long as the ring does.

What is bounded: the events of a flow, the flows, the octets of an event and of all together. The flow on which nothing
has passed for longest gives way first. The ring of a flow that is gone is kept for ten minutes.
"""

from __future__ import annotations

import collections
import re
import time
from typing import TYPE_CHECKING, final

from sip_p2p.observe.ladder import select
from sip_p2p.observe.redact import NO_BODIES, BodyPolicy
from sip_p2p.observe.text import in_words
from sip_p2p.observe.trace import FlowFacts, TraceEvent, event_of
from sip_p2p.transport.throttle import LogBounds, ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.transport.flow import LiveFlow

__all__ = ["KEPT_AFTER_THE_END", "MOST_OCTETS", "RecordedFlow", "Recorder"]

MOST_OCTETS = 64 * 1024 * 1024
"""How many octets of messages one recorder keeps, unless it is told otherwise."""

KEPT_AFTER_THE_END = 600.0
"""For how many seconds the ring of a flow is kept that is gone."""

_NOTES = 256
_HEAD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


# One message as it passed: its number, when, whether it went out, its octets, how many of body there were, and whether
# more passed than was kept; or one note, with its event in the place of the octets. A tuple of such things is the
# cheapest there is: the garbage collector does not look at it again.
_Kept = tuple[int, float, bool, "bytes | TraceEvent", int, bool]


@final
class _Ring:
    """What is kept of one flow."""

    __slots__ = ("ended", "facts", "kept", "messages", "octets", "reason")

    def __init__(self, facts: FlowFacts) -> None:
        self.facts = facts
        self.kept: collections.deque[_Kept] = collections.deque()
        self.messages = 0
        self.octets = 0
        self.ended: float | None = None
        self.reason = ""


@final
class RecordedFlow:
    """What a recorder knows of one flow.

    :ivar number: the flow's number.
    :ivar transport: such as ``TLS``.
    :ivar address: our own address, ``host:port``.
    :ivar remote: the peer's.
    :ivar peer: the identity that the peer has proved.
    :ivar messages: how many have passed since the recorder has known the flow.
    :ivar kept: how many events its ring holds now.
    :ivar latest: when the last of them passed, in seconds since 1970.
    :ivar ended: when it ended; None while it lives, as far as is known.
    :ivar reason: why it ended, in words.
    """

    __slots__ = ("address", "ended", "kept", "latest", "messages", "number", "peer", "reason", "remote", "transport")

    def __init__(self, ring: _Ring) -> None:
        facts = ring.facts
        self.number = facts.number
        self.transport = facts.transport
        self.address = facts.address
        self.remote = facts.remote
        self.peer = facts.peer
        self.messages = ring.messages
        self.kept = len(ring.kept)
        self.latest = ring.kept[-1][1] if ring.kept else 0.0
        self.ended = ring.ended
        self.reason = ring.reason


@final
class _Wish:
    """Which events somebody wants; every filter that is given has to let one pass."""

    __slots__ = ("call_id", "flow", "method", "peer", "trace_of")

    def __init__(self, flow: int | None, call_id: str | None, peer: str | None, method: str | None) -> None:
        self.flow = flow
        self.call_id = call_id
        self.peer = peer
        self.method = method
        # What the octets of a message must contain, so that most need not be read.
        self.trace_of = b"" if call_id is None else call_id.encode("utf-8", "surrogateescape")

    def may_want(self, kept: _Kept) -> bool:
        """Whether it is worth the while to read it."""
        data = kept[3]
        return not self.trace_of or not isinstance(data, bytes) or self.trace_of in data

    def wanted(self, event: TraceEvent) -> bool:
        """Whether *event* passes every filter."""
        if self.flow is not None and event.flow != self.flow:
            return False
        return any(True for _ in select((event,), call_id=self.call_id, method=self.method, peer=self.peer))


@final
class Recorder:
    """A tap that keeps what passed: ``manager.add_tap(recorder)``.

    :param per_flow: how many events are kept of one flow; the oldest gives way.
    :param flows: of how many flows; the one on which nothing has passed for longest gives way.
    :param max_octets: how much of one message is kept, head and body together.
    :param most_octets: how much of all of them; the same flow gives way.
    :param bodies: whose bodies are kept.
    :param local: what to call this side; each flow's sent-by when empty.
    :param kept_after_the_end: for how many seconds the ring of a flow is kept that is gone.
    :param clock: seconds since 1970, for what has no time of its own.
    :raises ValueError: for a bound below 1.
    """

    def __init__(
        self,
        per_flow: int = 64,
        flows: int = 1024,
        max_octets: int = 16384,
        bodies: BodyPolicy = NO_BODIES,
        local: str = "",
        *,
        most_octets: int = MOST_OCTETS,
        kept_after_the_end: float = KEPT_AFTER_THE_END,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if min(per_flow, flows, max_octets, most_octets) < 1:
            raise ValueError("a recorder keeps at least one event of one flow, and an octet of it")
        self.bodies = bodies
        self.local = local
        self._per_flow = per_flow
        self._flows = flows
        self._max_octets = max_octets
        self._most_octets = most_octets
        self._kept_after_the_end = kept_after_the_end
        self._clock = clock
        self._keeps_heads_only = bodies.is_none
        # By the flow's number; the one on which something passed last is the last.
        self._rings: collections.OrderedDict[int, _Ring] = collections.OrderedDict()
        self._notes: collections.deque[_Kept] = collections.deque(maxlen=_NOTES)
        self._octets = 0
        self._count = 0
        self._followers: tuple[tuple[_Wish, Callable[[TraceEvent], object]], ...] = ()
        self._log = ThrottledLog("sip_p2p.observe.recorder", time.monotonic, LogBounds())

    @property
    def newest(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._count

    @property
    def octets(self) -> int:
        """How many octets of messages are kept."""
        return self._octets

    def message(self, direction: str, flow: LiveFlow, data: bytes, now: float) -> None:
        """One message passed *flow* at *now*, seconds since 1970; *data* is all of it."""
        number = flow.number
        rings = self._rings
        ring = rings.get(number)
        if ring is None:
            ring = self._new_ring(flow, number)
        else:
            rings.move_to_end(number)
        self._count = count = self._count + 1
        if (self._keeps_heads_only and not data.endswith(b"\r\n\r\n")) or len(data) > self._max_octets:
            kept: _Kept = self._shortened(count, now, direction == "out", data)
        else:
            kept = (count, now, direction == "out", data, -1, False)
        held = ring.kept
        held.append(kept)
        ring.messages += 1
        size = len(kept[3])  # type: ignore[arg-type]
        if len(held) > self._per_flow:
            size -= _size(held.popleft())
        ring.octets += size
        self._octets += size
        if self._octets > self._most_octets:
            self._make_room(ring)
        if self._followers:
            self._tell(kept, ring.facts)

    def _shortened(self, number: int, now: float, goes_out: bool, data: bytes) -> _Kept:
        """What is kept of a message; of a line that is too long nothing, or half of a secret could stay."""
        most = self._max_octets
        end = data.find(b"\r\n\r\n")
        begins = end + 4
        if end < 0:
            found = _HEAD_END.search(data)
            begins, end = (len(data), len(data)) if found is None else (found.end(), found.start())
        length = len(data) - begins
        is_clipped = len(data) > most
        if end > most:
            cut = max(data.rfind(b"\n", 0, most), data.rfind(b"\r", 0, most))
            data = data[:cut] if cut > 0 else data[: data.find(b" ") + 1][:most]
        elif is_clipped and not self._keeps_heads_only:
            # A piece of a message in a body has lines that can hold secrets, too.
            is_sip = b"message/sip" in data[:end].lower()
            cut = data.rfind(b"\n", begins, most) if is_sip else most
            data = data[: max(cut, end)]
        else:
            data = data[:end]
        return (number, now, goes_out, data, length, is_clipped)

    def _new_ring(self, flow: LiveFlow, number: int) -> _Ring:
        self._forget_the_old()
        if len(self._rings) >= self._flows:
            self._drop(next(iter(self._rings)))
        ring = self._rings[number] = _Ring(FlowFacts(flow, self.local))
        return ring

    def _forget_the_old(self) -> None:
        """Drop the rings of flows that are gone for long enough."""
        latest = self._clock() - self._kept_after_the_end
        gone = [number for number, ring in self._rings.items() if ring.ended is not None and ring.ended < latest]
        for number in gone:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self._octets -= self._rings.pop(number).octets

    def _make_room(self, ring: _Ring) -> None:
        """Keep less than the octets allow: other flows give way first, then what is oldest of this one."""
        while self._octets > self._most_octets and len(self._rings) > 1:
            self._drop(next(iter(self._rings)))
        while self._octets > self._most_octets and ring.kept:
            size = _size(ring.kept.popleft())
            ring.octets -= size
            self._octets -= size

    def note(self, text: str, now: float | None = None, *, flow: int = 0, remote: str = "", peer: str = "") -> None:
        """Something worth a line between the messages: a refused handshake, a lost connection.

        :param now: seconds since 1970; this moment when it is left out.
        :param flow: the number of the flow that it is about.
        """
        at = self._clock() if now is None else now
        ring = self._rings.get(flow)
        facts = None if ring is None else ring.facts
        self._count += 1
        event = TraceEvent(
            "note",
            at,
            time=in_words(at),
            transport="" if facts is None else facts.transport,
            local=self.local if facts is None else facts.local,
            address="" if facts is None else facts.address,
            remote=remote or ("" if facts is None else facts.remote),
            peer=peer or ("" if facts is None else facts.peer),
            note=text[: self._max_octets],
            number=self._count,
            flow=flow,
        )
        kept: _Kept = (self._count, at, False, event, 0, False)
        if ring is None:
            self._notes.append(kept)
        else:
            ring.kept.append(kept)
            if len(ring.kept) > self._per_flow:
                size = _size(ring.kept.popleft())
                ring.octets -= size
                self._octets -= size
        if self._followers:
            self._tell(kept, facts)

    def flow_ended(self, number: int, reason: str, now: float | None = None) -> None:
        """The flow *number* is gone, for this *reason* in words; its ring is kept for a while."""
        ring = self._rings.get(number)
        if ring is None:
            return
        at = self._clock() if now is None else now
        self.note(reason, at, flow=number)
        ring.ended, ring.reason = at, reason

    def flows(self) -> tuple[RecordedFlow, ...]:
        """The flows of which something is kept, in the order of their numbers; those that are gone too."""
        self._forget_the_old()
        return tuple(RecordedFlow(ring) for _, ring in sorted(self._rings.items()))

    def events(
        self,
        *,
        flow: int | None = None,
        call_id: str | None = None,
        peer: str | None = None,
        method: str | None = None,
        since: int | None = None,
        limit: int | None = None,
    ) -> tuple[TraceEvent, ...]:
        """What is kept and passes every filter given, in the order in which it happened, without secrets.

        :param flow: the number of a flow; the notes that are about none are flow 0.
        :param call_id: the Call-ID, exactly.
        :param peer: the identity that the other side proved, or its address with or without the port.
        :param method: the request's method; responses pass with the method of their CSeq.
        :param since: only events with a higher number; 0 begins with the oldest that is kept.
        :param limit: at most so many: the newest, or with *since* those that follow it.
        """
        self._forget_the_old()
        wish = _Wish(flow, call_id, peer, method)
        rings = list(self._rings.values()) if flow is None else [self._rings[flow]] if flow in self._rings else []
        after = since or 0
        sources: list[tuple[FlowFacts | None, Iterable[_Kept]]] = [(ring.facts, ring.kept) for ring in rings]
        sources.append((None, self._notes))
        found = [(kept, facts) for facts, held in sources for kept in held if kept[0] > after and wish.may_want(kept)]
        found.sort(key=_number, reverse=since is None)
        chosen: list[TraceEvent] = []
        for kept, facts in found:
            if limit is not None and len(chosen) >= limit:
                break
            event = self._shown(kept, facts)
            if wish.wanted(event):
                chosen.append(event)
        if since is None:
            chosen.reverse()
        return tuple(chosen)

    def follow(
        self,
        callback: Callable[[TraceEvent], object],
        *,
        flow: int | None = None,
        call_id: str | None = None,
        peer: str | None = None,
        method: str | None = None,
    ) -> Callable[[], None]:
        """Call *callback* with every event from now on that passes the filters, which are those of :meth:`events`.

        It is called while the message is on its way, so it must be quick; what it raises is logged, and harms nobody.

        :returns: what ends that; it may be called more than once.
        """
        entry = (_Wish(flow, call_id, peer, method), callback)
        self._followers = (*self._followers, entry)

        def leave() -> None:
            self._followers = tuple(each for each in self._followers if each is not entry)

        return leave

    def _tell(self, kept: _Kept, facts: FlowFacts | None) -> None:
        event: TraceEvent | None = None
        for wish, callback in self._followers:
            if not wish.may_want(kept):
                continue
            if event is None:
                event = self._shown(kept, facts)
            if not wish.wanted(event):
                continue
            try:
                callback(event)
            except Exception:
                self._log.failure("who follows the messages failed")

    def _shown(self, kept: _Kept, facts: FlowFacts | None) -> TraceEvent:
        """The event, without its secrets."""
        number, at, goes_out, data, length, is_clipped = kept
        if isinstance(data, TraceEvent):
            return data
        assert facts is not None, "a message has come by a flow"
        event = event_of("out" if goes_out else "in", facts, data, at, max_octets=self._max_octets, bodies=self.bodies)
        event.number = number
        event.clipped = is_clipped
        if length >= 0:
            event.length = length
        return event


def _size(kept: _Kept) -> int:
    data = kept[3]
    return len(data) if isinstance(data, bytes) else 0


def _number(found: tuple[_Kept, FlowFacts | None]) -> int:
    return found[0][0]
