"""Who may have a session of his own take the place of one of ours, or join it (``--replaces``; RFC 3891 section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.service.lives.names import names_sender

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.transfer.replacing import Replacement

__all__ = ["OFF", "SAME", "VERIFIED", "ReplacesRule"]

SAME = "same"
"""The party that the session is with."""

VERIFIED = "verified"
"""Whoever has proved the address in From, and can name the session: whom a party to it has told of it."""

OFF = "off"
"""Nobody."""


@final
class ReplacesRule:
    """The ``replaces_policy`` of a service.

    :param given: what ``--replaces`` says: the words above, and names that have to be proved. The party that the
        session is with may always, unless nobody may.
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._given = frozenset(given)

    def __call__(self, replacement: Replacement) -> bool:
        """Whether *replacement* may be."""
        if OFF in self._given:
            return False
        if replacement.is_same_party:
            return True
        try:
            sender = replacement.invite.from_.uri
            is_proved = replacement.peer.proves(sender)
        except MalformedMessage:
            return False
        return is_proved and (VERIFIED in self._given or names_sender(self._given, sender))
