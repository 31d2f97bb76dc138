"""What is taken out of a message before anybody keeps it: credentials, passwords in URIs, and the body.

It works on the octets, not on a parsed message, so that it also holds for the message that no parser accepts: a trace
is wanted most when something is wrong. Lines may end in CRLF, CR or LF here, whatever the parser thinks of that, and
where no empty line ends the head everything counts as head.
"""

from __future__ import annotations

import re
from typing import final

__all__ = [
    "NO_BODIES",
    "SECRET_FIELDS",
    "BodyPolicy",
    "redact_body",
    "redact_head",
    "split_message",
    "without_passwords",
]

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
signed passport of RFC 8224 with its compact form, and the opaque data of RFC 7433. Besides them those whose name says
so, such as ``Cookie`` or ``X-Api-Token``. Challenges stay: their nonce is worth nothing without what is withheld."""

_WITHHELD = "(withheld)"

# In the name of a header field, or of a parameter of a URI.
_SECRET_WORDS = "authorization|authentication-info|token|secret|passw|cookie|credential|api-?key"
_SECRET_NAME = re.compile(f"(?i){_SECRET_WORDS}")
_SECRET_PARAMETER = re.compile(f'(?i)([?&;][a-z0-9_.-]*(?:{_SECRET_WORDS})[a-z0-9_-]*=)[^&;,>"\\x00-\\x20]+')
# Where a head has none of these, and no password, nothing is looked at line by line.
_PLAIN_WORDS = tuple(_SECRET_WORDS.replace("api-?key", "api-key|apikey").split("|"))
_SUSPECT = (*_PLAIN_WORDS, "identity", "user-to-user", "\ny", "\ry")

_HEAD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(r"(\r\n|\n|\r)")
_FIELD_NAME = re.compile(r"([^\x00-\x20:]+)[ \t]*:")
_SCHEME = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9-]{0,31})[ \t]")
_BETWEEN_URIS = re.compile(r"([\x00-\x20<>\"]+)")
_KEY = re.compile(rb"(?im)(?:^|(?<=\r))(k=|a=crypto:|a=key-mgmt:|a=ice-pwd:)[^\r\n]*")
_TYPE_FIELD = re.compile(r"(?i)[\r\n](?:content-type|c)[ \t]*:([^\r\n]*)")
_ENCODING_FIELD = re.compile(r"(?i)[\r\n](?:content-encoding|e)[ \t]*:([^\r\n]*)")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/(?:\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})")
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
    if not _may_hold_secrets(head):
        return head
    pieces = _LINE_END.split(head)
    kept: list[str] = []
    withheld = False
    for index in range(0, len(pieces), 2):
        line = pieces[index]
        if line[:1] not in (" ", "\t"):
            name = _FIELD_NAME.match(line)
            withheld = name is not None and _is_secret(name[1])
            if name is not None and withheld:
                scheme = _SCHEME.match(line, name.end())
                line = f"{name[1]}: {scheme[1]} {_WITHHELD}" if scheme else f"{name[1]}: {_WITHHELD}"
        elif withheld:
            # A folded line carries on with the secret above it (RFC 3261 section 7.3.1).
            continue
        if index:
            kept.append(pieces[index - 1])
        kept.append(line if withheld else without_passwords(line))
    return "".join(kept)


def _is_secret(name: str) -> bool:
    return name.lower() in SECRET_FIELDS or _SECRET_NAME.search(name) is not None


def _may_hold_secrets(head: str) -> bool:
    """Whether it is worth the while to look at each line; most heads have nothing to withhold."""
    lowered = head.casefold()
    for word in _SUSPECT:
        if word in lowered:
            return True
    if lowered.startswith("y"):
        return True
    # A password stands between a second colon of a URI and its last at sign.
    colons = 0
    for piece in head.split("@")[:-1]:
        start = max(piece.rfind(" "), piece.rfind("<"), piece.rfind("\n"))
        colons = piece.count(":", start + 1) + (colons if start < 0 else 0)
        if colons > 1:
            return True
    return False


def redact_body(content_type: str, body: bytes) -> bytes:
    """*body* without its keys.

    In SDP, also as a part of a multipart body, those are the values of ``k=`` (RFC 4566), ``a=crypto`` (RFC 4568),
    ``a=key-mgmt`` (RFC 4567) and ``a=ice-pwd`` (RFC 8839); a message or a piece of one (``message/sip``,
    ``message/sipfrag``) loses what a head loses, and so does a multipart body, of which that may be a part.

    :param content_type: such as ``application/sdp``, without parameters, in lower case.
    """
    if content_type in ("message/sip", "message/sipfrag"):
        end = _HEAD_END.search(body)
        cut = len(body) if end is None else end.start()
        head = redact_head(body[:cut].decode("utf-8", "surrogateescape"))
        return head.encode("utf-8", "surrogateescape") + body[cut:]
    if content_type.startswith("multipart/"):
        # A part may be a message or a piece of one.
        body = redact_head(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if content_type == "application/sdp" or content_type.startswith("multipart/"):
        return _KEY.sub(rb"\1" + _WITHHELD.encode("ascii"), body)
    return body


@final
class BodyPolicy:
    """Whose bodies are kept: nobody's, everybody's, or those of some types.

    :ivar types: the content types, in lower case: ``text/plain``, or ``text/*`` for all of a kind.
    :ivar is_all: whether all are.
    """

    __slots__ = ("is_all", "types")

    def __init__(self, *types: str, is_all: bool = False) -> None:
        self.types = frozenset(each.lower() for each in types)
        self.is_all = is_all

    @classmethod
    def parse(cls, text: str) -> BodyPolicy:
        """What ``none``, ``all`` or ``text/plain,application/sdp`` say.

        :raises ValueError: for anything else.
        """
        if text == "none":
            return cls()
        if text == "all":
            return cls(is_all=True)
        types = [each.strip(" \t") for each in text.split(",")]
        wrong = next((each for each in types if not _MEDIA_TYPE.fullmatch(each)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is neither none nor all nor a content type such as text/plain or text/*")
        return cls(*types)

    @property
    def is_none(self) -> bool:
        """Whether no body is kept."""
        return not (self.is_all or self.types)

    def keeps(self, content_type: str) -> bool:
        """Whether a body of this type, in lower case and without parameters, is kept."""
        return self.is_all or content_type in self.types or f"{content_type.partition('/')[0]}/*" in self.types

    def kept(self, head: str, body: bytes) -> bytes | None:
        """What is kept of the *body* that followed *head*, without its keys; None where nothing is.

        One in a content encoding cannot be looked into: it is kept, as it came, where all are.
        """
        if self.is_none:
            return None
        content_type = _field(_TYPE_FIELD, head).partition(";")[0].strip(" \t").lower()
        if _field(_ENCODING_FIELD, head).lower() not in ("", "identity"):
            return body if self.is_all else None
        return redact_body(content_type, body) if self.keeps(content_type) else None

    def __str__(self) -> str:
        return "all" if self.is_all else ",".join(sorted(self.types)) or "none"


NO_BODIES = BodyPolicy()
"""The policy that keeps no body."""


def _field(pattern: re.Pattern[str], head: str) -> str:
    found = pattern.search(head)
    return "" if found is None else found[1].strip(" \t")


def without_passwords(line: str) -> str:
    """*line* with ``sip:alice:secret@a.example`` written as ``sip:alice:***@a.example`` (RFC 3261 section 19.1.1), and
    the values of parameters and headers of URIs withheld whose name says that they are secret."""
    if "=" in line:
        lowered = line.casefold()
        for word in _PLAIN_WORDS:
            if word in lowered:
                line = _SECRET_PARAMETER.sub(r"\1***", line)
                break
    # A password stands behind a second colon of a URI, before an at sign.
    end = line.rfind("@")
    if end < 0 or line.count(":", 0, end) < 2:
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
