"""What a REFER and its answer say: Refer-To (RFC 3515 section 2.1), Referred-By (RFC 3892 section 3), Refer-Sub (RFC
4488 section 4) and Refer-Events-At (RFC 7614 section 4.8).

A Refer-To may say, within its URI, which method to use and which header fields to add (RFC 3261 section 19.1.1). Who
follows it puts a stranger's words into a request of his own, so only those fields are taken that say what the request
is about, or which session it is to replace or join.

Left out: the signed token of Referred-By (RFC 3892 section 4): nobody makes one, and without it the field is a claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, ascii_lower, is_token
from sip_p2p.sip.dialog.redirection import fields_of_uri
from sip_p2p.sip.dialog.references import DialogReference, Join, Replaces, TargetDialog
from sip_p2p.sip.fields import split_values
from sip_p2p.sip.name_addr import NameAddr, parse_name_addr
from sip_p2p.sip.params import parse_params
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.message import Message
    from sip_p2p.sip.uri import Uri

__all__ = [
    "EXPLICITSUB",
    "NOREFERSUB",
    "NOSUB",
    "REFER_PACKAGE",
    "SIPFRAG",
    "TDIALOG",
    "DialogReference",
    "Join",
    "ReferTo",
    "ReferredBy",
    "Replaces",
    "TargetDialog",
    "parse_refer_events_at",
    "parse_refer_sub",
    "read_refer_to",
    "read_referred_by",
]

R = TypeVar("R", Replaces, Join)

REFER_PACKAGE = "refer"
"""The event package of REFER (RFC 3515 section 3)."""

SIPFRAG = "message/sipfrag"
"""What its NOTIFYs carry (RFC 3515 section 2.4.5, RFC 3420)."""

NOREFERSUB = "norefersub"
"""The option tag of Refer-Sub (RFC 4488 section 4)."""

NOSUB = "nosub"
"""The option tag that wants no subscription (RFC 7614 section 5)."""

EXPLICITSUB = "explicitsub"
"""The option tag that wants to subscribe by itself (RFC 7614 section 4)."""

TDIALOG = "tdialog"
"""The option tag of Target-Dialog (RFC 4538 section 3)."""


@final
class ReferTo:
    """A Refer-To: what somebody is to ask for, and how.

    :ivar address: the field as it is written: name, URI with all that it holds, parameters.
    :ivar uri: whom to ask: the URI without what says how.
    :ivar method: with which method; INVITE where it does not say.
    :ivar replaces: the session that an INVITE is to take the place of; None for none.
    :ivar join: the session that it is to be added to; None for none.
    :ivar fields: further header fields for the request, those only that a stranger may put there.
    """

    __slots__ = ("address", "fields", "join", "method", "replaces", "uri")

    def __init__(self, address: NameAddr) -> None:
        """
        :raises MalformedMessage: when its URI, its method, its Replaces or its Join is none, or it has one of the last
            two twice, or both (400).
        """
        uri: Uri = address.uri
        self.address = address
        self.uri = uri
        self.method = "INVITE"
        self.replaces: Replaces | None = None
        self.join: Join | None = None
        self.fields: tuple[tuple[str, str], ...] = ()
        if isinstance(uri, SipUri):
            self.uri = uri.as_request_uri()
            self.method = uri.method or "INVITE"
            if not is_token(self.method):
                raise MalformedMessage(f"Refer-To: not a method: {self.method[:32]!r}")
            self.fields = tuple(fields_of_uri(uri))
            self.replaces = _only(uri, Replaces)
            self.join = _only(uri, Join)
            if self.replaces is not None and self.join is not None:
                raise MalformedMessage("Refer-To: a session cannot be replaced and joined at once")

    @staticmethod
    def of(
        uri: Uri | str,
        *,
        method: str = "INVITE",
        replaces: Replaces | None = None,
        join: Join | None = None,
        fields: Iterable[tuple[str, str]] = (),
        display_name: str = "",
    ) -> ReferTo:
        """The value with these parts; *fields* and *method* go into the URI.

        :raises ValueError: when a part cannot stand there, or *uri* is no SIP URI and is to hold one.
        """
        try:
            parsed = parse_uri(uri) if isinstance(uri, str) else uri
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        if TOKEN.fullmatch(method) is None:
            raise ValueError(f"{method[:32]!r} is not a method")
        headers = [(each.name, str(each)) for each in (replaces, join) if each is not None]
        headers += fields
        if isinstance(parsed, SipUri):
            params = dict(parsed.params)
            if method != "INVITE":
                params["method"] = method
            parsed = parsed.replace(params=params, headers=(*parsed.headers, *headers))
        elif headers or method != "INVITE":
            raise ValueError(f"{str(parsed)[:64]!r} has no place for a method or header fields: it is no SIP URI")
        try:
            return ReferTo(NameAddr(parsed, display_name))
        except MalformedMessage as error:
            raise ValueError(str(error)) from None

    def __str__(self) -> str:
        return str(self.address)

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, ReferTo) else self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __repr__(self) -> str:
        return f"<ReferTo {str(self)!r}>"


def _only(uri: SipUri, kind: type[R]) -> R | None:
    """The one dialog that *uri* names by a field of this kind.

    :raises MalformedMessage: when it cannot be read, or there are two.
    """
    values = uri.header_values(kind.name)
    if len(values) > 1:
        raise MalformedMessage(f"Refer-To: {kind.name} stands {len(values)} times")
    return kind.parse(values[0]) if values else None


@final
class ReferredBy:
    """A Referred-By: who is said to have asked for the request. Anybody can write one: it proves nothing (RFC 3892
    section 6).

    :ivar address: who.
    :ivar uri: the address without name and parameters.
    :ivar cid: which body part is said to prove it; None where it names none.
    """

    __slots__ = ("address", "cid", "uri")

    def __init__(self, address: NameAddr) -> None:
        """
        :raises MalformedMessage: when its URI is none (400).
        """
        self.address = address
        self.uri: Uri = address.uri
        self.cid = address.params.get("cid")

    def __str__(self) -> str:
        return str(self.address)

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, ReferredBy) else self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __repr__(self) -> str:
        return f"<ReferredBy {str(self)!r}, which nobody has proved>"


def read_refer_to(message: Message) -> ReferTo:
    """The Refer-To of a REFER.

    :raises MalformedMessage: when there is not exactly one, or it cannot be read (RFC 3515 section 2.4.2: 400).
    """
    values = message.headers.get_all("Refer-To")
    if len(values) != 1 or len(split_values(values[0])) != 1:
        raise MalformedMessage("a REFER needs exactly one Refer-To (RFC 3515 section 2.4.2)")
    return ReferTo(parse_name_addr(values[0], "Refer-To"))


def read_referred_by(message: Message) -> ReferredBy | None:
    """The Referred-By of a request; None where it has none.

    :raises MalformedMessage: when there are two, or it cannot be read (400).
    """
    values = message.headers.get_all("Referred-By")
    if not values:
        return None
    if len(values) > 1:
        raise MalformedMessage(f"Referred-By stands {len(values)} times")
    return ReferredBy(parse_name_addr(values[0], "Referred-By"))


def parse_refer_sub(value: str) -> bool:
    """Whether a Refer-Sub wants, or tells of, a subscription (RFC 4488 section 4).

    :raises MalformedMessage: when it is neither true nor false (400).
    """
    word, semicolon, _ = value.partition(";")
    if semicolon:
        parse_params(value, len(word), "Refer-Sub")
    said = ascii_lower(word.strip(" \t"))
    if said not in ("true", "false"):
        raise MalformedMessage(f"Refer-Sub: neither true nor false: {value[:64]!r}")
    return said == "true"


def parse_refer_events_at(value: str) -> SipUri:
    """Where to subscribe to what becomes of a REFER (RFC 7614 section 4.8).

    :raises MalformedMessage: when it is no SIP URI in angle brackets.
    """
    if "<" not in value:
        raise MalformedMessage("Refer-Events-At: a URI without angle brackets")
    uri = parse_name_addr(value, "Refer-Events-At").uri
    if not isinstance(uri, SipUri):
        raise MalformedMessage("Refer-Events-At: not a SIP URI")
    return uri
