"""That somebody is writing: the document that says so, and the two machines that know when it is true (RFC 3994).

:class:`Composer` is the side that writes (section 3.2, Figure 1), :class:`ComposingWatch` the one that is told (section
3.3, Figure 2). Time is an argument. Left out: ``lastactive`` is read and shown, and decides nothing, as clocks differ.
"""

from __future__ import annotations

import enum
from typing import Final, final

from sip_p2p.documents.timestamps import format_timestamp, parse_timestamp
from sip_p2p.documents.xml import XmlElement, XmlLimits, parse_xml, write_xml
from sip_p2p.errors import MalformedDocument

__all__ = [
    "DEFAULT_REFRESH",
    "IDLE_TIMEOUT",
    "LONGEST_REFRESH",
    "MEDIA_TYPE",
    "NAMESPACE",
    "SHORTEST_REFRESH",
    "Composer",
    "ComposingState",
    "ComposingWatch",
    "IsComposing",
]

MEDIA_TYPE: Final = "application/im-iscomposing+xml"

NAMESPACE: Final = "urn:ietf:params:xml:ns:im-iscomposing"

IDLE_TIMEOUT: Final = 15.0
"""After how many seconds without a key nobody is writing any more (section 3.2)."""

SHORTEST_REFRESH: Final = 60
"""The fewest seconds between two reports that somebody still writes (section 3.2)."""

DEFAULT_REFRESH: Final = 120
"""How long a report holds that does not say it (section 3.3)."""

LONGEST_REFRESH: Final = 3600
"""How long one holds at most, whatever it says."""

_LIMITS = XmlLimits(octets=8192, elements=32, depth=8, attributes=8, name=256)


class ComposingState(enum.Enum):
    """Whether somebody is writing."""

    IDLE = "idle"
    ACTIVE = "active"
    REFUSED = "refused"
    """On the side that writes: the other one does not want to know (section 4, 415)."""


@final
class IsComposing:
    """One report. It does not change.

    :ivar state: active or idle; another word than these means idle (section 3.5).
    :ivar content_type: what is being written, ``text/plain`` or ``text``: a hint (section 3.5); empty where it does
        not say.
    :ivar refresh: for how many seconds it holds; None where it does not say.
    :ivar last_active: when something was written last, in seconds since 1970; None where it does not say.
    """

    __slots__ = ("content_type", "last_active", "refresh", "state")

    def __init__(
        self,
        state: ComposingState,
        content_type: str = "",
        refresh: int | None = None,
        last_active: float | None = None,
    ) -> None:
        """
        :raises ValueError: for a state that is not told, or a refresh that is not positive.
        """
        if state is ComposingState.REFUSED:
            raise ValueError("a report says active or idle")
        if refresh is not None and refresh <= 0:
            raise ValueError(f"a refresh of {refresh} s")
        self.state = state
        self.content_type = content_type
        self.refresh = refresh
        self.last_active = last_active

    @staticmethod
    def parse(document: bytes | str) -> IsComposing:
        """
        :raises MalformedDocument: when it is no report.
        """
        root = parse_xml(document, expected=_name("isComposing"), limits=_LIMITS)
        state = root.text_of(_name("state"))
        if state is None:
            raise MalformedDocument("a report that does not say whether somebody is writing")
        refresh, last_active = root.text_of(_name("refresh")), root.text_of(_name("lastactive"))
        seconds = None
        if refresh is not None:
            if not (refresh.isascii() and refresh.isdigit() and len(refresh) <= 12 and int(refresh) > 0):
                raise MalformedDocument(f"not a positive number of seconds: {refresh[:32]!r}")
            seconds = int(refresh)
        return IsComposing(
            ComposingState.ACTIVE if state == "active" else ComposingState.IDLE,
            root.text_of(_name("contenttype")) or "",
            seconds,
            None if last_active is None else parse_timestamp(last_active),
        )

    def to_bytes(self) -> bytes:
        """As octets (section 3.4).

        :raises ValueError: for a character that XML cannot carry, or a date before 1970.
        """
        children = [XmlElement(_name("state"), text=self.state.value)]
        if self.last_active is not None:
            children.append(XmlElement(_name("lastactive"), text=format_timestamp(self.last_active)))
        if self.content_type:
            children.append(XmlElement(_name("contenttype"), text=self.content_type))
        if self.refresh is not None:
            children.append(XmlElement(_name("refresh"), text=str(self.refresh)))
        return write_xml(XmlElement(_name("isComposing"), children=children))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IsComposing):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.state, self.content_type, self.refresh))

    def __repr__(self) -> str:
        return f"<IsComposing {self.state.value}>"


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


