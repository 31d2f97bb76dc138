"""Options of sessions that the service and ``sip-p2p call`` share: how long it may ring, reliable provisional responses
(RFC 3262), session timers (RFC 4028)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import seconds
from sip_p2p.sip.dialog.answer_options import RELIABILITY, AnswerOptions
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["RELIABLE", "SESSION_TIMER", "SESSION_TIMER_LEAST", "answer_options", "reliability", "session_timer"]

RELIABLE = [
    "reliable",
    None,
    "supported",
    "provisional responses that have to be acknowledged (RFC 3262): off, supported or required",
]
SESSION_TIMER = [
    "session-timer",
    None,
    "1800",
    "for how many seconds a session lasts without a sign of life from the other side (RFC 4028), or off",
]
SESSION_TIMER_LEAST = [
    "session-timer-least",
    None,
    "90",
    "the smallest such time that you go along with: signs of life cost something",
]


def reliability(options: Mapping[str, Any]) -> str:
    """What ``--reliable`` says.

    :raises UsageError: when it says something else.
    """
    policy: str = options["reliable"]
    if policy not in RELIABILITY:
        raise usage.UsageError(f"--reliable {printable(policy)} is neither off nor supported nor required")
    return policy


def session_timer(options: Mapping[str, Any]) -> SessionTimerSettings:
    """What ``--session-timer`` and ``--session-timer-least`` say.

    :raises UsageError: for what is no whole number of seconds, or one that RFC 4028 does not know.
    """
    least = _whole("session-timer-least", options["session-timer-least"])
    if options["session-timer"] == "off":
        return SessionTimerSettings(None, minimum=least, is_enabled=False)
    interval = _whole("session-timer", options["session-timer"], ", nor off")
    if interval < least:
        raise usage.UsageError(
            f"--session-timer {interval} is less than --session-timer-least {least}: you would not go along with it"
        )
    return SessionTimerSettings(interval, minimum=least)


def answer_options(options: Mapping[str, Any]) -> AnswerOptions:
    """How sessions of peers are answered.

    :raises UsageError: for a value that is none.
    """
    reliable, timer = reliability(options), session_timer(options)
    if options["max-ring"] is None:
        return AnswerOptions(reliable, session_timer=timer)
    return AnswerOptions(reliable, max_ring=seconds("max-ring", options["max-ring"], least=0.001), session_timer=timer)


def _whole(name: str, text: str, or_else: str = "") -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 90):
        what = f"a whole number of seconds from 90 to 999999{or_else}"
        raise usage.UsageError(f"--{name} {printable(text)} is not {what}")
    return int(text)
