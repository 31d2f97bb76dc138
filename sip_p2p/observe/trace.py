"""A trace of the flows: what was sent and received, in memory and in a file of JSON lines.

::

    tap = Tap(local="a.example", writer=TraceWriter("trace.jsonl"))
    manager.add_tap(tap)
    ...
    print(ladder(tap.events()))

One event is one message or one note. Credentials, passwords in URIs and bodies are withheld unless ``secrets=True`` is
said, or a policy keeps the bodies of some types; see :mod:`sip_p2p.observe.redact`. Everything is bounded: the ring by
its capacity, an event by ``max_octets``, the file by ``max_file_octets`` (it is then renamed to ``NAME.1``, which
replaces the one before, and begun anew). A trace that can no longer be written is given up with a word in the log and
never disturbs a flow.

The file has one JSON object a line, in ASCII, with these keys; those without a value are left out.

=============  ========================================================================================================
key            meaning
=============  ========================================================================================================
``kind``       ``message`` or ``note``
``at``         when: the wall clock in seconds since 1970
``time``       the same in words, UTC, RFC 3339; for people
``number``     its place among the events of whoever keeps it, counted from 1
``flow``       the number of the flow, counted from 1 in each process
``direction``  ``in`` or ``out``, as this side sees it
``transport``  ``TLS``, ``TCP``, ``UDP``, ``WS``, ``WSS``
``local``      this side: its name, or what its Via says
``address``    this side's own address on the flow, ``host:port``
``remote``     the other side's address, ``host:port``
``peer``       the identity that the other side has proved
``head``       the start line and the header fields, lines separated by CRLF
``length``     how many octets of body followed the head
``body``       the body as text, where it is kept; ``body_base64`` when it is not UTF-8
``clipped``    true when the message was larger than ``max_octets``
``note``       what a note says
=============  ========================================================================================================
"""

from __future__ import annotations

import base64
import binascii
import collections
import json
from typing import TYPE_CHECKING, Literal, final

from twisted.logger import Logger

from sip_p2p.observe.private_file import PrivateFile
from sip_p2p.observe.redact import NO_BODIES, BodyPolicy, redact_head, split_message
from sip_p2p.observe.text import host_and_port, in_words
from sip_p2p.sip.headers import COMPACT_FORMS
from sip_p2p.transport.flow import LiveFlow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sip_p2p.sip.flow import Flow

__all__ = [
    "Direction",
    "FlowFacts",
    "Tap",
    "TraceError",
    "TraceEvent",
    "TraceWriter",
    "event_of",
    "read_trace",
]

Direction = Literal["in", "out"]

_TEXTS = ("transport", "local", "address", "remote", "peer", "head", "note")

_SHORT_FORMS = {name.lower(): letter for letter, name in COMPACT_FORMS.items()}

_log = Logger()


class TraceError(ValueError):
    """A line of a trace is not an event.

    :ivar line: its number, counted from 1.
    :ivar reason: what is wrong with it.
    """

    def __init__(self, source: str, line: int, reason: str) -> None:
        super().__init__(f"{source}:{line}: not a line of a trace: {reason}")
        self.line = line
        self.reason = reason