@final
class Composer:
    """The side that writes. Each input returns what is to be sent, or None.

    :ivar state: whether somebody is writing.
    """

    __slots__ = ("_content_type", "_idle_at", "_idle_timeout", "_refresh", "_refresh_at", "state")

    def __init__(
        self,
        content_type: str = "text/plain",
        *,
        idle_timeout: float = IDLE_TIMEOUT,
        refresh: int = SHORTEST_REFRESH,
    ) -> None:
        """
        :param idle_timeout: after how many seconds without a key nobody is writing any more.
        :param refresh: how many seconds pass between two reports while somebody writes, 60 or more.
        :raises ValueError: for fewer, or an *idle_timeout* that is none.
        """
        if refresh < SHORTEST_REFRESH:
            raise ValueError(f"a report is refreshed after {SHORTEST_REFRESH} s or more (RFC 3994 3.2), not {refresh}")
        if not idle_timeout > 0:
            raise ValueError(f"an idle timeout of {idle_timeout} s")
        self.state = ComposingState.IDLE
        self._content_type = content_type
        self._idle_timeout = idle_timeout
        self._refresh = refresh
        self._idle_at = 0.0
        self._refresh_at = 0.0

    def typed(self, now: float) -> IsComposing | None:
        """Something was written that is no message yet."""
        state = self.state
        if state is ComposingState.IDLE:
            # 3.2: from idle to active, which is told.
            self.state = ComposingState.ACTIVE
            self._idle_at = now + self._idle_timeout
            return self._active(now)
        if state is ComposingState.ACTIVE:
            # 3.2: only longer than the idle timeout without anything is idle.
            self._idle_at = now + self._idle_timeout
        return None

    def stopped(self) -> IsComposing | None:
        """What was written is given up."""
        if self.state is not ComposingState.ACTIVE:
            return None
        self.state = ComposingState.IDLE
        return IsComposing(ComposingState.IDLE, self._content_type)

    def sent(self) -> None:
        """It was sent: the message itself tells that nobody writes any more (3.2)."""
        if self.state is ComposingState.ACTIVE:
            self.state = ComposingState.IDLE

    def refused(self) -> None:
        """The other side answered 415: it is told no more (section 4)."""
        self.state = ComposingState.REFUSED

    def handle_timer(self, now: float) -> IsComposing | None:
        """Time has passed."""
        if self.state is not ComposingState.ACTIVE:
            return None
        if now >= self._idle_at:
            # 3.2: nothing was written for longer than the idle timeout.
            return self.stopped()
        if now >= self._refresh_at:
            # 3.2: still active when the refresh comes due.
            return self._active(now)
        return None

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` has something to do; None for never."""
        return min(self._idle_at, self._refresh_at) if self.state is ComposingState.ACTIVE else None

    def _active(self, now: float) -> IsComposing:
        self._refresh_at = now + self._refresh
        # What is told holds a little longer than until the next one: that one takes its time.
        return IsComposing(ComposingState.ACTIVE, self._content_type, self._refresh + SHORTEST_REFRESH // 2)


@final
class ComposingWatch:
    """The side that is told. Each input returns whether :attr:`state` has changed.

    :ivar state: whether the other one is writing, as far as is known.
    """

    __slots__ = ("_until", "state")

    def __init__(self) -> None:
        self.state = ComposingState.IDLE
        self._until = 0.0

    def received(self, report: IsComposing, now: float) -> bool:
        """A report came."""
        previous = self.state
        if report.state is ComposingState.ACTIVE:
            # 3.3: active until the refresh that it names, and that begins anew with each.
            self._until = now + min(report.refresh or DEFAULT_REFRESH, LONGEST_REFRESH)
        self.state = report.state
        return self.state is not previous

    def message_received(self) -> bool:
        """The message itself came: 3.3 makes it idle."""
        previous, self.state = self.state, ComposingState.IDLE
        return previous is ComposingState.ACTIVE

    def handle_timer(self, now: float) -> bool:
        """Time has passed."""
        if self.state is ComposingState.ACTIVE and now >= self._until:
            # 3.3: nothing was heard in time.
            self.state = ComposingState.IDLE
            return True
        return False

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` has something to do; None for never."""
        return self._until if self.state is ComposingState.ACTIVE else None
