"""What a SUBSCRIBE says to the one who is asked, before anybody has decided about it (RFC 6665 section 4.2.1).

Values in, values out: which event, for how long, how often, in which dialog; or the status that refuses it. The machine
behind it is :class:`~sip_p2p.sip.event.notifier.Notifier`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.accept import is_acceptable, parse_accept
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.event.rates import NO_RATES, Rates
from sip_p2p.sip.fields import EventValue, parse_event, parse_seconds

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["SubscribeReading", "Terms", "read_event", "read_subscribe"]

_HOUR = 3600


@final
class Terms:
    """For how long, and how often, somebody may be notified of an event; shared by all subscriptions to it.

    :ivar default: seconds, where a SUBSCRIBE does not say (section 5.4.4).
    :ivar minimum: what is shorter is answered 423 (section 4.2.1.1), which never asks for more than an hour.
    :ivar maximum: what is longer is shortened to this (section 4.2.1.1).
    :ivar interval: the seconds that two NOTIFYs to one subscriber are apart at least; 0 for none.
    :ivar content_types: the media types that it can be told in, the usual one first; none where nobody is asked.
    """

    __slots__ = ("_types", "content_types", "default", "interval", "maximum", "minimum")

    def __init__(
        self,
        default: int = _HOUR,
        minimum: int = 60,
        maximum: int = 86400,
        interval: float = 0.0,
        content_types: tuple[str, ...] = (),
    ) -> None:
        """
        :raises ValueError: when they do not stand in order, *minimum* is above an hour, or one is negative.
        :raises MalformedMessage: when one of the media types is none.
        """
        if not 0 <= minimum <= default <= maximum < 2**31:
            raise ValueError(f"0 <= {minimum} <= {default} <= {maximum} is not the order of minimum, default, maximum")
        if minimum > _HOUR:
            raise ValueError("a subscription of an hour is never too short (RFC 6665 section 4.2.1.1)")
        if not 0 <= interval < float("inf"):
            raise ValueError(f"NOTIFYs cannot be {interval} s apart")
        self.default = default
        self.minimum = minimum
        self.maximum = maximum
        self.interval = interval
        self.content_types = content_types
        self._types = tuple((text, parse_media_type(text)) for text in content_types)

    def granted(self, asked: int | None) -> int | None:
        """The seconds that are granted where *asked* are wanted, None for those of a SUBSCRIBE that does not say; None
        where that is too short (423)."""
        if asked is None:
            return self.default
        # 4.2.1.1: only what is above nothing and below an hour can be too short.
        return None if 0 < asked < min(self.minimum, _HOUR) else min(asked, self.maximum)

    def acceptable(self, request: Request) -> tuple[str, ...]:
        """Those of :attr:`content_types` that *request*, a SUBSCRIBE, accepts; the usual one where it does not say
        (section 3.1.3).

        :raises MalformedMessage: when Accept cannot be read.
        """
        values = request.headers.get_all("Accept")
        if not values:
            return self.content_types[:1]
        ranges = parse_accept(values)
        found = tuple(text for text, media_type in self._types if is_acceptable(ranges, media_type))
        # One tuple for all who take everything.
        return self.content_types if len(found) == len(self._types) else found


@final
class SubscribeReading:
    """What stands in a SUBSCRIBE, or why it is refused.

    :ivar status: 0; or the status to refuse it with.
    :ivar fields: what the refusal carries.
    :ivar reason: why, for a Warning; may be empty.
    :ivar expires: the seconds that are granted; 0 for a fetch (section 4.4.3), and for the end of a subscription.
    :ivar rates: how often the subscriber wants to be told.
    :ivar dialog: the dialog that it makes; None where it is refused or came in one.
    :ivar recorded: the Record-Route of one that makes a dialog, for its answer (RFC 3261 section 12.1.1).
    """

    __slots__ = ("dialog", "expires", "fields", "rates", "reason", "recorded", "status")

    def __init__(self, status: int = 0, fields: tuple[tuple[str, str], ...] = (), reason: str = "") -> None:
        self.status = status
        self.fields = fields
        self.reason = reason
        self.expires = 0
        self.rates = NO_RATES
        self.dialog: Dialog | None = None
        self.recorded: tuple[str, ...] = ()


def read_event(request: Request) -> EventValue | None:
    """The Event of *request*; None where there is none or more than one (section 8.2.1: exactly one).

    :raises MalformedMessage: when it cannot be read (400).
    """
    values = request.headers.get_all("Event")
    return parse_event(values[0]) if len(values) == 1 else None


def read_subscribe(
    request: Request, event: EventValue, terms: Terms, flow: Flow | None = None, local_tag: str = ""
) -> SubscribeReading:
    """Read a SUBSCRIBE to *event*, for somebody who has these *terms*.

    :param flow: what it came by, where it makes a dialog; None for one in a dialog.
    :param local_tag: our tag in that dialog.
    """
    reading = SubscribeReading()
    try:
        if flow is not None:
            reading.dialog = Dialog.of_callee(request, local_tag, flow)
            reading.recorded = tuple(request.headers.get_all("Record-Route"))
        value = request.headers.get("Expires")
        asked = None if value is None else parse_seconds(value, "Expires")
        reading.rates = Rates.of(event.params)
        is_taken = not terms.content_types or bool(terms.acceptable(request))
    except MalformedMessage as error:
        return SubscribeReading(error.status, reason=error.reason)
    granted = terms.granted(asked)
    if granted is None:
        # 4.2.1.1: Min-Expires says what would do.
        return SubscribeReading(423, (("Min-Expires", str(terms.minimum)),))
    if not is_taken:
        # 4.1.2.1: which there are.
        return SubscribeReading(406, (("Accept", ", ".join(terms.content_types)),))
    reading.expires = granted
    return reading
