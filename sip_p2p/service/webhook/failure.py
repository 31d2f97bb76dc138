"""Every way in which a hook can fail: what it is called, whether it is tried again, and what the sender hears.

The sender hears 503 with Retry-After in every case (RFC 3261 section 21.5.4): nothing was accepted, and the request may
come again. That the hook refuses a request is no failure, but an answer of the hook's own.
"""

from __future__ import annotations

import enum
from typing import final

__all__ = ["STATUS", "FailureKind", "HookFailure"]

STATUS = 503
"""What whoever waits for the hook's answer is answered when there is none."""


class FailureKind(enum.Enum):
    """What went wrong with a delivery.

    :ivar words: what it is called in events and in the log.
    :ivar is_retried: whether the delivery is tried again, with the same id, while there is time.
    :ivar is_sick: whether it counts against the hook: after some of these in a row it is left alone for a while.
    """

    UNREACHABLE = ("unreachable", True, True)
    """No connection, or it was lost before the hook had answered."""
    TIMED_OUT = ("timed-out", True, True)
    """The hook took longer than ``--webhook-timeout`` for one delivery."""
    SERVER_ERROR = ("server-error", True, True)
    """The hook answered 5xx."""
    BUSY = ("busy", True, True)
    """The hook answered 429."""
    TRUNCATED = ("truncated", True, True)
    """The hook's answer ended before its end."""
    TLS = ("tls", False, True)
    """The hook did not prove who it is, or TLS failed otherwise."""
    REDIRECTED = ("redirected", False, False)
    """The hook answered 3xx, which is never followed."""
    REFUSED = ("refused", False, False)
    """The hook answered 4xx: it does not take our deliveries."""
    TOO_LARGE = ("too-large", False, False)
    """The hook's answer is larger than is read."""
    UNREADABLE = ("unreadable", False, False)
    """The hook's answer is no HTTP, no JSON, or nothing that could be sent on."""
    OVERLOADED = ("overloaded", False, False)
    """Too many deliveries wait already."""
    LEFT_ALONE = ("left-alone", False, False)
    """The hook has failed too often just now, and is not asked for a while."""
    OUT_OF_TIME = ("out-of-time", False, False)
    """There was no time left to try again."""

    def __init__(self, words: str, is_retried: bool, is_sick: bool) -> None:
        self.words = words
        self.is_retried = is_retried
        self.is_sick = is_sick


@final
class HookFailure(Exception):
    """A delivery failed.

    :ivar kind: how.
    :ivar retry_after: after how many seconds it may be better; None where nobody knows.
    """

    def __init__(self, kind: FailureKind, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"{kind.words}: {detail}" if detail else kind.words)
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after
