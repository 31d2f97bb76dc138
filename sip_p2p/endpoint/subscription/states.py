"""The states of a subscription of ours, after UCMA's ``RealTimeSubscription`` (row J2; RFC 6665 section 4.1).

::

    Idle --start--> Subscribing --NOTIFY--> Subscribed --terminate--> Terminating --> Terminated
                         ^  |                   |                                         ^
                         |  +--------+----------+-----------------------------------------+
                         |           v                                                    |
                         +---- WaitingForRetry -------------------------------------------+

What RFC 6665 calls pending is ``Subscribed`` with :attr:`~.subscription.Subscription.is_pending`: the notifier has
accepted it, and nobody has decided what it may know. ``Terminated`` is final.
"""

from __future__ import annotations

import enum
from typing import final

__all__ = ["SubscriptionState", "SubscriptionStateChanged"]


class SubscriptionState(enum.Enum):
    """Where a subscription stands."""

    IDLE = "nothing was asked for yet"
    SUBSCRIBING = "it was asked for, and no NOTIFY has come"
    SUBSCRIBED = "it stands"
    WAITING_FOR_RETRY = "it is over at the notifier, and will be asked for anew"
    TERMINATING = "we have ended it, and the last NOTIFY has not come"
    TERMINATED = "it is over"


@final
class SubscriptionStateChanged:
    """A subscription went from one state to another.

    :ivar previous_state: where it stood.
    :ivar state: where it stands.
    :ivar reason: why, as far as it is known: the notifier's reason (``timeout``, ``rejected``, ...); empty for none.
    :ivar error: what happened, where it is a failure; else None.
    """

    __slots__ = ("error", "previous_state", "reason", "state")

    def __init__(
        self,
        previous_state: SubscriptionState,
        state: SubscriptionState,
        reason: str = "",
        error: BaseException | None = None,
    ) -> None:
        self.previous_state = previous_state
        self.state = state
        self.reason = reason
        self.error = error

    def __repr__(self) -> str:
        return f"<SubscriptionStateChanged {self.previous_state.name} -> {self.state.name}>"