@final
class TraceEvent:
    """One message that passed, or one note; the attributes are the keys of the file."""

    __slots__ = (
        "address",
        "at",
        "body",
        "clipped",
        "direction",
        "flow",
        "head",
        "kind",
        "length",
        "local",
        "note",
        "number",
        "peer",
        "remote",
        "time",
        "transport",
    )

    def __init__(
        self,
        kind: Literal["message", "note"],
        at: float,
        *,
        time: str = "",
        direction: Direction = "in",
        transport: str = "",
        local: str = "",
        remote: str = "",
        peer: str = "",
        head: str = "",
        length: int = 0,
        body: bytes | None = None,
        clipped: bool = False,
        note: str = "",
        number: int = 0,
        flow: int = 0,
        address: str = "",
    ) -> None:
        self.kind = kind
        self.at = at
        self.time = time
        self.direction: Direction = direction
        self.transport = transport
        self.local = local
        self.remote = remote
        self.peer = peer
        self.head = head
        self.length = length
        self.body = body
        self.clipped = clipped
        self.note = note
        self.number = number
        self.flow = flow
        self.address = address

    @property
    def local_host(self) -> str:
        """This side's own address on the flow, without brackets; empty where nobody noted it."""
        return _host_and_port(self.address)[0]

    @property
    def local_port(self) -> int:
        """This side's own port on the flow; 0 where nobody noted it."""
        return _host_and_port(self.address)[1]

    @property
    def remote_host(self) -> str:
        """The other side's address, without brackets; empty where nobody noted it."""
        return _host_and_port(self.remote)[0]

    @property
    def remote_port(self) -> int:
        """The other side's port; 0 where nobody noted it."""
        return _host_and_port(self.remote)[1]

    @property
    def call_id(self) -> str:
        """The Call-ID; empty where there is none."""
        return self.field("Call-ID")

    @property
    def start_line(self) -> str:
        """The Request-Line or Status-Line, whatever stands there."""
        return self.head.partition("\r\n")[0]

    @property
    def is_response(self) -> bool:
        """Whether the start line is a Status-Line."""
        return self.head[:4].upper() == "SIP/"

    @property
    def method(self) -> str:
        """The request's method, or that of the request which a response answers; empty where neither can be read."""
        if not self.is_response:
            return self.start_line.partition(" ")[0]
        return self.field("CSeq").rpartition(" ")[2]

    def field(self, name: str) -> str:
        """The value of the first header field called *name*, in either form; empty when there is none."""
        wanted = name.lower()
        short = _SHORT_FORMS.get(wanted)
        for line in self.head.split("\r\n")[1:]:
            found, colon, value = line.partition(":")
            found = found.strip(" \t").lower()
            if colon and found in (wanted, short):
                return value.strip(" \t")
        return ""

    def to_json(self) -> str:
        """The event as one line of the file, without its line end."""
        return json.dumps(self.as_json())

    def as_json(self) -> dict[str, object]:
        """The event as one object, of values that JSON can hold; keys without a value are left out."""
        fields: dict[str, object] = {"kind": self.kind, "at": round(self.at, 6), "time": self.time}
        for name in ("number", "flow"):
            value = getattr(self, name)
            if value:
                fields[name] = value
        if self.kind == "message":
            fields["direction"] = self.direction
        for name in _TEXTS:
            value = getattr(self, name)
            if value:
                fields[name] = value
        if self.kind == "message":
            fields["length"] = self.length
        if self.clipped:
            fields["clipped"] = True
        if self.body is not None:
            try:
                fields["body"] = self.body.decode("utf-8")
            except UnicodeDecodeError:
                fields["body_base64"] = base64.b64encode(self.body).decode("ascii")
        return fields

    @staticmethod
    def from_json(line: str | bytes) -> TraceEvent:
        """The event that *line* holds; keys that are not known are ignored.

        :raises ValueError: when it is no event, with the reason.
        """
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON ({error.__class__.__name__})") from None
        if not isinstance(fields, dict):
            raise ValueError("not a JSON object")
        kind = fields.get("kind")
        if kind not in ("message", "note"):
            raise ValueError("its kind is neither message nor note")
        direction = fields.get("direction", "in")
        if direction not in ("in", "out"):
            raise ValueError("its direction is neither in nor out")
        at = fields.get("at")
        if isinstance(at, bool) or not isinstance(at, int | float) or not abs(at) < 1e15:
            raise ValueError("its time (at) is not a number of seconds")
        length = _count_from_json(fields, "length", "is not a number of octets")
        texts: dict[str, str] = {}
        for name in ("time", *_TEXTS):
            value = fields.get(name, "")
            if not isinstance(value, str):
                raise ValueError(f"its {name} is not text")
            texts[name] = value
        if kind == "message" and not texts["head"]:
            raise ValueError("it is a message without a head")
        return TraceEvent(
            kind,
            float(at),
            direction=direction,
            length=length,
            clipped=fields.get("clipped") is True,
            body=_body_from_json(fields),
            number=_count_from_json(fields, "number", "is not a number"),
            flow=_count_from_json(fields, "flow", "is not a number"),
            **texts,
        )


def _count_from_json(fields: dict[str, object], name: str, otherwise: str) -> int:
    value = fields.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"its {name} {otherwise}")
    return value


def _host_and_port(text: str) -> tuple[str, int]:
    """The parts of ``host:port`` or ``[v6]:port``; nothing for anything else."""
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and len(port) <= 5):
        return "", 0
    return host.removeprefix("[").removesuffix("]"), int(port)


def _body_from_json(fields: dict[str, object]) -> bytes | None:
    text, coded = fields.get("body"), fields.get("body_base64")
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    if not isinstance(coded, str):
        return None
    try:
        return base64.b64decode(coded, validate=True)
    except binascii.Error:
        raise ValueError("its body_base64 is not base64") from None


