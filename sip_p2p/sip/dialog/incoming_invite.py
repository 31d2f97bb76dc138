"""What an INVITE says to the one who is called, before anything is answered (RFC 3261 sections 8.3, 12.1.1 and 13.3).

Values in, values out: who may still be ringing, for how long the invitation is good, which extensions the caller has,
and where it may be sent instead. What the machine does with it stands in
:mod:`~sip_p2p.sip.dialog.server_invitation`.

Left out: what a proxy reads in an INVITE, and the preferences of RFC 3841 but for the one that forbids forking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.reliable import OPTION_TAG
from sip_p2p.sip.dialog.session_timer import OPTION_TAG as TIMER_TAG
from sip_p2p.sip.dialog.session_timer import SessionTimer, SessionTimerSettings
from sip_p2p.sip.fields import parse_contact, parse_name_addrs, parse_seconds, parse_tokens, split_values
from sip_p2p.sip.name_addr import NameAddr, parse_name_addr
from sip_p2p.sip.preferences import parse_request_disposition
from sip_p2p.sip.readings import warning_value
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.directory import Directory
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Profile

__all__ = [
    "Reading",
    "elsewhere",
    "has_option",
    "leads_on",
    "may_ring_elsewhere",
    "read_invite",
    "wants_secure_contact",
]

_NO_TIMER = SessionTimerSettings(is_enabled=False)


@final
class Reading:
    """What stands in an INVITE, or why it is refused.

    :ivar status: 0; or the status to refuse it with.
    :ivar fields: what the refusal carries.
    :ivar dialog: the first early dialog; None where it is refused.
    :ivar offer: the caller's offer; None where we are to make one (section 13.2.1).
    :ivar expires: for how many seconds it is good; None where it does not say.
    :ivar session_timer: what it wants of session timers.
    """

    __slots__ = ("dialog", "expires", "fields", "offer", "session_timer", "status")

    def __init__(self, status: int = 0, fields: Sequence[tuple[str, str]] = ()) -> None:
        self.status = status
        self.fields = list(fields)
        self.dialog: Dialog | None = None
        self.offer: ContentDescription | None = None
        self.expires: int | None = None
        self.session_timer: SessionTimer | None = None


def read_invite(request: Request, tag: str, flow: Flow, profile: Profile, options: AnswerOptions) -> Reading:
    """Read an INVITE that came by *flow* and belongs to no dialog, for *profile*, who answers by *options*.

    :param tag: our tag in the first early dialog.
    """
    reading = Reading()
    try:
        # 8.1.1.8, 12.1.1: without one SIP Contact there is no dialog.
        reading.dialog = Dialog.of_callee(request, tag, flow)
        reading.offer = description_of(request)
        expires = request.headers.get("Expires")
        reading.expires = None if expires is None else parse_seconds(expires, "Expires")
    except MalformedMessage as error:
        return Reading(error.status, [("Warning", warning_value(error.reason))])
    # RFC 3262 section 3: whoever requires reliable responses and cannot have them is refused, and vice versa.
    is_required = has_option(request, "Require", OPTION_TAG)
    if options.reliable == "off" and is_required:
        return Reading(420, [("Unsupported", OPTION_TAG)])
    if options.reliable == "required" and not is_required and not has_option(request, "Supported", OPTION_TAG):
        return Reading(421, [("Require", OPTION_TAG)])
    # 19.2: what a party does not say that it understands it does not do.
    is_timed = TIMER_TAG in profile.supported
    timer = reading.session_timer = SessionTimer(options.session_timer if is_timed else _NO_TIMER)
    status = timer.request_received(request)
    if status:
        # RFC 4028 section 6: a 422 names the least that would do.
        return Reading(status, timer.refusal_fields() if status == 422 else ())
    # 13.3.1, step 1: an invitation that is good for no time has expired.
    return Reading(487) if reading.expires == 0 else reading


def has_option(request: Request, name: str, option: str) -> bool:
    """Whether *option*, in small letters, is one of the tags in the field *name* (Supported or Require).

    What cannot be read there promises nothing; a Require like that was refused before anybody asks.
    """
    try:
        return any(
            tag.lower() == option for value in request.headers.get_all(name) for tag in parse_tokens(value, name)
        )
    except MalformedMessage:
        return False


def may_ring_elsewhere(request: Request) -> bool:
    """Whether copies of this INVITE may be with other devices too, so that a machine should not be quick to accept it.

    A hint: nothing in SIP tells a forked request from another one. An INVITE that came straight from its caller is the
    only one; behind a proxy there may be more, unless the caller forbade it (``no-fork``, RFC 3841 section 9.1).
    """
    headers = request.headers
    for value in headers.get_all("Request-Disposition"):
        try:
            if "no-fork" in parse_request_disposition(value):
                return False
        except MalformedMessage:
            # What cannot be read forbids nothing.
            continue
    return sum(len(split_values(value)) for value in headers.get_all("Via")) > 1


def wants_secure_contact(request: Request) -> bool:
    """12.1.1: whether our Contact has to be a ``sips`` URI, because the Request-URI is one, or the top Record-Route, or
    the Contact where there is no Record-Route.

    What cannot be read there asks for nothing; it is refused elsewhere.
    """
    if _is_secure(request.uri_text):
        return True
    headers = request.headers
    recorded = headers.get("Record-Route")
    try:
        if recorded is not None:
            addresses: list[NameAddr] | None = parse_name_addrs(recorded, "Record-Route")
        else:
            contact = headers.get("Contact")
            # Most say so nowhere, which is quicker to see than where they would.
            addresses = None if contact is None or "sips:" not in contact.lower() else parse_contact(contact)
    except MalformedMessage:
        return False
    return addresses is not None and any(_is_secure(address.uri_text) for address in addresses[:1])


def elsewhere(
    contacts: Sequence[NameAddr | str], status: int, request: Request, profile: Profile, directory: Directory
) -> list[str]:
    """The Contact values of a 3xx to *request*, in the order in which they are given.

    :param contacts: URIs, or addresses with parameters such as ``q`` (section 20.10).
    :param profile: who redirects.
    :raises ValueError: when there is none, or one cannot be read; when one leads back to where the request was sent or
        to *profile* itself (section 8.3), when a ``sips`` request would be sent on to a ``sip`` URI (RFC 5630 section
        4), and when a 305 names more than one proxy (section 21.3.4).
    """
    if not contacts:
        raise ValueError("a redirection names where to go instead")
    if status == 305 and len(contacts) != 1:
        raise ValueError("a 305 names exactly one proxy (RFC 3261 section 21.3.4)")
    values = []
    for contact in contacts:
        try:
            address = contact if isinstance(contact, NameAddr) else parse_name_addr(contact, "Contact")
            uri = address.uri
            asked = parse_uri(request.uri_text)
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        # 8.3: a redirection to the address that was asked for would come back, and again.
        if uri == asked or (isinstance(uri, SipUri) and directory.serves(uri) is profile):
            raise ValueError(f"a redirection to {uri} leads back to where it comes from (RFC 3261 section 8.3)")
        # RFC 5630 section 4: who asked for sips is not sent to a place without it.
        if _is_secure(request.uri_text) and uri.scheme == "sip":
            raise ValueError(f"a sips request cannot be redirected to {uri}")
        values.append(str(address))
    return values


def leads_on(asked: str, target: str) -> bool:
    """Whether who asked for the URI *asked* may be sent to *target* instead: not where that comes back (section 8.3),
    nor where ``sips`` ends (RFC 5630 section 4)."""
    try:
        uri = parse_uri(target)
        return uri != parse_uri(asked) and not (_is_secure(asked) and uri.scheme == "sip")
    except MalformedMessage:
        return False


def _is_secure(uri_text: str) -> bool:
    return uri_text[:5].lower() == "sips:"
