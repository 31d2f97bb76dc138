"""How we call: what one INVITE of ours, and all the attempts of it, are made with (RFC 3261 section 13.2, RFC 3262
section 4, RFC 4028 section 7, RFC 6228 section 4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.answer_options import RELIABILITY
from sip_p2p.sip.dialog.reliable import OPTION_TAG as RELIABLE
from sip_p2p.sip.dialog.session_timer import OPTION_TAG as TIMER
from sip_p2p.sip.dialog.session_timer import SessionTimer
from sip_p2p.sip.fields import parse_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.dialog.session_timer import SessionTimerSettings

__all__ = ["CallOptions"]

_EARLY_DIALOG_TERMINATED = "199"
_MAX_RING = 600.0
_MAX_REDIRECTS = 5
_MAX_TARGETS = 16
_MAX_FORKS = 64


@final
class CallOptions:
    """What holds for a call; may be shared by many, and is never changed.

    :ivar max_ring: for how many seconds the call may last without an answer, redirections and all, before it is
        cancelled; None for any time.
    :ivar reliable: what we say of reliable provisional responses: ``off``, ``supported`` or ``required``.
    :ivar session_timer: what we want of session timers; None leaves them out.
    :ivar automatic_ack: whether a 2xx is acknowledged at once. If not, the application says when, by the usage's
        ``acknowledge``, and has to say it within 64*T1.
    :ivar max_redirects: how many redirections may follow one another; 0: a 3xx is an outcome.
    :ivar max_targets: how many targets of redirections are called altogether.
    :ivar max_forks: how many branches may have early dialogs at a time. A further one rings without a dialog of ours;
        if it accepts, that counts all the same.
    """

    __slots__ = (
        "automatic_ack",
        "max_forks",
        "max_redirects",
        "max_ring",
        "max_targets",
        "reliable",
        "session_timer",
    )

    def __init__(
        self,
        max_ring: float | None = _MAX_RING,
        reliable: str = "supported",
        session_timer: SessionTimerSettings | None = None,
        *,
        automatic_ack: bool = True,
        max_redirects: int = _MAX_REDIRECTS,
        max_targets: int = _MAX_TARGETS,
        max_forks: int = _MAX_FORKS,
    ) -> None:
        """
        :raises ValueError: for a policy of another name, a time that is no positive number, a negative number of
            redirections, and a number of targets or branches below 1.
        """
        if reliable not in RELIABILITY:
            raise ValueError(f"reliable is one of {', '.join(RELIABILITY)}, not {reliable!r}")
        if max_ring is not None and not 0 < max_ring < math.inf:
            raise ValueError(f"max_ring must be a positive number of seconds or None, not {max_ring!r}")
        if max_redirects < 0 or max_targets < 1 or max_forks < 1:
            raise ValueError("a call has at least one target and one branch, and no fewer than 0 redirections")
        self.max_ring = None if max_ring is None else float(max_ring)
        self.reliable = reliable
        self.session_timer = session_timer
        self.automatic_ack = automatic_ack
        self.max_redirects = max_redirects
        self.max_targets = max_targets
        self.max_forks = max_forks

    def begin_session_timer(self) -> SessionTimer | None:
        """A session timer that has heard of no peer yet, for an attempt."""
        return None if self.session_timer is None else SessionTimer(self.session_timer)

    def complete(self, fields: Iterable[tuple[str, str]], timer: SessionTimer | None) -> list[tuple[str, str]]:
        """The header fields of an INVITE: *fields*, which the application gave, and what these options add.

        Extensions that both name stand once (section 20.37); which are supported is said in every INVITE (13.2.1).
        What these options leave out is not said to be supported, whoever says so.

        :raises ValueError: when a Supported or a Require among *fields* is none.
        """
        added = [] if timer is None else timer.request_fields("INVITE")
        # RFC 3262 section 4: a callee that is not required to send reliably may still choose to.
        supported = [_EARLY_DIALOG_TERMINATED] if self.reliable == "off" else [RELIABLE, _EARLY_DIALOG_TERMINATED]
        left_out = {RELIABLE} if self.reliable == "off" else set()
        required = [RELIABLE] if self.reliable == "required" else []
        if timer is not None and timer.settings.is_enabled:
            supported.append(TIMER)
        else:
            left_out.add(TIMER)
        complete = []
        for name, value in [*fields, *added]:
            lowered = name.lower()
            if lowered not in ("supported", "require", "k"):
                complete.append((name, value))
                continue
            try:
                tags = parse_tokens(value, name)
            except MalformedMessage as error:
                raise ValueError(str(error)) from None
            if lowered == "require":
                required += [tag for tag in tags if tag not in required]
            else:
                supported += [tag for tag in tags if tag not in supported and tag not in left_out]
        complete.append(("Supported", ", ".join(supported)))
        if required:
            complete.append(("Require", ", ".join(required)))
        return complete
