"""Subscription-State: how a subscription stands, and how it ended (RFC 6665 sections 4.1.3 and 8.2.3)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, TOKEN_CHARS, ascii_lower
from sip_p2p.sip.fields import parse_seconds
from sip_p2p.sip.params import check_params, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTIVE", "PENDING", "TERMINATED", "SubscriptionStateValue", "parse_subscription_state"]

ACTIVE = "active"
"""It was accepted, and has been authorised."""

PENDING = "pending"
"""It was received, and nobody has decided about it."""

TERMINATED = "terminated"
"""It is over."""

_STATE = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*")


@final
class SubscriptionStateValue:
    """A Subscription-State.

    :ivar state: in small letters: ``active``, ``pending``, ``terminated``, or what an extension has made up; such a one
        is taken for that of a subscription that stands (section 8.4: extension-substate).
    :ivar reason: why it ended, in small letters; empty where it does not say.
    :ivar expires: the seconds that are left of it; None where it does not say.
    :ivar retry_after: the seconds until the subscriber may try again; None where it does not say.
    """

    __slots__ = ("_params", "expires", "reason", "retry_after", "state")

    def __init__(self, state: str, params: Mapping[str, str | None] | None = None) -> None:
        """
        :raises ValueError: when *state* is not a token, or a parameter cannot be written.
        """
        if TOKEN.fullmatch(state) is None:
            raise ValueError(f"{state[:64]!r} is not a state of a subscription: it must be a token")
        self._params = check_params(params)
        self.state = ascii_lower(state)
        self.reason = ascii_lower(self._params.get("reason") or "")
        self.expires = self._seconds("expires")
        self.retry_after = self._seconds("retry-after")

    @staticmethod
    def of(
        state: str, *, reason: str = "", expires: int | None = None, retry_after: int | None = None
    ) -> SubscriptionStateValue:
        """The value with these parts.

        :raises ValueError: when *state* or *reason* is not a token.
        """
        params: dict[str, str | None] = {}
        if reason:
            params["reason"] = reason
        if expires is not None:
            params["expires"] = str(expires)
        if retry_after is not None:
            params["retry-after"] = str(retry_after)
        return SubscriptionStateValue(state, params)

    @property
    def params(self) -> Mapping[str, str | None]:
        """All parameters: small name to decoded value, None where it has none."""
        return MappingProxyType(self._params)

    @property
    def is_terminated(self) -> bool:
        """Whether the subscription is over."""
        return self.state == TERMINATED

    def _seconds(self, name: str) -> int | None:
        """A parameter that is a number of seconds; one that is none counts as missing."""
        value = self._params.get(name)
        if value is None:
            return None
        try:
            return parse_seconds(value, "Subscription-State")
        except MalformedMessage:
            return None

    def __str__(self) -> str:
        return self.state + format_params(self._params)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SubscriptionStateValue):
            return NotImplemented
        return self.state == other.state and self._params == other._params

    def __hash__(self) -> int:
        return hash((self.state, self.reason, self.expires))

    def __repr__(self) -> str:
        return f"<SubscriptionStateValue {str(self)!r}>"


def parse_subscription_state(value: str) -> SubscriptionStateValue:
    """Parse a Subscription-State. Parameters that cannot be read count as missing, all of them: what matters most is
    the state, and telephones are sold that write ``terminated;reason=reason=noresource``.

    :raises MalformedMessage: when it is not a state (400).
    """
    match = _STATE.match(value)
    if match is None:
        raise MalformedMessage(f"Subscription-State: not a state: {value[:64]!r}")
    try:
        params = parse_params(value, match.end(), "Subscription-State")
    except MalformedMessage:
        if value[match.end()] != ";":
            raise
        params = {}
    try:
        return SubscriptionStateValue(match[1], params)
    except ValueError as error:
        raise MalformedMessage(f"Subscription-State: {error}") from None
