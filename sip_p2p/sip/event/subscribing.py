"""What a subscriber is asked for, and what it tells (RFC 6665 section 4.1, RFC 6446, RFC 5839).

The values around :class:`~sip_p2p.sip.event.subscriber.Subscriber`: its states, what its SUBSCRIBEs are for, what is
the same for all of them, and its effects.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol, final

from sip_p2p.sip.accept import parse_accept
from sip_p2p.sip.event.usage import EventEffect

if TYPE_CHECKING:
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.event.subscriber import Subscriber
    from sip_p2p.sip.event.subscription_state import SubscriptionStateValue
    from sip_p2p.sip.fields import EventValue
    from sip_p2p.sip.message import Request, Response

__all__ = [
    "Forked",
    "NotifyReceived",
    "SubscribeComposer",
    "SubscribeEnded",
    "SubscribeKind",
    "SubscriberOptions",
    "SubscriberState",
    "SubscriptionEnding",
    "SubscriptionOver",
]


class SubscriberState(enum.Enum):
    """The states of section 4.1.2, with one more between our last SUBSCRIBE and the last NOTIFY."""

    IDLE = "nothing was sent"
    NOTIFY_WAIT = "it was asked for, and no NOTIFY has come"
    PENDING = "nobody has decided about it"
    ACTIVE = "it stands"
    ENDING = "we have ended it, and the last NOTIFY has not come"
    TERMINATED = "it is over"


class SubscribeKind(enum.Enum):
    """What a SUBSCRIBE is for (row J6)."""

    SUBSCRIBE = "begin a subscription"
    REFRESH = "keep it"
    UPDATE = "say something else of it"
    UNSUBSCRIBE = "end it"
    FETCH = "ask for the state once"


class SubscriptionEnding(enum.Enum):
    """How a subscription ended."""

    TERMINATED = "the notifier ended it"
    LEFT = "we ended it"
    FETCHED = "the state was asked for once, and is here"
    REFUSED = "a SUBSCRIBE was refused"
    UNREACHABLE = "the notifier was not reached"
    NO_NOTIFY = "it was accepted, and no NOTIFY came"
    EXPIRED = "it could not be refreshed in time"
    GONE = "the notifier does not know it any more"


class SubscribeComposer(Protocol):
    """Who says what else stands in a SUBSCRIBE."""

    def compose(self, plan: RequestPlan, kind: SubscribeKind) -> None:
        """Add header fields, already checked, and a body to *plan*, which has all that the stack has to say."""


@final
class SubscriberOptions:
    """What is the same for all SUBSCRIBEs of a subscription, and for many subscriptions. Immutable by convention.

    :ivar event: the event, with the rates of RFC 6446 that are asked for.
    :ivar expires: the seconds to ask for; 0 asks for the state once (section 4.4.3).
    :ivar accept: the Accept of our SUBSCRIBEs: the media types that notifications may have; empty for any.
    :ivar ranges: the same, to compare with.
    :ivar max_forks: how many notifiers may answer one SUBSCRIBE, each with a subscription of its own (section 4.4.1);
        more are answered 481.
    :ivar notify_burst: how many NOTIFYs of one subscription are taken in a second; more are answered 500 with
        Retry-After.
    :ivar is_refreshed: whether it is refreshed by itself; else it ends when it expires.
    """

    __slots__ = ("accept", "event", "expires", "is_refreshed", "max_forks", "notify_burst", "ranges")

    def __init__(
        self,
        event: EventValue,
        expires: int = 3600,
        *,
        accept: str = "",
        max_forks: int = 1,
        notify_burst: int = 100,
        is_refreshed: bool = True,
    ) -> None:
        """
        :raises ValueError: when *expires* is negative or 2**32 or more, or one of the other numbers is below 1.
        :raises MalformedMessage: when *accept* is not a list of media types.
        """
        if not 0 <= expires < 2**32:
            raise ValueError(f"a subscription of {expires} seconds cannot be asked for")
        if max_forks < 1 or notify_burst < 1:
            raise ValueError("there has to be room for one fork, and for one NOTIFY a second")
        self.event = event
        self.expires = expires
        self.accept = accept
        self.ranges = parse_accept((accept,)) if accept else []
        self.max_forks = max_forks
        self.notify_burst = notify_burst
        self.is_refreshed = is_refreshed


@final
class NotifyReceived(EventEffect):
    """A NOTIFY came and was answered 200.

    :ivar request: the NOTIFY.
    :ivar value: its Subscription-State.
    """

    __slots__ = ("request", "value")

    def __init__(self, owner: Subscriber, request: Request, value: SubscriptionStateValue) -> None:
        super().__init__(owner)
        self.request = request
        self.value = value


@final
class Forked(EventEffect):
    """Another notifier answers the same SUBSCRIBE (section 4.4.1); its NOTIFY is told next, by *subscriber*.

    :ivar subscriber: its subscription, which has no ``user`` yet.
    """

    __slots__ = ("subscriber",)

    def __init__(self, owner: Subscriber, subscriber: Subscriber) -> None:
        super().__init__(owner)
        self.subscriber = subscriber


@final
class SubscribeEnded(EventEffect):
    """A SUBSCRIBE that left the subscription standing has its outcome.

    :ivar errand: the SUBSCRIBE.
    :ivar kind: what it was for.
    :ivar response: the final response; None where there was none.
    :ivar reason: what happened instead; None where there was a response.
    """

    __slots__ = ("errand", "kind", "reason", "response")

    def __init__(
        self,
        owner: Subscriber,
        errand: Errand,
        kind: SubscribeKind,
        response: Response | None,
        reason: BaseException | None = None,
    ) -> None:
        super().__init__(owner)
        self.errand = errand
        self.kind = kind
        self.response = response
        self.reason = reason


@final
class SubscriptionOver(EventEffect):
    """A subscription is over; nothing more comes of it.

    :ivar ending: how it ended.
    :ivar dialog: the dialog that it used; None where there never was one.
    :ivar response: the response that ended it; None for none.
    :ivar reason: what happened instead of a response; None for nothing.
    :ivar value: the Subscription-State of the NOTIFY that ended it; None for none.
    """

    __slots__ = ("dialog", "ending", "reason", "response", "value")

    def __init__(
        self,
        owner: Subscriber,
        ending: SubscriptionEnding,
        dialog: Dialog | None = None,
        response: Response | None = None,
        reason: BaseException | None = None,
        value: SubscriptionStateValue | None = None,
    ) -> None:
        super().__init__(owner)
        self.ending = ending
        self.dialog = dialog
        self.response = response
        self.reason = reason
        self.value = value
