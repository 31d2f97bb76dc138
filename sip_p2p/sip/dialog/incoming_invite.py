"""What an INVITE says to the one who is called, before anything is answered (RFC 3261 sections 8.3, 12.1.1 and 13.3).

Values in, values out: who may still be ringing, for how long the invitation is good, which extensions the caller has,
and where it may be sent instead. What the machine does with it stands in
:mod:`~sip_p2p.sip.dialog.server_invitation`.

Left out: what a proxy reads in an INVITE, and the preferences of RFC 3841 but for the one that forbids forking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import parse_contact, parse_name_addrs, parse_seconds, parse_tokens, split_values
from sip_p2p.sip.name_addr import NameAddr, parse_name_addr
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.directory import Directory
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Profile

__all__ = ["elsewhere", "expires_of", "has_option", "may_ring_elsewhere", "wants_secure_contact"]


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


def expires_of(request: Request) -> int | None:
    """For how many seconds the invitation is good (section 13.3.1, step 1); None where it does not say.

    :raises MalformedMessage: when Expires is no number (400).
    """
    value = request.headers.get("Expires")
    return None if value is None else parse_seconds(value, "Expires")


def may_ring_elsewhere(request: Request) -> bool:
    """Whether copies of this INVITE may be with other devices too, so that a machine should not be quick to accept it.

    A hint: nothing in SIP tells a forked request from another one. An INVITE that came straight from its caller is the
    only one; behind a proxy there may be more, unless the caller forbade it (``no-fork``, RFC 3841 section 9.1).
    """
    headers = request.headers
    for value in headers.get_all("Request-Disposition"):
        if any(element.strip(" \t").lower() == "no-fork" for element in value.split(",")):
            return False
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
            addresses = None if contact is None else parse_contact(contact)
    except MalformedMessage:
        return False
    return bool(addresses) and _is_secure(addresses[0].uri_text)


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


def _is_secure(uri_text: str) -> bool:
    return uri_text[:5].lower() == "sips:"
