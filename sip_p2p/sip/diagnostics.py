"""Why something happened, in words and numbers: Warning (RFC 3261 section 20.43) and Reason (RFC 3326)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import QUOTED_STRING, TOKEN, TOKEN_CHARS, check_quotable, parse_number, quote, unquote
from sip_p2p.sip.fields import split_values
from sip_p2p.sip.params import NONE_QUOTED, check_params, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MISCELLANEOUS_WARNING", "ReasonValue", "WarningValue", "parse_reasons", "parse_warnings"]

MISCELLANEOUS_WARNING = 399
"""The warn-code for what has none of its own."""

_AGENT = re.compile(rf"[{TOKEN_CHARS}:\[\]]+")
_WARNING = re.compile(rf"([0-9]{{3}})[ \t]+([{TOKEN_CHARS}:\[\]]+)[ \t]+{QUOTED_STRING.pattern}")
_PROTOCOL = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*")
_LARGEST_CAUSE = 2**31 - 1


@final
class WarningValue:
    """One Warning value.

    :ivar code: the warn-code, three digits; 3xx are SIP's.
    :ivar agent: who warns: a host, with or without a port, or a pseudonym.
    :ivar text: the text, unquoted.
    """

    __slots__ = ("agent", "code", "text")

    def __init__(self, code: int, agent: str, text: str) -> None:
        """
        :raises ValueError: when *code* has not three digits, *agent* is neither host nor token, or *text* holds CR
            or LF.
        """
        if not 0 <= code <= 999:
            raise ValueError(f"the warn-code {code} has not three digits")
        if _AGENT.fullmatch(agent) is None:
            raise ValueError(f"{agent[:64]!r} is neither a host nor a pseudonym")
        check_quotable(text)
        self.code = code
        self.agent = agent
        self.text = text

    def __str__(self) -> str:
        return f"{self.code:03d} {self.agent} {quote(self.text)}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WarningValue):
            return NotImplemented
        return self.code == other.code and self.agent == other.agent and self.text == other.text

    def __hash__(self) -> int:
        return hash((self.code, self.agent, self.text))

    def __repr__(self) -> str:
        return f"<WarningValue {str(self)!r}>"


def parse_warnings(value: str) -> list[WarningValue]:
    """The values of a Warning field, in order.

    :raises MalformedMessage: when one is not a code of three digits, an agent and a quoted text (400).
    """
    warnings: list[WarningValue] = []
    for element in split_values(value):
        match = _WARNING.fullmatch(element)
        if match is None:
            raise MalformedMessage(f"Warning: not a code, an agent and a text: {element[:64]!r}")
        try:
            warnings.append(WarningValue(int(match[1]), match[2], unquote(match[3])))
        except ValueError as error:
            raise MalformedMessage(f"Warning: {error}") from None
    return warnings


@final
class ReasonValue:
    """One Reason value: why a request was sent.

    :ivar protocol: what the cause is a number of: ``SIP``, ``Q.850``, ...
    :ivar cause: the number, or None.
    :ivar text: the words, unquoted, or None.
    """

    __slots__ = ("_params", "cause", "protocol", "text")

    def __init__(
        self,
        protocol: str,
        cause: int | None = None,
        text: str | None = None,
        params: Mapping[str, str | None] | None = None,
    ) -> None:
        """
        :param params: further parameters.
        :raises ValueError: when a part cannot be written.
        """
        if TOKEN.fullmatch(protocol) is None:
            raise ValueError(f"{protocol[:64]!r} is not a protocol: it must be a token")
        if cause is not None and not 0 <= cause <= _LARGEST_CAUSE:
            raise ValueError(f"{cause} is not a cause")
        if text is not None:
            check_quotable(text)
        checked = check_params(params)
        if "cause" in checked or "text" in checked:
            raise ValueError("cause and text have arguments of their own")
        self.protocol = protocol
        self.cause = cause
        self.text = text
        self._params = checked

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters but for ``cause`` and ``text``."""
        return MappingProxyType(self._params)

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = "" if self.text is None else f";text={quote(self.text)}"
        return f"{self.protocol}{cause}{text}{format_params(self._params, NONE_QUOTED)}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ReasonValue):
            return NotImplemented
        return (
            self.protocol == other.protocol
            and self.cause == other.cause
            and self.text == other.text
            and self._params == other._params
        )

    def __hash__(self) -> int:
        return hash((self.protocol, self.cause, self.text))

    def __repr__(self) -> str:
        return f"<ReasonValue {str(self)!r}>"


def parse_reasons(value: str) -> list[ReasonValue]:
    """The values of a Reason field, in order.

    :raises MalformedMessage: when one has no protocol, or its cause is no number (400).
    """
    reasons: list[ReasonValue] = []
    for element in split_values(value):
        match = _PROTOCOL.match(element)
        if match is None:
            raise MalformedMessage(f"Reason: no protocol: {element[:64]!r}")
        params = parse_params(element, match.end(), "Reason")
        cause = params.pop("cause", None)
        text = params.pop("text", None)
        try:
            number = None if cause is None else parse_number(cause, _LARGEST_CAUSE)
            reasons.append(ReasonValue(match[1], number, text, params))
        except ValueError as error:
            raise MalformedMessage(f"Reason: {error}") from None
    return reasons
