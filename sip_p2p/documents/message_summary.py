"""Messages that wait: ``application/simple-message-summary`` (RFC 3842 sections 3.5 and 5).

A few lines of text: whether any wait, for which account, how many of which kind, and perhaps header fields of the new
ones. Left out on purpose: what a message context class means (RFC 3458).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, final

from sip_p2p.errors import MalformedDocument
from sip_p2p.sip.abnf import ascii_lower, is_token, parse_number
from sip_p2p.sip.headers import check_value

__all__ = ["CONTEXT_CLASSES", "MEDIA_TYPE", "MessageCount", "MessageSummary"]

MEDIA_TYPE = "application/simple-message-summary"
"""The media type of these documents."""

CONTEXT_CLASSES = (
    "voice-message",
    "video-message",
    "fax-message",
    "pager-message",
    "multimedia-message",
    "text-message",
    "none",
)
"""The kinds of messages that RFC 3458 section 6.2 and RFC 3938 name; there may be others."""

MOST_LINES = 1024
"""How many lines are read. A longer document is refused."""

_LARGEST_COUNT = 2**32 - 1
_COUNTS = re.compile("([0-9]+)[ \t]*/[ \t]*([0-9]+)(?:[ \t]*[(][ \t]*([0-9]+)[ \t]*/[ \t]*([0-9]+)[ \t]*[)])?")


@final
@dataclass(frozen=True, slots=True)
class MessageCount:
    """How many messages of one kind there are.

    :ivar context: their kind, one of :data:`CONTEXT_CLASSES` or another token, in small letters.
    :ivar new: how many have not been heard.
    :ivar old: how many have.
    :ivar new_urgent: how many of the new ones are urgent; None where nothing is said.
    :ivar old_urgent: how many of the old ones are urgent; None where nothing is said, and it is so for both or none.
    """

    context: str
    new: int
    old: int = 0
    new_urgent: int | None = None
    old_urgent: int | None = None

    def __post_init__(self) -> None:
        if not is_token(self.context) or self.context != ascii_lower(self.context):
            raise ValueError(f"{self.context[:64]!r} is not a kind of messages: a token in small letters")
        if (self.new_urgent is None) != (self.old_urgent is None):
            raise ValueError("how many are urgent is said for new and old ones, or for neither")
        for count in (self.new, self.old, self.new_urgent or 0, self.old_urgent or 0):
            if not 0 <= count <= _LARGEST_COUNT:
                raise ValueError(f"a number of messages is between 0 and {_LARGEST_COUNT}, not {count}")

    def __str__(self) -> str:
        urgent = "" if self.new_urgent is None else f" ({self.new_urgent}/{self.old_urgent})"
        return f"{_written_name(self.context)}: {self.new}/{self.old}{urgent}"


@final
@dataclass(frozen=True, slots=True)
class MessageSummary:
    """What waits for somebody.

    :ivar waiting: whether anything does.
    :ivar account: the URI that plays the messages; empty where nothing is said.
    :ivar counts: how many of each kind.
    :ivar messages: header fields of new messages, for each message its fields in order.
    :cvar media_type: the media type of these documents.
    """

    media_type: ClassVar[str] = MEDIA_TYPE

    waiting: bool
    account: str = ""
    counts: tuple[MessageCount, ...] = ()
    messages: tuple[tuple[tuple[str, str], ...], ...] = ()

    def __post_init__(self) -> None:
        if check_value("Message-Account", self.account) != self.account:
            raise ValueError("the account has blanks around it")
        if self.account.startswith("<"):
            raise ValueError("the account is a URI without angle brackets (RFC 3842 section 3.5)")
        kinds = [count.context for count in self.counts]
        if len(set(kinds)) != len(kinds):
            raise ValueError("a kind of messages is counted twice")
        for fields in self.messages:
            if not fields:
                raise ValueError("a message without header fields cannot be told")
            for name, value in fields:
                if not is_token(name) or check_value(name, value) != value:
                    raise ValueError(f"not a header field: {name[:64]!r}")

    def count_of(self, context: str) -> MessageCount | None:
        """How many of one kind, ``voice-message`` for one; None where nothing is said of them."""
        for count in self.counts:
            if count.context == context:
                return count
        return None

    @classmethod
    def parse(cls, octets: bytes) -> MessageSummary:
        """Read a document. Lines that end in LF alone are read as well; lines that mean nothing to us are passed over.

        :raises MalformedDocument: when it does not say whether messages wait, or a count is none.
        """
        text = octets.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        if text.count("\n") >= MOST_LINES:
            raise MalformedDocument(f"there are more than {MOST_LINES} lines")
        head, *groups = (group.strip("\n") for group in text.lstrip("\n").split("\n\n"))
        waiting: bool | None = None
        account = ""
        counts: dict[str, MessageCount] = {}
        for number, (name, value) in enumerate(_fields(head, 1), 1):
            known = ascii_lower(name)
            if known == "messages-waiting":
                if ascii_lower(value) not in ("yes", "no"):
                    raise MalformedDocument(f"Messages-Waiting is yes or no, not {value[:32]!r}", number)
                waiting = ascii_lower(value) == "yes"
            elif known == "message-account":
                # Section 3.5: it has no angle brackets; those of a peer are no part of it.
                account = value[1:].strip("> \t") if value.startswith("<") else value
            elif known not in counts:
                count = _read_count(known, value, number)
                if count is not None:
                    counts[known] = count
        if waiting is None:
            raise MalformedDocument("there is no Messages-Waiting")
        messages = tuple(tuple(_fields(group, 0)) for group in groups if group)
        try:
            return cls(waiting, account, tuple(counts.values()), messages)
        except ValueError as error:
            raise MalformedDocument(str(error)) from None

    def to_bytes(self) -> bytes:
        """The document."""
        lines = [f"Messages-Waiting: {'yes' if self.waiting else 'no'}"]
        if self.account:
            lines.append(f"Message-Account: {self.account}")
        lines += [str(count) for count in self.counts]
        for fields in self.messages:
            lines.append("")
            lines += [f"{name}: {value}" for name, value in fields]
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def _written_name(context: str) -> str:
    """A kind of messages as the examples of the RFC write it: ``Voice-Message``."""
    return "-".join(part[:1].upper() + part[1:] for part in context.split("-"))


def _fields(group: str, first: int) -> list[tuple[str, str]]:
    """The lines of *group* as names and values.

    :param first: the number of its first line, for errors; 0 where it is not known.
    """
    fields: list[tuple[str, str]] = []
    for number, line in enumerate(group.split("\n"), first):
        if line[:1] in (" ", "\t") and fields:
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.strip(' ' + chr(9))}")
            continue
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not is_token(name):
            raise MalformedDocument(f"not a line of a message summary: {line[:64]!r}", number if first else 0)
        fields.append((name, value.strip(" \t")))
    return fields


def _read_count(context: str, value: str, line: int) -> MessageCount | None:
    """The counts of one line; None for a line that has other things than counts, of a kind that nobody has named."""
    match = _COUNTS.fullmatch(value)
    if match is None:
        if context in CONTEXT_CLASSES:
            raise MalformedDocument(f"not a number of messages: {value[:64]!r}", line)
        return None
    new, old = _number(match[1]), _number(match[2])
    if match[3] is None:
        return MessageCount(context, new, old)
    return MessageCount(context, new, old, _number(match[3]), _number(match[4]))


def _number(digits: str) -> int:
    """Section 3.5: what is larger than any number may be counts as the largest one."""
    try:
        return parse_number(digits, _LARGEST_COUNT)
    except ValueError:
        return _LARGEST_COUNT
