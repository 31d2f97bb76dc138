"""Whether a subscription that is over is begun anew, and when (RFC 6665 section 4.1.3; row J5).

The reason that the notifier gives decides, and its Retry-After; where something else ended it, what that was. A
subscription that ends again and again is left alone for longer each time, whatever the reason says: the notifier that
says ``deactivated`` to every attempt gets no storm of them.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import ConnectionFailure, MalformedMessage, OperationTimeout
from sip_p2p.sip.event.subscribing import SubscriptionEnding
from sip_p2p.sip.fields import parse_retry_after

if TYPE_CHECKING:
    from sip_p2p.sip.event.subscribing import SubscriptionOver

__all__ = ["BackOff", "Retry", "retry_of", "wished_pause"]

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 1800.0
_LONGEST_WISH = 86400
_STOOD_LONG = 60.0


class Retry(enum.Enum):
    """What to do about the end of a subscription."""

    NEVER = "it stays over"
    AT_ONCE = "begin anew at once; the second time in a row, later"
    LATER = "begin anew after a pause"


_OF_REASON = {
    "deactivated": Retry.AT_ONCE,
    "timeout": Retry.AT_ONCE,
    "probation": Retry.LATER,
    "giveup": Retry.LATER,
    "rejected": Retry.NEVER,
    "noresource": Retry.NEVER,
    "invariant": Retry.NEVER,
}

_MAY_PASS = frozenset((408, 430, 480, 486, 487, 491, 500, 502, 503, 504, 580))
_DIALOG_ONLY = frozenset((404, 410, 416, 482, 483, 484, 485, 604))
"""What a request in the dialog is answered where its target or its route is no more: the one that the subscription
began with may lead further."""


def retry_of(over: SubscriptionOver, *, has_stood: bool) -> Retry:
    """What to do about *over*.

    :param has_stood: whether a NOTIFY had come, and the request that ended it, if one did, was sent in the dialog.
    """
    ending = over.ending
    if ending is SubscriptionEnding.TERMINATED:
        reason = "" if over.value is None else over.value.reason
        # 4.1.3: without a reason, or with one that nobody knows, it may be tried again, if there is no Retry-After at
        # any time.
        return _OF_REASON.get(reason, Retry.LATER)
    if ending is SubscriptionEnding.EXPIRED:
        return Retry.AT_ONCE
    if ending is SubscriptionEnding.NO_NOTIFY:
        return Retry.LATER
    status = 0 if over.response is None else over.response.status
    if ending is SubscriptionEnding.GONE:
        return Retry.AT_ONCE if status in (0, 481) else Retry.LATER
    if ending is SubscriptionEnding.REFUSED:
        return Retry.LATER if status in _MAY_PASS or (has_stood and status in _DIALOG_ONLY) else Retry.NEVER
    if ending is SubscriptionEnding.UNREACHABLE:
        return Retry.LATER if isinstance(over.reason, ConnectionFailure | OperationTimeout) else Retry.NEVER
    return Retry.NEVER


def wished_pause(over: SubscriptionOver) -> int:
    """The seconds for which the notifier wants to be left alone: the ``retry-after`` of Subscription-State, or the
    Retry-After of a response; a day at most, and 0 where it says nothing."""
    wish = 0
    if over.value is not None:
        # 4.1.3: beside deactivated, timeout and what is for good it means nothing.
        has_meaning = _OF_REASON.get(over.value.reason, Retry.LATER) is Retry.LATER
        wish = (over.value.retry_after or 0) if has_meaning else 0
    elif over.response is not None:
        value = over.response.headers.get("Retry-After")
        try:
            wish = 0 if value is None else parse_retry_after(value).seconds
        except MalformedMessage:
            wish = 0
    return min(wish, _LONGEST_WISH)


@final
class BackOff:
    """How long to wait before one more attempt.

    :ivar attempts: how many there were since it stood for a minute.
    """

    __slots__ = ("_began", "attempts")

    def __init__(self) -> None:
        self.attempts = 0
        self._began = float("inf")

    def stood(self, now: float) -> None:
        """A NOTIFY says that it stands; the first of an attempt counts."""
        self._began = min(self._began, now)

    def pause(self, retry: Retry, wish: float, now: float, chance: float) -> float:
        """The seconds until the next attempt.

        :param retry: any but ``NEVER``.
        :param wish: what the notifier wants at least.
        :param chance: from 0 up to 1, drawn anew each time: so that those who were sent away at once do not come back
            at once.
        """
        if now - self._began >= _STOOD_LONG:
            self.attempts = 0
        self._began = float("inf")
        self.attempts += 1
        exponent = self.attempts - (2 if retry is Retry.AT_ONCE else 1)
        if exponent < 0:
            return wish
        longest = min(_FIRST_PAUSE * 2.0 ** min(exponent, 16), _LONGEST_PAUSE)
        return wish + longest * (0.5 + chance / 2)
