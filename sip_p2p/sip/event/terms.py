"""What a SUBSCRIBE says to the one who is asked, before anybody has decided about it (RFC 6665 section 4.2.1).

Values in, values out: which event, for how long, how often, in which dialog; or the status that refuses it. The machine
behind it is :class:`~sip_p2p.sip.event.notifier.Notifier`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
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
    :ivar maximum: what is longer is shortened to this (section 4.1.2.1).
    :ivar interval: the seconds that two NOTIFYs to one subscriber are apart at least; 0 for none.
    """

    __slots__ = ("default", "interval", "maximum", "minimum")

    def __init__(self, default: int = _HOUR, minimum: int = 60, maximum: int = 86400, interval: float = 0.0) -> None:
        """
        :raises ValueError: when they do not stand in order, *minimum* is above an hour, or one is negative.
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

    def granted(self, asked: int | None) -> int | None:
        """The seconds that are granted where *asked* are wanted, None for those of a SUBSCRIBE that does not say; None
        where that is too short (423)."""
        if asked is None:
            return self.default
        # 4.2.1.1: only what is above nothing and below an hour can be too short.
        return None if 0 < asked < min(self.minimum, _HOUR) else min(asked, self.maximum)


@final
class SubscribeReading:
    """What stands in a SUBSCRIBE, or why it is refused.

    :ivar status: 0; or the status to refuse it with.
    :ivar fields: what the refusal carries.
    :ivar reason: why, for a Warning; may be empty.
    :ivar expires: the seconds that are granted; 0 for a fetch (section 4.4.3), and for the end of a subscription.
    :ivar rates: how often the subscriber wants to be told.
    :ivar dialog: the dialog that it makes; None where it is refused or came in one.
    """

    __slots__ = ("dialog", "expires", "fields", "rates", "reason", "status")

    def __init__(self, status: int = 0, fields: tuple[tuple[str, str], ...] = (), reason: str = "") -> None:
        self.status = status
        self.fields = fields
        self.reason = reason
        self.expires = 0
        self.rates = NO_RATES
        self.dialog: Dialog | None = None


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
        value = request.headers.get("Expires")
        asked = None if value is None else parse_seconds(value, "Expires")
        reading.rates = Rates.of(event.params)
    except MalformedMessage as error:
        return SubscribeReading(error.status, reason=error.reason)
    granted = terms.granted(asked)
    if granted is None:
        # 4.2.1.1: Min-Expires says what would do.
        return SubscribeReading(423, (("Min-Expires", str(terms.minimum)),))
    reading.expires = granted
    return reading
