"""What an outbox holds: one message and what is known of it; and how much it may hold. Values only."""

from __future__ import annotations

import enum
from typing import Any, Final, final

__all__ = ["COLUMNS", "OutboxEntry", "OutboxLimits", "OutboxState"]


class OutboxState(enum.Enum):
    """What has become of a message that an outbox has accepted."""

    QUEUED = "queued"
    """It waits for its turn, or for another attempt."""
    SENDING = "sending"
    """An attempt is under way."""
    DELIVERED = "delivered"
    """It was answered 2xx: by the recipient, or by somebody who passes it on."""
    REPORTED = "reported"
    """A report says that the recipient has it."""
    FAILED = "failed"
    """It was refused for good, or a report says that it was not delivered."""
    EXPIRED = "expired"
    """It was not delivered in the time that it had."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is done for it."""
        return self not in (OutboxState.QUEUED, OutboxState.SENDING)


COLUMNS: Final = (
    "seq",
    "id",
    "target",
    "lane",
    "body",
    "content_type",
    "headers",
    "call_id",
    "state",
    "queued_at",
    "expires_at",
    "due_at",
    "settled_at",
    "attempts",
    "status",
    "reason",
    "report",
)
"""What is read of a message, in this order."""


@final
class OutboxEntry:
    """A message in an outbox, as it was when it was asked for. It does not change.

    :ivar seq: its place in the order in which messages were accepted.
    :ivar id: what it is known by: the Message-ID of one in an envelope.
    :ivar target: whom it is for.
    :ivar lane: what it has in common with those that are for the same party, which are sent one after the other.
    :ivar body: its octets; empty once it was delivered.
    :ivar content_type: what they are.
    :ivar headers: its further header fields, as JSON.
    :ivar call_id: the Call-ID of all its attempts.
    :ivar state: what has become of it.
    :ivar queued_at: when it was accepted, in seconds since 1970, as all the moments here.
    :ivar expires_at: until when it is to be delivered.
    :ivar due_at: when it was, or is, to be tried again.
    :ivar settled_at: when its outcome was known; None while it is not.
    :ivar attempts: how often it was tried.
    :ivar status: the status of the last answer; 0 where there was none.
    :ivar reason: what came of the last attempt, in words.
    :ivar report: what the last report on it says: ``delivered``, ``displayed``, ...; empty where none came.
    """

    __slots__ = COLUMNS

    seq: int
    id: str
    target: str
    lane: str
    body: bytes
    content_type: str
    headers: str
    call_id: str
    state: OutboxState
    queued_at: float
    expires_at: float
    due_at: float
    settled_at: float | None
    attempts: int
    status: int
    reason: str
    report: str

    def __init__(self, row: tuple[Any, ...]) -> None:
        """
        :param row: the values of :data:`COLUMNS`.
        """
        for name, value in zip(COLUMNS, row, strict=True):
            object.__setattr__(self, name, OutboxState(value) if name == "state" else value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an OutboxEntry does not change: ask the outbox for it again")

    def __repr__(self) -> str:
        return f"<OutboxEntry {self.id} to {self.target} {self.state.value}, {self.attempts} attempts>"


@final
class OutboxLimits:
    """How much an outbox holds, and for how long. It does not change.

    :ivar messages: messages that are not settled; a further one is refused.
    :ivar octets: octets of their bodies altogether; the same.
    :ivar message_octets: octets of one body, with its envelope; a longer one is refused.
    :ivar settled: settled messages that can still be asked for; the oldest is forgotten.
    :ivar keep: for how many seconds they can be.
    :ivar expires: after how many seconds a message expires that does not say.
    :ivar longest_expiry: after how many seconds a message expires at most; one that wants more is refused.
    :ivar concurrency: messages that are being sent at a time, each to somebody else.
    :ivar attempt_timeout: seconds that one attempt may take.
    :ivar first_pause: seconds before the second attempt; twice as many before each further one.
    :ivar longest_pause: seconds before any attempt, also where the peer asks for more.
    """

    __slots__ = (
        "attempt_timeout",
        "concurrency",
        "expires",
        "first_pause",
        "keep",
        "longest_expiry",
        "longest_pause",
        "message_octets",
        "messages",
        "octets",
        "settled",
    )

    attempt_timeout: float
    concurrency: int
    expires: float
    first_pause: float
    keep: float
    longest_expiry: float
    longest_pause: float
    message_octets: int
    messages: int
    octets: int
    settled: int

    def __init__(
        self,
        *,
        messages: int = 10_000,
        octets: int = 64 * 1024 * 1024,
        message_octets: int = 48 * 1024,
        settled: int = 10_000,
        keep: float = 7 * 86_400.0,
        expires: float = 3 * 86_400.0,
        longest_expiry: float = 30 * 86_400.0,
        concurrency: int = 16,
        attempt_timeout: float = 60.0,
        first_pause: float = 5.0,
        longest_pause: float = 900.0,
    ) -> None:
        """
        :raises ValueError: when a bound is not positive.
        """
        given = dict(locals())
        for name in self.__slots__:
            if not given[name] > 0:
                raise ValueError(f"the limit {name!r} cannot be {given[name]}")
            object.__setattr__(self, name, given[name])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an OutboxLimits does not change")
