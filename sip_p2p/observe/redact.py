"""What is taken out of a message before anybody keeps it: credentials, passwords in URIs, and the body.

It works on the octets, not on a parsed message, so that it also holds for the message that no parser accepts: a trace
is wanted most when something is wrong. Lines may end in CRLF, CR or LF here, whatever the parser thinks of that, and
where no empty line ends the head everything counts as head.
"""

from __future__ import annotations

import re

__all__ = ["SECRET_FIELDS", "redact_head", "split_message"]

SECRET_FIELDS = frozenset(
    {
        "authentication-info",
        "authorization",
        "identity",
        "proxy-authentication-info",
        "proxy-authorization",
        "user-to-user",
        "y",
    }
)
"""The header fields whose values are withheld: digest and bearer credentials (RFC 3261 section 22, RFC 8898), the
signed passport of RFC 8224 with its compact form, and the opaque data of RFC 7433."""

_WITHHELD = "(withheld)"

_HEAD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(r"(\r\n|\n|\r)")
_FIELD_NAME = re.compile(r"([^\x00-\x20:]+)[ \t]*:")
_SCHEME = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9-]{0,31})[ \t]")
_BETWEEN_URIS = re.compile(r"([\x00-\x20<>\"]+)")
_BEFORE_USER = ("sip:", "sips:", "://")


def split_message(data: bytes) -> tuple[str, bytes]:
    """The head, up to and without the empty line, and the body.

    Octets that are not UTF-8 become ``\\xNN`` in the head: it is for reading, not for sending.
    """
    end = _HEAD_END.search(data)
    if end is None:
        return data.decode("utf-8", "backslashreplace"), b""
    return data[: end.start()].decode("utf-8", "backslashreplace"), data[end.end() :]


def redact_head(head: str) -> str:
    """*head* without its secrets: the field names and authentication schemes stay, their values do not."""
    pieces = _LINE_END.split(head)
    kept: list[str] = []
    withheld = False
    for index in range(0, len(pieces), 2):
        line = pieces[index]
        if line[:1] not in (" ", "\t"):
            name = _FIELD_NAME.match(line)
            withheld = name is not None and name[1].lower() in SECRET_FIELDS
            if name is not None and withheld:
                scheme = _SCHEME.match(line, name.end())
                line = f"{name[1]}: {scheme[1]} {_WITHHELD}" if scheme else f"{name[1]}: {_WITHHELD}"
        elif withheld:
            # A folded line carries on with the secret above it (RFC 3261 section 7.3.1).
            continue
        if index:
            kept.append(pieces[index - 1])
        kept.append(line if withheld else _without_passwords(line))
    return "".join(kept)


def _without_passwords(line: str) -> str:
    """*line* with ``sip:alice:secret@a.example`` written as ``sip:alice:***@a.example`` (RFC 3261 section 19.1.1)."""
    if "@" not in line:
        return line
    words = _BETWEEN_URIS.split(line)
    for index, word in enumerate(words):
        before, at, after = word.rpartition("@")
        if not at:
            continue
        lowered = before.lower()
        starts = [lowered.find(mark) + len(mark) for mark in _BEFORE_USER if mark in lowered]
        user, colon, _ = before[min(starts) :].partition(":") if starts else ("", "", "")
        if colon:
            words[index] = f"{before[: min(starts)]}{user}:***@{after}"
    return "".join(words)