@final
class FlowFacts:
    """What an event says of its flow; it does not keep the flow alive.

    :ivar number: of the flow; 0 where it has none.
    :ivar local: what this side is called.
    :ivar address: this side's own address, ``host:port``; empty where it is not known.
    :ivar remote: the other side's address, ``host:port``.
    :ivar peer: the identity that the other side has proved.
    """

    __slots__ = ("address", "local", "number", "peer", "remote", "transport")

    def __init__(self, flow: Flow, local: str = "") -> None:
        """:param local: what this side is called; the flow's sent-by when empty."""
        self.number = 0
        self.address = ""
        if isinstance(flow, LiveFlow):
            self.number = flow.number
            self.address = host_and_port(flow.local_host, flow.local_port)
        self.transport = flow.transport
        self.local = local or flow.sent_by
        self.remote = host_and_port(flow.remote_host, flow.remote_port)
        self.peer = flow.peer


def event_of(
    direction: Direction, facts: FlowFacts, data: bytes, now: float, *, max_octets: int, bodies: BodyPolicy | None
) -> TraceEvent:
    """The event of one message; what is over *max_octets*, head and body together, is left out.

    :param bodies: whose bodies are kept; None keeps everything, credentials too.
    """
    head, body = split_message(data)
    kept: bytes | None = body
    if bodies is not None:
        kept = bodies.kept(head, body)
        head = redact_head(head)
    head = head[:max_octets]
    return TraceEvent(
        "message",
        now,
        time=in_words(now),
        direction=direction,
        transport=facts.transport,
        local=facts.local,
        remote=facts.remote,
        peer=facts.peer,
        head=head,
        length=len(body),
        body=None if kept is None else kept[: max_octets - len(head)],
        clipped=len(data) > max_octets,
        flow=facts.number,
        address=facts.address,
    )


@final
class TraceWriter(PrivateFile[TraceEvent]):
    """A file of JSON lines, mode 0600, appended to and kept below a bound.

    :param max_file_octets: at this size the file becomes ``NAME.1`` and a new one is begun.
    :raises OSError: when the file cannot be opened.
    """

    ends = "the trace {path} ends here: {error}"
    log = _log

    def _append(self, item: TraceEvent) -> None:
        line = item.to_json().encode("ascii") + b"\n"
        self._make_room(len(line))
        self._add(line)


@final
class Tap:
    """What a connection manager tells of every message that passes it: ``manager.add_tap(tap)``.

    :param local: what to call this side; the flow's sent-by when empty.
    :param capacity: how many events the ring keeps.
    :param max_octets: how much of one message is kept, head and body together.
    :param secrets: keep credentials and bodies. Whoever reads the trace can then impersonate and listen in.
    :param bodies: whose bodies are kept without *secrets*, their keys withheld.
    :param writer: where every event goes besides the ring.
    """

    def __init__(
        self,
        *,
        local: str = "",
        capacity: int = 256,
        max_octets: int = 16384,
        secrets: bool = False,
        bodies: BodyPolicy = NO_BODIES,
        writer: TraceWriter | None = None,
    ) -> None:
        self._local = local
        self._bodies = bodies
        self._count = 0
        self._max_octets = max_octets
        self._secrets = secrets
        self._writer = writer
        self._ring: collections.deque[TraceEvent] = collections.deque(maxlen=capacity)

    def events(self) -> tuple[TraceEvent, ...]:
        """What the ring holds, oldest first."""
        return tuple(self._ring)

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        """One message passed *flow* at *now*, seconds since 1970; *data* is all of it."""
        self._keep(
            event_of(
                "out" if direction == "out" else "in",
                FlowFacts(flow, self._local),
                data,
                now,
                max_octets=self._max_octets,
                bodies=None if self._secrets else self._bodies,
            )
        )

    def note(self, text: str, now: float, *, remote: str = "", peer: str = "") -> None:
        """Something worth a line between the messages: a refused handshake, a lost connection."""
        self._keep(TraceEvent("note", now, time=in_words(now), local=self._local, remote=remote, peer=peer, note=text))

    def _keep(self, event: TraceEvent) -> None:
        self._count += 1
        event.number = self._count
        self._ring.append(event)
        if self._writer is not None:
            self._writer.write(event)


def read_trace(
    lines: Iterable[str | bytes], source: str = "trace", refused: Callable[[TraceError], None] | None = None
) -> Iterator[TraceEvent]:
    """The events of a trace's *lines*; empty lines are passed over.

    :param source: what to call the trace in an error.
    :param refused: told of every line that is no event, which is then passed over.
    :raises TraceError: for such a line, without *refused*.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield TraceEvent.from_json(line)
        except ValueError as error:
            if refused is None:
                raise TraceError(source, number, str(error)) from None
            refused(TraceError(source, number, str(error)))
