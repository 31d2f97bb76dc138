"""Header fields that name a dialog in a request outside of it: Replaces (RFC 3891), Join (RFC 3911) and Target-Dialog
(RFC 4538).

Each names it by Call-ID and tags, and all of them from the side of whoever receives the request: the first tag is the
recipient's own. RFC 3891 and RFC 3911 call the two to-tag and from-tag, RFC 4538 calls them local-tag and remote-tag.

Left out: what is done with the dialog, and who may ask for it.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import CALL_ID, TOKEN
from sip_p2p.sip.params import check_params, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.table import DialogTable

__all__ = ["DialogReference", "Join", "Replaces", "TargetDialog"]

_START = re.compile(rf"[ \t]*({CALL_ID.pattern})[ \t]*")
_NO_TAG = "0"


class DialogReference:
    """A dialog of the recipient's.

    :ivar call_id: its Call-ID.
    :ivar local_tag: the recipient's tag in it.
    :ivar remote_tag: the other party's.
    """

    __slots__ = ("_others", "call_id", "local_tag", "remote_tag")

    name: ClassVar[str] = ""
    """The header field."""

    _tags: ClassVar[tuple[str, str]] = ("", "")

    def __init__(
        self, call_id: str, local_tag: str, remote_tag: str, params: Mapping[str, str | None] | None = None
    ) -> None:
        """
        :param params: further parameters.
        :raises ValueError: when a part is none, or one of the tags stands among *params*.
        """
        if CALL_ID.fullmatch(call_id) is None:
            raise ValueError(f"{call_id[:64]!r} is not a Call-ID")
        for tag in (local_tag, remote_tag):
            if TOKEN.fullmatch(tag) is None:
                raise ValueError(f"{tag[:64]!r} is not a tag")
        self._others = check_params(params)
        if not self._others.keys().isdisjoint(self._tags):
            raise ValueError("a tag is no further parameter")
        self.call_id = call_id
        self.local_tag = local_tag
        self.remote_tag = remote_tag

    @classmethod
    def to(cls, dialog: Dialog) -> Self:
        """What names *dialog* to the party that it is with."""
        return cls(dialog.call_id, dialog.remote_tag or _NO_TAG, dialog.local_tag)

    @classmethod
    def of(cls, dialog: Dialog) -> Self:
        """What names *dialog* to whoever has our side of it."""
        return cls(dialog.call_id, dialog.local_tag, dialog.remote_tag or _NO_TAG)

    @classmethod
    def parse(cls, value: str) -> Self:
        """Parse the field.

        :raises MalformedMessage: when it is no Call-ID with both tags (400).
        """
        match = _START.match(value)
        if match is None:
            raise MalformedMessage(f"{cls.name}: not a Call-ID: {value[:64]!r}")
        params = parse_params(value, match.end(), cls.name)
        local_tag, remote_tag = (params.pop(tag, None) for tag in cls._tags)
        if local_tag is None or remote_tag is None:
            raise MalformedMessage(f"{cls.name}: it needs {cls._tags[0]} and {cls._tags[1]}")
        try:
            return cls(match[1], local_tag, remote_tag, params)
        except ValueError as error:
            raise MalformedMessage(f"{cls.name}: {error}") from None

    @property
    def params(self) -> Mapping[str, str | None]:
        """The further parameters: small name to decoded value, None where it has none."""
        return MappingProxyType(self._others)

    def find(self, dialogs: DialogTable) -> Dialog | None:
        """The dialog that it names, if it lives, and if there is only one.

        RFC 3891 section 6.1: the tag 0 stands for none as well, which a peer of RFC 2543 has.
        """
        found = dialogs.find(self.call_id, self.local_tag, self.remote_tag)
        if self.remote_tag != _NO_TAG:
            return found
        untagged = dialogs.find(self.call_id, self.local_tag, "")
        # RFC 3891 section 3, RFC 3911 section 4: what matches more than one dialog matches none.
        return None if found is not None and untagged is not None else found or untagged

    def __str__(self) -> str:
        tags: dict[str, str | None] = dict(zip(self._tags, (self.local_tag, self.remote_tag), strict=True))
        return f"{self.call_id}{format_params(tags | self._others)}"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, DialogReference):
            return NotImplemented
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash((self.call_id, self.local_tag, self.remote_tag))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self)!r}>"


@final
class Replaces(DialogReference):
    """A Replaces: the session that an INVITE is to take the place of (RFC 3891 section 6.1)."""

    __slots__ = ()

    name = "Replaces"
    _tags = ("to-tag", "from-tag")

    @property
    def is_early_only(self) -> bool:
        """Whether only a session that was not accepted yet is to be replaced."""
        return "early-only" in self._others

    def early_only(self) -> Replaces:
        """The same, for a session that was not accepted yet."""
        return Replaces(self.call_id, self.local_tag, self.remote_tag, {**self._others, "early-only": None})


@final
class Join(DialogReference):
    """A Join: the session that an INVITE is to be added to (RFC 3911 section 7.1)."""

    __slots__ = ()

    name = "Join"
    _tags = ("to-tag", "from-tag")


@final
class TargetDialog(DialogReference):
    """A Target-Dialog: a dialog that the sender knows of, which is why its request is to be allowed (RFC 4538 section
    7)."""

    __slots__ = ()

    name = "Target-Dialog"
    _tags = ("local-tag", "remote-tag")
