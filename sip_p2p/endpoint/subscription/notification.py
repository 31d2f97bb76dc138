"""What a NOTIFY says, as an application sees it (rows J1 and J8; RFC 6665 section 4.1.3), and how its body is read.

A body is decoded when somebody asks for the document, by the decoder of its media type: those of :data:`DECODERS`, or
what the subscription was given in their place.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import decode_text, parse_media_type
from sip_p2p.sip.event.subscription_state import ACTIVE, PENDING

if TYPE_CHECKING:
    from sip_p2p.sip.event.subscription_state import SubscriptionStateValue
    from sip_p2p.sip.headers import Headers
    from sip_p2p.sip.message import Request

__all__ = ["DECODERS", "Notification"]

Decoder = Callable[[bytes], Any]

DECODERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "application/dialog-info+xml": ("sip_p2p.documents.dialog_info", "DialogInfo"),
        "application/pidf+xml": ("sip_p2p.documents.pidf", "Presence"),
        "application/simple-message-summary": ("sip_p2p.documents.message_summary", "MessageSummary"),
        "message/sipfrag": ("sip_p2p.documents.sipfrag", "SipFragment"),
    }
)
"""Which bodies are read without more ado: media type to the module and the value whose ``parse`` reads them, imported
when the first one comes."""

_NOT_READ = object()


def _decoder_of(essence: str, own: Mapping[str, Decoder]) -> Decoder | None:
    decoder = own.get(essence)
    if decoder is not None:
        return decoder
    known = DECODERS.get(essence)
    if known is None:
        return None
    parse: Decoder = getattr(importlib.import_module(known[0]), known[1]).parse
    return parse


@final
class Notification:
    """One notification.

    :ivar body: its body; empty where it has none, as where the state is not ours to know.
    :ivar content_type: the type of the body, as the notifier wrote it; empty for none.
    :ivar state: how the subscription stands: ``active``, ``pending``, ``terminated``, or what an extension has made up.
    :ivar reason: why it ended, where it did; empty where that is not said.
    :ivar expires: the seconds that are left of it; None where that is not said.
    :ivar retry_after: the seconds for which the notifier wants to be left alone; None where that is not said.
    :ivar headers: all header fields of the NOTIFY.
    """

    __slots__ = (
        "_decoders",
        "_document",
        "body",
        "content_type",
        "expires",
        "headers",
        "reason",
        "retry_after",
        "state",
    )

    def __init__(
        self, request: Request, value: SubscriptionStateValue, decoders: Mapping[str, Decoder] | None = None
    ) -> None:
        """
        :param decoders: those that take the place of :data:`DECODERS`, by media type.
        """
        self.headers: Headers = request.headers
        self.body = request.body
        self.content_type = (request.headers.get("Content-Type") or "") if request.body else ""
        self.state = value.state
        # 4.1.3: beside a state that they say nothing of, these have no meaning.
        is_standing = value.state in (ACTIVE, PENDING)
        self.reason = "" if is_standing else value.reason
        self.expires = None if value.is_terminated else value.expires
        self.retry_after = None if is_standing else value.retry_after
        self._decoders: Mapping[str, Decoder] = {} if decoders is None else decoders
        self._document: Any = _NOT_READ

    @property
    def is_terminated(self) -> bool:
        """Whether it is the last one of its subscription."""
        return self.state == "terminated"

    @property
    def text(self) -> str:
        """The body as text.

        :raises ValueError: when it is not text in the charset that it names.
        """
        return decode_text(self.body, parse_media_type(self.content_type) if self.content_type else None)

    @property
    def document(self) -> Any:
        """The body, read by the decoder of its type; None where there is no body, or no decoder.

        :raises MalformedDocument: when the body is not what its type says; a decoder of the application's own may
            raise something else.
        """
        if self._document is _NOT_READ:
            decoder = _decoder_of(self._essence(), self._decoders) if self.body else None
            self._document = None if decoder is None else decoder(self.body)
        return self._document

    @property
    def version(self) -> int | None:
        """The number of the document among those of its subscription; None where its kind has none."""
        version = getattr(self.document, "version", None)
        return version if isinstance(version, int) else None

    @property
    def is_full(self) -> bool:
        """Whether the document says everything; False where it says only what has changed (RFC 4235 section 4.1)."""
        is_full = getattr(self.document, "is_full", True)
        return bool(is_full)

    def _essence(self) -> str:
        try:
            return parse_media_type(self.content_type).essence
        except MalformedMessage:
            return ""

    def __repr__(self) -> str:
        what = f"{self.content_type}, {len(self.body)} octets" if self.body else "no body"
        return f"<Notification {self.state}: {what}>"
