"""Delivery reports: what became of a message, and which reports its sender wants (RFC 5438).

A sender asks for reports in two fields of the ``message/cpim`` around the message (section 6), and gets each as a
document of its own, in a ``message/cpim`` again. Left out: putting several reports into one, which intermediaries
do; extensions of the document, which are skipped; and lists of recipients (RFC 5365).
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Final, final

from sip_p2p.documents.cpim import CpimField
from sip_p2p.documents.timestamps import format_timestamp, parse_timestamp
from sip_p2p.documents.xml import XmlElement, XmlLimits, parse_xml, write_xml
from sip_p2p.errors import MalformedDocument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.documents.cpim import CpimMessage

__all__ = [
    "CPIM_NAMESPACE",
    "MEDIA_TYPE",
    "NAMESPACE",
    "Disposition",
    "Imdn",
    "Wanted",
    "message_id",
    "request_fields",
    "wanted_in",
]

MEDIA_TYPE: Final = "message/imdn+xml"

NAMESPACE: Final = "urn:ietf:params:xml:ns:imdn"
"""That of the elements (section 11.1)."""

CPIM_NAMESPACE: Final = "urn:ietf:params:imdn"
"""That of the fields (section 6.1)."""

_LIMITS = XmlLimits(octets=16_384, elements=64, depth=8, attributes=8, name=256)
_LONGEST_ID = 256
_TOKEN = re.compile("[A-Za-z0-9!#$%&'*+\\-.^_`|~\x80-\U0010ffff]+")


class Wanted(enum.Enum):
    """A report that a sender may want (section 7.1.1.3)."""

    DELIVERED = "positive-delivery"
    FAILED = "negative-delivery"
    PROCESSED = "processing"
    DISPLAYED = "display"


class Disposition(enum.Enum):
    """What became of a message (sections 5 and 11.1.7): the element of the report, and that of the status in it.

    *Forbidden* and *error* say that it is not told, and that it cannot be.
    """

    DELIVERED = ("delivery", "delivered")
    FAILED = ("delivery", "failed")
    DELIVERY_FORBIDDEN = ("delivery", "forbidden")
    DELIVERY_ERROR = ("delivery", "error")
    PROCESSED = ("processing", "processed")
    STORED = ("processing", "stored")
    PROCESSING_FORBIDDEN = ("processing", "forbidden")
    PROCESSING_ERROR = ("processing", "error")
    DISPLAYED = ("display", "displayed")
    DISPLAY_FORBIDDEN = ("display", "forbidden")
    DISPLAY_ERROR = ("display", "error")

    @property
    def kind(self) -> str:
        """``delivery``, ``processing`` or ``display``."""
        return self.value[0]

    @property
    def status(self) -> str:
        """``delivered``, ``failed``, ``stored``, ..."""
        return self.value[1]


@final
class Imdn:
    """One report. It does not change.

    :ivar message_id: that of the message.
    :ivar date: when the message was sent, as its sender said it, in seconds since 1970.
    :ivar disposition: what became of it.
    :ivar recipient: the URI of who has it; empty where it does not say.
    :ivar original_recipient: the URI that it was sent to; empty where it does not say.
    :ivar subject: that of the message; empty where it does not say.
    """

    __slots__ = ("date", "disposition", "message_id", "original_recipient", "recipient", "subject")

    def __init__(
        self,
        message_id: str,
        date: float,
        disposition: Disposition,
        *,
        recipient: str = "",
        original_recipient: str = "",
        subject: str = "",
    ) -> None:
        """
        :raises ValueError: when *message_id* is empty or longer than 256 characters.
        """
        if not 0 < len(message_id) <= _LONGEST_ID:
            raise ValueError(f"a Message-ID has 1 to {_LONGEST_ID} characters, not {len(message_id)}")
        self.message_id = message_id
        self.date = date
        self.disposition = disposition
        self.recipient = recipient
        self.original_recipient = original_recipient
        self.subject = subject

    @staticmethod
    def parse(document: bytes | str) -> Imdn:
        """
        :raises MalformedDocument: when it is no report.
        """
        root = parse_xml(document, expected=_name("imdn"), limits=_LIMITS)
        identifier, date = root.text_of(_name("message-id")), root.text_of(_name("datetime"))
        if not identifier or date is None:
            raise MalformedDocument("a report without the message that it is on, or its date")
        try:
            return Imdn(
                identifier,
                parse_timestamp(date),
                _disposition_in(root),
                recipient=root.text_of(_name("recipient-uri")) or "",
                original_recipient=root.text_of(_name("original-recipient-uri")) or "",
                subject=root.text_of(_name("subject")) or "",
            )
        except MalformedDocument:
            raise
        except ValueError as error:
            raise MalformedDocument(str(error)) from None

    def to_bytes(self) -> bytes:
        """As octets. The schema has both URIs or none, and a subject only beside them (section 11.1.9): where one URI
        is missing the other one stands for both.

        :raises ValueError: for a character that XML cannot carry, a date before 1970, or a subject without a URI.
        """
        children = [_element("message-id", self.message_id), _element("datetime", format_timestamp(self.date))]
        if self.recipient or self.original_recipient:
            children.append(_element("recipient-uri", self.recipient or self.original_recipient))
            children.append(_element("original-recipient-uri", self.original_recipient or self.recipient))
        elif self.subject:
            raise ValueError("a report has a subject only beside the URI of who has the message")
        if self.subject:
            children.append(_element("subject", self.subject))
        status = XmlElement(_name("status"), children=(_element(self.disposition.status),))
        children.append(XmlElement(_name(f"{self.disposition.kind}-notification"), children=(status,)))
        return write_xml(XmlElement(_name("imdn"), children=children))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Imdn):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.message_id, self.disposition))

    def __repr__(self) -> str:
        return f"<Imdn {self.message_id!r} {self.disposition.name}>"


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _element(local: str, text: str = "") -> XmlElement:
    return XmlElement(_name(local), text=text)


def _disposition_in(root: XmlElement) -> Disposition:
    """The one disposition that a report must have."""
    for each in Disposition:
        notification = root.find(_name(f"{each.kind}-notification"))
        status = None if notification is None else notification.find(_name("status"))
        if status is not None and status.find(_name(each.status)) is not None:
            return each
    raise MalformedDocument("a report that does not say what became of the message")


# -- the fields of the message -----------------------------------------------------------------------------------------


def request_fields(identifier: str, wanted: Iterable[Wanted]) -> list[CpimField]:
    """The fields of a message that has the Message-ID *identifier*, and on which these reports are wanted (sections 6.2
    and 6.3). A report itself gets none but the first: nobody reports on reports (section 7.2.1).

    :raises ValueError: when *identifier* is no token, or too long (section 10).
    """
    if len(identifier) > _LONGEST_ID or _TOKEN.fullmatch(identifier) is None or not identifier.isprintable():
        raise ValueError(f"not a Message-ID: {identifier[:64]!r}")
    fields = [CpimField("Message-ID", identifier, CPIM_NAMESPACE)]
    names = [each.value for each in dict.fromkeys(wanted)]
    if names:
        fields.append(CpimField("Disposition-Notification", ", ".join(names), CPIM_NAMESPACE))
    return fields


def message_id(message: CpimMessage) -> str:
    """The Message-ID of a message (section 6.3); empty where it has none, or none that anybody would remember, or
    could name in a report."""
    value = message.get("Message-ID", CPIM_NAMESPACE) or ""
    return value if len(value) <= _LONGEST_ID and value.isprintable() else ""


def wanted_in(message: CpimMessage) -> frozenset[Wanted]:
    """The reports that its sender wants (section 6.2). Names that nobody knows, and parameters, do not count; the
    letters do (section 10). Nobody reports on a message without a Message-ID, or on a report."""
    kind = message.content_type
    if not message_id(message) or (kind is not None and kind.essence == MEDIA_TYPE):
        return frozenset()
    names = {
        name.partition(";")[0].strip(" \t")
        for field in message.get_all("Disposition-Notification", CPIM_NAMESPACE)
        for name in field.value.split(",")
    }
    return frozenset(each for each in Wanted if each.value in names)
