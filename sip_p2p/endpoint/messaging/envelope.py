"""The envelope around a text (RFC 3862), as RFC 5438 fills it in; values only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sip_p2p.documents.cpim import CORE, CpimAddress, CpimField, CpimMessage
from sip_p2p.documents.imdn import CPIM_NAMESPACE, Imdn, Wanted, request_fields
from sip_p2p.documents.imdn import MEDIA_TYPE as REPORT
from sip_p2p.errors import MalformedDocument, MalformedMessage
from sip_p2p.sip.multipart import parse_multipart

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WISHES", "enclose", "enclose_report", "is_understood", "opened", "recipients_of", "reports_in", "wishes"]

WISHES: Final = {
    "delivered": (Wanted.DELIVERED, Wanted.FAILED),
    "processed": (Wanted.PROCESSED,),
    "displayed": (Wanted.DISPLAYED,),
}
"""What a sender may want to be told, and the reports that tell it."""

_KNOWN = {
    CORE: frozenset(("From", "To", "cc", "DateTime", "Subject", "NS", "Require")),
    CPIM_NAMESPACE: frozenset(("Message-ID", "Disposition-Notification", "Original-To")),
}


def wishes(want: Iterable[str]) -> tuple[str, ...]:
    """*want*, each once.

    :raises ValueError: for a wish that there is not.
    :raises TypeError: when it is one text, and not several.
    """
    if isinstance(want, str):
        raise TypeError(f"want is several wishes, such as ({want!r},), not one text")
    named = tuple(dict.fromkeys(want))
    for each in named:
        if each not in WISHES:
            raise ValueError(f"{each!r} cannot be wanted: there are {', '.join(WISHES)}")
    return named


def enclose(
    sender: CpimAddress,
    recipient: CpimAddress,
    body: bytes,
    content_type: str,
    identifier: str,
    want: Iterable[str],
    *,
    date: float,
    subject: str = "",
) -> bytes:
    """A text in its envelope.

    :param date: seconds since 1970.
    :raises ValueError: for what cannot be written.
    """
    wanted = [each for wish in want for each in WISHES[wish]]
    message = CpimMessage(
        body,
        content_type,
        from_=sender,
        to=(recipient,),
        date=date,
        subject=subject,
        fields=request_fields(identifier, wanted),
    )
    return message.to_bytes()


def recipients_of(envelope: CpimMessage | None, us: str) -> tuple[str, str]:
    """The URIs of who has a text and of whom it was sent to, for a report on it (RFC 5438 sections 11.1.3 and 11.1.4).

    :param us: our own URI, which counts where the text names several others, or nobody that can be read.
    """
    if envelope is None:
        return us, us
    try:
        named = [each.uri for each in envelope.to]
    except MalformedDocument:
        named = []
    ours = [each for each in named if each.partition(":")[2].lower() == us.partition(":")[2].lower()]
    recipient = (ours or (named if len(named) == 1 else [us]))[0]
    try:
        return recipient, CpimAddress.parse(envelope.get("Original-To", CPIM_NAMESPACE) or "").uri
    except MalformedDocument:
        return recipient, recipient


def enclose_report(
    sender: CpimAddress,
    recipient: CpimAddress,
    report: Imdn,
    identifier: str,
    *,
    date: float,
    on: CpimMessage | None = None,
) -> bytes:
    """A report in its envelope, which wants no report itself (RFC 5438 section 7.2.1).

    :param on: the envelope of the text, which may name who wants to see the report on its way.
    :raises ValueError: for what cannot be written.
    """
    recorded = () if on is None else on.get_all("IMDN-Record-Route", CPIM_NAMESPACE)
    routes = [CpimField("IMDN-Route", each.value, CPIM_NAMESPACE) for each in recorded]
    message = CpimMessage(
        report.to_bytes(),
        REPORT,
        from_=sender,
        to=(recipient,),
        date=date,
        fields=(*request_fields(identifier, ()), *routes),
        mime=(("Content-Disposition", "notification"),),
    )
    return message.to_bytes()


def reports_in(envelope: CpimMessage) -> list[bytes]:
    """The report in an envelope, or those that somebody has put together (RFC 5438 sections 8.3 and 9); none in the
    envelope of a text.

    :raises MalformedMessage: for several parts that cannot be told apart.
    """
    kind = envelope.content_type
    if kind is None or kind.essence == REPORT:
        return [] if kind is None else [envelope.content]
    disposition = (envelope.mime.get("Content-Disposition") or "").partition(";")[0]
    if kind.essence != "multipart/mixed" or disposition.strip(" \t").lower() != "notification":
        return []
    parts = parse_multipart(envelope.content, kind).parts
    return [each.content for each in parts if each.content_type is not None and each.content_type.essence == REPORT]


def is_understood(namespace: str, name: str) -> bool:
    """Whether we know what a field of an envelope means (RFC 3862 section 3.5)."""
    return name in _KNOWN.get(namespace, ())


def opened(body: bytes) -> CpimMessage:
    """The envelope that a peer has sent, its addresses and dates looked at.

    :raises MalformedMessage: 400 when it is none, 488 when it must be understood and is not.
    """
    try:
        message = CpimMessage.parse(body)
        # Reading them is the check.
        _ = (message.from_, message.to, message.date, message.content_type)
    except MalformedDocument as error:
        raise MalformedMessage(f"message/cpim: {error.reason}") from None
    unmet = message.unmet(is_understood)
    if unmet:
        raise MalformedMessage(f"message/cpim requires {unmet[0][:64]!r}, which is not understood", 488)
    return message
